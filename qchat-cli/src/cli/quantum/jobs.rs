//! Jobs that are there already, the pool that they fill, and what can run them.

use futures_util::{StreamExt as _, stream};
use qchat_proto::sanitize;
use qchat_quantum::ibm::Availability;
use serde::Serialize;

use super::{elsewhere, ibm, jobs as open_jobs, report, run};
use crate::{
    cli::{
        Context,
        failure::{Failure, Outcome},
        progress, words,
    },
    quantum::{
        QuantumError,
        jobs::{Step, kind},
        local,
    },
    store::quantum::{Job, QuantumStore},
};

/// Jobs that run at once: as many as IBM lets wait on its open plan.
const AT_ONCE: usize = 3;

/// What can run jobs.
#[derive(Serialize)]
struct BackendObject<'a> {
    v: u8,
    name: &'a str,
    quantum: bool,
    qubits: Option<usize>,
    status: &'a str,
    reason: &'a str,
    queue: u64,
}

pub(super) async fn backends(context: &Context) -> Outcome {
    let here = BackendObject {
        v: 1,
        name: local::NAME,
        quantum: false,
        qubits: Some(26),
        status: "online",
        reason: "",
        queue: 0,
    };
    context.output.result(&here, || {
        format!("{:<20} online   simulator, {} qubits that depend on one another", here.name, 26)
    })?;
    let Some(cloud) = ibm::cloud(context).await? else {
        context.output.say("IBM Quantum is not configured: `qchat quantum backends --help` says how");
        return Ok(());
    };
    let asking = progress::during(&context.settings, "Asking IBM Quantum", cloud.client().backends());
    let listed = asking.await.map_err(QuantumError::from)?;
    for backend in &listed {
        let object = BackendObject {
            v: 1,
            name: &backend.name,
            quantum: !backend.simulator,
            qubits: backend.qubits,
            status: status(backend.availability),
            reason: &backend.reason,
            queue: backend.queue,
        };
        context.output.result(&object, || {
            let qubits = backend.qubits.map_or_else(|| "?".to_owned(), |qubits| qubits.to_string());
            let name = sanitize::line(&backend.name);
            let reason = sanitize::line(&backend.reason);
            format!("{name:<20} {:<8} {qubits} qubits, {} jobs wait  {reason}", object.status, backend.queue)
        })?;
    }
    Ok(())
}

pub(super) fn status(availability: Availability) -> &'static str {
    match availability {
        Availability::Online => "online",
        Availability::Paused => "paused",
        Availability::Offline => "offline",
    }
}

pub(super) async fn list(context: &Context) -> Outcome {
    let jobs = open_jobs(context).await?.store().with(QuantumStore::jobs).await.map_err(failed)?;
    let told = elsewhere::told(context, &jobs).await;
    for job in &jobs {
        let kind = kind(job);
        let told = told.get(&job.id);
        let object = elsewhere::with(report::job_object(Some(job), kind), told);
        context
            .output
            .result(&object, || line(context, job, kind) + &elsewhere::words(context, job, told))?;
    }
    if jobs.is_empty() {
        context.output.say("no jobs yet; `qchat quantum run qrng` starts one");
    }
    Ok(())
}

/// A job on a line.
pub(super) fn line(context: &Context, job: &Job, kind: &str) -> String {
    let when = words::clock(report::moment(job.created_ms), &context.zone);
    let more = job.reason.as_deref().map(|why| format!("  {}", sanitize::line(why))).unwrap_or_default();
    let instead = job.fallback.as_ref().map_or_else(String::new, |(asked, why)| {
        format!("  instead of {}: {}", sanitize::line(asked), sanitize::line(why))
    });
    let id = job.id.to_string();
    let id = id.get(..8).unwrap_or(&id);
    format!(
        "{id}  {when}  {kind:<5} {:<10} {}{instead}{more}",
        job.state.name(),
        sanitize::line(&job.backend)
    )
}

pub(super) async fn show(context: &Context, start: &str) -> Outcome {
    let job = open_jobs(context).await?.find(start).await?;
    let kind = kind(&job);
    if let Some(made) = &job.report {
        return report::Shown::new(Some(&job), kind, made)?.print(context, &[]);
    }
    let told = elsewhere::told(context, std::slice::from_ref(&job)).await;
    let told = told.get(&job.id);
    let object = elsewhere::with(report::job_object(Some(&job), kind), told);
    Ok(context
        .output
        .result(&object, || line(context, &job, kind) + &elsewhere::words(context, &job, told))?)
}

