//! Registration, the directory, and device lists. What is stored is what its owner signed; the daemon checks it so that
//! a mistake shows at once, and clients check it again.

mod erasure;
mod export;
mod passphrase;
mod recovery;

use std::{collections::HashMap, sync::Arc};

use qchat_proto::{
    crypto::{secret::Secret, sign::AccountPublicKey},
    identity::{AccountRecord, DeviceCertificate, DeviceList, IdentityError},
    ids::{AccountId, DeviceId, UserName},
    wire::{
        api::{Directory, PutCertificate, PutDeviceList, Register, Session},
        fault::FaultCode,
        limits,
    },
};

pub(super) use self::erasure::{Asked, absent};
pub use self::export::Export;
use super::{
    ServiceError,
    audit::{About, Audit},
    directory::{self, Answer, KeyDirectory, Said},
    key_packages,
    links::{self, sized},
    now, now_sql,
    password::Passwords,
    sessions::{Caller, NewSession, Sessions},
};
use crate::{
    bus::Bus,
    hub::Hub,
    limits::Limits,
    peer::Peer,
    store::{
        Connection, Store, StoreError,
        accounts::{self, Account, Device},
        audit::{Act, Outcome},
        erased, key_packages as stored_packages, links as stored_links, owed,
        sessions::{self, Owner},
    },
};

/// Versions that a device list may leave out, and seconds (ten years) that it or a certificate may be ahead of the clock and of the
/// list before. Whoever steals a device could otherwise sign the last version or the last second that there is, and the
/// owner, who has to be newer, could never take the account back.
const SKIPPED: u64 = 1 << 16;
const AHEAD: u64 = 10 * 366 * 24 * 3600;

/// Creates accounts and answers for them.
pub struct Accounts {
    store: Store,
    hub: Arc<Hub>,
    bus: Bus,
    sessions: Sessions,
    limits: Arc<Limits>,
    audit: Audit,
    passwords: Passwords,
    keys: Arc<KeyDirectory>,
}

impl Accounts {
    #[expect(clippy::too_many_arguments, reason = "the parts that it is made of, once")]
    pub(super) fn new(
        store: Store,
        hub: Arc<Hub>,
        bus: Bus,
        sessions: Sessions,
        limits: Arc<Limits>,
        audit: Audit,
        passwords: Passwords,
        keys: Arc<KeyDirectory>,
    ) -> Self {
        Self { store, hub, bus, sessions, limits, audit, passwords, keys }
    }

    /// Creates an account with its first device and opens a session. A retry by whoever has the same password gets a
    /// session of the account that is there.
    ///
    /// # Errors
    /// `name_taken`, `conflict` when an id is taken, `bad_request` when a signed part is wrong, `rate_limited`.
    pub async fn register(&self, request: Register, from: Option<&Peer>) -> Result<Session, ServiceError> {
        let auth_key =
            Secret::from_slice(request.auth_key.as_ref()).ok_or_else(|| bad("auth_key has 32 bytes"))?;
        let auth_salt: [u8; 16] =
            request.auth_salt.as_ref().try_into().map_err(|_| bad("auth_salt has 16 bytes"))?;
        let packages = key_packages::check(&request.key_packages)?;
        let last_resort = key_packages::check_one(&request.last_resort_key_package)?;
        let request = Arc::new(request);
        let list_version = {
            let request = request.clone();
            blocking(move || check_registration(&request)).await?
        };

        let about = About { account: Some(request.account_id), device: Some(request.device_id), from };
        if let Some(session) = self.registered_before(&request, &auth_key, about).await? {
            return Ok(session);
        }
        let account = Account {
            id: request.account_id,
            name: request.name.clone(),
            record: request.account_record.as_ref().to_vec(),
            device_list: request.device_list.as_ref().to_vec(),
            device_list_version: list_version,
            auth_salt,
            verifier: self.passwords.verifier(auth_key).await?,
        };
        let device = Device {
            id: request.device_id,
            account: request.account_id,
            certificate: request.device_certificate.as_ref().to_vec(),
            listed: true,
        };
        let session = NewSession::draw(Owner { account: account.id, device: device.id })?;
        let answer = self.sessions.answer(&session)?;
        let hashed = self.hashed(&request.name);
        let stored = self
            .store
            .write(move |conn| {
                let now = now_sql();
                if accounts::by_name(conn, &account.name)?.is_some() {
                    return Err(name_taken(&account.name));
                }
                accounts::insert(conn, &account, now)?;
                // An account of this name that is being erased is gone now, or the row above had to wait for it.
                if erased::had_name(conn, &hashed)? {
                    return Err(name_taken(&account.name));
                }
                accounts::insert_device(conn, &device, now)?;
                directory::say(conn, &account, Said::Everything)?;
                stored_packages::renew(conn, device.id, &last_resort)?;
                stored_packages::insert(conn, device.id, &packages)?;
                session.store(conn).map_err(ServiceError::from)
            })
            .await;
        match stored {
            // An id is taken, or someone was quicker with the name.
            Err(ServiceError::Store(StoreError::Conflict)) => {
                let name = request.name.clone();
                match self.store.read(move |conn| accounts::by_name(conn, &name)).await? {
                    Some(_) => Err(name_taken(&request.name)),
                    None => {
                        Err(ServiceError::refuse(FaultCode::Conflict, "this account or device id is taken"))
                    }
                }
            }
            other => {
                other?;
                self.audit.done(Act::Register, about);
                self.keys.wake();
                Ok(answer)
            }
        }
    }

