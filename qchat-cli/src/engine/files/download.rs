//! A file on its way from the daemon: each segment is opened before a byte of it is written, and all of it has to be what the
//! message commits to before it gets its name.

use std::{path::PathBuf, sync::Arc, time::Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use qchat_proto::{
    content::Attachment,
    file::{self, FileDigest, FileError, Layout, SEALED_SEGMENT, SEGMENT, segment_hash},
    ids::{FileId, RoomId},
    wire::fault::FaultCode,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::{
    AT_ONCE, FileTrouble, FoundFile, NOTED, Transfer,
    destination::{Destination, Place},
    is_fault,
};
use crate::{
    engine::{error::EngineError, handle::Handle, register::blocking},
    store::{Download, StoreError},
};

/// A segment of a file, and the hash of what it was opened from.
type Opened = (Zeroizing<Vec<u8>>, [u8; 48]);

fn far(layout: Layout, parts: u64) -> Transfer {
    Transfer { done: (parts * SEGMENT as u64).min(layout.size()), of: layout.size() }
}

fn tampered(file: FileId, source: FileError) -> EngineError {
    FileTrouble::Tampered { file, source }.into()
}

impl Handle {
    /// Gets a file, and puts it into a directory; returns where it is. The same again goes on where an earlier attempt was
    /// interrupted.
    ///
    /// # Errors
    /// [`EngineError::File`], or why the daemon does not give it out.
    pub async fn fetch_file(
        &self,
        room: RoomId,
        found: &FoundFile,
        to: Destination,
        progress: impl Fn(Transfer),
    ) -> Result<PathBuf, EngineError> {
        let path = to.path();
        let attachment = &found.attachment;
        let layout = attachment.sealing.layout;
        let (place, mut download) = self.place(found, to).await?;
        let place = Arc::new(place);
        progress(far(layout, download.parts));
        let got = self.get_segments(room, attachment, &place, &mut download, progress).await;
        let file = download.file;
        let end = async || {
            let path = path.clone();
            self.0.profile.write_async(move |tx| tx.end_download(file, &path)).await
        };
        if let Err(error) = got {
            // What can never be completed is not left lying about.
            if matches!(error, EngineError::File(FileTrouble::Tampered { .. } | FileTrouble::Gone(..))) {
                let place = Arc::clone(&place);
                blocking(move || {
                    place.discard();
                    Ok(())
                })
                .await?;
                end().await?;
            }
            return Err(error);
        }
        blocking(move || Ok(place.finish(layout.size())?)).await?;
        end().await?;
        Ok(path)
    }

    /// Gets a file, and writes it somewhere as it comes: what was written has been opened, and whether it is all of what was sent
    /// is known at the end.
    ///
    /// # Errors
    /// As [`Handle::fetch_file`]; [`EngineError::Output`].
    pub async fn stream_file(
        &self,
        room: RoomId,
        attachment: &Attachment,
        mut out: impl AsyncWrite + Unpin,
        progress: impl Fn(Transfer),
    ) -> Result<(), EngineError> {
        let (file, layout) = (attachment.sealing.id, attachment.sealing.layout);
        let mut digest = FileDigest::begin(file, layout.sealed());
        let mut parts = 0;
        let mut segments = std::pin::pin!(
            stream::iter(0..layout.segments())
                .map(|number| self.segment(room, attachment, number))
                .buffered(AT_ONCE)
        );
        while let Some((plain, hash)) = segments.try_next().await? {
            out.write_all(&plain).await.map_err(|error| EngineError::Output(error.to_string()))?;
            digest = digest.with(&hash);
            parts += 1;
            progress(far(layout, parts));
        }
        out.flush().await.map_err(|error| EngineError::Output(error.to_string()))?;
        if digest.finish() == attachment.hash { Ok(()) } else { Err(tampered(file, FileError::Hash)) }
    }

    /// The place for a file, and how much of it is there from an earlier attempt.
    async fn place(
        &self,
        FoundFile { message, attachment }: &FoundFile,
        to: Destination,
    ) -> Result<(Place, Download), EngineError> {
        let (file, layout, path) = (attachment.sealing.id, attachment.sealing.layout, to.path());
        let asked = path.clone();
        let before = self.0.profile.read_async(move |tx| tx.download(file, &asked)).await?;
        if let Some(download) = before.clone() {
            let (temporary, there) = (download.temporary.clone(), to.clone());
            let opened = blocking(move || Ok(Place::open(&there, &temporary, true))).await?;
            let wanted = (download.parts * SEGMENT as u64).min(layout.size());
            match opened {
                Ok(place) if place.length() >= wanted => return Ok((place, download)),
                Err(error @ (FileTrouble::Exists(_) | FileTrouble::Busy(_))) => return Err(error.into()),
                // It is not what it was: from the start.
                Ok(place) => place.discard(),
                // It was taken away.
                Err(_) => {}
            }
        }
        let mark = qchat_proto::ids::MessageId::random(&crate::engine::entropy::MixedEntropy)
            .map_err(|error| EngineError::Keys(error.to_string()))?;
        let download = Download {
            file,
            path,
            line: message.row,
            temporary: format!(".qchat-{mark}.part"),
            parts: 0,
            digest: FileDigest::begin(file, layout.sealed()),
        };
        let temporary = download.temporary.clone();
        let place = blocking(move || Ok(Place::open(&to, &temporary, false)?)).await?;
        let begun = download.clone();
        let begun = self.0.profile.write_async(move |tx| {
            // Somebody else may have begun in the meantime.
            let free = tx.download(file, &begun.path)? == before;
            if free {
                tx.put_download(&begun)?;
            }
            Ok::<_, StoreError>(free)
        });
        if begun.await? {
            return Ok((place, download));
        }
        place.discard();
        Err(FileTrouble::Busy(download.path).into())
    }

    async fn get_segments(
        &self,
        room: RoomId,
        attachment: &Attachment,
        place: &Arc<Place>,
        download: &mut Download,
        progress: impl Fn(Transfer),
    ) -> Result<(), EngineError> {
        let layout = attachment.sealing.layout;
        let mut segments = std::pin::pin!(
            stream::iter(download.parts..layout.segments())
                .map(|number| self.segment(room, attachment, number))
                .buffered(AT_ONCE)
        );
        let mut noted = Instant::now();
        while let Some((plain, hash)) = segments.try_next().await? {
            let (at, due) = (download.parts * SEGMENT as u64, noted.elapsed() >= NOTED);
            let place = Arc::clone(place);
            blocking(move || {
                place.write(at, &plain)?;
                // What is noted must be there, whatever happens to this machine.
                if due { Ok(place.sync()?) } else { Ok(()) }
            })
            .await?;
            download.digest = download.digest.with(&hash);
            download.parts += 1;
            progress(far(layout, download.parts));
            if due {
                let so_far = download.clone();
                self.0.profile.write_async(move |tx| tx.put_download(&so_far)).await?;
                noted = Instant::now();
            }
        }
        if download.digest.finish() == attachment.hash {
            Ok(())
        } else {
            Err(tampered(download.file, FileError::Hash))
        }
    }

    /// A segment, opened.
    async fn segment(
        &self,
        room: RoomId,
        attachment: &Attachment,
        number: u64,
    ) -> Result<Opened, EngineError> {
        let sealing = attachment.sealing.clone();
        let id = sealing.id;
        let begin = number * SEALED_SEGMENT as u64;
        let range = begin..begin + sealing.layout.sealed_segment(number) as u64;
        let sealed = self.patiently(async || {
            let (rest, range) = (&self.0.rest, range.clone());
            self.0
                .access
                .ask(|token| {
                    let range = range.clone();
                    async move { rest.file(&token, room, id, range).await }
                })
                .await
        });
        let sealed = sealed.await.map_err(|error| {
            if is_fault(&error, FaultCode::NotFound) { FileTrouble::Gone(id).into() } else { error }
        })?;
        blocking(move || {
            let plain = file::open(&sealing, number, &sealed).map_err(|error| tampered(id, error))?;
            Ok((plain, segment_hash(&sealed)))
        })
        .await
    }
}
