//! What is submitted: circuits as OpenQASM 3, the program that runs them, and the tag by which the job is found.
//!
//! `POST /jobs` takes `program_id`, `backend`, `params`, and beside them `tags` (at most 8, of 86 characters), `cost`
//! (the most seconds on the device, up to 10,800) and `private` (the results can be read once).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{IbmError, client::MOST_RESULTS, executor};
use crate::circuit::Circuit;

/// The most executions (circuits times shots) of a job of the sampler.
const MOST_EXECUTIONS: u64 = 10_000_000;
/// The most seconds that a job may ask for.
const MOST_COST: u32 = 10_800;
const LONGEST_TAG: usize = 86;
const LONGEST_NAME: usize = 100;

/// What runs the circuits on the service's side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// `sampler`, version 2: circuits and shots in, samples as hexadecimal numbers out.
    #[default]
    Sampler,
    /// `executor`, schema 2.0: the service runs exactly what it is given, and its answer is packed bits. It is new, and
    /// not every plan has it.
    Executor,
}

/// A circuit of a device, written for the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// OpenQASM 3, in the device's gates and on its qubits `$n`, with one register `c`.
    pub qasm: String,
    /// How many bits the register has, at least one.
    pub bits: usize,
}

impl Written {
    /// Writes a circuit that was lowered to a device.
    ///
    /// # Errors
    /// [`IbmError::Submission`] for one that was not, or that measures nothing.
    pub fn new(circuit: &Circuit) -> Result<Self, IbmError> {
        if !circuit.is_physical() {
            return Err(IbmError::Submission("a circuit was not lowered to the backend's gates and qubits"));
        }
        let written = Self { qasm: circuit.open_qasm(), bits: circuit.bits() };
        if written.bits == 0 { Err(IbmError::Submission(NO_BITS)) } else { Ok(written) }
    }
}

const NO_BITS: &str = "a circuit has no classical bits, so nothing would come back";

/// The tag of one job, which no other has: by it the job is found when the answer to its submission was lost.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

impl Tag {
    /// A new one: `qchat-` and 128 random bits.
    ///
    /// # Errors
    /// [`IbmError::Submission`] when the system has no random bytes.
    pub fn random() -> Result<Self, IbmError> {
        let mut bytes = [0; 16];
        let drawn = getrandom::fill(&mut bytes);
        drawn.map_err(|_| IbmError::Submission("the operating system gave no random bytes"))?;
        Ok(Self(format!("qchat-{:032x}", u128::from_be_bytes(bytes))))
    }

    /// The tag as the service has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = IbmError;

    fn from_str(text: &str) -> Result<Self, IbmError> {
        // A comma would part it in two for the service.
        Ok(Self(name(text, "tag", LONGEST_TAG)?.to_owned()))
    }
}

impl TryFrom<String> for Tag {
    type Error = IbmError;

    fn try_from(text: String) -> Result<Self, IbmError> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job that is not submitted yet.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Where it runs.
    pub backend: String,
    /// What runs, in order.
    pub circuits: Vec<Written>,
    /// How often each circuit runs.
    pub shots: u32,
    /// By which it is found; kept by the caller before it is submitted.
    pub tag: Tag,
    /// What runs it.
    pub program: Program,
    /// The most seconds of the device's time that it may cost, 1 to 10,800; without it the service estimates.
    pub cost: Option<u32>,
    /// Whether the service forgets inputs after the run and results after they were read. They can be read once: what is
    /// read must be kept before it is used.
    pub private: bool,
}

/// What the results of a job must be; kept with its id, so that they can be read after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// What ran the circuits.
    pub program: Program,
    /// How often each ran.
    pub shots: usize,
    /// For each circuit, how many bits it measures.
    pub bits: Vec<usize>,
}

impl Submission {
    /// What the results must be.
    pub fn expected(&self) -> Expected {
        Expected {
            program: self.program,
            shots: usize::try_from(self.shots).unwrap_or(usize::MAX),
            bits: self.circuits.iter().map(|circuit| circuit.bits).collect(),
        }
    }

    /// The body of the request, once it is known to be one that the service takes and whose answer will be read.
    pub(super) fn body(&self) -> Result<Value, IbmError> {
        let backend = name(&self.backend, "backend", LONGEST_NAME)?;
        if let Some(wrong) = self.wrong() {
            return Err(IbmError::Submission(wrong));
        }
        let (program, params) = match self.program {
            Program::Sampler => {
                let pubs: Vec<Value> =
                    self.circuits.iter().map(|circuit| json!([circuit.qasm, null, self.shots])).collect();
                ("sampler", json!({"pubs": pubs, "version": 2, "support_qiskit": false, "options": {}}))
            }
            Program::Executor => ("executor", executor::params(&self.circuits, self.shots)),
        };
        let mut body =
            json!({"program_id": program, "backend": backend, "params": params, "tags": [self.tag]});
        if let Some(seconds) = self.cost {
            body["cost"] = seconds.into();
        }
        if self.private {
            body["private"] = true.into();
        }
        Ok(body)
    }

