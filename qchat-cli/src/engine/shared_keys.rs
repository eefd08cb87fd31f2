//! Keys of QKD equipment in rooms: what is asked of the own key management entity (KME), and what is said to the other end.
//! docs/PROTOCOL.md, "Pre-shared keys". The commit itself is made by whatever process of the offering device reads that the
//! others hold the key.

use std::time::Duration;

use qchat_proto::{
    content::{Content, SharedKey},
    ids::{DeviceId, MessageId, RoomId},
    mls::psk::{Psk, PskId, PskKind},
    sanitize,
    session::{
        error::SessionError,
        ledger::{Ledger, Want},
        outbox,
        shared_key::{self, Offer},
    },
};
use qchat_quantum::etsi014::{Client, Etsi014Error, KEY_BITS, Key, KeyId, SaeId};
use zeroize::Zeroizing;

use super::{clock, error::EngineError, handle::Handle, tidy, types::Event, view::Names};
use crate::store::{StoreError, Tx};

/// A key that was offered or taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyInRoom {
    /// Its name at the KMEs.
    pub key: KeyId,
    /// Whether it had been offered or taken before, by a command that was interrupted, say.
    pub before: bool,
}

/// What has become of a key that was offered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyOutcome {
    /// The room's keys depend on it from this epoch on.
    Mixed(u64),
    /// It was given up: by a user, or because a device has another key under its name.
    GivenUp,
    /// These people have a device that does not hold it yet.
    WaitsFor(Vec<String>),
}

impl Handle {
    /// Has the own KME give out a key, and offers it to the room. Returns when the offer is in the room's log. A key that this
    /// device has offered and that is not mixed in yet is offered on; no other is asked for.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for who is no admin, in a room without others, or, unless `every_device` of them can get the
    /// key, with more than one other device; [`EngineError::Kme`].
    pub async fn offer_key(
        &self,
        room: RoomId,
        kme: &Client,
        (master, slave): (&SaeId, &SaeId),
        every_device: bool,
    ) -> Result<KeyInRoom, EngineError> {
        self.writable(room).await?;
        let me = self.0.me.clone();
        let (row, offers, others) = self
            .0
            .profile
            .read_async(move |tx| {
                Ok::<_, StoreError>((
                    tx.room_row(room)?,
                    tx.psk_offers(room)?,
                    missing(tx, room, me.device, &[])?,
                ))
            })
            .await?;
        let settings = row.and_then(|row| row.settings);
        if !settings.is_some_and(|settings| settings.admins.contains(&self.0.me.account)) {
            return Err(EngineError::Refused(
                "only an admin of the room may mix a key into it: ask one to offer it".to_owned(),
            ));
        }
        let own = offers.iter().find(|offer| offer.device == self.0.me.device);
        if let Some(key) = own.and_then(of_link) {
            self.wrote(room).await;
            return Ok(KeyInRoom { key, before: true });
        }
        match &others[..] {
            [] => {
                return Err(EngineError::Refused(
                    "nobody else is in the room: invite the other end first".to_owned(),
                ));
            }
            [_] => {}
            _ if every_device => {}
            _ => {
                return Err(EngineError::Refused(format!(
                    "a key of a quantum link is for two devices, and this room has {} others (of {}), each of which \
                     could not follow without it. Make a room of the two, or say --every-device if each of them can get \
                     the key from its KME",
                    others.len(),
                    names(&others)
                )));
            }
        }
        let mut keys = kme.enc_keys(slave, 1, KEY_BITS).await?;
        let key = keys.pop().ok_or(Etsi014Error::Malformed("it has no key"))?;
        let (id, secret) = of_a_room(&key)?;
        let (master, slave) = (master.to_string(), slave.to_string());
        let said = self.say_of_key(room, move |tx, device| {
            let psk = Psk::of_quantum_link(room, *id.as_bytes(), &secret);
            shared_key::offer(tx, device, room, &psk, (&master, &slave)).map(Some)
        });
        if let Some(message) = said.await? {
            self.wait_sent(room, message).await?;
        }
        Ok(KeyInRoom { key: id, before: false })
    }

