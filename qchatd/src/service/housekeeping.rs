//! What is deleted by the clock: envelopes that nobody needs, and whatever else has had its time. In small transactions,
//! so that no message waits for it.

use std::{sync::Arc, time::Instant};

use qchat_proto::ids::{RoomId, Seq};

use super::{floor::floor, now_sql};
use crate::{
    meters::Meters,
    store::{
        Connection, Store, StoreError, audit, backups, join_requests, links, owed,
        retention::{self, RowId},
        trees,
    },
};

/// Seconds.
const HOUR: i64 = 3600;
/// Hours.
const DAY: i64 = 24;
/// Hours that an invitation counts for: 7 days.
const INVITATION: i64 = 7 * 24;
/// Hours after which a claimed KeyPackage may come again, since nobody takes it by then: a day more than it is valid.
const KEY_PACKAGE: i64 = 91 * 24;
/// How long what was sealed for a device waits for it, seconds: 30 days, as long as a device list is good.
const GRANT: i64 = 30 * 24 * HOUR;
/// How long a device is owed its places, seconds: as long.
const OWED: i64 = GRANT;
/// How long a join request waits, seconds: a week, which is as long as members believe it.
const ASKED: i64 = 7 * 24 * 3600;
/// Rooms that are looked at in one transaction.
const ROOMS: u32 = 64;
/// Most envelopes that one transaction deletes.
const ENVELOPES: u32 = 256;
/// Most bytes that one transaction deletes, and one envelope more.
const BYTES: u64 = 1024 * 1024;
/// Other rows that one transaction looks at or deletes.
const ROWS: u32 = 500;
/// A sweep rests this many times as long as each of its transactions took that deletes something.
const REST: u32 = 4;
/// The same where it only looks, which is all of it where rooms are idle: however many they are, messages should not notice.
const LOOKING_REST: u32 = 24;

/// What goes by its age alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days in which everybody could have; 0: it is kept until all have.
    pub days: u32,
    /// Days that entries of the audit log are kept; 0: for ever.
    pub audit_days: u32,
}

/// What a sweep has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rooms that envelopes were deleted of.
    pub rooms: u64,
    /// Envelopes.
    pub envelopes: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Sessions that had expired.
    pub sessions: u64,
    /// Notes of KeyPackages that were claimed, and are no longer valid.
    pub key_packages: u64,
    /// Entries of the audit log.
    pub audit: u64,
}

/// Commits up to which rows are how old; 0: none.
#[derive(Clone, Copy, Debug, Default)]
struct Ages {
    /// Older than an invitation may be.
    invited: RowId,
    /// Older than [`Retention`].
    kept: RowId,
    /// KeyPackages that are no longer valid.
    key_package: RowId,
}

/// Deletes what has had its time.
pub struct Housekeeping {
    store: Store,
    meters: Arc<Meters>,
    retention: Retention,
}

impl Housekeeping {
    /// Over this database.
    pub fn new(store: Store, meters: Arc<Meters>, retention: Retention) -> Self {
        Self { store, meters, retention }
    }

