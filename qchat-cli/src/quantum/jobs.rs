//! Jobs from the first line in the database to their end.

use std::time::Duration;

use qchat_proto::crypto::entropy::SystemEntropy;
use qchat_quantum::{
    backend::{Backend as _, Origin},
    ibm::{IbmError, JobState, Raw},
};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    quantum::{
        cloud::{self, Cloud, End},
        error::QuantumError,
        local,
        outcome::{self, Source},
        task::Task,
    },
    store::quantum::{Health, Job, JobId, NewJob, QuantumStore, State},
};

/// The states of a job of which something may come.
const OPEN: [State; 5] = [State::Prepared, State::Submitting, State::Queued, State::Running, State::Measured];

/// How long one waits for another process that tells a provider of a job: as long as that may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// For so long one looks for a job that the provider may have, whose list need not have a new one at once.
const LOOKING: Duration = Duration::from_secs(10);
/// For so long after a provider may have been told of a job, that it does not show it says nothing, milliseconds: how late a list may
/// be is nowhere promised, and a job that is told of twice is paid for twice.
const LATE_MS: u64 = 15 * 60_000;
/// Jobs that the provider takes in a minute.
const MOST: i64 = 5;
const MINUTE_MS: i64 = 60_000;

/// The jobs of a profile; clones are the same.
#[derive(Clone, Debug)]
pub struct Jobs {
    store: QuantumStore,
}

/// A step of a job that one waits for.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// The job as it is.
    pub job: Job,
    /// How many stand before it in the queue of its device, where the service says so.
    pub before: Option<u64>,
}

impl Step {
    fn of(job: Job) -> Self {
        Self { job, before: None }
    }
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
    pub async fn prepare(
        &self,
        task: &Task,
        backend: &str,
        seconds: f64,
        may_fall_back: bool,
    ) -> Result<Job, QuantumError> {
        let ((text, device), id, backend) =
            (written(task)?, JobId::random(&SystemEntropy)?, backend.to_owned());
        let add = move |store: &QuantumStore| {
            let (task, backend, device) = (&*text, &*backend, device.as_deref());
            store.add_job(id, &NewJob { task, backend, seconds, may_fall_back, device, fallback: None })
        };
        Ok(self.store.with(add).await?)
    }

    /// Writes a job down that the simulator does in the place of what was asked for, and why.
    ///
    /// # Errors
    /// What the database says.
    pub async fn prepare_instead(&self, task: &Task, asked: &str, why: &str) -> Result<Job, QuantumError> {
        let ((text, device), id) = (written(task)?, JobId::random(&SystemEntropy)?);
        let (asked, why) = (asked.to_owned(), why.to_owned());
        let add = move |store: &QuantumStore| {
            let (task, device, fallback) = (&*text, device.as_deref(), Some((&*asked, &*why)));
            store.add_job(id, &NewJob { task, backend: local::NAME, fallback, device, ..NewJob::default() })
        };
        Ok(self.store.with(add).await?)
    }

    /// A job of this machine's simulator that has done the same, by the same version of the program: what came of it would come of
    /// it again. Nothing where random bits are to go into the pool, each of which is used once.
    ///
    /// # Errors
    /// What the database says.
    pub async fn done_before(&self, task: &Task) -> Result<Option<Job>, QuantumError> {
        if !task.is_reproducible() {
            return Ok(None);
        }
        let (text, _) = written(task)?;
        let done = self.store.with(move |store| store.done(&text, local::NAME)).await?;
        let by_this = |job: &Job| {
            let report: Option<serde_json::Value> =
                job.report.as_deref().and_then(|report| serde_json::from_str(report).ok());
            report.is_some_and(|report| report["program"] == outcome::PROGRAM)
        };
        Ok(done.into_iter().find(by_this))
    }

