//! When an engine that stays open has not been used for as long as it may be left open.

use std::{cell::Cell, future::pending, time::Duration};

use tokio::time::sleep;

use crate::expiry::{Expiry, TICK};

/// How long nobody has asked for anything. Whoever is connected without asking does not use the engine, nor does who only
/// listens: a screen that shows what arrives is locked, too.
pub(super) struct Idle {
    most: Option<Duration>,
    since: Cell<Option<Expiry>>,
    underway: Cell<usize>,
}

/// Somebody has asked for something, and is answered while this lives.
pub(super) struct Asked<'a>(&'a Idle);

impl Idle {
    /// From now on; None: it may be left open for ever.
    pub(super) fn new(most: Option<Duration>) -> Self {
        Self { most, since: Cell::new(most.map(Expiry::after)), underway: Cell::new(0) }
    }

    /// Somebody asks.
    pub(super) fn asked(&self) -> Asked<'_> {
        self.underway.set(self.underway.get() + 1);
        Asked(self)
    }

    /// Until it is over.
    pub(super) async fn over(&self) {
        loop {
            let remaining = match self.since.get() {
                None => return pending().await,
                Some(_) if self.underway.get() > 0 => TICK,
                Some(since) => since.remaining(),
            };
            if remaining.is_zero() {
                return;
            }
            sleep(remaining.min(TICK)).await;
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.underway.set(self.0.underway.get() - 1);
        self.0.since.set(self.0.most.map(Expiry::after));
    }
}