    /// Deletes staged trees and the like; and once an hour, on one of the nodes, all the rest.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self) -> Result<(), StoreError> {
        self.store
            .write(|conn| {
                let now = now_sql();
                links::expire(conn, now, now - GRANT)?;
                backups::expire(conn, now)?;
                owed::expire(conn, now - OWED)?;
                join_requests::expire(conn, now - ASKED)?;
                trees::expire(conn, now)
            })
            .await?;
        let keep = self.hours().max(KEY_PACKAGE).max(INVITATION).max(self.audit_hours() + DAY);
        let now = now_sql();
        let mine = self.store.write(move |conn| retention::count_hour(conn, now - HOUR, now, keep)).await?;
        if mine {
            let swept = self.go_through(LOOKING_REST).await?;
            tracing::info!(?swept, "what nobody needs was deleted");
        }
        Ok(())
    }

    /// Goes through all rooms once, and through what else there is, for somebody who waits for it.
    ///
    /// # Errors
    /// When the database fails; what was deleted until then stays so.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        self.go_through(0).await
    }

    async fn go_through(&self, looking_rest: u32) -> Result<Swept, StoreError> {
        let begun = Instant::now();
        let ages = self.ages().await?;
        let mut swept = Swept::default();
        let mut after = None;
        loop {
            let began = Instant::now();
            let found: Vec<(RoomId, bool)> =
                self.store.read(move |conn| candidates(conn, after, ages)).await?;
            let Some((last, _)) = found.last() else { break };
            after = Some(*last);
            if found.len() == ROOMS as usize {
                rest(began, looking_rest).await;
            }
            for (room, _) in found.into_iter().filter(|(_, due)| *due) {
                self.sweep_room(room, ages, &mut swept).await?;
            }
        }
        swept.sessions = self.forget_sessions().await?;
        swept.key_packages = self.forget_claimed(ages.key_package).await?;
        swept.audit = self.forget_audit().await?;
        self.meters.swept(begun.elapsed(), now_sql());
        Ok(swept)
    }

    fn hours(&self) -> i64 {
        i64::from(self.retention.days) * 24
    }

    fn audit_hours(&self) -> i64 {
        i64::from(self.retention.audit_days) * DAY
    }

    async fn ages(&self) -> Result<Ages, StoreError> {
        let (hours, keeps) = (self.hours(), self.retention.days == 0);
        self.store
            .read(move |conn| {
                let envelope = |row: Option<(RowId, RowId)>| row.map_or(0, |(envelope, _)| envelope);
                Ok(Ages {
                    invited: envelope(retention::hours_ago(conn, INVITATION)?),
                    kept: if keeps { 0 } else { envelope(retention::hours_ago(conn, hours)?) },
                    key_package: retention::hours_ago(conn, KEY_PACKAGE)?.map_or(0, |(_, package)| package),
                })
            })
            .await
    }

    /// Deletes a room's envelopes from the oldest on, part by part.
    async fn sweep_room(&self, room: RoomId, ages: Ages, swept: &mut Swept) -> Result<(), StoreError> {
        let mut first = true;
        loop {
            let begun = Instant::now();
            let (envelopes, bytes, more) =
                self.store.write(move |conn| delete_some(conn, room, ages)).await?;
            if envelopes > 0 {
                swept.rooms += u64::from(std::mem::take(&mut first));
                swept.envelopes += envelopes;
                swept.bytes += bytes;
                self.meters.deleted(envelopes);
            }
            rest(begun, REST).await;
            if !more {
                return Ok(());
            }
        }
    }

    async fn forget_sessions(&self) -> Result<u64, StoreError> {
        let (mut after, mut forgotten) = (None, 0);
        loop {
            let begun = Instant::now();
            let some = self
                .store
                .write(move |conn| retention::forget_sessions(conn, after, now_sql(), ROWS))
                .await?;
            let Some((last, count)) = some else { return Ok(forgotten) };
            after = Some(last);
            forgotten += count as u64;
            rest(begun, REST).await;
        }
    }

    async fn forget_claimed(&self, until: RowId) -> Result<u64, StoreError> {
        let (mut after, mut forgotten) = (0, 0);
        loop {
            let begun = Instant::now();
            let some =
                self.store.write(move |conn| retention::forget_claimed(conn, after, until, ROWS)).await?;
            let Some((last, count)) = some else { return Ok(forgotten) };
            after = last;
            forgotten += count as u64;
            rest(begun, REST).await;
        }
    }

    /// Deletes what the audit log has kept for its time, once the oldest of it has been kept for a day more: each deletion
    /// is an entry itself, and none is wanted every hour.
    async fn forget_audit(&self) -> Result<u64, StoreError> {
        let hours = self.audit_hours();
        if hours == 0 {
            return Ok(0);
        }
        let until = self
            .store
            .read(move |conn| {
                let due = audit::hours_ago(conn, hours + DAY)?;
                let deleted = audit::head(conn)?.deleted_until;
                if due.is_none_or(|due| due <= deleted) { Ok(None) } else { audit::hours_ago(conn, hours) }
            })
            .await?;
        let Some(until) = until else { return Ok(0) };
        let mut forgotten = 0;
        loop {
            let (begun, now) = (Instant::now(), now_sql());
            let some = self.store.write(move |conn| audit::forget(conn, until, i64::from(ROWS), now)).await?;
            if some == 0 {
                return Ok(forgotten);
            }
            forgotten += some;
            rest(begun, REST).await;
        }
    }
}

/// Leaves the database to others, `times` as long as it was kept from them.
async fn rest(begun: Instant, times: u32) {
    tokio::time::sleep(begun.elapsed() * times).await;
}

/// The next rooms after `after`, and which of them have something to delete.
fn candidates(
    conn: &mut Connection,
    after: Option<RoomId>,
    ages: Ages,
) -> Result<Vec<(RoomId, bool)>, StoreError> {
    let rooms = retention::rooms_after(conn, after, ROOMS)?;
    rooms.into_iter().map(|room| Ok((room, until(conn, room, ages, false)?.is_some()))).collect()
}

/// Deletes the oldest envelopes of a room that may go. Returns how many, their bytes, and whether there may be more.
fn delete_some(conn: &mut Connection, room: RoomId, ages: Ages) -> Result<(u64, u64, bool), StoreError> {
    // Under the room's lock, so that no place is given back meanwhile that needs what is deleted here.
    let Some(going) = until(conn, room, ages, true)? else { return Ok((0, 0, false)) };
    retention::delete(conn, room, going.after, going.until)?;
    Ok((going.envelopes, going.bytes, going.more))
}

/// What may be deleted of a room now.
struct Going {
    after: Seq,
    until: Seq,
    envelopes: u64,
    bytes: u64,
    more: bool,
}

fn until(conn: &mut Connection, room: RoomId, ages: Ages, lock: bool) -> Result<Option<Going>, StoreError> {
    let Some(log) = retention::log(conn, room, lock)? else { return Ok(None) };
    let floor = floor(&retention::places(conn, room)?, log.commit_seq, ages.invited);
    let mut going =
        Going { after: log.deleted_until, until: log.deleted_until, envelopes: 0, bytes: 0, more: false };
    // Outside the lock the first alone says whether there is anything.
    for kept in retention::oldest(conn, room, log.deleted_until, if lock { ENVELOPES } else { 1 })? {
        if kept.seq > floor && kept.row > ages.kept {
            going.more = false;
            break;
        }
        going.until = kept.seq;
        going.envelopes += 1;
        going.bytes = going.bytes.saturating_add(kept.size);
        going.more = true;
        if going.bytes >= BYTES {
            break;
        }
    }
    Ok((going.envelopes > 0).then_some(going))
}
