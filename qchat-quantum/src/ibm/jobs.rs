//! Jobs as the service tells of them.
//!
//! `GET /jobs/{id}` gives `state.status`, one of Queued, Running, Completed, Cancelled and Failed, with `reason`,
//! `reason_code` and `reason_solution`, and `usage.qpu_charge_time_seconds` when something was charged. The older field
//! `status` beside it also says `Cancelled - Ran too long`. `GET /jobs/{id}/metrics` gives `position_in_queue` and
//! `estimated_start_time` of one that waits, or null.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    IbmError,
    config::Scrub,
    error::{MOST_MESSAGE, parse},
    registry::Remedy,
    submission::{Tag, name},
};

const LONGEST_ID: usize = 100;
const LONGEST_TIME: usize = 40;

/// The service's name for a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// The id as the service has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = IbmError;

    fn from_str(text: &str) -> Result<Self, IbmError> {
        Ok(Self(name(text, "job", LONGEST_ID)?.to_owned()))
    }
}

impl TryFrom<String> for JobId {
    type Error = IbmError;

    fn try_from(text: String) -> Result<Self, IbmError> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job now.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// How far it is.
    pub state: JobState,
    /// The seconds of the device's time that it was charged, if the service says so yet.
    pub charged_seconds: Option<f64>,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It waits.
    Queued {
        /// How many are before it; the service does not say so for all instances.
        position: Option<u64>,
    },
    /// It runs.
    Running,
    /// It is done, and its results are there or will be soon.
    Completed,
    /// It was cancelled, by its owner or by the service.
    Cancelled {
        /// The service's sentence, fit for a terminal; may be empty.
        reason: String,
    },
    /// It failed; a part of it may have been charged.
    Failed {
        /// The code in IBM's registry.
        code: Option<u32>,
        /// The service's sentence, fit for a terminal; may be empty.
        reason: String,
    },
}

impl JobState {
    /// Whether it will never change again.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Queued { .. } | Self::Running)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |reason: &str| if reason.is_empty() { String::new() } else { format!(": {reason}") };
        match self {
            Self::Queued { position: None } => f.write_str("queued"),
            Self::Queued { position: Some(before) } => write!(f, "queued, {before} before it"),
            Self::Running => f.write_str("running"),
            Self::Completed => f.write_str("completed"),
            Self::Cancelled { reason } => write!(f, "cancelled{}", because(reason)),
            Self::Failed { code, reason } => {
                f.write_str("failed")?;
                if let Some(code) = code {
                    write!(f, " with code {code}")?;
                }
                let reason = because(reason.trim_end_matches('.'));
                match code.and_then(Remedy::of) {
                    Some(remedy) => write!(f, "{reason}; {remedy}"),
                    None => write!(f, "{reason}; submit it again, or take another backend"),
                }
            }
        }
    }
}

/// Where a job is that waits, as far as the service says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// How many jobs are before it.
    pub position: Option<u64>,
    /// When it is thought to start, as the service writes it (RFC 3339); whoever shows it reads it first.
    pub starts: Option<String>,
}

#[derive(Deserialize)]
struct Metrics {
    position_in_queue: Option<u64>,
    estimated_start_time: Option<String>,
}

/// Reads the answer of `GET /jobs/{id}/metrics`.
pub(super) fn place(body: &[u8]) -> Result<Place, IbmError> {
    let metrics: Metrics = parse(body, "the metrics of a job were expected")?;
    let starts = metrics.estimated_start_time.filter(|time| time.len() <= LONGEST_TIME);
    Ok(Place { position: metrics.position_in_queue, starts })
}

#[derive(Deserialize)]
struct Document {
    state: State,
    #[serde(default)]
    status: String,
    position_in_queue: Option<u64>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct State {
    status: String,
    reason: Option<String>,
    /// What the service advises.
    reason_solution: Option<String>,
    #[serde(default, deserialize_with = "code")]
    reason_code: Option<u32>,
}

/// A code, whether it comes as a number or as its digits; one in any other form is none, and no reason not to read the rest.
fn code<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(code) => code.as_u64().and_then(|code| u32::try_from(code).ok()),
        Value::String(code) => code.parse().ok(),
        _ => None,
    })
}

#[derive(Deserialize)]
struct Usage {
    qpu_charge_time_seconds: Option<f64>,
}

/// Reads the answer of `GET /jobs/{id}`.
pub(super) fn job(body: &[u8], scrub: &Scrub) -> Result<Job, IbmError> {
    let document: Document = parse(body, "the state of a job was expected")?;
    let said = document.state.reason.as_deref().unwrap_or_default();
    let mut reason = scrub.clean(said, MOST_MESSAGE);
    if reason.is_empty() && document.status == "Cancelled - Ran too long" {
        "it ran for longer than the most seconds that it might cost".clone_into(&mut reason);
    }
    let advice = scrub.clean(document.state.reason_solution.as_deref().unwrap_or_default(), MOST_MESSAGE);
    if !advice.is_empty() && !reason.is_empty() {
        reason = format!("{}; {advice}", reason.trim_end_matches(['.', ' ']));
    }
    let state = match document.state.status.as_str() {
        "Queued" => JobState::Queued { position: document.position_in_queue },
        "Running" => JobState::Running,
        "Completed" => JobState::Completed,
        "Cancelled" => JobState::Cancelled { reason },
        "Failed" => JobState::Failed { code: document.state.reason_code, reason },
        _ => return Err(IbmError::Protocol("a job is in a state that is not known")),
    };
    let charged = document.usage.and_then(|usage| usage.qpu_charge_time_seconds);
    Ok(Job { state, charged_seconds: charged.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) })
}

#[derive(Deserialize)]
struct Created {
    id: JobId,
}

