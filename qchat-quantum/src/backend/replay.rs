//! What a device has measured before, as a backend: reports can be made of it again, by another version of the program or by
//! somebody else, without a second charge. Its bits were used, so that no key may be made of them.

use super::{Backend, BackendError, Origin};
use crate::{
    circuit::Circuit,
    ibm::{Expected, Raw},
    simulator::Samples,
};

/// The results of one job, as the service gave them, and what they must look like.
#[derive(Debug)]
pub struct Replay {
    name: String,
    results: Raw,
    expected: Expected,
}

impl Replay {
    /// The results of a job that ran on a backend of this name.
    pub fn new(backend: &str, results: Raw, expected: Expected) -> Self {
        Self { name: format!("replay of {backend}"), results, expected }
    }

    /// How many bits its first circuit has read; none where there was no circuit.
    pub fn width(&self) -> usize {
        self.expected.bits.first().copied().unwrap_or(0)
    }

    /// What was measured.
    ///
    /// # Errors
    /// [`BackendError::Ibm`] when the results are not those that were expected.
    pub fn samples(&self) -> Result<Vec<Samples>, BackendError> {
        Ok(self.results.read(&self.expected)?)
    }
}

impl Backend for Replay {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> Origin {
        Origin::Recording
    }

    /// # Errors
    /// [`BackendError::Other`] when other circuits, or as many shots of them, were run then.
    async fn run(&self, circuits: &[Circuit], shots: usize) -> Result<Vec<Samples>, BackendError> {
        let bits: Vec<usize> = circuits.iter().map(Circuit::bits).collect();
        if (&bits, shots) != (&self.expected.bits, self.expected.shots) {
            let words = |bits: &[usize], shots: usize| {
                format!("{shots} shots of {} circuits of {} bits", bits.len(), bits.iter().sum::<usize>())
            };
            return Err(BackendError::Other {
                recorded: words(&self.expected.bits, self.expected.shots),
                asked: words(&bits, shots),
            });
        }
        self.samples()
    }
}
