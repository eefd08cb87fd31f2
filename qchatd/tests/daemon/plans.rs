//! How each of the store's statements is planned over the tables of a large server, and what PostgreSQL counts while they
//! run: nothing reads a table from end to end or sorts one, and rows that change all the time change in their place.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use diesel::{
    Connection as _, QueryableByName, RunQueryDsl,
    connection::{InstrumentationEvent, SimpleConnection},
    sql_query,
    sql_types::{BigInt, Binary, Text},
};
use qchat_proto::ids::{DeviceId, MessageId, RoomId, Seq};
use qchatd::store::{
    self, Connection, Store, StoreError, accounts, envelopes,
    relay::{self, Changes, NewEnvelope, Wanted},
    retention,
    rooms::{self, RoomState},
    sessions, trees,
};

use crate::{
    store::{empty, story},
    support::{
        Database, eventually,
        large::{self, Size},
        on_both,
    },
};

on_both!(no_statement_reads_a_table_from_end_to_end_or_sorts_one);

/// Some 10⁵ envelopes and memberships, some 10⁴ of most else.
const LARGE: Size = Size { accounts: 10_000, rooms: 10_000, envelopes: 20 };

/// Tables of a handful of rows for ever, which are read whole.
const SMALL: [&str; 2] = ["server", "token_keys"];

/// What may be sorted, and why that does not grow with the tables. Nothing of it is dropped by a limit afterwards: that
/// would be sorting much to return little.
const SORTED: [(&str, &str); 6] = [
    ("FROM devices WHERE (devices.account_id =", "an account's devices, all of which are returned"),
    ("FROM members WHERE ((members.room_id =", "a room's devices, all of which are returned"),
    ("FROM (members INNER JOIN rooms", "a device's rooms, all of which are returned"),
    ("FROM token_keys", "two or three"),
    ("(trees.seq IS NULL)", "what devices have staged, four each at most"),
    ("known.seq ORDER BY envelopes.seq LIMIT", "the rooms of one job, and of each the stretch that it reads"),
];

/// What is answered out of an index alone.
const BY_INDEX_ALONE: [&str; 3] = [
    "SELECT max(envelopes.seq) FROM envelopes WHERE (envelopes.room_id =",
    "SELECT COUNT(*) FROM key_packages",
    "SELECT accounts.id FROM accounts WHERE (accounts.id >=",
];

#[derive(QueryableByName)]
struct SqliteStep {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct PostgresStep {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    step: String,
}

/// A statement without what only one of the databases writes.
fn plain(statement: &str) -> String {
    statement.replace(['"', '`'], "")
}

/// All statements that the story of the store consists of.
fn statements(database: &Database) -> BTreeSet<String> {
    let mut conn = empty(database);
    let statements: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let heard = statements.clone();
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let statement = text.split(" -- binds:").next().unwrap_or_default().to_owned();
            if ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| statement.starts_with(verb)) {
                heard.lock().unwrap().insert(statement);
            }
        }
    });
    story(&mut conn);
    let statements = statements.lock().unwrap().clone();
    assert!(statements.len() > 40, "only {} statements were heard", statements.len());
    statements
}

/// The steps of a statement's plan; on PostgreSQL of the one that it is run by for all values.
fn plan(conn: &mut Connection, statement: &str) -> Vec<String> {
    match conn {
        Connection::Sqlite(conn) => {
            let plan: Vec<SqliteStep> =
                sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(conn).unwrap();
            plan.into_iter().map(|step| step.detail).collect()
        }
        Connection::Postgres(conn) => {
            conn.batch_execute(&format!("PREPARE explained AS {statement}")).unwrap();
            let values = (1..100).take_while(|number| statement.contains(&format!("${number}"))).count();
            let values = vec!["NULL"; values].join(", ");
            let call =
                if values.is_empty() { "explained".to_owned() } else { format!("explained({values})") };
            let plan: Vec<PostgresStep> = sql_query(format!("EXPLAIN EXECUTE {call}")).load(conn).unwrap();
            conn.batch_execute("DEALLOCATE explained").unwrap();
            plan.into_iter().map(|step| step.step).collect()
        }
    }
}

