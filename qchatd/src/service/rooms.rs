//! Rooms: creating them, seeing them, reading their logs. What changes one goes through the relay.

use std::sync::Arc;

use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    wire::{
        api::{MemberStatus, Room, RoomInvitation, RoomMember, Rooms as RoomList},
        fault::FaultCode,
        frame::Logged,
        limits,
    },
};

use super::{ServiceError, now_sql, sessions::Caller};
use crate::{
    bus::Bus,
    hub::Hub,
    store::{
        Database, RoomQueries, Store, StoreError, envelopes,
        rooms::{self, Audience, Member, RoomState, Span, Standing},
    },
};

/// Answers for rooms.
pub struct Rooms<D = Store> {
    store: D,
    hub: Arc<Hub>,
    bus: Bus,
}

/// A stretch of a room's log.
#[derive(Clone, Debug)]
pub struct Page {
    /// Oldest first.
    pub envelopes: Vec<Logged>,
    /// The newest seq that the reader may read.
    pub last_seq: Seq,
    /// Something that it might have read up to here is deleted; 0: nothing.
    pub deleted: Seq,
}

fn no_room() -> ServiceError {
    ServiceError::refuse(FaultCode::NotFound, "there is no such room, or it is not yours to see")
}

fn no_invitation() -> ServiceError {
    ServiceError::refuse(FaultCode::NotFound, "no invitation to this room is waiting")
}

impl<D: Database> Rooms<D> {
    /// Answers out of a database, and tells the bus of new rooms.
    pub fn new(store: D, bus: Bus) -> Self {
        Self { store, hub: bus.hub(), bus }
    }

    /// Creates a room with the caller's device as its only member. Repeating it is harmless.
    ///
    /// # Errors
    /// `conflict` when another device has created a room with this id.
    pub async fn create(&self, caller: Caller, room: RoomId) -> Result<Room, ServiceError> {
        let created = self
            .store
            .write(move |conn| {
                let member = Member {
                    device: caller.device,
                    account: caller.account,
                    standing: Standing::Full,
                    once_full: true,
                    waiting: false,
                    reads: Span { after: Seq(0), until: None },
                    past: Span::EMPTY,
                };
                let created = conn.create(room, &member, now_sql())?;
                if !created && conn.creator(room)? != Some(caller.device) {
                    return Err(ServiceError::refuse(FaultCode::Conflict, "this room id is taken"));
                }
                Ok(created)
            })
            .await?;
        if created {
            self.hub.created(room, caller.device);
            self.bus.created(room, caller.device);
        }
        self.room(caller, room).await
    }

    /// A room, as its device sees it.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn room(&self, caller: Caller, room: RoomId) -> Result<Room, ServiceError> {
        self.store
            .read(move |conn| {
                let state = conn.state(room)?.ok_or_else(no_room)?;
                let member = conn.member(room, caller.device)?.ok_or_else(no_room)?;
                let mut answer = describe(room, state, &member);
                if member.follows() {
                    answer.members = conn.followers(room)?.iter().map(describe_member).collect();
                }
                Ok(answer)
            })
            .await
    }

    /// The rooms whose new envelopes a device receives.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audience(&self, device: DeviceId) -> Result<Audience, ServiceError> {
        let mut audiences = self.store.read(move |conn| conn.audiences(&[device])).await?;
        Ok(audiences.remove(&device).unwrap_or_default())
    }

    /// Envelopes after `after`, as far as the device may read; `limit` 0 leaves their number to the daemon.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn page(
        &self,
        device: DeviceId,
        room: RoomId,
        after: Seq,
        limit: u32,
    ) -> Result<Page, ServiceError> {
        let limit = if limit == 0 { limits::PAGE_ENVELOPES } else { limit.min(limits::PAGE_ENVELOPES) };
        self.store
            .read(move |conn| {
                // First the end of the log, then the place: see `envelopes::page`.
                let bound = conn.state(room)?.ok_or_else(no_room)?.last_seq();
                let member = conn.member(room, device)?.ok_or_else(no_room)?;
                let envelopes::Page { envelopes, deleted } = conn.page(room, &member, after, bound, limit)?;
                Ok(Page { envelopes, last_seq: envelopes::last_readable(&member, bound), deleted })
            })
            .await
    }

    /// Notes how far devices have processed rooms.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn confirm(&self, confirmed: Vec<(RoomId, DeviceId, Seq)>) -> Result<(), StoreError> {
        self.store
            .write(move |conn| {
                for (room, device, seq) in confirmed {
                    conn.confirm(room, device, seq)?;
                }
                Ok(())
            })
            .await
    }
}

impl Rooms {
    /// All rooms of the calling device.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, caller: Caller) -> Result<RoomList, ServiceError> {
        self.store
            .read(move |conn| {
                let rooms = rooms::of_device(conn, caller.device)?;
                let rooms = rooms.iter().map(|(room, state, member, confirmed)| Room {
                    confirmed: Some(*confirmed),
                    ..describe(*room, *state, member)
                });
                Ok(RoomList { rooms: rooms.collect() })
            })
            .await
    }

    /// The Welcome that waits for the calling device.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn invitation(&self, caller: Caller, room: RoomId) -> Result<RoomInvitation, ServiceError> {
        self.store
            .read(move |conn| {
                let member = rooms::member(conn, room, caller.device)?.ok_or_else(no_invitation)?;
                if !member.follows() {
                    return Err(no_invitation());
                }
                let stored = rooms::welcome(conn, room, caller.device)?.ok_or_else(no_invitation)?;
                Ok(RoomInvitation {
                    room_id: room,
                    seq: stored.seq,
                    inviter: stored.inviter,
                    welcome: stored.welcome.into(),
                })
            })
            .await
    }
}

fn describe(room: RoomId, state: RoomState, member: &Member) -> Room {
    Room {
        room_id: room,
        status: status(member.standing),
        last_seq: envelopes::last_readable(member, state.last_seq()),
        commit_seq: state.commit_seq,
        confirmed: None,
        members: Vec::new(),
    }
}

fn describe_member(member: &Member) -> RoomMember {
    RoomMember { account_id: member.account, device_id: member.device, status: status(member.standing) }
}

fn status(standing: Standing) -> MemberStatus {
    match standing {
        Standing::Full => MemberStatus::Full,
        Standing::Invited => MemberStatus::Invited,
        Standing::Removed | Standing::Declined => MemberStatus::Removed,
    }
}
