//! New devices: what a password opens, how a link goes on and ends, and that a device is let in as a whole or not at all.

use qchat_proto::{
    crypto::{entropy::SystemEntropy, sign::DeviceSigningKey},
    identity::{DeviceCertificate, ListedDevice},
    ids::{DeviceId, LinkId},
    wire::{
        api::{
            AccountNotes, Binary, Devices, Directory, Granted, LinkSession, LinkState, OpenLink, PendingLink,
            PutAccountNotes, PutAnswer, PutCertificate, PutDeviceList, PutLabel, PutOpening, Salt,
            SaltRequest,
        },
        fault::{Fault, FaultBody, FaultCode},
        limits,
        pb::server_frame::Body,
    },
};
use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    Database, Device, Server, Socket,
    device::{list, now, random},
    http, on_both,
    socket::handshake,
};

on_both!(
    a_password_opens_a_link_and_nothing_else,
    names_that_nobody_has_are_answered_like_wrong_passphrases,
    a_link_goes_on_step_by_step_and_one_waits_at_a_time,
    a_device_is_let_in_as_a_whole_or_not_at_all,
    what_is_over_is_gone,
    a_revoked_device_has_no_key_packages_and_no_session,
);

/// Somebody who is no device of any account.
struct Stranger<'a> {
    server: &'a Server,
    token: String,
}

impl Stranger<'_> {
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, (StatusCode, Fault)> {
        let mut request = http().request(method, self.server.url(path)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(serde_json::from_str("null").unwrap());
        }
        if status.is_success() {
            return Ok(response.json().await.unwrap());
        }
        Err((status, response.json::<FaultBody>().await.unwrap().error))
    }

    async fn code<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, FaultCode> {
        self.ask(method, path, body).await.map_err(|(_, fault)| fault.code)
    }

    async fn state(&self) -> Result<LinkState, FaultCode> {
        self.code(Method::GET, "/v1/link", None::<&()>).await
    }

    async fn open(&self, opening: &[u8]) -> Result<(), FaultCode> {
        let body = PutOpening { opening: opening.to_vec().into() };
        self.code(Method::PUT, "/v1/link/opening", Some(&body)).await
    }

    async fn confirm(&self) -> Result<(), FaultCode> {
        self.code(Method::POST, "/v1/link/confirm", None::<&()>).await
    }

    async fn cancel(&self) -> Result<(), FaultCode> {
        self.code(Method::DELETE, "/v1/link", None::<&()>).await
    }
}

fn request(of: &Device) -> OpenLink {
    OpenLink {
        name: of.name.clone(),
        auth_key: of.registration.auth_key.clone(),
        commitment: random::<48>().to_vec().into(),
    }
}

/// Begins a link of an account.
async fn link<'a>(server: &'a Server, of: &Device) -> (Stranger<'a>, LinkSession) {
    let nobody = Stranger { server, token: String::new() };
    let session: LinkSession = nobody.ask(Method::POST, "/v1/links", Some(&request(of))).await.unwrap();
    (Stranger { server, token: session.token.clone() }, session)
}

async fn pending(of: &Device) -> Result<PendingLink, FaultCode> {
    of.get("/v1/account/link").await
}

async fn answer(of: &Device, link_id: LinkId, answer: &[u8]) -> Result<(), FaultCode> {
    of.put("/v1/account/link/answer", &PutAnswer { link_id, answer: answer.to_vec().into() }).await
}

async fn refuse(of: &Device, link: LinkId) -> Result<(), FaultCode> {
    let refused = of.call::<(), ()>(Method::DELETE, &format!("/v1/account/link/{link}"), None).await;
    refused.map_err(|(_, fault)| fault.code)
}

/// Waits until a socket hears that something about its account has changed.
/// Waits for word that something about the account has changed.
pub(crate) async fn hinted(socket: &mut Socket) {
    socket.wait(|body| matches!(body, Body::AccountHint(_)).then_some(())).await;
}

