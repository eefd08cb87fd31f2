//! The devices of the stand-in: a row of qubits with a CZ between neighbours, and two that are away.

use serde_json::{Value, json};

/// The backend that runs jobs.
pub const BACKEND: &str = "ibm_fake";
/// One that takes jobs and never runs them.
pub const PAUSED: &str = "ibm_paused";
/// One that takes none.
pub const OFFLINE: &str = "ibm_offline";

/// Qubits of each.
pub(super) const QUBITS: usize = 20;
/// Native gates on one qubit.
pub(super) const ONE_QUBIT: [&str; 4] = ["id", "rz", "sx", "x"];

pub(super) fn exists(name: &str) -> bool {
    [BACKEND, PAUSED, OFFLINE].contains(&name)
}

/// Whether the device has a CZ from one qubit to another.
pub(super) fn couples(first: usize, second: usize) -> bool {
    first.abs_diff(second) == 1 && first.max(second) < QUBITS
}

pub(super) fn list(queue: usize) -> Value {
    let device = |name: &str, status: Value, queue: usize| {
        json!({
            "name": name, "status": status, "is_simulator": false, "qubits": QUBITS, "queue_length": queue,
            "clops": {"type": "hardware", "value": 250_000},
            "processor_type": {"family": "Heron", "revision": "2", "segment": null},
        })
    };
    json!({"devices": [
        device(BACKEND, json!({"name": "online"}), queue),
        device(PAUSED, json!({"name": "paused", "reason": "calibrating"}), 3),
        device(OFFLINE, json!({"name": "offline"}), 0),
    ]})
}

pub(super) fn status(name: &str, queue: usize) -> Value {
    json!({
        "state": name == BACKEND, "status": if name == BACKEND { "active" } else { "internal" }, "message": "",
        "length_queue": queue, "backend_version": "1.0.0",
    })
}

/// Neighbours, either of which may come first: so do the service's devices with a CZ list them.
fn pairs() -> impl Iterator<Item = [usize; 2]> {
    (1..QUBITS).flat_map(|second| [[second - 1, second], [second, second - 1]])
}

pub(super) fn configuration(name: &str) -> Value {
    let gate = |name: &str, parameters: &[&str], map: Vec<Vec<usize>>| json!({"name": name, "parameters": parameters, "qasm_def": "", "coupling_map": map});
    let each: Vec<Vec<usize>> = (0..QUBITS).map(|qubit| vec![qubit]).collect();
    let cz = pairs().map(|pair| pair.to_vec()).collect();
    json!({
        "backend_name": name, "backend_version": "1.0.0", "n_qubits": QUBITS, "simulator": false, "local": false,
        "basis_gates": ["cz", "id", "rz", "sx", "x"], "coupling_map": pairs().collect::<Vec<_>>(),
        "gates": [gate("id", &[], each.clone()), gate("rz", &["theta"], each.clone()), gate("sx", &[], each.clone()),
            gate("x", &[], each), gate("cz", &[], cz)],
        "conditional": false, "memory": true, "max_shots": 100_000, "max_experiments": 300, "open_pulse": false,
        "online_date": "2026-01-01T00:00:00.000Z", "coords": (0..QUBITS).map(|qubit| [qubit, 0]).collect::<Vec<_>>(),
        "u_channel_lo": [], "supported_features": ["qasm3"], "supported_instructions":
            ["cz", "id", "rz", "sx", "x", "measure", "reset", "delay"],
        "dt": 4e-9, "dtm": 4e-9, "n_uchannels": 0, "meas_levels": [1, 2], "meas_map": [], "rep_times": [],
        "qubit_lo_range": [], "meas_lo_range": [], "processor_type": {"family": "Heron", "revision": "2"},
        "description": "a stand-in", "dynamic_reprate_enabled": false,
    })
}

pub(super) fn properties(name: &str) -> Value {
    let date = "2026-11-20T10:00:00Z";
    let value = |name: &str, unit: &str, value: f64| json!({"date": date, "name": name, "unit": unit, "value": value});
    // One qubit is read best, so that a choice can be seen.
    let readout = |qubit: usize| if qubit == 7 { 0.004 } else { 0.01 };
    let qubits: Vec<Value> = (0..QUBITS)
        .map(|qubit| {
            json!([
                value("T1", "us", 250.0),
                value("T2", "us", 150.0),
                value("readout_error", "", readout(qubit)),
                value("prob_meas0_prep1", "", readout(qubit)),
                value("prob_meas1_prep0", "", readout(qubit)),
                value("readout_length", "ns", 1500.0),
            ])
        })
        .collect();
    let mut gates: Vec<Value> = Vec::new();
    for qubit in 0..QUBITS {
        for name in ONE_QUBIT {
            let wrong = if name == "rz" { 0.0 } else { 0.0002 };
            let parameters = [value("gate_error", "", wrong), value("gate_length", "ns", 32.0)];
            gates.push(json!({"gate": name, "name": format!("{name}{qubit}"), "qubits": [qubit], "parameters": parameters}));
        }
    }
    for pair in pairs() {
        let parameters = [value("gate_error", "", 0.003), value("gate_length", "ns", 68.0)];
        let name = format!("cz{}_{}", pair[0], pair[1]);
        gates.push(json!({"gate": "cz", "name": name, "qubits": pair, "parameters": parameters}));
    }
    json!({
        "backend_name": name, "backend_version": "1.0.0", "last_update_date": date, "general": [], "qubits": qubits,
        "gates": gates,
    })
}
