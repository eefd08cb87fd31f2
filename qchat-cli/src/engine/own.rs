//! This device as the profile has it at the moment: its signature key may be replaced, by another process too, while this
//! one runs.

use std::sync::{Arc, PoisonError, RwLock};

use qchat_proto::{crypto::sign::DeviceSigningKey, mls::device::Device, session::ledger::KeyLife};

use super::{entropy::MixedEntropy, people::PinnedKeys};
use crate::store::{StoreError, Tx};

/// The device with the keys that the profile had when this process last looked, and how many it had had by then.
pub(crate) struct OwnDevice {
    keys: Arc<PinnedKeys>,
    key_life: KeyLife,
    latest: RwLock<(i64, Arc<Device>)>,
}

impl OwnDevice {
    /// The device of a profile.
    pub(crate) fn read(tx: &mut Tx, keys: Arc<PinnedKeys>, key_life: KeyLife) -> Result<Self, StoreError> {
        let latest = (tx.key_number()?, Arc::new(device(tx, keys.clone())?.with_key_life(key_life)));
        Ok(Self { keys, key_life, latest: RwLock::new(latest) })
    }

    /// The device as it was when this process last looked: for what its signature key does not matter to.
    pub(crate) fn latest(&self) -> Arc<Device> {
        Arc::clone(&self.latest.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// The device with the keys that it has in this transaction.
    pub(crate) fn at(&self, tx: &mut Tx) -> Result<Arc<Device>, StoreError> {
        let number = tx.key_number()?;
        {
            let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
            if latest.0 == number {
                return Ok(Arc::clone(&latest.1));
            }
        }
        let device = Arc::new(device(tx, self.keys.clone())?.with_key_life(self.key_life));
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = (number, Arc::clone(&device));
        Ok(device)
    }
}

fn device(tx: &mut Tx, keys: Arc<PinnedKeys>) -> Result<Device, StoreError> {
    const CORRUPT: StoreError = StoreError::Corrupt("own device key");
    let own = tx.identity()?.ok_or(StoreError::Corrupt("identity"))?;
    let key = DeviceSigningKey::from_seed(own.device_key).map_err(|_| CORRUPT)?;
    let mut device =
        Device::new(&own.certificate, &key, Arc::new(MixedEntropy), keys).map_err(|_| CORRUPT)?;
    for former in tx.former_keys()? {
        let key = DeviceSigningKey::from_seed(former.seed).map_err(|_| CORRUPT)?;
        device = device.with_former(&former.certificate, &key).map_err(|_| CORRUPT)?;
    }
    Ok(device)
}
