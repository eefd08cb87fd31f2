//! The daemon as a whole: starts everything in order, accepts connections, and takes everything down in the opposite
//! order.

mod accept;
mod listen;
mod metrics;
mod notify;
mod proxy;
mod tls;

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use qchat_proto::{
    crypto::entropy::{EntropyError, SystemEntropy},
    ids::ServerId,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::listen::{Activated, activated};
use self::{accept::Door, listen::Listener, tls::Tls};
use crate::{
    blobs::{BlobError, Blobs},
    bus::{Bus, Nodes, RedisError, Started},
    config::{self, Config, ConfigError, Listen},
    drain::Drain,
    hub::Hub,
    limits::{Charge, Limits},
    meters::Meters,
    service::{
        ServiceError, Services,
        audit::Audit,
        keys::{KeyFileError, ServerKeys},
        relay::Relay,
    },
    socket::{Confirmations, Sockets},
    store::{self, Lane, Store, StoreError, sessions::SessionId},
    tls::TlsError,
};

/// Between two times that confirmations are written down.
const CONFIRM: Duration = Duration::from_secs(2);
/// Between two looks at which sessions are open still, and which keys sign. What another node has ended has lost its
/// sockets here within 5 s: this, the query, and what a socket takes to end.
const WATCH: Duration = Duration::from_secs(2);
/// Between two times that limits forget who has not been there lately: what they hold until then is bounded by who can
/// connect meanwhile.
const FORGET: Duration = Duration::from_secs(10);
/// Between two times that what nobody needs is deleted.
const EXPIRE: Duration = Duration::from_mins(10);
/// The part of the drain that is kept for the last commits and deliveries.
const COMMITS: Duration = Duration::from_secs(5);

/// What an operator is told whose standby may lack what was acknowledged.
pub(crate) const NO_STANDBY: &str = "the database has several servers and no synchronous standby: a failover can lose what was acknowledged; set synchronous_standby_names on the primary (docs/operations.md, Failover)";

/// The daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Plain http would leave the machine.
    #[error(
        "{0} is not a loopback address and this daemon would speak plain http there: give it a certificate (--tls-certificate and --tls-key; `qchatd tls generate` makes one), or put a proxy with TLS in front of it and say --insecure-http"
    )]
    Insecure(Listen),
    /// An address cannot be had.
    #[error("cannot listen on {0}: {1}")]
    Listen(Listen, io::Error),
    /// The service manager's sockets are of no use.
    #[error("cannot accept connections on the sockets that the service manager has passed: {0}")]
    Activation(io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token keys.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The data directory.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Redis.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Where files are kept.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The key files.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// Certificate and key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The address file.
    #[error("cannot write {}: {source}", path.display())]
    AddressFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A defect.
    #[error("a start task was cancelled")]
    Cancelled,
}

/// A running daemon.
pub struct Daemon {
    addresses: Vec<Listen>,
    drain: Duration,
    tls: Option<Arc<Tls>>,
    sockets: Sockets,
    door: Arc<Door>,
    accepting: TaskTracker,
    /// What is done by the clock until the drain begins.
    upkeep: TaskTracker,
    relaying: JoinHandle<()>,
    delivering: JoinHandle<()>,
    /// Writes the audit log until this is cancelled, and then what is left.
    auditing: (CancellationToken, JoinHandle<()>),
    metrics: Option<(SocketAddr, JoinHandle<()>)>,
}

