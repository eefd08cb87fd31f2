//! What a service manager is told (sd_notify(3)): ready, alive, reloading, stopping. Without one, nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::timeout;

use crate::{socket::Sockets, store::StoreError};

/// Between two words about how it goes, without a watchdog.
const STATUS: Duration = Duration::from_secs(30);

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager is not told");
    }
}

/// Requests are taken.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("ready")]);
}

/// Settings are read again; [`ready`] says when that is done.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager is not told"),
    }
}

/// The end has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Proves again and again that the runtime runs and the database responds; says so, and how many are connected. A database
/// that says no has responded: starting this daemon anew would not help it.
pub(super) async fn watch(sockets: Sockets) {
    let watchdog = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero());
    // Twice in the time that the service manager waits.
    let interval = watchdog.map_or(STATUS, |patience| patience / 2);
    loop {
        let relay = sockets.services.relay.is_alive();
        let database = timeout(interval, sockets.services.store.ready()).await;
        let connected = sockets.tasks.len();
        let status = match &database {
            Ok(Ok(())) => format!("{connected} connected"),
            Ok(Err(StoreError::Busy)) => {
                format!("{connected} connected, and the database has too much to do")
            }
            Ok(Err(StoreError::ReadOnly(_))) => {
                format!("{connected} connected, and the database takes no writes")
            }
            Ok(Err(StoreError::Unavailable(_))) => format!("{connected} connected, without a database"),
            Ok(Err(_)) => format!("{connected} connected, and the database fails"),
            Err(_) => format!("{connected} connected, and the database does not respond"),
        };
        let mut states = vec![NotifyState::Status(&status)];
        if watchdog.is_some() && relay && database.is_ok() {
            states.push(NotifyState::Watchdog);
        }
        tell(&states);
        if timeout(interval, sockets.drain.begun()).await.is_ok() {
            return;
        }
    }
}