/// The steps that read a table, or an index, from end to end.
fn scans(plan: &[String]) -> Vec<String> {
    let is_small = |step: &str| step.split_whitespace().any(|word| SMALL.contains(&word));
    let is_node = |line: &str| line.contains("(cost=");
    plan.iter()
        .enumerate()
        .filter(|(at, step)| {
            // An index without a condition is read from end to end, too.
            let sought = || {
                plan[at + 1..]
                    .iter()
                    .take_while(|line| !is_node(line))
                    .any(|line| line.contains("Index Cond"))
            };
            let whole = step.contains("Index Scan") || step.contains("Index Only Scan");
            let of_sqlite = step.starts_with("SCAN") && !step.contains("CONSTANT ROW");
            of_sqlite || step.contains("Seq Scan") || (is_node(step) && whole && !sought())
        })
        .map(|(_, step)| step.clone())
        .filter(|step| !is_small(step))
        .collect()
}

/// What is wrong with a statement's plan. `analyzed`: the database knows its tables, and what in them is visible to all.
fn wrongs(conn: &mut Connection, statement: &str, analyzed: bool) -> Vec<String> {
    let plan = plan(conn, statement);
    let text = plain(statement);
    let mut wrong = scans(&plan);
    let sorts = |step: &&String| {
        step.trim_start().trim_start_matches("->").trim_start().starts_with("Sort  (")
            || step.contains("Incremental Sort")
            || step.contains("USE TEMP B-TREE")
    };
    if !SORTED.iter().any(|(part, _)| text.contains(part)) {
        wrong.extend(plan.iter().filter(sorts).cloned());
    }
    let alone = ["Index Only Scan", "USING COVERING INDEX"];
    if analyzed
        && BY_INDEX_ALONE.iter().any(|part| text.to_lowercase().starts_with(&part.to_lowercase()))
        && !plan.iter().any(|step| alone.iter().any(|alone| step.contains(alone)))
    {
        wrong.push(format!("not by an index alone: {}", plan.join(" | ")));
    }
    wrong.into_iter().map(|step| format!("{step}\n    in {text}")).collect()
}

async fn no_statement_reads_a_table_from_end_to_end_or_sorts_one(database: Database) {
    let other = if database.is_postgres() { Database::postgres() } else { Database::sqlite() };
    let statements = statements(&other);
    for part in BY_INDEX_ALONE {
        let part = part.to_lowercase();
        let is_heard = statements.iter().any(|statement| plain(statement).to_lowercase().starts_with(&part));
        assert!(is_heard, "nobody says {part}");
    }
    let mut conn = empty(&database);
    large::fill(&mut conn, LARGE);
    // By a connection as the daemon's are: with its settings.
    let store = Store::open(&database.url.parse().unwrap(), 1, store::WAIT).unwrap();
    for analyzed in [false, true] {
        if analyzed {
            large::analyze(&mut conn);
        }
        let statements = statements.clone();
        let wrong: Vec<String> = store
            .read(move |conn| {
                Ok::<_, StoreError>(
                    statements.iter().flat_map(|statement| wrongs(conn, statement, analyzed)).collect(),
                )
            })
            .await
            .unwrap();
        assert!(wrong.is_empty(), "analyzed: {analyzed}\n{}", wrong.join("\n"));
    }
    // The measure itself: a column without an index is a scan to it, and an order without one a sort.
    let wrong = store
        .read(|conn| {
            let value = if matches!(conn, Connection::Sqlite(_)) { "?" } else { "$1" };
            let unindexed = format!("SELECT 1 FROM envelopes WHERE size = {value}");
            let unordered = format!("SELECT 1 FROM envelopes WHERE room_id = {value} ORDER BY size");
            Ok::<_, StoreError>([unindexed, unordered].map(|statement| wrongs(conn, &statement, true).len()))
        })
        .await;
    assert_eq!(wrong.unwrap(), [1, 1]);
}

