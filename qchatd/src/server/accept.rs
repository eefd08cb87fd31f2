//! Accepts connections and serves them. warp's own server has no limit on slow headers and does not wait for sockets,
//! hence a loop of our own.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warp::{Reply, filters::BoxedFilter, reply::Response};

use super::listen::{Listener, Stream};
use crate::{
    http,
    peer::Peer,
    socket::{Slot, Sockets},
};

/// How long a client may take for the header of a request.
const HEADER: Duration = Duration::from_secs(5);
/// Largest header of a request, and read buffer of a connection, bytes.
const HEADER_BYTES: usize = 64 * 1024;
/// Pause after a failed accept: the process is probably out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection passes on its way in.
pub(super) struct Door {
    slots: Arc<Semaphore>,
    routes: BoxedFilter<(Response,)>,
    http: auto::Builder<TokioExecutor>,
    /// Cancelled when the daemon drains: connections end with the request that is underway.
    stop: CancellationToken,
    /// Cancelled when the drain is over: nobody is let in any more, and who is still there is cut off.
    pub(super) closed: CancellationToken,
    /// Connections whose requests the drain waits for.
    pub(super) requests: TaskTracker,
}

impl Door {
    /// A door for at most this many connections at once.
    pub(super) fn new(sockets: Sockets, most: usize) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(HEADER_BYTES);
        Self {
            slots: Arc::new(Semaphore::new(most)),
            stop: sockets.stop.clone(),
            routes: http::routes(sockets),
            http: builder,
            closed: CancellationToken::new(),
            requests: TaskTracker::new(),
        }
    }

    /// Serves a listener's connections until the door is closed.
    pub(super) async fn open(self: Arc<Self>, listener: Listener) {
        loop {
            let slot = tokio::select! {
                slot = self.slots.clone().acquire_owned() => slot,
                () = self.closed.cancelled() => return,
            };
            // Never closed.
            let Ok(slot) = slot else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.closed.cancelled() => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let door = self.clone();
            let served = async move {
                tokio::select! {
                    () = door.admit(stream, address, Slot(Arc::new(slot))) => {}
                    () = door.closed.cancelled() => {}
                }
            };
            if self.stop.is_cancelled() {
                // It is told to come back, and nobody waits for it.
                tokio::spawn(served);
            } else {
                self.requests.spawn(served);
            }
        }
    }

    /// Finds out who it is, and serves it.
    async fn admit(&self, stream: Stream, address: Option<SocketAddr>, slot: Slot) {
        let peer = Peer { address, encrypted: false };
        self.serve(stream, peer, slot).await;
    }

    /// Serves a connection to the end of its last request, or to its upgrade.
    async fn serve<S>(&self, stream: S, peer: Peer, slot: Slot)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let routes = TowerToHyperService::new(warp::service(self.routes.clone()));
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            // An upgraded socket keeps the place when the connection's own task has ended.
            request.extensions_mut().insert(slot.clone());
            request.extensions_mut().insert(peer);
            let answer = routes.call(request);
            async move { answer.await.map(Reply::into_response) }
        });
        let mut connection = pin!(self.http.serve_connection_with_upgrades(TokioIo::new(stream), service));
        // Who comes while the daemon drains is told so.
        let stop = if self.stop.is_cancelled() { &self.closed } else { &self.stop };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, error = &*error, "a connection ended early");
        }
    }
}
