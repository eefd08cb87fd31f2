//! How an account begins: its keys are made here, its public half goes to the daemon, its profile is stored.

use std::{path::Path, time::Duration};

use qchat_proto::{
    crypto::{
        entropy::Entropy,
        password::{self, KdfParams},
        secret::Secret,
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::{
        AccountRecord, Answer, Asked, DeviceCertificate, DeviceList, ListedDevice, RecoveryKey,
        verify_directory,
    },
    ids::{AccountId, DeviceId, UserName},
    session::ledger::KeyLife,
    wire::{
        api::{Binary, Register, ServerInfo},
        fault::FaultCode,
    },
};
use url::Url;
use zeroize::Zeroizing;

use super::{
    access, clock,
    entropy::MixedEntropy,
    error::EngineError,
    parts::{Parts, parts},
    place::{self, NewVault, discard, discard_keys},
    recovery, transparency, upkeep,
};
use crate::{
    net::{NetError, Server, rest::Client, tls::Choice},
    quantum::keys::{self, KeySource},
    store::{
        AccountKey, Contact, Identity, Profile, StoreError, Tx,
        quantum::{Purpose, QuantumStore},
    },
    vault::{self, strength},
};

/// What registration is busy with, for a progress line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Argon2id makes keys of the passphrase.
    DerivingKeys,
    /// Signature keys and KeyPackages are made.
    MakingKeys,
    /// The daemon is asked.
    Registering,
}

/// A new account.
pub struct Registered {
    /// Its profile, open.
    pub profile: Profile,
    /// The 24 recovery words, which the profile keeps until they are confirmed; `None` when they have been.
    pub recovery_words: Option<Zeroizing<String>>,
}

/// The keys of an account and its first device.
struct Keys {
    recovery: RecoveryKey,
    recovery_signing: AccountSigningKey,
    account: AccountSigningKey,
    device: DeviceSigningKey,
}

/// Registers `name` at `server` and creates the profile in `dir`. When it fails nothing is left behind, except that a
/// profile whose registration may have reached the daemon is kept, so that calling this again completes it.
///
/// # Errors
/// [`EngineError`]; a taken name is a `NetError::Fault`, and a weak passphrase [`EngineError::Invalid`].
pub async fn register(
    dir: &Path,
    server: Server,
    name: UserName,
    new: NewVault,
    timeout: Duration,
    progress: impl Fn(Stage),
) -> Result<Registered, EngineError> {
    if place::is_begun(dir) {
        return resume(dir, server, &name, new.passphrase, timeout, progress).await;
    }
    strength::judge(&new.passphrase, &[name.as_str(), "qchat"])
        .map_err(|weak| EngineError::Invalid(weak.to_string()))?;
    let rest = Client::new(server.clone(), timeout)?;
    let info = rest.server().await?;

    progress(Stage::DerivingKeys);
    let mut salt = [0; 16];
    MixedEntropy.fill(&mut salt).map_err(|error| EngineError::Keys(error.to_string()))?;
    let home = dir.to_owned();
    let (db_key, auth_key, pool) = blocking(move || {
        let db_key = place::key(&home, &new)?;
        let auth_key = password::derive_auth_key(&new.passphrase, &salt, KdfParams::AUTH)
            .map_err(|error| EngineError::Keys(error.to_string()))?;
        let pool = keys::pool(QuantumStore::find(&home, || copy32(&db_key)));
        Ok((db_key, auth_key, pool))
    })
    .await?;

    progress(Stage::MakingKeys);
    let made =
        prepare(dir, (db_key, pool.clone()), server, &info, name.clone(), &auth_key, salt, timeout).await;
    let (profile, request, words) = match made {
        Ok(made) => made,
        Err(error) => {
            discard_keys(dir, pool.as_ref())?;
            return Err(error);
        }
    };

    progress(Stage::Registering);
    match rest.register(&request).await {
        Ok(session) => {
            let tokens = access::tokens(session);
            profile.write_async(move |tx| tx.put_session(&tokens)).await?;
            Ok(Registered { profile, recovery_words: Some(words) })
        }
        // A refusal: the daemon has not registered anything. After any other fault the outcome is unknown.
        Err(NetError::Fault(fault)) if is_final(fault.code) => {
            drop(profile);
            discard_keys(dir, pool.as_ref())?;
            Err(NetError::Fault(fault).into())
        }
        // Unknown: the account may exist now, and only these keys can use it.
        Err(error) => Err(error.into()),
    }
}

