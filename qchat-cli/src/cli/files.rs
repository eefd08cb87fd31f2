//! Commands about files: sending, getting, listing and deleting them.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use qchat_proto::{ids::RoomId, sanitize};
use serde::Serialize;

use super::{
    Context,
    args::Wait,
    failure::{Failure, Outcome},
    json::rfc3339,
    json_marks::FileObject,
    messages::{self, More},
    open, progress, words,
};
use crate::engine::{
    Destination, FoundFile, Handle, Source, Transfer,
    types::{Body, size},
};

/// How a file is sent.
pub(super) struct How<'a> {
    /// Which.
    pub(super) path: &'a Path,
    /// What is said with it.
    pub(super) caption: Option<&'a str>,
    /// Whether it was spoken for this conversation.
    pub(super) voice: bool,
    /// How long it plays.
    pub(super) duration: Option<Duration>,
}

/// A file that the daemon has.
#[derive(Serialize)]
struct Sent<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    seq: u64,
    id: String,
    file_id: String,
}

/// A file that is here.
#[derive(Serialize)]
struct Fetched<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    file_id: String,
    path: &'a str,
    size: u64,
}

/// A file that is gone from the server.
#[derive(Serialize)]
struct Deleted<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    file_id: String,
}

/// A file in a list.
#[derive(Serialize)]
struct Listed<'a> {
    v: u8,
    room: &'a str,
    room_id: String,
    seq: Option<u64>,
    id: Option<String>,
    sender: Option<&'a str>,
    sent_at: String,
    caption: &'a str,
    #[serde(flatten)]
    file: FileObject<'a>,
}

pub(super) async fn send(context: &Context, room: &str, how: How<'_>, more: More<'_>) -> Outcome {
    // Before the passphrase is asked for.
    match fs::metadata(how.path) {
        Ok(there) if there.is_file() => {}
        Ok(_) => return Err(Failure::usage(format!("{} is no regular file", how.path.display()))),
        Err(error) => {
            return Err(Failure::usage(format!("{} cannot be read: {error}", how.path.display())));
        }
    }
    let media_type = mime_guess::from_path(how.path).first_raw().unwrap_or_default().to_owned();
    let caption = how.caption.unwrap_or_default().to_owned();
    let duration_ms =
        how.duration.map_or(0, |duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX));
    open::with_engine(context, async |handle| {
        let id = messages::place(context, handle, room).await?;
        let draft = messages::draft(handle, id, caption, &more).await?;
        let path = how.path.to_owned();
        let source = Source { path, memory: None, media_type, draft, voice: how.voice, duration_ms };
        put(context, handle, id, source, more.wait).await
    })
    .await
}

/// Sends what there is to be sent, and says so.
pub(super) async fn put(
    context: &Context,
    handle: &Handle,
    id: RoomId,
    source: Source,
    until: Wait,
) -> Outcome {
    let (message, file) = progress::telling(&context.settings, "Sending the file", async |teller| {
        let rate = Rate::new("Sending");
        handle.send_file(id, source, |far| rate.tell(teller, far)).await
    })
    .await?;
    let sending = messages::wait(context, handle, id, message);
    let seq = progress::during(&context.settings, "Sending", sending).await?;
    let name = messages::name(handle, id).await?;
    let object = Sent {
        v: 1,
        done: "sent",
        room: &name,
        room_id: id.to_string(),
        seq: seq.0,
        id: message.to_string(),
        file_id: file.to_string(),
    };
    let text = || format!("sent as {seq} to {}, file {file}", sanitize::line(&name));
    context.output.result(&object, text)?;
    messages::reached(context, handle, id, message, until).await
}

pub(super) async fn get(
    context: &Context,
    room: &str,
    id: &str,
    output: Option<&Path>,
    force: bool,
) -> Outcome {
    let to_stdout = to_stdout(context, output)?;
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let found = find(context, handle, room, id).await?;
        let attachment = &found.attachment;
        let file = attachment.sealing.id;
        if to_stdout {
            let getting = progress::telling(&context.settings, "Getting the file", async |teller| {
                let rate = Rate::new("Getting");
                handle.stream_file(room, attachment, tokio::io::stdout(), |far| rate.tell(teller, far)).await
            });
            return Ok(getting.await?);
        }
        let to = destination(output, attachment.safe_name(), force)?;
        let path = progress::telling(&context.settings, "Getting the file", async |teller| {
            let rate = Rate::new("Getting");
            handle.fetch_file(room, &found, to, |far| rate.tell(teller, far)).await
        })
        .await?;
        let name = messages::name(handle, room).await?;
        let shown = path.to_string_lossy();
        let object = Fetched {
            v: 1,
            done: "fetched",
            room: &name,
            room_id: room.to_string(),
            file_id: file.to_string(),
            path: &shown,
            size: attachment.size(),
        };
        let text = || format!("{} ({})", sanitize::line(&shown), size(attachment.size()));
        Ok(context.output.result(&object, text)?)
    })
    .await
}

