//! Requests and their answers as they go by, so that one may be lost or another given in its place.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use qchat_proto::wire::{
    api::Directory,
    fault::{Fault, FaultBody, FaultCode},
};
use serde::Serialize;

/// A request as a client made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// From the first slash on.
    pub path: String,
    /// The body; empty when there is none.
    pub body: Vec<u8>,
}

impl Request {
    /// Whether it is this one, whatever stands after a question mark.
    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path.split('?').next() == Some(path)
    }
}

type Change = Box<dyn FnOnce(Vec<u8>) -> Vec<u8> + Send>;

/// What becomes of a request.
pub enum Answer {
    /// The daemon's own.
    Genuine,
    /// The daemon carries the request out, and the connection ends before its answer gets back.
    Lost,
    /// The connection ends before the daemon sees the request.
    Cut,
    /// This status and body; the daemon never sees the request.
    False(u16, Vec<u8>),
    /// The daemon's own status with another body.
    Changed(Change),
    /// The daemon gets this body in the place of the client's, and answers that.
    Instead(Vec<u8>),
}

impl Answer {
    /// A refusal that the daemon did not make.
    pub fn fault(code: FaultCode) -> Self {
        let body = FaultBody { error: Fault::new(code, "says somebody between") };
        Self::False(code.http_status(), json(&body))
    }

    /// The daemon's answer, read as JSON and changed.
    pub fn changed(change: impl FnOnce(&mut serde_json::Value) + Send + 'static) -> Self {
        Self::Changed(Box::new(move |body| {
            let mut value = serde_json::from_slice(&body).expect("the daemon answers in JSON");
            change(&mut value);
            json(&value)
        }))
    }

    /// The daemon's answer about an account, which says of another one what it says, with the proof that it had.
    pub fn other_account(other: &Directory) -> Self {
        let other = serde_json::to_value(other).expect("JSON");
        Self::changed(move |answer| {
            for what in ["account_id", "account_record", "device_list", "device_certificates"] {
                answer[what] = other[what].clone();
            }
        })
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it has a form in JSON")
}

/// A request or an answer: its head with the empty line, and its body.
pub(super) struct Message {
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// Reads one, and nothing beyond it; `None` at the end of the connection. A body has a `content-length`.
    pub(super) fn read(from: &mut TcpStream) -> Option<Self> {
        let head = read_head(from)?;
        let mut body = vec![0; length(&head)];
        from.read_exact(&mut body).ok()?;
        Some(Self { head, body })
    }

    /// What a client asks with it.
    pub(super) fn request(&self) -> Option<Request> {
        let line = String::from_utf8_lossy(self.head.split(|&byte| byte == b'\r').next()?).into_owned();
        let (method, rest) = line.split_once(' ')?;
        let (path, _) = rest.split_once(' ')?;
        Some(Request { method: method.to_owned(), path: path.to_owned(), body: self.body.clone() })
    }

    /// An answer of our own.
    pub(super) fn answer(status: u16, body: Vec<u8>) -> Self {
        let size = body.len();
        let head = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
        );
        Self { head: head.into_bytes(), body }
    }

    /// The same status with another body.
    pub(super) fn with_body(&self, body: Vec<u8>) -> Self {
        let status = self.head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Self::answer(status.unwrap_or(500), body)
    }

    /// The same request with another body.
    pub(super) fn asking(&self, body: &[u8]) -> Self {
        let head = String::from_utf8_lossy(&self.head).into_owned();
        let is_length = |line: &str| line.to_ascii_lowercase().starts_with("content-length:");
        let lines = head.trim_end().split("\r\n").filter(|line| !is_length(line));
        let head: String = lines.flat_map(|line| [line, "\r\n"]).collect();
        let head = format!("{head}content-length: {}\r\n\r\n", body.len());
        Self { head: head.into_bytes(), body: body.to_vec() }
    }

    pub(super) fn write(&self, to: &mut TcpStream) -> io::Result<()> {
        to.write_all(&[&self.head[..], &self.body].concat())
    }
}

fn length(head: &[u8]) -> usize {
    String::from_utf8_lossy(head)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

/// Reads the head of a message, and nothing beyond it.
pub(super) fn read_head(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 64 * 1024 || !matches!(from.read(&mut byte), Ok(1)) {
            return None;
        }
        head.push(byte[0]);
    }
    Some(head)
}
