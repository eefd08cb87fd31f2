//! Where the MLS library reads and writes during one operation: memory. The caller puts the stored state in before
//! the operation and takes the new state out after it, so that its own transaction decides what is kept.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mls_rs_core::{
    group::{EpochRecord, GroupState, GroupStateStorage},
    key_package::{KeyPackageData, KeyPackageStorage},
    psk::{ExternalPskId, PreSharedKey, PreSharedKeyStorage},
};
use zeroize::Zeroizing;

use super::psk::Psk;

/// One operation's memory; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Staging(Arc<Mutex<Staged>>);

#[derive(Default)]
struct Staged {
    group: Option<Zeroizing<Vec<u8>>>,
    key_packages: Vec<(Vec<u8>, KeyPackageData)>,
    psks: Vec<(Vec<u8>, PreSharedKey)>,
}

impl Staging {
    /// Starts from a stored group.
    pub(crate) fn with_group(state: Zeroizing<Vec<u8>>) -> Self {
        let staging = Self::default();
        staging.lock().group = Some(state);
        staging
    }

    /// Makes pre-shared keys available, and none but these.
    pub(crate) fn set_psks(&self, psks: &[Psk]) {
        self.lock().psks = psks.iter().map(Psk::entry).collect();
    }

    /// Makes a KeyPackage's secrets available for a join.
    pub(crate) fn add_key_package(&self, id: Vec<u8>, data: KeyPackageData) {
        self.lock().key_packages.push((id, data));
    }

    /// Takes out the KeyPackages that were generated.
    pub(crate) fn take_key_packages(&self) -> Vec<(Vec<u8>, KeyPackageData)> {
        std::mem::take(&mut self.lock().key_packages)
    }

    /// Takes out the state that the group has written.
    pub(crate) fn take_group(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.lock().group.take()
    }

    fn lock(&self) -> MutexGuard<'_, Staged> {
        // Nothing panics while it holds the lock, and every value stands alone.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GroupStateStorage for Staging {
    type Error = Infallible;

    /// Read once, when the group is loaded.
    fn state(&self, _group_id: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.lock().group.take())
    }

    /// No past epoch is ever kept: every envelope is sealed in the epoch in force.
    fn epoch(&self, _group_id: &[u8], _epoch_id: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(None)
    }

    fn write(
        &mut self,
        state: GroupState,
        _epoch_inserts: Vec<EpochRecord>,
        _epoch_updates: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        self.lock().group = Some(state.data);
        Ok(())
    }

    fn max_epoch_id(&self, _group_id: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

impl KeyPackageStorage for Staging {
    type Error = Infallible;

    fn delete(&mut self, id: &[u8]) -> Result<(), Infallible> {
        self.lock().key_packages.retain(|(known, _)| known != id);
        Ok(())
    }

    fn insert(&mut self, id: Vec<u8>, pkg: KeyPackageData) -> Result<(), Infallible> {
        self.lock().key_packages.push((id, pkg));
        Ok(())
    }

    fn get(&self, id: &[u8]) -> Result<Option<KeyPackageData>, Infallible> {
        let staged = self.lock();
        Ok(staged.key_packages.iter().find(|(known, _)| known == id).map(|(_, data)| data.clone()))
    }
}

impl PreSharedKeyStorage for Staging {
    type Error = Infallible;

    fn get(&self, id: &ExternalPskId) -> Result<Option<PreSharedKey>, Infallible> {
        let staged = self.lock();
        Ok(staged.psks.iter().find(|(known, _)| known[..] == **id).map(|(_, psk)| psk.clone()))
    }
}