    /// A session, when this very registration was done before by someone with the same password.
    async fn registered_before(
        &self,
        request: &Arc<Register>,
        auth_key: &Secret<32>,
        about: About<'_>,
    ) -> Result<Option<Session>, ServiceError> {
        let asked = request.clone();
        let hashed = self.hashed(&request.name);
        let found = self
            .store
            .read(move |conn| {
                let Some(account) = accounts::by_name(conn, &asked.name)? else {
                    if erased::had_name(conn, &hashed)? {
                        return Err(name_taken(&asked.name));
                    }
                    return Ok::<_, ServiceError>(None);
                };
                let device = accounts::device(conn, asked.device_id)?;
                Ok(Some((account, device)))
            })
            .await?;
        let Some((account, device)) = found else { return Ok(None) };
        let same = account.id == request.account_id
            && account.record == request.account_record.as_ref()
            && device.is_some_and(|device| device.listed && device.account == account.id);
        if same {
            // Whoever knows the directory could guess here.
            self.limits.name(&request.name).inspect_err(|_| {
                self.audit.refused(Act::Register, Outcome::RateLimited, about);
            })?;
        }
        if !same || !self.passwords.verify(Secret::from_bytes(*auth_key.expose()), &account.verifier).await? {
            if same {
                self.audit.refused(Act::Register, Outcome::WrongPassphrase, about);
            }
            return Err(name_taken(&request.name));
        }
        let session = NewSession::draw(Owner { account: account.id, device: request.device_id })?;
        let answer = self.sessions.answer(&session)?;
        self.store.write(move |conn| session.store(conn)).await?;
        self.audit.done(Act::SignIn, about);
        Ok(Some(answer))
    }

    /// The directory entry of the account with this id.
    ///
    /// # Errors
    /// `not_found`, `account_deleted`.
    pub async fn by_id(&self, account: AccountId, since: Option<u64>) -> Result<Directory, ServiceError> {
        self.directory(since, move |conn| match accounts::by_id(conn, account)? {
            Some(account) => Ok(account),
            None => Err(absent(conn, Asked::Id(account))?),
        })
        .await
    }

    /// The directory entry of the account with this name.
    ///
    /// # Errors
    /// `not_found`, `account_deleted`.
    pub async fn by_name(&self, name: UserName, since: Option<u64>) -> Result<Directory, ServiceError> {
        let hashed = self.hashed(&name);
        self.directory(since, move |conn| match accounts::by_name(conn, &name)? {
            Some(account) => Ok(account),
            None => Err(absent(conn, Asked::Name(&hashed))?),
        })
        .await
    }

