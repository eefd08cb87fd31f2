//! `GET /v1/socket`: the WebSocket over which envelopes are published and delivered.
//!
//! The upgrade is done here rather than by warp, whose own leaves 128 KiB of buffer on every idle connection.

mod connection;
mod requests;
mod stream;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use qchat_proto::wire::{
    fault::{Fault, FaultCode},
    trace::TraceId,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};
use warp::{Filter, Rejection, Reply};

use crate::{
    drain::Drain,
    http::{self as rest, Refusal, bearer},
    limits::Place,
    service::{Services, sessions::Caller},
};

pub use self::requests::Confirmations;

/// How long a connection has for its last answers and its farewell once the daemon drains.
const GRACE: Duration = Duration::from_secs(10);

/// How the daemon finds out that a peer is gone without a word.
#[derive(Clone, Copy, Debug)]
pub struct Pings {
    /// Between two of them.
    pub every: Duration,
    /// Silence after which the peer is taken for dead.
    pub dead: Duration,
}

impl Default for Pings {
    fn default() -> Self {
        Self { every: Duration::from_secs(20), dead: Duration::from_secs(45) }
    }
}

/// What every connection shares.
#[derive(Clone)]
pub struct Sockets {
    /// The services.
    pub services: Arc<Services>,
    /// How far devices say they have processed rooms.
    pub confirmations: Arc<Confirmations>,
    /// Frames that a connection's queue holds.
    pub queue: usize,
    /// When a peer is taken for dead.
    pub pings: Pings,
    /// Whether the daemon drains.
    pub drain: Arc<Drain>,
    /// Counts the connections, so that the drain can wait for them.
    pub tasks: TaskTracker,
}

/// A place among the connections that the daemon serves at once, and among its address's; held until the socket ends.
#[derive(Clone)]
pub(crate) struct Slot(
    #[expect(dead_code, reason = "held, not looked at")] Arc<(OwnedSemaphorePermit, Option<Place>)>,
);

impl Slot {
    pub(crate) fn new(permit: OwnedSemaphorePermit, place: Option<Place>) -> Self {
        Self(Arc::new((permit, place)))
    }
}

/// The route.
pub fn route(sockets: Sockets) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
    let services = sockets.services.clone();
    warp::path!("v1" / "socket")
        .and(warp::get())
        .and(warp::header::headers_cloned())
        .and_then(|headers: HeaderMap| async move { handshake(&headers).map_err(Refusal::reject) })
        .and(bearer(services))
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::ext::optional::<Slot>())
        .and(warp::ext::optional::<TraceId>())
        .then(move |key: String, caller: Caller, upgrade: Option<OnUpgrade>, slot, trace: Option<TraceId>| {
            let sockets = sockets.clone();
            // Not the request's own: it lasts, and costs memory for as long as it does.
            let span = tracing::debug_span!(
                "socket",
                trace = trace.map(tracing::field::display),
                device = %caller.device
            );
            async move {
                match upgrade {
                    Some(upgrade) => accept(&key, caller, upgrade, slot, span, sockets),
                    None => rest::fault_reply(&upgrade_required()),
                }
            }
        })
}

fn upgrade_required() -> Fault {
    Fault::new(FaultCode::UnsupportedVersion, "this address speaks WebSocket (RFC 6455, version 13) only")
}

/// Checks the request's headers; returns the WebSocket key.
fn handshake(headers: &HeaderMap) -> Result<String, Fault> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let lists = |name, token: &str| {
        text(name).is_some_and(|list| list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
    };
    if !lists(header::UPGRADE, "websocket")
        || !lists(header::CONNECTION, "upgrade")
        || text(header::SEC_WEBSOCKET_VERSION) != Some("13")
    {
        return Err(upgrade_required());
    }
    text(header::SEC_WEBSOCKET_KEY)
        .map(ToOwned::to_owned)
        .ok_or_else(|| Fault::new(FaultCode::BadRequest, "Sec-WebSocket-Key is missing"))
}

fn accept(
    key: &str,
    caller: Caller,
    upgrade: OnUpgrade,
    slot: Option<Slot>,
    span: Span,
    sockets: Sockets,
) -> warp::reply::Response {
    let accept_key = derive_accept_key(key.as_bytes());
    let tasks = sockets.tasks.clone();
    let served = async move {
        let _slot = slot;
        match upgrade.await {
            Ok(upgraded) => {
                let drain = sockets.drain.clone();
                let grace = async {
                    drain.begun().await;
                    tokio::time::sleep(GRACE).await;
                };
                // Pinned on the heap: the future is large, and moves otherwise.
                let served = Box::pin(connection::run(TokioIo::new(upgraded), caller, sockets));
                tokio::select! {
                    () = served => {}
                    () = grace => tracing::debug!("a peer that does not read is cut off"),
                }
            }
            Err(error) => tracing::debug!(%error, "a client left during the upgrade"),
        }
    };
    tasks.spawn(served.instrument(span));
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept_key)
        .body("")
        .map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), Reply::into_response)
}
