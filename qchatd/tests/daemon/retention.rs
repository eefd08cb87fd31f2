//! What is deleted, and what is kept: the rule by itself, and over whatever may happen in a room.

use std::sync::Arc;

use bytes::Bytes;
use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};
use qchat_proto::{
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    wire::{fault::FaultCode, frame::Operation},
};
use qchatd::{
    service::{
        floor::floor,
        housekeeping::{Housekeeping, Retention},
    },
    store::{
        self, Connection, Store,
        relay::{self, Changes, NewEnvelope},
        retention::{self, Place, Waiting},
        rooms::{self, Member, RoomState, Span, Standing},
    },
};
use serde_json::Value;

use crate::{
    store::empty,
    support::{
        Database, Device, Server, Socket,
        device::random,
        large::{self, Size},
        on_both, program,
        socket::{Published, commit, envelope},
    },
};

on_both!(
    nothing_goes_that_anybody_may_still_read_and_all_goes_that_everybody_has,
    what_is_not_fetched_goes_after_its_time_and_a_repetition_is_known_still,
);

const ACCEPTED: fn(u64) -> Published = Published::Accepted;

fn span(after: u64, until: impl Into<Option<u64>>) -> Span {
    Span { after: Seq(after), until: until.into().map(Seq) }
}

#[test]
fn the_floor_is_what_somebody_needs_still() {
    use Standing::{Declined, Full, Invited, Removed};
    // An invitation of a commit up to this row is too old to count.
    const OLD: i64 = 100;
    let place = |standing, confirmed, reads| Place {
        member: Member {
            device: DeviceId::from_bytes([1; 16]),
            account: AccountId::from_bytes([2; 16]),
            standing,
            once_full: matches!(standing, Standing::Full | Standing::Removed),
            waiting: standing == Standing::Invited,
            reads,
            past: Span::EMPTY,
        },
        confirmed: Seq(confirmed),
        welcome: None,
    };
    let welcome = |place: Place, log_after: u64, commit| Place {
        welcome: Some(Waiting { log_after: Seq(log_after), commit }),
        ..place
    };
    let with = |place: Place, past, once_full, waiting| Place {
        member: Member { past, once_full, waiting, ..place.member },
        ..place
    };
    let all = |confirmed| place(Full, confirmed, span(0, None));
    let rows: Vec<(&str, Vec<Place>, u64, u64)> = vec![
        ("nobody is left, and the last commit is what the next is added by", vec![], 50, 50),
        ("who is added next needs what follows the last commit", vec![all(70)], 50, 50),
        ("a full device has not confirmed", vec![all(70), all(30)], 50, 30),
        (
            "a full device that has confirmed nothing reads from its Add on",
            vec![place(Full, 0, span(20, None))],
            50,
            20,
        ),
        (
            "a full device has not read what it could before it was removed and added again",
            vec![with(place(Full, 3, span(40, None)), span(0, 10), true, false)],
            50,
            3,
        ),
        (
            "a full device that is added again needs the log from its Welcome on",
            vec![welcome(all(45), 41, 1)],
            50,
            41,
        ),
        ("a removed device has not read its removal", vec![place(Removed, 20, span(0, 30))], 50, 20),
        ("a removed device has read its removal", vec![place(Removed, 30, span(0, 30))], 50, 50),
        (
            "a removed device that had never joined, and whose Welcome waits, may be listed again",
            vec![welcome(with(place(Removed, 0, span(35, 40)), Span::EMPTY, false, true), 35, 101)],
            50,
            35,
        ),
        (
            "but not for ever",
            vec![welcome(with(place(Removed, 0, span(35, 40)), Span::EMPTY, false, true), 35, 100)],
            50,
            50,
        ),
        (
            "a removed device that had been in the room before, and has not read what it could then",
            vec![with(place(Removed, 7, span(35, 40)), span(0, 10), true, true)],
            50,
            7,
        ),
        (
            "an invited device needs the log from the commit before its Add on",
            vec![welcome(place(Invited, 0, span(33, None)), 33, 101)],
            50,
            33,
        ),
        ("for seven days", vec![welcome(place(Invited, 0, span(33, None)), 33, 100)], 50, 50),
        (
            "what it could read as a removed one, too",
            vec![welcome(with(place(Invited, 5, span(33, None)), span(0, 9), true, true), 33, 100)],
            50,
            5,
        ),
        (
            "but nothing that was before it has ever joined",
            vec![with(place(Invited, 5, span(33, None)), span(0, 9), false, true)],
            50,
            50,
        ),
        ("who has declined needs nothing", vec![place(Declined, 0, span(33, 40))], 50, 50),
        (
            "but what it could read as a removed one",
            vec![with(place(Declined, 5, span(33, 40)), span(0, 9), true, false)],
            50,
            5,
        ),
        ("the least of all counts", vec![all(30), place(Removed, 20, span(0, 30)), all(10)], 50, 10),
    ];
    for (what, places, commit_seq, kept_after) in rows {
        assert_eq!(floor(&places, Seq(commit_seq), OLD), Seq(kept_after), "{what}");
    }
}

