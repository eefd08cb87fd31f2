//! What the daemon sends, as inputs of the core.

use qchat_proto::{
    ids::{MessageId, RoomId, Seq},
    wire::{
        codec,
        fault::{Fault, FaultCode},
        frame::Logged,
        limits,
        pb::{self, server_frame},
    },
};
use tokio::time::Instant;

use super::{Actor, Asked, BACK_OFF, RACES, Step, is_passing};
use crate::{
    engine::{core::Input, error::EngineError, types::Event},
    net::{NetError, socket::Socket},
};

impl Actor {
    pub(super) async fn frame(&mut self, socket: &mut Socket, frame: server_frame::Body) -> Step {
        match frame {
            server_frame::Body::Deliver(deliver) => {
                let room = room_id(&deliver.room_id)?;
                let Some(logged) = deliver.logged else { return Err(malformed().into()) };
                self.feed(socket, Input::Delivered(room, logged_from(logged))).await
            }
            server_frame::Body::Behind(behind) => {
                let room = room_id(&behind.room_id)?;
                self.feed(socket, Input::Behind(room, Seq(behind.last_seq))).await
            }
            server_frame::Body::RoomHint(_) => {
                let rooms = self.list_rooms().await?;
                for (room, cursor, newest) in rooms {
                    if !self.core.follows(room) {
                        self.feed(socket, Input::Joined(room, cursor)).await?;
                    }
                    self.feed(socket, Input::Behind(room, newest)).await?;
                }
                self.tell(Event::Rooms);
                Ok(())
            }
            server_frame::Body::AccountHint(_) => {
                self.start_upkeep();
                self.tell(Event::Devices);
                Ok(())
            }
            server_frame::Body::Ephemeral(frame) => self.heard(frame).await,
            server_frame::Body::Page(page) => self.page(socket, page).await,
            server_frame::Body::Accepted(accepted) => {
                let Some(Asked::Publish { room, id, commit, .. }) = self.asked.remove(&accepted.request_id)
                else {
                    return Ok(());
                };
                if commit {
                    self.lost_races.remove(&room);
                    self.misses.remove(&room);
                    self.put.remove(&room);
                }
                tracing::debug!(%room, message_id = %id, seq = accepted.seq, "published");
                self.accepted(socket, room, (id, Seq(accepted.seq))).await
            }
            server_frame::Body::Refused(refused) => {
                let fault = refused.fault.map_or_else(
                    || Fault::new(FaultCode::Internal, "the server gave no reason"),
                    Fault::from,
                );
                match self.asked.remove(&refused.request_id) {
                    Some(Asked::Publish { room, id, under, commit }) => {
                        if commit && fault.code == FaultCode::StaleEpoch {
                            *self.lost_races.entry(room).or_default() += 1;
                        }
                        self.store_accepted(room).await?;
                        let now = Seq(refused.room_commit_seq);
                        self.refused(socket, room, (id, under, commit), now, fault).await
                    }
                    Some(Asked::Log(.., reply)) => {
                        let _ = reply.send(Err(NetError::Fault(fault).into()));
                        Ok(())
                    }
                    Some(Asked::Page(_)) if is_passing(fault.code) => Err(NetError::Fault(fault).into()),
                    Some(Asked::Page(room)) => {
                        self.trouble(&NetError::Fault(fault).into());
                        self.feed(socket, Input::Blocked(room)).await
                    }
                    None => Ok(()),
                }
            }
            server_frame::Body::Fault(fault) => Err(NetError::Fault(fault.into()).into()),
            server_frame::Body::HelloAck(_) => Ok(()),
        }
    }

