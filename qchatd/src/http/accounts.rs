//! Accounts, the directory, device lists.

use std::sync::Arc;

use http::StatusCode;
use qchat_proto::{
    ids::{AccountId, UserName},
    wire::api::{PutDeviceList, Register},
};
use warp::{Filter, filters::BoxedFilter, reply::Response};

use super::{
    answer, bearer, body,
    directory::{Asked, asked},
    done, from, segment, with, within,
};
use crate::{
    limits::Limits,
    peer::Peer,
    service::{Services, sessions::Caller},
    store::audit::Act,
};

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let register = warp::path!("v1" / "accounts")
        .and(warp::post())
        .and(within(services, Limits::registration, Act::Register))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(|services: Arc<Services>, from: Option<Peer>, request: Register| async move {
            answer(StatusCode::CREATED, services.accounts.register(request, from.as_ref()).await)
        });
    let by_name = warp::path!("v1" / "accounts" / "by-name" / ..)
        .and(segment::<UserName>())
        .and(warp::path::end())
        .and(warp::get())
        .and(asked())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|name: UserName, asked: Asked, _: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.accounts.by_name(name, asked.since).await)
        });
    let by_id = warp::path!("v1" / "accounts" / ..)
        .and(segment::<AccountId>())
        .and(warp::path::end())
        .and(warp::get())
        .and(asked())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|account: AccountId, asked: Asked, _: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.accounts.by_id(account, asked.since).await)
        });
    let device_list = warp::path!("v1" / "account" / "device-list")
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(from())
        .and(body::json())
        .then(
            |caller: Caller, services: Arc<Services>, from: Option<Peer>, request: PutDeviceList| async move {
                done(services.accounts.replace_device_list(caller, request, from.as_ref()).await)
            },
        );
    register.or(by_name).unify().or(by_id).unify().or(device_list).unify().boxed()
}
