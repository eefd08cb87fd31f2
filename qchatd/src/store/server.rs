//! Who this database is.

use diesel::prelude::*;
use qchat_proto::ids::ServerId;

use super::{Connection, StoreError, id, multi::on_each, schema::server};

/// Returns the server's id, which is `new` if there was none.
///
/// # Errors
/// When a query fails.
pub fn identify(conn: &mut Connection, new: ServerId, now: i64) -> Result<ServerId, StoreError> {
    let row = (server::id.eq(1), server::server_id.eq(new.as_bytes().as_slice()), server::created_at.eq(now));
    on_each!(conn, conn => diesel::insert_into(server::table).values(row).on_conflict_do_nothing().execute(conn))?;
    let bytes: Vec<u8> = server::table.select(server::server_id).get_result(conn)?;
    id(&bytes)
}
