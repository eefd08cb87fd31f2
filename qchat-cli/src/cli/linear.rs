//! The linear mode: what the screen does, line by line, for screen readers and terminals without a cursor. A line is sent to the room
//! that is open; one that begins with a slash is any command of `qchat`, which the open engine carries out.

use std::{
    cell::RefCell,
    io::{self, BufRead as _, Read as _},
    ops::ControlFlow,
    pin::pin,
    time::Duration,
};

use clap::{CommandFactory as _, Parser as _};
use futures_util::FutureExt as _;
use qchat_proto::{ids::RoomId, sanitize};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    Context, Warm,
    account_args::Account,
    args::{Backup, Cli, Command, Device, ProfileCommand},
    failure::{Failure, Outcome},
    follow::{Follower, News, Seen},
    listen,
    messages::{self, Show},
    on_the_engine, open, progress,
    quantum_args::Quantum,
    rpc,
};
use crate::{
    engine::{
        Draft, Handle,
        types::{Connection, RoomStatus, RoomSummary},
    },
    expiry::{Expiry, TICK},
};

/// Lines of a room that are shown when it is opened.
const SHOWN: usize = 10;
/// Most of them, where more are unread.
const MOST_SHOWN: usize = 1000;
/// Lines that are typed before those before them are carried out.
const AHEAD: usize = 16;
/// Longest line, bytes: far more than fits into a message.
const LONGEST: u64 = 1 << 20;
/// How long what was sent may take when the input ends.
const LAST: Duration = Duration::from_secs(30);

const HELP: &str = "A line is sent to the room that is open.
/open ROOM     opens a room, and shows its last lines
/open @USER    opens the conversation with somebody
/help          this
/quit          leaves, as the end of the input does
/COMMAND …     any command of qchat: /room list, /history . --limit 50, /search WORDS, /verify bob, /send . --file F
               A dot right behind the command is the room that is open; /COMMAND --help explains one.
//…            says a line that begins with a slash";

/// Reads lines and prints what arrives, until the input ends.
pub(super) async fn linear(context: &Context) -> Outcome {
    let profile = open::profile(context).await?;
    // Read before the engine connects: whatever it fetches is new.
    let seen = Seen::stored(&profile).await?;
    // On the heap: the future is large, and moves otherwise.
    let conversing = open::on_profile(context, profile.clone(), async |handle| {
        let mut settings = context.settings.clone();
        // What is typed is lines of this mode, and no answers of a command's.
        settings.no_input = true;
        let context = Context {
            settings,
            output: context.output.clone(),
            zone: context.zone.clone(),
            engine: Some(Warm { handle: handle.clone(), profile: profile.clone(), text: None, turn: None }),
        };
        let session = Session { context: &context, handle, seen, open: RefCell::default() };
        Box::pin(listen::until_told(session.run())).await
    });
    Box::pin(conversing).await
}

struct Session<'a> {
    context: &'a Context,
    handle: &'a Handle,
    seen: Seen,
    /// The room that is open, and its name.
    open: RefCell<Option<(RoomId, String)>>,
}

