//! The key directory: its head, how it has grown, and what it has said of an account.

use std::sync::Arc;

use http::StatusCode;
use qchat_proto::{
    ids::AccountId,
    wire::fault::{Fault, FaultCode},
};
use warp::{Filter, Rejection, filters::BoxedFilter, reply::Response};

use super::{Refusal, answer, bearer, segment, with};
use crate::service::{Services, directory::HISTORY, sessions::Caller};

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let head = warp::path!("v1" / "directory" / "head")
        .and(warp::get())
        .and(asked())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|asked: Asked, _: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.directory.head(asked.since).await)
        });
    let audit = warp::path!("v1" / "directory" / "audit")
        .and(warp::get())
        .and(asked())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|asked: Asked, _: Caller, services: Arc<Services>| async move {
            let to = asked.to.unwrap_or(u64::MAX);
            answer(StatusCode::OK, services.directory.growth(asked.from.unwrap_or(0), to).await)
        });
    let history = warp::path!("v1" / "accounts" / ..)
        .and(segment::<AccountId>())
        .and(warp::path!("history"))
        .and(warp::get())
        .and(asked())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|account: AccountId, asked: Asked, _: Caller, services: Arc<Services>| async move {
            let recent = asked.recent.unwrap_or(HISTORY).clamp(1, HISTORY);
            answer(StatusCode::OK, services.directory.history(account, recent, asked.since).await)
        });
    head.or(audit).unify().or(history).unify().boxed()
}

/// What stands after the question mark.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked {
    /// The epoch of the newest head that the client has.
    pub(super) since: Option<u64>,
    from: Option<u64>,
    to: Option<u64>,
    recent: Option<u16>,
}

/// Reads the query; what is not known in it counts for nothing.
pub(super) fn asked() -> impl Filter<Extract = (Asked,), Error = Rejection> + Copy {
    warp::query::raw().or(warp::any().map(String::new)).unify().and_then(|query: String| async move {
        read(&query).ok_or_else(|| {
            Refusal::reject(Fault::new(FaultCode::BadRequest, "since, from, to and recent are numbers"))
        })
    })
}

fn read(query: &str) -> Option<Asked> {
    let mut asked = Asked::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "since" => asked.since = Some(value.parse().ok()?),
            "from" => asked.from = Some(value.parse().ok()?),
            "to" => asked.to = Some(value.parse().ok()?),
            "recent" => asked.recent = Some(value.parse().ok()?),
            _ => {}
        }
    }
    Some(asked)
}