impl Daemon {
    /// Starts serving; returns once all addresses are bound and everything behind them is ready.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_on(config, Activated::default()).await
    }

    /// As [`Daemon::start`], on the sockets of the service manager instead of the configured addresses, if it has passed
    /// any.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_on(config: Config, activated: Activated) -> Result<Self, StartError> {
        if !activated.any()
            && let Some(open) = config.listen.iter().find(|listen| is_open(listen, &config))
        {
            return Err(StartError::Insecure(open.clone()));
        }
        let started = std::time::Instant::now();
        let config = Arc::new(config);
        let Opened { keys, store, blobs, tls, redis_root } = {
            let config = config.clone();
            tokio::task::spawn_blocking(move || open(&config)).await.map_err(|_| StartError::Cancelled)??
        };
        let listeners = listen(&config, activated)?;
        let addresses: Vec<Listen> = listeners
            .iter()
            .map(Listener::address)
            .collect::<Result<_, _>>()
            .map_err(StartError::Activation)?;

        let fresh = ServerId::random(&SystemEntropy)?;
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let server_id = store.write(move |conn| store::server::identify(conn, fresh, now)).await?;
        let hub = Arc::new(Hub::default());
        let redis = config.redis_url.as_ref().map(|url| (url, redis_root.as_deref()));
        let nodes = Nodes::new(config.database.is_shared(), redis, server_id)?;
        let meters = Arc::new(Meters::default());
        let Started { bus, revoked, charged, task: delivering } =
            Bus::start(hub, store.on(Lane::Delivery), nodes, meters.clone());
        let (relay, relaying) = Relay::start(store.on(Lane::Writer), bus.clone(), meters.clone());
        let told = bus.clone();
        let tell = move |charge| told.charged(charge);
        let limits = Limits::new(&config.rates, meters.clone(), &keys.pepper, tell);
        let audit = Audit::new(store.clone(), meters.clone(), config.audit_addresses);
        let auditing = {
            let end = CancellationToken::new();
            (end.clone(), tokio::spawn(audit.clone().write_until(end)))
        };
        let files = (blobs, config.file_limits);
        let more = (limits, config.retention, audit, config.account_backup_bytes, files);
        let services = Arc::new(Services::new(server_id, store, bus, keys, relay, meters, more)?);
        services.sessions.renew_keys().await?;
        services.directory.begin().await?;
        if config.database.has_standbys() && !services.store.has_synchronous_standby().await? {
            tracing::warn!("{NO_STANDBY}");
        }

        let drain: Arc<Drain> = Arc::default();
        let metrics = match config.metrics_listen {
            Some(listen) => Some(metrics::serve(listen, services.clone(), drain.clone()).await?),
            None => None,
        };
        let sockets = Sockets {
            services,
            confirmations: Arc::new(Confirmations::default()),
            queue: config.queue as usize,
            pings: config.pings,
            drain,
            tasks: TaskTracker::new(),
        };
        let upkeep = TaskTracker::new();
        upkeep.spawn(confirm(sockets.clone()));
        upkeep.spawn(watch(sockets.clone(), revoked));
        upkeep.spawn(expire(sockets.clone()));
        upkeep.spawn(publish(sockets.clone()));
        upkeep.spawn(forget(sockets.clone()));
        upkeep.spawn(charge(sockets.clone(), charged));
        let door = Arc::new(Door::new(sockets.clone(), tls.clone(), &config));
        let accepting = TaskTracker::new();
        for listener in listeners {
            accepting.spawn(door.clone().open(listener));
        }
        accepting.close();
        if let Some(path) = &config.address_file {
            write_addresses(path, &addresses)
                .map_err(|source| StartError::AddressFile { path: path.clone(), source })?;
        }
        if let Some(tls) = &tls {
            tracing::info!(key = %tls.key(), "TLS 1.3");
        }
        tracing::info!(
            listen = %shown(&addresses),
            database = %config.database,
            redis = config.redis_url.as_ref().map(tracing::field::display),
            node = %config.node_name,
            metrics = metrics.as_ref().map(|(address, _)| tracing::field::display(address)),
            server = %server_id,
            ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "ready"
        );
        notify::ready();
        upkeep.spawn(notify::watch(sockets.clone()));
        upkeep.close();
        Ok(Self {
            addresses,
            drain: config.drain,
            tls,
            sockets,
            door,
            accepting,
            upkeep,
            relaying,
            delivering,
            auditing,
            metrics,
        })
    }

    /// The first TCP address that it listens on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses.iter().find_map(Listen::tcp)
    }

    /// The address that the meters are exposed at.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(address, _)| *address)
    }

    /// Reads again what may change while the daemon runs: certificate and key, for the connections to come. Those that
    /// cannot be used change nothing.
    pub async fn reload(&self) {
        notify::reloading();
        self.reload_certificate().await;
        notify::ready();
    }

    async fn reload_certificate(&self) {
        let Some(tls) = self.tls.clone() else {
            tracing::info!("nothing to reload: there is no certificate");
            return;
        };
        match tokio::task::spawn_blocking(move || tls.reload()).await {
            Ok(Ok(key)) => tracing::info!(%key, "the certificate was read again"),
            Ok(Err(error)) => {
                tracing::error!(%error, "the certificate was not exchanged: the one before stays in force");
            }
            Err(error) => tracing::error!(%error, "a task was given up"),
        }
    }

    /// Ends: sockets are closed with 1012 after what they asked for is answered, requests finish, what was handed to the
    /// relay is committed. Takes no longer than the configured drain.
    pub async fn stop(self) {
        let end_at = Instant::now() + self.drain;
        let deadline = end_at.checked_sub(COMMITS).unwrap_or(end_at);
        notify::stopping();
        let others = self.sockets.services.bus.others();
        self.sockets.drain.begin(self.sockets.tasks.len(), others);
        let late = |what: &str| tracing::warn!("{what} did not end in time and were cut off");
        self.door.requests.close();
        if timeout_at(deadline, self.door.requests.wait()).await.is_err() {
            late("requests");
        }
        self.sockets.tasks.close();
        if timeout_at(deadline, self.sockets.tasks.wait()).await.is_err() {
            late("sockets");
        }
        self.door.closed.cancel();
        self.accepting.wait().await;
        drop(self.door);
        self.upkeep.wait().await;
        if let Some((_, exposing)) = self.metrics
            && timeout_at(deadline, exposing).await.is_err()
        {
            late("scrapes");
        }
        self.sockets.confirmations.flush(&self.sockets.services).await;
        // The last handles on the relay go with the services; then its queue drains, then the bus's.
        drop(self.sockets);
        let (end, auditing) = self.auditing;
        end.cancel();
        for task in [self.relaying, self.delivering] {
            if timeout_at(end_at, task).await.is_err() {
                late("commits");
            }
        }
        if timeout_at(end_at, auditing).await.is_err() {
            late("entries of the audit log");
        }
    }
}

