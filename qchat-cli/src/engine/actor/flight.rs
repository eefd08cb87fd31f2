//! What was published in a room and is not answered yet: the room sends nothing else until it is.

use qchat_proto::ids::{MessageId, RoomId, Seq};

use super::{Actor, End, Step};
use crate::{
    engine::{core::Input, types::Event},
    net::socket::Socket,
};

/// What is under way in a room.
#[derive(Debug)]
pub(super) struct Flight {
    /// How many answers are to come.
    left: usize,
    /// What was accepted and is not stored yet: one transaction does for all.
    accepted: Vec<(MessageId, Seq)>,
    /// Whether something was refused in a way that only something new can change.
    held: bool,
}

impl Actor {
    /// So many rows of a room are on their way.
    pub(super) fn take_off(&mut self, room: RoomId, rows: usize) {
        self.flights.insert(room, Flight { left: rows, accepted: vec![], held: false });
    }

    /// The daemon has one of them.
    pub(super) async fn accepted(
        &mut self,
        socket: &mut Socket,
        room: RoomId,
        (id, seq): (MessageId, Seq),
    ) -> Step {
        match self.flights.get_mut(&room) {
            Some(flight) => flight.accepted.push((id, seq)),
            // Answered after the room has gone on: it was sent once more, and has that answer, too.
            None => self.steps.accepted(room, vec![(id, seq)]).await?,
        }
        self.answered(socket, room).await
    }

    /// One of them has its answer; after the last the room goes on.
    pub(super) async fn answered(&mut self, socket: &mut Socket, room: RoomId) -> Step {
        let Some(flight) = self.flights.get_mut(&room) else { return Ok(()) };
        flight.left = flight.left.saturating_sub(1);
        if flight.left > 0 {
            return Ok(());
        }
        let held = flight.held;
        self.store_accepted(room).await?;
        self.flights.remove(&room);
        self.feed(socket, if held { Input::Held(room) } else { Input::Answered(room) }).await
    }

    /// One of them has an answer that only something new can change.
    pub(super) async fn hold(&mut self, socket: &mut Socket, room: RoomId) -> Step {
        if let Some(flight) = self.flights.get_mut(&room) {
            flight.held = true;
        }
        self.answered(socket, room).await
    }

    /// The room waits for a while before it sends again.
    pub(super) async fn back_off(&mut self, socket: &mut Socket, room: RoomId) -> Step {
        self.flights.remove(&room);
        self.feed(socket, Input::BackOff(room)).await
    }

    /// Stores what was accepted up to now: before anything that was refused after it.
    pub(super) async fn store_accepted(&mut self, room: RoomId) -> Result<(), End> {
        let Some(flight) = self.flights.get_mut(&room) else { return Ok(()) };
        let accepted = std::mem::take(&mut flight.accepted);
        if !accepted.is_empty() {
            self.steps.accepted(room, accepted).await?;
            self.tell(Event::Timeline(room));
        }
        Ok(())
    }
}
