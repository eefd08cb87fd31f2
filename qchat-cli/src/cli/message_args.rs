//! The definitions of the commands about polls, and about what is not sent yet.

use clap::Subcommand;

use super::args::message_prefix;

/// `qchat poll`.
#[derive(Debug, Subcommand)]
pub enum PollCommand {
    /// Ask a question.
    #[command(
        after_help = "Examples:\n  qchat poll create general \"Tea?\" yes no\n  qchat poll create general \"Which days?\" mo tu we --choices 3"
    )]
    Create {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The question.
        question: String,
        /// 2 to 20 different options.
        #[arg(value_name = "OPTION", required = true, num_args = 2..)]
        options: Vec<String>,
        /// How many options one may be for.
        #[arg(long, value_name = "N", default_value_t = 1)]
        choices: u32,
    },
    /// Be for these options of a poll, and for none that you were for before.
    #[command(
        after_help = "Examples:\n  qchat poll vote general 5f0c yes\n  qchat poll vote general 5f0c 1 3\n  qchat poll vote general 5f0c --none"
    )]
    Vote {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The poll: its id, or how that begins.
        #[arg(value_name = "ID", value_parser = message_prefix)]
        id: String,
        /// Options: what they say, or their numbers from 1 on.
        #[arg(value_name = "OPTION", required_unless_present = "none")]
        options: Vec<String>,
        /// Take your vote back.
        #[arg(long, conflicts_with = "options")]
        none: bool,
    },
    /// Let a poll of yours take no more votes.
    Close {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The poll: its id, or how that begins.
        #[arg(value_name = "ID", value_parser = message_prefix)]
        id: String,
    },
}

/// `qchat outbox`.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// Show what waits to be sent, in its order, and what is to be sent at a time.
    List {
        /// The room's name or id; all of them when none is named.
        #[arg(value_name = "ROOM")]
        room: Option<String>,
    },
    /// Connect, and wait until all of it is sent.
    Retry,
    /// Give up what has not left yet.
    #[command(after_help = "Examples:\n  qchat outbox drop 5f0c7a1e")]
    Drop {
        /// Messages and changes: their ids, which `outbox list` shows, or how these begin.
        #[arg(value_name = "ID", required = true, value_parser = message_prefix)]
        ids: Vec<String>,
    },
}
