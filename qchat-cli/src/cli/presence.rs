//! The commands about who is there and who writes, and how both are told to whoever listens.

use std::time::Duration;

use qchat_proto::ids::{RoomId, UserName};
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    json::rfc3339,
    messages, open, progress, words,
};
use crate::{
    engine::{Appearance, EngineError, Handle, Presence, PresenceStanding as Standing},
    zone::Zone,
};

/// Within which time those answer who are there.
const ANSWERS: Duration = Duration::from_millis(1500);

/// Whether somebody is there.
#[derive(Debug, Serialize)]
pub(super) struct PresenceObject<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    user: &'a str,
    account: String,
    state: &'static str,
    last_seen: Option<String>,
}

impl<'a> PresenceObject<'a> {
    pub(super) fn new(presence: &'a Presence) -> Self {
        Self {
            v: 1,
            kind: "presence",
            user: presence.name.as_str(),
            account: presence.account.to_string(),
            state: state(presence.standing),
            last_seen: presence.last_seen.map(rfc3339),
        }
    }
}

/// Who writes in a room.
#[derive(Debug, Serialize)]
pub(super) struct TypingObject<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    room: &'a str,
    room_id: String,
    users: Vec<&'a str>,
}

impl<'a> TypingObject<'a> {
    pub(super) fn new(id: RoomId, room: &'a str, users: &'a [UserName]) -> Self {
        let users = users.iter().map(UserName::as_str).collect();
        Self { v: 1, kind: "typing", room, room_id: id.to_string(), users }
    }
}

fn state(standing: Standing) -> &'static str {
    match standing {
        Standing::Online => "online",
        Standing::Away => "away",
        Standing::Offline => "offline",
    }
}

/// As a line for a person.
pub(super) fn line(presence: &Presence, zone: &Zone) -> String {
    let state = state(presence.standing);
    match presence.last_seen {
        Some(at) if presence.standing == Standing::Offline => {
            format!("{}: {state}, last seen {}", presence.name, words::clock(at, zone))
        }
        _ => format!("{}: {state}", presence.name),
    }
}

/// Who writes in a room, as a line for a person.
pub(super) fn writing(room: &str, users: &[UserName]) -> String {
    let names: Vec<&str> = users.iter().map(UserName::as_str).collect();
    let room = qchat_proto::sanitize::line(room);
    match &names[..] {
        [] => format!("{room}: nobody writes any more"),
        [one] => format!("{room}: {one} writes …"),
        some => format!("{room}: {} write …", some.join(", ")),
    }
}

pub(super) async fn presence(context: &Context, users: &[UserName], wait: Duration) -> Outcome {
    open::with_engine(context, async |handle| {
        // Refused before anybody is asked.
        handle.presences().await?;
        open::sync_or_fail(context, handle).await?;
        for user in users {
            handle.account_of(user).await?;
        }
        let asking = ask(context, handle, users);
        let asked =
            progress::during(&context.settings, "Asking who is there", tokio::time::timeout(wait, asking));
        if let Ok(Err(failure)) = asked.await {
            return Err(failure);
        }
        for presence in of(handle, users).await? {
            context.output.result(&PresenceObject::new(&presence), || line(&presence, &context.zone))?;
        }
        Ok(())
    })
    .await
}

/// Asks, and waits until all have answered: who is not there says nothing.
async fn ask(context: &Context, handle: &Handle, users: &[UserName]) -> Outcome {
    let mut events = handle.events();
    // An engine that is there for others as well shows what it did before.
    if context.engine.is_some() {
        handle.ask_presence().await?;
    } else {
        handle.appear(Appearance::Away, true).await?;
    }
    loop {
        let all = of(handle, users).await?;
        let least = all.iter().map(|presence| presence.standing).min();
        if least.is_none_or(|least| least == Standing::Online) {
            return Ok(());
        }
        let next = if least == Some(Standing::Offline) {
            events.recv().await
        } else {
            // Another of their devices may say more.
            let Ok(next) = tokio::time::timeout(ANSWERS, events.recv()).await else { return Ok(()) };
            next
        };
        if let Err(tokio::sync::broadcast::error::RecvError::Closed) = next {
            return Err(Failure::from(EngineError::Stopped));
        }
    }
}

async fn of(handle: &Handle, users: &[UserName]) -> Result<Vec<Presence>, EngineError> {
    let mut all = handle.presences().await?;
    all.retain(|presence| users.is_empty() || users.contains(&presence.name));
    Ok(all)
}

pub(super) async fn typing(context: &Context, room: &str, stop: bool) -> Outcome {
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        open::sync_around(handle).await?;
        handle.write_notice(room, !stop).await?;
        let name = messages::name(handle, room).await?;
        let object = TypingDone { v: 1, done: if stop { "paused" } else { "typing" }, room: &name };
        context.output.result(&object, || {
            let what = if stop { "not writing any more" } else { "writing" };
            format!("{} is told that you are {what}", qchat_proto::sanitize::line(&name))
        })?;
        Ok(())
    })
    .await
}

#[derive(Serialize)]
struct TypingDone<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
}
