//! A device's socket, driven frame by frame.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use qchat_proto::{
    ids::{DeviceId, MessageId, RoomId, Seq},
    wire::{
        fault::{Fault, FaultCode},
        frame::{Envelope, Invitation, Kind, MembershipChange, Operation, client_frame, read_server_frame},
        pb::{self, client_frame::Body as Request, server_frame::Body},
        tree::TreeHash,
    },
};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::{HeaderValue, Request as HttpRequest},
        protocol::frame::coding::CloseCode,
    },
};

use super::{
    Device,
    device::{Trees, random},
};

/// Longer than anything in a test takes.
const LONG: Duration = Duration::from_mins(1);

pub(crate) struct Socket {
    /// What puts trees there, ahead of the commits that go over the socket.
    rest: Trees,
    pub(crate) stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_request: u64,
    /// Frames that came while something else was waited for.
    pub(crate) aside: VecDeque<Body>,
}

/// What became of a publication.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Published {
    Accepted(u64),
    Refused { code: FaultCode, room_commit_seq: u64 },
}

/// An application envelope.
pub(crate) fn envelope(from: &Device, room: RoomId, commit_seq: u64, text: &str) -> Envelope {
    Envelope {
        room,
        message_id: MessageId::from_bytes(random()),
        sender: from.id,
        kind: Kind::Application,
        commit_seq: Seq(commit_seq),
        payload: Bytes::copy_from_slice(text.as_bytes()),
        delta: Vec::new(),
    }
}

/// A commit with its delta.
pub(crate) fn commit(
    from: &Device,
    room: RoomId,
    commit_seq: u64,
    delta: &[(Operation, &Device)],
) -> Envelope {
    let delta = delta
        .iter()
        .map(|(operation, device)| MembershipChange {
            operation: *operation,
            account: device.account,
            device: device.id,
        })
        .collect();
    Envelope { kind: Kind::Commit, delta, ..envelope(from, room, commit_seq, "a commit") }
}

/// The handshake of a device, with its token in the header.
pub(crate) fn handshake(host: &str, token: &str) -> HttpRequest<()> {
    let mut request = format!("ws://{host}/v1/socket").into_client_request().unwrap();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    request.headers_mut().insert("Authorization", value);
    request
}

impl Socket {
    /// Connects without saying hello.
    pub(crate) async fn raw(device: &Device) -> Self {
        let request = handshake(device.host(), &device.session.access_token);
        let (stream, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        Self { rest: device.trees(), stream, next_request: 1, aside: VecDeque::new() }
    }

    pub(crate) async fn connect(device: &Device) -> Self {
        let mut socket = Self::raw(device).await;
        socket.send(Request::Hello(pb::Hello { version_min: 1, version_max: 1, agent: "test".into() })).await;
        let Body::HelloAck(ack) = socket.next().await else { panic!("no hello ack") };
        assert_eq!((ack.version, ack.server_id.len()), (1, 16));
        socket
    }

    pub(crate) async fn send(&mut self, body: Request) {
        self.stream.send(Message::Binary(client_frame(body))).await.unwrap();
    }

    /// The next frame, skipping pings.
    pub(crate) async fn next(&mut self) -> Body {
        self.try_next().await.expect("the socket closed")
    }

    /// The next frame, or `None` at the end.
    pub(crate) async fn try_next(&mut self) -> Option<Body> {
        loop {
            match timeout(LONG, self.stream.next()).await.expect("nothing came") {
                Some(Ok(Message::Binary(bytes))) => return read_server_frame(bytes).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(other)) => panic!("{other:?}"),
            }
        }
    }

    /// The code of the fault and the close code with which the daemon ends the connection.
    pub(crate) async fn end(&mut self) -> (Option<FaultCode>, Option<CloseCode>) {
        let (fault, code) = self.ends().await;
        (fault.map(|fault| fault.code), code)
    }

    /// The fault and the close code of a daemon that says both.
    pub(crate) async fn farewell(&mut self) -> (Fault, CloseCode) {
        let (fault, code) = self.ends().await;
        (fault.expect("a fault"), code.expect("a close code"))
    }

