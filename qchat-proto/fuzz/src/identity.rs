//! Signed statements, keys, signatures and HPKE: nothing is believed but what was signed or sealed.

use std::sync::LazyLock;

use qchat_proto::{
    crypto::{
        hpke,
        secret::Secret,
        sign::{AccountPublicKey, DevicePublicKey, SignatureUse},
    },
    identity::{
        AccountProof, AccountRecord, Answer, Asked, Deed, DeviceCertificate, DeviceLabel, DeviceList,
        DeviceName, JoinRequest, LeafCredential, ListedDevice, LoginProof, Note, Pinned, Recovering, RecoveryKey, RecoveryProof,
        backup::{BackupHead, BackupKey, BackupSecret, Item, KeptMessage, KeptNotice, KeptRoom},
        link::{Grant, HandedContact, LinkAnswer, LinkHello, NewDevice, OldDevice, Transcript},
        open_notes, seal_notes, verify_directory,
    },
    ids::{MessageId, RoomId, Seq, ServerId},
    invite::LinkSecret,
    wire::chunk::ChunkId,
};

use crate::{
    edits::{edit, edited},
    world::{NOW, Owner, Repeated},
};

static ALICE: LazyLock<Owner> = LazyLock::new(|| Owner::new("alice", 1, &Repeated::default()));
/// Size of an account's signature, bytes.
const SIGNATURE: usize = 4691;

/// A directory's answer: statements that are believed are those that were signed.
pub fn statements(input: &[u8]) {
    static PINNED: LazyLock<Pinned> =
        LazyLock::new(|| answer(&ALICE.record, &ALICE.list, &ALICE.certificate).expect("a true answer"));
    let alice = &*ALICE;
    let credential = LeafCredential::from_certificate(&alice.certificate).expect("a credential").encode();
    let genuine =
        [alice.record.clone(), alice.list.clone(), alice.certificate.clone(), credential, PINNED.encode()];
    let bytes = edited(&genuine, input);
    let identity = alice.identity.public();
    let good = [
        AccountRecord::verify(&bytes).is_ok(),
        DeviceList::verify(&bytes, identity, NOW).is_ok(),
        DeviceCertificate::verify(&bytes, identity).is_ok(),
    ];
    for (good, genuine) in good.into_iter().zip(&genuine) {
        assert_eq!(good, bytes == *genuine);
    }
    if let Ok(credential) = LeafCredential::decode(&bytes) {
        assert_eq!(credential.encode(), bytes);
        assert_eq!(credential.verify(alice.key.public().clone(), identity).is_ok(), bytes == genuine[3]);
    }
    drop(LeafCredential::from_certificate(&bytes));
    if let Ok(pinned) = Pinned::decode(&bytes) {
        assert_eq!(pinned.encode(), bytes);
    }
    for (place, [record, list, certificate]) in [
        [&bytes, &alice.list, &alice.certificate],
        [&alice.record, &bytes, &alice.certificate],
        [&alice.record, &alice.list, &bytes],
    ]
    .into_iter()
    .enumerate()
    {
        if answer(record, list, certificate).is_some() {
            assert_eq!(bytes, genuine[place]);
        }
    }
}

fn answer(record: &[u8], list: &[u8], certificate: &[u8]) -> Option<Pinned> {
    let answer = Answer { record, list, certificates: vec![certificate] };
    verify_directory(Asked::Name(&ALICE.name), &answer, None, NOW).ok().map(|directory| directory.pin())
}

/// What an account's owner signs and is not a statement is not taken for one: each has one encoding.
pub fn signed(input: &[u8]) {
    let alice = &*ALICE;
    let Some((choice, script)) = input.split_first() else { return };
    let sign = |usage, bytes: &[u8]| alice.identity.sign(usage, bytes).expect("a signature");
    match choice % 3 {
        0 => {
            let body = edit(alice.record[..alice.record.len() - 2 * SIGNATURE].to_vec(), script);
            let by_recovery = alice.recovery.sign(SignatureUse::AccountRecord, &body).expect("a signature");
            let bytes = [&body[..], &sign(SignatureUse::AccountRecord, &body), &by_recovery].concat();
            if let Ok(record) = AccountRecord::verify(&bytes) {
                let again = record.sign(&alice.identity, &alice.recovery).expect("what was read is signed");
                assert_eq!(again[..body.len()], body);
            }
        }
        1 => {
            let body = edit(alice.list[..alice.list.len() - SIGNATURE].to_vec(), script);
            let bytes = [&body[..], &sign(SignatureUse::DeviceList, &body)].concat();
            if let Ok(list) = DeviceList::verify(&bytes, alice.identity.public(), NOW) {
                assert!(list.devices.len() <= DeviceList::MOST_DEVICES && NOW < list.expires_at);
                assert_eq!(list.sign(&alice.identity).expect("what was read is signed")[..body.len()], body);
            }
        }
        _ => {
            let body = edit(alice.certificate[..alice.certificate.len() - SIGNATURE].to_vec(), script);
            let bytes = [&body[..], &sign(SignatureUse::DeviceCertificate, &body)].concat();
            if let Ok(certificate) = DeviceCertificate::verify(&bytes, alice.identity.public()) {
                assert_eq!(
                    certificate.sign(&alice.identity).expect("what was read is signed")[..body.len()],
                    body
                );
            }
        }
    }
}

