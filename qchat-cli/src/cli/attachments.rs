//! The files that an exported room names, in a directory beside the document.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use url::Url;

use super::{
    Context,
    failure::{Failure, Outcome},
};
use crate::engine::{
    Destination, EngineError, FileTrouble, Handle,
    types::{Body, Message},
};

/// Bytes of a file's hash that stand in its name.
const IN_A_NAME: usize = 8;

/// Where files go, and what has become of them.
pub(super) struct Beside {
    directory: PathBuf,
    /// What references begin at.
    base: Url,
    /// How many are there.
    pub(super) there: u64,
    /// Those that are not, and why.
    missing: Vec<String>,
}

impl Beside {
    /// A directory for the files of a document, made for its owner alone if it is not there.
    pub(super) fn new(document: &Path, directory: &Path) -> Outcome<Self> {
        let failed = |error: std::io::Error| Failure::unexpected(format!("{}: {error}", directory.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let directory = directory.canonicalize().map_err(failed)?;
        let parent =
            document.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let parent = parent
            .canonicalize()
            .map_err(|error| Failure::unexpected(format!("{}: {error}", parent.display())))?;
        let base = Url::from_directory_path(&parent)
            .map_err(|()| Failure::unexpected(format!("{} has no address", parent.display())))?;
        Ok(Self { directory, base, there: 0, missing: vec![] })
    }

    /// Has a message's file there: the reference to it; nothing for a message without one, or when there is no getting it.
    pub(super) async fn fetch(&mut self, handle: &Handle, message: &Message) -> Outcome<Option<String>> {
        if !matches!(message.body, Body::File(_)) {
            return Ok(None);
        }
        let Some(found) = handle.file_at(message.row).await? else { return Ok(None) };
        let seq = message.seq.map_or(0, |seq| seq.0);
        // A seq is a room's own, so that no file of the room has the name of another; and what the message commits to stands in the name,
        // so that what lies there of an earlier export is that file, and none of another room that is like it.
        let hash = found.attachment.hash.as_bytes()[..IN_A_NAME].iter();
        let hash = hash.fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let name = format!("{seq}-{hash}-{}", found.attachment.safe_name());
        let path = self.directory.join(&name);
        let to = Destination { directory: self.directory.clone(), name, force: false };
        let kept = fs::symlink_metadata(&path)
            .is_ok_and(|there| there.is_file() && there.len() == found.attachment.size());
        if !kept {
            match handle.fetch_file(message.room, &found, to, |_| {}).await {
                Ok(_) => {}
                Err(
                    error @ EngineError::File(
                        FileTrouble::Gone(_) | FileTrouble::Tampered { .. } | FileTrouble::Exists(_),
                    ),
                ) => {
                    self.missing.push(error.to_string());
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.there += 1;
        let there = Url::from_file_path(&path).ok().and_then(|path| self.base.make_relative(&path));
        Ok(there.map(|reference| {
            // What begins like an address of a scheme is one.
            if reference.starts_with("../") { reference } else { format!("./{reference}") }
        }))
    }

    /// Says which files there was no getting; then not all was done.
    pub(super) fn outcome(self, context: &Context) -> Outcome {
        for why in &self.missing {
            context.output.say(&format!("warning: {why}"));
        }
        match self.missing.len() {
            0 => Ok(()),
            missing => Err(Failure::partial(format!("{missing} of the files that were sent are not there"))),
        }
    }
}
