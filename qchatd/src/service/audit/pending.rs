//! What waits to be written into the audit log, and what is only counted because it happens again and again: both bounded, so
//! that nobody fills memory or disk by failing often.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use qchat_proto::ids::{AccountId, DeviceId};
use tokio::time::Instant;

use crate::store::audit::{Act, Actor, Draft, Outcome};

/// Entries that may wait.
pub(super) const WAITING: usize = 4096;
/// For so long what happens again is counted, and becomes one entry.
const WINDOW: Duration = Duration::from_mins(1);
/// Failures that are told from one another in a window; further ones are counted by what failed and how.
const FAILURES: usize = 64;
/// Kinds of things that are counted at a time, failures or not. What is not counted is an entry of its own.
const COUNTED: usize = 4096;

/// What tells one kind of thing from another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Kind {
    act: Act,
    outcome: Outcome,
    actor: Actor,
    account: Option<AccountId>,
    device: Option<DeviceId>,
    peer: Option<String>,
}

/// How often a kind of thing has happened again since it was last an entry.
struct Tally {
    /// The end of its window.
    until: Instant,
    again: Option<Again>,
}

#[derive(Clone, Copy)]
struct Again {
    first_at: i64,
    last_at: i64,
    times: i64,
}

/// Entries on their way.
#[derive(Default)]
pub(super) struct Pending {
    queue: VecDeque<Draft>,
    tallies: HashMap<Kind, Tally>,
    /// Kinds of failures among the tallies.
    failures: usize,
    /// Entries for which there was no room.
    lost: i64,
}

impl Pending {
    /// Takes something that has happened.
    pub(super) fn note(&mut self, mut says: Draft, now: Instant) {
        let failed = says.outcome != Outcome::Done;
        let mut kind = kind(&says);
        if failed && self.failures >= FAILURES && !self.tallies.contains_key(&kind) {
            (kind.account, kind.device, kind.peer) = (None, None, None);
        }
        if let Some(tally) = self.tallies.get_mut(&kind) {
            let again =
                tally.again.get_or_insert(Again { first_at: says.first_at, last_at: says.last_at, times: 0 });
            again.first_at = again.first_at.min(says.first_at);
            again.last_at = again.last_at.max(says.last_at);
            again.times = again.times.saturating_add(says.times);
            return;
        }
        (says.account, says.device, says.peer) = (kind.account, kind.device, kind.peer.clone());
        if self.tallies.len() < COUNTED {
            self.failures += usize::from(failed);
            self.tallies.insert(kind, Tally { until: now + WINDOW, again: None });
        }
        self.push(says);
    }

    fn push(&mut self, says: Draft) {
        if self.queue.len() >= WAITING {
            self.lost = self.lost.saturating_add(says.times);
        } else {
            self.queue.push_back(says);
        }
    }

    /// Makes entries of what was counted in windows that are over at `now`; of all that was counted when `last`.
    pub(super) fn close(&mut self, now: Instant, last: bool) {
        let mut over = Vec::new();
        let failures = &mut self.failures;
        self.tallies.retain(|kind, tally| {
            if !last && now < tally.until {
                return true;
            }
            *failures -= usize::from(kind.outcome != Outcome::Done);
            if let Some(again) = tally.again {
                over.push((kind.clone(), again));
            }
            false
        });
        over.sort_by_key(|(_, again)| again.last_at);
        for (kind, again) in over {
            let Kind { act, outcome, actor, account, device, peer } = kind;
            let Again { first_at, last_at, times } = again;
            self.push(Draft {
                last_at,
                times,
                account,
                device,
                peer,
                ..Draft::new(first_at, act, outcome, actor)
            });
        }
    }

