//! The command line of invite links, and of who asks by one to be let in.

use std::{num::NonZeroU32, time::Duration};

use clap::Subcommand;
use qchat_proto::{ids::UserName, invite::MAX_USES};

use super::args;

/// Commands about the links of a room.
#[derive(Subcommand, Debug, Clone)]
pub enum RoomLink {
    /// Make a link that lets people ask to be let in; only admins can.
    #[command(
        long_about = "Make a link that lets people ask to be let in; only admins can.\n\nWhoever has it, and an account at the same \
            server, comes in with `qchat room join`: a member's device that is online adds them, an admin's where the link counts \
            people, and with --ask once an admin has said yes. The secret in it is known to the room's members and to those who \
            have the link, and never to the server: pass it on over a channel that you trust. It ends by its time, by its number \
            or by `qchat room link revoke`.",
        after_help = "Examples:\n  qchat room link create general\n  qchat room link create general --expires 1d --uses 5\n  qchat room link create general --expires never --ask"
    )]
    Create {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// How long it is good for, as in 30m, 8h and 7d; or never.
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = lifetime)]
        expires: Lifetime,
        /// How many people it lets in, at most 100.
        #[arg(long, value_name = "NUMBER", value_parser = uses)]
        uses: Option<NonZeroU32>,
        /// Ask an admin about each.
        #[arg(long)]
        ask: bool,
    },
    /// List the links of a room, without what opens them.
    #[command(after_help = "Example:\n  qchat room link list general")]
    List {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
    },
    /// Print a link again.
    #[command(after_help = "Example:\n  qchat room link show general 1f3a")]
    Show {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// How its id begins.
        #[arg(value_name = "ID")]
        id: String,
    },
    /// End a link; only admins can. Who came by it stays.
    #[command(after_help = "Example:\n  qchat room link revoke general 1f3a")]
    Revoke {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// How its id begins.
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Commands about people who ask to be let in.
#[derive(Subcommand, Debug, Clone)]
pub enum RoomRequest {
    /// List who waits for your yes.
    #[command(after_help = "Examples:\n  qchat room request list\n  qchat room request list general")]
    List {
        /// The room's name or id; all rooms when it is left out.
        #[arg(value_name = "ROOM")]
        room: Option<String>,
    },
    /// Let somebody in; only admins can.
    #[command(after_help = "Example:\n  qchat room request accept general carol")]
    Accept {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// Whom.
        user: UserName,
    },
    /// Let somebody wait no more; only admins can. They may ask again, unless they are banned.
    #[command(after_help = "Example:\n  qchat room request decline general carol")]
    Decline {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// Whom.
        user: UserName,
    },
}

/// How long a link is good for; `None`: until it is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime(pub Option<Duration>);

fn lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime(None));
    }
    args::time(text).map(|time| Lifetime(Some(time))).map_err(|error| format!("{error}; or never"))
}

fn uses(text: &str) -> Result<NonZeroU32, String> {
    let uses = text.parse::<NonZeroU32>().ok().filter(|uses| uses.get() <= MAX_USES);
    uses.ok_or_else(|| format!("1 to {MAX_USES} people are wanted; without --uses there is no limit"))
}