    async fn directory(
        &self,
        since: Option<u64>,
        find: impl FnOnce(&mut Connection) -> Result<Account, ServiceError> + Send + 'static,
    ) -> Result<Directory, ServiceError> {
        let prover = self.keys.prover();
        let (answer, unsaid) = self
            .store
            .snapshot(move |conn| {
                let account = find(conn)?;
                let said = KeyDirectory::answer(&prover, conn, &account, since)?;
                let unsaid = matches!(said, Answer::Unsaid).then_some(account.id);
                let proof = match said {
                    Answer::Published(proof) => Some(*proof),
                    Answer::Waiting | Answer::Unsaid => None,
                };
                let pending = proof.is_none();
                let answer = Directory { proof, pending, ..described(conn, account)? };
                Ok::<_, ServiceError>((answer, unsaid))
            })
            .await?;
        // Registered at a node that does not keep the directory yet.
        if let Some(account) = unsaid {
            self.keys.adopt_these(vec![account]).await?;
        }
        Ok(answer)
    }

    /// Replaces the caller's device list by a newer one, with what it needs: certificates of devices that are new on it or
    /// have a new key, what is sealed for them, and a new account record. Devices that are no longer on it lose their
    /// sessions, their KeyPackages, and what was sealed for them; those with a new key lose their sessions and the
    /// KeyPackages that nobody has claimed, which were made with the old one.
    ///
    /// # Errors
    /// `bad_request` when something in it is not signed by the account or names an unknown device or key, or a known
    /// device's certificate is not newer than the one before; `conflict` when it is not newer or an id is taken,
    /// `not_found` when the link that it completes is over, `forbidden` when that was not confirmed, or another device has
    /// answered it.
    pub async fn replace_device_list(
        &self,
        caller: Caller,
        request: PutDeviceList,
        from: Option<&Peer>,
    ) -> Result<(), ServiceError> {
        self.store_device_list((caller.account, caller.device), request, from, false).await
    }

    /// The same for a device that may not be one of the account yet: the account signs that it is. One that has `recovered` is
    /// owed a place in the rooms that the account is in.
    async fn store_device_list(
        &self,
        by: (AccountId, DeviceId),
        request: PutDeviceList,
        from: Option<&Peer>,
        recovered: bool,
    ) -> Result<(), ServiceError> {
        for certificate in &request.certificates {
            for (part, most, what) in [
                (certificate.label.as_ref(), limits::LABEL, "a label"),
                (certificate.grant.as_ref(), limits::GRANT, "a grant"),
            ] {
                part.map_or(Ok(()), |part| sized(part, most, what))?;
            }
        }
        let replacing = self.store.write(move |conn| {
            let replaced = replace(conn, by, &request)?;
            if recovered {
                owed::owe(conn, by, now_sql())?;
            }
            Ok(replaced)
        });
        let Replaced { gone, rekeyed, here } = replacing.await.map_err(taken)?;
        self.keys.wake();
        let about = About { account: Some(by.0), device: Some(by.1), from };
        self.audit.done(Act::ChangeDeviceList, about);
        for (device, _) in gone.iter().filter(|(_, was_listed)| *was_listed) {
            self.audit.done(Act::RevokeDevice, About { device: Some(*device), ..about });
        }
        let ended: Vec<_> = gone.into_iter().map(|(device, _)| device).chain(rekeyed).collect();
        for device in &ended {
            self.hub.end_device(*device);
        }
        if !ended.is_empty() {
            self.bus.delisted(&ended);
        }
        self.bus.account_changed(&here);
        Ok(())
    }
}

/// What is told of an account to whoever asks, without the proof that the key directory holds it.
fn described(conn: &mut Connection, account: Account) -> Result<Directory, StoreError> {
    let devices = accounts::devices(conn, account.id)?;
    Ok(Directory {
        name: account.name,
        account_id: account.id,
        account_record: account.record.into(),
        device_list: account.device_list.into(),
        device_certificates: devices
            .into_iter()
            .filter(|device| device.listed)
            .map(|device| device.certificate.into())
            .collect(),
        proof: None,
        pending: false,
    })
}

/// What a new device list changes for devices.
struct Replaced {
    /// Those that it leaves out, each with whether it was listed before.
    gone: Vec<(DeviceId, bool)>,
    /// Those that it names with another key than before.
    rekeyed: Vec<DeviceId>,
    /// Those that it names.
    here: Vec<DeviceId>,
}