/// Forgets jobs that are over: these, or all of them. What is still of use stays.
pub(super) async fn forget(context: &Context, starts: &[String], all: bool) -> Outcome {
    let jobs = open_jobs(context).await?;
    let unused = jobs.store().with(QuantumStore::unused).await.map_err(failed)?;
    let (mut chosen, mut kept) = (vec![], 0);
    if all {
        let over = jobs.store().with(QuantumStore::jobs).await.map_err(failed)?;
        for job in over.into_iter().filter(|job| job.state.is_over()) {
            if unused.contains(&job.id) { kept += 1 } else { chosen.push(job) }
        }
    }
    for start in starts {
        let job = jobs.find(start).await?;
        let id = &job.id.to_string()[..8];
        if !job.state.is_over() {
            return Err(Failure::refused(format!(
                "job {id} is not over: `qchat quantum cancel {id}` ends it, and `qchat quantum resume {id}` goes on with it"
            )));
        }
        if unused.contains(&job.id) {
            return Err(Failure::refused(format!(
                "bits of job {id} wait in the pool: it is kept until keys have drawn them"
            )));
        }
        if !chosen.iter().any(|known: &Job| known.id == job.id) {
            chosen.push(job);
        }
    }
    let ids: Vec<_> = chosen.iter().map(|job| job.id).collect();
    let forgotten = jobs.store().with(move |store: &QuantumStore| store.forget_jobs(&ids)).await;
    let forgotten = forgotten.map_err(failed)?;
    // One may have ended only now, with bits for the pool.
    kept += chosen.len() - forgotten.len();
    chosen.retain(|job| forgotten.contains(&job.id));
    for job in &chosen {
        let kind = kind(job);
        let mut object = report::job_object(Some(job), kind);
        object.insert("forgotten".to_owned(), true.into());
        context.output.result(&object, || format!("{}  forgotten", line(context, job, kind)))?;
    }
    match kept {
        0 if chosen.is_empty() => context.output.say("no job is over"),
        0 => {}
        1 => context.output.say("one job is kept: bits of it wait in the pool"),
        more => context.output.say(&format!("{more} jobs are kept: bits of them wait in the pool")),
    }
    Ok(())
}

pub(super) async fn cancel(context: &Context, start: &str) -> Outcome {
    let jobs = open_jobs(context).await?;
    let job = jobs.find(start).await?;
    let cloud = if job.backend == local::NAME { None } else { ibm::cloud(context).await? };
    let job = progress::during(&context.settings, "Cancelling", jobs.cancel(&job, cloud.as_ref())).await?;
    let kind = kind(&job);
    Ok(context.output.result(&report::job_object(Some(&job), kind), || line(context, &job, kind))?)
}

pub(super) async fn resume(context: &Context, starts: &[String]) -> Outcome {
    let jobs = open_jobs(context).await?;
    let mut open = vec![];
    if starts.is_empty() {
        let all = jobs.store().with(QuantumStore::jobs).await.map_err(failed)?;
        open.extend(all.into_iter().filter(|job| !job.state.is_over()));
        open.reverse();
    }
    for start in starts {
        open.push(jobs.find(start).await?);
    }
    if open.is_empty() {
        context.output.say("no job is open");
        return Ok(());
    }
    let is_elsewhere = |job: &Job| job.backend != local::NAME && !job.state.is_over();
    let cloud = if open.iter().any(is_elsewhere) { ibm::cloud(context).await? } else { None };
    let total = open.len();
    let ended = progress::telling(&context.settings, "Going on", async |teller| {
        let tell = |step: &Step| teller.say(run::words(step));
        let (jobs, cloud, tell) = (&jobs, cloud.as_ref(), &tell);
        let mut running = stream::iter(open)
            .map(|job| async move { (jobs.drive(job.id, cloud, tell).await, job) })
            .buffer_unordered(AT_ONCE);
        let mut ended = vec![];
        while let Some(done) = running.next().await {
            ended.push(done);
            if total > 1 {
                teller.far(ended.len() as u64, total as u64, "Going on".to_owned());
            }
        }
        ended
    });
    let mut failures = vec![];
    for (ended, job) in ended.await {
        let kind = kind(&job);
        match ended {
            Ok(job) => {
                context.output.result(&report::job_object(Some(&job), kind), || line(context, &job, kind))?;
                if let Some(fallback) = &job.fallback {
                    report::warn_of(context, &job.backend, fallback);
                }
            }
            Err(error) => failures.push(error),
        }
    }
    match failures.pop() {
        None => Ok(()),
        Some(only) if total == 1 => Err(only.into()),
        Some(last) => {
            let without = failures.len() + 1;
            for error in failures.into_iter().chain([last]) {
                context.output.say(&format!("error: {error}"));
            }
            Err(Failure::partial(format!("{without} of {total} jobs gave nothing")))
        }
    }
}

/// How full the pool is.
#[derive(Serialize)]
struct PoolObject {
    v: u8,
    quantum_bits: u64,
    simulated_bits: u64,
    keys: u64,
}

pub(super) async fn pool(context: &Context) -> Outcome {
    let jobs = open_jobs(context).await?;
    let level = jobs.store().with(QuantumStore::level).await.map_err(failed)?;
    let keys = (level.quantum_bits + level.simulated_bits) / 256;
    let object =
        PoolObject { v: 1, quantum_bits: level.quantum_bits, simulated_bits: level.simulated_bits, keys };
    context.output.result(&object, || {
        format!(
            "{} bits of a quantum computer's, {} of a simulator's: enough for {keys} key{}",
            level.quantum_bits,
            level.simulated_bits,
            if keys == 1 { "" } else { "s" }
        )
    })?;
    if keys == 0 {
        context.output.say(
            "New keys take the operating system's randomness alone; `qchat quantum run qrng` fills the pool.",
        );
    }
    Ok(())
}

fn failed(error: crate::store::StoreError) -> Failure {
    crate::engine::EngineError::from(error).into()
}
