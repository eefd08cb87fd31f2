//! What can go wrong between this program and IBM Quantum, one sentence each, with what to do.
//!
//! The service explains itself as `{"trace", "errors": [{"code", "message", "more_info"}]}`, IBM's identity service as
//! `{"errorCode", "errorMessage", "context": {"requestId"}}`. What they say is quoted, made fit for a terminal, and rid
//! of our own secrets, should they repeat them.

use std::{fmt, time::Duration};

use qchat_proto::sanitize;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{config::Scrub, registry::Remedy, submission::Tag};

/// More characters of a message explain nothing.
pub(super) const MOST_MESSAGE: usize = 200;
/// More characters of a name for a request are none.
const MOST_TRACE: usize = 100;

/// What the service says about a refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its sentence, on one line and of 200 characters at most; may be empty.
    pub message: String,
    /// Its code: four digits from the service, more like `BXNIM0415E` from IBM's identity service.
    pub code: Option<String>,
    /// The name under which IBM's support finds the request.
    pub trace: Option<String>,
}

impl Said {
    /// What helps against its code.
    fn remedy(&self) -> Option<Remedy> {
        self.code.as_deref().and_then(|code| code.parse().ok()).and_then(Remedy::of)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.trim_end_matches(['.', ' ']);
        f.write_str(if message.is_empty() { "no reason is given" } else { message })?;
        match (&self.code, &self.trace) {
            (None, None) => Ok(()),
            (Some(code), None) => write!(f, " (code {code})"),
            (None, Some(trace)) => write!(f, " (trace {trace})"),
            (Some(code), Some(trace)) => write!(f, " (code {code}, trace {trace})"),
        }
    }
}