/// A device as its user has it, who is honest.
struct Reader {
    device: Device,
    socket: Socket,
    /// It has processed all up to here.
    cursor: u64,
    stand: Stand,
    /// The commit that removed it, which it may not have read.
    cut: Option<u64>,
    /// It has yet to open a Welcome of the commit that is the second, and needs the log after the first.
    welcome: Option<(u64, u64)>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stand {
    Out,
    Invited,
    /// Taken off the list before it had joined.
    Withdrawn,
    Member,
    /// Taken off the list by a commit that does not remove it.
    Lost,
}

/// A room and all who were ever in it.
struct World {
    room: RoomId,
    alice: Device,
    socket: Socket,
    last: u64,
    commit: u64,
    others: Vec<Reader>,
    conn: Connection,
    /// Where the history is.
    at: String,
}

impl World {
    fn confirm(&mut self, device: DeviceId, seq: u64) {
        rooms::confirm(&mut self.conn, self.room, device, Seq(seq)).unwrap();
    }

    async fn commit(&mut self, operation: Option<Operation>, who: usize) {
        let other = &self.others[who].device;
        let delta: Vec<_> = operation.map(|operation| (operation, other)).into_iter().collect();
        let envelope = commit(&self.alice, self.room, self.commit, &delta);
        self.last += 1;
        let outcome = match operation {
            Some(Operation::Add | Operation::Readd) => self.socket.invite(&envelope, &[other.id]).await,
            _ => self.socket.publish(&envelope).await,
        };
        assert_eq!(outcome, ACCEPTED(self.last));
        self.commit = self.last;
    }

    /// That all of the log is there after `after` for one of the others, up to its end or `until`.
    async fn is_there(&mut self, who: usize, after: u64, until: u64, why: &str) {
        let reader = &mut self.others[who];
        let page = reader.socket.page(self.room, after, 0).await.unwrap();
        let seqs: Vec<u64> =
            page.envelopes.iter().map(|logged| logged.seq).take_while(|seq| *seq <= until).collect();
        let wanted: Vec<u64> = (after + 1..=until).collect();
        assert_eq!((seqs, page.deleted), (wanted, 0), "{}: {why}, {:?} after {after}", self.at, reader.stand);
    }