/// Reads the answer of `POST /jobs`.
pub(super) fn created(body: &[u8]) -> Result<JobId, IbmError> {
    Ok(parse::<Created>(body, "the id of a job was expected")?.id)
}

#[derive(Deserialize)]
struct Page {
    jobs: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: JobId,
    #[serde(default)]
    tags: Vec<String>,
}

/// Reads a page of `GET /jobs`: how many jobs are on it, and the first that has the tag itself, since nothing says
/// whether the service compares tags exactly.
pub(super) fn tagged(body: &[u8], tag: &Tag) -> Result<(usize, Option<JobId>), IbmError> {
    let page: Page = parse(body, "a list of jobs was expected")?;
    let count = page.jobs.len();
    let found = page.jobs.into_iter().find(|job| job.tags.iter().any(|other| other == tag.as_str()));
    Ok((count, found.map(|job| job.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> Result<JobState, IbmError> {
        job(text.as_bytes(), &Scrub::default()).map(|job| job.state)
    }

    #[test]
    fn every_documented_state_is_read_and_shown() {
        for (text, shown) in [
            (r#"{"state":{"status":"Queued"},"status":"Queued"}"#, "queued"),
            (r#"{"state":{"status":"Queued"},"position_in_queue":7}"#, "queued, 7 before it"),
            (r#"{"state":{"status":"Running","reason":null}}"#, "running"),
            (r#"{"state":{"status":"Completed"},"id":"x","cost":3}"#, "completed"),
            (r#"{"state":{"status":"Cancelled"}}"#, "cancelled"),
            (
                r#"{"state":{"status":"Cancelled","reason":"by\u001b[1m user"}}"#,
                "cancelled: by\\u{1b}[1m user",
            ),
            (
                r#"{"state":{"status":"Cancelled"},"status":"Cancelled - Ran too long"}"#,
                "cancelled: it ran for longer than the most seconds that it might cost",
            ),
            (
                r#"{"state":{"status":"Failed","reason":"No h.","reason_code":1517}}"#,
                "failed with code 1517: No h; lower the circuits for this backend as it is calibrated now",
            ),
            (
                r#"{"state":{"status":"Failed","reason":"No h.","reason_solution":"Use\u001b[1m sx.","reason_code":9}}"#,
                "failed with code 9: No h; Use\\u{1b}[1m sx; submit it again, or take another backend",
            ),
            (
                r#"{"state":{"status":"Failed","reason_code":"1517"}}"#,
                "failed with code 1517; lower the circuits for this backend as it is calibrated now",
            ),
            (
                r#"{"state":{"status":"Failed","reason_code":{}}}"#,
                "failed; submit it again, or take another backend",
            ),
            (r#"{"state":{"status":"Failed"}}"#, "failed; submit it again, or take another backend"),
        ] {
            assert_eq!(state(text).unwrap().to_string(), shown);
        }
        for text in ["{}", "[]", r#"{"state":{"status":"Thinking"}}"#, r#"{"state":{"status":3}}"#] {
            assert!(matches!(state(text), Err(IbmError::Protocol(_))), "{text}");
        }
        assert!(matches!(state(r#"{"state":{"stat"#), Err(IbmError::CutOff)));
    }

    #[test]
    fn what_was_charged_is_a_number_of_seconds_or_nothing() {
        for (usage, seconds) in [
            (r#"{"qpu_charge_time_seconds":2.5,"status":"complete"}"#, Some(2.5)),
            (r#"{"qpu_charge_time_seconds":-1}"#, None),
            ("{}", None),
            ("null", None),
        ] {
            let text = format!(r#"{{"state":{{"status":"Completed"}},"usage":{usage}}}"#);
            assert_eq!(job(text.as_bytes(), &Scrub::default()).unwrap().charged_seconds, seconds, "{usage}");
        }
    }

    #[test]
    fn a_place_in_the_queue_is_what_is_said_of_it() {
        for (text, position, starts) in [
            (
                r#"{"position_in_queue":3,"estimated_start_time":"2026-11-30T12:00:00.000Z","bss":{"seconds":0}}"#,
                Some(3),
                Some("2026-11-30T12:00:00.000Z"),
            ),
            (r#"{"position_in_queue":null,"estimated_start_time":null}"#, None, None),
            ("{}", None, None),
        ] {
            let place = place(text.as_bytes()).unwrap();
            assert_eq!((place.position, place.starts.as_deref()), (position, starts), "{text}");
        }
        let long = format!(r#"{{"estimated_start_time":"{}"}}"#, "2".repeat(41));
        assert_eq!(place(long.as_bytes()).unwrap(), Place::default());
        for text in ["[]", r#"{"position_in_queue":-1}"#, r#"{"position_in_queue":"next"}"#] {
            assert!(place(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_job_with_the_very_tag_is_the_one() {
        let tag: Tag = "qchat-7".parse().unwrap();
        let page =
            r#"{"jobs":[{"id":"a","tags":["qchat-77"]},{"id":"b"},{"id":"c","tags":["x","qchat-7"]}]}"#;
        assert_eq!(tagged(page.as_bytes(), &tag).unwrap(), (3, Some("c".parse().unwrap())));
        assert_eq!(tagged(br#"{"jobs":[]}"#, &tag).unwrap(), (0, None));
        assert!(tagged(br#"{"jobs":[{"id":"../a"}]}"#, &tag).is_err());
        assert!(created(br#"{"id":"a b"}"#).is_err());
        assert_eq!(
            created(br#"{"id":"c5dge2d3rn7breq27i9g","backend":"b"}"#).unwrap().as_str(),
            "c5dge2d3rn7breq27i9g"
        );
    }
}
