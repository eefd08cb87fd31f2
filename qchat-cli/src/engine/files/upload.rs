//! A file on its way to the daemon. The message that names it goes into the outbox when all of it is there, in the transaction
//! that forgets the way: whoever is interrupted goes on, and nobody is told of a file that is not there.

use std::time::Instant;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use qchat_proto::{
    content::{Attachment, Body, Content, MAX_CAPTION, MAX_NAME},
    file::{self, FileDigest, FileHash, FileKey, Layout, SEGMENT, Sealing, segment_hash},
    ids::{FileId, MessageId, RoomId},
    wire::{
        api::{CompleteFile, PutFile},
        fault::FaultCode,
    },
};
use zeroize::Zeroizing;

use super::{
    AT_ONCE, FileTrouble, NOTED, Transfer, is_fault,
    source::{Open, Source},
    thumbnail,
};
use crate::{
    engine::{
        clock, entropy::MixedEntropy, error::EngineError, handle::Handle, mentions, permission,
        register::blocking, types::Event, writing::Draft,
    },
    store::{StoreError, Upload},
};

impl Handle {
    /// Sends a file: puts it at the daemon, and then the message that names it into the outbox. The same again, of a file that has
    /// not changed, goes on where an earlier attempt was interrupted.
    ///
    /// # Errors
    /// [`EngineError::File`], [`EngineError::Net`] when the daemon refuses it, and as [`Handle::send_draft`].
    pub async fn send_file(
        &self,
        room: RoomId,
        source: Source,
        progress: impl Fn(Transfer),
    ) -> Result<(MessageId, FileId), EngineError> {
        self.0
            .profile
            .read_async(move |tx| {
                permission::writable(tx, room)?;
                permission::expect_not_blocked(tx, room)
            })
            .await?;
        if let Some(of) = source.draft.reply_to {
            self.expect_message(room, of).await?;
        }
        let (path, memory) = (source.path.clone(), source.memory.clone());
        let open = match memory {
            Some(memory) => Open::hold(&path, memory),
            None => blocking(move || Ok(Open::begin(&path)?)).await?,
        };
        let mut wanted = said(&source, &open)?;
        if self.0.options.thumbnails {
            wanted.thumbnail = thumbnail::of(&open).await;
        }
        let known = if open.alone { self.known_upload(room, &open, &wanted).await? } else { None };
        let (mut upload, mut attachment) = match known {
            Some(known) => known,
            None => self.new_upload(room, &open, wanted.clone()).await?,
        };
        let size = attachment.sealing.layout.sealed();
        let there = match self.begin_there(room, &upload, size).await {
            // Its time was over, or the daemon's database is another one.
            Err(error) if is_fault(&error, FaultCode::Conflict) => None,
            there => Some(there?),
        };
        if there.is_none_or(|parts| parts < upload.parts) {
            (upload, attachment) = self.new_upload(room, &open, wanted).await?;
            self.begin_there(room, &upload, size).await?;
        }
        let hash = self.put_segments(&mut upload, &attachment, &open, progress).await?;
        let body = CompleteFile { hash: hash.as_bytes().to_vec().into() };
        let completed = self.patiently(async || {
            let (rest, file, body) = (&self.0.rest, upload.file, &body);
            self.0.access.ask(|token| async move { rest.complete_file(&token, room, file, body).await }).await
        });
        if let Err(error) = completed.await {
            if is_fault(&error, FaultCode::BadRequest) {
                let file = upload.file;
                self.0.profile.write_async(move |tx| tx.end_upload(file)).await?;
                return Err(FileTrouble::MixedUp.into());
            }
            return Err(error);
        }
        attachment.hash = hash;
        let file = upload.file;
        let id = self.0.steps.say(room, move |tx| {
            permission::writable(tx, room)?;
            let Draft { text, reply_to, expires_after } = source.draft;
            let mentions = mentions::of(tx, room, &text)?;
            tx.end_upload(file)?;
            Ok(Content {
                reply_to,
                mentions,
                expires_after,
                ..Content::attachment(attachment, clock::millis())
            })
        });
        let id = id.await?;
        self.tell(Event::Timeline(room));
        self.wrote(room).await;
        Ok((id, file))
    }

    /// The same file on its way to the same room, with the same said about it.
    async fn known_upload(
        &self,
        room: RoomId,
        open: &Open,
        wanted: &Attachment,
    ) -> Result<Option<(Upload, Attachment)>, EngineError> {
        let path = open.path().to_owned();
        let Some(upload) = self.0.profile.read_async(move |tx| tx.upload(room, &path)).await? else {
            return Ok(None);
        };
        let Ok(Content { body: Body::Attachment(known), .. }) = Content::decode(&upload.content) else {
            return Err(StoreError::Corrupt("a file on its way").into());
        };
        let same = Attachment { sealing: known.sealing.clone(), ..wanted.clone() };
        // Whether a picture of it was made in time then says nothing about which file it is.
        if upload.state == open.state && same == (Attachment { thumbnail: same.thumbnail.clone(), ..*known })
        {
            return Ok(Some((upload, same)));
        }
        self.forget_there(room, upload.file).await;
        Ok(None)
    }

