//! Having an engine that is open already carry out a command, so that it costs no opening of its own.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};

use super::{call, socket::SOCKET};
use crate::{
    cli::{
        Context,
        args::{Cli, Command, Global},
        failure::{Failure, Outcome},
        file_args::FileCommand,
        message_args::{OutboxCommand, PollCommand},
        messages,
        output::Printed,
    },
    local::{Address, expect_same_user},
};

/// What an engine is asked by qchat itself: to carry out words of a command line.
pub(super) const COMMAND_LINE: &str = "qchat.command-line";
/// Whether it is an engine of this server.
pub(super) const SERVES: &str = "qchat.serves";
/// To end.
pub(super) const LOCK: &str = "qchat.lock";

/// How much longer than the command itself the answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Has a warm engine of the profile carry out a command, when there is one and the command does not ask for an engine of its
/// own; `None` otherwise.
pub(in crate::cli) fn carry_out(context: &Context, cli: &Cli, arguments: &[OsString]) -> Option<Outcome> {
    let path = path(cli)?;
    if !call::is_method(&path) || asks_for_its_own(&cli.global) {
        return None;
    }
    let words: Vec<&str> = arguments.iter().skip(1).map(|word| word.to_str()).collect::<Option<_>>()?;
    let mut stream = connect(&context.settings.profile_dir())?;
    if let Some(server) = &context.settings.server {
        let same = ask(&mut stream, SERVES, &json!({ "server": server.as_str() }), PATIENCE);
        same.ok().filter(|same| *same == Value::Bool(true))?;
    }
    let text = match &cli.command {
        Some(Command::Send { text, .. } | Command::Edit { text, .. }) => {
            Some(messages::read_text(text.as_deref()))
        }
        Some(Command::Draft { text: Some(text), .. }) => Some(messages::read_text(Some(text))),
        _ => None,
    };
    let text = match text.transpose() {
        Ok(text) => text,
        Err(failure) => return Some(Err(failure)),
    };
    let params = json!({ "words": words, "text": text });
    // Fetching, sending and waiting for the others may take as long each.
    let patience = context.settings.timeout.saturating_mul(3);
    let answer = ask(&mut stream, COMMAND_LINE, &params, patience);
    Some(answer.and_then(|value| report(context, &value)))
}

/// Ends the warm engine of a profile; `false` when there is none.
///
/// # Errors
/// When there is one that does not answer: it may still be open.
pub(in crate::cli) fn lock(dir: &Path) -> Outcome<bool> {
    let Some(mut stream) = connect(dir) else { return Ok(false) };
    ask(&mut stream, LOCK, &Value::Null, PATIENCE).map(|_| true).map_err(|_| {
        Failure::locked(
            "an open engine (`qchat rpc --socket`) did not answer, and may still be open; end its process",
        )
    })
}

/// The words of a command that a warm engine carries out for another process. One that reads or writes files has them found
/// from its own directory, and one that asks needs the terminal: they have engines of their own.
pub(super) fn path(cli: &Cli) -> Option<Vec<&'static str>> {
    use crate::cli::args::{Device, Keys, Room};

    Some(match cli.command.as_ref()? {
        Command::Send { file: None, record: false, .. } => vec!["send"],
        Command::Edit { .. } => vec!["edit"],
        Command::React { .. } => vec!["react"],
        Command::Pin { .. } => vec!["pin"],
        Command::Unpin { .. } => vec!["unpin"],
        Command::Poll(PollCommand::Create { .. }) => vec!["poll", "create"],
        Command::Poll(PollCommand::Vote { .. }) => vec!["poll", "vote"],
        Command::Poll(PollCommand::Close { .. }) => vec!["poll", "close"],
        Command::Outbox(OutboxCommand::List { .. }) => vec!["outbox", "list"],
        Command::Outbox(OutboxCommand::Retry) => vec!["outbox", "retry"],
        Command::Outbox(OutboxCommand::Drop { .. }) => vec!["outbox", "drop"],
        Command::Draft { .. } => vec!["draft"],
        Command::File(FileCommand::List { .. }) => vec!["file", "list"],
        Command::File(FileCommand::Delete { .. }) => vec!["file", "delete"],
        Command::History { .. } => vec!["history"],
        Command::Unread { .. } => vec!["unread"],
        Command::Presence { .. } => vec!["presence"],
        Command::Typing { .. } => vec!["typing"],
        Command::Delete { ids, here, yes, .. } if *yes || !(ids.is_empty() || *here) => vec!["delete"],
        Command::Whoami => vec!["whoami"],
        Command::Keys(Keys::Show) => vec!["keys", "show"],
        Command::Device(Device::List) => vec!["device", "list"],
        Command::Room(Room::List { .. }) => vec!["room", "list"],
        Command::Room(Room::Mark { .. }) => vec!["room", "mark"],
        Command::Block { .. } => vec!["block"],
        Command::Unblock { .. } => vec!["unblock"],
        Command::Room(Room::Show { .. }) => vec!["room", "show"],
        Command::Room(Room::Expire { .. }) => vec!["room", "expire"],
        _ => return None,
    })
}

/// Whether something was said about the engine that this invocation is to have.
fn asks_for_its_own(global: &Global) -> bool {
    global.server_key.is_some()
        || global.key_exchange.is_some()
        || global.timeout.is_some()
        || global.accept_invites.is_some()
        || global.update_after_messages.is_some()
        || global.update_after.is_some()
        || global.receipts.is_some()
        || global.presence.is_some()
        || global.typing.is_some()
        || global.verbose > 0
}

fn connect(dir: &Path) -> Option<UnixStream> {
    let address = Address::of(dir, SOCKET).ok()?;
    let stream = UnixStream::connect(address.socket()).ok()?;
    expect_same_user(&stream).ok()?;
    Some(stream)
}

/// Asks, and gives the result.
fn ask(stream: &mut UnixStream, method: &str, params: &Value, patience: Duration) -> Outcome<Value> {
    let lost = |error: std::io::Error| {
        Failure::network(format!(
            "the open engine ended or does not answer ({error}); `qchat history` shows what was done"
        ))
    };
    stream.set_read_timeout(Some(patience + PATIENCE)).map_err(lost)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(lost)?;
    let mut line = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(lost)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(lost)?;
    let mut answer: Value = serde_json::from_str(&answer)
        .map_err(|_| lost(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)))?;
    match answer["error"]["message"].as_str() {
        None => Ok(answer["result"].take()),
        Some(message) => Err(Failure::usage(message.to_owned())),
    }
}

/// Prints what the command has printed, and fails as it has.
fn report(context: &Context, value: &Value) -> Outcome {
    let nonsense = || Failure::unexpected("the open engine gave an answer that makes no sense");
    let printed: Printed = serde_json::from_value(value["printed"].clone()).map_err(|_| nonsense())?;
    for item in printed.results {
        context.output.result(&item.object, || item.words)?;
    }
    for words in &printed.said {
        context.output.say(words);
    }
    match value["failure"].as_object() {
        None => Ok(()),
        Some(failure) => {
            let exit = failure.get("exit").and_then(Value::as_u64).and_then(|exit| u8::try_from(exit).ok());
            let message = failure.get("message").and_then(Value::as_str);
            let (Some(exit), Some(message)) = (exit, message) else { return Err(nonsense()) };
            Err(Failure::with_exit(exit, message))
        }
    }
}
