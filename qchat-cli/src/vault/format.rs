//! What stands in `vault.json`.
//!
//! ```json
//! {"version":1,"kdf":"argon2id","memory_kib":262144,"iterations":3,"lanes":4,
//!  "salt":"22 characters","nonce":"16 characters","wrapped_key":"64 characters"}
//! ```
//!
//! Byte strings are base64url without padding. `wrapped_key` is AES-256-GCM of the 32-byte database key, with its tag,
//! under the Argon2id key of passphrase and salt. Associated data: `qchat vault file` (16 bytes), then version,
//! memory, iterations and lanes (4 bytes each, big endian), then the salt (16 bytes): nobody can lower a cost without
//! making the key unreadable.

use qchat_proto::{
    crypto::{
        aead,
        entropy::Entropy,
        password::{KdfParams, derive_vault_key},
        secret::Secret,
    },
    wire::api::Binary,
};
use serde::{Deserialize, Serialize};

use super::VaultError;

const VERSION: u32 = 1;
const KDF: &str = "argon2id";
const AAD_LABEL: &[u8; 16] = b"qchat vault file";

/// The file's content.
#[derive(Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are the file's")]
pub(super) struct Wrapped {
    version: u32,
    kdf: String,
    memory_kib: u32,
    iterations: u32,
    lanes: u32,
    salt: Binary,
    nonce: Binary,
    wrapped_key: Binary,
}

/// Only the version, which is read first: the rest may look different in another one.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Why a file's content was not understood.
pub(super) enum Unreadable {
    TooNew,
    Malformed(&'static str),
}

impl Wrapped {
    /// Reads the file's content.
    pub(super) fn read(json: &[u8]) -> Result<Self, Unreadable> {
        let Versioned { version } =
            serde_json::from_slice(json).map_err(|_| Unreadable::Malformed("it is not a vault"))?;
        match version {
            VERSION => serde_json::from_slice(json).map_err(|_| Unreadable::Malformed("a field")),
            0 => Err(Unreadable::Malformed("the version")),
            _ => Err(Unreadable::TooNew),
        }
    }

    /// Writes the file's content.
    pub(super) fn write(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Encrypts `key` under the passphrase, with a fresh salt and nonce.
    pub(super) fn wrap(
        key: &Secret<32>,
        passphrase: &str,
        params: KdfParams,
        entropy: &dyn Entropy,
    ) -> Result<Self, VaultError> {
        let mut salt = [0; 16];
        let mut nonce = [0; aead::NONCE];
        entropy.fill(&mut salt)?;
        entropy.fill(&mut nonce)?;
        let wrapping = derive_vault_key(passphrase, &salt, params)?;
        let wrapped_key = aead::seal(wrapping.expose(), &nonce, &aad(params, &salt), key.expose())
            .map_err(|_| VaultError::Seal)?;
        Ok(Self {
            version: VERSION,
            kdf: KDF.to_owned(),
            memory_kib: params.memory_kib,
            iterations: params.iterations,
            lanes: params.lanes,
            salt: salt.to_vec().into(),
            nonce: nonce.to_vec().into(),
            wrapped_key: wrapped_key.into(),
        })
    }

    /// Decrypts the key. The costs in the file are held against the compiled bounds before any work is done.
    pub(super) fn unwrap(
        &self,
        passphrase: &str,
        malformed: impl Fn(&'static str) -> VaultError,
    ) -> Result<Secret<32>, VaultError> {
        if self.kdf != KDF {
            return Err(malformed("the key derivation"));
        }
        let salt: [u8; 16] = self.salt.as_ref().try_into().map_err(|_| malformed("the salt"))?;
        let nonce: [u8; aead::NONCE] = self.nonce.as_ref().try_into().map_err(|_| malformed("the nonce"))?;
        if self.wrapped_key.as_ref().len() != 32 + aead::TAG {
            return Err(malformed("the wrapped key"));
        }
        let params = self.params();
        let wrapping = derive_vault_key(passphrase, &salt, params)?;
        let key = aead::open(wrapping.expose(), &nonce, &aad(params, &salt), self.wrapped_key.as_ref())
            .map_err(|_| VaultError::WrongPassphrase)?;
        Secret::from_slice(&key).ok_or_else(|| malformed("the wrapped key"))
    }

    /// The costs it was made with.
    pub(super) fn params(&self) -> KdfParams {
        KdfParams { memory_kib: self.memory_kib, iterations: self.iterations, lanes: self.lanes }
    }
}

fn aad(params: KdfParams, salt: &[u8; 16]) -> [u8; 48] {
    let mut aad = [0; 48];
    aad[..16].copy_from_slice(AAD_LABEL);
    let numbers = [VERSION, params.memory_kib, params.iterations, params.lanes];
    for (place, number) in aad[16..32].chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    aad[32..].copy_from_slice(salt);
    aad
}
