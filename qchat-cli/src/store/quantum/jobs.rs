//! Jobs: what is to be done, how far it has come, and what came of it.

use std::fmt;

use diesel::prelude::*;
use qchat_proto::crypto::entropy::Entropy;
use qchat_quantum::backend::Local;
use zeroize::Zeroizing;

use super::{
    QuantumStore, StoreError, convert, devices, pool as blocks,
    schema::{self, jobs, pool, spent},
};

/// Jobs of a simulator that are over and are kept, the latest: what an older one did can be done again.
const KEPT: i64 = 1_000;

/// A job's id, 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId([u8; 16]);

impl JobId {
    /// A new one.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, StoreError> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, StoreError> {
        convert::array("job", bytes).map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How far a job has come. What is below `Done` can be taken up again by any process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Written down, and nothing more.
    Prepared,
    /// The provider may have been told of it, or not.
    Submitting,
    /// The provider has it.
    Queued,
    /// It runs.
    Running,
    /// What was measured is here, and not made use of.
    Measured,
    /// All is done.
    Done,
    /// It will give nothing.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl State {
    const ALL: [Self; 8] = [
        Self::Prepared,
        Self::Submitting,
        Self::Queued,
        Self::Running,
        Self::Measured,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its name, stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Submitting => "submitting",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Measured => "measured",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will come of it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    fn read(name: &str) -> Result<Self, StoreError> {
        Self::ALL.into_iter().find(|state| state.name() == name).ok_or(StoreError::Corrupt("state of a job"))
    }
}

/// A job that is to be written down.
#[derive(Clone, Copy, Default, Debug)]
pub struct NewJob<'a> {
    /// What is to be done, as JSON.
    pub task: &'a str,
    /// What does it.
    pub backend: &'a str,
    /// Seconds of a quantum computer that it is believed to take.
    pub seconds: f64,
    /// Whether the simulator may do it where the backend does not.
    pub may_fall_back: bool,
    /// What was asked for first and why that does not do it, where that is known already.
    pub fallback: Option<(&'a str, &'a str)>,
    /// The description of a device that the task names by its [digest](super::digest_of).
    pub device: Option<&'a str>,
}

/// A job as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What a provider knows it by before it has given it an id of its own.
    pub tag: String,
    /// What is to be done, as JSON.
    pub task: String,
    /// What does it.
    pub backend: String,
    /// What was asked for first, when this does it in its place, and why.
    pub fallback: Option<(String, String)>,
    /// How far it has come.
    pub state: State,
    /// Whether the simulator may do it where the backend does not.
    pub may_fall_back: bool,
    /// What the provider's results must look like, as JSON.
    pub expected: Option<String>,
    /// The provider's id.
    pub remote: Option<String>,
    /// The account at the provider that it was told by, in words.
    pub account: Option<String>,
    /// What came of it, as JSON.
    pub report: Option<String>,
    /// Why it failed.
    pub reason: Option<String>,
    /// Seconds of a quantum computer that it takes.
    pub seconds: f64,
    /// When the provider was told of it last, or was about to be, in milliseconds since the Unix epoch.
    pub submitted_ms: Option<i64>,
    /// When it was written down.
    pub created_ms: i64,
    /// When it last came further.
    pub changed_ms: i64,
}

type Row = (
    Vec<u8>,
    String,
    String,
    String,
    (Option<String>, Option<String>),
    String,
    (bool, Option<String>),
    (Option<String>, Option<String>),
    Option<String>,
    Option<String>,
    f64,
    (Option<i64>, i64, i64),
);

type Columns = (
    jobs::id,
    jobs::tag,
    jobs::task,
    jobs::backend,
    (jobs::asked, jobs::fallback_reason),
    jobs::state,
    (jobs::may_fall_back, jobs::expected),
    (jobs::remote, jobs::account),
    jobs::report,
    jobs::reason,
    jobs::seconds,
    (jobs::submitted_ms, jobs::created_ms, jobs::changed_ms),
);

const COLUMNS: Columns = (
    jobs::id,
    jobs::tag,
    jobs::task,
    jobs::backend,
    (jobs::asked, jobs::fallback_reason),
    jobs::state,
    (jobs::may_fall_back, jobs::expected),
    (jobs::remote, jobs::account),
    jobs::report,
    jobs::reason,
    jobs::seconds,
    (jobs::submitted_ms, jobs::created_ms, jobs::changed_ms),
);

