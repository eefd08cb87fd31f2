//! Commands that write and read messages.

use std::{
    io::{self, IsTerminal as _, Read},
    num::NonZeroU32,
    time::Instant,
};

use qchat_proto::{
    content::{MAX_TEXT, MessageRef},
    ids::{MessageId, RoomId, Seq, UserName},
    sanitize,
};
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    Context,
    args::{self, Wait},
    failure::{Failure, Outcome},
    json::{MessageObject, is_settled, rfc3339},
    open, progress,
    search_args::HistoryArgs,
    words,
};
use crate::engine::{Draft, EngineError, Handle, Part, Reached, types::Message};

/// A message that the daemon has.
#[derive(Serialize)]
struct Sent<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    seq: u64,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
}

/// What goes with a text, or with a file.
pub(super) struct More<'a> {
    /// How the id of the message begins that it answers.
    pub(super) reply_to: Option<&'a str>,
    /// After how many seconds it is deleted.
    pub(super) expire: Option<NonZeroU32>,
    /// What is waited for.
    pub(super) wait: Wait,
    /// When it is sent; now when nothing is said. Of files there is nothing else.
    pub(super) at: Option<&'a str>,
}

/// A message that is sent later.
#[derive(Serialize)]
struct Scheduled<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    id: String,
    at: String,
}

/// The moment that is meant: a time, or so long from now.
fn moment(context: &Context, text: &str) -> Outcome<OffsetDateTime> {
    let now = OffsetDateTime::now_utc();
    let later = args::time(text).ok().and_then(|later| now.checked_add(later.try_into().ok()?));
    later.or_else(|| context.zone.read(text)).ok_or_else(|| {
        Failure::usage(format!("{text:?} is no time: as in 2027-01-31T09:00, or 90m for so long from now"))
    })
}

pub(super) async fn send(context: &Context, room: &str, text: Option<&str>, more: More<'_>) -> Outcome {
    // Before the passphrase is asked for: what cannot be sent need not open anything.
    let text = said(context, text)?;
    let at = more.at.map(|at| moment(context, at)).transpose()?;
    open::with_engine(context, async |handle| {
        let id = place(context, handle, room).await?;
        let draft = draft(handle, id, text, &more).await?;
        if let Some(at) = at {
            let message = handle.schedule(id, draft, at).await?;
            let name = name(handle, id).await?;
            let object = Scheduled {
                v: 1,
                done: "scheduled",
                room: &name,
                room_id: id.to_string(),
                id: message.to_string(),
                at: rfc3339(at),
            };
            let when = words::clock(at, &context.zone);
            context
                .output
                .result(&object, || format!("to be sent to {} at {when}", sanitize::line(&name)))?;
            return Ok(());
        }
        let sending = handle.send_draft(id, draft);
        context.is_in_its_place();
        let message = sending.await?;
        sent(context, handle, id, (message, None), "sent").await?;
        reached(context, handle, id, message, more.wait).await
    })
    .await
}

/// Where something is sent: a room, or the conversation with somebody, which is begun by that.
pub(super) async fn place(context: &Context, handle: &Handle, room: &str) -> Outcome<RoomId> {
    match room.strip_prefix('@').map(str::parse::<UserName>) {
        Some(Ok(user)) => {
            let found = handle.direct(&user);
            Ok(progress::during(&context.settings, "Finding the conversation", found).await?)
        }
        _ => open::room(handle, room).await,
    }
}

/// A text, which may be nothing beside a file, with what belongs to it.
pub(super) async fn draft(handle: &Handle, room: RoomId, text: String, more: &More<'_>) -> Outcome<Draft> {
    let reply_to = match more.reply_to {
        Some(prefix) => Some(message(handle, room, prefix).await?),
        None => None,
    };
    Ok(Draft { text, reply_to, expires_after: more.expire })
}

/// Waits until a message that was sent has got as far as somebody wants to know.
pub(super) async fn reached(
    context: &Context,
    handle: &Handle,
    room: RoomId,
    message: MessageId,
    wait: Wait,
) -> Outcome {
    let reached = match wait {
        Wait::Sent => return Ok(()),
        Wait::Delivered => Reached::Delivered,
        Wait::Read => Reached::Read,
    };
    let waiting = handle.wait_reached(room, message, reached);
    progress::during(&context.settings, "Waiting for the others", waiting).await?;
    Ok(())
}