async fn a_password_opens_a_link_and_nothing_else(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let mut socket = Socket::connect(&alice).await;
    let nobody = Stranger { server: &server, token: String::new() };
    let asked = SaltRequest { name: alice.name.clone() };
    let salt: Salt = nobody.ask(Method::POST, "/v1/links/salt", Some(&asked)).await.unwrap();
    assert_eq!(salt.auth_salt, alice.registration.auth_salt);
    let (new, _) = link(&server, &alice).await;
    hinted(&mut socket).await;
    assert!(new.state().await.unwrap().answer.is_none());

    // With the link's token nothing but the link can be had.
    let device_list = list(alice.account, 2, &[]).sign(&alice.identity).unwrap().into();
    let emptied = PutDeviceList { device_list, ..PutDeviceList::default() };
    for (method, path, body) in [
        (Method::GET, "/v1/rooms".to_owned(), None),
        (Method::GET, format!("/v1/accounts/{}", alice.account), None),
        (Method::GET, "/v1/account/devices".to_owned(), None),
        (Method::GET, "/v1/account/link".to_owned(), None),
        (Method::GET, "/v1/account/grant".to_owned(), None),
        (Method::GET, "/v1/key-packages".to_owned(), None),
        (Method::DELETE, "/v1/sessions".to_owned(), None),
        (Method::DELETE, "/v1/account/sessions".to_owned(), None),
        (Method::PUT, "/v1/account/device-list".to_owned(), Some(&emptied)),
    ] {
        let refused = new.code::<serde_json::Value>(method.clone(), &path, body).await;
        assert_eq!(refused.unwrap_err(), FaultCode::Unauthenticated, "{method} {path}");
    }
    let upgrade = tokio_tungstenite::connect_async(handshake(alice.host(), &new.token)).await;
    assert!(upgrade.unwrap_err().to_string().contains("401"));
    // Nor the link with an access token, or with something made up.
    for token in [alice.session.access_token.as_str(), "", "!", &"A".repeat(43)] {
        let other = Stranger { server: &server, token: token.to_owned() };
        assert_eq!(other.state().await.unwrap_err(), FaultCode::Unauthenticated);
        assert_eq!(other.cancel().await.unwrap_err(), FaultCode::Unauthenticated);
    }
    let unsound = OpenLink { commitment: vec![0; 47].into(), ..request(&alice) };
    let short = OpenLink { auth_key: vec![0; 31].into(), ..request(&alice) };
    for malformed in [unsound, short] {
        let refused = nobody.code::<LinkSession>(Method::POST, "/v1/links", Some(&malformed)).await;
        assert_eq!(refused.unwrap_err(), FaultCode::BadRequest);
    }
    let directory: Directory = alice.get(&format!("/v1/accounts/{}", alice.account)).await.unwrap();
    assert_eq!(directory.device_list, alice.registration.device_list, "nobody was added");
}

async fn names_that_nobody_has_are_answered_like_wrong_passphrases(database: Database) {
    let config = database.config(&[("account_registrations_per_minute", "3")]);
    let server = Server::start_with(database, config).await;
    let alice = Device::register(&server, "alice").await;
    let nobody = Stranger { server: &server, token: String::new() };
    let salt = async |name: &str| -> Binary {
        let asked = SaltRequest { name: name.parse().unwrap() };
        let salt: Salt = nobody.ask(Method::POST, "/v1/links/salt", Some(&asked)).await.unwrap();
        salt.auth_salt
    };
    assert_eq!(salt("nobody").await, salt("nobody").await);
    assert_ne!(salt("nobody").await, salt("somebody").await);
    assert_eq!(salt("nobody").await.as_ref().len(), 16);
    // The same sentence and status each time, and the same limit, whether there is an account or none.
    let guess = async |name: &str| {
        let wrong = OpenLink {
            name: name.parse().unwrap(),
            auth_key: random::<32>().to_vec().into(),
            ..request(&alice)
        };
        let refused = nobody.ask::<LinkSession>(Method::POST, "/v1/links", Some(&wrong)).await.unwrap_err();
        (refused.0, refused.1.code, refused.1.message)
    };
    for attempt in 0..5 {
        let (known, unknown) = (guess("alice").await, guess("nobody").await);
        let limited = attempt >= 3;
        let code = if limited { FaultCode::RateLimited } else { FaultCode::Unauthenticated };
        assert_eq!((known.0, known.1), (unknown.0, code), "attempt {attempt}");
        assert_eq!(unknown.1, code, "attempt {attempt}");
        if !limited {
            assert_eq!(known.2, unknown.2);
        }
    }
}

