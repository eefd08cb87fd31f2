//! Commands about invite links, and about who asks by one to be let in.

use std::io;

use qchat_proto::{
    ids::{RoomId, UserName},
    invite::{InviteLink, Link, LinkError},
    sanitize,
};
use serde::Serialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    Context,
    failure::{Failure, Outcome},
    json::rfc3339,
    link_args::{RoomLink, RoomRequest},
    messages, open, passphrase, progress, rooms, words,
};
use crate::engine::{Admission, EngineError, Handle, LinkTerms};

/// A link, or what is known of it without what opens it.
#[derive(Serialize)]
struct LinkObject<'a> {
    v: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<&'static str>,
    room: &'a str,
    room_id: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u32>,
    ask: bool,
}

impl<'a> LinkObject<'a> {
    fn new(
        link: &InviteLink,
        room: (&'a str, RoomId),
        text: Option<&'a str>,
        done: Option<&'static str>,
    ) -> Self {
        Self {
            v: 1,
            done,
            room: room.0,
            room_id: room.1.to_string(),
            id: link.id().to_string(),
            link: text,
            expires_at: expiry(link).map(rfc3339),
            uses: link.uses.map(std::num::NonZeroU32::get),
            left: link.uses.map(|uses| link.left(uses)),
            ask: link.ask,
        }
    }
}

/// Somebody who waits.
#[derive(Serialize)]
struct RequestObject<'a> {
    v: u8,
    user: &'a str,
    room: &'a str,
    room_id: String,
    link: String,
    at: String,
}

fn expiry(link: &InviteLink) -> Option<OffsetDateTime> {
    link.expires_at.and_then(|at| OffsetDateTime::from_unix_timestamp(i64::try_from(at).ok()?).ok())
}

pub(super) async fn link(context: &Context, command: &RoomLink) -> Outcome {
    open::with_engine(context, async |handle| match command {
        RoomLink::Create { room, expires, uses, ask } => {
            let id = open::room(handle, room).await?;
            let terms = LinkTerms { lifetime: expires.0, uses: *uses, ask: *ask };
            let making = handle.create_link(id, terms);
            let made = progress::during(&context.settings, "Making the link", making).await?;
            tell(context, handle, (id, &made), Some("created")).await
        }
        RoomLink::Show { room, id } => {
            let room = open::room(handle, room).await?;
            let found = handle.find_link(room, id).await?;
            tell(context, handle, (room, &found), None).await
        }
        RoomLink::List { room } => {
            let partial = open::sync_or_warn(context, handle).await?;
            let id = open::room(handle, room).await?;
            let name = messages::name(handle, id).await?;
            for link in handle.links(id).await? {
                let object = LinkObject::new(&link, (&name, id), None, None);
                context.output.result(&object, || words::invite_link(&link, expiry(&link), &context.zone))?;
            }
            open::unread(partial, Some(id))
        }
        RoomLink::Revoke { room, id } => {
            let room = open::room(handle, room).await?;
            let name = messages::name(handle, room).await?;
            let before = handle.links(room).await?;
            let revoking = handle.revoke_link(room, id);
            let revoked = progress::during(&context.settings, "Ending the link", revoking).await?;
            let link = before.iter().find(|link| link.id() == revoked);
            let link = link.ok_or_else(|| Failure::unexpected("the link was ended by somebody else"))?;
            let object = LinkObject::new(link, (&name, room), None, Some("revoked"));
            Ok(context.output.result(&object, || {
                format!("revoked link {revoked} of {}; nobody comes in by it any more", sanitize::line(&name))
            })?)
        }
    })
    .await
}

/// Prints a link with what opens it.
async fn tell(
    context: &Context,
    handle: &Handle,
    (id, link): (RoomId, &Link),
    done: Option<&'static str>,
) -> Outcome {
    let name = messages::name(handle, id).await?;
    let all = handle.links(id).await?;
    let terms = all.iter().find(|known| known.secret == link.secret);
    let terms = terms.ok_or_else(|| Failure::refused("somebody has ended the link meanwhile"))?;
    let text = link.text();
    let object = LinkObject::new(terms, (&name, id), Some(text.as_str()), done);
    Ok(context.output.result(&object, || text.to_string())?)
}

