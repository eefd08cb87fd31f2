//! Commands about the account, its keys, and the profile on this machine.

use std::{path::Path, time::Duration};

use qchat_proto::{
    ids::{RoomId, UserName},
    sanitize,
};
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    json::{self, MeObject},
    open, passphrase, progress,
    recovery::{self, Destination},
    rpc, words,
};
use crate::{
    child,
    engine::{self, Choice, EngineError, Handle, Options, Origin, Server},
    vault::{self, agent as vault_agent, keyring},
};

/// What was done to the profile.
#[derive(Serialize)]
struct Deed<'a> {
    v: u8,
    done: &'static str,
    profile: &'a str,
}

/// Whose key has which fingerprint.
#[derive(Serialize)]
struct KeyObject<'a> {
    v: u8,
    name: &'a str,
    account: String,
    fingerprint: String,
    me: bool,
    verified: bool,
    changed: bool,
    /// What this device's own keys were drawn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    drawn_from: Option<Vec<OriginObject>>,
}

/// What beside the operating system's randomness is in a key.
#[derive(Serialize)]
struct OriginObject {
    key: &'static str,
    room: Option<String>,
    /// Bits of the quantum pool; 0: none.
    pool_bits: u64,
    quantum: bool,
    backend: Option<String>,
    job: Option<String>,
    drawn_at: Option<String>,
}

impl From<Origin> for OriginObject {
    fn from(origin: Origin) -> Self {
        let drawn = origin.drawn.as_ref();
        Self {
            key: origin.purpose.name(),
            pool_bits: drawn.map_or(0, |drawn| drawn.bits),
            quantum: drawn.is_some_and(|drawn| drawn.quantum),
            backend: drawn.map(|drawn| drawn.backend.clone()),
            job: drawn.map(|drawn| drawn.job.to_string()),
            drawn_at: drawn.map(|drawn| json::rfc3339(super::quantum::moment(drawn.drawn_ms))),
            room: origin.room,
        }
    }
}

impl OriginObject {
    /// On a line.
    fn words(&self) -> String {
        let whose = match (&self.room, &self.drawn_at) {
            // Each commit of this device replaces them.
            (Some(room), Some(at)) => format!("room {}, keys of {at}", sanitize::line(room)),
            (Some(room), None) => format!("room {}", sanitize::line(room)),
            (None, _) => format!("{} key", self.key),
        };
        let mixed = match (&self.backend, self.quantum) {
            (None, _) => String::new(),
            (Some(backend), true) => {
                format!(" and {} bits measured by {}", self.pool_bits, sanitize::line(backend))
            }
            (Some(_), false) => format!(" and {} bits of a simulator", self.pool_bits),
        };
        format!("    {whose}: from the operating system{mixed}")
    }
}

pub(super) async fn register(
    context: &Context,
    name: &UserName,
    recovery_file: Option<&Path>,
    no_confirm: bool,
) -> Outcome {
    let settings = &context.settings;
    let dir = settings.profile_dir();
    let server = settings.server.clone().ok_or_else(|| {
        Failure::usage("say where to register: --server URL, or QCHAT_SERVER in the environment")
    })?;
    let destination = match recovery_file {
        Some(path) => Some(Destination::reserve(path)?),
        None if no_confirm => Some(Destination::beside(&dir)?),
        None => {
            recovery::somebody_to_ask(settings)?;
            None
        }
    };
    // An interrupted attempt has one, or quantum jobs that were here before.
    let passphrase = if vault::exists(&dir) {
        passphrase::existing(settings)?
    } else {
        passphrase::fresh(settings, name.as_str())?
    };
    let Choice { trust, key_exchange } = settings.tls;
    let server = Server { url: server, trust: trust.unwrap_or_default(), key_exchange };
    // On the heap: the future is large, and moves otherwise.
    let registering = Box::pin(engine::register(
        &dir,
        server,
        name.clone(),
        settings.new_vault(passphrase),
        settings.timeout,
        |stage| {
            tracing::debug!(?stage, "registering");
        },
    ));
    let registered = progress::during(settings, "Making keys and registering", registering).await?;
    let profile = registered.profile;
    match registered.recovery_words {
        Some(words) => recovery::hand_over(settings, &profile, destination, &words).await?,
        None => context.output.say(
            "An earlier registration of this profile had succeeded, and its recovery words were confirmed.",
        ),
    }
    let options = Options { offline: true, ..Options::new(settings.timeout) };
    let unconfirmed = engine::recovery::unconfirmed(&profile).await?.is_some();
    let handle = Handle::start(profile, options).await?;
    let done = context.output.result(&MeObject::new(handle.me(), !unconfirmed), || {
        format!("registered {}", words::me(handle.me()))
    });
    handle.shutdown().await;
    Ok(done?)
}

pub(super) async fn login(context: &Context, name: Option<&UserName>) -> Outcome {
    let settings = &context.settings;
    let profile = open::profile(context).await?;
    let logging_in = engine::login(&profile, name, settings.server.clone(), settings.tls, settings.timeout);
    progress::during(settings, "Logging in", logging_in).await?;
    done(context, "logged in")
}

pub(super) async fn logout(context: &Context, everywhere: bool) -> Outcome {
    if everywhere {
        open::with_engine(context, async |handle| Ok(handle.logout_everywhere().await?)).await?;
        return done(context, "logged out everywhere");
    }
    open::with_engine(context, async |handle| Ok(handle.logout().await?)).await?;
    done(context, "logged out")
}