async fn a_link_goes_on_step_by_step_and_one_waits_at_a_time(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let bob = Device::register(&server, "bob").await;
    assert_eq!(pending(&alice).await.unwrap_err(), FaultCode::NotFound);
    let (first, _) = link(&server, &alice).await;
    let (new, session) = link(&server, &alice).await;
    assert_eq!(first.state().await.unwrap_err(), FaultCode::Unauthenticated, "another was begun");
    let link_id = session.link_id;
    let waiting = pending(&alice).await.unwrap();
    assert_eq!((waiting.link_id, waiting.answered_by, waiting.confirmed), (link_id, None, false));
    assert!((595..=600).contains(&waiting.expires_in) && waiting.created_at.abs_diff(now()) < 60);
    assert_eq!(pending(&bob).await.unwrap_err(), FaultCode::NotFound);
    assert_eq!(answer(&bob, link_id, b"bob's").await.unwrap_err(), FaultCode::NotFound);
    assert_eq!(refuse(&bob, link_id).await.unwrap_err(), FaultCode::NotFound);

    // Nothing comes before what it follows, and what was said stays.
    assert_eq!(new.open(b"opening").await.unwrap_err(), FaultCode::Conflict);
    assert_eq!(new.confirm().await.unwrap_err(), FaultCode::Conflict);
    for (size, refused) in [(0, FaultCode::BadRequest), (limits::LINK + 1, FaultCode::TooLarge)] {
        assert_eq!(answer(&alice, link_id, &vec![0; size]).await.unwrap_err(), refused);
    }
    answer(&alice, link_id, b"answer").await.unwrap();
    answer(&alice, link_id, b"answer").await.unwrap();
    assert_eq!(answer(&alice, link_id, b"another").await.unwrap_err(), FaultCode::Conflict);
    assert_eq!(new.state().await.unwrap().answer.unwrap().as_ref(), b"answer");
    assert_eq!(new.confirm().await.unwrap_err(), FaultCode::Conflict);
    assert_eq!(new.open(&vec![0; limits::LINK + 1]).await.unwrap_err(), FaultCode::TooLarge);
    let mut socket = Socket::connect(&alice).await;
    new.open(b"opening").await.unwrap();
    hinted(&mut socket).await;
    new.open(b"opening").await.unwrap();
    assert_eq!(new.open(b"another").await.unwrap_err(), FaultCode::Conflict);
    new.confirm().await.unwrap();
    let waiting = pending(&alice).await.unwrap();
    assert_eq!((waiting.answered_by, waiting.confirmed), (Some(alice.id), true));
    assert_eq!(waiting.opening.unwrap().as_ref(), b"opening");

    // Either side ends it.
    refuse(&alice, link_id).await.unwrap();
    assert_eq!(refuse(&alice, link_id).await.unwrap_err(), FaultCode::NotFound);
    assert_eq!(new.state().await.unwrap_err(), FaultCode::Unauthenticated);
    let (again, _) = link(&server, &alice).await;
    again.cancel().await.unwrap();
    assert_eq!(pending(&alice).await.unwrap_err(), FaultCode::NotFound);
    assert_eq!(again.confirm().await.unwrap_err(), FaultCode::Unauthenticated);
}

/// A device that nobody has let in yet.
struct Candidate {
    id: DeviceId,
    key: DeviceSigningKey,
}

impl Candidate {
    fn new() -> Self {
        Self { id: DeviceId::from_bytes(random()), key: DeviceSigningKey::generate(&SystemEntropy).unwrap() }
    }

    /// What lets it in beside the account's first device.
    fn put(&self, alice: &Device, version: u64, by: &Device, link_id: Option<LinkId>) -> PutDeviceList {
        let mut newer = list(alice.account, version, &[(alice.id, &alice.key)]);
        newer.add(ListedDevice { device: self.id, device_key_hash: self.key.public().hash() });
        let certificate = DeviceCertificate {
            account: alice.account,
            device: self.id,
            device_key: self.key.public().clone(),
            identity_key_hash: by.identity.public().hash(),
            created_at: newer.issued_at,
        };
        PutDeviceList {
            device_list: newer.sign(&alice.identity).unwrap().into(),
            certificates: vec![PutCertificate {
                certificate: certificate.sign(&by.identity).unwrap().into(),
                label: Some(vec![7; 9].into()),
                grant: Some(vec![8; 9].into()),
            }],
            account_record: None,
            link_id,
        }
    }

    /// The device with a session, as whoever has its key can open one.
    async fn log_in(self, server: &Server, alice: &Device) -> Device {
        let mut device = Device::unregistered("laptop");
        device.moved_to(server);
        (device.account, device.id, device.key) = (alice.account, self.id, self.key);
        device.log_in().await;
        device
    }
}

