//! The relay: puts the envelopes of each room into one order and acknowledges them once they are durable.
//!
//! Requests wait in a bounded queue. One task takes all that wait, commits them in one transaction and answers them
//! together: a durable commit costs the same for one envelope as for hundreds.

mod ledger;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    wire::fault::FaultCode,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};

use self::ledger::Ledger;
pub use self::ledger::{Publication, Refusal};
use super::{ServiceError, now_sql};
use crate::{
    bus::Bus,
    meters::Meters,
    store::{Database, RoomQueries, relay::Wanted},
};

/// Most requests in one transaction. Each is the cheaper the more there are: pages of indexes that several change are
/// written once, and a durable commit waits once for the disk.
const GROUP: usize = 1024;
/// Most devices that the deltas of one transaction name; SQLite binds 32,766 values at most.
const NAMED: usize = 4_000;
/// Requests that may wait; more wait in their senders.
const WAITING: usize = 2 * GROUP;
/// KiB of requests in memory; senders wait for their share.
const MEMORY: u32 = 64 * 1024;

/// What became of a publication.
pub type Outcome = Result<Seq, PublishError>;

/// A publication was not ordered.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// By the rules.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// By a failure; trying again is safe.
    #[error(transparent)]
    Failed(#[from] ServiceError),
}

/// Called with the outcome, after the commit. Must not block.
pub type Reply = Box<dyn FnOnce(Outcome) + Send>;

/// A handle on the relay, cheap to clone. The relay ends, after what was sent, when the last handle is gone.
#[derive(Clone)]
pub struct Relay {
    requests: mpsc::Sender<Request>,
    memory: Arc<Semaphore>,
    /// Told when a group is done.
    done: Arc<Notify>,
    /// When this was made, and the milliseconds after that until the last request came.
    began: Instant,
    last: Arc<AtomicU64>,
}

struct Request {
    action: Action,
    reply: Reply,
    came: Instant,
    /// Given back when the reply is called.
    memory: OwnedSemaphorePermit,
}

enum Action {
    Publish(Box<Publication>),
    Join(RoomId, DeviceId),
    Decline(RoomId, DeviceId),
}

impl Relay {
    /// Starts the relay's task, which is to be awaited after the last handle is dropped.
    pub fn start(store: impl Database, bus: Bus, meters: Arc<Meters>) -> (Self, JoinHandle<()>) {
        let (requests, waiting) = mpsc::channel(WAITING);
        let done = Arc::new(Notify::new());
        let task = tokio::spawn(run(Writing { store, bus, meters, done: done.clone() }, waiting));
        let memory = Arc::new(Semaphore::new(MEMORY as usize));
        (Self { requests, memory, done, began: Instant::now(), last: Arc::default() }, task)
    }

    /// Whether the task runs.
    pub fn is_alive(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Requests that wait for a transaction.
    pub fn waiting(&self) -> usize {
        self.requests.max_capacity() - self.requests.capacity()
    }

    /// Waits until nothing is on its way to the disk: at once when nothing is, else until the next group has been answered.
    pub async fn lull(&self) {
        let done = self.done.notified();
        if self.memory.available_permits() < MEMORY as usize {
            done.await;
        }
    }

    /// Whether a request came within this time.
    pub fn has_sent_within(&self, time: Duration) -> bool {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        !last.is_zero() && self.began.elapsed().saturating_sub(last) < time
    }

    /// Hands over an envelope; waits while the queue is full. `reply` is dropped uncalled when the relay has ended.
    pub async fn publish(&self, publication: Publication, reply: Reply) {
        let size = publication.size();
        self.send(Action::Publish(Box::new(publication)), size, reply).await;
    }

    /// Says yes to an invitation. Repeating it is harmless.
    ///
    /// # Errors
    /// `not_found` when the device is neither invited nor a member.
    pub async fn join(&self, room: RoomId, device: DeviceId) -> Result<(), ServiceError> {
        self.answer(Action::Join(room, device)).await
    }

    /// Says no to an invitation. Repeating it is harmless.
    ///
    /// # Errors
    /// `not_found` when the device is not invited, `conflict` when it has joined.
    pub async fn decline(&self, room: RoomId, device: DeviceId) -> Result<(), ServiceError> {
        self.answer(Action::Decline(room, device)).await
    }

    async fn answer(&self, action: Action) -> Result<(), ServiceError> {
        let (done, outcome) = oneshot::channel();
        self.send(action, 0, Box::new(move |outcome| drop(done.send(outcome)))).await;
        match outcome.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(PublishError::Failed(error))) => Err(error),
            Ok(Err(PublishError::Refused(Refusal::Joined))) => Err(ServiceError::refuse(
                FaultCode::Conflict,
                "this device is a member; it leaves by asking the others to remove it",
            )),
            Ok(Err(PublishError::Refused(_))) => Err(ServiceError::refuse(
                FaultCode::NotFound,
                "no invitation to this room is waiting for this device",
            )),
            Err(_) => Err(ending()),
        }
    }

    async fn send(&self, action: Action, size: usize, reply: Reply) {
        let share = u32::try_from(size / 1024 + 1).unwrap_or(MEMORY).min(MEMORY);
        let Ok(memory) = self.memory.clone().acquire_many_owned(share).await else { return };
        let came = Instant::now();
        let last = u64::try_from(came.duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        self.last.store(last.max(1), Ordering::Relaxed);
        // A closed queue drops the reply, which tells the caller.
        drop(self.requests.send(Request { action, reply, came, memory }).await);
    }
}

