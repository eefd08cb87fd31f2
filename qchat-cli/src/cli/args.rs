//! The command line: every command, option and example, and nothing of what they do.

use std::{fmt, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{
    ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint,
    builder::{FalseyValueParser, PossibleValue, PossibleValuesParser, TypedValueParser},
};
use jiff::{Span, SpanRelativeTo};
use qchat_proto::{
    content::{Emoji, MAX_EMOJI, MAX_TOPIC, Role, check_room_name},
    identity::DeviceName,
    ids::{DeviceId, Seq, UserName},
    safety::SafetyDigits,
};
use serde::Deserialize;
use url::Url;

use crate::{
    engine::{Accept, KeyExchange, KeyLife, NewVault, Trust},
    vault::agent::LONGEST,
};

/// What the exit codes mean; the same words stand in the README.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  unexpected
  2  usage
  3  network or timeout
  4  authentication, or the profile is locked
  5  not found
  6  refused by policy, or an untrusted key
  7  rate-limited
  8  partial: not all of a room could be read, the rest was printed; or not all could be deleted

Data goes to standard output, everything else to standard error. With --json, every object has \"v\":1, lists and
messages are JSON Lines, and an error is an object on standard error with the exit code in it.";

const EXAMPLES: &str = "\
Examples:
  qchat --server https://chat.example.org:8470 register alice
  qchat room create general
  qchat room invite general bob
  qchat send general \"Hello Bob\"
  date | qchat send general -
  qchat listen general --json
  qchat                              opens the screen
  qchat --demo                       opens it with sample data

";

/// End-to-end encrypted, post-quantum group chat for the terminal.
///
/// Without a command the screen opens.
#[derive(Debug, Parser)]
#[command(name = "qchat", version, max_term_width = 100, after_help = format!("{EXAMPLES}{EXIT_CODES}"))]
#[command(disable_help_subcommand = true, args_override_self = true)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// Open the screen with sample data: no account, no network, and nothing is kept.
    #[arg(long)]
    pub demo: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command. Each is also in the environment and, in lower case, a key of the configuration file.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub struct Global {
    /// The profile: an account on this machine [default: default].
    #[arg(long, global = true, env = "QCHAT_PROFILE", hide_env_values = true, value_parser = profile)]
    pub profile: Option<String>,
    /// Where profiles are kept [default: the user's data directory].
    #[arg(long, global = true, env = "QCHAT_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    #[arg(value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
    /// The daemon: https, or http on this machine. Needed to register; later on it overrides the profile's, and `login`
    /// keeps it.
    #[arg(long, global = true, env = "QCHAT_SERVER", hide_env_values = true, value_name = "URL", value_parser = server)]
    pub server: Option<Url>,
    /// What the daemon is known by over https: the key that `qchatd tls show` prints, which takes the place of a certificate
    /// that others vouch for; or `roots`, those whom this machine trusts. Kept as --server is [default: roots].
    #[arg(long, global = true, env = "QCHAT_SERVER_KEY", hide_env_values = true, value_name = "KEY")]
    #[arg(value_parser = trust)]
    pub server_key: Option<Trust>,
    /// How TLS agrees on keys [default: prefer].
    #[arg(long, global = true, env = "QCHAT_KEY_EXCHANGE", hide_env_values = true, value_name = "HOW")]
    #[arg(value_parser = key_exchange())]
    pub key_exchange: Option<KeyExchange>,
    /// Read the passphrase from the first line of a file instead of asking.
    #[arg(long, global = true, env = "QCHAT_PASSPHRASE_FILE", hide_env_values = true, value_name = "F")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// Read the passphrase from the first line that a command prints, instead of asking: a password manager's, say. Its words
    /// are split as a shell does, and no shell is run. It has two minutes.
    #[arg(long, global = true, env = "QCHAT_PASSPHRASE_COMMAND", hide_env_values = true, value_name = "C")]
    #[arg(value_hint = ValueHint::CommandString)]
    pub passphrase_command: Option<String>,
    /// Memory that each guess at the passphrase of a vault takes whoever has it, MiB: 64 to 1024. It counts for a vault that is
    /// made, and for one whose passphrase is changed, which never makes it less; opening it takes as much [default: 256].
    #[arg(long, global = true, env = "QCHAT_VAULT_MEMORY", hide_env_values = true, value_name = "MIB")]
    #[arg(value_parser = vault_memory)]
    pub vault_memory: Option<u32>,
    /// Forget the key that `unlock` keeps once no command has used it for this long, and lock the screen once no key has been
    /// pressed for as long: as in 15m [default: never].
    #[arg(
        long,
        visible_alias = "idle",
        global = true,
        env = "QCHAT_LOCK_AFTER_IDLE",
        hide_env_values = true,
        value_name = "TIME"
    )]
    #[arg(value_parser = lifetime)]
    pub lock_after_idle: Option<Duration>,
    /// Print JSON: one object a line.
    #[arg(long, global = true, env = "QCHAT_JSON", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// Neither colours nor anything that moves; without a command, lines in the place of the screen, for screen readers and
    /// terminals without a cursor.
    #[arg(long, global = true, env = "QCHAT_PLAIN", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub plain: bool,
    /// Say nothing but errors.
    #[arg(short, long, global = true, env = "QCHAT_QUIET", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new(), conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log what happens to standard error; twice for more.
    #[arg(short, long, global = true, env = "QCHAT_VERBOSE", hide_env_values = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Never ask; fail instead.
    #[arg(long, global = true, env = "QCHAT_NO_INPUT", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub no_input: bool,
    /// How long to wait for the daemon: seconds, or as in 90s and 2m [default: 30].
    #[arg(long, global = true, env = "QCHAT_TIMEOUT", hide_env_values = true, value_name = "TIME", value_parser = time)]
    pub timeout: Option<Duration>,
    /// Which invitations are accepted without asking [default: ask].
    #[arg(long, global = true, env = "QCHAT_ACCEPT_INVITES", hide_env_values = true, value_name = "WHOSE")]
    #[arg(value_parser = accept())]
    pub accept_invites: Option<Accept>,
    /// Renew this device's keys in a room after so many messages, 100 at most (more in rooms above 144 devices) [default: 100].
    #[arg(
        long,
        global = true,
        env = "QCHAT_UPDATE_AFTER_MESSAGES",
        hide_env_values = true,
        value_name = "N"
    )]
    #[arg(value_parser = update_after_messages)]
    pub update_after_messages: Option<u64>,
    /// Renew them after so much time, from 1m to 1d (longer in rooms above 144 devices) [default: 1d].
    #[arg(long, global = true, env = "QCHAT_UPDATE_AFTER", hide_env_values = true, value_name = "TIME")]
    #[arg(value_parser = update_after)]
    pub update_after: Option<Duration>,
    /// Make a backup without being asked when the last one is as old as this: a time, as in 12h and 1d, or off. It is made by
    /// whatever stays connected: the screen, and `listen` [default: off].
    #[arg(long, global = true, env = "QCHAT_BACKUP_INTERVAL", hide_env_values = true, value_name = "TIME")]
    #[arg(value_parser = interval)]
    pub backup_interval: Option<Duration>,
    /// Whether the members of your rooms are told what this device has stored and you have seen, in rooms of up to 32 devices
    /// [default: off].
    #[arg(
        long,
        global = true,
        env = "QCHAT_RECEIPTS",
        hide_env_values = true,
        value_enum,
        value_name = "WHETHER"
    )]
    pub receipts: Option<Switch>,
    /// Whether the members of your small rooms are told that you are there, while the screen is open and not locked, or away, while
    /// `listen` or `rpc` run, and you are told whether they are [default: off].
    #[arg(
        long,
        global = true,
        env = "QCHAT_PRESENCE",
        hide_env_values = true,
        value_enum,
        value_name = "WHETHER"
    )]
    pub presence: Option<Switch>,
    /// Whether they are told that you write something, and you are told who does [default: off].
    #[arg(
        long,
        global = true,
        env = "QCHAT_TYPING",
        hide_env_values = true,
        value_enum,
        value_name = "WHETHER"
    )]
    pub typing: Option<Switch>,
    /// Whether a picture that is sent has a small one of it in its message, which is sealed like the rest of it [default: on].
    #[arg(
        long,
        global = true,
        env = "QCHAT_THUMBNAILS",
        hide_env_values = true,
        value_enum,
        value_name = "WHETHER"
    )]
    pub thumbnails: Option<Switch>,
    /// What plays sound that it gets on its standard input. Its words are split as a shell does, and no shell is run [default: the
    /// first that is installed of mpv, ffplay and, for WAV, aplay and paplay].
    #[arg(long, global = true, env = "QCHAT_PLAYER", hide_env_values = true, value_name = "C")]
    #[arg(value_hint = ValueHint::CommandString)]
    pub player: Option<String>,
    /// What records sound and prints it until it is interrupted [default: the first that is installed of ffmpeg, pw-record and
    /// arecord].
    #[arg(long, global = true, env = "QCHAT_RECORDER", hide_env_values = true, value_name = "C")]
    #[arg(value_hint = ValueHint::CommandString)]
    pub recorder: Option<String>,
    /// The screen.
    #[command(flatten)]
    pub screen: super::screen_args::ScreenArgs,
    /// Where keys of QKD equipment come from.
    #[command(flatten)]
    pub kme: super::kme_args::KmeArgs,
    /// The account at IBM Quantum.
    #[command(flatten)]
    pub ibm: super::quantum_args::Ibm,
    /// The configuration file, for tests.
    #[arg(long, global = true, env = "QCHAT_CONFIG", hide = true, value_name = "F")]
    pub config: Option<PathBuf>,
}

