//! The database: the only module that speaks diesel. Queries take a [`Connection`]; services open the transaction
//! with [`Store::read`] or [`Store::write`], which run on threads that may block.

pub mod accounts;
mod arrays;
pub mod backup;
mod checkpoint;
mod connection;
pub mod directory;
pub mod envelopes;
mod error;
mod interface;
pub mod key_packages;
mod migrate;
mod multi;
pub mod relay;
pub mod retention;
pub mod rooms;
mod schema;
pub mod server;
pub mod sessions;
mod target;
pub mod token_keys;
pub mod trees;
mod writer;

use std::{sync::Arc, time::Duration};

use diesel::{Connection as _, RunQueryDsl, r2d2};
use tokio::sync::Semaphore;

use self::{connection::Manager, writer::Writer};
pub use self::{
    error::StoreError,
    interface::{Database, RoomQueries},
    migrate::{Migrations, migrate, pending},
    multi::AnyConnection as Connection,
    target::{Target, TargetError},
};

/// How long a query waits for a free connection.
const CHECKOUT: Duration = Duration::from_secs(5);

/// A handle on the database, cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: r2d2::Pool<Manager>,
    /// As many as the pool has connections: waiting happens here, where it costs no thread.
    permits: Arc<Semaphore>,
    /// SQLite takes one writer at a time; PostgreSQL writes through the pool.
    writer: Option<Writer>,
}

impl Store {
    /// Opens the database, whose migrations must be current.
    ///
    /// # Errors
    /// When it cannot be reached, or does not promise durability.
    pub fn open(target: &Target, connections: u32) -> Result<Self, StoreError> {
        let pool = r2d2::Pool::builder()
            .max_size(connections)
            .min_idle(Some(0))
            .connection_timeout(CHECKOUT)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .test_on_check_out(matches!(target, Target::Postgres(_)))
            .build(Manager(target.clone()))
            .map_err(|_| StoreError::pool())?;
        let writer = match target {
            Target::Sqlite(_) => Some(Writer::start(target.clone())?),
            Target::Postgres(_) => None,
        };
        Ok(Self { pool, permits: Arc::new(Semaphore::new(connections as usize)), writer })
    }

    /// Runs queries that change nothing.
    ///
    /// # Errors
    /// What `query` returns, and [`StoreError`] when no connection can be had.
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.pooled(query).await
    }

    /// Runs queries that change nothing and see one state of the database, whatever is committed meanwhile.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn snapshot<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.pooled(|conn| {
            transaction(conn, |conn| {
                // SQLite's transactions always do.
                if let Connection::Postgres(conn) = conn {
                    diesel::sql_query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                        .execute(conn)
                        .map_err(StoreError::from)?;
                }
                query(conn)
            })
        })
        .await
    }

    /// Whether other processes may write to the database as well.
    pub fn is_shared(&self) -> bool {
        self.writer.is_none()
    }

    /// Runs queries in one transaction; returns after it is durable. On SQLite, writes that wait at the same time
    /// share one commit, each in a savepoint of its own.
    ///
    /// # Errors
    /// What `query` returns, which rolls its changes back; and [`StoreError`] when the commit fails.
    pub async fn write<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.writer {
            Some(writer) => writer.write(query).await,
            None => self.pooled(|conn| transaction(conn, query)).await,
        }
    }

    /// Whether the database answers and can be written to.
    ///
    /// # Errors
    /// Says what is wrong.
    pub async fn ready(&self) -> Result<(), StoreError> {
        if self.writer.as_ref().is_some_and(Writer::is_gone) {
            return Err(StoreError::Unavailable("the database writer has ended".into()));
        }
        self.read(|conn| {
            diesel::sql_query("SELECT 1").execute(conn)?;
            Ok(())
        })
        .await
    }

    async fn pooled<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| StoreError::pool())?;
        let pool = self.pool.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut conn = pool.get().map_err(|_| StoreError::pool())?;
            query(&mut conn)
        });
        done.await.map_err(|_| StoreError::Unavailable("a database task was cancelled".into()))?
    }
}

/// Runs `query` in a transaction, or in a savepoint inside one.
fn transaction<T, E: From<StoreError>>(
    conn: &mut Connection,
    query: impl FnOnce(&mut Connection) -> Result<T, E>,
) -> Result<T, E> {
    enum Abort<E> {
        Query(E),
        Database(diesel::result::Error),
    }
    impl<E> From<diesel::result::Error> for Abort<E> {
        fn from(error: diesel::result::Error) -> Self {
            Self::Database(error)
        }
    }
    conn.transaction(|conn| query(conn).map_err(Abort::Query)).map_err(|abort| match abort {
        Abort::Query(error) => error,
        Abort::Database(error) => StoreError::from(error).into(),
    })
}

/// An unsigned number as SQL keeps it. Values beyond 2⁶³ cannot be reached by counting.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from SQL, never negative there.
fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Reads an id out of a column.
fn id<T>(bytes: &[u8]) -> Result<T, StoreError>
where
    T: for<'a> TryFrom<&'a [u8], Error = qchat_proto::ids::IdError>,
{
    T::try_from(bytes).map_err(|_| StoreError::Corrupt("an id"))
}