    /// Reads to the end, and says so as an honest client does.
    async fn read(&mut self, who: usize) {
        let Reader { cursor, stand, cut, welcome, .. } = self.others[who];
        let id = self.others[who].device.id;
        match stand {
            Stand::Member => {
                self.is_there(who, cursor, self.last, "a member").await;
                if let Some((after, seq)) = welcome {
                    self.is_there(who, after, seq, "who was added again").await;
                }
                self.confirm(id, self.last);
                self.others[who].cursor = self.last;
                self.others[who].welcome = None;
            }
            Stand::Lost => {
                self.is_there(who, cursor, cut.unwrap(), "who was lost").await;
                self.others[who].cursor = cut.unwrap();
            }
            Stand::Out | Stand::Invited | Stand::Withdrawn => {
                if let Some(cut) = cut {
                    self.is_there(who, cursor, cut, "who was removed").await;
                    self.confirm(id, cut);
                    self.others[who].cursor = cut;
                    self.others[who].cut = None;
                }
            }
        }
    }

    /// That nobody misses anything.
    async fn check(&mut self) {
        for who in 0..self.others.len() {
            let Reader { cursor, stand, cut, welcome, .. } = self.others[who];
            let until = if stand == Stand::Member { Some(self.last) } else { cut };
            if let Some(until) = until {
                self.is_there(who, cursor, until, "unread").await;
            }
            if let (Some((after, seq)), true) = (welcome, stand != Stand::Withdrawn) {
                self.is_there(who, after, seq, "for the Welcome").await;
            }
        }
    }

