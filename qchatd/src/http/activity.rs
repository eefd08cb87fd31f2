//! What was done to one's own account.

use std::sync::Arc;

use http::StatusCode;
use qchat_proto::wire::fault::{Fault, FaultCode};
use serde::Deserialize;
use warp::{Filter, Rejection, filters::BoxedFilter, reply::Response};

use super::{Refusal, answer, bearer, with};
use crate::service::{Services, sessions::Caller};

/// Which page.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Page {
    before: Option<u64>,
    #[serde(default)]
    limit: u32,
}

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    warp::path!("v1" / "account" / "activity")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(page())
        .then(|caller: Caller, services: Arc<Services>, page: Page| async move {
            answer(StatusCode::OK, services.audit.activity(&caller, page.before, page.limit).await)
        })
        .boxed()
}

fn page() -> impl Filter<Extract = (Page,), Error = Rejection> + Copy {
    let read = warp::query::<Page>().map(Some).or(warp::any().map(|| None)).unify();
    read.and_then(|page: Option<Page>| async move {
        page.ok_or_else(|| {
            Refusal::reject(Fault::new(
                FaultCode::BadRequest,
                "an address of this kind says before=NUMBER, limit=NUMBER or neither",
            ))
        })
    })
}
