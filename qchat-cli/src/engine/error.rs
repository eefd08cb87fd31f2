//! What the engine's clients are told when something does not work: what happened, and what to do.

use qchat_proto::{
    conversation::NotAllowed,
    identity::{IdentityError, link::LinkError},
    ids::{MessageId, RoomId, Seq, UserName},
    mls::fault::MlsFault,
    session::{error::SessionError, ledger::Phase},
    wire::fault::{Fault, FaultCode},
};
use qchat_quantum::etsi014::Etsi014Error;

use super::{files::FileTrouble, transparency::DirectoryFault, types::Deletion};
use crate::{net::NetError, store::StoreError, vault::VaultError};

/// An operation of the engine failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The local database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The way to the daemon, or the daemon's refusal.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A group operation.
    #[error(transparent)]
    Group(#[from] MlsFault),
    /// A step of the protocol.
    #[error("{0}")]
    Session(Box<SessionError<StoreError>>),
    /// What somebody shows of their identity does not hold.
    #[error("the identity of {who} cannot be trusted: {source}")]
    Identity {
        /// Whose.
        who: String,
        /// What is wrong.
        source: IdentityError,
    },
    /// The key management entity of QKD equipment.
    #[error(transparent)]
    Kme(#[from] Etsi014Error),
    /// The server's key directory.
    #[error(transparent)]
    Directory(#[from] DirectoryFault),
    /// Somebody's identity key is not the one that was pinned.
    #[error(
        "the identity key of {0} has changed since this device first saw it: someone may be impersonating them. \
         Nothing is sent to them, nor to rooms that they are in. Ask them over another channel whether their keys have \
         changed; `qchat verify {0} --accept` shows what has changed and goes on with it"
    )]
    IdentityChanged(UserName),
    /// No such room here.
    #[error("there is no room {0:?} here; `qchat room list` shows the rooms")]
    NoSuchRoom(String),
    /// Several rooms have that name.
    #[error("several rooms are called {0:?}; use the id that `qchat room list` shows")]
    AmbiguousRoom(String),
    /// No such message here.
    #[error("there is no message {0} in that room here; `qchat history --ids` shows the ids")]
    NoSuchMessage(String),
    /// Several messages have ids that begin so.
    #[error("several messages of that room begin with {0}; give more digits of the id")]
    AmbiguousMessage(String),
    /// The account may not change that message so.
    #[error("{0}")]
    NotAllowed(#[from] NotAllowed),
    /// A message has not reached everybody in time.
    #[error("the message was sent as {seq}, and these have not said in time that it has reached them: {}", missing.join(", "))]
    NotReached {
        /// Its place in the log.
        seq: Seq,
        /// Who has not said so, by name.
        missing: Vec<String>,
    },
    /// Nobody of that name.
    #[error("there is no user {0}; check the spelling")]
    NoSuchUser(UserName),
    /// Somebody of that name is gone for good.
    #[error("{0} has deleted that account; nobody else gets the name. Ask them whether they have another")]
    UserDeleted(UserName),
    /// The room has no such member.
    #[error("{0} is not in that room")]
    NotInRoom(UserName),
    /// The user is in the room already.
    #[error("{0} is in that room already")]
    AlreadyInRoom(UserName),
    /// The user cannot be reached by a group at all.
    #[error("{0} has no device that could be invited; they have to log in once")]
    NoDevices(UserName),
    /// This account is not in the room.
    #[error("you are not in that room{0}")]
    NotMember(&'static str),
    /// The room's rules.
    #[error("{0}")]
    Refused(String),
    /// The text or name cannot be sent as it is.
    #[error("{0}")]
    Invalid(String),
    /// The daemon knows another passphrase of the account than the profile's.
    #[error(
        "the passphrase is this profile's, and not the account's: it was changed on another device. Say that one with \
         --account-passphrase-file F"
    )]
    OtherPassphrase,
    /// This profile is a previous copy of one that has gone on.
    #[error(
        "this profile is a previous copy: the server and the rooms know a newer state of this device, and its keys must not be \
         used twice. Nothing is sent. If the newer one is in use somewhere, use that one and delete this; if it is lost, \
         `qchat profile recover` keeps history and contacts and has this device added to its rooms again"
    )]
    OldCopy,
    /// Not registered or logged out.
    #[error("this profile is logged out; `qchat login NAME` logs it in")]
    LoggedOut,
    /// The profile belongs to somebody else.
    #[error("this profile belongs to {0}; use --profile to choose another")]
    OtherAccount(UserName),
    /// What the other device of a link says does not hold.
    #[error("the other device cannot be linked: {0}. Begin anew with `qchat device link`")]
    Link(#[from] LinkError),
    /// The link is over.
    #[error(
        "this link is over: the other device gave it up or refused it, another one was begun, or it took more than 10 \
         minutes. Begin anew with `qchat device link`"
    )]
    LinkOver,
    /// A link was begun in this profile and not completed.
    #[error(
        "a link was begun in this profile and not completed; repeat `qchat device link NAME` to complete it"
    )]
    LinkBegun,
    /// A restore was begun in this profile and not completed.
    #[error(
        "a restore was begun in this profile and not completed; repeat `qchat backup restore NAME` to complete it"
    )]
    RestoreBegun,
    /// A backup is refused, with its reason.
    #[error("the backup is refused: {0}")]
    Backup(String),
    /// There is no backup.
    #[error(
        "there is no such backup at the server; `qchat backup list` shows them on a device of the account"
    )]
    NoBackup,
    /// The profile does not have what backups are sealed to.
    #[error(
        "this profile does not have the key for backups yet, which the recovery words give: say them once with `qchat backup \
         create --recovery-file F`, or on a terminal"
    )]
    WordsNeeded,
    /// Recovery words of another account.
    #[error("these are recovery words, but not those of this account: look for the right ones")]
    OtherWords,
    /// Two devices show different codes.
    #[error(
        "the two devices do not show the same code: somebody may stand between them. Nothing was handed over. If you \
         did not mistype it, do not try again over this connection or server before you know who"
    )]
    CodesDiffer,
    /// No such device.
    #[error("this account has no device {0:?}; `qchat device list` shows them")]
    NoSuchDevice(String),
    /// These rooms could not be read to their end; all others were.
    #[error("{}", partial(.0))]
    Partial(Vec<RoomId>),
    /// These messages were not deleted; others may have been.
    #[error("{}", undeleted(.0))]
    NotDeleted(Deletion),
    /// A file.
    #[error(transparent)]
    File(#[from] FileTrouble),
    /// It took too long.
    #[error("{0}")]
    Timeout(String),
    /// What was fetched cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(String),
    /// No randomness, or a key could not be made.
    #[error("keys cannot be made: {0}")]
    Keys(String),
    /// The engine has been shut down.
    #[error("the engine has stopped")]
    Stopped,
}