fn read(row: Row) -> Result<Job, StoreError> {
    let (
        id,
        tag,
        task,
        backend,
        (asked, why),
        state,
        (may_fall_back, expected),
        (remote, account),
        report,
        reason,
        seconds,
        (submitted_ms, created_ms, changed_ms),
    ) = row;
    Ok(Job {
        id: JobId::read(&id)?,
        tag,
        task,
        backend,
        fallback: asked.zip(why),
        state: State::read(&state)?,
        may_fall_back,
        expected,
        remote,
        account,
        report,
        reason,
        seconds,
        submitted_ms,
        created_ms,
        changed_ms,
    })
}

impl QuantumStore {
    /// Writes a new job down.
    ///
    /// # Errors
    /// What the database says.
    pub fn add_job(&self, id: JobId, job: &NewJob) -> Result<Job, StoreError> {
        let now = convert::now_ms();
        let tag = format!("qchat-{id}");
        self.write(|conn| {
            let device = job.device.map(|device| devices::keep(conn, device)).transpose()?;
            diesel::insert_into(jobs::table)
                .values((
                    jobs::id.eq(id.as_bytes()),
                    jobs::tag.eq(&tag),
                    jobs::task.eq(job.task),
                    jobs::backend.eq(job.backend),
                    jobs::state.eq(State::Prepared.name()),
                    jobs::seconds.eq(job.seconds),
                    jobs::may_fall_back.eq(job.may_fall_back),
                    jobs::asked.eq(job.fallback.map(|(asked, _)| asked)),
                    jobs::fallback_reason.eq(job.fallback.map(|(_, why)| why)),
                    jobs::device.eq(device),
                    jobs::created_ms.eq(now),
                    jobs::changed_ms.eq(now),
                ))
                .execute(conn)?;
            find(conn, id)
        })
    }

    /// A job.
    ///
    /// # Errors
    /// What the database says.
    pub fn job(&self, id: JobId) -> Result<Job, StoreError> {
        self.read(|conn| find(conn, id))
    }