/// What `listen` does beside printing.
#[derive(Default, Args)]
pub struct HookArgs {
    /// Run this with each message, as JSON on its standard input. Its words are split as a shell does, and no shell is run.
    #[arg(long, value_name = "C", value_hint = ValueHint::CommandString)]
    pub exec: Option<String>,
    /// Post each message to a web service, as JSON: https, or http on this machine. Where the address is a secret, put it into
    /// the environment.
    #[arg(long, value_name = "URL", env = "QCHAT_WEBHOOK", hide_env_values = true)]
    pub webhook: Option<Url>,
    /// Show each message on the desktop.
    #[arg(long, value_name = "HOW", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "sender")]
    pub notify: Option<Notify>,
}

/// Without the command and the address: both may have a secret in them.
impl fmt::Debug for HookArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exec, webhook, notify } = self;
        f.debug_struct("HookArgs")
            .field("exec", &exec.is_some())
            .field("webhook", &webhook.is_some())
            .field("notify", notify)
            .finish()
    }
}

/// What a notification shows: others may see the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Notify {
    /// That there is a message.
    Hidden,
    /// Room and sender.
    Sender,
    /// The text, too.
    Full,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create an account and this machine's profile of it.
    ///
    /// Shows 24 recovery words, and asks for two of them: they belong on paper.
    #[command(
        after_help = "Examples:\n  qchat --server http://127.0.0.1:8470 register alice\n  qchat --server http://127.0.0.1:8470 --passphrase-file F register bot --recovery-file words"
    )]
    Register {
        /// 1 to 32 characters of a-z, 0-9, '.', '_' and '-'.
        name: UserName,
        /// Write the recovery words to this new file, for its owner alone, instead of showing them and asking.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
        recovery_file: Option<PathBuf>,
        /// The same, to `recovery-words` in the profile's directory: move it away from there.
        #[arg(long, conflicts_with = "recovery_file")]
        no_confirm: bool,
    },
    /// The 24 recovery words of the account.
    #[command(subcommand)]
    Recovery(Recovery),
    /// Log this device in again after a logout.
    Login {
        /// The account, as a check that it is the profile's.
        name: Option<UserName>,
    },
    /// End this device's session with the daemon. Messages and keys stay.
    Logout {
        /// End the sessions of all devices of the account: each says so, and needs a `qchat login`.
        #[arg(long)]
        everywhere: bool,
    },
    /// Show the account, the device and the server of the profile.
    Whoami,
    /// The account itself: what was done to it, its passphrase, what the server holds of it, and its end.
    #[command(subcommand)]
    Account(super::account_args::Account),
    /// Keep the profile open for the commands that follow, so that they need no passphrase.
    #[command(
        after_help = "Examples:\n  qchat unlock --for 8h\n  qchat unlock --for 8h --idle 15m\n  qchat unlock --remember"
    )]
    Unlock {
        /// For how long, 30 days at most: as in 30s, 15m, 8h and 1d.
        #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = lifetime)]
        duration: Duration,
        /// Keep the profile's key in the keyring of the desktop's session (Secret Service) instead, until `lock --forget`: the
        /// profile is open whenever that keyring is.
        #[arg(long, conflicts_with = "duration")]
        remember: bool,
    },
    /// Forget what `unlock` keeps.
    #[command(after_help = "Examples:\n  qchat lock\n  qchat lock --forget")]
    Lock {
        /// Take the key out of the keyring, too.
        #[arg(long)]
        forget: bool,
    },
    /// Rooms and who is in them.
    #[command(subcommand)]
    Room(Room),
    /// Send a message, or a file; done when the daemon has it on disk.
    #[command(
        after_help = "Examples:\n  qchat send general \"Hello Bob\"\n  qchat send general \"@bob, look\" --reply-to 5f0c\n  qchat send general \"the code is 4711\" --expire 1h\n  qchat send @bob \"Hello Bob\"\n  git log -1 | qchat send general -\n  qchat send general --file notes.txt\n  qchat send general \"the minutes\" --file minutes.pdf\n  qchat send general --file hello.ogg --voice --duration 12s\n  qchat send general --record --duration 1m"
    )]
    Send {
        /// The room's name or id, or @USER for the conversation with somebody, which is begun by the first message.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The text; `-` or nothing reads it from standard input. With --file, what is said with the file.
        text: Option<String>,
        /// Send a file, of any size that the server takes. An attempt that was interrupted goes on when it is repeated.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath, group = "sent")]
        file: Option<PathBuf>,
        /// Record a voice note by the program of the setting `recorder`, and send it: until Enter, Ctrl+C, or the end of --duration
        /// [default there: 5m]. Ctrl+C twice throws it away. It is never on the disk.
        #[arg(long, group = "sent")]
        record: bool,
        /// The file was spoken for this conversation.
        #[arg(long, requires = "file")]
        voice: bool,
        /// How long the file plays, or is recorded at most: as in 12s and 3m.
        #[arg(long, value_name = "TIME", value_parser = time, requires = "sent")]
        duration: Option<Duration>,
        /// The message that this one answers: its id, or how that begins.
        #[arg(long, value_name = "ID", value_parser = message_prefix)]
        reply_to: Option<String>,
        /// Every device deletes it so long after it has stored it: as in 30s, 15m, 8h and 7d.
        #[arg(long, value_name = "TIME", value_parser = expiry)]
        expire: Option<NonZeroU32>,
        /// What to wait for.
        #[arg(long, value_enum, default_value_t = Wait::Sent)]
        wait: Wait,
        /// Send it at this time, as in 2027-01-31T09:00, or so long from now, as in 90m. It is sent by whatever runs then, the
        /// screen, say, or `listen`; else by the next command that connects.
        #[arg(long, value_name = "WHEN", conflicts_with_all = ["wait", "file", "record"])]
        at: Option<String>,
    },
    /// What is not sent yet.
    #[command(subcommand)]
    Outbox(super::message_args::OutboxCommand),
    /// Show, keep or forget what you have begun to write in a room; without a room, show all.
    #[command(
        after_help = "Examples:\n  qchat draft\n  qchat draft general \"Dear all,\"\n  qchat draft general --clear"
    )]
    Draft {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: Option<String>,
        /// The text, in the place of what is there; `-` reads it from standard input.
        text: Option<String>,
        /// Forget it.
        #[arg(long, conflicts_with = "text", requires = "room")]
        clear: bool,
    },
    /// Give a message of yours another text, or a file another that is said with it; everybody sees that it was edited.
    #[command(
        after_help = "Examples:\n  qchat edit general 5f0c \"Hello Bob!\"\n  qchat edit general 5f0c < notes.txt"
    )]
    Edit {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The message: its id, or how that begins.
        #[arg(value_name = "ID", value_parser = message_prefix)]
        id: String,
        /// The text; `-` or nothing reads it from standard input.
        text: Option<String>,
    },
    /// React to a message, or take that back.
    #[command(
        after_help = "Examples:\n  qchat react general 5f0c 👍\n  qchat react general 5f0c 👍 --remove"
    )]
    React {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The message: its id, or how that begins.
        #[arg(value_name = "ID", value_parser = message_prefix)]
        id: String,
        /// An emoji, or another short word.
        #[arg(value_parser = emoji)]
        emoji: Emoji,
        /// Take it back.
        #[arg(long)]
        remove: bool,
    },
    /// Keep a message of a room in view; admins may.
    Pin {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The message: its id, or how that begins.
        #[arg(value_name = "ID", value_parser = message_prefix)]
        id: String,
    },
    /// Keep it in view no more.
    Unpin {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The message: its id, or how that begins.
        #[arg(value_name = "ID", value_parser = message_prefix)]
        id: String,
    },
    /// Ask a question with options, vote, and close the vote.
    #[command(subcommand)]
    Poll(super::message_args::PollCommand),
    /// Print messages as they arrive, and what becomes of earlier ones, until interrupted.
    ///
    /// What is done with a message beside printing it is done with those of others alone, one after the other, and not with what
    /// becomes of them; what fails is tried five times.
    #[command(
        after_help = "Examples:\n  qchat listen\n  qchat listen general --json | jq -r .body\n  qchat listen --notify\n  qchat listen --people --presence on --typing on\n  qchat listen general --exec ./answer.sh\n  QCHAT_WEBHOOK=https://hooks.example.org/chat qchat listen"
    )]
    Listen {
        /// Rooms, by name or id; all of them when none is named.
        #[arg(value_name = "ROOM")]
        rooms: Vec<String>,
        /// Show the ids of messages.
        #[arg(long)]
        ids: bool,
        /// Show who comes, goes and writes, too, as far as `presence` and `typing` are on.
        #[arg(long)]
        people: bool,
        /// End after this many messages.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// What else to do.
        #[command(flatten)]
        hooks: HookArgs,
    },
    /// Carry out commands for a program: JSON-RPC 2.0, one object a line, over standard input and output.
    ///
    /// The methods are commands (`send`, `room.list`, …), their params the arguments and options that --help names, and
    /// `subscribe`, after which messages come as notifications. Calls that change something are carried out in their order.
    #[command(
        after_help = "Examples:\n  echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"send\",\"params\":{\"room\":\"general\",\"text\":\"hi\"}}' | qchat rpc\n  qchat rpc --socket &        other commands use this engine from now on\n  qchat rpc --schema | jq -r '.methods[].name'"
    )]
    Rpc {
        /// Serve a Unix socket in the profile's directory instead, for this user alone, until `qchat lock` or --lock-after-idle:
        /// `send`, `history` and the like find it there, and need not open the profile.
        #[arg(long)]
        socket: bool,
        /// Print what can be called, as an OpenRPC document.
        #[arg(long, conflicts_with = "socket")]
        schema: bool,
    },
    /// Print what was said in a room, oldest first.
    History(super::search_args::HistoryArgs),
    /// Find messages in all rooms, in what the profile has; the best first, and the newest first among equals.
    ///
    /// Needs no connection. A message that was edited is found by what it says now; one that was deleted, or has had its time, is not.
    Search(super::search_args::SearchArgs),
    /// Write down all that was said in a room, oldest first.
    ///
    /// What is written is not encrypted any more, and messages that are deleted later, or have their time, stay in it.
    Export(super::search_args::ExportArgs),
    /// Files that were sent in rooms.
    #[command(subcommand)]
    File(super::file_args::FileCommand),
    /// Count what is unread: in all, and in each room where there is any.
    ///
    /// Needs no connection, so that a status bar may ask often: what is counted is what the profile has. `listen` and the
    /// screen keep it up to date, and so does --fetch.
    #[command(
        after_help = "Examples:\n  qchat unread\n  qchat unread --json | jq .mentions\n  qchat unread --clear general"
    )]
    Unread {
        /// Rooms, by name or id; all of them when none is named.
        #[arg(value_name = "ROOM")]
        rooms: Vec<String>,
        /// Ask the server for what is new first.
        #[arg(long)]
        fetch: bool,
        /// Rooms that are muted or archived, too; those that are named are counted anyway.
        #[arg(long)]
        all: bool,
        /// Everything in these rooms has been read.
        #[arg(long)]
        clear: bool,
    },
    /// Ask who is there, of those that you share a small room with: online, away, or when they were last.
    ///
    /// Needs `presence = on`, and tells them that you are away yourself, or online where a screen of yours is open. Each says so by itself; of who does not want that nothing is
    /// known.
    #[command(
        after_help = "Examples:\n  qchat presence --presence on\n  qchat presence bob --json | jq -r .state"
    )]
    Presence {
        /// People; all who are known when nobody is named.
        #[arg(value_name = "USER")]
        users: Vec<UserName>,
        /// How long to wait for those who have not answered.
        #[arg(long, value_name = "TIME", default_value = "3s", value_parser = time)]
        wait: Duration,
    },
    /// Tell those who are in a room now that you write something, for some seconds; for bots and other programs.
    #[command(after_help = "Examples:\n  qchat typing general --typing on\n  qchat typing general --stop")]
    Typing {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// You do so no more.
        #[arg(long)]
        stop: bool,
    },
    /// Hear nothing more of somebody, on all your devices; without a name, show of whom that is.
    ///
    /// What they have written and will write is not shown, found or counted, what they invite you to neither, and in the conversation
    /// with them nothing is told of what you have read. They are not told, and stay in the rooms that they are in.
    #[command(after_help = "Examples:\n  qchat block mallory\n  qchat block")]
    Block {
        /// Whom.
        user: Option<UserName>,
    },
    /// Hear of somebody again, and see what they have written meanwhile.
    Unblock {
        /// Whom.
        user: UserName,
    },
    /// Delete messages: yours for everyone, or any from this device.
    ///
    /// An admin of the room deletes everybody's messages for everyone. With --here, --before and --all messages are deleted from
    /// this device, and others keep theirs. A message that waits to be sent and has not left yet is not sent any more. Deleted
    /// messages do not come back.
    #[command(
        after_help = "Examples:\n  qchat delete general 5f0c7a1e\n  qchat delete general 5f0c7a1e --here\n  qchat delete general --before 117\n  qchat delete general --all --yes"
    )]
    Delete {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// Messages: their ids, which `history --ids` shows, or how these begin.
        #[arg(value_name = "ID", required_unless_present_any = ["before", "all"], value_parser = message_prefix)]
        ids: Vec<String>,
        /// Delete them from this device alone.
        #[arg(long)]
        here: bool,
        /// All messages before this place in the room's log.
        #[arg(long, value_name = "SEQ", value_parser = seq, conflicts_with_all = ["ids", "all"])]
        before: Option<Seq>,
        /// All messages of the room.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Delete many without asking.
        #[arg(long)]
        yes: bool,
    },
    /// The devices of the account.
    #[command(subcommand)]
    Device(Device),
    /// Compare keys with somebody, so that no server can stand between.
    ///
    /// Both of you run it, and compare the number over a channel on which you know one another: face to face, or in a call.
    /// The same number means that both have the true keys. Other emoji mean that the number differs; the same emoji alone
    /// prove nothing.
    #[command(
        after_help = "Examples:\n  qchat verify bob                                shows the number and asks\n  qchat verify bob --number \"50349 63219 …\" --yes  compares the digits that bob's qchat shows\n  qchat verify bob --scan -                       compares the text of bob's QR code\n  qchat verify bob --json | jq -r .number\n  qchat verify bob --accept                       shows how bob's keys have changed, and goes on with them\n  qchat verify --status"
    )]
    Verify {
        /// Whom.
        #[arg(value_name = "USER", required_unless_present = "status")]
        user: Option<UserName>,
        /// The 60 digits that USER's qchat shows; they are compared in full.
        #[arg(long, value_name = "DIGITS", group = "verify", requires = "user")]
        number: Option<SafetyDigits>,
        /// The text that USER's qchat shows below its QR code, as it was scanned; `-` reads it from standard input.
        #[arg(long, value_name = "TEXT", group = "verify", requires = "user")]
        scan: Option<String>,
        /// Accept that USER's keys have changed. They are not verified by that.
        #[arg(long, group = "verify", requires = "user")]
        accept: bool,
        /// Take back that USER is verified.
        #[arg(long, group = "verify", requires = "user")]
        revoke: bool,
        /// Show everybody whose keys are known here: verified, unverified or CHANGED, and since when.
        #[arg(long, group = "verify", conflicts_with = "user")]
        status: bool,
        /// With --number and --accept: do not ask.
        #[arg(long)]
        yes: bool,
        /// Draw no QR code.
        #[arg(long)]
        no_qr: bool,
    },
    /// Backups of this device at the server, which only the recovery words open.
    #[command(subcommand)]
    Backup(Backup),
    /// The profile on this machine.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Keys, as others see them.
    #[command(subcommand)]
    Keys(Keys),
    /// Quantum jobs: random bits for keys, and protocols of quantum cryptography, simulated or on a quantum computer.
    ///
    /// What they give is only ever mixed into the operating system's randomness.
    #[command(subcommand)]
    Quantum(super::quantum_args::Quantum),
    /// The server.
    #[command(subcommand)]
    Server(Server),
    /// Look at all that qchat needs, and say what is wrong and what to do: the profile, the vault, the server and the way there, and
    /// what runs quantum jobs.
    ///
    /// Ends with 8 when something does not work.
    #[command(
        after_help = "Examples:\n  qchat doctor\n  qchat doctor --json | jq -r 'select(.verdict != \"good\")'"
    )]
    Doctor,
    /// Where settings come from.
    #[command(subcommand)]
    Config(Config),
    /// Print a script that completes commands, and the rooms of an unlocked profile, in a shell.
    #[command(
        after_help = "Examples:\n  qchat completions bash > ~/.local/share/bash-completion/completions/qchat\n  qchat completions zsh > ~/.zfunc/_qchat          where ~/.zfunc is in $fpath\n  qchat completions fish > ~/.config/fish/completions/qchat.fish\n\nPrint it anew after an upgrade."
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write the whole manual.
    #[command(after_help = "Examples:\n  qchat man | man -l -\n  qchat man --dir /usr/local/share/man/man1")]
    Man {
        /// Write a page for each command, and one for the configuration file, into this directory.
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
    /// Holds an open profile's key; `unlock` starts it.
    #[command(hide = true)]
    Agent,
}

