//! What a device remembers about its rooms, as the protocol needs it: the client keeps it in its database, tests in
//! memory. Whoever implements [`Ledger`] runs each operation of [`super`] in one transaction and drops everything when
//! the operation fails, so that a crash between any two steps loses nothing and repeats nothing.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::{
    content::{Exercise, RoomSettings, SettingsChange},
    identity::DeviceList,
    ids::{AccountId, DeviceId, InviteId, MessageId, RoomId, Seq},
    mls::{
        device::OwnKeyPackage,
        group::Group,
        membership::Leaf,
        psk::{Psk, PskId, PskKind},
    },
    session::shared_key::{MixedKey, Offer},
    wire::{frame::Invitation, tree::TreeHash},
};

/// h_s, the hash over a room's log up to and including seq s (docs/PROTOCOL.md, "The head").
pub type Head = [u8; 48];

/// Where this device stands in a room, by what it has itself processed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// A member that follows.
    Member,
    /// Its own SelfRemove stands in the log at this seq; it processes on, shows nothing, seals nothing.
    Leaving(Seq),
    /// It cannot follow from this seq on, or after it, where it has missed a part of the log; it seals nothing and confirms
    /// nothing.
    Stuck(Seq),
    /// A commit removed it at this seq.
    Removed(Seq),
    /// Its own SelfRemove took effect at this seq.
    Left(Seq),
}

/// The few numbers of a room that change with every envelope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomState {
    /// The room.
    pub room: RoomId,
    /// Where this device stands.
    pub phase: Phase,
    /// Everything up to and including this seq has been processed.
    pub cursor: Seq,
    /// The head at the cursor.
    pub head: Head,
    /// The seq of the last commit processed, applied or rejected.
    pub commit_seq: Seq,
    /// How many envelopes of this device the room has accepted since it became a member.
    pub accepted: u64,
    /// Which of the room's groups in a row this device follows, or has to get into.
    pub generation: Seq,
    /// The MLS epoch in it; 0 while this device has yet to get into it.
    pub epoch: u64,
}

/// A group as it is stored. Holds every secret of the room.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupBlob {
    /// What the library writes, without the ratchet tree.
    pub state: Zeroizing<Vec<u8>>,
    /// The ratchet tree that belongs to it; empty when it was stored before trees stood apart.
    pub tree: Bytes,
}

/// A group to be stored.
#[derive(Clone)]
pub struct GroupUpdate {
    /// Replaces the stored state.
    pub state: Zeroizing<Vec<u8>>,
    /// Replaces the stored ratchet tree; `None` when that is still the one.
    pub tree: Option<Bytes>,
}

/// A device on the list that the daemon keeps, as all declared deltas make it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ListedDevice {
    /// Its account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
}

/// How long an invitation may stay unanswered, seconds: 7 days.
pub const INVITATION_LIFETIME: u64 = 7 * 24 * 3600;

/// A device that a commit has added and that has not been heard since. Whether it is one, each member finds out alone:
/// the daemon's word would let it have members removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invitee {
    /// The device.
    pub device: DeviceId,
    /// When this device processed the Add, seconds since the Unix epoch by its own clock.
    pub since: u64,
}

impl Invitee {
    /// Whether the invitation has stayed unanswered for too long. `now`: seconds since the Unix epoch.
    pub fn is_overdue(&self, now: u64) -> bool {
        now.saturating_sub(self.since) >= INVITATION_LIFETIME
    }
}

/// A device that asked to be added again, by a request that its device key has signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The device.
    pub device: DeviceId,
    /// The KeyPackage (MLSMessage) that it wants to be added by.
    pub key_package: Bytes,
}

/// This device's request to be added again to a room that it cannot follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnRequest {
    /// Drawn once.
    pub message_id: MessageId,
    /// The logged bytes.
    pub envelope: Bytes,
    /// The envelope's `commit_seq`.
    pub commit_seq: Seq,
    /// From when on another is made in its place, seconds since the Unix epoch.
    pub expires_at: u64,
    /// Whether it is in the log, or the daemon says so: it is sent no more.
    pub logged: bool,
}

