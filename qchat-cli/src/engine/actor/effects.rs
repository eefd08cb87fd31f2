//! What the core decides, carried out.

use bytes::Bytes;
use qchat_proto::{
    ids::{RoomId, Seq},
    session::outbox::Outgoing,
    wire::{
        frame::{Envelope, Logged},
        pb::{self, client_frame},
    },
};

use super::{Actor, Asked, End, LEARNING, Step, is_passing, trees::Uploading};
use crate::{
    engine::{
        core::{Effect, Input},
        error::EngineError,
        steps::{Next, Progress, Stopped},
        types::Event,
    },
    net::{NetError, socket::Socket},
};

impl Actor {
    /// Puts an input into the core and carries out what follows, until nothing more does.
    pub(super) async fn feed(&mut self, socket: &mut Socket, input: Input) -> Step {
        let mut effects: std::collections::VecDeque<Effect> = self.core.handle(input).into();
        while let Some(effect) = effects.pop_front() {
            let next = match effect {
                Effect::Fetch(room, after) => {
                    self.fetch(socket, room, after, Asked::Page(room)).await?;
                    None
                }
                Effect::Process(room, logged) => Some(self.process(room, logged).await?),
                Effect::Miss(room, until) => Some(self.miss(room, until).await?),
                Effect::Send(room) => self.send(socket, room).await?,
                Effect::Confirm(room, seq) => {
                    if let Some(seq) = self.steps.confirmable(room, seq).await? {
                        let confirm = pb::Confirm { room_id: bytes(room), seq: seq.0 };
                        socket.send(client_frame::Body::Confirm(confirm)).await?;
                    }
                    None
                }
                Effect::Synced => {
                    for waiting in std::mem::take(&mut self.syncing) {
                        let _ = waiting.send(self.read_everything());
                    }
                    None
                }
            };
            if let Some(input) = next {
                effects.extend(self.core.handle(input));
            }
        }
        Ok(())
    }

    /// What this device has missed is deleted: it asks to be added again, and reads on from there.
    async fn miss(&mut self, room: RoomId, until: Seq) -> Result<Input, End> {
        let Progress { cursor, commits, over, .. } = self.steps.miss(room, until).await?;
        self.tell(Event::Timeline(room));
        self.tell(Event::Rooms);
        Ok(if over { Input::Over(room, cursor) } else { Input::Processed { room, cursor, commits } })
    }

    async fn process(&mut self, room: RoomId, mut logged: Vec<Logged>) -> Result<Input, End> {
        let (mut commits, mut tries, mut reached) = (false, 0, Seq(0));
        while tries < LEARNING {
            tries += 1;
            let Progress { cursor, commits: more, changed, sent, over, stopped } =
                self.steps.receive(room, logged.clone()).await?;
            commits |= more;
            if more {
                self.whispering.forget(room);
            }
            if cursor > reached {
                // Each envelope may bring people of its own.
                (reached, tries) = (cursor, 1);
            }
            if changed {
                self.tell(Event::Changed(room));
            }
            if !sent.is_empty() {
                self.tell(Event::Sent(room, sent.into()));
            }
            self.tell(Event::Timeline(room));
            self.tell(Event::Rooms);
            match stopped {
                _ if over => return Ok(Input::Over(room, cursor)),
                None => return Ok(Input::Processed { room, cursor, commits }),
                Some(Stopped::Unknown(missing)) => {
                    match self.people.learn(&missing).await {
                        Ok(()) => {}
                        Err(EngineError::Net(NetError::Fault(fault))) if !is_passing(fault.code) => {
                            self.trouble(&NetError::Fault(fault).into());
                            return Ok(Input::Blocked(room));
                        }
                        Err(error @ (EngineError::Net(_) | EngineError::Store(_))) => {
                            return Err(error.into());
                        }
                        Err(error) => {
                            self.trouble(&error);
                            return Ok(Input::Blocked(room));
                        }
                    }
                    logged.retain(|logged| logged.seq > cursor);
                }
                // It was led back by a Welcome meanwhile: what follows that is to be read.
                Some(Stopped::Gap) if self.core.is_beyond(room, cursor) => {
                    return Ok(Input::Processed { room, cursor, commits: true });
                }
                Some(Stopped::Gap) => {
                    self.trouble(
                        &NetError::Protocol("the server withholds envelopes of a room".into()).into(),
                    );
                    return Ok(Input::Blocked(room));
                }
                Some(Stopped::Failed(error)) => {
                    self.trouble(&error);
                    return Ok(Input::Blocked(room));
                }
            }
        }
        self.trouble(&NetError::Protocol("the server does not give a member's identity keys".into()).into());
        Ok(Input::Blocked(room))
    }