/// Commands about rooms.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Room {
    /// Create a room.
    Create {
        /// Its name; only members learn it.
        #[arg(value_parser = room_name)]
        name: String,
    },
    /// List rooms and invitations: favourites first, and nothing that is archived.
    List {
        /// What is archived, too.
        #[arg(long)]
        all: bool,
    },
    /// Say how you want a room to be treated, on all your devices; nobody else learns of it.
    ///
    /// What is archived is not listed, what is archived or muted is not counted by `unread` nor shown by `listen --notify`, and favourites
    /// are listed first.
    #[command(
        after_help = "Examples:\n  qchat room mark general favourite\n  qchat room mark general muted --remove"
    )]
    Mark {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// How.
        #[arg(value_enum)]
        mark: RoomMark,
        /// Not any more.
        #[arg(long)]
        remove: bool,
    },
    /// Show a room and its members.
    Show {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
    },
    /// Invite users to a room.
    Invite {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// Whom.
        #[arg(required = true, value_name = "USER")]
        users: Vec<UserName>,
    },
    /// Accept an invitation, or ask by an invite link to be let in.
    ///
    /// By a link, a member's device that is online lets you in within moments; where none is, or an admin is asked first, this ends with
    /// exit code 8, and goes on by itself whenever both are online.
    #[command(
        after_help = "Examples:\n  qchat room join general\n  qchat room join https://chat.example.org/join#AcFe…\n  qchat room join - <link.txt"
    )]
    Join {
        /// The room's name or id, or an invite link; - reads the link from standard input, where no other user of the machine sees it.
        #[arg(value_name = "ROOM|LINK")]
        room: String,
    },
    /// Links that let people ask to be let into a room.
    #[command(subcommand)]
    Link(super::link_args::RoomLink),
    /// People who ask by a link to be let into a room, and wait for your yes.
    #[command(subcommand)]
    Request(super::link_args::RoomRequest),
    /// Remove a user with all devices; only admins can.
    Remove {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// Whom.
        user: UserName,
    },
    /// Leave a room, or decline an invitation.
    Leave {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
    },
    /// Let a room that nobody can follow go on with new keys; only owners can.
    #[command(
        long_about = "Let a room that nobody can follow go on with new keys; only owners can.\n\nA device that cannot \
            follow a room asks the others to add it again, and `qchat room show` calls it stuck until one of them has. When \
            nobody is left who can, an owner whose device is stuck too makes a new group of the members: of those that it \
            knew, whom the server still lists. The others are named; invite them again if they belong to the room."
    )]
    Restart {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// That it ends the group for those, too, who may still follow it.
        #[arg(long)]
        yes: bool,
    },
    /// Replace this device's keys in a room, so that stolen ones become useless.
    UpdateKeys {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
    },
    /// Have every device delete what is said from now on, so long after it has stored it; admins may.
    ///
    /// The shorter time counts where a message has one of its own. What a device has deleted is in none of its files any more, and
    /// not in its next backup.
    #[command(after_help = "Examples:\n  qchat room expire general 7d\n  qchat room expire general off")]
    Expire {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// A time, as in 30s, 15m, 8h and 7d; or off.
        #[arg(value_name = "TIME", value_parser = expiry_or_off)]
        after: Expiry,
    },
    /// Give a room another name; admins may.
    #[command(after_help = "Example:\n  qchat room rename general lobby")]
    Rename {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The new name.
        #[arg(value_name = "NAME", value_parser = room_name)]
        name: String,
    },
    /// Say what a room is about; admins may.
    #[command(
        after_help = "Examples:\n  qchat room topic general \"All about tea\"\n  qchat room topic general --clear"
    )]
    Topic {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The topic.
        #[arg(value_name = "TOPIC", value_parser = topic, required_unless_present = "clear")]
        topic: Option<String>,
        /// That it has none.
        #[arg(long, conflicts_with = "topic")]
        clear: bool,
    },
    /// Say what somebody may do in a room.
    ///
    /// An owner may do everything, and alone says who is an owner or an admin; an admin changes the settings, and removes, bans and
    /// silences others; a member reads, writes and invites; a reader reads. Every device judges by itself what each may.
    #[command(
        after_help = "Examples:\n  qchat room role general bob admin\n  qchat room role general carol reader"
    )]
    Role {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// Who.
        user: UserName,
        /// owner, admin, member or reader.
        #[arg(value_name = "ROLE", value_parser = role)]
        role: Role,
    },
    /// Remove somebody from a room, and have nobody add them again; admins may.
    #[command(after_help = "Examples:\n  qchat room ban general mallory\n  qchat room unban general mallory")]
    Ban {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// Who.
        user: UserName,
    },
    /// Let somebody be invited again who was banned; admins may.
    Unban {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// Who.
        user: UserName,
    },
    /// Keys of QKD equipment, mixed into a room's own.
    #[command(subcommand)]
    Psk(super::kme_args::RoomPsk),
}

