//! Ratchet trees. One goes ahead of its commit and comes in parts, each in a transaction of its own, so that no more than
//! a part of it is ever in memory. Until the commit is logged it is *staged*; from then on it is kept for as long as a
//! Welcome of that commit is.

use diesel::{prelude::*, sql_types::Binary};
use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    wire::tree::TreeHash,
};

use super::{
    Connection, StoreError, from_sql, id,
    rooms::Standing,
    schema::{members, tree_parts, trees, welcomes},
    to_sql,
};

/// Trees that a device may have staged in all its rooms together; in a room it has one at the end.
const STAGED: usize = 4;
/// How long a tree stays staged, seconds: an hour, in which its commit has long been refused or logged.
const STAGED_FOR: i64 = 3600;
/// How long the Welcome of a device that was removed before it joined is kept, should it be listed again, seconds: as
/// long as an invitation, 7 days.
const WELCOME_OF_REMOVED: i64 = 7 * 24 * 3600;

/// The end of a statement that deletes trees: those of commits whose Welcomes are all gone.
macro_rules! unneeded {
    () => {
        " AND seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM welcomes \
         WHERE welcomes.room_id = trees.room_id AND welcomes.seq = trees.seq)"
    };
}

/// A tree's row.
pub type TreeId = i64;

/// A tree that is kept for a Welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredTree {
    /// Its row.
    pub id: TreeId,
    /// Bytes of all its parts.
    pub size: u64,
}

/// Row, room, hash, whether it is complete.
type StagedRow = (TreeId, Vec<u8>, Option<Vec<u8>>, bool);

/// Row, room, device, hash.
type FoundRow = (TreeId, Vec<u8>, Vec<u8>, Vec<u8>);

/// Makes room for a tree; `None` when the device has this very one staged already. One of another name that it had staged
/// in the room gives way, and its oldest when it has too many.
///
/// # Errors
/// When a query fails.
pub fn begin(
    conn: &mut Connection,
    room: RoomId,
    device: DeviceId,
    hash: &TreeHash,
    now: i64,
) -> Result<Option<TreeId>, StoreError> {
    let staged: Vec<StagedRow> = trees::table
        .select((trees::id, trees::room_id, trees::hash, trees::complete))
        .filter(trees::device_id.eq(device.as_bytes().as_slice()))
        .filter(trees::seq.is_null())
        .order(trees::id)
        .load(conn)?;
    let mut left = vec![];
    for (other, of, name, complete) in staged {
        let same = name.as_deref() == Some(hash.as_bytes().as_slice());
        if of != room.as_bytes().as_slice() {
            left.push(other);
        } else if !same {
            forget(conn, other)?;
        } else if complete {
            let row = trees::table.filter(trees::id.eq(other)).filter(trees::seq.is_null());
            if diesel::update(row).set(trees::touched_at.eq(now)).execute(conn)? == 1 {
                return Ok(None);
            }
        } else {
            // Another process of the device may be putting it there, too; the first that ends has done it for both.
            left.push(other);
        }
    }
    for oldest in left.iter().take((left.len() + 1).saturating_sub(STAGED)) {
        forget(conn, *oldest)?;
    }
    let row = (
        trees::room_id.eq(room.as_bytes().as_slice()),
        trees::device_id.eq(device.as_bytes().as_slice()),
        trees::hash.eq(hash.as_bytes().as_slice()),
        trees::size.eq(0),
        trees::complete.eq(false),
        trees::touched_at.eq(now),
    );
    Ok(Some(diesel::insert_into(trees::table).values(row).returning(trees::id).get_result(conn)?))
}

/// Appends a part; false when the tree has given way to another meanwhile.
///
/// # Errors
/// When a query fails.
pub fn append(
    conn: &mut Connection,
    tree: TreeId,
    number: i32,
    part: &[u8],
    now: i64,
) -> Result<bool, StoreError> {
    let size = i64::try_from(part.len()).unwrap_or(i64::MAX);
    let row = trees::table.filter(trees::id.eq(tree)).filter(trees::complete.eq(false));
    let grown = diesel::update(row)
        .set((trees::size.eq(trees::size + size), trees::touched_at.eq(now)))
        .execute(conn)?;
    if grown != 1 {
        return Ok(false);
    }
    diesel::insert_into(tree_parts::table)
        .values((tree_parts::tree_id.eq(tree), tree_parts::number.eq(number), tree_parts::bytes.eq(part)))
        .execute(conn)?;
    Ok(true)
}

/// All parts are there and have the name that was given: whatever else the device has staged in the room gives way. False
/// when this one has given way meanwhile.
///
/// # Errors
/// When a query fails.
pub fn complete(conn: &mut Connection, tree: TreeId, now: i64) -> Result<bool, StoreError> {
    let row = trees::table.filter(trees::id.eq(tree)).filter(trees::complete.eq(false));
    let done = diesel::update(row)
        .set((trees::complete.eq(true), trees::touched_at.eq(now)))
        .returning((trees::room_id, trees::device_id))
        .get_result::<(Vec<u8>, Vec<u8>)>(conn)
        .optional()?;
    let Some((room, device)) = done else { return Ok(false) };
    let others = trees::table
        .filter(trees::device_id.eq(device))
        .filter(trees::room_id.eq(room))
        .filter(trees::seq.is_null())
        .filter(trees::id.ne(tree));
    diesel::delete(others).execute(conn)?;
    Ok(true)
}

/// Deletes a tree that is only staged.
///
/// # Errors
/// When the query fails.
pub fn forget(conn: &mut Connection, tree: TreeId) -> Result<(), StoreError> {
    diesel::delete(trees::table.filter(trees::id.eq(tree)).filter(trees::seq.is_null())).execute(conn)?;
    Ok(())
}

