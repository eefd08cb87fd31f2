//! Backups by the clock, where the user has chosen so.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::MissedTickBehavior,
};

use crate::{
    engine::{
        clock,
        error::EngineError,
        handle::{Handle, Inner},
        types::{Connection, Event},
    },
    store::Tx,
};

/// How often it looks whether one is due.
const LOOK: Duration = Duration::from_mins(10);

/// Makes backups until the engine ends: one when `interval` has passed since the last, while there is a connection.
async fn run(engine: Weak<Inner>, mut events: Receiver<Event>, interval: Duration) {
    let (mut online, mut told) = (false, false);
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            event = events.recv() => match event {
                Ok(Event::Connection(connection)) if !online => {
                    online = matches!(connection, Connection::Online(_));
                }
                Ok(Event::Connection(connection)) => {
                    online = matches!(connection, Connection::Online(_));
                    continue;
                }
                Ok(_) | Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            }
        }
        if !online {
            continue;
        }
        let Some(inner) = engine.upgrade() else { return };
        let handle = Handle(inner);
        match due(&handle, interval).await {
            Ok(false) => {}
            Ok(true) => match handle.back_up(None, false, |_| {}).await {
                Ok(made) => {
                    tracing::info!(version = made.version, sent = made.sent_bytes, "a backup was made");
                }
                Err(error @ (EngineError::Net(_) | EngineError::Timeout(_) | EngineError::Stopped)) => {
                    tracing::info!(%error, "no backup was made");
                }
                Err(error) if !std::mem::replace(&mut told, true) => {
                    handle.tell(Event::Trouble(format!("no backup was made: {error}")));
                }
                Err(error) => tracing::info!(%error, "no backup was made"),
            },
            Err(error) => tracing::warn!(%error, "backups"),
        }
    }
}

async fn due(handle: &Handle, interval: Duration) -> Result<bool, EngineError> {
    let made_at = handle.0.profile.read_async(Tx::backups).await?.map_or(0, |backups| backups.made_at);
    Ok(clock::seconds().saturating_sub(made_at) >= interval.as_secs())
}

/// Starts [`run`].
pub(crate) fn start(handle: &Handle, interval: Duration) {
    tokio::spawn(run(Arc::downgrade(&handle.0), handle.events(), interval));
}
