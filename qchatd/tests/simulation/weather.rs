//! The weather over the database: what a seed lets happen to those who ask it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    chance::Chance,
    memory::{Fate, Glance, Passage, Weather},
};

/// Per cent of the reads that take long from their first query to their last.
const LONG: u64 = 10;

/// Bad until it is told to calm down.
pub(crate) struct Storm {
    pub(crate) chance: Chance,
    pub(crate) calm: Arc<AtomicBool>,
    /// Whether the database is a server, whose answers can be lost, or a file.
    pub(crate) server: bool,
    /// Per cent of the questions that something befalls.
    pub(crate) harsh: u64,
}

impl Storm {
    fn calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    fn delay(&self) -> Duration {
        if !self.calm() && self.chance.percent(self.harsh) {
            self.chance.up_to(2_500)
        } else {
            self.chance.up_to(8)
        }
    }
}

impl Weather for Storm {
    fn write(&mut self) -> Passage {
        let (before, after) = (self.delay(), self.chance.up_to(4));
        let mut fate = Fate::Committed;
        if !self.calm() && self.chance.percent(self.harsh) {
            fate = match self.chance.below(3) {
                1 if self.server => Fate::Unheard,
                2 if self.server => Fate::Overdue,
                _ => Fate::Refused,
            };
        }
        Passage { before, after, fate }
    }

    fn read(&mut self) -> Glance {
        let fails = !self.calm() && self.chance.percent(self.harsh / 2);
        // Long enough, now and then, for others to hear of what was committed, and to answer it.
        let during = if !self.calm() && self.chance.percent(LONG) { 400 } else { 8 };
        Glance { before: self.delay(), during: self.chance.up_to(during), after: self.delay(), fails }
    }

    fn seen(&mut self, landed: usize) -> usize {
        // All or nothing of it, or a part: what matters shows at the ends.
        match self.chance.below(3) {
            0 => 0,
            1 => landed,
            _ => usize::try_from(self.chance.below(landed as u64 + 1)).unwrap_or(landed),
        }
    }

    fn orphan(&mut self) -> Option<Duration> {
        let later = if self.server { self.chance.up_to(800) } else { Duration::ZERO };
        self.chance.percent(50).then_some(later)
    }
}
