//! Files: put there part by part, read by their room and by nobody else, gone when their time is over.

use std::{fs, path::Path};

use qchat_proto::{
    file::{FileDigest, SEALED_SEGMENT, segment_hash},
    ids::{FileId, RoomId},
    wire::{api::FileParts, fault::FaultCode, frame::Operation},
};
use qchatd::{
    blobs::Blobs,
    service::files::{FileLimits, Files as Keeper},
    store::{self, Store},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Database, Device, Program, Server, Socket,
    device::{Files, random},
    on_both,
    socket::{Published, commit},
};

on_both!(
    a_file_is_put_there_part_by_part_and_read_by_its_room_alone,
    what_is_no_file_of_a_member_is_not_taken,
    a_file_that_is_too_large_or_one_too_many_is_refused,
    a_killed_daemon_keeps_every_part_that_it_has_taken,
    a_file_goes_when_its_time_is_over_and_its_bytes_with_it,
    nodes_that_share_a_directory_share_its_files,
);

const PART: usize = SEALED_SEGMENT;

/// Bytes of a file, and what they are called.
struct Stored {
    id: FileId,
    bytes: Vec<u8>,
}

impl Stored {
    fn new(size: usize) -> Self {
        let mut bytes = vec![7; size];
        for part in bytes.chunks_mut(PART) {
            let drawn: [u8; 16] = random();
            let length = part.len().min(16);
            part[..length].copy_from_slice(&drawn[..length]);
        }
        Self { id: FileId::from_bytes(random()), bytes }
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn part(&self, number: u64) -> Vec<u8> {
        self.bytes.chunks(PART).nth(usize::try_from(number).unwrap()).unwrap().to_vec()
    }

    fn parts(&self) -> u64 {
        self.size().div_ceil(PART as u64)
    }

    fn hash(&self) -> [u8; 48] {
        let begin = FileDigest::begin(self.id, self.size());
        let all = self.bytes.chunks(PART).fold(begin, |digest, part| digest.with(&segment_hash(part)));
        *all.finish().as_bytes()
    }

    /// Puts all of it there.
    async fn put(&self, files: &Files, room: RoomId) -> Result<(), FaultCode> {
        files.begin(room, self.id, self.size()).await?;
        for number in 0..self.parts() {
            files.part(room, self.id, number, self.part(number)).await?;
        }
        files.complete(room, self.id, self.hash()).await
    }
}

/// A room of two who are both in it, and somebody else.
async fn room(server: &Server) -> (Device, Device, Device, RoomId) {
    let alice = Device::register(server, "alice").await;
    let bob = Device::register(server, "bob").await;
    let carol = Device::register(server, "carol").await;
    let room = alice.create_room().await;
    let mut a = Socket::connect(&alice).await;
    assert_eq!(a.publish(&commit(&alice, room, 0, &[])).await, Published::Accepted(1));
    let add = commit(&alice, room, 1, &[(Operation::Add, &bob)]);
    assert_eq!(a.invite(&add, &[bob.id]).await, Published::Accepted(2));
    (alice, bob, carol, room)
}

/// The files below a directory, those in its directories included.
fn below(directory: &Path) -> Vec<String> {
    let mut found = vec![];
    for entry in fs::read_dir(directory).into_iter().flatten().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(below(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

async fn a_file_is_put_there_part_by_part_and_read_by_its_room_alone(database: Database) {
    let server = Server::start(database).await;
    let (alice, bob, carol, room) = room(&server).await;
    let (mine, theirs, others) = (alice.files(), bob.files(), carol.files());
    let file = Stored::new(2 * PART + 1000);
    let far = |parts| Ok(FileParts { parts, complete: false });
    assert_eq!(mine.begin(room, file.id, file.size()).await, far(0));
    // In any order, and again.
    mine.part(room, file.id, 2, file.part(2)).await.unwrap();
    assert_eq!(mine.begin(room, file.id, file.size()).await, far(0));
    mine.part(room, file.id, 0, vec![9; PART]).await.unwrap();
    assert_eq!(mine.begin(room, file.id, file.size()).await, far(1));
    mine.part(room, file.id, 0, file.part(0)).await.unwrap();
    assert_eq!(
        mine.complete(room, file.id, file.hash()).await,
        Err(FaultCode::BadRequest),
        "a part is missing"
    );
    mine.part(room, file.id, 1, file.part(1)).await.unwrap();
    assert_eq!(mine.read(room, file.id).await.unwrap_err(), FaultCode::NotFound, "not before it is whole");
    assert_eq!(mine.complete(room, file.id, [7; 48]).await, Err(FaultCode::BadRequest), "another hash");
    for _ in 0..2 {
        mine.complete(room, file.id, file.hash()).await.unwrap();
    }
    assert_eq!(mine.begin(room, file.id, file.size()).await, Ok(FileParts { parts: 3, complete: true }));
    assert_eq!(mine.part(room, file.id, 1, file.part(1)).await, Ok(()), "the same once more");
    let directory = server.database.dir.path().join("files");
    let there = below(&directory);
    assert_eq!(mine.part(room, file.id, 1, vec![9; PART]).await, Err(FaultCode::Conflict));
    assert_eq!(theirs.part(room, file.id, 1, vec![9; PART]).await, Err(FaultCode::NotMember));
    assert_eq!(below(&directory), there, "nothing of what was refused lies there");

    // Whoever is invited reads nothing before it has joined, and then all of it.
    assert_eq!(theirs.read(room, file.id).await.unwrap_err(), FaultCode::NotFound);
    bob.reply(room, "join").await.unwrap();
    for reader in [&mine, &theirs] {
        assert!(reader.read(room, file.id).await.unwrap() == file.bytes);
    }
    let size = file.size();
    for (range, first, end) in [
        ("bytes=0-0".to_owned(), 0, 1),
        (format!("bytes={}-{}", PART - 5, PART + 4), PART - 5, PART + 5),
        (format!("bytes={PART}-{}", 2 * PART - 1), PART, 2 * PART),
        (format!("bytes={}-", size - 9), file.bytes.len() - 9, file.bytes.len()),
        (format!("bytes=5-{}", size * 2), 5, file.bytes.len()),
    ] {
        let (said, bytes) = theirs.stretch(room, file.id, &range).await.unwrap();
        assert!(bytes == file.bytes[first..end], "{range}");
        assert_eq!(said, format!("bytes {first}-{}/{size}", end - 1));
    }
    for range in [format!("bytes={size}-"), "bytes=9-5".to_owned(), "bytes=-5".to_owned(), "x".to_owned()] {
        assert_eq!(
            theirs.stretch(room, file.id, &range).await.unwrap_err(),
            FaultCode::BadRequest,
            "{range}"
        );
    }
    // Nobody else, and in no other room.
    assert_eq!(others.read(room, file.id).await.unwrap_err(), FaultCode::NotFound);
    let elsewhere = carol.create_room().await;
    assert_eq!(others.read(elsewhere, file.id).await.unwrap_err(), FaultCode::NotFound);
    assert_eq!(theirs.read(room, FileId::from_bytes(random())).await.unwrap_err(), FaultCode::NotFound);
    // Who is removed reads no more.
    let mut a = Socket::connect(&alice).await;
    let remove = commit(&alice, room, 2, &[(Operation::Remove, &bob)]);
    assert_eq!(a.publish(&remove).await, Published::Accepted(3));
    assert_eq!(theirs.read(room, file.id).await.unwrap_err(), FaultCode::NotFound);
    // Its sender deletes it, and nobody else.
    for (who, files) in [("bob", &theirs), ("carol", &others)] {
        assert_eq!(files.delete(room, file.id).await, Err(FaultCode::NotFound), "{who}");
    }
    mine.delete(room, file.id).await.unwrap();
    assert_eq!(mine.read(room, file.id).await.unwrap_err(), FaultCode::NotFound);
    assert_eq!(mine.quota().await.bytes, 0);
    let left = below(&server.database.dir.path().join("files"));
    assert!(left.is_empty(), "{left:?}");
    drop(a);
    server.stop().await;
}

async fn what_is_no_file_of_a_member_is_not_taken(database: Database) {
    let server = Server::start(database).await;
    let (alice, bob, carol, room) = room(&server).await;
    let (mine, theirs, others) = (alice.files(), bob.files(), carol.files());
    let file = Stored::new(PART + 10);
    for (who, files) in [("who is only invited", &theirs), ("nobody of the room", &others)] {
        assert_eq!(files.begin(room, file.id, 10).await, Err(FaultCode::NotMember), "{who}");
    }
    assert_eq!(mine.begin(RoomId::from_bytes(random()), file.id, 10).await, Err(FaultCode::NotMember));
    assert_eq!(mine.begin(room, file.id, 0).await, Err(FaultCode::BadRequest));
    mine.begin(room, file.id, file.size()).await.unwrap();
    bob.reply(room, "join").await.unwrap();
    // An id is one file's for ever, whoever asks.
    assert_eq!(mine.begin(room, file.id, 10).await, Err(FaultCode::Conflict));
    assert_eq!(theirs.begin(room, file.id, file.size()).await, Err(FaultCode::Conflict));
    let part = |files: &Files, number, size| {
        let files = files.clone();
        async move { files.part(room, file.id, number, vec![1; size]).await }
    };
    for (what, outcome, wanted) in [
        ("another's file", part(&theirs, 0, PART).await, FaultCode::NotFound),
        ("a part too short", part(&mine, 0, PART - 1).await, FaultCode::BadRequest),
        ("a part too long", part(&mine, 0, PART + 1).await, FaultCode::TooLarge),
        ("a last part too long", part(&mine, 1, 11).await, FaultCode::TooLarge),
        ("a part behind the end", part(&mine, 2, 10).await, FaultCode::BadRequest),
        ("a part far behind the end", part(&mine, u64::MAX, 10).await, FaultCode::BadRequest),
        ("nothing", part(&mine, 1, 0).await, FaultCode::BadRequest),
    ] {
        assert_eq!(outcome, Err(wanted), "{what}");
    }
    // Who goes away halfway has left nothing that counts.
    let head = format!(
        "PUT /v1/rooms/{room}/files/{}/parts/0 HTTP/1.1\r\nhost: qchatd\r\nauthorization: Bearer {}\r\n\
         content-length: {PART}\r\n\r\n",
        file.id, alice.session.access_token
    );
    let mut half = TcpStream::connect(server.address()).await.unwrap();
    half.write_all(head.as_bytes()).await.unwrap();
    half.write_all(&[1; 1000]).await.unwrap();
    half.shutdown().await.unwrap();
    drop(half.read_to_end(&mut vec![]).await);
    assert_eq!(mine.begin(room, file.id, file.size()).await, Ok(FileParts { parts: 0, complete: false }));
    // Nor is what somebody goes on putting there who is no member any more.
    let left = Stored::new(10);
    theirs.begin(room, left.id, left.size()).await.unwrap();
    theirs.part(room, left.id, 0, left.part(0)).await.unwrap();
    let mut socket = Socket::connect(&alice).await;
    let removed = commit(&alice, room, 2, &[(Operation::Remove, &bob)]);
    assert_eq!(socket.publish(&removed).await, Published::Accepted(3));
    assert_eq!(theirs.part(room, left.id, 0, left.part(0)).await, Err(FaultCode::NotMember));
    assert_eq!(theirs.complete(room, left.id, left.hash()).await, Err(FaultCode::NotMember));
    drop(socket);
    server.stop().await;
}

async fn a_file_that_is_too_large_or_one_too_many_is_refused(database: Database) {
    let config = database.config(&[("file_bytes", "3000"), ("account_file_bytes", "5000")]);
    assert_eq!(config.file_limits, FileLimits { each: 3000, account: 5000, days: 90 });
    let server = Server::start_with(database, config).await;
    let (alice, bob, _, room) = room(&server).await;
    bob.reply(room, "join").await.unwrap();
    let mine = alice.files();
    let (one, two) = (Stored::new(3000), Stored::new(2001));
    assert_eq!(mine.begin(room, one.id, 3001).await, Err(FaultCode::TooLarge));
    one.put(&mine, room).await.unwrap();
    assert_eq!(two.put(&mine, room).await, Err(FaultCode::Quota));
    let quota = mine.quota().await;
    assert_eq!((quota.bytes, quota.most, quota.most_each), (3000, 5000, 3000));
    two.put(&bob.files(), room).await.expect("another's account has its own");
    mine.delete(room, one.id).await.unwrap();
    two.put(&mine, room).await.expect_err("the id is taken");
    Stored::new(2001).put(&mine, room).await.expect("there is space again");
    server.stop().await;
}

async fn a_killed_daemon_keeps_every_part_that_it_has_taken(database: Database) {
    let server = Server::start(database).await;
    let (mut alice, _, _, room) = room(&server).await;
    let database = server.stop().await;
    let mut program = Program::start(&database).await;
    alice.is_at(&program.address);
    let file = Stored::new(2 * PART + 5);
    alice.files().begin(room, file.id, file.size()).await.unwrap();
    for number in [0, 1] {
        alice.files().part(room, file.id, number, file.part(number)).await.unwrap();
    }
    program.kill();
    let mut program = Program::start(&database).await;
    alice.is_at(&program.address);
    let files = alice.files();
    let there = files.begin(room, file.id, file.size()).await;
    assert_eq!(there, Ok(FileParts { parts: 2, complete: false }));
    files.part(room, file.id, 2, file.part(2)).await.unwrap();
    files.complete(room, file.id, file.hash()).await.unwrap();
    program.kill();
    let program = Program::start(&database).await;
    alice.is_at(&program.address);
    assert!(alice.files().read(room, file.id).await.unwrap() == file.bytes);
    drop(program);
}

async fn a_file_goes_when_its_time_is_over_and_its_bytes_with_it(database: Database) {
    let config = database.config(&[("retention_days", "2")]);
    let server = Server::start_with(database, config).await;
    let (mut alice, _, _, room) = room(&server).await;
    let (whole, begun) = (Stored::new(1000), Stored::new(2 * PART));
    whole.put(&alice.files(), room).await.unwrap();
    alice.files().begin(room, begun.id, begun.size()).await.unwrap();
    alice.files().part(room, begun.id, 0, begun.part(0)).await.unwrap();
    let mut database = server.stop().await;
    // So many hours have passed since it was whole; and how long ago a part came of the other, seconds.
    for (hours, ago, left) in [(47, 7 * 24 * 3600 - 60, 2), (48, 0, 1), (48, 7 * 24 * 3600 + 60, 0)] {
        let now = crate::support::device::now();
        database.execute(&format!(
            "INSERT INTO hours (id, noted_at, envelope, key_package) VALUES (1000, {now}, 0, 0) ON CONFLICT DO NOTHING; \
             UPDATE files SET touched_at = {} WHERE state = 1; \
             UPDATE files SET hour = (SELECT max(id) FROM hours) - {hours} WHERE state = 2",
            now - ago
        ));
        let config = database.config(&[("retention_days", "2")]);
        let store = Store::open(&config.database, 2, store::WAIT).unwrap();
        let blobs = Blobs::open(&config.files).unwrap();
        Keeper::new(store, blobs, config.file_limits).expire().await.unwrap();
        let files = below(&database.dir.path().join("files"));
        assert_eq!(files.len(), left, "{hours} {ago}: {files:?}");
        let server = Server::start_with(database, config).await;
        alice.moved_to(&server);
        let read = alice.files().read(room, whole.id).await;
        assert_eq!(read.is_ok(), hours < 48);
        database = server.stop().await;
    }
}

async fn nodes_that_share_a_directory_share_its_files(database: Database) {
    if !database.is_postgres() {
        return;
    }
    let server = Server::start(database).await;
    let (mut alice, mut bob, _, room) = room(&server).await;
    bob.reply(room, "join").await.unwrap();
    let file = Stored::new(PART + 77);
    alice.files().begin(room, file.id, file.size()).await.unwrap();
    alice.files().part(room, file.id, 0, file.part(0)).await.unwrap();
    let other = qchatd::server::Daemon::start(server.database.config(&[])).await.unwrap();
    let address = other.address().unwrap().to_string();
    alice.is_at(&address);
    alice.files().part(room, file.id, 1, file.part(1)).await.unwrap();
    alice.files().complete(room, file.id, file.hash()).await.unwrap();
    assert!(bob.files().read(room, file.id).await.unwrap() == file.bytes);
    bob.is_at(&address);
    assert!(bob.files().read(room, file.id).await.unwrap() == file.bytes);
    other.stop().await;
    server.stop().await;
}
