//! The command that deletes messages from this device.

use std::io::{self, IsTerminal as _, Write as _};

use qchat_proto::{
    ids::{MessageId, RoomId, Seq},
    sanitize,
};
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    messages, open,
};
use crate::{
    engine::{EngineError, Handle, Options, types::Deletion},
    store::Profile,
};

/// So many messages are named by hand; for more the user is asked.
const FEW: usize = 10;

/// Which messages are meant.
pub(super) enum Which<'a> {
    /// These.
    Ids(&'a [String]),
    /// All before a seq; without one, all.
    Before(Option<Seq>),
}

/// Messages that are gone from this device.
#[derive(Serialize)]
struct Deleted<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    messages: usize,
}

/// Needs no server, and asks none: what waits to be sent is not sent on the way.
pub(super) async fn delete(context: &Context, room: &str, which: Which<'_>, yes: bool) -> Outcome {
    let profile: Profile = open::profile(context).await?;
    let options = Options { offline: true, ..Options::new(context.settings.timeout) };
    let handle = Handle::start(profile, options).await?;
    let done = on_engine(context, &handle, room, &which, yes).await;
    handle.shutdown().await;
    done
}

async fn on_engine(context: &Context, handle: &Handle, room: &str, which: &Which<'_>, yes: bool) -> Outcome {
    let id = handle.find_room(room).await?;
    let name = messages::name(handle, id).await?;
    if !yes && !confirmed(context, which, &name)? {
        return Err(Failure::refused("nothing was deleted"));
    }
    let deletion = carry_out(handle, id, which).await?;
    let messages = deletion.deleted;
    let whole = deletion.unknown.is_empty() && deletion.on_their_way.is_empty();
    if whole || messages > 0 {
        let object = Deleted { v: 1, done: "deleted", room: &name, room_id: id.to_string(), messages };
        context.output.result(&object, || {
            let s = if messages == 1 { "" } else { "s" };
            format!("deleted {messages} message{s} of {} from this device", sanitize::line(&name))
        })?;
    }
    if whole { Ok(()) } else { Err(EngineError::NotDeleted(deletion).into()) }
}

async fn carry_out(handle: &Handle, room: RoomId, which: &Which<'_>) -> Result<Deletion, EngineError> {
    match which {
        Which::Ids(prefixes) => {
            let mut ids = vec![];
            for prefix in *prefixes {
                // A whole id that is not here is told apart from those that are.
                ids.push(match (handle.find_message(room, prefix).await, prefix.parse::<MessageId>()) {
                    (Ok(of), _) => of.id,
                    (Err(EngineError::NoSuchMessage(_)), Ok(id)) => id,
                    (Err(error), _) => return Err(error),
                });
            }
            handle.delete(room, ids).await
        }
        Which::Before(before) => handle.delete_before(room, *before).await,
    }
}

/// Asks on a terminal before many are deleted: they do not come back.
fn confirmed(context: &Context, which: &Which<'_>, room: &str) -> Outcome<bool> {
    let what = match which {
        Which::Ids(ids) if ids.len() <= FEW => return Ok(true),
        Which::Ids(ids) => format!("{} messages", ids.len()),
        Which::Before(Some(seq)) => format!("all messages before {seq}"),
        Which::Before(None) => "all messages".to_owned(),
    };
    if context.engine.is_some() {
        // Whoever calls has no terminal, whatever the engine was started on.
        return Err(Failure::usage("say --yes to delete so many without being asked"));
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(true);
    }
    if context.settings.no_input {
        return Err(Failure::usage("say --yes to delete so many without being asked"));
    }
    let mut err = io::stderr().lock();
    write!(err, "Delete {what} of {} from this device? [y/N] ", sanitize::line(room))?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
