//! What the core of the relay asks of a database, and all that it asks: to order, page and fan out it needs no more, so
//! that whatever keeps to this can stand in for one. The simulation's store does, and is told the databases' own story.

use std::collections::BTreeMap;

use qchat_proto::ids::{DeviceId, RoomId, Seq};

use super::{
    Connection, Store, StoreError,
    envelopes::{self, Entry},
    relay::{self, Changes, Snapshot, Wanted},
    rooms::{self, Audience, Member, RoomState},
};

/// A database, as a handle that is cheap to clone.
pub trait Database: Clone + Send + Sync + 'static {
    /// What queries run on.
    type Connection: RoomQueries;

    /// Runs queries that change nothing. Others may commit between any two of them.
    ///
    /// # Errors
    /// What `query` returns, and [`StoreError`] when the database cannot be asked.
    fn read<T, E, F>(&self, query: F) -> impl Future<Output = Result<T, E>> + Send
    where
        F: FnOnce(&mut Self::Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static;

    /// Runs queries in one transaction; returns after it is durable.
    ///
    /// # Errors
    /// What `query` returns, which rolls its changes back; and [`StoreError`] when the commit fails, or when nobody knows
    /// whether it did.
    fn write<T, E, F>(&self, query: F) -> impl Future<Output = Result<T, E>> + Send
    where
        F: FnOnce(&mut Self::Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static;
}

/// The queries about rooms and their logs, each as the function of `store` that it is named after says.
pub trait RoomQueries {
    /// [`relay::load`].
    fn load(&mut self, wanted: &Wanted) -> Result<Snapshot, StoreError>;
    /// [`relay::save`].
    fn save(&mut self, changes: &Changes, now: i64) -> Result<(), StoreError>;

    /// [`rooms::create`].
    fn create(&mut self, room: RoomId, creator: &Member, now: i64) -> Result<bool, StoreError>;
    /// [`rooms::creator`].
    fn creator(&mut self, room: RoomId) -> Result<Option<DeviceId>, StoreError>;
    /// [`rooms::state`].
    fn state(&mut self, room: RoomId) -> Result<Option<RoomState>, StoreError>;
    /// [`rooms::member`].
    fn member(&mut self, room: RoomId, device: DeviceId) -> Result<Option<Member>, StoreError>;
    /// [`rooms::followers`].
    fn followers(&mut self, room: RoomId) -> Result<Vec<Member>, StoreError>;
    /// [`rooms::places`].
    fn places(&mut self, room: RoomId, asked: &[DeviceId]) -> Result<Vec<Member>, StoreError>;
    /// [`rooms::audiences`].
    fn audiences(&mut self, asked: &[DeviceId]) -> Result<BTreeMap<DeviceId, Audience>, StoreError>;
    /// [`rooms::audience_versions`].
    fn audience_versions(&mut self, asked: &[DeviceId]) -> Result<Vec<(DeviceId, u64)>, StoreError>;
    /// [`rooms::ahead`].
    fn ahead(&mut self, known: &[(RoomId, Seq)]) -> Result<Vec<RoomId>, StoreError>;
    /// [`rooms::confirm`].
    fn confirm(&mut self, room: RoomId, device: DeviceId, seq: Seq) -> Result<(), StoreError>;

    /// [`envelopes::page`].
    fn page(
        &mut self,
        room: RoomId,
        reader: &Member,
        after: Seq,
        bound: Seq,
        limit: u32,
    ) -> Result<envelopes::Page, StoreError>;
    /// [`envelopes::following`].
    fn following(
        &mut self,
        known: &BTreeMap<RoomId, Seq>,
        each: u32,
        bytes: usize,
    ) -> Result<(Vec<Entry>, Vec<RoomId>), StoreError>;
}

impl Database for Store {
    type Connection = Connection;

    fn read<T, E, F>(&self, query: F) -> impl Future<Output = Result<T, E>> + Send
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        Self::read(self, query)
    }

    fn write<T, E, F>(&self, query: F) -> impl Future<Output = Result<T, E>> + Send
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        Self::write(self, query)
    }
}

impl RoomQueries for Connection {
    fn load(&mut self, wanted: &Wanted) -> Result<Snapshot, StoreError> {
        relay::load(self, wanted)
    }

    fn save(&mut self, changes: &Changes, now: i64) -> Result<(), StoreError> {
        relay::save(self, changes, now)
    }

    fn create(&mut self, room: RoomId, creator: &Member, now: i64) -> Result<bool, StoreError> {
        rooms::create(self, room, creator, now)
    }

    fn creator(&mut self, room: RoomId) -> Result<Option<DeviceId>, StoreError> {
        rooms::creator(self, room)
    }

    fn state(&mut self, room: RoomId) -> Result<Option<RoomState>, StoreError> {
        rooms::state(self, room)
    }

    fn member(&mut self, room: RoomId, device: DeviceId) -> Result<Option<Member>, StoreError> {
        rooms::member(self, room, device)
    }

    fn followers(&mut self, room: RoomId) -> Result<Vec<Member>, StoreError> {
        rooms::followers(self, room)
    }

    fn places(&mut self, room: RoomId, asked: &[DeviceId]) -> Result<Vec<Member>, StoreError> {
        rooms::places(self, room, asked)
    }

    fn audiences(&mut self, asked: &[DeviceId]) -> Result<BTreeMap<DeviceId, Audience>, StoreError> {
        rooms::audiences(self, asked)
    }

    fn audience_versions(&mut self, asked: &[DeviceId]) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        rooms::audience_versions(self, asked)
    }

    fn ahead(&mut self, known: &[(RoomId, Seq)]) -> Result<Vec<RoomId>, StoreError> {
        rooms::ahead(self, known)
    }

    fn confirm(&mut self, room: RoomId, device: DeviceId, seq: Seq) -> Result<(), StoreError> {
        rooms::confirm(self, room, device, seq)
    }

    fn page(
        &mut self,
        room: RoomId,
        reader: &Member,
        after: Seq,
        bound: Seq,
        limit: u32,
    ) -> Result<envelopes::Page, StoreError> {
        envelopes::page(self, room, reader, after, bound, limit)
    }

    fn following(
        &mut self,
        known: &BTreeMap<RoomId, Seq>,
        each: u32,
        bytes: usize,
    ) -> Result<(Vec<Entry>, Vec<RoomId>), StoreError> {
        envelopes::following(self, known, each, bytes)
    }
}
