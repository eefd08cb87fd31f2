//! What people who hold an invite link ask the members of its room: kept until one of them has answered. Whether somebody holds one
//! only members can tell, so that anybody may ask who knows the room's id, once.

use qchat_proto::{
    identity::JoinRequest as Said,
    ids::{AccountId, RoomId},
    wire::{
        api::{JoinRequests as Waiting, PutJoinRequest, WaitingJoinRequest},
        fault::FaultCode,
        limits,
    },
};

use super::{ServiceError, now_sql, sessions::Caller};
use crate::{
    bus::Bus,
    store::{
        Store,
        join_requests::{self, JoinRequest},
        rooms::{self, Standing},
    },
};

/// Keeps requests and shows them to members.
pub struct JoinRequests {
    store: Store,
    bus: Bus,
}

fn no_room() -> ServiceError {
    ServiceError::refuse(FaultCode::NotFound, "there is no such room")
}

impl JoinRequests {
    pub(super) fn new(store: Store, bus: Bus) -> Self {
        Self { store, bus }
    }

    /// Keeps what the caller asks the members of a room, in the place of what its account asked before, and tells them.
    ///
    /// # Errors
    /// `bad_request` for something of another size; `not_found`; `rate_limited` when too many wait there already.
    pub async fn ask(
        &self,
        caller: Caller,
        room: RoomId,
        request: PutJoinRequest,
    ) -> Result<(), ServiceError> {
        if request.request.as_ref().len() != Said::SIZE {
            return Err(ServiceError::refuse(
                FaultCode::BadRequest,
                format!("a join request has {} bytes", Said::SIZE),
            ));
        }
        let request = JoinRequest { room, account: caller.account, request: request.request.0.into() };
        let members = self
            .store
            .write(move |conn| {
                rooms::state(conn, room)?.ok_or_else(no_room)?;
                join_requests::forget(conn, room, caller.account)?;
                if join_requests::count(conn, room)? >= limits::JOIN_REQUESTS {
                    return Err(ServiceError::refuse(
                        FaultCode::RateLimited,
                        "too many people ask to be let into this room; try again later",
                    ));
                }
                join_requests::put(conn, &request, now_sql())?;
                Ok::<_, ServiceError>(join_requests::who_may_answer(conn, room)?)
            })
            .await?;
        self.bus.account_changed(&members);
        Ok(())
    }

    /// What waits for an answer by the caller's device.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting(&self, caller: Caller) -> Result<Waiting, ServiceError> {
        let most = limits::JOIN_REQUESTS_AT_ONCE;
        let found = self.store.read(move |conn| join_requests::seen_by(conn, caller.device, most)).await?;
        let requests = found.into_iter().map(|found| WaitingJoinRequest {
            room_id: found.room,
            account_id: found.account,
            request: found.request.into(),
        });
        Ok(Waiting { requests: requests.collect() })
    }

    /// Forgets what an account asks: a member has answered, or it asks no more.
    ///
    /// # Errors
    /// `not_found` for whoever is neither.
    pub async fn forget(&self, caller: Caller, room: RoomId, account: AccountId) -> Result<(), ServiceError> {
        self.store
            .write(move |conn| {
                let member = rooms::member(conn, room, caller.device)?;
                if account != caller.account && member.is_none_or(|it| it.standing != Standing::Full) {
                    return Err(no_room());
                }
                Ok(join_requests::forget(conn, room, account)?)
            })
            .await
    }
}
