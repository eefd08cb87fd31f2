//! From 24 words to a device: the account and its backups are seen, one is chosen, the machine becomes a new device of the
//! account, and what the backup holds is put in.
//!
//! What the machine is to be is stored before the daemon hears of it, and each chunk in the transaction that counts it: killed at
//! any point, the same command goes on.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use qchat_proto::{
    crypto::{
        secret::Secret,
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::{
        AccountRecord, Answer, Asked, DeviceCertificate, DeviceLabel, DeviceList, ListedDevice, Pinned,
        RecoveryKey, VerifiedDirectory,
        backup::{BackupHead, BackupSecret, Item, OpenedHead},
        link::LinkError,
        verify_directory,
    },
    ids::{AccountId, DeviceId, UserName},
    session::ledger::KeyLife,
    wire::{
        api::{PutCertificate, StoredBackup},
        chunk::ChunkId,
        fault::FaultCode,
    },
};
use time::OffsetDateTime;
use tokio::sync::broadcast;
use zeroize::Zeroizing;

use super::listing::moment;
use crate::{
    engine::{
        access, clock,
        devices::{OwnDevices, host_name, put_known},
        entropy::MixedEntropy,
        error::EngineError,
        parts::{Parts, parts},
        people::People,
        place::{self, NewVault, discard},
        recovering::Recoverer,
        register::blocking,
        tidy, upkeep,
    },
    net::{NetError, Server, rest::Client},
    store::{AccountKey, Contact, Identity, Profile, Restoring, SessionTokens, StoreError, Tx},
    vault::{self, strength},
};

/// A device list that has expired is judged, too: its owner has lost the machine that would have signed the next.
const ANY_AGE: u64 = 0;
/// How often the list is made anew because another device was quicker.
const ATTEMPTS: usize = 4;
/// How long an access token is used; it is good for 5 minutes.
const TOKEN: Duration = Duration::from_mins(4);

/// What restoring is busy with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestoreStage {
    /// The server is asked what there is.
    Looking,
    /// The machine becomes a device of the account.
    Joining,
    /// Chunks are put in.
    Fetching {
        /// That are in.
        done: u64,
        /// That there are.
        of: u64,
    },
}

/// A backup, before it is restored. All of it but the size is signed by the account; which one the server shows is its choice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Which device has made it.
    pub device: DeviceId,
    /// Its place among that device's.
    pub version: u64,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Messages in it.
    pub messages: u64,
    /// Bytes, as the server says.
    pub bytes: u64,
    /// Backups of other devices that the server has.
    pub others: usize,
    /// When a device of the account last signed the list of its devices: until then at least the account was in use.
    pub list_signed_at: OffsetDateTime,
}

/// A machine that is restored.
pub struct Restored {
    /// Its profile.
    pub profile: Profile,
    /// Messages that were put in.
    pub messages: u64,
    /// When the backup was made.
    pub created_at: u64,
    /// Rooms that the account was in, and that this device is to be added to.
    pub rooms: usize,
}

/// What a restore goes by.
struct Words {
    signing: AccountSigningKey,
    backup: Secret<32>,
}