/// Public keys and bare signatures.
pub fn keys(input: &[u8]) {
    static SIGNED: LazyLock<Vec<u8>> = LazyLock::new(|| proof().sign(&ALICE.key).expect("a signature"));
    static DEED: LazyLock<Vec<u8>> =
        LazyLock::new(|| deed().sign(Deed::Export, &ALICE.key).expect("a signature"));
    let (account, device) = (ALICE.identity.public(), ALICE.key.public());
    static ASKED: LazyLock<Vec<u8>> =
        LazyLock::new(|| join_request().seal(&link(), &ALICE.key).expect("a signature"));
    let genuine = [
        account.as_bytes().to_vec(),
        device.as_bytes().to_vec(),
        SIGNED.clone(),
        DEED.clone(),
        ASKED.clone(),
    ];
    let bytes = edited(&genuine, input);
    if let Ok(key) = AccountPublicKey::from_bytes(&bytes) {
        assert_eq!(key.as_bytes(), bytes);
        assert!(key.verify(SignatureUse::Login, b"message", &[0; SIGNATURE]).is_err());
    }
    if let Ok(key) = DevicePublicKey::from_bytes(&bytes) {
        assert_eq!(key.as_bytes(), bytes);
        assert_eq!(proof().verify(&SIGNED, &key, NOW).is_ok(), bytes == genuine[1]);
    }
    assert_eq!(proof().verify(&bytes, device, NOW).is_ok(), bytes == genuine[2]);
    assert_eq!(deed().verify(Deed::Export, &bytes, device, NOW).is_ok(), bytes == genuine[3]);
    assert!(deed().verify(Deed::Delete { token: &bytes }, &bytes, device, NOW).is_err());
    if let Ok(read) = JoinRequest::read(&bytes) {
        let good = read.is_under(&link()) && read.verify(device).is_ok();
        assert_eq!(good, bytes == genuine[4]);
    }
}

fn link() -> LinkSecret {
    LinkSecret::from_slice(&[5; 32]).expect("a secret")
}

fn join_request() -> JoinRequest {
    let LoginProof { server, account, device, .. } = proof();
    JoinRequest { server, room: RoomId::from_bytes([8; 16]), link: link().id(), account, device, created_at: NOW }
}

fn deed() -> AccountProof {
    let LoginProof { nonce, server, expires_at, account, device } = proof();
    AccountProof { nonce, server, expires_at, account, device }
}

fn proof() -> LoginProof {
    LoginProof {
        nonce: [6; 32],
        server: ServerId::from_bytes([7; 16]),
        expires_at: NOW + 60,
        account: ALICE.account,
        device: ALICE.device,
    }
}

/// HPKE: nothing opens but what was sealed.
pub fn sealed(input: &[u8]) {
    static GENUINE: LazyLock<(Vec<u8>, Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
        let entropy = Repeated::default();
        let (secret, public) = hpke::generate_key_pair(&entropy).expect("a key pair");
        let sealed =
            hpke::seal(&entropy, &public, b"info", None, b"aad", b"plaintext").expect("a ciphertext");
        (secret.expose().to_vec(), public, [sealed.encapsulated_key, sealed.ciphertext].concat())
    });
    let (secret, public, genuine) = &*GENUINE;
    let bytes = edited(&[genuine.clone(), public.clone()], input);
    if let Some((key, ciphertext)) = bytes.split_at_checked(hpke::ENCAPSULATED_KEY) {
        let opened = hpke::open(secret, (key, ciphertext), b"info", None, b"aad");
        assert_eq!(opened.is_ok(), bytes == *genuine);
    }
    drop(hpke::open(secret, (&bytes, &bytes), b"info", None, b"aad"));
    if hpke::validate_public_key(&bytes).is_ok() {
        hpke::seal(&Repeated::default(), &bytes, b"", None, b"", b"").expect("a valid key is sealed to");
    }
}