/// IBM Quantum did not do what was asked. Never holds the API key or a token.
#[derive(Debug, thiserror::Error)]
pub enum IbmError {
    /// Plain http to another machine.
    #[error("{url}: plain http is only for this machine (127.0.0.1, ::1, localhost); use https")]
    PlainHttp {
        /// The address given.
        url: String,
    },
    /// An address of another form.
    #[error("{url}: the address of a service has the form https://HOST/PATH, without a user or a query")]
    Address {
        /// The address given.
        url: String,
    },
    /// The instance's name is none.
    #[error(
        "this is no CRN of an IBM Quantum instance; copy the one that begins with \
         crn:v1:bluemix:public:quantum-computing from https://quantum.cloud.ibm.com/instances"
    )]
    Crn,
    /// The API key cannot be one.
    #[error(
        "an API key is one word of letters, digits and signs; copy it again from https://cloud.ibm.com/iam/apikeys"
    )]
    KeyForm,
    /// A name of a backend, a job or a tag has characters that no such name has.
    #[error("{0:?} cannot be the name of a {1}; use letters, digits, - and _")]
    Name(String, &'static str),
    /// What was to be submitted cannot be.
    #[error("the job was not submitted: {0}")]
    Submission(&'static str),
    /// A backend of the service's that is no quantum computer.
    #[error("{0} is a simulator at IBM's, whose bits are no better than this machine's: use --backend local")]
    Simulator(String),
    /// A job that was waited for has ended without results.
    #[error("IBM Quantum has ended the job: {0}")]
    Ended(String),
    /// IBM's identity service refuses the API key.
    #[error(
        "IBM does not accept the API key: {0}; create another at https://cloud.ibm.com/iam/apikeys and store that one"
    )]
    Key(Said),
    /// 401, with a token that was just issued.
    #[error(
        "IBM Quantum does not accept the access token: {0}; check that API key and CRN are of one account"
    )]
    Unauthorized(Said),
    /// 403.
    #[error("IBM Quantum does not allow this: {_0}; {}", what_allows(.0))]
    Forbidden(Said),
    /// 404.
    #[error("IBM Quantum has no such {what}: {said}; check its name and that the instance may use it")]
    NotFound {
        /// A backend, job or instance.
        what: &'static str,
        /// The answer.
        said: Said,
    },
    /// 409 to a submission.
    #[error(
        "the instance has used up its time on quantum computers: {0}; wait for the next period, raise the limit, or \
         take the local simulator"
    )]
    UsageLimit(Said),
    /// 409 to a cancellation.
    #[error("the job cannot be cancelled any more: {0}; look at its state")]
    Final(Said),
    /// A circuit that the device cannot run.
    #[error("IBM Quantum refuses a circuit: {0}; lower it for this backend as it is calibrated now")]
    Circuit(Said),
    /// Another refusal.
    #[error("IBM Quantum refuses the request with status {status}: {said}; {}", what_helps(*.remedy))]
    Refused {
        /// The status of HTTP.
        status: u16,
        /// The answer.
        said: Said,
        /// What IBM's registry of codes means for who asks here.
        remedy: Option<Remedy>,
    },
    /// 429.
    #[error("IBM Quantum was asked too often: {said}; try again {}", when(*.after))]
    Limited {
        /// How long the service wants to be left alone.
        after: Option<Duration>,
        /// The answer.
        said: Said,
    },
    /// 5xx.
    #[error(
        "IBM Quantum fails with status {status}: {said}; try again {}, and see https://quantum.cloud.ibm.com/status",
        when(*.after)
    )]
    Unavailable {
        /// The status of HTTP.
        status: u16,
        /// How long the service wants to be left alone.
        after: Option<Duration>,
        /// The answer.
        said: Said,
    },
    /// No connection; nothing was sent.
    #[error("{host} cannot be reached: {reason}; check the connection and try again")]
    Unreachable {
        /// The host.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {host} was lost: {reason}; try again")]
    Lost {
        /// The host.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// An answer whose text ends before it is complete.
    #[error("the answer of IBM Quantum ends too early; try again")]
    CutOff,
    /// No answer in time.
    #[error("{host} does not answer; try again")]
    Timeout {
        /// The host.
        host: String,
    },
    /// The system's certificates cannot be read.
    #[error(
        "the certificates that this system trusts cannot be read; install them (often a package ca-certificates)"
    )]
    Roots,
    /// More than an answer may have.
    #[error("the answer of IBM Quantum is larger than {0} MiB; ask for fewer shots or circuits")]
    TooLarge(usize),
    /// An answer that is not what the published interface says.
    #[error(
        "the answer of IBM Quantum is not what its interface promises: {0}; a newer version of qchat may read it"
    )]
    Protocol(&'static str),
    /// A job was sent, and nobody knows whether it arrived.
    #[error(
        "it is not known whether IBM Quantum received the job ({cause}); ask again later, it is found by its tag {tag}"
    )]
    OutcomeUnknown {
        /// By which the job is found if it arrived.
        tag: Tag,
        /// What happened.
        #[source]
        cause: Box<IbmError>,
    },
}

impl IbmError {
    /// Whether the same request may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Limited { .. }
                | Self::Unavailable { .. }
                | Self::Unreachable { .. }
                | Self::Lost { .. }
                | Self::CutOff
                | Self::Timeout { .. }
        )
    }

    /// Whether a request that ended so may have been carried out all the same.
    pub(super) fn is_no_outcome(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Lost { .. }
                | Self::CutOff
                | Self::Timeout { .. }
                | Self::TooLarge(_)
                | Self::Protocol(_)
                // The service, or what stands before it, has waited too long for the end of a request.
                | Self::Refused { status: 408, .. }
        )
    }

    /// How long the service wants to be left alone, if it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited { after, .. } | Self::Unavailable { after, .. } => *after,
            _ => None,
        }
    }

    /// What the service said, if it was it that refused.
    pub fn said(&self) -> Option<&Said> {
        match self {
            Self::Key(said)
            | Self::Unauthorized(said)
            | Self::Forbidden(said)
            | Self::NotFound { said, .. }
            | Self::UsageLimit(said)
            | Self::Final(said)
            | Self::Circuit(said)
            | Self::Refused { said, .. }
            | Self::Limited { said, .. }
            | Self::Unavailable { said, .. } => Some(said),
            Self::OutcomeUnknown { cause, .. } => cause.said(),
            _ => None,
        }
    }
}

