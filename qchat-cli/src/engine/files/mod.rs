//! Files: how they get to the daemon and from there, segment by segment, and what goes on when either was interrupted.
//! docs/PROTOCOL.md, "Files".

mod destination;
mod download;
mod find;
mod source;
mod thumbnail;
mod upload;

use std::{
    path::PathBuf,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use qchat_proto::{file::FileError, ids::FileId};

pub(super) use self::find::own;
pub use self::{
    destination::Destination,
    find::FoundFile,
    source::{Memory, Source},
};
use super::{
    clock,
    error::EngineError,
    handle::{Handle, Inner},
    register::blocking,
};
use crate::{
    net::NetError,
    store::{Profile, Tx},
};

/// Segments that are worked on at once: 4 MiB of ciphertext and as much of plaintext each.
const AT_ONCE: usize = 2;
/// How often it is written down how far a file is.
const NOTED: Duration = Duration::from_secs(1);
/// How often it is looked for what the daemon need not keep any more,
const SOON: Duration = Duration::from_secs(5);
/// and how long after it could not be told so.
const LATER: Duration = Duration::from_mins(1);

/// How long an upload may be interrupted, milliseconds: 30 days. The daemon keeps what has come of it for 7 from its last part on.
const UNFINISHED_MS: i64 = 30 * 24 * 3600 * 1000;

/// How far a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Bytes of the file that have arrived.
    pub done: u64,
    /// Bytes that it has.
    pub of: u64,
}

/// A file cannot be sent, or got.
#[derive(Debug, thiserror::Error)]
pub enum FileTrouble {
    /// No such file in the room.
    #[error("there is no file {0:?} in that room here; `qchat file list` shows them")]
    Unknown(String),
    /// A message has no small picture of its file.
    #[error("the message has no thumbnail of the file {0}: it is no picture, or its sender has made none")]
    NoThumbnail(FileId),
    /// Several files begin so.
    #[error(
        "several files begin with {0:?}; give more of the id, or : and the message's number, as `qchat history` shows them"
    )]
    Ambiguous(String),
    /// A file of this machine cannot be read.
    #[error("{} cannot be sent: {reason}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It was written to while it was sent.
    #[error("{} has changed while it was sent; nothing was said about it. Send it again", .0.display())]
    Changed(PathBuf),
    /// Something is there already.
    #[error("{} is there already, and is not written over; name another with -o, or say --force", .0.display())]
    Exists(PathBuf),
    /// Another process is putting it there.
    #[error("{} is being fetched already", .0.display())]
    Busy(PathBuf),
    /// The file cannot be put there.
    #[error("{} cannot be written: {reason}", path.display())]
    Unwritable {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// What the server gave out is not what the message names.
    #[error(
        "the file {file} is refused, and nothing of it was kept: {source}. The server, or whoever sent it, has tampered with it"
    )]
    Tampered {
        /// Which.
        file: FileId,
        /// What is wrong.
        source: FileError,
    },
    /// The server does not have it.
    #[error("the server does not have the file {0} any more: its time is over, or its sender has deleted it")]
    Gone(FileId),
    /// What the server has is not what was sent.
    #[error("the server has mixed up the parts of the file; send it again")]
    MixedUp,
}

impl FileTrouble {
    /// As [`EngineError::exit_code`].
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Unknown(_) | Self::Gone(_) | Self::NoThumbnail(_) => 5,
            Self::Ambiguous(_) | Self::Unreadable { .. } => 2,
            Self::Exists(_) | Self::Busy(_) | Self::Tampered { .. } => 6,
            Self::Changed(_) | Self::Unwritable { .. } | Self::MixedUp => 1,
        }
    }
}

impl Handle {
    /// Does something again that a connection has kept from being done, or a daemon that starts, for as long as a request may
    /// take.
    async fn patiently<T>(
        &self,
        mut work: impl AsyncFnMut() -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let until = Instant::now() + self.0.options.timeout;
        let mut pause = Duration::from_millis(100);
        loop {
            let error = match work().await {
                Err(error) if matches!(error.exit_code(), 3 | 7) => error,
                other => return other,
            };
            let asked = match &error {
                EngineError::Net(error) => error.retry_after(),
                _ => None,
            };
            let rest = asked.map_or(pause, |seconds| Duration::from_secs(seconds.into()));
            if Instant::now() + rest >= until {
                return Err(error);
            }
            tracing::info!(%error, "a file waits");
            tokio::time::sleep(rest).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}

/// Takes away what interrupted attempts have left here of files whose messages are deleted, or have had their time.
pub(super) async fn forget_strays(profile: &Profile) {
    let strays =
        profile.read_async(|tx| if tx.is_any_download()? { tx.stray_downloads() } else { Ok(vec![]) });
    let strays = match strays.await {
        Ok(strays) => strays,
        Err(error) => {
            tracing::warn!(%error, "what is left of files is not known");
            return;
        }
    };
    for stray in strays {
        let (file, path, temporary) = (stray.file, stray.path.clone(), stray.temporary);
        let gone = async {
            blocking(move || Ok(destination::forget(&stray.path, &temporary)?)).await?;
            Ok::<_, EngineError>(profile.write_async(move |tx| tx.end_download(file, &path)).await?)
        };
        if let Err(error) = gone.await {
            tracing::warn!(%error, "what is left of a file stays");
        }
    }
}

/// Has the daemon delete the files of this account whose messages are gone for everybody, while the engine runs.
pub(super) fn start(handle: &Handle) {
    tokio::spawn(run(Arc::downgrade(&handle.0)));
}

async fn run(engine: Weak<Inner>) {
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let pause = match Handle(inner).forget_spent().await {
            Ok(()) => SOON,
            Err(error) => {
                tracing::debug!(%error, "what was put there of a file stays for now");
                LATER
            }
        };
        tokio::time::sleep(pause).await;
    }
}

impl Handle {
    /// Has the daemon delete what it need not keep any more.
    pub(super) async fn forget_spent(&self) -> Result<(), EngineError> {
        let then = clock::millis().saturating_sub(UNFINISHED_MS);
        for file in self.0.profile.read_async(move |tx| tx.uploads_begun_before(then)).await? {
            self.0.profile.write_async(move |tx| tx.end_upload(file)).await?;
        }
        loop {
            let spent = self.0.profile.read_async(Tx::spent_files).await?;
            if spent.is_empty() {
                return Ok(());
            }
            for (room, file) in spent {
                match self.delete_file(room, file).await {
                    // Somebody else has: another device, or the time that the daemon keeps files.
                    Ok(()) | Err(EngineError::File(FileTrouble::Gone(_))) => {}
                    Err(error) => return Err(error),
                }
                self.0.profile.write_async(move |tx| tx.forget_spent(file)).await?;
            }
        }
    }
}

/// Whether the daemon has said this.
fn is_fault(error: &EngineError, code: qchat_proto::wire::fault::FaultCode) -> bool {
    matches!(error, EngineError::Net(NetError::Fault(fault)) if fault.code == code)
}
