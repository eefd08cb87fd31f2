//! What a session alone does not do: a device proves anew that it is there, for one deed and no other.

use qchat_proto::{
    crypto::sign::DevicePublicKey,
    identity::AccountProof,
    ids::{AccountId, DeviceId},
    wire::{api, fault::FaultCode},
};

use super::{
    ServiceError, now, now_sql,
    sessions::{Sessions, device_key},
};
use crate::store::{Connection, Store, StoreError, sessions};

/// A proof that holds. Its nonce is to be spent in the transaction of the deed.
pub(super) struct Proved {
    nonce: [u8; 32],
    expires_at: u64,
}

impl Proved {
    /// Spends the nonce.
    ///
    /// # Errors
    /// `forbidden` when it was spent before.
    pub(super) fn spend(&self, conn: &mut Connection) -> Result<(), ServiceError> {
        let expires = i64::try_from(self.expires_at).unwrap_or(i64::MAX);
        if sessions::spend_nonce(conn, &self.nonce, expires, now_sql())? { Ok(()) } else { Err(wrong()) }
    }
}

/// Holds a listed device's proof against what it says that it is for: `verifies` judges the signature.
///
/// # Errors
/// `forbidden`, whatever is wrong.
pub(super) async fn prove(
    store: &Store,
    sessions: &Sessions,
    (account, device): (AccountId, DeviceId),
    proof: &api::Proof,
    verifies: impl FnOnce(&AccountProof, &[u8], &DevicePublicKey, u64) -> bool + Send + 'static,
) -> Result<Proved, ServiceError> {
    let asked = sessions.challenged(proof.nonce.as_ref(), account, device).ok_or_else(wrong)?;
    let (nonce, expires_at, signature) = (asked.nonce, asked.expires_at, proof.signature.clone());
    let holds = store
        .read(move |conn| {
            let key = device_key(conn, account, device)?;
            Ok::<_, StoreError>(key.is_some_and(|key| verifies(&asked, signature.as_ref(), &key, now())))
        })
        .await?;
    if holds { Ok(Proved { nonce, expires_at }) } else { Err(wrong()) }
}

fn wrong() -> ServiceError {
    ServiceError::refuse(
        FaultCode::Forbidden,
        "the device's proof does not hold; ask for a new challenge and try again",
    )
}