impl EngineError {
    /// Nothing is begun with somebody who is blocked.
    pub(super) fn blocked(name: &UserName) -> Self {
        Self::Refused(format!("you have blocked {name}; `qchat unblock {name}` ends that"))
    }

    /// Why a device does not write to a room in which it stands like this; `None`: it does.
    pub(super) fn not_writing(phase: Phase) -> Option<Self> {
        let why = match phase {
            Phase::Member => return None,
            Phase::Leaving(_) | Phase::Left(_) => ": you left it",
            Phase::Removed(_) => " any more: you were removed. Ask a member to invite you again",
            Phase::Stuck(_) => {
                ": this device cannot follow it any more and waits for a member to add it again. If nobody can, \
                 an owner restarts the room with `qchat room restart`"
            }
        };
        Some(Self::NotMember(why))
    }

    /// The process's exit code: 0 done, 1 unexpected, 2 usage, 3 network or timeout, 4 authentication or locked, 5 not
    /// found, 6 refused by policy or untrusted key, 7 rate-limited, 8 partial.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Net(error) => match error {
                NetError::Fault(fault) => fault_exit_code(fault),
                NetError::PlainHttp { .. } | NetError::Untrusted { .. } => 6,
                _ => 3,
            },
            Self::Kme(error) => match error {
                Etsi014Error::Address(_) | Etsi014Error::Credentials { .. } => 2,
                Etsi014Error::Unreachable { .. } | Etsi014Error::Unavailable(_) => 3,
                Etsi014Error::Unauthorized(_) => 4,
                Etsi014Error::Untrusted { .. } | Etsi014Error::BadRequest(_) | Etsi014Error::Missing(_) => 6,
                Etsi014Error::Answer { .. }
                | Etsi014Error::TooLong(_)
                | Etsi014Error::Malformed(_)
                | Etsi014Error::Size { .. } => 1,
            },
            Self::Timeout(_) => 3,
            Self::File(error) => error.exit_code(),
            Self::Partial(_) | Self::NotReached { .. } | Self::NotDeleted(Deletion { deleted: 1.., .. }) => 8,
            Self::NotDeleted(Deletion { on_their_way, .. }) => {
                if on_their_way.is_empty() {
                    5
                } else {
                    6
                }
            }
            Self::LoggedOut
            | Self::LinkBegun
            | Self::RestoreBegun
            | Self::WordsNeeded
            | Self::OtherPassphrase
            | Self::OtherAccount(_)
            | Self::Vault(VaultError::WrongPassphrase | VaultError::Keyring(_))
            | Self::Store(StoreError::WrongKey) => 4,
            Self::Vault(VaultError::Missing(_))
            | Self::Store(StoreError::Missing(_))
            | Self::NoSuchRoom(_)
            | Self::NoSuchMessage(_)
            | Self::NoSuchUser(_)
            | Self::NoSuchDevice(_)
            | Self::NoBackup
            | Self::UserDeleted(_)
            | Self::NotInRoom(_) => 5,
            Self::AmbiguousRoom(_) | Self::AmbiguousMessage(_) | Self::Invalid(_) => 2,
            Self::OldCopy
            | Self::Identity { .. }
            | Self::Directory(_)
            | Self::IdentityChanged(_)
            | Self::NotMember(_)
            | Self::NotAllowed(_)
            | Self::Refused(_)
            | Self::NoDevices(_)
            | Self::AlreadyInRoom(_)
            | Self::Link(_)
            | Self::LinkOver
            | Self::CodesDiffer
            | Self::Backup(_)
            | Self::OtherWords
            | Self::Group(_) => 6,
            Self::Session(error) => match &**error {
                SessionError::NotWriting(_)
                | SessionError::NotJoined
                | SessionError::Welcome(_)
                | SessionError::Anchor
                | SessionError::Joined
                | SessionError::Restarting
                | SessionError::NotOwner
                | SessionError::Stranger
                | SessionError::Mls(_) => 6,
                _ => 1,
            },
            Self::Store(_) | Self::Vault(_) | Self::Output(_) | Self::Keys(_) | Self::Stopped => 1,
        }
    }
}

