//! A device that speaks the wire protocol itself, for what the real client would never send. Its statements are
//! properly signed; its KeyPackages are noise, which the daemon cannot tell.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::{SinkExt, StreamExt};
use qchat_proto::{
    crypto::{
        entropy::{Entropy, SystemEntropy},
        sign::{AccountPublicKey, AccountSigningKey, DeviceSigningKey},
    },
    identity::{AccountRecord, DeviceCertificate, DeviceList, ListedDevice, LoginProof, RecoveryKey},
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq, UserName},
    mls,
    wire::{
        api::{self, Binary},
        fault::FaultBody,
        frame::{self, Envelope, Kind},
        pb::{self, client_frame, server_frame},
        tree::TreeHash,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error as SocketError, Message, client::IntoClientRequest},
};

use crate::{http, process::DEADLINE};

/// A registered device.
pub struct Device {
    server: String,
    http: reqwest::Client,
    /// The account.
    pub account: AccountId,
    /// The device.
    pub id: DeviceId,
    key: DeviceSigningKey,
    /// The newest session.
    pub session: api::Session,
}

/// Draws an id.
macro_rules! draw {
    ($id:ident) => {
        $id::random(&SystemEntropy).expect("the system gives random bytes")
    };
}

/// Seconds since the Unix epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}

