//! `quantum show --circuits`: what a job has measured.

use serde::Serialize;

use super::jobs as open_jobs;
use crate::{
    cli::{
        Context,
        failure::{Failure, Outcome},
    },
    quantum::{
        QuantumError,
        cloud::width,
        jobs::task,
        local,
        task::{Task, WIDTH},
    },
};

/// A circuit of a job.
#[derive(Serialize)]
struct CircuitObject<'a> {
    v: u8,
    job: &'a str,
    /// How often it is run.
    shots: usize,
    qubits: usize,
    depth: usize,
    open_qasm: String,
}

pub(super) async fn show(context: &Context, start: &str) -> Outcome {
    let job = open_jobs(context).await?.find(start).await?;
    let task = task(&job)?;
    let id = job.id.to_string();
    let width = width(&job).unwrap_or(WIDTH);
    let (circuits, shots) = task.circuits(task.qubits_for(width)).map_err(QuantumError::from)?;
    if circuits.is_empty() || (job.backend == local::NAME && matches!(task, Task::Bb84(_))) {
        return Err(Failure::refused(format!("job {} has no circuits: it is simulated as light", &id[..8])));
    }
    for circuit in &circuits {
        let object = CircuitObject {
            v: 1,
            job: &id,
            shots,
            qubits: circuit.qubits(),
            depth: circuit.depth(),
            open_qasm: circuit.open_qasm(),
        };
        context.output.result(&object, || {
            format!("{} qubits, depth {}, {shots} times\n{}", object.qubits, object.depth, circuit.draw())
        })?;
    }
    Ok(())
}
