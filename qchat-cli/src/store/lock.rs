//! A lock over all processes of one profile, for what must not happen twice at once: exchanging the refresh token,
//! changing the schema. The system releases it when the guard is dropped or its process ends, however it ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

use super::StoreError;

const POLL: Duration = Duration::from_millis(20);

/// The profile's lock, held until this is dropped.
#[derive(Debug)]
pub struct ProfileLock {
    _file: File,
}

impl ProfileLock {
    /// Takes the lock now or not at all.
    pub(super) fn try_take(dir: &Path, name: &str) -> Result<Option<Self>, StoreError> {
        let path = dir.join(name);
        let failed = |source| StoreError::File { what: "lock", path: path.clone(), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Takes the lock, waiting for at most `patience`; blocks the thread.
    pub(super) fn take(dir: &Path, name: &str, patience: Duration) -> Result<Self, StoreError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(lock) = Self::try_take(dir, name)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(StoreError::Locked);
            }
            std::thread::sleep(POLL);
        }
    }

    /// The same without blocking the thread. Polls, so that giving up leaves no thread behind in a blocking call.
    pub(super) async fn take_async(dir: &Path, name: &str, patience: Duration) -> Result<Self, StoreError> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(lock) = Self::try_take(dir, name)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(StoreError::Locked);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
