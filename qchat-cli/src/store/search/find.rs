//! Finding messages by what they say, and lines by where and when they stand.

use std::fmt::Write as _;

use diesel::{
    QueryableByName,
    prelude::*,
    sql_query,
    sql_types::{BigInt, Text},
};
use qchat_proto::{
    content::Content,
    ids::{AccountId, RoomId, Seq},
};

use super::{
    Form,
    terms::{Term, expression},
};
use crate::store::{
    Delivery, Line, StoreError, Tx, convert, notes, schema::timeline, states, timeline::line_of,
};

/// So many matches are ranked among themselves, the newest first and then those behind them: what is rare is ranked whole, and
/// a word that half of all messages have does not have them all read for its first page.
const RANKED: usize = 5000;
/// Lines that are looked through at once for those of a time.
const BATCH: i64 = 1000;

/// What a message has beside words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Has {
    /// The address of a page.
    Link,
    /// It is a poll.
    Poll,
    /// It is a file.
    File,
}

/// What is looked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Search {
    /// All of these are in it.
    pub terms: Vec<Term>,
    /// It is in one of these rooms.
    pub rooms: Vec<RoomId>,
    /// One of these wrote it, where any is named.
    pub from: Vec<AccountId>,
    /// It has all of these.
    pub has: Vec<Has>,
    /// Its sender says that it was written at this time or later, milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
    /// And before this.
    pub until_ms: Option<i64>,
    /// None of these wrote it: who is blocked.
    pub hidden: Vec<AccountId>,
}

/// A page of what was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// The messages; the best first where words were looked for, and the newest first among equals.
    pub lines: Vec<Line>,
    /// Whether there is a further page.
    pub more: bool,
}

/// A part of a room's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// From this seq on.
    pub from: Option<Seq>,
    /// Up to this seq, which belongs to it.
    pub to: Option<Seq>,
    /// Written at this time or later, as the sender says, milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
    /// And before this.
    pub until_ms: Option<i64>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    line: i64,
}

/// Ids are the only values that are written into the statement: they come as bytes and go as hexadecimal digits.
fn among<T: std::fmt::Display>(column: &str, ids: &[T]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("x'{id}'")).collect();
    format!(" AND {column} IN ({})", ids.join(", "))
}

impl Search {
    /// The rows of a page. The order of the tables is said, so that the index comes first and every other is asked by its key.
    pub(crate) fn sql(&self, (limit, offset): (usize, usize)) -> String {
        let mut conditions = among("t.room", &self.rooms);
        if !self.hidden.is_empty() {
            conditions.push_str(&among("t.account NOT", &self.hidden));
        }
        if !self.from.is_empty() {
            conditions.push_str(&among("t.account", &self.from));
        }
        for has in &self.has {
            let condition = match has {
                Has::Link => " AND x.has_link".to_owned(),
                Has::Poll => format!(" AND x.form = {}", Form::Poll as i32),
                Has::File => format!(" AND x.form = {}", Form::File as i32),
            };
            conditions.push_str(&condition);
        }
        let times = [(">=", self.since_ms), ("<", self.until_ms)];
        for (relation, time) in times {
            if let Some(time) = time {
                let _ = write!(conditions, " AND x.sent_ms {relation} {time}");
            }
        }
        let sent = Delivery::Sent.number();
        let timeline = format!(
            "CROSS JOIN timeline t ON t.\"row\" = x.\"row\" AND t.delivery = {sent} AND t.deleted = 0"
        );
        if self.terms.is_empty() {
            return format!(
                "SELECT x.\"row\" AS line FROM texts x {timeline} WHERE 1{conditions} ORDER BY x.\"row\" DESC LIMIT {limit} OFFSET {offset}"
            );
        }
        let (block, within) = (offset / RANKED * RANKED, offset % RANKED);
        format!(
            "SELECT line FROM (SELECT words.rowid AS line, bm25(words) AS score FROM words \
             CROSS JOIN texts x ON x.\"row\" = words.rowid {timeline} WHERE words MATCH ?{conditions} \
             ORDER BY words.rowid DESC LIMIT {RANKED} OFFSET {block}) ORDER BY score, line DESC LIMIT {limit} OFFSET {within}"
        )
    }

    /// The terms, as the statement's only parameter.
    pub(crate) fn expression(&self) -> String {
        expression(&self.terms)
    }
}

