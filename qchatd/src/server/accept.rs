//! Accepts connections and serves them. warp's own server has no limit on slow headers and does not wait for sockets,
//! hence a loop of our own.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use warp::{Reply, filters::BoxedFilter, reply::Response};

use super::{
    listen::{Listener, Stream},
    proxy::Proxies,
    tls::Tls,
};
use crate::{
    config::Config,
    drain::Drain,
    http,
    limits::Limits,
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
    http: http1::Builder,
    /// Who speaks the `PROXY` protocol, and then everybody does.
    proxies: Option<Proxies>,
    tls: Option<Arc<Tls>>,
    limits: Arc<Limits>,
    /// Once it has begun, connections end with the request that is underway.
    drain: Arc<Drain>,
    /// Cancelled when the drain is over: nobody is let in any more, and who is still there is cut off.
    pub(super) closed: CancellationToken,
    /// Connections whose requests the drain waits for.
    pub(super) requests: TaskTracker,
}

impl Door {
    /// The door as it is configured.
    pub(super) fn new(sockets: Sockets, tls: Option<Arc<Tls>>, config: &Config) -> Self {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(HEADER_BYTES);
        Self {
            slots: Arc::new(Semaphore::new(config.max_connections as usize)),
            proxies: config.proxy_protocol.then(|| Proxies(config.proxy_trusted.clone())),
            tls,
            limits: sockets.services.limits.clone(),
            drain: sockets.drain.clone(),
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
                    // A peer that has gone already is no reason to keep the next one waiting.
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                    continue;
                }
            };
            let door = self.clone();
            let served = async move {
                tokio::select! {
                    () = door.admit(stream, address, slot) => {}
                    () = door.closed.cancelled() => {}
                }
            };
            if self.drain.has_begun() {
                // It is told to come back, and nobody waits for it.
                tokio::spawn(served);
            } else {
                self.requests.spawn(served);
            }
        }
    }

    /// Finds out who it is, and serves it.
    async fn admit(&self, mut stream: Stream, from: Option<SocketAddr>, slot: OwnedSemaphorePermit) {
        let address = match &self.proxies {
            None => from,
            Some(proxies) => match proxies.client(&mut stream, from).await {
                Ok(client) => client,
                Err(error) => {
                    tracing::warn!(peer = %Peer { address: from, encrypted: false }, %error, "not let in");
                    return;
                }
            },
        };
        // What comes over a Unix socket does not leave the machine.
        let tls = self.tls.as_ref().filter(|_| matches!(stream, Either::Left(_)));
        let peer = Peer { address, encrypted: tls.is_some() };
        if !self.limits.connecting(&peer) {
            tracing::debug!(%peer, "comes too often and is hung up on");
            return;
        }
        let Some(tls) = tls else { return self.serve(stream, peer, slot).await };
        let told = self.drain.has_begun();
        let shaken = tokio::select! {
            shaken = tls.accept(stream) => shaken,
            // A handshake under way does not hold up the end.
            () = self.drain.begun(), if !told => return,
        };
        match shaken {
            Ok(stream) => self.serve(stream, peer, slot).await,
            Err(error) => tracing::debug!(%peer, %error, "a handshake failed"),
        }
    }

    /// Serves a connection to the end of its last request, or to its upgrade.
    async fn serve<S>(&self, stream: S, peer: Peer, slot: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        tracing::debug!(%peer, "connected");
        let (place, over) = match self.limits.connection(&peer) {
            Ok(place) => (Some(place), None),
            Err(fault) => (None, Some(fault)),
        };
        let slot = Slot::new(slot, place);
        let drain = self.drain.clone();
        let routes = TowerToHyperService::new(warp::service(self.routes.clone()));
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            // An upgraded socket keeps the place when the connection's own task has ended.
            request.extensions_mut().insert(slot.clone());
            request.extensions_mut().insert(peer);
            let trace = http::trace(request.headers());
            if let Some(trace) = trace {
                request.extensions_mut().insert(trace);
            }
            let span = tracing::info_span!(
                "request",
                trace = trace.map(tracing::field::display),
                method = %request.method(),
                route = http::route(request.uri().path())
            );
            let refusal = http::refuse(request.uri().path(), request.headers(), over.as_ref(), &drain);
            let routes = routes.clone();
            let answered = async move {
                let mut response = match refusal {
                    Some(refusal) => refusal,
                    None => routes.call(request).await?.into_response(),
                };
                http::secure(&mut response, &peer);
                tracing::debug!(status = response.status().as_u16(), "answered");
                Ok::<_, Infallible>(response)
            };
            answered.instrument(span)
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        // Who comes while the daemon drains is told so.
        let told = self.drain.has_begun();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.drain.begun(), if !told => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }
}
