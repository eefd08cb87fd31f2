//! New devices, and what an account's devices know of one another.

use std::sync::Arc;

use http::{StatusCode, header};
use qchat_proto::{
    ids::LinkId,
    wire::api::{OpenLink, PutAnswer, PutLabel, PutOpening, SaltRequest},
};
use warp::{Filter, Rejection, filters::BoxedFilter, reply::Response};

use super::{HeaderValueText, answer, bearer, body, done, from, segment, with, within};
use crate::{
    limits::Limits,
    peer::Peer,
    service::{Services, links::LinkToken, sessions::Caller},
    store::audit::Act,
};

/// The token of a link, as it stands in `Authorization`; no access token is one.
fn link() -> impl Filter<Extract = (LinkToken,), Error = Rejection> + Clone {
    warp::header::optional::<HeaderValueText>(header::AUTHORIZATION.as_str()).map(
        |value: Option<HeaderValueText>| {
            LinkToken::read(value.as_ref().and_then(|value| value.0.strip_prefix("Bearer ")).unwrap_or(""))
        },
    )
}

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    outside(services).or(inside(services)).unify().boxed()
}

/// What a device may ask that belongs to no account yet.
fn outside(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let salt = warp::path!("v1" / "links" / "salt")
        .and(warp::post())
        .and(within(services, Limits::login, Act::LinkDevice))
        .and(with(services.clone()))
        .and(body::json())
        .then(|services: Arc<Services>, request: SaltRequest| async move {
            answer(StatusCode::OK, services.links.salt(request.name).await)
        });
    let open = warp::path!("v1" / "links")
        .and(warp::post())
        .and(within(services, Limits::login, Act::LinkDevice))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(|services: Arc<Services>, peer: Option<Peer>, request: OpenLink| async move {
            answer(StatusCode::CREATED, services.links.open(request, peer.as_ref()).await)
        });
    let state = warp::path!("v1" / "link").and(warp::get()).and(link()).and(with(services.clone())).then(
        |token: LinkToken, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.links.state(token).await)
        },
    );
    let opening = warp::path!("v1" / "link" / "opening")
        .and(warp::put())
        .and(link())
        .and(with(services.clone()))
        .and(body::json())
        .then(|token: LinkToken, services: Arc<Services>, request: PutOpening| async move {
            done(services.links.put_opening(token, request.opening).await)
        });
    let confirm = warp::path!("v1" / "link" / "confirm")
        .and(warp::post())
        .and(link())
        .and(with(services.clone()))
        .then(|token: LinkToken, services: Arc<Services>| async move {
            done(services.links.confirm(token).await)
        });
    let cancel = warp::path!("v1" / "link").and(warp::delete()).and(link()).and(with(services.clone())).then(
        |token: LinkToken, services: Arc<Services>| async move { done(services.links.cancel(token).await) },
    );
    salt.or(open).unify().or(state).unify().or(opening).unify().or(confirm).unify().or(cancel).unify().boxed()
}

/// What the account's devices ask.
fn inside(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let pending = warp::path!("v1" / "account" / "link")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.links.pending(caller).await)
        });
    let answering = warp::path!("v1" / "account" / "link" / "answer")
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(body::json())
        .then(|caller: Caller, services: Arc<Services>, request: PutAnswer| async move {
            done(services.links.answer(caller, request).await)
        });
    let refuse = warp::path!("v1" / "account" / "link" / ..)
        .and(segment::<LinkId>())
        .and(warp::path::end())
        .and(warp::delete())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|link: LinkId, caller: Caller, services: Arc<Services>| async move {
            done(services.links.refuse(caller, link).await)
        });
    let grant = warp::path!("v1" / "account" / "grant")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.links.grant(caller).await)
        });
    let take = warp::path!("v1" / "account" / "grant")
        .and(warp::delete())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            done(services.links.take_grant(caller).await)
        });
    let devices = warp::path!("v1" / "account" / "devices")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.links.devices(caller).await)
        });
    let label = warp::path!("v1" / "account" / "label")
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(body::json())
        .then(|caller: Caller, services: Arc<Services>, request: PutLabel| async move {
            done(services.links.put_label(caller, request.label).await)
        });
    pending
        .or(answering)
        .unify()
        .or(refuse)
        .unify()
        .or(grant)
        .unify()
        .or(take)
        .unify()
        .or(devices)
        .unify()
        .or(label)
        .unify()
        .boxed()
}
