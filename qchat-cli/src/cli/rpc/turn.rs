//! The order of calls that change something: each begins when the one before it has done what its place depends on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

/// A call's turn. It ends with the call, or as soon as what it says is in its place among what waits to be sent.
#[derive(Clone)]
pub(in crate::cli) struct Turn {
    over: Arc<AtomicBool>,
    told: Arc<Notify>,
}

impl Turn {
    /// A turn of whose end `told` is notified, once.
    pub(super) fn new(told: &Arc<Notify>) -> Self {
        Self { over: Arc::default(), told: Arc::clone(told) }
    }

    /// The next may begin.
    pub(in crate::cli) fn end(&self) {
        if !self.over.swap(true, Ordering::Relaxed) {
            self.told.notify_one();
        }
    }
}