/// Commands about the recovery words.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Recovery {
    /// Show the words once more and ask for two of them, if nobody has confirmed yet that they are on paper.
    Confirm,
    /// Ask for the words, and say whether they are those of this account.
    #[command(after_help = "Examples:\n  qchat recovery check\n  qchat recovery check --recovery-file words")]
    Check {
        /// Read the words from this file.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
        recovery_file: Option<PathBuf>,
    },
}

/// Commands about the account's devices.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Device {
    /// Make this machine another device of an account, with a new profile.
    #[command(
        long_about = "Make this machine another device of an account, with a new profile.\n\nThe account's passphrase opens the \
            way to its other devices, and no more: one of them has to let this one in, with `qchat device approve` or on its \
            screen, within 10 minutes. Both show a code, and both ask whether it is the same. Where standard input is no \
            terminal, the digits that the other device shows are read from it. What was said before is not brought along. \
            Interrupted, the same command goes on or begins anew.",
        after_help = "Examples:\n  qchat --server https://chat.example.org:8470 device link alice\n  qchat --profile alice device link alice --name laptop"
    )]
    Link {
        /// The account's name.
        name: UserName,
        /// How this device is called, for the account's own devices [default: the host's name].
        #[arg(long = "name", value_name = "DEVICE", value_parser = device_name)]
        device: Option<DeviceName>,
    },
    /// Let a new device in that asks.
    #[command(
        long_about = "Let a new device in that asks with `qchat device link`.\n\nWaits for one for as long as --timeout says. It \
            shows how the device is called, when it asked, and the code that it has to show, too. Say yes only when you have \
            it before you: it gets the account's key, and comes into all rooms. Scripts run this once to see the code, and \
            again with --yes and the code that the new device shows.",
        after_help = "Examples:\n  qchat device approve\n  qchat device approve --yes --code \"07 13 62 01 44 09 30\""
    )]
    Approve {
        /// Do not ask; needs the code.
        #[arg(long, requires = "code")]
        yes: bool,
        /// The code that the new device shows, as digits.
        #[arg(long, value_name = "DIGITS")]
        code: Option<String>,
    },
    /// List the account's devices.
    #[command(after_help = "Example:\n  qchat device list --json | jq -r .name")]
    List,
    /// Take a device out of the account: it is logged out, and removed from the rooms.
    #[command(
        long_about = "Take a device out of the account: it is logged out, and removed from the rooms.\n\nIf somebody else has it, say \
            --stolen: then they have the account's identity key, and it is not enough that the device is gone. The recovery words \
            vouch for another identity key, under which this device is the only one of the account. All others are revoked, for \
            whoever has the key can pass for any of them: link again those that you have. The people whom you talk with are told, \
            and are asked to accept the new key.",
        after_help = "Examples:\n  qchat device revoke laptop\n  qchat device revoke 5f0c7a1e --yes\n  qchat device revoke --stolen\n  qchat device revoke --stolen --recovery-file words --yes"
    )]
    Revoke {
        /// Its name, its id, or the beginning of that.
        #[arg(value_name = "DEVICE", required_unless_present = "stolen")]
        device: Option<String>,
        /// Somebody else has it: give the account another identity key, and revoke every device but this one.
        #[arg(long)]
        stolen: bool,
        /// Read the recovery words from this file.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath, requires = "stolen")]
        recovery_file: Option<PathBuf>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Commands about backups.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Backup {
    /// Make a backup: what was said, whom you know, and the account's key.
    #[command(
        long_about = "Make a backup: what was said, whom you know, and the account's key.\n\nIt is encrypted for the recovery words, \
            which are not needed to make it, and kept by the server in parts, of which only those travel that it does not have. \
            Interrupted, the same command goes on. A server that has lost this device's last backup, or shows an older one, is \
            refused with exit code 6. `backup_interval` in the configuration makes backups without being asked.",
        after_help = "Examples:\n  qchat backup create\n  qchat backup create --recovery-file words          where the profile does not have the key for backups yet"
    )]
    Create {
        /// Read the recovery words from this file, should they be needed: by a profile that has no key for backups yet.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
        recovery_file: Option<PathBuf>,
        /// Make one whatever backup of this device the server has, and send all of it again under a new secret.
        #[arg(long)]
        anew: bool,
    },
    /// Make this machine a device of an account whose others are lost, out of a backup.
    #[command(
        long_about = "Make this machine a device of an account whose others are lost, out of a backup.\n\nAsks for the recovery \
            words, and for a passphrase for the new profile. Shows which backup the server has, and restores it after a yes. The \
            machine becomes a new device, which comes into the rooms when somebody of them is online who was known before. Interrupted, the same command goes on. A backup that is damaged, not complete, or not of the account is \
            refused with its reason and exit code 6.",
        after_help = "Examples:\n  qchat --server https://chat.example.org:8470 backup restore alice\n  qchat --server http://127.0.0.1:8470 --passphrase-file F backup restore alice --recovery-file words --yes"
    )]
    Restore {
        /// The account's name.
        name: UserName,
        /// Read the recovery words from this file.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
        recovery_file: Option<PathBuf>,
        /// Restore the backup of this device, and not the newest.
        #[arg(long, value_name = "DEVICE", value_parser = device_id)]
        from: Option<DeviceId>,
        /// Restore it without asking.
        #[arg(long)]
        yes: bool,
    },
    /// List the backups of the account's devices.
    #[command(after_help = "Example:\n  qchat backup list --json | jq -r .created_at")]
    List,
    /// Delete the backup of a device.
    #[command(after_help = "Example:\n  qchat backup delete 5f0c7a1e8b3d4c2f9a6e1d0b7c8f3a25 --yes")]
    Delete {
        /// The device's id, as `backup list` shows it.
        #[arg(value_name = "DEVICE", value_parser = device_id)]
        device: DeviceId,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Commands about the profile.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum ProfileCommand {
    /// Say how you go by, and a line or a picture of you, to the members of your small rooms, on all your devices.
    ///
    /// It is sealed like a message, and said again to whoever comes. It proves nothing: names of accounts and safety numbers do.
    #[command(
        after_help = "Examples:\n  qchat profile set --name \"Bob B.\" --status \"in Lisbon until May\"\n  qchat profile set --avatar me.png\n  qchat profile set --status \"\" --no-avatar"
    )]
    Set {
        /// How you go by, 64 bytes at most; nothing takes it back.
        #[arg(long, value_name = "NAME", required_unless_present_any = ["status", "avatar", "no_avatar"])]
        name: Option<String>,
        /// A line about you, 256 bytes at most; nothing takes it back.
        #[arg(long, value_name = "TEXT")]
        status: Option<String>,
        /// A picture of you: a PNG, JPEG or WebP of 16 KiB at most.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
        avatar: Option<PathBuf>,
        /// No picture any more.
        #[arg(long, conflicts_with = "avatar")]
        no_avatar: bool,
    },
    /// Show what somebody shows of themselves, or you.
    #[command(after_help = "Examples:\n  qchat profile show\n  qchat profile show bob --avatar bob.png")]
    Show {
        /// Whom.
        user: Option<UserName>,
        /// Write the picture to this new file.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
        avatar: Option<PathBuf>,
    },
    /// Go on from a previous copy of this profile: history and contacts are kept, its keys are not.
    #[command(
        long_about = "Go on from a previous copy of this profile: history and contacts are kept, its keys are not.\n\nFor a \
            profile that was put back from a backup, because the newer one is damaged or lost. Which messages its keys have \
            sealed since is not known, so they are given up: the device asks the others to add it to each of its rooms again, \
            and reads nothing of what was said between the copy and that. What waited to be sent is shown as not sent, although \
            the newer state may have sent it. If the newer state is still in use somewhere, that one stops.",
        after_help = "Example:\n  qchat profile recover --yes"
    )]
    Recover {
        /// That the newer state of this profile is lost.
        #[arg(long)]
        yes: bool,
    },
}