impl Session<'_> {
    async fn run(&self) -> Outcome {
        self.greet().await?;
        let mut typed = lines();
        let mut follower = Follower { handle: self.handle, only: Vec::new(), seen: self.seen.clone() };
        let mut following = pin!(follower.run(async |news| {
            self.tell(news).await?;
            Ok(ControlFlow::Continue(()))
        }));
        let after = self.context.settings.lock_after_idle;
        let mut idle = after.map(Expiry::after);
        loop {
            tokio::select! {
                ended = &mut following => return ended,
                line = typed.recv() => {
                    let Some(line) = line.transpose()? else { break };
                    if idle.is_some_and(|idle| idle.remaining().is_zero()) {
                        self.leave_alone();
                        return Ok(());
                    }
                    match self.take(&line).await {
                        Ok(ControlFlow::Continue(())) => {}
                        Ok(ControlFlow::Break(())) => break,
                        Err(failure) if failure.is_broken_pipe() => return Err(failure),
                        Err(failure) => self.context.output.failure(&failure),
                    }
                    idle = after.map(Expiry::after);
                }
                () = sleep(idle.map_or(TICK, |idle| idle.remaining().min(TICK))), if idle.is_some() => {
                    if idle.is_some_and(|idle| idle.remaining().is_zero()) {
                        self.leave_alone();
                        return Ok(());
                    }
                }
            }
        }
        self.finish().await
    }

    /// Ends where nobody is: whoever comes next says the passphrase.
    fn leave_alone(&self) {
        self.context.output.say("Nothing was typed for a while; start qchat again to go on.");
    }

    /// Waits until the server has what was sent; without a connection it stays in the outbox.
    async fn finish(&self) -> Outcome {
        let sending = timeout(LAST, self.handle.wait_all_sent());
        match progress::during(&self.context.settings, "Sending what is left", sending).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Failure::network(
                "what was sent has not arrived at the server; it is kept, and sent by the next command",
            )),
        }
    }

    /// Says who one is, and opens the newest room.
    async fn greet(&self) -> Outcome {
        let me = self.handle.me();
        self.context.output.say(&format!("{} at {}. /help has the commands.", me.name, me.server));
        let rooms = self.handle.rooms().await?;
        for room in rooms.iter().filter(|room| room.status == RoomStatus::Invited) {
            let name = sanitize::line(&room.name);
            self.context.output.say(&format!("You are invited to {name}: /room join {}", room.id));
        }
        if let Some(room) = rooms.iter().find(|room| room.status == RoomStatus::Joined) {
            return self.open(room).await;
        }
        self.context.output.say("There is no room yet: /room create NAME makes one.");
        Ok(())
    }

    async fn open(&self, summary: &RoomSummary) -> Outcome {
        let (room, name) = (summary.id, sanitize::line(&summary.name));
        self.open.replace(Some((room, name.clone().into_owned())));
        self.context.output.say(&format!("{name} is open."));
        // All that is unread: it counts as read from here on.
        let unread = usize::try_from(summary.unread).unwrap_or(usize::MAX).saturating_add(1);
        for message in self.handle.timeline(room, None, unread.clamp(SHOWN, MOST_SHOWN)).await? {
            // What comes after it is told as it comes.
            if message.row <= self.seen.row(room) {
                messages::print(self.context, &message, &name, Show { mixed: false, ids: false })?;
            }
        }
        if unread > MOST_SHOWN {
            self.context.output.say(&format!("{} are unread: /history . --limit {unread}", summary.unread));
            return Ok(());
        }
        Ok(self.handle.mark_read(room).await?)
    }

    fn is_open(&self, room: RoomId) -> bool {
        self.open.borrow().as_ref().is_some_and(|(open, _)| *open == room)
    }

    async fn tell(&self, news: News<'_>) -> Outcome {
        match news {
            News::Line { message, room } => {
                let open = self.is_open(message.room);
                messages::print(self.context, message, room, Show { mixed: !open, ids: false })?;
                if open && !message.sender.as_ref().is_some_and(|sender| sender.me) {
                    self.handle.mark_read(message.room).await?;
                }
            }
            News::Connection(Connection::Offline(why)) => self.context.output.say(&format!("offline: {why}")),
            News::Connection(Connection::Online(_)) => self.context.output.say("online"),
            News::Connection(Connection::Connecting) | News::Presence(_) | News::Writing { .. } => {}
            News::Trouble(sentence) => self.context.output.say(&format!("warning: {sentence}")),
        }
        Ok(())
    }

    /// Does what a line asks for.
    async fn take(&self, line: &str) -> Outcome<ControlFlow<()>> {
        let text = match line.strip_prefix('/') {
            Some(rest) if rest.starts_with('/') => rest,
            Some(rest) => return self.command(rest).await,
            None if line.trim().is_empty() => return Ok(ControlFlow::Continue(())),
            None => line,
        };
        let room = self.open.borrow().as_ref().map(|(room, _)| *room);
        let room = room.ok_or_else(|| Failure::usage("no room is open; /open ROOM opens one"))?;
        // It is printed once the server has it, as everything else in the room's order.
        self.handle.send_draft(room, Draft { text: text.to_owned(), ..Draft::default() }).await?;
        Ok(ControlFlow::Continue(()))
    }

    async fn command(&self, rest: &str) -> Outcome<ControlFlow<()>> {
        let mut words = shell_words::split(rest)
            .map_err(|error| Failure::usage(format!("the words of this command make no sense: {error}")))?;
        match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["quit"] => return Ok(ControlFlow::Break(())),
            ["help"] => {
                self.context.output.say(HELP);
                return Ok(ControlFlow::Continue(()));
            }
            ["open", room] => {
                let id = messages::place(self.context, self.handle, room).await?;
                let rooms = self.handle.rooms().await?;
                let found = rooms.iter().find(|known| known.id == id);
                self.open(found.ok_or_else(|| Failure::refused("that room is gone"))?).await?;
                return Ok(ControlFlow::Continue(()));
            }
            _ => {}
        }
        let place = first_argument(&words);
        if let Some(flag) = words.iter().find(|word| is_for_all(word)) {
            return Err(Failure::usage(format!(
                "{flag} is said when qchat is started, and holds for all commands"
            )));
        }
        if let (Some((room, _)), Some(word)) = (&*self.open.borrow(), words.get_mut(place))
            && word == "."
        {
            *word = room.to_string();
        }
        let cli = Cli::try_parse_from(std::iter::once("qchat").chain(words.iter().map(String::as_str)));
        let cli = match cli {
            Ok(cli) => cli,
            Err(error) if !error.use_stderr() => {
                self.context.output.say(&error.render().to_string());
                return Ok(ControlFlow::Continue(()));
            }
            Err(error) => return Err(Failure::usage(rpc::words_of(&error))),
        };
        match &cli.command {
            Some(command) if !has_its_own_engine(command) => {
                // In a box of its own: this is part of what it calls.
                on_the_engine(self.context, command).boxed_local().await?;
                Ok(ControlFlow::Continue(()))
            }
            _ => Err(Failure::usage("that is a command of the shell's: leave with /quit, and run it there")),
        }
    }
}

