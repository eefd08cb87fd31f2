//! How a device that cannot follow is added again: the request that it signs with its device key, and what the others
//! make of one. docs/PROTOCOL.md, "Resync".

use bytes::Bytes;

use crate::{
    crypto::sign::{self, DevicePublicKey, Level, SignatureUse},
    ids::{DeviceId, MessageId, RoomId, Seq},
    mls::{
        device::{Device, KEY_PACKAGE_LIFETIME},
        fault::{MlsFault, OpenFault},
        group::Group,
    },
    session::{
        error::SessionError,
        groups, head,
        ledger::{Asked, Ledger, OwnRequest, Phase, RoomState, Sealed},
        outbox::Outgoing,
    },
    wire::{
        frame::{Envelope, Kind},
        limits,
    },
};

type Result<T, L> = std::result::Result<T, SessionError<<L as Ledger>::Error>>;

const VERSION: u8 = 1;
/// How long a request is taken to be known to somebody who can answer it, seconds: a day. Who is added later does not
/// know of it, and who knew may be gone.
const ASKED_AGAIN: u64 = 24 * 3600;
/// Size of a device's signature, bytes.
const SIGNATURE: usize = sign::Device::SIGNATURE;

/// The payload of an envelope of kind resync. Integers are big endian.
///
/// | bytes | content |
/// |---|---|
/// | 1 | version: 1 |
/// | 8 | the seq that the device could not follow |
/// | 3373 | its signature (use `resync`) |
/// | the rest, 1 to 65536 | a new KeyPackage, an MLSMessage |
///
/// Signed are: version (1) ‖ room id (16) ‖ message id (16) ‖ device id (16) ‖ the seq (8) ‖ the KeyPackage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The seq that the device could not follow.
    pub seq: Seq,
    /// By the device key.
    pub signature: [u8; SIGNATURE],
    /// What it is to be added by.
    pub key_package: Bytes,
}

impl Request {
    /// Encodes it.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(1 + 8 + SIGNATURE + self.key_package.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.seq.0.to_be_bytes());
        bytes.extend_from_slice(&self.signature);
        bytes.extend_from_slice(&self.key_package);
        bytes.into()
    }

    /// Decodes it; `None` when it has another version, or a KeyPackage that is empty or too large.
    pub fn decode(payload: &Bytes) -> Option<Self> {
        let (version, rest) = payload.split_first()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let (signature, key_package) = rest.split_first_chunk::<SIGNATURE>()?;
        let good = *version == VERSION && (1..=limits::KEY_PACKAGE).contains(&key_package.len());
        good.then(|| Self {
            seq: Seq(u64::from_be_bytes(*seq)),
            signature: *signature,
            key_package: payload.slice_ref(key_package),
        })
    }

    /// Whether `key` has signed this request as what `envelope` says it is.
    fn is_signed_by(&self, key: &DevicePublicKey, envelope: &Envelope) -> bool {
        let signed = signed(envelope.room, envelope.message_id, envelope.sender, self.seq, &self.key_package);
        key.verify(SignatureUse::Resync, &signed, &self.signature).is_ok()
    }
}

fn signed(room: RoomId, message_id: MessageId, device: DeviceId, seq: Seq, key_package: &[u8]) -> Vec<u8> {
    let seq = seq.0.to_be_bytes();
    [&[VERSION], &room.as_bytes()[..], message_id.as_bytes(), device.as_bytes(), &seq, key_package].concat()
}

/// What a stuck device has to send: its request, made and stored once, the same bytes until it is in the log, and a new
/// one each day. `now`: seconds since the Unix epoch.
pub(super) fn next<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    state: &RoomState,
    now: u64,
) -> Result<Option<Outgoing>, L> {
    let Phase::Stuck(seq) = state.phase else { return Ok(None) };
    let room = state.room;
    let stored = ledger.request(room).map_err(SessionError::Ledger)?;
    let seq = match stored {
        Some(request) if now < request.expires_at => {
            return Ok((!request.logged).then(|| outgoing(&request)));
        }
        // It may have been answered in what this device has missed: one that names an earlier seq would pass for one of
        // before that.
        Some(_) if state.head == head::UNKNOWN => seq.max(state.cursor),
        _ => seq,
    };
    // The others know this device by the key of its leaf in the group that it cannot follow.
    let device = match groups::load(ledger, device, room) {
        Ok(group) => {
            let device = device.under(group.own_key().map_or(&[], |key| key));
            groups::keep(ledger, room, group)?;
            device
        }
        Err(SessionError::Ledger(error)) => return Err(SessionError::Ledger(error)),
        Err(_) => device.clone(),
    };
    let key_package = device.key_packages(1, false, now)?.pop().ok_or(MlsFault::Library)?;
    let expires_at = now.saturating_add(ASKED_AGAIN);
    let message_id = MessageId::random(device.entropy())?;
    let signed = signed(room, message_id, device.id(), seq, &key_package.message);
    let signature = device.sign(SignatureUse::Resync, &signed)?.try_into().map_err(|_| MlsFault::Library)?;
    let payload = Request { seq, signature, key_package: key_package.message.clone() }.encode();
    let envelope = Envelope {
        room,
        message_id,
        sender: device.id(),
        kind: Kind::Resync,
        commit_seq: state.commit_seq,
        payload,
        delta: vec![],
    };
    let request = OwnRequest {
        message_id,
        envelope: envelope.encode(),
        commit_seq: state.commit_seq,
        expires_at,
        logged: false,
    };
    ledger.put_request(room, &request).map_err(SessionError::Ledger)?;
    ledger
        .keep_key_package(&key_package, now.saturating_add(KEY_PACKAGE_LIFETIME))
        .map_err(SessionError::Ledger)?;
    Ok(Some(outgoing(&request)))
}