    /// The jobs, the latest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        self.read(|conn| {
            let order = (jobs::created_ms.desc(), jobs::id);
            let rows: Vec<Row> = jobs::table.select(COLUMNS).order(order).load(conn)?;
            rows.into_iter().map(read).collect()
        })
    }

    /// The jobs that a backend has done of this task, which was asked for there, the latest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn done(&self, task: &str, backend: &str) -> Result<Vec<Job>, StoreError> {
        self.read(|conn| {
            let rows: Vec<Row> = jobs::table
                .filter(jobs::task.eq(task))
                .filter(jobs::backend.eq(backend))
                .filter(jobs::state.eq(State::Done.name()))
                .filter(jobs::asked.is_null())
                .select(COLUMNS)
                .order((jobs::created_ms.desc(), jobs::id))
                .load(conn)?;
            rows.into_iter().map(read).collect()
        })
    }

    /// Moves a job from one of these states to the next; what it is now. Another process may have moved it first: then
    /// nothing changes.
    ///
    /// # Errors
    /// What the database says.
    pub fn advance(
        &self,
        id: JobId,
        from: &[State],
        to: State,
        remote: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Job, StoreError> {
        let advanced = self.write(|conn| {
            let job = find(conn, id)?;
            if from.contains(&job.state) {
                diesel::update(jobs::table.find(id.as_bytes()))
                    .set((
                        jobs::state.eq(to.name()),
                        remote.map(|remote| jobs::remote.eq(remote)),
                        reason.map(|reason| jobs::reason.eq(reason)),
                        jobs::changed_ms.eq(convert::now_ms()),
                    ))
                    .execute(conn)?;
                if to.is_over() {
                    diesel::update(jobs::table.find(id.as_bytes()))
                        .set(jobs::measured.eq(None::<Vec<u8>>))
                        .execute(conn)?;
                    prune(conn, id)?;
                }
            }
            find(conn, id)
        })?;
        if to.is_over() {
            self.forget()?;
        }
        Ok(advanced)
    }

    /// Keeps what a job's results must look like and which account tells of it, before the provider is told, and counts the most
    /// seconds that it may take as spent from now on. Nothing changes, and `false` is returned, when more than `budget` would be
    /// spent since `month` (milliseconds since the Unix epoch) then.
    ///
    /// # Errors
    /// What the database says.
    pub fn submitting(
        &self,
        id: JobId,
        (expected, account): (&str, &str),
        most: f64,
        (month, budget): (i64, f64),
    ) -> Result<bool, StoreError> {
        self.write(|conn| {
            let job = find(conn, id)?;
            if !matches!(job.state, State::Prepared | State::Submitting) {
                return Ok(true);
            }
            if job.state == State::Prepared && charged(conn, month)? + most > budget {
                return Ok(false);
            }
            let now = convert::now_ms();
            diesel::update(jobs::table.find(id.as_bytes()))
                .set((
                    jobs::state.eq(State::Submitting.name()),
                    jobs::expected.eq(expected),
                    jobs::account.eq(account),
                    jobs::charged.eq(most),
                    jobs::submitted_ms.eq(now),
                    jobs::changed_ms.eq(now),
                ))
                .execute(conn)?;
            Ok(true)
        })
    }

    /// A job that the provider does not have, whatever was tried, is as it was before: nothing is counted as spent.
    ///
    /// # Errors
    /// What the database says.
    pub fn unsubmitted(&self, id: JobId) -> Result<Job, StoreError> {
        self.write(|conn| {
            let told = jobs::table.find(id.as_bytes()).filter(jobs::state.eq(State::Submitting.name()));
            diesel::update(told)
                .set((
                    jobs::state.eq(State::Prepared.name()),
                    jobs::charged.eq(0.0),
                    jobs::submitted_ms.eq(None::<i64>),
                    jobs::changed_ms.eq(convert::now_ms()),
                ))
                .execute(conn)?;
            find(conn, id)
        })
    }

    /// A job that was told of at a time which has not come, by this clock, was told of now.
    ///
    /// # Errors
    /// What the database says.
    pub fn submitted_by_now(&self, id: JobId) -> Result<(), StoreError> {
        let now = convert::now_ms();
        self.write(|conn| {
            let ahead = jobs::table.find(id.as_bytes()).filter(jobs::submitted_ms.gt(now));
            diesel::update(ahead).set(jobs::submitted_ms.eq(now)).execute(conn)?;
            Ok(())
        })
    }

    /// Counts so many seconds of a job as spent, in the place of those that were believed.
    ///
    /// # Errors
    /// What the database says.
    pub fn charge(&self, id: JobId, seconds: f64) -> Result<(), StoreError> {
        self.write(|conn| {
            let known = diesel::update(jobs::table.find(id.as_bytes()));
            if known.set(jobs::charged.eq(seconds)).execute(conn)? == 0 {
                // Somebody has cancelled and forgotten it meanwhile.
                diesel::update(spent::table.filter(spent::job.eq(id.as_bytes())))
                    .set(spent::seconds.eq(seconds))
                    .execute(conn)?;
            }
            Ok(())
        })
    }

    /// Lets another backend do a job that is as this one was when it was read. Another process may have brought it further:
    /// then nothing changes.
    ///
    /// # Errors
    /// What the database says.
    pub fn fall_back(&self, read: &Job, backend: &str, why: &str) -> Result<Job, StoreError> {
        let fallen = self.write(|conn| {
            let job = find(conn, read.id)?;
            if (job.state, &job.backend) != (read.state, &read.backend) || job.state.is_over() {
                return Ok(job);
            }
            let asked = job.fallback.map_or(job.backend, |(asked, _)| asked);
            diesel::update(jobs::table.find(read.id.as_bytes()))
                .set((
                    jobs::state.eq(State::Prepared.name()),
                    jobs::backend.eq(backend),
                    jobs::asked.eq(asked),
                    jobs::fallback_reason.eq(why),
                    jobs::measured.eq(None::<Vec<u8>>),
                    jobs::may_fall_back.eq(false),
                    jobs::expected.eq(None::<String>),
                    jobs::seconds.eq(0.0),
                    jobs::reason.eq(None::<String>),
                    jobs::changed_ms.eq(convert::now_ms()),
                ))
                .execute(conn)?;
            find(conn, read.id)
        })?;
        if read.state == State::Measured {
            self.forget()?;
        }
        Ok(fallen)
    }

    /// Keeps what a job's backend has measured, before anybody is told that it has arrived, and the seconds that it took.
    /// Another process may have been quicker: then nothing changes.
    ///
    /// # Errors
    /// What the database says.
    pub fn measured(&self, read: &Job, what: &[u8], seconds: Option<f64>) -> Result<Job, StoreError> {
        self.write(|conn| {
            let job = find(conn, read.id)?;
            let waits = !job.state.is_over() && job.state != State::Measured;
            if waits && job.backend == read.backend {
                diesel::update(jobs::table.find(read.id.as_bytes()))
                    .set((
                        jobs::state.eq(State::Measured.name()),
                        jobs::measured.eq(Some(what)),
                        seconds.map(|seconds| (jobs::seconds.eq(seconds), jobs::charged.eq(seconds))),
                        jobs::changed_ms.eq(convert::now_ms()),
                    ))
                    .execute(conn)?;
            }
            find(conn, read.id)
        })
    }

    /// What was measured and is not made use of yet.
    ///
    /// # Errors
    /// What the database says.
    pub fn measurement(&self, id: JobId) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.read(|conn| {
            let found: Option<Vec<u8>> =
                jobs::table.find(id.as_bytes()).select(jobs::measured).get_result(conn)?;
            Ok(found.map(Zeroizing::new))
        })
    }

    /// Ends a job whose measurement was made use of, and puts the bytes that came of it into the pool, in one step. `report`
    /// writes the report for so many bytes in the pool. Nothing changes, and `None` is returned, when another process has ended
    /// it.
    ///
    /// # Errors
    /// What the database says.
    pub fn finish(
        &self,
        read: &Job,
        quantum: bool,
        bytes: &[u8],
        report: impl FnOnce(usize) -> String,
    ) -> Result<Option<usize>, StoreError> {
        let added = self.write(|conn| {
            let job = find(conn, read.id)?;
            if job.state != State::Measured || job.backend != read.backend {
                return Ok(None);
            }
            let added = blocks::fill(conn, read.id, &job.backend, quantum, bytes)?;
            diesel::update(jobs::table.find(read.id.as_bytes()))
                .set((
                    jobs::state.eq(State::Done.name()),
                    jobs::report.eq(report(added)),
                    jobs::measured.eq(None::<Vec<u8>>),
                    jobs::changed_ms.eq(convert::now_ms()),
                ))
                .execute(conn)?;
            prune(conn, read.id)?;
            Ok(Some(added))
        })?;
        self.forget()?;
        Ok(added)
    }

    /// When the provider may be told of the next job, in milliseconds since the Unix epoch, so that it is told of `most` in `within`
    /// milliseconds, whichever process tells it.
    ///
    /// # Errors
    /// What the database says.
    pub fn next_turn(&self, now: i64, most: i64, within: i64) -> Result<i64, StoreError> {
        self.read(|conn| {
            // What a clock that was set back has left is no reason to wait.
            let since = now.saturating_sub(within);
            let told = jobs::submitted_ms.gt(since).and(jobs::submitted_ms.le(now));
            let known: Vec<Option<i64>> = jobs::table.filter(told).select(jobs::submitted_ms).load(conn)?;
            let told = spent::submitted_ms.gt(since).and(spent::submitted_ms.le(now));
            let forgotten: Vec<i64> = spent::table.filter(told).select(spent::submitted_ms).load(conn)?;
            let mut told: Vec<i64> = known.into_iter().flatten().chain(forgotten).collect();
            told.sort_unstable_by_key(|moment| std::cmp::Reverse(*moment));
            let last = usize::try_from(most - 1).ok().and_then(|place| told.get(place));
            Ok(last.map_or(now, |last| last.saturating_add(within)))
        })
    }

    /// Seconds of quantum computers that jobs took, or may take, which were submitted since a moment (milliseconds since the Unix
    /// epoch).
    ///
    /// # Errors
    /// What the database says.
    pub fn seconds_since(&self, moment_ms: i64) -> Result<f64, StoreError> {
        self.read(|conn| charged(conn, moment_ms))
    }

    /// Forgets those of these jobs that are over and of which no bit waits in the pool; gives which those were. What they were charged
    /// is counted all the same.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_jobs(&self, ids: &[JobId]) -> Result<Vec<JobId>, StoreError> {
        let forgotten = self.write(|conn| {
            let mut forgotten = vec![];
            for id in ids {
                if forget(conn, id.as_bytes())? {
                    forgotten.push(*id);
                }
            }
            devices::sweep(conn)?;
            Ok(forgotten)
        })?;
        self.forget()?;
        Ok(forgotten)
    }
}