/// Makes this machine a device of the account `name` at `server` out of a backup, with a profile in `dir`. `wanted` names whose;
/// without it it is the newest. `agree` is asked before anything is done. What fails before the account may know the machine
/// leaves nothing; after that the same goes on.
///
/// # Errors
/// [`EngineError::Backup`] with the reason for which a backup is refused, [`EngineError::NoBackup`]; wrong words are a
/// `NetError::Fault`.
#[expect(clippy::too_many_arguments, reason = "what one command knows, used once")]
pub async fn restore(
    dir: &Path,
    server: Server,
    name: UserName,
    key: RecoveryKey,
    new: NewVault,
    wanted: Option<DeviceId>,
    timeout: Duration,
    progress: impl Fn(RestoreStage),
    agree: impl AsyncFnOnce(&Offer) -> Result<bool, EngineError>,
) -> Result<Restored, EngineError> {
    let rest = Client::new(server.clone(), timeout)?;
    let keys = |error: qchat_proto::crypto::sign::SignError| EngineError::Keys(error.to_string());
    let words =
        Words { signing: key.signing_key().map_err(keys)?, backup: key.backup_key().map_err(keys)?.0 };
    drop(key);
    let begun = if place::is_begun(dir) {
        let begun = begun(dir, &name, &new.passphrase).await?;
        if begun.is_none() {
            // Killed before there was anything in it.
            discard(dir)?;
        }
        begun
    } else {
        None
    };
    let profile = if let Some(profile) = begun {
        profile
    } else {
        progress(RestoreStage::Looking);
        begin(dir, &rest, name, &words, new, wanted, agree).await?
    };
    if profile.read_async(Tx::identity).await?.is_none() {
        progress(RestoreStage::Joining);
        let session = join(&profile, &rest, &words).await?;
        take(&profile, &rest, &server, session, progress).await?;
    }
    finish(profile, &server, timeout).await
}

/// A restore that was begun here before; `None` when nothing can have come of it.
async fn begun(
    dir: &Path,
    name: &UserName,
    passphrase: &Zeroizing<String>,
) -> Result<Option<Profile>, EngineError> {
    if !Profile::exists(dir) {
        return Ok(None);
    }
    let (home, passphrase) = (dir.to_owned(), passphrase.clone());
    let profile = blocking(move || {
        let db_key = vault::unlock(&home, &passphrase)?;
        Ok(Profile::open(&home, db_key)?)
    })
    .await?;
    let (own, linking, restoring) = profile
        .read_async(|tx| Ok::<_, StoreError>((tx.identity()?, tx.linking()?.is_some(), tx.restoring()?)))
        .await?;
    if let (Some(own), None) = (&own, &restoring) {
        return Err(EngineError::OtherAccount(own.name.clone()));
    }
    if linking {
        return Err(EngineError::LinkBegun);
    }
    match restoring {
        None => Ok(None),
        Some(restoring) if restoring.name != *name => Err(EngineError::OtherAccount(restoring.name)),
        Some(_) => Ok(Some(profile)),
    }
}

/// Finds the backup, has it agreed to, and stores what the machine is to be.
async fn begin(
    dir: &Path,
    rest: &Client,
    name: UserName,
    words: &Words,
    new: NewVault,
    wanted: Option<DeviceId>,
    agree: impl AsyncFnOnce(&Offer) -> Result<bool, EngineError>,
) -> Result<Profile, EngineError> {
    strength::judge(&new.passphrase, &[name.as_str(), "qchat"])
        .map_err(|weak| EngineError::Invalid(weak.to_string()))?;
    let server = rest.server().await?.server_id;
    let random = |error: qchat_proto::crypto::entropy::EntropyError| EngineError::Keys(error.to_string());
    let device = DeviceId::random(&MixedEntropy).map_err(random)?;
    let recoverer = Recoverer { rest, name: &name, server, device, key: &words.signing };
    let (recovered, directory) = recoverer.look().await?;
    let (signed, opened, others) = choose(&recovered.backups, &directory, wanted)?;
    let (identity, secret) = opened.open(&words.backup, &directory.record).map_err(|error| match error {
        LinkError::Sealed => refused("it does not open with these recovery words"),
        error => refused(error),
    })?;
    let moment = |seconds| moment(seconds).ok_or_else(|| refused("it is of an impossible time"));
    let offer = Offer {
        device: opened.head.device,
        version: opened.head.version,
        created_at: moment(opened.head.created_at)?,
        messages: opened.head.messages,
        bytes: signed.bytes,
        others,
        list_signed_at: moment(directory.list.issued_at)?,
    };
    if !agree(&offer).await? {
        return Err(EngineError::Refused("nothing was restored".to_owned()));
    }
    let key =
        DeviceSigningKey::generate(&MixedEntropy).map_err(|error| EngineError::Keys(error.to_string()))?;
    let restoring = Restoring {
        name,
        server,
        record: recovered.directory.account_record.as_ref().to_vec(),
        head: signed.head.as_ref().to_vec(),
        device,
        device_key: Secret::from_bytes(*key.seed().expose()),
        account_key: Secret::from_bytes(*identity.seed().expose()),
        secret,
        done: 0,
    };
    let home = dir.to_owned();
    let stored = blocking(move || {
        let db_key = place::key(&home, &new)?;
        let profile = Profile::create(&home, db_key)?;
        profile.write(|tx| tx.put_restoring(&restoring))?;
        Ok(profile)
    })
    .await;
    if stored.is_err() {
        discard(dir)?;
    }
    stored
}

