//! Redis between the nodes of one database: one channel, one connection, and no key. What it carries may be lost, so
//! it may be gone, slow, flushed or another one tomorrow; whoever controls it can make nodes look, and see where.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use qchat_proto::{
    crypto::entropy::{Entropy, EntropyError, SystemEntropy},
    ids::ServerId,
};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind,
    TlsCertificates, Value, aio::MultiplexedConnection,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Carried, hints::Hints};

/// How long Redis may take to accept a connection, and to answer anything.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two questions whether it is there, by which a node tells the others that it is, too.
const BEAT: Duration = Duration::from_secs(1);
/// For how long a node that has said something is taken to be there.
const THERE: Duration = Duration::from_secs(5);
/// Other nodes that are known at most.
const OTHERS: usize = 256;
/// Longest pause before it is tried again; the shortest is 32nd of it.
const PAUSE: Duration = Duration::from_secs(2);
/// Hints that are sent as one message.
const TOGETHER: usize = 256;
/// What nobody keeps and is sent as one message: no hint waits for more of it than that.
const WHISPERS_TOGETHER: usize = 16;

/// Where Redis is: `redis://`, or `rediss://` for TLS. It may hold a password, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

/// Redis cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// Not a URL of Redis.
    #[error("Redis is given as redis://user:password@host:port, or rediss:// for TLS")]
    Url,
    /// The certificate to trust.
    #[error("the certificate for Redis cannot be used: {0}")]
    Certificate(String),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl RedisUrl {
    /// Whether the way there is TLS.
    pub fn is_encrypted(&self) -> bool {
        self.0.starts_with("rediss:")
    }
}

impl FromStr for RedisUrl {
    type Err = RedisError;

