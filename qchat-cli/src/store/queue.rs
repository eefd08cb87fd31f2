//! Writes that wait for the connection: one transaction does for all that have come while the one before was made durable, in the order
//! in which they came.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{StoreError, Tx, profile::Profile};

/// At most so many in one transaction: other processes wait for its end.
const TOGETHER: usize = 64;

/// What waits.
#[derive(Default)]
pub(super) struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn Job>>,
    /// Whether a thread takes them out.
    busy: bool,
}

/// One write.
trait Job: Send {
    /// Does it. Whether that has gone well.
    fn work(&mut self, tx: &mut Tx) -> bool;
    /// Tells whoever waits; `failed`: why nothing of the transaction is left.
    fn end(self: Box<Self>, failed: Option<StoreError>);
    /// It has panicked.
    fn break_off(self: Box<Self>, panic: Box<dyn Any + Send>);
}

type Answer<T, E> = Result<Result<T, E>, Box<dyn Any + Send>>;

struct Write<W, T, E> {
    work: Option<W>,
    done: Option<Result<T, E>>,
    answer: oneshot::Sender<Answer<T, E>>,
}

impl<W, T, E> Job for Write<W, T, E>
where
    W: FnOnce(&mut Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn work(&mut self, tx: &mut Tx) -> bool {
        self.done = self.work.take().map(|work| work(tx));
        matches!(self.done, Some(Ok(_)))
    }

    fn end(self: Box<Self>, failed: Option<StoreError>) {
        let done = match (self.done, failed) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(failed)) => Err(failed.into()),
            (Some(done), None) => done,
            (None, None) => Err(StoreError::Abandoned.into()),
        };
        // Whoever stopped waiting is not told.
        let _ = self.answer.send(Ok(done));
    }

    fn break_off(self: Box<Self>, panic: Box<dyn Any + Send>) {
        let _ = self.answer.send(Err(panic));
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a write behind those that wait, at once; the future ends when it is durable.
pub(super) fn write<W, T, E>(profile: &Profile, work: W) -> impl Future<Output = Result<T, E>> + use<W, T, E>
where
    W: FnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let mut state = profile.queue().state();
    state.waiting.push_back(Box::new(Write { work: Some(work), done: None, answer }));
    let begin = !std::mem::replace(&mut state.busy, true);
    // A runtime that shuts down drops at once what is to be run.
    drop(state);
    if begin {
        let draining = Draining { profile: profile.clone(), ended: false };
        tokio::task::spawn_blocking(move || draining.run());
    }
    async move {
        match answered.await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Err(StoreError::Abandoned.into()),
        }
    }
}

/// The one that takes the writes out; when it breaks off, nobody waits in vain.
struct Draining {
    profile: Profile,
    /// Whether all were out, and another one takes what comes.
    ended: bool,
}

impl Draining {
    fn run(mut self) {
        loop {
            let mut state = self.profile.queue().state();
            let some = state.waiting.len().min(TOGETHER);
            if some == 0 {
                state.busy = false;
                drop(state);
                self.ended = true;
                return;
            }
            let jobs = state.waiting.drain(..some).collect();
            drop(state);
            together(&self.profile, jobs);
        }
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut state = self.profile.queue().state();
        state.busy = false;
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        drop(left);
    }
}

fn together(profile: &Profile, mut jobs: Vec<Box<dyn Job>>) {
    let mut at = 0;
    let done = catch_unwind(AssertUnwindSafe(|| {
        profile.write(|tx| {
            for (place, job) in jobs.iter_mut().enumerate() {
                at = place;
                tx.step(|tx| job.work(tx))?;
            }
            Ok::<_, StoreError>(())
        })
    }));
    let failed = match done {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(panic) => {
            let not_begun = jobs.split_off(at + 1);
            jobs.remove(at).break_off(panic);
            for job in jobs {
                job.end(Some(StoreError::Together));
            }
            if !not_begun.is_empty() {
                together(profile, not_begun);
            }
            return;
        }
    };
    for job in jobs {
        job.end(failed.as_ref().map(StoreError::of_the_others));
    }
}