/// What PostgreSQL has counted of a table.
#[derive(QueryableByName, Debug)]
struct Counted {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    scans: i64,
    #[diesel(sql_type = BigInt)]
    updates: i64,
    #[diesel(sql_type = BigInt)]
    in_place: i64,
}

fn counted(conn: &mut Connection) -> HashMap<String, Counted> {
    let rows: Vec<Counted> = sql_query(
        "SELECT relname::text AS name, seq_scan AS scans, n_tup_upd AS updates, n_tup_hot_upd AS in_place \
         FROM pg_stat_user_tables",
    )
    .load(conn)
    .unwrap();
    rows.into_iter().map(|row| (row.name.clone(), row)).collect()
}

#[derive(QueryableByName)]
struct Ids {
    #[diesel(sql_type = Binary)]
    first: Vec<u8>,
    #[diesel(sql_type = Binary)]
    second: Vec<u8>,
}

fn ids(conn: &mut Connection, query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    sql_query(query).load::<Ids>(conn).unwrap().into_iter().map(|row| (row.first, row.second)).collect()
}

fn id<T: for<'a> TryFrom<&'a [u8]>>(bytes: &[u8]) -> T {
    T::try_from(bytes).ok().unwrap()
}

/// Waits until nobody else is connected: what a connection has counted is told when it ends, at the latest.
async fn alone(conn: &mut Connection) {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    eventually("all others are gone", async || {
        let others: Count = sql_query(
            "SELECT count(*) AS count FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
        .get_result(conn)
        .unwrap();
        others.count == 0
    })
    .await;
}

/// Tables whose rows change in the course of things.
const CHANGING: [&str; 6] = ["rooms", "members", "devices", "sessions", "refresh_tokens", "envelopes"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_change_all_the_time_change_in_their_place() {
    const ROOMS: u32 = 1_000;
    /// Rooms of one group of messages.
    const GROUP: usize = 100;
    let database = Database::postgres();
    let mut conn = empty(&database);
    large::fill(&mut conn, Size { accounts: ROOMS, rooms: ROOMS, envelopes: 10 });
    large::analyze(&mut conn);
    // What is in its place by itself: not after a VACUUM that comes just then, or does not come while it analyzes.
    for table in CHANGING {
        conn.batch_execute(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).unwrap();
    }
    let places =
        ids(&mut conn, "SELECT room_id AS first, device_id AS second FROM members WHERE standing = 1");
    let tokens = ids(&mut conn, "SELECT digest AS first, session_id AS second FROM refresh_tokens");
    drop(conn);
    let mut conn = database.connect();
    alone(&mut conn).await;
    conn.batch_execute("SELECT pg_stat_reset()").unwrap();

    let store = Store::open(&database.url.parse().unwrap(), 1, Duration::from_mins(1)).unwrap();
    let (mut next, mut number) = (HashMap::<RoomId, u64>::new(), 0_u128);
    let mut of_rooms = BTreeMap::<RoomId, Vec<DeviceId>>::new();
    for (room, device) in &places {
        of_rooms.entry(id(room)).or_default().push(id(device));
    }
    // What a daemon does all day: messages, confirmations, lists of rooms, sessions that go on, and retention.
    let rooms: Vec<RoomId> = of_rooms.keys().copied().collect();
    for round in 0..5 {
        for group in 0..rooms.len() / GROUP {
            let mut changes = Changes::default();
            let mut confirmed = Vec::new();
            for at in 0..GROUP {
                // Some rooms are busier than others.
                let room = rooms[(group * GROUP + at * (1 + round)) % rooms.len()];
                let members = &of_rooms[&room];
                let seq = next.entry(room).or_insert(11);
                if changes.rooms.contains_key(&room) {
                    continue;
                }
                number += 1;
                changes.envelopes.push(NewEnvelope {
                    room,
                    seq: Seq(*seq),
                    sender: members[0],
                    message: MessageId::from_bytes(number.to_be_bytes()),
                    logged: Bytes::from(vec![7; 300]),
                });
                confirmed.push((room, members[usize::from(number % 2 == 0)], Seq(*seq)));
                *seq += 1;
                changes.rooms.insert(room, RoomState { next_seq: Seq(*seq), commit_seq: Seq(1) });
            }
            let wanted = Wanted {
                rooms: changes.rooms.keys().copied().collect(),
                places: changes.envelopes.iter().map(|new| (new.room, new.sender)).collect(),
                envelopes: changes.envelopes.iter().map(|new| (new.room, new.sender, new.message)).collect(),
                ..Wanted::default()
            };
            let devices: BTreeSet<DeviceId> =
                confirmed.iter().take(20).map(|(_, device, _)| *device).collect();
            store
                .write(move |conn| {
                    relay::load(conn, &wanted)?;
                    relay::save(conn, &changes, 1)?;
                    rooms::advance_audiences(conn, &devices)
                })
                .await
                .unwrap();
            store
                .write(move |conn| {
                    confirmed
                        .iter()
                        .try_for_each(|(room, device, seq)| rooms::confirm(conn, *room, *device, *seq))
                })
                .await
                .unwrap();
        }
        let exchanged: Vec<_> = tokens.iter().skip(round).step_by(12).cloned().collect();
        for some in exchanged.chunks(10) {
            let some = some.to_vec();
            let expires_at = 6_000_000 + i64::try_from(round).unwrap();
            store
                .write(move |conn| {
                    some.iter().try_for_each(|(digest, session)| {
                        let (digest, session): ([u8; 32], [u8; 16]) = (id(digest), id(session));
                        sessions::token(conn, &digest)?;
                        sessions::use_token(conn, &digest, &session, 1, &digest)?;
                        sessions::extend(conn, &session, expires_at)
                    })
                })
                .await
                .unwrap();
        }
        for some in rooms.chunks(20).filter(|_| round < 2) {
            let some = some.to_vec();
            let seq = 4 * round as u64;
            store
                .write(move |conn| {
                    some.iter().try_for_each(|room| retention::delete(conn, *room, Seq(seq), Seq(seq + 4)))
                })
                .await
                .unwrap();
        }
    }
    // What else is done over and over, with what the database checks by itself when a row goes.
    store
        .write(move |conn| {
            let known: Vec<_> = rooms.iter().map(|room| (*room, Seq(1))).collect();
            let devices: Vec<DeviceId> = of_rooms.values().map(|devices| devices[0]).collect();
            assert_eq!(rooms::ahead(conn, &known)?.len(), rooms.len());
            rooms::audience_versions(conn, &devices)?;
            rooms::audiences(conn, &devices)?;
            envelopes::following(conn, &known.into_iter().take(200).collect(), 5, 1 << 20)?;
            let asked: Vec<[u8; 16]> = tokens.iter().map(|(_, session)| id(session)).collect();
            assert_eq!(sessions::open_among(conn, &asked, 1)?.len(), ROOMS as usize);
            accounts::any(conn)?;
            sessions::close(conn, &asked[0])?;
            sessions::spend_nonce(conn, &[9; 32], 2_000_000, 1_500)?;
            trees::expire(conn, 1_000_000)?;
            retention::forget_claimed(conn, 0, 500, 100)?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    drop(store);
    alone(&mut conn).await;
    let counted = counted(&mut conn);
    let moved: Vec<_> = CHANGING
        .iter()
        .map(|table| &counted[*table])
        .filter(|Counted { updates, in_place, .. }| *updates < 500 || in_place * 10 < updates * 9)
        .collect();
    assert!(moved.is_empty(), "too few updates, or too few in place: {moved:#?}");
    let scanned: Vec<_> =
        counted.values().filter(|table| table.scans > 0 && !SMALL.contains(&table.name.as_str())).collect();
    assert!(scanned.is_empty(), "{scanned:?}");
}
