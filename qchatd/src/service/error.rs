//! How a service says no: a fault for the client, or a failure of ours that the log keeps.

use qchat_proto::{
    crypto::entropy::EntropyError,
    wire::fault::{Fault, FaultCode},
};

use crate::store::StoreError;

/// A service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The client's to handle.
    #[error(transparent)]
    Refused(#[from] Fault),
    /// The database's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A defect in this program.
    #[error("{0}")]
    Defect(&'static str),
}

impl ServiceError {
    /// A refusal.
    pub fn refuse(code: FaultCode, message: impl Into<String>) -> Self {
        Self::Refused(Fault::new(code, message))
    }

    /// What the client is told. Logs what it is not told: call this once, at the boundary.
    pub fn into_fault(self) -> Fault {
        match self {
            Self::Refused(fault) => fault,
            Self::Store(StoreError::Unavailable(reason)) => {
                tracing::error!(%reason, "the database is not available");
                Fault {
                    code: FaultCode::Unavailable,
                    message: "the server cannot reach its database; try again".into(),
                    retry_after: Some(1),
                }
            }
            Self::Store(StoreError::ReadOnly(reason)) => {
                tracing::error!(%reason, "the database takes no writes");
                Fault {
                    code: FaultCode::Unavailable,
                    message: "the server cannot write to its database; try again".into(),
                    retry_after: Some(1),
                }
            }
            Self::Store(StoreError::Busy) => {
                // The store has said it once, and counts.
                tracing::debug!("refused: all connections to the database are in use");
                Fault {
                    code: FaultCode::Unavailable,
                    message: "the server has too much to do; try again".into(),
                    retry_after: Some(1),
                }
            }
            other => {
                tracing::error!(error = &other as &dyn std::error::Error, "a request failed");
                Fault::new(FaultCode::Internal, "the server failed; its log says why")
            }
        }
    }
}
