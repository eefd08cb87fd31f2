//! What the two KMEs know together, and what they answer (§5 and §6 of the standard).

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    End,
    http::{Answer, Request},
};

/// The size of a key unless another is asked for, bits.
const KEY_SIZE: u64 = 256;
/// Most keys in one answer.
const MOST_KEYS: u64 = 16;

/// How an end misbehaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mischief {
    /// It refuses every request with this status and the standard's error object.
    Refuse(u16),
    /// It refuses with a status and a body of another format.
    Gibberish(u16),
    /// It gives out another key than the other end does under the same id.
    WrongKey,
    /// Its JSON ends in the middle.
    Truncated,
    /// Its keys are 8 bits shorter than they should be.
    Short,
    /// It gives out keys under other ids.
    OtherIds,
    /// It answers with so many bytes.
    Endless(usize),
}

struct Stored {
    master: String,
    slave: String,
    key: Vec<u8>,
    fetched: bool,
}

#[derive(Default)]
struct State {
    keys: BTreeMap<String, Stored>,
    mischief: BTreeMap<End, Mischief>,
    once: bool,
    requests: Vec<String>,
}

/// The link between the two ends.
pub struct Link {
    saes: BTreeMap<String, End>,
    state: Mutex<State>,
}

impl Link {
    pub(super) fn new(saes: &[(&str, End)]) -> Self {
        Self {
            saes: saes.iter().map(|(id, end)| ((*id).to_owned(), *end)).collect(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an end misbehave from now on.
    pub fn misbehave(&self, end: End, mischief: Mischief) {
        self.state().mischief.insert(end, mischief);
    }

    /// Both behave again.
    pub fn behave(&self) {
        self.state().mischief.clear();
    }

    /// From now on a key is given to its slave once, and not again.
    pub fn give_out_once(&self) {
        self.state().once = true;
    }

    /// The ids of all keys that were given out, in no order that means anything.
    pub fn key_ids(&self) -> Vec<String> {
        self.state().keys.keys().cloned().collect()
    }

    /// The keys that were given out, to look for them where they must not be.
    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.state().keys.values().map(|stored| stored.key.clone()).collect()
    }

    /// What was asked so far: method and path.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    pub(super) fn answer(&self, end: End, sae: Option<&str>, request: &Request) -> Answer {
        self.state().requests.push(format!("{} /{}", request.method, request.path.join("/")));
        let mischief = self.state().mischief.get(&end).cloned();
        match &mischief {
            Some(Mischief::Refuse(status)) => {
                return refusal(*status, "refused on demand", "as a test has it");
            }
            Some(Mischief::Gibberish(status)) => {
                return Answer { status: *status, body: "<html>\u{1b}[31m</html>".to_owned() };
            }
            Some(Mischief::Endless(length)) => return Answer { status: 200, body: " ".repeat(*length) },
            _ => {}
        }
        let Some(sae) = sae else { return refusal(401, "unauthorized", "no SAE has this certificate") };
        let path: Vec<_> = request.path.iter().map(String::as_str).collect();
        let ["api", "v1", "keys", other, what] = path[..] else {
            return refusal(404, "not found", "no such resource");
        };
        let answer = match (request.method.as_str(), what) {
            ("GET", "status") => self.status(end, sae, other),
            ("GET" | "POST", "enc_keys") => self.fresh(sae, other, request),
            ("GET" | "POST", "dec_keys") => self.named(sae, other, request),
            _ => Err(refusal(404, "not found", "no such method")),
        };
        match answer {
            Ok(value) => spoil(mischief.as_ref(), value),
            Err(refusal) => refusal,
        }
    }

    fn status(&self, end: End, sae: &str, slave: &str) -> Result<Value, Answer> {
        let target = self.far(sae, slave)?;
        Ok(json!({
            "source_KME_ID": format!("{end:?}"),
            "target_KME_ID": format!("{target:?}"),
            "master_SAE_ID": sae,
            "slave_SAE_ID": slave,
            "key_size": KEY_SIZE,
            "stored_key_count": 25_000,
            "max_key_count": 100_000,
            "max_key_per_request": MOST_KEYS,
            "max_key_size": 1024,
            "min_key_size": 64,
            "max_SAE_ID_count": 0,
        }))
    }

    /// The end where another application is, which must not be the one's own.
    fn far(&self, sae: &str, other: &str) -> Result<End, Answer> {
        match (self.saes.get(sae), self.saes.get(other)) {
            (Some(own), Some(end)) if own != end => Ok(*end),
            _ => Err(refusal(400, "bad request", "no link leads to this SAE")),
        }
    }

    fn fresh(&self, sae: &str, slave: &str, request: &Request) -> Result<Value, Answer> {
        self.far(sae, slave)?;
        let body = body(request)?;
        let asked = |name: &str, unless: u64| {
            let inside = body.get(name).and_then(Value::as_u64);
            let beside = request.query.iter().find(|(key, _)| key == name).and_then(|(_, v)| v.parse().ok());
            inside.or(beside).unwrap_or(unless)
        };
        let (number, size) = (asked("number", 1), asked("size", KEY_SIZE));
        if !(1..=MOST_KEYS).contains(&number) || !(64..=1024).contains(&size) || size % 8 != 0 {
            return Err(refusal(400, "bad request", "number or size is not supported"));
        }
        let mut keys = vec![];
        let mut state = self.state();
        for _ in 0..number {
            let id = uuid(fastrand::u128(..));
            let key: Vec<u8> =
                std::iter::repeat_with(|| fastrand::u8(..)).take((size / 8) as usize).collect();
            keys.push(json!({ "key_ID": id, "key": STANDARD.encode(&key) }));
            let stored = Stored { master: sae.to_owned(), slave: slave.to_owned(), key, fetched: false };
            state.keys.insert(id, stored);
        }
        Ok(json!({ "keys": keys }))
    }

    fn named(&self, sae: &str, master: &str, request: &Request) -> Result<Value, Answer> {
        self.far(sae, master)?;
        let body = body(request)?;
        let inside = body.get("key_IDs").and_then(Value::as_array).into_iter().flatten();
        let inside = inside.filter_map(|id| id.get("key_ID")?.as_str().map(str::to_owned));
        let beside = request.query.iter().filter(|(name, _)| name == "key_ID").map(|(_, id)| id.clone());
        let ids: Vec<_> = inside.chain(beside).collect();
        if ids.is_empty() {
            return Err(refusal(400, "bad request", "no key_IDs"));
        }
        let mut keys = vec![];
        let mut state = self.state();
        let once = state.once;
        for id in &ids {
            let Some(stored) = state.keys.get_mut(id) else {
                return Err(refusal(400, "bad request", "one or more keys specified are not found on KME"));
            };
            if stored.master != master || stored.slave != sae {
                return Err(refusal(401, "unauthorized", "this key is for others"));
            }
            if once && stored.fetched {
                return Err(refusal(400, "bad request", "one or more keys specified were given out"));
            }
            stored.fetched = true;
            keys.push(json!({ "key_ID": id, "key": STANDARD.encode(&stored.key) }));
        }
        Ok(json!({ "keys": keys }))
    }
}

fn body(request: &Request) -> Result<Value, Answer> {
    if request.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&request.body).map_err(|_| refusal(400, "bad request", "no JSON"))
}

/// The standard's error object.
fn refusal(status: u16, message: &str, detail: &str) -> Answer {
    Answer { status, body: json!({ "message": message, "details": [{ "reason": detail }] }).to_string() }
}

/// A UUID of version 4 out of random bits.
fn uuid(bits: u128) -> String {
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn spoil(mischief: Option<&Mischief>, mut value: Value) -> Answer {
    for key in value.get_mut("keys").and_then(Value::as_array_mut).into_iter().flatten() {
        let bytes = key.get("key").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
        let mut bytes = bytes.unwrap_or_default();
        match mischief {
            Some(Mischief::WrongKey) => bytes.iter_mut().for_each(|byte| *byte = !*byte),
            Some(Mischief::Short) => bytes.truncate(bytes.len().saturating_sub(1)),
            Some(Mischief::OtherIds) => key["key_ID"] = json!(uuid(fastrand::u128(..))),
            _ => continue,
        }
        key["key"] = json!(STANDARD.encode(&bytes));
    }
    let mut body = value.to_string();
    if mischief == Some(&Mischief::Truncated) {
        body.truncate(body.len() / 2);
    }
    Answer { status: 200, body }
}
