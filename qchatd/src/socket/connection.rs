//! One device's connection, from its hello to its end: a single task that reads requests, writes answers and
//! deliveries, and notices when the peer is gone.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use qchat_proto::{
    ids::{RoomId, Seq},
    wire::{
        self,
        codec::DecodeError,
        fault::{Fault, FaultCode},
        frame, limits,
        pb::{self, client_frame::Body as Request, server_frame::Body},
    },
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::{
    Error, Message, error::ProtocolError, protocol::frame::coding::CloseCode,
};

use super::{
    Sockets,
    requests::{self, Answer},
    stream::Socket,
};
use crate::{
    frame::encode,
    hub::Attached,
    service::{ServiceError, sessions::Caller},
};

/// How long a client may take for its hello.
const HELLO: Duration = Duration::from_secs(10);
/// How long it may take to find out which rooms a device follows.
const SETTLED: Duration = Duration::from_secs(10);
/// Requests of a connection that may be unanswered; the next is read when one is.
const UNANSWERED: usize = 32;
/// Pages of a connection in memory.
const PAGES: usize = 2;
/// Frames in one write.
const BURST: usize = 64;
/// How long answers to what was read are waited for at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How long a peer may take to accept what is written to it once its session has ended, and to accept the reason why a
/// connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a connection ends, and what the peer is told.
enum End {
    /// Nobody is there any more.
    Gone,
    /// The peer closes.
    Closed,
    /// A fault frame, then a close frame with this code.
    Fault(Fault, CloseCode),
    /// The daemon drains.
    Draining,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(_) => Self::Fault(
                Fault::new(FaultCode::TooLarge, format!("a frame has at most {} bytes", limits::FRAME)),
                CloseCode::Size,
            ),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Gone,
            Error::Protocol(_) | Error::Utf8(_) | Error::AttackAttempt => {
                Self::Fault(Fault::new(FaultCode::BadRequest, "not WebSocket"), CloseCode::Protocol)
            }
            Error::ConnectionClosed | Error::AlreadyClosed => Self::Closed,
            _ => Self::Gone,
        }
    }
}

impl From<DecodeError> for End {
    fn from(error: DecodeError) -> Self {
        let (code, close) = match error {
            DecodeError::TooLarge { .. } => (FaultCode::TooLarge, CloseCode::Size),
            DecodeError::Malformed(_) => (FaultCode::BadRequest, CloseCode::Invalid),
        };
        Self::Fault(Fault::new(code, error.to_string()), close)
    }
}

/// Serves a connection to its end.
///
/// Whatever it awaits is part of its future, and kept in memory for as long as it waits for the peer: what comes once, or
/// at a peer's word, is in a box of its own, which is there while it runs.
pub(super) async fn run(stream: TokioIo<Upgraded>, caller: Caller, sockets: Sockets) {
    let mut socket = Box::pin(Socket::new(stream)).await;
    let end = match serve(&mut socket, caller, &sockets).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    match end {
        End::Gone => {}
        End::Closed => Box::pin(socket.close(CloseCode::Normal, "")).await,
        End::Draining => Box::pin(farewell(socket, &sockets.drain.farewell(), CloseCode::Restart)).await,
        End::Fault(fault, code) => {
            tracing::debug!(device = %caller.device, code = fault.code.as_str(), "a connection is refused");
            Box::pin(farewell(socket, &fault, code)).await;
        }
    }
}

/// Says why in a frame, and then in a close.
async fn farewell(mut socket: Socket, fault: &Fault, code: CloseCode) {
    let mut frames = [encode(Body::Fault(fault.into()))];
    if let Ok(Ok(())) = timeout(FAREWELL, socket.write(&mut frames)).await {
        socket.close(code, fault.code.as_str()).await;
    }
}

async fn serve(
    socket: &mut Socket,
    caller: Caller,
    sockets: &Sockets,
) -> Result<std::convert::Infallible, End> {
    let version = tokio::select! {
        hello = timeout(HELLO, Box::pin(hello(socket))) => hello.map_err(|_| {
            End::Fault(Fault::new(FaultCode::BadRequest, "no hello came in time"), CloseCode::Protocol)
        })??,
        () = sockets.drain.begun() => return Err(End::Draining),
    };
    let services = &sockets.services;
    let attached = services.hub.attach(caller.device, caller.session, sockets.queue);
    let settled = attached.settle(|| services.rooms.audience(caller.device));
    tokio::select! {
        settled = timeout(SETTLED, Box::pin(settled)) => settled
            .map_err(|_| Fault::new(FaultCode::Unavailable, "the database is behind; try again"))
            .and_then(|settled| settled.map_err(ServiceError::into_fault))
            .map_err(|fault| End::Fault(fault, CloseCode::Again))?,
        () = sockets.drain.begun() => return Err(End::Draining),
    }
    let _open = services.meters.open();
    let ack = encode(Body::HelloAck(pb::HelloAck {
        version,
        server_id: Bytes::copy_from_slice(services.server_id.as_bytes()),
        max_application: u32::try_from(limits::APPLICATION).unwrap_or(u32::MAX),
        max_handshake: u32::try_from(limits::COMMIT).unwrap_or(u32::MAX),
    }));
    Box::pin(socket.write(&mut [ack])).await?;

    let (answers, answered) = mpsc::channel(UNANSWERED);
    let mut connection = Connection {
        socket,
        caller,
        sockets,
        attached,
        answered,
        pages: Arc::new(Semaphore::new(PAGES)),
        heard: Instant::now(),
        untimed: 0,
        held: None,
    };
    let end = connection.exchange(&answers).await;
    // It was read before the end.
    if let Some(held) = connection.held.take() {
        let Held { request, permit, .. } = *held;
        Box::pin(requests::publish(services, caller, request, permit)).await;
    }
    // What was read is answered before the end, if the peer can hear it.
    drop(answers);
    if !matches!(end, End::Gone) {
        let patience = if connection.attached.end.is_cancelled() { FAREWELL } else { LAST_ANSWERS };
        drop(timeout(patience, Box::pin(connection.last_answers())).await);
    }
    Err(end)
}