/// Commands about keys.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Keys {
    /// Show the fingerprints of the own identity key and of those that were pinned.
    Show,
    /// Give this device another signature key, at the server and in every room.
    ///
    /// The account's identity key vouches for it, so that nobody has to verify anything anew. What is interrupted goes on
    /// at the next connection. `qchat room update-keys` replaces the keys that open a room's messages.
    #[command(after_help = "Example:\n  qchat keys rotate --json | jq -r .fingerprint")]
    Rotate,
    /// Show what the server's key directory has said of somebody, as it proves it.
    ///
    /// Each line is a change: when it came into the directory, and what the account consisted of from then on. What its owner
    /// did not do, somebody else did.
    #[command(
        after_help = "Examples:\n  qchat keys log bob\n  qchat keys log alice --json | jq .list_version"
    )]
    Log {
        /// Whose.
        user: UserName,
    },
    /// Check that the server's key directory has only grown since the last time, and show what has not fitted together.
    ///
    /// Prints the newest head: others who use the server and are shown the same directory see the same one at that epoch.
    #[command(after_help = "Examples:\n  qchat keys audit\n  qchat keys audit --from 0 --json")]
    Audit {
        /// Check from this epoch on instead.
        #[arg(long, value_name = "EPOCH")]
        from: Option<u64>,
        /// Take the directory as the server shows it now, whatever was known of it: after its operator has told why it is
        /// another one.
        #[arg(long, conflicts_with = "from")]
        accept: bool,
    },
}

