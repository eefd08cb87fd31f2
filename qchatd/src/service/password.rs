//! What the daemon keeps of a password: Argon2id over a keyed hash of what the client derived from it, so that neither
//! the database nor the pepper alone is worth guessing against.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit, Mac};
use qchat_proto::crypto::{
    entropy::{Entropy, SystemEntropy},
    kdf,
    secret::Secret,
};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::ServiceError;
use crate::store::accounts::Verifier;

/// 19 MiB, two passes, one lane: what is recommended for servers. The client's own derivation costs far more.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Derivations at once; each takes 19 MiB.
const AT_ONCE: usize = 2;

/// Derives and checks verifiers.
#[derive(Clone)]
pub(super) struct Passwords {
    pepper: Arc<Secret<32>>,
    permits: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new(pepper: Arc<Secret<32>>) -> Self {
        Self { pepper, permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A hash under the pepper, of something that is no password.
    pub(super) fn keyed(&self, parts: &[&[u8]]) -> [u8; 48] {
        kdf::hmac_sha384(self.pepper.expose(), &parts.concat())
    }

    /// A new verifier.
    pub(super) async fn verifier(&self, auth_key: Secret<32>) -> Result<Verifier, ServiceError> {
        let mut salt = [0; 16];
        SystemEntropy.fill(&mut salt)?;
        let hash = self.derive(auth_key, salt).await?;
        Ok(Verifier { salt, hash })
    }

    /// Whether `auth_key` is the one that the verifier was made of.
    pub(super) async fn verify(
        &self,
        auth_key: Secret<32>,
        verifier: &Verifier,
    ) -> Result<bool, ServiceError> {
        let hash = self.derive(auth_key, verifier.salt).await?;
        Ok(hash.ct_eq(&verifier.hash).into())
    }

    async fn derive(&self, auth_key: Secret<32>, salt: [u8; 16]) -> Result<[u8; 32], ServiceError> {
        const FAILED: ServiceError = ServiceError::Defect("a password verifier could not be derived");
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| FAILED)?;
        let pepper = self.pepper.clone();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut mac = Hmac::<Sha256>::new_from_slice(pepper.expose()).map_err(|_| FAILED)?;
            mac.update(auth_key.expose());
            let keyed = mac.finalize().into_bytes();
            let params = Params::new(MEMORY, PASSES, 1, Some(32)).map_err(|_| FAILED)?;
            let mut hash = [0; 32];
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(&keyed, &salt, &mut hash)
                .map_err(|_| FAILED)?;
            Ok(hash)
        })
        .await
        .map_err(|_| FAILED)?
    }
}
