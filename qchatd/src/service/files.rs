//! Files: the daemon keeps parts that it cannot read, for the members' devices of the room that they were put there for, and for
//! nobody else. Parts come in any order and may come again; a file is there when all of them are, as their hash says.

use std::{collections::BTreeSet, ops::Range};

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use qchat_proto::{
    file::{FileDigest, SEALED_SEGMENT, segment_hash},
    ids::{FileId, RoomId},
    wire::{
        api::{CompleteFile, FileParts, FileQuota, PutFile},
        fault::{Fault, FaultCode},
    },
};

use super::{
    ServiceError, now_sql,
    sessions::Caller,
    spaces::{Space, Spaces},
};
use crate::{
    blobs::{BlobError, BlobStream, Blobs},
    store::{
        Connection, Store, StoreError, accounts,
        files::{self, File, State},
        rooms::{self, Standing},
    },
};

/// How long a file is kept of which no part comes any more, seconds: 7 days.
const UNFINISHED: i64 = 7 * 24 * 3600;
/// Most files of an account.
const MOST_FILES: i64 = 10_000;
/// Bytes of a part; the last of a file may have less.
const PART: u64 = SEALED_SEGMENT as u64;

/// How much may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Bytes of one file.
    pub each: u64,
    /// Bytes of all files of an account.
    pub account: u64,
    /// Days that a file is kept; 0: until its sender deletes it.
    pub days: u32,
}

/// Keeps files.
pub struct Files {
    store: Store,
    blobs: Blobs,
    limits: FileLimits,
    spaces: Spaces,
}

/// A file that is being given out, or a stretch of it.
pub struct Reading {
    /// Bytes of all of it.
    pub size: u64,
    /// Those that follow.
    pub range: Range<u64>,
    /// Themselves.
    pub bytes: BlobStream,
}

impl Files {
    /// Over this database and object store.
    pub fn new(store: Store, blobs: Blobs, limits: FileLimits) -> Self {
        Self { store, blobs, limits, spaces: Spaces::new() }
    }

