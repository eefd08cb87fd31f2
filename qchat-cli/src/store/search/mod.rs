//! The index of what was said: it follows the timeline in the same transactions, and holds words without texts.
//!
//! Of each message that can be found, `texts` says in which line its text stands: its own, or that of its last edit. So what
//! was put in is known when it is to be taken out, and is taken out by its text. Whoever erases a line calls
//! [`take_out_lines`] first; whoever stores or settles one calls [`refresh`] after. docs/decisions/0010-words-without-texts.md.

pub(super) mod find;
pub(super) mod highlight;
pub(super) mod terms;

use diesel::{
    Connection, OptionalExtension, SqliteConnection,
    prelude::*,
    sql_query,
    sql_types::{BigInt, Text},
};
use qchat_proto::content::{Body, Change, Content, MessageRef, What};

use super::{
    StoreError, changes, convert,
    schema::{texts, timeline},
    states,
};

/// So many messages at once are not taken out one by one where fewer are left than [`CHEAPER`] times as many: to take one out,
/// each of its words is looked for.
const MANY: usize = 1000;
/// Putting a message in takes about a fifth of taking one out.
const CHEAPER: i64 = 5;
/// Lines that are looked at in one transaction while the index is filled for the first time.
const STEP: i64 = 5000;

/// What kind of message a text belongs to; as it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Text = 0,
    Poll = 1,
    File = 2,
}

/// What can be found of a content.
fn text_of(body: &Body) -> Option<(Form, String)> {
    match body {
        Body::Text(text) | Body::Change(Change { what: What::Edit(text), .. }) => {
            Some((Form::Text, text.clone()))
        }
        Body::Poll(poll) => {
            let lines: Vec<&str> =
                std::iter::once(poll.question()).chain(poll.options().iter().map(String::as_str)).collect();
            Some((Form::Poll, lines.join("\n")))
        }
        // Once it is edited, by what is said with it alone.
        Body::Attachment(file) => Some((Form::File, format!("{}\n{}", file.name, file.caption))),
        Body::Joined
        | Body::SharedKey(_)
        | Body::Exercise(_)
        | Body::Change(_)
        | Body::Receipt(_)
        | Body::Profile(_)
        | Body::Unknown => None,
    }
}

fn has_link(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("https://") || text.contains("http://")
}

/// A message as it is to be found.
struct Wanted {
    source: i64,
    sent_ms: i64,
    form: Form,
    text: String,
}

/// What is to be found of the message with this row; `None`: nothing, since it waits, is deleted, or says nothing.
fn wanted(conn: &mut SqliteConnection, row: i64) -> Result<Option<Wanted>, StoreError> {
    type Stored = (Vec<u8>, i64, Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>);
    let stored: Option<Stored> = timeline::table
        .find(row)
        .filter(timeline::of_message.is_null())
        .filter(states::kept())
        .filter(states::sent())
        .select((
            timeline::room,
            timeline::place,
            timeline::message_id,
            timeline::account,
            timeline::device,
            timeline::body,
        ))
        .get_result(conn)
        .optional()?;
    let Some((room, place, Some(id), Some(account), Some(device), body)) = stored else { return Ok(None) };
    let Ok(content) = Content::decode(&body) else { return Ok(None) };
    let Some((form, text)) = text_of(&content.body) else { return Ok(None) };
    let of = MessageRef { device: convert::id("device id", &device)?, id: convert::id("message id", &id)? };
    let account = convert::id("account id", &account)?;
    let mut source = row;
    // Own changes that wait count: they are shown.
    let state = changes::fold_each(
        conn,
        convert::id("room id", &room)?,
        of,
        (row, place),
        (account, &body),
        true,
        |change, what, news| {
            if news && matches!(what, What::Edit(_)) {
                source = change;
            }
        },
    )?;
    if state.deleted_by().is_some() {
        return Ok(None);
    }
    let text = state.edited().map_or(text, |edited| edited.text.clone());
    Ok(Some(Wanted { source, sent_ms: content.sent_at_ms, form, text }))
}