/// When this device last gave itself fresh keys in a room, with a commit of its own or by joining.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Renewal {
    /// Seconds since the Unix epoch by its own clock.
    pub at: u64,
    /// [`RoomState::accepted`] then.
    pub accepted: u64,
}

/// How long a device uses its keys in a small room before it gives itself fresh ones. It may be shorter than a day or a
/// hundred envelopes, and never longer: what leaked of the keys must not open everything that follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyLife {
    envelopes: u64,
    seconds: u64,
}

impl KeyLife {
    /// Most envelopes that a device seals with its keys, and how many unless something else is said.
    pub const MOST: u64 = 100;
    /// The longest life of a device's keys, seconds: a day; and how long they live unless something else is said.
    pub const LONGEST: u64 = 24 * 3600;
    /// The shortest life, seconds: a commit a minute of every member is as much as others should bear.
    pub const SHORTEST: u64 = 60;

    /// As near to what is asked as is allowed.
    pub fn new(envelopes: u64, seconds: u64) -> Self {
        Self {
            envelopes: envelopes.clamp(1, Self::MOST),
            seconds: seconds.clamp(Self::SHORTEST, Self::LONGEST),
        }
    }

    /// How many envelopes a device seals with its keys.
    pub fn envelopes(self) -> u64 {
        self.envelopes
    }

    /// How long its keys live, seconds.
    pub fn seconds(self) -> u64 {
        self.seconds
    }
}

impl Default for KeyLife {
    fn default() -> Self {
        Self::new(Self::MOST, Self::LONGEST)
    }
}

impl Renewal {
    /// Up to so many devices a room is small. In a larger one time and envelopes are longer and more in proportion, so that
    /// there is one renewal in 10 minutes, whatever its size.
    const SMALL: u64 = 144;

    /// Whether it is time for fresh keys. `now`: seconds since the Unix epoch; `accepted`: envelopes of this device so
    /// far; `devices`: how many are in the room; `jitter`: any number, so that devices which began together do not
    /// renew together: it takes up to an eighth off the time.
    pub fn is_due(&self, now: u64, accepted: u64, devices: u64, jitter: u64, key_life: KeyLife) -> bool {
        let devices = devices.max(Self::SMALL);
        let life = key_life.seconds.saturating_mul(devices) / Self::SMALL;
        let life = life - jitter % (life / 8);
        let envelopes = key_life.envelopes.saturating_mul(devices) / Self::SMALL;
        now.saturating_sub(self.at) >= life || accepted.saturating_sub(self.accepted) >= envelopes
    }
}

/// A thing this device wants to say; it waits as plaintext until it is sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Want {
    /// An encoded `Content`.
    Application(Bytes),
    /// A change to the group.
    Commit(Change),
    /// A SelfRemove, the last thing this device seals.
    Leave,
}

/// Why a commit is made. What it does is decided when it is sealed, from the state of that moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Adds devices by their KeyPackages (MLSMessage each). Those that are members or revoked by then are passed over. Other
    /// devices of its own account are no invitees: their account is in the room.
    Add(Vec<Bytes>),
    /// Adds an account by its KeyPackages (MLSMessage each), which has asked by an invite link, and counts it where the link counts.
    /// Nobody is added when the link is gone, over or used up by then, or the account is in the room or banned.
    LetIn {
        /// The link.
        link: InviteId,
        /// Who has asked.
        account: AccountId,
        /// What its devices are added by.
        key_packages: Vec<Bytes>,
    },
    /// Removes every device of an account.
    RemoveAccount(AccountId),
    /// Removes the devices whose invitation is overdue, if any is when it is sealed.
    Withdraw,
    /// Replaces the room's settings.
    Settings(SettingsChange),
    /// Fresh keys for this device's path.
    Update,
    /// Commits the proposals that are waiting, removes devices whose SelfRemove was passed over and those of its own account
    /// that the account has revoked, leads the daemon's list back to the group's, adds a device again that asked for it, and
    /// mixes in a key that every device holds: whatever of these is owed.
    Duties,
    /// Not a commit of the group but the end of it: the room goes on with another, of the devices whose KeyPackages
    /// (MLSMessage each) these are. An admin that cannot follow wants it when nobody can ([`super::restart`]).
    Restart(Vec<Bytes>),
}

