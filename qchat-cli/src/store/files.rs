//! Files on their way: what a later run needs to go on where an interrupted one was.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use diesel::{OptionalExtension, SqliteConnection, dsl::exists, prelude::*};
use qchat_proto::{
    content::{Body, Content, MessageRef},
    file::FileDigest,
    ids::{FileId, RoomId},
};
use zeroize::Zeroizing;

use super::{
    Delivery, StoreError, Tx,
    changes::NEVER,
    convert,
    schema::{downloads, files_left, identity, spent_files, timeline, uploads},
};

/// A file on its way to the daemon.
pub struct Upload {
    /// Its id there.
    pub file: FileId,
    /// The room.
    pub room: RoomId,
    /// Where it is on this machine.
    pub path: PathBuf,
    /// What it was like when it began.
    pub state: Vec<u8>,
    /// What the message will say, encoded; the hash in it is not known yet.
    pub content: Zeroizing<Vec<u8>>,
    /// Parts that the daemon has.
    pub parts: u64,
    /// The digest over them.
    pub digest: FileDigest,
}

/// A file on its way from the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Its id there.
    pub file: FileId,
    /// Where it is to be.
    pub path: PathBuf,
    /// The row of the line that names it.
    pub line: i64,
    /// What it is called until then, in the same directory.
    pub temporary: String,
    /// Parts that are on disk.
    pub parts: u64,
    /// The digest over them.
    pub digest: FileDigest,
}

/// Files that one call returns, where there may be many.
const SOME: i64 = 16;

type DownloadRow = (Vec<u8>, Vec<u8>, i64, String, i64, Vec<u8>);

const DOWNLOAD: (
    downloads::file,
    downloads::path,
    downloads::line,
    downloads::temporary,
    downloads::parts,
    downloads::digest,
) = (
    downloads::file,
    downloads::path,
    downloads::line,
    downloads::temporary,
    downloads::parts,
    downloads::digest,
);

