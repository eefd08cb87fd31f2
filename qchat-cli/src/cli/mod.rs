//! The command line: reads arguments and settings, carries out one command on the engine, and says how it went.

mod about;
mod account;
pub mod account_args;
mod activity;
pub mod args;
mod attachments;
mod backups;
mod changes;
mod complete;
mod copies;
mod deletion;
mod departure;
mod devices;
mod directory;
mod doctor;
mod documents;
mod export;
mod failure;
pub mod file_args;
mod files;
mod follow;
mod harden;
mod hooks;
mod invite_links;
mod json;
mod json_marks;
pub mod kme_args;
mod linear;
pub mod link_args;
mod listen;
mod log;
pub mod message_args;
mod messages;
mod notes;
mod open;
mod output;
mod passphrase;
mod passphrase_command;
mod password;
mod presence;
mod profiles;
mod progress;
mod quantum;
pub mod quantum_args;
mod recovery;
mod rooms;
mod rpc;
pub mod screen_args;
mod search;
pub mod search_args;
mod server;
mod shared_keys;
mod stolen;
mod takeout;
mod unread;
mod unsent;
mod verify;
mod voice;
mod welcome;
mod words;

use std::{ffi::OsString, process::ExitCode, time::Duration};

use clap::Parser as _;
use qchat_proto::content::SettingsChange;

use self::{
    account_args::Account,
    args::{Cli, Command},
    deletion::Which,
    failure::{Failure, Outcome},
    file_args::FileCommand,
    kme_args::RoomPsk,
    message_args::{OutboxCommand, PollCommand},
    output::Output,
    verify::How,
};
use crate::{
    config::{self, Settings},
    engine::{Appearance, Handle},
    store::Profile,
    tui,
    zone::Zone,
};

/// What every command gets.
struct Context {
    settings: Settings,
    output: Output,
    zone: Zone,
    /// What carries it out, where it is not an engine of its own.
    engine: Option<Warm>,
}

/// An engine that is open already, and whoever asks it.
struct Warm {
    handle: Handle,
    /// What it runs on.
    profile: Profile,
    /// What came on the caller's standard input.
    text: Option<String>,
    /// Its turn, where others wait for theirs.
    turn: Option<rpc::Turn>,
}

impl Context {
    /// What this command says has its place among what waits to be sent: nothing that begins now comes before it.
    fn is_in_its_place(&self) {
        if let Some(turn) = self.engine.as_ref().and_then(|warm| warm.turn.as_ref()) {
            turn.end();
        }
    }
}