    fn from_str(text: &str) -> Result<Self, RedisError> {
        // The error would repeat the URL.
        text.into_connection_info().map_err(|_| RedisError::Url)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RedisUrl {
    /// The scheme and the address alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
        write!(f, "{scheme}://{address}")
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A Redis to be connected to.
pub struct Redis {
    client: Client,
    /// That of the database: several may share one Redis.
    channel: String,
    /// Drawn anew at each start: a node passes over what it has said itself.
    node: Node,
}

/// What a node calls itself between its start and its end.
type Node = [u8; 8];

impl Redis {
    /// `root`: the certificate in PEM that signs Redis' own; without one those that the system trusts count.
    pub(super) fn new(url: &RedisUrl, root: Option<&[u8]>, server: ServerId) -> Result<Self, RedisError> {
        let info = url.0.as_str().into_connection_info().map_err(|_| RedisError::Url)?;
        // Answers and messages on one connection.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info: ConnectionInfo = info.set_redis_settings(settings);
        let client = match root {
            Some(root) => {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(root.to_vec()) };
                Client::build_with_tls(info, certificates)
                    .map_err(|error| RedisError::Certificate(error.to_string()))?
            }
            None => Client::open(info).map_err(|_| RedisError::Url)?,
        };
        let mut node = [0; 8];
        SystemEntropy.fill(&mut node)?;
        Ok(Self { client, channel: format!("qchat:{server}"), node })
    }
}

/// Whether Redis is there, and who else by its word.
#[derive(Default)]
pub struct Health {
    up: AtomicBool,
    /// When each other node said something last.
    others: Mutex<HashMap<Node, Instant>>,
}

impl Health {
    /// Whether it is.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Says so; returns whether that is new.
    pub fn set(&self, up: bool) -> bool {
        self.up.swap(up, Ordering::Relaxed) != up
    }

    /// Another node has said something.
    fn heard(&self, node: Node, now: Instant) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.retain(|_, last| now.duration_since(*last) < THERE);
        if others.len() < OTHERS {
            others.insert(node, now);
        }
    }

    /// How many other nodes have said something of late.
    pub(super) fn others(&self, now: Instant) -> usize {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.values().filter(|last| now.duration_since(**last) < THERE).count()
    }
}

/// Carries hints until no more can come. Says once that Redis is gone, and once that it is back.
pub(super) async fn carry(redis: Redis, mut carried: Carried) {
    let (mut failures, mut said) = (0_u32, false);
    loop {
        let Err(error) = session(&redis, &mut carried).await else { return };
        let Carried { unsent, whispers, health, .. } = &mut carried;
        if health.set(false) {
            (failures, said) = (0, false);
        }
        if !std::mem::replace(&mut said, true) {
            tracing::warn!(%error, "Redis is not there: what other nodes publish comes up to 5 s later until it is back");
        }
        let pause = sleep(pause(failures));
        tokio::pin!(pause);
        failures = failures.saturating_add(1);
        loop {
            // What was to be sent is not needed any more: the others look for themselves.
            tokio::select! {
                () = &mut pause => break,
                hints = unsent.recv() => if hints.is_none() { return },
                Some(_) = whispers.recv() => {}
            }
        }
    }
}

/// Doubled with each failure, and spread, so that nodes which lost it together do not return together.
fn pause(failures: u32) -> Duration {
    let mut share = [0];
    // Only spreads load: without randomness they do return together.
    let _ = SystemEntropy.fill(&mut share);
    let ceiling = PAUSE / (32 >> failures.min(5));
    ceiling / 2 + ceiling * u32::from(share[0]) / 512
}

/// One connection, to its end or that of the daemon.
async fn session(redis: &Redis, carried: &mut Carried) -> Result<(), redis::RedisError> {
    let Carried { unsent, heard, whispers, whispered, health } = carried;
    let (missed, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let hearing = (heard.clone(), whispered.clone());
    let listener = listener(redis.node, hearing, health.clone(), missed.clone(), gone.clone());
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
        .set_push_sender(listener);
    let connecting = async {
        let mut conn = redis.client.get_multiplexed_async_connection_with_config(&config).await?;
        conn.subscribe(&redis.channel).await?;
        Ok::<_, redis::RedisError>(conn)
    };
    let mut conn: MultiplexedConnection = tokio::select! {
        conn = connecting => conn?,
        () = ending(unsent) => return Ok(()),
    };
    if health.set(true) {
        tracing::info!("Redis carries hints between the nodes");
    }
    // What was said while it was away is found by looking.
    missed.store(true, Ordering::Relaxed);

    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut some = Vec::with_capacity(TOGETHER);
    loop {
        tokio::select! {
            // In this order: however much is whispered, hints and beats go first.
            biased;
            () = gone.notified() => {
                return Err((redis::ErrorKind::Io, "the connection was closed").into());
            }
            _ = beats.tick() => {
                // It answers, and the others hear that this node is there.
                publish(redis, &Hints::default(), &mut conn).await?;
                if missed.load(Ordering::Relaxed) && heard.try_send(Hints::everything()).is_ok() {
                    missed.store(false, Ordering::Relaxed);
                }
            }
            count = unsent.recv_many(&mut some, TOGETHER) => {
                if count == 0 {
                    return Ok(());
                }
                publish(redis, &together(&mut some), &mut conn).await?;
            }
            Some(mut some) = whispers.recv() => {
                for _ in 1..WHISPERS_TOGETHER {
                    let Ok(more) = whispers.try_recv() else { break };
                    some.merge(more);
                }
                publish(redis, &some, &mut conn).await?;
            }
        }
    }
}

fn together(some: &mut Vec<Hints>) -> Hints {
    let mut hints = Hints::default();
    some.drain(..).for_each(|more| hints.merge(more));
    hints
}

async fn publish(
    redis: &Redis,
    hints: &Hints,
    conn: &mut MultiplexedConnection,
) -> Result<(), redis::RedisError> {
    let mut publish = redis::cmd("PUBLISH");
    publish.arg(&redis.channel).arg(hints.encode(&redis.node));
    publish.query_async(conn).await
}

/// Waits until nothing more can come, and drops what comes.
async fn ending(unsent: &mut mpsc::Receiver<Hints>) {
    while unsent.recv().await.is_some() {}
}

/// Hands on what Redis says, without a queue of its own: hints without room are made good by a look at everything, what nobody keeps
/// by nothing.
fn listener(
    node: Node,
    (heard, whispered): (mpsc::Sender<Hints>, mpsc::Sender<Hints>),
    health: Arc<Health>,
    missed: Arc<AtomicBool>,
    gone: Arc<Notify>,
) -> impl Fn(PushInfo) -> Result<(), Infallible> + Send + Sync + 'static {
    move |push| {
        match (push.kind, push.data.get(1)) {
            (PushKind::Disconnection, _) => gone.notify_one(),
            (PushKind::Message, Some(Value::BulkString(bytes))) => {
                let Some((from, mut hints)) = Hints::decode(bytes, &node) else { return Ok(()) };
                if let Ok(from) = from[..].try_into() {
                    health.heard(from, Instant::now());
                }
                if let Some(whispers) = hints.take_whispered() {
                    drop(whispered.try_send(whispers));
                }
                if !hints.is_empty() && heard.try_send(hints).is_err() {
                    missed.store(true, Ordering::Relaxed);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use qchat_proto::{
        ids::{DeviceId, RoomId},
        wire::limits,
    };

    use super::*;

    #[test]
    fn a_printed_url_keeps_its_password_to_itself() {
        for (url, printed) in [
            ("redis://127.0.0.1:6379", Some("redis://127.0.0.1:6379")),
            ("rediss://qchat:p%40ss@redis:6380/0?x=secret", Some("rediss://redis:6380/0")),
            ("redis://:secret@h/", Some("redis://h/")),
            ("http://h/", None),
            ("", None),
        ] {
            let read = url.parse::<RedisUrl>().ok().map(|url| (url.to_string(), format!("{url:?}")));
            assert_eq!(read, printed.map(|text| (text.to_owned(), text.to_owned())), "{url}");
        }
    }

    #[test]
    fn a_node_is_there_for_as_long_as_it_says_so() {
        let (health, began) = (Health::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(health.others(began), 0);
        health.heard([1; 8], began);
        health.heard([2; 8], began + 3 * second);
        health.heard([1; 8], began + 4 * second);
        for (seconds, others) in [(4, 2), (7, 2), (8, 1), (9, 0)] {
            assert_eq!(health.others(began + seconds * second), others, "{seconds}");
        }
        // Whoever makes nodes up fills no memory.
        (0..1000_u64).for_each(|node| health.heard(node.to_be_bytes(), began + 20 * second));
        assert_eq!(health.others(began + 20 * second), OTHERS);
    }

    #[test]
    fn what_nobody_keeps_takes_no_room_from_hints_and_is_missed_by_nobody() {
        let (heard, mut hearing) = mpsc::channel(1);
        let (whispered, mut whispers) = mpsc::channel(2);
        let missed = Arc::new(AtomicBool::new(false));
        let listener =
            listener([1; 8], (heard, whispered), Arc::default(), missed.clone(), Arc::new(Notify::new()));
        let hear = |hints: &Hints| {
            let data = [Value::BulkString(vec![]), Value::BulkString(hints.encode(&[2; 8]))];
            listener(PushInfo { kind: PushKind::Message, data: data.into() })
                .unwrap_or_else(|never| match never {});
        };
        let (room, device) = (RoomId::from_bytes([3; 16]), DeviceId::from_bytes([4; 16]));
        let sealed = Bytes::from(vec![5; limits::EPHEMERAL]);
        (0..100).for_each(|_| hear(&Hints::whispered(room, device, sealed.clone())));
        // Even what a node of an older version sends together.
        let mut both = Hints::created(room, device);
        both.merge(Hints::whispered(room, device, sealed.clone()));
        hear(&both);
        assert!(!missed.load(Ordering::Relaxed), "no look at everything");
        assert_eq!(hearing.try_recv(), Ok(Hints::created(room, device)));
        assert_eq!(whispers.try_recv(), Ok(Hints::whispered(room, device, sealed)));
        // Whereas a hint without room is missed.
        (0..2).for_each(|_| hear(&Hints::created(room, device)));
        assert!(missed.load(Ordering::Relaxed));
    }

    #[test]
    fn pauses_grow_and_end() {
        for (failures, most) in [(0, 63), (1, 125), (5, 2000), (u32::MAX, 2000)] {
            let pause = pause(failures);
            assert!(pause <= Duration::from_millis(most) && pause >= Duration::from_millis(most / 2 - 1));
        }
    }
}
