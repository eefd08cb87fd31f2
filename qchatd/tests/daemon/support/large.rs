//! The rows of a large server, put there by the database itself: what is in them means little, how many there are and how
//! they refer to each other is that of a real one.

use diesel::connection::SimpleConnection;
use qchatd::store::Connection;

/// How large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Accounts, each with a device and a session of three refresh tokens.
    pub(crate) accounts: u32,
    /// Rooms of ten devices.
    pub(crate) rooms: u32,
    /// Envelopes of each room.
    pub(crate) envelopes: u32,
}

/// Bytes that follow from a number, as SQL: 16 or 32.
fn bytes(conn: &Connection, what: &str, number: &str, count: usize) -> String {
    let one = |part: usize| match conn {
        Connection::Sqlite(_) => {
            let salt: u32 = what.bytes().map(u32::from).sum::<u32>() + u32::try_from(part).unwrap();
            // Spread over the range, as ids are.
            format!(
                "printf('%08x%08x%08x', ({number}) * 2654435761 % 4294967296, {salt}, {number}) || '00000000'"
            )
        }
        Connection::Postgres(_) => format!("md5('{what}{part} ' || ({number}))"),
    };
    let hex = (0..count / 16).map(one).collect::<Vec<_>>().join(" || ");
    match conn {
        Connection::Sqlite(_) => format!("unhex({hex})"),
        Connection::Postgres(_) => format!("decode({hex}, 'hex')"),
    }
}

