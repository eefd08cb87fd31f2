//! Parts of files that are in memory on their way: how many at once, how many of one account, and how long one may take its time
//! while others wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use qchat_proto::{
    ids::AccountId,
    wire::fault::{Fault, FaultCode},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until},
};

use super::ServiceError;

/// Parts that are in memory at once, of all requests together: 64 MiB at most.
const PARTS: usize = 16;
/// Those of one account.
const PARTS_EACH: usize = 4;
/// How long one may take to come while others wait: else four accounts that send next to nothing would keep everybody out.
const TURN: Duration = Duration::from_secs(20);

type Taking = Arc<Mutex<HashMap<AccountId, usize>>>;

/// The memory for parts.
pub(super) struct Spaces {
    permits: Arc<Semaphore>,
    taking: Taking,
    /// How many wait for some.
    waiting: watch::Sender<usize>,
}

/// The right to have a part in memory.
pub struct Space {
    _permit: OwnedSemaphorePermit,
    _turn: Turn,
    since: Instant,
    waiting: watch::Receiver<usize>,
}

/// One of an account's parts on their way.
struct Turn(Taking, AccountId);

/// One who waits.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taking = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taking.get_mut(&self.1) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taking.remove(&self.1);
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}

impl Spaces {
    pub(super) fn new() -> Self {
        let (permits, taking) = (Arc::new(Semaphore::new(PARTS)), Arc::default());
        Self { permits, taking, waiting: watch::Sender::new(0) }
    }

    /// Takes space for a part of this account, as soon as there is some.
    ///
    /// # Errors
    /// `rate_limited` when too many of the account are on their way.
    pub(super) async fn take(&self, account: AccountId) -> Result<Space, ServiceError> {
        let turn = self.turn(account)?;
        let permit = if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            permit
        } else {
            self.waiting.send_modify(|waiting| *waiting += 1);
            let _waiting = Waiting(&self.waiting);
            let permit = self.permits.clone().acquire_owned().await;
            // Never closed.
            permit.map_err(|_| ServiceError::Defect("a semaphore was closed"))?
        };
        Ok(Space { _permit: permit, _turn: turn, since: Instant::now(), waiting: self.waiting.subscribe() })
    }

    fn turn(&self, account: AccountId) -> Result<Turn, ServiceError> {
        let mut taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taking.entry(account).or_default();
        if *count >= PARTS_EACH {
            return Err(busy("too many parts of files of this account are on their way; try again"));
        }
        *count += 1;
        Ok(Turn(self.taking.clone(), account))
    }
}

impl Space {
    /// Until it has been held for longer than is fair to those who wait; what is said then.
    pub async fn outstayed(&self) -> ServiceError {
        sleep_until(self.since + TURN).await;
        let mut waiting = self.waiting.clone();
        // Fails when the service is gone, and everybody with it.
        drop(waiting.wait_for(|waiting| *waiting > 0).await);
        busy("this part comes too slowly while others wait; try again")
    }
}

fn busy(message: &str) -> ServiceError {
    let message = message.to_owned();
    Fault { code: FaultCode::RateLimited, message, retry_after: Some(1) }.into()
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::join_all};

    use super::*;

    fn account(number: u8) -> AccountId {
        AccountId::from_bytes([number; 16])
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_long_gives_way_once_others_wait() {
        let spaces = Spaces::new();
        let all = (0..PARTS).map(|number| spaces.take(account(u8::try_from(number / PARTS_EACH).unwrap())));
        let mut all: Vec<_> = join_all(all).await.into_iter().map(|space| space.ok().unwrap()).collect();
        assert!(matches!(spaces.take(account(0)).await, Err(ServiceError::Refused(_))), "that many each");

        let mut outstayed = Box::pin(all[0].outstayed());
        tokio::time::advance(TURN * 10).await;
        assert!((&mut outstayed).now_or_never().is_none(), "nobody waits");
        let mut next = Box::pin(spaces.take(account(200)));
        assert!((&mut next).now_or_never().is_none(), "there is none");
        drop(outstayed.await);
        drop(all.remove(0));
        let next = next.await.ok().unwrap();
        assert!(next.outstayed().now_or_never().is_none(), "it has just come");
        tokio::time::advance(TURN * 10).await;
        assert!(next.outstayed().now_or_never().is_none(), "nobody waits any more");
    }
}
