//! Access to the daemon between two starts of the program.

use diesel::{OptionalExtension, prelude::*};
use zeroize::Zeroizing;

use super::{StoreError, Tx, convert, schema::session};

/// The tokens of this device's session.
#[derive(Clone)]
pub struct SessionTokens {
    /// For `Authorization: Bearer`.
    pub access_token: Zeroizing<String>,
    /// When the access token stops being good, seconds since the Unix epoch.
    pub expires_at: u64,
    /// Exchanged once for the next pair.
    pub refresh_token: Zeroizing<String>,
    /// The idempotency key of an exchange of this refresh token that was begun and has not been answered: the retry
    /// must carry the same.
    pub refresh_attempt: Option<[u8; 16]>,
}

impl std::fmt::Debug for SessionTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionTokens").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Tx {
    /// The session's tokens; `None` when this device is logged out.
    ///
    /// # Errors
    /// What the database says.
    pub fn session(&mut self) -> Result<Option<SessionTokens>, StoreError> {
        type Row = (i32, String, i64, String, Option<Vec<u8>>);
        let row: Option<Row> = session::table.get_result(&mut self.conn).optional()?;
        row.map(|(_, access, expires_at, refresh, attempt)| {
            Ok(SessionTokens {
                access_token: Zeroizing::new(access),
                expires_at: convert::unsigned("expiry", expires_at)?,
                refresh_token: Zeroizing::new(refresh),
                refresh_attempt: attempt
                    .map(|attempt| convert::array("refresh attempt", &attempt))
                    .transpose()?,
            })
        })
        .transpose()
    }

    /// Stores the session's tokens in place of the last.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_session(&mut self, tokens: &SessionTokens) -> Result<(), StoreError> {
        diesel::replace_into(session::table)
            .values((
                session::id.eq(1),
                session::access_token.eq(tokens.access_token.as_str()),
                session::expires_at.eq(convert::number(tokens.expires_at)?),
                session::refresh_token.eq(tokens.refresh_token.as_str()),
                session::refresh_attempt.eq(tokens.refresh_attempt.as_ref().map(|attempt| &attempt[..])),
            ))
            .execute(&mut self.conn)?;
        Ok(())
    }

    /// Forgets the tokens.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_session(&mut self) -> Result<(), StoreError> {
        diesel::delete(session::table).execute(&mut self.conn)?;
        Ok(())
    }
}