    /// The key that this device has offered and that is not mixed in yet, as far as is stored here.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn offered_key(&self, room: RoomId) -> Result<Option<KeyId>, EngineError> {
        let offers = self.0.profile.read_async(move |tx| tx.psk_offers(room)).await?;
        Ok(offers.iter().find(|offer| offer.device == self.0.me.device).and_then(of_link))
    }

    /// Gets a key that another device has offered from the own KME, and says that this device holds it. Returns when that is in
    /// the room's log. `own` and `peer`: as who, and from whom, if that was said.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when none is offered, or to or by another application; [`EngineError::Kme`].
    pub async fn accept_key(
        &self,
        room: RoomId,
        kme: &Client,
        (own, peer): (Option<&SaeId>, Option<&SaeId>),
    ) -> Result<KeyInRoom, EngineError> {
        self.writable(room).await?;
        let me = self.0.me.account;
        let (offers, held) = self
            .0
            .profile
            .read_async(move |tx| {
                let held: Vec<_> = tx.psks(room)?.iter().map(|psk| psk.id).collect();
                Ok::<_, StoreError>((shown_offers(tx, &mut Names::new(me), room)?, held))
            })
            .await?;
        let mut offers: Vec<_> =
            offers.into_iter().filter(|offer| offer.device != self.0.me.device).collect();
        offers.sort_by_key(|offer| held.contains(&offer.id));
        let offer = offers.iter().find_map(|offer| Some((offer, of_link(offer)?)));
        let Some((offer, id)) = offer else {
            return Err(EngineError::Refused(
                "no key is offered in this room; the other end offers one with `qchat room psk add`"
                    .to_owned(),
            ));
        };
        if held.contains(&offer.id) {
            self.wrote(room).await;
            return Ok(KeyInRoom { key: id, before: true });
        }
        for (said, ours, what) in [(&offer.master, peer, "by"), (&offer.slave, own, "to")] {
            if let Some(ours) = ours.filter(|ours| ours.as_str() != said) {
                return Err(EngineError::Refused(format!(
                    "the key was offered {what} the SAE {}, and not {what} {ours}: check --sae and --peer-sae at both ends",
                    sanitize::name(said, 64)
                )));
            }
        }
        let master: SaeId = offer.master.parse().map_err(|error| {
            EngineError::Refused(format!("the key was offered by an SAE whose id makes no sense: {error}"))
        })?;
        let mut keys = kme.dec_keys(&master, &[id]).await?;
        let key = keys.pop().ok_or(Etsi014Error::Missing(id))?;
        let (id, secret) = of_a_room(&key)?;
        let said = self.say_of_key(room, move |tx, device| {
            shared_key::hold(tx, device, room, &Psk::of_quantum_link(room, *id.as_bytes(), &secret))
        });
        match said.await? {
            Some(message) => self.wait_sent(room, message).await?,
            None => {
                return Err(EngineError::Refused(
                    "the other end gave the key up meanwhile; it offers another with `qchat room psk add`"
                        .to_owned(),
                ));
            }
        };
        Ok(KeyInRoom { key: id, before: false })
    }

    /// Deletes a key that this device has offered or taken, and says so in the room.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when there is none.
    pub async fn give_key_up(&self, room: RoomId) -> Result<KeyId, EngineError> {
        self.writable(room).await?;
        let own = self.0.me.device;
        let found = self.0.profile.read_async(move |tx| {
            let held: Vec<_> = tx.psks(room)?.iter().map(|psk| psk.id).collect();
            let offers = tx.psk_offers(room)?;
            let ours = offers.iter().find(|offer| offer.device == own);
            let ours = ours.or_else(|| offers.iter().find(|offer| held.contains(&offer.id)));
            Ok::<_, StoreError>(ours.or(offers.first()).map(|offer| (key_of(offer), offer.id)))
        });
        let none = || EngineError::Refused("no key waits in this room to be mixed in".to_owned());
        let (key, id) = found.await?.ok_or_else(none)?;
        let said = self.say_of_key(room, move |tx, _| shared_key::give_up(tx, room, id));
        let message = said.await?.ok_or_else(none)?;
        tidy::now(&self.0.profile).await;
        self.wait_sent(room, message).await?;
        Ok(key)
    }

    /// What has become of a key, as far as this device knows.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn key_outcome(&self, room: RoomId, id: PskId) -> Result<KeyOutcome, EngineError> {
        let own = self.0.me.device;
        let outcome = self.0.profile.read_async(move |tx| {
            if let Some(mixed) = tx.mixed_key(room)?.filter(|mixed| mixed.id == id) {
                return Ok(KeyOutcome::Mixed(mixed.epoch));
            }
            let offers = tx.psk_offers(room)?;
            Ok::<_, StoreError>(match offers.iter().find(|offer| offer.id == id) {
                Some(offer) => KeyOutcome::WaitsFor(waits_for(tx, room, own, offer)?),
                None => KeyOutcome::GivenUp,
            })
        });
        Ok(outcome.await?)
    }

    /// Waits until a key is mixed in or given up; gives how far it is when the time is over.
    ///
    /// # Errors
    /// As [`Handle::until`], but that the time is over.
    pub async fn key_settled(
        &self,
        room: RoomId,
        key: PskId,
        patience: Duration,
    ) -> Result<KeyOutcome, EngineError> {
        self.wrote(room).await;
        let settled = self.until_within(patience, async move |handle: &Self| {
            let outcome = handle.key_outcome(room, key).await?;
            Ok((!matches!(outcome, KeyOutcome::WaitsFor(_))).then_some(outcome))
        });
        match settled.await {
            Err(EngineError::Timeout(_)) => self.key_outcome(room, key).await,
            settled => settled,
        }
    }

    /// Does a step with a key, and puts what it says of it into the outbox and the timeline, all or nothing.
    pub(super) async fn say_of_key(
        &self,
        room: RoomId,
        step: impl FnOnce(
            &mut Tx,
            &qchat_proto::mls::device::Device,
        ) -> Result<Option<SharedKey>, SessionError<StoreError>>
        + Send
        + 'static,
    ) -> Result<Option<MessageId>, EngineError> {
        let device = self.0.steps.device.clone();
        let said = self.0.profile.write_async(move |tx| {
            let device = device.at(tx)?;
            let Some(said) = step(tx, &device).map_err(EngineError::from)? else { return Ok(None) };
            let content = Content::shared_key(said, clock::millis()).encode();
            let id = outbox::enqueue(tx, &device, room, Want::Application(content.clone()))
                .map_err(EngineError::from)?;
            tx.put_pending(room, id, &content)?;
            Ok::<_, EngineError>(Some(id))
        });
        let said = said.await?;
        self.tell(Event::Timeline(room));
        self.wrote(room).await;
        Ok(said)
    }
}

