//! Whether the process lives, and whether it can serve.

use std::sync::Arc;

use qchat_proto::wire::fault::{Fault, FaultCode};
use serde_json::json;
use warp::{Filter, Reply, filters::BoxedFilter, reply::Response};

use super::{fault_reply, with};
use crate::service::Services;

/// `GET /health/live`: answers as long as the process does.
pub(super) fn live() -> BoxedFilter<(Response,)> {
    warp::path!("health" / "live")
        .and(warp::get())
        .map(|| warp::reply::json(&json!({"status": "live"})).into_response())
        .boxed()
}

/// `GET /health/ready`: the database answers, and what writes to it runs. Without Redis a node is slower, and as ready.
pub(super) fn ready(services: Arc<Services>) -> BoxedFilter<(Response,)> {
    warp::path!("health" / "ready")
        .and(warp::get())
        .and(with(services))
        .then(|services: Arc<Services>| async move {
            let fault = |message: &str| Fault {
                code: FaultCode::Unavailable,
                message: message.to_owned(),
                retry_after: Some(1),
            };
            if !services.relay.is_alive() {
                return fault_reply(&fault("the relay has ended"));
            }
            match services.store.ready().await {
                Ok(()) => {
                    let redis = match services.bus.redis_is_up() {
                        None => "none",
                        Some(true) => "up",
                        Some(false) => "down",
                    };
                    warp::reply::json(&json!({"status": "ready", "redis": redis})).into_response()
                }
                Err(error) => {
                    tracing::warn!(%error, "not ready");
                    fault_reply(&fault("the database does not answer"))
                }
            }
        })
        .boxed()
}
