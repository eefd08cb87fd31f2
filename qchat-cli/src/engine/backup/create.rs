//! Making a backup: chunk by chunk, of which only those travel that the daemon has not got; then the head, which makes them count.

use bytes::Bytes;
use qchat_proto::{
    crypto::{secret::Secret, sign::AccountSigningKey},
    identity::{
        AccountRecord, RecoveryKey,
        backup::{BackupHead, BackupKey, BackupSecret, ChunkError},
        link::LinkError,
    },
    ids::{AccountId, DeviceId},
    wire::{
        api::{Chunks, PutBackup, StoredBackup},
        chunk::ChunkId,
        fault::FaultCode,
    },
};

use super::pack::{self, Held, LINES};
use crate::{
    engine::{clock, entropy::MixedEntropy, error::EngineError, handle::Handle, register::blocking},
    net::NetError,
    store::{OwnBackups, StoreError, Tx},
};

/// Chunks that are asked for, and sent, at once: 8 MiB of them are in memory.
const BATCH: usize = 32;

/// How far a backup is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Making {
    /// Lines of history that were gone through.
    pub done: u64,
    /// Lines of history that there are.
    pub of: u64,
    /// Bytes that were sent.
    pub sent: u64,
}

/// A backup that the daemon has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Made {
    /// Its place among this device's.
    pub version: u64,
    /// When it was made, seconds since the Unix epoch.
    pub created_at: u64,
    /// Messages in it.
    pub messages: u64,
    /// Chunks of it.
    pub chunks: u64,
    /// Chunks that the daemon did not have yet.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
}

/// Chunks on their way.
struct Upload<'a, F> {
    handle: &'a Handle,
    secret: &'a BackupSecret,
    series: (AccountId, DeviceId),
    chunks: Vec<ChunkId>,
    waiting: Vec<(ChunkId, Bytes)>,
    messages: u64,
    sent: u64,
    sent_bytes: u64,
    far: Making,
    progress: F,
}

