//! Keys out of passwords: Argon2id version 0x13 (RFC 9106), with floors that no server and no stored file can lower.
//!
//! | use | password | salt (32 bytes) | parameters |
//! |---|---|---|---|
//! | auth | UTF-8 of NFC | `qchat auth v1` zero-padded to 16 ‖ 16 random bytes, known to the server | [`KdfParams::AUTH`] |
//! | vault | UTF-8 of NFC | `qchat vault v1` zero-padded to 16 ‖ 16 random bytes, local | [`KdfParams::VAULT`] |
//!
//! Output 32 bytes, no secret, no associated data. NFC makes the same password typed on two systems the same bytes
//! (RFC 8265 §4.2). The label in the salt keeps the two keys apart even where the random halves coincide.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::secret::Secret;

const AUTH_LABEL: &[u8; 16] = b"qchat auth v1\0\0\0";
const VAULT_LABEL: &[u8; 16] = b"qchat vault v1\0\0";
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_ITERATIONS: u32 = 64;
const MOST_LANES: u32 = 64;

/// The cost of one derivation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KdfParams {
    /// Memory, KiB: 65,536 (64 MiB) to 1,048,576 (1 GiB).
    pub memory_kib: u32,
    /// Passes over the memory: 3 to 64.
    pub iterations: u32,
    /// Lanes, computed in parallel: 4 to 64.
    pub lanes: u32,
}

impl KdfParams {
    /// The least that any derivation accepts: 64 MiB, 3 passes, 4 lanes (RFC 9106 §4, second recommended option).
    pub const FLOOR: Self = Self { memory_kib: 64 * 1024, iterations: 3, lanes: 4 };
    /// For the key that the server checks.
    pub const AUTH: Self = Self::FLOOR;
    /// For the key that wraps the local vault, unless its owner wants it otherwise: 256 MiB, 3 passes, 4 lanes.
    pub const VAULT: Self = Self::with_memory(256);

    /// Another memory, MiB, with 3 passes and 4 lanes; outside 64 to 1,024 every derivation refuses it.
    pub const fn with_memory(mebibytes: u32) -> Self {
        Self { memory_kib: mebibytes.saturating_mul(1024), ..Self::FLOOR }
    }

    fn check(self) -> Result<(), KdfError> {
        if self.memory_kib < Self::FLOOR.memory_kib
            || self.iterations < Self::FLOOR.iterations
            || self.lanes < Self::FLOOR.lanes
        {
            Err(KdfError::BelowFloor(self))
        } else if self.memory_kib > MOST_MEMORY_KIB
            || self.iterations > MOST_ITERATIONS
            || self.lanes > MOST_LANES
        {
            Err(KdfError::AboveCeiling(self))
        } else {
            Ok(())
        }
    }
}

/// A key cannot be derived from the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KdfError {
    /// Weaker than [`KdfParams::FLOOR`]: someone tries to make guessing cheap.
    #[error("password parameters {0:?} are below the floor of 64 MiB, 3 passes and 4 lanes")]
    BelowFloor(KdfParams),
    /// Above 1 GiB, 64 passes or 64 lanes: someone tries to exhaust this machine.
    #[error("password parameters {0:?} are above the ceiling of 1 GiB, 64 passes and 64 lanes")]
    AboveCeiling(KdfParams),
    /// The password has no character.
    #[error("an empty password protects nothing")]
    Empty,
    /// The memory could not be had, or the password is over 4 GiB.
    #[error("not enough memory for {} MiB", .0.memory_kib / 1024)]
    Memory(KdfParams),
}

/// Derives what is sent to the server in place of the password.
///
/// # Errors
/// See [`KdfError`].
pub fn derive_auth_key(password: &str, salt: &[u8; 16], params: KdfParams) -> Result<Secret<32>, KdfError> {
    derive(password, AUTH_LABEL, salt, params)
}

/// Derives the key that wraps the local vault. Its salt is never the one of [`derive_auth_key`].
///
/// # Errors
/// See [`KdfError`].
pub fn derive_vault_key(password: &str, salt: &[u8; 16], params: KdfParams) -> Result<Secret<32>, KdfError> {
    derive(password, VAULT_LABEL, salt, params)
}

