//! Where in a text stands what was looked for: an index without texts cannot say. The texts of a page are put into an index in
//! memory that has the same tokenizer, so that what is marked is what is found, marks off letters and all.

use std::ops::Range;

use diesel::{
    Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query,
};

use super::terms::{BETWEEN, Term, expression, spaced};
use crate::store::StoreError;

/// A database that no file holds.
const MEMORY: &str = ":memory:";
/// No text has these: control characters become spaces.
const FROM: char = '\u{1}';
const TO: char = '\u{2}';

#[derive(QueryableByName)]
struct Marked {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

/// For each text, where the terms stand in it: bytes, in their order, none over another.
///
/// # Errors
/// What SQLite says.
pub fn highlights(terms: &[Term], texts: &[&str]) -> Result<Vec<Vec<Range<usize>>>, StoreError> {
    let mut found = vec![vec![]; texts.len()];
    if terms.is_empty() || texts.is_empty() {
        return Ok(found);
    }
    let mut conn = SqliteConnection::establish(MEMORY).map_err(|error| StoreError::File {
        what: "open",
        path: MEMORY.into(),
        source: std::io::Error::other(error),
    })?;
    conn.batch_execute(
        "CREATE VIRTUAL TABLE hits USING fts5(text, tokenize='unicode61 remove_diacritics 2')",
    )?;
    for (number, text) in (0_i64..).zip(texts) {
        sql_query("INSERT INTO hits (rowid, text) VALUES (?, ?)")
            .bind::<diesel::sql_types::BigInt, _>(number)
            .bind::<diesel::sql_types::Text, _>(spaced(text))
            .execute(&mut conn)?;
    }
    let marked: Vec<Marked> = sql_query(
        "SELECT rowid AS number, highlight(hits, 0, char(1), char(2)) AS text FROM hits WHERE hits MATCH ?",
    )
    .bind::<diesel::sql_types::Text, _>(expression(terms))
    .load(&mut conn)?;
    for Marked { number, text } in marked {
        if let Some(place) = usize::try_from(number).ok().and_then(|number| found.get_mut(number)) {
            *place = ranges(&text);
        }
    }
    Ok(found)
}

/// Reads the marks off, counting the bytes of the text as it was.
fn ranges(marked: &str) -> Vec<Range<usize>> {
    let (mut at, mut begun, mut ranges) = (0, None, vec![]);
    for c in marked.chars() {
        match c {
            FROM => begun = Some(at),
            TO => ranges.extend(begun.take().map(|from| from..at)),
            BETWEEN => {}
            c => at += c.len_utf8(),
        }
    }
    ranges
}
