//! What there is at the daemon.

use qchat_proto::{identity::backup::BackupHead, ids::DeviceId, wire::fault::FaultCode};
use time::OffsetDateTime;

use crate::{
    engine::{error::EngineError, handle::Handle},
    net::NetError,
};

/// The newest backup of a device of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBackup {
    /// Whose.
    pub device: DeviceId,
    /// Whether that is this device.
    pub me: bool,
    /// Its place among that device's; `None` where the account has not signed it.
    pub version: Option<u64>,
    /// When it was made.
    pub created_at: Option<OffsetDateTime>,
    /// Messages in it.
    pub messages: u64,
    /// Bytes, as the daemon says.
    pub bytes: u64,
}

impl Handle {
    /// The backups of the account's devices; and how many bytes they take of how many, as the daemon says.
    ///
    /// # Errors
    /// Why the daemon was not asked.
    pub async fn backups(&self) -> Result<(Vec<KeptBackup>, u64, u64), EngineError> {
        let record = self.own_record().await?;
        let rest = &self.0.rest;
        let there = self.0.access.ask(|token| async move { rest.backups(&token).await }).await?;
        let kept = there.backups.into_iter().map(|stored| {
            let head = BackupHead::verify(stored.head.as_ref(), &record).ok().map(|opened| opened.head);
            KeptBackup {
                device: stored.device_id,
                me: stored.device_id == self.0.me.device,
                version: head.as_ref().map(|head| head.version),
                created_at: head.as_ref().and_then(|head| moment(head.created_at)),
                messages: head.map_or(0, |head| head.messages),
                bytes: stored.bytes,
            }
        });
        Ok((kept.collect(), there.bytes, there.most))
    }

    /// Deletes the backup of a device of the account.
    ///
    /// # Errors
    /// [`EngineError::NoBackup`].
    pub async fn delete_backup(&self, device: DeviceId) -> Result<(), EngineError> {
        let rest = &self.0.rest;
        match self.0.access.ask(|token| async move { rest.delete_backup(&token, device).await }).await {
            Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::NotFound => {
                Err(EngineError::NoBackup)
            }
            other => other,
        }
    }
}

/// A time as people read it.
pub(super) fn moment(seconds: u64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()
}
