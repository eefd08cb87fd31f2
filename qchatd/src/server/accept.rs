//! Accepts connections and serves them. warp's own server has no limit on slow headers and does not wait for sockets,
//! hence a loop of our own.

use std::{sync::Arc, time::Duration};

use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
};

use super::tls::{HSTS, Tls};
use crate::{
    http,
    socket::{Slot, Sockets},
};

/// How long a client may take for the header of a request.
const HEADER: Duration = Duration::from_secs(5);
/// Largest header of a request, and read buffer of a connection, bytes.
const HEADER_BYTES: usize = 64 * 1024;
/// Pause after a failed accept: the process is probably out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until the daemon stops; what is returned waits for the requests that are underway.
pub(super) async fn run(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    sockets: Sockets,
    most: usize,
) -> GracefulShutdown {
    let slots = Arc::new(Semaphore::new(most));
    let graceful = GracefulShutdown::new();
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(HEADER_BYTES);
    let service = TowerToHyperService::new(warp::service(http::routes(sockets.clone())));
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot,
            () = sockets.stop.cancelled() => return graceful,
        };
        // Never closed.
        let Ok(slot) = slot else { return graceful };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sockets.stop.cancelled() => return graceful,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Small frames go out when they are written, not when the peer has acknowledged the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let slot = Slot(Arc::new(slot));
        let (builder, service, watcher) = (builder.clone(), service.clone(), graceful.watcher());
        let Some(tls) = tls.clone() else {
            tokio::spawn(serve(stream, false, slot, builder, service, watcher));
            continue;
        };
        let stop = sockets.stop.clone();
        tokio::spawn(async move {
            // A handshake under way does not hold up the end.
            let Some(accepted) = stop.run_until_cancelled(tls.accept(stream)).await else { return };
            match accepted {
                Ok(stream) => serve(stream, true, slot, builder, service, watcher).await,
                Err(error) => tracing::debug!(%error, "a handshake failed"),
            }
        });
    }
}

/// Serves one connection to its end, or until it has become a socket.
async fn serve<I, S>(
    stream: I,
    secure: bool,
    slot: Slot,
    builder: auto::Builder<TokioExecutor>,
    service: S,
    watcher: Watcher,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<
            hyper::Request<Incoming>,
            Response = warp::reply::Response,
            Error = std::convert::Infallible,
            Future: Send,
        > + Send
        + 'static,
{
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        // An upgraded socket keeps the place when the connection's own task has ended.
        request.extensions_mut().insert(slot.clone());
        let answer = service.call(request);
        async move {
            let mut response = answer.await?;
            if secure {
                let (name, value) = HSTS;
                response.headers_mut().insert(name, value);
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error = &*error, "a connection ended early");
    }
}
