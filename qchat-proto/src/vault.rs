//! What stands in a client's `vault.json`: the key of its database, encrypted under its owner's passphrase.
//!
//! ```json
//! {"version":1,"kdf":"argon2id","memory_kib":262144,"iterations":3,"lanes":4,
//!  "salt":"22 characters","nonce":"16 characters","wrapped_key":"64 characters","check":"11 characters"}
//! ```
//!
//! Byte strings are base64url without padding. `wrapped_key` is AES-256-GCM of the 32-byte database key, with its tag,
//! under the Argon2id key of passphrase and salt. Associated data: `qchat vault file` (16 bytes), then version,
//! memory, iterations and lanes (4 bytes each, big endian), then the salt (16 bytes): nobody can lower a cost without
//! making the key unreadable. `check` is the first 8 bytes of SHA-384 of associated data, nonce and wrapped key: it tells a
//! damaged file from a wrong passphrase, and guards against nobody. A file of before has none.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha384};

use crate::{
    crypto::{
        aead,
        entropy::{Entropy, EntropyError},
        password::{KdfError, KdfParams, derive_vault_key},
        secret::Secret,
    },
    wire::api::Binary,
};

const VERSION: u32 = 1;
const KDF: &str = "argon2id";
const AAD_LABEL: &[u8; 16] = b"qchat vault file";

/// A key cannot be put under a passphrase, or not be had from the file. Never holds a key or a passphrase.
#[derive(Debug, thiserror::Error)]
pub enum VaultFault {
    /// A newer version of the program wrote it.
    #[error("written by a newer version")]
    TooNew,
    /// The named part is not what this program writes.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The passphrase does not open it; or it was altered, which cannot be told apart.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The passphrase is empty, the costs are out of bounds, or memory is short.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The key could not be encrypted.
    #[error("the key could not be encrypted")]
    Seal,
}

/// The file's content.
#[derive(Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are the file's")]
pub struct WrappedKey {
    version: u32,
    kdf: String,
    memory_kib: u32,
    iterations: u32,
    lanes: u32,
    salt: Binary,
    nonce: Binary,
    wrapped_key: Binary,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check: Option<Binary>,
}