    async fn new_upload(
        &self,
        room: RoomId,
        open: &Open,
        mut attachment: Attachment,
    ) -> Result<(Upload, Attachment), EngineError> {
        let no_keys =
            |error: qchat_proto::crypto::entropy::EntropyError| EngineError::Keys(error.to_string());
        attachment.sealing.id = FileId::random(&MixedEntropy).map_err(no_keys)?;
        attachment.sealing.key = FileKey::random(&MixedEntropy).map_err(no_keys)?;
        let (file, size) = (attachment.sealing.id, attachment.sealing.layout.sealed());
        let content = || Zeroizing::new(Content::attachment(attachment.clone(), 0).encode().to_vec());
        let upload = || Upload {
            file,
            room,
            path: open.path().to_owned(),
            state: open.state.clone(),
            content: content(),
            parts: 0,
            digest: FileDigest::begin(file, size),
        };
        if open.alone {
            let stored = upload();
            self.0.profile.write_async(move |tx| tx.begin_upload(&stored, clock::millis())).await?;
        }
        Ok((upload(), attachment))
    }

    /// Tells the daemon that a file comes; gives how many parts it has.
    async fn begin_there(&self, room: RoomId, upload: &Upload, size: u64) -> Result<u64, EngineError> {
        let body = PutFile { size };
        let there = self.patiently(async || {
            let (rest, file, body) = (&self.0.rest, upload.file, &body);
            self.0.access.ask(|token| async move { rest.put_file(&token, room, file, body).await }).await
        });
        Ok(there.await?.parts)
    }

    /// Takes what was put there of a file that is not wanted any more; where that fails, or without a connection, the daemon does so
    /// in its own time.
    pub(in crate::engine) async fn forget_there(&self, room: RoomId, file: FileId) {
        if self.0.options.offline {
            return;
        }
        let rest = &self.0.rest;
        let deleted =
            self.0.access.ask(|token| async move { rest.delete_file(&token, room, file).await }).await;
        if let Err(error) = deleted {
            tracing::info!(%error, "what was put there of a file stays for now");
        }
    }

    /// Puts the segments there that are not; returns the hash of all of them.
    async fn put_segments(
        &self,
        upload: &mut Upload,
        attachment: &Attachment,
        open: &Open,
        progress: impl Fn(Transfer),
    ) -> Result<FileHash, EngineError> {
        let (room, id) = (upload.room, upload.file);
        let layout = attachment.sealing.layout;
        let far =
            |parts: u64| Transfer { done: (parts * SEGMENT as u64).min(layout.size()), of: layout.size() };
        progress(far(upload.parts));
        let put = |number: u64| {
            let (sealing, open) = (attachment.sealing.clone(), open.clone());
            async move {
                let (sealed, hash) = blocking(move || {
                    let plain = open.read(number * SEGMENT as u64, sealing.layout.content(number))?;
                    let sealed = file::seal(&sealing, number, &plain, &MixedEntropy)
                        .map_err(|error| EngineError::Keys(error.to_string()))?;
                    let hash = segment_hash(&sealed);
                    Ok((Bytes::from(sealed), hash))
                })
                .await?;
                self.patiently(async || {
                    let (rest, sealed) = (&self.0.rest, &sealed);
                    self.0
                        .access
                        .ask(|token| async move {
                            rest.put_file_part(&token, room, id, number, sealed.clone()).await
                        })
                        .await
                })
                .await?;
                Ok::<_, EngineError>(hash)
            }
        };
        let mut segments =
            std::pin::pin!(stream::iter(upload.parts..layout.segments()).map(put).buffered(AT_ONCE));
        let mut noted = Instant::now();
        while let Some(hash) = segments.try_next().await? {
            upload.digest = upload.digest.with(&hash);
            upload.parts += 1;
            progress(far(upload.parts));
            if open.alone && (noted.elapsed() >= NOTED || upload.parts == layout.segments()) {
                let (parts, digest) = (upload.parts, upload.digest);
                self.0.profile.write_async(move |tx| tx.advance_upload(id, parts, digest)).await?;
                noted = Instant::now();
            }
        }
        Ok(upload.digest.finish())
    }
}

/// What the message says, without what is drawn for it.
fn said(source: &Source, open: &Open) -> Result<Attachment, EngineError> {
    let nothing = [0; 48];
    let layout = Layout::new(open.size).ok_or_else(|| FileTrouble::Unreadable {
        path: open.path().to_owned(),
        reason: format!("a file has at most {} bytes", file::MAX_SIZE),
    })?;
    // As it was named, not where a link has led.
    let name = source.path.file_name().or_else(|| open.path().file_name());
    let mut name = name.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    while name.len() > MAX_NAME {
        name.pop();
    }
    if source.draft.text.len() > MAX_CAPTION {
        return Err(EngineError::Invalid(format!(
            "what is said with a file has at most {MAX_CAPTION} bytes; send the text by itself"
        )));
    }
    let attachment = Attachment {
        sealing: Sealing {
            id: FileId::from_bytes([0; 16]),
            key: FileKey::from_slice(&[0; 32]).ok_or(EngineError::Keys("no key".to_owned()))?,
            layout,
        },
        hash: FileHash::try_from(&nothing[..]).map_err(|error| EngineError::Keys(error.to_string()))?,
        name,
        media_type: source.media_type.clone(),
        thumbnail: Bytes::new(),
        duration_ms: source.duration_ms,
        voice: source.voice,
        caption: source.draft.text.clone(),
    };
    if attachment.is_valid() {
        Ok(attachment)
    } else {
        Err(EngineError::Invalid("a file has a name, and a media type like text/plain".to_owned()))
    }
}
