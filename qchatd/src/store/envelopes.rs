//! A room's log, read by seq.

use diesel::{dsl::max, prelude::*};
use qchat_proto::{
    ids::{RoomId, Seq},
    wire::{frame::Logged, limits},
};

use super::{
    Connection, StoreError, from_sql,
    rooms::{Member, Span},
    schema::envelopes,
    to_sql,
};

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
) -> Result<Vec<Logged>, StoreError> {
    let mut page = Vec::new();
    let mut room_for = (limit as usize, limits::PAGE_BYTES);
    for span in spans(reader) {
        let from = after.max(span.after);
        let to = span.until.map_or(bound, |until| until.min(bound));
        if from < to && !stretch(conn, room, from, to, &mut room_for, &mut page)? {
            break;
        }
    }
    Ok(page)
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
    let rows: Vec<(i64, Option<Vec<u8>>)> = envelopes::table
        .select((envelopes::seq, envelopes::logged))
        .filter(envelopes::room_id.eq(room.as_bytes().as_slice()))
        .filter(envelopes::seq.gt(to_sql(from.0)))
        .filter(envelopes::seq.le(last))
        .filter(envelopes::logged.is_not_null())
        .order(envelopes::seq)
        .load(conn)?;
    page.extend(
        rows.into_iter()
            .filter_map(|(seq, logged)| Some(Logged { seq: Seq(from_sql(seq)), bytes: logged?.into() })),
    );
    Ok(!full)
}

/// The newest seq in a room's log, by the log itself.
///
/// # Errors
/// When the query fails.
pub fn newest(conn: &mut Connection, room: RoomId) -> Result<Seq, StoreError> {
    let seq: Option<i64> = envelopes::table
        .select(max(envelopes::seq))
        .filter(envelopes::room_id.eq(room.as_bytes().as_slice()))
        .first(conn)?;
    Ok(Seq(seq.map_or(0, from_sql)))
}