/// Only the version, which is read first: the rest may look different in another one.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl WrappedKey {
    /// Reads the file's content.
    ///
    /// # Errors
    /// [`VaultFault::TooNew`], [`VaultFault::Malformed`].
    pub fn read(json: &[u8]) -> Result<Self, VaultFault> {
        let Versioned { version } =
            serde_json::from_slice(json).map_err(|_| VaultFault::Malformed("it is not a vault"))?;
        match version {
            VERSION => serde_json::from_slice(json).map_err(|_| VaultFault::Malformed("a field")),
            0 => Err(VaultFault::Malformed("the version")),
            _ => Err(VaultFault::TooNew),
        }
    }

    /// Writes the file's content.
    ///
    /// # Errors
    /// None that is known.
    pub fn write(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// Encrypts `key` under the passphrase, with a fresh salt and nonce. Takes as long as Argon2id does (100 ms and more).
    ///
    /// # Errors
    /// [`VaultFault::Kdf`], [`VaultFault::Entropy`], [`VaultFault::Seal`].
    pub fn wrap(
        key: &Secret<32>,
        passphrase: &str,
        params: KdfParams,
        entropy: &dyn Entropy,
    ) -> Result<Self, VaultFault> {
        let mut salt = [0; 16];
        let mut nonce = [0; aead::NONCE];
        entropy.fill(&mut salt)?;
        entropy.fill(&mut nonce)?;
        let wrapping = derive_vault_key(passphrase, &salt, params)?;
        let wrapped_key = aead::seal(wrapping.expose(), &nonce, &aad(params, &salt), key.expose())
            .map_err(|_| VaultFault::Seal)?;
        let check = check(&aad(params, &salt), &nonce, &wrapped_key);
        Ok(Self {
            check: Some(check.to_vec().into()),
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

    /// Decrypts the key. The costs in the file are held against the compiled bounds before any work is done. Takes as long
    /// as Argon2id does.
    ///
    /// # Errors
    /// [`VaultFault::WrongPassphrase`], [`VaultFault::Malformed`], [`VaultFault::Kdf`].
    pub fn unwrap(&self, passphrase: &str) -> Result<Secret<32>, VaultFault> {
        let malformed = VaultFault::Malformed;
        if self.kdf != KDF {
            return Err(malformed("the key derivation"));
        }
        let salt: [u8; 16] = self.salt.as_ref().try_into().map_err(|_| malformed("the salt"))?;
        let nonce: [u8; aead::NONCE] = self.nonce.as_ref().try_into().map_err(|_| malformed("the nonce"))?;
        if self.wrapped_key.as_ref().len() != 32 + aead::TAG {
            return Err(malformed("the wrapped key"));
        }
        let params = self.params();
        let stated = self.check.as_ref().map(AsRef::as_ref);
        let found = check(&aad(params, &salt), &nonce, self.wrapped_key.as_ref());
        if stated.is_some_and(|stated: &[u8]| stated != found) {
            return Err(malformed("its checksum does not fit"));
        }
        let wrapping = derive_vault_key(passphrase, &salt, params)?;
        let key = aead::open(wrapping.expose(), &nonce, &aad(params, &salt), self.wrapped_key.as_ref())
            .map_err(|_| VaultFault::WrongPassphrase)?;
        Secret::from_slice(&key).ok_or_else(|| malformed("the wrapped key"))
    }

    /// The costs that it states it was made with.
    pub const fn params(&self) -> KdfParams {
        KdfParams { memory_kib: self.memory_kib, iterations: self.iterations, lanes: self.lanes }
    }
}

fn check(aad: &[u8], nonce: &[u8], wrapped_key: &[u8]) -> [u8; 8] {
    let digest = Sha384::new().chain_update(aad).chain_update(nonce).chain_update(wrapped_key).finalize();
    let mut check = [0; 8];
    check.copy_from_slice(&digest[..8]);
    check
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::SystemEntropy;

    const PASSPHRASE: &str = "correct horse battery staple";

    fn made() -> (Secret<32>, serde_json::Value) {
        let key = Secret::random(&SystemEntropy).unwrap();
        let wrapped = WrappedKey::wrap(&key, PASSPHRASE, KdfParams::FLOOR, &SystemEntropy).unwrap();
        assert_eq!(wrapped.params(), KdfParams::FLOOR);
        (key, serde_json::from_slice(&wrapped.write().unwrap()).unwrap())
    }

    fn open(json: &[u8], passphrase: &str) -> Result<Secret<32>, VaultFault> {
        WrappedKey::read(json)?.unwrap(passphrase)
    }

    #[test]
    fn a_key_is_had_with_its_passphrase_alone_and_never_wrapped_alike() {
        let (key, json) = made();
        let file = json.to_string().into_bytes();
        assert!(open(&file, PASSPHRASE).unwrap().ct_eq(&key));
        assert!(matches!(open(&file, "correct horse"), Err(VaultFault::WrongPassphrase)));
        assert!(matches!(open(&file, ""), Err(VaultFault::Kdf(KdfError::Empty))));
        assert!(WrappedKey::read(&file).unwrap().write().unwrap().ends_with(b"}\n"));
        let (_, other) = made();
        for drawn in ["salt", "nonce", "wrapped_key"] {
            assert_ne!(json[drawn], other[drawn], "{drawn}");
        }
    }

    #[test]
    fn what_this_program_does_not_write_is_refused() {
        let (_, json) = made();
        for (field, value, refusal) in [
            ("version", 2.into(), "newer"),
            ("version", 0.into(), "malformed: the version"),
            ("version", "1".into(), "malformed: it is not a vault"),
            ("kdf", "md5".into(), "malformed: the key derivation"),
            ("memory_kib", 1024.into(), "below the floor"),
            ("iterations", 1.into(), "below the floor"),
            ("lanes", 1.into(), "below the floor"),
            ("memory_kib", 4_000_000_000_u32.into(), "above the ceiling"),
            // Within the bounds, but not what the key was wrapped with.
            ("memory_kib", (64 * 1024 + 8).into(), "passphrase is wrong"),
            ("iterations", 4.into(), "passphrase is wrong"),
            ("lanes", 5.into(), "passphrase is wrong"),
            ("salt", "AAAAAAAAAAAAAAAAAAAAAA".into(), "passphrase is wrong"),
            ("salt", "AAAA".into(), "malformed: the salt"),
            ("nonce", "AAAAAAAAAAAAAAAA".into(), "passphrase is wrong"),
            ("nonce", "AAAA".into(), "malformed: the nonce"),
            ("wrapped_key", "AAAA".into(), "malformed: the wrapped key"),
            ("wrapped_key", serde_json::Value::Null, "malformed: a field"),
        ] {
            let mut altered = json.clone();
            altered[field] = value;
            // As whoever means it does.
            altered["check"] = serde_json::Value::Null;
            let error = open(altered.to_string().as_bytes(), PASSPHRASE).err().unwrap().to_string();
            assert!(error.contains(refusal), "{field}: {error}");
        }
        for junk in [&b""[..], b"{}", b"[1]"] {
            assert!(matches!(WrappedKey::read(junk).err(), Some(VaultFault::Malformed(_))));
        }
    }

    #[test]
    fn a_flipped_bit_is_never_taken_for_a_wrong_passphrase() {
        let (key, json) = made();
        let file = serde_json::to_vec_pretty(&json).unwrap();
        let spaces = file.iter().filter(|byte| byte.is_ascii_whitespace()).count();
        let mut opened = 0;
        for place in 0..file.len() {
            let mut flipped = file.clone();
            flipped[place] ^= 1 << (place % 7);
            match open(&flipped, PASSPHRASE) {
                // Between the fields, or in the name of the checksum.
                Ok(found) => {
                    assert!(found.ct_eq(&key), "{place}");
                    opened += 1;
                }
                Err(VaultFault::Malformed(_) | VaultFault::TooNew) => {}
                Err(fault) => panic!("{place}: {fault}"),
            }
        }
        assert!(opened <= spaces + "check".len(), "{opened}");
        for length in 0..file.len() {
            let torn = open(&file[..length], PASSPHRASE);
            assert!(matches!(torn, Err(VaultFault::Malformed(_))), "{length}");
        }
    }

    #[test]
    fn costs_are_authenticated_with_the_key() {
        // Derived at the stated cost and opened under another's associated data, it would still open were they not.
        let salt = [3; 16];
        let cost = KdfParams { iterations: 4, ..KdfParams::FLOOR };
        assert_ne!(aad(cost, &salt), aad(KdfParams::FLOOR, &salt));
        assert_ne!(aad(cost, &salt), aad(cost, &[4; 16]));
        assert_eq!(&aad(cost, &salt)[..20], b"qchat vault file\0\0\0\x01");
    }
}
