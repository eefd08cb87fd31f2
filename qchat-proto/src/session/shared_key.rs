//! Keys from elsewhere on their way into a room: one device offers, the others say that they hold it, and the one that
//! offers commits it once all do. docs/PROTOCOL.md, "Pre-shared keys".

use bytes::Bytes;

use crate::{
    content::{Body, Content, KeyStep, SharedKey},
    ids::{AccountId, DeviceId, MessageId, RoomId},
    mls::{
        device::Device,
        membership::Leaf,
        psk::{Psk, PskId},
    },
    session::{
        error::SessionError,
        ledger::{Ledger, ListedDevice, Notice, OutboxRow, Phase, RowState, Want},
    },
};

type Result<T, L> = std::result::Result<T, SessionError<<L as Ledger>::Error>>;

/// A key that a device has offered to its room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The device that offers.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// The key's name.
    pub id: PskId,
    /// Whose key it is at the offering end, as its key management entity calls it: not yet fit for a terminal.
    pub master: String,
    /// For whom it was given out.
    pub slave: String,
    /// The devices that have shown the one that offers that they hold it; known to that one alone.
    pub holders: Vec<DeviceId>,
}

/// What is known of a key in the room's key schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MixedKey {
    /// Its name.
    pub id: PskId,
    /// The first epoch whose keys depend on it.
    pub epoch: u64,
}

/// Offers a key that this device has, in the place of one that it has offered before. What it gives is to be said in the room,
/// in the same transaction.
///
/// # Errors
/// [`SessionError::NotWriting`] when this device does not write to the room.
pub fn offer<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    room: RoomId,
    psk: &Psk,
    (master, slave): (&str, &str),
) -> Result<SharedKey, L> {
    writes(ledger, room)?;
    forget_offer(ledger, room, device.id())?;
    let offer = Offer {
        device: device.id(),
        account: device.account(),
        id: psk.id,
        master: master.to_owned(),
        slave: slave.to_owned(),
        holders: vec![],
    };
    ledger.put_psk(room, psk).map_err(SessionError::Ledger)?;
    ledger.put_psk_offer(room, &offer).map_err(SessionError::Ledger)?;
    Ok(SharedKey { id: psk.id, step: KeyStep::Offered { master: offer.master, slave: offer.slave } })
}

/// Takes the key that somebody has offered. `None` when it is not offered any more; else what is to be said in the room, in the
/// same transaction.
///
/// # Errors
/// As [`offer`].
pub fn hold<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    room: RoomId,
    psk: &Psk,
) -> Result<Option<SharedKey>, L> {
    writes(ledger, room)?;
    let id = psk.id;
    let offers = ledger.psk_offers(room).map_err(SessionError::Ledger)?;
    if !offers.iter().any(|offer| offer.id == id && offer.device != device.id()) {
        return Ok(None);
    }
    let confirmation = psk.confirmation(room, device.id());
    ledger.put_psk(room, psk).map_err(SessionError::Ledger)?;
    Ok(Some(SharedKey { id, step: KeyStep::Held { confirmation } }))
}

/// Gives up a key that this device has offered or holds. `None` when there is no such; else what is to be said in the room, in
/// the same transaction.
///
/// # Errors
/// As [`offer`].
pub fn give_up<L: Ledger>(ledger: &mut L, room: RoomId, id: PskId) -> Result<Option<SharedKey>, L> {
    writes(ledger, room)?;
    let offers = ledger.psk_offers(room).map_err(SessionError::Ledger)?;
    let Some(offer) = offers.into_iter().find(|offer| offer.id == id) else { return Ok(None) };
    forget_offer(ledger, room, offer.device)?;
    Ok(Some(SharedKey { id, step: KeyStep::GivenUp { differs: false } }))
}

/// The key that this device has offered, when it is at hand and every other device of the room has shown that it holds it: only
/// then may a commit ask for it. Who is invited counts, too.
pub(super) fn due<L: Ledger>(
    ledger: &mut L,
    room: RoomId,
    leaves: &[Leaf],
    own: DeviceId,
) -> Result<Option<PskId>, L> {
    let offers = ledger.psk_offers(room).map_err(SessionError::Ledger)?;
    let Some(offer) = offers.into_iter().find(|offer| offer.device == own) else { return Ok(None) };
    let mut others = leaves.iter().filter(|leaf| leaf.device != own).peekable();
    if others.peek().is_none() || !others.all(|leaf| offer.holders.contains(&leaf.device)) {
        return Ok(None);
    }
    let at_hand = ledger.psks(room).map_err(SessionError::Ledger)?.iter().any(|psk| psk.id == offer.id);
    Ok(at_hand.then_some(offer.id))
}

