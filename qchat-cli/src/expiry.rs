//! A time that is over by whichever clock comes first, so that neither sleep nor a clock set back extends it.

use std::time::{Duration, Instant, SystemTime};

/// The clock of the machine goes on while it sleeps, but timers do not: look at it this often.
pub(crate) const TICK: Duration = Duration::from_secs(5);

/// When the time is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    running: Instant,
    wall: SystemTime,
}

impl Expiry {
    /// That much from now.
    pub(crate) fn after(time: Duration) -> Self {
        Self { running: Instant::now() + time, wall: SystemTime::now() + time }
    }

    /// How long it still is; nothing when it is over.
    pub(crate) fn remaining(&self) -> Duration {
        let running = self.running.saturating_duration_since(Instant::now());
        let wall = self.wall.duration_since(SystemTime::now()).unwrap_or_default();
        running.min(wall)
    }
}
