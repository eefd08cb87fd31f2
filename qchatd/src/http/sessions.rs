//! Login, refresh, logout.

use std::sync::Arc;

use http::StatusCode;
use qchat_proto::wire::api::{ChallengeRequest, Login, Refresh};
use warp::{Filter, filters::BoxedFilter, reply::Response};

use super::{answer, bearer, body, done, from, with, within};
use crate::{
    limits::Limits,
    peer::Peer,
    service::{Services, sessions::Caller},
    store::audit::Act,
};

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let challenge = warp::path!("v1" / "sessions" / "challenge")
        .and(warp::post())
        .and(with(services.clone()))
        .and(body::json())
        .map(|services: Arc<Services>, request: ChallengeRequest| {
            answer(StatusCode::OK, services.sessions.challenge(request.account_id, request.device_id))
        });
    let log_in = warp::path!("v1" / "sessions")
        .and(warp::post())
        .and(within(services, Limits::login, Act::SignIn))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(|services: Arc<Services>, from: Option<Peer>, request: Login| async move {
            answer(StatusCode::OK, services.sessions.log_in(request, from.as_ref()).await)
        });
    let refresh = warp::path!("v1" / "sessions" / "refresh")
        .and(warp::post())
        .and(within(services, Limits::login, Act::Refresh))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(|services: Arc<Services>, from: Option<Peer>, request: Refresh| async move {
            answer(StatusCode::OK, services.sessions.refresh(&request, from.as_ref()).await)
        });
    let log_out = warp::path!("v1" / "sessions")
        .and(warp::delete())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(from())
        .then(|caller: Caller, services: Arc<Services>, from: Option<Peer>| async move {
            done(services.sessions.log_out(caller, from.as_ref()).await)
        });
    let log_out_everywhere = warp::path!("v1" / "account" / "sessions")
        .and(warp::delete())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(from())
        .then(|caller: Caller, services: Arc<Services>, from: Option<Peer>| async move {
            done(services.sessions.log_out_everywhere(caller, from.as_ref()).await)
        });
    challenge
        .or(log_in)
        .unify()
        .or(refresh)
        .unify()
        .or(log_out)
        .unify()
        .or(log_out_everywhere)
        .unify()
        .boxed()
}
