//! KeyPackages: uploads within bounds, claims that hand each one out once.

use qchat_proto::{
    ids::DeviceId,
    wire::{
        api::{
            Binary, ClaimKeyPackages, ClaimedKeyPackage, ClaimedKeyPackages, KeyPackageCount, OwedPlace,
            PutKeyPackages,
        },
        fault::FaultCode,
        limits,
    },
};
use sha2::{Digest, Sha256};

use super::{ServiceError, links, sessions::Caller};
use crate::{
    bus::Bus,
    store::{
        Connection, Store, StoreError, accounts, join_requests,
        key_packages::{self, KeyPackage},
        notes,
        owed::{self, Owed},
    },
};

/// Most unclaimed one-time packages that a device may keep here.
const KEPT: u32 = 200;

/// Keeps KeyPackages and gives them out.
pub struct KeyPackages {
    store: Store,
    bus: Bus,
}

impl KeyPackages {
    pub(super) fn new(store: Store, bus: Bus) -> Self {
        Self { store, bus }
    }

    /// Adds the caller's packages. Repeating an upload is harmless.
    ///
    /// # Errors
    /// `bad_request`, `too_large`, or `conflict` when too many are kept already.
    pub async fn put(
        &self,
        caller: Caller,
        request: &PutKeyPackages,
    ) -> Result<KeyPackageCount, ServiceError> {
        let packages = check(&request.key_packages)?;
        let last_resort = request.last_resort.as_ref().map(check_one).transpose()?;
        let (count, devices) = self
            .store
            .write(move |conn| {
                let had = key_packages::any(conn, caller.device)?;
                if let Some(package) = &last_resort {
                    key_packages::renew(conn, caller.device, package)?;
                }
                key_packages::insert(conn, caller.device, &packages)?;
                let count = key_packages::count(conn, caller.device)?;
                if count > KEPT {
                    return Err(ServiceError::refuse(
                        FaultCode::Conflict,
                        format!("at most {KEPT} KeyPackages are kept for a device"),
                    ));
                }
                let mut devices = if had { vec![] } else { links::listed(conn, caller.account)? };
                if !had {
                    devices.extend(owed::witnesses(conn, caller.device)?);
                }
                Ok((self::count(conn, caller)?, devices))
            })
            .await?;
        if !devices.is_empty() {
            // It can be added to rooms from now on, which its account's other devices wait for, and others where it has come
            // back.
            self.bus.account_changed(&devices);
        }
        Ok(count)
    }

    /// How many one-time packages the caller's device has left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count(&self, caller: Caller) -> Result<KeyPackageCount, ServiceError> {
        Ok(self.store.read(move |conn| count(conn, caller)).await?)
    }

    /// One package of each listed device of an account, or of those asked for.
    ///
    /// # Errors
    /// `not_found` when there is no such account, or a device asked for is not a listed one of it.
    pub async fn claim(&self, request: ClaimKeyPackages) -> Result<ClaimedKeyPackages, ServiceError> {
        self.store
            .write(move |conn| {
                let listed: Vec<DeviceId> = accounts::devices(conn, request.account_id)?
                    .into_iter()
                    .filter(|device| device.listed)
                    .map(|device| device.id)
                    .collect();
                let mut wanted = request.devices;
                wanted.sort_unstable();
                wanted.dedup();
                if listed.is_empty() || wanted.iter().any(|device| !listed.contains(device)) {
                    return Err(ServiceError::refuse(
                        FaultCode::NotFound,
                        "there is no such account, or it has no such device",
                    ));
                }
                if wanted.is_empty() {
                    wanted = listed;
                }
                let mut claimed = Vec::with_capacity(wanted.len());
                for device_id in wanted {
                    if let Some((package, last_resort)) = key_packages::claim(conn, device_id)? {
                        claimed.push(ClaimedKeyPackage {
                            device_id,
                            key_package: package.into(),
                            last_resort,
                        });
                    }
                }
                Ok(ClaimedKeyPackages { key_packages: claimed })
            })
            .await
    }
}

fn count(conn: &mut Connection, caller: Caller) -> Result<KeyPackageCount, StoreError> {
    Ok(KeyPackageCount {
        count: key_packages::count(conn, caller.device)?,
        device_list_version: accounts::device_list_version(conn, caller.account)?,
        notes_version: notes::version(conn, caller.account)?,
        join_requests: !join_requests::seen_by(conn, caller.device, 1)?.is_empty(),
        owed: owed::seen_by(conn, caller.device)?
            .into_iter()
            .map(|Owed { room, account, device }| OwedPlace {
                room_id: room,
                account_id: account,
                device_id: device,
            })
            .collect(),
    })
}

/// Checks number and sizes.
pub(super) fn check(packages: &[Binary]) -> Result<Vec<KeyPackage>, ServiceError> {
    if packages.len() > limits::KEY_PACKAGES {
        return Err(ServiceError::refuse(
            FaultCode::TooLarge,
            format!("at most {} KeyPackages travel in one request", limits::KEY_PACKAGES),
        ));
    }
    packages.iter().map(check_one).collect()
}

/// Checks the size.
pub(super) fn check_one(package: &Binary) -> Result<KeyPackage, ServiceError> {
    let bytes = package.as_ref();
    if bytes.is_empty() {
        return Err(ServiceError::refuse(FaultCode::BadRequest, "a KeyPackage is empty"));
    }
    if bytes.len() > limits::KEY_PACKAGE {
        return Err(ServiceError::refuse(
            FaultCode::TooLarge,
            format!("a KeyPackage has at most {} bytes", limits::KEY_PACKAGE),
        ));
    }
    Ok(KeyPackage { digest: Sha256::digest(bytes).into(), bytes: bytes.to_vec() })
}
