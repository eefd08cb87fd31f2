//! From what was measured to a report, and to bytes for the pool.

use qchat_quantum::{
    backend::Origin,
    bb84,
    bits::Bits,
    chsh::{Chsh, Setting},
    e91,
    qrng::{estimate::Estimates, harvest::harvest},
    simulator::Samples,
};
use serde::Serialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    error::QuantumError,
    local,
    task::{ChshTest, Qrng, Task},
};

/// The min-entropy that a bit of a source is claimed to have: what its health tests are set for. Bits whose estimate is lower
/// count for less.
const CLAIMED: f64 = 0.9;

/// What a quantum computer's bits are worth.
const MEASURED: &str = "measured on a quantum computer, whose operator has seen every bit: mixed into the operating system's \
    randomness, and never used alone";
/// What a simulator's bits are worth.
const SIMULATED: &str = "made by a simulator on this machine: adds nothing to the operating system's randomness that was not there";
/// What bits from a known seed are worth.
const REPRODUCIBLE: &str =
    "made by a simulator from a seed that is known: reproducible, and kept out of the pool";

/// What bits are worth that were measured before.
const REPLAYED: &str =
    "measured before, as the recording says: used then, and nothing of it goes into a key again";

/// What has measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Source<'a> {
    /// The backend's name.
    pub backend: &'a str,
    /// What kind of thing it is.
    pub origin: Origin,
    /// The host that was asked, where it is not the backend's owner's.
    pub service: Option<String>,
}

impl Source<'_> {
    /// This machine's simulator.
    pub const LOCAL: Source<'static> =
        Source { backend: local::NAME, origin: Origin::Simulator, service: None };
}

/// What came of a job.
pub struct Outcome {
    /// The report as JSON, without any bit of a key.
    pub report: String,
    /// Whether a quantum computer measured it.
    pub quantum: bool,
    /// Bytes for the pool.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The CHSH value and its standard error, where it was measured.
    pub chsh: Option<(f64, f64)>,
}

/// What a job of random bits came to.
#[derive(Serialize)]
struct QrngReport<'a> {
    backend: &'a str,
    quantum: bool,
    qubits: usize,
    shots: usize,
    depth: usize,
    raw_bits: usize,
    /// The min-entropy that was counted on, in bits a measured bit.
    entropy: f64,
    estimates: Estimates,
    /// Bits that came out.
    key_bits: usize,
    seed: Option<u64>,
    provenance: &'static str,
}

/// What a CHSH test came to.
#[derive(Serialize)]
struct ChshReport<'a> {
    backend: &'a str,
    quantum: bool,
    shots: usize,
    s: f64,
    s_error: f64,
    /// Standard errors by which |S| exceeds 2.
    deviations: f64,
    correlations: [f64; 4],
    seed: Option<u64>,
    provenance: &'static str,
}

/// Makes use of what a backend has measured. Takes a thread's time.
///
/// # Errors
/// When it is not fit for anything.
pub fn of(task: &Task, source: &Source<'_>, samples: &[Samples]) -> Result<Outcome, QuantumError> {
    let backend = source.backend;
    // What was recorded is read as a device's, and called what it is.
    let elsewhere = source.origin != Origin::Simulator;
    let mut made = match task {
        Task::Qrng(task) => random(task, backend, elsewhere, samples),
        Task::Chsh(task) => chsh(task, backend, elsewhere, samples),
        Task::Bb84(settings) if elsewhere => {
            let measured = bb84::circuits::measured(samples);
            let report = bb84::on_a_device(settings, backend, measured);
            protocol(&report.ok_or(QuantumError::Malformed("number of results"))?)
        }
        Task::Bb84(settings) => protocol(&bb84::run(settings)),
        Task::E91(settings) => protocol(&e91::run(settings)),
    }?;
    if source.origin == Origin::Recording {
        let facts = [("quantum", false.into()), ("replayed", true.into()), ("provenance", REPLAYED.into())];
        made.report = with(&made.report, facts);
        made.quantum = false;
        made.bytes.zeroize();
        made.chsh = None;
    }
    if let (Origin::Device, Some(service)) = (source.origin, &source.service) {
        made.report = doubted(&made.report, service);
    }
    Ok(made)
}

/// A report with more facts, in the place of what it said of them.
fn with<const N: usize>(report: &str, facts: [(&str, serde_json::Value); N]) -> String {
    let mut read: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(report).unwrap_or_default();
    read.extend(facts.map(|(name, fact)| (name.to_owned(), fact)));
    serde_json::to_string(&read).unwrap_or_default()
}

