//! What a device does for its account whenever it connects: KeyPackages for others to find, a device list that is
//! still good.

use qchat_proto::{
    crypto::sign::AccountSigningKey,
    identity::{AccountRecord, DeviceList},
    mls::device::KEY_PACKAGE_LIFETIME,
    wire::{
        api::{Binary, PutDeviceList, PutKeyPackages},
        fault::FaultCode,
    },
};

use super::{access::Access, clock, error::EngineError, steps::Steps, transparency};
use crate::{
    net::{NetError, rest::Client},
    store::{KeyPackageSecret, Profile, StoreError, Tx},
};

/// One-time KeyPackages are made anew when fewer than this many are left,
const KEY_PACKAGES_LOW: u32 = 5;
/// and then there are this many.
pub(crate) const KEY_PACKAGES: usize = 20;
/// A device list is signed anew when less than this is left of its life, seconds.
const DEVICE_LIST_MARGIN: u64 = DeviceList::LIFETIME / 2;

/// Does what is due.
pub(crate) async fn run(
    profile: &Profile,
    rest: &Client,
    access: &Access,
    steps: &Steps,
) -> Result<(), EngineError> {
    let token = access.token().await?;
    let now = clock::seconds();
    let newest = profile.read_async(Tx::last_resort_expiry).await?;
    let aged = newest.is_none_or(|expires| expires < now + KEY_PACKAGE_LIFETIME / 2);
    let left = rest.key_package_count(&token).await?.count;
    if aged || left < KEY_PACKAGES_LOW {
        let there = if aged { 0 } else { usize::try_from(left).unwrap_or(KEY_PACKAGES) };
        let missing = KEY_PACKAGES.saturating_sub(there);
        let (mut secrets, key_packages) = key_packages(steps, missing, false).await?;
        let mut last_resort = None;
        if aged {
            let (secret, message) = self::key_packages(steps, 1, true).await?;
            secrets.extend(secret);
            last_resort = message.into_iter().next();
        }
        // The secrets are kept before anybody can use the public halves; those of older ones until they expire, for
        // somebody may have claimed them.
        let ids: Vec<_> = secrets.iter().map(|secret| secret.id.clone()).collect();
        profile
            .write_async(move |tx| {
                tx.forget_expired_key_packages(now)?;
                secrets.iter().try_for_each(|secret| tx.put_key_package(secret))
            })
            .await?;
        rest.put_key_packages(&token, &PutKeyPackages { key_packages, last_resort }).await?;
        profile.write_async(move |tx| tx.note_published(&ids)).await?;
    }
    renew_device_list(profile, rest, &token).await
}

/// Makes KeyPackages on the blocking pool: the secrets to keep and the messages to publish.
pub(crate) async fn key_packages(
    steps: &Steps,
    count: usize,
    last_resort: bool,
) -> Result<(Vec<KeyPackageSecret>, Vec<Binary>), EngineError> {
    let device = steps.device.clone();
    let now = clock::seconds();
    let made = tokio::task::spawn_blocking(move || device.key_packages(count, last_resort, now))
        .await
        .map_err(|_| EngineError::Stopped)??;
    Ok(made
        .into_iter()
        .map(|own| {
            let secret = KeyPackageSecret {
                id: own.id,
                data: own.secret,
                expires_at: now + KEY_PACKAGE_LIFETIME,
                last_resort,
                published: false,
            };
            (secret, Binary::from(own.message))
        })
        .unzip())
}

async fn renew_device_list(profile: &Profile, rest: &Client, token: &str) -> Result<(), EngineError> {
    let now = clock::seconds();
    let (own, contact) = profile
        .read_async(|tx| {
            let own = tx.identity()?;
            let contact = match &own {
                Some(own) => tx.contact(own.account)?,
                None => None,
            };
            Ok::<_, StoreError>((own, contact))
        })
        .await?;
    let (Some(own), Some(mut contact)) = (own, contact) else { return Err(EngineError::LoggedOut) };
    let corrupt = || EngineError::Store(StoreError::Corrupt("own identity"));
    let record = AccountRecord::verify(&contact.record).map_err(|_| corrupt())?;
    // Judged at the epoch: one that has expired while this device was away is renewed like any other.
    let mut list =
        DeviceList::verify(&contact.device_list, &record.identity_key, 0).map_err(|_| corrupt())?;
    if list.expires_at <= now + DEVICE_LIST_MARGIN {
        let failed = |error: String| EngineError::Keys(error);
        list.version += 1;
        list.issued_at = now;
        list.expires_at = now + DeviceList::LIFETIME;
        let key = AccountSigningKey::from_seed(own.account_key).map_err(|error| failed(error.to_string()))?;
        contact.device_list = list.sign(&key).map_err(|error| failed(error.to_string()))?;
        // Kept before it is sent: two different lists of one version would be a fork.
        let kept = contact.clone();
        profile
            .write_async(move |tx| {
                transparency::note_made(tx, kept.account, &kept.record, (list.version, &kept.device_list))?;
                tx.put_contact(&kept)
            })
            .await?;
    }
    if list.version <= own.list_version {
        return Ok(());
    }
    let put = PutDeviceList { device_list: contact.device_list.into() };
    match rest.put_device_list(token, &put).await {
        Ok(()) => {}
        // It arrived before, and only the answer was lost.
        Err(NetError::Fault(fault)) if fault.code == FaultCode::Conflict => {}
        Err(error) => return Err(error.into()),
    }
    profile.write_async(move |tx| tx.put_own_list_version(list.version)).await?;
    Ok(())
}