fn outgoing(request: &OwnRequest) -> Outgoing {
    Outgoing {
        message_id: request.message_id,
        sealed: Sealed {
            envelope: request.envelope.clone(),
            commit_seq: request.commit_seq,
            welcomes: vec![],
            tree: None,
        },
        after: None,
    }
}

/// A Welcome for this device lies at the daemon although it has not asked: it asks only when that does not open.
pub(super) fn answered<L: Ledger>(ledger: &mut L, envelope: &Envelope, now: u64) -> Result<(), L> {
    let room = envelope.room;
    if ledger.request(room).map_err(SessionError::Ledger)?.is_some() {
        return Ok(());
    }
    let answered = OwnRequest {
        message_id: envelope.message_id,
        envelope: Bytes::new(),
        commit_seq: envelope.commit_seq,
        expires_at: now.saturating_add(ASKED_AGAIN),
        logged: true,
    };
    ledger.put_request(room, &answered).map_err(SessionError::Ledger)
}

/// The Welcome that answered this device's request cannot be opened: it asks once more, from the commit on that
/// brought it. Nothing happens unless the device is stuck.
///
/// # Errors
/// [`SessionError`] when the ledger fails.
pub fn ask_again<L: Ledger>(ledger: &mut L, room: RoomId) -> Result<(), L> {
    let state = ledger.room(room).map_err(SessionError::Ledger)?;
    if state.is_some_and(|state| matches!(state.phase, Phase::Stuck(_))) {
        ledger.forget_request(room).map_err(SessionError::Ledger)?;
    }
    Ok(())
}

/// What the daemon has said of this device's request is not believed any more: it is sent again, or another one is made
/// if it names what comes after `seq`.
pub(super) fn ask_from<L: Ledger>(ledger: &mut L, room: RoomId, seq: Seq) -> Result<(), L> {
    let Some(request) = ledger.request(room).map_err(SessionError::Ledger)? else { return Ok(()) };
    let named = Envelope::decode(request.envelope.clone()).ok();
    match named.and_then(|envelope| Request::decode(&envelope.payload)) {
        Some(named) if named.seq <= seq => {
            ledger.put_request(room, &OwnRequest { logged: false, ..request }).map_err(SessionError::Ledger)
        }
        _ => ledger.forget_request(room).map_err(SessionError::Ledger),
    }
}

/// The request with this id is in the log: it is sent no more.
pub(super) fn logged<L: Ledger>(ledger: &mut L, room: RoomId, id: MessageId) -> Result<bool, L> {
    match ledger.request(room).map_err(SessionError::Ledger)? {
        Some(request) if request.message_id == id => {
            let request = OwnRequest { logged: true, ..request };
            ledger.put_request(room, &request).map_err(SessionError::Ledger)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The seq because of which the sender of a request asks, when it has signed it as a member of the group.
pub(super) fn is_from(group: &Group, envelope: &Envelope) -> Option<Seq> {
    let (_, key) = group.device_key(envelope.sender)?;
    let request = Request::decode(&envelope.payload)?;
    request.is_signed_by(&key, envelope).then_some(request.seq)
}

/// What a follower makes of another device's request.
pub(super) enum Judged {
    /// The device is to be added again.
    Owed(Asked),
    /// Nothing is owed: its device is no member, was added since it was made, or wants to leave.
    Moot,
    /// Nobody who is honest sends this.
    Forged(&'static str),
}

/// Holds a request against the group. `added_at`: the commit that added its device last; `at`: where the request stands
/// in the log; `now`: seconds since the Unix epoch, for the life of the KeyPackage.
///
/// # Errors
/// [`SessionError::UnknownAccounts`] when the KeyPackage names an identity key that is to be fetched first.
pub(super) fn judge<E: std::error::Error>(
    device: &Device,
    group: &Group,
    envelope: &Envelope,
    (added_at, at): (Seq, Seq),
    now: u64,
) -> std::result::Result<Judged, SessionError<E>> {
    // Who was removed in earnest while it could not follow asks too.
    let Some((leaf, key)) = group.device_key(envelope.sender) else { return Ok(Judged::Moot) };
    let Some(request) = Request::decode(&envelope.payload) else {
        return Ok(Judged::Forged("its request to be added again is malformed"));
    };
    if !request.is_signed_by(&key, envelope) {
        return Ok(Judged::Forged("it is not signed by the device that asks to be added again"));
    }
    if request.seq >= at {
        return Ok(Judged::Forged("it asks because of what is not in the log yet"));
    }
    // One of before, that the daemon has kept, would throw out a device that follows.
    if request.seq < added_at || group.leaving().contains(&envelope.sender) {
        return Ok(Judged::Moot);
    }
    match device.inspect_key_package(&request.key_package, now) {
        Ok(theirs)
            if (theirs.account, theirs.device) == (leaf.account, leaf.device) && theirs.device_key == key =>
        {
            Ok(Judged::Owed(Asked { device: leaf.device, key_package: request.key_package }))
        }
        Ok(_) => Ok(Judged::Forged("it asks to be added as another device")),
        Err(OpenFault::UnknownAccounts(missing)) => Err(SessionError::UnknownAccounts(missing)),
        // It may have expired on the way.
        Err(_) => Ok(Judged::Moot),
    }
}
