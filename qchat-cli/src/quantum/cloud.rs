//! Jobs on IBM's quantum computers: which device takes one, what it may cost, and how it is written for that device.

use qchat_quantum::{
    backend::Replay,
    ibm::{
        Availability, Client, Config, Device, Expected, IbmError, JobId, JobState, Listed, Pace, Place,
        Program, Raw, Submission, Tag,
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

/// How a job is at the service.
#[derive(Clone, PartialEq, Debug)]
pub struct Glance {
    /// How far it is.
    pub state: JobState,
    /// Where it waits, if it does.
    pub place: Place,
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
            return Err(IbmError::Simulator(simulator.name.clone()).into());
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
        let device = Device::open(&self.client, &job.backend, self.program).await?;
        let (circuits, shots) = task(job)?.circuits(device.qubits())?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds")]
        let most = Self::most(job.seconds) as u32;
        Ok(device.at_most(most).submission(&circuits, shots, tag(job)?)?)
    }

    /// Submits it, unless it was submitted before.
    pub(super) async fn submit(&self, submission: &Submission) -> Result<JobId, IbmError> {
        submit_once(&self.client, submission).await
    }

    /// Whether the service has the job already, of which it is not known.
    pub(super) async fn find(&self, job: &Job) -> Result<Option<JobId>, QuantumError> {
        Ok(self.client.find(&tag(job)?).await?)
    }

    /// Waits for the end of a job that was submitted; `seen` hears of each look at it.
    pub(super) async fn wait(
        &self,
        remote: &str,
        mut seen: impl FnMut(&JobState),
    ) -> Result<End, QuantumError> {
        let id: JobId = remote.parse()?;
        let ended = poll::wait(&self.client, &id, &Pace::POLLING, |progress| match progress {
            Progress::Job(job) => seen(&job.state),
            Progress::Trouble(error) => tracing::info!(%error, "the job will be looked at again"),
        });
        let job = ended.await?;
        match job.state {
            JobState::Cancelled { reason } => return Ok(End::Cancelled(reason, job.charged_seconds)),
            failed @ JobState::Failed { .. } => {
                let reason = format!("IBM Quantum says that it {failed}");
                return Ok(End::Failed(reason, job.charged_seconds));
            }
            _ => {}
        }
        // They may come a little later than the end.
        let mut looks = 0;
        loop {
            let gone = match self.client.raw_results(&id).await {
                Ok(Some(raw)) => return Ok(End::Results(raw, job.charged_seconds)),
                Ok(None) => None,
                // It has ended, and is paid for.
                Err(error @ IbmError::NotFound { .. }) => Some(error),
                Err(error) => return Err(error.into()),
            };
            looks += 1;
            if let (Some(error), true) = (gone, looks > 60) {
                return Err(error.into());
            }
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

    /// The results of a job that was done, as the service has them still.
    ///
    /// # Errors
    /// When it has none, or is not asked by the job's account; what it says.
    pub async fn results(&self, job: &Job) -> Result<Raw, QuantumError> {
        let remote = self.remote(job)?;
        self.client.raw_results(&remote).await?.ok_or_else(|| {
            QuantumError::NotFound("IBM Quantum has no results of this job any more".to_owned())
        })
    }

    /// How a job is that the service has: asked once, and not waited for. Nothing is kept of it.
    ///
    /// # Errors
    /// When it is not this account's; what the service says.
    pub async fn glance(&self, job: &Job) -> Result<Glance, QuantumError> {
        let remote = self.remote(job)?;
        let state = self.client.look(&remote).await?.state;
        let place = match state {
            // It need not say where, and a service that does not is no reason to say nothing.
            JobState::Queued { position: None } => self.client.place(&remote).await.unwrap_or_default(),
            JobState::Queued { position } => Place { position, starts: None },
            _ => Place::default(),
        };
        Ok(Glance { state, place })
    }

    /// The id that the service knows a job of this account by.
    fn remote(&self, job: &Job) -> Result<JobId, QuantumError> {
        super::jobs::of_this_account(job, self)?;
        Ok(job.remote.as_deref().ok_or(QuantumError::Malformed("remote id"))?.parse()?)
    }

    /// The seconds that a job which has ended was charged, where the service says so.
    pub(super) async fn charged(&self, remote: &str) -> Result<Option<f64>, QuantumError> {
        let job = self.client.job(&remote.parse()?).await?;
        Ok(job.charged_seconds.filter(|_| job.state.is_final()))
    }
}

/// What a device has measured for a job that was done, to be looked at again.
///
/// # Errors
/// When no device has measured it.
pub fn replay(job: &Job, results: Raw) -> Result<Replay, QuantumError> {
    Ok(Replay::new(&job.backend, results, expected(job)?))
}

/// How many bits the circuits of a job on a device have read, or read: none before it was submitted.
pub fn width(job: &Job) -> Option<usize> {
    expected(job).ok()?.bits.first().copied()
}

fn expected(job: &Job) -> Result<Expected, QuantumError> {
    let expected =
        job.expected.as_deref().and_then(|expected| serde_json::from_str::<Expected>(expected).ok());
    expected.ok_or(QuantumError::Malformed("expectation"))
}

/// What a device has measured for a job, out of what the service said.
pub(super) fn read(job: &Job, raw: &[u8]) -> Result<Vec<Samples>, QuantumError> {
    Ok(Raw::new(zeroize::Zeroizing::new(raw.to_vec())).read(&expected(job)?)?)
}

fn tag(job: &Job) -> Result<Tag, QuantumError> {
    Ok(job.tag.parse()?)
}
