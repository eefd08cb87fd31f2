//! Commands about the account's devices.

use std::io::{self, IsTerminal as _, Write as _};

use qchat_proto::{
    identity::{DeviceName, link::Code},
    ids::UserName,
    sanitize,
};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use super::{
    Context,
    failure::{Failure, Outcome},
    json::{MeObject, rfc3339},
    open, passphrase, progress, words,
};
use crate::{
    engine::{
        self, Choice, EngineError, Handle, LinkStage, Options, Server,
        types::{LinkRequest, LinkStatus, OwnDevice},
    },
    zone::Zone,
};

/// What two devices show.
#[derive(Serialize)]
struct CodeObject {
    v: u8,
    code: String,
    emoji: [&'static str; 7],
}

/// A device that asks, and what it has to show.
#[derive(Serialize)]
struct RequestObject<'a> {
    v: u8,
    device: String,
    name: &'a str,
    asked_at: String,
    #[serde(flatten)]
    code: Compared,
}

#[derive(Serialize)]
struct Compared {
    code: String,
    emoji: [&'static str; 7],
}

/// A device of the account.
#[derive(Serialize)]
struct DeviceObject<'a> {
    v: u8,
    device: String,
    name: Option<&'a str>,
    me: bool,
    added_at: String,
    added_by: Option<String>,
    last_seen: Option<String>,
}

/// What was done to a device.
#[derive(Serialize)]
struct DeedObject {
    v: u8,
    done: &'static str,
    device: String,
    /// Rooms that it is in, or is out of.
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<usize>,
    /// Rooms where that is still to come.
    waiting: usize,
}

/// Makes this machine a device of an account.
pub(super) async fn link(context: &Context, name: &UserName, device: Option<&DeviceName>) -> Outcome {
    let settings = &context.settings;
    let url = settings.server.clone().ok_or_else(|| {
        Failure::usage("say where the account is: --server URL, or QCHAT_SERVER in the environment")
    })?;
    let asked = Asked::of(context)?;
    let passphrase = passphrase::account(settings, name)?;
    let dir = settings.profile_dir();
    let Choice { trust, key_exchange } = settings.tls;
    let server = Server { url, trust: trust.unwrap_or_default(), key_exchange };
    let device = device.cloned().unwrap_or_else(engine::host_name);
    let stage = |stage| match stage {
        LinkStage::WaitingForAnswer => context.output.say(
            "Waiting for a device of the account: run `qchat device approve` there, or open its screen.",
        ),
        LinkStage::WaitingForApproval => context.output.say("Waiting for the yes of the other device."),
        LinkStage::DerivingKeys | LinkStage::Taking => tracing::debug!(?stage, "linking"),
    };
    let same = async |code: &Code| {
        let shown = context.output.result(&CodeObject::new(*code), || compare(*code));
        shown.map_err(|error| EngineError::Invalid(format!("the output cannot be written: {error}")))?;
        asked.same(*code).await
    };
    // On the heap: the future is large, and moves otherwise.
    let linking = engine::link(
        &dir,
        server,
        name.clone(),
        device,
        settings.new_vault(passphrase),
        settings.timeout,
        stage,
        same,
    );
    let profile = Box::pin(linking).await?;
    let options = Options { offline: true, ..Options::new(settings.timeout) };
    let handle = Handle::start(profile, options).await?;
    let done = context
        .output
        .result(&MeObject::new(handle.me(), true), || format!("linked {}", words::me(handle.me())));
    handle.shutdown().await;
    Ok(done?)
}

