//! Commands about the account itself: their arguments.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

/// Commands about the account.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Account {
    /// Print what the server has noted about the account: sign-ins, failures, changes of devices and passphrase.
    ///
    /// These are the server's words. It keeps them for as long as its operator has set, and addresses as coarsely.
    #[command(
        after_help = "Examples:\n  qchat account activity\n  qchat account activity --limit 200 --json"
    )]
    Activity {
        /// At most this many entries, the newest.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Change the passphrase of the account and of this profile.
    ///
    /// The sessions of the other devices end; they log in again by their keys, and their profiles keep their own passphrases.
    /// When this is interrupted, one of the two passphrases opens the profile, and the same command again finishes it. A copy
    /// that somebody has made of the profile before opens with the old one still.
    #[command(
        after_help = "Examples:\n  qchat account password\n  qchat --passphrase-file old account password --new-passphrase-file new"
    )]
    Password {
        /// Read the new passphrase from the first line of a file instead of asking.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
        new_passphrase_file: Option<PathBuf>,
        /// Read the account's passphrase from the first line of a file, where it was changed on another device and is not this
        /// profile's any more.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
        account_passphrase_file: Option<PathBuf>,
    },
    /// Fetch what the server holds about the account, into a new directory or a new tar archive.
    ///
    /// One file of JSON Lines for each kind of thing, and a README. Messages are in it as the server has them: encrypted.
    #[command(
        after_help = "Examples:\n  qchat account export -o my-account\n  qchat account export -o my-account.tar"
    )]
    Export {
        /// The directory, or the archive where its name ends with .tar. It must not exist.
        #[arg(short, long, value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
        output: PathBuf,
    },
    /// Delete the account at the server, and this profile, for good.
    ///
    /// Every room is left first. The server erases names, keys, devices and sessions. What was sent stays encrypted in the rooms'
    /// logs, as the others' history, until the server deletes it, and others keep what they have read. The name is given to
    /// nobody again, so that nobody passes for you. When this is interrupted, the same command again finishes it; the profile
    /// goes last, when the server has said that the account is gone.
    #[command(
        after_help = "Examples:\n  qchat account delete\n  qchat --passphrase-file p account delete --yes --keep-profile"
    )]
    Delete {
        /// Do not ask for the account's name.
        #[arg(long)]
        yes: bool,
        /// Keep the profile, with the messages that were read.
        #[arg(long)]
        keep_profile: bool,
        /// Read the account's passphrase from the first line of a file, where it was changed on another device and is not this
        /// profile's any more.
        #[arg(long, value_name = "F", value_hint = ValueHint::FilePath)]
        account_passphrase_file: Option<PathBuf>,
    },
}
