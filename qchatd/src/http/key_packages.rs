//! KeyPackages: upload, count, claim.

use std::sync::Arc;

use http::StatusCode;
use qchat_proto::wire::api::{ClaimKeyPackages, PutKeyPackages};
use warp::{Filter, filters::BoxedFilter, reply::Response};

use super::{answer, bearer, body, with};
use crate::service::{Services, sessions::Caller};

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let put = warp::path!("v1" / "key-packages")
        .and(warp::post())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(body::json())
        .then(|caller: Caller, services: Arc<Services>, request: PutKeyPackages| async move {
            answer(StatusCode::OK, services.key_packages.put(caller, &request).await)
        });
    let count = warp::path!("v1" / "key-packages")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.key_packages.count(caller).await)
        });
    let claim = warp::path!("v1" / "key-packages" / "claim")
        .and(warp::post())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(body::json())
        .then(|_: Caller, services: Arc<Services>, request: ClaimKeyPackages| async move {
            answer(StatusCode::OK, services.key_packages.claim(request).await)
        });
    put.or(count).unify().or(claim).unify().boxed()
}
