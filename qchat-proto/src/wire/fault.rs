//! The closed set of reasons for which the daemon refuses, the same in JSON and in frames.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal;)*) => {
        /// Why the daemon refused.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        pub enum FaultCode {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl FaultCode {
            /// Every code, in the order of docs/PROTOCOL.md.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that carries it.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Reads a code from the wire; an unknown one is [`FaultCode::Internal`].
            pub fn from_wire(code: &str) -> Self {
                match code { $($code => Self::$variant,)* _ => Self::Internal }
            }
        }
    };
}

codes! {
    /// The request is not of the documented form.
    BadRequest = "bad_request", 400;
    /// No token, or one that is forged, expired or revoked; or a login proof that does not verify.
    Unauthenticated = "unauthenticated", 401;
    /// The session was ended before its time, on purpose: the token is genuine, and its user has to log in again.
    SessionEnded = "session_ended", 401;
    /// The token is good, but not for this.
    Forbidden = "forbidden", 403;
    /// No such account, device, room or thing, or none that this device may see.
    NotFound = "not_found", 404;
    /// The account was erased by its owner; nobody gets its name again.
    AccountDeleted = "account_deleted", 410;
    /// Another account has this name.
    NameTaken = "name_taken", 409;
    /// Something with this id is there already and differs.
    Conflict = "conflict", 409;
    /// The device is not a full member of the room.
    NotMember = "not_member", 403;
    /// The envelope was sealed under a commit that is no longer the room's latest.
    StaleEpoch = "stale_epoch", 409;
    /// The envelope names a ratchet tree that its device has not put there, or not lately: put it and send the same
    /// bytes again.
    MissingTree = "missing_tree", 409;
    /// The envelope that it is to follow is not in the log: what became of that one says what to do.
    OutOfOrder = "out_of_order", 409;
    /// A body, frame or field is larger than the limits in the hello.
    TooLarge = "too_large", 413;
    /// The account has as much here as it may have: delete something, or ask the operator for more.
    Quota = "quota", 413;
    /// Too many requests; `retry_after` says when to come back.
    RateLimited = "rate_limited", 429;
    /// No protocol version that both sides speak: upgrade the older one.
    UnsupportedVersion = "unsupported_version", 426;
    /// The daemon is starting, draining or has lost its database; try again.
    Unavailable = "unavailable", 503;
    /// A defect in the daemon; its log has the cause.
    Internal = "internal", 500;
}

/// A refusal: the code, a sentence for people, and when to try again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({})", code.as_str())]
pub struct Fault {
    /// The reason.
    pub code: FaultCode,
    /// A sentence that says what happened and, where there is one, the remedy. Never holds a secret.
    pub message: String,
    /// Seconds after which a retry makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

impl Fault {
    /// A fault without a time to retry.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }
}

/// The body of every REST response that is not a success.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FaultBody {
    /// The refusal.
    pub error: Fault,
}

impl From<&Fault> for super::pb::Fault {
    fn from(fault: &Fault) -> Self {
        Self {
            code: fault.code.as_str().to_owned(),
            message: fault.message.clone(),
            retry_after: fault.retry_after.unwrap_or(0),
        }
    }
}

impl From<super::pb::Fault> for Fault {
    fn from(fault: super::pb::Fault) -> Self {
        Self {
            code: FaultCode::from_wire(&fault.code),
            message: fault.message,
            retry_after: (fault.retry_after > 0).then_some(fault.retry_after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_both_wires() {
        for &code in FaultCode::ALL {
            assert_eq!(FaultCode::from_wire(code.as_str()), code);
            assert_eq!(serde_json::to_value(code).ok(), Some(code.as_str().into()));
        }
        assert_eq!(FaultCode::from_wire("from_the_future"), FaultCode::Internal);
    }
}
