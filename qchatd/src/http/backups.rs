//! Backups, and the way back of whoever has the recovery words.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use qchat_proto::{
    ids::DeviceId,
    wire::{
        api::{AddRecovered, Chunks, PutBackup, Recover, RecoveryChallengeRequest},
        chunk::ChunkId,
        limits,
    },
};
use warp::{Filter, Reply, filters::BoxedFilter, reply::Response};

use super::{answer, bearer, body, done, fault_reply, from, segment, with, within};
use crate::{
    limits::Limits,
    peer::Peer,
    service::{Services, sessions::Caller},
    store::audit::Act,
};

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    recovery(services).or(inside(services)).unify().boxed()
}

/// What whoever has the words may ask.
fn recovery(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let challenge = warp::path!("v1" / "recovery" / "challenge")
        .and(warp::post())
        .and(within(services, Limits::login, Act::Recover))
        .and(with(services.clone()))
        .and(body::json())
        .then(|services: Arc<Services>, request: RecoveryChallengeRequest| async move {
            answer(StatusCode::OK, services.accounts.recovery_challenge(request).await)
        });
    let look = warp::path!("v1" / "recovery")
        .and(warp::post())
        .and(within(services, Limits::login, Act::Recover))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(|services: Arc<Services>, peer: Option<Peer>, request: Recover| async move {
            answer(StatusCode::OK, services.accounts.recover(request, peer.as_ref()).await)
        });
    let add = warp::path!("v1" / "recovery" / "device")
        .and(warp::post())
        .and(within(services, Limits::login, Act::Recover))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(|services: Arc<Services>, peer: Option<Peer>, request: AddRecovered| async move {
            done(services.accounts.add_recovered(request, peer.as_ref()).await)
        });
    challenge.or(look).unify().or(add).unify().boxed()
}

/// What the account's devices ask.
fn inside(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let list = warp::path!("v1" / "account" / "backups")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.backups.list(caller).await)
        });
    let put = warp::path!("v1" / "account" / "backup")
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(|caller: Caller, services: Arc<Services>, peer: Option<Peer>, request: PutBackup| async move {
            done(services.backups.put(caller, request, peer.as_ref()).await)
        });
    let missing = warp::path!("v1" / "account" / "backup" / "missing")
        .and(warp::post())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(body::json())
        .then(|caller: Caller, services: Arc<Services>, request: Chunks| async move {
            answer(StatusCode::OK, services.backups.missing(caller, request).await)
        });
    let put_chunk = warp::path!("v1" / "account" / "backup" / "chunks" / ..)
        .and(segment::<ChunkId>())
        .and(warp::path::end())
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(body::bytes(limits::BACKUP_CHUNK))
        .then(|chunk: ChunkId, caller: Caller, services: Arc<Services>, bytes: Bytes| async move {
            done(services.backups.put_chunk(caller, chunk, bytes).await)
        });
    let chunk = warp::path!("v1" / "account" / "backups" / ..)
        .and(segment::<DeviceId>())
        .and(warp::path("chunks"))
        .and(segment::<ChunkId>())
        .and(warp::path::end())
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|device: DeviceId, chunk: ChunkId, caller: Caller, services: Arc<Services>| async move {
            match services.backups.chunk(caller, device, chunk).await {
                Ok(bytes) => {
                    let mut response = bytes.into_response();
                    let kind = HeaderValue::from_static("application/octet-stream");
                    response.headers_mut().insert(header::CONTENT_TYPE, kind);
                    response
                }
                Err(error) => fault_reply(&error.into_fault()),
            }
        });
    let delete = warp::path!("v1" / "account" / "backups" / ..)
        .and(segment::<DeviceId>())
        .and(warp::path::end())
        .and(warp::delete())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(from())
        .then(|device: DeviceId, caller: Caller, services: Arc<Services>, peer: Option<Peer>| async move {
            done(services.backups.delete(caller, device, peer.as_ref()).await)
        });
    list.or(put)
        .unify()
        .or(missing)
        .unify()
        .or(put_chunk)
        .unify()
        .or(chunk)
        .unify()
        .or(delete)
        .unify()
        .boxed()
}