/// Runs the program with these arguments, the first of which is its own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    harden::harden();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if complete::answer(&arguments) {
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return misused(&error, arguments.iter().any(|argument| argument == "--json")),
    };
    let mut output = Output::new(cli.global.json, cli.global.quiet);
    let outcome = Settings::resolve(&cli.global).map_err(Failure::from).and_then(|settings| {
        output = Output::new(settings.json, settings.quiet);
        let context = Context { settings, output: output.clone(), zone: Zone::local(), engine: None };
        carry_out(&context, &cli, &arguments)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Help and version are results; everything else that the parser says is a failure of usage.
fn misused(error: &clap::Error, json: bool) -> ExitCode {
    if json && error.use_stderr() {
        let message = error.render().to_string();
        let message = message.strip_prefix("error: ").unwrap_or(&message).trim_end().to_owned();
        Output::new(json, true).failure(&Failure::usage(message));
    } else {
        // Where the stream is closed, nobody reads it.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

fn carry_out(context: &Context, cli: &Cli, arguments: &[OsString]) -> Outcome {
    match &cli.command {
        Some(Command::Completions { shell }) => complete::script(*shell),
        Some(Command::Man { dir }) => about::man(dir.as_deref()),
        Some(Command::Config(args::Config::Show)) => about::settings(context),
        Some(Command::Config(args::Config::Path)) => about::settings_path(context, &cli.global),
        Some(Command::Agent) => account::agent(context),
        Some(Command::Rpc { schema: true, .. }) => rpc::schema(),
        None if cli.demo => demo(context, &cli.global),
        Some(_) if cli.demo => Err(Failure::usage("--demo opens the screen, and goes with no command")),
        command => {
            if let Some(outcome) = rpc::warm::carry_out(context, cli, arguments) {
                return outcome;
            }
            if command.is_some() || context.settings.plain {
                // On the screen, a log would write over what is drawn.
                log::start(context.settings.verbose);
            }
            let runtime = runtime()?;
            let outcome = match command {
                Some(command) => runtime.block_on(on_the_engine(context, command)),
                None if context.settings.plain => runtime.block_on(linear::linear(context)),
                None => runtime.block_on(screen(context, &cli.global)),
            };
            // A thread that reads standard input, or asks a keyring, may never come back from it. Whatever else is at work comes to an
            // end: what libraries hold is freed when the process exits, and nobody may be using it then.
            let patience = if matches!(command, Some(Command::Rpc { .. })) { RPC_LAST } else { LAST };
            runtime.shutdown_timeout(patience);
            outcome
        }
    }
}

/// How long what was begun on other threads may take when a command has ended.
const LAST: Duration = Duration::from_secs(5);
/// The same of `rpc`, whose reader of standard input never ends.
const RPC_LAST: Duration = Duration::from_millis(500);

fn runtime() -> Outcome<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::unexpected(format!("no thread can be started: {error}")))
}

async fn on_the_engine(context: &Context, command: &Command) -> Outcome {
    use args::{Backup, Device, Keys, ProfileCommand, Recovery, Room, Server};

    match command {
        Command::Register { name, recovery_file, no_confirm } => {
            account::register(context, name, recovery_file.as_deref(), *no_confirm).await
        }
        Command::Recovery(Recovery::Confirm) => recovery::confirm(context).await,
        Command::Recovery(Recovery::Check { recovery_file }) => {
            recovery::check(context, recovery_file.as_deref()).await
        }
        Command::Login { name } => account::login(context, name.as_ref()).await,
        Command::Logout { everywhere } => account::logout(context, *everywhere).await,
        Command::Whoami => account::whoami(context).await,
        Command::Account(Account::Activity { limit }) => activity::activity(context, *limit).await,
        Command::Account(Account::Password { new_passphrase_file, account_passphrase_file }) => {
            password::change(context, new_passphrase_file.as_deref(), account_passphrase_file.as_deref())
                .await
        }
        Command::Account(Account::Export { output }) => takeout::export(context, output).await,
        Command::Account(Account::Delete { yes, keep_profile, account_passphrase_file }) => {
            departure::delete(context, *yes, *keep_profile, account_passphrase_file.as_deref()).await
        }
        Command::Unlock { remember: true, .. } => account::remember(context).await,
        Command::Unlock { duration, .. } => account::unlock(context, *duration).await,
        Command::Lock { forget } => account::lock(context, *forget).await,
        Command::Room(Room::Create { name }) => rooms::create(context, name).await,
        Command::Room(Room::List { all }) => rooms::list(context, *all).await,
        Command::Room(Room::Mark { room, mark, remove }) => notes::mark(context, room, *mark, *remove).await,
        Command::Room(Room::Show { room }) => rooms::show(context, room).await,
        Command::Room(Room::Invite { room, users }) => rooms::invite(context, room, users).await,
        Command::Room(Room::Join { room }) => match invite_links::meant(context, room)? {
            Some(link) => invite_links::join(context, &link).await,
            None => rooms::join(context, room).await,
        },
        Command::Room(Room::Link(command)) => invite_links::link(context, command).await,
        Command::Room(Room::Request(command)) => invite_links::request(context, command).await,
        Command::Room(Room::Remove { room, user }) => rooms::remove(context, room, user).await,
        Command::Room(Room::Leave { room }) => rooms::leave(context, room).await,
        Command::Room(Room::Restart { room, yes }) => rooms::restart(context, room, *yes).await,
        Command::Room(Room::Psk(RoomPsk::Add { room, wait, every_device })) => {
            shared_keys::add(context, room, *wait, *every_device).await
        }
        Command::Room(Room::Psk(RoomPsk::Accept { room, wait })) => {
            shared_keys::accept(context, room, *wait).await
        }
        Command::Room(Room::Psk(RoomPsk::Status)) => shared_keys::status(context).await,
        Command::Room(Room::Psk(RoomPsk::Drop { room })) => shared_keys::give_up(context, room).await,
        Command::Room(Room::Expire { room, after }) => {
            rooms::set(context, room, SettingsChange::ExpireAfter(after.0)).await
        }
        Command::Room(Room::Rename { room, name }) => {
            rooms::set(context, room, SettingsChange::Name(name.clone())).await
        }
        Command::Room(Room::Topic { room, topic, .. }) => {
            rooms::set(context, room, SettingsChange::Topic(topic.clone().unwrap_or_default())).await
        }
        Command::Room(Room::Role { room, user, role }) => {
            let change = |account| SettingsChange::Role(account, *role);
            rooms::set_of(context, room, user, change, "changed").await
        }
        Command::Room(Room::Ban { room, user }) => {
            rooms::set_of(context, room, user, SettingsChange::Ban, "banned").await
        }
        Command::Room(Room::Unban { room, user }) => {
            rooms::set_of(context, room, user, SettingsChange::Unban, "unbanned").await
        }
        Command::Room(Room::UpdateKeys { room }) => rooms::update_keys(context, room).await,
        Command::Send { room, text, file, record, voice, duration, reply_to, expire, wait, at } => {
            let more = messages::More {
                reply_to: reply_to.as_deref(),
                expire: *expire,
                wait: *wait,
                at: at.as_deref(),
            };
            match file {
                Some(path) => {
                    let how =
                        files::How { path, caption: text.as_deref(), voice: *voice, duration: *duration };
                    files::send(context, room, how, more).await
                }
                None if *record => voice::record(context, room, text.as_deref(), *duration, more).await,
                None => messages::send(context, room, text.as_deref(), more).await,
            }
        }
        Command::File(FileCommand::Get { room, id, output, force }) => {
            files::get(context, room, id, output.as_deref(), *force).await
        }
        Command::File(FileCommand::Play { room, id, force }) => voice::play(context, room, id, *force).await,
        Command::File(FileCommand::Thumbnail { room, id, output, force }) => {
            files::thumbnail(context, room, id, output.as_deref(), *force).await
        }
        Command::File(FileCommand::List { room, limit }) => files::list(context, room, *limit).await,
        Command::File(FileCommand::Delete { room, id }) => files::delete(context, room, id).await,
        Command::Edit { room, id, text } => changes::edit(context, (room, id), text.as_deref()).await,
        Command::React { room, id, emoji, remove } => {
            changes::react(context, (room, id), emoji, *remove).await
        }
        Command::Pin { room, id } => changes::pin(context, (room, id), false).await,
        Command::Unpin { room, id } => changes::pin(context, (room, id), true).await,
        Command::Poll(PollCommand::Create { room, question, options, choices }) => {
            changes::ask(context, room, question, options, *choices).await
        }
        Command::Poll(PollCommand::Vote { room, id, options, none: _ }) => {
            changes::vote(context, (room, id), options).await
        }
        Command::Poll(PollCommand::Close { room, id }) => changes::close(context, (room, id)).await,
        Command::Listen { rooms, ids, people, limit, hooks } => {
            listen::listen(context, rooms, (*ids, *people), *limit, hooks::Hooks::new(hooks)?).await
        }
        Command::Rpc { socket, .. } => rpc::serve(context, *socket).await,
        Command::History(arguments) => messages::history(context, arguments).await,
        Command::Search(arguments) => search::search(context, arguments).await,
        Command::Export(arguments) => export::export(context, arguments).await,
        Command::Outbox(OutboxCommand::List { room }) => unsent::list(context, room.as_deref()).await,
        Command::Outbox(OutboxCommand::Retry) => unsent::retry(context).await,
        Command::Outbox(OutboxCommand::Drop { ids }) => unsent::give_up(context, ids).await,
        Command::Draft { room, text, clear } => {
            unsent::draft(context, room.as_deref(), text.as_deref(), *clear).await
        }
        Command::Presence { users, wait } => presence::presence(context, users, *wait).await,
        Command::Typing { room, stop } => presence::typing(context, room, *stop).await,
        Command::Unread { rooms, fetch, all, clear } => {
            unread::unread(context, rooms, *fetch, *all, *clear).await
        }
        Command::Block { user: Some(user) } => notes::block(context, user, true).await,
        Command::Block { user: None } => notes::blocked(context).await,
        Command::Unblock { user } => notes::block(context, user, false).await,
        Command::Delete { room, ids, here: false, before: None, all: false, yes: _ } => {
            changes::delete(context, room, ids).await
        }
        Command::Delete { room, ids, here: _, before, all: _, yes } => {
            let which = if ids.is_empty() { Which::Before(*before) } else { Which::Ids(ids) };
            deletion::delete(context, room, which, *yes).await
        }
        Command::Device(Device::Link { name, device }) => devices::link(context, name, device.as_ref()).await,
        Command::Device(Device::Approve { yes, code }) => {
            devices::approve(context, *yes, code.as_deref()).await
        }
        Command::Device(Device::List) => devices::list(context).await,
        Command::Device(Device::Revoke { device, stolen: true, recovery_file, yes }) => {
            stolen::revoke(context, device.as_deref(), recovery_file.as_deref(), *yes).await
        }
        Command::Device(Device::Revoke { device, yes, .. }) => {
            devices::revoke(context, device.as_deref().unwrap_or_default(), *yes).await
        }
        Command::Verify { user: None, .. } => verify::status(context).await,
        Command::Verify { user: Some(user), number, scan, accept, revoke, yes, no_qr, status: _ } => {
            let how = match (number, scan) {
                (Some(number), _) => How::Number(*number),
                (None, Some(text)) => How::Scan(text),
                (None, None) if *accept => How::Accept,
                (None, None) if *revoke => How::Revoke,
                (None, None) => How::Ask,
            };
            verify::verify(context, user, how, *yes, !*no_qr).await
        }
        Command::Backup(Backup::Create { recovery_file, anew }) => {
            backups::create(context, recovery_file.as_deref(), *anew).await
        }
        Command::Backup(Backup::Restore { name, recovery_file, from, yes }) => {
            backups::restore(context, name, recovery_file.as_deref(), *from, *yes).await
        }
        Command::Backup(Backup::List) => backups::list(context).await,
        Command::Backup(Backup::Delete { device, yes }) => backups::delete(context, *device, *yes).await,
        Command::Profile(ProfileCommand::Set { name, status, avatar, no_avatar }) => {
            let avatar = (avatar.as_deref(), *no_avatar);
            profiles::set(context, name.as_deref(), status.as_deref(), avatar).await
        }
        Command::Profile(ProfileCommand::Show { user, avatar }) => {
            profiles::show(context, user.as_ref(), avatar.as_deref()).await
        }
        Command::Profile(ProfileCommand::Recover { yes }) => copies::recover(context, *yes).await,
        Command::Keys(Keys::Show) => account::keys(context).await,
        Command::Keys(Keys::Rotate) => account::rotate(context).await,
        Command::Keys(Keys::Log { user }) => directory::log(context, user).await,
        Command::Keys(Keys::Audit { from, accept }) => directory::audit(context, *from, *accept).await,
        Command::Quantum(command) => quantum::carry_out(context, command).await,
        Command::Server(Server::Show) => server::show(context).await,
        Command::Doctor => doctor::doctor(context).await,
        Command::Completions { .. } | Command::Man { .. } | Command::Config(_) | Command::Agent => Ok(()),
    }
}

/// Says so when there is no terminal for the screen.
fn expect_terminal() -> Outcome {
    use std::io::IsTerminal as _;

    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage("the screen needs a terminal; `qchat --help` lists the commands for scripts"))
}

/// What is decided of the screen before it opens.
struct Looks {
    theme: tui::Theme,
    keymap: tui::Keymap,
    prefs: tui::Prefs,
    ambience: tui::Ambience,
    locale: tui::Locale,
}

/// How the screen looks, which keys it has, and what else is set for it.
fn looks(context: &Context, global: &args::Global) -> Outcome<Looks> {
    let prefs = context.settings.screen.clone();
    let (ambience, theme) = if context.settings.plain {
        (tui::Ambience::default(), tui::Theme::PLAIN)
    } else {
        let ambience = tui::Ambience::of_process(prefs.look);
        let theme = tui::Theme::of(prefs.look, &ambience);
        (ambience, theme)
    };
    let keymap = match config::file(global) {
        Some(path) if path.is_file() => {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            tui::Keymap::customised(prefs.keymap, &path, &text)
                .map_err(|error| Failure::usage(error.to_string()))?
        }
        _ => tui::Keymap::preset(prefs.keymap),
    };
    Ok(Looks { theme, keymap, prefs, ambience, locale: tui::Locale::of_process() })
}

/// Opens the screen.
async fn screen(context: &Context, global: &args::Global) -> Outcome {
    expect_terminal()?;
    let Looks { theme, keymap, prefs, ambience, locale } = looks(context, global)?;
    let language = prefs.language;
    let words = tui::Words::of(language, &locale);
    let zone = context.zone.clone();
    let config = config::file(global);
    let show = async |handle: &Handle| {
        let app = tui::App::new(handle.me().name.as_str(), theme, zone.clone())
            .with(keymap, prefs, ambience)
            .speaking(locale.clone());
        // Whoever sits before a screen is there, with a connection or without one yet.
        drop(handle.appear(Appearance::Online, true).await);
        let desk = tui::Office::new(handle.clone(), zone, config, language, locale)
            .playing_by(context.settings.player.clone());
        Ok(tui::open(app, &desk, context.settings.lock_after_idle).await?)
    };
    if Profile::exists(&context.settings.profile_dir()) || context.settings.no_input {
        return open::with_engine(context, show).await;
    }
    match Box::pin(welcome::welcome(context, theme, words)).await? {
        Some(profile) => open::on_profile(context, profile, show).await,
        None => Ok(()),
    }
}

/// Opens the screen with sample data.
fn demo(context: &Context, global: &args::Global) -> Outcome {
    expect_terminal()?;
    let Looks { theme, keymap, prefs, ambience, locale } = looks(context, global)?;
    let app = tui::demo::app(theme, keymap, prefs, ambience).speaking(locale);
    Ok(runtime()?.block_on(tui::open(app, &tui::demo::Demo::default(), None))?)
}
