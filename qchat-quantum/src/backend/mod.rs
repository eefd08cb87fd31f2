//! What circuits run on: the simulators of this machine ([`Local`]), a device of IBM's ([`crate::ibm::Device`]), or what one has
//! measured before ([`Replay`]). Each says where its bits come from, so that whoever uses them cannot mistake one for another.

mod local;
mod replay;

use std::future::Future;

pub use self::{local::Local, replay::Replay};
use crate::{
    circuit::{Circuit, lower::LowerError},
    ibm::IbmError,
    simulator::{Samples, SimulatorError},
};

/// Something that gives samples for circuits.
pub trait Backend {
    /// Its name, as reports show it.
    fn name(&self) -> &str;

    /// Where its bits come from.
    fn origin(&self) -> Origin;

    /// Runs each circuit so many times; gives the samples of each, in order.
    ///
    /// It either all comes or nothing does, and what an interrupted run has cost is lost: who has to go on after a crash takes the
    /// steps of [`crate::ibm`] one by one, and keeps what each gave.
    ///
    /// # Errors
    /// [`BackendError`].
    fn run(
        &self,
        circuits: &[Circuit],
        shots: usize,
    ) -> impl Future<Output = Result<Vec<Samples>, BackendError>> + Send;
}

/// Where bits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A quantum computer measures them.
    Device,
    /// This machine computes them.
    Simulator,
    /// They were measured before, and whoever kept them says so.
    Recording,
}

impl Origin {
    /// Whether bits of it may be called quantum, and go into a key as such. Those of a recording were used before.
    pub fn is_quantum(self) -> bool {
        self == Self::Device
    }
}

/// A backend gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The circuit cannot be simulated.
    #[error(transparent)]
    Simulator(#[from] SimulatorError),
    /// The device, or the one that is imitated, cannot run the circuit.
    #[error("{backend} cannot run it: {source}")]
    Lower {
        /// Which.
        backend: String,
        /// Why not.
        source: LowerError,
    },
    /// IBM Quantum, or what it has said before.
    #[error(transparent)]
    Ibm(#[from] IbmError),
    /// What was recorded is of other circuits.
    #[error("the recording is of {recorded}, and {asked} were asked for")]
    Other {
        /// What was recorded.
        recorded: String,
        /// What was to run.
        asked: String,
    },
    /// No randomness.
    #[error("the operating system gave no random bytes")]
    Entropy,
}
