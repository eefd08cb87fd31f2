//! The small picture of a picture: made of one that is sent, and put somewhere out of a message that came.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use qchat_proto::{content::MAX_THUMBNAIL, ids::MessageId};
use tokio::time::timeout;

use super::{
    FileTrouble, FoundFile,
    destination::{Destination, Place},
    source::Open,
};
use crate::engine::{
    entropy::MixedEntropy, error::EngineError, handle::Handle, pictures, register::blocking,
};

/// How long one may take to be made. A picture that takes longer is sent without.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes by which pictures are known.
const BEGINNING: u64 = 32;

/// What is made of a file that is sent; nothing of one that is no picture, or none that can be decoded within its limits: it is sent
/// all the same.
pub(super) async fn of(open: &Open) -> Bytes {
    if open.size == 0 || open.size > pictures::LARGEST {
        return Bytes::new();
    }
    let open = open.clone();
    // Read there as well: a disk may take its time.
    let making = pictures::apart(move || {
        let read = |length: u64| open.read(0, usize::try_from(length).ok()?).ok();
        let beginning = read(open.size.min(BEGINNING)).ok_or("it cannot be read")?;
        pictures::kind(&beginning).ok_or("it is no picture")?;
        let file = read(open.size).ok_or("it cannot be read")?;
        let made = pictures::thumbnail(&file).map_err(|_| "it cannot be decoded")?;
        made.filter(|made| made.len() <= MAX_THUMBNAIL).ok_or("it does not become small enough")
    });
    let made = match timeout(PATIENCE, making).await {
        Ok(made) => made.unwrap_or(Err("its decoder has broken")),
        Err(_) => Err("it takes too long"),
    };
    match made {
        Ok(thumbnail) => thumbnail.into(),
        Err(why) => {
            tracing::debug!(why, "a file is sent without a thumbnail");
            Bytes::new()
        }
    }
}

impl FoundFile {
    /// The small picture of the file that its message has, as its sender has made it.
    ///
    /// # Errors
    /// [`FileTrouble::NoThumbnail`].
    pub fn thumbnail(&self) -> Result<&Bytes, EngineError> {
        let thumbnail = &self.attachment.thumbnail;
        if thumbnail.is_empty() {
            return Err(FileTrouble::NoThumbnail(self.attachment.sealing.id).into());
        }
        Ok(thumbnail)
    }

    /// The name that it may have here: the file's, and what it is.
    pub fn thumbnail_name(&self) -> String {
        let name = self.attachment.safe_name();
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let ending = pictures::kind(&self.attachment.thumbnail).unwrap_or("bin");
        format!("{stem}.thumbnail.{ending}")
    }
}

impl Handle {
    /// Puts the thumbnail of a file into a directory; returns where it is.
    ///
    /// # Errors
    /// [`EngineError::File`].
    pub async fn put_thumbnail(&self, found: &FoundFile, to: Destination) -> Result<PathBuf, EngineError> {
        let thumbnail = found.thumbnail()?.clone();
        let mark = MessageId::random(&MixedEntropy).map_err(|error| EngineError::Keys(error.to_string()))?;
        blocking(move || {
            let path = to.path();
            let place = Place::open(&to, &format!(".qchat-{mark}.part"), false)?;
            let written = place.write(0, &thumbnail).and_then(|()| place.finish(thumbnail.len() as u64));
            if written.is_err() {
                place.discard();
            }
            Ok(written.map(|()| path)?)
        })
        .await
    }
}