pub(super) async fn thumbnail(
    context: &Context,
    room: &str,
    id: &str,
    output: Option<&Path>,
    force: bool,
) -> Outcome {
    let to_stdout = to_stdout(context, output)?;
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let found = find(context, handle, room, id).await?;
        let thumbnail = found.thumbnail()?;
        if to_stdout {
            return Ok(io::stdout().lock().write_all(thumbnail)?);
        }
        let to = destination(output, found.thumbnail_name(), force)?;
        let path = handle.put_thumbnail(&found, to).await?;
        let name = messages::name(handle, room).await?;
        let shown = path.to_string_lossy();
        let bytes = u64::try_from(thumbnail.len()).unwrap_or(u64::MAX);
        let object = Fetched {
            v: 1,
            done: "fetched",
            room: &name,
            room_id: room.to_string(),
            file_id: found.attachment.sealing.id.to_string(),
            path: &shown,
            size: bytes,
        };
        Ok(context.output.result(&object, || format!("{} ({})", sanitize::line(&shown), size(bytes)))?)
    })
    .await
}

/// Whether the bytes go to standard output, which is neither a terminal nor somebody else's then.
fn to_stdout(context: &Context, output: Option<&Path>) -> Outcome<bool> {
    let to_stdout = output == Some(Path::new("-"));
    if to_stdout && context.engine.is_some() {
        return Err(Failure::usage("standard output is for answers; name a file, or nothing"));
    }
    if to_stdout && io::stdout().is_terminal() {
        return Err(Failure::usage(
            "what is in a file is not shown on a terminal; name a file with -o, or a pipe",
        ));
    }
    Ok(to_stdout)
}

pub(super) async fn list(context: &Context, room: &str, limit: usize) -> Outcome {
    open::with_engine(context, async |handle| {
        let partial = open::sync_or_warn(context, handle).await?;
        let id = handle.find_room(room).await?;
        let name = messages::name(handle, id).await?;
        for FoundFile { message, .. } in &handle.files(id, limit).await? {
            let Body::File(file) = &message.body else { continue };
            let object = Listed {
                v: 1,
                room: &name,
                room_id: id.to_string(),
                seq: message.seq.map(|seq| seq.0),
                id: message.id.map(|id| id.to_string()),
                sender: message.sender.as_ref().map(|sender| sender.name.as_str()),
                sent_at: rfc3339(message.sent_at),
                caption: &file.caption,
                file: FileObject::new(file),
            };
            context.output.result(&object, || words::message(message, None, false, &context.zone))?;
        }
        open::unread(partial, Some(id))
    })
    .await
}

pub(super) async fn delete(context: &Context, room: &str, id: &str) -> Outcome {
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let found = find(context, handle, room, id).await?;
        let file = found.attachment.sealing.id;
        if found.message.sender.is_none_or(|sender| !sender.me) {
            return Err(Failure::refused("that file is somebody else's: they can delete it"));
        }
        handle.delete_file(room, file).await?;
        let name = messages::name(handle, room).await?;
        let object = Deleted {
            v: 1,
            done: "deleted",
            room: &name,
            room_id: room.to_string(),
            file_id: file.to_string(),
        };
        Ok(context.output.result(&object, || format!("deleted the file {file} from the server"))?)
    })
    .await
}

/// A file that is known here; one that is not may have been sent since.
pub(super) async fn find(context: &Context, handle: &Handle, room: RoomId, id: &str) -> Outcome<FoundFile> {
    match handle.file(room, id).await {
        Err(error) if error.exit_code() == 5 => {
            open::sync_or_fail(context, handle).await?;
            Ok(handle.file(room, id).await?)
        }
        found => Ok(found?),
    }
}

/// Where a file of this name is put when somebody has said `output`.
fn destination(output: Option<&Path>, safe_name: String, force: bool) -> Outcome<Destination> {
    let Some(output) = output else {
        return Ok(Destination { directory: PathBuf::from("."), name: safe_name, force });
    };
    let names_directory = output.as_os_str().as_encoded_bytes().ends_with(b"/");
    if names_directory || output.is_dir() {
        return Ok(Destination { directory: output.to_owned(), name: safe_name, force });
    }
    let name = output.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Failure::usage(format!("{} names no file", output.display())))?;
    let directory = output.parent().unwrap_or(Path::new(""));
    Ok(Destination { directory: directory.to_owned(), name: name.to_owned(), force })
}

/// How fast a file goes.
pub(super) struct Rate {
    what: &'static str,
    begun: std::cell::Cell<Option<(Instant, u64)>>,
}

impl Rate {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, begun: std::cell::Cell::new(None) }
    }

    /// Shows how far it is. What was there before does not count as fast.
    pub(super) fn tell(&self, teller: &progress::Teller, far: Transfer) {
        let (begun, before) = self.begun.get().unwrap_or_else(|| {
            let begun = (Instant::now(), far.done);
            self.begun.set(Some(begun));
            begun
        });
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut words = format!("{} {} of {}", self.what, size(far.done), size(far.of));
        if ms > 200 {
            let rate = far.done.saturating_sub(before).saturating_mul(1000) / ms;
            words = format!("{words}, {}/s", size(rate));
        }
        teller.far(far.done, far.of, words);
    }
}
