//! Jobs from the first line in the database to their end.

use crate::{
    quantum::{error::QuantumError, local, outcome, task::Task},
    store::quantum::{Job, JobId, QuantumStore, State},
};
use qchat_proto::crypto::entropy::SystemEntropy;

/// The jobs of a profile; clones are the same.
#[derive(Clone, Debug)]
pub struct Jobs {
    store: QuantumStore,
}

impl Jobs {
    /// Those in this database.
    pub fn new(store: QuantumStore) -> Self {
        Self { store }
    }

    /// The database.
    pub fn store(&self) -> &QuantumStore {
        &self.store
    }

    /// Writes a job down, which is to take so many seconds of a quantum computer.
    ///
    /// # Errors
    /// What the database says.
    pub async fn prepare(&self, task: &Task, backend: &str, seconds: f64) -> Result<Job, QuantumError> {
        let text = serde_json::to_string(task).map_err(|_| QuantumError::Malformed("task"))?;
        let id = JobId::random(&SystemEntropy)?;
        let backend = backend.to_owned();
        Ok(self.store.with(move |store| store.add_job(id, &text, &backend, seconds)).await?)
    }

    /// The only job whose id begins so.
    ///
    /// # Errors
    /// [`QuantumError::NotFound`] when there is none, or several.
    pub async fn find(&self, start: &str) -> Result<Job, QuantumError> {
        let wanted = start.to_ascii_lowercase();
        let jobs = self.store.with(QuantumStore::jobs).await?;
        let mut found = jobs.into_iter().filter(|job| job.id.to_string().starts_with(&wanted));
        match (found.next(), found.next()) {
            (Some(job), None) => Ok(job),
            (Some(_), Some(_)) => Err(QuantumError::NotFound(format!(
                "several jobs begin with {start}; say more of the id that `qchat quantum jobs` shows"
            ))),
            (None, _) => Err(QuantumError::NotFound(format!(
                "there is no job {start}; `qchat quantum jobs` shows them"
            ))),
        }
    }

    /// Brings a job to its end, from wherever it is. `tell` hears of each step.
    ///
    /// # Errors
    /// Why it gave nothing; the job says so too, unless it can be taken up again.
    pub async fn drive(&self, id: JobId, tell: &(dyn Fn(&Job) + Sync)) -> Result<Job, QuantumError> {
        let mut job = self.store.with(move |store| store.job(id)).await?;
        loop {
            tell(&job);
            job = match job.state {
                State::Done => return Ok(job),
                State::Failed | State::Cancelled => {
                    return Err(QuantumError::Over(over(&job)));
                }
                State::Measured => self.finish(&job).await?,
                _ if job.backend == local::NAME => self.simulate(&job).await?,
                _ => return Err(QuantumError::Refused(format!("there is no backend {}", job.backend))),
            };
        }
    }

    /// Runs it on this machine.
    async fn simulate(&self, job: &Job) -> Result<Job, QuantumError> {
        let (store, job) = (self.store.clone(), job.clone());
        blocking(move || {
            let task = task(&job)?;
            let measured = local::run(&task).and_then(|samples| outcome::encode(&samples));
            Ok(match measured {
                Ok(measured) => store.measured(job.id, &measured, Some(0.0))?,
                Err(error) => fail(&store, &job, &error)?,
            })
        })
        .await
    }

    /// Makes use of what was measured.
    async fn finish(&self, job: &Job) -> Result<Job, QuantumError> {
        let (store, job) = (self.store.clone(), job.clone());
        blocking(move || {
            let task = task(&job)?;
            // Another process may have done so.
            let Some(measured) = store.measurement(job.id)? else { return Ok(store.job(job.id)?) };
            let made =
                outcome::decode(&measured).and_then(|samples| outcome::of(&task, &job.backend, &samples));
            match made {
                Ok(made) => {
                    store.finish(job.id, &made.report, made.quantum, &made.bytes)?;
                    Ok(store.job(job.id)?)
                }
                Err(error) => Ok(fail(&store, &job, &error)?),
            }
        })
        .await
    }

    /// Ends a job that is not over.
    ///
    /// # Errors
    /// [`QuantumError::Over`] when it is.
    pub async fn cancel(&self, job: &Job) -> Result<Job, QuantumError> {
        const OPEN: [State; 5] =
            [State::Prepared, State::Submitting, State::Queued, State::Running, State::Measured];
        let id = job.id;
        if job.state.is_over() {
            return Err(QuantumError::Over(over(job)));
        }
        Ok(self.store.with(move |store| store.advance(id, &OPEN, State::Cancelled, None, None)).await?)
    }
}

/// What is to be done.
///
/// # Errors
/// [`QuantumError::Malformed`].
pub fn task(job: &Job) -> Result<Task, QuantumError> {
    serde_json::from_str(&job.task).map_err(|_| QuantumError::Malformed("task"))
}

fn fail(store: &QuantumStore, job: &Job, error: &QuantumError) -> Result<Job, QuantumError> {
    let open = [State::Prepared, State::Submitting, State::Queued, State::Running, State::Measured];
    Ok(store.advance(job.id, &open, State::Failed, None, Some(&error.to_string()))?)
}

/// Why nothing more comes of a job.
fn over(job: &Job) -> String {
    let id = &job.id.to_string()[..8];
    match (job.state, &job.reason) {
        (State::Done, _) => format!("job {id} is done; `qchat quantum show {id}` shows what came of it"),
        (State::Cancelled, _) => format!("job {id} was cancelled"),
        (_, Some(reason)) => format!("job {id} has failed: {reason}"),
        (_, None) => format!("job {id} has failed"),
    }
}

/// Runs what takes a thread's time on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QuantumError> + Send + 'static,
) -> Result<T, QuantumError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| QuantumError::Interrupted)?
}
