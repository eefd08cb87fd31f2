//! An entry of the audit log: what it says, and the bytes that the next one commits to. docs/operations.md has the format.

use qchat_proto::ids::{AccountId, DeviceId};
use sha2::{Digest, Sha384};

use crate::store::{StoreError, to_sql};

/// SHA-384: an entry's hash covers the entry and the hash of the one before.
pub type Hash = [u8; 48];

/// What the first entry has before it.
pub const START: Hash = [0; 48];

/// What begins the bytes that are hashed.
const LABEL: &[u8; 15] = b"qchatd audit v1";

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident, $what:literal: $($(#[$each:meta])* $variant:ident = $code:literal $word:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$each])* $variant = $code,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word that people and programs are shown.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The number that is stored.
            pub const fn code(self) -> u8 {
                self as u8
            }

            pub(super) fn read(code: i16) -> Result<Self, StoreError> {
                match code {
                    $($code => Ok(Self::$variant),)*
                    _ => Err(StoreError::Corrupt($what)),
                }
            }
        }
    };
}

codes! {
    /// What somebody did, or tried. Numbers and words stay what they are.
    Act, "an act":
    /// An account was created.
    Register = 1 "register",
    /// A session was opened by a device's proof.
    SignIn = 2 "sign_in",
    /// A refresh token was exchanged. Only failures are noted.
    Refresh = 3 "refresh",
    /// A request with an access token. Only failures are noted.
    Access = 4 "access",
    /// A device ended its session.
    SignOut = 5 "sign_out",
    /// All sessions of the account were ended.
    SignOutEverywhere = 6 "sign_out_everywhere",
    /// The account's signed device list was replaced.
    ChangeDeviceList = 7 "change_device_list",
    /// A device was taken off the list.
    RevokeDevice = 8 "revoke_device",
    /// The passphrase was replaced.
    ChangePassphrase = 9 "change_passphrase",
    /// What the daemon holds about the account was given out.
    ExportAccount = 10 "export_account",
    /// The account was erased.
    DeleteAccount = 11 "delete_account",
    /// The key that signs access tokens was replaced.
    RotateKeys = 12 "rotate_keys",
    /// The database was copied.
    Backup = 13 "backup",
    /// What nobody needs was deleted by hand.
    Sweep = 14 "sweep",
    /// A new database was filled for development.
    Seed = 15 "seed",
    /// The audit log was read.
    ReadAudit = 16 "read_audit",
    /// Entries were not noted, because too many came at once.
    Overflow = 17 "overflow",
    /// The oldest entries were deleted, up to one whose hash this entry carries.
    Forget = 18 "forget",
    /// A device that knows the passphrase asked the account's devices to be let in, or somebody with a wrong one.
    LinkDevice = 19 "link_device",
}

codes! {
    /// What became of it.
    Outcome, "an outcome":
    /// Done.
    Done = 1 "done",
    /// The device's proof was wrong.
    WrongProof = 2 "wrong_proof",
    /// The passphrase was wrong.
    WrongPassphrase = 3 "wrong_passphrase",
    /// The token was forged, expired or unknown.
    BadToken = 4 "bad_token",
    /// The token had been used before, so its session was ended.
    TokenReused = 5 "token_reused",
    /// It came too often.
    RateLimited = 6 "rate_limited",
    /// It could not be done.
    Failed = 7 "failed",
}

codes! {
    /// Who did it.
    Actor, "an actor":
    /// The account itself, by one of its devices.
    Account = 1 "account",
    /// Somebody who has not proved who they are.
    Unknown = 2 "unknown",
    /// Whoever runs the daemon, by a command.
    Operator = 3 "operator",
    /// The daemon by itself.
    Daemon = 4 "daemon",
}

/// Entries that were deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// The last of them.
    pub until: i64,
    /// Its hash.
    pub hash: Hash,
}

/// What an entry says, before it has a place in the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// When it happened, or happened first, Unix seconds.
    pub first_at: i64,
    /// When it happened last; not before `first_at`.
    pub last_at: i64,
    /// How often it happened between the two, both included: 1 at least.
    pub times: i64,
    /// What was done or tried.
    pub act: Act,
    /// What became of it.
    pub outcome: Outcome,
    /// Who did it.
    pub actor: Actor,
    /// The account that it is about.
    pub account: Option<AccountId>,
    /// The device that it is about.
    pub device: Option<DeviceId>,
    /// Where it came from, as coarse as is configured: an address or a network, in ASCII, 64 bytes at most.
    pub peer: Option<String>,
    /// What was deleted, of [`Act::Forget`].
    pub deleted: Option<Deleted>,
}

impl Draft {
    /// Something that happened once.
    pub fn new(at: i64, act: Act, outcome: Outcome, actor: Actor) -> Self {
        let at = at.max(0);
        Self {
            first_at: at,
            last_at: at,
            times: 1,
            act,
            outcome,
            actor,
            account: None,
            device: None,
            peer: None,
            deleted: None,
        }
    }
}

/// An entry in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its place; the first has 1.
    pub seq: i64,
    /// What it says.
    pub says: Draft,
    /// What the next one commits to, as it is stored.
    pub hash: Hash,
}

