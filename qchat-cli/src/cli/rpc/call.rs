//! From a method and its params to a command line: the methods are commands, their params the options and arguments that
//! `--help` names, so that there is one definition of both.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use serde_json::{Map, Value, json};

use super::message::Fault;
use crate::cli::args::Cli;

/// The commands that may be called: those that work on rooms and messages, ask nothing and read no standard input.
const METHODS: &[&str] = &[
    "block",
    "delete",
    "device.list",
    "draft",
    "edit",
    "file.delete",
    "file.get",
    "file.list",
    "history",
    "keys.log",
    "keys.show",
    "outbox.drop",
    "outbox.list",
    "outbox.retry",
    "pin",
    "poll.close",
    "poll.create",
    "poll.vote",
    "presence",
    "react",
    "room.create",
    "room.expire",
    "room.invite",
    "room.join",
    "room.leave",
    "room.list",
    "room.mark",
    "room.remove",
    "room.show",
    "room.update-keys",
    "send",
    "typing",
    "unblock",
    "unpin",
    "unread",
    "whoami",
];

/// Commands that change nothing: they need not wait for one another.
const READING: &[&str] = &[
    "device.list",
    "file.list",
    "history",
    "keys.log",
    "keys.show",
    "outbox.list",
    "presence",
    "room.list",
    "room.show",
    "whoami",
];

/// Whether calls of this method may overtake one another.
pub(super) fn only_reads(method: &str) -> bool {
    READING.contains(&method)
}

/// Whether these words of a command line are a method that another process may carry out.
pub(super) fn is_method(path: &[&str]) -> bool {
    METHODS.contains(&path.join(".").as_str())
}

/// The command line for a call, by the definitions of the commands.
pub(super) fn command_line(commands: &Command, method: &str, params: &Value) -> Result<Vec<OsString>, Fault> {
    let command = METHODS.contains(&method).then(|| find(commands, method)).flatten();
    let command = command.ok_or_else(|| Fault::no_method(method))?;
    let mut options: Vec<OsString> = vec!["qchat".into()];
    options.extend(method.split('.').map(OsString::from));
    let mut places = vec![];
    match params {
        Value::Null => {}
        Value::Array(values) => {
            let mut arguments = arguments(command);
            for value in values {
                let argument = arguments
                    .next()
                    .ok_or_else(|| Fault::params(format!("{method} takes no more than that many params")))?;
                places.extend(words(argument, value)?);
            }
        }
        Value::Object(params) => {
            let mut left: Map<String, Value> = params.clone();
            let mut missing = None;
            for argument in arguments(command) {
                match left.remove(&name(argument)) {
                    None | Some(Value::Null) => missing = Some(name(argument)),
                    Some(_) if missing.is_some() => {
                        let missing = missing.unwrap_or_default();
                        return Err(Fault::params(format!(
                            "{:?} needs {missing:?} beside it",
                            name(argument)
                        )));
                    }
                    Some(value) => places.extend(words(argument, &value)?),
                }
            }
            for argument in flags(command) {
                let Some(value) = left.remove(&name(argument)) else { continue };
                options.extend(option(argument, &value)?);
            }
            if let Some(unknown) = left.keys().next() {
                return Err(Fault::params(format!("{method} has no param {unknown:?}")));
            }
        }
        _ => return Err(Fault::params("params are an object or an array")),
    }
    options.push("--".into());
    options.extend(places);
    Ok(options)
}

/// All methods and their params, as an OpenRPC document (spec.open-rpc.org).
pub(super) fn schema() -> Value {
    let commands = Cli::command();
    let methods: Vec<Value> =
        METHODS.iter().filter_map(|method| Some(describe(method, find(&commands, method)?))).collect();
    let own = [
        json!({
            "name": "subscribe",
            "summary": "Have messages sent as notifications from now on, of these rooms or of all.",
            "params": [{ "name": "rooms", "required": false,
                "schema": { "type": "array", "items": { "type": "string" } } }],
            "result": { "name": "result", "schema": { "type": "object" } },
        }),
        json!({
            "name": "unsubscribe",
            "summary": "No more notifications.",
            "params": [],
            "result": { "name": "result", "schema": { "type": "object" } },
        }),
    ];
    json!({
        "openrpc": "1.3.2",
        "info": { "title": "qchat rpc", "version": env!("CARGO_PKG_VERSION") },
        "methods": methods.into_iter().chain(own).collect::<Vec<_>>(),
    })
}

fn describe(method: &str, command: &Command) -> Value {
    let param = |argument: &Arg, required: bool| {
        json!({
            "name": name(argument),
            "description": argument.get_help().map(ToString::to_string),
            "required": required,
            "schema": shape(argument),
        })
    };
    let arguments = arguments(command).map(|argument| param(argument, argument.is_required_set()));
    let flags = flags(command).map(|argument| param(argument, argument.is_required_set()));
    json!({
        "name": method,
        "summary": command.get_about().map(ToString::to_string),
        "paramStructure": "either",
        "params": arguments.chain(flags).collect::<Vec<_>>(),
        "result": { "name": "result", "description": "What the command prints with --json, and what it says beside.",
            "schema": { "type": "object", "required": ["v", "results", "said"], "properties": {
                "v": { "const": 1 },
                "results": { "type": "array", "items": { "type": "object" } },
                "said": { "type": "array", "items": { "type": "string" } },
            } } },
    })
}

