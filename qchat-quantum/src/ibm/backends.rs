//! Backends: which there are, how they are, and what their circuits must be made of.
//!
//! `GET /backends` gives `devices`, each with `name`, `status.name` (online, paused, offline), `queue_length` and
//! `qubits`; `/backends/{b}/status` gives `state`, `status`, `message` and `length_queue`; `/backends/{b}/configuration`
//! gives `n_qubits`, `basis_gates` and `coupling_map`; `/backends/{b}/properties` is read by [`crate::device`].

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    IbmError,
    config::Scrub,
    error::{MOST_MESSAGE, parse},
    submission::backend,
};
use crate::{
    circuit::{
        LARGEST, TwoQubit,
        target::{Coupling, Target},
    },
    device::Properties,
};

/// A backend in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// How many qubits it has, if the service says so.
    pub qubits: Option<usize>,
    /// Whether it takes jobs and runs them.
    pub availability: Availability,
    /// Why it does not, fit for a terminal; may be empty.
    pub reason: String,
    /// How many jobs wait.
    pub queue: u64,
    /// Whether it is no quantum computer, whatever its name says.
    pub simulator: bool,
}

/// Whether a backend takes jobs and runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    Online,
    /// It takes them, and does not run them now.
    Paused,
    /// It does not.
    Offline,
}

/// How a backend is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Whether it is in operation.
    pub operational: bool,
    /// The service's word for it, fit for a terminal: `active`, `internal`, …
    pub status: String,
    /// The service's sentence, fit for a terminal; may be empty.
    pub message: String,
    /// How many jobs wait.
    pub queue: u64,
}

/// What a backend's circuits must be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// How many qubits it has.
    pub qubits: usize,
    /// The names of its gates.
    pub basis_gates: Vec<String>,
    /// The pairs that have the gate on two qubits, in the direction that it has.
    pub coupling: Vec<(usize, usize)>,
    /// Whether it is no quantum computer.
    pub simulator: bool,
}

