//! JSON-RPC 2.0 (jsonrpc.org/specification): what comes in, what goes out.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::{
    failure::Failure,
    output::{Item, Printed},
};

/// A call. Without an id nobody waits for its answer.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    pub(super) id: Option<Value>,
    pub(super) method: String,
    pub(super) params: Value,
}

/// Why there is no result.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    code: i32,
    message: String,
    data: Option<Value>,
}

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// One call, or why it is none; with an id where it had one.
    Single(Result<Call, (Value, Fault)>),
    /// Several, answered together.
    Batch(Vec<Result<Call, (Value, Fault)>>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    jsonrpc: String,
    method: String,
    #[serde(default)]
    params: Value,
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
}

/// An id that is `null` is one nevertheless.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads a line.
pub(super) fn read(line: &[u8]) -> Line {
    match serde_json::from_slice::<Value>(line) {
        Err(error) => Line::Single(Err((Value::Null, Fault::new(-32700, format!("not JSON: {error}"))))),
        Ok(Value::Array(calls)) if calls.is_empty() => {
            Line::Single(Err((Value::Null, invalid("an empty batch"))))
        }
        Ok(Value::Array(calls)) => Line::Batch(calls.into_iter().map(call).collect()),
        Ok(value) => Line::Single(call(value)),
    }
}

fn call(value: Value) -> Result<Call, (Value, Fault)> {
    let id = value.get("id").filter(|id| id.is_string() || id.is_number()).cloned().unwrap_or(Value::Null);
    let raw: Raw = serde_json::from_value(value)
        .map_err(|error| (id.clone(), invalid(&format!("no request: {error}"))))?;
    if raw.jsonrpc != "2.0" {
        return Err((id, invalid("\"jsonrpc\" is not \"2.0\"")));
    }
    if raw.id.as_ref().is_some_and(|id| !(id.is_string() || id.is_number() || id.is_null())) {
        return Err((Value::Null, invalid("an id is a string, a number or null")));
    }
    if !(raw.params.is_object() || raw.params.is_array() || raw.params.is_null()) {
        return Err((id, invalid("params are an object or an array")));
    }
    Ok(Call { id: raw.id, method: raw.method, params: raw.params })
}

fn invalid(message: &str) -> Fault {
    Fault::new(-32600, message)
}

impl Fault {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The line is longer than any that is read.
    pub(super) fn too_long(most: usize) -> Self {
        Self::new(-32600, format!("a line has at most {most} bytes"))
    }

    /// There is no such method.
    pub(super) fn no_method(method: &str) -> Self {
        Self::new(-32601, format!("there is no method {method:?}; `qchat rpc --schema` lists them"))
    }

    /// The params do not fit the method.
    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    /// A command has failed: −32000 less its exit code.
    pub(super) fn of(failure: &Failure, printed: &Printed) -> Self {
        let data = json!({
            "v": 1,
            "code": failure.code(),
            "exit": failure.exit_code(),
            "results": objects(&printed.results),
            "said": printed.said,
        });
        Self {
            code: -32000 - i32::from(failure.exit_code()),
            message: failure.message().to_owned(),
            data: Some(data),
        }
    }
}

fn objects(results: &[Item]) -> Vec<&Value> {
    results.iter().map(|item| &item.object).collect()
}

/// What a command has printed, as a result.
pub(super) fn result(printed: &Printed) -> Value {
    json!({ "v": 1, "results": objects(&printed.results), "said": printed.said })
}

/// An answer.
pub(super) fn answer(id: &Value, outcome: &Result<Value, Fault>) -> Value {
    match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(Fault { code, message, data: None }) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        }
        Err(Fault { code, message, data }) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message, "data": data } })
        }
    }
}

/// Something that nobody has asked for.
pub(super) fn notification(method: &str, params: &impl Serialize) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_call_a_batch_or_neither() {
        let call = |id, params| Call { id, method: "whoami".to_owned(), params };
        let good = [
            (r#"{"jsonrpc":"2.0","id":1,"method":"whoami"}"#, call(Some(json!(1)), Value::Null)),
            (r#"{"jsonrpc":"2.0","id":null,"method":"whoami"}"#, call(Some(Value::Null), Value::Null)),
            (r#"{"jsonrpc":"2.0","method":"whoami","params":[1]}"#, call(None, json!([1]))),
        ];
        for (line, expected) in good {
            assert_eq!(read(line.as_bytes()), Line::Single(Ok(expected)), "{line}");
        }
        let bad = [
            ("{", Value::Null, -32700),
            ("[]", Value::Null, -32600),
            ("7", Value::Null, -32600),
            (r#"{"jsonrpc":"1.0","id":"a","method":"whoami"}"#, json!("a"), -32600),
            (r#"{"jsonrpc":"2.0","id":[],"method":"whoami"}"#, Value::Null, -32600),
            (r#"{"jsonrpc":"2.0","id":2,"method":"whoami","params":"x"}"#, json!(2), -32600),
            (r#"{"jsonrpc":"2.0","id":3,"method":"whoami","more":1}"#, json!(3), -32600),
        ];
        for (line, id, code) in bad {
            let Line::Single(Err((said, fault))) = read(line.as_bytes()) else { panic!("{line}") };
            assert_eq!((said, fault.code), (id, code), "{line}");
        }
        let Line::Batch(calls) = read(br#"[{"jsonrpc":"2.0","method":"whoami"},7]"#) else { panic!() };
        assert!(calls[0].is_ok() && calls[1].is_err());
    }
}