impl Handle {
    /// Makes a backup of this device at the daemon. Where the profile does not have the key for that yet, `words` gives it. With
    /// `anew` it does not matter which backup the daemon has, and all of it is sent again, under a new secret.
    ///
    /// # Errors
    /// [`EngineError::WordsNeeded`]; [`EngineError::Backup`] when the daemon does not have the backup that this device made last;
    /// `NetError::Fault` when it takes no more. The same again goes on.
    pub async fn back_up(
        &self,
        words: Option<RecoveryKey>,
        anew: bool,
        progress: impl Fn(Making),
    ) -> Result<Made, EngineError> {
        let inner = &self.0;
        let own = inner.devices.identity().await?;
        let record = self.own_record().await?;
        let rest = &inner.rest;
        let there = inner.access.ask(|token| async move { rest.backups(&token).await }).await?;
        let known = self.backup_key(words, &record, &there.backups).await?;
        let key = BackupKey::verify(&known.key, record.account, &record.recovery_key)
            .map_err(|_| StoreError::Corrupt("the key for backups"))?;
        let mine = there.backups.iter().find(|backup| backup.device_id == own.device);
        let before = self.before(&known, mine, &record, anew).await?;

        let drawn =
            BackupSecret::generate(&MixedEntropy).map_err(|error| EngineError::Keys(error.to_string()))?;
        let secret = inner
            .profile
            .write_async(move |tx| {
                if anew {
                    tx.forget_backup_secret()?;
                }
                tx.keep_backup_secret(&drawn)
            })
            .await?;
        let series = (own.account, own.device);
        let last = inner.profile.read_async(Tx::last_line).await?;
        let of = u64::try_from(last).unwrap_or(0);
        let mut upload = Upload {
            handle: self,
            secret: &secret,
            series,
            chunks: vec![],
            waiting: vec![],
            messages: 0,
            sent: 0,
            sent_bytes: 0,
            far: Making { done: 0, of, sent: 0 },
            progress,
        };
        let me = own.account;
        let known = inner.profile.read_aside_async(move |tx| pack::known(tx, me)).await?;
        upload.push(known).await?;
        let mut after = 0;
        while after < last {
            let lines = inner.profile.read_aside_async(move |tx| pack::lines(tx, after)).await?;
            upload.push(lines).await?;
            after += LINES;
            upload.far.done = u64::try_from(after.min(last)).unwrap_or(0);
            (upload.progress)(upload.far);
        }
        upload.flush().await?;
        let (index, sealed) = secret.seal_index(series, &upload.chunks).map_err(unmakeable)?;
        upload.waiting.push((index, sealed.into()));
        upload.flush().await?;

        let created_at = clock::seconds();
        let head = BackupHead {
            account: own.account,
            device: own.device,
            version: before.map_or(1, |(version, _)| version.saturating_add(1)),
            previous: before.map_or(BackupHead::NOTHING, |(_, hash)| hash),
            created_at,
            list_version: own.list_version,
            chunks: u32::try_from(upload.chunks.len()).unwrap_or(u32::MAX),
            messages: upload.messages,
            index,
        };
        let made = Made {
            version: head.version,
            created_at,
            messages: head.messages,
            chunks: upload.chunks.len() as u64,
            sent: upload.sent,
            sent_bytes: upload.sent_bytes,
        };
        let mut chunks = std::mem::take(&mut upload.chunks);
        chunks.push(index);
        // The same lines twice are one chunk.
        chunks.sort_unstable();
        chunks.dedup();
        drop(upload);
        let account_key = Secret::from_bytes(*own.account_key.expose());
        let signed = blocking(move || {
            let keys = |error: LinkError| EngineError::Keys(error.to_string());
            let identity = AccountSigningKey::from_seed(account_key).map_err(|error| keys(error.into()))?;
            head.sign(&key, &identity, &secret, &MixedEntropy).map_err(keys)
        })
        .await?;
        let hash = BackupHead::hash(&signed);
        let version = made.version;
        inner.profile.write_async(move |tx| tx.put_pending_backup(version, &hash)).await?;
        let put = &PutBackup { head: signed.into(), chunks };
        match inner.access.ask(|token| async move { rest.put_backup(&token, put).await }).await {
            Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::Conflict => {
                return Err(EngineError::Backup(
                    "another process of this profile has made one meanwhile; make it again".to_owned(),
                ));
            }
            other => other?,
        }
        inner.profile.write_async(move |tx| tx.put_newest_backup((version, &hash), created_at)).await?;
        Ok(made)
    }

    /// The account's record, as this device has it.
    pub(in crate::engine) async fn own_record(&self) -> Result<AccountRecord, EngineError> {
        let me = self.0.me.account;
        let contact = self.0.profile.read_async(move |tx| tx.contact(me)).await?;
        let contact = contact.ok_or(StoreError::Corrupt("own contact"))?;
        Ok(AccountRecord::verify(&contact.record).map_err(|_| StoreError::Corrupt("own record"))?)
    }

    /// What is known of this device's backups. Where the key is missing it comes from the words, or from a backup of another
    /// device of the account, in which the recovery key has signed it.
    async fn backup_key(
        &self,
        words: Option<RecoveryKey>,
        record: &AccountRecord,
        there: &[StoredBackup],
    ) -> Result<OwnBackups, EngineError> {
        let profile = &self.0.profile;
        if let Some(known) = profile.read_async(Tx::backups).await? {
            return Ok(known);
        }
        let key = match words {
            Some(words) => signed_key(&words, record)?,
            None => there
                .iter()
                .find_map(|backup| BackupHead::verify(backup.head.as_ref(), record).ok())
                .map(|opened| opened.key)
                .ok_or(EngineError::WordsNeeded)?,
        };
        profile.write_async(move |tx| tx.put_backup_key(key.as_bytes())).await?;
        Ok(profile.read_async(Tx::backups).await?.ok_or(StoreError::Corrupt("the key for backups"))?)
    }