fn when(after: Option<Duration>) -> String {
    after.map_or_else(|| "later".to_owned(), |after| format!("in {} s", after.as_secs().max(1)))
}

/// A role, unless the code says what else is missing.
fn what_allows(said: &Said) -> Remedy {
    let known = said.remedy();
    known
        .filter(|remedy| matches!(remedy, Remedy::Terms | Remedy::Backend | Remedy::FewerJobs))
        .unwrap_or(Remedy::Rights)
}

fn what_helps(remedy: Option<Remedy>) -> String {
    remedy.map_or_else(|| "a newer version of qchat may know why".to_owned(), |remedy| remedy.to_string())
}

/// What was asked for, as far as a refusal means different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Token,
    Submit,
    Cancel,
    /// Something about a thing of this kind.
    About(&'static str),
}

/// The refusal that a status and a body are.
pub(super) fn refusal(
    asked: Asked,
    status: StatusCode,
    after: Option<Duration>,
    body: &[u8],
    scrub: &Scrub,
) -> IbmError {
    let said = said(body, scrub);
    let number = status.as_u16();
    let remedy = said.remedy();
    match (number, asked) {
        (429, _) => IbmError::Limited { after, said },
        (500.., _) => IbmError::Unavailable { status: number, after, said },
        (400 | 401 | 403, Asked::Token) => IbmError::Key(said),
        (401, _) => IbmError::Unauthorized(said),
        (403, _) => IbmError::Forbidden(said),
        (404, asked) => {
            let what = match asked {
                Asked::About(what) => what,
                Asked::Cancel => "job",
                Asked::Submit => "backend or program",
                Asked::Token => "address",
            };
            IbmError::NotFound { what, said }
        }
        (409, Asked::Submit) if remedy != Some(Remedy::FewerJobs) => IbmError::UsageLimit(said),
        (409, Asked::Cancel) => IbmError::Final(said),
        _ if remedy == Some(Remedy::Circuit) => IbmError::Circuit(said),
        _ => IbmError::Refused { status: number, said, remedy },
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Document {
    trace: Option<String>,
    errors: Vec<Entry>,
    #[serde(rename = "errorCode")]
    identity_code: Option<String>,
    #[serde(rename = "errorMessage")]
    identity_message: Option<String>,
    context: Context,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    code: Value,
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Context {
    #[serde(rename = "requestId")]
    request: Option<String>,
}

/// What a body says; nothing of one that is not in either form, since it may be a page for a browser.
fn said(body: &[u8], scrub: &Scrub) -> Said {
    let document: Document = serde_json::from_slice(body).unwrap_or_default();
    let entry = document.errors.into_iter().next().unwrap_or_default();
    let code = match entry.code {
        Value::String(code) => Some(code),
        Value::Number(code) => Some(code.to_string()),
        _ => document.identity_code,
    };
    let message = entry.message.or(document.identity_message).unwrap_or_default();
    let clean = |text: String| Some(scrub.clean(&text, MOST_TRACE)).filter(|text| !text.is_empty());
    Said {
        message: scrub.clean(&message, MOST_MESSAGE),
        code: code.and_then(clean),
        trace: document.trace.or(document.context.request).and_then(clean),
    }
}

/// Reads an answer. What exactly is wrong with one is not told, since that would quote it.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], expected: &'static str) -> Result<T, IbmError> {
    serde_json::from_slice(body).map_err(|error| not_json(&error, expected))
}

pub(super) fn not_json(error: &serde_json::Error, expected: &'static str) -> IbmError {
    if error.is_eof() { IbmError::CutOff } else { IbmError::Protocol(expected) }
}

/// A sentence of the service without what must not be shown, for one line of a terminal.
pub(super) fn shown(text: &str, most: usize) -> String {
    sanitize::name(text, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_refusal_has_its_sentence_and_its_remedy() {
        let answer =
            br#"{"trace":"t-1","errors":[{"code":1234,"message":"The provider says so.","more_info":"u"}]}"#;
        for (status, asked, has) in [
            (400, Asked::Token, "create another"),
            (401, Asked::About("job"), "of one account"),
            (403, Asked::About("job"), "ask the owner"),
            (404, Asked::About("backend"), "no such backend"),
            (404, Asked::Cancel, "no such job"),
            (409, Asked::Submit, "wait for the next period"),
            (409, Asked::Cancel, "look at its state"),
            (409, Asked::About("job"), "status 409"),
            (400, Asked::Submit, "status 400"),
            (408, Asked::Submit, "status 408"),
            (418, Asked::About("job"), "a newer version"),
            (302, Asked::About("job"), "status 302"),
            (429, Asked::Submit, "try again in 7 s"),
            (500, Asked::About("job"), "status 500"),
            (503, Asked::Token, "/status"),
        ] {
            let after = Some(Duration::from_secs(7));
            let status = StatusCode::from_u16(status).unwrap();
            let error = refusal(asked, status, after, answer, &Scrub::default());
            let text = error.to_string();
            assert!(text.contains(has), "{status} {asked:?}: {text}");
            assert!(text.contains("The provider says so (code 1234, trace t-1)"), "{text}");
            assert!(!text.contains('\n') && !text.ends_with('.'), "one sentence: {text}");
            assert_eq!(error.said().unwrap().trace.as_deref(), Some("t-1"));
            assert_eq!(error.is_no_outcome(), matches!(status.as_u16(), 408 | 500..), "{status}");
        }
    }

    #[test]
    fn a_code_of_the_registry_says_what_helps() {
        for (status, asked, code, has) in [
            (400, Asked::Submit, 1517, "lower it for this backend"),
            (400, Asked::Submit, 6000, "ask for fewer"),
            (400, Asked::Submit, 1004, "take another backend"),
            (400, Asked::Submit, 3458, "wait until earlier jobs have ended"),
            (409, Asked::Submit, 1012, "wait until earlier jobs have ended"),
            (403, Asked::Submit, 3444, "accept IBM's terms"),
            (403, Asked::Submit, 2409, "ask the owner"),
            (403, Asked::Submit, 1000, "ask the owner"),
            (400, Asked::Cancel, 3209, "look at the job's state"),
            (400, Asked::About("job"), 1006, "try again later"),
        ] {
            let answer = serde_json::json!({"errors": [{"code": code, "message": "No."}]}).to_string();
            let error = refusal(
                asked,
                StatusCode::from_u16(status).unwrap(),
                None,
                answer.as_bytes(),
                &Scrub::default(),
            );
            assert!(error.to_string().contains(has), "{status} {asked:?} {code}: {error}");
            // Whoever may not ask learns nothing of a job, and it is not given up.
            assert_eq!(matches!(error, IbmError::Forbidden(_)), status == 403, "{error:?}");
        }
    }

    #[test]
    fn what_the_service_says_is_cut_and_cannot_move_the_cursor() {
        let message = format!("later\u{1b}[2J\n\u{202e}{}", "x".repeat(500));
        let body = serde_json::json!({"errors": [{"code": "1517", "message": message}]}).to_string();
        let error = refusal(Asked::Submit, StatusCode::BAD_REQUEST, None, body.as_bytes(), &Scrub::default());
        assert!(matches!(error, IbmError::Circuit(_)), "{error:?}");
        let said = error.said().unwrap();
        assert_eq!(said.message.chars().count(), MOST_MESSAGE);
        assert!(!error.to_string().contains(['\u{1b}', '\n', '\u{202e}']));
    }

    #[test]
    fn a_body_in_no_known_form_is_not_quoted() {
        for body in [&b""[..], b"<html>sorry</html>", b"[]", b"{\"errors\":3}", b"{\"errors\":[]}", b"\xff"] {
            let error = refusal(Asked::About("job"), StatusCode::BAD_GATEWAY, None, body, &Scrub::default());
            assert!(error.to_string().contains("no reason is given"), "{error}");
        }
        let identity =
            br#"{"errorCode":"BXNIM0415E","errorMessage":"not found","context":{"requestId":"r"}}"#;
        let error = refusal(Asked::Token, StatusCode::BAD_REQUEST, None, identity, &Scrub::default());
        assert!(error.to_string().contains("not found (code BXNIM0415E, trace r)"), "{error}");
    }
}
