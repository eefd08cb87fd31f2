//! The stand-in's jobs: what was submitted, how far it is, and what it measured.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use miniz_oxide::deflate::compress_to_vec_zlib;
use qchat_quantum::{
    noise::NoiseModel,
    simulator::{Samples, SimulatorError, state_vector},
};
use serde_json::{Map, Value, json};

use super::{
    control::{Control, End},
    qasm::{self, Parsed, Refused},
};

/// What runs the circuits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Sampler,
    Executor,
}

/// A job.
pub(super) struct Job {
    pub(super) id: String,
    pub(super) backend: String,
    pub(super) tags: Vec<String>,
    pub(super) program: Program,
    pub(super) private: bool,
    pub(super) cost: f64,
    pub(super) created: String,
    /// The circuits with their shots, or why they are none of the device's.
    pub(super) circuits: Result<Vec<(Parsed, usize)>, Refused>,
    pub(super) stage: Stage,
    /// How often it was looked at.
    pub(super) looks: u32,
    /// How often the list of jobs was asked for since it exists.
    pub(super) lists: u32,
    /// Requests for its results that came too early.
    pub(super) early: u32,
    pub(super) results: Option<Value>,
    /// Seconds charged.
    pub(super) charged: f64,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    Queued,
    Running,
    Completed,
    Cancelled(String),
    RanTooLong,
    Failed(u32, String),
}

