//! What the devices of an account keep for one another.

use std::sync::Arc;

use http::StatusCode;
use qchat_proto::wire::api::PutAccountNotes;
use warp::{Filter, filters::BoxedFilter, reply::Response};

use super::{answer, bearer, body, done, with};
use crate::service::{Services, sessions::Caller};

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let find = warp::path!("v1" / "account" / "notes")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.notes.find(caller).await)
        });
    let put = warp::path!("v1" / "account" / "notes")
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(body::json())
        .then(|caller: Caller, services: Arc<Services>, request: PutAccountNotes| async move {
            done(services.notes.put(caller, request).await)
        });
    find.or(put).unify().boxed()
}
