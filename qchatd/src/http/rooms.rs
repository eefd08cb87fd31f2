//! Rooms and invitations.

use std::sync::Arc;

use http::StatusCode;
use qchat_proto::{ids::RoomId, wire::api::CreateRoom};
use warp::{Filter, filters::BoxedFilter, reply::Response};

use super::{answer, bearer, body, done, segment, with};
use crate::service::{Services, sessions::Caller};

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let create = warp::path!("v1" / "rooms")
        .and(warp::post())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(body::json())
        .then(|caller: Caller, services: Arc<Services>, request: CreateRoom| async move {
            answer(StatusCode::CREATED, services.rooms.create(caller, request.room_id).await)
        });
    let list = warp::path!("v1" / "rooms")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.rooms.list(caller).await)
        });
    let show = warp::path!("v1" / "rooms" / ..)
        .and(segment::<RoomId>())
        .and(warp::path::end())
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|room: RoomId, caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.rooms.room(caller, room).await)
        });
    let invitation = warp::path!("v1" / "rooms" / ..)
        .and(segment::<RoomId>())
        .and(warp::path!("invitation"))
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|room: RoomId, caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.rooms.invitation(caller, room).await)
        });
    let join = warp::path!("v1" / "rooms" / ..)
        .and(segment::<RoomId>())
        .and(warp::path!("join"))
        .and(warp::post())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|room: RoomId, caller: Caller, services: Arc<Services>| async move {
            done(services.relay.join(room, caller.device).await)
        });
    let decline = warp::path!("v1" / "rooms" / ..)
        .and(segment::<RoomId>())
        .and(warp::path!("decline"))
        .and(warp::post())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|room: RoomId, caller: Caller, services: Arc<Services>| async move {
            done(services.relay.decline(room, caller.device).await)
        });
    create
        .or(list)
        .unify()
        .or(show)
        .unify()
        .or(invitation)
        .unify()
        .or(join)
        .unify()
        .or(decline)
        .unify()
        .boxed()
}