/// Random bytes.
pub fn noise(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    SystemEntropy.fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

impl Device {
    /// Registers an account with one device.
    pub async fn register(server: &str, name: &str) -> Self {
        Self::try_register(server, name).await.unwrap_or_else(|code| panic!("{name} cannot register: {code}"))
    }

    /// The same, giving the fault's code when it is refused.
    pub async fn try_register(server: &str, name: &str) -> Result<Self, String> {
        let (body, key) = registration(name);
        let http = http::client();
        let response =
            http.post(format!("{server}/v1/accounts")).json(&body).send().await.expect("an answer");
        if response.status() != 201 {
            let fault: FaultBody = response.json().await.expect("a fault");
            return Err(fault.error.code.as_str().to_owned());
        }
        let session = response.json().await.expect("a session");
        let (account, id) = (body.account_id, body.device_id);
        Ok(Self { server: server.to_owned(), http, account, id, key, session })
    }

    /// Logs in with the device key.
    pub async fn login(&mut self) {
        let challenge: api::Challenge = self
            .post(
                "/v1/sessions/challenge",
                &api::ChallengeRequest { account_id: self.account, device_id: self.id },
            )
            .await;
        let proof = LoginProof {
            nonce: challenge.nonce.as_ref().try_into().expect("32 bytes"),
            server: challenge.server_id,
            expires_at: challenge.expires_at,
            account: self.account,
            device: self.id,
        };
        let login = api::Login {
            account_id: self.account,
            device_id: self.id,
            nonce: challenge.nonce,
            signature: proof.sign(&self.key).expect("a signature").into(),
        };
        self.session = self.post("/v1/sessions", &login).await;
    }

    /// Creates a room of its own.
    pub async fn create_room(&self) -> RoomId {
        let room_id = draw!(RoomId);
        let _: api::Room = self.post("/v1/rooms", &api::CreateRoom { room_id }).await;
        room_id
    }

    /// Takes one KeyPackage of each device of an account.
    pub async fn claim_key_packages(&self, account_id: AccountId) -> api::ClaimedKeyPackages {
        self.post("/v1/key-packages/claim", &api::ClaimKeyPackages { account_id, devices: Vec::new() }).await
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> A {
        let request =
            self.http.post(format!("{}{path}", self.server)).bearer_auth(&self.session.access_token);
        let response = request.json(body).send().await.expect("an answer");
        assert!(response.status().is_success(), "{path}: {}", response.text().await.unwrap_or_default());
        response.json().await.expect("the documented answer")
    }

    /// Puts a ratchet tree there, ahead of the commit that names it.
    pub async fn put_tree(&self, room: RoomId, tree: Vec<u8>) -> TreeHash {
        let hash = TreeHash::of(&tree);
        let url = format!("{}/v1/rooms/{room}/trees/{hash}", self.server);
        let request = self.http.put(url).bearer_auth(&self.session.access_token).body(tree);
        let response = request.send().await.expect("an answer");
        assert!(response.status().is_success(), "{}", response.text().await.unwrap_or_default());
        hash
    }

    /// An envelope of its own with a payload of noise.
    pub fn envelope(&self, room: RoomId, commit_seq: Seq, payload: Vec<u8>) -> Envelope {
        Envelope {
            room,
            message_id: draw!(MessageId),
            sender: self.id,
            kind: Kind::Application,
            commit_seq,
            payload: payload.into(),
            delta: Vec::new(),
        }
    }

    /// Opens a socket and says hello.
    pub async fn connect(&self) -> Socket {
        let mut socket =
            Socket::open(&self.server, Some(&self.session.access_token)).await.expect("a socket");
        socket.send(hello(1, 1)).await;
        match socket.next().await {
            Some(server_frame::Body::HelloAck(_)) => socket,
            other => panic!("no hello back: {other:?}"),
        }
    }
}

/// What a daemon would say of an account whose keys are others than they were, each properly signed.
pub fn directory(name: &str, account: AccountId) -> api::Directory {
    let (registered, _) = registration_of(name, account);
    api::Directory {
        name: registered.name,
        account_id: registered.account_id,
        account_record: registered.account_record,
        device_list: registered.device_list,
        device_certificates: vec![registered.device_certificate],
        proof: None,
        pending: false,
    }
}

/// What registers an account with one device, and that device's key.
pub fn registration(name: &str) -> (api::Register, DeviceSigningKey) {
    registration_of(name, draw!(AccountId))
}

fn registration_of(name: &str, account: AccountId) -> (api::Register, DeviceSigningKey) {
    let (body, key, _) = drawn(name, account);
    (body, key)
}

/// Registers an account whose device can be added to a group: its KeyPackage is genuine, and nobody has its secret.
pub async fn register_leaf(server: &str, name: &str) {
    let server = server.to_owned();
    let (mut body, key, identity) = drawn(name, draw!(AccountId));
    let made = tokio::task::spawn_blocking(move || {
        let certificate = body.device_certificate.as_ref();
        let device =
            mls::device::Device::new(certificate, &key, Arc::new(SystemEntropy), Arc::new(Own(identity)))
                .expect("a device");
        let mut packages = device.key_packages(2, false, now()).expect("KeyPackages").into_iter();
        body.key_packages = vec![packages.next().expect("one").message.into()];
        body.last_resort_key_package = packages.next().expect("another").message.into();
        body
    });
    let request = http::client().post(format!("{server}/v1/accounts"));
    let response = request.json(&made.await.expect("keys")).send().await.expect("an answer");
    assert!(response.status().is_success(), "{}", response.text().await.unwrap_or_default());
}

/// An account knows its own key.
struct Own(AccountPublicKey);

impl mls::identity::AccountKeys for Own {
    fn account_key(&self, _account: AccountId, hash: &[u8; 48]) -> Option<AccountPublicKey> {
        (self.0.hash() == *hash).then(|| self.0.clone())
    }
}

fn drawn(name: &str, account: AccountId) -> (api::Register, DeviceSigningKey, AccountPublicKey) {
    let name: UserName = name.parse().expect("a user name");
    let id = draw!(DeviceId);
    let identity = AccountSigningKey::generate(&SystemEntropy).expect("a key");
    let recovery = RecoveryKey::generate(&SystemEntropy).expect("a key").signing_key().expect("a key");
    let key = DeviceSigningKey::generate(&SystemEntropy).expect("a key");
    let created_at = now();
    let record = AccountRecord {
        account,
        name: name.clone(),
        identity_key: identity.public().clone(),
        recovery_key: recovery.public().clone(),
        created_at,
    };
    let certificate = DeviceCertificate {
        account,
        device: id,
        device_key: key.public().clone(),
        identity_key_hash: identity.public().hash(),
        created_at,
    };
    let list = DeviceList {
        account,
        version: 1,
        issued_at: created_at,
        expires_at: created_at + DeviceList::LIFETIME,
        devices: vec![ListedDevice { device: id, device_key_hash: key.public().hash() }],
    };
    let body = api::Register {
        name,
        account_id: account,
        device_id: id,
        auth_key: noise(32).into(),
        auth_salt: noise(16).into(),
        account_record: record.sign(&identity, &recovery).expect("a signature").into(),
        device_list: list.sign(&identity).expect("a signature").into(),
        device_certificate: certificate.sign(&identity).expect("a signature").into(),
        key_packages: (0..3).map(|_| Binary::from(noise(64))).collect(),
        last_resort_key_package: noise(64).into(),
    };
    (body, key, identity.public().clone())
}

/// A client's first frame.
pub fn hello(version_min: u32, version_max: u32) -> client_frame::Body {
    client_frame::Body::Hello(pb::Hello { version_min, version_max, agent: "qchat-tests".to_owned() })
}

/// A request to order an envelope.
pub fn publish(request_id: u64, envelope: &Envelope) -> client_frame::Body {
    client_frame::Body::Publish(pb::Publish {
        request_id,
        envelope: envelope.encode(),
        welcomes: Vec::new(),
        tree_hash: Vec::new().into(),
        after: Vec::new().into(),
    })
}

/// An open WebSocket to the daemon.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens it; the error is the daemon's refusal.
    pub async fn open(server: &str, token: Option<&str>) -> Result<Self, SocketError> {
        let url = format!("{}/v1/socket", server.replacen("http", "ws", 1));
        let mut request = url.into_client_request()?;
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().expect("a header's value");
            request.headers_mut().insert("authorization", value);
        }
        let (stream, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Self(stream))
    }

    /// Sends a frame.
    pub async fn send(&mut self, body: client_frame::Body) {
        self.send_bytes(frame::client_frame(body).to_vec()).await;
    }

    /// Sends bytes as a frame; whether the daemon still takes them is seen in what it answers.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        drop(self.0.send(Message::Binary(bytes.into())).await);
    }

    /// Sends a text message, which the protocol does not know.
    pub async fn send_text(&mut self, text: &str) {
        drop(self.0.send(Message::Text(text.to_owned().into())).await);
    }

    /// The daemon's next answer, past what it pushes; `None` when it has closed.
    pub async fn answer(&mut self) -> Option<server_frame::Body> {
        loop {
            match self.next().await {
                Some(
                    server_frame::Body::Deliver(_)
                    | server_frame::Body::Behind(_)
                    | server_frame::Body::RoomHint(_),
                ) => {}
                answer => return answer,
            }
        }
    }

    /// The daemon's next frame; `None` when it has closed.
    pub async fn next(&mut self) -> Option<server_frame::Body> {
        loop {
            let message = tokio::time::timeout(DEADLINE, self.0.next()).await.expect("an answer in time");
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    if let Some(body) = frame::read_server_frame(bytes).expect("a documented frame") {
                        return Some(body);
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }
}
