//! The database: the only module that speaks diesel. Queries take a [`Connection`]; services open the transaction
//! with [`Store::read`] or [`Store::write`], which run on threads that may block.

pub mod accounts;
mod arrays;
pub mod audit;
pub mod backup;
pub mod backups;
mod checkpoint;
mod connection;
pub mod directory;
pub mod envelopes;
pub mod erased;
mod error;
pub mod export;
pub mod files;
mod interface;
pub mod join_requests;
pub mod key_packages;
pub mod links;
mod migrate;
mod multi;
pub mod notes;
pub mod owed;
mod pool;
mod postgres;
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

use diesel::{Connection as _, RunQueryDsl, dsl::sql, sql_types::Text};

pub use self::{
    error::StoreError,
    interface::{Database, RoomQueries},
    migrate::{Migrations, migrate, pending},
    multi::AnyConnection as Connection,
    pool::{Lane, Usage},
    target::{Target, TargetError},
};
use self::{pool::Pools, writer::Writer};

/// How long a query waits for a connection, unless somebody says otherwise.
pub const WAIT: Duration = Duration::from_secs(5);

/// A handle on the database, cheap to clone.
#[derive(Clone)]
pub struct Store {
    pools: Arc<Pools>,
    /// Whose connections this handle takes.
    lane: Lane,
    /// SQLite takes one writer at a time; PostgreSQL writes through the pools.
    writer: Option<Writer>,
}

impl Store {
    /// Opens the database, whose migrations must be current: `connections` for requests, and one more for each other
    /// [`Lane`] as soon as it is used. On PostgreSQL none is made yet. A query waits `wait` for its turn at most, and as
    /// long for a connection to be made.
    ///
    /// # Errors
    /// When SQLite cannot be reached, or does not promise durability.
    pub fn open(target: &Target, connections: u32, wait: Duration) -> Result<Self, StoreError> {
        let pools = Arc::new(Pools::new(target, connections, wait)?);
        let writer = match target {
            Target::Sqlite(_) => Some(Writer::start(target.clone(), wait)?),
            Target::Postgres(_) => None,
        };
        Ok(Self { pools, lane: Lane::Requests, writer })
    }

    /// The same database by other connections.
    #[must_use]
    pub fn on(&self, lane: Lane) -> Self {
        Self { lane, ..self.clone() }
    }

    /// How each lane stands.
    pub fn usage(&self) -> [Usage; 3] {
        let writer = match &self.writer {
            Some(writer) => writer.usage(),
            None => self.pools.of(Lane::Writer).usage(),
        };
        [self.pools.of(Lane::Requests).usage(), writer, self.pools.of(Lane::Delivery).usage()]
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
        self.pools.of(self.lane).run(query).await
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
        self.pools
            .of(self.lane)
            .run(|conn| {
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
            None => self.pools.of(self.lane).transaction(query).await,
        }
    }

    /// Whether the database answers, and what writes messages to it can. Asks by the writer's connection: readers that take
    /// all others do not keep it from working, and a commit that never ends does.
    ///
    /// # Errors
    /// Says what is wrong.
    pub async fn ready(&self) -> Result<(), StoreError> {
        if self.writer.as_ref().is_some_and(Writer::is_gone) {
            return Err(StoreError::Unavailable("the database writer has ended".into()));
        }
        self.on(Lane::Writer)
            .read(|conn| {
                diesel::sql_query("SELECT 1").execute(conn)?;
                Ok(())
            })
            .await
    }

    /// Whether what is acknowledged is on a second server by then, as PostgreSQL is set up to do; never for SQLite.
    ///
    /// # Errors
    /// When PostgreSQL cannot be asked.
    pub async fn has_synchronous_standby(&self) -> Result<bool, StoreError> {
        self.read(|conn| match conn {
            Connection::Sqlite(_) => Ok(false),
            Connection::Postgres(conn) => {
                let names = diesel::select(sql::<Text>("current_setting('synchronous_standby_names')"));
                Ok(!names.get_result::<String>(conn)?.trim().is_empty())
            }
        })
        .await
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
