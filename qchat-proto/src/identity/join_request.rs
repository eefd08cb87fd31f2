//! The join request: somebody who holds an invite link asks the members of its room to be let in.

use super::{
    IdentityError,
    format::{Reader, Statement},
};
use crate::{
    crypto::sign::{self, DevicePublicKey, DeviceSigningKey, Level, SignatureUse},
    ids::{AccountId, DeviceId, InviteId, RoomId, ServerId},
    invite::LinkSecret,
};

const WHAT: Statement = Statement::JoinRequest;
/// Bytes of a MAC.
const MAC: usize = 48;
/// Bytes before the MAC.
const ASKED: usize = 2 + 5 * 16 + 8;

/// What a device says to be let into a room. It stays at the server until a member has answered it.
///
/// | bytes | content |
/// |---|---|
/// | 2 | version 1, kind 17 |
/// | 16 | server id |
/// | 16 | room id |
/// | 16 | [id of the link](LinkSecret::id) |
/// | 16 | account id |
/// | 16 | device id |
/// | 8 | `created_at` |
/// | 48 | [MAC](LinkSecret::mac) of everything before it, by the link's secret |
/// | 3373 | signature by the device key (use `join-request`) |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinRequest {
    /// The server.
    pub server: ServerId,
    /// The room.
    pub room: RoomId,
    /// The link.
    pub link: InviteId,
    /// Who asks.
    pub account: AccountId,
    /// By which device.
    pub device: DeviceId,
    /// When, Unix seconds.
    pub created_at: u64,
}

impl JoinRequest {
    /// Bytes of a request.
    pub const SIZE: usize = ASKED + MAC + sign::Device::SIGNATURE;

    /// Makes the bytes that travel. The link is the secret's.
    ///
    /// # Errors
    /// [`IdentityError::Sign`].
    pub fn seal(&self, secret: &LinkSecret, device: &DeviceSigningKey) -> Result<Vec<u8>, IdentityError> {
        let mut bytes = self.asked();
        bytes.extend(secret.mac(self.room, &bytes));
        let signature = device.sign(SignatureUse::JoinRequest, &bytes)?;
        bytes.extend(signature);
        Ok(bytes)
    }

    fn asked(&self) -> Vec<u8> {
        let mut bytes = WHAT.begin();
        bytes.extend(self.server.as_bytes());
        bytes.extend(self.room.as_bytes());
        bytes.extend(self.link.as_bytes());
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.device.as_bytes());
        bytes.extend(self.created_at.to_be_bytes());
        bytes
    }

    /// Reads what somebody says; nothing of it is true before [`SealedRequest::is_under`] and [`SealedRequest::verify`] say so.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn read(bytes: &[u8]) -> Result<SealedRequest<'_>, IdentityError> {
        let mut reader = Reader::new(bytes, WHAT)?;
        let request = Self {
            server: reader.array().map(ServerId::from_bytes)?,
            room: reader.array().map(RoomId::from_bytes)?,
            link: reader.array().map(InviteId::from_bytes)?,
            account: reader.account()?,
            device: reader.device()?,
            created_at: reader.u64()?,
        };
        let asked = reader.so_far();
        let mac = reader.bytes(MAC)?;
        let signed = reader.so_far();
        let signature = reader.bytes(sign::Device::SIGNATURE)?;
        reader.end()?;
        Ok(SealedRequest { request, asked, mac, signed, signature })
    }
}

/// A request as it was read.
#[derive(Clone, Debug)]
pub struct SealedRequest<'a> {
    /// What it says.
    pub request: JoinRequest,
    asked: &'a [u8],
    mac: &'a [u8],
    signed: &'a [u8],
    signature: &'a [u8],
}

impl SealedRequest<'_> {
    /// Whether whoever asks has this link.
    pub fn is_under(&self, secret: &LinkSecret) -> bool {
        self.request.link == secret.id() && secret.has_made(self.mac, self.request.room, self.asked)
    }

    /// Whether it is the device with this key that asks.
    ///
    /// # Errors
    /// [`IdentityError::Forged`].
    pub fn verify(&self, device: &DevicePublicKey) -> Result<(), IdentityError> {
        device
            .verify(SignatureUse::JoinRequest, self.signed, self.signature)
            .map_err(|_| IdentityError::Forged(WHAT.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::SystemEntropy;

    #[test]
    fn a_request_is_of_its_link_its_device_and_its_room_alone() {
        let [secret, other] = [1, 2].map(|n| LinkSecret::from_slice(&[n; 32]).unwrap());
        let [key, stranger] = [(); 2].map(|()| DeviceSigningKey::generate(&SystemEntropy).unwrap());
        let request = JoinRequest {
            server: ServerId::from_bytes([1; 16]),
            room: RoomId::from_bytes([2; 16]),
            link: secret.id(),
            account: AccountId::from_bytes([3; 16]),
            device: DeviceId::from_bytes([4; 16]),
            created_at: 5,
        };
        let bytes = request.seal(&secret, &key).unwrap();
        assert_eq!(bytes.len(), JoinRequest::SIZE);
        let read = JoinRequest::read(&bytes).unwrap();
        assert_eq!(read.request, request);
        assert!(read.is_under(&secret) && !read.is_under(&other));
        assert_eq!(read.verify(key.public()), Ok(()));
        assert!(read.verify(stranger.public()).is_err());
        // Each field is covered by both.
        for at in 2..ASKED {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let read = JoinRequest::read(&altered).unwrap();
            assert!(!read.is_under(&secret) && read.verify(key.public()).is_err(), "byte {at}");
        }
        // Who has the link and not the device's key makes no request of that device.
        let forged = request.seal(&secret, &stranger).unwrap();
        let read = JoinRequest::read(&forged).unwrap();
        assert!(read.is_under(&secret) && read.verify(key.public()).is_err());
        for wrong in [&bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat(), &[1, 16]] {
            assert!(JoinRequest::read(wrong).is_err());
        }
    }
}
