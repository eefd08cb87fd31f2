//! Commands about the account, its keys, and the profile on this machine.

use std::{path::Path, process, time::Duration};

use qchat_proto::{ids::UserName, sanitize};
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    json::MeObject,
    open, passphrase, progress,
    recovery::{self, Destination},
    words,
};
use crate::{
    engine::{self, Accept, Choice, Handle, Options, Server},
    vault::agent as vault_agent,
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
    let passphrase = passphrase::fresh(settings, name.as_str())?;
    let Choice { trust, key_exchange } = settings.tls;
    let server = Server { url: server, trust: trust.unwrap_or_default(), key_exchange };
    // On the heap: the future is large, and moves otherwise.
    let registering =
        Box::pin(engine::register(&dir, server, name.clone(), passphrase, settings.timeout, |stage| {
            tracing::debug!(?stage, "registering");
        }));
    let registered = progress::during(settings, "Making keys and registering", registering).await?;
    let profile = registered.profile;
    match registered.recovery_words {
        Some(words) => recovery::hand_over(settings, &profile, destination, &words).await?,
        None => context.output.say(
            "An earlier registration of this profile had succeeded, and its recovery words were confirmed.",
        ),
    }
    let options = Options {
        timeout: settings.timeout,
        offline: true,
        server: None,
        tls: Choice::default(),
        accept: Accept::Ask,
    };
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
    let options = Options {
        timeout: context.settings.timeout,
        offline: true,
        server: None,
        tls: Choice::default(),
        accept: Accept::Ask,
    };
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
    let options = Options {
        timeout: context.settings.timeout,
        offline: true,
        server: None,
        tls: Choice::default(),
        accept: Accept::Ask,
    };
    let handle = Handle::start(profile, options).await?;
    let keys = handle.keys().await;
    handle.shutdown().await;
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
        };
        context.output.result(&object, || {
            let flags = [(key.me, "you"), (key.verified && !key.me, "verified"), (key.changed, "CHANGED")];
            let notes: Vec<_> = flags.iter().filter(|(set, _)| *set).map(|(_, note)| *note).collect();
            let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
            format!("{}{notes}\n    {fingerprint}", sanitize::line(key.name.as_str()))
        })?;
    }
    Ok(())
}

pub(super) async fn unlock(context: &Context, duration: Duration) -> Outcome {
    let settings = &context.settings;
    let dir = settings.profile_dir();
    let key = open::key(context, &dir).await?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::unexpected(format!("this program does not know its own path: {error}")))?;
    let mut command = process::Command::new(program);
    command.arg("--data-dir").arg(&settings.data_dir).args(["--profile", &settings.profile, "agent"]);
    open::blocking(move || vault_agent::start(command, &dir, &key, duration))
        .await?
        .map_err(|error| agent_failed(&error))?;
    done(context, "unlocked")
}

pub(super) fn lock(context: &Context) -> Outcome {
    let was_unlocked =
        vault_agent::lock(&context.settings.profile_dir()).map_err(|error| agent_failed(&error))?;
    if !was_unlocked {
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