/// Where the words of a command end and its arguments begin.
fn first_argument(words: &[String]) -> usize {
    let mut command = Cli::command();
    let mut place = 0;
    while let Some(found) = words.get(place).and_then(|word| command.find_subcommand(word)).cloned() {
        (command, place) = (found, place + 1);
    }
    place
}

/// Whether a word is a flag that is about the program as a whole.
fn is_for_all(word: &str) -> bool {
    let Some(name) = word.strip_prefix("--").and_then(|word| word.split('=').next()) else { return false };
    Cli::command().get_arguments().any(|flag| flag.is_global_set() && flag.get_long() == Some(name))
}

/// Commands that make, end or replace what the open engine runs on, or read the lines themselves.
fn has_its_own_engine(command: &Command) -> bool {
    matches!(
        command,
        Command::Register { .. }
            | Command::Login { .. }
            | Command::Logout { .. }
            | Command::Unlock { .. }
            | Command::Lock { .. }
            | Command::Listen { .. }
            | Command::Rpc { .. }
            | Command::Agent
            | Command::Man { .. }
            | Command::Completions { .. }
            | Command::Config(_)
            | Command::Account(Account::Delete { .. } | Account::Password { .. })
            | Command::Device(Device::Link { .. })
            | Command::Backup(Backup::Restore { .. })
            | Command::Profile(ProfileCommand::Recover { .. })
            // They would read what is typed here.
            | Command::Quantum(Quantum::Key { .. })
    ) || matches!(command, Command::Verify { scan: Some(text), .. } if text == "-")
}

/// The lines of standard input, read by a thread of their own: it may never come back from the last one.
fn lines() -> mpsc::Receiver<io::Result<String>> {
    let (lines, typed) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {
                    if line.len() as u64 == LONGEST && line.last() != Some(&b'\n') {
                        // The rest of it is no line of its own.
                        let mut rest = Vec::new();
                        while input
                            .by_ref()
                            .take(LONGEST)
                            .read_until(b'\n', &mut rest)
                            .is_ok_and(|read| read > 0)
                            && rest.last() != Some(&b'\n')
                        {
                            rest.clear();
                        }
                    }
                    let line = String::from_utf8_lossy(&line);
                    let line = line.trim_end_matches(['\n', '\r']).to_owned();
                    if lines.blocking_send(Ok(line)).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    drop(lines.blocking_send(Err(error)));
                    return;
                }
            }
        }
    });
    typed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_need_the_profile_for_themselves_are_left_to_the_shell() {
        for (words, own) in [
            (&["room", "list"][..], false),
            (&["send", "general", "hi"], false),
            (&["verify", "bob"], false),
            (&["listen"], true),
            (&["rpc"], true),
            (&["register", "alice"], true),
            (&["account", "delete"], true),
            (&["lock"], true),
            (&["quantum", "key"], true),
            (&["verify", "bob", "--scan", "-"], true),
        ] {
            let cli = Cli::try_parse_from([&["qchat"], words].concat()).unwrap();
            assert_eq!(has_its_own_engine(&cli.command.unwrap()), own, "{words:?}");
        }
    }

    #[test]
    fn a_dot_is_a_room_right_behind_the_command_alone_and_flags_of_the_program_are_refused() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (line, place) in [("room show .", 2), ("send bob .", 1), ("history", 1), ("nonsense .", 0)] {
            assert_eq!(first_argument(&words(line)), place, "{line}");
        }
        for (word, all) in
            [("--profile", true), ("--json", true), ("--server=x", true), ("--limit", false), ("-", false)]
        {
            assert_eq!(is_for_all(word), all, "{word}");
        }
    }
}
