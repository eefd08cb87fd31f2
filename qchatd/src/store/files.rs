//! Files that members have put there for their rooms: which there are, whose, and which parts have come. The bytes are
//! elsewhere (`crate::blobs`).

use diesel::{dsl::max, prelude::*};
use qchat_proto::ids::{AccountId, DeviceId, FileId, RoomId};

use super::{
    Connection, StoreError, from_sql, id,
    multi::on_each,
    schema::{file_parts, files, hours},
    to_sql,
};

/// Rows that one transaction marks or returns, where there may be many.
const SOME: i64 = 64;

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum State {
    /// Parts are missing.
    Coming = 1,
    /// All of it is there.
    Whole = 2,
    /// It is being deleted.
    Going = 3,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its id, which its sender has drawn.
    pub id: FileId,
    /// The room whose members may read it.
    pub room: RoomId,
    /// Whose it is.
    pub account: AccountId,
    /// Which device has put it there.
    pub device: DeviceId,
    /// Bytes of all its parts.
    pub size: u64,
    /// How far it is.
    pub state: State,
    /// Of a whole one, as its sender has said.
    pub hash: Option<[u8; 48]>,
}

type Row = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, i64, i16, Option<Vec<u8>>);

const COLUMNS: (
    files::id,
    files::room_id,
    files::account_id,
    files::device_id,
    files::size,
    files::state,
    files::hash,
) = (files::id, files::room_id, files::account_id, files::device_id, files::size, files::state, files::hash);

fn read((file, room, account, device, size, state, hash): Row) -> Result<File, StoreError> {
    Ok(File {
        id: id(&file)?,
        room: id(&room)?,
        account: id(&account)?,
        device: id(&device)?,
        size: from_sql(size),
        state: match state {
            1 => State::Coming,
            2 => State::Whole,
            3 => State::Going,
            _ => return Err(StoreError::Corrupt("the state of a file")),
        },
        hash: hash.map(digest).transpose()?,
    })
}

fn digest(bytes: Vec<u8>) -> Result<[u8; 48], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a hash of a file"))
}

