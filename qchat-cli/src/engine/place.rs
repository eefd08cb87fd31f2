//! The directory that a new profile begins in, where quantum jobs may have been before it: their database is under the vault's
//! key, so that the vault is there already.

use std::path::Path;

use qchat_proto::crypto::{password::KdfParams, secret::Secret};
use zeroize::Zeroizing;

use super::{entropy::MixedEntropy, error::EngineError};
use crate::{
    store::{Profile, quantum::QuantumStore},
    vault,
};

/// What a new vault is opened by.
#[derive(Clone)]
pub struct NewVault {
    /// Who knows it opens the vault.
    pub(super) passphrase: Zeroizing<String>,
    /// What each guess costs.
    pub(super) cost: KdfParams,
}

impl NewVault {
    /// The least memory that a guess may take, MiB.
    pub const LEAST_MEMORY: u32 = KdfParams::FLOOR.memory_kib / 1024;
    /// What it takes unless its owner wants it otherwise, MiB.
    pub const MEMORY: u32 = KdfParams::VAULT.memory_kib / 1024;

    /// One that this passphrase opens; each guess at it takes so much memory, MiB, 64 to 1,024.
    pub const fn new(passphrase: Zeroizing<String>, memory: u32) -> Self {
        Self { passphrase, cost: KdfParams::with_memory(memory) }
    }
}

/// Whether a profile was begun in `dir`, or more than that.
pub(super) fn is_begun(dir: &Path) -> bool {
    Profile::exists(dir) || (vault::exists(dir) && !QuantumStore::exists(dir))
}

/// The key of a new profile's databases: that of a new vault, or of the one that quantum jobs have made. Takes a thread's time.
///
/// # Errors
/// When the passphrase does not open the vault that is there; what the disk says.
pub(super) fn key(dir: &Path, new: &NewVault) -> Result<Secret<32>, EngineError> {
    if vault::exists(dir) && QuantumStore::exists(dir) {
        return Ok(vault::unlock(dir, &new.passphrase)?);
    }
    if QuantumStore::exists(dir) {
        return Err(EngineError::Refused(format!(
            "{} holds quantum.db, which another vault opens: put its vault.json back, or move quantum.db away",
            dir.display()
        )));
    }
    Ok(vault::create(dir, &new.passphrase, new.cost, &MixedEntropy)?)
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
pub fn quantum(dir: &Path, new: &NewVault) -> Result<QuantumStore, EngineError> {
    let key = if vault::exists(dir) { vault::unlock(dir, &new.passphrase)? } else { key(dir, new)? };
    Ok(QuantumStore::open(dir, key)?)
}