/// Fills a database whose tables are there and empty.
pub(crate) fn fill(conn: &mut Connection, size: Size) {
    let Size { accounts, rooms, envelopes } = size;
    let id = |what: &str, number: &str| bytes(conn, what, number, 16);
    let digest = |what: &str, number: &str| bytes(conn, what, number, 32);
    let numbers = |name: &str, from: u32, to: u32| {
        format!("{name} (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM {name} WHERE n < {to})")
    };
    // A room's members, no device twice.
    let member = format!("(1 + (r.n * 7 + m.n * 997) % {accounts})");
    let each_account = format!("WITH RECURSIVE {}", numbers("a", 1, accounts));
    let each_member = format!("WITH RECURSIVE {}, {}", numbers("r", 1, rooms), numbers("m", 0, 9));
    // Of one room after the other, as they come.
    let each_envelope = format!("WITH RECURSIVE {}, {}", numbers("s", 1, envelopes), numbers("r", 1, rooms));
    let waiting = rooms / 5;
    let each_waiting = format!("WITH RECURSIVE {}, {}", numbers("r", 1, waiting), numbers("p", 0, 3));
    let statements = [
        format!("INSERT INTO server (id, server_id, created_at) SELECT 1, {}, 1", id("server", "1")),
        format!(
            "INSERT INTO accounts (id, name, record, device_list, device_list_version, auth_salt, verifier_salt, verifier, \
             created_at) {each_account} SELECT {}, 'user-' || a.n, {}, {}, 1, {}, {}, {}, 1 FROM a",
            id("account", "a.n"),
            digest("record", "a.n"),
            digest("list", "a.n"),
            id("salt", "a.n"),
            id("other salt", "a.n"),
            digest("verifier", "a.n")
        ),
        format!(
            "INSERT INTO devices (id, account_id, certificate, listed, created_at) {each_account} \
             SELECT {}, {}, {}, true, 1 FROM a",
            id("device", "a.n"),
            id("account", "a.n"),
            digest("certificate", "a.n")
        ),
        format!(
            "INSERT INTO directory_nodes (label, node) {each_account}, {} SELECT {}, {} FROM a, k",
            numbers("k", 0, 3),
            digest("node", "a.n * 10 + k.n"),
            digest("hash", "a.n")
        ),
        format!(
            "INSERT INTO directory_entries (account_id, label, salt, said, epoch, version) {each_account} \
             SELECT {}, {}, {}, {}, 1, 1 FROM a",
            id("account", "a.n"),
            digest("label", "a.n"),
            digest("entry", "a.n"),
            digest("said", "a.n")
        ),
        format!(
            "INSERT INTO directory_values (who, version, epoch, held, place) {each_account} \
             SELECT {}, 1, 1, {}, {} FROM a",
            digest("who", "a.n"),
            digest("held", "a.n"),
            digest("place", "a.n")
        ),
        format!(
            "INSERT INTO key_packages (device_id, digest, last_resort, claimed, package) {each_account}, {} \
             SELECT {}, {}, k.n = 0, k.n > 3, CASE WHEN k.n <= 3 THEN {} END FROM a, k",
            numbers("k", 0, 4),
            id("device", "a.n"),
            digest("package", "a.n * 10 + k.n"),
            id("bytes", "a.n")
        ),
        format!(
            "INSERT INTO sessions (id, device_id, created_at, expires_at) {each_account} \
             SELECT {}, {}, 1, 5000000 + a.n FROM a",
            id("session", "a.n"),
            id("device", "a.n")
        ),
        format!(
            "INSERT INTO refresh_tokens (digest, session_id, expires_at) {each_account}, {} \
             SELECT {}, {}, 5000000 FROM a, t",
            numbers("t", 1, 3),
            digest("token", "a.n * 10 + t.n"),
            id("session", "a.n")
        ),
        format!(
            "INSERT INTO backups (device_id, account_id, version, head, made_at) {each_account} \
             SELECT {}, {}, 1, {}, 1 FROM a",
            id("device", "a.n"),
            id("account", "a.n"),
            digest("head", "a.n")
        ),
        format!(
            "INSERT INTO notes (account_id, version, sealed) {each_account} SELECT {}, 1, {} FROM a",
            id("account", "a.n"),
            digest("notes", "a.n")
        ),
        format!(
            "INSERT INTO backup_chunks (account_id, device_id, chunk, size, kept_until, bytes) {each_account}, {} \
             SELECT {}, {}, {}, 32, CASE WHEN c.n = 1 THEN 1000 + a.n END, {} FROM a, c",
            numbers("c", 1, 3),
            id("account", "a.n"),
            id("device", "a.n"),
            digest("chunk", "a.n * 10 + c.n"),
            digest("sealed", "a.n * 10 + c.n")
        ),
        format!(
            "INSERT INTO spent_nonces (nonce, expires_at) {each_account} SELECT {}, 1000 + a.n FROM a WHERE a.n <= 1000",
            digest("nonce", "a.n")
        ),
        format!(
            "INSERT INTO hours (id, noted_at, envelope, key_package) WITH RECURSIVE {} SELECT h.n, h.n, h.n, h.n FROM h",
            numbers("h", 1, 2200)
        ),
        format!(
            "INSERT INTO rooms (id, creator_device, next_seq, commit_seq, created_at) WITH RECURSIVE {} \
             SELECT {}, {}, {}, 1, 1 FROM r",
            numbers("r", 1, rooms),
            id("room", "r.n"),
            id("device", &member.replace("m.n", "0")),
            envelopes + 1
        ),
        format!(
            "INSERT INTO join_requests (room_id, account_id, request, created_at) {each_account} \
             SELECT {}, {}, {}, 1000 + a.n FROM a WHERE a.n <= 1000",
            id("room", "a.n"),
            id("account", "a.n"),
            digest("asked", "a.n")
        ),
        format!(
            "INSERT INTO owed_places (room_id, device_id, since) {each_account} SELECT {}, {}, 1000 + a.n FROM a WHERE a.n <= 1000",
            id("room", "a.n"),
            id("device", "a.n")
        ),
        format!(
            "INSERT INTO members (room_id, device_id, account_id, standing, once_full, waiting, read_after, past_after, \
             past_until, confirmed) {each_member} \
             SELECT {}, {}, {}, CASE WHEN m.n = 9 THEN 2 ELSE 1 END, true, false, 0, 0, 0, 0 FROM r, m",
            id("room", "r.n"),
            id("device", &member),
            id("account", &member)
        ),
        format!(
            "INSERT INTO envelopes (room_id, seq, sender_device, message_id, size, logged) {each_envelope} \
             SELECT {}, s.n, {}, {}, 32, {} FROM s, r ORDER BY s.n",
            id("room", "r.n"),
            id("device", &member.replace("m.n", "s.n % 9")),
            id("message", "r.n * 1000 + s.n"),
            digest("logged", "r.n * 1000 + s.n")
        ),
        format!(
            "INSERT INTO files (id, room_id, account_id, device_id, size, state, hash, touched_at, hour) {each_account} \
             SELECT {}, {}, {}, {}, 32, 1 + a.n % 3, CASE WHEN a.n % 3 = 1 THEN {} END, 1000 + a.n, \
             CASE WHEN a.n % 3 = 1 THEN a.n END FROM a",
            id("file", "a.n"),
            id("room", &format!("1 + a.n % {rooms}")),
            id("account", "a.n"),
            id("device", "a.n"),
            bytes(conn, "file hash", "a.n", 48)
        ),
        format!(
            "INSERT INTO file_parts (file_id, number, digest) {each_account}, {} SELECT {}, p.n, {} FROM a, p",
            numbers("p", 0, 3),
            id("file", "a.n"),
            bytes(conn, "part digest", "a.n * 10 + p.n", 48)
        ),
        format!(
            "INSERT INTO trees (room_id, device_id, hash, size, complete, seq, touched_at) {each_waiting} \
             SELECT {}, {}, NULL, 64, true, 1, 1000 + r.n FROM r",
            id("room", "r.n"),
            id("device", &member.replace("m.n", "0"))
        ),
        format!(
            "INSERT INTO tree_parts (tree_id, number, bytes) {each_waiting} SELECT r.n, p.n, {} FROM r, p",
            id("part", "r.n")
        ),
        format!(
            "INSERT INTO welcomes (room_id, device_id, seq, inviter, welcome) {each_waiting} \
             SELECT {}, {}, 1, {}, {} FROM r",
            id("room", "r.n"),
            id("device", &member.replace("m.n", "9")),
            id("account", &member.replace("m.n", "0")),
            id("welcome", "r.n")
        ),
    ];
    // What refers to what is as it should be; checking it for each row would take longer than all the rest.
    conn.batch_execute(match conn {
        Connection::Sqlite(_) => "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; BEGIN",
        Connection::Postgres(_) => {
            "SET session_replication_role = replica; SET synchronous_commit = off; BEGIN"
        }
    })
    .unwrap();
    for statement in statements {
        conn.batch_execute(&statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    conn.batch_execute("COMMIT").unwrap();
}

/// Has the database note what it needs to plan by.
pub(crate) fn analyze(conn: &mut Connection) {
    conn.batch_execute(match conn {
        Connection::Sqlite(_) => "ANALYZE",
        Connection::Postgres(_) => "VACUUM ANALYZE",
    })
    .unwrap();
}