/// Whose tree, in which room, by its name.
pub type StagedKey = (RoomId, DeviceId, TreeHash);

/// The whole trees that any of these devices has staged under any of these names. On PostgreSQL nobody takes them away
/// until the transaction ends.
///
/// # Errors
/// When the query fails.
pub fn staged(
    conn: &mut Connection,
    devices: &[&[u8]],
    hashes: &[&[u8]],
) -> Result<Vec<(StagedKey, TreeId)>, StoreError> {
    if hashes.is_empty() {
        return Ok(Vec::new());
    }
    let query = trees::table
        .select((trees::id, trees::room_id, trees::device_id, trees::hash.assume_not_null()))
        .filter(trees::seq.is_null())
        .filter(trees::complete.eq(true))
        .order(trees::id);
    let rows: Vec<FoundRow> = match conn {
        Connection::Sqlite(conn) => query
            .filter(trees::device_id.eq_any(devices))
            .filter(trees::hash.assume_not_null().eq_any(hashes))
            .load(conn),
        Connection::Postgres(conn) => query
            .filter(trees::device_id.eq_any(devices))
            .filter(trees::hash.assume_not_null().eq_any(hashes))
            .for_update()
            .load(conn),
    }?;
    rows.into_iter()
        .map(|(tree, room, device, hash)| {
            let hash =
                TreeHash::try_from(&hash[..]).map_err(|_| StoreError::Corrupt("the hash of a tree"))?;
            Ok(((id(&room)?, id(&device)?, hash), tree))
        })
        .collect()
}

/// A staged tree belongs to the commit at `seq` from now on.
///
/// # Errors
/// When the query fails or the tree is gone, so that the commit must not be logged.
pub fn attach(conn: &mut Connection, tree: TreeId, seq: Seq, now: i64) -> Result<(), StoreError> {
    let row = trees::table.filter(trees::id.eq(tree)).filter(trees::seq.is_null());
    let attached =
        diesel::update(row).set((trees::seq.eq(to_sql(seq.0)), trees::touched_at.eq(now))).execute(conn)?;
    match attached {
        1 => Ok(()),
        _ => Err(StoreError::Unavailable("a staged tree was replaced while its commit came".into())),
    }
}

/// The tree for the Welcome of this commit that waits for a device.
///
/// # Errors
/// When the query fails.
pub fn of_welcome(
    conn: &mut Connection,
    room: RoomId,
    device: DeviceId,
    seq: Seq,
) -> Result<Option<StoredTree>, StoreError> {
    let row: Option<(TreeId, i64)> = welcomes::table
        .inner_join(
            trees::table
                .on(trees::room_id.eq(welcomes::room_id).and(trees::seq.eq(welcomes::seq.nullable()))),
        )
        .select((trees::id, trees::size))
        .filter(welcomes::room_id.eq(room.as_bytes().as_slice()))
        .filter(welcomes::device_id.eq(device.as_bytes().as_slice()))
        .filter(welcomes::seq.eq(to_sql(seq.0)))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(id, size)| StoredTree { id, size: from_sql(size) }))
}

/// A part of a tree.
///
/// # Errors
/// When the query fails.
pub fn part(conn: &mut Connection, tree: TreeId, number: i32) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(tree_parts::table
        .select(tree_parts::bytes)
        .filter(tree_parts::tree_id.eq(tree))
        .filter(tree_parts::number.eq(number))
        .get_result(conn)
        .optional()?)
}

/// Deletes the trees of a room's commits that no Welcome needs.
///
/// # Errors
/// When the query fails.
pub fn drop_unused(conn: &mut Connection, room: RoomId) -> Result<(), StoreError> {
    // By the few trees, not by the many Welcomes.
    let sql = match conn {
        Connection::Sqlite(_) => concat!("DELETE FROM trees WHERE room_id = ", "?", unneeded!()),
        Connection::Postgres(_) => concat!("DELETE FROM trees WHERE room_id = ", "$1", unneeded!()),
    };
    diesel::sql_query(sql).bind::<Binary, _>(room.as_bytes().as_slice()).execute(conn)?;
    Ok(())
}

/// Deletes what has been staged for too long, and the Welcomes of devices that were removed long ago without having
/// joined, with their trees.
///
/// # Errors
/// When a query fails.
pub fn expire(conn: &mut Connection, now: i64) -> Result<(), StoreError> {
    let staged = trees::table
        .filter(trees::touched_at.lt(now.saturating_sub(STAGED_FOR)))
        .filter(trees::seq.is_null());
    diesel::delete(staged).execute(conn)?;
    let old: Vec<(Vec<u8>, i64)> = trees::table
        .select((trees::room_id, trees::seq.assume_not_null()))
        .filter(trees::touched_at.lt(now.saturating_sub(WELCOME_OF_REMOVED)))
        .filter(trees::seq.is_not_null())
        .load(conn)?;
    for (room, seq) in old {
        let waiting: Vec<Vec<u8>> =
            welcomes::table
                .inner_join(members::table.on(
                    members::room_id.eq(welcomes::room_id).and(members::device_id.eq(welcomes::device_id)),
                ))
                .select(welcomes::device_id)
                .filter(welcomes::room_id.eq(&room))
                .filter(welcomes::seq.eq(seq))
                .filter(members::standing.eq(Standing::Removed as i16))
                .load(conn)?;
        for device in &waiting {
            let welcome =
                welcomes::table.filter(welcomes::room_id.eq(&room)).filter(welcomes::device_id.eq(device));
            diesel::delete(welcome).execute(conn)?;
        }
        if !waiting.is_empty() {
            drop_unused(conn, id(&room)?)?;
        }
    }
    Ok(())
}