    /// What the caller's account has here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn quota(&self, caller: Caller) -> Result<FileQuota, ServiceError> {
        let bytes = self.store.read(move |conn| files::total(conn, caller.account)).await?;
        Ok(FileQuota { bytes, most: self.limits.account, most_each: self.limits.each })
    }

    /// Begins a file, or says how far it is when the device has begun it already.
    ///
    /// # Errors
    /// `not_member`, `too_large`, `quota`; `conflict` when it is another's, of another size, or deleted.
    pub async fn begin(
        &self,
        caller: Caller,
        room: RoomId,
        file: FileId,
        request: PutFile,
    ) -> Result<FileParts, ServiceError> {
        let (size, limits) = (request.size, self.limits);
        if size == 0 {
            return Err(ServiceError::refuse(FaultCode::BadRequest, "a file has one part at least"));
        }
        if size > limits.each {
            return Err(ServiceError::refuse(
                FaultCode::TooLarge,
                format!("this server takes files of {} bytes at most; this one has {size}", limits.each),
            ));
        }
        self.store
            .write(move |conn| {
                writes(conn, caller, room)?;
                if let Some(found) = files::by_id(conn, file)? {
                    if !is_of(&found, caller, room) || found.size != size || found.state == State::Going {
                        return Err(ServiceError::refuse(
                            FaultCode::Conflict,
                            "another file has this id, or had it",
                        ));
                    }
                    let parts = files::contiguous(conn, file)?;
                    return Ok(FileParts { parts, complete: found.state == State::Whole });
                }
                // So that two at once do not both find the last of the space.
                accounts::lock(conn, caller.account)?;
                let (total, count) = (files::total(conn, caller.account)?, files::count(conn, caller.account)?);
                // Rows, directories and objects of files that are next to nothing take space, too.
                if total.saturating_add(size) > limits.account || count >= MOST_FILES {
                    return Err(ServiceError::refuse(
                        FaultCode::Quota,
                        format!(
                            "this server keeps {} bytes in {MOST_FILES} files for an account, and this one would be too much; \
                             delete some with `qchat file delete`, or ask its operator for more",
                            limits.account
                        ),
                    ));
                }
                let new = File {
                    id: file,
                    room,
                    account: caller.account,
                    device: caller.device,
                    size,
                    state: State::Coming,
                    hash: None,
                };
                files::begin(conn, &new, now_sql())?;
                Ok(FileParts { parts: 0, complete: false })
            })
            .await
    }

    /// The bytes that a part has to have, and the right to take it into memory.
    ///
    /// # Errors
    /// `not_member`, `not_found` when the device has not begun such a file, `bad_request` when it has no such part, `rate_limited` when too many
    /// of its account are on their way.
    pub async fn expect(
        &self,
        caller: Caller,
        room: RoomId,
        file: FileId,
        number: u64,
    ) -> Result<(usize, Space), ServiceError> {
        let found = self.store.read(move |conn| {
            writes(conn, caller, room)?;
            Ok::<_, ServiceError>(files::by_id(conn, file)?)
        });
        let found = found.await?.filter(|found| is_of(found, caller, room) && found.state != State::Going);
        let found = found.ok_or_else(not_found)?;
        Ok((length(&found, number)?, self.spaces.take(caller.account).await?))
    }

    /// Takes a part; it is on disk when this returns. One that is there already gives way.
    ///
    /// # Errors
    /// `not_found`, `bad_request`; `conflict` when the file is whole and this is another part than it has.
    pub async fn put_part(
        &self,
        caller: Caller,
        room: RoomId,
        file: FileId,
        number: u64,
        bytes: Bytes,
    ) -> Result<(), ServiceError> {
        let number = i32::try_from(number).map_err(|_| no_such_part())?;
        let size = bytes.len();
        let hashed = bytes.clone();
        let digest = tokio::task::spawn_blocking(move || segment_hash(&hashed));
        let digest = digest.await.map_err(|_| ServiceError::Defect("a hash was cancelled"))?;
        // Before anything of it is on disk: nobody would know of it.
        let known = self.store.read(move |conn| {
            let found = files::by_id(conn, file)?.filter(|found| is_of(found, caller, room));
            let found = found.ok_or_else(not_found)?;
            let known = files::part(conn, file, number)?;
            let index = u64::try_from(number).unwrap_or(u64::MAX);
            match found.state {
                State::Going => Err(not_found()),
                State::Whole if known != Some(digest) => {
                    Err(ServiceError::refuse(FaultCode::Conflict, "the file is whole already"))
                }
                State::Coming if length(&found, index)? != size => Err(no_such_part()),
                State::Whole | State::Coming => Ok::<_, ServiceError>(known),
            }
        });
        let known = known.await?;
        if known != Some(digest) {
            self.blobs.put(file, number, &digest, bytes.clone()).await.map_err(refused)?;
        }
        let taken = self.store.write(move |conn| {
            let found = files::lock(conn, file)?.filter(|found| is_of(found, caller, room));
            let found = found.ok_or_else(not_found)?;
            let index = u64::try_from(number).unwrap_or(u64::MAX);
            match found.state {
                State::Going => Err(not_found()),
                State::Whole if files::part(conn, file, number)? == Some(digest) => Ok(None),
                State::Whole => Err(ServiceError::refuse(FaultCode::Conflict, "the file is whole already")),
                State::Coming if length(&found, index)? != size => Err(no_such_part()),
                State::Coming => Ok(files::put_part(conn, file, number, &digest, now_sql())?),
            }
        });
        match taken.await {
            Ok(Some(before)) if before != digest => {
                self.blobs.delete_part(file, number, &before).await.map_err(refused)
            }
            Ok(_) => Ok(()),
            Err(error) => {
                // Nothing refers to it then. Where the database failed, it may have been noted all the same.
                if matches!(error, ServiceError::Refused(_))
                    && known != Some(digest)
                    && let Err(error) = self.blobs.delete_part(file, number, &digest).await
                {
                    tracing::warn!(%error, "a part of a file that was refused is still there");
                }
                Err(error)
            }
        }
    }

    /// All parts are there: the room may read the file from now on. Repeating it is harmless.
    ///
    /// # Errors
    /// `not_member`, `not_found`; `bad_request` when parts are missing, or they are not those that the hash is of.
    pub async fn complete(
        &self,
        caller: Caller,
        room: RoomId,
        file: FileId,
        request: CompleteFile,
    ) -> Result<(), ServiceError> {
        let hash: [u8; 48] =
            request.hash.as_ref().try_into().map_err(|_| {
                ServiceError::refuse(FaultCode::BadRequest, "the hash of a file has 48 bytes")
            })?;
        self.store
            .write(move |conn| {
                writes(conn, caller, room)?;
                let found = files::lock(conn, file)?.filter(|found| is_of(found, caller, room));
                let found = found.filter(|found| found.state != State::Going).ok_or_else(not_found)?;
                if found.state == State::Whole && found.hash == Some(hash) {
                    return Ok(());
                }
                let digests = files::digests(conn, file, 0, found.size.div_ceil(PART))?;
                let there = files::contiguous(conn, file)?;
                if there != found.size.div_ceil(PART) || digests.len() as u64 != there {
                    return Err(ServiceError::refuse(FaultCode::BadRequest, "parts of the file are missing"));
                }
                let begin = FileDigest::begin(file, found.size);
                let made = digests.iter().fold(begin, FileDigest::with).finish();
                if *made.as_bytes() != hash {
                    return Err(ServiceError::refuse(
                        FaultCode::BadRequest,
                        "the parts that are here are not those that the hash is of",
                    ));
                }
                Ok(files::complete(conn, file, &hash)?)
            })
            .await
    }

    /// Gives out a file, or a stretch of it: from `from` on, up to `until` or the end.
    ///
    /// # Errors
    /// `not_found` when there is none that the device may read; `bad_request` when it does not reach that far.
    pub async fn read(
        &self,
        caller: Caller,
        room: RoomId,
        file: FileId,
        (from, until): (u64, Option<u64>),
    ) -> Result<Reading, ServiceError> {
        let (range, size, digests) = self
            .store
            .read(move |conn| {
                let member = rooms::member(conn, room, caller.device)?;
                let found = match member {
                    Some(member) if member.standing == Standing::Full => files::by_id(conn, file)?,
                    _ => None,
                };
                let found = found.filter(|found| found.room == room && found.state == State::Whole);
                let found = found.ok_or_else(not_found)?;
                let range = from..until.unwrap_or(found.size).min(found.size);
                let first = i32::try_from(from / PART).ok().filter(|_| !range.is_empty());
                let first = first.ok_or_else(|| {
                    ServiceError::refuse(FaultCode::BadRequest, format!("the file has {} bytes", found.size))
                })?;
                // Of the parts that are asked for alone: whoever reads a file part by part reads each digest once.
                let wanted = range.end.div_ceil(PART) - from / PART;
                Ok::<_, ServiceError>((range, found.size, files::digests(conn, file, first, wanted)?))
            })
            .await?;
        let blobs = self.blobs.clone();
        let Range { start, end: until } = range;
        let pieces = stream::try_unfold(start, move |at| {
            let number = at / PART - start / PART;
            let (blobs, digest) =
                (blobs.clone(), digests.get(usize::try_from(number).unwrap_or(usize::MAX)).copied());
            async move {
                if at >= until {
                    return Ok(None);
                }
                let number = i32::try_from(at / PART).map_err(|_| BlobError::Gone)?;
                let digest = digest.ok_or(BlobError::Gone)?;
                let begin = at / PART * PART;
                let end = (begin + PART).min(until);
                let stretch = blobs.read(file, number, &digest, at - begin..end - begin).await?;
                Ok::<_, BlobError>(Some((stretch, end)))
            }
        });
        let bytes = Box::pin(pieces.try_flatten().inspect_err(|error| {
            tracing::warn!(%error, "a file was not given out to its end");
        }));
        Ok(Reading { size, range, bytes })
    }

    /// Deletes a file of the caller's account.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete(&self, caller: Caller, room: RoomId, file: FileId) -> Result<(), ServiceError> {
        self.store
            .write(move |conn| {
                let found = files::lock(conn, file)?;
                let found = found.filter(|found| found.account == caller.account && found.room == room);
                found.filter(|found| found.state != State::Going).ok_or_else(not_found)?;
                Ok::<_, ServiceError>(files::give_up(conn, file)?)
            })
            .await?;
        if let Err(error) = self.forget(file).await {
            // Next time.
            tracing::warn!(%error, "a deleted file is still in the object store");
        }
        Ok(())
    }

    /// Deletes what has had its time, and what was given up. Returns how many files.
    ///
    /// # Errors
    /// When the database or the object store fails; the same again goes on.
    pub async fn expire(&self) -> Result<u64, ServiceError> {
        let hours = (self.limits.days > 0).then(|| i64::from(self.limits.days) * 24);
        let (mut deleted, mut kept) = (0, BTreeSet::new());
        let mut failed = None;
        loop {
            let expired =
                self.store.write(move |conn| files::expire(conn, now_sql() - UNFINISHED, hours)).await?;
            let going = self.store.read(files::going).await?;
            let going: Vec<_> = going.into_iter().filter(|file| !kept.contains(file)).collect();
            for file in &going {
                // One that cannot be deleted keeps none of the others here.
                match self.forget(*file).await {
                    Ok(()) => deleted += 1,
                    Err(error) => {
                        kept.insert(*file);
                        failed.get_or_insert(error);
                    }
                }
            }
            if expired == 0 && going.is_empty() {
                return failed.map_or(Ok(deleted), Err);
            }
        }
    }

    /// The bytes go first, so that nothing is left of which nobody knows.
    async fn forget(&self, file: FileId) -> Result<(), ServiceError> {
        self.blobs.delete(file).await.map_err(refused)?;
        Ok(self.store.write(move |conn| files::forget(conn, file)).await?)
    }
}