fn charged(conn: &mut SqliteConnection, since_ms: i64) -> Result<f64, StoreError> {
    let known: Vec<f64> =
        jobs::table.filter(jobs::submitted_ms.ge(since_ms)).select(jobs::charged).load(conn)?;
    let forgotten: Vec<f64> =
        spent::table.filter(spent::submitted_ms.ge(since_ms)).select(spent::seconds).load(conn)?;
    Ok(known.iter().chain(&forgotten).sum())
}

/// Forgets a job that is over and whose bits are used; whether it was so.
fn forget(conn: &mut SqliteConnection, id: &[u8]) -> Result<bool, StoreError> {
    type Row = (String, Option<i64>, f64);
    let row: Option<Row> = jobs::table
        .find(id)
        .select((jobs::state, jobs::submitted_ms, jobs::charged))
        .get_result(conn)
        .optional()?;
    let Some((state, submitted, seconds)) = row else { return Ok(false) };
    let waiting: i64 = pool::table.filter(pool::job.eq(id)).count().get_result(conn)?;
    if !State::read(&state)?.is_over() || waiting > 0 {
        return Ok(false);
    }
    if let Some(submitted) = submitted {
        diesel::insert_into(spent::table)
            .values((spent::job.eq(id), spent::submitted_ms.eq(submitted), spent::seconds.eq(seconds)))
            .execute(conn)?;
    }
    diesel::delete(jobs::table.find(id)).execute(conn)?;
    Ok(true)
}

