//! What has become of messages: the lines of the timeline that change others, folded in the order of the log.
//!
//! The lines are the truth, and nothing is kept beside them: a change that arrives is one more line, and a page folds the
//! changes of the messages on it. What a deletion for everyone erases, it erases in place, as the user's own deletions do.

use std::num::NonZeroU32;

use diesel::{OptionalExtension, SqliteConnection, dsl::sql, prelude::*, sql_types::Bool};
use qchat_proto::{
    content::{Body, Change, Content, MessageRef, RoomSettings, What},
    conversation::{By, State},
    ids::{AccountId, RoomId},
};

use super::{
    StoreError, Tx, convert,
    deletions::erase,
    files, notes,
    schema::{identity, room_settings, timeline},
    search, states,
    timeline::{Delivery, Line, line_of},
};

/// What a content is for the timeline, beside what it says.
pub(super) struct Filing {
    /// The change that it is.
    pub(super) change: Option<Change>,
    /// Whether its text speaks to this account.
    pub(super) mentions_me: bool,
    /// When it goes, milliseconds since the Unix epoch.
    pub(super) expires_ms: Option<i64>,
}

/// When an own message goes that stays, or is not in the log yet: a number that takes as much room in a row as any time, since
/// a row keeps its size.
pub(super) const NEVER: i64 = (1 << 47) - 1;

impl Filing {
    /// `stored_ms`: when this device has stored it.
    pub(super) fn of(
        conn: &mut SqliteConnection,
        room: RoomId,
        content: &[u8],
        stored_ms: i64,
    ) -> Result<Self, StoreError> {
        // The shorter time counts, of the room's as of the last commit and the message's own.
        let of_room = settings(conn, room)?.and_then(|settings| settings.expire_after);
        let expires = |after: Option<NonZeroU32>| {
            let shorter = after.into_iter().chain(of_room).min();
            shorter.map(|seconds| stored_ms.saturating_add(i64::from(seconds.get()).saturating_mul(1000)))
        };
        let Ok(content) = Content::decode(content) else {
            return Ok(Self { change: None, mentions_me: false, expires_ms: expires(None) });
        };
        let mentions_me = !content.mentions.is_empty() && {
            let own: Option<Vec<u8>> =
                identity::table.select(identity::account).get_result(conn).optional()?;
            content.mentions.iter().any(|account| Some(&account.as_bytes()[..]) == own.as_deref())
        };
        let change = if let Body::Change(change) = content.body { Some(change) } else { None };
        // What changes a message goes with that message.
        let expires_ms = expires(content.expires_after).filter(|_| change.is_none());
        Ok(Self { change, mentions_me, expires_ms })
    }

    pub(super) fn target(&self) -> Option<MessageRef> {
        self.change.as_ref().map(|change| change.target)
    }
}

/// Whether an account is an admin of a room, by the settings as of the last commit that was processed.
pub(super) fn is_admin(
    conn: &mut SqliteConnection,
    room: RoomId,
    account: &[u8],
) -> Result<bool, StoreError> {
    let settings = settings(conn, room)?;
    Ok(settings.is_some_and(|settings| settings.admins.iter().any(|admin| admin.as_bytes()[..] == *account)))
}

/// A room's settings as of the last commit that was processed.
fn settings(conn: &mut SqliteConnection, room: RoomId) -> Result<Option<RoomSettings>, StoreError> {
    let settings: Option<Vec<u8>> = room_settings::table
        .find(&room.as_bytes()[..])
        .select(room_settings::settings)
        .get_result(conn)
        .optional()?;
    let settings = settings.map(|settings| RoomSettings::decode(&settings)).transpose();
    settings.map_err(|_| StoreError::Corrupt("room settings"))
}

/// A message that changes name: where it stands, and whether this device has deleted it.
#[derive(Clone, Copy)]
struct Target {
    row: i64,
    place: i64,
    account: AccountId,
    deleted: bool,
}

/// Has the index follow a message, now that a change of it that waits has come or gone.
pub(super) fn follow(conn: &mut SqliteConnection, room: RoomId, of: MessageRef) -> Result<(), StoreError> {
    match find(conn, room, of)? {
        Some((target, _)) if !target.deleted => search::refresh(conn, target.row),
        _ => Ok(()),
    }
}

fn find(
    conn: &mut SqliteConnection,
    room: RoomId,
    target: MessageRef,
) -> Result<Option<(Target, Vec<u8>)>, StoreError> {
    type Row = (i64, i64, Option<Vec<u8>>, bool, Vec<u8>);
    let found: Option<Row> = timeline::table
        .filter(timeline::room.eq(&room.as_bytes()[..]))
        .filter(timeline::device.eq(&target.device.as_bytes()[..]))
        .filter(timeline::message_id.eq(&target.id.as_bytes()[..]))
        .filter(timeline::message_id.is_not_null())
        .filter(timeline::of_message.is_null())
        .select((timeline::row, timeline::place, timeline::account, timeline::deleted, timeline::body))
        .get_result(conn)
        .optional()?;
    let Some((row, place, Some(account), deleted, body)) = found else { return Ok(None) };
    let account = convert::id("account id", &account)?;
    Ok(Some((Target { row, place, account, deleted }, body)))
}