#[derive(Deserialize)]
struct List {
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Device {
    name: String,
    status: DeviceStatus,
    queue_length: u64,
    qubits: Option<usize>,
    #[serde(default)]
    is_simulator: bool,
}

#[derive(Deserialize)]
struct DeviceStatus {
    name: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct StatusDocument {
    #[serde(default)]
    state: bool,
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    length_queue: u64,
}

#[derive(Deserialize)]
struct ConfigurationDocument {
    n_qubits: usize,
    basis_gates: Vec<String>,
    // A simulator connects all qubits, and says null.
    coupling_map: Option<Vec<(usize, usize)>>,
    #[serde(default)]
    simulator: bool,
}

pub(super) fn list(body: &[u8], scrub: &Scrub) -> Result<Vec<Listed>, IbmError> {
    let list: List = parse(body, "a list of backends was expected")?;
    let read = |device: Device| {
        backend(&device.name)?;
        Ok(Listed {
            availability: match device.status.name.as_str() {
                "online" => Availability::Online,
                "paused" => Availability::Paused,
                _ => Availability::Offline,
            },
            name: device.name,
            qubits: device.qubits,
            reason: scrub.clean(&device.status.reason.unwrap_or_default(), MOST_MESSAGE),
            queue: device.queue_length,
            simulator: device.is_simulator,
        })
    };
    list.devices.into_iter().map(read).collect()
}

pub(super) fn status(body: &[u8], scrub: &Scrub) -> Result<Status, IbmError> {
    let document: StatusDocument = parse(body, "the status of a backend was expected")?;
    Ok(Status {
        operational: document.state,
        status: scrub.clean(&document.status, MOST_MESSAGE),
        message: scrub.clean(&document.message, MOST_MESSAGE),
        queue: document.length_queue,
    })
}

pub(super) fn configuration(body: &[u8]) -> Result<Configuration, IbmError> {
    let document: ConfigurationDocument = parse(body, "the configuration of a backend was expected")?;
    let qubits = document.n_qubits;
    let coupling = document.coupling_map.unwrap_or_default();
    if qubits == 0 || qubits > LARGEST || coupling.iter().any(|&(a, b)| a >= qubits || b >= qubits || a == b)
    {
        return Err(IbmError::Protocol("a backend couples qubits that it does not have"));
    }
    let simulator = document.simulator;
    Ok(Configuration { qubits, basis_gates: document.basis_gates, coupling, simulator })
}

pub(super) fn properties(body: &[u8]) -> Result<Properties, IbmError> {
    let wrong = IbmError::Protocol("the properties of a backend were expected");
    let text =
        std::str::from_utf8(body).map_err(|_| IbmError::Protocol("the properties are not in UTF-8"))?;
    let properties = Properties::from_json(text).map_err(|_| wrong)?;
    if properties.qubits.len() > LARGEST {
        return Err(IbmError::Protocol("a backend has more qubits than any circuit"));
    }
    Ok(properties)
}

impl Configuration {
    /// What circuits are lowered to: the pairs that this configuration has, with the errors that `properties` measured.
    /// What was not measured counts as always wrong, so that it is chosen last, and a gate that always fails as absent.
    ///
    /// # Errors
    /// [`IbmError::Protocol`] for a backend whose gates are others than rz, sx, x and one of cz and ecr: circuits are
    /// lowered to these alone.
    pub fn target(&self, properties: &Properties) -> Result<Target, IbmError> {
        let has = |name: &str| self.basis_gates.iter().any(|gate| gate == name);
        let entangler = match (has("cz"), has("ecr")) {
            (true, _) => TwoQubit::Cz,
            (false, true) => TwoQubit::Ecr,
            (false, false) => return Err(IbmError::Protocol("the backend has neither cz nor ecr")),
        };
        if !["rz", "sx", "x"].into_iter().all(has) {
            return Err(IbmError::Protocol("the backend lacks one of the gates rz, sx and x"));
        }
        let measured: HashMap<(usize, usize), f64> = properties
            .gates
            .iter()
            .filter(|gate| gate.name == entangler.name())
            .filter_map(|gate| match gate.qubits[..] {
                [first, second] => Some(((first, second), gate.error.unwrap_or(1.0))),
                _ => None,
            })
            .collect();
        let couplings = self
            .coupling
            .iter()
            .filter_map(|&(first, second)| {
                let error = measured.get(&(first, second)).copied();
                let absent = error.is_some_and(|error| error >= 1.0);
                (!absent).then_some(Coupling { first, second, error: error.unwrap_or(1.0) })
            })
            .collect();
        let readout =
            |qubit: usize| properties.qubits.get(qubit).and_then(|qubit| qubit.readout_error).unwrap_or(1.0);
        Ok(Target { entangler, readout_errors: (0..self.qubits).map(readout).collect(), couplings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_listed_with_their_queues() {
        let text = br#"{"devices":[
            {"name":"ibm_fez","status":{"name":"online"},"queue_length":7,"qubits":156,"is_simulator":false,"clops":null},
            {"name":"ibm_x","status":{"name":"paused","reason":"tea\n"},"queue_length":0,"qubits":null},
            {"name":"ibm_y","status":{"name":"retired"},"queue_length":0}]}"#;
        let listed = list(text, &Scrub::default()).unwrap();
        assert_eq!((listed[0].name.as_str(), listed[0].qubits, listed[0].queue), ("ibm_fez", Some(156), 7));
        let availability: Vec<_> = listed.iter().map(|listed| listed.availability).collect();
        assert_eq!(availability, [Availability::Online, Availability::Paused, Availability::Offline]);
        assert_eq!(listed[1].reason, "tea");
        for text in [
            &br#"{"devices":[{"name":"a\u001b[1m","status":{"name":"online"},"queue_length":0}]}"#[..],
            br#"{"devices":[{"name":"a","queue_length":0}]}"#,
            br#"{"devices":[{"name":"a","status":{"name":"online"},"queue_length":-1}]}"#,
            b"{}",
        ] {
            assert!(list(text, &Scrub::default()).is_err(), "{}", String::from_utf8_lossy(text));
        }
        let status =
            status(br#"{"state":true,"status":"active","length_queue":3}"#, &Scrub::default()).unwrap();
        assert_eq!((status.operational, status.status.as_str(), status.queue), (true, "active", 3));
    }

    #[test]
    fn a_target_has_the_pairs_of_the_configuration_and_the_errors_of_the_properties() {
        let text =
            br#"{"n_qubits":4,"basis_gates":["cz","id","rz","sx","x"],"coupling_map":[[0,1],[1,2],[2,3]]}"#;
        let configuration = configuration(text).unwrap();
        let properties = Properties::from_json(crate::device::tests::EXAMPLE).unwrap();
        let target = configuration.target(&properties).unwrap();
        assert_eq!(target.entangler, TwoQubit::Cz);
        let pairs: Vec<_> =
            target.couplings.iter().map(|pair| (pair.first, pair.second, pair.error)).collect();
        // The gate between 1 and 2 always fails; the one between 2 and 3 was not measured.
        assert_eq!(pairs, [(0, 1, 0.004), (2, 3, 1.0)]);
        assert_eq!(target.readout_errors, [0.02, 0.005, 1.0, 1.0]);
        for gates in [&["rz", "sx", "x"][..], &["cz", "sx", "x"], &[]] {
            let basis_gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
            assert!(
                Configuration { basis_gates, ..configuration.clone() }.target(&properties).is_err(),
                "{gates:?}"
            );
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_is_an_error() {
        for text in [
            &br#"{"n_qubits":2,"basis_gates":[],"coupling_map":[[0,2]]}"#[..],
            br#"{"n_qubits":2,"basis_gates":[],"coupling_map":[[1,1]]}"#,
            br#"{"n_qubits":2,"basis_gates":[],"coupling_map":[[1]]}"#,
            br#"{"n_qubits":0,"basis_gates":[],"coupling_map":[]}"#,
            br#"{"n_qubits":4294967295,"basis_gates":[],"coupling_map":[]}"#,
            br#"{"n_qubits":-1,"basis_gates":[],"coupling_map":[]}"#,
        ] {
            assert!(configuration(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
        assert!(properties(b"\xff").is_err() && properties(b"{}").is_err());
    }
}
