//! How the account's devices are called.

use qchat_proto::{
    identity::{DeviceLabel, DeviceName},
    ids::DeviceId,
    wire::api::PutLabel,
};

use super::{
    super::{entropy::MixedEntropy, error::EngineError},
    OwnDevices,
};
use crate::store::{Identity, Tx};

/// What this machine calls itself.
pub fn host_name() -> DeviceName {
    let uname = rustix::system::uname();
    DeviceName::new(&uname.nodename().to_string_lossy()).unwrap_or_else(DeviceName::nameless)
}

impl OwnDevices {
    /// Tells the account's other devices, and nobody else, how this one is called, if they were not told yet.
    pub(crate) async fn label(&self) -> Result<(), EngineError> {
        if self.profile.read_async(Tx::labelled).await? {
            return Ok(());
        }
        let own = self.identity().await?;
        let label = sealed(&own, own.device, &DeviceLabel { name: host_name(), added_by: own.device })?;
        let (rest, put) = (&self.rest, &PutLabel { label: label.into() });
        self.access.ask(|token| async move { rest.put_label(&token, put).await }).await?;
        self.profile.write_async(|tx| tx.put_labelled(true)).await?;
        Ok(())
    }
}

/// A label for the account's devices alone.
pub(super) fn sealed(own: &Identity, device: DeviceId, label: &DeviceLabel) -> Result<Vec<u8>, EngineError> {
    label
        .seal(&own.account_key, (own.account, device), &MixedEntropy)
        .map_err(|error| EngineError::Keys(error.to_string()))
}
