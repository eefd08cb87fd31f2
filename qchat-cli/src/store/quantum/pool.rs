//! The pool: bytes that were extracted from measured bits, in blocks of 32. Each block goes into one key and is gone from
//! then on; what stays is which key it was, and where the block had come from.

use diesel::prelude::*;
use zeroize::Zeroizing;

use super::{
    JobId, QuantumStore, StoreError, convert,
    schema::{draws, pool},
};

/// Bytes of a block.
pub const BLOCK: usize = 32;
/// Blocks that the pool holds at most, 64 KiB: more than all keys of years take.
const MOST: i64 = 2_048;

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The signature key of a device.
    Device,
    /// The identity key of an account.
    Account,
    /// The recovery key.
    Recovery,
    /// This device's keys in a room.
    Room,
}

impl Purpose {
    /// Its name, stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Account => "account",
            Self::Recovery => "recovery",
            Self::Room => "room",
        }
    }
}

/// A block out of the pool, which no longer has it.
pub struct Block {
    /// The bytes.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The job that brought it.
    pub job: JobId,
    /// What measured it.
    pub backend: String,
    /// Whether that was a quantum computer.
    pub quantum: bool,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block").field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// Which key a block went into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draw {
    /// What the key is for.
    pub purpose: String,
    /// SHA-384 of the public key, or the room's id.
    pub subject: Vec<u8>,
    /// The job that had brought the block.
    pub job: JobId,
    /// What had measured it.
    pub backend: String,
    /// Whether that was a quantum computer.
    pub quantum: bool,
    /// How many bits.
    pub bits: u64,
    /// When, in milliseconds since the Unix epoch.
    pub drawn_ms: i64,
}

/// How full the pool is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Level {
    /// Bits that a quantum computer measured.
    pub quantum_bits: u64,
    /// Bits that a simulator made.
    pub simulated_bits: u64,
}

impl QuantumStore {
    /// Takes a block out of the pool, a quantum computer's before a simulator's and the oldest first; `None` when it is empty.
    /// It is gone when this returns, whatever becomes of it.
    ///
    /// # Errors
    /// What the database says.
    pub fn draw(&self) -> Result<Option<Block>, StoreError> {
        let taken = self.write(|conn| {
            type Row = (i64, Vec<u8>, Vec<u8>, String, bool);
            let row: Option<Row> = pool::table
                .select((pool::id, pool::bytes, pool::job, pool::backend, pool::quantum))
                .order((pool::quantum.desc(), pool::id))
                .first(conn)
                .optional()?;
            let Some((id, bytes, job, backend, quantum)) = row else { return Ok(None) };
            diesel::delete(pool::table.find(id)).execute(conn)?;
            Ok(Some(Block { bytes: Zeroizing::new(bytes), job: JobId::read(&job)?, backend, quantum }))
        })?;
        if taken.is_some() {
            self.forget()?;
        }
        Ok(taken)
    }

    /// Keeps which key a block has gone into: the SHA-384 of its public key, or the room.
    ///
    /// # Errors
    /// What the database says.
    pub fn note_draw(&self, block: &Block, purpose: Purpose, subject: &[u8]) -> Result<(), StoreError> {
        let bits = i64::try_from(block.bytes.len() * 8).map_err(|_| StoreError::Range)?;
        self.write(|conn| {
            diesel::insert_into(draws::table)
                .values((
                    draws::purpose.eq(purpose.name()),
                    draws::subject.eq(subject),
                    draws::job.eq(block.job.as_bytes()),
                    draws::backend.eq(&block.backend),
                    draws::quantum.eq(block.quantum),
                    draws::bits.eq(bits),
                    draws::drawn_ms.eq(convert::now_ms()),
                ))
                .execute(conn)?;
            Ok(())
        })
    }

    /// Forgets which keys blocks have gone into: those keys are gone.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_draws(&self) -> Result<(), StoreError> {
        self.write(|conn| {
            diesel::delete(draws::table).execute(conn)?;
            Ok(())
        })
    }

    /// What went into keys, the latest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn draws(&self, limit: usize) -> Result<Vec<Draw>, StoreError> {
        self.read(|conn| {
            type Row = (String, Vec<u8>, Vec<u8>, String, bool, i64, i64);
            let rows: Vec<Row> = draws::table
                .select((
                    draws::purpose,
                    draws::subject,
                    draws::job,
                    draws::backend,
                    draws::quantum,
                    draws::bits,
                    draws::drawn_ms,
                ))
                .order(draws::id.desc())
                .limit(convert::limit(limit))
                .load(conn)?;
            let read = |(purpose, subject, job, backend, quantum, bits, drawn_ms): Row| {
                let job = JobId::read(&job)?;
                let bits = convert::unsigned("number of bits", bits)?;
                Ok(Draw { purpose, subject, job, backend, quantum, bits, drawn_ms })
            };
            rows.into_iter().map(read).collect()
        })
    }

    /// The jobs whose blocks the pool still has, each once.
    ///
    /// # Errors
    /// What the database says.
    pub fn unused(&self) -> Result<Vec<JobId>, StoreError> {
        self.read(|conn| {
            let rows: Vec<Vec<u8>> = pool::table.select(pool::job).distinct().load(conn)?;
            rows.iter().map(|id| JobId::read(id)).collect()
        })
    }

    /// How full the pool is.
    ///
    /// # Errors
    /// What the database says.
    pub fn level(&self) -> Result<Level, StoreError> {
        let bits = |blocks: i64| u64::try_from(blocks).unwrap_or(0) * (BLOCK as u64) * 8;
        self.read(|conn| {
            let count = |conn: &mut SqliteConnection, quantum: bool| {
                pool::table.filter(pool::quantum.eq(quantum)).count().get_result::<i64>(conn)
            };
            let (quantum, simulated) = (count(conn, true)?, count(conn, false)?);
            Ok(Level { quantum_bits: bits(quantum), simulated_bits: bits(simulated) })
        })
    }
}

/// Adds whole blocks to the pool, as far as it has room. Returns how many bytes were added.
pub(super) fn fill(
    conn: &mut SqliteConnection,
    job: JobId,
    backend: &str,
    quantum: bool,
    bytes: &[u8],
) -> Result<usize, StoreError> {
    if quantum {
        // Those of a simulator make room: they add nothing.
        let wanted = i64::try_from(bytes.len() / BLOCK).unwrap_or(MOST);
        let held: i64 = pool::table.count().get_result(conn)?;
        let oldest: Vec<i64> = pool::table
            .filter(pool::quantum.eq(false))
            .order(pool::id)
            .limit((held + wanted - MOST).max(0))
            .select(pool::id)
            .load(conn)?;
        diesel::delete(pool::table.filter(pool::id.eq_any(oldest))).execute(conn)?;
    }
    let held: i64 = pool::table.count().get_result(conn)?;
    let room = usize::try_from((MOST - held).max(0)).unwrap_or(0);
    let now = convert::now_ms();
    let mut added = 0;
    for block in bytes.chunks_exact(BLOCK).take(room) {
        diesel::insert_into(pool::table)
            .values((
                pool::bytes.eq(block),
                pool::job.eq(job.as_bytes()),
                pool::backend.eq(backend),
                pool::quantum.eq(quantum),
                pool::made_ms.eq(now),
            ))
            .execute(conn)?;
        added += block.len();
    }
    Ok(added)
}
