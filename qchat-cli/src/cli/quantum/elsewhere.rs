//! How jobs are that IBM Quantum has: where they wait, and what came of them there. Nothing is kept of what it says.

use std::{collections::HashMap, time::Duration};

use qchat_proto::sanitize;
use qchat_quantum::ibm::JobState;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::ibm;
use crate::{
    cli::{Context, json as objects, progress, words as wording},
    quantum::{Cloud, QuantumError, cloud::Glance},
    store::quantum::{Job, JobId, State},
};

/// How long all of them may be asked about: who lists jobs waits for the list.
const PATIENCE: Duration = Duration::from_secs(20);

/// A job as the service tells of it.
pub(super) struct Told {
    glance: Glance,
    /// When it is thought to start.
    starts: Option<OffsetDateTime>,
    /// How many jobs wait for its device, where nobody says how many are before it.
    queue: Option<u64>,
}

/// What the service says of those jobs that it has. Where it says nothing there is a warning, and the jobs are shown as they were
/// known last.
pub(super) async fn told(context: &Context, jobs: &[Job]) -> HashMap<JobId, Told> {
    let has = |job: &&Job| job.remote.is_some() && matches!(job.state, State::Queued | State::Running);
    let there: Vec<&Job> = jobs.iter().filter(has).collect();
    if there.is_empty() {
        return HashMap::new();
    }
    // A keyring may ask somebody before it answers.
    let cloud = match tokio::time::timeout(PATIENCE, ibm::cloud(context)).await {
        Ok(Ok(Some(cloud))) => cloud,
        Ok(Ok(None)) => {
            unknown(context, "no account at IBM Quantum is configured");
            return HashMap::new();
        }
        Ok(Err(failure)) => {
            unknown(context, failure.message());
            return HashMap::new();
        }
        Err(_) => {
            unknown(context, "the API key does not come from where it is kept");
            return HashMap::new();
        }
    };
    let mut told = HashMap::new();
    let asking = tokio::time::timeout(PATIENCE, ask(&cloud, &there, &mut told));
    match progress::during(&context.settings, "Asking IBM Quantum", asking).await {
        Ok(None) => {}
        Ok(Some(error)) => unknown(context, &error.to_string()),
        Err(_) => unknown(context, "IBM Quantum is slow to answer"),
    }
    told
}

fn unknown(context: &Context, why: &str) {
    context.output.say(&format!("warning: jobs are shown as they were known last: {why}"));
}

/// Asks about each; gives the first thing that went wrong. What is not there, or another account's, is no reason not to ask about
/// the others.
async fn ask(cloud: &Cloud, jobs: &[&Job], told: &mut HashMap<JobId, Told>) -> Option<QuantumError> {
    let mut wrong = None;
    let mut queues: Option<HashMap<String, u64>> = None;
    for job in jobs {
        let glance = match cloud.glance(job).await {
            Ok(glance) => glance,
            Err(error) => {
                let is_passing = matches!(&error, QuantumError::Ibm(error) if error.is_passing());
                wrong = wrong.or(Some(error));
                if is_passing {
                    return wrong;
                }
                continue;
            }
        };
        let starts = glance.place.starts.as_deref();
        // What is not in a year that dates have elsewhere, is none.
        let starts = starts
            .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
            .and_then(|at| at.checked_to_offset(UtcOffset::UTC))
            .filter(|at| (1970..9999).contains(&at.year()));
        let nobody_says = matches!(glance.state, JobState::Queued { .. }) && glance.place.position.is_none();
        if nobody_says && queues.is_none() {
            let listed = cloud.client().backends().await.unwrap_or_default();
            queues = Some(listed.into_iter().map(|listed| (listed.name, listed.queue)).collect());
        }
        let queue = queues.as_ref().filter(|_| nobody_says).and_then(|queues| queues.get(&job.backend));
        told.insert(job.id, Told { queue: queue.copied(), glance, starts });
    }
    wrong
}

fn name(state: &JobState) -> &'static str {
    match state {
        JobState::Queued { .. } => "queued",
        JobState::Running => "running",
        JobState::Completed => "completed",
        JobState::Cancelled { .. } => "cancelled",
        JobState::Failed { .. } => "failed",
    }
}

/// A job's object with what the service says of it.
pub(super) fn with(mut object: Map<String, Value>, told: Option<&Told>) -> Map<String, Value> {
    let remote = told.map(|told| {
        json!({
            "state": name(&told.glance.state),
            "before": told.glance.place.position,
            "starts_at": told.starts.map(objects::rfc3339),
            "queue": told.queue,
        })
    });
    object.insert("remote".to_owned(), json!(remote));
    object
}

/// The same behind a job's line.
pub(super) fn words(context: &Context, job: &Job, told: Option<&Told>) -> String {
    let Some(Told { glance, starts, queue }) = told else { return String::new() };
    let starts = starts.map(|starts| format!(", thought to start {}", wording::clock(starts, &context.zone)));
    let said = match &glance.state {
        JobState::Queued { .. } => match (glance.place.position, queue) {
            (Some(before), _) => format!("waits, {before} before it{}", starts.unwrap_or_default()),
            (None, Some(1)) => format!("waits, as does nobody else for {}", job.backend),
            (None, Some(queue)) => format!("waits, with {queue} jobs in all for {}", job.backend),
            (None, None) => format!("waits{}", starts.unwrap_or_default()),
        },
        JobState::Running => "runs now".to_owned(),
        state => format!("has ended there ({}); `qchat quantum resume` gets what came of it", name(state)),
    };
    format!("  {}", sanitize::line(&said))
}
