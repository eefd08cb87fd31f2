//! Quantum jobs and the pool as a client shows them: how full the pool is, which jobs there are, and what came of each.

use qchat_proto::{crypto::entropy::SystemEntropy, sanitize};
use qchat_quantum::bb84;
use serde_json::Value;
use time::OffsetDateTime;

use super::{clock, error::EngineError, handle::Handle, register::blocking};
use crate::{
    quantum::{
        Jobs, QuantumError,
        jobs::task,
        local,
        task::{ChshTest, Noise, Qrng, Task},
    },
    store::quantum::Job,
};

/// Bits that a job of random bits is to bring.
const BITS: usize = 4_096;
/// How often each circuit of a CHSH test runs.
const SHOTS: usize = 4_096;
/// Longest reason that is shown, characters.
const REASON: usize = 200;

/// What there is of quantum jobs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct QuantumOverview {
    /// Bits in the pool that a quantum computer has measured.
    pub quantum_bits: u64,
    /// And those that a simulator has made.
    pub simulated_bits: u64,
    /// The jobs, newest first.
    pub jobs: Vec<QuantumJob>,
}

/// A quantum job.
#[derive(Clone, PartialEq, Debug)]
pub struct QuantumJob {
    /// Its id.
    pub id: String,
    /// What it does: `qrng`, `chsh`, `bb84` or `e91`.
    pub kind: String,
    /// What runs it, fit for a line of a terminal.
    pub backend: String,
    /// How far it is, as a word.
    pub state: &'static str,
    /// Whether nothing more comes of it.
    pub over: bool,
    /// Whether a quantum computer measures it; a simulator's results are no such thing.
    pub quantum: bool,
    /// What was asked for first, when another backend does it, and why; fit for a line of a terminal.
    pub fallback: Option<(String, String)>,
    /// Why it failed.
    pub reason: Option<String>,
    /// When it was written down.
    pub created: OffsetDateTime,
    /// The error rate, and its 95 % confidence interval.
    pub qber: Option<(f64, [f64; 2])>,
    /// The error rate in the parts of the run.
    pub qber_over_time: Vec<f64>,
    /// The CHSH value, and its standard error.
    pub chsh: Option<(f64, f64)>,
    /// Bits of the key, or for the pool.
    pub key_bits: Option<u64>,
}

impl From<QuantumError> for EngineError {
    fn from(error: QuantumError) -> Self {
        match error {
            QuantumError::Store(error) => error.into(),
            error => Self::Refused(error.to_string()),
        }
    }
}

impl Handle {
    /// The pool and the jobs.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn quantum(&self) -> Result<QuantumOverview, EngineError> {
        let profile = self.0.profile.clone();
        blocking(move || {
            let Some(store) = profile.quantum()? else { return Ok(QuantumOverview::default()) };
            let level = store.level()?;
            let mut jobs: Vec<QuantumJob> = store.jobs()?.iter().map(shown).collect();
            jobs.sort_by_key(|job| std::cmp::Reverse(job.created));
            Ok(QuantumOverview {
                quantum_bits: level.quantum_bits,
                simulated_bits: level.simulated_bits,
                jobs,
            })
        })
        .await
    }

    /// Starts a job on this machine's simulator and brings it to its end: `qrng`, `chsh` or `bb84`. `tell` hears that it has come
    /// further.
    ///
    /// # Errors
    /// Why nothing came of it.
    pub async fn run_quantum(&self, kind: &str, tell: impl Fn() + Sync) -> Result<(), EngineError> {
        let task = match kind {
            "qrng" => Task::Qrng(Qrng { bits: BITS, seed: None, noise: Noise::None }),
            "chsh" => Task::Chsh(ChshTest { shots: SHOTS, seed: seed()?, noise: Noise::None }),
            "bb84" => Task::Bb84(bb84::Settings { seed: seed()?, ..bb84::Settings::default() }),
            other => return Err(EngineError::Invalid(format!("there is no quantum job {other:?}"))),
        };
        let jobs = self.jobs().await?;
        let job = jobs.prepare(&task, local::NAME, 0.0, false).await?;
        jobs.drive(job.id, None, &|_| tell()).await?;
        tell();
        Ok(())
    }

    /// Cancels a job of this machine's simulator.
    ///
    /// # Errors
    /// When it is over, or a provider's: `qchat quantum cancel` has the way there.
    pub async fn cancel_quantum(&self, id: &str) -> Result<(), EngineError> {
        let jobs = self.jobs().await?;
        let job = jobs.find(id).await?;
        jobs.cancel(&job, None).await?;
        Ok(())
    }

    async fn jobs(&self) -> Result<Jobs, EngineError> {
        let profile = self.0.profile.clone();
        blocking(move || Ok(Jobs::new(profile.quantum_or_new()?))).await
    }
}

fn seed() -> Result<u64, EngineError> {
    let mut seed = [0; 8];
    qchat_proto::crypto::entropy::Entropy::fill(&SystemEntropy, &mut seed)
        .map_err(|error| EngineError::Keys(error.to_string()))?;
    Ok(u64::from_be_bytes(seed))
}

fn shown(job: &Job) -> QuantumJob {
    let report: Value =
        job.report.as_deref().and_then(|report| serde_json::from_str(report).ok()).unwrap_or_default();
    let number = |name: &str| report.get(name).and_then(Value::as_f64);
    let numbers = |name: &str| -> Vec<f64> {
        let values = report.get(name).and_then(Value::as_array);
        values.map(|values| values.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
    };
    let chsh = match (number("s"), number("s_error"), &numbers("chsh")[..]) {
        (Some(s), Some(error), _) | (_, _, &[s, error]) => Some((s, error)),
        _ => None,
    };
    let interval: [f64; 2] = numbers("qber_interval").try_into().unwrap_or_default();
    let bits = |name: &str| report.get(name).and_then(Value::as_u64);
    QuantumJob {
        id: job.id.to_string(),
        kind: task(job).map_or_else(|_| "unknown".to_owned(), |task| task.kind().to_owned()),
        backend: sanitize::name(&job.backend, REASON),
        state: job.state.name(),
        over: job.state.is_over(),
        quantum: job.backend != local::NAME,
        fallback: job
            .fallback
            .as_ref()
            .map(|(asked, why)| (sanitize::name(asked, REASON), sanitize::name(why, REASON))),
        reason: job.reason.as_deref().map(|why| sanitize::name(why, REASON)),
        created: clock::from_millis(job.created_ms),
        qber: number("qber").map(|qber| (qber, interval)),
        qber_over_time: numbers("qber_over_time"),
        chsh,
        key_bits: bits("final_key_bits").or_else(|| bits("pool_bits")).or_else(|| bits("key_bits")),
    }
}
