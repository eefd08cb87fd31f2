//! Brings a database to the schema that this daemon was built with.

use std::{fs, os::unix::fs::OpenOptionsExt};

use diesel::{connection::SimpleConnection, migration::MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Connection, StoreError, Target, connection};

const SQLITE: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../migrations/postgres");

/// Any number that no other program on this PostgreSQL uses as an advisory lock.
const LOCK: i64 = 0x7163_6861_7464;

/// What migrating did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrations {
    /// Versions, oldest first.
    pub versions: Vec<String>,
}

/// Applies what is missing; nodes that start together take turns.
///
/// # Errors
/// When the database cannot be reached, a migration fails, or the schema is newer than this daemon.
pub fn migrate(target: &Target) -> Result<Migrations, StoreError> {
    if let Target::Sqlite(path) = target {
        // SQLite gives its journal files the mode of this one.
        fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
    }
    let mut conn = connection::connect(target)?;
    let versions = match &mut conn {
        Connection::Sqlite(conn) => apply(conn, SQLITE)?,
        Connection::Postgres(conn) => {
            conn.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})"))?;
            let applied = apply(conn, POSTGRES);
            conn.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})"))?;
            applied?
        }
    };
    Ok(Migrations { versions })
}

/// What [`migrate`] would apply.
///
/// # Errors
/// As [`migrate`]; an SQLite file that is not there is not created.
pub fn pending(target: &Target) -> Result<Migrations, StoreError> {
    if let Target::Sqlite(path) = target
        && !path.exists()
    {
        return Err(StoreError::Unavailable(format!("{}: no such file", path.display())));
    }
    let versions = match &mut connection::connect(target)? {
        Connection::Sqlite(conn) => missing(conn, &SQLITE)?,
        Connection::Postgres(conn) => missing(conn, &POSTGRES)?,
    };
    Ok(Migrations { versions })
}

fn apply<C, DB>(conn: &mut C, source: EmbeddedMigrations) -> Result<Vec<String>, StoreError>
where
    C: MigrationHarness<DB> + diesel::Connection<Backend = DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    if missing(conn, &source)?.is_empty() {
        return Ok(Vec::new());
    }
    let applied = conn.run_pending_migrations(source).map_err(failed)?;
    Ok(applied.iter().map(ToString::to_string).collect())
}

fn missing<C, DB>(conn: &mut C, source: &EmbeddedMigrations) -> Result<Vec<String>, StoreError>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known: Vec<String> = MigrationSource::<DB>::migrations(source)
        .map_err(failed)?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let applied: Vec<String> =
        conn.applied_migrations().map_err(failed)?.iter().map(ToString::to_string).collect();
    if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
        return Err(StoreError::Migration(format!(
            "the database has migration {newer}, which this qchatd does not know: upgrade qchatd"
        )));
    }
    Ok(known.into_iter().filter(|version| !applied.contains(version)).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err passes")]
fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    StoreError::Migration(error.to_string())
}