fn partial(rooms: &[RoomId]) -> String {
    let rooms: Vec<String> = rooms.iter().map(RoomId::to_string).collect();
    let what = if rooms.len() == 1 { "the room" } else { "the rooms" };
    format!(
        "{what} {} could not be read to the end; `qchat -v` says why, and the next command tries again",
        rooms.join(", ")
    )
}

fn undeleted(deletion: &Deletion) -> String {
    let list = |ids: &[MessageId]| ids.iter().map(MessageId::to_string).collect::<Vec<_>>().join(", ");
    let mut sentences = vec![];
    if !deletion.unknown.is_empty() {
        let ids = list(&deletion.unknown);
        sentences.push(format!(
            "there is no message {ids} in that room here; `qchat history --json` shows the ids"
        ));
    }
    if !deletion.on_their_way.is_empty() {
        let ids = list(&deletion.on_their_way);
        sentences.push(format!("{ids} is on its way to the server; delete it again when it has been sent"));
    }
    sentences.join(". ")
}

fn fault_exit_code(fault: &Fault) -> u8 {
    match fault.code {
        FaultCode::BadRequest | FaultCode::TooLarge => 2,
        FaultCode::Unauthenticated | FaultCode::SessionEnded => 4,
        FaultCode::NotFound | FaultCode::AccountDeleted => 5,
        FaultCode::Forbidden
        | FaultCode::Quota
        | FaultCode::NameTaken
        | FaultCode::Conflict
        | FaultCode::NotMember => 6,
        FaultCode::RateLimited => 7,
        FaultCode::Unavailable => 3,
        FaultCode::StaleEpoch
        | FaultCode::MissingTree
        | FaultCode::OutOfOrder
        | FaultCode::UnsupportedVersion
        | FaultCode::Internal => 1,
    }
}

impl From<SessionError<StoreError>> for EngineError {
    fn from(error: SessionError<StoreError>) -> Self {
        match error {
            // Removed, say, between a look at the room and the write.
            SessionError::NotWriting(phase) => Self::not_writing(phase)
                .unwrap_or_else(|| Self::Session(Box::new(SessionError::NotWriting(phase)))),
            SessionError::Ledger(error) => Self::Store(error),
            SessionError::Mls(fault) | SessionError::Unsealable { source: fault, .. } => Self::Group(fault),
            error => Self::Session(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_write_is_told_why_in_words() {
        for (phase, why) in [
            (Phase::Removed(Seq(5)), "you were removed"),
            (Phase::Left(Seq(5)), "you left it"),
            (Phase::Stuck(Seq(5)), "cannot follow it any more"),
        ] {
            let error = EngineError::from(SessionError::<StoreError>::NotWriting(phase));
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.exit_code(), 6, "{error}");
        }
    }
}
