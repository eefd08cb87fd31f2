//! The command that counts what is unread, for status bars.

use qchat_proto::sanitize;
use serde::Serialize;

use super::{Context, failure::Outcome, open};
use crate::engine::{
    Handle,
    types::{RoomStatus, RoomSummary},
};

/// What is unread.
#[derive(Serialize)]
struct UnreadObject<'a> {
    v: u8,
    unread: u64,
    mentions: u64,
    invitations: usize,
    rooms: Vec<UnreadRoom<'a>>,
}

#[derive(Serialize)]
struct UnreadRoom<'a> {
    room: &'a str,
    room_id: String,
    direct: bool,
    unread: u64,
    mentions: u64,
}

pub(super) async fn unread(
    context: &Context,
    rooms: &[String],
    fetch: bool,
    all: bool,
    clear: bool,
) -> Outcome {
    if fetch {
        return open::with_engine(context, async |handle| {
            let partial = open::sync_or_warn(context, handle).await?;
            count(context, handle, rooms, all, clear).await?;
            open::unread(partial, None)
        })
        .await;
    }
    open::offline(context, async |handle| count(context, handle, rooms, all, clear).await).await
}

async fn count(
    context: &Context,
    handle: &Handle,
    named: &[String],
    quiet_too: bool,
    clear: bool,
) -> Outcome {
    let mut only = vec![];
    for room in named {
        only.push(handle.find_room(room).await?);
    }
    let wanted = |room: &RoomSummary| only.is_empty() || only.contains(&room.id);
    if clear {
        for room in handle.rooms().await?.iter().filter(|room| wanted(room)) {
            handle.mark_read(room.id).await?;
        }
    }
    let all = handle.rooms().await?;
    let invited = |room: &&RoomSummary| room.status == RoomStatus::Invited;
    let shown: Vec<&RoomSummary> = all
        .iter()
        .filter(|room| wanted(room) && room.unread > 0 && room.status != RoomStatus::Left)
        .filter(|room| quiet_too || !only.is_empty() || room.marks.is_loud())
        .collect();
    let object = UnreadObject {
        v: 1,
        unread: shown.iter().map(|room| room.unread).sum(),
        mentions: shown.iter().map(|room| room.mentions).sum(),
        invitations: all.iter().filter(invited).filter(|room| wanted(room)).count(),
        rooms: shown
            .iter()
            .map(|room| UnreadRoom {
                room: &room.name,
                room_id: room.id.to_string(),
                direct: room.direct,
                unread: room.unread,
                mentions: room.mentions,
            })
            .collect(),
    };
    context.output.result(&object, || {
        let total = format!("{} unread, {} of them mention you", object.unread, object.mentions);
        let rooms = object.rooms.iter();
        let lines = rooms
            .map(|room| format!("{:>6} {:>5}  {}", room.unread, room.mentions, sanitize::line(room.room)));
        std::iter::once(total).chain(lines).collect::<Vec<_>>().join("\n")
    })?;
    Ok(())
}