fn ending() -> ServiceError {
    ServiceError::refuse(FaultCode::Unavailable, "the server is shutting down; try again")
}

/// What a group of requests passes through.
struct Writing<D> {
    store: D,
    bus: Bus,
    meters: Arc<Meters>,
    done: Arc<Notify>,
}

async fn run(writing: Writing<impl Database>, mut waiting: mpsc::Receiver<Request>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        while !group.is_empty() {
            let rest = group.split_off(fitting(&group));
            let fits = std::mem::replace(&mut group, rest);
            writing.commit(fits).await;
            writing.done.notify_waiters();
        }
    }
}

/// How many requests at the front fit into one transaction; one at least.
fn fitting(group: &[Request]) -> usize {
    let mut named = 0;
    let fits = group.iter().take_while(|request| {
        if let Action::Publish(publication) = &request.action {
            named += publication.envelope.delta.len();
        }
        named <= NAMED
    });
    fits.count().max(1)
}

impl<D: Database> Writing<D> {
    async fn commit(&self, group: Vec<Request>) {
        let began = Instant::now();
        let (actions, replies): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|Request { action, reply, came, memory }| (action, (reply, came, memory)))
            .unzip();
        let committed = self
            .store
            .write(move |conn| {
                let mut wanted = Wanted::default();
                for action in &actions {
                    action.want(&mut wanted);
                }
                let mut ledger = Ledger::new(conn.load(&wanted)?);
                let outcomes: Vec<_> = actions.iter().map(|action| action.apply(&mut ledger)).collect();
                let (changes, announcements) = ledger.finish();
                conn.save(&changes, now_sql())?;
                Ok::<_, ServiceError>((outcomes, announcements))
            })
            .await;
        match committed {
            Ok((outcomes, announcements)) => {
                // First the deliveries, which are only queued here: their order is that of the commits.
                self.meters.committed(outcomes.len(), began.elapsed());
                self.bus.announce(announcements).await;
                for ((reply, came, _memory), outcome) in replies.into_iter().zip(outcomes) {
                    match &outcome {
                        Ok(_) => self.meters.accepted(came.elapsed()),
                        Err(refusal) => self.meters.refused(refusal.code()),
                    }
                    reply(outcome.map_err(PublishError::Refused));
                }
            }
            Err(error) => {
                let fault = error.into_fault();
                self.meters.failed(replies.len());
                for (reply, ..) in replies {
                    reply(Err(ServiceError::Refused(fault.clone()).into()));
                }
            }
        }
    }
}

impl Action {
    fn want(&self, wanted: &mut Wanted) {
        match self {
            Self::Publish(publication) => publication.want(wanted),
            Self::Join(room, device) | Self::Decline(room, device) => {
                wanted.rooms.insert(*room);
                wanted.places.insert((*room, *device));
            }
        }
    }

    fn apply(&self, ledger: &mut Ledger) -> Result<Seq, Refusal> {
        match self {
            Self::Publish(publication) => ledger.publish(publication),
            Self::Join(room, device) => ledger.join(*room, *device).map(|()| Seq(0)),
            Self::Decline(room, device) => ledger.decline(*room, *device).map(|()| Seq(0)),
        }
    }
}
