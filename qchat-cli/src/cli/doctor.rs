//! `doctor`: looks at all that qchat needs, one after the other, and says what is wrong and what to do.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use qchat_proto::sanitize;
use rustix::fs::statvfs;
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    open, progress, quantum,
};
use crate::{
    engine::{self, Link},
    store::Profile,
    vault::{self, agent},
};

/// Fewer bytes than these free are told of: 100 MiB.
const LITTLE: u64 = 100 << 20;

/// How it is with one thing.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It is as it should be.
    Good,
    /// It works, and could be better.
    Warning,
    /// Something does not work.
    Problem,
}

/// What was found out about one thing.
#[derive(Serialize)]
pub(super) struct Finding {
    v: u8,
    check: String,
    verdict: Verdict,
    detail: String,
    /// What to do.
    remedy: Option<String>,
}

impl Finding {
    pub(super) fn good(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { v: 1, check: check.into(), verdict: Verdict::Good, detail: detail.into(), remedy: None }
    }

    pub(super) fn warning(
        check: impl Into<String>,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Warning, remedy: Some(remedy.into()), ..Self::good(check, detail) }
    }

    pub(super) fn problem(
        check: impl Into<String>,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Problem, ..Self::warning(check, detail, remedy) }
    }

    /// A failure says itself what to do.
    pub(super) fn failure(check: impl Into<String>, failure: &Failure) -> Self {
        Self { verdict: Verdict::Problem, ..Self::good(check, failure.message()) }
    }

    fn words(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Good => "ok     ",
            Verdict::Warning => "warning",
            Verdict::Problem => "PROBLEM",
        };
        let detail = sanitize::line(&self.detail);
        let remedy = self.remedy.as_deref().map(|remedy| format!("; {}", sanitize::line(remedy)));
        format!("{verdict}  {:<14} {detail}{}", self.check, remedy.unwrap_or_default())
    }
}

pub(super) async fn doctor(context: &Context) -> Outcome {
    let mut problems = 0;
    let mut tell = |finding: Finding| {
        problems += usize::from(finding.verdict == Verdict::Problem);
        context.output.result(&finding, || finding.words())
    };
    let dir = context.settings.profile_dir();
    for finding in directory(&dir) {
        tell(finding)?;
    }
    let (finding, profile) = unlocked(context, &dir).await;
    tell(finding)?;
    for finding in server(context, profile.as_ref()).await {
        tell(finding)?;
    }
    for finding in quantum::findings(context).await {
        tell(finding)?;
    }
    match problems {
        0 => Ok(()),
        1 => Err(Failure::partial("one thing does not work")),
        problems => Err(Failure::partial(format!("{problems} things do not work"))),
    }
}

/// The directory of the profile.
fn directory(dir: &Path) -> Vec<Finding> {
    let shown = dir.display();
    let metadata = match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let remedy =
                "`qchat register NAME` makes one, `qchat device link NAME` another device of an account";
            return vec![Finding::warning("profile", format!("there is none at {shown}"), remedy)];
        }
        Err(error) => {
            let detail = format!("{shown} cannot be looked at: {error}");
            return vec![Finding::problem("profile", detail, "see to it that this user may read it")];
        }
        Ok(metadata) => metadata,
    };
    let others = metadata.permissions().mode() & 0o077;
    let mut found = vec![if others > 0 {
        Finding::warning("profile", format!("others may look into {shown}"), format!("chmod 700 {shown}"))
    } else {
        Finding::good("profile", shown.to_string())
    }];
    if let Ok(stat) = statvfs(dir) {
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let detail = format!("{} MiB free", free >> 20);
        found.push(if free >= LITTLE {
            Finding::good("disk", detail)
        } else {
            Finding::problem("disk", detail, "nothing can be received once it is full: make room there")
        });
    }
    found
}

/// Whether the profile can be opened, and itself.
async fn unlocked(context: &Context, dir: &Path) -> (Finding, Option<Profile>) {
    const CHECK: &str = "vault";
    if !vault::exists(dir) {
        let detail = "there is none yet";
        return (Finding::warning(CHECK, detail, "it comes with the profile"), None);
    }
    match open::profile(context).await {
        Err(failure) => (Finding::failure(CHECK, &failure), None),
        Ok(profile) => {
            let kept = agent::remaining(dir).ok().flatten().map(|left| left.as_secs());
            let detail = kept.map_or_else(
                || "opens; it is locked again when a command ends".to_owned(),
                |seconds| format!("opens; unlocked for another {} min", seconds.div_ceil(60)),
            );
            (Finding::good(CHECK, detail), Some(profile))
        }
    }
}

/// The server, and the way to it.
async fn server(context: &Context, profile: Option<&Profile>) -> Vec<Finding> {
    let settings = &context.settings;
    let asking = engine::server(profile, settings.server.clone(), settings.tls, settings.timeout);
    let report = match progress::during(settings, "Asking the server", asking).await {
        Ok(report) => report,
        Err(error) => return vec![Finding::failure("server", &error.into())],
    };
    let mut found = vec![Finding::good("server", format!("{} answers", report.url))];
    found.push(match report.link {
        Link::Local => Finding::good("way there", "does not leave this machine"),
        Link::Tls { key_exchange, post_quantum: true, .. } => {
            Finding::good("way there", format!("TLS 1.3, {key_exchange}"))
        }
        Link::Tls { key_exchange, post_quantum: false, .. } => Finding::warning(
            "way there",
            format!("TLS 1.3, {key_exchange}: who talks to whom can be read once quantum computers can"),
            "ask the server's operator for X25519MLKEM768",
        ),
    });
    if report.other_directory {
        found.push(Finding::problem(
            "key directory",
            "is not signed by the key that was seen first",
            "compare it with the operator's word, then `qchat keys audit`",
        ));
    }
    found
}