    async fn ends(&mut self) -> (Option<Fault>, Option<CloseCode>) {
        let mut fault = None;
        let end = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Binary(bytes))) => {
                        if let Some(Body::Fault(raw)) = read_server_frame(bytes).unwrap() {
                            fault = Some(Fault::from(raw));
                        }
                    }
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        };
        // Pings come for as long as it is open: the whole has a limit, not each message.
        let code = timeout(LONG, end).await.expect("the socket stays open");
        (fault, code)
    }

    /// The next frame that `pick` takes; the others are kept aside, in order.
    pub(crate) async fn wait<T>(&mut self, mut pick: impl FnMut(&Body) -> Option<T>) -> T {
        if let Some(place) = self.aside.iter().position(|body| pick(body).is_some()) {
            let body = self.aside.remove(place).unwrap();
            return pick(&body).unwrap();
        }
        loop {
            let body = self.next().await;
            if let Some(picked) = pick(&body) {
                return picked;
            }
            self.aside.push_back(body);
        }
    }

    /// Sends a publication, and its tree ahead of it; returns its request id.
    pub(crate) async fn post(&mut self, envelope: &Envelope, welcomes: &[Invitation], tree: &str) -> u64 {
        if !tree.is_empty() {
            // Whether it was taken is seen in what becomes of the publication.
            let _ = self.rest.put(envelope.room, tree.as_bytes().to_vec()).await;
        }
        let hash = (!tree.is_empty()).then(|| TreeHash::of(tree.as_bytes()));
        self.post_naming(envelope, welcomes, hash).await
    }

    /// Publishes a text that is to follow another one of this device.
    pub(crate) async fn post_after(&mut self, envelope: &Envelope, before: MessageId) -> u64 {
        let after = Bytes::copy_from_slice(before.as_bytes());
        self.post_all(pb::Publish { envelope: envelope.encode(), after, ..Default::default() }).await
    }

    /// Sends a publication alone.
    pub(crate) async fn post_naming(
        &mut self,
        envelope: &Envelope,
        welcomes: &[Invitation],
        tree: Option<TreeHash>,
    ) -> u64 {
        self.post_all(pb::Publish {
            envelope: envelope.encode(),
            welcomes: welcomes
                .iter()
                .map(|invitation| pb::Invitation {
                    device_id: Bytes::copy_from_slice(invitation.device.as_bytes()),
                    welcome: invitation.welcome.clone(),
                })
                .collect(),
            tree_hash: tree.map_or_else(Bytes::new, |hash| Bytes::copy_from_slice(hash.as_bytes())),
            ..Default::default()
        })
        .await
    }

    async fn post_all(&mut self, publish: pb::Publish) -> u64 {
        let request_id = self.next_request;
        self.next_request += 1;
        self.send(Request::Publish(pb::Publish { request_id, ..publish })).await;
        request_id
    }

    /// What became of the publication with this request id.
    pub(crate) async fn outcome(&mut self, request_id: u64) -> Published {
        self.wait(|body| match body {
            Body::Accepted(accepted) if accepted.request_id == request_id => {
                Some(Published::Accepted(accepted.seq))
            }
            Body::Refused(refused) if refused.request_id == request_id => Some(Published::Refused {
                code: Fault::from(refused.fault.clone().unwrap()).code,
                room_commit_seq: refused.room_commit_seq,
            }),
            _ => None,
        })
        .await
    }

    pub(crate) async fn publish(&mut self, envelope: &Envelope) -> Published {
        let request = self.post(envelope, &[], "").await;
        self.outcome(request).await
    }

    /// Publishes a commit with a Welcome for each of `invited`.
    pub(crate) async fn invite(&mut self, envelope: &Envelope, invited: &[DeviceId]) -> Published {
        let welcomes: Vec<_> = invited
            .iter()
            .map(|device| Invitation { device: *device, welcome: Bytes::from(format!("welcome {device}")) })
            .collect();
        let request = self.post(envelope, &welcomes, "a tree").await;
        self.outcome(request).await
    }

    /// A page, or the code of its refusal.
    pub(crate) async fn page(&mut self, room: RoomId, after: u64, limit: u32) -> Result<pb::Page, FaultCode> {
        let request_id = self.next_request;
        self.next_request += 1;
        let room_id = Bytes::copy_from_slice(room.as_bytes());
        self.send(Request::Fetch(pb::Fetch { request_id, room_id, after, limit })).await;
        self.wait(|body| match body {
            Body::Page(page) if page.request_id == request_id => Some(Ok(page.clone())),
            Body::Refused(refused) if refused.request_id == request_id => {
                Some(Err(Fault::from(refused.fault.clone().unwrap()).code))
            }
            _ => None,
        })
        .await
    }

    /// The seqs that a device can read after `after`, page by page.
    pub(crate) async fn seqs(&mut self, room: RoomId, after: u64) -> Vec<u64> {
        let mut seqs = Vec::new();
        loop {
            let page = self.page(room, seqs.last().copied().unwrap_or(after), 0).await.unwrap();
            if page.envelopes.is_empty() {
                return seqs;
            }
            seqs.extend(page.envelopes.iter().map(|logged| logged.seq));
        }
    }

    /// The seq of the next delivery in a room.
    pub(crate) async fn delivered(&mut self, room: RoomId) -> u64 {
        self.wait(|body| match body {
            Body::Deliver(deliver) if deliver.room_id == room.as_bytes().as_slice() => {
                Some(deliver.logged.as_ref().unwrap().seq)
            }
            _ => None,
        })
        .await
    }

    /// Waits for a hint about a room.
    pub(crate) async fn hinted(&mut self, room: RoomId) {
        self.wait(|body| match body {
            Body::RoomHint(hint) if hint.room_id == room.as_bytes().as_slice() => Some(()),
            _ => None,
        })
        .await;
    }
}
