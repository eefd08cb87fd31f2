//! The command that compares keys with somebody, and says what became of changed ones.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use qchat_proto::{
    emoji::Emoji,
    ids::UserName,
    safety::{Checked, SafetyCode, SafetyDigits},
};
use serde::Serialize;

use super::{
    Context, account,
    failure::{Failure, Outcome},
    json, open, progress,
};
use crate::engine::{
    ChangeKind, Comparison, Handle, IdentityChange,
    types::{Standing, Trusted},
};

/// More than any text of a safety number.
const LONGEST: u64 = 4096;

/// How somebody is to be verified, or what else is to become of that.
pub(super) enum How<'a> {
    /// By showing the number and asking.
    Ask,
    /// By these digits, which the other side has shown.
    Number(SafetyDigits),
    /// By this text, which the other side has shown.
    Scan(&'a str),
    /// Not at all, but with other keys.
    Accept,
    /// No longer.
    Revoke,
}

#[derive(Serialize)]
struct EmojiObject {
    picture: &'static str,
    name: &'static str,
}

/// What is compared, and what came of it.
#[derive(Serialize)]
struct VerifyObject<'a> {
    v: u8,
    done: Option<&'static str>,
    name: &'a str,
    account: String,
    fingerprint: String,
    status: &'static str,
    since: Option<String>,
    number: String,
    emoji: Vec<EmojiObject>,
    code: String,
}

/// How far somebody is trusted.
#[derive(Serialize)]
struct TrustObject<'a> {
    v: u8,
    name: &'a str,
    account: String,
    fingerprint: String,
    status: &'static str,
    since: Option<String>,
}

/// A change of somebody's keys, or that there was none.
#[derive(Serialize)]
struct ChangeObject<'a> {
    v: u8,
    done: Option<&'static str>,
    name: &'a str,
    old_fingerprint: Option<String>,
    new_fingerprint: Option<String>,
    change: Option<&'static str>,
    by_recovery_key: bool,
}

#[derive(Serialize)]
struct RevokeObject<'a> {
    v: u8,
    done: &'static str,
    name: &'a str,
}