/// The changes of a message that stand after it, in the order of the log; those that wait come last, those that failed are
/// none.
macro_rules! changes {
    ($room:expr, $of:expr) => {
        timeline::table
            .filter(timeline::room.eq(&$room.as_bytes()[..]))
            .filter(timeline::of_message.eq(&$of.id.as_bytes()[..]))
            .filter(timeline::of_device.eq(&$of.device.as_bytes()[..]))
            .filter(timeline::of_message.is_not_null())
    };
}

/// Folds what stands after a message, up to a place.
pub(super) fn fold(
    conn: &mut SqliteConnection,
    room: RoomId,
    of: MessageRef,
    (row, place): (i64, i64),
    (author, body): (AccountId, &[u8]),
    pending: bool,
) -> Result<State, StoreError> {
    fold_each(conn, room, of, (row, place), (author, body), pending, |_, _, _| {})
}

/// The same, telling of each change by its row what it is, and whether it has changed anything.
pub(super) fn fold_each(
    conn: &mut SqliteConnection,
    room: RoomId,
    of: MessageRef,
    (row, place): (i64, i64),
    (author, body): (AccountId, &[u8]),
    pending: bool,
    mut each: impl FnMut(i64, &What, bool),
) -> Result<State, StoreError> {
    type Row = (i64, i64, i32, Option<Vec<u8>>, bool, Vec<u8>);
    let unknown = Body::Unknown;
    let content = Content::decode(body).ok();
    let mut state = State::new(author, content.as_ref().map_or(&unknown, |content| &content.body));
    let rows: Vec<Row> = changes!(room, of)
        .filter(states::kept())
        .order((timeline::place, timeline::row))
        .select((
            timeline::row,
            timeline::place,
            timeline::delivery,
            timeline::account,
            timeline::by_admin,
            timeline::body,
        ))
        .load(conn)?;
    for (change_row, change_place, delivery, account, admin, body) in rows {
        let counts =
            delivery == Delivery::Sent.number() || (pending && delivery == Delivery::Pending.number());
        if !counts || (change_place, change_row) <= (place, row) {
            continue;
        }
        let account = convert::id("account id", &account.unwrap_or_default())?;
        // One that is erased says nothing any more.
        if let Ok(Content { body: Body::Change(change), mentions, .. }) = Content::decode(&body) {
            let news = state.apply(&change.what, &mentions, By { account, admin });
            each(change_row, &change.what, news);
        }
    }
    Ok(state)
}

/// Whether a change does anything to its message as all that stands before it in the log has left it. What does not is not
/// kept: it never will, for anybody.
pub(super) fn takes_effect(
    conn: &mut SqliteConnection,
    room: RoomId,
    change: &Change,
    by: By,
) -> Result<bool, StoreError> {
    let Some((target, body)) = find(conn, room, change.target)? else { return Ok(false) };
    if target.deleted {
        return Ok(false);
    }
    let at = (target.row, target.place);
    let mut state = fold(conn, room, change.target, at, (target.account, &body), false)?;
    Ok(state.apply(&change.what, &[], by))
}

/// A change did nothing here. If that is because this device alone has deleted its message, and it deletes that for everyone, nobody needs
/// what lies at the daemon of it any more.
pub(super) fn passed_over(
    conn: &mut SqliteConnection,
    room: RoomId,
    change: &Change,
    by: By,
) -> Result<(), StoreError> {
    match find(conn, room, change.target)? {
        Some((target, _))
            if target.deleted
                && change.what == What::Delete
                && (by.admin || by.account == target.account) =>
        {
            files::spend_left(conn, room, change.target)
        }
        _ => Ok(()),
    }
}

/// Erases what is over, now that a message or a change of it is stored: of a message that is deleted for everyone nothing
/// stays but who has deleted it, and of one that this device has deleted nothing at all. What waits to be sent stays until it
/// is: the outbox has no other copy of it.
pub(super) fn settle(conn: &mut SqliteConnection, room: RoomId, of: MessageRef) -> Result<(), StoreError> {
    let Some((target, body)) = find(conn, room, of)? else { return Ok(()) };
    if target.deleted {
        let logged = changes!(room, of).filter(states::not_pending());
        erase!(conn, logged.filter(states::kept()))?;
        return Ok(());
    }
    let state = fold(conn, room, of, (target.row, target.place), (target.account, &body), false)?;
    if state.deleted_by().is_none() {
        return search::refresh(conn, target.row);
    }
    search::take_out(conn, target.row)?;
    files::spend(conn, target.row)?;
    // The line stays, and says that it was deleted.
    diesel::update(timeline::table.find(target.row))
        .set((
            timeline::body.eq(diesel::dsl::sql::<diesel::sql_types::Binary>("zeroblob(length(body))")),
            timeline::mentions_me.eq(false),
        ))
        .execute(conn)?;
    let rows: Vec<(i64, Vec<u8>)> = changes!(room, of)
        .filter(states::kept())
        .filter(states::not_pending())
        .select((timeline::row, timeline::body))
        .load(conn)?;
    for (row, body) in rows {
        let deletes = Content::decode(&body)
            .is_ok_and(|content| matches!(content.body, Body::Change(Change { what: What::Delete, .. })));
        if !deletes {
            erase!(conn, timeline::table.find(row))?;
        }
    }
    Ok(())
}

