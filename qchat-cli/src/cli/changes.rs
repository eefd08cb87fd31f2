//! Commands that change earlier messages, and polls.

use qchat_proto::{
    content::{Emoji, Poll},
    sanitize,
};
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    messages::{self, message, sent},
    open,
};
use crate::engine::{
    EngineError, Handle, Retracted,
    types::{Body, Message},
};

/// Which message: the room, and how the message's id begins.
type Which<'a> = (&'a str, &'a str);

pub(super) async fn edit(context: &Context, (room, prefix): Which<'_>, text: Option<&str>) -> Outcome {
    let text = messages::said(context, text)?;
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let of = message(handle, room, prefix).await?;
        let id = handle.edit(room, of, text).await?;
        sent(context, handle, room, (id, Some(of.id)), "edited").await
    })
    .await
}

pub(super) async fn react(
    context: &Context,
    (room, prefix): Which<'_>,
    emoji: &Emoji,
    remove: bool,
) -> Outcome {
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let of = message(handle, room, prefix).await?;
        let id = handle.react(room, of, emoji.clone(), remove).await?;
        let done = if remove { "took the reaction back from" } else { "reacted to" };
        sent(context, handle, room, (id, Some(of.id)), done).await
    })
    .await
}

pub(super) async fn pin(context: &Context, (room, prefix): Which<'_>, remove: bool) -> Outcome {
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let of = message(handle, room, prefix).await?;
        let id = handle.pin(room, of, remove).await?;
        sent(context, handle, room, (id, Some(of.id)), if remove { "unpinned" } else { "pinned" }).await
    })
    .await
}

pub(super) async fn ask(
    context: &Context,
    room: &str,
    question: &str,
    options: &[String],
    choices: u32,
) -> Outcome {
    let poll = Poll::new(question.to_owned(), options.to_vec(), choices);
    let poll = poll.map_err(|error| Failure::usage(error.to_string()))?;
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let id = handle.ask(room, poll).await?;
        sent(context, handle, room, (id, None), "asked").await
    })
    .await
}

pub(super) async fn vote(context: &Context, (room, prefix): Which<'_>, options: &[String]) -> Outcome {
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let of = message(handle, room, prefix).await?;
        let shown = handle.message(room, of).await?;
        let choices = choices(&shown, options)?;
        let id = handle.vote(room, of, choices).await?;
        sent(context, handle, room, (id, Some(of.id)), "voted in").await
    })
    .await
}

/// The places of options that are named by their number or by what they say: the number first, since what they say is whatever
/// the poll's author wants.
fn choices(poll: &Message, options: &[String]) -> Outcome<Vec<u32>> {
    let Body::Poll(poll) = &poll.body else {
        return Err(EngineError::NotAllowed(qchat_proto::conversation::NotAllowed::NoPoll).into());
    };
    let place = |option: &String| {
        let said = poll.options.iter().position(|other| other.text == *option);
        let number = option.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let place = number.filter(|number| *number < poll.options.len()).or(said);
        place.and_then(|place| u32::try_from(place).ok()).ok_or_else(|| {
            Failure::usage(format!("the poll has no option {option:?}; `qchat history` shows those it has"))
        })
    };
    options.iter().map(place).collect()
}

pub(super) async fn close(context: &Context, (room, prefix): Which<'_>) -> Outcome {
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let of = message(handle, room, prefix).await?;
        let id = handle.close_poll(room, of).await?;
        sent(context, handle, room, (id, Some(of.id)), "closed").await
    })
    .await
}

/// A message that had not left.
#[derive(Serialize)]
struct TakenBack<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    of: String,
}

pub(super) async fn delete(context: &Context, room: &str, prefixes: &[String]) -> Outcome {
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let mut targets = vec![];
        for prefix in prefixes {
            let of = message(handle, room, prefix).await?;
            handle.expect_deletable(room, of).await?;
            targets.push(of);
        }
        // All are asked for before the first is waited for.
        let mut asked = vec![];
        for of in targets {
            asked.push((of, handle.retract(room, of).await?));
        }
        for (of, retracted) in asked {
            match retracted {
                Retracted::Asked(id) => sent(context, handle, room, (id, Some(of.id)), "deleted").await?,
                Retracted::TakenBack => taken_back(context, handle, room, of.id).await?,
            }
        }
        Ok(())
    })
    .await
}

async fn taken_back(
    context: &Context,
    handle: &Handle,
    room: qchat_proto::ids::RoomId,
    of: qchat_proto::ids::MessageId,
) -> Outcome {
    let name = messages::name(handle, room).await?;
    let object =
        TakenBack { v: 1, done: "taken back", room: &name, room_id: room.to_string(), of: of.to_string() };
    context
        .output
        .result(&object, || format!("took {of} back before it was sent to {}", sanitize::line(&name)))?;
    Ok(())
}
