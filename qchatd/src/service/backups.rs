//! Backups: the daemon keeps parts that it cannot read under a head that the account has signed, and gives both to the account's
//! devices. What is newest is decided by the head's version; whether that is true, clients see.

use std::sync::Arc;

use qchat_proto::{
    identity::{AccountRecord, backup::BackupHead},
    ids::{AccountId, DeviceId},
    wire::{
        api::{self, Backups as AllBackups, Chunks, PutBackup},
        chunk::ChunkId,
        fault::FaultCode,
        limits,
    },
};

use super::{
    ServiceError,
    audit::{About, Audit},
    now_sql,
    sessions::Caller,
};
use crate::{
    peer::Peer,
    store::{
        Connection, Store, StoreError, accounts,
        audit::Act,
        backups::{self, Backup},
    },
};

/// How long a part is kept that no backup names yet, seconds: 7 days, in which an interrupted upload goes on.
const STAGED_FOR: i64 = 7 * 24 * 3600;
/// How long a part is kept that the newest backup does not name any more, seconds: a day, for whoever is just restoring the one
/// before.
const SUPERSEDED_FOR: i64 = 24 * 3600;

/// Keeps backups.
pub struct Backups {
    store: Store,
    audit: Audit,
    most: u64,
}

impl Backups {
    /// Over this database; `most` bytes for each account.
    pub(super) fn new(store: Store, audit: Audit, most: u64) -> Self {
        Self { store, audit, most }
    }