fn download((file, path, line, temporary, parts, so_far): DownloadRow) -> Result<Download, StoreError> {
    Ok(Download {
        file: convert::id("file id", &file)?,
        path: OsString::from_vec(path).into(),
        line,
        temporary,
        parts: convert::unsigned("parts of a file", parts)?,
        digest: digest(&so_far)?,
    })
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn digest(bytes: &[u8]) -> Result<FileDigest, StoreError> {
    convert::array("digest of a file", bytes).map(FileDigest::resume)
}

/// The message of this line is about to be gone for everybody: what this account has put at the daemon for it is to go, too.
pub(super) fn spend(conn: &mut SqliteConnection, line: i64) -> Result<(), StoreError> {
    let own: Option<Vec<u8>> = identity::table.select(identity::account).get_result(conn).optional()?;
    let (room, account, body): (Vec<u8>, Option<Vec<u8>>, Vec<u8>) = timeline::table
        .find(line)
        .select((timeline::room, timeline::account, timeline::body))
        .get_result(conn)?;
    if own.is_none() || account != own {
        return Ok(());
    }
    if let Ok(Content { body: Body::Attachment(attachment), .. }) = Content::decode(&body) {
        let file = attachment.sealing.id;
        diesel::replace_into(spent_files::table)
            .values((spent_files::file.eq(&file.as_bytes()[..]), spent_files::room.eq(room)))
            .execute(conn)?;
    }
    Ok(())
}

/// The same where the message is only deleted from this device: nobody else has it when it was not sent, and never will be. Of one that
/// was sent it is kept which file it names.
pub(super) fn leave(conn: &mut SqliteConnection, line: i64) -> Result<(), StoreError> {
    type Row = (i32, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>, Option<i64>);
    let (delivery, room, account, device, id, body, expires): Row = timeline::table
        .find(line)
        .select((
            timeline::delivery,
            timeline::room,
            timeline::account,
            timeline::device,
            timeline::message_id,
            timeline::body,
            timeline::expires_ms,
        ))
        .get_result(conn)?;
    if delivery == Delivery::Failed.number() {
        return spend(conn, line);
    }
    let own: Option<Vec<u8>> = identity::table.select(identity::account).get_result(conn).optional()?;
    let (Some(device), Some(id)) = (device, id) else { return Ok(()) };
    if own.is_some()
        && account == own
        && let Ok(Content { body: Body::Attachment(attachment), .. }) = Content::decode(&body)
    {
        diesel::replace_into(files_left::table)
            .values((
                files_left::room.eq(room),
                files_left::device.eq(device),
                files_left::message_id.eq(id),
                files_left::file.eq(&attachment.sealing.id.as_bytes()[..]),
                files_left::expires_ms.eq(expires.filter(|expires| *expires < NEVER)),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Whether a message that was deleted from this device alone has had its time for everyone, `now` in milliseconds since the Unix epoch.
pub(super) fn is_any_left_due(conn: &mut SqliteConnection, now: i64) -> Result<bool, StoreError> {
    Ok(diesel::select(exists(files_left::table.filter(files_left::expires_ms.le(now)))).get_result(conn)?)
}

/// The files of such messages are to go.
pub(super) fn spend_due(conn: &mut SqliteConnection, now: i64) -> Result<(), StoreError> {
    let due = files_left::table.filter(files_left::expires_ms.le(now));
    let files: Vec<(Vec<u8>, Vec<u8>)> = due.select((files_left::file, files_left::room)).load(conn)?;
    for (file, room) in files {
        diesel::replace_into(spent_files::table)
            .values((spent_files::file.eq(file), spent_files::room.eq(room)))
            .execute(conn)?;
    }
    diesel::delete(due).execute(conn)?;
    Ok(())
}

/// A message that was deleted from this device alone is deleted for everyone now: its file is to go as well.
pub(super) fn spend_left(
    conn: &mut SqliteConnection,
    room: RoomId,
    of: MessageRef,
) -> Result<(), StoreError> {
    let key = (&room.as_bytes()[..], &of.device.as_bytes()[..], &of.id.as_bytes()[..]);
    let left = files_left::table.find(key);
    let file: Option<Vec<u8>> = left.select(files_left::file).get_result(conn).optional()?;
    if let Some(file) = file {
        diesel::replace_into(spent_files::table)
            .values((spent_files::file.eq(file), spent_files::room.eq(&room.as_bytes()[..])))
            .execute(conn)?;
        diesel::delete(left).execute(conn)?;
    }
    Ok(())
}

impl Tx {
    /// Whether a file is on its way here.
    ///
    /// # Errors
    /// What the database says.
    pub fn is_any_download(&mut self) -> Result<bool, StoreError> {
        Ok(diesel::select(exists(downloads::table.select(downloads::line))).get_result(&mut self.conn)?)
    }

    /// Some of the files of this account that the daemon is to delete.
    ///
    /// # Errors
    /// What the database says.
    pub fn spent_files(&mut self) -> Result<Vec<(RoomId, FileId)>, StoreError> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = spent_files::table
            .select((spent_files::room, spent_files::file))
            .limit(SOME)
            .load(&mut self.conn)?;
        let ids = |(room, file): (Vec<u8>, Vec<u8>)| {
            Ok((convert::id("room id", &room)?, convert::id("file id", &file)?))
        };
        rows.into_iter().map(ids).collect()
    }

    /// The daemon does not have such a file any more.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_spent(&mut self, file: FileId) -> Result<(), StoreError> {
        diesel::delete(spent_files::table.find(&file.as_bytes()[..])).execute(&mut self.conn)?;
        Ok(())
    }

    /// The file of this machine that is on its way to a room, if one is.
    ///
    /// # Errors
    /// What the database says.
    pub fn upload(&mut self, room: RoomId, from: &Path) -> Result<Option<Upload>, StoreError> {
        type Row = (Vec<u8>, Vec<u8>, Vec<u8>, i64, Vec<u8>);
        let row: Option<Row> = uploads::table
            .filter(uploads::room.eq(&room.as_bytes()[..]))
            .filter(uploads::path.eq(bytes(from)))
            .select((uploads::file, uploads::state, uploads::content, uploads::parts, uploads::digest))
            .get_result(&mut self.conn)
            .optional()?;
        row.map(|(file, state, content, parts, so_far)| {
            Ok(Upload {
                file: convert::id("file id", &file)?,
                room,
                path: from.to_owned(),
                state,
                content: Zeroizing::new(content),
                parts: convert::unsigned("parts of a file", parts)?,
                digest: digest(&so_far)?,
            })
        })
        .transpose()
    }

    /// Stores that a file begins its way, in place of another one that was at the same place.
    ///
    /// # Errors
    /// What the database says.
    pub fn begin_upload(&mut self, upload: &Upload, now: i64) -> Result<(), StoreError> {
        let before = uploads::table
            .filter(uploads::room.eq(&upload.room.as_bytes()[..]))
            .filter(uploads::path.eq(bytes(&upload.path)));
        diesel::delete(before).execute(&mut self.conn)?;
        diesel::insert_into(uploads::table)
            .values((
                uploads::file.eq(&upload.file.as_bytes()[..]),
                uploads::room.eq(&upload.room.as_bytes()[..]),
                uploads::path.eq(bytes(&upload.path)),
                uploads::state.eq(&upload.state),
                uploads::content.eq(&upload.content[..]),
                uploads::parts.eq(convert::number(upload.parts)?),
                uploads::digest.eq(&upload.digest.as_bytes()[..]),
                uploads::begun_ms.eq(now),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// The files that began their way before then.
    ///
    /// # Errors
    /// What the database says.
    pub fn uploads_begun_before(&mut self, then: i64) -> Result<Vec<FileId>, StoreError> {
        let rows: Vec<Vec<u8>> =
            uploads::table.filter(uploads::begun_ms.lt(then)).select(uploads::file).load(&mut self.conn)?;
        rows.iter().map(|file| convert::id("file id", file)).collect()
    }

    /// The daemon has so many parts.
    ///
    /// # Errors
    /// What the database says.
    pub fn advance_upload(&mut self, file: FileId, parts: u64, digest: FileDigest) -> Result<(), StoreError> {
        diesel::update(uploads::table.find(&file.as_bytes()[..]))
            .set((uploads::parts.eq(convert::number(parts)?), uploads::digest.eq(&digest.as_bytes()[..])))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// A file is there, or given up.
    ///
    /// # Errors
    /// What the database says.
    pub fn end_upload(&mut self, file: FileId) -> Result<(), StoreError> {
        diesel::delete(uploads::table.find(&file.as_bytes()[..])).execute(&mut self.conn)?;
        Ok(())
    }

    /// The file that is on its way to a place of this machine, if it is.
    ///
    /// # Errors
    /// What the database says.
    pub fn download(&mut self, file: FileId, to: &Path) -> Result<Option<Download>, StoreError> {
        let row: Option<DownloadRow> = downloads::table
            .find((&file.as_bytes()[..], bytes(to)))
            .select(DOWNLOAD)
            .get_result(&mut self.conn)
            .optional()?;
        row.map(download).transpose()
    }

    /// The files on their way here whose messages are gone: deleted by whomever, or their time was over.
    ///
    /// # Errors
    /// What the database says.
    pub fn stray_downloads(&mut self) -> Result<Vec<Download>, StoreError> {
        let rows: Vec<DownloadRow> = downloads::table.select(DOWNLOAD).load(&mut self.conn)?;
        let mut stray = vec![];
        for row in rows {
            let download = download(row)?;
            let line: Option<Vec<u8>> = timeline::table
                .find(download.line)
                .select(timeline::body)
                .get_result(&mut self.conn)
                .optional()?;
            // Where it was erased nothing is left that could be read.
            let named = line.is_some_and(|body| match Content::decode(&body).map(|content| content.body) {
                Ok(Body::Attachment(attachment)) => attachment.sealing.id == download.file,
                _ => false,
            });
            if !named {
                stray.push(download);
            }
        }
        Ok(stray)
    }

    /// So much of a file is on disk here.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_download(&mut self, download: &Download) -> Result<(), StoreError> {
        diesel::replace_into(downloads::table)
            .values((
                downloads::file.eq(&download.file.as_bytes()[..]),
                downloads::path.eq(bytes(&download.path)),
                downloads::line.eq(download.line),
                downloads::temporary.eq(&download.temporary),
                downloads::parts.eq(convert::number(download.parts)?),
                downloads::digest.eq(&download.digest.as_bytes()[..]),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// A file is where it was to be, or given up.
    ///
    /// # Errors
    /// What the database says.
    pub fn end_download(&mut self, file: FileId, to: &Path) -> Result<(), StoreError> {
        diesel::delete(downloads::table.find((&file.as_bytes()[..], bytes(to)))).execute(&mut self.conn)?;
        Ok(())
    }
}