/// The newest backup, or that of one device; and how many others there are.
fn choose<'a>(
    there: &'a [StoredBackup],
    directory: &VerifiedDirectory,
    wanted: Option<DeviceId>,
) -> Result<(&'a StoredBackup, OpenedHead, usize), EngineError> {
    let mut found: Option<(&StoredBackup, OpenedHead)> = None;
    let mut bad = None;
    for stored in there.iter().filter(|stored| wanted.is_none_or(|wanted| stored.device_id == wanted)) {
        match BackupHead::verify(stored.head.as_ref(), &directory.record) {
            Ok(opened) if opened.head.device != stored.device_id => {
                bad = Some(refused("the server gives it out as another device's"));
            }
            Ok(opened) => {
                let newer = |(_, before): &(_, OpenedHead)| before.head.created_at < opened.head.created_at;
                if found.as_ref().is_none_or(newer) {
                    found = Some((stored, opened));
                }
            }
            Err(error) => bad = Some(refused(error)),
        }
    }
    let (stored, opened) = match (found, bad) {
        (Some(found), _) => found,
        (None, Some(bad)) => return Err(bad),
        (None, None) => return Err(EngineError::NoBackup),
    };
    if opened.head.list_version > directory.list.version {
        return Err(refused(format!(
            "it is newer than the list of the account's devices that the server shows (version {}, and it knew {}): the \
             account was rolled back",
            directory.list.version, opened.head.list_version
        )));
    }
    Ok((stored, opened, there.len().saturating_sub(1)))
}

/// Makes the machine a device of the account, unless it is one, and logs it in.
async fn join(profile: &Profile, rest: &Client, words: &Words) -> Result<SessionTokens, EngineError> {
    let known = profile.read_async(Tx::restoring).await?.ok_or(StoreError::Corrupt("a restore"))?;
    let record = AccountRecord::verify(&known.record).map_err(|_| StoreError::Corrupt("account record"))?;
    if record.recovery_key != *words.signing.public() {
        return Err(EngineError::OtherWords);
    }
    let keys = |error: qchat_proto::crypto::sign::SignError| EngineError::Keys(error.to_string());
    let device_key =
        DeviceSigningKey::from_seed(Secret::from_bytes(*known.device_key.expose())).map_err(keys)?;
    let identity =
        AccountSigningKey::from_seed(Secret::from_bytes(*known.account_key.expose())).map_err(keys)?;
    let recoverer = Recoverer {
        rest,
        name: &known.name,
        server: known.server,
        device: known.device,
        key: &words.signing,
    };
    for _ in 0..ATTEMPTS {
        match access::prove(rest, (record.account, known.device), known.server, &device_key).await {
            Ok(session) => return Ok(access::tokens(session)),
            Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::Unauthenticated => {}
            Err(error) => return Err(error),
        }
        let (_, directory) = recoverer.look().await?;
        if directory.record.identity_key != *identity.public() {
            return Err(refused("the account has another identity key by now; begin anew"));
        }
        let mut list = directory.list.next(0, clock::seconds());
        list.add(ListedDevice { device: known.device, device_key_hash: device_key.public().hash() });
        let certificate = DeviceCertificate {
            account: record.account,
            device: known.device,
            device_key: device_key.public().clone(),
            identity_key_hash: identity.public().hash(),
            created_at: list.issued_at,
        };
        let unsigned = |error: qchat_proto::identity::IdentityError| EngineError::Keys(error.to_string());
        let label = DeviceLabel { name: host_name(), added_by: known.device };
        let label = label
            .seal(&known.account_key, (record.account, known.device), &MixedEntropy)
            .map_err(|error| EngineError::Keys(error.to_string()))?;
        let certificate = PutCertificate {
            certificate: certificate.sign(&identity).map_err(unsigned)?.into(),
            label: Some(label.into()),
            grant: None,
        };
        recoverer.put(list.sign(&identity).map_err(unsigned)?, certificate, None).await?;
    }
    Err(EngineError::Refused(
        "the server does not make this machine a device of the account, nor say why; try again".to_owned(),
    ))
}

