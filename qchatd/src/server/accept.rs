//! Accepts connections and serves them. warp's own server has no limit on slow headers and does not wait for sockets,
//! hence a loop of our own.

use std::{sync::Arc, time::Duration};

use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

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
pub(super) async fn run(listener: TcpListener, sockets: Sockets, most: usize) -> GracefulShutdown {
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
        serve(stream, Slot(Arc::new(slot)), &builder, service.clone(), &graceful);
    }
}

fn serve<S>(
    stream: TcpStream,
    slot: Slot,
    builder: &auto::Builder<TokioExecutor>,
    service: S,
    graceful: &GracefulShutdown,
) where
    S: Service<
            hyper::Request<Incoming>,
            Response = warp::reply::Response,
            Error = std::convert::Infallible,
            Future: Send,
        > + Send
        + 'static,
{
    // Small frames go out when they are written, not when the peer has acknowledged the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        // An upgraded socket keeps the place when the connection's own task has ended.
        request.extensions_mut().insert(slot.clone());
        service.call(request)
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = &*error, "a connection ended early");
        }
    });
}