/// Completes a registration whose answer was lost, or finds that it never happened and starts over.
async fn resume(
    dir: &Path,
    server: Server,
    name: &UserName,
    passphrase: Zeroizing<String>,
    timeout: Duration,
    progress: impl Fn(Stage),
) -> Result<Registered, EngineError> {
    progress(Stage::DerivingKeys);
    let home = dir.to_owned();
    let cleared = || {
        EngineError::Refused(
            "an earlier registration was interrupted before it reached the server; it has been cleared, register again"
                .to_owned(),
        )
    };
    if !Profile::exists(dir) {
        discard(dir)?;
        return Err(cleared());
    }
    let profile = blocking(move || {
        let db_key = vault::unlock(&home, &passphrase)?;
        Ok(Profile::open_begun(&home, db_key)?)
    })
    .await?;
    let (own, session) =
        profile.read_async(|tx| Ok::<_, StoreError>((tx.identity()?, tx.session()?))).await?;
    let Some(own) = own else {
        if profile.read_async(Tx::linking).await?.is_some() {
            return Err(EngineError::LinkBegun);
        }
        if profile.read_async(Tx::restoring).await?.is_some() {
            return Err(EngineError::RestoreBegun);
        }
        let pool = pool_of(profile).await?;
        discard_keys(dir, pool.as_ref())?;
        return Err(cleared());
    };
    if own.name != *name || session.is_some() {
        return Err(EngineError::OtherAccount(own.name));
    }
    progress(Stage::Registering);
    let tls = Choice { trust: Some(server.trust), key_exchange: server.key_exchange };
    let Parts { access, .. } = parts(&profile, Some(server.url), tls, timeout, KeyLife::default()).await?;
    match access.login().await {
        Ok(_) => {
            let recovery_words = recovery::unconfirmed(&profile).await?;
            Ok(Registered { profile, recovery_words })
        }
        Err(EngineError::Net(NetError::Fault(fault)))
            if matches!(fault.code, FaultCode::Unauthenticated | FaultCode::NotFound) =>
        {
            let pool = pool_of(profile).await?;
            discard_keys(dir, pool.as_ref())?;
            Err(cleared())
        }
        Err(error) => Err(error),
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one registration, used once")]
async fn prepare(
    dir: &Path,
    (db_key, pool): (Secret<32>, Option<QuantumStore>),
    server: Server,
    info: &ServerInfo,
    name: UserName,
    auth_key: &Secret<32>,
    salt: [u8; 16],
    timeout: Duration,
) -> Result<(Profile, Register, Zeroizing<String>), EngineError> {
    let keys = blocking(move || make_keys(pool.as_ref())).await?;
    let now = clock::seconds();
    let no_randomness =
        |error: qchat_proto::crypto::entropy::EntropyError| EngineError::Keys(error.to_string());
    let account = AccountId::random(&MixedEntropy).map_err(no_randomness)?;
    let device = DeviceId::random(&MixedEntropy).map_err(no_randomness)?;
    let signing = |error: qchat_proto::identity::IdentityError| EngineError::Keys(error.to_string());
    let record = AccountRecord {
        account,
        name: name.clone(),
        identity_key: keys.account.public().clone(),
        recovery_key: keys.recovery_signing.public().clone(),
        created_at: now,
    }
    .sign(&keys.account, &keys.recovery_signing)
    .map_err(signing)?;
    let certificate = DeviceCertificate {
        account,
        device,
        device_key: keys.device.public().clone(),
        identity_key_hash: keys.account.public().hash(),
        created_at: now,
    }
    .sign(&keys.account)
    .map_err(signing)?;
    let list = DeviceList {
        account,
        version: 1,
        issued_at: now,
        expires_at: now + DeviceList::LIFETIME,
        devices: vec![ListedDevice { device, device_key_hash: keys.device.public().hash() }],
    }
    .sign(&keys.account)
    .map_err(signing)?;

    // The account is its own first contact: its devices are leaves like any other.
    let answer = Answer { record: &record, list: &list, certificates: vec![&certificate] };
    let verified = verify_directory(Asked::Account(account), &answer, None, now).map_err(signing)?;
    let contact = Contact {
        account,
        name: name.clone(),
        record: record.clone(),
        pinned: verified.pin(),
        device_list: list.clone(),
        first_seen_ms: clock::millis(),
        changed_record: None,
        verified: true,
        since_ms: None,
    };
    let key = AccountKey { account, public_key: keys.account.public().as_bytes().to_vec() };
    let key_hash = keys.account.public().hash();
    let own = Identity {
        account,
        device,
        name: name.clone(),
        server_url: server.url.to_string(),
        server_key: server.trust.key(),
        server_id: info.server_id,
        device_key: copy(keys.device.seed()),
        account_key: copy(keys.account.seed()),
        certificate: certificate.clone(),
        list_version: 1,
    };
    let backup_key = super::backup::signed_key(&keys.recovery, &verified.record)?;
    let words = keys.recovery.words();
    // A server without one is told so when somebody is first looked up.
    let directory = transparency::parse(info.directory_key.as_ref());
    let profile = Profile::create(dir, db_key)?;
    profile
        .write_async(move |tx| {
            tx.put_identity(&own)?;
            tx.put_recovery_key(&keys.recovery)?;
            tx.put_backup_key(backup_key.as_bytes())?;
            if let Some(key) = directory {
                tx.put_directory(&transparency::fresh(&key))?;
            }
            tx.put_account_key(&key_hash, &key)?;
            tx.put_contact(&contact)
        })
        .await?;
    let Parts { steps, .. } = parts(&profile, None, Choice::default(), timeout, KeyLife::default()).await?;
    let (mut secrets, key_packages) = upkeep::key_packages(&steps, upkeep::KEY_PACKAGES, false).await?;
    let (last_secret, last_resort) = upkeep::key_packages(&steps, 1, true).await?;
    secrets.extend(last_secret);
    // They reach the daemon with the account or not at all.
    for secret in &mut secrets {
        secret.published = true;
    }
    profile.write_async(move |tx| secrets.iter().try_for_each(|secret| tx.put_key_package(secret))).await?;
    let last_resort_key_package =
        last_resort.into_iter().next().ok_or_else(|| EngineError::Keys("no KeyPackage".to_owned()))?;
    let request = Register {
        name,
        account_id: account,
        device_id: device,
        auth_key: Binary::from(auth_key.expose().to_vec()),
        auth_salt: Binary::from(salt.to_vec()),
        account_record: record.into(),
        device_list: list.into(),
        device_certificate: certificate.into(),
        key_packages,
        last_resort_key_package,
    };
    Ok((profile, request, words))
}

/// Whether a refused registration certainly did not happen.
fn is_final(code: FaultCode) -> bool {
    matches!(
        code,
        FaultCode::BadRequest
            | FaultCode::NameTaken
            | FaultCode::Conflict
            | FaultCode::Forbidden
            | FaultCode::TooLarge
            | FaultCode::RateLimited
            | FaultCode::UnsupportedVersion
    )
}

/// The pool beside a profile that is closed by this.
async fn pool_of(profile: Profile) -> Result<Option<QuantumStore>, EngineError> {
    blocking(move || Ok(keys::pool(profile.quantum()))).await
}

fn make_keys(pool: Option<&QuantumStore>) -> Result<Keys, EngineError> {
    let failed = |error: qchat_proto::crypto::sign::SignError| EngineError::Keys(error.to_string());
    let source = KeySource::draw(pool);
    let recovery =
        RecoveryKey::generate(&source.entropy()).map_err(|error| EngineError::Keys(error.to_string()))?;
    let recovery_signing = recovery.signing_key().map_err(failed)?;
    source.became(Purpose::Recovery, &recovery_signing.public().hash());
    let source = KeySource::draw(pool);
    let account = AccountSigningKey::generate(&source.entropy()).map_err(failed)?;
    source.became(Purpose::Account, &account.public().hash());
    let source = KeySource::draw(pool);
    let device = DeviceSigningKey::generate(&source.entropy()).map_err(failed)?;
    source.became(Purpose::Device, &device.public().hash());
    Ok(Keys { recovery, recovery_signing, account, device })
}

fn copy(seed: &Secret<64>) -> Secret<64> {
    Secret::from_bytes(*seed.expose())
}

fn copy32(key: &Secret<32>) -> Secret<32> {
    Secret::from_bytes(*key.expose())
}

/// Logs a profile in by its device key. What was said about the server, its address and its key, is kept for the
/// commands that follow.
///
/// # Errors
/// [`EngineError::OtherAccount`] when the profile is not that of `name`, if one is given; why the daemon refused.
pub async fn login(
    profile: &Profile,
    name: Option<&UserName>,
    server: Option<Url>,
    tls: Choice,
    timeout: Duration,
) -> Result<(), EngineError> {
    let said = server.is_some() || tls.trust.is_some();
    let Parts { me, access, rest, .. } = parts(profile, server, tls, timeout, KeyLife::default()).await?;
    if name.is_some_and(|name| me.name != *name) {
        return Err(EngineError::OtherAccount(me.name));
    }
    access.login().await?;
    if said {
        let (url, key) = (me.server.to_string(), rest.base().trust().key());
        profile.write_async(move |tx| tx.put_server(&url, key)).await?;
    }
    Ok(())
}

/// Runs what takes a thread's time on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| EngineError::Stopped)?
}