pub(super) async fn whoami(context: &Context) -> Outcome {
    let profile = open::profile(context).await?;
    let unconfirmed = engine::recovery::unconfirmed(&profile).await?.is_some();
    let options = Options { offline: true, ..Options::new(context.settings.timeout) };
    let handle = Handle::start(profile, options).await?;
    let shown = context.output.result(&MeObject::new(handle.me(), !unconfirmed), || {
        let hint = "\n  words    not confirmed: `qchat recovery confirm`";
        words::me(handle.me()) + if unconfirmed { hint } else { "" }
    });
    handle.shutdown().await;
    Ok(shown?)
}

pub(super) async fn keys(context: &Context) -> Outcome {
    let profile = open::profile(context).await?;
    let options = Options { offline: true, ..Options::new(context.settings.timeout) };
    let handle = Handle::start(profile, options).await?;
    let (keys, origins) = (handle.keys().await, handle.key_origins().await);
    handle.shutdown().await;
    let mut origins: Option<Vec<OriginObject>> = Some(origins?.into_iter().map(Into::into).collect());
    for key in keys? {
        let fingerprint = fingerprint(&key.hash);
        let object = KeyObject {
            v: 1,
            name: key.name.as_str(),
            account: key.account.to_string(),
            fingerprint: fingerprint.clone(),
            me: key.me,
            verified: key.verified,
            changed: key.changed,
            drawn_from: if key.me { origins.take() } else { None },
        };
        context.output.result(&object, || {
            let flags = [(key.me, "you"), (key.verified && !key.me, "verified"), (key.changed, "CHANGED")];
            let notes: Vec<_> = flags.iter().filter(|(set, _)| *set).map(|(_, note)| *note).collect();
            let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
            let origins = object.drawn_from.iter().flatten().map(|origin| format!("\n{}", origin.words()));
            let origins: String = origins.collect();
            format!("{}{notes}\n    {fingerprint}{origins}", sanitize::line(key.name.as_str()))
        })?;
    }
    Ok(())
}

/// A new signature key of this device.
#[derive(Serialize)]
struct RotatedObject {
    v: u8,
    done: &'static str,
    device: String,
    fingerprint: String,
    rooms: Vec<String>,
    waiting: Vec<String>,
}

pub(super) async fn rotate(context: &Context) -> Outcome {
    open::with_engine(context, async |handle| {
        let rotating = Box::pin(handle.rotate_keys());
        let rotated = progress::during(&context.settings, "Replacing this device's key", rotating).await?;
        let ids = |rooms: &[RoomId]| rooms.iter().map(RoomId::to_string).collect();
        let object = RotatedObject {
            v: 1,
            done: "rotated",
            device: rotated.device.to_string(),
            fingerprint: fingerprint(&rotated.hash),
            rooms: ids(&rotated.rooms),
            waiting: ids(&rotated.waiting),
        };
        context.output.result(&object, || {
            let count = rotated.rooms.len();
            let s = if count == 1 { "" } else { "s" };
            format!("this device has a new key, known in {count} room{s}\n    {}", object.fingerprint)
        })?;
        if rotated.waiting.is_empty() {
            return Ok(());
        }
        Err(Failure::partial(format!(
            "the others do not know the new key yet in: {}. They will, once this device is connected for a while",
            object.waiting.join(", ")
        )))
    })
    .await
}

/// Puts the key into the keyring, once a passphrase has shown whose it is.
pub(super) async fn remember(context: &Context) -> Outcome {
    let dir = context.settings.profile_dir();
    let key = open::by_passphrase(context, &dir).await?;
    open::blocking(move || keyring::remember(&dir, &key)).await?.map_err(EngineError::from)?;
    done(context, "remembered")
}

pub(super) async fn unlock(context: &Context, lifetime: Duration) -> Outcome {
    let settings = &context.settings;
    let dir = settings.profile_dir();
    let key = open::key(context, &dir).await?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::unexpected(format!("this program does not know its own path: {error}")))?;
    let mut command = child::command(program);
    command.arg("--data-dir").arg(&settings.data_dir).args(["--profile", &settings.profile, "agent"]);
    let keeping = vault_agent::Keeping { lifetime, idle: settings.lock_after_idle };
    open::blocking(move || vault_agent::start(command, &dir, &key, keeping))
        .await?
        .map_err(|error| agent_failed(&error))?;
    done(context, "unlocked")
}

pub(super) async fn lock(context: &Context, forget: bool) -> Outcome {
    let dir = context.settings.profile_dir();
    let asked = dir.clone();
    let engine = open::blocking(move || rpc::warm::lock(&asked)).await?;
    // The agent is told in any case.
    let agent = vault_agent::lock(&dir).map_err(|error| agent_failed(&error))?;
    let was_unlocked = engine? || agent;
    if forget {
        open::blocking(move || keyring::forget(&dir)).await?.map_err(EngineError::from)?;
    } else if keyring::remembers(&dir) {
        context.output.say("The keyring still holds the key: `qchat lock --forget` takes it out.");
    } else if !was_unlocked {
        context.output.say("There was nothing to lock.");
    }
    done(context, "locked")
}

/// The process that `unlock` leaves behind.
pub(super) fn agent(context: &Context) -> Outcome {
    vault_agent::serve(&context.settings.profile_dir()).map_err(|error| agent_failed(&error))
}

fn agent_failed(error: &vault_agent::AgentError) -> Failure {
    Failure::locked(error.to_string())
}

pub(super) fn done(context: &Context, done: &'static str) -> Outcome {
    let profile = &context.settings.profile;
    let object = Deed { v: 1, done, profile };
    Ok(context.output.result(&object, || format!("{profile}: {done}"))?)
}

/// A hash in groups that two people can read to one another.
pub(super) fn fingerprint(hash: &[u8; 48]) -> String {
    let groups: Vec<_> =
        hash.as_chunks::<4>().0.iter().map(|group| format!("{:08x}", u32::from_be_bytes(*group))).collect();
    groups.join(" ")
}
