//! What each subcommand does.

mod audit;

use std::{
    io::{IsTerminal as _, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::CommandFactory as _;
use clap_complete::Shell;
use qchat_manual::{Configuration, Manual};
use qchat_proto::crypto::sign::DeviceSigningKey;
use serde_json::json;
use tokio::signal::unix::{self, SignalKind};

use crate::{
    blobs::Blobs,
    cli::{AdminCommand, Cli, Command, ConfigCommand, KeysCommand, TlsCommand},
    config::{self, Config, ConfigError, Loaded},
    error::CommandError,
    harden, logging,
    server::{self, Daemon, StartError},
    service::{
        ServiceError,
        directory::KeyDirectory,
        files::Files as Keeper,
        housekeeping::{Housekeeping, Swept},
        keys::ServerKeys,
        seed::{self, Plan, Seeded},
        sessions,
    },
    store::{
        self, Store, Target,
        audit::{Act, Outcome},
        backup::{self, Copied},
    },
    tls::{self, Files, Tls},
};

/// Carries out a command.
pub(crate) fn run(cli: &Cli) -> Result<ExitCode, CommandError> {
    harden::process().map_err(|error| CommandError::Other(format!("cannot forbid core dumps: {error}")))?;
    // What is about the program alone needs no configuration.
    match &cli.command {
        Command::Completions { shell } => return completions(*shell).map(|()| ExitCode::SUCCESS),
        Command::Man { dir } => return man(dir.as_deref()).map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    let loaded = config::load(cli.settings.config.as_deref(), &cli.settings.given())?;
    match &cli.command {
        Command::Config { command: ConfigCommand::Show { explain, json } } => show(&loaded, *explain, *json)?,
        Command::Serve => serve(loaded.config)?,
        Command::Migrate => migrate(&loaded.config)?,
        Command::Check => check(&loaded.config)?,
        Command::Backup { file, json } => {
            noted(&loaded.config, Act::Backup, || back_up(&loaded.config, file, *json))?;
        }
        Command::Keys { command: KeysCommand::Show { json } } => show_directory_key(&loaded.config, *json)?,
        Command::Keys { command: KeysCommand::ResetDirectory } => {
            noted(&loaded.config, Act::RotateKeys, || reset_directory(&loaded.config))?;
        }
        Command::Keys { command: KeysCommand::Rotate } => {
            noted(&loaded.config, Act::RotateKeys, || rotate_keys(&loaded.config))?;
        }
        Command::Tls { command: TlsCommand::Show { json } } => show_key(&loaded.config, *json)?,
        Command::Tls { command: TlsCommand::Generate { names, json } } => {
            generate(&loaded.config, names, *json)?;
        }
        Command::Admin { command: AdminCommand::Audit { command } } => audit::run(&loaded.config, command)?,
        Command::Admin { command: AdminCommand::Sweep { json } } => {
            noted(&loaded.config, Act::Sweep, || sweep(&loaded.config, *json))?;
        }
        Command::Admin {
            command: AdminCommand::Seed { accounts, rooms, members, messages, size, seed, json },
        } => {
            let (accounts, rooms, members, messages) = (*accounts, *rooms, *members, *messages);
            let plan = Plan { accounts, rooms, members, messages, size: *size, seed: *seed };
            noted(&loaded.config, Act::Seed, || fill(&loaded.config, plan, *json))?;
        }
        Command::Completions { .. } | Command::Man { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Does something, and notes in the audit log of a database that is there whether it was done.
fn noted(
    config: &Config,
    act: Act,
    work: impl FnOnce() -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let done = work();
    match &done {
        Ok(()) => audit::note(config, act, Outcome::Done, None)?,
        // What kept it from being done may keep this from being noted, and is what has to be told.
        Err(_) => drop(audit::note(config, act, Outcome::Failed, None)),
    }
    done
}

fn runtime(workers: u32) -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers as usize)
        .enable_all()
        .build()
        .map_err(|error| CommandError::Other(error.to_string()))
}

fn serve(config: Config) -> Result<(), CommandError> {
    logging::start(&config.log, config.log_format)?;
    // While there is one thread: it changes the environment.
    let activated = server::activated().map_err(StartError::Activation)?;
    runtime(config.workers)?.block_on(async {
        let mut signals = Signals::listen()?;
        let daemon = Daemon::start_on(config, activated).await?;
        while signals.next().await == Signal::Reload {
            daemon.reload().await;
        }
        tracing::info!("draining");
        daemon.stop().await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// What the daemon is told by signals.
#[derive(PartialEq, Eq)]
enum Signal {
    Reload,
    Stop,
}

/// Listened for from before the daemon starts, so that none ends it by surprise.
struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, CommandError> {
        let listen =
            |kind| unix::signal(kind).map_err(|error: std::io::Error| CommandError::Other(error.to_string()));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}

fn migrate(config: &Config) -> Result<(), CommandError> {
    config.make_data_dir()?;
    let done = store::migrate(&config.database)?;
    match done.versions.as_slice() {
        [] => print(&format!("{} is current", config.database)),
        versions => print(&format!("{}: applied {}", config.database, versions.join(", "))),
    }
}

fn check(config: &Config) -> Result<(), CommandError> {
    if let Some(tls) = config.tls() {
        print(&format!("{}: {}", tls.files.certificate.display(), tls.load()?.key))?;
    }
    current(config)?;
    let replicated = runtime(1)?.block_on(async {
        let store = Store::open(&config.database, 1, config.database_wait)?;
        store.ready().await?;
        store.has_synchronous_standby().await
    })?;
    print(&format!("{}: reachable, durable, current", config.database))?;
    if config.database.has_standbys() && !replicated {
        print(server::NO_STANDBY)?;
    }
    Ok(())
}

fn current(config: &Config) -> Result<(), CommandError> {
    let pending = store::pending(&config.database)?;
    if pending.versions.is_empty() { Ok(()) } else { Err(CommandError::Pending(pending.versions)) }
}

fn rotate_keys(config: &Config) -> Result<(), CommandError> {
    current(config)?;
    let keys = runtime(1)?.block_on(async {
        let store = Store::open(&config.database, 1, config.database_wait)?;
        store.write(sessions::rotate_keys).await
    });
    let keys = keys.map_err(|error| match error {
        ServiceError::Store(error) => CommandError::Store(error),
        other => CommandError::Other(other.to_string()),
    })?;
    for key in keys {
        let end = key.ends_at.map_or_else(String::new, |end| format!(", is good until {}", moment(end)));
        print(&format!("{}: signs from {}{end}", hex::encode(key.id), moment(key.signs_from)))?;
    }
    Ok(())
}

fn reset_directory(config: &Config) -> Result<(), CommandError> {
    current(config)?;
    let done = runtime(1)?.block_on(async {
        let store = Store::open(&config.database, 1, config.database_wait)?;
        KeyDirectory::reset(&store).await
    });
    done.map_err(|error| match error {
        ServiceError::Store(error) => CommandError::Store(error),
        other => CommandError::Other(other.to_string()),
    })?;
    print("the key directory is forgotten; the next start begins another, which every user has to accept")
}

fn show_directory_key(config: &Config, as_json: bool) -> Result<(), CommandError> {
    // To look at a key makes none.
    if let Some(missing) =
        [&config.pepper_file, &config.token_key_file].into_iter().find(|file| !file.exists())
    {
        let file = missing.display();
        return Err(CommandError::Other(format!("there is no key file {file}: the first start makes it")));
    }
    let keys = ServerKeys::load(&config.pepper_file, &config.token_key_file);
    let keys = keys.map_err(|error| CommandError::Other(error.to_string()))?;
    let key = DeviceSigningKey::from_seed(keys.directory.sign);
    let hash = key.map_err(|error| CommandError::Other(error.to_string()))?.public().hash();
    let groups: Vec<String> = hash.chunks(4).map(hex::encode).collect();
    let fingerprint = groups.join(" ");
    if as_json {
        return print(&json!({"v": 1, "directory_key": fingerprint}).to_string());
    }
    print(&fingerprint)
}

fn show_key(config: &Config, as_json: bool) -> Result<(), CommandError> {
    let tls = config.tls().ok_or(ConfigError::Invalid {
        key: "tls_certificate",
        reason: "is not set; `qchatd tls generate` makes a certificate".to_owned(),
    })?;
    let key = tls.load()?.key;
    if as_json {
        let certificate = tls.files.certificate.display().to_string();
        return print(&json!({"v": 1, "key": key.to_string(), "certificate": certificate}).to_string());
    }
    print(&key.to_string())
}

fn generate(config: &Config, names: &[String], as_json: bool) -> Result<(), CommandError> {
    config.make_data_dir()?;
    let in_data_dir =
        || Files { certificate: config.data_dir.join("tls.crt"), key: config.data_dir.join("tls.key") };
    let files = config.tls_files.clone().unwrap_or_else(in_data_dir);
    tls::generate(&files.certificate, &files.key, names)?;
    let made = Tls { files, key_exchange: config.tls_key_exchange, handshake: config.tls_handshake };
    let key = made.load()?.key;
    let (certificate, file) = (made.files.certificate.display(), made.files.key.display());
    if as_json {
        let object = json!({"v": 1, "key": key.to_string(), "certificate": certificate.to_string(), "key_file": file.to_string()});
        return print(&object.to_string());
    }
    print(&format!(
        "The daemon:  qchatd serve --listen 0.0.0.0:8470 --tls-certificate {certificate} --tls-key {file}\n\
         Clients:     qchat --server https://{}:8470 --server-key {key} register NAME",
        names.first().map_or("HOST", String::as_str)
    ))
}

fn back_up(config: &Config, file: &Path, as_json: bool) -> Result<(), CommandError> {
    let watched = std::io::stderr().is_terminal();
    let Copied { bytes, envelopes } = std::thread::scope(|scope| {
        let copying = scope.spawn(|| backup::backup(&config.database, file));
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len()) / 1_000_000;
        let mut last = Instant::now();
        while !copying.is_finished() {
            std::thread::sleep(Duration::from_millis(10));
            if watched && last.elapsed() >= PROGRESS {
                last = Instant::now();
                if let Target::Sqlite(source) = &config.database {
                    // Where standard error is closed, nobody looks.
                    let _ = writeln!(std::io::stderr(), "{} of some {} MB", size(file), size(source));
                }
            }
        }
        copying
            .join()
            .map_err(|_| CommandError::Other("the copy ended in a defect".to_owned()))?
            .map_err(CommandError::from)
    })?;
    if as_json {
        let copied = json!({"file": file, "bytes": bytes, "envelopes": envelopes});
        return print(
            &json!({"v": 1, "database": config.database.to_string(), "backup": copied}).to_string(),
        );
    }
    print(&format!("{}: {envelopes} envelopes, {bytes} bytes", file.display()))?;
    print(&format!(
        "Keep these too, elsewhere: {}, {}",
        config.pepper_file.display(),
        config.token_key_file.display()
    ))
}

fn sweep(config: &Config, as_json: bool) -> Result<(), CommandError> {
    current(config)?;
    let blobs = Blobs::open(&config.files).map_err(|error| CommandError::Other(error.to_string()))?;
    let (swept, files) = runtime(1)?.block_on(async {
        let store = Store::open(&config.database, 1, config.database_wait)?;
        let swept = Housekeeping::new(store.clone(), Arc::default(), config.retention).sweep().await?;
        let files = Keeper::new(store, blobs, config.file_limits).expire().await;
        Ok::<_, CommandError>((swept, files.map_err(|error| CommandError::Other(error.to_string()))?))
    })?;
    let Swept { rooms, envelopes, bytes, sessions, key_packages, audit } = swept;
    if as_json {
        let swept = json!({"rooms": rooms, "envelopes": envelopes, "bytes": bytes, "sessions": sessions,
            "key_packages": key_packages, "audit": audit, "files": files});
        return print(&json!({"v": 1, "database": config.database.to_string(), "swept": swept}).to_string());
    }
    print(&format!(
        "{}: {envelopes} envelopes of {bytes} bytes in {rooms} rooms, {sessions} sessions, {key_packages} notes of \
         KeyPackages, {audit} entries of the audit log and {files} files are deleted",
        config.database
    ))
}

/// A word about the progress every so often, when somebody looks.
const PROGRESS: Duration = Duration::from_secs(1);

fn fill(config: &Config, plan: Plan, as_json: bool) -> Result<(), CommandError> {
    plan.check()?;
    config.make_data_dir()?;
    store::migrate(&config.database)?;
    let watched = std::io::stderr().is_terminal();
    let mut last = Instant::now();
    let done = runtime(2)?.block_on(async {
        let store = Store::open(&config.database, 1, config.database_wait)?;
        let told = |done: Seeded| {
            if watched && last.elapsed() >= PROGRESS {
                last = Instant::now();
                // Where standard error is closed, nobody looks.
                let _ = writeln!(
                    std::io::stderr(),
                    "{} of {} accounts, {} of {} rooms, {} envelopes",
                    done.accounts,
                    plan.accounts,
                    done.rooms,
                    plan.rooms,
                    done.envelopes
                );
            }
        };
        seed::fill(&store, plan, told).await.map_err(CommandError::from)
    })?;
    let Seeded { accounts, rooms, members, envelopes, bytes } = done;
    if as_json {
        let counts = json!({"accounts": accounts, "rooms": rooms, "members": members, "envelopes": envelopes,
            "bytes": bytes});
        let database = config.database.to_string();
        return print(
            &json!({"v": 1, "database": database, "seed": plan.seed, "seeded": counts}).to_string(),
        );
    }
    print(&format!(
        "{}: {accounts} accounts, {rooms} rooms with {members} places, {envelopes} envelopes of {bytes} bytes",
        config.database
    ))
}

fn completions(shell: Shell) -> Result<(), CommandError> {
    let mut script = vec![];
    clap_complete::generate(shell, &mut Cli::command(), "qchatd", &mut script);
    write(&script)
}

fn man(dir: Option<&Path>) -> Result<(), CommandError> {
    let manual = Manual {
        program: Cli::command(),
        section: 8,
        prefix: "QCHATD_",
        files: &[
            ("/etc/qchatd/qchatd.toml", "The configuration file, when root runs the daemon."),
            (
                "/var/lib/qchatd/",
                "The data directory, when root runs the daemon: the SQLite database, pepper.key and token.key.",
            ),
        ],
        configuration: Configuration {
            name: "qchatd.toml",
            place: "The file is /etc/qchatd/qchatd.toml when root runs the daemon, else qchatd.toml in ~/.config/qchatd, \
                    or what `--config` or `QCHATD_CONFIG` names; `qchatd config show --explain` prints what is in \
                    force, and where from. It may be missing.",
            example: "listen = \"127.0.0.1:8470\"\ndatabase = \"postgres://qchat@db/qchat?sslmode=verify-full\"\n\
                      database_connections = 16",
        },
    };
    let pages = manual.pages();
    if let Some(dir) = dir {
        return qchat_manual::write(&pages, dir).map_err(|error| {
            CommandError::Other(format!("the manual cannot be written to {}: {error}", dir.display()))
        });
    }
    write(pages.first().map(|page| page.text.as_bytes()).unwrap_or_default())
}

/// Unix seconds as RFC 3339.
fn moment(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|moment| moment.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_else(|| seconds.to_string())
}

fn show(loaded: &Loaded, explain: bool, as_json: bool) -> Result<(), CommandError> {
    let shown = loaded.config.shown();
    let origin = |key| loaded.origins.get(key).map(ToString::to_string).unwrap_or_default();
    if as_json {
        let settings: serde_json::Map<_, _> = shown
            .into_iter()
            .map(|(key, value)| {
                let value = if explain { json!({"value": value, "from": origin(key)}) } else { json!(value) };
                (key.to_owned(), value)
            })
            .collect();
        return print(&json!({"v": 1, "settings": settings}).to_string());
    }
    for (key, value) in shown {
        if explain {
            print(&format!("{key} = {value}  ({})", origin(key)))?;
        } else {
            print(&format!("{key} = {value}"))?;
        }
    }
    Ok(())
}

/// A line on standard output; a reader that has gone away is no reason to panic.
fn print(line: &str) -> Result<(), CommandError> {
    write(format!("{line}\n").as_bytes())
}

fn write(bytes: &[u8]) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| CommandError::Other(error.to_string()))
}
