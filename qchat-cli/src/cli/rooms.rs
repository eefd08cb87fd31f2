//! Commands about rooms.

use qchat_proto::{
    content::SettingsChange,
    ids::{AccountId, RoomId, UserName},
    sanitize,
};
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    invite_links,
    json::{DetailsObject, RoomObject},
    open,
    progress::{self, Teller},
    words,
};
use crate::engine::{
    EngineError, Handle,
    types::{Inviting, RoomStatus, RoomSummary},
};

/// What was done to a room.
#[derive(Serialize)]
struct Deed<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    users: &'a [UserName],
}

pub(super) async fn create(context: &Context, name: &str) -> Outcome {
    open::with_engine(context, async |handle| {
        let creating = handle.create_room(name.to_owned());
        let room = progress::during(&context.settings, "Creating the room", creating).await?;
        report(context, handle, room, "created", &[]).await
    })
    .await
}

pub(super) async fn list(context: &Context, all: bool) -> Outcome {
    open::with_engine(context, async |handle| {
        let partial = open::sync_or_warn(context, handle).await?;
        for room in handle.rooms().await? {
            if room.status != RoomStatus::Left && (all || !room.marks.archived) {
                context.output.result(&RoomObject::new(&room), || words::room(&room))?;
            }
        }
        open::unread(partial, None)
    })
    .await
}

pub(super) async fn show(context: &Context, room: &str) -> Outcome {
    open::with_engine(context, async |handle| {
        let partial = open::sync_or_warn(context, handle).await?;
        let id = handle.find_room(room).await?;
        if let Some(invitation) = summary(handle, id).await?.filter(|room| room.status == RoomStatus::Invited)
        {
            context.output.result(&RoomObject::new(&invitation), || words::room(&invitation))?;
            return Ok(());
        }
        let details = handle.room(id).await?;
        context
            .output
            .result(&DetailsObject::new(&details), || words::details(&details, handle.me().account))?;
        open::unread(partial, Some(id))
    })
    .await
}

pub(super) async fn invite(context: &Context, room: &str, users: &[UserName]) -> Outcome {
    open::with_engine(context, async |handle| {
        let id = open::room(handle, room).await?;
        let inviting = async |teller: &Teller| {
            let progress = |far: Inviting| teller.say(words::inviting(far));
            handle.invite_with(id, users.to_vec(), progress).await
        };
        progress::telling(&context.settings, "Inviting", inviting).await?;
        report(context, handle, id, "invited", users).await
    })
    .await
}

pub(super) async fn join(context: &Context, room: &str) -> Outcome {
    open::with_engine(context, async |handle| {
        let id = open::invitation(handle, room).await?;
        let joining = async {
            handle.join(id).await?;
            // What was said since the invitation is there when this returns, whatever there is of other rooms.
            match handle.sync().await {
                Err(EngineError::Partial(rooms)) if !rooms.contains(&id) => Ok(()),
                other => other,
            }
        };
        progress::during(&context.settings, "Joining", joining).await?;
        report(context, handle, id, "joined", &[]).await
    })
    .await
}

pub(super) async fn remove(context: &Context, room: &str, user: &UserName) -> Outcome {
    open::with_engine(context, async |handle| {
        let id = open::room(handle, room).await?;
        progress::during(&context.settings, "Removing", handle.remove(id, user.clone())).await?;
        invite_links::warn_of_links(context, handle, id, user).await?;
        report(context, handle, id, "removed", std::slice::from_ref(user)).await
    })
    .await
}

pub(super) async fn leave(context: &Context, room: &str) -> Outcome {
    open::with_engine(context, async |handle| {
        let id = open::room(handle, room).await?;
        let before = summary(handle, id).await?;
        progress::during(&context.settings, "Leaving", handle.leave(id)).await?;
        match before {
            Some(before) if before.status == RoomStatus::Invited => print(context, &before, "declined", &[]),
            Some(before) => print(context, &before, "left", &[]),
            None => Ok(()),
        }
    })
    .await
}

/// Changes a room's settings.
pub(super) async fn set(context: &Context, room: &str, change: SettingsChange) -> Outcome {
    open::with_engine(context, async |handle| {
        let id = open::room(handle, room).await?;
        let setting = handle.change_settings(id, change);
        progress::during(&context.settings, "Changing the settings", setting).await?;
        report(context, handle, id, "changed", &[]).await
    })
    .await
}

/// Changes what a room's settings say about somebody.
pub(super) async fn set_of(
    context: &Context,
    room: &str,
    user: &UserName,
    change: impl FnOnce(AccountId) -> SettingsChange,
    done: &'static str,
) -> Outcome {
    open::with_engine(context, async |handle| {
        let id = open::room(handle, room).await?;
        let change = change(handle.account_of(user).await?);
        progress::during(&context.settings, "Changing the settings", handle.change_settings(id, change))
            .await?;
        report(context, handle, id, done, std::slice::from_ref(user)).await
    })
    .await
}

pub(super) async fn update_keys(context: &Context, room: &str) -> Outcome {
    open::with_engine(context, async |handle| {
        let id = open::room(handle, room).await?;
        progress::during(&context.settings, "Replacing keys", handle.update_keys(id)).await?;
        report(context, handle, id, "updated", &[]).await
    })
    .await
}

pub(super) async fn restart(context: &Context, room: &str, yes: bool) -> Outcome {
    if !yes {
        return Err(Failure::usage(
            "a restart ends the group for everybody, those included who may still follow it. Ask the others first; \
             when nobody can, repeat this with --yes",
        ));
    }
    open::with_engine(context, async |handle| {
        let id = open::room(handle, room).await?;
        let behind = progress::during(&context.settings, "Restarting the room", handle.restart(id)).await?;
        if !behind.is_empty() {
            let names: Vec<_> = behind.iter().map(UserName::as_str).collect();
            context.output.say(&format!(
                "left behind: {}. Those who belong to the room have to be invited again",
                names.join(", ")
            ));
        }
        report(context, handle, id, "restarted", &behind).await
    })
    .await
}

/// The list entry of a room.
pub(super) async fn summary(handle: &Handle, id: RoomId) -> Outcome<Option<RoomSummary>> {
    Ok(handle.rooms().await?.into_iter().find(|room| room.id == id))
}

pub(super) async fn report(
    context: &Context,
    handle: &Handle,
    id: RoomId,
    done: &'static str,
    users: &[UserName],
) -> Outcome {
    let room = summary(handle, id).await?;
    let room =
        room.ok_or_else(|| Failure::unexpected("the room has gone; `qchat room list` shows the rooms"))?;
    print(context, &room, done, users)
}

fn print(context: &Context, room: &RoomSummary, done: &'static str, users: &[UserName]) -> Outcome {
    let object = Deed { v: 1, done, room: &room.name, room_id: room.id.to_string(), users };
    context.output.result(&object, || {
        let name = sanitize::line(&room.name);
        let names: Vec<_> = users.iter().map(UserName::as_str).collect();
        match done {
            "invited" => format!("invited {} to {name}", names.join(", ")),
            "accepted" => format!("let {} into {name}", names.join(", ")),
            "declined" if !users.is_empty() => {
                format!("declined {}, who asked to be let into {name}", names.join(", "))
            }
            "removed" => format!("removed {} from {name}", names.join(", ")),
            "created" => format!("created {name}  {}", room.id),
            "restarted" => format!("restarted {name}; all who came along have new keys"),
            "updated" => format!("replaced this device's keys in {name}"),
            done => format!("{done} {name}"),
        }
    })?;
    Ok(())
}
