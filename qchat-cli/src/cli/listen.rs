//! The command that prints messages as they arrive.

use std::collections::HashMap;

use qchat_proto::ids::RoomId;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::broadcast::error::RecvError,
};

use super::{
    Context,
    failure::{Failure, Outcome},
    json::is_settled,
    messages::{self, Show},
    open,
};
use crate::{
    engine::{
        EngineError, Handle,
        types::{Connection, Event, RoomStatus},
    },
    store::{Profile, StoreError},
};

/// Lines that are read at once.
const PAGE: usize = 200;

/// What has been printed: the last row of each room that was there at the start.
type Printed = HashMap<RoomId, i64>;

pub(super) async fn listen(context: &Context, rooms: &[String], ids: bool, limit: Option<usize>) -> Outcome {
    let profile = open::profile(context).await?;
    // Read before the engine connects: whatever it fetches is new.
    let printed = stored(&profile).await?;
    open::on_profile(context, profile, async |handle| {
        let mut only = Vec::new();
        for room in rooms {
            only.push(open::room(handle, room).await?);
        }
        let left = limit.unwrap_or(usize::MAX);
        let mut listener = Listener { context, handle, only, ids, printed, left };
        listener.run().await
    })
    .await
}

/// The last line of each room that is in the log and processed, changes of others among them.
async fn stored(profile: &Profile) -> Outcome<Printed> {
    let rows = profile.read_async(|tx| {
        let mut printed = Printed::new();
        for room in tx.rooms()? {
            let room = room.state.room;
            if let Some(row) = tx.last_settled_row(room)? {
                printed.insert(room, row);
            }
        }
        Ok::<_, StoreError>(printed)
    });
    Ok(rows.await.map_err(EngineError::from)?)
}

struct Listener<'a> {
    context: &'a Context,
    handle: &'a Handle,
    /// The rooms to listen to; all when empty.
    only: Vec<RoomId>,
    ids: bool,
    printed: Printed,
    /// How many messages are still to be printed.
    left: usize,
}

impl Listener<'_> {
    async fn run(&mut self) -> Outcome {
        let mut events = self.handle.events();
        let failed = |error| Failure::unexpected(format!("signals cannot be received: {error}"));
        let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hung_up = signal(SignalKind::hangup()).map_err(failed)?;
        self.print_all().await?;
        while self.left > 0 {
            let event = tokio::select! {
                _ = interrupted.recv() => return Ok(()),
                _ = terminated.recv() => return Ok(()),
                _ = hung_up.recv() => return Ok(()),
                event = events.recv() => event,
            };
            match event {
                Ok(Event::Timeline(room)) => self.print(room).await?,
                Ok(Event::Connection(Connection::Offline(why))) => {
                    self.context.output.say(&format!("offline: {why}"));
                }
                Ok(
                    Event::Changed(_)
                    | Event::Deleted
                    | Event::Rooms
                    | Event::Devices
                    | Event::Connection(Connection::Connecting | Connection::Online(_)),
                ) => {}
                Ok(Event::Trouble(sentence)) => self.context.output.say(&format!("warning: {sentence}")),
                Err(RecvError::Lagged(_)) => self.print_all().await?,
                Err(RecvError::Closed) => return Err(EngineError::Stopped.into()),
            }
        }
        Ok(())
    }

    async fn print_all(&mut self) -> Outcome {
        for room in self.handle.rooms().await? {
            if room.status != RoomStatus::Invited {
                self.print(room.id).await?;
            }
        }
        Ok(())
    }

    /// Prints what is new in a room.
    async fn print(&mut self, room: RoomId) -> Outcome {
        if !self.only.is_empty() && !self.only.contains(&room) {
            return Ok(());
        }
        let mixed = self.only.len() != 1;
        let mut name = None;
        loop {
            let after = self.printed.get(&room).copied().unwrap_or(0);
            let page = self.handle.settled_after(room, after, PAGE).await?;
            let full = page.len() == PAGE;
            for message in page {
                if self.left == 0 {
                    return Ok(());
                }
                self.printed.insert(room, message.row);
                if !is_settled(&message) {
                    continue;
                }
                if name.is_none() {
                    name = Some(messages::name(self.handle, room).await?);
                }
                let show = Show { mixed, ids: self.ids };
                messages::print(self.context, &message, name.as_deref().unwrap_or_default(), show)?;
                if message.is_said() && message.marks.change.is_none() {
                    self.left -= 1;
                }
            }
            if !full {
                return Ok(());
            }
        }
    }
}