fn derive(
    password: &str,
    label: &[u8; 16],
    salt: &[u8; 16],
    params: KdfParams,
) -> Result<Secret<32>, KdfError> {
    params.check()?;
    if password.is_empty() {
        return Err(KdfError::Empty);
    }
    // NFC triples the UTF-8 length at most (Unicode Annex 15), so this never reallocates and leaves no copy behind.
    let mut normal = Zeroizing::new(String::with_capacity(3 * password.len()));
    normal.extend(password.nfc());
    let mut salted = [0; 32];
    salted[..16].copy_from_slice(label);
    salted[16..].copy_from_slice(salt);

    let failed = |_| KdfError::Memory(params);
    let cost = Params::new(params.memory_kib, params.iterations, params.lanes, Some(32)).map_err(failed)?;
    // Own memory, because the library gives its own back to the allocator without wiping it.
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(cost.block_count()).map_err(|_| KdfError::Memory(params))?;
    memory.resize(cost.block_count(), Block::new());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost);
    let key = Secret::fill_with(|out| {
        argon2.hash_password_into_with_memory(normal.as_bytes(), &salted, out, &mut memory)
    });
    memory.fill(Block::new());
    std::hint::black_box(&memory);
    key.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_outside_the_compiled_bounds_are_refused() {
        let floor = KdfParams::FLOOR;
        for (params, refusal) in [
            (floor, None),
            (KdfParams { memory_kib: floor.memory_kib - 1, ..floor }, Some("below")),
            (KdfParams { iterations: 2, ..floor }, Some("below")),
            (KdfParams { lanes: 3, ..floor }, Some("below")),
            (KdfParams { memory_kib: 1, iterations: 1, lanes: 1 }, Some("below")),
            (KdfParams { memory_kib: MOST_MEMORY_KIB + 1, ..floor }, Some("above")),
            (KdfParams { iterations: u32::MAX, ..floor }, Some("above")),
            (KdfParams { lanes: u32::MAX, ..floor }, Some("above")),
        ] {
            for derive in [derive_auth_key, derive_vault_key] {
                // Only refusals run the real function here: they cost nothing.
                let seen = match refusal {
                    None => params.check().err(),
                    Some(_) => derive("correct horse", &[0; 16], params).err(),
                };
                let kind = seen.map(|error| match error {
                    KdfError::BelowFloor(_) => "below",
                    KdfError::AboveCeiling(_) => "above",
                    KdfError::Empty | KdfError::Memory(_) => "other",
                });
                assert_eq!(kind, refusal, "{params:?}");
            }
        }
        assert_eq!(KdfParams::VAULT.check(), Ok(()));
    }

    #[test]
    fn keys_are_those_of_the_reference_implementation() {
        // Made with the reference C library (argon2-cffi) from the table above.
        let salt = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let password = "corr\u{e9}ct h\u{f6}rse";
        let auth = derive_auth_key(password, &salt, KdfParams::AUTH).unwrap();
        assert_eq!(
            hex::encode(auth.expose()),
            "e1269b2d10b6ca1dd57ee0a6c17e99c5521a9849325b7540a447220861d32fa8"
        );
        let vault = derive_vault_key(password, &salt, KdfParams::FLOOR).unwrap();
        assert_eq!(
            hex::encode(vault.expose()),
            "2b23b30c0cc2d6d193e9a498d6a6ecd4f933142fb6fe0e4a1036855426575f6d"
        );
    }

    #[test]
    fn use_salt_and_password_each_change_the_key() {
        let cost = KdfParams::AUTH;
        let key = derive_auth_key("pass\u{e9}", &[7; 16], cost).unwrap();
        assert!(key.ct_eq(&derive_auth_key("passe\u{301}", &[7; 16], cost).unwrap()), "NFC");
        assert!(!key.ct_eq(&derive_vault_key("pass\u{e9}", &[7; 16], cost).unwrap()));
        assert!(!key.ct_eq(&derive_auth_key("pass\u{e9}", &[8; 16], cost).unwrap()));
        assert!(!key.ct_eq(&derive_auth_key("passe", &[7; 16], cost).unwrap()));
        assert_eq!(derive_auth_key("", &[7; 16], cost).err(), Some(KdfError::Empty));
    }
}