/// Lets a device in that asks.
pub(super) async fn approve(context: &Context, yes: bool, code: Option<&str>) -> Outcome {
    open::with_engine(context, async |handle| {
        let request = progress::during(&context.settings, "Waiting for a device", request(context, handle)).await?;
        let object = RequestObject {
            v: 1,
            device: request.device.to_string(),
            name: &request.name,
            asked_at: rfc3339(request.asked_at),
            code: Compared::new(request.code),
        };
        context.output.result(&object, || asking(&request, &context.zone))?;
        let same = match code {
            Some(code) if !request.code.is(code) => false,
            Some(_) if yes => true,
            _ => yes_or_no(context, "Does the other device show the same? [y/N] ").await?.ok_or_else(|| {
                Failure::refused(
                    "nobody can be asked: compare the code with what the other device shows, and say it with --yes --code \
                     DIGITS",
                )
            })?,
        };
        if !same {
            handle.refuse_link(request.link).await?;
            return Err(EngineError::CodesDiffer.into());
        }
        let approving = handle.approve_link(request.link);
        let device = progress::during(&context.settings, "Waiting for the yes of the new device", approving).await?;
        let waiting = handle.wait_in_rooms(device);
        let waiting = progress::during(&context.settings, "Adding the device to the rooms", waiting).await?;
        let object = DeedObject { v: 1, done: "linked", device: device.to_string(), rooms: None, waiting };
        context.output.result(&object, || format!("{} is a device of this account now", request.name))?;
        if waiting > 0 {
            context.output.say(&format!(
                "It is not in {waiting} of the rooms yet: it comes into them when both devices are online."
            ));
        }
        Ok(())
    })
    .await
}

/// Waits until a device asks and has shown itself.
async fn request(context: &Context, handle: &Handle) -> Outcome<LinkRequest> {
    const LOOK: std::time::Duration = std::time::Duration::from_secs(1);
    let mut events = handle.events();
    let asked = async {
        loop {
            match handle.link_request().await? {
                LinkStatus::Asks(request) => return Ok(request),
                LinkStatus::Elsewhere(device) => {
                    return Err(Failure::refused(format!(
                        "another device of this account, {device}, deals with it already: say yes there, or begin anew on the \
                         new device"
                    )));
                }
                LinkStatus::None | LinkStatus::Opening => {}
            }
            if let Ok(Err(RecvError::Closed)) = tokio::time::timeout(LOOK, events.recv()).await {
                return Err(EngineError::Stopped.into());
            }
        }
    };
    tokio::time::timeout(context.settings.timeout, asked).await.unwrap_or_else(|_| {
        Err(Failure::not_found(
            "no device waits to be linked; run `qchat --server URL device link NAME` there, and this again",
        ))
    })
}

/// Lists the account's devices.
pub(super) async fn list(context: &Context) -> Outcome {
    open::with_engine(context, async |handle| {
        let devices = progress::during(&context.settings, "Asking the server", handle.devices()).await?;
        for device in &devices {
            context.output.result(&DeviceObject::new(device), || line(device, &devices, &context.zone))?;
        }
        Ok(())
    })
    .await
}

/// Takes a device out of the account.
pub(super) async fn revoke(context: &Context, device: &str, yes: bool) -> Outcome {
    open::with_engine(context, async |handle| {
        let device = handle.find_device(device).await?;
        if device.me {
            // Before anybody is asked.
            handle.revoke(device.device).await?;
        }
        let name = device.name.as_deref().unwrap_or("(unnamed)");
        if !yes {
            let question = format!("Revoke {} ({})? [y/N] ", sanitize::line(name), device.device);
            match yes_or_no(context, &question).await? {
                Some(true) => {}
                Some(false) => return Err(Failure::refused("nothing was revoked")),
                None => return Err(Failure::usage("say --yes to revoke a device without being asked")),
            }
        }
        let revoking = handle.revoke(device.device);
        let revoked = progress::during(&context.settings, "Revoking", revoking).await?;
        let object = DeedObject {
            v: 1,
            done: "revoked",
            device: device.device.to_string(),
            rooms: Some(revoked.rooms),
            waiting: revoked.waiting,
        };
        context.output.result(&object, || {
            let s = if revoked.rooms == 1 { "" } else { "s" };
            format!("revoked {} and removed it from {} room{s}", sanitize::line(name), revoked.rooms)
        })?;
        if revoked.waiting > 0 {
            context.output.say(&format!(
                "It is still in {} of the rooms: this device removes it there before it says anything.",
                revoked.waiting
            ));
        }
        Ok(())
    })
    .await
}