/// Commands about the server.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Server {
    /// Show which server it is, and how the way to it is protected: the key exchange, and its key. Needs no account where
    /// --server is given.
    Show,
}

/// Commands about settings.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Config {
    /// Show the settings in force.
    Show,
    /// Print where the configuration file is looked for.
    Path,
}

/// Shells that have a script for completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Shell {
    /// GNU Bash, 4.4 or newer.
    Bash,
    /// The Z shell.
    Zsh,
    /// fish, 3.1 or newer.
    Fish,
}

/// Whether something is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    #[default]
    Off,
}

impl Switch {
    /// The word for whether it is.
    pub(crate) fn name(on: bool) -> &'static str {
        if on { "on" } else { "off" }
    }
}

/// How a room is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum RoomMark {
    /// Out of the way.
    Archived,
    /// Not aloud.
    Muted,
    /// Before others.
    Favourite,
}

/// When `send` is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Wait {
    /// The daemon has the message on disk; every member will get it.
    Sent,
    /// Everybody in the room who has joined has said that a device of theirs has stored it.
    Delivered,
    /// Everybody has said that they have seen it.
    Read,
}

/// A time: a number of seconds, or numbers with units as in `1h 30m`. A day has 24 hours.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => text
            .parse::<Span>()
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
            .ok()
            .and_then(|time| time.try_into().ok()),
    };
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "a time above 0 is wanted, as in 30s, 15m, 8h and 1d, or in seconds".to_owned())
}