/// How far a waiting row has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RowState {
    /// Not sealed yet.
    Waiting,
    /// Sealed; these bytes are sent, and sent again, until they are answered.
    Sealed(Sealed),
    /// Refused; to be sealed again once the commit with this seq has been processed.
    Stale(Seq),
    /// A commit that the daemon has accepted; it takes effect when the inbox reaches it.
    Accepted(Sealed),
}

/// A sealed row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// The logged bytes.
    pub envelope: Bytes,
    /// The envelope's `commit_seq`, which a refusal must name.
    pub commit_seq: Seq,
    /// For a commit that adds: the Welcomes.
    pub welcomes: Vec<Invitation>,
    /// For a commit that adds: the name of the ratchet tree, which travels ahead ([`Ledger::outbox_tree`]).
    pub tree: Option<TreeHash>,
}

/// A row of the outbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxRow {
    /// Drawn once, kept through every sealing.
    pub message_id: MessageId,
    /// What it says.
    pub want: Want,
    /// How far it has come.
    pub state: RowState,
}

/// A message that was opened, to be stored and shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenedMessage {
    /// The room.
    pub room: RoomId,
    /// Its place.
    pub seq: Seq,
    /// Its id.
    pub message_id: MessageId,
    /// Whose device sent it, proven by the leaf's signature.
    pub account: AccountId,
    /// That device.
    pub device: DeviceId,
    /// The MLS epoch it was sealed in.
    pub epoch: u64,
    /// The encoded `Content`, unpadded.
    pub content: Bytes,
}

/// Something that happened in a room and that its people should see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A commit added these.
    Added {
        /// Whose commit.
        by: AccountId,
        /// The accounts that are new in the room.
        accounts: Vec<AccountId>,
    },
    /// A commit removed these.
    Removed {
        /// Whose commit.
        by: AccountId,
        /// The accounts that are no longer in the room.
        accounts: Vec<AccountId>,
    },
    /// A commit, whoever made it, carried out that these had asked to leave.
    Left {
        /// The accounts that are no longer in the room.
        accounts: Vec<AccountId>,
    },
    /// A device of this account has accepted its invitation.
    Joined(AccountId),
    /// A commit changed a member's devices.
    DevicesChanged {
        /// Whose commit.
        by: AccountId,
        /// The member.
        account: AccountId,
        /// How many of its devices are new in the room.
        added: usize,
        /// How many are no longer in it.
        removed: usize,
    },
    /// A commit added a device that its own account does not count among its devices any more.
    RevokedAdded {
        /// Whose commit.
        by: AccountId,
        /// The account that has revoked the device.
        account: AccountId,
    },
    /// A commit changed the settings.
    Settings(AccountId),
    /// An envelope that no member can open or that breaks the protocol in a way all can see; it was skipped.
    Rejected {
        /// The device that the envelope names.
        sender: DeviceId,
        /// In words, without content.
        reason: String,
    },
    /// Envelopes of a device are missing: its counter skipped some. Somebody dropped them.
    Gap {
        /// The sender.
        device: DeviceId,
        /// How many are missing.
        missing: u64,
    },
    /// An envelope names this device as its sender, but this device never sent it: a copy of its keys is in use.
    Clone,
    /// This device cannot follow the room any more.
    Stuck {
        /// In words.
        reason: String,
    },
    /// A device asks to be added again.
    ResyncAsked(DeviceId),
    /// A device that could not follow was added again.
    Readded(DeviceId),
    /// An admin has let the room go on with another group.
    Restarted(AccountId),
    /// A commit has mixed in a key from elsewhere.
    KeyMixed {
        /// Whose commit.
        by: AccountId,
        /// Where it comes from.
        kind: PskKind,
        /// The first epoch whose keys depend on it.
        epoch: u64,
    },
    /// This device has another key than the one that this device has offered, under its name: the offer was given up.
    KeyDiffers(DeviceId),
    /// The daemon shows other keys of this account than those that are pinned.
    IdentityChanged {
        /// Whose.
        account: AccountId,
        /// Whether the pinned recovery key stands behind the change.
        by_recovery_key: bool,
    },
    /// The user of this device has accepted such a change.
    IdentityAccepted(AccountId),
    /// A member's device was shown another key directory of the server than this one.
    SplitView {
        /// The member's device.
        device: DeviceId,
        /// The epoch at which the two differ.
        epoch: u64,
    },
}

