//! The command that writes down all that was said in a room.

use std::{
    fs,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::Path,
};

use qchat_proto::{ids::RoomId, sanitize};
use serde::Serialize;
use tempfile::NamedTempFile;

use super::{
    Context,
    attachments::Beside,
    documents::{self, Document},
    failure::{Failure, Outcome},
    json::is_settled,
    messages, open, progress,
    search_args::ExportArgs,
};
use crate::engine::Handle;

/// Lines that are in memory at once.
const PAGE: usize = 256;

/// What was written.
#[derive(Serialize)]
struct Exported<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    output: &'a str,
    lines: u64,
    /// Files that are in the directory now.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
}

pub(super) async fn export(context: &Context, arguments: &ExportArgs) -> Outcome {
    if let Some(path) = arguments.output.as_deref().filter(|path| !arguments.force && occupied(path)) {
        return Err(exists(path));
    }
    open::with_engine(context, async |handle| {
        let partial = open::sync_or_warn(context, handle).await?;
        let room = handle.find_room(&arguments.room).await?;
        let name = messages::name(handle, room).await?;
        let document = documents::of(arguments.format, &name, &context.zone);
        if let Some(path) = arguments.output.as_deref() {
            let file = begin(path)?;
            let mut out = BufWriter::new(file);
            let mut beside = arguments.attachments.as_deref().map(|to| Beside::new(path, to)).transpose()?;
            let written = write(context, handle, room, (&*document, &mut out), (beside.as_mut(), true)).await;
            let lines = written.map_err(|failure| failed(path, failure))?;
            let file = out.into_inner().map_err(|error| unwritable(path, error.error()))?;
            keep(file, path, arguments.force)?;
            let shown = path.display().to_string();
            let object = Exported {
                v: 1,
                done: "exported",
                room: &name,
                room_id: room.to_string(),
                output: &shown,
                lines,
                files: beside.as_ref().map(|beside| beside.there),
            };
            context.output.result(&object, || {
                let s = if lines == 1 { "" } else { "s" };
                format!("{lines} line{s} of {} are in {shown}", sanitize::line(&name))
            })?;
            if let Some(beside) = beside {
                beside.outcome(context)?;
            }
        } else {
            // Not locked: the lock would be held while the database is waited for.
            let mut out = BufWriter::new(io::stdout());
            let silent = io::stdout().is_terminal();
            write(context, handle, room, (&*document, &mut out), (None, !silent)).await?;
            out.flush()?;
        }
        open::unread(partial, Some(room))
    })
    .await
}

/// Writes the document; how many lines it has. Says how far it is, if it may.
async fn write(
    context: &Context,
    handle: &Handle,
    room: RoomId,
    (document, out): (&dyn Document, &mut dyn Write),
    (beside, tell): (Option<&mut Beside>, bool),
) -> Outcome<u64> {
    if !tell {
        return write_pages(handle, room, (document, out), beside, None).await;
    }
    progress::telling(&context.settings, "Writing", async |teller| {
        write_pages(handle, room, (document, out), beside, Some(teller)).await
    })
    .await
}

/// Writes the document, a page of lines after the other: no more of it is ever in memory.
async fn write_pages(
    handle: &Handle,
    room: RoomId,
    (document, out): (&dyn Document, &mut dyn Write),
    mut beside: Option<&mut Beside>,
    teller: Option<&progress::Teller>,
) -> Outcome<u64> {
    document.begin(out)?;
    let (mut after, mut lines) = (0, 0_u64);
    loop {
        let page = handle.timeline_after(room, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.row;
        // What waits or has failed is in no log.
        for message in page.iter().filter(|message| is_settled(message)) {
            let file = match &mut beside {
                Some(beside) => beside.fetch(handle, message).await?,
                None => None,
            };
            document.line(out, message, file.as_deref())?;
            lines += 1;
        }
        if let Some(teller) = teller {
            teller.say(format!("Writing, {lines} lines so far"));
        }
    }
    document.end(out)?;
    Ok(lines)
}

/// Whether something stands there, be it a link that leads nowhere.
fn occupied(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// A new file beside the one that is asked for, for its owner alone: half of a document never passes for all of it.
fn begin(path: &Path) -> Outcome<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".part-");
    tempfile::Builder::new().prefix(&prefix).tempfile_in(directory).map_err(|error| unwritable(path, &error))
}

/// Gives it its name; whatever had that name is replaced, not written into, and only by force.
fn keep(file: NamedTempFile, path: &Path, force: bool) -> Outcome {
    file.as_file().sync_all().map_err(|error| unwritable(path, &error))?;
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(drop).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => unwritable(path, &error.error),
    })
}

fn exists(path: &Path) -> Failure {
    Failure::refused(format!(
        "{} exists; name another file, or say --force to put this one in its place",
        path.display()
    ))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::unexpected(format!("{} cannot be written: {error}", path.display()))
}

/// A reader that goes away is no end of a file.
fn failed(path: &Path, failure: Failure) -> Failure {
    if failure.is_broken_pipe() { unwritable(path, &io::ErrorKind::BrokenPipe.into()) } else { failure }
}
