//! Why a quantum job gave nothing.

use qchat_proto::crypto::entropy::EntropyError;
use qchat_quantum::{
    backend::BackendError, circuit::CircuitError, device::PropertiesError, ibm::IbmError,
    qrng::harvest::HarvestError,
};

use crate::store::StoreError;

/// A quantum job gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum QuantumError {
    /// The database of jobs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What runs the circuits cannot.
    #[error(transparent)]
    Backend(BackendError),
    /// The circuit cannot be built.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// What describes a device makes no sense.
    #[error("these are not the properties of a device: {0}")]
    Properties(#[from] PropertiesError),
    /// The measured bits are not fit for keys.
    #[error("nothing of what was measured is used: {0}")]
    Harvest(#[from] HarvestError),
    /// The job is over.
    #[error("{0}")]
    Over(String),
    /// IBM Quantum.
    #[error(transparent)]
    Ibm(#[from] IbmError),
    /// There is no such job, or no such backend.
    #[error("{0}")]
    NotFound(String),
    /// Nobody can know yet.
    #[error("{0}")]
    NotYet(String),
    /// It may not be done.
    #[error("{0}")]
    Refused(String),
    /// What was measured, or what a job was to do, is stored in another form than this program's.
    #[error("the database holds a malformed {0} of a quantum job")]
    Malformed(&'static str),
    /// A library of algorithms.
    #[error("an algorithm that was to be measured has failed")]
    Library,
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The program is shutting down.
    #[error("the job was interrupted; `qchat quantum resume` goes on with it")]
    Interrupted,
}

impl From<BackendError> for QuantumError {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Ibm(error) => Self::Ibm(error),
            error => Self::Backend(error),
        }
    }
}