async fn hello(socket: &mut Socket) -> Result<u32, End> {
    loop {
        let Some(message) = socket.next().await else { return Err(End::Gone) };
        let Some(frame) = binary(message?)? else { continue };
        let Request::Hello(hello) = frame::read_client_frame(frame)? else {
            return Err(protocol_error("the first frame is a hello"));
        };
        return wire::negotiate(hello.version_min..=hello.version_max).ok_or_else(|| {
            End::Fault(
                Fault::new(
                    FaultCode::UnsupportedVersion,
                    format!(
                        "this server speaks protocol versions {} to {}, the client {} to {}: upgrade the older one",
                        wire::VERSIONS.start(),
                        wire::VERSIONS.end(),
                        hello.version_min,
                        hello.version_max
                    ),
                ),
                CloseCode::Protocol,
            )
        });
    }
}

/// The bytes of a binary message; `None` for control frames, which need no attention.
fn binary(message: Message) -> Result<Option<Bytes>, End> {
    match message {
        Message::Binary(bytes) => Ok(Some(bytes)),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
        Message::Close(_) => Err(End::Closed),
        Message::Text(_) => Err(End::Fault(
            Fault::new(FaultCode::BadRequest, "frames are binary messages"),
            CloseCode::Unsupported,
        )),
    }
}

fn protocol_error(what: &'static str) -> End {
    End::Fault(Fault::new(FaultCode::BadRequest, what), CloseCode::Protocol)
}

struct Connection<'a> {
    socket: &'a mut Socket,
    caller: Caller,
    sockets: &'a Sockets,
    attached: Attached,
    answered: mpsc::Receiver<Answer>,
    pages: Arc<Semaphore>,
    heard: Instant,
    /// Writes until the next that is timed.
    untimed: u8,
    /// Nothing more is read while there is one. In a box: there hardly ever is.
    held: Option<Box<Held>>,
}

/// Writes after a timed one that are not: reading the clock and adding to a histogram cost as much as a delivery.
const UNTIMED: u8 = 15;

/// A publication that comes too early: its sender has to wait, not the daemon.
struct Held {
    request: pb::Publish,
    permit: mpsc::OwnedPermit<Answer>,
    until: Instant,
}

