//! The new device's side.

use super::{Grant, LinkAnswer, LinkError, LinkHello, NONCE, Transcript, grant, old};
use crate::{
    crypto::{entropy::Entropy, hpke, kdf, secret::Secret, sign::DeviceSigningKey},
    identity::{
        DeviceName, IdentityError,
        format::{Reader, Statement},
    },
    ids::{DeviceId, ServerId, UserName},
};

const COMMITMENT: &[u8] = b"qchat link commitment v1";
pub(super) const OPENING: Statement = Statement::LinkOpening;
pub(super) const OPENING_INFO: &[u8] = b"qchat link opening v1";

/// A device that wants to belong to an account, with the keys that it has drawn. It meets one answer and no other:
/// whoever could choose among several would choose the code.
pub struct NewDevice {
    hello: LinkHello,
    bytes: Vec<u8>,
    nonce: Secret<NONCE>,
    key: DeviceSigningKey,
    transfer: Secret<{ hpke::SECRET_KEY }>,
}

impl NewDevice {
    /// Draws a device, its key, the key for the transfer, and the nonce.
    ///
    /// # Errors
    /// [`LinkError::Entropy`] or [`LinkError::Sign`].
    pub fn draw(
        server: ServerId,
        account_name: UserName,
        name: DeviceName,
        entropy: &dyn Entropy,
    ) -> Result<Self, LinkError> {
        let key = DeviceSigningKey::generate(entropy)?;
        let (transfer, transfer_key) = hpke::generate_key_pair(entropy)?;
        let hello = LinkHello {
            server,
            account_name,
            device: DeviceId::random(entropy)?,
            device_key: key.public().clone(),
            transfer_key,
            name,
        };
        Ok(Self { bytes: hello.encode(), hello, nonce: Secret::random(entropy)?, key, transfer })
    }

    /// Puts a device together again from what was kept of it: [`NewDevice::hello_bytes`], [`NewDevice::nonce`], the seed of
    /// [`NewDevice::key`], and [`NewDevice::transfer_secret`].
    ///
    /// # Errors
    /// [`LinkError::Identity`] or [`LinkError::Sign`].
    pub fn restore(
        hello: Vec<u8>,
        nonce: Secret<NONCE>,
        key_seed: Secret<64>,
        transfer: Secret<{ hpke::SECRET_KEY }>,
    ) -> Result<Self, LinkError> {
        let key = DeviceSigningKey::from_seed(key_seed)?;
        Ok(Self { hello: LinkHello::decode(&hello)?, bytes: hello, nonce, key, transfer })
    }

    /// What it says of itself, which nobody may see before there is an answer.
    pub fn hello(&self) -> &LinkHello {
        &self.hello
    }

    /// The same, encoded.
    pub fn hello_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What hides the hello in the commitment.
    pub fn nonce(&self) -> &Secret<NONCE> {
        &self.nonce
    }

    /// Its device key.
    pub fn key(&self) -> &DeviceSigningKey {
        &self.key
    }

    /// What opens the grant.
    pub fn transfer_secret(&self) -> &Secret<{ hpke::SECRET_KEY }> {
        &self.transfer
    }

    /// The first message: SHA-384 of the label `qchat link commitment v1`, the nonce and the hello.
    pub fn commitment(&self) -> [u8; 48] {
        commitment(self.nonce.expose(), &self.bytes)
    }

    /// Takes the one answer. Returns it decoded, and what both people will compare; nothing in it is believed yet.
    ///
    /// # Errors
    /// [`LinkError::Identity`] when it is malformed, [`LinkError::Mismatch`] when it speaks of another server.
    pub fn meet(&self, answer: &[u8]) -> Result<(LinkAnswer, Transcript), LinkError> {
        let decoded = LinkAnswer::decode(answer)?;
        if decoded.server != self.hello.server {
            return Err(LinkError::Mismatch("server"));
        }
        let transcript = Transcript::new(&self.commitment(), self.nonce.expose(), &self.bytes, answer);
        Ok((decoded, transcript))
    }

    /// The third message: the hello and the nonce, sealed to the key in the answer, so that the server does not learn how
    /// the device is called.
    ///
    /// # Errors
    /// [`LinkError::Sealed`] when that key is none, [`LinkError::Entropy`].
    pub fn opening(&self, answer: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, LinkError> {
        let to = LinkAnswer::decode(answer)?.transfer_key;
        let mut plain = zeroize::Zeroizing::new(Vec::with_capacity(NONCE + self.bytes.len()));
        plain.extend_from_slice(self.nonce.expose());
        plain.extend_from_slice(&self.bytes);
        let aad = old::opening_aad(&self.commitment(), answer);
        seal(OPENING, entropy, &to, OPENING_INFO, &aad, &plain)
    }

    /// Opens the grant, after the user of this device has said that the codes are the same. What it holds is then known to
    /// be of the account that the answer named, and to make this device one of that account's.
    ///
    /// # Errors
    /// [`LinkError::Sealed`], [`LinkError::Mismatch`], or [`LinkError::Identity`] with what does not hold.
    pub fn accept(
        &self,
        answer: &LinkAnswer,
        transcript: &Transcript,
        sealed: &[u8],
        now: u64,
    ) -> Result<Grant, LinkError> {
        let plain = open(grant::GRANT, &self.transfer, grant::GRANT_INFO, transcript.as_bytes(), sealed)?;
        let grant = Grant::decode(&plain)?;
        grant.check(&self.hello, answer, now)?;
        Ok(grant)
    }
}

pub(super) fn commitment(nonce: &[u8; NONCE], hello: &[u8]) -> [u8; 48] {
    kdf::sha384(&[COMMITMENT, nonce, hello])
}

/// Version and kind, encapsulated key, ciphertext.
pub(super) fn seal(
    what: Statement,
    entropy: &dyn Entropy,
    to: &[u8],
    info: &[u8],
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, LinkError> {
    let sealed = hpke::seal(entropy, to, info, None, aad, plain)?;
    let mut bytes = what.begin();
    bytes.extend(sealed.encapsulated_key);
    bytes.extend(sealed.ciphertext);
    Ok(bytes)
}

pub(super) fn open(
    what: Statement,
    secret: &Secret<{ hpke::SECRET_KEY }>,
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<zeroize::Zeroizing<Vec<u8>>, LinkError> {
    let mut reader = Reader::new(sealed, what)?;
    let encapsulated = reader.bytes(hpke::ENCAPSULATED_KEY)?;
    let ciphertext = reader.rest();
    if ciphertext.is_empty() {
        return Err(IdentityError::Malformed(what.name()).into());
    }
    Ok(hpke::open(secret.expose(), (encapsulated, ciphertext), info, None, aad)?)
}
