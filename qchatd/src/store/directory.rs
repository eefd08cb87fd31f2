//! The key directory: entries that wait and entries that are published, the tree, and its heads.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{
    dsl::{exists, sql},
    prelude::*,
    sql_types::{BigInt, Binary, Bool},
};
use qchat_proto::{ids::AccountId, transparency::Salt};

use super::{
    Connection, StoreError,
    arrays::{Column, OverArrays},
    from_sql, id,
    schema::{accounts, directory_entries, directory_heads, directory_nodes, directory_values},
    to_sql,
};

/// Who publishes holds this advisory lock of PostgreSQL: any number that no other program uses.
const LOCK: i64 = 0x7163_6861_7465;
/// Keys in one statement on SQLite, which takes so many values and no more.
const KEYS: usize = 8_192;

/// Something to be said under a label.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// Whose it is: it goes with the account.
    pub account: AccountId,
    /// What it is looked up by.
    pub label: Vec<u8>,
    /// What hides it.
    pub salt: Salt,
    /// What is said.
    pub said: Vec<u8>,
}

/// Something that is said.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its row; they are published in this order.
    pub id: i64,
    /// What it is looked up by.
    pub label: Vec<u8>,
    /// What hides it.
    pub salt: Salt,
    /// What is said.
    pub said: Vec<u8>,
    /// The version of its label, once it is published.
    pub version: Option<u64>,
}

/// Row, label, salt, what is said, version.
type EntryRow = (i64, Vec<u8>, Vec<u8>, Vec<u8>, Option<i64>);

const ENTRY: (
    directory_entries::id,
    directory_entries::label,
    directory_entries::salt,
    directory_entries::said,
    directory_entries::version,
) = (
    directory_entries::id,
    directory_entries::label,
    directory_entries::salt,
    directory_entries::said,
    directory_entries::version,
);

fn entry((id, label, salt, said, version): EntryRow) -> Result<Entry, StoreError> {
    let salt = Salt(salt.try_into().map_err(|_| StoreError::Corrupt("a salt"))?);
    Ok(Entry { id, label, salt, said, version: version.map(from_sql) })
}

/// The head of an epoch.
#[derive(Clone, Debug)]
pub struct Head {
    /// The head.
    pub head: Vec<u8>,
    /// Its signature.
    pub signature: Vec<u8>,
    /// How many nodes the tree has.
    pub nodes: u64,
}

/// What was written under a label.
#[derive(Clone, Debug)]
pub struct Value {
    /// The keyed hash of the label.
    pub who: [u8; 32],
    /// How often it was written.
    pub version: u64,
    /// When.
    pub epoch: u64,
    /// The commitment.
    pub held: Vec<u8>,
    /// Where in the tree.
    pub place: [u8; 32],
}

/// Label hash, version, epoch, commitment, place.
type ValueRow = (Vec<u8>, i64, i64, Vec<u8>, Vec<u8>);

fn value((who, version, epoch, held, place): ValueRow) -> Result<Value, StoreError> {
    let array =
        |bytes: Vec<u8>| bytes.try_into().map_err(|_| StoreError::Corrupt("a place in the directory"));
    Ok(Value {
        who: array(who)?,
        version: from_sql(version),
        epoch: from_sql(epoch),
        held,
        place: array(place)?,
    })
}

/// What an epoch changes.
#[derive(Debug)]
pub struct Epoch {
    /// Its number.
    pub epoch: u64,
    /// Its head, signature and size.
    pub head: Head,
    /// That the tree has only grown; none at epoch 0.
    pub grown: Option<Vec<u8>>,
    /// Nodes that are new or other than they were, by label.
    pub nodes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What was written.
    pub values: Vec<Value>,
    /// The entries that it publishes, each with the version of its label.
    pub published: Vec<(i64, u64)>,
}

