//! Commands about quantum jobs and the pool.

mod bench;
mod circuits;
mod elsewhere;
mod health;
mod ibm;
mod jobs;
mod joint;
mod new_file;
mod plot;
mod replay;
mod report;
mod run;
mod svg;
mod usage;

pub(super) use self::report::moment;

use qchat_quantum::ibm::{Availability, IbmError};

use super::{
    Context,
    doctor::Finding,
    failure::{Failure, Outcome},
    open, passphrase, progress,
    quantum_args::Quantum,
};
use crate::{
    engine::{self, EngineError},
    quantum::{Jobs, QuantumError},
    store::{StoreError, quantum::QuantumStore},
    vault,
};

/// Carries out one of them.
pub(super) async fn carry_out(context: &Context, command: &Quantum) -> Outcome {
    match command {
        Quantum::Backends => jobs::backends(context).await,
        Quantum::Key { forget } => ibm::keep_key(context, *forget).await,
        Quantum::Run(what) => run::run(context, what).await,
        Quantum::Answer(answer) => joint::answer(context, answer).await,
        Quantum::Jobs => jobs::list(context).await,
        Quantum::Show { job, circuits: true } => circuits::show(context, job).await,
        Quantum::Show { job, circuits: false } => jobs::show(context, job).await,
        Quantum::Cancel { job } => jobs::cancel(context, job).await,
        Quantum::Resume { jobs } => jobs::resume(context, jobs).await,
        Quantum::Replay { job, results, save } => {
            replay::replay(context, job, results.as_deref(), save.as_deref()).await
        }
        Quantum::Forget { jobs, all } => jobs::forget(context, jobs, *all).await,
        Quantum::Pool => jobs::pool(context).await,
        Quantum::Health { prometheus } => health::health(context, *prometheus).await,
        Quantum::Usage => usage::show(context).await,
        Quantum::Bench => bench::bench(context).await,
    }
}

/// How what runs quantum jobs does, for `doctor`.
pub(super) async fn findings(context: &Context) -> Vec<Finding> {
    const CHECK: &str = "quantum";
    let here = Finding::good(CHECK, "local is available, a simulator");
    let cloud = match ibm::cloud(context).await {
        Ok(Some(cloud)) => cloud,
        Ok(None) => return vec![here, Finding::good(CHECK, "no account at IBM Quantum is configured")],
        Err(failure) => return vec![here, Finding::failure(CHECK, &failure)],
    };
    let asking = progress::during(&context.settings, "Asking IBM Quantum", cloud.client().backends());
    let listed = match asking.await {
        Ok(listed) => listed,
        Err(error) => return vec![here, Finding::failure(CHECK, &QuantumError::from(error).into())],
    };
    let mut found = vec![here];
    found.extend(listed.iter().map(|backend| {
        let status = jobs::status(backend.availability);
        if backend.availability == Availability::Online {
            Finding::good(CHECK, format!("{} is available, {} jobs wait", backend.name, backend.queue))
        } else {
            let remedy = "jobs for it wait; `qchat quantum backends` lists the others";
            Finding::warning(CHECK, format!("{} is {status}: {}", backend.name, backend.reason), remedy)
        }
    }));
    found
}

/// The jobs of the profile.
async fn jobs(context: &Context) -> Outcome<Jobs> {
    let dir = context.settings.profile_dir();
    let key = open::key(context, &dir).await?;
    let opened = open::blocking(move || QuantumStore::open(&dir, key)).await?;
    let store = opened.map_err(|error| match error {
        StoreError::WrongKey | StoreError::Damaged(_) => Failure::unexpected(
            "quantum.db in the profile's directory is damaged, or of another vault. Messages and keys do not depend on it: put a backup of it in its place, or move it away and begin anew, without its jobs and its pool",
        ),
        error => EngineError::from(error).into(),
    })?;
    Ok(Jobs::new(store))
}

/// The jobs of the profile, which may begin with them: registering later takes what the pool has.
async fn jobs_or_new(context: &Context) -> Outcome<Jobs> {
    let settings = &context.settings;
    let dir = settings.profile_dir();
    if vault::exists(&dir) {
        return jobs(context).await;
    }
    context.output.say(
        "There is no profile yet. The pool is kept under the passphrase that `qchat register` will ask for.",
    );
    let passphrase = passphrase::fresh(settings, "qchat")?;
    vault::strength::judge(&passphrase, &["qchat"]).map_err(|weak| Failure::usage(weak.to_string()))?;
    let new = settings.new_vault(passphrase);
    let making = open::blocking(move || engine::quantum(&dir, &new));
    Ok(Jobs::new(progress::during(settings, "Making the vault", making).await??))
}

impl From<QuantumError> for Failure {
    fn from(error: QuantumError) -> Self {
        match error {
            QuantumError::Store(error) => EngineError::from(error).into(),
            QuantumError::Ibm(error) => cloud(&error),
            QuantumError::NotFound(what) => Self::not_found(what),
            QuantumError::NotYet(what) => Self::network(what),
            QuantumError::Refused(what) | QuantumError::Over(what) => Self::refused(what),
            QuantumError::Properties(error) => Self::usage(QuantumError::Properties(error).to_string()),
            error => Self::unexpected(error.to_string()),
        }
    }
}

/// By what IBM Quantum has said, the exit code.
fn cloud(error: &IbmError) -> Failure {
    let words = error.to_string();
    match error {
        IbmError::Limited { .. } => Failure::rate_limited(words),
        IbmError::OutcomeUnknown { .. } => Failure::network(words),
        error if error.is_passing() => Failure::network(words),
        IbmError::Key(_) | IbmError::Unauthorized(_) | IbmError::KeyForm => Failure::locked(words),
        IbmError::NotFound { .. } => Failure::not_found(words),
        IbmError::Forbidden(_)
        | IbmError::UsageLimit(_)
        | IbmError::Refused { remedy: Some(_), .. }
        | IbmError::PlainHttp { .. }
        | IbmError::Simulator(_) => Failure::refused(words),
        _ => Failure::unexpected(words),
    }
}