impl Entry {
    /// Whether its hash is the one that follows from `before`, the hash of the entry before, and from what it says.
    pub fn follows(&self, before: &Hash) -> bool {
        hash(before, self.seq, &self.says) == self.hash
    }
}

/// The hash of what an entry says at a place.
pub(super) fn hash(before: &Hash, seq: i64, says: &Draft) -> Hash {
    let mut hash = Sha384::new();
    hash.update(LABEL);
    hash.update(before);
    for number in [seq, says.first_at, says.last_at, says.times] {
        hash.update(number.to_be_bytes());
    }
    hash.update([says.act.code(), says.outcome.code(), says.actor.code()]);
    for id in [
        says.account.as_ref().map(qchat_proto::ids::AccountId::as_bytes),
        says.device.as_ref().map(qchat_proto::ids::DeviceId::as_bytes),
    ] {
        hash.update([u8::from(id.is_some())]);
        hash.update(id.map_or(&[][..], |id| id.as_slice()));
    }
    let peer = says.peer.as_deref().unwrap_or_default().as_bytes();
    hash.update(to_sql(peer.len() as u64).to_be_bytes());
    hash.update(peer);
    hash.update([u8::from(says.deleted.is_some())]);
    if let Some(deleted) = says.deleted {
        hash.update(deleted.until.to_be_bytes());
        hash.update(deleted.hash);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry with everything in it.
    fn full() -> Draft {
        Draft {
            last_at: 1_700_000_060,
            times: 37,
            account: Some(AccountId::from_bytes([1; 16])),
            device: Some(DeviceId::from_bytes([2; 16])),
            peer: Some("203.0.113.0/24".to_owned()),
            deleted: Some(Deleted { until: 3, hash: [4; 48] }),
            ..Draft::new(1_700_000_000, Act::SignIn, Outcome::WrongProof, Actor::Unknown)
        }
    }

    #[test]
    fn the_hash_of_an_entry_is_over_the_documented_bytes() {
        let before = [9; 48];
        let mut bytes = b"qchatd audit v1".to_vec();
        bytes.extend(before);
        for number in [5_i64, 1_700_000_000, 1_700_000_060, 37] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend([2, 2, 2]);
        bytes.extend([&[1][..], &[1; 16], &[1], &[2; 16]].concat());
        bytes.extend([&14_i64.to_be_bytes()[..], b"203.0.113.0/24"].concat());
        bytes.extend([&[1][..], &3_i64.to_be_bytes(), &[4; 48]].concat());
        assert_eq!(hash(&before, 5, &full()), Hash::from(Sha384::digest(&bytes)));

        let bare = Draft::new(7, Act::Backup, Outcome::Done, Actor::Operator);
        let mut bytes = b"qchatd audit v1".to_vec();
        bytes.extend(START);
        for number in [1_i64, 7, 7, 1] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend([13, 1, 3, 0, 0]);
        bytes.extend([0; 8]);
        bytes.push(0);
        assert_eq!(hash(&START, 1, &bare), Hash::from(Sha384::digest(&bytes)));
    }

    #[test]
    fn whatever_changes_in_an_entry_changes_its_hash() {
        let before = [9; 48];
        let entry = Entry { seq: 5, says: full(), hash: hash(&before, 5, &full()) };
        assert!(entry.follows(&before));
        assert!(!entry.follows(&[8; 48]));
        assert!(!Entry { seq: 6, ..entry.clone() }.follows(&before));
        let changes: [fn(&mut Draft); 11] = [
            |says| says.first_at += 1,
            |says| says.last_at += 1,
            |says| says.times += 1,
            |says| says.act = Act::SignOut,
            |says| says.outcome = Outcome::Done,
            |says| says.actor = Actor::Account,
            |says| says.account = None,
            |says| says.device = Some(DeviceId::from_bytes([3; 16])),
            |says| says.peer = None,
            |says| says.deleted = None,
            // What one field loses another does not gain.
            |says| {
                (says.account, says.device) =
                    (says.device.map(|id| AccountId::from_bytes(*id.as_bytes())), None);
            },
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut altered = entry.clone();
            change(&mut altered.says);
            assert!(!altered.follows(&before), "change {number}");
        }
    }

    #[test]
    fn codes_and_words_are_unique_and_are_read_back() {
        let codes = |list: Vec<(u8, &'static str)>| {
            let numbers: std::collections::BTreeSet<_> = list.iter().map(|(code, _)| *code).collect();
            let words: std::collections::BTreeSet<_> = list.iter().map(|(_, word)| *word).collect();
            assert_eq!((numbers.len(), words.len()), (list.len(), list.len()));
        };
        codes(Act::ALL.iter().map(|act| (act.code(), act.word())).collect());
        codes(Outcome::ALL.iter().map(|outcome| (outcome.code(), outcome.word())).collect());
        codes(Actor::ALL.iter().map(|actor| (actor.code(), actor.word())).collect());
        for act in Act::ALL {
            assert_eq!(Act::read(act.code().into()).ok(), Some(*act));
        }
        assert!(Act::read(0).is_err() && Outcome::read(-1).is_err() && Actor::read(99).is_err());
    }
}
