//! What a device asks for over its socket, and the frames that answer it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use prost::Message;
use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    wire::{
        codec::{self, DecodeError},
        fault::{Fault, FaultCode},
        frame::{Envelope, Invitation},
        limits,
        pb::{self, server_frame::Body},
    },
};
use tokio::sync::{OwnedSemaphorePermit, mpsc::OwnedPermit};

use crate::{
    frame::encode,
    hub::Ephemeral,
    service::{
        Services,
        relay::{Publication, PublishError, Refusal},
        sessions::Caller,
    },
};

/// An answer on its way, and the memory that it holds until it is written. In a box: a channel keeps room for 32 of what
/// goes through it, on every idle connection.
pub(super) struct Answer(Box<Content>);

struct Content {
    frame: Bytes,
    /// Given back when the frame is written.
    held: Option<OwnedSemaphorePermit>,
}

impl Answer {
    pub(super) fn new(body: Body) -> Self {
        Self(Box::new(Content { frame: encode(body), held: None }))
    }

    /// The frame to write; what is left holds the memory until then.
    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.0.frame)
    }
}

/// Notes of rooms that a device does not follow, at most, before those of others are dropped: they are said again with its
/// next connection.
const STRANGE: usize = 10_000;

/// How far devices have processed rooms, gathered until they are written down. Losing some is harmless: it only lets
/// the log keep more for longer.
#[derive(Default)]
pub struct Confirmations(Mutex<HashMap<(RoomId, DeviceId), Seq>>);

impl Confirmations {
    fn note(&self, room: RoomId, device: DeviceId, seq: Seq, follows: bool) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !follows && noted.len() >= STRANGE {
            return;
        }
        let entry = noted.entry((room, device)).or_default();
        *entry = seq.max(*entry);
    }

    /// Writes down what has been gathered.
    pub async fn flush(&self, services: &Services) {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if noted.is_empty() {
            return;
        }
        let noted = noted.into_iter().map(|((room, device), seq)| (room, device, seq)).collect();
        if let Err(error) = services.rooms.confirm(noted).await {
            tracing::warn!(%error, "confirmations were not stored");
        }
    }
}

/// Which sealing an answer is about.
#[derive(Clone, Default)]
struct About {
    request_id: u64,
    room_id: Bytes,
    message_id: Bytes,
    commit_seq: u64,
}

impl About {
    fn refuse(self, fault: &Fault, room_commit_seq: u64) -> Answer {
        Answer::new(Body::Refused(pb::Refused {
            request_id: self.request_id,
            room_id: self.room_id,
            message_id: self.message_id,
            commit_seq: self.commit_seq,
            room_commit_seq,
            fault: Some(fault.into()),
        }))
    }
}

/// Hands an envelope to the relay; `answer` is the room in the connection's queue for what becomes of it.
pub(super) async fn publish(
    services: &Services,
    caller: Caller,
    request: pb::Publish,
    answer: OwnedPermit<Answer>,
) {
    let mut about = About { request_id: request.request_id, ..About::default() };
    // Read leniently first, so that even a refusal of a malformed envelope names it.
    if let Ok(raw) = pb::Envelope::decode(request.envelope.clone()) {
        let id = |bytes: Bytes| if bytes.len() == 16 { bytes } else { Bytes::new() };
        about.room_id = id(raw.room_id);
        about.message_id = id(raw.message_id);
        about.commit_seq = raw.commit_seq;
    }
    match publication(caller, request) {
        Err(fault) => drop(answer.send(about.refuse(&fault, 0))),
        Ok(publication) => {
            let reply = Box::new(move |outcome| drop(answer.send(published(about, outcome))));
            services.relay.publish(publication, reply).await;
        }
    }
}

/// Reads what a device tells those who are there.
pub(super) fn ephemeral(
    sender: DeviceId,
    request: pb::Ephemeral,
) -> Result<(RoomId, Ephemeral), DecodeError> {
    let room = codec::id("room id", &request.room_id)?;
    if request.sealed.len() != limits::EPHEMERAL {
        return Err(DecodeError::Malformed("ephemeral statement"));
    }
    Ok((room, Ephemeral { sender, sealed: request.sealed }))
}

