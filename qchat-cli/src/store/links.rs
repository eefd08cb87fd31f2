//! A device on its way into an account: as the new one, as the old one that has answered, and whom the account knew
//! before this device did.

use diesel::{OptionalExtension, prelude::*};
use qchat_proto::{
    crypto::secret::Secret,
    identity::Pinned,
    ids::{AccountId, LinkId, UserName},
};
use zeroize::Zeroizing;

use super::{
    StoreError, Tx, convert,
    schema::{answered, handed, identity, linking},
};

/// A new device whose user has compared the codes. Holds its private keys.
pub struct Linking {
    /// What it has said of itself.
    pub hello: Vec<u8>,
    /// What it had hidden that with.
    pub nonce: Secret<32>,
    /// Seed of the device's signing key.
    pub device_key: Secret<64>,
    /// What opens the grant.
    pub transfer: Secret<32>,
    /// What the old device has answered.
    pub answer: Vec<u8>,
    /// Good for the link.
    pub token: Zeroizing<String>,
}

/// A new device that this one has answered.
pub struct Answered {
    /// The link.
    pub link: LinkId,
    /// What the new device has committed to.
    pub commitment: [u8; 48],
    /// The answer.
    pub answer: Vec<u8>,
    /// What opens the opening.
    pub transfer: Secret<32>,
}

/// Somebody whom another device of this account has pinned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handed {
    /// Their name.
    pub name: UserName,
    /// What was pinned.
    pub pinned: Pinned,
    /// Whether the user has compared the safety number.
    pub verified: bool,
    /// When they were first seen, milliseconds since the Unix epoch.
    pub first_seen_ms: i64,
}

type LinkingRow = (i32, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, String);
type HandedRow = (Vec<u8>, String, Vec<u8>, bool, i64);

fn secret<const N: usize>(what: &'static str, bytes: Vec<u8>) -> Result<Secret<N>, StoreError> {
    Secret::from_slice(&Zeroizing::new(bytes)).ok_or(StoreError::Corrupt(what))
}

fn handed_row((_, name, pinned, verified, first_seen_ms): HandedRow) -> Result<Handed, StoreError> {
    Ok(Handed {
        name: name.parse().map_err(|_| StoreError::Corrupt("user name"))?,
        pinned: Pinned::decode(&pinned).map_err(|_| StoreError::Corrupt("pin"))?,
        verified,
        first_seen_ms,
    })
}

impl Tx {
    /// The new device that this profile is of while it is not one of its account yet.
    ///
    /// # Errors
    /// What the database says.
    pub fn linking(&mut self) -> Result<Option<Linking>, StoreError> {
        let row: Option<LinkingRow> = linking::table.get_result(&mut self.conn).optional()?;
        row.map(|(_, hello, nonce, device_key, transfer, answer, token)| {
            Ok(Linking {
                hello,
                nonce: secret("nonce", nonce)?,
                device_key: secret("device key", device_key)?,
                transfer: secret("transfer key", transfer)?,
                answer,
                token: Zeroizing::new(token),
            })
        })
        .transpose()
    }

    /// Stores the new device.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_linking(&mut self, new: &Linking) -> Result<(), StoreError> {
        diesel::replace_into(linking::table)
            .values((
                linking::id.eq(1),
                linking::hello.eq(&new.hello),
                linking::nonce.eq(&new.nonce.expose()[..]),
                linking::device_key.eq(&new.device_key.expose()[..]),
                linking::transfer.eq(&new.transfer.expose()[..]),
                linking::answer.eq(&new.answer),
                linking::token.eq(new.token.as_str()),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Forgets the new device: it is one of its account now.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_linking(&mut self) -> Result<(), StoreError> {
        diesel::delete(linking::table).execute(&mut self.conn)?;
        Ok(())
    }

    /// The new device that this one has answered last.
    ///
    /// # Errors
    /// What the database says.
    pub fn answered(&mut self) -> Result<Option<Answered>, StoreError> {
        type Row = (i32, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);
        let row: Option<Row> = answered::table.get_result(&mut self.conn).optional()?;
        row.map(|(_, link, commitment, answer, transfer)| {
            Ok(Answered {
                link: convert::id("link id", &link)?,
                commitment: convert::array("commitment", &commitment)?,
                answer,
                transfer: secret("transfer key", transfer)?,
            })
        })
        .transpose()
    }

    /// Stores the answer to a new device, in the place of the one before.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_answered(&mut self, answer: &Answered) -> Result<(), StoreError> {
        diesel::replace_into(answered::table)
            .values((
                answered::id.eq(1),
                answered::link.eq(&answer.link.as_bytes()[..]),
                answered::commitment.eq(&answer.commitment[..]),
                answered::answer.eq(&answer.answer),
                answered::transfer.eq(&answer.transfer.expose()[..]),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Forgets the answer to a new device.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_answered(&mut self) -> Result<(), StoreError> {
        diesel::delete(answered::table).execute(&mut self.conn)?;
        Ok(())
    }

    /// What another device has pinned of this account, which was not met here yet.
    ///
    /// # Errors
    /// What the database says.
    pub fn handed(&mut self, account: AccountId) -> Result<Option<Handed>, StoreError> {
        let row: Option<HandedRow> =
            handed::table.find(&account.as_bytes()[..]).get_result(&mut self.conn).optional()?;
        row.map(handed_row).transpose()
    }

    /// The same, by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn handed_by_name(&mut self, name: &UserName) -> Result<Option<Handed>, StoreError> {
        let row: Option<HandedRow> =
            handed::table.filter(handed::name.eq(name.as_str())).get_result(&mut self.conn).optional()?;
        row.map(handed_row).transpose()
    }

    /// Everybody whom another device has pinned and this one has not met.
    ///
    /// # Errors
    /// What the database says.
    pub fn all_handed(&mut self) -> Result<Vec<Handed>, StoreError> {
        let rows: Vec<HandedRow> = handed::table.order(handed::name).load(&mut self.conn)?;
        rows.into_iter().map(handed_row).collect()
    }

    /// Stores what another device has pinned.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_handed(&mut self, known: &Handed) -> Result<(), StoreError> {
        diesel::replace_into(handed::table)
            .values((
                handed::account.eq(&known.pinned.account.as_bytes()[..]),
                handed::name.eq(known.name.as_str()),
                handed::pinned.eq(known.pinned.encode()),
                handed::verified.eq(known.verified),
                handed::first_seen_ms.eq(known.first_seen_ms),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Forgets what another device has pinned: this one has met the account.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_handed(&mut self, account: AccountId) -> Result<(), StoreError> {
        diesel::delete(handed::table.find(&account.as_bytes()[..])).execute(&mut self.conn)?;
        Ok(())
    }

    /// Whether the daemon has this device's label.
    ///
    /// # Errors
    /// What the database says.
    pub fn labelled(&mut self) -> Result<bool, StoreError> {
        Ok(identity::table.select(identity::labelled).get_result(&mut self.conn).optional()?.unwrap_or(false))
    }

    /// Stores whether the daemon has this device's label.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_labelled(&mut self, labelled: bool) -> Result<(), StoreError> {
        diesel::update(identity::table).set(identity::labelled.eq(labelled)).execute(&mut self.conn)?;
        Ok(())
    }
}