/// Begins a file of which nothing is there yet.
///
/// # Errors
/// When the query fails.
pub fn begin(conn: &mut Connection, file: &File, now: i64) -> Result<(), StoreError> {
    diesel::insert_into(files::table)
        .values((
            files::id.eq(file.id.as_bytes().as_slice()),
            files::room_id.eq(file.room.as_bytes().as_slice()),
            files::account_id.eq(file.account.as_bytes().as_slice()),
            files::device_id.eq(file.device.as_bytes().as_slice()),
            files::size.eq(to_sql(file.size)),
            files::state.eq(State::Coming as i16),
            files::touched_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

/// A file, whatever its state.
///
/// # Errors
/// When the query fails.
pub fn by_id(conn: &mut Connection, file: FileId) -> Result<Option<File>, StoreError> {
    let row: Option<Row> = files::table
        .select(COLUMNS)
        .filter(files::id.eq(file.as_bytes().as_slice()))
        .get_result(conn)
        .optional()?;
    row.map(read).transpose()
}

/// The same; nothing about it changes until the transaction ends.
///
/// # Errors
/// When the query fails.
pub fn lock(conn: &mut Connection, file: FileId) -> Result<Option<File>, StoreError> {
    let row = files::table.select(COLUMNS).filter(files::id.eq(file.as_bytes().as_slice()));
    let row: Option<Row> = match conn {
        Connection::Sqlite(conn) => row.get_result(conn).optional()?,
        Connection::Postgres(conn) => row.for_update().get_result(conn).optional()?,
    };
    row.map(read).transpose()
}

/// Bytes of all files of an account, those that are coming or going included.
///
/// # Errors
/// When the query fails.
pub fn total(conn: &mut Connection, account: AccountId) -> Result<u64, StoreError> {
    let sizes: Vec<i64> = files::table
        .select(files::size)
        .filter(files::account_id.eq(account.as_bytes().as_slice()))
        .load(conn)?;
    Ok(sizes.into_iter().map(from_sql).fold(0, u64::saturating_add))
}

/// How many files of an account there are, those that are coming or going included.
///
/// # Errors
/// When the query fails.
pub fn count(conn: &mut Connection, account: AccountId) -> Result<i64, StoreError> {
    let of = files::table.filter(files::account_id.eq(account.as_bytes().as_slice()));
    Ok(of.count().get_result(conn)?)
}

/// How many parts of a file are there from its first on without a gap.
///
/// # Errors
/// When the query fails.
pub fn contiguous(conn: &mut Connection, file: FileId) -> Result<u64, StoreError> {
    let numbers: Vec<i32> = file_parts::table
        .select(file_parts::number)
        .filter(file_parts::file_id.eq(file.as_bytes().as_slice()))
        .order(file_parts::number)
        .load(conn)?;
    Ok(numbers.into_iter().zip(0..).take_while(|(number, wanted)| number == wanted).count() as u64)
}

/// A part of a file that is locked is there. Returns the digest of the one that it takes the place of.
///
/// # Errors
/// When a query fails.
pub fn put_part(
    conn: &mut Connection,
    file: FileId,
    number: i32,
    digest: &[u8; 48],
    now: i64,
) -> Result<Option<[u8; 48]>, StoreError> {
    let before = part(conn, file, number)?;
    let row = file_parts::table
        .filter(file_parts::file_id.eq(file.as_bytes().as_slice()))
        .filter(file_parts::number.eq(number));
    if before.is_some() {
        diesel::update(row).set(file_parts::digest.eq(digest.as_slice())).execute(conn)?;
    } else {
        diesel::insert_into(file_parts::table)
            .values((
                file_parts::file_id.eq(file.as_bytes().as_slice()),
                file_parts::number.eq(number),
                file_parts::digest.eq(digest.as_slice()),
            ))
            .execute(conn)?;
    }
    diesel::update(files::table.filter(files::id.eq(file.as_bytes().as_slice())))
        .set(files::touched_at.eq(now))
        .execute(conn)?;
    Ok(before)
}

/// The digest of a part.
///
/// # Errors
/// When the query fails.
pub fn part(conn: &mut Connection, file: FileId, number: i32) -> Result<Option<[u8; 48]>, StoreError> {
    let found: Option<Vec<u8>> = file_parts::table
        .select(file_parts::digest)
        .filter(file_parts::file_id.eq(file.as_bytes().as_slice()))
        .filter(file_parts::number.eq(number))
        .get_result(conn)
        .optional()?;
    found.map(digest).transpose()
}

/// The digests of the parts that are there from one number on, as many as are asked for at most, in their order.
///
/// # Errors
/// When the query fails.
pub fn digests(
    conn: &mut Connection,
    file: FileId,
    from: i32,
    most: u64,
) -> Result<Vec<[u8; 48]>, StoreError> {
    let rows: Vec<Vec<u8>> = file_parts::table
        .select(file_parts::digest)
        .filter(file_parts::file_id.eq(file.as_bytes().as_slice()))
        .filter(file_parts::number.ge(from))
        .order(file_parts::number)
        .limit(to_sql(most))
        .load(conn)?;
    rows.into_iter().map(digest).collect()
}

/// All of a file that is locked is there, and its age is counted from now on.
///
/// # Errors
/// When a query fails.
pub fn complete(conn: &mut Connection, file: FileId, hash: &[u8; 48]) -> Result<(), StoreError> {
    let hour: Option<i64> = hours::table.select(max(hours::id)).get_result(conn)?;
    diesel::update(files::table.filter(files::id.eq(file.as_bytes().as_slice())))
        .set((
            files::state.eq(State::Whole as i16),
            files::hash.eq(Some(hash.as_slice())),
            files::hour.eq(Some(hour.unwrap_or(0))),
        ))
        .execute(conn)?;
    Ok(())
}

/// Nobody gets a file any more, and its parts are to be deleted.
///
/// # Errors
/// When the query fails.
pub fn give_up(conn: &mut Connection, file: FileId) -> Result<(), StoreError> {
    diesel::update(files::table.filter(files::id.eq(file.as_bytes().as_slice())))
        .set(files::state.eq(State::Going as i16))
        .execute(conn)?;
    Ok(())
}

/// Gives up some of the files of which no part has come since `touched`, and, where `hours` are given, of those that have been
/// whole for as many counted hours. Returns how many.
///
/// # Errors
/// When a query fails.
pub fn expire(conn: &mut Connection, touched: i64, hours: Option<i64>) -> Result<usize, StoreError> {
    let mut old: Vec<Vec<u8>> = files::table
        .select(files::id)
        .filter(files::state.eq(State::Coming as i16))
        .filter(files::touched_at.lt(touched))
        .order(files::touched_at)
        .limit(SOME)
        .load(conn)?;
    let last = match hours {
        Some(_) => hours::table.select(max(hours::id)).get_result::<Option<i64>>(conn)?,
        None => None,
    };
    if let (Some(hours), Some(last)) = (hours, last) {
        let whole: Vec<Vec<u8>> = files::table
            .select(files::id)
            .filter(files::state.eq(State::Whole as i16))
            .filter(files::hour.le(last.saturating_sub(hours)))
            .order(files::hour)
            .limit(SOME)
            .load(conn)?;
        old.extend(whole);
    }
    if old.is_empty() {
        return Ok(0);
    }
    let gone = files::table.filter(files::state.ne(State::Going as i16));
    Ok(on_each!(conn, conn => diesel::update(gone.filter(files::id.eq_any(&old)))
        .set(files::state.eq(State::Going as i16))
        .execute(conn))?)
}

/// Some of the files whose parts are to be deleted.
///
/// # Errors
/// When the query fails.
pub fn going(conn: &mut Connection) -> Result<Vec<FileId>, StoreError> {
    let rows: Vec<Vec<u8>> = files::table
        .select(files::id)
        .filter(files::state.eq(State::Going as i16))
        .order(files::touched_at)
        .limit(SOME)
        .load(conn)?;
    rows.iter().map(|file| id(file)).collect()
}

/// The parts of a file that was given up are deleted, and so is what is known of it.
///
/// # Errors
/// When the query fails.
pub fn forget(conn: &mut Connection, file: FileId) -> Result<(), StoreError> {
    let row = files::table
        .filter(files::id.eq(file.as_bytes().as_slice()))
        .filter(files::state.eq(State::Going as i16));
    diesel::delete(row).execute(conn)?;
    Ok(())
}

/// Gives up what a device has begun and not completed.
///
/// # Errors
/// When the query fails.
pub fn give_up_begun(conn: &mut Connection, device: DeviceId) -> Result<(), StoreError> {
    let begun = files::table
        .filter(files::device_id.eq(device.as_bytes().as_slice()))
        .filter(files::state.eq(State::Coming as i16));
    diesel::update(begun).set(files::state.eq(State::Going as i16)).execute(conn)?;
    Ok(())
}

/// The next files of an account after one of them, by id.
///
/// # Errors
/// When the query fails.
pub fn of_account(
    conn: &mut Connection,
    account: AccountId,
    after: Option<FileId>,
) -> Result<Vec<File>, StoreError> {
    let after = after.map_or_else(Vec::new, |file| file.as_bytes().to_vec());
    let rows: Vec<Row> = files::table
        .select(COLUMNS)
        .filter(files::account_id.eq(account.as_bytes().as_slice()))
        .filter(files::id.gt(after))
        .order(files::id)
        .limit(SOME)
        .load(conn)?;
    rows.into_iter().map(read).collect()
}
