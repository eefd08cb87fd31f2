//! Options about QKD equipment: settings like those of every command, and the commands about keys in rooms.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueHint};
use qchat_quantum::etsi014::SaeId;

use super::args;

/// Where keys of QKD equipment come from, and as whom this profile asks for them.
#[derive(Debug, Default, Args)]
pub struct KmeArgs {
    /// The key management entity (KME) of this end's QKD equipment, which speaks ETSI GS QKD 014: an https address.
    #[arg(long, global = true, env = "QCHAT_ETSI014", hide_env_values = true, value_name = "URL")]
    pub etsi014: Option<String>,
    /// The id that this end has at the KMEs (SAE id).
    #[arg(long, global = true, env = "QCHAT_SAE", hide_env_values = true, value_name = "ID")]
    pub sae: Option<SaeId>,
    /// The id that the other end has there.
    #[arg(long, global = true, env = "QCHAT_PEER_SAE", hide_env_values = true, value_name = "ID")]
    pub peer_sae: Option<SaeId>,
    /// This end's certificate for the KME, PEM.
    #[arg(long, global = true, env = "QCHAT_SAE_CERT", hide_env_values = true, value_name = "F")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub sae_cert: Option<PathBuf>,
    /// The private key of that certificate, PEM.
    #[arg(long, global = true, env = "QCHAT_SAE_KEY", hide_env_values = true, value_name = "F")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub sae_key: Option<PathBuf>,
    /// The certificate of the authority that the KME's is signed by, PEM; no other is believed.
    #[arg(long, global = true, env = "QCHAT_KME_CA", hide_env_values = true, value_name = "F")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub kme_ca: Option<PathBuf>,
}

/// Commands about keys from elsewhere in a room.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum RoomPsk {
    /// Offer a key of this end's QKD equipment to a room; only admins can.
    #[command(
        long_about = "Offer a key of this end's QKD equipment to a room; only admins can.\n\nThe KME gives out a key of 256 bits, \
            and the room is told its id, never the key. The other end gets it from its own KME with `qchat room psk accept`, \
            and shows that it has the same. As soon as a command of this profile reads that (the screen, `listen`, or this \
            command again) the key is mixed into the room's: from then on whoever lacks it reads nothing, whatever else they \
            have broken. Were the two keys not the same, the offer is given up, and the room goes on as it was. Interrupted, \
            the same command goes on. It needs --etsi014, --sae, --peer-sae, --sae-cert, --sae-key and --kme-ca, which are \
            settings too.",
        after_help = "Examples:\n  qchat room psk add lab --etsi014 https://kme-a.example:8443 --sae alice-sae --peer-sae bob-sae --sae-cert alice.pem --sae-key alice.key --kme-ca kme-ca.pem\n  qchat room psk add lab --wait 10m"
    )]
    Add {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// Wait so long until the key is mixed in: seconds, or as in 90s and 10m.
        #[arg(long, value_name = "TIME", value_parser = args::time)]
        wait: Option<Duration>,
        /// Offer it in a room of more than two devices: each of them has to get it from its KME.
        #[arg(long)]
        every_device: bool,
    },
    /// Get the key that another device has offered from this end's KME, and say that this device has it.
    #[command(
        long_about = "Get the key that another device has offered from this end's KME, and say that this device has it.\n\nIt needs \
            --etsi014, --sae-cert, --sae-key and --kme-ca, which are settings too. With --sae or --peer-sae, an offer to \
            another SAE or by another is refused.",
        after_help = "Examples:\n  qchat room psk accept lab --etsi014 https://kme-b.example:8443 --sae-cert bob.pem --sae-key bob.key --kme-ca kme-ca.pem\n  qchat room psk accept lab --wait 10m"
    )]
    Accept {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
        /// Wait so long until the key is mixed in: seconds, or as in 90s and 10m.
        #[arg(long, value_name = "TIME", value_parser = args::time)]
        wait: Option<Duration>,
    },
    /// Ask this end's KME how many keys it has for the other end. Needs no account.
    #[command(
        long_about = "Ask this end's KME how many keys it has for the other end. Needs no account.\n\nIt needs --etsi014, --peer-sae, \
            --sae-cert, --sae-key and --kme-ca, which are settings too. No key is used up.",
        after_help = "Example:\n  qchat room psk status --etsi014 https://kme-a.example:8443 --peer-sae bob-sae --sae-cert alice.pem --sae-key alice.key --kme-ca kme-ca.pem"
    )]
    Status,
    /// Give up a key that was offered or taken and is not mixed in yet, and delete it.
    #[command(after_help = "Example:\n  qchat room psk drop lab")]
    Drop {
        /// The room's name or id.
        #[arg(value_name = "ROOM")]
        room: String,
    },
}
