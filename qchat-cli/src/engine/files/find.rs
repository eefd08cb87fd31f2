//! Which files were sent in a room, out of its timeline.

use qchat_proto::{
    content::{Attachment, Body, Content},
    ids::{AccountId, FileId, RoomId, Seq},
};

use super::FileTrouble;
use crate::{
    engine::{error::EngineError, handle::Handle, types::Message, view},
    store::{Line, LineBody, StoreError, Tx},
};

/// Lines that are looked through at once.
const PAGE: usize = 500;

/// A file that was sent in a room.
#[derive(Clone, Debug)]
pub struct FoundFile {
    /// The message.
    pub message: Message,
    /// What it says of the file, with what opens it.
    pub attachment: Attachment,
}

impl Handle {
    /// The newest `limit` files of a room, oldest first.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn files(&self, room: RoomId, limit: usize) -> Result<Vec<FoundFile>, EngineError> {
        let mut found = self.look_through(room, limit, |_, _| true).await?;
        found.reverse();
        Ok(found)
    }

    /// The file of a room that has this id, or whose message has it; the beginning of one is enough. So is `:` and the number of
    /// the message in its room, which no sender chooses.
    ///
    /// # Errors
    /// [`FileTrouble::Unknown`], [`FileTrouble::Ambiguous`].
    pub async fn file(&self, room: RoomId, id: &str) -> Result<FoundFile, EngineError> {
        if let Some(number) = id.strip_prefix(':') {
            let unknown = || FileTrouble::Unknown(id.to_owned());
            let number = number.parse().map(Seq).map_err(|_| unknown())?;
            let found = self.look_through(room, 1, move |line, _| line.seq == Some(number)).await?.pop();
            return Ok(found.ok_or_else(unknown)?);
        }
        let wanted = id.to_ascii_lowercase();
        if wanted.is_empty() || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(FileTrouble::Unknown(id.to_owned()).into());
        }
        let begins = move |line: &Line, file: FileId| {
            file.to_string().starts_with(&wanted)
                || matches!(&line.body, LineBody::Message { id, .. } if id.to_string().starts_with(&wanted))
        };
        let mut found = self.look_through(room, 2, begins).await?;
        match (found.pop(), found.pop()) {
            (Some(found), None) => Ok(found),
            (None, _) => Err(FileTrouble::Unknown(id.to_owned()).into()),
            // The same file once more, as somebody passed it on.
            (Some(one), Some(other))
                if one.attachment.sealing == other.attachment.sealing
                    && one.attachment.hash == other.attachment.hash =>
            {
                Ok(one)
            }
            (Some(_), Some(_)) => Err(FileTrouble::Ambiguous(id.to_owned()).into()),
        }
    }

    /// The file that a line of a timeline names, if it does.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn file_at(&self, row: i64) -> Result<Option<FoundFile>, EngineError> {
        let me = self.0.me.account;
        let found = self.0.profile.read_async(move |tx: &mut Tx| {
            let Some(line) = tx.line_at(row)? else { return Ok(None) };
            let Some((attachment, _)) = named(&line) else { return Ok(None) };
            let message = view::line(tx, &mut view::Names::new(me), line)?;
            Ok::<_, StoreError>(Some(FoundFile { message, attachment }))
        });
        Ok(found.await?)
    }

    /// Files of a room, the newest first: as many as are wanted.
    async fn look_through(
        &self,
        room: RoomId,
        limit: usize,
        wanted: impl Fn(&Line, FileId) -> bool + Clone + Send + 'static,
    ) -> Result<Vec<FoundFile>, EngineError> {
        let me = self.0.me.account;
        let (mut found, mut before) = (vec![], None);
        while found.len() < limit {
            let wanted = wanted.clone();
            let page = self.0.profile.read_async(move |tx: &mut Tx| {
                let lines = tx.lines_before(room, before, PAGE)?;
                let first = lines.first().map(|line| line.row);
                let mut names = view::Names::new(me);
                let mut files = vec![];
                for line in lines.into_iter().rev() {
                    let Some((attachment, _)) = named(&line) else { continue };
                    if wanted(&line, attachment.sealing.id) {
                        files.push(FoundFile { message: view::line(tx, &mut names, line)?, attachment });
                    }
                }
                Ok::<_, StoreError>((first, files))
            });
            let (first, files) = page.await?;
            found.extend(files);
            if first.is_none() {
                break;
            }
            before = first;
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Deletes a file of this account from the server; who has fetched it keeps it.
    ///
    /// # Errors
    /// [`FileTrouble::Gone`], also for somebody else's.
    pub async fn delete_file(&self, room: RoomId, file: FileId) -> Result<(), EngineError> {
        let rest = &self.0.rest;
        let deleted =
            self.0.access.ask(|token| async move { rest.delete_file(&token, room, file).await }).await;
        deleted.map_err(|error| {
            if super::is_fault(&error, qchat_proto::wire::fault::FaultCode::NotFound) {
                FileTrouble::Gone(file).into()
            } else {
                error
            }
        })
    }
}

/// The file that a line names, and whose it is; nothing where the message is deleted.
fn named(line: &Line) -> Option<(Attachment, AccountId)> {
    let LineBody::Message { content, account, state, .. } = &line.body else { return None };
    if state.deleted_by().is_some() {
        return None;
    }
    match Content::decode(content).ok()?.body {
        Body::Attachment(attachment) => Some((*attachment, *account)),
        _ => None,
    }
}

/// The file that a line names, if it is this account's.
pub(in crate::engine) fn own(line: &Line, me: AccountId) -> Option<FileId> {
    let (attachment, account) = named(line)?;
    (account == me).then_some(attachment.sealing.id)
}