/// Appends what is to be said, to be published in the order of its coming.
///
/// # Errors
/// When the query fails.
pub fn append(conn: &mut Connection, entries: &[NewEntry]) -> Result<(), StoreError> {
    for entry in entries {
        diesel::insert_into(directory_entries::table)
            .values((
                directory_entries::account_id.eq(entry.account.as_bytes().as_slice()),
                directory_entries::label.eq(&entry.label),
                directory_entries::salt.eq(entry.salt.0.as_slice()),
                directory_entries::said.eq(&entry.said),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The next entries that wait.
///
/// # Errors
/// When the query fails.
pub fn waiting(conn: &mut Connection, limit: i64) -> Result<Vec<Entry>, StoreError> {
    let rows: Vec<EntryRow> = directory_entries::table
        .select(ENTRY)
        .filter(directory_entries::epoch.is_null())
        // Sought in the index of what waits.
        .filter(directory_entries::id.gt(0))
        .order(directory_entries::id)
        .limit(limit)
        .load(conn)?;
    rows.into_iter().map(entry).collect()
}

/// The newest thing that is said under a label, published or not.
///
/// # Errors
/// When the query fails.
pub fn newest(conn: &mut Connection, label: &[u8]) -> Result<Option<Entry>, StoreError> {
    let row: Option<EntryRow> = directory_entries::table
        .select(ENTRY)
        .filter(directory_entries::label.eq(label))
        .order(directory_entries::id.desc())
        .first(conn)
        .optional()?;
    row.map(entry).transpose()
}

/// What was published under a label, newest first; those that are forgotten are missing.
///
/// # Errors
/// When the query fails.
pub fn published(conn: &mut Connection, label: &[u8], limit: i64) -> Result<Vec<Entry>, StoreError> {
    let rows: Vec<EntryRow> = directory_entries::table
        .select(ENTRY)
        .filter(directory_entries::label.eq(label))
        .filter(directory_entries::epoch.is_not_null())
        .order(directory_entries::id.desc())
        .limit(limit)
        .load(conn)?;
    rows.into_iter().map(entry).collect()
}

/// Looks at the next `limit` accounts after one, in the order of their ids: those of which nothing is said yet, and the last
/// that was looked at; `None` when there are no more.
///
/// # Errors
/// When a query fails.
pub fn unsaid(
    conn: &mut Connection,
    after: Option<AccountId>,
    limit: i64,
) -> Result<(Vec<AccountId>, Option<AccountId>), StoreError> {
    let after = after.map_or_else(Vec::new, |account| account.as_bytes().to_vec());
    let rows: Vec<Vec<u8>> = accounts::table
        .select(accounts::id)
        .filter(accounts::id.gt(&after))
        .filter(accounts::deleted_at.is_null())
        .order(accounts::id)
        .limit(limit)
        .load(conn)?;
    let Some(last) = rows.last() else { return Ok((vec![], None)) };
    let said: Vec<Vec<u8>> = directory_entries::table
        .select(directory_entries::account_id)
        .filter(directory_entries::account_id.gt(&after))
        .filter(directory_entries::account_id.le(last))
        .load(conn)?;
    let said: BTreeSet<Vec<u8>> = said.into_iter().collect();
    let unsaid =
        rows.iter().filter(|row| !said.contains(*row)).map(|row| id(row)).collect::<Result<_, _>>()?;
    Ok((unsaid, Some(id(last)?)))
}

/// Whether anything is said of an account.
///
/// # Errors
/// When the query fails.
pub fn is_said(conn: &mut Connection, account: AccountId) -> Result<bool, StoreError> {
    let said =
        directory_entries::table.filter(directory_entries::account_id.eq(account.as_bytes().as_slice()));
    Ok(diesel::select(exists(said)).get_result(conn)?)
}

/// Forgets what all that was said of an account was, for good. The tree keeps commitments, which say nothing without.
///
/// # Errors
/// When the query fails.
pub fn forget(conn: &mut Connection, account: AccountId) -> Result<(), StoreError> {
    let said =
        directory_entries::table.filter(directory_entries::account_id.eq(account.as_bytes().as_slice()));
    diesel::delete(said).execute(conn)?;
    Ok(())
}

/// Deletes the directory: its heads, its tree, and what was said.
///
/// # Errors
/// When a query fails.
pub fn reset(conn: &mut Connection) -> Result<(), StoreError> {
    // All rows, sought by their keys.
    diesel::delete(directory_entries::table.filter(directory_entries::id.gt(0))).execute(conn)?;
    diesel::delete(directory_values::table.filter(directory_values::who.gt(&[][..]))).execute(conn)?;
    diesel::delete(directory_nodes::table.filter(directory_nodes::label.gt(&[][..]))).execute(conn)?;
    diesel::delete(directory_heads::table.filter(directory_heads::epoch.ge(0))).execute(conn)?;
    Ok(())
}

/// All that is said of an account and its name, in the order of its coming.
///
/// # Errors
/// When the query fails.
pub fn said_of(conn: &mut Connection, account: AccountId) -> Result<Vec<Entry>, StoreError> {
    let mut rows: Vec<EntryRow> = directory_entries::table
        .select(ENTRY)
        .filter(directory_entries::account_id.eq(account.as_bytes().as_slice()))
        .load(conn)?;
    rows.sort_unstable_by_key(|row| row.0);
    rows.into_iter().map(entry).collect()
}

/// Makes this transaction the only one that publishes; false when another is. SQLite has one writer anyway.
///
/// # Errors
/// When the query fails.
pub fn lock(conn: &mut Connection) -> Result<bool, StoreError> {
    match conn {
        Connection::Sqlite(_) => Ok(true),
        Connection::Postgres(conn) => {
            let locked = sql::<Bool>(&format!("pg_try_advisory_xact_lock({LOCK})"));
            Ok(diesel::select(locked).get_result(conn)?)
        }
    }
}

/// Two columns: a head and how the tree has grown, or a node's label and the node.
pub type Pair = (Vec<u8>, Vec<u8>);

type HeadRow = (Vec<u8>, Vec<u8>, i64);

const HEAD: (directory_heads::head, directory_heads::signature, directory_heads::nodes) =
    (directory_heads::head, directory_heads::signature, directory_heads::nodes);

fn head((head, signature, nodes): HeadRow) -> Head {
    Head { head, signature, nodes: from_sql(nodes) }
}

/// The newest head.
///
/// # Errors
/// When the query fails.
pub fn newest_head(conn: &mut Connection) -> Result<Option<Head>, StoreError> {
    let row: Option<HeadRow> = directory_heads::table
        .select(HEAD)
        .filter(directory_heads::epoch.ge(0))
        .order(directory_heads::epoch.desc())
        .first(conn)
        .optional()?;
    Ok(row.map(head))
}

/// The heads of these epochs, without their signatures, in the order of the epochs asked for.
///
/// # Errors
/// When the query fails; [`StoreError::Corrupt`] when one is missing.
pub fn heads(conn: &mut Connection, epochs: &[u64]) -> Result<Vec<Vec<u8>>, StoreError> {
    epochs
        .iter()
        .map(|epoch| {
            let found: Option<Vec<u8>> = directory_heads::table
                .select(directory_heads::head)
                .find(to_sql(*epoch))
                .get_result(conn)
                .optional()?;
            found.ok_or(StoreError::Corrupt("a directory with a gap"))
        })
        .collect()
}

/// The heads after one epoch up to another, each with the proof that the tree has only grown: `limit` at most, and as many
/// as fit into `bytes`, or one.
///
/// # Errors
/// When the query fails.
pub fn grown(
    conn: &mut Connection,
    (after, until): (u64, u64),
    limit: usize,
    bytes: usize,
) -> Result<Vec<Pair>, StoreError> {
    let mut size = 0;
    let mut rows = vec![];
    for epoch in (after..until).map(|before| before + 1).take(limit) {
        let row: Option<(Vec<u8>, Option<Vec<u8>>)> = directory_heads::table
            .select((directory_heads::head, directory_heads::grown))
            .find(to_sql(epoch))
            .get_result(conn)
            .optional()?;
        let Some((head, Some(grown))) = row else { break };
        size += head.len() + grown.len();
        if size > bytes && !rows.is_empty() {
            break;
        }
        rows.push((head, grown));
    }
    Ok(rows)
}

/// The nodes with these labels, as far as there are any.
///
/// # Errors
/// When the query fails.
pub fn nodes(conn: &mut Connection, labels: &[Vec<u8>]) -> Result<Vec<Pair>, StoreError> {
    if labels.is_empty() {
        return Ok(vec![]);
    }
    Ok(match conn {
        Connection::Sqlite(conn) => {
            let mut rows = vec![];
            for labels in labels.chunks(KEYS) {
                let found = directory_nodes::table.filter(directory_nodes::label.eq_any(labels));
                rows.extend(found.load::<(Vec<u8>, Vec<u8>)>(conn)?);
            }
            rows
        }
        Connection::Postgres(conn) => {
            let columns = [Column::Bytes(labels.iter().map(Vec::as_slice).collect())];
            let query = OverArrays::<(Binary, Binary)>::new(
                "SELECT directory_nodes.label, directory_nodes.node FROM",
                &columns,
                "AS wanted (label) JOIN directory_nodes ON directory_nodes.label = wanted.label",
            );
            query.load(conn)?
        }
    })
}

/// What was written last under each of these labels, by their keyed hashes, as far as anything was.
///
/// # Errors
/// When the query fails.
pub fn newest_values(conn: &mut Connection, who: &[[u8; 32]]) -> Result<Vec<Value>, StoreError> {
    let mut rows: Vec<ValueRow> = vec![];
    match conn {
        Connection::Sqlite(conn) => {
            for who in who {
                let newest = directory_values::table
                    .filter(directory_values::who.eq(who.as_slice()))
                    .order(directory_values::version.desc())
                    .limit(1);
                rows.extend(newest.load::<ValueRow>(conn)?);
            }
        }
        Connection::Postgres(conn) if !who.is_empty() => {
            let columns = [Column::Bytes(who.iter().map(<[u8; 32]>::as_slice).collect())];
            let query = OverArrays::<(Binary, BigInt, BigInt, Binary, Binary)>::new(
                "SELECT newest.who, newest.version, newest.epoch, newest.held, newest.place FROM",
                &columns,
                "AS wanted (who) CROSS JOIN LATERAL (SELECT * FROM directory_values \
                 WHERE directory_values.who = wanted.who ORDER BY version DESC LIMIT 1) AS newest",
            );
            rows = query.load(conn)?;
        }
        Connection::Postgres(_) => {}
    }
    rows.into_iter().map(value).collect()
}

/// What was written under a label, newest first.
///
/// # Errors
/// When the query fails.
pub fn values(conn: &mut Connection, who: &[u8; 32], limit: i64) -> Result<Vec<Value>, StoreError> {
    let rows: Vec<ValueRow> = directory_values::table
        .filter(directory_values::who.eq(who.as_slice()))
        .order(directory_values::version.desc())
        .limit(limit)
        .load(conn)?;
    rows.into_iter().map(value).collect()
}

/// Writes an epoch. Of two that are made at once the second fails as a [`StoreError::Conflict`] and has changed nothing
/// once its transaction is rolled back.
///
/// # Errors
/// When a query fails.
pub fn save(conn: &mut Connection, epoch: &Epoch) -> Result<(), StoreError> {
    diesel::insert_into(directory_heads::table)
        .values((
            directory_heads::epoch.eq(to_sql(epoch.epoch)),
            directory_heads::head.eq(&epoch.head.head),
            directory_heads::signature.eq(&epoch.head.signature),
            directory_heads::nodes.eq(to_sql(epoch.head.nodes)),
            directory_heads::grown.eq(epoch.grown.as_deref()),
        ))
        .execute(conn)?;
    put_nodes(conn, &epoch.nodes)?;
    for value in &epoch.values {
        diesel::insert_into(directory_values::table)
            .values((
                directory_values::who.eq(value.who.as_slice()),
                directory_values::version.eq(to_sql(value.version)),
                directory_values::epoch.eq(to_sql(value.epoch)),
                directory_values::held.eq(&value.held),
                directory_values::place.eq(value.place.as_slice()),
            ))
            .execute(conn)?;
    }
    for (id, version) in &epoch.published {
        diesel::update(directory_entries::table.find(*id))
            .set((
                directory_entries::epoch.eq(Some(to_sql(epoch.epoch))),
                directory_entries::version.eq(Some(to_sql(*version))),
            ))
            .execute(conn)?;
    }
    Ok(())
}

fn put_nodes(conn: &mut Connection, nodes: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), StoreError> {
    match conn {
        Connection::Sqlite(conn) => {
            for (label, node) in nodes {
                diesel::insert_into(directory_nodes::table)
                    .values((directory_nodes::label.eq(label), directory_nodes::node.eq(node)))
                    .on_conflict(directory_nodes::label)
                    .do_update()
                    .set(directory_nodes::node.eq(node))
                    .execute(conn)?;
            }
        }
        Connection::Postgres(conn) if !nodes.is_empty() => {
            let columns = [
                Column::Bytes(nodes.keys().map(Vec::as_slice).collect()),
                Column::Bytes(nodes.values().map(Vec::as_slice).collect()),
            ];
            let insert = "INSERT INTO directory_nodes (label, node) SELECT * FROM";
            let again = "ON CONFLICT (label) DO UPDATE SET node = excluded.node";
            OverArrays::<()>::new(insert, &columns, again).execute(conn)?;
        }
        Connection::Postgres(_) => {}
    }
    Ok(())
}
