//! What each of the two devices says of itself.

use super::NONCE;
use crate::{
    crypto::{hpke, sign::DevicePublicKey},
    identity::{
        DeviceName, IdentityError,
        format::{Reader, Statement, put_text},
    },
    ids::{AccountId, DeviceId, ServerId, UserName},
};

const HELLO: Statement = Statement::LinkHello;
const ANSWER: Statement = Statement::LinkAnswer;

/// What a new device says of itself, once it has committed to it and has an answer.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 7 |
/// | 16 | server id |
/// | 1 + 1..=32 | length of the account's name, the name |
/// | 16 | the device id that it has drawn |
/// | 1984 | its device key |
/// | 1216 | X-Wing public key, drawn for this alone, that the grant is sealed to |
/// | 1 + 1..=64 | length of the device's name, the name |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkHello {
    /// The server that it speaks with.
    pub server: ServerId,
    /// The account that it is to belong to.
    pub account_name: UserName,
    /// Itself.
    pub device: DeviceId,
    /// Its key.
    pub device_key: DevicePublicKey,
    /// What the grant is sealed to.
    pub transfer_key: Vec<u8>,
    /// How it is to be called.
    pub name: DeviceName,
}

impl LinkHello {
    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = HELLO.begin();
        bytes.extend(self.server.as_bytes());
        put_text(&mut bytes, self.account_name.as_str());
        bytes.extend(self.device.as_bytes());
        bytes.extend(self.device_key.as_bytes());
        bytes.extend(&self.transfer_key);
        put_text(&mut bytes, self.name.as_str());
        bytes
    }

    /// Decodes it.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(bytes, HELLO)?;
        let hello = Self {
            server: ServerId::from_bytes(reader.array()?),
            account_name: reader.name()?,
            device: reader.device()?,
            device_key: reader.key()?,
            transfer_key: transfer_key(&mut reader)?,
            name: DeviceName::read(reader.text()?).ok_or_else(|| reader.malformed())?,
        };
        reader.end()?;
        Ok(hello)
    }
}

/// What an old device says of its account and itself, before it knows who asks.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 8 |
/// | 16 | server id |
/// | 16 | account id |
/// | 16 | device id of the old device |
/// | 48 | SHA-384 of the account identity key |
/// | 48 | SHA-384 of the recovery key |
/// | 1216 | X-Wing public key, drawn for this alone, that the opening is sealed to |
/// | 32 | nonce |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkAnswer {
    /// The server that it speaks with.
    pub server: ServerId,
    /// Its account.
    pub account: AccountId,
    /// Itself.
    pub device: DeviceId,
    /// SHA-384 of the account's identity key.
    pub identity_key_hash: [u8; 48],
    /// SHA-384 of the account's recovery key.
    pub recovery_key_hash: [u8; 48],
    /// What the opening is sealed to.
    pub transfer_key: Vec<u8>,
    /// Drawn for this answer.
    pub nonce: [u8; NONCE],
}

impl LinkAnswer {
    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = ANSWER.begin();
        bytes.extend(self.server.as_bytes());
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend(self.identity_key_hash);
        bytes.extend(self.recovery_key_hash);
        bytes.extend(&self.transfer_key);
        bytes.extend(self.nonce);
        bytes
    }

    /// Decodes it.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(bytes, ANSWER)?;
        let answer = Self {
            server: ServerId::from_bytes(reader.array()?),
            account: reader.account()?,
            device: reader.device()?,
            identity_key_hash: reader.array()?,
            recovery_key_hash: reader.array()?,
            transfer_key: transfer_key(&mut reader)?,
            nonce: reader.array()?,
        };
        reader.end()?;
        Ok(answer)
    }
}

fn transfer_key(reader: &mut Reader<'_>) -> Result<Vec<u8>, IdentityError> {
    let key = reader.bytes(hpke::PUBLIC_KEY)?;
    hpke::validate_public_key(key).map_err(|_| reader.malformed())?;
    Ok(key.to_vec())
}
