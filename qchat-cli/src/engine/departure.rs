//! The end of an account: its rooms are left, the daemon erases it, and only when it has said so may the profile go.

use std::{path::Path, time::Duration};

use qchat_proto::{
    crypto::{
        entropy::Entropy,
        password::{self, KdfParams},
    },
    identity::Deed,
    session::ledger::KeyLife,
    wire::{
        api::{Binary, DeleteAccount},
        fault::FaultCode,
    },
};
use url::Url;
use zeroize::Zeroizing;

use super::{
    appearing,
    entropy::MixedEntropy,
    error::EngineError,
    handle::Handle,
    parts::{Parts, parts},
    place::discard,
    register::blocking,
    types::{RoomStatus, RoomSummary},
};
use crate::{
    net::{NetError, tls::Choice},
    store::{Profile, Tx, quantum::QuantumStore},
    vault::{agent, keyring},
};

impl Handle {
    /// Leaves every room and declines every invitation. Gives the rooms that cannot be left, such as one that this device
    /// cannot follow: their members see this account until one of them removes it.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn leave_all(&self) -> Result<Vec<RoomSummary>, EngineError> {
        let mut stay = Vec::new();
        for room in self.rooms().await? {
            match room.status {
                RoomStatus::Left | RoomStatus::Removed => {}
                RoomStatus::Stuck => stay.push(room),
                RoomStatus::Joined | RoomStatus::Invited => match self.go(room.id).await {
                    Ok(()) => {}
                    Err(error) if matches!(error.exit_code(), 3 | 4 | 7) => return Err(error),
                    Err(error) => {
                        tracing::warn!(%error, room = %room.id, "a room cannot be left");
                        stay.push(room);
                    }
                },
            }
        }
        Ok(stay)
    }
}

/// Has the daemon erase the account. May be called again after any failure: a deletion that was carried out is confirmed.
///
/// # Errors
/// [`EngineError::OtherPassphrase`] when the passphrase is not the account's; why the daemon refused, or is not there.
pub async fn delete_account(
    profile: &Profile,
    passphrase: Zeroizing<String>,
    server: Option<Url>,
    tls: Choice,
    timeout: Duration,
) -> Result<(), EngineError> {
    let Parts { me, access, rest, .. } = parts(profile, server, tls, timeout, KeyLife::default()).await?;
    let mut fresh = [0; 32];
    MixedEntropy.fill(&mut fresh).map_err(|error| EngineError::Keys(error.to_string()))?;
    // Stored before it is sent, so that whoever comes again asks for the same.
    let begun = deletion_has_begun(profile).await?;
    let token = profile.write_async(move |tx| tx.begin_account_deletion(fresh)).await?;
    let asked = &rest;
    let auth_key = match access.ask(|token| async move { asked.passphrase_salt(&token).await }).await {
        Ok(answer) => {
            let salt: [u8; 16] = answer.auth_salt.as_ref().try_into().map_err(|_| {
                EngineError::Net(NetError::Protocol("the salt of the passphrase is malformed".into()))
            })?;
            let derive = move || password::derive_auth_key(&passphrase, &salt, KdfParams::AUTH);
            blocking(move || derive().map_err(|error| EngineError::Keys(error.to_string())))
                .await?
                .expose()
                .to_vec()
        }
        // Where it is done already nobody logs in any more, and the token says all.
        Err(EngineError::Net(NetError::Fault(fault)))
            if begun && matches!(fault.code, FaultCode::Unauthenticated | FaultCode::AccountDeleted) =>
        {
            vec![0; 32]
        }
        Err(error) => return Err(error),
    };
    let request = DeleteAccount {
        account_id: me.account,
        device_id: me.device,
        auth_key: Binary::from(auth_key),
        token: Binary::from(token.to_vec()),
        proof: access.account_proof(Deed::Delete { token: &token }).await?,
    };
    match rest.delete_account(&request).await {
        Err(NetError::Fault(fault)) if fault.code == FaultCode::Forbidden => {
            Err(EngineError::OtherPassphrase)
        }
        other => Ok(other?),
    }
}

/// Whether the daemon may have been asked to erase the account.
///
/// # Errors
/// When the profile cannot be read.
pub async fn deletion_has_begun(profile: &Profile) -> Result<bool, EngineError> {
    Ok(profile.read_async(Tx::account_deletion_has_begun).await?)
}

/// Destroys a profile for good: database, vault, and what an agent holds of it. No process may have it open.
///
/// # Errors
/// When a file cannot be deleted.
pub fn destroy_profile(dir: &Path) -> Result<(), EngineError> {
    if let Err(error) = agent::lock(dir) {
        tracing::warn!(%error, "the agent was not ended");
    }
    if let Err(error) = keyring::forget(dir) {
        tracing::warn!(%error, "the keyring may still hold the key");
    }
    // Without it, the vault goes too.
    QuantumStore::destroy(dir)?;
    discard(dir)?;
    // Locks are empty, and the directory may hold what is somebody else's.
    for lock in Profile::locks().into_iter().chain(QuantumStore::locks()).chain(appearing::locks()) {
        drop(std::fs::remove_file(dir.join(lock)));
    }
    drop(std::fs::remove_dir(dir));
    Ok(())
}