/// Erases the changes of all messages of a room that this device has deleted.
pub(super) fn settle_all(conn: &mut SqliteConnection, room: RoomId) -> Result<(), StoreError> {
    diesel::sql_query(
        "UPDATE timeline SET body = zeroblob(length(body)), deleted = 1 \
         WHERE room = ? AND of_message IS NOT NULL AND deleted = 0 AND delivery <> 0 AND EXISTS ( \
             SELECT 1 FROM timeline AS target WHERE target.room = timeline.room \
             AND target.device = timeline.of_device AND target.message_id = timeline.of_message \
             AND target.message_id IS NOT NULL AND target.deleted = 1)",
    )
    .bind::<diesel::sql_types::Binary, _>(&room.as_bytes()[..])
    .execute(conn)?;
    Ok(())
}

impl Tx {
    /// A message by the name that the log has for it, as it is shown now; `None` when it is not here, or deleted from this
    /// device.
    ///
    /// # Errors
    /// What the database says.
    pub fn message(&mut self, room: RoomId, of: MessageRef) -> Result<Option<Line>, StoreError> {
        match find(&mut self.conn, room, of)? {
            Some((target, _)) if !target.deleted => line_of(&mut self.conn, target.row),
            _ => Ok(None),
        }
    }

    /// The messages of a room whose id begins with these hexadecimal digits, two at most: whoever gets two knows that it is
    /// not one. An id is its device's own choice: where several devices have sent the same, it is that of the one that
    /// was stored first, and nobody can make another's message impossible to name. None is of somebody who is blocked.
    ///
    /// # Errors
    /// What the database says.
    pub fn messages_by_prefix(&mut self, room: RoomId, digits: &str) -> Result<Vec<MessageRef>, StoreError> {
        type Row = (Option<Vec<u8>>, Option<Vec<u8>>);
        let bound = |fill: char| {
            let padded: String = digits.chars().chain(std::iter::repeat(fill)).take(32).collect();
            padded.parse::<qchat_proto::ids::MessageId>().ok()
        };
        let (Some(first), Some(last)) = (bound('0'), bound('f')) else { return Ok(vec![]) };
        let blocked = notes::blocked(&mut self.conn)?;
        let rows: Vec<Row> = timeline::table
            .filter(timeline::room.eq(&room.as_bytes()[..]))
            .filter(timeline::account.is_null().or(timeline::account.ne_all(blocked)))
            .filter(timeline::message_id.between(&first.as_bytes()[..], &last.as_bytes()[..]))
            .filter(timeline::message_id.is_not_null())
            .filter(timeline::of_message.is_null())
            .filter(states::kept())
            .filter(sql::<Bool>(
                "NOT EXISTS (SELECT 1 FROM timeline AS earlier WHERE earlier.room = timeline.room \
                 AND earlier.message_id = timeline.message_id AND earlier.message_id IS NOT NULL \
                 AND earlier.of_message IS NULL AND earlier.deleted = 0 AND earlier.\"row\" < timeline.\"row\" \
                 AND (earlier.account IS NULL OR earlier.account NOT IN (SELECT subject FROM notes WHERE value = x'01' AND kind = ",
            ).bind::<diesel::sql_types::Integer, _>(notes::blocked_kind()?).sql(")))"))
            .select((timeline::device, timeline::message_id))
            .limit(2)
            .load(&mut self.conn)?;
        rows.into_iter()
            .map(|(device, id)| {
                Ok(MessageRef {
                    device: convert::id("device id", &device.unwrap_or_default())?,
                    id: convert::id("message id", &id.unwrap_or_default())?,
                })
            })
            .collect()
    }

    /// The last line that changes another; it grows with each of them.
    ///
    /// # Errors
    /// What the database says.
    pub fn last_change(&mut self, room: RoomId) -> Result<i64, StoreError> {
        let last: Option<i64> = timeline::table
            .filter(timeline::room.eq(&room.as_bytes()[..]))
            .filter(timeline::of_message.is_not_null())
            .select(diesel::dsl::max(timeline::row))
            .get_result(&mut self.conn)?;
        Ok(last.unwrap_or(0))
    }

    /// Whether this account is an admin of a room now.
    ///
    /// # Errors
    /// What the database says.
    pub fn is_own_admin(&mut self, room: RoomId) -> Result<bool, StoreError> {
        let own = self.own_account()?;
        is_admin(&mut self.conn, room, &own)
    }
}