/// The keys that are offered in a room by anybody but those who are blocked.
pub(super) fn shown_offers(tx: &mut Tx, names: &mut Names, room: RoomId) -> Result<Vec<Offer>, StoreError> {
    let mut shown = vec![];
    for offer in tx.psk_offers(room)? {
        if !names.hides(tx, offer.account)? {
            shown.push(offer);
        }
    }
    Ok(shown)
}

/// What a key that was offered is called: as the KMEs do, or by the run that it comes from.
pub(super) fn key_of(offer: &Offer) -> KeyId {
    short(&offer.id)
}

/// The same of any key from elsewhere.
pub(super) fn short(id: &PskId) -> KeyId {
    let mut short = [0; 16];
    short.copy_from_slice(&id.id[..16]);
    KeyId::from_bytes(short)
}

/// The name at the KMEs, where the key is one of theirs.
fn of_link(offer: &Offer) -> Option<KeyId> {
    (offer.id.kind == PskKind::QuantumLink).then(|| key_of(offer))
}

/// Of whom an offered key waits for a device, as far as this device knows: by name, one for each device.
pub(super) fn waits_for(
    tx: &mut Tx,
    room: RoomId,
    own: DeviceId,
    offer: &Offer,
) -> Result<Vec<String>, StoreError> {
    if offer.device == own {
        return missing(tx, room, own, &offer.holders);
    }
    // Who has shown it to whom the one that offers alone knows.
    let held = tx.psks(room)?.iter().any(|psk| psk.id == offer.id);
    Ok(if held { vec![] } else { vec!["this device".to_owned()] })
}

/// The owners of the room's other devices that are not among these.
pub(super) fn missing(
    tx: &mut Tx,
    room: RoomId,
    own: DeviceId,
    but: &[DeviceId],
) -> Result<Vec<String>, StoreError> {
    let mut found = vec![];
    for listed in tx.roster(room)? {
        if listed.device != own && !but.contains(&listed.device) {
            let contact = tx.contact(listed.account)?;
            found.push(
                contact.map_or_else(|| format!("account {}", listed.account), |it| it.name.to_string()),
            );
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn names(of: &[String]) -> String {
    let mut names = of.to_vec();
    names.dedup();
    names.join(", ")
}

/// A key of the size that rooms take.
fn of_a_room(key: &Key) -> Result<(KeyId, Zeroizing<[u8; 32]>), EngineError> {
    let mut secret = Zeroizing::new([0; 32]);
    if key.secret.len() != secret.len() {
        return Err(Etsi014Error::Size { got: key.secret.len() * 8, wanted: KEY_BITS }.into());
    }
    secret.copy_from_slice(&key.secret);
    Ok((key.id, secret))
}
