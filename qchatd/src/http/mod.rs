//! The REST interface: the table of routes. `qchat_proto::wire::api` documents the bodies.

mod accounts;
mod activity;
mod backups;
mod body;
mod directory;
mod farewell;
mod files;
mod gate;
mod health;
mod join_requests;
mod key_packages;
mod links;
mod notes;
mod passphrase;
mod reject;
mod rooms;
mod sessions;
mod streamed;
mod trees;

use std::{str::FromStr, sync::Arc};

use http::{StatusCode, header};
use qchat_proto::wire::{self, api::ServerInfo, fault::Fault};
use warp::{Filter, Rejection, Reply, filters::BoxedFilter, reply::Response};

pub(crate) use self::gate::{refuse, route, secure, trace};
pub use self::reject::Refusal;
pub(crate) use self::reject::fault_reply;
use crate::{
    limits::Limits,
    peer::Peer,
    service::{ServiceError, Services, audit::About, sessions::Caller},
    socket::{self, Sockets},
    store::audit::{Act, Actor, Outcome},
};

/// Everything that the daemon serves.
pub fn routes(sockets: Sockets) -> BoxedFilter<(Response,)> {
    let services = sockets.services.clone();
    let rest = health::live()
        .or(health::ready(services.clone()))
        .unify()
        .or(server(services.clone()))
        .unify()
        .or(accounts::routes(&services))
        .unify()
        .or(activity::routes(&services))
        .unify()
        .or(passphrase::routes(&services))
        .unify()
        .or(farewell::routes(&services))
        .unify()
        .or(directory::routes(&services))
        .unify()
        .or(sessions::routes(&services))
        .unify()
        .or(key_packages::routes(&services))
        .unify()
        .or(rooms::routes(&services))
        .unify()
        .or(trees::routes(&services))
        .unify()
        .or(files::routes(&services))
        .unify()
        .or(links::routes(&services))
        .unify()
        .or(backups::routes(&services))
        .unify()
        .or(notes::routes(&services))
        .unify()
        .or(join_requests::routes(&services))
        .unify();
    socket::route(sockets).map(Reply::into_response).or(rest).unify().recover(reject::recover).unify().boxed()
}

/// `GET /v1/server`.
fn server(services: Arc<Services>) -> BoxedFilter<(Response,)> {
    warp::path!("v1" / "server")
        .and(warp::get())
        .map(move || {
            warp::reply::json(&ServerInfo {
                server_id: services.server_id,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                protocol_min: *wire::VERSIONS.start(),
                protocol_max: *wire::VERSIONS.end(),
                directory_key: services.directory.key().as_bytes().to_vec().into(),
            })
            .into_response()
        })
        .boxed()
}

/// The caller, by the access token in `Authorization`; never by anything in the URL.
pub fn bearer(services: Arc<Services>) -> impl Filter<Extract = (Caller,), Error = Rejection> + Clone {
    warp::header::optional::<HeaderValueText>(header::AUTHORIZATION.as_str()).and(from()).and_then(
        move |value: Option<HeaderValueText>, from: Option<Peer>| {
            let services = services.clone();
            async move {
                // None is as bad as a forged one, and is answered alike.
                let token = value.as_ref().and_then(|value| value.0.strip_prefix("Bearer ")).unwrap_or("");
                let caller = services.sessions.authenticate(token, from.as_ref()).await;
                let caller = caller.map_err(|error| Refusal::reject(error.into_fault()))?;
                services.limits.request(caller.account).map_err(|fault| {
                    let about = About::caller(&caller, from.as_ref());
                    services.audit.note(Act::Access, Outcome::RateLimited, Actor::Account, about);
                    Refusal::reject(fault)
                })?;
                Ok::<_, Rejection>(caller)
            }
        },
    )
}

/// Who asks, as far as the accept loop knows.
fn from() -> impl Filter<Extract = (Option<Peer>,), Error = std::convert::Infallible> + Copy {
    warp::ext::optional::<Peer>()
}

/// A header's value; one that is not text counts as missing.
struct HeaderValueText(String);

impl FromStr for HeaderValueText {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// An id or name in a path. One that does not parse is no match, rather than a refusal: a refusal would hide that of the
/// route which does match. So only a route whose path and method fit may refuse.
fn segment<T: FromStr + Send + 'static>() -> impl Filter<Extract = (T,), Error = Rejection> + Copy {
    warp::path::param::<String>()
        .and_then(|text: String| async move { text.parse::<T>().map_err(|_| warp::reject::not_found()) })
}

/// Lets a request for `act` through that the limits allow its peer.
fn within(
    services: &Arc<Services>,
    limit: fn(&Limits, &Peer) -> Result<(), Fault>,
    act: Act,
) -> impl Filter<Extract = (), Error = Rejection> + Clone + use<> {
    let services = services.clone();
    from()
        .and_then(move |peer: Option<Peer>| {
            let allowed = peer.map_or(Ok(()), |peer| {
                limit(&services.limits, &peer).inspect_err(|_| {
                    services.audit.refused(act, Outcome::RateLimited, About::peer(Some(&peer)));
                })
            });
            async move { allowed.map_err(Refusal::reject) }
        })
        .untuple_one()
}

/// Gives a handler its services.
fn with<T: Clone + Send>(value: T) -> impl Filter<Extract = (T,), Error = std::convert::Infallible> + Clone {
    warp::any().map(move || value.clone())
}

/// A service's answer as a response.
fn answer<T: serde::Serialize>(status: StatusCode, result: Result<T, ServiceError>) -> Response {
    match result {
        Ok(body) => warp::reply::with_status(warp::reply::json(&body), status).into_response(),
        Err(error) => fault_reply(&error.into_fault()),
    }
}

/// As [`answer`], for requests whose success has no body: 204.
fn done(result: Result<(), ServiceError>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => fault_reply(&error.into_fault()),
    }
}
