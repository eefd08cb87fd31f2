//! What arrives, told to whoever listens: each message once, in the order of its room, and what else there is to say.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

use qchat_proto::ids::{AccountId, RoomId, UserName};
use tokio::sync::broadcast::error::RecvError;

use super::{failure::Outcome, json::is_settled, messages};
use crate::{
    engine::{
        EngineError, Handle, Presence,
        types::{Connection, Event, Message, RoomStatus},
    },
    store::{Profile, StoreError},
};

/// Lines that are read at once.
const PAGE: usize = 200;

/// What was told: the last row of each room. Rooms that are not in it are told from their beginning. Clones share it: whoever
/// stops to listen and begins again goes on where it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<HashMap<RoomId, i64>>>);

impl Seen {
    /// All that a profile has and has processed, changes of earlier messages among it.
    pub(super) async fn stored(profile: &Profile) -> Outcome<Self> {
        let rows = profile.read_async(|tx| {
            let mut seen = HashMap::new();
            for room in tx.rooms()? {
                let room = room.state.room;
                if let Some(row) = tx.last_settled_row(room)? {
                    seen.insert(room, row);
                }
            }
            Ok::<_, StoreError>(Self::of(seen))
        });
        Ok(rows.await.map_err(EngineError::from)?)
    }

    /// All that an open engine has and has processed.
    pub(super) async fn now(handle: &Handle) -> Outcome<Self> {
        let mut seen = HashMap::new();
        for room in handle.rooms().await? {
            if let Some(row) = handle.last_settled(room.id).await? {
                seen.insert(room.id, row);
            }
        }
        Ok(Self::of(seen))
    }

    fn of(rows: HashMap<RoomId, i64>) -> Self {
        Self(Arc::new(Mutex::new(rows)))
    }

    /// The last row of a room that was told; 0 before there is one.
    pub(super) fn row(&self, room: RoomId) -> i64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&room).copied().unwrap_or(0)
    }

    fn tell(&self, room: RoomId, row: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(room, row);
    }
}

/// What is told.
#[derive(Debug)]
pub(super) enum News<'a> {
    /// A line that nothing can move any more; a change of an earlier message is that message as it is now.
    Line {
        /// The line.
        message: &'a Message,
        /// Its room's name.
        room: &'a str,
    },
    /// Whether somebody is there has changed.
    Presence(&'a Presence),
    /// Who writes in a room has changed.
    Writing {
        /// The room.
        id: RoomId,
        /// Its name.
        room: &'a str,
        /// All who do.
        users: &'a [UserName],
    },
    /// The connection has changed.
    Connection(&'a Connection),
    /// Something went wrong: a sentence.
    Trouble(&'a str),
}

/// Somebody who listens.
pub(super) struct Follower<'a> {
    /// The engine.
    pub(super) handle: &'a Handle,
    /// The rooms to listen to; all when empty.
    pub(super) only: Vec<RoomId>,
    /// What was told.
    pub(super) seen: Seen,
}

impl Follower<'_> {
    /// Tells what is there and what comes, until `tell` has had enough.
    pub(super) async fn run(
        &mut self,
        mut tell: impl AsyncFnMut(News<'_>) -> Outcome<ControlFlow<()>>,
    ) -> Outcome {
        let mut events = self.handle.events();
        let mut told = self.tell_all(&mut tell).await?;
        while told.is_continue() {
            told = match events.recv().await {
                Ok(Event::Timeline(room)) => self.tell_room(room, &mut tell).await?,
                Ok(Event::Connection(connection)) => tell(News::Connection(&connection)).await?,
                Ok(Event::Presence(account)) => self.tell_presence(account, &mut tell).await?,
                Ok(Event::Writing(room)) => self.tell_writing(room, &mut tell).await?,
                Ok(Event::Trouble(sentence)) => tell(News::Trouble(&sentence)).await?,
                Ok(
                    Event::Sent(..)
                    | Event::Changed(_)
                    | Event::Deleted
                    | Event::Rooms
                    | Event::Read(_)
                    | Event::Devices,
                ) => ControlFlow::Continue(()),
                Err(RecvError::Lagged(_)) => self.tell_all(&mut tell).await?,
                Err(RecvError::Closed) => return Err(EngineError::Stopped.into()),
            };
        }
        Ok(())
    }

    async fn tell_all(
        &mut self,
        tell: &mut impl AsyncFnMut(News<'_>) -> Outcome<ControlFlow<()>>,
    ) -> Outcome<ControlFlow<()>> {
        for room in self.handle.rooms().await? {
            if room.status != RoomStatus::Invited && self.tell_room(room.id, tell).await?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn tell_presence(
        &self,
        account: AccountId,
        tell: &mut impl AsyncFnMut(News<'_>) -> Outcome<ControlFlow<()>>,
    ) -> Outcome<ControlFlow<()>> {
        let all = self.handle.presences().await?;
        match all.iter().find(|presence| presence.account == account) {
            Some(presence) => tell(News::Presence(presence)).await,
            None => Ok(ControlFlow::Continue(())),
        }
    }

    async fn tell_writing(
        &self,
        id: RoomId,
        tell: &mut impl AsyncFnMut(News<'_>) -> Outcome<ControlFlow<()>>,
    ) -> Outcome<ControlFlow<()>> {
        if !self.only.is_empty() && !self.only.contains(&id) {
            return Ok(ControlFlow::Continue(()));
        }
        let users = self.handle.writers(id).await?;
        let room = messages::name(self.handle, id).await?;
        tell(News::Writing { id, room: &room, users: &users }).await
    }

    /// Tells what is new in a room.
    async fn tell_room(
        &mut self,
        room: RoomId,
        tell: &mut impl AsyncFnMut(News<'_>) -> Outcome<ControlFlow<()>>,
    ) -> Outcome<ControlFlow<()>> {
        if !self.only.is_empty() && !self.only.contains(&room) {
            return Ok(ControlFlow::Continue(()));
        }
        let mut name = None;
        loop {
            let after = self.seen.row(room);
            let page = self.handle.settled_after(room, after, PAGE).await?;
            let full = page.len() == PAGE;
            for message in page {
                self.seen.tell(room, message.row);
                if !is_settled(&message) {
                    continue;
                }
                if name.is_none() {
                    name = Some(messages::name(self.handle, room).await?);
                }
                let room = name.as_deref().unwrap_or_default();
                if (*tell)(News::Line { message: &message, room }).await?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if !full {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }
}