/// What two devices of an account say to each other: nothing is opened but what was sealed, and nothing is believed but
/// what was committed to.
pub fn links(input: &[u8]) {
    static LINK: LazyLock<Link> = LazyLock::new(Link::new);
    let link = &*LINK;
    let alice = &*ALICE;
    let hello = link.new.hello_bytes();
    let answer = link.old.answer_bytes();
    let genuine = [
        hello.to_vec(),
        answer.to_vec(),
        link.opening.clone(),
        link.grant.encode().to_vec(),
        link.sealed.clone(),
        link.label.clone(),
        link.notes.clone(),
    ];
    let bytes = edited(&genuine, input);
    if let Ok(read) = LinkHello::decode(&bytes) {
        assert_eq!(read.encode(), bytes);
    }
    if let Ok(read) = LinkAnswer::decode(&bytes) {
        assert_eq!(read.encode(), bytes);
        if let Ok((_, transcript)) = link.new.meet(&bytes) {
            assert_eq!(transcript == link.transcript, bytes == answer);
        }
    }
    assert_eq!(link.old.open(&bytes, &alice.name).is_ok(), bytes == genuine[2]);
    if let Ok(read) = Grant::decode(&bytes) {
        assert_eq!(*read.encode(), bytes);
    }
    let accepted = link.new.accept(&link.answer, &link.transcript, &bytes, NOW);
    assert_eq!(accepted.is_ok(), bytes == genuine[4]);
    let label = DeviceLabel::open(&bytes, alice.identity.seed(), (alice.account, alice.device));
    assert_eq!(label.is_ok(), bytes == genuine[5]);
    let notes = open_notes(&bytes, alice.identity.seed(), alice.account);
    assert_eq!(notes.is_ok(), bytes == genuine[6]);
}

/// A device that alice's links, as far as it went.
struct Link {
    new: NewDevice,
    old: OldDevice,
    answer: LinkAnswer,
    transcript: Transcript,
    opening: Vec<u8>,
    grant: Grant,
    sealed: Vec<u8>,
    label: Vec<u8>,
    notes: Vec<u8>,
}

impl Link {
    fn new() -> Self {
        let entropy = Repeated::default();
        let alice = &*ALICE;
        let name = DeviceName::new("laptop").expect("a name");
        let server = ServerId::from_bytes([7; 16]);
        let new = NewDevice::draw(server, alice.name.clone(), name.clone(), &entropy).expect("a device");
        let own = LinkAnswer {
            server,
            account: alice.account,
            device: alice.device,
            identity_key_hash: alice.identity.public().hash(),
            recovery_key_hash: alice.recovery.public().hash(),
            transfer_key: vec![],
            nonce: [0; 32],
        };
        let old = OldDevice::answer(new.commitment(), own, &entropy).expect("an answer");
        let (answer, transcript) = new.meet(old.answer_bytes()).expect("a true answer");
        let opening = new.opening(old.answer_bytes(), &entropy).expect("an opening");
        let hello = new.hello().clone();
        let mut list = DeviceList::stored(&alice.list).expect("a list").next(0, NOW);
        list.add(ListedDevice { device: hello.device, device_key_hash: hello.device_key.hash() });
        let certificate = DeviceCertificate {
            account: alice.account,
            device: hello.device,
            device_key: hello.device_key.clone(),
            identity_key_hash: alice.identity.public().hash(),
            created_at: list.issued_at,
        };
        let known = HandedContact {
            name: alice.name.clone(),
            pinned: self::answer(&alice.record, &alice.list, &alice.certificate).expect("a true answer"),
            verified: true,
            first_seen_ms: 5,
            changed: Some((vec![1; 9], vec![2; 9])),
        };
        let grant = Grant {
            account_key: Secret::from_bytes(*alice.identity.seed().expose()),
            record: alice.record.clone(),
            certificate: certificate.sign(&alice.identity).expect("a certificate"),
            list: list.sign(&alice.identity).expect("a list"),
            contacts: vec![known],
        };
        let sealed = grant.seal(&hello, &transcript, &entropy).expect("a grant");
        let label = DeviceLabel { name, added_by: alice.device }
            .seal(alice.identity.seed(), (alice.account, alice.device), &entropy)
            .expect("a label");
        let note = Note { kind: 4, subject: vec![5; 16], value: vec![1], at_ms: 5, device: alice.device };
        let notes = seal_notes(&[note], alice.identity.seed(), alice.account, &entropy).expect("notes");
        Self { new, old, answer, transcript, opening, grant, sealed, label, notes }
    }
}

