//! Commands about the server's key directory: what it has said of somebody, and that it has only grown.

use qchat_proto::{ids::UserName, sanitize};
use serde::Serialize;
use time::OffsetDateTime;

use super::{Context, account::fingerprint, failure::Outcome, json::rfc3339, open, progress};
use crate::{
    engine::{AuditReport, Audited, Logged, Said},
    store::Evidence,
};

/// A line of somebody's log.
#[derive(Serialize)]
struct LoggedObject<'a> {
    v: u8,
    user: &'a str,
    entry: &'static str,
    version: u64,
    epoch: u64,
    account: Option<String>,
    record: Option<String>,
    list_version: Option<u64>,
    list: Option<String>,
}

/// What an audit has found.
#[derive(Serialize)]
struct AuditObject {
    v: u8,
    from: u64,
    epoch: u64,
    head: String,
    at: Option<String>,
    leaves: u64,
    warnings: Vec<WarningObject>,
}

#[derive(Serialize)]
struct WarningObject {
    epoch: u64,
    at: Option<String>,
    warning: String,
    ours: Option<String>,
    theirs: Option<String>,
}

pub(super) async fn log(context: &Context, user: &UserName) -> Outcome {
    let log = open::with_engine(context, async |handle| {
        let asking = handle.key_log(user.clone());
        Ok(progress::during(&context.settings, "Asking the server", asking).await?)
    })
    .await?;
    // The oldest first, as it came about.
    let lines =
        log.name.iter().map(|line| ("name", line)).chain(log.account.iter().map(|line| ("account", line)));
    let mut lines: Vec<(&'static str, &Logged)> = lines.collect();
    lines.sort_by_key(|(entry, line)| (line.epoch, *entry == "account", line.version));
    for (entry, line) in lines {
        context.output.result(&LoggedObject::new(user, entry, line), || words(user, entry, line))?;
    }
    Ok(())
}

impl<'a> LoggedObject<'a> {
    fn new(user: &'a UserName, entry: &'static str, line: &Logged) -> Self {
        let mut object = Self {
            v: 1,
            user: user.as_str(),
            entry,
            version: line.version,
            epoch: line.epoch,
            account: None,
            record: None,
            list_version: None,
            list: None,
        };
        match &line.said {
            Some(Said::Name(said)) => object.account = Some(said.account.to_string()),
            Some(Said::Account(said)) => {
                object.account = Some(said.account.to_string());
                object.record = Some(fingerprint(&said.record));
                object.list_version = Some(said.list_version);
                object.list = Some(fingerprint(&said.list));
            }
            None => {}
        }
        object
    }
}

fn words(user: &UserName, entry: &str, line: &Logged) -> String {
    let user = sanitize::line(user.as_str());
    let said = match &line.said {
        Some(Said::Name(said)) => format!("the name {user} is that of account {}", said.account),
        Some(Said::Account(said)) => format!(
            "record {}…, device list {} {}…",
            start(&said.record),
            said.list_version,
            start(&said.list)
        ),
        None => "not told: the server has forgotten it, or hides it".to_owned(),
    };
    format!("epoch {:>6}  {entry} {}: {said}", line.epoch, line.version)
}

/// Enough of a hash to see whether it is another one.
fn start(hash: &[u8; 48]) -> String {
    fingerprint(hash).chars().take(17).collect()
}

pub(super) async fn audit(context: &Context, from: Option<u64>, accept: bool) -> Outcome {
    let report = open::with_engine(context, async |handle| {
        if accept {
            handle.accept_directory().await?;
        }
        let audit = progress::telling(&context.settings, "Checking the key directory", async |teller| {
            let told = |Audited { epoch, of }| teller.say(format!("Checked epoch {epoch} of {of}"));
            handle.audit_directory(from, told).await
        });
        Ok(audit.await?)
    })
    .await?;
    let moment = |seconds: u64| {
        i64::try_from(seconds).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()).map(rfc3339)
    };
    let warning = |evidence: &Evidence| WarningObject {
        epoch: evidence.epoch,
        at: moment(u64::try_from(evidence.at_ms / 1000).unwrap_or(0)),
        warning: evidence.what.clone(),
        ours: evidence.ours.as_deref().map(hex),
        theirs: evidence.theirs.as_deref().map(hex),
    };
    let AuditReport { from, to, head, at, leaves, evidence } = &report;
    let object = AuditObject {
        v: 1,
        from: *from,
        epoch: *to,
        head: fingerprint(head),
        at: moment(*at),
        leaves: *leaves,
        warnings: evidence.iter().map(warning).collect(),
    };
    Ok(context.output.result(&object, || {
        let mut lines = vec![
            format!("epochs {from} to {to}: the key directory has only grown, by {leaves} leaves"),
            format!("head at epoch {to}:\n    {}", object.head),
        ];
        for warning in &object.warnings {
            let at = warning.at.as_deref().unwrap_or_default();
            lines.push(format!("WARNING ({at}): {}", sanitize::line(&warning.warning)));
        }
        lines.join("\n")
    })?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
