//! `qchat file`: its commands, options and examples.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

/// Files of rooms.
#[derive(Debug, Subcommand)]
pub enum FileCommand {
    /// Get a file that was sent in a room; an attempt that was interrupted goes on.
    ///
    /// Nothing is written over, and nothing gets its name before all of it is there and is what was sent. The name that the
    /// sender chose is made harmless, and leads nowhere else.
    #[command(
        after_help = "Examples:\n  qchat file get general 5f0c7a1e\n  qchat file get general 5f0c7a1e -o ~/Downloads\n  qchat file get general 5f0c7a1e -o - | tar tz"
    )]
    Get {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The file's id, or the message's, as `file list` and `history` show them; the beginning is enough. Or `:` and the
        /// message's number in the room.
        #[arg(value_name = "ID")]
        id: String,
        /// Where to put it: a directory, a name, or `-` for standard output [default: here, under the name it was sent by].
        #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
        output: Option<PathBuf>,
        /// Write over what is there.
        #[arg(long)]
        force: bool,
    },
    /// Play a sound that was sent, a voice note say, by the program of the setting `player`; Ctrl+C ends it.
    ///
    /// It goes through a pipe, once all of it is here and is what was sent, and is never on the disk.
    #[command(
        after_help = "Examples:\n  qchat file play general 5f0c7a1e\n  qchat file play general :117 --player 'pw-play -'"
    )]
    Play {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The file's id, or the message's; the beginning is enough. Or `:` and the message's number in the room.
        #[arg(value_name = "ID")]
        id: String,
        /// Play it although its sender calls it something else, or it does not begin like a sound.
        #[arg(long)]
        force: bool,
    },
    /// Get the small picture of a file that its sender has put into the message; the file itself is not fetched.
    ///
    /// It is as little to be trusted as the file. Nothing is written over, and it is put where `file get` would put the file, for
    /// its owner alone.
    #[command(
        after_help = "Examples:\n  qchat file thumbnail general 5f0c7a1e\n  qchat file thumbnail general 5f0c7a1e -o /tmp/small.jpg"
    )]
    Thumbnail {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The file's id, or the message's; the beginning is enough. Or `:` and the message's number in the room.
        #[arg(value_name = "ID")]
        id: String,
        /// Where to put it: a directory, a name, or `-` for standard output [default: here, under the file's name and
        /// `thumbnail`].
        #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
        output: Option<PathBuf>,
        /// Write over what is there.
        #[arg(long)]
        force: bool,
    },
    /// Show the files that were sent in a room, oldest first.
    #[command(
        after_help = "Examples:\n  qchat file list general\n  qchat file list general --json | jq -r .file_id"
    )]
    List {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// At most this many, the newest.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Delete a file of one's own from the server; who has got it keeps it.
    #[command(after_help = "Examples:\n  qchat file delete general 5f0c7a1e")]
    Delete {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// The file's id, or the message's; the beginning is enough. Or `:` and the message's number in the room.
        #[arg(value_name = "ID")]
        id: String,
    },
}