/// Whether the device may put something there for the room.
fn writes(conn: &mut Connection, caller: Caller, room: RoomId) -> Result<(), ServiceError> {
    let member = rooms::member(conn, room, caller.device)?;
    if member.is_none_or(|member| member.standing != Standing::Full) {
        return Err(ServiceError::refuse(
            FaultCode::NotMember,
            "this device is not a full member of the room",
        ));
    }
    Ok(())
}

/// Whether this device has begun it for this room: nobody else has parts of it.
fn is_of(file: &File, caller: Caller, room: RoomId) -> bool {
    file.device == caller.device && file.room == room
}

/// The bytes of a part.
fn length(file: &File, number: u64) -> Result<usize, ServiceError> {
    let begin = number.checked_mul(PART).filter(|begin| *begin < file.size).ok_or_else(no_such_part)?;
    usize::try_from((file.size - begin).min(PART)).map_err(|_| no_such_part())
}

fn not_found() -> ServiceError {
    ServiceError::refuse(FaultCode::NotFound, "there is no such file, or not any more")
}

fn no_such_part() -> ServiceError {
    ServiceError::refuse(FaultCode::BadRequest, "the file has no such part, or one of another size")
}

/// What a client is told of the object store.
fn refused(error: BlobError) -> ServiceError {
    match error {
        BlobError::Gone => StoreError::Corrupt("a file whose bytes are gone").into(),
        BlobError::Full => {
            tracing::error!("the object store is full: no file is taken");
            Fault {
                code: FaultCode::Unavailable,
                message: "the server has no space left for files; try again later, or tell its operator"
                    .into(),
                retry_after: Some(60),
            }
            .into()
        }
        error => {
            tracing::error!(error = &error as &dyn std::error::Error, "the object store failed");
            Fault {
                code: FaultCode::Unavailable,
                message: "the server cannot reach its files; try again".into(),
                retry_after: Some(1),
            }
            .into()
        }
    }
}
