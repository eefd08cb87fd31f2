//! What people who hold an invite link ask the members of its room.

use std::sync::Arc;

use http::StatusCode;
use qchat_proto::{
    ids::{AccountId, RoomId},
    wire::api::PutJoinRequest,
};
use warp::{Filter, filters::BoxedFilter, reply::Response};

use super::{answer, bearer, body, done, segment, with};
use crate::service::{Services, sessions::Caller};

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let ask = warp::path!("v1" / "rooms" / ..)
        .and(segment::<RoomId>())
        .and(warp::path!("join-request"))
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(body::json())
        .then(|room: RoomId, caller: Caller, services: Arc<Services>, request: PutJoinRequest| async move {
            done(services.join_requests.ask(caller, room, request).await)
        });
    let waiting = warp::path!("v1" / "account" / "join-requests")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.join_requests.waiting(caller).await)
        });
    let answered = warp::path!("v1" / "rooms" / ..)
        .and(segment::<RoomId>())
        .and(warp::path!("join-requests" / ..))
        .and(segment::<AccountId>())
        .and(warp::path::end())
        .and(warp::delete())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|room: RoomId, account: AccountId, caller: Caller, services: Arc<Services>| async move {
            done(services.join_requests.forget(caller, room, account).await)
        });
    ask.or(waiting).unify().or(answered).unify().boxed()
}