    /// Seals and sends what is due; `Some` when nothing went out.
    async fn send(&mut self, socket: &mut Socket, room: RoomId) -> Result<Option<Input>, End> {
        let outgoing = match self.steps.next(room).await {
            Ok(Next::Send(outgoing)) => outgoing,
            Ok(Next::Nothing) => {
                // A change that was no longer needed may have been taken out: whoever waits for it has to look.
                self.tell(Event::Rooms);
                return Ok(Some(Input::NothingToSend(room)));
            }
            Ok(Next::Withheld(name)) => {
                self.trouble(&EngineError::IdentityChanged(name));
                return Ok(Some(Input::Held(room)));
            }
            Ok(Next::OldCopy) => return Err(EngineError::OldCopy.into()),
            Ok(Next::Never(id, fault)) => {
                // It must not stand in the way of what waits behind it.
                self.trouble(&fault.into());
                self.steps.give_up(room, id).await?;
                self.tell(Event::Rooms);
                return Ok(Some(Input::Answered(room)));
            }
            Err(error @ EngineError::Store(_)) => return Err(error.into()),
            Err(error) => {
                self.trouble(&error);
                return Ok(Some(Input::Held(room)));
            }
        };
        self.take_off(room, outgoing.len());
        if let [Outgoing { message_id: id, sealed, .. }] = &outgoing[..]
            && let Some(hash) = sealed.tree
            && self.put.get(&room) != Some(&hash)
        {
            self.put_tree(Uploading { room, id: *id, under: sealed.commit_seq, hash });
            return Ok(None);
        }
        let publications = outgoing.into_iter().map(|outgoing| self.publication(room, outgoing)).collect();
        socket.send_all(publications).await?;
        Ok(None)
    }

    fn publication(&mut self, room: RoomId, outgoing: Outgoing) -> client_frame::Body {
        let Outgoing { message_id: id, sealed, after } = outgoing;
        let commit =
            Envelope::decode(sealed.envelope.clone()).is_ok_and(|envelope| envelope.kind.ends_epoch());
        let under = sealed.commit_seq;
        let request_id = self.request(Asked::Publish { room, id, under, commit });
        client_frame::Body::Publish(pb::Publish {
            request_id,
            envelope: sealed.envelope,
            welcomes: sealed
                .welcomes
                .into_iter()
                .map(|invitation| pb::Invitation {
                    device_id: Bytes::copy_from_slice(invitation.device.as_bytes()),
                    welcome: invitation.welcome,
                })
                .collect(),
            tree_hash: sealed.tree.map_or_else(Bytes::new, |hash| Bytes::copy_from_slice(hash.as_bytes())),
            after: after.map_or_else(Bytes::new, |before| Bytes::copy_from_slice(before.as_bytes())),
        })
    }

    pub(super) async fn fetch(
        &mut self,
        socket: &mut Socket,
        room: RoomId,
        after: Seq,
        asked: Asked,
    ) -> Step {
        let request_id = self.request(asked);
        let fetch = pb::Fetch { request_id, room_id: bytes(room), after: after.0, limit: 0 };
        Ok(socket.send(client_frame::Body::Fetch(fetch)).await?)
    }

    /// Whether nothing was left unread.
    pub(super) fn read_everything(&self) -> Result<(), EngineError> {
        let blocked = self.core.blocked();
        if blocked.is_empty() { Ok(()) } else { Err(EngineError::Partial(blocked)) }
    }

    pub(super) fn request(&mut self, asked: Asked) -> u64 {
        self.next_request += 1;
        self.asked.insert(self.next_request, asked);
        self.next_request
    }
}

fn bytes(room: RoomId) -> Bytes {
    Bytes::copy_from_slice(room.as_bytes())
}