/// The message of a room whose id begins so, once all is read that there is to be read: what has become of it since decides what
/// may be done to it. Without a connection what is stored here has to do.
pub(super) async fn message(handle: &Handle, room: RoomId, prefix: &str) -> Outcome<MessageRef> {
    match open::sync_around(handle).await {
        Err(error) if error.exit_code() != 3 => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    Ok(handle.find_message(room, prefix).await?)
}

/// Waits until the daemon has a message, and says so. `done`: what is done by it, to which message if to one.
pub(super) async fn sent(
    context: &Context,
    handle: &Handle,
    room: RoomId,
    (message, of): (MessageId, Option<MessageId>),
    done: &'static str,
) -> Outcome {
    let sending = wait(context, handle, room, message);
    let seq = progress::during(&context.settings, "Sending", sending).await?;
    let name = name(handle, room).await?;
    let object = Sent {
        v: 1,
        done,
        room: &name,
        room_id: room.to_string(),
        seq: seq.0,
        id: message.to_string(),
        of: of.map(|of| of.to_string()),
    };
    context.output.result(&object, || match of {
        None => format!("{done} as {seq} to {}", sanitize::line(&name)),
        Some(of) => format!("{done} {of} of {}", sanitize::line(&name)),
    })?;
    Ok(())
}

/// Waits until the daemon has the message. When the connection failed, the reason decides the exit code.
pub(super) async fn wait(
    context: &Context,
    handle: &Handle,
    room: RoomId,
    message: MessageId,
) -> Outcome<Seq> {
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

/// A moment that has been: a date, a time, or so long ago.
pub(super) fn past(context: &Context, text: &str) -> Option<OffsetDateTime> {
    // A number alone would be seconds, and is meant for a year.
    let span = args::time(text).ok().filter(|_| text.parse::<f64>().is_err());
    let ago = span.and_then(|ago| OffsetDateTime::now_utc().checked_sub(ago.try_into().ok()?));
    ago.or_else(|| context.zone.read(text))
}

/// The part of a log that is asked for, if not all of it is.
fn part(context: &Context, arguments: &HistoryArgs) -> Outcome<Option<Part>> {
    let when = |text: Option<&String>| {
        let read = |text: &String| {
            past(context, text).ok_or_else(|| {
                Failure::usage(format!(
                    "{text:?} is no date or time: as in 2026-01-31, 2026-01-31T09:00, or 2d for two days ago"
                ))
            })
        };
        text.map(read).transpose()
    };
    let part = Part::new(
        (arguments.from_seq, arguments.to_seq),
        (when(arguments.since.as_ref())?, when(arguments.until.as_ref())?),
    );
    Ok(Some(part).filter(|part| *part != Part::default()))
}

pub(super) async fn history(context: &Context, arguments: &HistoryArgs) -> Outcome {
    let HistoryArgs { room, limit, before, ids, .. } = arguments;
    let (limit, ids) = (*limit, *ids);
    // Before the passphrase is asked for.
    let part = part(context, arguments)?;
    open::with_engine(context, async |handle| {
        let partial = open::sync_or_warn(context, handle).await?;
        let id = handle.find_room(room).await?;
        let name = name(handle, id).await?;
        let messages = match (part, before) {
            (Some(part), before) => handle.timeline_within(id, part.before(*before), limit).await?,
            (None, Some(seq)) => handle.timeline_before_seq(id, *seq, limit).await?,
            (None, None) => newest(handle, id, limit).await?,
        };
        for message in messages.iter().filter(|message| is_settled(message)) {
            print(context, message, &name, Show { mixed: false, ids })?;
        }
        // What does not leave any more leaves with the next command.
        handle.tell_receipts().await?;
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

/// What stands beside a message.
#[derive(Clone, Copy)]
pub(super) struct Show {
    /// The room's name, where lines of several rooms are mixed.
    pub(super) mixed: bool,
    /// The message's id.
    pub(super) ids: bool,
}

/// Prints a line of a timeline.
pub(super) fn print(context: &Context, message: &Message, room: &str, show: Show) -> io::Result<()> {
    context.output.result(&MessageObject::new(message, room), || {
        words::message(message, show.mixed.then_some(room), show.ids, &context.zone)
    })
}

/// A room's name, for output.
pub(super) async fn name(handle: &Handle, room: RoomId) -> Outcome<String> {
    Ok(handle.room_name(room).await?.unwrap_or_else(|| room.to_string()))
}

/// The text of a message, which is refused here when it cannot be sent.
pub(super) fn read_text(text: Option<&str>) -> Outcome<String> {
    let text = match text {
        Some("-") => read_all(io::stdin().lock())?,
        Some(text) => text.to_owned(),
        None if io::stdin().is_terminal() => {
            return Err(Failure::usage("there is nothing to send; give a TEXT, or - to read standard input"));
        }
        None => read_all(io::stdin().lock())?,
    };
    fitting(text)
}

/// The text that a command was given: here, or by a caller, whose standard input is not this process's.
pub(super) fn said(context: &Context, text: Option<&str>) -> Outcome<String> {
    let Some(warm) = &context.engine else { return read_text(text) };
    match warm.text.as_deref().or(text) {
        Some(text) => fitting(text.to_owned()),
        None => Err(Failure::usage("there is nothing to send; give a text")),
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
