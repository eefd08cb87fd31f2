//! What a device does for itself and its account whenever it connects, and when something about its account has changed:
//! KeyPackages for others to find, a device list that is known and still good, a name, and a place for the account's other
//! devices in its rooms.

use qchat_proto::{
    ids::RoomId,
    mls::device::KEY_PACKAGE_LIFETIME,
    session::ledger::Phase,
    wire::api::{Binary, KeyPackageCount, PutKeyPackages},
};

use super::{
    clock,
    devices::{Applicant, OwnDevices},
    error::EngineError,
    steps::Steps,
};
use crate::store::{KeyPackageSecret, Profile, StoreError, Tx};

/// One-time KeyPackages are made anew when fewer than this many are left,
const KEY_PACKAGES_LOW: u32 = 5;
/// and then there are this many.
pub(crate) const KEY_PACKAGES: usize = 20;

/// What upkeep leaves.
#[derive(Default)]
pub(crate) struct Due {
    /// Rooms that have something to send now.
    pub(crate) rooms: Vec<RoomId>,
    /// Whether other devices have noted something.
    pub(crate) noted: bool,
    /// Who asks to be let into a room, and waits for this account's yes.
    pub(crate) asking: Vec<Applicant>,
}

/// Does what is due.
pub(crate) async fn run(devices: &OwnDevices) -> Result<Due, EngineError> {
    devices.finish_rotation().await?;
    let KeyPackageCount { device_list_version: newest, owed, notes_version, join_requests, .. } =
        key_packages_due(devices).await?;
    let account = devices.account;
    let known = devices.profile.read_async(move |tx| tx.stored_device_list(account)).await?;
    if newest > known.map(|list| list.version) {
        devices.refresh().await?;
    }
    devices.renew().await?;
    devices.label().await?;
    let mut rooms = devices.add_to_rooms().await?;
    rooms.extend(devices.add_owed(&owed).await?);
    let mut asking = vec![];
    if join_requests {
        match devices.admit_applicants().await {
            Ok((more, who)) => {
                rooms.extend(more);
                asking = who;
            }
            Err(EngineError::Store(error)) => return Err(error.into()),
            // They are looked at again the next time.
            Err(error) => tracing::warn!(%error, "who asks to be let in"),
        }
    }
    // Last, and in the way of nothing: what is noted may not fit any more.
    let noted = devices.sync_notes(Some(notes_version)).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what is noted was not told to the other devices");
        false
    });
    Ok(Due { rooms, noted, asking })
}

/// Publishes KeyPackages when few are left or they have become old. Returns what the daemon said before.
pub(crate) async fn key_packages_due(devices: &OwnDevices) -> Result<KeyPackageCount, EngineError> {
    let OwnDevices { profile, rest, access, steps, .. } = devices;
    let now = clock::seconds();
    forget_former_keys(profile, now).await?;
    let newest = profile.read_async(Tx::last_resort_expiry).await?;
    let aged = newest.is_none_or(|expires| expires < now + KEY_PACKAGE_LIFETIME / 2);
    let there = access.ask(|token| async move { rest.key_package_count(&token).await }).await?;
    let left = there.count;
    if aged || left < KEY_PACKAGES_LOW {
        let kept = if aged { 0 } else { usize::try_from(left).unwrap_or(KEY_PACKAGES) };
        let missing = KEY_PACKAGES.saturating_sub(kept);
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
        let put = &PutKeyPackages { key_packages, last_resort };
        access.ask(|token| async move { rest.put_key_packages(&token, put).await }).await?;
        profile.write_async(move |tx| tx.note_published(&ids)).await?;
    }
    Ok(there)
}

/// Makes KeyPackages on the blocking pool: the secrets to keep and the messages to publish.
pub(crate) async fn key_packages(
    steps: &Steps,
    count: usize,
    last_resort: bool,
) -> Result<(Vec<KeyPackageSecret>, Vec<Binary>), EngineError> {
    let own = steps.device.clone();
    let device = steps.profile.read_async(move |tx| own.at(tx)).await?;
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

/// Former signature keys go with the KeyPackages that have them; not while a room cannot be followed, where the others know
/// this device by one of them.
async fn forget_former_keys(profile: &Profile, now: u64) -> Result<(), EngineError> {
    let forgetting = profile.write_async(move |tx| {
        let stuck = tx.rooms()?.iter().any(|row| matches!(row.state.phase, Phase::Stuck(_)));
        if !stuck {
            tx.forget_former_keys(now)?;
        }
        Ok::<_, StoreError>(())
    });
    Ok(forgetting.await?)
}