    /// The only job whose id begins so.
    ///
    /// # Errors
    /// [`QuantumError::NotFound`] when there is none, or several.
    pub async fn find(&self, start: &str) -> Result<Job, QuantumError> {
        let wanted = start.to_ascii_lowercase();
        if wanted.is_empty() {
            return Err(QuantumError::NotFound(
                "no job is named; `qchat quantum jobs` shows their ids".to_owned(),
            ));
        }
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

    /// Brings a job to its end, from wherever it is. `tell` hears of each step. What is measured elsewhere needs the way there.
    ///
    /// # Errors
    /// Why it gave nothing; the job says so too, unless it can be taken up again.
    pub async fn drive(
        &self,
        id: JobId,
        cloud: Option<&Cloud>,
        tell: &(dyn Fn(&Step) + Sync),
    ) -> Result<Job, QuantumError> {
        let mut job = self.store.with(move |store| store.job(id)).await?;
        loop {
            tell(&Step::of(job.clone()));
            job = match job.state {
                State::Done => return Ok(job),
                State::Failed | State::Cancelled => return Err(QuantumError::Over(over(&job))),
                State::Measured => self.finish(&job).await?,
                _ if job.backend == local::NAME => self.simulate(&job).await?,
                State::Prepared | State::Submitting => self.submit(&job, way(cloud)?).await?,
                State::Queued | State::Running => self.wait(&job, way(cloud)?, tell).await?,
            };
        }
    }

    /// Tells the provider of a job and keeps its id there. One process at a time does.
    ///
    /// # Errors
    /// When it is not known whether it was told, or it could not be and the job may be taken up again.
    pub async fn submit(&self, job: &Job, cloud: &Cloud) -> Result<Job, QuantumError> {
        let _lock = self.store.lock(PATIENCE).await?;
        let id = job.id;
        // Another process may have had the lock.
        let job = self.store.with(move |store| store.job(id)).await?;
        match job.state {
            State::Prepared => {}
            State::Submitting => {
                of_this_account(&job, cloud)?;
                if let Some(remote) = self.look_for(&job, cloud).await? {
                    return self.told(id, &remote).await;
                }
                self.known(&job, "submits it").await?;
            }
            _ => return Ok(job),
        }
        let submitted = async {
            let submission = cloud.write(&job).await?;
            let expected = serde_json::to_string(&submission.expected())
                .map_err(|_| QuantumError::Malformed("expectation"))?;
            self.await_turn().await?;
            // Before a byte leaves: whatever happens then, the job is looked for by its tag.
            let (month, budget, most) = (month_began(), cloud.budget(), Cloud::most(job.seconds));
            let account = cloud.account().to_owned();
            let within = move |store: &QuantumStore| {
                store.submitting(id, (&expected, &account), most, (month, budget))
            };
            if !self.store.with(within).await? {
                return Err(QuantumError::Refused(format!(
                    "the job may take {most:.0} s, and the budget of {budget:.0} s of this month has fewer left; --ibm-budget raises it"
                )));
            }
            Ok(cloud.submit(&submission).await?)
        };
        match submitted.await {
            Ok(remote) => self.told(id, remote.as_str()).await,
            // The provider may have it, and charge for it.
            Err(error @ QuantumError::Ibm(IbmError::OutcomeUnknown { .. })) => Err(error),
            Err(error) => {
                // It does not.
                let now = self.store.with(move |store| store.unsubmitted(id)).await?;
                self.without(&now, error).await
            }
        }
    }

    /// Whether the provider has a job of which it was told, or not, before this process came. While that is not certain nobody
    /// may tell it again: see [`Self::known`]. Whoever told it had the lock that this process has now.
    async fn look_for(&self, job: &Job, cloud: &Cloud) -> Result<Option<String>, QuantumError> {
        let until = Instant::now() + LOOKING;
        loop {
            let last = Instant::now() >= until;
            match cloud.find(job).await? {
                Some(remote) => return Ok(Some(remote.as_str().to_owned())),
                None if last => return Ok(None),
                None => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// Sees to it that what a provider does not show is what it does not have: from then on the next program `does` something.
    async fn known(&self, job: &Job, does: &str) -> Result<(), QuantumError> {
        let Some(submitted) = job.submitted_ms else { return Ok(()) };
        let (id, now) = (job.id, moment_ms());
        if submitted > now {
            // Nobody knows for how long.
            self.store.with(move |store| store.submitted_by_now(id)).await?;
        }
        let age = u64::try_from(now.saturating_sub(submitted)).unwrap_or(0);
        let late = LATE_MS.saturating_sub(age);
        if late == 0 {
            return Ok(());
        }
        let id = &id.to_string()[..8];
        Err(QuantumError::NotYet(format!(
            "it is not known yet whether IBM Quantum has job {id}, which may be shown late, and is paid for twice if it is submitted \
             twice; `qchat quantum resume {id}` looks again, and from in {} min on {does}",
            late.div_ceil(60_000)
        )))
    }

    /// Waits until the provider may be told of one more job: it refuses more than so many a minute, of all programs together.
    async fn await_turn(&self) -> Result<(), QuantumError> {
        loop {
            let now = moment_ms();
            let turn = self.store.with(move |store| store.next_turn(now, MOST, MINUTE_MS)).await?;
            match u64::try_from(turn - now) {
                Ok(ms) if ms > 0 => tokio::time::sleep(Duration::from_millis(ms)).await,
                _ => return Ok(()),
            }
        }
    }

    /// Keeps the provider's id of a job.
    async fn told(&self, id: JobId, remote: &str) -> Result<Job, QuantumError> {
        let remote = remote.to_owned();
        let queued = move |store: &QuantumStore| {
            store.advance(id, &[State::Submitting], State::Queued, Some(&remote), None)
        };
        Ok(self.store.with(queued).await?)
    }

    /// Lets the simulator do a job that was never submitted.
    ///
    /// # Errors
    /// What the database says.
    pub async fn fall_back(&self, job: &Job, why: String) -> Result<Job, QuantumError> {
        let job = job.clone();
        Ok(self.store.with(move |store| store.fall_back(&job, local::NAME, &why)).await?)
    }

    /// Waits for the provider, and keeps what was measured before anybody is told.
    async fn wait(
        &self,
        job: &Job,
        cloud: &Cloud,
        tell: &(dyn Fn(&Step) + Sync),
    ) -> Result<Job, QuantumError> {
        let id = job.id;
        let remote = job.remote.as_deref().ok_or(QuantumError::Malformed("remote id"))?;
        of_this_account(job, cloud)?;
        let mut noted = job.state == State::Running;
        let seen = |state: &JobState| {
            if let JobState::Queued { position } = state {
                tell(&Step { job: job.clone(), before: *position });
            }
            if *state != JobState::Running {
                return;
            }
            tell(&Step::of(Job { state: State::Running, ..job.clone() }));
            if !std::mem::replace(&mut noted, true) {
                let store = self.store.clone();
                // Whoever asks meanwhile sees it; that nobody does is no reason to wait.
                drop(tokio::spawn(async move {
                    let from = [State::Queued];
                    store.with(move |store| store.advance(id, &from, State::Running, None, None)).await
                }));
            }
        };
        let ended = match cloud.wait(remote, seen).await {
            // Gone from the account that it was told by, unless it is too new to be there.
            Err(error @ QuantumError::Ibm(IbmError::NotFound { .. })) => {
                self.known(job, "takes it for lost").await?;
                let now = self.store.with(move |store| store.job(id)).await?;
                return self.without(&now, error).await;
            }
            // It is there still, and paid for: whatever was answered, whoever asks later may be told better.
            ended => ended?,
        };
        match ended {
            End::Results(raw, seconds) => {
                // One that cannot be read is asked for again.
                if let Err(error @ QuantumError::Ibm(_)) = cloud::read(job, raw.text()) {
                    return Err(error);
                }
                let job = job.clone();
                Ok(self.store.with(move |store| store.measured(&job, raw.text(), seconds)).await?)
            }
            End::Cancelled(reason, seconds) => {
                let reason = Some(reason).filter(|reason| !reason.is_empty());
                if job.may_fall_back {
                    let why = reason.unwrap_or_else(|| "no reason is given".to_owned());
                    let why = QuantumError::Over(format!("IBM Quantum has cancelled it: {why}"));
                    return self.ended(id, seconds, why).await;
                }
                let over = move |store: &QuantumStore| {
                    seconds.map_or(Ok(()), |seconds| store.charge(id, seconds))?;
                    store.advance(id, &OPEN, State::Cancelled, None, reason.as_deref())
                };
                Ok(self.store.with(over).await?)
            }
            End::Failed(reason, seconds) => self.ended(id, seconds, QuantumError::Over(reason)).await,
        }
    }

    /// A job has ended at its provider without results, and was charged so much.
    async fn ended(&self, id: JobId, seconds: Option<f64>, why: QuantumError) -> Result<Job, QuantumError> {
        let now = self.store.with(move |store| {
            seconds.map_or(Ok(()), |seconds| store.charge(id, seconds))?;
            store.job(id)
        });
        self.without(&now.await?, why).await
    }

    /// What becomes of a job that its backend does not do: the simulator takes it where it may, and it has failed otherwise. What
    /// may be different later is left as it is, and so is a job that another process has brought further.
    async fn without(&self, job: &Job, error: QuantumError) -> Result<Job, QuantumError> {
        let why = error.to_string();
        match error {
            QuantumError::Store(_) => Err(error),
            QuantumError::Ibm(error) if is_of_account(&error) => Err(error.into()),
            _ if job.may_fall_back => self.fall_back(job, why).await,
            QuantumError::Ibm(error) if error.is_passing() => Err(error.into()),
            _ => {
                let (id, from) = (job.id, job.state);
                let failed =
                    move |store: &QuantumStore| store.advance(id, &[from], State::Failed, None, Some(&why));
                Ok(self.store.with(failed).await?)
            }
        }
    }

    /// Runs it on this machine.
    async fn simulate(&self, job: &Job) -> Result<Job, QuantumError> {
        let (store, job) = (self.store.clone(), job.clone());
        blocking(move || {
            let mut task = task(&job)?;
            if let Some(digest) = task.stored() {
                let device = store.device(&digest)?;
                task = task.with(device.ok_or(QuantumError::Malformed("device"))?);
            }
            let measured = local::run(&task).and_then(|samples| outcome::encode(&samples));
            Ok(match measured {
                Ok(measured) => store.measured(&job, &measured, None)?,
                Err(error) => fail(&store, &job, &task, &error)?,
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
            let samples = if job.backend == local::NAME {
                outcome::decode(&measured)
            } else {
                cloud::read(&job, &measured)
            };
            let made = samples.and_then(|samples| outcome::of(&task, &source(&job), &samples));
            let made = match made {
                Ok(made) => made,
                // A newer version may read it: it is paid for, and kept.
                Err(error @ QuantumError::Ibm(IbmError::Protocol(_))) => return Err(error),
                // What a device has measured may be fit for nothing; it is told why, and the simulator takes it.
                Err(error) if job.may_fall_back && job.backend != local::NAME => {
                    return Ok(store.fall_back(&job, local::NAME, &error.to_string())?);
                }
                Err(error) => return fail(&store, &job, &task, &error),
            };
            let report = |added| outcome::kept(&made.report, added * 8);
            let ended = store.finish(&job, made.quantum, &made.bytes, report)?;
            if let (Some(_), Some(chsh)) = (ended, made.chsh) {
                store.note_health(&Health {
                    backend: job.backend.clone(),
                    measured_ms: job.changed_ms,
                    available: true,
                    chsh: Some(chsh),
                    readout_error: None,
                    gate_error: None,
                })?;
            }
            Ok(store.job(job.id)?)
        })
        .await
    }

    /// Ends a job that is not over, at the provider first.
    ///
    /// # Errors
    /// [`QuantumError::Over`] when it is; why the provider was not told.
    pub async fn cancel(&self, job: &Job, cloud: Option<&Cloud>) -> Result<Job, QuantumError> {
        // Nobody is telling the provider of it meanwhile.
        let _lock = self.store.lock(PATIENCE).await?;
        let id = job.id;
        let job = self.store.with(move |store| store.job(id)).await?;
        if job.state.is_over() {
            return Err(QuantumError::Over(over(&job)));
        }
        if job.backend != local::NAME
            && matches!(job.state, State::Submitting | State::Queued | State::Running)
        {
            let cloud = way(cloud)?;
            of_this_account(&job, cloud)?;
            let remote = match &job.remote {
                Some(remote) => Some(remote.clone()),
                None => self.look_for(&job, cloud).await?,
            };
            if remote.is_none() {
                self.known(&job, "submits it, and `qchat quantum cancel` ends it here").await?;
            }
            if let Some(remote) = remote {
                if !cloud.cancel(&remote).await? {
                    return Err(QuantumError::Over(format!(
                        "IBM Quantum has ended job {0} already, and what it took is paid for; `qchat quantum resume {0}` gets what \
                         came of it",
                        &id.to_string()[..8]
                    )));
                }
                if let Ok(Some(seconds)) = cloud.charged(&remote).await {
                    self.store.with(move |store| store.charge(id, seconds)).await?;
                }
            }
        }
        Ok(self.store.with(move |store| store.advance(id, &OPEN, State::Cancelled, None, None)).await?)
    }
}

/// Whether it is the account that is not accepted, which says nothing of the job.
fn is_of_account(error: &IbmError) -> bool {
    matches!(error, IbmError::Key(_) | IbmError::Unauthorized(_) | IbmError::Forbidden(_))
}

/// Another account would say that there is no such job, and the next step be to tell of it once more.
pub(super) fn of_this_account(job: &Job, cloud: &Cloud) -> Result<(), QuantumError> {
    match &job.account {
        Some(account) if account != cloud.account() => Err(QuantumError::Refused(format!(
            "job {} was given to {account}, and the account that is configured is {}: say the --ibm-crn and --ibm-url of the job",
            &job.id.to_string()[..8],
            cloud.account()
        ))),
        _ => Ok(()),
    }
}

/// The host of the service that has a job, where it is not IBM's own.
fn service(job: &Job) -> Option<String> {
    let (_, url) = job.account.as_deref()?.split_once(" at ")?;
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?;
    (!host.ends_with(".ibm.com")).then(|| host.to_owned())
}

/// What measures a job.
fn source(job: &Job) -> Source<'_> {
    if job.backend == local::NAME {
        return Source::LOCAL;
    }
    Source { backend: &job.backend, origin: Origin::Device, service: service(job) }
}

/// A task as it is stored, and the description of a device that is stored beside it.
fn written(task: &Task) -> Result<(String, Option<String>), QuantumError> {
    let (task, device) = task.apart();
    Ok((serde_json::to_string(&task).map_err(|_| QuantumError::Malformed("task"))?, device))
}

/// Makes a report again of what a device has measured for a job, which is done or not. Nothing changes by it: no bit goes into the
/// pool, and the job stays as it is.
///
/// # Errors
/// When the results are not those of the job, or fit for nothing.
pub async fn replay(job: &Job, results: Raw) -> Result<String, QuantumError> {
    let task = task(job)?;
    let replay = cloud::replay(job, results)?;
    let (circuits, shots) = task.circuits(task.qubits_for(replay.width()))?;
    let samples = replay.run(&circuits, shots).await?;
    blocking(move || {
        let source = Source { backend: replay.name(), origin: replay.origin(), service: None };
        Ok(outcome::of(&task, &source, &samples)?.report)
    })
    .await
}

fn way(cloud: Option<&Cloud>) -> Result<&Cloud, QuantumError> {
    cloud.ok_or_else(|| {
        QuantumError::Refused(
            "the job is IBM Quantum's, and no account there is configured: say --ibm-crn and --ibm-key-file"
                .to_owned(),
        )
    })
}

/// When this calendar month began in UTC, in milliseconds since the Unix epoch.
pub fn month_began() -> i64 {
    let now = OffsetDateTime::now_utc();
    let first = now.replace_day(1).map_or(now, |first| first.replace_time(time::Time::MIDNIGHT));
    first.unix_timestamp().saturating_mul(1000)
}

/// Now, in milliseconds since the Unix epoch.
fn moment_ms() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// What is to be done.
///
/// # Errors
/// [`QuantumError::Malformed`].
pub fn task(job: &Job) -> Result<Task, QuantumError> {
    serde_json::from_str(&job.task).map_err(|_| QuantumError::Malformed("task"))
}

/// What kind of job it is; nothing where another version has written it, which is no reason not to list it.
pub fn kind(job: &Job) -> &'static str {
    task(job).map_or("?", |task| task.kind())
}

fn fail(store: &QuantumStore, job: &Job, task: &Task, error: &QuantumError) -> Result<Job, QuantumError> {
    let mut why = error.to_string();
    if matches!(task, Task::Qrng(_)) {
        why.push_str("; keys are made of the operating system's randomness alone");
    }
    Ok(store.advance(job.id, &OPEN, State::Failed, None, Some(&why))?)
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