/// The memory of Argon2id, MiB.
pub(crate) fn vault_memory(text: &str) -> Result<u32, String> {
    let memory = text.parse().ok().filter(|memory| (NewVault::LEAST_MEMORY..=1024).contains(memory));
    memory
        .ok_or_else(|| "64 to 1024 MiB are wanted: with less, a passphrase is guessed too cheaply".to_owned())
}

/// After how many messages keys are renewed.
pub(crate) fn update_after_messages(text: &str) -> Result<u64, String> {
    let messages = text.parse().ok().filter(|messages| (1..=KeyLife::MOST).contains(messages));
    messages.ok_or_else(|| {
        format!("1 to {} messages are wanted: keys that are never renewed never heal", KeyLife::MOST)
    })
}

/// After how long keys are renewed.
pub(crate) fn update_after(text: &str) -> Result<Duration, String> {
    time(text)
        .ok()
        .filter(|time| {
            (KeyLife::SHORTEST..=KeyLife::LONGEST).contains(&time.as_secs()) && time.subsec_nanos() == 0
        })
        .ok_or_else(|| {
            "1 minute to 1 day are wanted, as in 30m, 8h and 1d: keys that are never renewed never heal"
                .to_owned()
        })
}

/// How long an agent may keep a key.
pub(crate) fn lifetime(text: &str) -> Result<Duration, String> {
    time(text)
        .ok()
        .filter(|time| (Duration::from_secs(1)..=LONGEST).contains(time))
        .ok_or_else(|| "1 second to 30 days are wanted, as in 30s, 15m, 8h and 1d".to_owned())
}

