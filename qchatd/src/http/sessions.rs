//! Login, refresh, logout.

use std::sync::Arc;

use http::StatusCode;
use qchat_proto::wire::api::{ChallengeRequest, Login, Refresh};
use warp::{Filter, filters::BoxedFilter, reply::Response};

use super::{answer, bearer, body, done, with, within};
use crate::{
    limits::Limits,
    service::{Services, sessions::Caller},
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
        .and(within(services, Limits::login))
        .and(with(services.clone()))
        .and(body::json())
        .then(|services: Arc<Services>, request: Login| async move {
            answer(StatusCode::OK, services.sessions.log_in(request).await)
        });
    let refresh = warp::path!("v1" / "sessions" / "refresh")
        .and(warp::post())
        .and(within(services, Limits::login))
        .and(with(services.clone()))
        .and(body::json())
        .then(|services: Arc<Services>, request: Refresh| async move {
            answer(StatusCode::OK, services.sessions.refresh(&request).await)
        });
    let log_out = warp::path!("v1" / "sessions")
        .and(warp::delete())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            done(services.sessions.log_out(caller).await)
        });
    let log_out_everywhere = warp::path!("v1" / "account" / "sessions")
        .and(warp::delete())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            done(services.sessions.log_out_everywhere(caller).await)
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
