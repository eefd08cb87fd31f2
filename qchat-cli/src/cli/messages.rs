//! Commands that write and read messages.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::Path,
    time::Instant,
};

use qchat_proto::{
    content::MAX_TEXT,
    ids::{MessageId, RoomId, Seq},
    sanitize,
};
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    json::{MessageObject, is_settled},
    open, progress, rooms, words,
};
use crate::engine::{EngineError, Handle, types::Message};

/// A message that the daemon has.
#[derive(Serialize)]
struct Sent<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    seq: u64,
    id: String,
}

pub(super) async fn send(context: &Context, room: &str, text: Option<&str>, file: Option<&Path>) -> Outcome {
    // Before the passphrase is asked for: what cannot be sent need not open anything.
    let text = match &context.engine {
        None => read_text(text, file)?,
        Some(warm) => given(warm.text.as_deref().or(text), file)?,
    };
    open::with_engine(context, async |handle| {
        let id = open::room(handle, room).await?;
        let message = handle.send(id, text).await?;
        let sending = wait(context, handle, id, message);
        let seq = progress::during(&context.settings, "Sending", sending).await?;
        let name = name(handle, id).await?;
        let object = Sent {
            v: 1,
            done: "sent",
            room: &name,
            room_id: id.to_string(),
            seq: seq.0,
            id: message.to_string(),
        };
        context.output.result(&object, || format!("sent as {seq} to {}", sanitize::line(&name)))?;
        Ok(())
    })
    .await
}

/// Waits until the daemon has the message. When the connection failed, the reason decides the exit code.
async fn wait(context: &Context, handle: &Handle, room: RoomId, message: MessageId) -> Outcome<Seq> {
    let begun = Instant::now();
    let error = match handle.wait_sent(room, message).await {
        Ok(seq) => return Ok(seq),
        Err(error) => error,
    };
    if error.exit_code() == 3 && begun.elapsed() < context.settings.timeout {
        match handle.sync().await {
            Err(reason) if reason.exit_code() != 3 => return Err(reason.into()),
            // Connected after all.
            Ok(()) => return Ok(handle.wait_sent(room, message).await?),
            Err(_) => {}
        }
    }
    if matches!(error, EngineError::IdentityChanged(_)) {
        context.output.say("What was written stays in the outbox, and is sent once the change is accepted.");
    }
    Err(error.into())
}

pub(super) async fn history(context: &Context, room: &str, limit: usize, before: Option<Seq>) -> Outcome {
    open::with_engine(context, async |handle| {
        let partial = open::sync_or_warn(context, handle).await?;
        let id = handle.find_room(room).await?;
        let name = name(handle, id).await?;
        let messages = match before {
            Some(seq) => handle.timeline_before_seq(id, seq, limit).await?,
            None => newest(handle, id, limit).await?,
        };
        for message in messages.iter().filter(|message| is_settled(message)) {
            print(context, message, &name, false)?;
        }
        let waiting = handle.room(id).await.map_or(0, |details| details.waiting);
        if waiting > 0 {
            context.output.say(&format!("{waiting} more of your messages wait to be sent."));
        }
        open::unread(partial, Some(id))
    })
    .await
}

/// The newest `limit` lines that are in the log; those that wait come after them and do not count.
async fn newest(handle: &Handle, room: RoomId, limit: usize) -> Outcome<Vec<Message>> {
    let mut messages = handle.timeline(room, None, limit).await?;
    messages.retain(is_settled);
    while messages.len() < limit {
        let Some(first) = messages.first() else { break };
        let mut older = handle.timeline(room, Some(first.row), limit - messages.len()).await?;
        if older.is_empty() {
            break;
        }
        older.retain(is_settled);
        older.append(&mut messages);
        messages = older;
    }
    Ok(messages)
}

/// Prints a line of a timeline.
pub(super) fn print(context: &Context, message: &Message, room: &str, mixed: bool) -> io::Result<()> {
    context.output.result(&MessageObject::new(message, room), || {
        words::message(message, mixed.then_some(room), &context.zone)
    })
}

/// A room's name, for output.
pub(super) async fn name(handle: &Handle, room: RoomId) -> Outcome<String> {
    Ok(rooms::summary(handle, room).await?.map_or_else(|| room.to_string(), |room| room.name))
}

/// The text of a message, which is refused here when it cannot be sent.
pub(super) fn read_text(text: Option<&str>, file: Option<&Path>) -> Outcome<String> {
    let text = match (text, file) {
        (_, Some(path)) => {
            let failed = |error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
            read_all(File::open(path).map_err(failed)?)?
        }
        (Some("-"), None) => read_all(io::stdin().lock())?,
        (Some(text), None) => text.to_owned(),
        (None, None) if io::stdin().is_terminal() => {
            return Err(Failure::usage("there is nothing to send; give a TEXT, or - to read standard input"));
        }
        (None, None) => read_all(io::stdin().lock())?,
    };
    fitting(text)
}

/// The same from a caller, whose standard input is not this process's.
fn given(text: Option<&str>, file: Option<&Path>) -> Outcome<String> {
    match (text, file) {
        (None, Some(_)) => read_text(None, file),
        (Some(text), _) => fitting(text.to_owned()),
        (None, None) => Err(Failure::usage("there is nothing to send; give a text")),
    }
}

fn fitting(text: String) -> Outcome<String> {
    match text.len() {
        0 => Err(Failure::usage("the text is empty")),
        size if size > MAX_TEXT => Err(Failure::usage(format!(
            "the text has {size} bytes; at most {MAX_TEXT} bytes fit into one message"
        ))),
        _ => Ok(text),
    }
}

/// Reads what fits into a message, without the line feed at its end; more than that is refused unread.
fn read_all(from: impl Read) -> Outcome<String> {
    let most = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX).saturating_add(2);
    let mut bytes = Vec::new();
    from.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("the text cannot be read: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(Failure::usage(format!(
            "the text is too long; at most {MAX_TEXT} bytes fit into one message"
        )));
    }
    let mut text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage("the text is not UTF-8; convert it with iconv"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
