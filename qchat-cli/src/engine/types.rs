//! What the engine tells its clients: the TUI, the CLI and scripts see these and nothing of storage or transport.
//! Every string that a peer chose has been through `qchat_proto::sanitize` before it gets here, save [`Body::Text`] and
//! [`File::caption`]: scripts get the text as it was sent, and whoever puts it on a terminal sanitises it.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use qchat_proto::{
    content::Role,
    identity::link::Code,
    ids::{AccountId, DeviceId, LinkId, MessageId, RoomId, Seq, UserName},
    mls::psk::PskKind,
};
use qchat_quantum::etsi014::KeyId;
use time::OffsetDateTime;

pub use super::shown::{ChangeKind, ChangeMade, File, Marks, Poll, PollOption, Reaction, Reply, size};
pub use crate::{
    net::tls::Link,
    store::{Deletion, Standing},
};

/// Where this device stands in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoomStatus {
    /// Somebody invited this account; nothing has been joined.
    Invited,
    /// A member.
    Joined,
    /// This account asked to leave; the room is hidden.
    Left,
    /// Somebody removed this account.
    Removed,
    /// This device cannot follow the room any more.
    Stuck,
}

/// A room in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomSummary {
    /// The room.
    pub id: RoomId,
    /// Its name, fit for a single line of a terminal; that of the other one after an `@` in a conversation of two.
    pub name: String,
    /// Whether it is a conversation of two.
    pub direct: bool,
    /// Where this device stands.
    pub status: RoomStatus,
    /// Messages from others after the last one that was read.
    pub unread: u64,
    /// Where that one stands; not known of what one is only invited to.
    pub read: Option<Seq>,
    /// Those of them that mention this account.
    pub mentions: u64,
    /// What the user has noted of it.
    pub marks: RoomMarks,
    /// Who invited this account, while the status is `Invited`.
    pub invited_by: Option<String>,
    /// When the last message was stored.
    pub last_activity: Option<OffsetDateTime>,
    /// Nothing is sent here while the identity of this member has changed and was not accepted.
    pub blocked_by: Option<String>,
}

/// What the user has noted of a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RoomMarks {
    /// It is out of the way.
    pub archived: bool,
    /// It says nothing aloud.
    pub muted: bool,
    /// It stands before others.
    pub favourite: bool,
}

impl RoomMarks {
    /// Whether what comes there is told without being asked for.
    pub fn is_loud(self) -> bool {
        !self.archived && !self.muted
    }
}

/// A member of a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// How many of its devices are in the room's group.
    pub devices: usize,
    /// The name that its user goes by, fit for a line of a terminal, where they have said one.
    pub display_name: Option<String>,
    /// What it may do.
    pub role: Role,
    /// Whether it was invited and has not joined yet: nothing was heard of it since it was added. Of those who were
    /// there before this device it is the daemon that says so.
    pub invited: bool,
    /// Whether the user has compared its safety number.
    pub verified: bool,
    /// Whether its identity has changed and was not accepted.
    pub changed: bool,
}

/// A room with everything that `room show` prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomDetails {
    /// The list entry.
    pub summary: RoomSummary,
    /// Who is in it.
    pub members: Vec<Member>,
    /// The MLS epoch.
    pub epoch: u64,
    /// What it is about, fit for a line of a terminal; may be empty.
    pub topic: String,
    /// Whom nobody adds, by name.
    pub banned: Vec<String>,
    /// After how many seconds every device deletes a message.
    pub expire_after: Option<NonZeroU32>,
    /// The last envelope processed.
    pub cursor: Seq,
    /// Messages that wait to be sent.
    pub waiting: usize,
    /// When this device last gave itself fresh keys here.
    pub keys_renewed: Option<OffsetDateTime>,
    /// The key from elsewhere that the room's keys depend on.
    pub mixed_key: Option<MixedKey>,
    /// Keys that were offered and are not mixed in yet.
    pub offered_keys: Vec<OfferedKey>,
}

/// A key from elsewhere in a room's key schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MixedKey {
    /// Where it comes from.
    pub kind: PskKind,
    /// The first epoch that depends on it.
    pub since: u64,
}

/// A key from elsewhere on its way into a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfferedKey {
    /// Where it comes from.
    pub kind: PskKind,
    /// Its name at the key management entities, or of the run that it comes from.
    pub key: KeyId,
    /// Whose device offers it.
    pub by: String,
    /// Whose devices it waits for, as far as this one knows.
    pub waits_for: Vec<String>,
}

/// How far an own message has come; one from somebody else is always `Sent`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Stored here, not acknowledged yet.
    Pending,
    /// Acknowledged by the daemon: durable, and every member will see it.
    Sent,
    /// It can never be sent.
    Failed,
}

/// What a line of the timeline says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Text, possibly of several lines, as its sender wrote it: not yet fit for a terminal.
    Text(String),
    /// A poll.
    Poll(Poll),
    /// A file.
    File(File),
    /// Nothing: somebody has deleted the message for everyone. Their name.
    Deleted(String),
    /// A content type that this version does not know.
    Unknown,
    /// Something that happened in the room, as a sentence.
    Notice(String),
    /// The same, and it needs attention: somebody tampers, or this device cannot follow.
    Warning(String),
}