/// What another device has said of a key. What follows for the room's people is given as a notice.
pub(super) fn heard<L: Ledger>(
    ledger: &mut L,
    device: &Device,
    (room, now): (RoomId, u64),
    sender: &Leaf,
    is_admin: bool,
    said: &SharedKey,
) -> Result<Option<Notice>, L> {
    let id = said.id;
    let offers = ledger.psk_offers(room).map_err(SessionError::Ledger)?;
    let own = offers.iter().find(|offer| offer.device == device.id() && offer.id == id);
    match &said.step {
        // Nobody else could commit it.
        KeyStep::Offered { .. } if !is_admin => Ok(None),
        KeyStep::Offered { master, slave } => {
            // Of two offers of one key neither could be told from the other.
            if offers.iter().any(|offer| offer.id == id && offer.device != sender.device) {
                return Ok(None);
            }
            forget_offer(ledger, room, sender.device)?;
            let offer = Offer {
                device: sender.device,
                account: sender.account,
                id,
                master: master.clone(),
                slave: slave.clone(),
                holders: vec![],
            };
            ledger.put_psk_offer(room, &offer).map_err(SessionError::Ledger)?;
            Ok(None)
        }
        KeyStep::Held { confirmation } => {
            let Some(own) = own else { return Ok(None) };
            let psks = ledger.psks(room).map_err(SessionError::Ledger)?;
            let Some(psk) = psks.iter().find(|psk| psk.id == id) else { return Ok(None) };
            if psk.is_confirmed_by(room, sender.device, confirmation) {
                let mut offer = own.clone();
                offer.holders.retain(|holder| *holder != sender.device);
                offer.holders.push(sender.device);
                ledger.put_psk_offer(room, &offer).map_err(SessionError::Ledger)?;
                return Ok(None);
            }
            // A commit with it would leave that device behind.
            forget_offer(ledger, room, device.id())?;
            let said = SharedKey { id, step: KeyStep::GivenUp { differs: true } };
            let sent_at_ms = i64::try_from(now.saturating_mul(1000)).unwrap_or(i64::MAX);
            let row = OutboxRow {
                message_id: MessageId::random(device.entropy())?,
                want: Want::Application(Content::shared_key(said, sent_at_ms).encode()),
                state: RowState::Waiting,
            };
            ledger.outbox_push_back(room, &row).map_err(SessionError::Ledger)?;
            Ok(Some(Notice::KeyDiffers(sender.device)))
        }
        KeyStep::GivenUp { .. } => {
            if let Some(own) = own {
                let mut offer = own.clone();
                offer.holders.retain(|holder| *holder != sender.device);
                ledger.put_psk_offer(room, &offer).map_err(SessionError::Ledger)?;
            } else if offers.iter().any(|offer| offer.device == sender.device && offer.id == id) {
                forget_offer(ledger, room, sender.device)?;
            }
            Ok(None)
        }
    }
}

/// A commit has mixed these keys in: they are used up.
pub(super) fn mixed<L: Ledger>(ledger: &mut L, room: RoomId, id: PskId, epoch: u64) -> Result<(), L> {
    let offers = ledger.psk_offers(room).map_err(SessionError::Ledger)?;
    for offer in offers.iter().filter(|offer| offer.id == id) {
        ledger.forget_psk_offer(room, offer.device).map_err(SessionError::Ledger)?;
    }
    ledger.forget_psk(room, id).map_err(SessionError::Ledger)?;
    ledger.put_mixed_key(room, MixedKey { id, epoch }).map_err(SessionError::Ledger)
}

/// What is said of a key, or that it was given up, where that is not true any more when it is sealed: a device that was added
/// again meanwhile holds no key of before. Anything else is left as it is.
pub(super) fn still_true<L: Ledger>(
    ledger: &mut L,
    room: RoomId,
    own: DeviceId,
    content: &Bytes,
) -> Result<Bytes, L> {
    /// What is said of a key is no longer.
    const LONGEST: usize = 512;
    if content.len() > LONGEST {
        return Ok(content.clone());
    }
    let Ok(Content { sent_at_ms, body: Body::SharedKey(said), .. }) = Content::decode(content) else {
        return Ok(content.clone());
    };
    let id = said.id;
    let offers = ledger.psk_offers(room).map_err(SessionError::Ledger)?;
    let is_true = match said.step {
        KeyStep::Offered { .. } => offers.iter().any(|offer| offer.device == own && offer.id == id),
        KeyStep::Held { .. } => {
            ledger.psks(room).map_err(SessionError::Ledger)?.iter().any(|psk| psk.id == id)
        }
        KeyStep::GivenUp { .. } => true,
    };
    if is_true {
        return Ok(content.clone());
    }
    let said = SharedKey { id, step: KeyStep::GivenUp { differs: false } };
    Ok(Content::shared_key(said, sent_at_ms).encode())
}

/// Forgets all keys on their way: who comes into a group by a Welcome, or makes another, does not know what has become of them.
pub(super) fn forget_all<L: Ledger>(ledger: &mut L, room: RoomId) -> Result<(), L> {
    for offer in ledger.psk_offers(room).map_err(SessionError::Ledger)? {
        forget_offer(ledger, room, offer.device)?;
    }
    Ok(())
}

/// A commit has added these devices: they hold no key of before.
pub(super) fn added<L: Ledger>(
    ledger: &mut L,
    room: RoomId,
    own: DeviceId,
    added: &[ListedDevice],
) -> Result<(), L> {
    let offers = ledger.psk_offers(room).map_err(SessionError::Ledger)?;
    let Some(mut offer) = offers.into_iter().find(|offer| offer.device == own) else { return Ok(()) };
    offer.holders.retain(|holder| !added.iter().any(|added| added.device == *holder));
    ledger.put_psk_offer(room, &offer).map_err(SessionError::Ledger)
}

/// Forgets what a device has offered, and the key.
fn forget_offer<L: Ledger>(ledger: &mut L, room: RoomId, device: DeviceId) -> Result<(), L> {
    let offers = ledger.psk_offers(room).map_err(SessionError::Ledger)?;
    if let Some(offer) = offers.iter().find(|offer| offer.device == device) {
        ledger.forget_psk(room, offer.id).map_err(SessionError::Ledger)?;
        ledger.forget_psk_offer(room, device).map_err(SessionError::Ledger)?;
    }
    Ok(())
}

fn writes<L: Ledger>(ledger: &mut L, room: RoomId) -> Result<(), L> {
    let state = ledger.room(room).map_err(SessionError::Ledger)?.ok_or(SessionError::NotJoined)?;
    if state.phase == Phase::Member { Ok(()) } else { Err(SessionError::NotWriting(state.phase)) }
}