/// Puts in what the backup holds, and makes the profile one of the account's.
async fn take(
    profile: &Profile,
    rest: &Client,
    server: &Server,
    mut tokens: SessionTokens,
    progress: impl Fn(RestoreStage),
) -> Result<(), EngineError> {
    let known = profile.read_async(Tx::restoring).await?.ok_or(StoreError::Corrupt("a restore"))?;
    let record = AccountRecord::verify(&known.record).map_err(|_| StoreError::Corrupt("account record"))?;
    let opened = BackupHead::verify(&known.head, &record).map_err(refused)?;
    let keys = |error: qchat_proto::crypto::sign::SignError| EngineError::Keys(error.to_string());
    let device_key =
        DeviceSigningKey::from_seed(Secret::from_bytes(*known.device_key.expose())).map_err(keys)?;
    let head = &opened.head;
    let series = (head.account, head.device);
    let mut since = Instant::now();
    let sealed = fetch(rest, &tokens, (head.device, head.index), "the list of its parts").await?;
    let index = known.secret.open_index(series, (head.index, head.chunks), &sealed).map_err(refused)?;
    let of = index.len() as u64;
    for (place, chunk) in index.into_iter().enumerate().skip(usize::try_from(known.done).unwrap_or(0)) {
        if since.elapsed() > TOKEN {
            let who = (record.account, known.device);
            tokens = access::tokens(access::prove(rest, who, known.server, &device_key).await?);
            since = Instant::now();
        }
        let done = place as u64 + 1;
        let what = format!("part {done} of {of}");
        let sealed = fetch(rest, &tokens, (head.device, chunk), &what).await?;
        put_in(profile, &known.secret, series, (chunk, sealed), (record.account, done)).await?;
        progress(RestoreStage::Fetching { done, of });
    }

    let who = (record.account, known.device);
    let token = tokens.access_token.clone();
    let directory = rest.directory(&token, record.account, None).await?;
    let answer = Answer {
        record: directory.account_record.as_ref(),
        list: directory.device_list.as_ref(),
        certificates: directory.device_certificates.iter().map(AsRef::as_ref).collect(),
    };
    let verified = verify_directory(Asked::Account(record.account), &answer, None, ANY_AGE)
        .map_err(|source| EngineError::Identity { who: record.name.to_string(), source })?;
    let certificate = directory.device_certificates.iter().find(|bytes| {
        DeviceCertificate::verify(bytes.as_ref(), &record.identity_key).is_ok_and(|certificate| {
            certificate.device == who.1 && certificate.device_key == *device_key.public()
        })
    });
    let mine = verified.record == record
        && verified.list.listed(who.1).is_some_and(|own| own.device_key_hash == device_key.public().hash());
    let Some(certificate) = certificate.filter(|_| mine) else {
        return Err(EngineError::Refused(
            "the server does not list this machine among the account's devices: another device has revoked it".to_owned(),
        ));
    };
    let own = Identity {
        account: record.account,
        device: known.device,
        name: record.name.clone(),
        server_url: server.url.to_string(),
        server_key: server.trust.key(),
        server_id: known.server,
        device_key: known.device_key,
        account_key: known.account_key,
        certificate: certificate.as_ref().to_vec(),
        list_version: verified.list.version,
    };
    let key = AccountKey { account: record.account, public_key: record.identity_key.as_bytes().to_vec() };
    let key_hash = record.identity_key.hash();
    let list: &DeviceList = &verified.list;
    let contact = Contact {
        account: record.account,
        name: record.name.clone(),
        pinned: Pinned::of(&record, list, directory.device_list.as_ref()),
        record: known.record,
        device_list: directory.device_list.as_ref().to_vec(),
        first_seen_ms: clock::millis(),
        changed_record: None,
        verified: true,
        since_ms: None,
    };
    let backup_key = opened.key.as_bytes().to_vec();
    profile
        .write_async(move |tx| {
            tx.put_identity(&own)?;
            tx.put_labelled(true)?;
            tx.put_account_key(&key_hash, &key)?;
            tx.forget_handed(own.account)?;
            tx.put_contact(&contact)?;
            tx.put_backup_key(&backup_key)?;
            tx.put_session(&tokens)
        })
        .await?;
    Ok(())
}

