//! The definitions of the commands that look into what is stored: `search`, `history` and `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use qchat_proto::ids::{Seq, UserName};

use super::args::seq;

/// `qchat search`.
#[derive(Debug, Args)]
#[command(
    after_help = "Words and operators:\n  lunch friday         both words, in any order; case and accents do not matter\n  \"lunch on friday\"    words that stand behind one another\n  frid*                words that begin so\n  from:alice           written by alice; of several of these one will do\n  in:general           in that room, by name or id; in:\"the den\", in:@bob; of several one will do\n  after:2026-01-31     written from that day on; also 2026-01-31T09:00, or 2d for the last two days\n  before:2026-01-31    written before that day began; before:2d is more than two days ago\n  has:link has:poll has:file\n\nExamples:\n  qchat search lunch friday\n  qchat search '\"lunch on friday\" from:alice'\n  qchat search frid* --in general --limit 5\n  qchat search has:link after:7d --json | jq -r .excerpt"
)]
pub struct SearchArgs {
    /// Words, and operators.
    #[arg(value_name = "WORDS")]
    pub words: Vec<String>,
    /// Only in this room, by name or id; may be given several times.
    #[arg(long = "in", value_name = "ROOM")]
    pub rooms: Vec<String>,
    /// Only what this user wrote; may be given several times.
    #[arg(long, value_name = "USER")]
    pub from: Vec<UserName>,
    /// Only what was written from then on.
    #[arg(long, value_name = "DATE")]
    pub after: Option<String>,
    /// Only what was written before then.
    #[arg(long, value_name = "DATE")]
    pub before: Option<String>,
    /// So many messages on a page.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// Which page.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub page: u32,
    /// Show the ids of messages.
    #[arg(long)]
    pub ids: bool,
}

/// `qchat history`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  qchat history general --limit 20\n  qchat history general --before 117 --json\n  qchat history general --from-seq 100 --to-seq 116\n  qchat history general --since 2026-01-31 --until 2026-02-01T12:00\n  qchat history general --since 2d"
)]
pub struct HistoryArgs {
    /// The room's name or id.
    #[arg(value_name = "ROOM")]
    pub room: String,
    /// At most this many lines, the newest.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Only lines before this place in the room's log.
    #[arg(long, value_name = "SEQ", value_parser = seq, conflicts_with = "to_seq")]
    pub before: Option<Seq>,
    /// Only lines from this place in the room's log on.
    #[arg(long, value_name = "SEQ", value_parser = seq)]
    pub from_seq: Option<Seq>,
    /// Only lines up to this place in the room's log, which belongs to them.
    #[arg(long, value_name = "SEQ", value_parser = seq)]
    pub to_seq: Option<Seq>,
    /// Only what was written from then on: a date, as in 2026-01-31, a time, as in 2026-01-31T09:00, or how long ago, as in 2d.
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only what was written before then; a date is the moment at which that day begins.
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Show the ids of messages.
    #[arg(long)]
    pub ids: bool,
}

/// `qchat export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  qchat export general --output general.jsonl\n  qchat export general --format html --output general.html\n  qchat export general --format markdown | less\n  qchat export general --format html --output general/index.html --attachments general/files"
)]
pub struct ExportArgs {
    /// The room's name or id.
    #[arg(value_name = "ROOM")]
    pub room: String,
    /// How it is written.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Format::Jsonl)]
    pub format: Format,
    /// Write to this file, for its owner alone, instead of standard output. It is there once it is whole.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Put it in the place of a file that exists.
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Get the files that were sent, too, into this directory, which is made if need be; the document says which is where. Those that
    /// are there from an earlier export are not fetched again.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "output")]
    pub attachments: Option<PathBuf>,
}

/// How a room's log is written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// One JSON object a line, as `history --json` prints them.
    Jsonl,
    /// Markdown, in which nothing that was said has a meaning of its own.
    Markdown,
    /// One page that loads nothing from anywhere.
    Html,
}
