//! The new device's side: from a name and a passphrase to a profile of that account.

use std::{path::Path, time::Duration};

use qchat_proto::{
    crypto::{
        password::{self, KdfParams},
        secret::Secret,
    },
    identity::{
        AccountRecord, DeviceList, DeviceName, Pinned,
        link::{Code, Grant, HandedContact, LinkHello, NewDevice},
    },
    ids::UserName,
    session::ledger::KeyLife,
    wire::{
        api::{OpenLink, PutOpening, SaltRequest},
        fault::FaultCode,
    },
};
use tokio::{sync::broadcast, time::Instant};
use zeroize::Zeroizing;

use super::OwnDevices;
use crate::{
    engine::{
        access, clock,
        entropy::MixedEntropy,
        error::EngineError,
        parts::{Parts, parts},
        people::People,
        place::{self, NewVault, discard},
        register::blocking,
        upkeep,
    },
    net::{NetError, Server, rest::Client},
    store::{AccountKey, Contact, Handed, Identity, Linking, Profile, SessionTokens, StoreError, Tx},
    vault,
};

/// How often the daemon is asked how far the link is.
const LOOK: Duration = Duration::from_secs(1);
/// How long a link may take, whatever the daemon says: its 10 minutes, and one more.
const LONGEST: Duration = Duration::from_mins(11);

/// What linking is busy with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkStage {
    /// Argon2id makes keys of the passphrase.
    DerivingKeys,
    /// An old device has to answer: somebody runs `qchat device approve` there, or has the screen open.
    WaitingForAnswer,
    /// The old device's user has to say that the codes are the same.
    WaitingForApproval,
    /// The account's key and what else the old device has handed over is stored, and KeyPackages are made.
    Taking,
}

/// Makes this machine a device of the account `name` at `server`, with a profile in `dir`, once a device of the account and
/// its user have said so. `same` is asked whether both devices show this code. Nothing is left when it fails, except that
/// a profile which may have become a device of the account is kept, so that calling this again completes it.
///
/// # Errors
/// [`EngineError::CodesDiffer`] when `same` says so; [`EngineError::LinkOver`] when the old device refused, or 10 minutes
/// are over; a wrong passphrase is a `NetError::Fault`.
#[expect(clippy::too_many_arguments, reason = "what one command knows, used once")]
pub async fn link(
    dir: &Path,
    server: Server,
    name: UserName,
    device: DeviceName,
    new_vault: NewVault,
    timeout: Duration,
    progress: impl Fn(LinkStage),
    same: impl AsyncFnOnce(&Code) -> Result<bool, EngineError>,
) -> Result<Profile, EngineError> {
    let rest = Client::new(server.clone(), timeout)?;
    if place::is_begun(dir) {
        if let Some(profile) = begun(dir, &name, &new_vault.passphrase).await?
            && complete(&profile, &rest, &server, timeout, &progress).await?
        {
            return Ok(profile);
        }
        // Nothing has come of it.
        discard(dir)?;
    }
    let id = rest.server().await?.server_id;
    progress(LinkStage::DerivingKeys);
    let salt = rest.salt(&SaltRequest { name: name.clone() }).await?.auth_salt;
    let salt: [u8; 16] = salt
        .as_ref()
        .try_into()
        .map_err(|_| NetError::Protocol("the server names a malformed salt".into()))?;
    let password = new_vault.passphrase.clone();
    let auth_key = blocking(move || {
        password::derive_auth_key(&password, &salt, KdfParams::AUTH)
            .map_err(|error| EngineError::Keys(error.to_string()))
    })
    .await?;
    let new = NewDevice::draw(id, name.clone(), device, &MixedEntropy)?;
    let request = OpenLink {
        name,
        auth_key: auth_key.expose().to_vec().into(),
        commitment: new.commitment().to_vec().into(),
    };
    let token = Zeroizing::new(rest.open_link(&request).await?.token);

    progress(LinkStage::WaitingForAnswer);
    let agreed = match agree(&rest, &new, &token, same).await {
        Ok(answer) => commit(dir, &new, answer, &token, new_vault).await,
        Err(error) => Err(error),
    };
    let profile = match agreed {
        Ok(profile) => profile,
        Err(error) => {
            // Else the old device would wait for the rest of its 10 minutes.
            let _ = rest.cancel_link(&token).await;
            return Err(error);
        }
    };
    match rest.confirm_link(&token).await {
        Ok(()) => {}
        Err(NetError::Fault(fault)) if is_refusal(fault.code) => {
            drop(profile);
            discard(dir)?;
            return Err(EngineError::LinkOver);
        }
        // Nobody knows whether it has arrived: the same command goes on from here.
        Err(error) => return Err(error.into()),
    }
    if complete(&profile, &rest, &server, timeout, &progress).await? {
        return Ok(profile);
    }
    drop(profile);
    discard(dir)?;
    Err(EngineError::LinkOver)
}

