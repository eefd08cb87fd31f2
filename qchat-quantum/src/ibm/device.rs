//! One device of the service's: what circuits are made of there, how they are submitted, and the whole way from circuits to
//! samples.

use super::{
    Client, IbmError, JobState, Pace, Program, Submission, Tag, Written,
    poll::{self, Progress},
    submit_once,
};
use crate::{
    backend::{Backend, BackendError, Origin},
    circuit::{Circuit, target::Target},
    simulator::Samples,
};

/// How often results are asked for that come later than the end of their job.
const LOOKS: u32 = 60;

/// A device as it is calibrated now.
#[derive(Debug)]
pub struct Device<'a> {
    client: &'a Client,
    name: String,
    target: Target,
    program: Program,
    cost: Option<u32>,
    pace: Pace,
}

impl<'a> Device<'a> {
    /// Asks the service how a device is. Nothing is spent.
    ///
    /// # Errors
    /// [`IbmError`]; [`IbmError::Simulator`] for a backend of the service's that is no quantum computer.
    pub async fn open(client: &'a Client, name: &str, program: Program) -> Result<Self, IbmError> {
        let configuration = client.configuration(name).await?;
        if configuration.simulator {
            return Err(IbmError::Simulator(name.to_owned()));
        }
        let target = configuration.target(&client.properties(name).await?)?;
        Ok(Self { client, name: name.to_owned(), target, program, cost: None, pace: Pace::POLLING })
    }

    /// The same, of which a job may cost so many seconds at most.
    #[must_use]
    pub fn at_most(self, seconds: u32) -> Self {
        Self { cost: Some(seconds), ..self }
    }

    /// The same, looked at as often as this says.
    #[must_use]
    pub fn paced(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// How many qubits it has.
    pub fn qubits(&self) -> usize {
        self.target.readout_errors.len()
    }

    /// A job of these circuits, each of which runs so often, as the device takes it. The service may show its results again:
    /// those that can be read once would be lost, and paid for, with a program that dies while they are on their way.
    ///
    /// # Errors
    /// [`BackendError::Lower`] for circuits that it cannot run.
    pub fn submission(
        &self,
        circuits: &[Circuit],
        shots: usize,
        tag: Tag,
    ) -> Result<Submission, BackendError> {
        let written = |circuit: &Circuit| {
            let lowered = circuit.lower(&self.target);
            let lowered =
                lowered.map_err(|source| BackendError::Lower { backend: self.name.clone(), source })?;
            Ok(Written::new(&lowered)?)
        };
        Ok(Submission {
            backend: self.name.clone(),
            circuits: circuits.iter().map(written).collect::<Result<_, BackendError>>()?,
            shots: u32::try_from(shots).map_err(|_| IbmError::Submission("it has too many shots"))?,
            tag,
            program: self.program,
            cost: self.cost,
            private: false,
        })
    }
}

impl Backend for Device<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> Origin {
        Origin::Device
    }

    async fn run(&self, circuits: &[Circuit], shots: usize) -> Result<Vec<Samples>, BackendError> {
        let submission = self.submission(circuits, shots, Tag::random()?)?;
        let id = submit_once(self.client, &submission).await?;
        let troubled = |progress: Progress<'_>| {
            if let Progress::Trouble(error) = progress {
                tracing::info!(%error, "the job will be looked at again");
            }
        };
        let ended = poll::wait(self.client, &id, &self.pace, troubled).await?;
        if ended.state != JobState::Completed {
            return Err(IbmError::Ended(ended.state.to_string()).into());
        }
        let expected = submission.expected();
        for look in 0..LOOKS {
            if let Some(samples) = self.client.results(&id, &expected).await? {
                return Ok(samples);
            }
            tokio::time::sleep(self.pace.look(look)).await;
        }
        Err(IbmError::Ended("completed, and shows no results".to_owned()).into())
    }
}