/// A device's memory. All functions act inside the transaction that the implementor has opened.
pub trait Ledger {
    /// The storage's own error.
    type Error: std::error::Error + Send + Sync + 'static;

    /// A room's numbers; `None` when this device has not joined it.
    fn room(&mut self, room: RoomId) -> Result<Option<RoomState>, Self::Error>;
    /// Stores a room's numbers.
    fn put_room(&mut self, state: &RoomState) -> Result<(), Self::Error>;

    /// The MLS state and its tree.
    fn group(&mut self, room: RoomId) -> Result<Option<GroupBlob>, Self::Error>;
    /// Stores the MLS state, overwriting the last.
    fn put_group(&mut self, room: RoomId, update: &GroupUpdate) -> Result<(), Self::Error>;
    /// Deletes the MLS state for good.
    fn forget_group(&mut self, room: RoomId) -> Result<(), Self::Error>;

    /// The newest device list of an account that this device has verified; `None` when it knows none, which says nothing
    /// about the account's devices.
    ///
    /// # Errors
    /// The storage's own.
    fn device_list(&mut self, _account: AccountId) -> Result<Option<DeviceList>, Self::Error> {
        Ok(None)
    }

    /// The pre-shared keys that a commit in this room may ask for.
    ///
    /// # Errors
    /// The storage's own.
    fn psks(&mut self, _room: RoomId) -> Result<Vec<Psk>, Self::Error> {
        Ok(vec![])
    }
    /// Stores one of them.
    ///
    /// # Errors
    /// The storage's own, as with the next five.
    fn put_psk(&mut self, _room: RoomId, _psk: &Psk) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Deletes one of them for good.
    fn forget_psk(&mut self, _room: RoomId, _id: PskId) -> Result<(), Self::Error> {
        Ok(())
    }
    /// The pre-shared keys that devices have offered: one of each at most.
    fn psk_offers(&mut self, _room: RoomId) -> Result<Vec<Offer>, Self::Error> {
        Ok(vec![])
    }
    /// Stores an offer in the place of the one that its device has made before.
    fn put_psk_offer(&mut self, _room: RoomId, _offer: &Offer) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Deletes what a device has offered.
    fn forget_psk_offer(&mut self, _room: RoomId, _device: DeviceId) -> Result<(), Self::Error> {
        Ok(())
    }
    /// Stores which pre-shared key was mixed in last, for lists and screens.
    fn put_mixed_key(&mut self, _room: RoomId, _mixed: MixedKey) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Keeps what another device says in a simulated run of BB84, where this device was asked or takes part. Those of its parts
    /// that repeat or come too late are left out by whoever reads them.
    ///
    /// # Errors
    /// The storage's own.
    fn put_exercise(
        &mut self,
        _room: RoomId,
        _seq: Seq,
        _sender: &Leaf,
        _said: &Exercise,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Takes out the group that was kept in memory, if what is stored now is still what it was kept for. An operation
    /// that fails does not give it back, so that a group that was spoiled is never used again.
    ///
    /// # Errors
    /// The storage's own.
    fn take_kept(&mut self, _room: RoomId) -> Result<Option<Group>, Self::Error> {
        Ok(None)
    }
    /// May keep a group in memory whose state is the one that is stored in this transaction. It must not come back from
    /// [`Ledger::take_kept`] once anything else is stored, be it by another process or because this transaction failed.
    ///
    /// # Errors
    /// The storage's own.
    fn keep(&mut self, _room: RoomId, _group: Group) -> Result<(), Self::Error> {
        Ok(())
    }

    /// The room's settings as of the last commit, kept outside the MLS state for lists and screens.
    fn put_settings(&mut self, room: RoomId, settings: &RoomSettings) -> Result<(), Self::Error>;

    /// The head at a seq, if still kept.
    fn head(&mut self, room: RoomId, seq: Seq) -> Result<Option<Head>, Self::Error>;
    /// Stores the head at a seq.
    fn put_head(&mut self, room: RoomId, seq: Seq, head: &Head) -> Result<(), Self::Error>;
    /// The newest seq up to `until` whose head is stored and is not `other`.
    fn last_head_but(&mut self, room: RoomId, other: &Head, until: Seq) -> Result<Option<Seq>, Self::Error>;
    /// Drops the heads below a seq; no envelope may name them any more.
    fn forget_heads_below(&mut self, room: RoomId, seq: Seq) -> Result<(), Self::Error>;

    /// The counter of a device's last envelope.
    fn counter(&mut self, room: RoomId, device: DeviceId) -> Result<Option<u64>, Self::Error>;
    /// Stores it.
    fn put_counter(&mut self, room: RoomId, device: DeviceId, counter: u64) -> Result<(), Self::Error>;
    /// Forgets the counters of devices that are no longer members or were added again.
    fn forget_counters(&mut self, room: RoomId, devices: &[DeviceId]) -> Result<(), Self::Error>;

    /// The daemon's list, as all declared deltas make it.
    fn listed(&mut self, room: RoomId) -> Result<Vec<ListedDevice>, Self::Error>;
    /// Replaces it.
    fn put_listed(&mut self, room: RoomId, listed: &[ListedDevice]) -> Result<(), Self::Error>;
    /// The group's own roster after the last commit, kept beside the MLS state for lists and screens.
    fn put_roster(&mut self, room: RoomId, roster: &[ListedDevice]) -> Result<(), Self::Error>;

    /// Devices whose SelfRemove a commit passed over.
    fn lapsed(&mut self, room: RoomId) -> Result<Vec<DeviceId>, Self::Error>;
    /// Replaces them.
    fn put_lapsed(&mut self, room: RoomId, devices: &[DeviceId]) -> Result<(), Self::Error>;

    /// Devices that were added and have not been heard since.
    fn invitees(&mut self, room: RoomId) -> Result<Vec<Invitee>, Self::Error>;
    /// Replaces them.
    fn put_invitees(&mut self, room: RoomId, invitees: &[Invitee]) -> Result<(), Self::Error>;

    /// The commit that added a device last, as far as this device has seen; `None` when it has not.
    fn added_at(&mut self, room: RoomId, device: DeviceId) -> Result<Option<Seq>, Self::Error>;
    /// Stores it.
    fn put_added_at(&mut self, room: RoomId, device: DeviceId, seq: Seq) -> Result<(), Self::Error>;

    /// The devices that asked to be added again and were not yet.
    fn asked(&mut self, room: RoomId) -> Result<Vec<Asked>, Self::Error>;
    /// Replaces them.
    fn put_asked(&mut self, room: RoomId, asked: &[Asked]) -> Result<(), Self::Error>;

    /// This device's own request to be added again.
    fn request(&mut self, room: RoomId) -> Result<Option<OwnRequest>, Self::Error>;
    /// Stores it in the place of the one before.
    fn put_request(&mut self, room: RoomId, request: &OwnRequest) -> Result<(), Self::Error>;
    /// Deletes it.
    fn forget_request(&mut self, room: RoomId) -> Result<(), Self::Error>;
    /// Stores the secrets of the KeyPackage in a request. `expires_at`: seconds since the Unix epoch.
    fn keep_key_package(&mut self, key_package: &OwnKeyPackage, expires_at: u64) -> Result<(), Self::Error>;

    /// The group that this device has made for a room to go on with, until its word for that stands in the log.
    fn prepared(&mut self, room: RoomId) -> Result<Option<GroupBlob>, Self::Error>;
    /// Stores it in the place of the one before.
    fn put_prepared(&mut self, room: RoomId, group: &GroupBlob) -> Result<(), Self::Error>;
    /// Deletes it for good.
    fn forget_prepared(&mut self, room: RoomId) -> Result<(), Self::Error>;

    /// When this device last renewed its keys; `None` while nobody has noted it.
    fn renewal(&mut self, room: RoomId) -> Result<Option<Renewal>, Self::Error>;
    /// Stores it.
    fn put_renewal(&mut self, room: RoomId, renewal: Renewal) -> Result<(), Self::Error>;

    /// The first row of the outbox.
    fn outbox_first(&mut self, room: RoomId) -> Result<Option<OutboxRow>, Self::Error>;
    /// The first row of the outbox that may be sealed now. Whoever implements this may hold texts back, and then gives
    /// the first row that is none.
    fn outbox_first_free(&mut self, room: RoomId) -> Result<Option<OutboxRow>, Self::Error> {
        self.outbox_first(room)
    }
    /// The first rows of the outbox in its order, at most so many.
    fn outbox_rows(&mut self, room: RoomId, most: usize) -> Result<Vec<OutboxRow>, Self::Error>;
    /// The row with this id.
    fn outbox_row(&mut self, room: RoomId, id: MessageId) -> Result<Option<OutboxRow>, Self::Error>;
    /// Whether an application row waits anywhere in the outbox.
    fn outbox_has_application(&mut self, room: RoomId) -> Result<bool, Self::Error>;
    /// Appends a row.
    fn outbox_push_back(&mut self, room: RoomId, row: &OutboxRow) -> Result<(), Self::Error>;
    /// Puts a row before all others.
    fn outbox_push_front(&mut self, room: RoomId, row: &OutboxRow) -> Result<(), Self::Error>;
    /// Keeps the ratchet tree of a row that was just set to [`RowState::Sealed`], for as long as it is in that state.
    fn outbox_put_tree(&mut self, room: RoomId, id: MessageId, tree: &Bytes) -> Result<(), Self::Error>;
    /// That tree; megabytes, so whoever looks at the row does not get it.
    fn outbox_tree(&mut self, room: RoomId, id: MessageId) -> Result<Option<Bytes>, Self::Error>;
    /// Changes a row's state, and drops the tree of its last sealing.
    fn outbox_set(&mut self, room: RoomId, id: MessageId, state: &RowState) -> Result<(), Self::Error>;
    /// Takes a row out.
    fn outbox_remove(&mut self, room: RoomId, id: MessageId) -> Result<(), Self::Error>;
    /// Takes a row out: it can never be sent. Its message is shown as failed.
    fn outbox_fail(&mut self, room: RoomId, id: MessageId) -> Result<(), Self::Error>;
    /// Takes every row out: they can never be sent. Their messages are shown as failed.
    fn outbox_fail_all(&mut self, room: RoomId) -> Result<(), Self::Error>;

    /// Remembers the hash of an own envelope that left the outbox before the inbox reached it.
    fn put_own(&mut self, room: RoomId, id: MessageId, logged_hash: &Head) -> Result<(), Self::Error>;
    /// That hash.
    fn own(&mut self, room: RoomId, id: MessageId) -> Result<Option<Head>, Self::Error>;
    /// Forgets it.
    fn forget_own(&mut self, room: RoomId, id: MessageId) -> Result<(), Self::Error>;

    /// Whether a message of this device with this id is stored already.
    fn has_message(&mut self, room: RoomId, device: DeviceId, id: MessageId) -> Result<bool, Self::Error>;
    /// Stores an opened message.
    fn put_message(&mut self, message: &OpenedMessage) -> Result<(), Self::Error>;
    /// An own message is in the log: stores its seq and the epoch it was sealed in.
    fn settle_message(
        &mut self,
        room: RoomId,
        id: MessageId,
        seq: Seq,
        epoch: u64,
    ) -> Result<(), Self::Error>;
    /// Stores a notice at a seq.
    fn put_notice(&mut self, room: RoomId, seq: Seq, notice: &Notice) -> Result<(), Self::Error>;
}