/// The first three messages, and the question to the user. Returns the old device's answer.
async fn agree(
    rest: &Client,
    new: &NewDevice,
    token: &str,
    same: impl AsyncFnOnce(&Code) -> Result<bool, EngineError>,
) -> Result<Vec<u8>, EngineError> {
    let until = Instant::now() + LONGEST;
    let answer = loop {
        let state = rest.link_state(token).await.map_err(refused)?;
        match state.answer {
            Some(answer) => break answer.as_ref().to_vec(),
            None if Instant::now() > until => return Err(EngineError::LinkOver),
            None => tokio::time::sleep(LOOK).await,
        }
    };
    let (_, transcript) = new.meet(&answer)?;
    let opening = new.opening(&answer, &MixedEntropy)?;
    rest.put_opening(token, &PutOpening { opening: opening.into() }).await.map_err(refused)?;
    if same(&transcript.code()).await? { Ok(answer) } else { Err(EngineError::CodesDiffer) }
}

/// Stores what the device is made of, before anybody is told that it is wanted: from there on the account may have it.
async fn commit(
    dir: &Path,
    new: &NewDevice,
    answer: Vec<u8>,
    token: &Zeroizing<String>,
    new_vault: NewVault,
) -> Result<Profile, EngineError> {
    let linking = Linking {
        hello: new.hello_bytes().to_vec(),
        nonce: copy(new.nonce()),
        device_key: copy(new.key().seed()),
        transfer: copy(new.transfer_secret()),
        answer,
        token: token.clone(),
    };
    let home = dir.to_owned();
    let stored = blocking(move || {
        let db_key = place::key(&home, &new_vault)?;
        let profile = Profile::create(&home, db_key)?;
        profile.write(|tx| tx.put_linking(&linking))?;
        Ok(profile)
    })
    .await;
    if stored.is_err() {
        discard(dir)?;
    }
    stored
}

/// What was begun here before: a new device that may belong to the account by now; `None` when nothing can have come of
/// it.
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
        Ok(Profile::open_begun(&home, db_key)?)
    })
    .await?;
    let (own, linking) =
        profile.read_async(|tx| Ok::<_, StoreError>((tx.identity()?, tx.linking()?))).await?;
    if let Some(own) = own {
        return Err(EngineError::OtherAccount(own.name));
    }
    if profile.read_async(Tx::restoring).await?.is_some() {
        return Err(EngineError::RestoreBegun);
    }
    let Some(linking) = linking else { return Ok(None) };
    let hello = LinkHello::decode(&linking.hello).map_err(|_| StoreError::Corrupt("a new device"))?;
    if hello.account_name != *name {
        return Err(EngineError::OtherAccount(hello.account_name));
    }
    Ok(Some(profile))
}

