//! The socket of a warm engine.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered};
use tokio::{net::UnixListener, time::timeout};

use super::{Engine, PATIENCE};
use crate::{
    cli::{
        failure::{Failure, Outcome},
        follow::Seen,
    },
    local::{Address, LocalError, expect_same_user},
};

/// Its name in the profile's directory.
pub(super) const SOCKET: &str = "rpc.sock";
const LOCK: &str = "rpc.lock";
/// How long peers get for their last answers, among them whoever has asked for the end.
const LAST: Duration = Duration::from_millis(500);
/// Peers at once; more wait to be let in.
const PEERS: usize = 32;

/// The socket, which goes with this.
struct Bound {
    listener: UnixListener,
    address: Address,
    /// Held for as long as this lives: who holds it may replace the socket.
    _lock: File,
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.address.path);
    }
}

/// Serves everybody of the same user who comes, until somebody locks, or nobody has asked for anything for as long as the
/// profile may be left open.
pub(super) async fn serve(engine: &Engine<'_>, dir: &Path) -> Outcome {
    let bound = bind(dir)?;
    engine.context.output.say(&format!("listening on {}", bound.address.path.display()));
    let mut peers: FuturesUnordered<LocalBoxFuture<'_, Outcome>> = FuturesUnordered::new();
    let over = engine.idle.over();
    tokio::pin!(over);
    loop {
        tokio::select! {
            accepted = bound.listener.accept(), if peers.len() < PEERS => {
                // One that went away again is no reason to stop.
                let Ok((stream, _)) = accepted else { continue };
                if expect_same_user(&stream).is_err() {
                    continue;
                }
                peers.push(
                    async {
                        let (from, to) = stream.into_split();
                        let seen = Seen::now(engine.handle).await?;
                        engine.converse(from, to, seen, Some(PATIENCE)).await
                    }
                    .boxed_local(),
                );
            }
            // How it ended is that peer's own affair.
            Some(_) = peers.next(), if !peers.is_empty() => {}
            () = engine.locked.notified() => {
                let _ = timeout(LAST, async { while peers.next().await.is_some() {} }).await;
                return Ok(());
            }
            () = &mut over => return Ok(()),
        }
    }
}

fn bind(dir: &Path) -> Result<Bound, Failure> {
    let failed = |error: LocalError| match error {
        LocalError::Io { ref source, .. } => Failure::unexpected(format!("{error}: {source}")),
        LocalError::Foreign => Failure::refused(error.to_string()),
    };
    let address = Address::of(dir, SOCKET).map_err(failed)?;
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join(LOCK));
    let lock = lock.map_err(|error| failed(address.failed("lock")(error)))?;
    if lock.try_lock().is_err() {
        return Err(Failure::refused(
            "an engine serves this profile's socket already; end it with `qchat lock`",
        ));
    }
    // Left behind by one that was killed: its lock is free.
    let _ = fs::remove_file(&address.path);
    let listener =
        UnixListener::bind(address.socket()).map_err(|error| failed(address.failed("bind")(error)))?;
    let bound = Bound { listener, address, _lock: lock };
    fs::set_permissions(&bound.address.path, Permissions::from_mode(0o600))
        .map_err(|error| failed(bound.address.failed("protect")(error)))?;
    Ok(bound)
}
