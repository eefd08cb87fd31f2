//! `quantum replay`: a job's report, made again of what a device had measured for it.

use std::{fs, io::Read as _, path::Path};

use qchat_quantum::ibm::Raw;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{ibm, jobs as open_jobs, new_file::NewFile, report};
use crate::{
    cli::{
        Context,
        failure::{Failure, Outcome},
        progress,
    },
    quantum::{
        QuantumError,
        jobs::{replay as again, task},
        local,
    },
    store::quantum::Job,
};

/// Largest file with results, bytes: as much as IBM's service may answer.
const LARGEST: u64 = 64 << 20;
/// What a report made again says of itself, and so may differ in from the one that is kept.
const ITS_OWN: [&str; 6] = ["backend", "quantum", "replayed", "provenance", "pool_bits", "program"];

pub(super) async fn replay(
    context: &Context,
    start: &str,
    results: Option<&Path>,
    save: Option<&Path>,
) -> Outcome {
    let job = open_jobs(context).await?.find(start).await?;
    let kind = task(&job)?.kind();
    if job.expected.is_none() || job.backend == local::NAME {
        return Err(Failure::refused(format!(
            "no quantum computer has measured job {}: there is nothing to make its report of again",
            &job.id.to_string()[..8]
        )));
    }
    if save.is_some() && kind == "qrng" {
        return Err(Failure::refused(
            "these bits have gone into keys, or will: they are not written into a file",
        ));
    }
    let saved = save.map(|path| NewFile::reserve(path, 0o600)).transpose()?;
    let raw = if let Some(path) = results {
        read(path)?
    } else {
        let cloud = ibm::expect_cloud(context).await?;
        let asking = async { cloud.results(&job).await };
        progress::during(&context.settings, "Asking IBM Quantum", asking).await?
    };
    let text = saved.as_ref().map(|_| Zeroizing::new(raw.text().to_vec()));
    let made = match (again(&job, raw).await, results) {
        // It is the file that is wrong, and no answer of a service's.
        (Err(QuantumError::Ibm(error)), Some(path)) => {
            return Err(Failure::usage(format!(
                "{} does not hold the results of job {}: {error}",
                path.display(),
                &job.id.to_string()[..8]
            )));
        }
        (made, _) => made?,
    };
    // What is written is what was read.
    if let (Some(saved), Some(text)) = (saved, text) {
        saved.write(&text)?;
    }
    let mut shown = report::Shown::new(Some(&job), kind, &made)?;
    let mut notes = vec![];
    if let Some(unchanged) = is_unchanged(&job, &made)? {
        shown.add(&[("unchanged", unchanged.into())]);
        if !unchanged {
            notes.push(
                "This report is not the one that is kept: other results, or another version.".to_owned(),
            );
        }
    }
    shown.print(context, &notes)
}

/// Whether the report says what the one says that is kept; nothing where there is none.
fn is_unchanged(job: &Job, made: &str) -> Result<Option<bool>, QuantumError> {
    let Some(kept) = &job.report else { return Ok(None) };
    let facts = |text: &str| {
        let mut facts: serde_json::Map<String, Value> =
            serde_json::from_str(text).map_err(|_| QuantumError::Malformed("report"))?;
        facts.retain(|name, _| !ITS_OWN.contains(&name.as_str()));
        Ok::<_, QuantumError>(facts)
    };
    Ok(Some(facts(kept)? == facts(made)?))
}

fn read(path: &Path) -> Outcome<Raw> {
    let mut text = Zeroizing::new(Vec::new());
    fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text))
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    if text.len() as u64 > LARGEST {
        return Err(Failure::usage(format!("{} has more than results can have", path.display())));
    }
    Ok(Raw::new(text))
}
