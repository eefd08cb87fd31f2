//! Emptying the write-ahead log: until then it holds what the pages said before, keys of messages already read among it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::handle::{Handle, Inner};
use crate::store::Profile;

/// How long after a change the log is emptied at the latest, while nobody is in the way.
const INTERVAL: Duration = Duration::from_millis(500);
/// Where keys have just become past ones, or a message was deleted, readers are waited for so long.
const PATIENCE: Duration = Duration::from_millis(200);

/// Empties the log now. Whoever is in the way is waited for, but not long: the next time will do it.
pub(crate) async fn now(profile: &Profile) {
    empty(profile, PATIENCE).await;
}

/// Empties the log again and again until the engine ends.
pub(super) fn start(handle: &Handle) {
    tokio::spawn(run(Arc::downgrade(&handle.0)));
}

async fn run(engine: Weak<Inner>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(inner) = engine.upgrade() else { return };
        empty(&inner.profile, Duration::ZERO).await;
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
