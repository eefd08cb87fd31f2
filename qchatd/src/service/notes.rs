//! What the devices of an account keep for one another: the newest of it, which one of them puts in the place of what it has read.

use qchat_proto::{
    ids::DeviceId,
    wire::{
        api::{AccountNotes, PutAccountNotes},
        fault::FaultCode,
        limits,
    },
};

use super::{
    ServiceError,
    links::{listed, sized},
    sessions::Caller,
};
use crate::{
    bus::Bus,
    store::{Store, notes},
};

/// Keeps notes.
pub struct Notes {
    store: Store,
    bus: Bus,
}

impl Notes {
    pub(super) fn new(store: Store, bus: Bus) -> Self {
        Self { store, bus }
    }

    /// The notes of the caller's account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&self, caller: Caller) -> Result<AccountNotes, ServiceError> {
        let found = self.store.read(move |conn| notes::find(conn, caller.account)).await?;
        let (version, sealed) = found.unwrap_or_default();
        Ok(AccountNotes { version, sealed: sealed.into() })
    }

    /// Puts others in the place of those that the caller has read, and tells the account's other devices.
    ///
    /// # Errors
    /// `conflict` when another device was quicker, `unauthenticated` for one that was taken out meanwhile, `bad_request` or `too_large`.
    pub async fn put(&self, caller: Caller, request: PutAccountNotes) -> Result<(), ServiceError> {
        sized(&request.sealed, limits::NOTES, "the notes of an account")?;
        let devices = self
            .store
            .write(move |conn| {
                // Asked here: its session was still good when the request came.
                let listed = listed(conn, caller.account)?;
                if !listed.contains(&caller.device) {
                    return Err(ServiceError::refuse(
                        FaultCode::Unauthenticated,
                        "this device is not one of the account's any more",
                    ));
                }
                if !notes::put(conn, caller.account, request.after, request.sealed.as_ref())? {
                    return Err(ServiceError::refuse(
                        FaultCode::Conflict,
                        "the notes are of another version; read them first",
                    ));
                }
                let others = listed.into_iter().filter(|device| *device != caller.device);
                Ok::<Vec<DeviceId>, ServiceError>(others.collect())
            })
            .await?;
        self.bus.account_changed(&devices);
        Ok(())
    }
}
