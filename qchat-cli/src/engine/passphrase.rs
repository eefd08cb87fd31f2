//! Another passphrase: first at the daemon, then for the vault, so that a crash anywhere leaves one vault, which one of the two
//! opens, and a profile that knows what is still to be done.
//!
//! What is asked of the daemon, and the vault's new content, are stored before anything is sent. The daemon takes the same
//! change again; so whoever comes after a crash asks it again, and then puts the vault in its place.

use std::{path::Path, time::Duration};

use qchat_proto::{
    crypto::{
        entropy::Entropy,
        password::{self, KdfParams},
        secret::Secret,
    },
    identity::Deed,
    session::ledger::KeyLife,
    vault::WrappedKey,
    wire::{
        api::{Binary, ChangePassphrase},
        fault::FaultCode,
    },
};
use url::Url;
use zeroize::Zeroizing;

use super::{
    access::Access,
    entropy::MixedEntropy,
    error::EngineError,
    parts::{Parts, parts},
    place::NewVault,
    register::blocking,
    tidy,
};
use crate::{
    net::{NetError, rest::Client, tls::Choice},
    store::{PassphraseChange, Profile, StoreError, Tx},
    vault::{self, strength},
};

/// How long to wait for another process that changes the passphrase.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is to be changed.
pub struct Change<'a> {
    /// The profile, open.
    pub profile: &'a Profile,
    /// The key of its database, which the vault holds.
    pub key: Secret<32>,
    /// The account's passphrase so far.
    pub old: Zeroizing<String>,
    /// The new one, and what guessing it is to cost.
    pub new: NewVault,
    /// Another address of the daemon.
    pub server: Option<Url>,
    /// What is said about TLS.
    pub tls: Choice,
    /// How long one request may take.
    pub timeout: Duration,
}

/// Changes the passphrase of account and profile. Where an earlier change was interrupted, that is settled first.
///
/// # Errors
/// [`EngineError::Invalid`] when the new one is too weak, [`EngineError::OtherPassphrase`] when the old one is not the
/// account's; why the daemon refused. Until it returns `Ok` one of the two opens the vault.
pub async fn change_passphrase(change: Change<'_>) -> Result<(), EngineError> {
    let Change { profile, key, old, new, server, tls, timeout } = change;
    let _lock = profile.lock_vault(PATIENCE).await?;
    let Parts { me, access, rest, .. } = parts(profile, server, tls, timeout, KeyLife::default()).await?;
    let NewVault { passphrase: new, cost } = new;
    strength::judge(&new, &[me.name.as_str(), "qchat"])
        .map_err(|weak| EngineError::Invalid(weak.to_string()))?;
    let dir = profile.dir().to_owned();

    let mut in_force = None;
    if let Some(begun) = profile.read_async(Tx::passphrase_change).await? {
        match ask(&access, &rest, &begun).await {
            Ok(()) => {
                if opens(&begun.vault, &new).await? {
                    return finish(profile, &dir, begun.vault).await;
                }
                in_force = Some(begun.new_auth_key);
            }
            // The daemon knows neither passphrase of it any more.
            Err(EngineError::OtherPassphrase) => {}
            Err(error) => return Err(error),
        }
    }

    let old_auth_key = if let Some(key) = in_force {
        key
    } else {
        let rest = &rest;
        let asked = access.ask(|token| async move { rest.passphrase_salt(&token).await }).await?;
        let salt: [u8; 16] = asked.auth_salt.as_ref().try_into().map_err(|_| {
            EngineError::Net(NetError::Protocol("the salt of the passphrase is malformed".into()))
        })?;
        auth_key(old, salt).await?
    };
    let mut salt = [0; 16];
    MixedEntropy.fill(&mut salt).map_err(|error| EngineError::Keys(error.to_string()))?;
    let new_auth_key = auth_key(new.clone(), salt).await?;
    let home = dir.clone();
    let vault = blocking(move || Ok(vault::rewrap(&home, &key, &new, cost, &MixedEntropy)?)).await?;
    let begun = PassphraseChange { old_auth_key, new_auth_key, new_auth_salt: salt, vault };
    let begun = profile
        .write_async(move |tx| {
            tx.begin_passphrase_change(&begun)?;
            Ok::<_, StoreError>(begun)
        })
        .await?;
    match ask(&access, &rest, &begun).await {
        Ok(()) => finish(profile, &dir, begun.vault).await,
        Err(error) => {
            if is_final(&error) {
                profile.write_async(Tx::end_passphrase_change).await?;
                tidy::now(profile).await;
            }
            Err(error)
        }
    }
}

/// Whether a change of the passphrase was interrupted and is still to be finished. One of which nothing is left to be done is
/// forgotten.
///
/// # Errors
/// When the profile cannot be read.
pub async fn passphrase_change_is_unfinished(profile: &Profile) -> Result<bool, EngineError> {
    let Some(begun) = profile.read_async(Tx::passphrase_change).await? else { return Ok(false) };
    if !vault::is(profile.dir(), &begun.vault)? {
        return Ok(true);
    }
    // The vault took its place after the daemon had said yes.
    profile.write_async(Tx::end_passphrase_change).await?;
    Ok(false)
}

/// Asks the daemon for a change. It may be asked again and again.
async fn ask(access: &Access, rest: &Client, begun: &PassphraseChange) -> Result<(), EngineError> {
    let deed =
        Deed::ChangePassphrase { auth_key: begun.new_auth_key.expose(), auth_salt: &begun.new_auth_salt };
    let request = ChangePassphrase {
        auth_key: Binary::from(begun.old_auth_key.expose().to_vec()),
        new_auth_key: Binary::from(begun.new_auth_key.expose().to_vec()),
        new_auth_salt: Binary::from(begun.new_auth_salt.to_vec()),
        proof: access.account_proof(deed).await?,
    };
    let request = &request;
    match access.ask(|token| async move { rest.change_passphrase(&token, request).await }).await {
        Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::Forbidden => {
            Err(EngineError::OtherPassphrase)
        }
        other => other,
    }
}

/// Puts the vault in its place and forgets that there was something to be done.
async fn finish(profile: &Profile, dir: &Path, content: Vec<u8>) -> Result<(), EngineError> {
    let dir = dir.to_owned();
    blocking(move || Ok(vault::replace(&dir, &content)?)).await?;
    profile.write_async(Tx::end_passphrase_change).await?;
    tidy::now(profile).await;
    Ok(())
}

/// Whether the daemon has certainly not changed anything.
fn is_final(error: &EngineError) -> bool {
    match error {
        EngineError::OtherPassphrase | EngineError::LoggedOut | EngineError::Refused(_) => true,
        EngineError::Net(NetError::Fault(fault)) => {
            !matches!(fault.code, FaultCode::Unavailable | FaultCode::Internal)
        }
        _ => false,
    }
}

async fn opens(vault: &[u8], passphrase: &Zeroizing<String>) -> Result<bool, EngineError> {
    let (vault, passphrase) = (vault.to_vec(), passphrase.clone());
    blocking(move || Ok(WrappedKey::read(&vault).and_then(|wrapped| wrapped.unwrap(&passphrase)).is_ok()))
        .await
}

async fn auth_key(passphrase: Zeroizing<String>, salt: [u8; 16]) -> Result<Secret<32>, EngineError> {
    blocking(move || {
        password::derive_auth_key(&passphrase, &salt, KdfParams::AUTH)
            .map_err(|error| EngineError::Keys(error.to_string()))
    })
    .await
}