/// Lets others add the device to their rooms. What the restore went by is forgotten then.
async fn finish(profile: Profile, server: &Server, timeout: Duration) -> Result<Restored, EngineError> {
    let (known, rooms) =
        profile.read_async(|tx| Ok::<_, StoreError>((tx.restoring()?, tx.kept_rooms()?.len()))).await?;
    let known = known.ok_or(StoreError::Corrupt("a restore"))?;
    let record = AccountRecord::verify(&known.record).map_err(|_| StoreError::Corrupt("account record"))?;
    let head = BackupHead::verify(&known.head, &record).map_err(refused)?.head;
    let Parts { me, rest, access, log, steps, keys } =
        parts(&profile, None, server.tls(), timeout, KeyLife::default()).await?;
    // Nobody listens yet.
    let (events, _) = broadcast::channel(1);
    let people = People { profile: profile.clone(), log, keys, events };
    let devices = OwnDevices { account: me.account, profile: profile.clone(), rest, access, people, steps };
    upkeep::key_packages_due(&devices).await?;
    profile.write_async(Tx::forget_restoring).await?;
    tidy::now(&profile).await;
    Ok(Restored { profile, messages: head.messages, created_at: head.created_at, rooms })
}

/// A part of the backup; one that is missing makes all of it worthless.
async fn fetch(
    rest: &Client,
    tokens: &SessionTokens,
    (device, chunk): (DeviceId, ChunkId),
    what: &str,
) -> Result<Vec<u8>, EngineError> {
    rest.chunk(&tokens.access_token, device, chunk).await.map_err(|error| match error {
        NetError::Fault(fault) if fault.code == FaultCode::NotFound => {
            refused(format!("the server does not have all of it: {what} is missing"))
        }
        error => error.into(),
    })
}

/// Puts a chunk's items in, and counts it, in one transaction.
async fn put_in(
    profile: &Profile,
    secret: &BackupSecret,
    series: (AccountId, DeviceId),
    (chunk, sealed): (ChunkId, Vec<u8>),
    (me, done): (AccountId, u64),
) -> Result<(), EngineError> {
    let held = secret.open(series, chunk, &sealed).map_err(refused)?;
    let items = Item::read(&held).map_err(refused)?;
    profile
        .write_async(move |tx| {
            for item in items {
                match item {
                    Item::Contact(known) if known.pinned.account == me => {}
                    Item::Contact(known) => put_known(tx, known)?,
                    Item::Room(kept) => tx.restore_room(&kept)?,
                    Item::Message(kept) => tx.restore_message(&kept)?,
                    Item::Notice(kept) => tx.restore_notice(&kept)?,
                }
            }
            tx.put_restored(done)
        })
        .await
        .map_err(|error| match error {
            StoreError::Corrupt(what) => refused(format!("there is something in it that is none: {what}")),
            error => error.into(),
        })
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err passes")]
fn refused(why: impl ToString) -> EngineError {
    EngineError::Backup(why.to_string())
}
