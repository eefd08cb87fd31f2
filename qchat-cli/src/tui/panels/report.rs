//! What panels show, as it comes from the engine: names and words fit for a terminal.

use std::time::Duration;

use qchat_proto::ids::UserName;

use crate::engine::{ChangeKind, KeptBackup, types::Standing};

/// What is to be compared with somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Safety {
    /// With whom.
    pub name: UserName,
    /// The safety number, all digits.
    pub number: String,
    /// The same in groups.
    pub groups: Vec<String>,
    /// As emoji, each with its name.
    pub emoji: Vec<(String, String)>,
    /// What the other side scans.
    pub code: String,
    /// The fingerprint of their key, hexadecimal.
    pub fingerprint: String,
    /// How far they are trusted.
    pub standing: Standing,
    /// Whether the server was asked just now.
    pub fresh: bool,
}

/// A changed identity, before it is accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Whose.
    pub name: UserName,
    /// What is known about it.
    pub kind: ChangeKind,
    /// The fingerprint of the key that is known here, hexadecimal.
    pub old: String,
    /// The fingerprint of the one that the server shows.
    pub new: String,
}

/// The account's keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// The fingerprint of the identity key, hexadecimal.
    pub fingerprint: String,
    /// The backups at the daemon; or why they are not known.
    pub backups: Result<Vec<KeptBackup>, String>,
}

/// Something that the daemon has noted about the account, as a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// The sentence.
    pub words: String,
    /// Whether it went well.
    pub good: bool,
}

/// How long the daemon takes to answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Latency {
    /// Its address.
    pub server: String,
    /// The time.
    pub time: Duration,
}