/// Whether what is said there could leave the machine in the clear.
fn is_open(listen: &Listen, config: &Config) -> bool {
    !config.insecure_http
        && config.tls_files.is_none()
        && matches!(listen, Listen::Tcp(address) if !address.ip().is_loopback())
}

/// Binds the configured addresses, or takes over the sockets of the service manager.
fn listen(config: &Config, activated: Activated) -> Result<Vec<Listener>, StartError> {
    if activated.any() {
        let listeners = activated.listen().map_err(StartError::Activation)?;
        for listener in &listeners {
            let address = listener.address().map_err(StartError::Activation)?;
            if is_open(&address, config) {
                return Err(StartError::Insecure(address));
            }
        }
        return Ok(listeners);
    }
    let mut listeners = Vec::with_capacity(config.listen.len());
    for address in &config.listen {
        let listener = Listener::bind(address, config.listen_mode);
        listeners.push(listener.map_err(|error| StartError::Listen(address.clone(), error))?);
    }
    Ok(listeners)
}

fn shown(addresses: &[Listen]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// What the daemon keeps in files and in its database.
struct Opened {
    keys: ServerKeys,
    store: Store,
    blobs: Blobs,
    tls: Option<Arc<Tls>>,
    redis_root: Option<Vec<u8>>,
}

/// Keys, certificate and database, on a thread that may block.
fn open(config: &Config) -> Result<Opened, StartError> {
    config.make_data_dir()?;
    if let Some(path) = &config.address_file {
        // Whoever waits for it must not find that of a daemon which was killed.
        drop(fs::remove_file(path));
    }
    let keys = ServerKeys::load(&config.pepper_file, &config.token_key_file)?;
    let tls = config.tls().map(Tls::load).transpose()?.map(Arc::new);
    let done = store::migrate(&config.database)?;
    if !done.versions.is_empty() {
        tracing::info!(versions = done.versions.join(", "), "migrations applied");
    }
    let redis_root =
        config.redis_root_cert.as_ref().map(|path| config::read("redis_root_cert", path)).transpose()?;
    let store = Store::open(&config.database, config.database_connections, config.database_wait)?;
    let blobs = Blobs::open(&config.files)?;
    Ok(Opened { keys, store, blobs, tls, redis_root })
}

async fn confirm(sockets: Sockets) {
    while timeout(CONFIRM, sockets.drain.begun()).await.is_err() {
        sockets.confirmations.flush(&sockets.services).await;
    }
}

async fn forget(sockets: Sockets) {
    while timeout(FORGET, sockets.drain.begun()).await.is_err() {
        sockets.services.limits.tidy();
    }
}

/// Counts what other nodes have counted.
async fn charge(sockets: Sockets, mut charged: mpsc::Receiver<Vec<Charge>>) {
    loop {
        tokio::select! {
            () = sockets.drain.begun() => return,
            Some(charges) = charged.recv() => {
                for charge in charges {
                    sockets.services.limits.charge(charge);
                }
            }
            else => return,
        }
    }
}

/// Closes the sockets of sessions that other nodes have ended: when they say so, and by looking for oneself.
async fn watch(sockets: Sockets, mut revoked: mpsc::Receiver<Vec<SessionId>>) {
    let sessions = &sockets.services.sessions;
    let mut looks = interval(WATCH);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let looked = tokio::select! {
            () = sockets.drain.begun() => return,
            Some(named) = revoked.recv() => sessions.end_revoked_among(named).await,
            _ = looks.tick() => {
                if let Err(error) = sessions.renew_keys().await {
                    tracing::warn!(%error, "token keys are not known");
                }
                sessions.end_revoked().await
            }
        };
        if let Err(error) = looked {
            tracing::warn!(%error, "sessions that others have ended are not known");
        }
    }
}

/// Puts what was said of accounts into the key directory.
async fn publish(sockets: Sockets) {
    tokio::select! {
        () = sockets.drain.begun() => {}
        () = sockets.services.directory.publish() => {}
    }
}

async fn expire(sockets: Sockets) {
    let (housekeeping, files) = (&sockets.services.housekeeping, &sockets.services.files);
    loop {
        tokio::select! {
            () = sockets.drain.begun() => return,
            done = housekeeping.run() => if let Err(error) = done {
                tracing::warn!(%error, "what nobody needs is still there");
            },
        }
        tokio::select! {
            () = sockets.drain.begun() => return,
            done = files.expire() => if let Err(error) = done {
                tracing::warn!(%error, "files that nobody needs are still there");
            },
        }
        if timeout(EXPIRE, sockets.drain.begun()).await.is_ok() {
            return;
        }
    }
}

/// Writes the addresses, one a line, under another name and moves the file into place: a reader sees all of it or nothing.
fn write_addresses(path: &Path, addresses: &[Listen]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    let mut file = fs::File::create(&temporary)?;
    for address in addresses {
        writeln!(file, "{address}")?;
    }
    file.sync_all()?;
    fs::rename(&temporary, path)
}
