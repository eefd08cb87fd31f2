//! Chance by a seed, and what came of it as a line after the other: the same seed gives the same lines.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::{Rng, RngExt, SeedableRng, rngs::ChaCha8Rng};
use tokio::time::Instant;

/// Locks what no task holds across a pause.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws; clones draw from the same seed.
#[derive(Clone)]
pub(crate) struct Chance(Arc<Mutex<ChaCha8Rng>>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    /// A number below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        lock(&self.0).random_range(0..end.max(1))
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&self, share: u64) -> bool {
        self.below(100) < share
    }

    /// Up to so many milliseconds.
    pub(crate) fn up_to(&self, milliseconds: u64) -> Duration {
        Duration::from_millis(self.below(milliseconds + 1))
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&self, some: &[T]) -> Option<T> {
        some.get(usize::try_from(self.below(some.len() as u64)).unwrap_or(0)).copied()
    }

    pub(crate) fn id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        lock(&self.0).fill_bytes(&mut id);
        id
    }
}

/// What happened.
pub(crate) struct Trace {
    began: Instant,
    lines: Mutex<(DefaultHasher, u64)>,
    /// Whether it is printed as it happens.
    printed: bool,
}

impl Trace {
    pub(crate) fn new(printed: bool) -> Self {
        Self { began: Instant::now(), lines: Mutex::new((DefaultHasher::new(), 0)), printed }
    }

    #[expect(clippy::print_stderr, reason = "asked for")]
    pub(crate) fn say(&self, what: fmt::Arguments<'_>) {
        let line = format!("{:>7} {what}", self.began.elapsed().as_millis());
        if self.printed {
            eprintln!("{line}");
        }
        let mut lines = lock(&self.lines);
        line.hash(&mut lines.0);
        lines.1 += 1;
    }

    /// The lines so far as a number, and how many they are.
    pub(crate) fn sum(&self) -> (u64, u64) {
        let lines = lock(&self.lines);
        (lines.0.finish(), lines.1)
    }
}