    fn wrong(&self) -> Option<&'static str> {
        let shots = u64::from(self.shots);
        let executions = shots.checked_mul(self.circuits.len() as u64);
        // A sample is `"0x…",` or a bit for each bit, in either case less than this.
        let answer: u64 = self.circuits.iter().map(|circuit| (circuit.bits as u64).div_ceil(4) + 6).sum();
        let fits = answer.checked_mul(shots).is_some_and(|bytes| bytes <= MOST_RESULTS as u64);
        if self.circuits.is_empty() || shots == 0 {
            Some("it has no circuits or no shots")
        } else if self.circuits.iter().any(|circuit| circuit.bits == 0) {
            Some(NO_BITS)
        } else if executions.is_none_or(|executions| executions > MOST_EXECUTIONS) {
            Some("circuits times shots are more than 10,000,000; split it")
        } else if !fits {
            Some("its results would be larger than 64 MiB; use fewer shots or circuits")
        } else if self.cost.is_some_and(|seconds| seconds == 0 || seconds > MOST_COST) {
            Some("the most seconds that a job may cost are 1 to 10,800")
        } else {
            None
        }
    }
}

/// Checks a name that goes into an address: letters, digits, `-` and `_`.
pub(super) fn name<'a>(text: &'a str, what: &'static str, longest: usize) -> Result<&'a str, IbmError> {
    let fits = (1..=longest).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits { Ok(text) } else { Err(IbmError::Name(super::error::shown(text, LONGEST_NAME), what)) }
}

/// Checks the name of a backend.
pub(super) fn backend(text: &str) -> Result<&str, IbmError> {
    name(text, "backend", LONGEST_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission() -> Submission {
        Submission {
            backend: "ibm_example".to_owned(),
            circuits: vec![Written { qasm: "OPENQASM 3.0;".to_owned(), bits: 3 }; 2],
            shots: 100,
            tag: "qchat-1".parse().unwrap(),
            program: Program::Sampler,
            cost: Some(30),
            private: true,
        }
    }

    #[test]
    fn the_body_is_the_documented_one() {
        let expected = json!({
            "program_id": "sampler", "backend": "ibm_example", "tags": ["qchat-1"], "cost": 30, "private": true,
            "params": {
                "pubs": [["OPENQASM 3.0;", null, 100], ["OPENQASM 3.0;", null, 100]],
                "version": 2, "support_qiskit": false, "options": {},
            },
        });
        assert_eq!(submission().body().unwrap(), expected);
        let open = Submission { private: false, cost: None, ..submission() }.body().unwrap();
        assert!(open.get("private").is_none() && open.get("cost").is_none());
    }

    #[test]
    fn what_the_service_would_refuse_is_not_sent() {
        let wide = Written { qasm: String::new(), bits: 1000 };
        for (wrong, has) in [
            (Submission { circuits: Vec::new(), ..submission() }, "no circuits"),
            (Submission { shots: 0, ..submission() }, "no shots"),
            (Submission { shots: 5_000_001, ..submission() }, "10,000,000"),
            (Submission { shots: u32::MAX, ..submission() }, "10,000,000"),
            (Submission { circuits: vec![wide], shots: 1_000_000, ..submission() }, "64 MiB"),
            (Submission { cost: Some(0), ..submission() }, "1 to 10,800"),
            (Submission { cost: Some(10_801), ..submission() }, "1 to 10,800"),
            (Submission { backend: "../x".to_owned(), ..submission() }, "name of a backend"),
            (
                Submission { circuits: vec![Written { qasm: String::new(), bits: 0 }], ..submission() },
                "no classical",
            ),
        ] {
            let error = wrong.body().unwrap_err().to_string();
            assert!(error.contains(has), "{error}");
        }
    }

    #[test]
    fn a_circuit_that_no_device_can_run_is_not_written() {
        let circuit = Circuit::builder(1, 1).h(0).measure(0, 0).build().unwrap();
        assert!(Written::new(&circuit).unwrap_err().to_string().contains("not lowered"));
        let target = crate::circuit::target::Target::line(1);
        let written = Written::new(&circuit.lower(&target).unwrap()).unwrap();
        assert!(written.qasm.contains("measure $0") && written.bits == 1);
        let silent = Circuit::builder(1, 0).x(0).build().unwrap().lower(&target).unwrap();
        assert!(Written::new(&silent).is_err());
    }

    #[test]
    fn no_two_random_tags_are_alike_and_all_are_tags() {
        let (one, two) = (Tag::random().unwrap(), Tag::random().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.as_str().parse::<Tag>().unwrap(), one);
        for text in ["", "a,b", "a b", "a\n", &"x".repeat(87)] {
            assert!(text.parse::<Tag>().is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<Tag>("\"a b\"").is_err());
    }
}