/// A report that says whose word it is that a quantum computer measured: nobody can tell from the bits.
fn doubted(report: &str, service: &str) -> String {
    let read: serde_json::Value = serde_json::from_str(report).unwrap_or_default();
    let said = read["provenance"].as_str().unwrap_or_default();
    let said = format!("{said}; so says the service at {service}, which is not IBM's");
    with(report, [("provenance", said.into())])
}

fn random(task: &Qrng, backend: &str, quantum: bool, samples: &[Samples]) -> Result<Outcome, QuantumError> {
    let [samples] = samples else { return Err(QuantumError::Malformed("number of results")) };
    let mut harvested = harvest(samples, CLAIMED)?;
    let seed = task.seed.filter(|_| !quantum);
    let wanted = (task.bits / 8).min(harvested.bytes.len());
    let report = QrngReport {
        backend,
        quantum,
        qubits: samples.bits(),
        shots: samples.shots(),
        // One turn and the reading, whatever the device.
        depth: 2,
        raw_bits: harvested.raw_bits,
        entropy: harvested.entropy,
        estimates: harvested.estimates,
        key_bits: wanted * 8,
        seed,
        provenance: match (quantum, seed) {
            (true, _) => MEASURED,
            (false, None) => SIMULATED,
            (false, Some(_)) => REPRODUCIBLE,
        },
    };
    let mut bytes = std::mem::take(&mut harvested.bytes);
    bytes[wanted..].zeroize();
    bytes.truncate(if seed.is_some() { 0 } else { wanted });
    Ok(Outcome { report: json(&report)?, quantum, bytes, chsh: None })
}

fn chsh(task: &ChshTest, backend: &str, quantum: bool, samples: &[Samples]) -> Result<Outcome, QuantumError> {
    let settings: Vec<Setting> = samples.iter().map(|samples| Setting::from_samples(samples, 0, 1)).collect();
    let settings: [Setting; 4] =
        settings.try_into().map_err(|_| QuantumError::Malformed("number of results"))?;
    let chsh = Chsh::from_counts(&settings).ok_or(QuantumError::Malformed("count of results"))?;
    let report = ChshReport {
        backend,
        quantum,
        shots: task.shots,
        s: chsh.s,
        s_error: chsh.error,
        deviations: chsh.deviations(),
        correlations: chsh.correlations,
        seed: (!quantum).then_some(task.seed),
        provenance: if quantum {
            "measured on one device: says how well that device entangles, and nothing about a line between two parties"
        } else {
            "made by a simulator on this machine: says how well it computes"
        },
    };
    let value = Some((chsh.s, chsh.error));
    Ok(Outcome { report: json(&report)?, quantum, bytes: Zeroizing::default(), chsh: value })
}

/// What a protocol came to. Its key is nobody's.
fn protocol(report: &bb84::report::Report) -> Result<Outcome, QuantumError> {
    Ok(Outcome { report: json(report)?, quantum: report.quantum, bytes: Zeroizing::default(), chsh: None })
}

fn json(report: &impl Serialize) -> Result<String, QuantumError> {
    serde_json::to_string(report).map_err(|_| QuantumError::Malformed("report"))
}

/// The version of this program: another may come to other results.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// A report as it is kept: with what has made it, and, of random bits, how many of them the pool has taken.
pub fn kept(report: &str, bits: usize) -> String {
    let read: serde_json::Value = serde_json::from_str(report).unwrap_or_default();
    let made = with(report, [("program", PROGRAM.into())]);
    if read.get("key_bits").is_some() { with(&made, [("pool_bits", bits.into())]) } else { made }
}

/// Bits as they are stored until they are made use of.
///
/// # Errors
/// None in practice.
pub fn encode(samples: &[Samples]) -> Result<Zeroizing<Vec<u8>>, QuantumError> {
    let columns: Vec<Vec<&Bits>> = samples
        .iter()
        .map(|samples| (0..samples.bits()).filter_map(|bit| samples.column(bit)).collect())
        .collect();
    serde_json::to_vec(&columns).map(Zeroizing::new).map_err(|_| QuantumError::Malformed("measurement"))
}

/// What [`encode`] has written.
///
/// # Errors
/// [`QuantumError::Malformed`].
pub fn decode(bytes: &[u8]) -> Result<Vec<Samples>, QuantumError> {
    let malformed = || QuantumError::Malformed("measurement");
    let columns: Vec<Vec<Bits>> = serde_json::from_slice(bytes).map_err(|_| malformed())?;
    columns.into_iter().map(|columns| Samples::from_columns(columns).ok_or_else(malformed)).collect()
}