impl Tx {
    /// Messages that are in their rooms' logs and shown, by what they say; those after the first `offset`.
    ///
    /// # Errors
    /// What the database says.
    pub fn search(&mut self, search: &Search, limit: usize, offset: usize) -> Result<Found, StoreError> {
        // One more than wanted, to know whether there is more; a page may reach into the next matches that are ranked among
        // themselves.
        let wanted = limit.saturating_add(1);
        let mut search = search.clone();
        for account in notes::blocked(&mut self.conn)? {
            search.hidden.push(convert::id("account id", &account)?);
        }
        let (mut rows, mut at) = (vec![], offset);
        while rows.len() < wanted {
            let some = (wanted - rows.len()).min(RANKED - at % RANKED);
            let mut found = self.found(&search, (some, at))?;
            let last = found.len() < some;
            at += found.len();
            rows.append(&mut found);
            if last {
                break;
            }
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let mut found = Found { lines: vec![], more };
        for row in rows {
            found.lines.extend(line_of(&mut self.conn, row)?);
        }
        Ok(found)
    }

    fn found(&mut self, search: &Search, page: (usize, usize)) -> Result<Vec<i64>, StoreError> {
        if search.rooms.is_empty() {
            return Ok(vec![]);
        }
        let statement = sql_query(search.sql(page));
        let rows: Vec<Row> = if search.terms.is_empty() {
            statement.load(&mut self.conn)?
        } else {
            statement.bind::<Text, _>(search.expression()).load(&mut self.conn)?
        };
        Ok(rows.into_iter().map(|row| row.line).collect())
    }

    /// The newest `limit` lines of a part of a room's log, in its order.
    ///
    /// # Errors
    /// What the database says.
    pub fn lines_within(&mut self, room: RoomId, part: &Part, limit: usize) -> Result<Vec<Line>, StoreError> {
        let seq = |seq: Option<Seq>, or: i64| seq.map_or(or, |seq| i64::try_from(seq.0).unwrap_or(i64::MAX));
        let (from, mut last) = (seq(part.from, 0), (seq(part.to, i64::MAX), i64::MAX));
        let mut lines = vec![];
        let blocked = notes::blocked(&mut self.conn)?;
        while lines.len() < limit {
            type Stored = (i64, i64, i64, Option<Vec<u8>>, Vec<u8>);
            let (place, row) = last;
            let stored: Vec<Stored> = timeline::table
                .filter(timeline::room.eq(&room.as_bytes()[..]))
                .filter(timeline::of_message.is_null())
                .filter(states::kept())
                .filter(states::sent())
                .filter(timeline::place.ge(from))
                .filter(timeline::place.le(place))
                .filter(timeline::place.lt(place).or(timeline::row.lt(row)))
                .filter(timeline::account.is_null().or(timeline::account.ne_all(blocked.clone())))
                .order((timeline::place.desc(), timeline::row.desc()))
                .limit(BATCH)
                .select((
                    timeline::row,
                    timeline::place,
                    timeline::stored_ms,
                    timeline::message_id,
                    timeline::body,
                ))
                .load(&mut self.conn)?;
            let Some(&(row, place, ..)) = stored.last() else { break };
            last = (place, row);
            for (row, _, stored_ms, message, body) in stored {
                // As it is shown: a notice, and what says nothing any more, have the time at which they were stored.
                let said = message.and_then(|_| Content::decode(&body).ok());
                let at = said.map_or(stored_ms, |content| content.sent_at_ms);
                let within = part.since_ms.is_none_or(|since| at >= since)
                    && part.until_ms.is_none_or(|until| at < until);
                if within && lines.len() < limit {
                    lines.extend(line_of(&mut self.conn, row)?);
                }
            }
        }
        lines.reverse();
        Ok(lines)
    }
}

#[cfg(test)]
impl Tx {
    /// The words in the index, by the row of the message and their place in it: as they stand there, not as they should.
    pub(in crate::store) fn indexed(&mut self) -> Vec<(i64, i64, String)> {
        #[derive(QueryableByName)]
        struct Word {
            #[diesel(sql_type = BigInt)]
            line: i64,
            #[diesel(sql_type = BigInt)]
            place: i64,
            #[diesel(sql_type = Text)]
            term: String,
        }
        sql_query("CREATE VIRTUAL TABLE IF NOT EXISTS temp.instances USING fts5vocab(main, words, instance)")
            .execute(&mut self.conn)
            .unwrap();
        sql_query("INSERT INTO words (words) VALUES ('integrity-check')").execute(&mut self.conn).unwrap();
        let found: Vec<Word> = sql_query(
            "SELECT doc AS line, \"offset\" AS place, term FROM temp.instances ORDER BY doc, \"offset\"",
        )
        .load(&mut self.conn)
        .unwrap();
        found.into_iter().map(|Word { line, place, term }| (line, place, term)).collect()
    }

    /// How the database goes about a search.
    pub(in crate::store) fn plan(&mut self, search: &Search) -> Vec<String> {
        #[derive(QueryableByName)]
        struct Step {
            #[diesel(sql_type = Text)]
            detail: String,
        }
        let steps: Vec<Step> = sql_query(format!("EXPLAIN QUERY PLAN {}", search.sql((20, 0))))
            .bind::<Text, _>(search.expression())
            .load(&mut self.conn)
            .unwrap();
        steps.into_iter().map(|step| step.detail).collect()
    }
}
