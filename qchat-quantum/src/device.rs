//! What is measured of a device: the `properties` that IBM's service gives for a backend, read into times in
//! seconds and probabilities.

use serde::Deserialize;
use serde_json::Value;

/// The text is not what the service calls `properties`.
#[derive(Debug, thiserror::Error)]
#[error("these are no properties of a backend: {0}")]
pub struct PropertiesError(#[from] serde_json::Error);

/// One qubit. What was not measured, or is no sensible number, is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Qubit {
    /// Relaxation time in seconds.
    pub t1: Option<f64>,
    /// Dephasing time in seconds.
    pub t2: Option<f64>,
    /// The probability of a wrong reading, averaged over zero and one.
    pub readout_error: Option<f64>,
    /// The probability that a zero is read as one.
    pub one_for_zero: Option<f64>,
    /// The probability that a one is read as zero.
    pub zero_for_one: Option<f64>,
    /// How long a reading takes, in seconds.
    pub readout_time: Option<f64>,
}

/// One gate on certain qubits.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Its name in lower case: `sx`, `x`, `rz`, `cz`, `ecr`, …
    pub name: String,
    /// The qubits, in order.
    pub qubits: Vec<usize>,
    /// The average infidelity.
    pub error: Option<f64>,
    /// The duration in seconds.
    pub time: Option<f64>,
}

/// A device at one calibration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties {
    /// What the service calls it.
    pub name: String,
    /// When it was calibrated, as the service writes it.
    pub calibrated: String,
    /// Its qubits, from 0.
    pub qubits: Vec<Qubit>,
    /// Its gates.
    pub gates: Vec<Gate>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    backend_name: String,
    #[serde(default)]
    last_update_date: Value,
    qubits: Vec<Vec<Parameter>>,
    gates: Vec<GateDocument>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
struct GateDocument {
    gate: String,
    qubits: Vec<usize>,
    #[serde(default)]
    parameters: Vec<Parameter>,
}

impl Properties {
    /// Reads the JSON text of `GET /backends/{backend}/properties`.
    ///
    /// # Errors
    /// [`PropertiesError`] when lists of qubits and gates are not where they should be. Single parameters that are
    /// unknown or absurd are left out.
    pub fn from_json(text: &str) -> Result<Self, PropertiesError> {
        let document: Document = serde_json::from_str(text)?;
        let qubits = document
            .qubits
            .iter()
            .map(|parameters| Qubit {
                t1: time(parameters, "T1"),
                t2: time(parameters, "T2"),
                readout_error: probability(parameters, "readout_error"),
                one_for_zero: probability(parameters, "prob_meas1_prep0"),
                zero_for_one: probability(parameters, "prob_meas0_prep1"),
                readout_time: time(parameters, "readout_length"),
            })
            .collect();
        let gates = document
            .gates
            .into_iter()
            .map(|gate| Gate {
                name: gate.gate.to_lowercase(),
                qubits: gate.qubits,
                error: probability(&gate.parameters, "gate_error"),
                time: time(&gate.parameters, "gate_length"),
            })
            .collect();
        let calibrated = document.last_update_date.as_str().unwrap_or_default().to_owned();
        Ok(Self { name: document.backend_name, calibrated, qubits, gates })
    }
}

fn number(parameters: &[Parameter], name: &str) -> Option<(f64, String)> {
    let parameter = parameters.iter().find(|parameter| parameter.name == name)?;
    let value = parameter.value.as_f64().filter(|value| value.is_finite() && *value >= 0.0)?;
    Some((value, parameter.unit.clone()))
}

fn probability(parameters: &[Parameter], name: &str) -> Option<f64> {
    number(parameters, name).map(|(value, _)| value).filter(|&value| value <= 1.0)
}

/// In seconds; nothing for a unit that is not known.
fn time(parameters: &[Parameter], name: &str) -> Option<f64> {
    let (value, unit) = number(parameters, name)?;
    let scale = match unit.as_str() {
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" | "μs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    Some(value * scale)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two qubits and a half, in the shape that the service gives.
    pub(crate) const EXAMPLE: &str = r#"{
      "backend_name": "ibm_example", "backend_version": "1.0.0", "last_update_date": "2026-11-20T10:00:00Z",
      "qubits": [
        [{"date":"2026-11-20","name":"T1","unit":"us","value":250.0}, {"name":"T2","unit":"us","value":120.0},
         {"name":"readout_error","unit":"","value":0.02}, {"name":"prob_meas0_prep1","unit":"","value":0.03},
         {"name":"prob_meas1_prep0","unit":"","value":0.01}, {"name":"readout_length","unit":"ns","value":1200}],
        [{"name":"T1","unit":"us","value":180.0}, {"name":"T2","unit":"us","value":300.0},
         {"name":"readout_error","unit":"","value":0.005}],
        [{"name":"T1","unit":"fortnights","value":1.0}, {"name":"readout_error","value":7}]
      ],
      "gates": [
        {"gate":"sx","name":"sx0","qubits":[0],"parameters":[{"name":"gate_error","unit":"","value":0.0003},
         {"name":"gate_length","unit":"ns","value":60}]},
        {"gate":"cz","name":"cz0_1","qubits":[0,1],"parameters":[{"name":"gate_error","unit":"","value":0.004},
         {"name":"gate_length","unit":"ns","value":84}]},
        {"gate":"cz","name":"cz1_2","qubits":[1,2],"parameters":[{"name":"gate_error","unit":"","value":1}]}
      ],
      "general": [], "unheard_of": {"a": 1}
    }"#;

    #[test]
    fn properties_are_read_in_seconds_and_probabilities_and_what_is_absurd_is_missing() {
        let properties = Properties::from_json(EXAMPLE).unwrap();
        assert_eq!((properties.name.as_str(), properties.qubits.len()), ("ibm_example", 3));
        let first = properties.qubits[0];
        for (ours, said) in [
            (first.t1, 250e-6),
            (first.t2, 120e-6),
            (first.readout_error, 0.02),
            (first.one_for_zero, 0.01),
            (first.zero_for_one, 0.03),
            (first.readout_time, 1.2e-6),
            (properties.gates[0].error, 3e-4),
            (properties.gates[0].time, 60e-9),
        ] {
            assert!((ours.unwrap() - said).abs() < 1e-15, "{ours:?}, not {said}");
        }
        assert_eq!(properties.qubits[2], Qubit::default());
        for text in
            ["", "{}", "[]", r#"{"qubits":[],"gates":[{"gate":"x"}]}"#, r#"{"qubits":[[{}]],"gates":[]}"#]
        {
            assert!(Properties::from_json(text).is_err(), "{text}");
        }
    }
}
