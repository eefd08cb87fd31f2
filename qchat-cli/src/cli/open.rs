//! From settings to a running engine: the key from the agent or out of a passphrase, the database, the connection.

use std::path::Path;

use qchat_proto::{crypto::secret::Secret, ids::RoomId};

use super::{
    Context,
    failure::{Failure, Outcome},
    passphrase, progress,
};
use crate::{
    engine::{self, EngineError, Handle, Options},
    store::Profile,
    vault::{self, agent},
};

/// Runs `work` on the profile's engine, and ends the engine in order whatever became of the work.
pub(super) async fn with_engine<T>(
    context: &Context,
    work: impl AsyncFnOnce(&Handle) -> Outcome<T>,
) -> Outcome<T> {
    if let Some(warm) = &context.engine {
        return Box::pin(work(&warm.handle)).await;
    }
    // On the heap: every command awaits this.
    let profile = Box::pin(profile(context)).await?;
    Box::pin(on_profile(context, profile, work)).await
}

/// The same on a profile that is open already.
pub(super) async fn on_profile<T>(
    context: &Context,
    profile: Profile,
    work: impl AsyncFnOnce(&Handle) -> Outcome<T>,
) -> Outcome<T> {
    let settings = &context.settings;
    let options = Options {
        timeout: settings.timeout,
        offline: false,
        server: settings.server.clone(),
        tls: settings.tls,
        accept: settings.accept_invites,
        key_life: settings.key_life,
        backup_interval: settings.backup_interval,
        receipts: settings.receipts,
        presence: settings.presence,
        typing: settings.typing,
        thumbnails: settings.thumbnails,
    };
    let handle = Handle::start(profile, options).await?;
    let done = work(&handle).await;
    let warnings = handle.clone();
    handle.shutdown().await;
    // Also what was found out only now. A profile that is gone by then has nothing to warn of.
    for warning in warnings.unshown_warnings().await.unwrap_or_default() {
        context.output.say(&format!("warning: {warning}"));
    }
    done
}

/// Runs `work` on what is stored, without a connection.
pub(super) async fn offline<T>(
    context: &Context,
    work: impl AsyncFnOnce(&Handle) -> Outcome<T>,
) -> Outcome<T> {
    if let Some(warm) = &context.engine {
        return work(&warm.handle).await;
    }
    let profile = profile(context).await?;
    let options = Options { offline: true, ..Options::new(context.settings.timeout) };
    let handle = Handle::start(profile, options).await?;
    let done = work(&handle).await;
    handle.shutdown().await;
    done
}

/// Opens the profile's database.
pub(super) async fn profile(context: &Context) -> Outcome<Profile> {
    if let Some(warm) = &context.engine {
        return Ok(warm.profile.clone());
    }
    let dir = context.settings.profile_dir();
    let key = key(context, &dir).await?;
    let profile = blocking(move || Profile::open(&dir, key)).await?.map_err(EngineError::from)?;
    if engine::passphrase_change_is_unfinished(&profile).await? {
        context
            .output
            .say("warning: a change of the passphrase was interrupted; `qchat account password` finishes it");
    }
    Ok(profile)
}

/// Says so when there is no profile.
pub(super) fn expect_profile(context: &Context, dir: &Path) -> Outcome {
    if vault::exists(dir) {
        return Ok(());
    }
    if Profile::exists(dir) {
        return Err(Failure::locked(format!(
            "{} has a database, and the vault with its key is missing: put vault.json back from a backup of that directory. \
             Nothing else opens it",
            dir.display()
        )));
    }
    Err(Failure::locked(format!(
        "there is no profile {:?} in {}; `qchat register NAME` creates one",
        context.settings.profile,
        context.settings.data_dir.display()
    )))
}

/// The database's key: from the agent or the keyring when one holds it, else out of the passphrase.
pub(super) async fn key(context: &Context, dir: &Path) -> Outcome<Secret<32>> {
    expect_profile(context, dir)?;
    let asked = dir.to_owned();
    match blocking(move || agent::key(&asked)).await? {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => {}
        Err(error) => context.output.say(&format!("warning: {error}; the passphrase is used instead")),
    }
    let asked = dir.to_owned();
    match blocking(move || vault::keyring::recall(&asked)).await? {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => {}
        Err(error) => context.output.say(&format!("warning: {error}")),
    }
    by_passphrase(context, dir).await
}

/// The database's key out of the passphrase alone.
pub(super) async fn by_passphrase(context: &Context, dir: &Path) -> Outcome<Secret<32>> {
    expect_profile(context, dir)?;
    let passphrase = passphrase::existing(&context.settings)?;
    let dir = dir.to_owned();
    let opened = blocking(move || vault::unlock(&dir, &passphrase));
    let opened = progress::during(&context.settings, "Opening the profile", opened).await?;
    opened.map_err(|error| EngineError::from(error).into())
}

/// Finds a room by name or id; one that is not known yet may have been announced since.
pub(super) async fn room(handle: &Handle, name_or_id: &str) -> Outcome<RoomId> {
    match handle.find_room(name_or_id).await {
        Err(EngineError::NoSuchRoom(_)) => {
            sync_around(handle).await?;
            Ok(handle.find_room(name_or_id).await?)
        }
        found => Ok(found?),
    }
}

/// Fetches what the daemon has. Without a connection what is stored has to do, and that is said. Gives the rooms that
/// could not be read to their end: whoever shows one of them ends with [`unread`].
pub(super) async fn sync_or_warn(context: &Context, handle: &Handle) -> Outcome<Vec<RoomId>> {
    match progress::during(&context.settings, "Fetching what is new", handle.sync()).await {
        Ok(()) => Ok(vec![]),
        Err(EngineError::Partial(rooms)) => Ok(rooms),
        Err(error) if error.exit_code() == 3 || matches!(error, EngineError::OldCopy) => {
            context.output.say(&format!("warning: {error}. What is stored here is shown."));
            Ok(vec![])
        }
        Err(error) => Err(error.into()),
    }
}

/// Fetches what the daemon has, where nothing makes sense without a connection. Rooms that cannot be read to their end do not
/// matter.
pub(super) async fn sync_or_fail(context: &Context, handle: &Handle) -> Outcome {
    progress::during(&context.settings, "Fetching what is new", sync_around(handle))
        .await
        .map_err(Failure::from)
}

/// What a command ends with that has shown `room`, or all rooms, while some could not be read to their end.
pub(super) fn unread(mut partial: Vec<RoomId>, room: Option<RoomId>) -> Outcome {
    partial.retain(|partial| room.is_none_or(|room| room == *partial));
    if partial.is_empty() { Ok(()) } else { Err(EngineError::Partial(partial).into()) }
}

/// Fetches what the daemon has, where it does not matter which rooms cannot be read to their end.
pub(super) async fn sync_around(handle: &Handle) -> Result<(), EngineError> {
    match handle.sync().await {
        Ok(()) | Err(EngineError::Partial(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Runs what takes a thread's time on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::unexpected(format!("a task was given up: {error}")))
}

/// The room to join: an invitation of that name or id, asked for if none is known yet; else a room that is joined
/// already, where joining once more is harmless.
pub(super) async fn invitation(handle: &Handle, name_or_id: &str) -> Result<RoomId, Failure> {
    match handle.find_invitation(name_or_id).await {
        Err(EngineError::NoSuchRoom(_)) => sync_around(handle).await?,
        other => return Ok(other?),
    }
    match handle.find_invitation(name_or_id).await {
        Err(EngineError::NoSuchRoom(_)) => Ok(handle.find_room(name_or_id).await?),
        other => Ok(other?),
    }
}
