//! A transaction: the handle that all queries hang on.

use diesel::{
    RunQueryDsl, SqliteConnection,
    connection::{AnsiTransactionManager, TransactionManager},
};
use qchat_proto::ids::{MessageId, Seq};

use super::{StoreError, kept::Kept};

#[diesel::declare_sql_function]
extern "SQL" {
    fn total_changes() -> BigInt;
}

/// An open transaction on a profile. The files beside this one say what it can do.
pub struct Tx {
    pub(super) conn: SqliteConnection,
    pub(super) kept: Kept,
    pub(super) changed: bool,
    pub(super) settled: Vec<(MessageId, Seq)>,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}

/// How a transaction begins.
#[derive(Clone, Copy)]
pub(super) enum Begin {
    /// With the write lock, so that it cannot fail half-way for want of it.
    Write,
    /// On the last commit.
    Read,
}

impl Tx {
    /// Runs `work` between begin and commit; rolls back when it fails.
    pub(super) fn run<T, E: From<StoreError>>(
        &mut self,
        begin: Begin,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let sql = match begin {
            Begin::Write => "BEGIN IMMEDIATE",
            Begin::Read => "BEGIN",
        };
        self.changed = false;
        self.settled.clear();
        AnsiTransactionManager::begin_transaction_sql(&mut self.conn, sql).map_err(StoreError::from)?;
        let written = match begin {
            Begin::Write => Ok(None),
            Begin::Read => self.written().map(Some),
        };
        let worked = written.map_err(E::from).and_then(|written| Ok((written, work(self)?)));
        let worked = worked.and_then(|(written, done)| match written {
            Some(written) if self.written()? != written => Err(StoreError::ReadOnly.into()),
            _ => Ok(done),
        });
        match worked {
            Ok(done) => {
                AnsiTransactionManager::commit_transaction(&mut self.conn).map_err(|error| {
                    self.kept.clear();
                    StoreError::from(error)
                })?;
                Ok(done)
            }
            Err(error) => {
                // Failing to roll back leaves the connection marked as broken, and its owner closes it.
                let _ = AnsiTransactionManager::rollback_transaction(&mut self.conn);
                // What it kept is not what is stored.
                self.kept.clear();
                Err(error)
            }
        }
    }

    /// Runs `work`, of which nothing is left unless it has gone well, inside a transaction.
    pub(super) fn step(&mut self, work: impl FnOnce(&mut Self) -> bool) -> Result<(), StoreError> {
        self.changed = false;
        self.settled.clear();
        AnsiTransactionManager::begin_transaction(&mut self.conn)?;
        if work(self) {
            AnsiTransactionManager::commit_transaction(&mut self.conn)?;
        } else {
            self.kept.clear();
            AnsiTransactionManager::rollback_transaction(&mut self.conn)?;
        }
        Ok(())
    }

    /// Whether a change of an earlier message was stored in this transaction.
    pub fn has_changed_messages(&self) -> bool {
        self.changed
    }

    /// The messages of this device that were found in the log in this transaction, and where.
    pub fn settled_messages(&self) -> &[(MessageId, Seq)] {
        &self.settled
    }

    /// How many rows this connection has written, ever.
    fn written(&mut self) -> Result<i64, StoreError> {
        Ok(diesel::select(total_changes()).get_result(&mut self.conn)?)
    }

    /// Whether the connection cannot be used again.
    pub(super) fn is_broken(&mut self) -> bool {
        AnsiTransactionManager::is_broken_transaction_manager(&mut self.conn)
    }
}