fn publication(caller: Caller, request: pb::Publish) -> Result<Publication, Fault> {
    let envelope = Envelope::decode(request.envelope.clone()).map_err(|error| undecodable(&error))?;
    if envelope.sender != caller.device {
        return Err(Fault::new(FaultCode::Forbidden, "the envelope names another device as its sender"));
    }
    if request.welcomes.len() > limits::DELTA {
        return Err(Fault::new(FaultCode::TooLarge, "too many welcomes"));
    }
    let tree = match &request.tree_hash[..] {
        [] => None,
        hash => Some(codec::tree_hash(hash).map_err(|error| undecodable(&error))?),
    };
    let mut welcomes = Vec::with_capacity(request.welcomes.len());
    for raw in request.welcomes {
        let device = codec::id("device id", &raw.device_id).map_err(|error| undecodable(&error))?;
        if raw.welcome.is_empty() {
            return Err(Fault::new(FaultCode::BadRequest, "a welcome is empty"));
        }
        welcomes.push(Invitation { device, welcome: raw.welcome });
    }
    let after = match &request.after[..] {
        [] => None,
        id => Some(codec::id("message id", id).map_err(|error| undecodable(&error))?),
    };
    Publication::new(envelope, request.envelope, welcomes, tree, after).map_err(|refusal| refused(refusal).0)
}

fn published(about: About, outcome: Result<Seq, PublishError>) -> Answer {
    match outcome {
        Ok(seq) => {
            // As the client's log has it.
            tracing::debug!(
                room = hex::encode(&about.room_id),
                message_id = hex::encode(&about.message_id),
                seq = seq.0,
                "published"
            );
            Answer::new(Body::Accepted(pb::Accepted {
                request_id: about.request_id,
                room_id: about.room_id,
                message_id: about.message_id,
                seq: seq.0,
            }))
        }
        Err(PublishError::Refused(refusal)) => {
            let (fault, room_commit_seq) = refused(refusal);
            about.refuse(&fault, room_commit_seq)
        }
        Err(PublishError::Failed(error)) => about.refuse(&error.into_fault(), 0),
    }
}

/// The fault, and with `stale_epoch` the room's commit seq.
fn refused(refusal: Refusal) -> (Fault, u64) {
    let (text, room_commit_seq) = match refusal {
        Refusal::Stale(seq) => ("another commit came first; process it and seal again", seq.0),
        Refusal::MissingTree => ("put the ratchet tree first, and send the commit again", 0),
        Refusal::OutOfOrder => ("what this was to follow is not in the room", 0),
        Refusal::Malformed(what) => (what, 0),
        Refusal::NotMember | Refusal::NoInvitation | Refusal::Joined => {
            ("this device is not a full member of the room", 0)
        }
    };
    (Fault::new(refusal.code(), text), room_commit_seq)
}

fn undecodable(error: &DecodeError) -> Fault {
    let code = match error {
        DecodeError::TooLarge { .. } => FaultCode::TooLarge,
        DecodeError::Malformed(_) => FaultCode::BadRequest,
    };
    Fault::new(code, error.to_string())
}

/// Reads a page of a room's log. `held` bounds the pages in memory and travels with the answer.
pub(super) async fn fetch(
    services: Arc<Services>,
    device: DeviceId,
    request: pb::Fetch,
    held: OwnedSemaphorePermit,
    answer: OwnedPermit<Answer>,
) {
    let about =
        About { request_id: request.request_id, room_id: request.room_id.clone(), ..About::default() };
    let room = match codec::id::<RoomId>("room id", &request.room_id) {
        Ok(room) => room,
        Err(error) => {
            let about = About { room_id: Bytes::new(), ..about };
            drop(answer.send(about.refuse(&undecodable(&error), 0)));
            return;
        }
    };
    let turn = services.turns.next().await;
    let page = services.rooms.page(device, room, Seq(request.after), request.limit).await;
    let mut reply = match page {
        Ok(page) => Answer::new(Body::Page(pb::Page {
            request_id: request.request_id,
            room_id: request.room_id,
            envelopes: page
                .envelopes
                .into_iter()
                .map(|logged| pb::Logged { seq: logged.seq.0, envelope: logged.bytes })
                .collect(),
            last_seq: page.last_seq.0,
            deleted: page.deleted.0,
        })),
        Err(error) => about.refuse(&error.into_fault(), 0),
    };
    reply.0.held = Some(held);
    let size = reply.0.frame.len();
    // The turn does not wait until the page is written: how long that takes is for the peer to say.
    drop(answer.send(reply));
    if let Some(turn) = turn {
        turn.end(size).await;
    }
}

/// Notes a confirmation; an id of the wrong size is a broken client.
pub(super) fn confirm(
    confirmations: &Confirmations,
    device: DeviceId,
    request: &pb::Confirm,
    follows: impl FnOnce(RoomId) -> bool,
) -> Result<(), DecodeError> {
    let room = codec::id::<RoomId>("room id", &request.room_id)?;
    confirmations.note(room, device, Seq(request.seq), follows(room));
    Ok(())
}
