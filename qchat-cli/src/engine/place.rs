//! The directory that a new profile begins in, where quantum jobs may have been before it: their database is under the vault's
//! key, so that the vault is there already.

use std::path::Path;

use qchat_proto::crypto::{password::KdfParams, secret::Secret};

use super::{entropy::MixedEntropy, error::EngineError};
use crate::{
    store::{Profile, quantum::QuantumStore},
    vault,
};

/// Whether a profile was begun in `dir`, or more than that.
pub(super) fn is_begun(dir: &Path) -> bool {
    Profile::exists(dir) || (vault::exists(dir) && !QuantumStore::exists(dir))
}

/// The key of a new profile's databases: that of a new vault, or of the one that quantum jobs have made. Takes a thread's time.
///
/// # Errors
/// When the passphrase does not open the vault that is there; what the disk says.
pub(super) fn key(dir: &Path, passphrase: &str) -> Result<Secret<32>, EngineError> {
    if vault::exists(dir) && QuantumStore::exists(dir) {
        return Ok(vault::unlock(dir, passphrase)?);
    }
    if QuantumStore::exists(dir) {
        return Err(EngineError::Refused(format!(
            "{} holds quantum.db, which another vault opens: put its vault.json back, or move quantum.db away",
            dir.display()
        )));
    }
    Ok(vault::create(dir, passphrase, KdfParams::VAULT, &MixedEntropy)?)
}

/// Deletes what a profile that came to nothing has left. The quantum jobs stay, with the vault that their database needs.
pub(super) fn discard(dir: &Path) -> Result<(), EngineError> {
    Profile::destroy(dir)?;
    if QuantumStore::exists(dir) {
        return Ok(());
    }
    Ok(vault::destroy(dir)?)
}

/// The same where keys were made that nobody has from now on: what they have drawn from the pool is gone, and listed no more.
pub(super) fn discard_keys(dir: &Path, pool: Option<&QuantumStore>) -> Result<(), EngineError> {
    if let Some(Err(error)) = pool.map(QuantumStore::forget_draws) {
        tracing::warn!(%error, "draws of keys that are gone stay listed");
    }
    discard(dir)
}

/// Opens the database of quantum jobs in `dir` for who has no profile there yet, and makes it, and its vault, when missing.
/// Takes a thread's time.
///
/// # Errors
/// As [`key`].
pub fn quantum(dir: &Path, passphrase: &str) -> Result<QuantumStore, EngineError> {
    let key = if vault::exists(dir) { vault::unlock(dir, passphrase)? } else { key(dir, passphrase)? };
    Ok(QuantumStore::open(dir, key)?)
}
