//! The side of a device that belongs to the account already.

use super::{
    LinkAnswer, LinkError, LinkHello, NONCE, Transcript,
    new::{self, OPENING, OPENING_INFO},
};
use crate::{
    crypto::{entropy::Entropy, hpke, kdf, secret::Secret},
    ids::UserName,
};

/// An old device that has answered a commitment.
pub struct OldDevice {
    commitment: [u8; 48],
    answer: LinkAnswer,
    bytes: Vec<u8>,
    transfer: Secret<{ hpke::SECRET_KEY }>,
}

impl OldDevice {
    /// Answers a commitment. Of `own` the nonce and the transfer key are drawn here.
    ///
    /// # Errors
    /// [`LinkError::Entropy`].
    pub fn answer(
        commitment: [u8; 48],
        mut own: LinkAnswer,
        entropy: &dyn Entropy,
    ) -> Result<Self, LinkError> {
        let (transfer, transfer_key) = hpke::generate_key_pair(entropy)?;
        own.transfer_key = transfer_key;
        entropy.fill(&mut own.nonce)?;
        Ok(Self { commitment, bytes: own.encode(), answer: own, transfer })
    }

    /// Puts together again what was kept: the commitment, [`OldDevice::answer_bytes`], [`OldDevice::transfer_secret`].
    ///
    /// # Errors
    /// [`LinkError::Identity`].
    pub fn restore(
        commitment: [u8; 48],
        answer: Vec<u8>,
        transfer: Secret<{ hpke::SECRET_KEY }>,
    ) -> Result<Self, LinkError> {
        Ok(Self { commitment, answer: LinkAnswer::decode(&answer)?, bytes: answer, transfer })
    }

    /// What was answered.
    pub fn commitment(&self) -> &[u8; 48] {
        &self.commitment
    }

    /// The second message.
    pub fn answer_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What opens the opening.
    pub fn transfer_secret(&self) -> &Secret<{ hpke::SECRET_KEY }> {
        &self.transfer
    }

    /// Opens the third message: who asks, and what both people will compare.
    ///
    /// # Errors
    /// [`LinkError::Sealed`]; [`LinkError::Commitment`] when it is not what was committed to; [`LinkError::Mismatch`] when
    /// the new device means another server or account than this one, which is called `name`.
    pub fn open(&self, opening: &[u8], name: &UserName) -> Result<(LinkHello, Transcript), LinkError> {
        let aad = opening_aad(&self.commitment, &self.bytes);
        let plain = new::open(OPENING, &self.transfer, OPENING_INFO, &aad, opening)?;
        let (nonce, bytes) = plain.split_first_chunk::<NONCE>().ok_or(LinkError::Commitment)?;
        if new::commitment(nonce, bytes) != self.commitment {
            return Err(LinkError::Commitment);
        }
        let hello = LinkHello::decode(bytes)?;
        if hello.server != self.answer.server {
            return Err(LinkError::Mismatch("server"));
        }
        if hello.account_name != *name {
            return Err(LinkError::Mismatch("account"));
        }
        let transcript = Transcript::new(&self.commitment, nonce, bytes, &self.bytes);
        Ok((hello, transcript))
    }
}

/// What an opening is bound to: the commitment that it opens, and SHA-384 of the answer that it follows.
pub(super) fn opening_aad(commitment: &[u8; 48], answer: &[u8]) -> Vec<u8> {
    [&commitment[..], &kdf::sha384(&[answer])].concat()
}
