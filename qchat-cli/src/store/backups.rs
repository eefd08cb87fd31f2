//! What a device needs to make backups, and a machine that is being restored from one.

use diesel::{OptionalExtension, prelude::*};
use qchat_proto::{
    crypto::secret::Secret,
    identity::backup::BackupSecret,
    ids::{DeviceId, ServerId, UserName},
};
use zeroize::Zeroizing;

use super::{
    StoreError, Tx, convert,
    schema::{backup, restoring},
};

/// What this device knows of its own backups.
pub struct OwnBackups {
    /// The signed key that they are sealed to.
    pub key: Vec<u8>,
    /// What they are encrypted under, from the first on.
    pub secret: Option<BackupSecret>,
    /// Version and hash of the newest that the daemon has confirmed.
    pub newest: Option<(u64, [u8; 48])>,
    /// The same of the one that was sent last, which the daemon may have.
    pub pending: Option<(u64, [u8; 48])>,
    /// When the newest was made, seconds since the Unix epoch; 0 when there is none.
    pub made_at: u64,
}

/// A machine that is on its way to being a device of an account. Holds private keys.
pub struct Restoring {
    /// The account's name.
    pub name: UserName,
    /// The daemon.
    pub server: ServerId,
    /// The account's record.
    pub record: Vec<u8>,
    /// The signed head of the backup.
    pub head: Vec<u8>,
    /// The device that it is to be.
    pub device: DeviceId,
    /// Seed of that device's signing key.
    pub device_key: Secret<64>,
    /// Seed of the account's identity key.
    pub account_key: Secret<64>,
    /// What the backup is encrypted under.
    pub secret: BackupSecret,
    /// Chunks that are in.
    pub done: u64,
}

fn secret<const N: usize>(bytes: Vec<u8>) -> Result<Secret<N>, StoreError> {
    Secret::from_slice(&Zeroizing::new(bytes)).ok_or(StoreError::Corrupt("a secret of a backup"))
}

fn known(version: i64, hash: Option<Vec<u8>>) -> Result<Option<(u64, [u8; 48])>, StoreError> {
    let version = convert::unsigned("version of a backup", version)?;
    hash.map(|hash| Ok((version, convert::array("head of a backup", &hash)?))).transpose()
}

impl Tx {
    /// What this device knows of its own backups; `None` before it has the key that they are sealed to.
    ///
    /// # Errors
    /// What the database says.
    pub fn backups(&mut self) -> Result<Option<OwnBackups>, StoreError> {
        type Row = (Vec<u8>, Option<Vec<u8>>, i64, Option<Vec<u8>>, i64, Option<Vec<u8>>, i64);
        let row: Option<Row> = backup::table
            .select((
                backup::backup_key,
                backup::secret,
                backup::version,
                backup::head,
                backup::pending_version,
                backup::pending,
                backup::made_at,
            ))
            .get_result(&mut self.conn)
            .optional()?;
        row.map(|(key, stored, version, head, pending_version, pending, made_at)| {
            Ok(OwnBackups {
                key,
                secret: stored.map(secret).transpose()?.map(BackupSecret::new),
                newest: known(version, head)?,
                pending: known(pending_version, pending)?,
                made_at: convert::unsigned("time of a backup", made_at)?,
            })
        })
        .transpose()
    }

    /// Stores the signed key that backups are sealed to.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_backup_key(&mut self, key: &[u8]) -> Result<(), StoreError> {
        diesel::insert_into(backup::table)
            .values((backup::id.eq(1), backup::backup_key.eq(key)))
            .on_conflict(backup::id)
            .do_update()
            .set(backup::backup_key.eq(key))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Stores what the backups are encrypted under, unless another process was quicker; gives what is stored.
    ///
    /// # Errors
    /// What the database says.
    pub fn keep_backup_secret(&mut self, new: &BackupSecret) -> Result<BackupSecret, StoreError> {
        diesel::update(backup::table.filter(backup::secret.is_null()))
            .set(backup::secret.eq(&new.secret().expose()[..]))
            .execute(&mut self.conn)?;
        let stored: Option<Vec<u8>> = backup::table.select(backup::secret).get_result(&mut self.conn)?;
        Ok(BackupSecret::new(secret(stored.unwrap_or_default())?))
    }

    /// Forgets what the backups are encrypted under: the next one is of new chunks alone, which whoever has had a copy of this
    /// profile cannot open.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_backup_secret(&mut self) -> Result<(), StoreError> {
        diesel::update(backup::table).set(backup::secret.eq(None::<Vec<u8>>)).execute(&mut self.conn)?;
        Ok(())
    }

    /// Stores which head is sent.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_pending_backup(&mut self, version: u64, head: &[u8; 48]) -> Result<(), StoreError> {
        diesel::update(backup::table)
            .set((backup::pending_version.eq(convert::number(version)?), backup::pending.eq(Some(&head[..]))))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// The daemon has this head.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_newest_backup(
        &mut self,
        (version, head): (u64, &[u8; 48]),
        made_at: u64,
    ) -> Result<(), StoreError> {
        diesel::update(backup::table)
            .set((
                backup::version.eq(convert::number(version)?),
                backup::head.eq(Some(&head[..])),
                backup::pending_version.eq(0),
                backup::pending.eq(None::<Vec<u8>>),
                backup::made_at.eq(convert::number(made_at)?),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// The machine that is being restored in this profile.
    ///
    /// # Errors
    /// What the database says.
    pub fn restoring(&mut self) -> Result<Option<Restoring>, StoreError> {
        type Row = (String, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, i64);
        let row: Option<Row> = restoring::table
            .select((
                restoring::name,
                restoring::server_id,
                restoring::record,
                restoring::head,
                restoring::device,
                restoring::device_key,
                restoring::account_key,
                restoring::secret,
                restoring::done,
            ))
            .get_result(&mut self.conn)
            .optional()?;
        row.map(|(name, server, record, head, device, device_key, account_key, sealed_under, done)| {
            Ok(Restoring {
                name: name.parse().map_err(|_| StoreError::Corrupt("user name"))?,
                server: convert::id("server id", &server)?,
                record,
                head,
                device: convert::id("device id", &device)?,
                device_key: secret(device_key)?,
                account_key: secret(account_key)?,
                secret: BackupSecret::new(secret(sealed_under)?),
                done: convert::unsigned("chunks", done)?,
            })
        })
        .transpose()
    }

    /// Stores the machine that is being restored.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_restoring(&mut self, new: &Restoring) -> Result<(), StoreError> {
        diesel::replace_into(restoring::table)
            .values((
                restoring::id.eq(1),
                restoring::name.eq(new.name.as_str()),
                restoring::server_id.eq(&new.server.as_bytes()[..]),
                restoring::record.eq(&new.record),
                restoring::head.eq(&new.head),
                restoring::device.eq(&new.device.as_bytes()[..]),
                restoring::device_key.eq(&new.device_key.expose()[..]),
                restoring::account_key.eq(&new.account_key.expose()[..]),
                restoring::secret.eq(&new.secret.secret().expose()[..]),
                restoring::done.eq(convert::number(new.done)?),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// So many chunks are in.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_restored(&mut self, done: u64) -> Result<(), StoreError> {
        diesel::update(restoring::table)
            .set(restoring::done.eq(convert::number(done)?))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// The machine is restored, or is not to be.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_restoring(&mut self) -> Result<(), StoreError> {
        diesel::delete(restoring::table).execute(&mut self.conn)?;
        Ok(())
    }
}
