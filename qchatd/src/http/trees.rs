//! Ratchet trees: bodies of megabytes that are bytes and no JSON, taken and given out part by part.

use std::sync::Arc;

use futures_util::stream;
use http::{HeaderValue, header};
use qchat_proto::{
    ids::{RoomId, Seq},
    wire::{limits, tree::TreeHash},
};
use warp::{Filter, Reply, filters::BoxedFilter, reply::Response};

use super::{bearer, done, fault_reply, segment, streamed, streamed::Body, with};
use crate::{
    service::{ServiceError, Services, sessions::Caller, trees::too_large},
    store::trees::StoredTree,
};

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let put = warp::path!("v1" / "rooms" / ..)
        .and(segment::<RoomId>())
        .and(warp::path("trees"))
        .and(segment::<TreeHash>())
        .and(warp::path::end())
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(warp::header::optional::<u64>(header::CONTENT_LENGTH.as_str()))
        .and(streamed::body())
        .then(take);
    let of_welcome = warp::path!("v1" / "rooms" / ..)
        .and(segment::<RoomId>())
        .and(warp::path("invitation"))
        .and(segment::<u64>())
        .and(warp::path!("tree"))
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|room: RoomId, seq: u64, caller: Caller, services: Arc<Services>| async move {
            match services.trees.of_welcome(caller, room, Seq(seq)).await {
                Ok(tree) => give(services, tree),
                Err(error) => fault_reply(&error.into_fault()),
            }
        });
    put.or(of_welcome).unify().boxed()
}

async fn take(
    room: RoomId,
    hash: TreeHash,
    caller: Caller,
    services: Arc<Services>,
    length: Option<u64>,
    mut body: Body,
) -> Response {
    let taken = streamed::whole(store(room, hash, caller, &services, length, &mut body)).await;
    if taken.is_err() {
        streamed::refused(&mut body).await;
    }
    done(taken)
}

async fn store(
    room: RoomId,
    hash: TreeHash,
    caller: Caller,
    services: &Services,
    length: Option<u64>,
    body: &mut Body,
) -> Result<(), ServiceError> {
    if length.is_some_and(|length| length > limits::RATCHET_TREE as u64) {
        return Err(too_large());
    }
    let Some(mut upload) = services.trees.begin(caller, room, hash).await? else {
        streamed::read_away(body).await;
        return Ok(());
    };
    while let Some(part) = streamed::next(body).await? {
        upload.push(&part).await?;
    }
    upload.finish().await
}

/// A response that reads a part when the one before is on its way.
fn give(services: Arc<Services>, tree: StoredTree) -> Response {
    let parts = stream::try_unfold((services, 0_u64, 0_i32), move |(services, given, number)| async move {
        if given >= tree.size {
            return Ok(None);
        }
        let part = services.trees.part(tree.id, number).await.inspect_err(|error| {
            tracing::warn!(%error, "a tree was not given out to its end");
        })?;
        let given = given + part.len() as u64;
        Ok::<_, crate::store::StoreError>(Some((part, (services, given, number + 1))))
    });
    let mut response = warp::reply::stream(parts).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(tree.size));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}
