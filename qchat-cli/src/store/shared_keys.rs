//! Keys from elsewhere on their way into rooms: who has offered which, the keys themselves, and what has come of them.

use diesel::{OptionalExtension, SqliteConnection, prelude::*};
use qchat_proto::{
    crypto::secret::Secret,
    ids::{DeviceId, RoomId},
    mls::psk::{Psk, PskId},
    session::{
        ledger::Ledger as _,
        shared_key::{MixedKey, Offer},
    },
};
use zeroize::Zeroizing;

use super::{
    StoreError, Tx, convert, rooms,
    schema::{psk_mixed, psk_offers, psk_secrets},
};

type OfferRow = (Vec<u8>, Vec<u8>, Vec<u8>, String, String, Vec<u8>);

fn psk_id(bytes: &[u8]) -> Result<PskId, StoreError> {
    PskId::decode(bytes).ok_or(StoreError::Corrupt("name of a key"))
}

/// What a key's row is found by.
fn name(room: RoomId, id: &[u8]) -> Vec<u8> {
    [&room.as_bytes()[..], id].concat()
}

/// The keys that this device holds for a room.
pub(super) fn psks(conn: &mut SqliteConnection, room: RoomId) -> Result<Vec<Psk>, StoreError> {
    // Those that were offered, and no others: the table of the keys is never gone through.
    offers(conn, room)?
        .into_iter()
        .filter_map(|offer| {
            let secret: Result<Option<Vec<u8>>, _> = psk_secrets::table
                .find(name(room, &offer.id.encode()))
                .select(psk_secrets::secret)
                .get_result(conn)
                .optional();
            secret.map_err(StoreError::from).transpose().map(|secret| (offer.id, secret))
        })
        .map(|(id, secret)| {
            let secret = Zeroizing::new(secret?);
            Ok(Psk { id, secret: Secret::from_slice(&secret).ok_or(StoreError::Corrupt("key"))? })
        })
        .collect()
}

pub(super) fn put_psk(conn: &mut SqliteConnection, room: RoomId, psk: &Psk) -> Result<(), StoreError> {
    diesel::replace_into(psk_secrets::table)
        .values((
            psk_secrets::name.eq(name(room, &psk.id.encode())),
            psk_secrets::secret.eq(&psk.secret.expose()[..]),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn forget_psk(conn: &mut SqliteConnection, room: RoomId, id: PskId) -> Result<(), StoreError> {
    diesel::delete(psk_secrets::table.find(name(room, &id.encode()))).execute(conn)?;
    Ok(())
}

pub(super) fn offers(conn: &mut SqliteConnection, room: RoomId) -> Result<Vec<Offer>, StoreError> {
    let rows: Vec<OfferRow> = psk_offers::table
        .filter(psk_offers::room.eq(&room.as_bytes()[..]))
        .order(psk_offers::device)
        .select((
            psk_offers::device,
            psk_offers::account,
            psk_offers::psk_id,
            psk_offers::master_sae,
            psk_offers::slave_sae,
            psk_offers::holders,
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(device, account, id, master, slave, holders)| {
            let holders = holders.chunks(16).map(|holder| convert::id("device id", holder));
            Ok(Offer {
                device: convert::id("device id", &device)?,
                account: convert::id("account id", &account)?,
                id: psk_id(&id)?,
                master,
                slave,
                holders: holders.collect::<Result<_, _>>()?,
            })
        })
        .collect()
}

pub(super) fn put_offer(conn: &mut SqliteConnection, room: RoomId, offer: &Offer) -> Result<(), StoreError> {
    let holders: Vec<u8> = offer.holders.iter().flat_map(|holder| *holder.as_bytes()).collect();
    diesel::replace_into(psk_offers::table)
        .values((
            psk_offers::room.eq(&room.as_bytes()[..]),
            psk_offers::device.eq(&offer.device.as_bytes()[..]),
            psk_offers::account.eq(&offer.account.as_bytes()[..]),
            psk_offers::psk_id.eq(offer.id.encode()),
            psk_offers::master_sae.eq(&offer.master),
            psk_offers::slave_sae.eq(&offer.slave),
            psk_offers::holders.eq(holders),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn forget_offer(
    conn: &mut SqliteConnection,
    room: RoomId,
    device: DeviceId,
) -> Result<(), StoreError> {
    diesel::delete(psk_offers::table.find((&room.as_bytes()[..], &device.as_bytes()[..]))).execute(conn)?;
    Ok(())
}

/// Forgets all that a room has of them.
pub(super) fn forget_all(conn: &mut SqliteConnection, room: RoomId) -> Result<(), StoreError> {
    for offer in offers(conn, room)? {
        forget_psk(conn, room, offer.id)?;
        forget_offer(conn, room, offer.device)?;
    }
    diesel::delete(psk_mixed::table.find(&room.as_bytes()[..])).execute(conn)?;
    Ok(())
}

pub(super) fn put_mixed(
    conn: &mut SqliteConnection,
    room: RoomId,
    mixed: MixedKey,
) -> Result<(), StoreError> {
    let generation = rooms::room(conn, room)?.map_or(0, |state| state.generation.0);
    diesel::replace_into(psk_mixed::table)
        .values((
            psk_mixed::room.eq(&room.as_bytes()[..]),
            psk_mixed::psk_id.eq(mixed.id.encode()),
            psk_mixed::epoch.eq(convert::number(mixed.epoch)?),
            psk_mixed::generation.eq(convert::number(generation)?),
        ))
        .execute(conn)?;
    Ok(())
}

impl Tx {
    /// The key from elsewhere that was mixed in last; `None` when none was since the room's group was made, as far as this
    /// device has seen.
    ///
    /// # Errors
    /// What the database says.
    pub fn mixed_key(&mut self, room: RoomId) -> Result<Option<MixedKey>, StoreError> {
        let Some(state) = self.room(room)? else { return Ok(None) };
        let row: Option<(Vec<u8>, i64)> = psk_mixed::table
            .find(&room.as_bytes()[..])
            .filter(psk_mixed::generation.eq(convert::number(state.generation.0)?))
            .select((psk_mixed::psk_id, psk_mixed::epoch))
            .get_result(&mut self.conn)
            .optional()?;
        row.map(|(id, epoch)| Ok(MixedKey { id: psk_id(&id)?, epoch: convert::unsigned("epoch", epoch)? }))
            .transpose()
    }
}