    /// The next entries to write, `most` at most; what was lost is one of them.
    pub(super) fn take(&mut self, most: usize, at: i64) -> Vec<Draft> {
        let mut taken: Vec<Draft> = self.queue.drain(..self.queue.len().min(most)).collect();
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            taken
                .push(Draft { times: lost, ..Draft::new(at, Act::Overflow, Outcome::Failed, Actor::Daemon) });
        }
        taken
    }

    /// Puts back what could not be written. The newest have no room then.
    pub(super) fn put_back(&mut self, taken: Vec<Draft>) {
        for says in taken.into_iter().rev() {
            if says.act == Act::Overflow {
                self.lost = self.lost.saturating_add(says.times);
            } else {
                self.queue.push_front(says);
            }
        }
        while self.queue.len() > WAITING {
            let newest = self.queue.pop_back();
            self.lost = self.lost.saturating_add(newest.map_or(0, |says| says.times));
        }
    }
}

fn kind(says: &Draft) -> Kind {
    Kind {
        act: says.act,
        outcome: says.outcome,
        actor: says.actor,
        account: says.account,
        device: says.device,
        peer: says.peer.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(account: u32, peer: u32) -> Draft {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&account.to_be_bytes());
        Draft {
            account: Some(AccountId::from_bytes(id)),
            peer: Some(format!("10.0.{peer}.0/24")),
            ..Draft::new(100, Act::SignIn, Outcome::WrongProof, Actor::Unknown)
        }
    }

    #[test]
    fn the_first_is_an_entry_at_once_and_what_follows_is_one_when_its_window_is_over() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        for time in 0..1_000 {
            let says = Draft { first_at: 100 + time, last_at: 100 + time, ..failure(1, 1) };
            pending.note(says, now);
        }
        assert_eq!(pending.take(10, 0), [failure(1, 1)]);
        pending.close(now + Duration::from_secs(59), false);
        assert!(pending.take(10, 0).is_empty());
        pending.close(now + WINDOW, false);
        let rest = Draft { first_at: 101, last_at: 1_099, times: 999, ..failure(1, 1) };
        assert_eq!(pending.take(10, 0), [rest]);
        // Once is no reason for a second entry, and afterwards all is as new.
        pending.note(failure(1, 1), now + WINDOW);
        pending.close(now + 2 * WINDOW, false);
        assert_eq!(pending.take(10, 0), [failure(1, 1)]);
        assert_eq!((pending.failures, pending.tallies.len()), (0, 0));
    }

    #[test]
    fn failures_of_many_are_counted_together_and_cost_bounded_room() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        for number in 0..100_000 {
            pending.note(failure(number, number % 7), now);
        }
        pending.note(failure(3, 3), now);
        pending.close(now, true);
        let entries = pending.take(WAITING, 0);
        // One each for those that are told apart; of the others one at once, and one at the end; and the one that came again.
        assert_eq!(entries.len(), FAILURES + 3);
        assert_eq!(entries.iter().map(|says| says.times).sum::<i64>(), 100_001);
        let nobodys: i64 = entries.iter().filter(|says| says.account.is_none()).map(|says| says.times).sum();
        assert_eq!(nobodys, 100_000 - i64::try_from(FAILURES).unwrap());
        assert_eq!((pending.failures, pending.tallies.len()), (0, 0));
    }

    #[test]
    fn what_has_no_room_is_counted_in_an_entry() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        let done =
            |number: u32| Draft { outcome: Outcome::Done, actor: Actor::Account, ..failure(number, 1) };
        let more = 10;
        for number in 0..u32::try_from(WAITING).unwrap() + more {
            pending.note(done(number), now);
        }
        assert!(pending.tallies.len() <= COUNTED);
        let taken = pending.take(3, 7);
        assert_eq!(taken[..3], [done(0), done(1), done(2)]);
        assert_eq!((taken[3].act, taken[3].times, taken.len()), (Act::Overflow, 10, 4));
        // The database fails: they come back in their places, and what was lost is not forgotten.
        for number in 0..2 {
            pending.note(done(1_000_000 + number), now);
        }
        pending.put_back(taken);
        let taken = pending.take(WAITING, 7);
        let lost = taken.last().unwrap();
        assert_eq!((taken.len(), &taken[0], &taken[WAITING - 1]), (WAITING + 1, &done(0), &done(4_095)));
        assert_eq!((lost.act, lost.times), (Act::Overflow, 12));
    }
}