/// Waits until the account has this device, and takes what it grants; `false` when the link came to nothing.
async fn complete(
    profile: &Profile,
    rest: &Client,
    server: &Server,
    timeout: Duration,
    progress: &impl Fn(LinkStage),
) -> Result<bool, EngineError> {
    let linking = profile.read_async(Tx::linking).await?.ok_or(StoreError::Corrupt("a new device"))?;
    let new = NewDevice::restore(linking.hello, linking.nonce, linking.device_key, linking.transfer)?;
    let (answer, transcript) = new.meet(&linking.answer)?;
    progress(LinkStage::WaitingForApproval);
    // While the link waits this is no device of the account; once it does not, logging in says whether it is one.
    let until = Instant::now() + LONGEST;
    loop {
        match rest.link_state(&linking.token).await {
            Ok(_) if Instant::now() > until => break,
            Ok(_) => tokio::time::sleep(LOOK).await,
            Err(NetError::Fault(fault)) if is_refusal(fault.code) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let (hello, key) = (new.hello(), new.key());
    let session = match access::prove(rest, (answer.account, hello.device), hello.server, key).await {
        Ok(session) => session,
        Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::Unauthenticated => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    progress(LinkStage::Taking);
    let sealed = rest.grant(&session.access_token).await.map_err(|error| match error {
        NetError::Fault(fault) if fault.code == FaultCode::NotFound => EngineError::Refused(format!(
            "the server does not have what the other device has handed over. Revoke this device there with `qchat device \
             revoke {}`, delete {}, and link again",
            hello.device,
            profile.dir().display()
        )),
        error => error.into(),
    })?;
    let grant = new.accept(&answer, &transcript, sealed.grant.as_ref(), clock::seconds())?;
    let tokens = access::tokens(session);
    let token = tokens.access_token.clone();
    store(profile, &new, server, grant, tokens).await?;
    // Kept there or not, nobody else can open it.
    if let Err(error) = rest.take_grant(&token).await {
        tracing::debug!(%error, "the grant is still at the server");
    }
    let Parts { me, rest, access, log, steps, keys } =
        parts(profile, None, server.tls(), timeout, KeyLife::default()).await?;
    // Nobody listens yet.
    let (events, _) = broadcast::channel(1);
    let people = People { profile: profile.clone(), log, keys, events };
    let devices = OwnDevices { account: me.account, profile: profile.clone(), rest, access, people, steps };
    upkeep::key_packages_due(&devices).await?;
    Ok(true)
}

/// Makes the profile one of the account's, in one transaction.
async fn store(
    profile: &Profile,
    new: &NewDevice,
    server: &Server,
    grant: Grant,
    tokens: SessionTokens,
) -> Result<(), EngineError> {
    // It was verified as it was accepted.
    let corrupt = |_| StoreError::Corrupt("a grant");
    let record = AccountRecord::verify(&grant.record).map_err(corrupt)?;
    let list = DeviceList::stored(&grant.list).map_err(corrupt)?;
    let key = AccountKey { account: record.account, public_key: record.identity_key.as_bytes().to_vec() };
    let key_hash = record.identity_key.hash();
    let own = Identity {
        account: record.account,
        device: new.hello().device,
        name: record.name.clone(),
        server_url: server.url.to_string(),
        server_key: server.trust.key(),
        server_id: new.hello().server,
        device_key: copy(new.key().seed()),
        account_key: grant.account_key,
        certificate: grant.certificate,
        list_version: list.version,
    };
    let contact = Contact {
        account: record.account,
        name: record.name.clone(),
        pinned: Pinned::of(&record, &list, &grant.list),
        record: grant.record,
        device_list: grant.list,
        first_seen_ms: clock::millis(),
        changed_record: None,
        verified: true,
        since_ms: None,
    };
    profile
        .write_async(move |tx| {
            tx.put_identity(&own)?;
            tx.put_labelled(true)?;
            tx.put_account_key(&key_hash, &key)?;
            tx.put_contact(&contact)?;
            grant.contacts.into_iter().try_for_each(|known| put_known(tx, known))?;
            tx.put_session(&tokens)?;
            tx.forget_linking()
        })
        .await?;
    Ok(())
}

/// Stores somebody whom the account knows: as pinned, and with both keys where these have changed.
pub(crate) fn put_known(tx: &mut Tx, known: HandedContact) -> Result<(), StoreError> {
    let HandedContact { name, pinned, verified, first_seen_ms, changed } = known;
    let Some((record, shown)) = changed else {
        return tx.put_handed(&Handed { name, pinned, verified, first_seen_ms });
    };
    // Leaves under either key may be met in rooms.
    for record in [&record, &shown] {
        if let Ok(record) = AccountRecord::verify(record) {
            let public_key = record.identity_key.as_bytes().to_vec();
            let key = AccountKey { account: record.account, public_key };
            tx.put_account_key(&record.identity_key.hash(), &key)?;
        }
    }
    tx.put_contact(&Contact {
        account: pinned.account,
        name,
        record,
        pinned,
        device_list: vec![],
        first_seen_ms,
        changed_record: Some(shown),
        verified: false,
        since_ms: None,
    })
}

/// What the daemon refuses for good.
fn is_refusal(code: FaultCode) -> bool {
    matches!(
        code,
        FaultCode::Unauthenticated | FaultCode::NotFound | FaultCode::Conflict | FaultCode::Forbidden
    )
}

/// Why a step of a link that was open was refused.
fn refused(error: NetError) -> EngineError {
    match error {
        NetError::Fault(fault) if fault.code == FaultCode::Unauthenticated => EngineError::LinkOver,
        error => error.into(),
    }
}

fn copy<const N: usize>(secret: &Secret<N>) -> Secret<N> {
    Secret::from_bytes(*secret.expose())
}