/// Checks and stores a device list with what comes with it.
fn replace(
    conn: &mut Connection,
    (account_id, by): (AccountId, DeviceId),
    request: &PutDeviceList,
) -> Result<Replaced, ServiceError> {
    let account = accounts::by_id(conn, account_id)?.ok_or(StoreError::Corrupt("a caller's account"))?;
    let devices = accounts::devices(conn, account_id)?;
    let mut record =
        AccountRecord::verify(&account.record).map_err(|_| StoreError::Corrupt("an account record"))?;
    if let Some(bytes) = &request.account_record {
        record = succeeding(&record, bytes.as_ref())?;
        accounts::replace_record(conn, account_id, bytes.as_ref())?;
    }
    let bytes = request.device_list.as_ref();
    let list = DeviceList::verify(bytes, &record.identity_key, now()).map_err(unsigned)?;
    if list.account != account_id {
        return Err(bad("the device list is another account's"));
    }
    let before =
        DeviceList::stored(&account.device_list).map_err(|_| StoreError::Corrupt("a device list"))?;
    let latest = now().max(before.issued_at).saturating_add(AHEAD);
    if list.version > before.version.saturating_add(SKIPPED) || list.issued_at > latest {
        return Err(bad("the device list is too far ahead of the one before"));
    }
    let mut certificates = HashMap::new();
    for put in &request.certificates {
        let certificate =
            DeviceCertificate::verify(put.certificate.as_ref(), &record.identity_key).map_err(unsigned)?;
        if certificate.account != account_id || list.listed(certificate.device).is_none() {
            return Err(bad("a certificate is not of a device on the list"));
        }
        if certificate.created_at > latest {
            return Err(bad("a certificate is too far ahead of its time"));
        }
        if certificates.insert(certificate.device, (certificate, put)).is_some() {
            return Err(bad("a device has two certificates"));
        }
    }
    let rekeyed = rekeyed(&devices, &record.identity_key, &certificates)?;
    for listed in &list.devices {
        let stored = || {
            let known = devices.iter().find(|device| device.id == listed.device)?;
            DeviceCertificate::verify(&known.certificate, &record.identity_key).ok()
        };
        let named =
            certificates.get(&listed.device).map(|(certificate, _)| certificate.clone()).or_else(stored);
        if named.is_none_or(|certificate| certificate.device_key.hash() != listed.device_key_hash) {
            return Err(bad("the device list names a device without a certificate"));
        }
    }
    if let Some(link) = request.link_id {
        let link = links::pending(conn, account_id, link)?;
        if !link.confirmed || link.answered.is_none_or(|(device, _)| device != by) {
            return Err(ServiceError::refuse(
                FaultCode::Forbidden,
                "the new device's user has not said yet that the codes are the same",
            ));
        }
        stored_links::end(conn, account_id)?;
    }
    if !accounts::replace_device_list(conn, account_id, bytes, list.version)? {
        return Err(ServiceError::refuse(
            FaultCode::Conflict,
            "a device list with this version or a newer one is there",
        ));
    }
    let replaced = Account {
        record: request.account_record.as_ref().map_or(account.record, |record| record.as_ref().to_vec()),
        device_list: bytes.to_vec(),
        device_list_version: list.version,
        ..account
    };
    directory::say(conn, &replaced, Said::Change)?;
    let now = now_sql();
    for (device, (_, put)) in certificates {
        let certificate = put.certificate.as_ref();
        if devices.iter().any(|known| known.id == device) {
            accounts::recertify(conn, device, certificate)?;
        } else {
            tracing::info!(account = %account_id, %by, %device, "an account has a new device");
            let device =
                Device { id: device, account: account_id, certificate: certificate.to_vec(), listed: true };
            accounts::insert_device(conn, &device, now)?;
        }
        if let Some(label) = &put.label {
            accounts::label_device(conn, device, label.as_ref())?;
        }
        if let Some(grant) = &put.grant {
            stored_links::keep_grant(conn, device, grant.as_ref(), now)?;
        }
    }
    let mut gone = Vec::new();
    for device in devices {
        let listed = list.listed(device.id).is_some();
        if listed != device.listed {
            accounts::list_device(conn, device.id, listed)?;
        }
        if !listed {
            if device.listed {
                tracing::info!(account = %account_id, %by, device = %device.id, "a device was revoked");
            }
            sessions::close_all(conn, device.id)?;
            stored_packages::withdraw(conn, device.id)?;
            stored_links::forget_grant(conn, device.id)?;
            owed::forget(conn, device.id)?;
            gone.push((device.id, device.listed));
        }
    }
    for device in &rekeyed {
        tracing::info!(account = %account_id, %by, %device, "a device has another key");
        sessions::close_all(conn, *device)?;
        stored_packages::withdraw(conn, *device)?;
    }
    Ok(Replaced { gone, rekeyed, here: list.devices.iter().map(|listed| listed.device).collect() })
}

