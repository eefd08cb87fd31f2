//! What goes by the clock: messages that have had their time, what is left of files whose messages are gone, and the write-ahead log,
//! which is emptied: until then it holds what the pages said before, keys of messages already read among it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    files,
    handle::{Handle, Inner},
    steady::Steady,
    types::Event,
    waiting,
};
use crate::store::Profile;

/// How long after a change the log is emptied at the latest, while nobody is in the way.
const INTERVAL: Duration = Duration::from_millis(500);
/// Where keys have just become past ones, or a message was deleted, readers are waited for so long.
const PATIENCE: Duration = Duration::from_millis(200);

/// Takes away what is left of messages that are gone, and empties the log now. Whoever is in the way is waited for, but not long: the next time will do it.
pub(crate) async fn now(profile: &Profile) {
    files::forget_strays(profile).await;
    empty(profile, PATIENCE).await;
}

/// Empties the log again and again until the engine ends.
pub(super) fn start(handle: &Handle) {
    tokio::spawn(run(Arc::downgrade(&handle.0)));
}

async fn run(engine: Weak<Inner>) {
    // A message that is deleted because somebody has set the clock does not come back.
    let mut clock = Steady::begin();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(inner) = engine.upgrade() else { return };
        if expire(&inner.profile, clock.millis()).await {
            inner.tell(Event::Deleted);
            inner.tell(Event::Rooms);
        }
        if !inner.options.offline {
            waiting::send_due(&inner).await;
        }
        files::forget_strays(&inner.profile).await;
        empty(&inner.profile, Duration::ZERO).await;
    }
}

/// Deletes what has had its time, `now` in milliseconds since the Unix epoch; whether anything had.
pub(super) async fn expire(profile: &Profile, now: i64) -> bool {
    // Looked for without the write lock, since mostly there is nothing.
    let due = profile.read_async(move |tx| tx.is_anything_due(now)).await;
    let expired = match due {
        Ok(false) => return false,
        Ok(true) => profile.write_async(move |tx| tx.expire(now)).await,
        Err(error) => Err(error),
    };
    match expired {
        Ok(0) => false,
        Ok(_) => {
            self::now(profile).await;
            true
        }
        Err(error) => {
            tracing::warn!(%error, "what has had its time was not deleted");
            false
        }
    }
}

async fn empty(profile: &Profile, patience: Duration) {
    match profile.checkpoint_async(patience).await {
        Ok(true) => {}
        Ok(false) => tracing::debug!("the write-ahead log is in use"),
        // What was written is durable all the same.
        Err(error) => tracing::warn!(%error, "the write-ahead log was not emptied"),
    }
}