    async fn page(&mut self, socket: &mut Socket, page: pb::Page) -> Step {
        let envelopes: Vec<Logged> = page.envelopes.into_iter().map(logged_from).collect();
        match self.asked.remove(&page.request_id) {
            Some(Asked::Page(room)) => {
                let (newest, deleted) = (Seq(page.last_seq), Seq(page.deleted));
                // What was deleted is a part of what there is, and what follows it comes next.
                let follows = |first: &Logged| deleted == Seq(0) || first.seq == deleted.next();
                if deleted > newest.min(limits::SEQ) || !envelopes.first().is_none_or(follows) {
                    self.contradiction();
                    return self.feed(socket, Input::Blocked(room)).await;
                }
                self.feed(socket, Input::Paged(room, envelopes, newest, deleted)).await
            }
            Some(Asked::Log(room, until, mut log, reply)) => {
                let ended = envelopes.is_empty();
                if page.deleted > 0 {
                    let gone = "the server no longer keeps what this invitation needs: ask for another one";
                    let _ = reply.send(Err(EngineError::Refused(gone.to_owned())));
                    return Ok(());
                }
                for logged in envelopes.into_iter().filter(|logged| logged.seq <= until) {
                    if log.last().is_some_and(|last: &Logged| logged.seq != last.seq.next()) {
                        let gap = NetError::Protocol("the server sent a room's log out of order".into());
                        let _ = reply.send(Err(gap.into()));
                        return Ok(());
                    }
                    log.push(logged);
                }
                if reply.is_closed() {
                    return Ok(());
                }
                match log.last().map(|last| last.seq) {
                    Some(last) if last < until && !ended => {
                        self.fetch(socket, room, last, Asked::Log(room, until, log, reply)).await
                    }
                    _ => {
                        let _ = reply.send(Ok(log));
                        Ok(())
                    }
                }
            }
            _ => Ok(()),
        }
    }

    /// Tells of an answer that cannot be true.
    pub(super) fn contradiction(&self) {
        self.trouble(&NetError::Protocol("the server contradicts itself about a room".into()).into());
    }

    pub(super) async fn refused(
        &mut self,
        socket: &mut Socket,
        room: RoomId,
        (id, under, commit): (MessageId, Seq, bool),
        room_commit: Seq,
        fault: Fault,
    ) -> Step {
        match fault.code {
            // A refusal that names no newer commit would have the row sealed again and again, a key each time.
            FaultCode::StaleEpoch if room_commit <= under => {
                self.contradiction();
                self.hold(socket, room).await
            }
            // Of a request nothing is stale, and it has no other form that could be sent instead.
            FaultCode::StaleEpoch
            | FaultCode::BadRequest
            | FaultCode::TooLarge
            | FaultCode::Forbidden
            | FaultCode::NotFound
                if !commit && self.steps.is_stuck(room).await? =>
            {
                self.trouble(&NetError::Fault(fault).into());
                self.hold(socket, room).await
            }
            FaultCode::StaleEpoch => {
                self.steps.stale(room, id, under, room_commit).await?;
                let backs_off = self.lost_races.get(&room).is_some_and(|lost| *lost >= RACES);
                if backs_off {
                    self.lost_races.remove(&room);
                    self.backing_off.push_back((Instant::now() + BACK_OFF, room));
                    self.back_off(socket, room).await?;
                }
                self.feed(socket, Input::Behind(room, room_commit)).await?;
                if backs_off { Ok(()) } else { self.answered(socket, room).await }
            }
            // What was refused before it has it sealed anew.
            FaultCode::OutOfOrder if self.steps.is_sealed(room, id, under).await? => {
                self.contradiction();
                self.hold(socket, room).await
            }
            FaultCode::OutOfOrder => self.answered(socket, room).await,
            FaultCode::MissingTree => self.tree_missing(socket, room, fault).await,
            // Only a processed Remove means removed: the rows are kept.
            FaultCode::NotMember if !(commit && self.steps.is_stuck(room).await?) => {
                self.hold(socket, room).await
            }
            FaultCode::BadRequest
            | FaultCode::TooLarge
            | FaultCode::Forbidden
            | FaultCode::NotFound
            | FaultCode::NotMember => {
                self.steps.refused(room, id, under).await?;
                self.trouble(&NetError::Fault(fault).into());
                self.tell(Event::Timeline(room));
                self.answered(socket, room).await
            }
            // The same bytes are sent again with the next connection.
            _ => Err(NetError::Fault(fault).into()),
        }
    }
}

fn room_id(bytes: &[u8]) -> Result<RoomId, EngineError> {
    codec::id("room id", bytes).map_err(|_| malformed())
}

fn malformed() -> EngineError {
    NetError::Protocol("the server sent a malformed frame".into()).into()
}

fn logged_from(logged: pb::Logged) -> Logged {
    Logged { seq: Seq(logged.seq), bytes: logged.envelope }
}