/// The known devices that have another key by the certificates that come with a list; each of these must be newer than the
/// one before, if that is by the same identity key, `signer`.
fn rekeyed(
    devices: &[Device],
    signer: &AccountPublicKey,
    certificates: &HashMap<DeviceId, (DeviceCertificate, &PutCertificate)>,
) -> Result<Vec<DeviceId>, ServiceError> {
    let mut rekeyed = Vec::new();
    for device in devices {
        let Some((certificate, put)) = certificates.get(&device.id) else { continue };
        if put.certificate.as_ref() == device.certificate.as_slice() {
            continue;
        }
        // One by an identity key of before says nothing about those by this one: whoever had that may have dated it as they
        // liked.
        let Ok(before) = DeviceCertificate::verify(&device.certificate, signer) else {
            rekeyed.push(device.id);
            continue;
        };
        let same_key = before.device_key == certificate.device_key;
        if certificate.created_at < before.created_at
            || !same_key && certificate.created_at == before.created_at
        {
            return Err(bad("a device certificate is not newer than the one before"));
        }
        if !same_key {
            rekeyed.push(device.id);
        }
    }
    Ok(rekeyed)
}

/// A record that may take the place of `before`: of the same account, name and recovery key, by another identity key, newer.
fn succeeding(before: &AccountRecord, bytes: &[u8]) -> Result<AccountRecord, ServiceError> {
    let record = AccountRecord::verify(bytes).map_err(unsigned)?;
    let same = record.account == before.account
        && record.name == before.name
        && record.recovery_key == before.recovery_key;
    if !same {
        return Err(bad("the account record is about another account, name or recovery key"));
    }
    if record.created_at <= before.created_at {
        return Err(ServiceError::refuse(
            FaultCode::Conflict,
            "an account record as new as this one is there",
        ));
    }
    Ok(record)
}

/// What a taken device id is to the client.
fn taken(error: ServiceError) -> ServiceError {
    match error {
        ServiceError::Store(StoreError::Conflict) => {
            ServiceError::refuse(FaultCode::Conflict, "this device id is taken")
        }
        error => error,
    }
}

/// Checks that record, list and certificate are signed and about one account and device; returns the list's version.
fn check_registration(request: &Register) -> Result<u64, ServiceError> {
    let record = AccountRecord::verify(request.account_record.as_ref()).map_err(unsigned)?;
    if record.account != request.account_id || record.name != request.name {
        return Err(bad("the account record is about another account or name"));
    }
    let certificate = DeviceCertificate::verify(request.device_certificate.as_ref(), &record.identity_key)
        .map_err(unsigned)?;
    if certificate.account != request.account_id || certificate.device != request.device_id {
        return Err(bad("the device certificate is about another account or device"));
    }
    let list =
        DeviceList::verify(request.device_list.as_ref(), &record.identity_key, now()).map_err(unsigned)?;
    if list.account != request.account_id {
        return Err(bad("the device list is about another account"));
    }
    match list.devices.as_slice() {
        [only]
            if only.device == request.device_id && only.device_key_hash == certificate.device_key.hash() =>
        {
            Ok(list.version)
        }
        _ => Err(bad("the first device list names the first device and no other")),
    }
}

/// Signatures cost CPU: off the threads that serve sockets.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ServiceError::Defect("a check was cancelled"))?
}

fn bad(message: &'static str) -> ServiceError {
    ServiceError::refuse(FaultCode::BadRequest, message)
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err passes")]
fn unsigned(error: IdentityError) -> ServiceError {
    ServiceError::refuse(FaultCode::BadRequest, error.to_string())
}

fn name_taken(name: &UserName) -> ServiceError {
    ServiceError::refuse(FaultCode::NameTaken, format!("the name {name} is taken; choose another"))
}