pub(super) async fn status(context: &Context) -> Outcome {
    open::offline(context, async |handle| {
        for trusted in handle.trusted().await? {
            let object = TrustObject {
                v: 1,
                name: trusted.name.as_str(),
                account: trusted.account.to_string(),
                fingerprint: account::fingerprint(&trusted.fingerprint),
                status: word(trusted.standing),
                since: trusted.since.map(json::rfc3339),
            };
            context.output.result(&object, || line(&trusted))?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn verify(
    context: &Context,
    user: &UserName,
    how: How<'_>,
    yes: bool,
    draw: bool,
) -> Outcome {
    if yes && !matches!(how, How::Number(_) | How::Accept) {
        return Err(Failure::usage(
            "--yes goes with --number DIGITS, which are compared, or with --accept: nobody is verified unseen",
        ));
    }
    // Before anything is opened: what cannot be compared need not be.
    let scanned = match how {
        How::Scan(text) => Some(code(text)?),
        _ => None,
    };
    if let How::Revoke = how {
        return open::offline(context, async |handle| revoke(context, handle, user).await).await;
    }
    open::with_engine(context, async |handle| match how {
        How::Accept => accept(context, handle, user, yes).await,
        _ => compare(context, handle, user, &how, scanned.as_ref(), yes, draw).await,
    })
    .await
}

async fn compare(
    context: &Context,
    handle: &Handle,
    user: &UserName,
    how: &How<'_>,
    scanned: Option<&SafetyCode>,
    yes: bool,
    draw: bool,
) -> Outcome {
    let comparing = handle.compare(user);
    let comparison = progress::during(&context.settings, "Asking the server", comparing).await?;
    if !comparison.fresh {
        context.output.say(&format!(
            "warning: the server cannot be asked; this is {user} as they were when it last was"
        ));
    }
    let matches = match (how, scanned) {
        (How::Number(digits), _) if *digits != comparison.number.digits() => return Err(differs(user)),
        (How::Number(_), _) => {
            yes || ask(context, &format!("The digits match. Is it {user} who has shown them to you?"))?
                .ok_or_else(|| Failure::usage("say --yes to verify without being asked"))?
        }
        (_, Some(code)) => check(user, comparison.number.check(code)).map(|()| true)?,
        (_, None) => {
            let object = verify_object(&comparison, None);
            context.output.result(&object, || words(context, &comparison, &handle.me().name, draw))?;
            if !may_ask(context) {
                return Ok(());
            }
            let asked = format!("Does {user}'s qchat show the same number?");
            ask(context, &asked)?.unwrap_or(false)
        }
    };
    if !matches {
        return Err(Failure::refused(format!(
            "{user} was not verified. If the numbers differ, one of you was given false keys, by the server or by \
             whoever is between; say nothing secret until you know why"
        )));
    }
    handle.mark_verified(&comparison).await?;
    done(context, handle, user).await
}

/// Says who is verified now.
async fn done(context: &Context, handle: &Handle, user: &UserName) -> Outcome {
    let comparison = handle.compare(user).await?;
    let object = verify_object(&comparison, Some("verified"));
    Ok(context.output.result(&object, || format!("verified {user}"))?)
}

fn verify_object<'a>(comparison: &'a Comparison, done: Option<&'static str>) -> VerifyObject<'a> {
    let emoji = comparison.number.emoji();
    VerifyObject {
        v: 1,
        done,
        name: comparison.name.as_str(),
        account: comparison.account.to_string(),
        fingerprint: account::fingerprint(&comparison.fingerprint),
        status: word(comparison.standing),
        since: comparison.since.map(json::rfc3339),
        number: comparison.number.digits().to_string(),
        emoji: emoji.iter().map(|Emoji { picture, name }| EmojiObject { picture, name }).collect(),
        code: comparison.number.code().to_string(),
    }
}

fn words(context: &Context, comparison: &Comparison, me: &UserName, draw: bool) -> String {
    let Comparison { name, number, standing, since, .. } = comparison;
    let since = since.map(|at| format!(" since {}", json::rfc3339(at))).unwrap_or_default();
    let digits = number.digits();
    let groups: Vec<_> = digits.groups().collect();
    let mut lines = vec![format!("{name}: {}{since}", word(*standing)), String::new()];
    lines.extend(groups.chunks(4).map(|row| format!("    {}", row.join(" "))));
    lines.push(String::new());
    let emoji = number.emoji().map(|emoji| format!("{} {}", emoji.picture, emoji.name));
    lines.push(format!("    {}", emoji.join("  ")));
    lines.push(String::new());
    let code = number.code().to_string();
    if draw && let Some(picture) = crate::qr::draw(&code, has_colours(context)) {
        lines.push(picture);
        lines.push(String::new());
    }
    lines.push(code);
    lines.push(String::new());
    lines.push(format!(
        "{name} sees the same with `qchat verify {me}`, unless one of you was given false keys. Compare the number over a \
         channel on which you know one another; the emoji alone prove nothing."
    ));
    lines.join("\n")
}

/// Colours where there is a terminal that shows them to somebody who wants them.
fn has_colours(context: &Context) -> bool {
    let set = |name: &str| std::env::var_os(name).unwrap_or_default();
    let wanted = !context.settings.plain && set("NO_COLOR").is_empty() && set("TERM") != "dumb";
    wanted && io::stdout().is_terminal()
}

fn differs(user: &UserName) -> Failure {
    Failure::refused(format!(
        "the number is not the one that this device has with {user}: one of you was given false keys, by the server or by \
         whoever is between, or a digit is wrong. {user} was not verified; say nothing secret until you know why"
    ))
}

fn check(user: &UserName, checked: Checked) -> Outcome {
    Err(match checked {
        Checked::Matches => return Ok(()),
        Checked::Differs => differs(user),
        Checked::Elsewhere => Failure::refused(format!(
            "the text is of other accounts than yours and the one that is known here as {user}: it was made for somebody \
             else, or the server has put another account in the place of one of you. {user} was not verified"
        )),
        Checked::Own => Failure::refused(format!(
            "the text is the one that this device shows, which proves nothing; it is {user}'s that is to be scanned"
        )),
    })
}

/// Reads the text of a code.
fn code(text: &str) -> Outcome<SafetyCode> {
    let failed = |error: &dyn std::fmt::Display| Failure::usage(format!("{error}"));
    if text != "-" {
        return text.parse().map_err(|error| failed(&error));
    }
    let mut read = String::new();
    io::stdin()
        .lock()
        .take(LONGEST)
        .read_to_string(&mut read)
        .map_err(|error| Failure::usage(format!("the text cannot be read: {error}")))?;
    read.parse().map_err(|error| failed(&error))
}

async fn revoke(context: &Context, handle: &Handle, user: &UserName) -> Outcome {
    let was = handle.revoke_verification(user).await?;
    let object = RevokeObject { v: 1, done: if was { "revoked" } else { "unchanged" }, name: user.as_str() };
    Ok(context.output.result(&object, || {
        if was { format!("{user} is not verified any more") } else { format!("{user} was not verified") }
    })?)
}

async fn accept(context: &Context, handle: &Handle, user: &UserName, yes: bool) -> Outcome {
    let looking = handle.identity_change(user);
    let Some(change) = progress::during(&context.settings, "Asking the server", looking).await? else {
        let object = change_object(user, None, Some("unchanged"));
        let unchanged =
            || format!("the keys of {user} are those that this device knows; there is nothing to accept");
        return Ok(context.output.result(&object, unchanged)?);
    };
    let accepted = if yes {
        true
    } else {
        context.output.result(&change_object(user, Some(&change), None), || change_words(&change))?;
        ask(context, &format!("Go on with {user} by the key that the server shows?"))?.unwrap_or(false)
    };
    if !accepted {
        return Err(Failure::refused(format!(
            "nothing was accepted, and nothing is sent to {user}; with --yes it is accepted without being asked"
        )));
    }
    handle.accept_change(&change).await?;
    let object = change_object(user, Some(&change), Some("accepted"));
    Ok(context.output.result(&object, || {
        let shown = if yes { format!("{}\n", change_words(&change)) } else { String::new() };
        format!("{shown}accepted; {user} is not verified: `qchat verify {user}` compares keys")
    })?)
}

fn change_object<'a>(
    user: &'a UserName,
    change: Option<&IdentityChange>,
    done: Option<&'static str>,
) -> ChangeObject<'a> {
    let kind = change.map(|change| change.kind);
    ChangeObject {
        v: 1,
        done,
        name: user.as_str(),
        old_fingerprint: change.map(|change| account::fingerprint(&change.old)),
        new_fingerprint: change.map(|change| account::fingerprint(&change.new)),
        change: kind.map(|kind| match kind {
            ChangeKind::ByRecoveryKey => "by_recovery_key",
            ChangeKind::Unvouched => "unvouched",
            ChangeKind::TakenBack => "taken_back",
        }),
        by_recovery_key: kind == Some(ChangeKind::ByRecoveryKey),
    }
}

fn change_words(change: &IdentityChange) -> String {
    let IdentityChange { name, old, new, kind, .. } = change;
    let what = match kind {
        ChangeKind::ByRecoveryKey => format!(
            "The recovery key that this device knows {name} by has signed the new key: {name} has recovered the account, \
             or whoever has {name}'s recovery words."
        ),
        ChangeKind::Unvouched => format!(
            "Nothing that this device knows of {name} stands behind the new key: it may be anybody's, and who can put it \
             there is the server. Ask {name} over another channel."
        ),
        ChangeKind::TakenBack => format!(
            "The server has shown another key of {name}'s, and shows now the one again that this device has always known."
        ),
    };
    format!(
        "{name}\n  the key that is known here:\n    {}\n  the key that the server shows:\n    {}\n{what}",
        account::fingerprint(old),
        account::fingerprint(new)
    )
}

fn line(trusted: &Trusted) -> String {
    let since = trusted.since.map_or_else(|| "?".to_owned(), json::rfc3339);
    let status = match trusted.standing {
        Standing::Changed => "CHANGED",
        standing => word(standing),
    };
    format!("{status:<10}  since {since:<24}  {}", trusted.name)
}

/// The word for a standing.
fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Unverified => "unverified",
        Standing::Verified => "verified",
        Standing::Changed => "changed",
    }
}

fn may_ask(context: &Context) -> bool {
    let settings = &context.settings;
    !settings.no_input && !settings.json && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on a terminal; `None` where nobody can be asked.
fn ask(context: &Context, question: &str) -> Outcome<Option<bool>> {
    if !may_ask(context) {
        return Ok(None);
    }
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim(), "y" | "Y" | "yes")))
}
