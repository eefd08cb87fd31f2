//! `GET /metrics` on a listener of its own: what is counted is for who runs the daemon, not for who talks through it.

use std::{net::SocketAddr, sync::Arc};

use http::StatusCode;
use tokio::{net::TcpListener, task::JoinHandle};
use warp::{Filter, Reply};

use super::StartError;
use crate::{drain::Drain, service::Services};

/// What scrapers are told that they get.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the meters until the drain begins; returns the bound address.
pub(super) async fn serve(
    listen: SocketAddr,
    services: Arc<Services>,
    drain: Arc<Drain>,
) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
    let failed = |error| StartError::Listen(crate::config::Listen::Tcp(listen), error);
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let route = warp::path!("metrics").and(warp::get()).then(move || {
        let services = services.clone();
        async move {
            // A scrape is how most find out that the database is gone.
            let ready = services.store.ready().await.is_ok() && services.relay.is_alive();
            let redis = services.bus.redis_is_up().unwrap_or(false);
            let usage = services.store.usage();
            match services.meters.expose(ready, redis, services.relay.waiting(), &usage) {
                Ok(text) => warp::reply::with_header(text, "content-type", OPEN_METRICS).into_response(),
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    });
    let serving = warp::serve(route).incoming(listener).graceful(async move { drain.begun().await });
    Ok((address, tokio::spawn(serving.run())))
}