/// Forgets the oldest jobs of the simulator that are over, but for the one that has just ended and those of which bits wait in the
/// pool. What a provider was told of stays until somebody says that it may go.
fn prune(conn: &mut SqliteConnection, ended: JobId) -> Result<(), StoreError> {
    let over = [State::Done, State::Failed, State::Cancelled].map(State::name);
    let old: Vec<Vec<u8>> = jobs::table
        .filter(jobs::state.eq_any(over))
        .filter(jobs::backend.eq(Local::NAME))
        .filter(jobs::submitted_ms.is_null())
        .filter(jobs::id.ne(ended.as_bytes()))
        .filter(jobs::id.ne_all(pool::table.select(pool::job)))
        .order((jobs::created_ms.desc(), jobs::id))
        .offset(KEPT)
        .limit(KEPT)
        .select(jobs::id)
        .load(conn)?;
    for id in &old {
        forget(conn, id)?;
    }
    if old.is_empty() { Ok(()) } else { devices::sweep(conn) }
}

fn find(conn: &mut SqliteConnection, id: JobId) -> Result<Job, StoreError> {
    let row = schema::jobs::table.find(id.as_bytes()).select(COLUMNS).get_result(conn).optional()?;
    read(row.ok_or(StoreError::Forgotten)?)
}

#[cfg(test)]
mod tests {
    use qchat_proto::crypto::{entropy::SystemEntropy, secret::Secret};

    use super::*;

    const ACCOUNT: (&str, &str) = ("{}", "an account");

    fn add(store: &QuantumStore, backend: &str, seconds: f64) -> Job {
        let job = NewJob { task: "{}", backend, seconds, ..NewJob::default() };
        store.add_job(JobId::random(&SystemEntropy).unwrap(), &job).unwrap()
    }

