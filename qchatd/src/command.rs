//! What each subcommand does.

use std::{io::Write, process::ExitCode};

use serde_json::json;

use crate::{
    cli::{Cli, Command, ConfigCommand, KeysCommand},
    config::{self, Config, Loaded},
    error::CommandError,
    harden, logging,
    server::Daemon,
    service::{ServiceError, sessions},
    store::{self, Store},
};

/// Carries out a command.
pub(crate) fn run(cli: &Cli) -> Result<ExitCode, CommandError> {
    harden::process().map_err(|error| CommandError::Other(format!("cannot forbid core dumps: {error}")))?;
    let loaded = config::load(cli.settings.config.as_deref(), &cli.settings.given())?;
    match &cli.command {
        Command::Config { command: ConfigCommand::Show { explain, json } } => show(&loaded, *explain, *json)?,
        Command::Serve => serve(loaded.config)?,
        Command::Migrate => migrate(&loaded.config)?,
        Command::Check => check(&loaded.config)?,
        Command::Keys { command: KeysCommand::Rotate } => rotate_keys(&loaded.config)?,
    }
    Ok(ExitCode::SUCCESS)
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
    runtime(config.workers)?.block_on(async {
        let daemon = Daemon::start(config).await?;
        stop_signal().await?;
        tracing::info!("draining");
        daemon.stop().await;
        tracing::info!("stopped");
        Ok(())
    })
}

async fn stop_signal() -> Result<(), CommandError> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| CommandError::Other(error.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
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
    current(config)?;
    runtime(1)?.block_on(async {
        let store = Store::open(&config.database, 1)?;
        store.ready().await
    })?;
    print(&format!("{}: reachable, durable, current", config.database))
}

fn current(config: &Config) -> Result<(), CommandError> {
    let pending = store::pending(&config.database)?;
    if pending.versions.is_empty() { Ok(()) } else { Err(CommandError::Pending(pending.versions)) }
}

fn rotate_keys(config: &Config) -> Result<(), CommandError> {
    current(config)?;
    let keys = runtime(1)?.block_on(async {
        let store = Store::open(&config.database, 1)?;
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
    writeln!(std::io::stdout(), "{line}").map_err(|error| CommandError::Other(error.to_string()))
}
