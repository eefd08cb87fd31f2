//! Jobs on IBM's quantum computers: which device takes one, what it may cost, and how it is written for that device.

use qchat_quantum::{
    circuit::lower::LowerError,
    ibm::{
        Availability, Client, Config, Expected, IbmError, JobId, JobState, Listed, Pace, Program, Raw,
        Submission, Tag, Written,
        poll::{self, Progress},
        submit_once,
    },
    simulator::Samples,
};

use super::{error::QuantumError, jobs::task};
use crate::store::quantum::Job;

/// Seconds that each execution of a circuit takes, with what IBM adds between two: 4,000 a second at its default rate.
const EXECUTION: f64 = 250e-6;
/// Seconds that a job takes beside.
const OVERHEAD: f64 = 2.0;

/// A way to IBM Quantum; clones are the same.
#[derive(Clone, Debug)]
pub struct Cloud {
    client: std::sync::Arc<Client>,
    program: Program,
    /// Seconds that jobs may take in a calendar month.
    budget: f64,
    /// Whose jobs they are, and where.
    account: String,
}

/// How a job on a device ended.
pub(super) enum End {
    /// With what the service said of its results, and the seconds that it was charged.
    Results(Raw, Option<f64>),
    /// Without.
    Cancelled(String, Option<f64>),
    /// With a failure.
    Failed(String, Option<f64>),
}

impl Cloud {
    /// A way that nothing has gone yet.
    ///
    /// # Errors
    /// When the addresses or the instance's name make no sense.
    pub fn new(config: Config, program: Program, budget: u32) -> Result<Self, IbmError> {
        let account = format!("{} at {}", config.crn, config.api_url);
        Ok(Self {
            client: std::sync::Arc::new(Client::new(config)?),
            program,
            budget: budget.into(),
            account,
        })
    }

    /// Seconds of quantum computers that jobs may take in a calendar month.
    pub fn budget(&self) -> f64 {
        self.budget
    }

    /// The instance that jobs are told by, and the service's address: no other account knows them.
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The quantum computer with the shortest queue, or the one of this name.
    ///
    /// # Errors
    /// [`QuantumError::NotFound`] when there is none; why nobody knows.
    pub async fn device(&self, name: Option<&str>) -> Result<Listed, QuantumError> {
        let listed = self.client.backends().await?;
        let mut fit: Vec<Listed> = listed
            .into_iter()
            .filter(|one| match name {
                Some(name) => one.name == name,
                None => one.availability == Availability::Online && !one.simulator,
            })
            .collect();
        if let Some(simulator) = fit.iter().find(|one| one.simulator) {
            return Err(no_computer(&simulator.name));
        }
        fit.sort_by_key(|one| one.queue);
        fit.into_iter().next().ok_or_else(|| {
            QuantumError::NotFound(match name {
                Some(name) => {
                    format!("IBM Quantum has no backend {name:?}; `qchat quantum backends` lists them")
                }
                None => "no quantum computer of IBM's takes jobs now; `qchat quantum backends` says why"
                    .to_owned(),
            })
        })
    }

    /// Seconds of a device that so many runs of circuits are believed to take.
    pub fn estimate(runs: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a number of runs")]
        let runs = runs as f64;
        OVERHEAD + runs * EXECUTION
    }

    /// The most seconds that a job may be charged which is believed to take so many: far above, so that none but one that hangs is
    /// ended by it.
    pub fn most(seconds: f64) -> f64 {
        (seconds * 4.0).ceil().clamp(10.0, 10_800.0)
    }

