//! A room's log, read by seq.

use std::{collections::BTreeMap, thread};

use bytes::Bytes;
use diesel::{
    connection::DefaultLoadingMode,
    dsl::max,
    prelude::*,
    sql_types::{Array, BigInt, Binary, Nullable},
};
use qchat_proto::{
    ids::{RoomId, Seq},
    wire::{frame::Logged, limits},
};

use super::{
    Connection, StoreError, from_sql, id,
    multi::on_each,
    rooms::{self, Member, Span},
    schema::envelopes,
    to_sql,
};

/// Bytes of a page after which other threads have the core.
const PIECE: usize = 64 * 1024;

/// A stretch of a room's log, as a device may read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Oldest first.
    pub envelopes: Vec<Logged>,
    /// Something that it might have read up to here is deleted; 0: nothing. The first envelope, if any, is the next.
    pub deleted: Seq,
}

/// Envelopes after `after`, oldest first, that `reader` may read: at most `limit`, and no more bytes than
/// [`limits::PAGE_BYTES`] unless the first alone is larger. `bound` is the newest seq that may be in the page: a
/// caller takes it *before* it loads `reader`, so that no envelope can slip in behind a removal.
///
/// # Errors
/// When a query fails.
pub fn page(
    conn: &mut Connection,
    room: RoomId,
    reader: &Member,
    after: Seq,
    bound: Seq,
    limit: u32,
) -> Result<Page, StoreError> {
    // Up to there nothing is left to look for.
    let deleted = rooms::log(conn, room)?.map_or(Seq(0), |(_, deleted)| deleted);
    let mut envelopes = Vec::new();
    let mut room_for = (limit as usize, limits::PAGE_BYTES);
    for (from, to) in readable(reader, after, bound) {
        let from = from.max(deleted);
        if from < to && !stretch(conn, room, from, to, &mut room_for, &mut envelopes)? {
            break;
        }
    }
    // A log has no holes, and is deleted from its beginning: what should come first and does not is gone, even if that
    // happened after the caller had looked.
    let deleted = match (readable(reader, after, bound).next(), envelopes.first()) {
        (Some((from, _)), Some(Logged { seq, .. })) if *seq > from.next() => Seq(seq.0.saturating_sub(1)),
        (Some(_), None) => last_readable(reader, bound),
        _ => Seq(0),
    };
    Ok(Page { envelopes, deleted })
}

/// What a device may read after `after` and up to `bound`, as stretches that are not empty.
fn readable(reader: &Member, after: Seq, bound: Seq) -> impl Iterator<Item = (Seq, Seq)> {
    let stretch =
        move |span: Span| (after.max(span.after), span.until.map_or(bound, |until| until.min(bound)));
    spans(reader).into_iter().map(stretch).filter(|(from, to)| from < to)
}

/// The newest seq that a device may read.
pub fn last_readable(reader: &Member, last: Seq) -> Seq {
    spans(reader)
        .into_iter()
        .map(|span| span.until.map_or(last, |until| until.min(last)))
        .max()
        .unwrap_or_default()
}

/// The two stretches in order, the later starting where the earlier ends at the soonest.
fn spans(reader: &Member) -> [Span; 2] {
    let past_end = reader.past.until.unwrap_or(Seq(u64::MAX));
    [reader.past, Span { after: reader.reads.after.max(past_end), until: reader.reads.until }]
}

/// Appends one stretch; false when the page is full.
fn stretch(
    conn: &mut Connection,
    room: RoomId,
    from: Seq,
    to: Seq,
    (count, bytes): &mut (usize, usize),
    page: &mut Vec<Logged>,
) -> Result<bool, StoreError> {
    // Sizes first: a page of the largest envelopes would not fit in memory.
    let sizes: Vec<(i64, i64)> = envelopes::table
        .select((envelopes::seq, envelopes::size))
        .filter(envelopes::room_id.eq(room.as_bytes().as_slice()))
        .filter(envelopes::seq.gt(to_sql(from.0)))
        .filter(envelopes::seq.le(to_sql(to.0)))
        .filter(envelopes::logged.is_not_null())
        .order(envelopes::seq)
        .limit(i64::try_from(*count).unwrap_or(i64::MAX))
        .load(conn)?;
    let mut last = None;
    let mut full = sizes.len() >= *count;
    for (seq, size) in &sizes {
        let size = usize::try_from(*size).unwrap_or(usize::MAX);
        if size > *bytes && !(page.is_empty() && last.is_none()) {
            full = true;
            break;
        }
        *bytes = bytes.saturating_sub(size);
        *count = count.saturating_sub(1);
        last = Some(*seq);
    }
    let Some(last) = last else { return Ok(!full) };
    let query = envelopes::table
        .select((envelopes::seq, envelopes::logged))
        .filter(envelopes::room_id.eq(room.as_bytes().as_slice()))
        .filter(envelopes::seq.gt(to_sql(from.0)))
        .filter(envelopes::seq.le(last))
        .filter(envelopes::logged.is_not_null())
        .order(envelopes::seq);
    // In one statement, which sees one state of the log: between two, retention could delete what the second should begin with,
    // and the page would have a hole.
    on_each!(conn, conn => {
        let mut gathered = 0;
        for row in query.load_iter::<(i64, Option<Vec<u8>>), DefaultLoadingMode>(conn)? {
            let (seq, Some(logged)) = row? else { continue };
            gathered += logged.len();
            page.push(Logged { seq: Seq(from_sql(seq)), bytes: logged.into() });
            if gathered >= PIECE {
                // Messages may wait for this core.
                thread::yield_now();
                gathered = 0;
            }
        }
    });
    Ok(!full)
}

