//! Every failure as a `FaultBody`, warp's own rejections included.

use std::convert::Infallible;

use http::{HeaderValue, StatusCode, header};
use qchat_proto::wire::fault::{Fault, FaultBody, FaultCode};
use warp::{
    Rejection, Reply,
    reject::{InvalidHeader, MethodNotAllowed, Reject},
    reply::Response,
};

/// A fault on its way through the filters.
#[derive(Debug)]
pub struct Refusal(Fault);

impl Reject for Refusal {}

impl Refusal {
    /// Ends the filters with this fault.
    pub fn reject(fault: Fault) -> Rejection {
        warp::reject::custom(Self(fault))
    }
}

/// The response for a fault.
pub(crate) fn fault_reply(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    with_status(fault, status)
}

fn with_status(fault: &Fault, status: StatusCode) -> Response {
    let body = warp::reply::json(&FaultBody { error: fault.clone() });
    let mut response = warp::reply::with_status(body, status).into_response();
    if let Some(seconds) = fault.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UPGRADE_REQUIRED {
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    response
}

/// Turns what no route took into a fault.
pub(super) async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    let response = if let Some(Refusal(fault)) = rejection.find() {
        fault_reply(fault)
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        let fault = Fault::new(FaultCode::BadRequest, "this address does not take that method");
        with_status(&fault, StatusCode::METHOD_NOT_ALLOWED)
    } else if rejection.find::<InvalidHeader>().is_some() {
        fault_reply(&Fault::new(FaultCode::BadRequest, "a header of the request is malformed"))
    } else if rejection.is_not_found() {
        fault_reply(&Fault::new(FaultCode::NotFound, "there is nothing at this address"))
    } else {
        tracing::error!(?rejection, "a rejection without a name");
        fault_reply(&Fault::new(FaultCode::Internal, "the server failed; its log says why"))
    };
    Ok(response)
}
