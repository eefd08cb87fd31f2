//! The commands about how rooms and people are treated, which all devices of the account know.

use qchat_proto::{ids::UserName, sanitize};
use serde::Serialize;

use super::{Context, args::RoomMark, failure::Outcome, messages, open};
use crate::engine::{Mark, Noted};

#[derive(Serialize)]
struct Marked<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    mark: &'static str,
    /// Whether the account's other devices learn of it from the server.
    told: bool,
}

#[derive(Serialize)]
struct BlockedObject<'a> {
    v: u8,
    user: &'a str,
    blocked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<bool>,
}

/// What is said when the other devices do not know yet.
pub(super) const LATER: &str = "warning: the server cannot be told now; your other devices learn of it when this one has connected again";

pub(super) async fn mark(context: &Context, room: &str, mark: RoomMark, remove: bool) -> Outcome {
    let (which, word) = match mark {
        RoomMark::Archived => (Mark::Archived, "archived"),
        RoomMark::Muted => (Mark::Muted, "muted"),
        RoomMark::Favourite => (Mark::Favourite, "favourite"),
    };
    open::with_engine(context, async |handle| {
        let id = open::room(handle, room).await?;
        let noted = handle.mark(id, which, !remove).await?;
        let name = messages::name(handle, id).await?;
        if noted == Noted::Here {
            context.output.say(LATER);
        }
        let done = if remove { "unmarked" } else { "marked" };
        let object = Marked {
            v: 1,
            done,
            room: &name,
            room_id: id.to_string(),
            mark: word,
            told: noted == Noted::Told,
        };
        context.output.result(&object, || {
            let not = if remove { "not " } else { "" };
            format!("{} is {not}{word}", sanitize::line(&name))
        })?;
        Ok(())
    })
    .await
}

pub(super) async fn block(context: &Context, user: &UserName, blocked: bool) -> Outcome {
    open::with_engine(context, async |handle| {
        let noted = handle.block(user, blocked).await?;
        if noted == Noted::Here {
            context.output.say(LATER);
        }
        let told = Some(noted == Noted::Told);
        let object = BlockedObject { v: 1, user: user.as_str(), blocked, told };
        context.output.result(&object, || {
            if blocked { format!("{user} is blocked") } else { format!("{user} is not blocked any more") }
        })?;
        Ok(())
    })
    .await
}

pub(super) async fn blocked(context: &Context) -> Outcome {
    open::offline(context, async |handle| {
        for user in handle.blocked().await? {
            let object = BlockedObject { v: 1, user: user.as_str(), blocked: true, told: None };
            context.output.result(&object, || user.to_string())?;
        }
        Ok(())
    })
    .await
}