fn shape(argument: &Arg) -> Value {
    match argument.get_action() {
        ArgAction::SetTrue => json!({ "type": "boolean" }),
        ArgAction::Append => json!({ "type": "array", "items": { "type": ["string", "number"] } }),
        _ => json!({ "type": ["string", "number"] }),
    }
}

fn find<'a>(commands: &'a Command, method: &str) -> Option<&'a Command> {
    method.split('.').try_fold(commands, |command, word| command.find_subcommand(word))
}

fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_positionals()
}

/// The options of the command alone: what holds for all commands was said when the engine was started.
fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| {
        argument.get_long().is_some_and(|long| !matches!(long, "help" | "version"))
            && !argument.is_global_set()
    })
}

/// As scripts write it.
fn name(argument: &Arg) -> String {
    argument.get_long().unwrap_or(argument.get_id().as_str()).replace('-', "_")
}

fn words(argument: &Arg, value: &Value) -> Result<Vec<OsString>, Fault> {
    match value {
        Value::Array(values) if matches!(argument.get_action(), ArgAction::Append) => {
            values.iter().map(|value| word(argument, value)).collect()
        }
        value => Ok(vec![word(argument, value)?]),
    }
}

fn word(argument: &Arg, value: &Value) -> Result<OsString, Fault> {
    match value {
        Value::String(text) => Ok(text.into()),
        Value::Number(number) => Ok(number.to_string().into()),
        _ => Err(Fault::params(format!("{:?} is a string or a number", name(argument)))),
    }
}

fn option(argument: &Arg, value: &Value) -> Result<Vec<OsString>, Fault> {
    let flag = format!("--{}", argument.get_long().unwrap_or_default());
    if matches!(argument.get_action(), ArgAction::SetTrue) {
        return match value {
            Value::Bool(true) => Ok(vec![flag.into()]),
            Value::Bool(false) | Value::Null => Ok(vec![]),
            _ => Err(Fault::params(format!("{:?} is true or false", name(argument)))),
        };
    }
    if value.is_null() {
        return Ok(vec![]);
    }
    Ok(words(argument, value)?
        .into_iter()
        .map(|value| {
            let mut word = OsString::from(format!("{flag}="));
            word.push(value);
            word
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_command_lines() {
        let table = [
            ("whoami", Value::Null, "whoami --"),
            ("send", json!({ "room": "general", "text": "--hello" }), "send -- general --hello"),
            ("send", json!(["general", "hello"]), "send -- general hello"),
            ("history", json!({ "room": "r", "limit": 20, "before": null }), "history --limit=20 -- r"),
            ("room.invite", json!({ "room": "r", "users": ["bob", "carol"] }), "room invite -- r bob carol"),
            ("delete", json!({ "room": "r", "all": true, "yes": false }), "delete --all -- r"),
            ("poll.create", json!(["r", "Tea?", ["yes", "no"]]), "poll create -- r Tea? yes no"),
            (
                "send",
                json!({ "room": "r", "text": "look", "file": "a b", "reply_to": "5f0c" }),
                "send --file=a b --reply-to=5f0c -- r look",
            ),
        ];
        for (method, params, expected) in table {
            let line = command_line(&Cli::command(), method, &params).unwrap();
            let words: Vec<_> = line.iter().map(|word| word.to_str().unwrap()).collect();
            assert_eq!(words.join(" "), format!("qchat {expected}"));
        }
    }

    #[test]
    fn what_is_no_call_says_why() {
        let table = [
            ("register", json!({ "name": "eve" }), "no method"),
            ("room", Value::Null, "no method"),
            ("send", json!({ "room": "r", "text": true }), "is a string or a number"),
            ("send", json!({ "text": "x" }), "needs \"room\""),
            ("send", json!({ "room": "r", "passphrase_file": "/x" }), "has no param"),
            ("send", json!(["r", "x", "y"]), "no more"),
            ("delete", json!({ "room": "r", "all": "yes" }), "true or false"),
        ];
        for (method, params, expected) in table {
            let fault = command_line(&Cli::command(), method, &params).unwrap_err();
            assert!(
                format!("{fault:?}").contains(&expected.replace('"', "\\\""))
                    || format!("{fault:?}").contains(expected),
                "{method}: {fault:?}"
            );
        }
    }

    #[test]
    fn every_method_is_a_command_and_is_described() {
        let schema = schema();
        assert_eq!(schema["methods"].as_array().unwrap().len(), METHODS.len() + 2);
        assert!(READING.iter().all(|method| METHODS.contains(method)));
    }
}
