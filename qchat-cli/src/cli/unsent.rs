//! Commands about what is not sent yet: the outbox, and drafts.

use std::collections::{HashMap, hash_map::Entry};

use qchat_proto::{ids::RoomId, sanitize};
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    json::rfc3339,
    messages, open, progress, words,
};
use crate::engine::{EngineError, Handle, Unsent, UnsentState};

/// Something that is not sent yet.
#[derive(Serialize)]
struct UnsentObject<'a> {
    v: u8,
    room: &'a str,
    room_id: String,
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    excerpt: Option<&'a str>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

pub(super) async fn list(context: &Context, room: Option<&str>) -> Outcome {
    open::offline(context, async |handle| {
        let room = match room {
            Some(room) => Some(handle.find_room(room).await?),
            None => None,
        };
        let mut names: HashMap<RoomId, String> = HashMap::new();
        for unsent in handle.unsent(room).await? {
            let room = match names.entry(unsent.room) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(messages::name(handle, unsent.room).await?),
            };
            show(context, &unsent, room)?;
        }
        Ok(())
    })
    .await
}

fn show(context: &Context, unsent: &Unsent, room: &str) -> Outcome {
    let (state, at) = match unsent.state {
        UnsentState::Scheduled(at) => ("scheduled", Some(at)),
        UnsentState::Waiting => ("waiting", None),
        UnsentState::OnItsWay => ("on its way", None),
        UnsentState::Failed => ("cannot be sent", None),
    };
    let object = UnsentObject {
        v: 1,
        room,
        room_id: unsent.room.to_string(),
        id: unsent.id.to_string(),
        kind: unsent.kind,
        excerpt: unsent.excerpt.as_deref(),
        state,
        at: at.map(rfc3339),
    };
    context.output.result(&object, || {
        let at = at.map(|at| format!(" {}", words::clock(at, &context.zone))).unwrap_or_default();
        let excerpt = unsent.excerpt.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        let line = format!("{}  {state}{at}  [{room}] {}{excerpt}", unsent.id, unsent.kind);
        sanitize::line(&line).into_owned()
    })?;
    Ok(())
}

/// What was done.
#[derive(Serialize)]
struct Finished {
    v: u8,
    done: &'static str,
    messages: usize,
}

pub(super) async fn retry(context: &Context) -> Outcome {
    open::with_engine(context, async |handle| {
        let waits = |unsent: &Unsent| matches!(unsent.state, UnsentState::Waiting | UnsentState::OnItsWay);
        let before = handle.unsent(None).await?.iter().filter(|unsent| waits(unsent)).count();
        if before > 0 {
            let sending = async {
                open::sync_around(handle).await?;
                handle.wait_all_sent().await
            };
            progress::during(&context.settings, "Sending", sending).await?;
        }
        context.output.result(&Finished { v: 1, done: "sent", messages: before }, || {
            format!("sent what waited: {before}")
        })?;
        Ok(())
    })
    .await
}

pub(super) async fn give_up(context: &Context, prefixes: &[String]) -> Outcome {
    open::offline(context, async |handle| {
        let all = handle.unsent(None).await?;
        let mut chosen = vec![];
        for prefix in prefixes {
            let mut found = all.iter().filter(|unsent| unsent.id.to_string().starts_with(prefix));
            match (found.next(), found.next()) {
                (Some(unsent), None) => chosen.push(unsent),
                (Some(_), Some(_)) => return Err(EngineError::AmbiguousMessage(prefix.clone()).into()),
                (None, _) => {
                    return Err(Failure::not_found(format!(
                        "nothing that waits begins with {prefix}; `qchat outbox list` shows what waits"
                    )));
                }
            }
        }
        for unsent in &chosen {
            handle.drop_unsent(unsent).await?;
        }
        let messages = chosen.len();
        context
            .output
            .result(&Finished { v: 1, done: "dropped", messages }, || format!("gave up {messages}"))?;
        Ok(())
    })
    .await
}

/// What somebody has begun to write.
#[derive(Serialize)]
struct DraftObject<'a> {
    v: u8,
    room: &'a str,
    room_id: String,
    draft: Option<&'a str>,
}

pub(super) async fn draft(context: &Context, room: Option<&str>, text: Option<&str>, clear: bool) -> Outcome {
    let text = text.map(|text| messages::said(context, Some(text))).transpose()?;
    open::offline(context, async |handle| {
        let Some(room) = room else {
            for (room, text) in handle.drafts().await? {
                show_draft(context, handle, room, Some(text)).await?;
            }
            return Ok(());
        };
        let room = handle.find_room(room).await?;
        if let Some(text) = text {
            handle.keep_draft(room, text).await?;
        } else if clear {
            handle.keep_draft(room, String::new()).await?;
        }
        show_draft(context, handle, room, handle.draft(room).await?).await
    })
    .await
}

async fn show_draft(context: &Context, handle: &Handle, room: RoomId, text: Option<String>) -> Outcome {
    let name = messages::name(handle, room).await?;
    let object = DraftObject { v: 1, room: &name, room_id: room.to_string(), draft: text.as_deref() };
    context.output.result(&object, || match &text {
        Some(text) => format!("[{}] {}", sanitize::line(&name), sanitize::text(text).replace('\n', "\n    ")),
        None => format!("[{}] nothing was begun", sanitize::line(&name)),
    })?;
    Ok(())
}
