//! What can go wrong between this device and the daemon.

use std::borrow::Cow;

use qchat_proto::{
    crypto::entropy::SystemEntropy,
    sanitize,
    wire::{
        fault::{Fault, FaultCode},
        trace::{TraceId, TraceParent},
    },
};

use super::Untrusted;

/// More characters than this explain nothing.
const MOST_MESSAGE: usize = 300;

/// A request was not carried out, or the connection failed. Never holds a token.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The daemon refused, and says why.
    #[error("the server refused: {0}")]
    Fault(Fault),
    /// No answer in time.
    #[error("the server does not answer; check that qchatd runs and try again")]
    Timeout,
    /// No connection.
    #[error("the server at {address} cannot be reached: {reason}. Check --server and that qchatd runs")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// The connection ended.
    #[error("the connection was closed: {0}")]
    Closed(Cow<'static, str>),
    /// The answer is not what the protocol says.
    #[error("{0}; client and server may be of different versions, or this is no qchatd")]
    Protocol(Cow<'static, str>),
    /// The server is not the one that the account was registered with.
    #[error("this is not the server that the account was registered with; check --server")]
    OtherServer,
    /// The server is not trusted, or cannot do what is asked for.
    #[error("the server at {address} {why}")]
    Untrusted {
        /// Host and port.
        address: String,
        /// Why.
        why: Untrusted,
    },
    /// The system has no random bytes.
    #[error("{0}")]
    Entropy(String),
    /// Plain http to another machine.
    #[error("{url}: plain http is only for this machine (127.0.0.1, ::1, localhost); use https")]
    PlainHttp {
        /// The address given.
        url: String,
    },
    /// An address of a form that this version cannot use.
    #[error("{url}: a server's address has the form https://HOST:PORT")]
    Address {
        /// The address given.
        url: String,
    },
}

impl NetError {
    /// Seconds after which the daemon wants to be asked again.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Fault(fault) => fault.retry_after,
            _ => None,
        }
    }

    /// Says under which name the daemon's operator finds a failure of its own in the log.
    pub(super) fn traced(self, trace: TraceId) -> Self {
        match self {
            Self::Fault(mut fault) if fault.code == FaultCode::Internal => {
                fault.message = format!("{}; its operator finds it as {trace}", fault.message);
                Self::Fault(fault)
            }
            other => other,
        }
    }

    /// The daemon's refusal. Its sentence is the daemon's own, so it is made fit for a terminal here.
    pub(super) fn fault(mut fault: Fault) -> Self {
        clean(&mut fault.message);
        Self::Fault(fault)
    }
}

/// Names a request.
pub(super) fn draw() -> Result<TraceParent, NetError> {
    TraceParent::random(&SystemEntropy).map_err(|error| NetError::Entropy(error.to_string()))
}

/// Makes a sentence that the daemon sent fit for a single line of a terminal.
pub(super) fn clean(message: &mut String) {
    *message = sanitize::name(message, MOST_MESSAGE);
}
