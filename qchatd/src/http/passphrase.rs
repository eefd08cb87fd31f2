//! One's own passphrase, of which the daemon sees keys alone.

use std::sync::Arc;

use http::StatusCode;
use qchat_proto::wire::api::ChangePassphrase;
use warp::{Filter, filters::BoxedFilter, reply::Response};

use super::{answer, bearer, body, done, from, with};
use crate::{
    peer::Peer,
    service::{Services, sessions::Caller},
};

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let salt = warp::path!("v1" / "account" / "passphrase")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.accounts.passphrase_salt(caller).await)
        });
    let change = warp::path!("v1" / "account" / "passphrase")
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(
            |caller: Caller, services: Arc<Services>, from: Option<Peer>, request: ChangePassphrase| async move {
                done(services.accounts.change_passphrase(caller, request, from.as_ref()).await)
            },
        );
    salt.or(change).unify().boxed()
}
