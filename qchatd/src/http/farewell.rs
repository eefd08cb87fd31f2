//! One's own account as a whole: given out, or erased.

use std::sync::Arc;

use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use qchat_proto::{
    ids::AccountId,
    wire::api::{DeleteAccount, ExportAccount},
};
use warp::{Filter, Reply, filters::BoxedFilter, reply::Response};

use super::{answer, bearer, body, done, fault_reply, from, segment, with, within};
use crate::{
    limits::Limits,
    peer::Peer,
    service::{Services, accounts::Export, sessions::Caller},
    store::{StoreError, audit::Act},
};

/// JSON, an object a line.
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let export = warp::path!("v1" / "account" / "export")
        .and(warp::post())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(
            |caller: Caller, services: Arc<Services>, from: Option<Peer>, request: ExportAccount| async move {
                match services.accounts.export(caller, request, from.as_ref()).await {
                    Ok(export) => give(export),
                    Err(error) => fault_reply(&error.into_fault()),
                }
            },
        );
    let delete = warp::path!("v1" / "account" / "delete")
        .and(warp::post())
        .and(within(services, Limits::login, Act::DeleteAccount))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(|services: Arc<Services>, from: Option<Peer>, request: DeleteAccount| async move {
            done(services.accounts.delete(request, from.as_ref()).await)
        });
    let identity_key = warp::path!("v1" / "accounts" / ..)
        .and(segment::<AccountId>())
        .and(warp::path!("identity-key"))
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|account: AccountId, _: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.accounts.erased_identity_key(account).await)
        });
    export.or(delete).unify().or(identity_key).unify().boxed()
}

/// A response that reads a part when the one before is on its way.
fn give(export: Export) -> Response {
    let parts = stream::try_unfold(export, |mut export| async move {
        let part = export.next().await.inspect_err(|error| {
            tracing::warn!(%error, "an account was not given out to its end");
        })?;
        Ok::<_, StoreError>(part.map(|part| (part, export)))
    });
    let mut response = warp::reply::stream(parts).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, LINES);
    response
}