async fn a_device_is_let_in_as_a_whole_or_not_at_all(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let mallory = Device::register(&server, "mallory").await;
    let laptop = Candidate::new();
    let put = async |request: &PutDeviceList| alice.put("/v1/account/device-list", request).await;
    let directory =
        async || -> Directory { alice.get(&format!("/v1/accounts/{}", alice.account)).await.unwrap() };
    let (new, session) = link(&server, &alice).await;
    let link_id = Some(session.link_id);
    answer(&alice, session.link_id, b"answer").await.unwrap();
    new.open(b"opening").await.unwrap();

    let good = |link_id| laptop.put(&alice, 2, &alice, link_id);
    let with = |change: fn(&mut PutCertificate)| {
        let mut request = laptop.put(&alice, 2, &alice, None);
        change(&mut request.certificates[0]);
        request
    };
    let ghost = PutDeviceList { certificates: vec![], ..good(None) };
    let stranger = {
        let device_list = list(alice.account, 2, &[(alice.id, &alice.key)]).sign(&alice.identity).unwrap();
        PutDeviceList { device_list: device_list.into(), ..good(None) }
    };
    let rows = [
        ("not confirmed", good(link_id), FaultCode::Forbidden),
        ("another link", good(Some(LinkId::from_bytes(random()))), FaultCode::NotFound),
        ("another's certificate", laptop.put(&alice, 2, &mallory, None), FaultCode::BadRequest),
        ("no certificate", ghost, FaultCode::BadRequest),
        ("a certificate of who is not listed", stranger, FaultCode::BadRequest),
        ("not newer", laptop.put(&alice, 1, &alice, None), FaultCode::Conflict),
        ("an empty grant", with(|put| put.grant = Some(Binary::default())), FaultCode::BadRequest),
        (
            "a large grant",
            with(|put| put.grant = Some(vec![0; limits::GRANT + 1].into())),
            FaultCode::TooLarge,
        ),
        (
            "a large label",
            with(|put| put.label = Some(vec![0; limits::LABEL + 1].into())),
            FaultCode::TooLarge,
        ),
    ];
    for (what, request, refused) in rows {
        assert_eq!(put(&request).await.unwrap_err(), refused, "{what}");
        assert_eq!(directory().await.device_certificates.len(), 1, "{what}");
    }
    // Somebody else's device under its id.
    let taken = Candidate { id: mallory.id, key: DeviceSigningKey::generate(&SystemEntropy).unwrap() };
    assert_eq!(put(&taken.put(&alice, 2, &alice, None)).await.unwrap_err(), FaultCode::Conflict);
    assert_eq!(directory().await.device_list, alice.registration.device_list);

    new.confirm().await.unwrap();
    let mut socket = Socket::connect(&alice).await;
    put(&good(link_id)).await.unwrap();
    hinted(&mut socket).await;
    assert_eq!(directory().await.device_certificates.len(), 2);
    assert_eq!(new.state().await.unwrap_err(), FaultCode::Unauthenticated, "it is completed");
    assert_eq!(pending(&alice).await.unwrap_err(), FaultCode::NotFound);
    assert_eq!(put(&good(link_id)).await.unwrap_err(), FaultCode::NotFound);
    assert_eq!(put(&good(None)).await.unwrap_err(), FaultCode::Conflict);

    // It logs in by its key, takes what was sealed for it, and nobody else gets it.
    let id = laptop.id;
    let laptop = laptop.log_in(&server, &alice).await;
    assert_eq!(alice.get::<Granted>("/v1/account/grant").await.unwrap_err(), FaultCode::NotFound);
    let granted: Granted = laptop.get("/v1/account/grant").await.unwrap();
    assert_eq!(granted.grant.as_ref(), [8; 9]);
    laptop.call::<(), ()>(Method::DELETE, "/v1/account/grant", None).await.unwrap();
    assert_eq!(laptop.get::<Granted>("/v1/account/grant").await.unwrap_err(), FaultCode::NotFound);
    let known: Devices = alice.get("/v1/account/devices").await.unwrap();
    let entry = known.devices.iter().find(|entry| entry.device_id == id).unwrap();
    assert_eq!(entry.label.as_ref().unwrap().as_ref(), [7; 9]);
    assert!(entry.last_seen.is_some_and(|seen| seen % 3600 == 0 && now() - seen < 2 * 3600));
    laptop.put("/v1/account/label", &PutLabel { label: vec![6; 9].into() }).await.unwrap();
    let known: Devices = alice.get("/v1/account/devices").await.unwrap();
    assert!(known.devices.iter().any(|entry| entry.label == Some(vec![6; 9].into())));
    let others: Devices = mallory.get("/v1/account/devices").await.unwrap();
    assert_eq!(others.devices.len(), 1, "one's own alone");
    assert_eq!(others.devices[0].device_id, mallory.id);
}