impl Connection<'_> {
    async fn exchange(&mut self, answers: &mpsc::Sender<Answer>) -> End {
        let every = self.sockets.pings.every;
        let mut pings = interval_at(Instant::now() + every, every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (sockets, ended) = (self.sockets, self.attached.end.clone());
        // Made once: each of them enters and leaves a list that all connections share.
        let (mut stopped, mut over) = (pin!(sockets.drain.begun()), pin!(ended.cancelled()));
        // A request is read only when there is room for its answer.
        let mut room = None;
        let mut frames: Vec<Bytes> = Vec::new();
        let mut replies: Vec<Answer> = Vec::new();
        loop {
            let step = tokio::select! {
                () = &mut stopped => Err(End::Draining),
                () = &mut over => Err(End::Fault(
                    Fault::new(FaultCode::Unauthenticated, "the session has ended; log in again"),
                    CloseCode::Policy,
                )),
                () = self.attached.receive(&mut frames, BURST) => self.deliver(&mut frames, &mut replies).await,
                _ = self.answered.recv_many(&mut replies, BURST) => {
                    self.attached.take(&mut frames, BURST);
                    self.deliver(&mut frames, &mut replies).await
                }
                reserved = answers.clone().reserve_owned(), if room.is_none() => {
                    room = reserved.ok();
                    Ok(())
                }
                () = until(self.held.as_deref()), if self.held.is_some() => Box::pin(self.let_go()).await,
                message = self.socket.next(), if room.is_some() && self.held.is_none() => match (message, room.take()) {
                    (Some(Ok(message)), Some(permit)) => Box::pin(self.request(message, permit)).await,
                    (Some(Err(error)), _) => Err(error.into()),
                    _ => Err(End::Gone),
                },
                _ = pings.tick() => Box::pin(self.check()).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Writes frames of rooms and answers together: a group of commits often brings both.
    async fn deliver(&mut self, frames: &mut Vec<Bytes>, replies: &mut Vec<Answer>) -> Result<(), End> {
        // Whose session has ended gets nothing more of its rooms, whatever waits in its queue.
        let ended = self.attached.end.is_cancelled();
        if ended {
            frames.clear();
        }
        let meters = &{ self.sockets }.services.meters;
        meters.delivered(frames.len());
        while replies.len() < BURST
            && let Ok(reply) = self.answered.try_recv()
        {
            replies.push(reply);
        }
        let delivered = !frames.is_empty();
        frames.extend(replies.iter_mut().map(Answer::take));
        let written = self.write(frames).await;
        frames.clear();
        // The memory that answers held is free now.
        replies.clear();
        written?;
        if delivered {
            self.untimed = self.untimed.checked_sub(1).unwrap_or(UNTIMED);
            if self.untimed == UNTIMED
                && let Some(since) = self.attached.moved()
            {
                meters.written(since.elapsed());
            }
        }
        if !ended {
            for (room, seq) in self.attached.catch_up() {
                meters.behind();
                self.write(&mut [behind_frame(room, seq)]).await?;
            }
        }
        Ok(())
    }

    /// Writes whole frames. A peer that does not take them, to stay, is left once its session has ended.
    async fn write(&mut self, frames: &mut [Bytes]) -> Result<(), End> {
        let ended = self.attached.end.clone();
        let left = async {
            ended.cancelled().await;
            sleep(FAREWELL).await;
        };
        tokio::select! {
            biased;
            written = self.socket.write(frames) => Ok(written?),
            () = left => Err(End::Gone),
        }
    }

    async fn request(&mut self, message: Message, permit: mpsc::OwnedPermit<Answer>) -> Result<(), End> {
        self.heard = Instant::now();
        let Some(frame) = binary(message)? else { return Ok(()) };
        let services = &self.sockets.services;
        match frame::read_client_frame(frame)? {
            Request::Hello(_) => return Err(protocol_error("a second hello")),
            Request::Publish(request) => return self.publish(request, permit).await,
            Request::Fetch(request) => {
                services.meters.page();
                let (services, device, pages) = (services.clone(), self.caller.device, self.pages.clone());
                self.sockets.tasks.spawn(async move {
                    if let Ok(held) = pages.acquire_owned().await {
                        requests::fetch(services, device, request, held, permit).await;
                    }
                });
            }
            Request::Confirm(request) => {
                let follows = |room| self.attached.follows(room);
                requests::confirm(&self.sockets.confirmations, self.caller.device, &request, follows)?;
            }
            Request::Ephemeral(request) => {
                let (room, ephemeral) = requests::ephemeral(self.caller.device, request)?;
                // Who is not in the room, or says too much, is not heard; nobody waits for an answer.
                if self.attached.follows(room) && services.limits.ephemeral(self.caller.account) {
                    services.bus.whisper(room, &ephemeral);
                }
            }
        }
        Ok(())
    }

    /// Hands a publication on, or holds it until its account may publish again.
    async fn publish(&mut self, request: pb::Publish, permit: mpsc::OwnedPermit<Answer>) -> Result<(), End> {
        let services = &self.sockets.services;
        let welcomes = request.welcomes.iter().map(|welcome| welcome.welcome.len());
        let size = request.envelope.len() + welcomes.sum::<usize>();
        if let Err(wait) = services.limits.publish(self.caller.account, size) {
            self.held = Some(Box::new(Held { request, permit, until: Instant::now() + wait }));
            return Ok(());
        }
        requests::publish(services, self.caller, request, permit).await;
        if services.relay.is_alive() { Ok(()) } else { Err(End::Draining) }
    }

    async fn let_go(&mut self) -> Result<(), End> {
        // Its silence was ours.
        self.heard = Instant::now();
        match self.held.take().map(|held| *held) {
            Some(Held { request, permit, .. }) => self.publish(request, permit).await,
            None => Ok(()),
        }
    }

    async fn check(&mut self) -> Result<(), End> {
        if self.held.is_none() && self.heard.elapsed() > self.sockets.pings.dead {
            return Err(End::Gone);
        }
        Ok(self.socket.ping().await?)
    }

    /// Writes the answers to all requests that were read.
    async fn last_answers(&mut self) {
        let (mut frames, mut replies) = (Vec::new(), Vec::new());
        while self.answered.recv_many(&mut replies, BURST).await > 0 {
            frames.extend(replies.iter_mut().map(Answer::take));
            if self.write(&mut frames).await.is_err() {
                return;
            }
            frames.clear();
            replies.clear();
        }
    }
}

async fn until(held: Option<&Held>) {
    if let Some(held) = held {
        sleep_until(held.until).await;
    }
}

fn behind_frame(room: RoomId, last: Seq) -> Bytes {
    encode(Body::Behind(pb::Behind { room_id: Bytes::copy_from_slice(room.as_bytes()), last_seq: last.0 }))
}