/// The link that is meant where a room's name could stand, read from standard input for `-`: a link in an argument is seen by
/// whoever lists the machine's processes. `None` for a room.
pub(super) fn meant(context: &Context, text: &str) -> Outcome<Option<Link>> {
    let read = |text: &str| -> Outcome<Option<Link>> {
        Ok(Some(text.parse().map_err(|error: LinkError| Failure::usage(error.to_string()))?))
    };
    // Whoever calls from elsewhere has another standard input.
    if text == "-" && context.engine.is_none() {
        let line: Zeroizing<String> = passphrase::first_line(io::stdin().lock())?;
        return read(&line);
    }
    if Link::is_meant(text) { read(text) } else { Ok(None) }
}

/// Asks to be let in.
pub(super) async fn join(context: &Context, link: &Link) -> Outcome {
    open::with_engine(context, async |handle| {
        let joining = async {
            let joined = handle.join_by_link(link, context.settings.timeout).await?;
            if joined == Admission::Joined {
                match handle.sync().await {
                    Err(EngineError::Partial(rooms)) if !rooms.contains(&link.room) => {}
                    other => other?,
                }
            }
            Ok::<_, EngineError>(joined)
        };
        match progress::during(&context.settings, "Asking to be let in", joining).await? {
            Admission::Joined => rooms::report(context, handle, link.room, "joined", &[]).await,
            Admission::Waits => Err(Failure::partial(
                "asked to be let in; nobody has answered yet. It goes on without you: a device of a member lets you in when it is \
                 online, or an admin when they say yes, and this one enters as soon as it is online then. The request is \
                 kept for a week",
            )),
        }
    })
    .await
}

pub(super) async fn request(context: &Context, command: &RoomRequest) -> Outcome {
    open::with_engine(context, async |handle| match command {
        RoomRequest::List { room } => {
            let partial = open::sync_or_warn(context, handle).await?;
            let room = match room {
                Some(room) => Some(open::room(handle, room).await?),
                None => None,
            };
            let asking = handle.applicants(room);
            for asking in progress::during(&context.settings, "Looking who asks", asking).await? {
                let name = messages::name(handle, asking.room).await?;
                let at = OffsetDateTime::from_unix_timestamp(i64::try_from(asking.at).unwrap_or(i64::MAX))
                    .unwrap_or(OffsetDateTime::UNIX_EPOCH);
                let object = RequestObject {
                    v: 1,
                    user: asking.name.as_str(),
                    room: &name,
                    room_id: asking.room.to_string(),
                    link: asking.link.to_string(),
                    at: rfc3339(at),
                };
                context.output.result(&object, || {
                    let when = words::clock(at, &context.zone);
                    format!("{} asks to be let into {} since {when}", asking.name, sanitize::line(&name))
                })?;
            }
            open::unread(partial, room)
        }
        RoomRequest::Accept { room, user } => {
            let id = answering(context, handle, room).await?;
            progress::during(&context.settings, "Letting in", handle.admit(id, user)).await?;
            answered(context, handle, id, "accepted", user).await
        }
        RoomRequest::Decline { room, user } => {
            let id = answering(context, handle, room).await?;
            progress::during(&context.settings, "Declining", handle.turn_away(id, user)).await?;
            answered(context, handle, id, "declined", user).await
        }
    })
    .await
}

/// The room, read to the end: the link may be new.
async fn answering(context: &Context, handle: &Handle, room: &str) -> Outcome<RoomId> {
    open::sync_or_warn(context, handle).await?;
    open::room(handle, room).await
}

async fn answered(
    context: &Context,
    handle: &Handle,
    room: RoomId,
    done: &'static str,
    user: &UserName,
) -> Outcome {
    rooms::report(context, handle, room, done, std::slice::from_ref(user)).await
}

/// What whoever removes somebody should know: they may come back.
pub(super) async fn warn_of_links(
    context: &Context,
    handle: &Handle,
    room: RoomId,
    user: &UserName,
) -> Outcome {
    let links = handle.open_links(room).await?;
    if links > 0 {
        context.output.say(&format!(
            "note: {links} invite link{} to this room still {}, so {user} may come back; `qchat room ban` keeps them out, and \
             `qchat room link revoke` ends a link",
            if links == 1 { "" } else { "s" },
            if links == 1 { "works" } else { "work" },
        ));
    }
    Ok(())
}