/// An envelope as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The room.
    pub room: RoomId,
    /// Its place.
    pub seq: Seq,
    /// Its bytes; `None` once retention has deleted them.
    pub logged: Option<Bytes>,
}

/// What follows in several logs after the seqs given with them: by room, each in its order, without a gap. At most
/// `each` envelopes of a room, and in all no more than it takes to exceed `bytes`. Returns the rooms that may have more,
/// too.
///
/// # Errors
/// When a query fails.
pub fn following(
    conn: &mut Connection,
    known: &BTreeMap<RoomId, Seq>,
    each: u32,
    bytes: usize,
) -> Result<(Vec<Entry>, Vec<RoomId>), StoreError> {
    let rows: Vec<FollowingRow> = match conn {
        Connection::Sqlite(conn) => {
            let (mut rows, mut size) = (Vec::new(), 0);
            for (room, seq) in known {
                if size >= bytes {
                    break;
                }
                // One by one: they are few, since a single daemon reads only what it has missed itself.
                let found = envelopes::table
                    .select((envelopes::room_id, envelopes::seq, envelopes::size, envelopes::logged))
                    .filter(envelopes::room_id.eq(room.as_bytes().as_slice()))
                    .filter(envelopes::seq.gt(to_sql(seq.0)))
                    .order(envelopes::seq)
                    .limit(each.into())
                    .load_iter::<(Vec<u8>, i64, i64, Option<Vec<u8>>), DefaultLoadingMode>(conn)?;
                for row in found {
                    let (room_id, seq, row_size, logged) = row?;
                    rows.push(FollowingRow { room_id, seq, size: row_size, logged });
                    size += usize::try_from(row_size).unwrap_or(usize::MAX);
                    if size >= bytes {
                        break;
                    }
                }
            }
            rows
        }
        Connection::Postgres(conn) => {
            let ids: Vec<&[u8]> = known.keys().map(|room| room.as_bytes().as_slice()).collect();
            let seqs: Vec<i64> = known.values().map(|seq| to_sql(seq.0)).collect();
            diesel::sql_query(
                "SELECT room_id, seq, size, logged FROM ( \
                     SELECT known.id AS room_id, entry.seq, entry.size, entry.logged, \
                         sum(entry.size) OVER (ORDER BY known.id, entry.seq) - entry.size AS before \
                     FROM unnest($1::bytea[], $2::bigint[]) AS known (id, seq) CROSS JOIN LATERAL \
                         (SELECT seq, size, logged FROM envelopes \
                          WHERE envelopes.room_id = known.id AND envelopes.seq > known.seq \
                          ORDER BY envelopes.seq LIMIT $3) AS entry \
                 ) AS entries WHERE before < $4 ORDER BY room_id, seq",
            )
            .bind::<Array<Binary>, _>(ids)
            .bind::<Array<BigInt>, _>(seqs)
            .bind::<BigInt, _>(i64::from(each))
            .bind::<BigInt, _>(i64::try_from(bytes).unwrap_or(i64::MAX))
            .load(conn)?
        }
    };
    let mut entries = Vec::with_capacity(rows.len());
    let (mut size, mut counts) = (0_usize, BTreeMap::<RoomId, u32>::new());
    for row in rows {
        let room = id(&row.room_id)?;
        size = size.saturating_add(usize::try_from(row.size).unwrap_or(usize::MAX));
        *counts.entry(room).or_default() += 1;
        entries.push(Entry { room, seq: Seq(from_sql(row.seq)), logged: row.logged.map(Bytes::from) });
    }
    let last = entries.last().map(|entry| entry.room);
    let has_more = |room: &RoomId| {
        counts.get(room).is_some_and(|count| *count >= each) || (size >= bytes && Some(*room) >= last)
    };
    Ok((entries, known.keys().copied().filter(has_more).collect()))
}

#[derive(QueryableByName)]
struct FollowingRow {
    #[diesel(sql_type = Binary)]
    room_id: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = BigInt)]
    size: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    logged: Option<Vec<u8>>,
}

/// The newest seq in a room's log, by the log itself.
///
/// # Errors
/// When the query fails.
pub fn newest(conn: &mut Connection, room: RoomId) -> Result<Seq, StoreError> {
    let seq: Option<i64> = envelopes::table
        .select(max(envelopes::seq))
        .filter(envelopes::room_id.eq(room.as_bytes().as_slice()))
        .get_result(conn)?;
    Ok(Seq(seq.map_or(0, from_sql)))
}
