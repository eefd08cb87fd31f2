//! The audit log: adding to its end, reading, and deleting from its beginning. Whoever adds locks the row that holds the
//! end, so that the entries of all nodes are one chain; nothing else waits for that row.

mod entry;

use diesel::{dsl::max, prelude::*};
use qchat_proto::ids::AccountId;

pub use self::entry::{Act, Actor, Deleted, Draft, Entry, Hash, Outcome, START};
use super::{
    Connection, StoreError, id,
    multi::on_each,
    schema::{audit, audit_head, hours},
};

/// The end of the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The newest entry; 0: none.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
    /// Entries up to this one are deleted.
    pub deleted_until: i64,
}

/// Which entries are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Which {
    /// Those about this account.
    pub account: Option<AccountId>,
    /// Those of which something happened at this time or later, Unix seconds.
    pub since: Option<i64>,
}

type Row = (
    i64,
    (i64, i64, i64),
    (i16, i16, i16),
    (Option<Vec<u8>>, Option<Vec<u8>>, Option<String>),
    (Option<i64>, Option<Vec<u8>>),
    Vec<u8>,
);

type Columns = (
    audit::seq,
    (audit::first_at, audit::last_at, audit::times),
    (audit::act, audit::outcome, audit::actor),
    (audit::account_id, audit::device_id, audit::peer),
    (audit::deleted_until, audit::deleted_hash),
    audit::hash,
);

const COLUMNS: Columns = (
    audit::seq,
    (audit::first_at, audit::last_at, audit::times),
    (audit::act, audit::outcome, audit::actor),
    (audit::account_id, audit::device_id, audit::peer),
    (audit::deleted_until, audit::deleted_hash),
    audit::hash,
);

const HEAD: (audit_head::seq, audit_head::hash, audit_head::deleted_until) =
    (audit_head::seq, audit_head::hash, audit_head::deleted_until);

/// Adds entries at the end, in this order. At most 1,000 at once: SQLite binds 32,766 values.
///
/// # Errors
/// When a query fails.
pub fn append(conn: &mut Connection, drafts: &[Draft]) -> Result<Head, StoreError> {
    let mut head = lock(conn)?;
    if drafts.is_empty() {
        return Ok(head);
    }
    let mut entries = Vec::with_capacity(drafts.len());
    for says in drafts {
        head.seq += 1;
        head.hash = entry::hash(&head.hash, head.seq, says);
        entries.push((head.seq, head.hash, says));
    }
    let rows: Vec<_> = entries
        .iter()
        .map(|(seq, hash, says)| {
            (
                (audit::seq.eq(seq), audit::hash.eq(hash.as_slice())),
                (
                    audit::first_at.eq(says.first_at),
                    audit::last_at.eq(says.last_at),
                    audit::times.eq(says.times),
                ),
                (
                    audit::act.eq(i16::from(says.act.code())),
                    audit::outcome.eq(i16::from(says.outcome.code())),
                    audit::actor.eq(i16::from(says.actor.code())),
                ),
                (
                    audit::account_id.eq(says.account.as_ref().map(|id| id.as_bytes().as_slice())),
                    audit::device_id.eq(says.device.as_ref().map(|id| id.as_bytes().as_slice())),
                    audit::peer.eq(says.peer.as_deref()),
                ),
                (
                    audit::deleted_until.eq(says.deleted.as_ref().map(|deleted| deleted.until)),
                    audit::deleted_hash.eq(says.deleted.as_ref().map(|deleted| deleted.hash.as_slice())),
                ),
            )
        })
        .collect();
    on_each!(conn, conn => diesel::insert_into(audit::table).values(&rows).execute(conn))?;
    diesel::update(audit_head::table)
        .set((audit_head::seq.eq(head.seq), audit_head::hash.eq(head.hash.as_slice())))
        .execute(conn)?;
    Ok(head)
}

/// The end of the chain.
///
/// # Errors
/// When the query fails.
pub fn head(conn: &mut Connection) -> Result<Head, StoreError> {
    read_head(audit_head::table.select(HEAD).get_result(conn)?)
}

/// The end of the chain, which nobody else adds to until the transaction ends.
fn lock(conn: &mut Connection) -> Result<Head, StoreError> {
    let query = audit_head::table.select(HEAD);
    read_head(match conn {
        Connection::Sqlite(conn) => query.get_result(conn),
        Connection::Postgres(conn) => query.for_update().get_result(conn),
    }?)
}

/// The next entries after a place, oldest first: `limit` at most.
///
/// # Errors
/// When the query fails.
pub fn after(conn: &mut Connection, which: Which, seq: i64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let mut query = audit::table.select(COLUMNS).filter(audit::seq.gt(seq)).into_boxed();
    if let Some(account) = &which.account {
        query = query.filter(audit::account_id.eq(account.as_bytes().to_vec()));
    }
    if let Some(since) = which.since {
        query = query.filter(audit::last_at.ge(since));
    }
    let rows: Vec<Row> = query.order(audit::seq).limit(limit.into()).load(conn)?;
    rows.into_iter().map(read).collect()
}

