//! How backends did, each time that one was looked at.

use diesel::prelude::*;

use super::{QuantumStore, StoreError, convert, schema::health};

/// Looks that are kept of each backend.
const KEPT: i64 = 1_000;

/// One look at a backend.
#[derive(Clone, PartialEq, Debug)]
pub struct Health {
    /// Which.
    pub backend: String,
    /// When, in milliseconds since the Unix epoch.
    pub measured_ms: i64,
    /// Whether it took jobs.
    pub available: bool,
    /// The CHSH value and its standard error, when it was measured.
    pub chsh: Option<(f64, f64)>,
    /// The mean probability that a qubit is read wrongly, when it is known.
    pub readout_error: Option<f64>,
    /// The mean error of a gate on two qubits, when it is known.
    pub gate_error: Option<f64>,
}

impl QuantumStore {
    /// Keeps a look at a backend.
    ///
    /// # Errors
    /// What the database says.
    pub fn note_health(&self, look: &Health) -> Result<(), StoreError> {
        self.write(|conn| {
            diesel::insert_into(health::table)
                .values((
                    health::backend.eq(&look.backend),
                    health::measured_ms.eq(look.measured_ms),
                    health::available.eq(look.available),
                    health::s.eq(look.chsh.map(|(s, _)| s)),
                    health::s_error.eq(look.chsh.map(|(_, error)| error)),
                    health::readout_error.eq(look.readout_error),
                    health::gate_error.eq(look.gate_error),
                ))
                .execute(conn)?;
            // Values of S are few and stay.
            let of = health::table.filter(health::backend.eq(&look.backend)).filter(health::s.is_null());
            let kept =
                of.select(health::id).order(health::id.desc()).offset(KEPT).first::<i64>(conn).optional()?;
            if let Some(old) = kept {
                let old = health::table
                    .filter(health::backend.eq(&look.backend))
                    .filter(health::s.is_null())
                    .filter(health::id.le(old));
                diesel::delete(old).execute(conn)?;
            }
            Ok(())
        })
    }

    /// The value of S that was measured last on a backend, with its standard error.
    ///
    /// # Errors
    /// What the database says.
    pub fn newest_chsh(&self, backend: &str) -> Result<Option<(f64, f64)>, StoreError> {
        self.read(|conn| {
            let found: Option<(Option<f64>, Option<f64>)> = health::table
                .filter(health::backend.eq(backend))
                .filter(health::s.is_not_null())
                .order(health::id.desc())
                .select((health::s, health::s_error))
                .first(conn)
                .optional()?;
            Ok(found.and_then(|(s, error)| s.zip(error)))
        })
    }

    /// The backends that were looked at.
    ///
    /// # Errors
    /// What the database says.
    pub fn known_backends(&self) -> Result<Vec<String>, StoreError> {
        self.read(|conn| {
            Ok(health::table.select(health::backend).distinct().order(health::backend).load(conn)?)
        })
    }

    /// The looks at a backend, or at all, the latest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn health(&self, backend: Option<&str>, limit: usize) -> Result<Vec<Health>, StoreError> {
        type Row = (String, i64, bool, (Option<f64>, Option<f64>), Option<f64>, Option<f64>);
        self.read(|conn| {
            let mut query = health::table
                .select((
                    health::backend,
                    health::measured_ms,
                    health::available,
                    (health::s, health::s_error),
                    health::readout_error,
                    health::gate_error,
                ))
                .order(health::id.desc())
                .limit(convert::limit(limit))
                .into_boxed();
            if let Some(backend) = backend {
                query = query.filter(health::backend.eq(backend));
            }
            let rows: Vec<Row> = query.load(conn)?;
            let read = |(backend, measured_ms, available, (s, error), readout_error, gate_error): Row| {
                Health { backend, measured_ms, available, chsh: s.zip(error), readout_error, gate_error }
            };
            Ok(rows.into_iter().map(read).collect())
        })
    }
}