    async fn step(&mut self, number: u64, who: usize) {
        let stand = self.others[who].stand;
        match (number, stand) {
            (0 | 1, Stand::Out) => {
                self.others[who].welcome = Some((self.commit, self.last + 1));
                self.commit(Some(Operation::Add), who).await;
                self.others[who].stand = Stand::Invited;
            }
            (0 | 1, Stand::Invited) => {
                self.read(who).await;
                let (after, seq) = self.others[who].welcome.unwrap();
                self.is_there(who, after, seq, "who joins").await;
                self.others[who].device.reply(self.room, "join").await.unwrap();
                let id = self.others[who].device.id;
                self.confirm(id, seq);
                self.others[who].cursor = seq;
                self.others[who].welcome = None;
                self.others[who].stand = Stand::Member;
            }
            (2, Stand::Invited) => {
                self.others[who].device.reply(self.room, "decline").await.unwrap();
                self.others[who].welcome = None;
                self.others[who].stand = Stand::Out;
            }
            (3, Stand::Invited) => {
                self.commit(Some(Operation::Remove), who).await;
                self.others[who].stand = Stand::Withdrawn;
            }
            (0..=2, Stand::Withdrawn) => {
                self.commit(Some(Operation::Relist), who).await;
                self.others[who].stand = Stand::Invited;
            }
            (2, Stand::Member) if self.others[who].welcome.is_none() => {
                self.commit(Some(Operation::Remove), who).await;
                self.others[who].cut = Some(self.last);
                self.others[who].stand = Stand::Out;
            }
            (3, Stand::Member) if self.others[who].welcome.is_none() => {
                self.commit(Some(Operation::Remove), who).await;
                self.others[who].cut = Some(self.last);
                self.others[who].stand = Stand::Lost;
            }
            (4, Stand::Member) => {
                self.others[who].welcome = Some((self.commit, self.last + 1));
                self.commit(Some(Operation::Readd), who).await;
            }
            (0..=2, Stand::Lost) => {
                self.commit(Some(Operation::Relist), who).await;
                self.others[who].cut = None;
                self.others[who].stand = Stand::Member;
            }
            (5..=7, _) => self.read(who).await,
            (8, _) => self.commit(None, who).await,
            _ => {
                let text = envelope(&self.alice, self.room, self.commit, "text");
                self.last += 1;
                assert_eq!(self.socket.publish(&text).await, ACCEPTED(self.last));
            }
        }
        if number.is_multiple_of(2) {
            let alice = self.alice.id;
            self.confirm(alice, self.last);
        }
    }
}

/// The next of numbers that look like drawn ones (xorshift64*).
fn draw(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
}

async fn nothing_goes_that_anybody_may_still_read_and_all_goes_that_everybody_has(database: Database) {
    const HISTORIES: u64 = 6;
    const STEPS: u32 = 50;
    let server = Server::start(database).await;
    let store = Store::open(&server.database.url.parse().unwrap(), 1, store::WAIT).unwrap();
    let housekeeping = Housekeeping::new(store, Arc::default(), Retention { days: 90, audit_days: 365 });
    let alice = Device::register(&server, "alice").await;
    let mut socket = Socket::connect(&alice).await;
    let mut others = Vec::new();
    for name in ["bob", "carol"] {
        let device = Device::register(&server, name).await;
        let socket = Socket::connect(&device).await;
        others.push((device, socket));
    }
    let (mut deleted, mut alice) = (0, alice);
    for seed in 1..=HISTORIES {
        let room = alice.create_room().await;
        let readers = others
            .drain(..)
            .map(|(device, socket)| Reader {
                device,
                socket,
                cursor: 0,
                stand: Stand::Out,
                cut: None,
                welcome: None,
            })
            .collect();
        let mut world = World {
            room,
            alice,
            socket,
            last: 0,
            commit: 0,
            others: readers,
            conn: server.database.connect(),
            at: String::new(),
        };
        let mut state = seed;
        for step in 0..STEPS {
            let (number, who) = (draw(&mut state) % 10, usize::from(draw(&mut state) % 2 == 1));
            world.at = format!("history {seed}, step {step}, {number} by {who}");
            world.step(number, who).await;
            if step % 3 == 0 {
                deleted += housekeeping.sweep().await.unwrap().envelopes;
                world.check().await;
            }
        }
        // Everybody answers, comes back and reads all; then all up to the last commit goes.
        for who in 0..2 {
            for _ in 0..3 {
                match world.others[who].stand {
                    Stand::Invited => world.step(2, who).await,
                    Stand::Withdrawn | Stand::Lost => world.step(0, who).await,
                    Stand::Out | Stand::Member => {}
                }
            }
        }
        world.commit(None, 0).await;
        for who in 0..2 {
            world.read(who).await;
        }
        let (id, last) = (world.alice.id, world.last);
        world.confirm(id, last);
        deleted += housekeeping.sweep().await.unwrap().envelopes;
        let page = world.socket.page(room, 0, 0).await.unwrap();
        assert_eq!((page.envelopes, page.deleted), (vec![], world.last), "history {seed}");
        assert_eq!(housekeeping.sweep().await.unwrap().envelopes, 0);
        let World { alice: first, socket: hers, others: rest, .. } = world;
        (alice, socket) = (first, hers);
        others = rest.into_iter().map(|reader| (reader.device, reader.socket)).collect();
    }
    assert!(deleted > 100, "only {deleted} envelopes");
}

async fn what_is_not_fetched_goes_after_its_time_and_a_repetition_is_known_still(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let bob = Device::register(&server, "bob").await;
    let room = alice.create_room().await;
    let (mut a, mut b) = (Socket::connect(&alice).await, Socket::connect(&bob).await);
    assert_eq!(a.invite(&commit(&alice, room, 0, &[(Operation::Add, &bob)]), &[bob.id]).await, ACCEPTED(1));
    bob.reply(room, "join").await.unwrap();
    let texts: Vec<_> = (2..=4).map(|_| envelope(&alice, room, 1, "text")).collect();
    for (text, seq) in texts.iter().zip(2..) {
        assert_eq!(a.publish(text).await, ACCEPTED(seq));
    }
    let confirm = |device: DeviceId, seq| {
        rooms::confirm(&mut server.database.connect(), room, device, Seq(seq)).unwrap();
    };
    confirm(alice.id, 4);
    confirm(bob.id, 2);
    let sweep = |days: &str| -> u64 {
        let output = program::run(&server.database, &["admin", "sweep", "--json", "--retention-days", days]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        said["swept"]["envelopes"].as_u64().unwrap()
    };
    // Bob may lack what follows 2, and whoever is added next needs what follows the commit.
    assert_eq!(sweep("90"), 1);
    let age = |hours: u32| {
        server.database.execute(&format!(
            "WITH RECURSIVE passed (hour) AS (SELECT 1 UNION ALL SELECT hour + 1 FROM passed WHERE hour < {hours}) \
             INSERT INTO hours (id, noted_at, envelope, key_package) SELECT hour + (SELECT max(id) FROM hours), 0, \
             (SELECT max(id) FROM envelopes), 0 FROM passed"
        ));
    };
    age(48);
    assert_eq!((sweep("90"), sweep("3"), sweep("0")), (0, 0, 0));
    assert_eq!(a.publish(&envelope(&alice, room, 1, "young")).await, ACCEPTED(5));
    assert_eq!(sweep("1"), 3, "what was there two days ago, though bob has not fetched it");
    let page = b.page(room, 2, 0).await.unwrap();
    let seqs: Vec<u64> = page.envelopes.iter().map(|logged| logged.seq).collect();
    assert_eq!((seqs, page.deleted, page.last_seq), (vec![5], 4, 5));
    // What was acknowledged stays acknowledged, and is not taken twice.
    assert_eq!(a.publish(&texts[0]).await, ACCEPTED(2));
    let fresh = envelope(&alice, room, 0, "stale");
    let stale = Published::Refused { code: FaultCode::StaleEpoch, room_commit_seq: 1 };
    assert_eq!(a.publish(&fresh).await, stale);
    age(24 * 3650 + 1);
    assert_eq!((sweep("0"), sweep("3650")), (0, 1));
    let page = b.page(room, 2, 0).await.unwrap();
    assert_eq!((page.envelopes.len(), page.deleted), (0, 5));
}

#[test]
fn what_retention_deletes_is_free_for_new_messages_in_a_file() {
    #[derive(QueryableByName, Debug)]
    struct Pages {
        #[diesel(sql_type = BigInt)]
        all: i64,
        #[diesel(sql_type = BigInt)]
        free: i64,
    }
    const ROUNDS: u64 = 100;
    /// As many as a short text has, sealed: nearly a page.
    const SIZE: usize = 3_882;
    let database = Database::sqlite();
    let mut conn = empty(&database);
    large::fill(&mut conn, Size { accounts: 20, rooms: 4, envelopes: 1 });
    let mut conn = database.connect();
    let pages = |conn: &mut Connection| -> Pages {
        sql_query("SELECT page_count AS \"all\", freelist_count AS free FROM pragma_page_count, pragma_freelist_count")
            .get_result(conn)
            .unwrap()
    };
    let rooms = retention::rooms_after(&mut conn, None, 9).unwrap();
    assert_eq!(rooms.len(), 4);
    // As they come: of one room after the other.
    let write = |conn: &mut Connection, first: u64| {
        for seq in first..first + ROUNDS {
            let mut changes = Changes::default();
            for room in &rooms {
                changes.envelopes.push(NewEnvelope {
                    room: *room,
                    seq: Seq(seq),
                    sender: rooms::creator(conn, *room).unwrap().unwrap(),
                    message: MessageId::from_bytes(random()),
                    logged: Bytes::from(vec![7; SIZE]),
                });
                changes.rooms.insert(*room, RoomState { next_seq: Seq(seq + 1), commit_seq: Seq(1) });
            }
            relay::save(conn, &changes, 1).unwrap();
        }
    };
    let before = pages(&mut conn);
    write(&mut conn, 2);
    let full = pages(&mut conn);
    for room in &rooms {
        retention::delete(&mut conn, *room, Seq(0), Seq(1 + ROUNDS)).unwrap();
    }
    let swept = pages(&mut conn);
    assert!(swept.free * 10 > (full.all - before.all) * 8, "{swept:?} of {full:?} after {before:?}");
    write(&mut conn, 2 + ROUNDS);
    let again = pages(&mut conn);
    assert!(again.all * 10 < full.all * 11, "{again:?} after {full:?}");
}