/// Has the index say of a message what it says now.
pub(super) fn refresh(conn: &mut SqliteConnection, row: i64) -> Result<(), StoreError> {
    let wanted = wanted(conn, row)?;
    let stands: Option<i64> = texts::table.find(row).select(texts::source).get_result(conn).optional()?;
    if stands == wanted.as_ref().map(|wanted| wanted.source) {
        return Ok(());
    }
    take_out(conn, row)?;
    match wanted {
        Some(wanted) => put_in(conn, row, &wanted),
        None => Ok(()),
    }
}

fn put_in(conn: &mut SqliteConnection, row: i64, wanted: &Wanted) -> Result<(), StoreError> {
    diesel::insert_into(texts::table)
        .values((
            texts::row.eq(row),
            texts::source.eq(wanted.source),
            texts::sent_ms.eq(wanted.sent_ms),
            texts::form.eq(wanted.form as i32),
            texts::has_link.eq(has_link(&wanted.text)),
        ))
        .execute(conn)?;
    sql_query("INSERT INTO words (rowid, text) VALUES (?, ?)")
        .bind::<BigInt, _>(row)
        .bind::<Text, _>(terms::spaced(&wanted.text))
        .execute(conn)?;
    Ok(())
}

/// Takes a message out of the index, if it is there. The line that its text stands in still has it.
pub(super) fn take_out(conn: &mut SqliteConnection, row: i64) -> Result<(), StoreError> {
    let source: Option<i64> = texts::table.find(row).select(texts::source).get_result(conn).optional()?;
    let Some(source) = source else { return Ok(()) };
    let body: Option<Vec<u8>> =
        timeline::table.find(source).select(timeline::body).get_result(conn).optional()?;
    let content = body.and_then(|body| Content::decode(&body).ok());
    let Some((_, text)) = content.and_then(|content| text_of(&content.body)) else {
        // Something has erased the line behind the back of the index, an older version of the program, say: which words are to
        // go is not known any more, so all do, and those that are left come again.
        empty(conn)?;
        return fill(conn);
    };
    sql_query("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)")
        .bind::<BigInt, _>(row)
        .bind::<Text, _>(terms::spaced(&text))
        .execute(conn)?;
    diesel::delete(texts::table.find(row)).execute(conn)?;
    Ok(())
}

/// Takes out what is found by these lines, which are about to be erased, be they messages or edits. Where so many go that it is
/// cheaper to begin anew, the index is empty after, and [`fill`] is to be called once they are erased: then this is `true`.
pub(super) fn take_out_lines(conn: &mut SqliteConnection, rows: &[i64]) -> Result<bool, StoreError> {
    if rows.len() >= MANY {
        let there: i64 = texts::table.count().get_result(conn)?;
        let going = convert::limit(rows.len());
        if there.saturating_sub(going) < going.saturating_mul(CHEAPER) {
            empty(conn)?;
            return Ok(true);
        }
    }
    for &line in rows {
        take_out(conn, line)?;
        let found: Vec<i64> = texts::table.filter(texts::source.eq(line)).select(texts::row).load(conn)?;
        for row in found {
            take_out(conn, row)?;
        }
    }
    Ok(false)
}

fn empty(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    diesel::delete(texts::table).execute(conn)?;
    sql_query("INSERT INTO words (words) VALUES ('delete-all')").execute(conn)?;
    Ok(())
}

/// Puts in all that is to be found and is not there yet.
pub(super) fn fill(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut after = 0;
    while let Some(last) = fill_after(conn, after)? {
        after = last;
    }
    Ok(())
}

/// The same in transactions of their own, from where it was interrupted on.
pub(super) fn fill_in_steps(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let last: Option<i64> = texts::table.select(diesel::dsl::max(texts::row)).get_result(conn)?;
    let mut after = last.unwrap_or(0);
    while let Some(last) = conn.transaction(|conn| fill_after(conn, after))? {
        after = last;
    }
    Ok(())
}

/// Looks at the next lines; gives the last of them.
fn fill_after(conn: &mut SqliteConnection, after: i64) -> Result<Option<i64>, StoreError> {
    let rows: Vec<i64> = timeline::table
        .filter(timeline::row.gt(after))
        .filter(timeline::of_message.is_null())
        .filter(timeline::message_id.is_not_null())
        .filter(states::kept())
        .order(timeline::row)
        .limit(STEP)
        .select(timeline::row)
        .load(conn)?;
    for &row in &rows {
        refresh(conn, row)?;
    }
    Ok(rows.last().copied())
}