impl Stage {
    pub(super) fn is_final(&self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A field of the submission that is missing or wrong.
pub(super) struct Malformed(pub(super) &'static str);

/// The circuits of a submission with their shots, as text.
pub(super) fn circuits(program: Program, params: &Value) -> Result<Vec<(String, usize)>, Malformed> {
    let shots = |value: &Value| {
        value.as_u64().filter(|shots| *shots > 0).and_then(|shots| usize::try_from(shots).ok())
    };
    let all: Option<Vec<(String, usize)>> = match program {
        Program::Sampler => {
            if params["version"] != 2 || params["support_qiskit"] != false {
                return Err(Malformed("version must be 2, and support_qiskit false"));
            }
            let read = |one: &Value| Some((one[0].as_str()?.to_owned(), shots(&one[2])?));
            params["pubs"].as_array().and_then(|pubs| pubs.iter().map(read).collect())
        }
        Program::Executor => {
            let program = &params["quantum_program"];
            let (texts, items) = (&program["circuits"]["data"], &program["items"]);
            let right = params["schema_version"] == "v2.0" && params["options"].is_object();
            let circuit =
                |item: &Value| item["item_type"] == "circuit" && item["circuit_arguments"]["dtype"] == "f64";
            let items = items.as_array().filter(|items| right && items.iter().all(circuit));
            match (texts.as_array(), items, shots(&program["shots"])) {
                (Some(texts), Some(items), Some(shots)) if texts.len() == items.len() => {
                    texts.iter().map(|text| Some((text.as_str()?.to_owned(), shots))).collect()
                }
                _ => None,
            }
        }
    };
    all.filter(|all| !all.is_empty()).ok_or(Malformed("params do not conform to the schema of the program"))
}

/// Reads circuits for the device; the first that is none refuses them all.
pub(super) fn parse(texts: &[(String, usize)]) -> Result<Vec<(Parsed, usize)>, Refused> {
    texts.iter().map(|(text, shots)| Ok((qasm::parse(text)?, *shots))).collect()
}

impl Job {
    /// One look at the job: it goes on by it.
    pub(super) fn look(&mut self, control: &Control) {
        self.looks += 1;
        if self.stage == Stage::Queued && self.looks > control.queued {
            self.stage = Stage::Running;
        }
        if self.stage == Stage::Running && self.looks > control.queued + control.running {
            self.finish(control);
        }
    }

    fn finish(&mut self, control: &Control) {
        self.stage = match (&control.end, &self.circuits) {
            // What is looked through before it runs takes next to nothing.
            (_, Err((code, reason))) => Stage::Failed(*code, reason.clone()),
            (End::Cancelled(reason), _) => Stage::Cancelled(reason.clone()),
            (End::Failed(code, reason), _) => {
                self.charged = control.seconds;
                Stage::Failed(*code, reason.clone())
            }
            (End::Completed, _) if control.seconds > self.cost => {
                self.charged = self.cost;
                Stage::RanTooLong
            }
            (End::Completed, Ok(circuits)) => {
                self.charged = control.seconds;
                let seed =
                    self.id.bytes().fold(control.seed, |seed, byte| seed.rotate_left(8) ^ u64::from(byte));
                match results(self.program, circuits, &control.noise, seed) {
                    Ok(results) => {
                        self.results = Some(results);
                        Stage::Completed
                    }
                    Err(error) => Stage::Failed(9999, error.to_string()),
                }
            }
        };
    }

    /// The job as the service tells of it.
    pub(super) fn told(&self) -> Value {
        let (status, reason) = match &self.stage {
            Stage::Queued => ("Queued", None),
            Stage::Running => ("Running", None),
            Stage::Completed => ("Completed", None),
            Stage::Cancelled(reason) => ("Cancelled", Some((None, reason))),
            Stage::RanTooLong => ("Cancelled", None),
            Stage::Failed(code, reason) => ("Failed", Some((Some(*code), reason))),
        };
        let mut state = json!({"status": status});
        if let Some((code, reason)) = reason {
            state["reason"] = json!(reason);
            if let Some(code) = code {
                state["reason_code"] = json!(code);
            }
        }
        let mut told = json!({
            "id": self.id, "backend": self.backend, "state": state, "created": self.created, "tags": self.tags,
            "status": if self.stage == Stage::RanTooLong { "Cancelled - Ran too long" } else { status },
            "program": {"id": if self.program == Program::Sampler { "sampler" } else { "executor" }},
            "cost": self.cost, "user_id": "IBMid-fake",
        });
        if self.stage.is_final() {
            told["usage"] = json!({"qpu_charge_time_seconds": self.charged, "status": "complete"});
        }
        if self.private {
            told["private"] = json!(true);
        }
        told
    }
}

fn results(
    program: Program,
    circuits: &[(Parsed, usize)],
    noise: &NoiseModel,
    seed: u64,
) -> Result<Value, SimulatorError> {
    let mut all = Vec::new();
    for (number, (parsed, shots)) in (0_u64..).zip(circuits) {
        let samples = state_vector::sample(&parsed.circuit, noise, *shots, seed.wrapping_add(number).into())?;
        let mut registers = Map::new();
        let register = if program == Program::Sampler { numbers(&samples) } else { tensor(&samples) };
        registers.insert(parsed.register.clone(), register);
        all.push(registers);
    }
    Ok(match program {
        Program::Sampler => {
            let results: Vec<Value> = all.iter().map(|data| json!({"data": data, "metadata": {}})).collect();
            json!({"results": results, "metadata": {"version": 2}})
        }
        Program::Executor => {
            let data: Vec<Value> =
                all.iter().map(|results| json!({"results": results, "metadata": {}})).collect();
            json!({"schema_version": "v2.0", "data": data, "metadata": {"chunk_timing": []}})
        }
    })
}

/// A number for each shot, the register's bit 0 lowest.
fn numbers(samples: &Samples) -> Value {
    let number = |shot: usize| {
        let bits: Vec<bool> = samples.shot(shot).iter().collect();
        let digits: String = bits
            .chunks(4)
            .rev()
            .filter_map(|four| {
                let value = four.iter().rev().fold(0, |value, bit| value << 1 | u32::from(*bit));
                char::from_digit(value, 16)
            })
            .collect();
        let short = digits.trim_start_matches('0');
        format!("0x{}", if short.is_empty() { "0" } else { short })
    };
    let all: Vec<String> = (0..samples.shots()).map(number).collect();
    json!({"samples": all, "num_bits": samples.bits()})
}

/// All bits, shot by shot, packed and compressed.
fn tensor(samples: &Samples) -> Value {
    let packed = compress_to_vec_zlib(&samples.concatenated().to_bytes(), 6);
    json!({"data": STANDARD.encode(packed), "shape": [samples.shots(), samples.bits()], "dtype": "bool"})
}