/// The entries before a place, newest first: `limit` at most. Without a place, the newest.
///
/// # Errors
/// When the query fails.
pub fn before(
    conn: &mut Connection,
    which: Which,
    seq: Option<i64>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let mut query = audit::table.select(COLUMNS).filter(audit::seq.lt(seq.unwrap_or(i64::MAX))).into_boxed();
    if let Some(account) = &which.account {
        query = query.filter(audit::account_id.eq(account.as_bytes().to_vec()));
    }
    if let Some(since) = which.since {
        query = query.filter(audit::last_at.ge(since));
    }
    let rows: Vec<Row> = query.order(audit::seq.desc()).limit(limit.into()).load(conn)?;
    rows.into_iter().map(read).collect()
}

/// The next rows after a place, oldest first, `limit` at most: what is stored there, whether a daemon has written it or not.
/// `None`: none has.
///
/// # Errors
/// When the query fails.
pub fn stored(conn: &mut Connection, seq: i64, limit: u32) -> Result<Vec<(i64, Option<Entry>)>, StoreError> {
    let rows: Vec<Row> = audit::table
        .select(COLUMNS)
        .filter(audit::seq.gt(seq))
        .order(audit::seq)
        .limit(limit.into())
        .load(conn)?;
    Ok(rows.into_iter().map(|row| (row.0, read(row).ok())).collect())
}

/// The entry, if any, that says that entries up to `until` were deleted: the newest such.
///
/// # Errors
/// When the query fails.
pub fn checkpoint(conn: &mut Connection, until: i64) -> Result<Option<Entry>, StoreError> {
    let row: Option<Row> = audit::table
        .select(COLUMNS)
        .filter(audit::deleted_until.eq(until))
        .order(audit::seq.desc())
        .first(conn)
        .optional()?;
    row.map(read).transpose()
}

/// The newest entry that was there `ago` counted hours before the last; `None` when not as many have been counted.
///
/// # Errors
/// When a query fails.
pub fn hours_ago(conn: &mut Connection, ago: i64) -> Result<Option<i64>, StoreError> {
    let newest: Option<i64> = hours::table.select(max(hours::id)).get_result(conn)?;
    let Some(newest) = newest else { return Ok(None) };
    let hour = hours::table.select(hours::audit).filter(hours::id.eq(newest.saturating_sub(ago)));
    Ok(hour.get_result(conn).optional()?)
}

/// Deletes the oldest entries up to `until`, `limit` at most, and adds an entry that carries the hash of the last of them,
/// by which the chain goes on. Returns how many, 0 when there is nothing to delete.
///
/// # Errors
/// When a query fails.
pub fn forget(conn: &mut Connection, until: i64, limit: i64, now: i64) -> Result<u64, StoreError> {
    let head = lock(conn)?;
    let until = until.min(head.seq).min(head.deleted_until.saturating_add(limit));
    if until <= head.deleted_until {
        return Ok(0);
    }
    let last: Option<Vec<u8>> =
        audit::table.select(audit::hash).filter(audit::seq.eq(until)).get_result(conn).optional()?;
    let hash = read_hash(last.ok_or(StoreError::Corrupt("the chain of the audit log"))?)?;
    let says = Draft {
        deleted: Some(Deleted { until, hash }),
        ..Draft::new(now, Act::Forget, Outcome::Done, Actor::Daemon)
    };
    append(conn, &[says])?;
    diesel::update(audit_head::table).set(audit_head::deleted_until.eq(until)).execute(conn)?;
    let deleted = diesel::delete(audit::table.filter(audit::seq.le(until))).execute(conn)?;
    Ok(deleted as u64)
}

fn read_head((seq, hash, deleted_until): (i64, Vec<u8>, i64)) -> Result<Head, StoreError> {
    Ok(Head { seq, hash: read_hash(hash)?, deleted_until })
}

fn read_hash(bytes: Vec<u8>) -> Result<Hash, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a hash"))
}

fn read(row: Row) -> Result<Entry, StoreError> {
    let (
        seq,
        (first_at, last_at, times),
        (act, outcome, actor),
        (account, device, peer),
        (until, deleted),
        hash,
    ) = row;
    let deleted = match until.zip(deleted) {
        Some((until, hash)) => Some(Deleted { until, hash: read_hash(hash)? }),
        None => None,
    };
    let says = Draft {
        first_at,
        last_at,
        times,
        act: Act::read(act)?,
        outcome: Outcome::read(outcome)?,
        actor: Actor::read(actor)?,
        account: account.map(|bytes| id(&bytes)).transpose()?,
        device: device.map(|bytes| id(&bytes)).transpose()?,
        peer,
        deleted,
    };
    Ok(Entry { seq, says, hash: read_hash(hash)? })
}