    /// What there is of the caller's account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, caller: Caller) -> Result<AllBackups, ServiceError> {
        let most = self.most;
        self.store
            .read(move |conn| {
                let backups = stored(conn, caller.account)?;
                Ok(AllBackups { backups, bytes: backups::total(conn, caller.account)?, most })
            })
            .await
    }

    /// Which of these parts the caller's device has still to send.
    ///
    /// # Errors
    /// `too_large` when they are too many.
    pub async fn missing(&self, caller: Caller, request: Chunks) -> Result<Chunks, ServiceError> {
        few(&request.chunks)?;
        let until = now_sql() + STAGED_FOR;
        let missing = self
            .store
            .write(move |conn| backups::missing(conn, caller.device, &request.chunks, until))
            .await?;
        Ok(Chunks { chunks: missing })
    }

    /// Keeps a part.
    ///
    /// # Errors
    /// `forbidden` when the account has too much here.
    pub async fn put_chunk(
        &self,
        caller: Caller,
        chunk: ChunkId,
        bytes: bytes::Bytes,
    ) -> Result<(), ServiceError> {
        if bytes.is_empty() {
            return Err(ServiceError::refuse(FaultCode::BadRequest, "a part of a backup is empty"));
        }
        let most = self.most;
        self.store
            .write(move |conn| {
                let total = backups::total(conn, caller.account)?;
                let new = !backups::missing(conn, caller.device, &[chunk], 0)?.is_empty();
                if new && total.saturating_add(bytes.len() as u64) > most {
                    return Err(ServiceError::refuse(
                        FaultCode::Forbidden,
                        format!(
                            "this server keeps at most {most} bytes of an account's backups; delete an old one with `qchat \
                             backup delete`, or ask its operator for more"
                        ),
                    ));
                }
                let until = now_sql() + STAGED_FOR;
                Ok(backups::put_chunk(conn, (caller.account, caller.device), chunk, &bytes, until)?)
            })
            .await
    }

    /// Makes a head the newest of the caller's device. Repeating what has been done is harmless.
    ///
    /// # Errors
    /// `bad_request` when the account has not signed it, or it is about another device; `conflict` when one of its version or a
    /// newer one is there; `not_found` when a part is missing; `forbidden` when the account has too many.
    pub async fn put(
        &self,
        caller: Caller,
        request: PutBackup,
        from: Option<&Peer>,
    ) -> Result<(), ServiceError> {
        few(&request.chunks)?;
        let request = Arc::new(request);
        let stored = self.store.read(move |conn| accounts::by_id(conn, caller.account)).await?;
        let stored = stored.ok_or(StoreError::Corrupt("a caller's account"))?;
        let signed = request.clone();
        let head = tokio::task::spawn_blocking(move || {
            let record = AccountRecord::verify(&stored.record)
                .map_err(|_| StoreError::Corrupt("an account record"))?;
            BackupHead::verify(signed.head.as_ref(), &record)
                .map(|opened| opened.head)
                .map_err(|error| ServiceError::refuse(FaultCode::BadRequest, error.to_string()))
        });
        let head = head.await.map_err(|_| ServiceError::Defect("a check was cancelled"))??;
        if head.device != caller.device {
            return Err(ServiceError::refuse(FaultCode::BadRequest, "the backup is another device's"));
        }
        self.store
            .write(move |conn| {
                let all = backups::of_account(conn, caller.account)?;
                let before = all.iter().find(|backup| backup.device == caller.device);
                if let Some(before) = before
                    && before.head == request.head.as_ref()
                {
                    return Ok(());
                }
                if before.is_some_and(|before| before.version >= head.version) {
                    return Err(ServiceError::refuse(
                        FaultCode::Conflict,
                        "a backup of this version or a newer one is there",
                    ));
                }
                if before.is_none() && all.len() >= limits::BACKUPS {
                    return Err(ServiceError::refuse(
                        FaultCode::Forbidden,
                        format!("backups of {} devices are there already; delete one", limits::BACKUPS),
                    ));
                }
                let now = now_sql();
                if !backups::missing(conn, caller.device, &request.chunks, now + STAGED_FOR)?.is_empty() {
                    return Err(ServiceError::refuse(FaultCode::NotFound, "a part of the backup is missing"));
                }
                let backup = Backup {
                    device: caller.device,
                    version: head.version,
                    head: request.head.as_ref().to_vec(),
                    made_at: now,
                };
                Ok(backups::put(conn, caller.account, &backup, &request.chunks, now + SUPERSEDED_FOR)?)
            })
            .await?;
        self.audit.done(Act::PutBackup, About::caller(&caller, from));
        Ok(())
    }

    /// A part of a backup of the caller's account.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn chunk(
        &self,
        caller: Caller,
        device: DeviceId,
        chunk: ChunkId,
    ) -> Result<Vec<u8>, ServiceError> {
        let found =
            self.store.read(move |conn| backups::chunk(conn, (caller.account, device), chunk)).await?;
        found.ok_or_else(|| ServiceError::refuse(FaultCode::NotFound, "there is no such part of a backup"))
    }

    /// Deletes the backup of a device of the caller's account.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delete(
        &self,
        caller: Caller,
        device: DeviceId,
        from: Option<&Peer>,
    ) -> Result<(), ServiceError> {
        if !self.store.write(move |conn| backups::forget(conn, (caller.account, device))).await? {
            return Err(ServiceError::refuse(FaultCode::NotFound, "that device has no backup here"));
        }
        self.audit.done(Act::DeleteBackup, About { device: Some(device), ..About::caller(&caller, from) });
        Ok(())
    }
}

/// The newest backup of each device of an account.
pub(super) fn stored(
    conn: &mut Connection,
    account: AccountId,
) -> Result<Vec<api::StoredBackup>, StoreError> {
    backups::of_account(conn, account)?
        .into_iter()
        .map(|backup| {
            let bytes = backups::size(conn, backup.device)?;
            Ok(api::StoredBackup { device_id: backup.device, head: backup.head.into(), bytes })
        })
        .collect()
}

/// Whether these are as many as a backup may have, its index with them.
fn few(chunks: &[ChunkId]) -> Result<(), ServiceError> {
    if chunks.len() > limits::BACKUP_CHUNKS + 1 {
        return Err(ServiceError::refuse(
            FaultCode::TooLarge,
            format!("a backup has at most {} parts", limits::BACKUP_CHUNKS),
        ));
    }
    Ok(())
}