/// Backups: heads and keys are those that were signed, chunks those that were sealed, and what they hold has one encoding.
pub fn backups(input: &[u8]) {
    static BACKUP: LazyLock<Backup> = LazyLock::new(Backup::new);
    let (backup, alice) = (&*BACKUP, &*ALICE);
    let record = AccountRecord::verify(&alice.record).expect("a record");
    let series = (alice.account, alice.device);
    let genuine = [
        backup.head.clone(),
        backup.key.clone(),
        backup.items.clone(),
        backup.chunk.1.clone(),
        backup.index.1.clone(),
        backup.proof.clone(),
    ];
    let bytes = edited(&genuine, input);
    match BackupHead::verify(&bytes, &record) {
        Ok(opened) => {
            assert_eq!(bytes, genuine[0]);
            assert!(opened.open(&backup.opens, &record).is_ok());
        }
        Err(_) => assert_ne!(bytes, genuine[0]),
    }
    let key = BackupKey::verify(&bytes, alice.account, alice.recovery.public());
    assert_eq!(key.is_ok(), bytes == genuine[1]);
    if let Ok(items) = Item::read(&bytes) {
        let mut again = vec![];
        items.iter().for_each(|item| item.put(&mut again));
        assert_eq!(again, bytes);
    }
    assert_eq!(backup.secret.open(series, backup.chunk.0, &bytes).is_ok(), bytes == genuine[3]);
    assert_eq!(backup.secret.open_index(series, (backup.index.0, 1), &bytes).is_ok(), bytes == genuine[4]);
    let proved = recovery().verify(Recovering::Look, &bytes, alice.recovery.public(), NOW);
    assert_eq!(proved.is_ok(), bytes == genuine[5]);
}

fn recovery() -> RecoveryProof {
    let LoginProof { nonce, server, expires_at, account, device } = proof();
    RecoveryProof { nonce, server, expires_at, account, device }
}

/// A backup of alice's.
struct Backup {
    head: Vec<u8>,
    key: Vec<u8>,
    opens: Secret<{ hpke::SECRET_KEY }>,
    secret: BackupSecret,
    items: Vec<u8>,
    chunk: (ChunkId, Vec<u8>),
    index: (ChunkId, Vec<u8>),
    proof: Vec<u8>,
}

impl Backup {
    fn new() -> Self {
        let entropy = Repeated::default();
        let alice = &*ALICE;
        let words = RecoveryKey::generate(&entropy).expect("a key");
        let (opens, public) = words.backup_key().expect("a key");
        let key = BackupKey::sign(alice.account, public, &alice.recovery).expect("a key");
        let secret = BackupSecret::generate(&entropy).expect("a secret");
        let (room, seq) = (RoomId::from_bytes([8; 16]), Seq(9));
        let known = HandedContact {
            name: alice.name.clone(),
            pinned: answer(&alice.record, &alice.list, &alice.certificate).expect("a true answer"),
            verified: true,
            first_seen_ms: 5,
            changed: None,
        };
        let mut items = vec![];
        for item in [
            Item::Contact(known),
            Item::Room(KeptRoom {
                room,
                member: true,
                cursor: seq,
                generation: Seq(0),
                epoch: 3,
                read_seq: seq,
                active_ms: None,
                settings: vec![1, 2],
            }),
            Item::Message(KeptMessage {
                room,
                place: 9,
                seq,
                id: MessageId::from_bytes([7; 16]),
                account: alice.account,
                device: alice.device,
                epoch: 3,
                stored_ms: 4,
                delivery: 1,
                expires_ms: i64::MAX,
                content: b"text".to_vec(),
            }),
            Item::Notice(KeptNotice { room, place: 9, seq, stored_ms: 4, body: b"{}".to_vec() }),
        ] {
            item.put(&mut items);
        }
        let series = (alice.account, alice.device);
        let chunk = secret.seal(series, &items).expect("a chunk");
        let index = secret.seal_index(series, &[chunk.0]).expect("an index");
        let head = BackupHead {
            account: alice.account,
            device: alice.device,
            version: 1,
            previous: BackupHead::NOTHING,
            created_at: NOW,
            list_version: 1,
            chunks: 1,
            messages: 1,
            index: index.0,
        };
        Self {
            head: head.sign(&key, &alice.identity, &secret, &entropy).expect("a head"),
            key: key.as_bytes().to_vec(),
            opens,
            secret,
            items,
            chunk,
            index,
            proof: recovery().sign(Recovering::Look, &alice.recovery).expect("a signature"),
        }
    }
}