    /// The job as its device takes it.
    pub(super) async fn write(&self, job: &Job) -> Result<Submission, QuantumError> {
        let configuration = self.client.configuration(&job.backend).await?;
        if configuration.simulator {
            return Err(no_computer(&job.backend));
        }
        let target = configuration.target(&self.client.properties(&job.backend).await?)?;
        let (circuits, shots) = task(job)?.circuits(target.readout_errors.len())?;
        let lower = |source: LowerError| QuantumError::Lower { backend: job.backend.clone(), source };
        let mut written = Vec::with_capacity(circuits.len());
        for circuit in &circuits {
            written.push(Written::new(&circuit.lower(&target).map_err(lower)?)?);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds")]
        let cost = Self::most(job.seconds) as u32;
        Ok(Submission {
            backend: job.backend.clone(),
            circuits: written,
            shots: u32::try_from(shots).map_err(|_| QuantumError::Malformed("number of shots"))?,
            tag: tag(job)?,
            program: self.program,
            cost: Some(cost),
            // Results that can be read once would be lost, and paid for, with a program that dies while they are on their way.
            // The service has seen them anyway, and they are no secret of anybody's.
            private: false,
        })
    }

    /// Submits it, unless it was submitted before.
    pub(super) async fn submit(&self, submission: &Submission) -> Result<JobId, IbmError> {
        submit_once(&self.client, submission).await
    }

    /// Whether the service has the job already, of which it is not known.
    pub(super) async fn find(&self, job: &Job) -> Result<Option<JobId>, QuantumError> {
        Ok(self.client.find(&tag(job)?).await?)
    }

    /// Waits for the end of a job that was submitted; `runs` hears when it runs.
    pub(super) async fn wait(&self, remote: &str, mut runs: impl FnMut()) -> Result<End, QuantumError> {
        let id: JobId = remote.parse()?;
        let ended = poll::wait(&self.client, &id, &Pace::POLLING, |progress| match progress {
            Progress::Job(job) if job.state == JobState::Running => runs(),
            Progress::Job(_) => {}
            Progress::Trouble(error) => tracing::info!(%error, "the job will be looked at again"),
        });
        let job = ended.await?;
        match job.state {
            JobState::Cancelled { reason } => return Ok(End::Cancelled(reason, job.charged_seconds)),
            JobState::Failed { code, reason } => {
                let code = code.map(|code| format!(" (code {code})")).unwrap_or_default();
                let reason = format!("IBM Quantum says that it failed{code}: {reason}");
                return Ok(End::Failed(reason, job.charged_seconds));
            }
            _ => {}
        }
        // They may come a little later than the end.
        let mut looks = 0;
        loop {
            if let Some(raw) = self.client.raw_results(&id).await? {
                return Ok(End::Results(raw, job.charged_seconds));
            }
            looks += 1;
            if looks > 60 {
                return Err(QuantumError::Over(
                    "IBM Quantum has ended the job and shows no results; `qchat quantum resume` asks again"
                        .to_owned(),
                ));
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }

    /// Asks the service to end a job; whether it has, and not the job by itself before that.
    pub(super) async fn cancel(&self, remote: &str) -> Result<bool, QuantumError> {
        match self.client.cancel(&remote.parse()?).await {
            Ok(()) => Ok(true),
            Err(IbmError::Final(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The seconds that a job which has ended was charged, where the service says so.
    pub(super) async fn charged(&self, remote: &str) -> Result<Option<f64>, QuantumError> {
        let job = self.client.job(&remote.parse()?).await?;
        Ok(job.charged_seconds.filter(|_| job.state.is_final()))
    }
}

/// What a device has measured for a job, out of what the service said.
pub(super) fn read(job: &Job, raw: &[u8]) -> Result<Vec<Samples>, QuantumError> {
    let expected =
        job.expected.as_deref().and_then(|expected| serde_json::from_str::<Expected>(expected).ok());
    let expected = expected.ok_or(QuantumError::Malformed("expectation"))?;
    Ok(Raw::new(zeroize::Zeroizing::new(raw.to_vec())).read(&expected)?)
}

fn no_computer(name: &str) -> QuantumError {
    QuantumError::Refused(format!(
        "{name} is a simulator at IBM's, whose bits are no better than this machine's: use --backend local"
    ))
}

fn tag(job: &Job) -> Result<Tag, QuantumError> {
    Ok(job.tag.parse()?)
}