/// A line of a room's timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Position in this device's timeline: grows with every stored line, own pending ones included.
    pub row: i64,
    /// The room.
    pub room: RoomId,
    /// Its place in the room's log; none while pending.
    pub seq: Option<Seq>,
    /// Its id; none for a notice.
    pub id: Option<MessageId>,
    /// Whose it is; none for a notice.
    pub sender: Option<Sender>,
    /// When its sender says it was written; for a notice, when it was stored.
    pub sent_at: OffsetDateTime,
    /// The MLS epoch it was sealed in (0 while pending).
    pub epoch: u64,
    /// What it says.
    pub body: Body,
    /// How far it has come.
    pub delivery: Delivery,
    /// What belongs to it.
    pub marks: Marks,
}

impl Message {
    /// Whether somebody wrote it, and it is shown as theirs.
    pub fn is_said(&self) -> bool {
        match self.body {
            Body::Text(_) | Body::Poll(_) | Body::File(_) | Body::Deleted(_) | Body::Unknown => true,
            Body::Notice(_) | Body::Warning(_) => false,
        }
    }
}

/// Who wrote a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sender {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// The device.
    pub device: DeviceId,
    /// Whether it is this account.
    pub me: bool,
    /// Whether the user has compared its safety number.
    pub verified: bool,
    /// Whether its identity has changed and was not accepted.
    pub changed: bool,
}

/// Somebody who is pinned, and how far they are trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trusted {
    /// Their name.
    pub name: UserName,
    /// Their account.
    pub account: AccountId,
    /// SHA-384 of the identity key that is pinned: its fingerprint.
    pub fingerprint: [u8; 48],
    /// How far they are trusted.
    pub standing: Standing,
    /// Since when, where it was noted.
    pub since: Option<OffsetDateTime>,
}

/// A device of this account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnDevice {
    /// The device.
    pub device: DeviceId,
    /// Whether it is this one.
    pub me: bool,
    /// How it is called, fit for a line of a terminal; `None` when its label is missing or cannot be read.
    pub name: Option<String>,
    /// When it was let in, as the device says that did.
    pub added_at: OffsetDateTime,
    /// Which device let it in; `None` for the account's first, and when its label is missing.
    pub added_by: Option<DeviceId>,
    /// When it had a new token last, to the hour; as the daemon says.
    pub last_seen: Option<OffsetDateTime>,
}

/// A device that wants to belong to this account, and has shown what it had committed to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkRequest {
    /// By this link.
    pub link: LinkId,
    /// Itself.
    pub device: DeviceId,
    /// How it wants to be called, fit for a line of a terminal.
    pub name: String,
    /// When it has asked; as the daemon says.
    pub asked_at: OffsetDateTime,
    /// What is left of its time; as the daemon says.
    pub left: Duration,
    /// What its user has to see, too.
    pub code: Code,
    /// Whether its user has said so; as the daemon says.
    pub confirmed: bool,
}

/// Whether a device wants to belong to this account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkStatus {
    /// None.
    None,
    /// One does, and was answered; it has to show itself now.
    Opening,
    /// One does, and another device of the account deals with it.
    Elsewhere(DeviceId),
    /// One does, and here is what to compare.
    Asks(LinkRequest),
}

/// Somebody's identity key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Whose.
    pub name: UserName,
    /// The account.
    pub account: AccountId,
    /// SHA-384 of the key that is pinned: its fingerprint.
    pub hash: [u8; 48],
    /// Whether it is this account's own.
    pub me: bool,
    /// Whether the user has compared the fingerprint.
    pub verified: bool,
    /// Whether the daemon shows another key now, which was not accepted.
    pub changed: bool,
}

/// The connection to the daemon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Connection {
    /// Trying.
    Connecting,
    /// Up, and so protected.
    Online(Link),
    /// Down; the next try is under way after a pause. In words, why.
    Offline(String),
}

/// What clients are told as it happens. A hint to read again: the store is the truth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Lines were stored in, or changed in, this room.
    Timeline(RoomId),
    /// These messages of this device stand in the room's log, at these seqs.
    Sent(RoomId, Arc<[(MessageId, Seq)]>),
    /// Messages of this room have become something else: they were edited, deleted for everyone, reacted to, and so on.
    Changed(RoomId),
    /// Messages were deleted from this device, here or by another process: what was read before may be gone.
    Deleted,
    /// The list of rooms, or what it says of one, changed.
    Rooms,
    /// More of this room has been read.
    Read(RoomId),
    /// Whether somebody is there has changed.
    Presence(AccountId),
    /// Who writes something in this room has changed.
    Writing(RoomId),
    /// The account's devices changed, or one wants to become one.
    Devices,
    /// The connection changed.
    Connection(Connection),
    /// Something went wrong that the user should know; a sentence with a remedy.
    Trouble(String),
}

/// How far an invitation of many people is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inviting {
    /// People are being looked up.
    LookingUp {
        /// So many were.
        done: usize,
        /// So many there are.
        of: usize,
    },
    /// Their KeyPackages are being fetched.
    Claiming {
        /// So many people's were.
        done: usize,
        /// So many people there are.
        of: usize,
    },
    /// Their devices are being added to the group.
    Adding {
        /// So many were.
        done: usize,
        /// So many there are.
        of: usize,
    },
}