    #[test]
    fn the_sixth_of_a_minute_waits_for_the_first_whoever_submitted_it() {
        let dir = tempfile::tempdir().unwrap();
        let open = || QuantumStore::open(dir.path(), Secret::from_bytes([1; 32])).unwrap();
        let first = convert::now_ms();
        for number in 0_u8..5 {
            let store = open();
            assert!(store.next_turn(convert::now_ms(), 5, 60_000).unwrap() <= convert::now_ms());
            let id = add(&store, "a device", 2.0).id;
            assert!(store.submitting(id, ACCOUNT, 10.0, (0, 50.0)).unwrap());
            // Forgetting one that was submitted gives neither a turn nor a second back.
            if number % 2 == 0 {
                store.advance(id, &[State::Submitting], State::Cancelled, None, None).unwrap();
                assert_eq!(store.forget_jobs(&[id]).unwrap(), [id]);
                // What it took is known later, and counted in the place of what it might have taken.
                store.charge(id, 10.0 + f64::from(number)).unwrap();
                store.charge(id, 10.0).unwrap();
            }
        }
        let (store, now) = (open(), convert::now_ms());
        assert_eq!(store.jobs().unwrap().len(), 2);
        let turn = store.next_turn(now, 5, 60_000).unwrap();
        assert!((first + 60_000..=now + 60_000).contains(&turn), "{turn}");
        // A minute later there is none to wait for, nor by a clock that was set back.
        for now in [now + 60_001, first - 3_600_000] {
            assert_eq!(store.next_turn(now, 5, 60_000).unwrap(), now);
        }
        // What they may take is counted, not what they are believed to.
        assert!((store.seconds_since(0).unwrap() - 50.0).abs() < f64::EPSILON);
        let job = add(&store, "a device", 2.0);
        assert!(!store.submitting(job.id, ACCOUNT, 10.0, (0, 59.0)).unwrap());
    }

    #[test]
    fn the_latest_jobs_of_a_simulator_are_kept_and_all_that_somebody_has_paid_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = QuantumStore::open(dir.path(), Secret::from_bytes([1; 32])).unwrap();
        let paid = add(&store, "a device", 2.0).id;
        assert!(store.submitting(paid, ACCOUNT, 10.0, (0, 50.0)).unwrap());
        store.advance(paid, &[State::Submitting], State::Failed, None, None).unwrap();
        let open = add(&store, "local", 0.0).id;
        // As if they had come one after the other, without a transaction for each.
        let before = convert::now_ms() - 1_000_000;
        store
            .write(|conn| {
                for number in 0..KEPT + 5 {
                    diesel::insert_into(jobs::table)
                        .values((
                            jobs::id.eq(&u128::try_from(number).unwrap_or_default().to_be_bytes()[..]),
                            jobs::tag.eq(number.to_string()),
                            jobs::task.eq("{}"),
                            jobs::backend.eq("local"),
                            jobs::state.eq(State::Done.name()),
                            jobs::may_fall_back.eq(false),
                            jobs::created_ms.eq(before + number),
                            jobs::changed_ms.eq(before + number),
                        ))
                        .execute(conn)?;
                }
                Ok(())
            })
            .unwrap();
        let last = add(&store, "local", 0.0).id;
        store.advance(last, &[State::Prepared], State::Failed, None, None).unwrap();
        let left = store.jobs().unwrap();
        // The one that has just ended is not among those that are counted, nor what is open or paid for.
        assert_eq!(left.len(), usize::try_from(KEPT).unwrap() + 3);
        assert!([paid, open, last].iter().all(|id| left.iter().any(|job| job.id == *id)));
        assert!(left.iter().all(|job| job.created_ms >= before + 5), "the oldest are gone");
        // Nothing that is open is forgotten, whoever says so.
        assert_eq!(store.forget_jobs(&[open, paid, paid]).unwrap(), [paid]);
        assert_eq!(store.job(open).unwrap().state, State::Prepared);
        // One that ends long after, behind all of those, is there to be told of.
        store
            .write(|conn| {
                diesel::update(jobs::table.find(open.as_bytes()))
                    .set(jobs::created_ms.eq(0))
                    .execute(conn)?;
                Ok(())
            })
            .unwrap();
        let ended = store.advance(open, &[State::Prepared], State::Cancelled, None, None).unwrap();
        assert_eq!(ended.state, State::Cancelled);
        assert!(matches!(store.job(paid), Err(StoreError::Forgotten)));
    }

    #[test]
    fn a_job_is_kept_as_long_as_bits_of_it_wait_in_the_pool() {
        let dir = tempfile::tempdir().unwrap();
        let store = QuantumStore::open(dir.path(), Secret::from_bytes([1; 32])).unwrap();
        let job = add(&store, Local::NAME, 0.0);
        let measured = store.measured(&job, b"bits", None).unwrap();
        store.finish(&measured, false, &[7; 32], |_| "{}".to_owned()).unwrap();
        assert_eq!(store.forget_jobs(&[job.id]).unwrap(), []);
        store.draw().unwrap().unwrap();
        assert_eq!(store.forget_jobs(&[job.id]).unwrap(), [job.id]);
    }
}