async fn what_is_over_is_gone(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let (new, session) = link(&server, &alice).await;
    answer(&alice, session.link_id, b"answer").await.unwrap();
    new.open(b"opening").await.unwrap();
    new.confirm().await.unwrap();
    server.database.execute(&format!("UPDATE links SET expires_at = {}", now() - 1));
    assert_eq!(new.state().await.unwrap_err(), FaultCode::Unauthenticated);
    assert_eq!(pending(&alice).await.unwrap_err(), FaultCode::NotFound);
    let late = Candidate::new().put(&alice, 2, &alice, Some(session.link_id));
    assert_eq!(alice.put("/v1/account/device-list", &late).await.unwrap_err(), FaultCode::NotFound);
    let (again, _) = link(&server, &alice).await;
    assert!(again.state().await.is_ok(), "another can be begun");
}

/// Sends all of a request but its body, and waits until the daemon wants that: who asks is known by then.
async fn begin_to_put_notes(device: &Device) -> (TcpStream, Vec<u8>) {
    let body = serde_json::to_vec(&PutAccountNotes { after: 0, sealed: vec![7; 64].into() }).unwrap();
    let head = format!(
        "PUT /v1/account/notes HTTP/1.1\r\nHost: qchat\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        device.session.access_token,
        body.len()
    );
    let mut stream = TcpStream::connect(device.host()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(stream.read_u8().await.unwrap());
    }
    assert!(said.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&said));
    (stream, body)
}

async fn a_revoked_device_has_no_key_packages_and_no_session(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let laptop = Candidate::new();
    alice.put("/v1/account/device-list", &laptop.put(&alice, 2, &alice, None)).await.unwrap();
    let laptop = laptop.log_in(&server, &alice).await;
    let mut waiting = Socket::connect(&alice).await;
    let packages = qchat_proto::wire::api::PutKeyPackages {
        key_packages: vec![random::<64>().to_vec().into()],
        last_resort: Some(random::<64>().to_vec().into()),
    };
    let count: qchat_proto::wire::api::KeyPackageCount =
        laptop.post("/v1/key-packages", &packages).await.unwrap();
    assert_eq!((count.count, count.device_list_version), (1, Some(2)));
    // It can be added to rooms from now on: the others are told.
    hinted(&mut waiting).await;
    let mut socket = Socket::connect(&laptop).await;
    // Its session is good when this comes; the rest of it comes later.
    let (mut underway, notes) = begin_to_put_notes(&laptop).await;
    let device_list = list(alice.account, 3, &[(alice.id, &alice.key)]).sign(&alice.identity).unwrap().into();
    alice
        .put("/v1/account/device-list", &PutDeviceList { device_list, ..PutDeviceList::default() })
        .await
        .unwrap();
    socket.end().await;
    underway.write_all(&notes).await.unwrap();
    let mut answered = String::new();
    underway.read_to_string(&mut answered).await.unwrap();
    assert!(answered.contains("HTTP/1.1 401"), "{answered}");
    assert_eq!(alice.get::<AccountNotes>("/v1/account/notes").await.unwrap().version, 0);
    assert_eq!(laptop.get::<Devices>("/v1/account/devices").await.unwrap_err(), FaultCode::Unauthenticated);
    let claim =
        qchat_proto::wire::api::ClaimKeyPackages { account_id: alice.account, devices: vec![laptop.id] };
    let claimed = alice.post::<_, serde_json::Value>("/v1/key-packages/claim", &claim).await;
    assert_eq!(claimed.unwrap_err(), FaultCode::NotFound);
    let challenge = laptop.challenge().await;
    let login = laptop.post::<_, serde_json::Value>("/v1/sessions", &laptop.login(&challenge)).await;
    assert_eq!(login.unwrap_err(), FaultCode::Unauthenticated);
    // On the list again, it has to bring new ones.
    let again = Candidate { id: laptop.id, key: laptop.key };
    let relisted = again.put(&alice, 4, &alice, None);
    alice.put("/v1/account/device-list", &relisted).await.unwrap();
    let claimed: serde_json::Value = alice.post("/v1/key-packages/claim", &claim).await.unwrap();
    assert_eq!(claimed["key_packages"].as_array().map(Vec::len), Some(0));
}