/// Reads which invitations are accepted without asking.
fn accept() -> impl TypedValueParser<Value = Accept> {
    let choices = Accept::EVERY.map(|choice| {
        PossibleValue::new(choice.name()).help(match choice {
            Accept::Ask => "None: `room join` accepts one",
            Accept::Verified => "Those of people whose safety number was compared",
            Accept::All => "Everybody's",
        })
    });
    PossibleValuesParser::new(choices).try_map(|word| word.parse())
}

pub(super) fn seq(text: &str) -> Result<Seq, String> {
    text.parse().map(Seq).map_err(|_| "a place in the room's log is a number".to_owned())
}

/// A message's id, or how it begins.
pub(super) fn message_prefix(text: &str) -> Result<String, String> {
    let good = (1..=32).contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit());
    if good {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a message's id has 32 hexadecimal digits, of which the first few will do".to_owned())
    }
}

fn emoji(text: &str) -> Result<Emoji, String> {
    Emoji::new(text).ok_or_else(|| {
        format!("a reaction is an emoji, or another word of at most {MAX_EMOJI} bytes, without white space")
    })
}

/// After how many seconds messages are deleted, if they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expiry(pub Option<NonZeroU32>);

fn expiry_or_off(text: &str) -> Result<Expiry, String> {
    if text == "off" {
        return Ok(Expiry(None));
    }
    expiry(text).map(|after| Expiry(Some(after))).map_err(|why| format!("{why}; or off"))
}

/// After how long a message is deleted: a second to a year.
fn expiry(text: &str) -> Result<NonZeroU32, String> {
    const LONGEST: Duration = Duration::from_hours(24 * 366);
    time(text)
        .ok()
        .filter(|time| *time <= LONGEST)
        .and_then(|time| NonZeroU32::new(u32::try_from(time.as_secs()).ok()?))
        .ok_or_else(|| "1 second to 366 days are wanted, as in 30s, 15m, 8h and 7d".to_owned())
}

fn device_id(text: &str) -> Result<DeviceId, String> {
    text.parse().map_err(|_| "a device's id has 32 hexadecimal digits".to_owned())
}

/// How long after a backup the next one is made: a time of a minute at least, or `off`, which is zero.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    if text == "off" {
        return Ok(Duration::ZERO);
    }
    time(text)
        .ok()
        .filter(|time| *time >= Duration::from_mins(1))
        .ok_or_else(|| "off, or a time of 1 minute or more is wanted, as in 12h and 1d".to_owned())
}

fn room_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    check_room_name(name).map_err(|error| error.to_string())?;
    Ok(name.to_owned())
}

fn topic(text: &str) -> Result<String, String> {
    let topic = text.trim();
    match topic.len() {
        0 => Err("a topic says something; --clear takes it away".to_owned()),
        size if size > MAX_TOPIC => {
            Err(format!("a topic has at most {MAX_TOPIC} bytes, and this one {size}"))
        }
        _ => Ok(topic.to_owned()),
    }
}

fn role(text: &str) -> Result<Role, String> {
    Role::named(text).ok_or_else(|| "somebody is owner, admin, member or reader".to_owned())
}

/// A profile's name is a directory's name.
pub(crate) fn profile(text: &str) -> Result<String, String> {
    let good = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if good && text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Ok(text.to_owned())
    } else {
        Err("a profile's name has 1 to 64 letters, digits, '.', '_' and '-', and starts with a letter or digit"
            .to_owned())
    }
}

/// A name for a device.
fn device_name(text: &str) -> Result<DeviceName, String> {
    DeviceName::new(text).filter(|name| name.as_str() == text).ok_or_else(|| {
        format!(
            "a device's name has 1 to {} bytes, on one line, without what a terminal would obey",
            DeviceName::MOST
        )
    })
}

/// What a server's address looks like.
const SERVER_EXAMPLE: &str = "it looks like https://chat.example.org:8470";

/// A server is reached over https, or over http on this machine, where nobody else listens.
pub(crate) fn server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; {SERVER_EXAMPLE}"))?;
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => return Err(format!("there is no host in it; {SERVER_EXAMPLE}")),
    };
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("no user or password belongs into a server's address".to_owned())
        }
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        "http" => Err("http is not encrypted and allowed only to this machine; say https".to_owned()),
        _ => Err(format!("only https is spoken, and http on this machine; {SERVER_EXAMPLE}")),
    }
}

/// By what a server is known.
pub(crate) fn trust(text: &str) -> Result<Trust, String> {
    text.parse().map_err(|error| format!("{error}, as `qchatd tls show` prints it, or roots"))
}

/// Reads which key exchanges will do.
fn key_exchange() -> impl TypedValueParser<Value = KeyExchange> {
    let choices = KeyExchange::EVERY.map(|choice| {
        PossibleValue::new(choice.name()).help(match choice {
            KeyExchange::Prefer => "By X25519MLKEM768, and by X25519 with servers that do not speak that",
            KeyExchange::Require => "By X25519MLKEM768 alone",
        })
    });
    PossibleValuesParser::new(choices)
        .try_map(|word| KeyExchange::EVERY.into_iter().find(|choice| choice.name() == word).ok_or("unknown"))
}