    /// The backup that the next one follows: the newest that this device has made. It has to be the one that the daemon has.
    async fn before(
        &self,
        known: &OwnBackups,
        there: Option<&StoredBackup>,
        record: &AccountRecord,
        anew: bool,
    ) -> Result<Option<(u64, [u8; 48])>, EngineError> {
        let found = match there {
            None => None,
            Some(stored) => {
                let hash = BackupHead::hash(stored.head.as_ref());
                match BackupHead::verify(stored.head.as_ref(), record) {
                    Ok(opened) => Some((opened.head, hash)),
                    // Of before the account's identity key was replaced, perhaps.
                    Err(_) if known.newest.is_some_and(|(_, newest)| newest == hash) => {
                        return Ok(known.newest);
                    }
                    Err(_) if anew => None,
                    Err(error) => {
                        return Err(EngineError::Backup(format!(
                            "the server has one that does not hold: {error}"
                        )));
                    }
                }
            }
        };
        let at = found.as_ref().map(|(head, hash)| (head.version, *hash));
        if let Some((head, hash)) = &found
            && known.pending == at
        {
            // Its answer was lost.
            let (version, hash, made_at) = (head.version, *hash, head.created_at);
            self.0.profile.write_async(move |tx| tx.put_newest_backup((version, &hash), made_at)).await?;
            return Ok(at);
        }
        if at == known.newest {
            return Ok(at);
        }
        if anew {
            return Ok(at.max(known.newest).max(known.pending));
        }
        Err(EngineError::Backup(match (known.newest, at) {
            (Some((newest, _)), None) => format!(
                "the server has lost the backup of this device: version {newest} was there. If you know why, `qchat backup \
                 create --anew` makes one whatever is there"
            ),
            (Some((newest, _)), Some((there, _))) if there < newest => format!(
                "the server shows version {there} of this device's backup, and has confirmed version {newest}: it was rolled \
                 back. If you know why, `qchat backup create --anew` makes one whatever is there"
            ),
            (_, Some((there, _))) => format!(
                "the server has version {there} of this device's backup, which this profile has not made: it was put back to \
                 an earlier state, or copied. `qchat backup create --anew` makes one whatever is there"
            ),
            (None, None) => "the server contradicts itself".to_owned(),
        }))
    }
}

/// The key that the words give, signed by what else they give.
pub(in crate::engine) fn signed_key(
    words: &RecoveryKey,
    record: &AccountRecord,
) -> Result<BackupKey, EngineError> {
    let keys = |error: qchat_proto::crypto::sign::SignError| EngineError::Keys(error.to_string());
    let recovery = words.signing_key().map_err(keys)?;
    if *recovery.public() != record.recovery_key {
        return Err(EngineError::OtherWords);
    }
    let (_, public) = words.backup_key().map_err(keys)?;
    BackupKey::sign(record.account, public, &recovery).map_err(|error| EngineError::Keys(error.to_string()))
}

fn unmakeable(error: ChunkError) -> EngineError {
    EngineError::Backup(match error {
        ChunkError::TooLarge => "there is more than a backup can hold".to_owned(),
        ChunkError::Open => error.to_string(),
    })
}

impl<F: Fn(Making)> Upload<'_, F> {
    async fn push(&mut self, held: Vec<Held>) -> Result<(), EngineError> {
        for Held { bytes, messages } in held {
            let (id, sealed) = self.secret.seal(self.series, &bytes).map_err(unmakeable)?;
            self.chunks.push(id);
            self.messages += messages;
            self.waiting.push((id, sealed.into()));
            if self.waiting.len() >= BATCH {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Sends of what waits what the daemon has not got.
    async fn flush(&mut self) -> Result<(), EngineError> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let inner = &self.handle.0;
        let rest = &inner.rest;
        let asked = &Chunks { chunks: waiting.iter().map(|(id, _)| *id).collect() };
        let missing =
            inner.access.ask(|token| async move { rest.missing_chunks(&token, asked).await }).await?.chunks;
        for (id, sealed) in waiting {
            if !missing.contains(&id) {
                continue;
            }
            let size = sealed.len() as u64;
            let sealed = &sealed;
            inner.access.ask(|token| async move { rest.put_chunk(&token, id, sealed.clone()).await }).await?;
            self.sent += 1;
            self.sent_bytes += size;
            self.far.sent = self.sent_bytes;
            (self.progress)(self.far);
        }
        Ok(())
    }
}
