//! What every request passes, whatever it asks for: refused before it costs anything, and answered with the headers that
//! keep browsers from making more of an answer than it is.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use qchat_proto::{
    crypto::entropy::SystemEntropy,
    wire::{
        fault::{Fault, FaultCode},
        trace::{self, TraceId, TraceParent},
    },
};
use warp::reply::Response;

use super::fault_reply;
use crate::{drain::Drain, peer::Peer};

/// What every response says. Nothing of the daemon's is a page, to be framed, or to be kept.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// For two years over TLS alone.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// The refusal of a request that goes no further. `over` is why its connection is one too many.
pub(crate) fn refuse(
    path: &str,
    headers: &HeaderMap,
    over: Option<&Fault>,
    drain: &Drain,
) -> Option<Response> {
    if let Some(fault) = over {
        return Some(last(fault));
    }
    // A browser states where its script came from; nothing of ours runs in one, so only our own address may.
    if let Some(origin) = headers.get(header::ORIGIN) {
        let text = |value: &HeaderValue| value.to_str().ok().map(ToOwned::to_owned);
        let origin =
            text(origin).and_then(|origin| origin.split_once("://").map(|(_, host)| host.to_owned()));
        if origin.is_none() || origin != headers.get(header::HOST).and_then(text) {
            let fault = Fault::new(FaultCode::Forbidden, "requests of other origins' pages are not taken");
            return Some(fault_reply(&fault));
        }
    }
    // The process lives for as long as it drains.
    if drain.has_begun() && path != "/health/live" {
        return Some(last(&drain.fault()));
    }
    None
}

/// What names the request in the log: as the client or a proxy has it in theirs, or drawn here. `None` without random bytes.
pub(crate) fn trace(headers: &HeaderMap) -> Option<TraceId> {
    let named = headers.get(trace::HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    named.or_else(|| TraceParent::random(&SystemEntropy).ok()).map(|parent| parent.trace())
}

/// What the log says of a request's path: the kind of thing that is asked for. Which one, and of whom, is nobody's business.
pub(crate) fn route(path: &str) -> &str {
    let kind = path.trim_start_matches("/v1").trim_start_matches('/').split('/').next().unwrap_or("");
    let known = [
        "account",
        "accounts",
        "directory",
        "health",
        "key-packages",
        "link",
        "links",
        "rooms",
        "server",
        "sessions",
        "socket",
    ];
    known.into_iter().find(|known| *known == kind).unwrap_or("other")
}

/// A refusal that ends its connection.
fn last(fault: &Fault) -> Response {
    let mut response = fault_reply(fault);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Puts the headers on a response.
pub(crate) fn secure(response: &mut Response, peer: &Peer) {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    if peer.encrypted {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
