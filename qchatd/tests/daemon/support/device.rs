//! A person with one device: keys, signed statements, tokens, and REST calls.

use std::time::{SystemTime, UNIX_EPOCH};

use qchat_proto::{
    crypto::{
        entropy::{Entropy, SystemEntropy},
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::{AccountRecord, DeviceCertificate, DeviceList, ListedDevice, LoginProof},
    ids::{AccountId, DeviceId, FileId, RoomId, UserName},
    wire::{
        api::{
            Binary, Challenge, ChallengeRequest, CompleteFile, CreateRoom, FileParts, FileQuota, Login,
            PutFile, Register, Room, Session,
        },
        fault::{Fault, FaultBody, FaultCode},
        tree::TreeHash,
    },
};
use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use super::{Server, http};

pub(crate) struct Device {
    pub(crate) name: UserName,
    pub(crate) account: AccountId,
    pub(crate) id: DeviceId,
    pub(crate) identity: AccountSigningKey,
    pub(crate) key: DeviceSigningKey,
    pub(crate) registration: Register,
    pub(crate) session: Session,
    http: reqwest::Client,
    base: String,
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemEntropy.fill(&mut bytes).unwrap();
    bytes
}

/// Keys and a registration that nobody has sent yet.
pub(crate) fn draw(name: &str) -> (Register, AccountSigningKey, DeviceSigningKey) {
    let (request, identity, key, _) = draw_with_recovery(name);
    (request, identity, key)
}

/// The same with the recovery key.
pub(crate) fn draw_with_recovery(
    name: &str,
) -> (Register, AccountSigningKey, DeviceSigningKey, AccountSigningKey) {
    let identity = AccountSigningKey::generate(&SystemEntropy).unwrap();
    let recovery = AccountSigningKey::generate(&SystemEntropy).unwrap();
    let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
    let (account_id, device_id) = (AccountId::from_bytes(random()), DeviceId::from_bytes(random()));
    let name: UserName = name.parse().unwrap();
    let record = AccountRecord {
        account: account_id,
        name: name.clone(),
        identity_key: identity.public().clone(),
        recovery_key: recovery.public().clone(),
        created_at: now(),
    };
    let certificate = DeviceCertificate {
        account: account_id,
        device: device_id,
        device_key: key.public().clone(),
        identity_key_hash: identity.public().hash(),
        created_at: now(),
    };
    let request = Register {
        name,
        account_id,
        device_id,
        auth_key: random::<32>().to_vec().into(),
        auth_salt: random::<16>().to_vec().into(),
        account_record: record.sign(&identity, &recovery).unwrap().into(),
        device_list: list(account_id, 1, &[(device_id, &key)]).sign(&identity).unwrap().into(),
        device_certificate: certificate.sign(&identity).unwrap().into(),
        key_packages: (0..3).map(|_| random::<64>().to_vec().into()).collect(),
        last_resort_key_package: random::<64>().to_vec().into(),
    };
    (request, identity, key, recovery)
}

/// A device list, unsigned.
pub(crate) fn list(
    account: AccountId,
    version: u64,
    devices: &[(DeviceId, &DeviceSigningKey)],
) -> DeviceList {
    DeviceList {
        account,
        version,
        issued_at: now(),
        expires_at: now() + DeviceList::LIFETIME,
        devices: devices
            .iter()
            .map(|(device, key)| ListedDevice { device: *device, device_key_hash: key.public().hash() })
            .collect(),
    }
}

/// Puts a device's trees there.
#[derive(Clone)]
pub(crate) struct Trees {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Trees {
    /// Under their own name.
    pub(crate) async fn put(&self, room: RoomId, tree: Vec<u8>) -> Result<(), FaultCode> {
        self.put_as(room, TreeHash::of(&tree), tree).await
    }

    /// Under any name.
    pub(crate) async fn put_as(
        &self,
        room: RoomId,
        hash: TreeHash,
        tree: impl Into<reqwest::Body>,
    ) -> Result<(), FaultCode> {
        let url = format!("{}/v1/rooms/{room}/trees/{hash}", self.base);
        let response =
            self.http.put(url).bearer_auth(&self.token).body(tree).send().await.expect("an answer");
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(());
        }
        Err(response.json::<FaultBody>().await.unwrap().error.code)
    }
}

/// Puts a device's files there, and reads those of its rooms.
#[derive(Clone)]
pub(crate) struct Files {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Files {
    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, FaultCode> {
        let response = request.bearer_auth(&self.token).send().await.expect("an answer");
        if response.status().is_success() {
            return Ok(response);
        }
        Err(response.json::<FaultBody>().await.unwrap().error.code)
    }

    fn url(&self, room: RoomId, file: FileId, more: &str) -> String {
        format!("{}/v1/rooms/{room}/files/{file}{more}", self.base)
    }

    pub(crate) async fn begin(&self, room: RoomId, file: FileId, size: u64) -> Result<FileParts, FaultCode> {
        let request = self.http.put(self.url(room, file, "")).json(&PutFile { size });
        Ok(self.ask(request).await?.json().await.unwrap())
    }

    pub(crate) async fn part(
        &self,
        room: RoomId,
        file: FileId,
        number: u64,
        bytes: impl Into<reqwest::Body>,
    ) -> Result<(), FaultCode> {
        let request = self.http.put(self.url(room, file, &format!("/parts/{number}"))).body(bytes);
        self.ask(request).await.map(drop)
    }

    pub(crate) async fn complete(&self, room: RoomId, file: FileId, hash: [u8; 48]) -> Result<(), FaultCode> {
        let body = CompleteFile { hash: hash.to_vec().into() };
        self.ask(self.http.post(self.url(room, file, "/complete")).json(&body)).await.map(drop)
    }

    /// All of a file.
    pub(crate) async fn read(&self, room: RoomId, file: FileId) -> Result<Vec<u8>, FaultCode> {
        Ok(self.ask(self.http.get(self.url(room, file, ""))).await?.bytes().await.unwrap().to_vec())
    }

    /// A stretch of it, with what the answer says of it.
    pub(crate) async fn stretch(
        &self,
        room: RoomId,
        file: FileId,
        range: &str,
    ) -> Result<(String, Vec<u8>), FaultCode> {
        let response = self.ask(self.http.get(self.url(room, file, "")).header("range", range)).await?;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        let said = response.headers()["content-range"].to_str().unwrap().to_owned();
        Ok((said, response.bytes().await.unwrap().to_vec()))
    }

    pub(crate) async fn delete(&self, room: RoomId, file: FileId) -> Result<(), FaultCode> {
        self.ask(self.http.delete(self.url(room, file, ""))).await.map(drop)
    }

    pub(crate) async fn quota(&self) -> FileQuota {
        let request = self.http.get(format!("{}/v1/account/files", self.base));
        self.ask(request).await.unwrap().json().await.unwrap()
    }
}

impl Device {
    /// What puts its files there.
    pub(crate) fn files(&self) -> Files {
        let token = self.session.access_token.clone();
        Files { http: self.http.clone(), base: self.base.clone(), token }
    }

    /// What puts its trees there.
    pub(crate) fn trees(&self) -> Trees {
        let token = self.session.access_token.clone();
        Trees { http: self.http.clone(), base: self.base.clone(), token }
    }

    /// The tree for the Welcome of the commit at `seq`.
    pub(crate) async fn tree(&self, room: RoomId, seq: u64) -> Result<Vec<u8>, FaultCode> {
        let url = format!("{}/v1/rooms/{room}/invitation/{seq}/tree", self.base);
        let request = self.http.get(url).bearer_auth(&self.session.access_token);
        let response = request.send().await.unwrap();
        if response.status().is_success() {
            return Ok(response.bytes().await.unwrap().to_vec());
        }
        Err(response.json::<FaultBody>().await.unwrap().error.code)
    }

    pub(crate) async fn register(server: &Server, name: &str) -> Self {
        let mut device = Self::unregistered(name);
        device.moved_to(server);
        let request = device.http.post(server.url("/v1/accounts")).json(&device.registration);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        device.session = response.json().await.unwrap();
        device
    }

    /// One that no server knows, without a session.
    pub(crate) fn unregistered(name: &str) -> Self {
        let (registration, identity, key) = draw(name);
        Self {
            name: registration.name.clone(),
            account: registration.account_id,
            id: registration.device_id,
            identity,
            key,
            registration,
            session: Session { access_token: String::new(), expires_in: 0, refresh_token: String::new() },
            http: http(),
            base: String::new(),
        }
    }

    /// Finds the server again after a restart.
    pub(crate) fn moved_to(&mut self, server: &Server) {
        self.base = server.url("");
    }

    /// Finds a server at an address.
    pub(crate) fn is_at(&mut self, address: &str) {
        self.base = format!("http://{address}");
    }

    pub(crate) fn host(&self) -> &str {
        self.base.strip_prefix("http://").unwrap()
    }

    /// Sends a request with the access token.
    pub(crate) async fn call<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, (StatusCode, Fault)> {
        let mut request =
            self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.session.access_token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(serde_json::from_str("null").unwrap());
        }
        if status.is_success() {
            Ok(response.json().await.unwrap())
        } else {
            Err((status, response.json::<FaultBody>().await.unwrap().error))
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, FaultCode> {
        self.call(Method::GET, path, None::<&()>).await.map_err(|(_, fault)| fault.code)
    }

    pub(crate) async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, FaultCode> {
        self.call(Method::POST, path, Some(body)).await.map_err(|(_, fault)| fault.code)
    }

    pub(crate) async fn put<B: Serialize + Sync>(&self, path: &str, body: &B) -> Result<(), FaultCode> {
        self.call(Method::PUT, path, Some(body)).await.map_err(|(_, fault)| fault.code)
    }

    pub(crate) async fn create_room(&self) -> RoomId {
        let room_id = RoomId::from_bytes(random());
        let room: Room = self.post("/v1/rooms", &CreateRoom { room_id }).await.unwrap();
        assert_eq!(room.room_id, room_id);
        room_id
    }

    pub(crate) async fn room(&self, room: RoomId) -> Result<Room, FaultCode> {
        self.get(&format!("/v1/rooms/{room}")).await
    }

    /// `join` or `decline`.
    pub(crate) async fn reply(&self, room: RoomId, reply: &str) -> Result<(), FaultCode> {
        self.post(&format!("/v1/rooms/{room}/{reply}"), &()).await
    }

    pub(crate) async fn challenge(&self) -> Challenge {
        let request = ChallengeRequest { account_id: self.account, device_id: self.id };
        self.post("/v1/sessions/challenge", &request).await.unwrap()
    }

    /// The answer to a challenge.
    pub(crate) fn login(&self, challenge: &Challenge) -> Login {
        let proof = LoginProof {
            nonce: challenge.nonce.as_ref().try_into().unwrap(),
            server: challenge.server_id,
            expires_at: challenge.expires_at,
            account: self.account,
            device: self.id,
        };
        Login {
            account_id: self.account,
            device_id: self.id,
            nonce: challenge.nonce.clone(),
            signature: Binary::from(proof.sign(&self.key).unwrap()),
        }
    }

    pub(crate) async fn log_in(&mut self) {
        let challenge = self.challenge().await;
        self.session = self.post("/v1/sessions", &self.login(&challenge)).await.unwrap();
    }
}