/// How the user of a new device says that the codes are the same.
#[derive(Clone, Copy)]
enum Asked {
    /// Somebody looks at the terminal.
    Terminal,
    /// A script hands over the digits that the other device shows, as a line of standard input.
    Line,
}

impl Asked {
    fn of(context: &Context) -> Outcome<Self> {
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Ok(Self::Line);
        }
        if context.settings.no_input {
            return Err(Failure::usage(
                "somebody has to compare the codes of both devices: leave --no-input out, or hand over the digits that the \
                 other one shows on standard input",
            ));
        }
        Ok(Self::Terminal)
    }

    async fn same(self, code: Code) -> Result<bool, EngineError> {
        let answer = tokio::task::spawn_blocking(move || {
            if matches!(self, Self::Terminal) {
                prompt("Does the other device show the same? [y/N] ")?;
            }
            let mut line = String::new();
            if io::stdin().read_line(&mut line)? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the digits that the other device shows are expected on standard input",
                ));
            }
            Ok(match self {
                Self::Terminal => is_yes(&line),
                Self::Line => code.is(&line),
            })
        });
        let failed = |error: io::Error| EngineError::Invalid(format!("the answer cannot be read: {error}"));
        answer.await.map_err(|_| EngineError::Stopped)?.map_err(failed)
    }
}

/// Asks on a terminal; `None` where nobody can be asked.
pub(super) async fn yes_or_no(context: &Context, question: &str) -> Outcome<Option<bool>> {
    if context.settings.no_input || !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(None);
    }
    let question = question.to_owned();
    let answer = open::blocking(move || {
        prompt(&question)?;
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok::<_, io::Error>(is_yes(&line))
    });
    Ok(Some(answer.await??))
}

fn prompt(question: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    write!(err, "{question}")?;
    err.flush()
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim(), "y" | "Y" | "yes")
}

impl Compared {
    fn new(code: Code) -> Self {
        Self { code: code.digits(), emoji: code.emoji().map(|emoji| emoji.name) }
    }
}

impl CodeObject {
    fn new(code: Code) -> Self {
        let Compared { code, emoji } = Compared::new(code);
        Self { v: 1, code, emoji }
    }
}

impl<'a> DeviceObject<'a> {
    fn new(device: &'a OwnDevice) -> Self {
        Self {
            v: 1,
            device: device.device.to_string(),
            name: device.name.as_deref(),
            me: device.me,
            added_at: rfc3339(device.added_at),
            added_by: device.added_by.map(|by| by.to_string()),
            last_seen: device.last_seen.map(rfc3339),
        }
    }
}

/// The pictures, what they are called, and their numbers: whoever cannot see the first reads the others out.
fn compare(code: Code) -> String {
    let emoji = code.emoji();
    let pictures = emoji.map(|emoji| emoji.picture).join("  ");
    let names = emoji.map(|emoji| emoji.name).join(" ");
    format!("Both devices have to show:\n\n    {pictures}\n    {names}\n    {}\n", code.digits())
}

fn asking(request: &LinkRequest, zone: &Zone) -> String {
    format!(
        "{} wants to be a device of this account; it asked {}. Say yes only if you have it before you.\n\n{}",
        request.name,
        words::clock(request.asked_at, zone),
        compare(request.code)
    )
}

fn line(device: &OwnDevice, all: &[OwnDevice], zone: &Zone) -> String {
    let name = device.name.as_deref().unwrap_or("(unnamed)");
    let mut added = format!("added {}", words::clock(device.added_at, zone));
    if let Some(by) = device.added_by {
        let known = all.iter().find(|other| other.device == by).and_then(|other| other.name.clone());
        added.extend([" by ", &known.unwrap_or_else(|| format!("device {by}"))]);
    }
    let mut facts = vec![added];
    if let Some(seen) = device.last_seen {
        facts.push(format!("last seen {}, says the server", words::clock(seen, zone)));
    }
    if device.me {
        facts.insert(0, "this one".to_owned());
    }
    format!("{}  {} ({})", device.device, sanitize::line(name), facts.join(", "))
}
