//! What `listen` does with each message of others beside printing it: runs a command, tells a web service, shows it on the
//! desktop. One after the other, in the order of the messages; one that fails is tried again.

use std::{
    cell::{Cell, RefCell},
    process::Stdio,
    time::Duration,
};

use tokio::{io::AsyncWriteExt, process::Command, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Context,
    args::{HookArgs, Notify},
    failure::{Failure, Outcome},
    json::MessageObject,
};
use crate::{
    child, desktop,
    engine::types::{Body, Message},
    net::webhook::Webhook,
};

/// Tries of one message.
const TRIES: u32 = 5;
/// Before the second try; each further pause is twice as long.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one try may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is done with each message.
pub(super) struct Hooks {
    /// Program and arguments.
    exec: Option<Vec<String>>,
    webhook: Option<Webhook>,
    notify: Option<Notify>,
    /// Messages with which something was not done.
    failed: Cell<usize>,
    /// The message with which something is being done.
    underway: RefCell<Option<String>>,
    /// Once `listen` is to end.
    ending: CancellationToken,
}

/// Why a try has failed, and whether another makes sense.
struct Miss {
    why: String,
    again: bool,
}

impl Hooks {
    /// Reads what was asked for.
    pub(super) fn new(HookArgs { exec, webhook, notify }: &HookArgs) -> Outcome<Self> {
        let exec = exec.as_deref().map(shell_words::split).transpose();
        let exec = exec.map_err(|error| Failure::usage(format!("--exec cannot be read: {error}")))?;
        if exec.as_ref().is_some_and(Vec::is_empty) {
            return Err(Failure::usage("--exec names no command"));
        }
        let webhook = webhook.as_ref().map(|url| Webhook::new(url.clone(), PATIENCE)).transpose();
        let webhook = webhook.map_err(|_| {
            Failure::usage(
                "--webhook takes an https address, or http on this machine, without a password in it",
            )
        })?;
        Ok(Self {
            exec,
            webhook,
            notify: *notify,
            failed: Cell::new(0),
            underway: RefCell::default(),
            ending: CancellationToken::new(),
        })
    }

    /// Does all of it with a message, `aloud` or without showing it. Failures are said, and counted.
    pub(super) async fn run(&self, context: &Context, message: &Message, room: &str, aloud: bool) {
        // Else a bot would answer itself.
        if message.sender.as_ref().is_none_or(|sender| sender.me) {
            return;
        }
        let Ok(object) = serde_json::to_vec(&MessageObject::new(message, room)) else { return };
        let id = message.id.map(|id| id.to_string()).unwrap_or_default();
        self.underway.replace(Some(id.clone()));
        let mut misses = vec![];
        if let Some(words) = &self.exec {
            let running = self.persist(async || exec(words, &object).await).await;
            misses.extend(running.err().map(|why| ("command", why)));
        }
        if let Some(webhook) = &self.webhook {
            let posting = self.persist(async || {
                webhook
                    .post(&id, &object)
                    .await
                    .map_err(|error| Miss { why: error.to_string(), again: error.is_passing() })
            });
            misses.extend(posting.await.err().map(|why| ("web service", why)));
        }
        if let Some(how) = self.notify.filter(|_| aloud) {
            misses.extend(show(how, message, room).await.err().map(|why| ("notification", why)));
        }
        for (what, why) in &misses {
            context.output.say(&format!("warning: the {what} for message {id} failed: {why}"));
        }
        self.underway.replace(None);
        self.failed.set(self.failed.get() + usize::from(!misses.is_empty()));
    }

    /// Tries until it is done, or until there is no use in trying.
    async fn persist(&self, mut work: impl AsyncFnMut() -> Result<(), Miss>) -> Result<(), String> {
        let mut pause = PAUSE;
        for left in (0..TRIES).rev() {
            let why = match tokio::time::timeout(PATIENCE, work()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Miss { why, again: true })) => why,
                Ok(Err(Miss { why, again: false })) => return Err(why),
                Err(_) => "no end within a minute".to_owned(),
            };
            if left == 0 {
                return Err(why);
            }
            if self.ending.run_until_cancelled(sleep(pause)).await.is_none() {
                return Err(format!("{why}; it is not tried again, since qchat ends"));
            }
            pause *= 2;
        }
        Ok(())
    }

    /// Begins no more tries. Returns whether one is underway.
    pub(super) fn end(&self) -> bool {
        self.ending.cancel();
        self.underway.borrow().is_some()
    }

    /// Whether no message is to be taken on any more.
    pub(super) fn ended(&self) -> bool {
        self.ending.is_cancelled()
    }

    /// What `listen` ends with.
    pub(super) fn outcome(&self, context: &Context) -> Outcome {
        if let Some(id) = self.underway.take() {
            context.output.say(&format!("warning: what was underway for message {id} was cut off"));
            self.failed.set(self.failed.get() + 1);
        }
        match self.failed.get() {
            0 => Ok(()),
            failed => Err(Failure::partial(format!(
                "with {failed} messages not all was done that should have been"
            ))),
        }
    }
}

/// Runs a command with the message on its standard input: an argument could be read by everybody on this machine.
async fn exec(words: &[String], object: &[u8]) -> Result<(), Miss> {
    let miss = |why: String, again| Miss { why, again };
    let [program, arguments @ ..] = words else { return Ok(()) };
    let mut child = Command::from(child::command(program))
        .args(arguments)
        .stdin(Stdio::piped())
        // What `listen` prints is for whoever reads it.
        .stdout(std::io::stderr())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| miss(format!("{program} cannot be run: {error}"), false))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever needs no input may have ended before it is there.
        let _ = stdin.write_all(object).await;
        let _ = stdin.write_all(b"\n").await;
    }
    let status = child.wait().await.map_err(|error| miss(error.to_string(), true))?;
    if status.success() { Ok(()) } else { Err(miss(format!("{program} ended with {status}"), true)) }
}

async fn show(how: Notify, message: &Message, room: &str) -> Result<(), String> {
    let (title, text) = words(how, message, room);
    desktop::notify(&title, &text).await
}

/// Title and text of a notification.
fn words(how: Notify, message: &Message, room: &str) -> (String, String) {
    let sender = message.sender.as_ref().map_or("?", |sender| &sender.name);
    let said = match &message.body {
        Body::Text(text) => Some(text.clone()),
        Body::Poll(poll) => Some(poll.question.clone()),
        Body::File(file) => Some(file.words()),
        _ => None,
    };
    match (how, said) {
        (Notify::Hidden, _) => ("qchat".to_owned(), "A new message".to_owned()),
        (Notify::Full, Some(said)) => (room.to_owned(), format!("{sender}: {said}")),
        (Notify::Full | Notify::Sender, _) => (room.to_owned(), format!("A new message from {sender}")),
    }
}
