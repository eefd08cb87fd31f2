//! Bodies within their limits: JSON, and bytes.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use qchat_proto::wire::{
    fault::{Fault, FaultCode},
    limits,
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use warp::{Filter, Rejection};

use super::Refusal;

/// Bytes that are read away beyond the limit, so that the client gets to see the refusal and not a reset.
pub(super) const READ_AWAY: usize = 32 * 1024 * 1024;

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the body as JSON.
pub(super) fn json<T: DeserializeOwned + Send + 'static>()
-> impl Filter<Extract = (T,), Error = Rejection> + Copy {
    warp::body::stream().and_then(|body| async move {
        let late = |_| Fault::new(FaultCode::BadRequest, "the body did not come in time");
        let bytes = timeout(PATIENCE, collect(body, limits::BODY))
            .await
            .map_err(late)
            .flatten()
            .map_err(Refusal::reject)?;
        serde_json::from_slice::<T>(&bytes).map_err(|error| {
            // serde_json's text would quote the input; its category and place do not.
            let what = match error.classify() {
                serde_json::error::Category::Data => "is not of the documented form",
                _ => "is not JSON",
            };
            Refusal::reject(Fault::new(
                FaultCode::BadRequest,
                format!("the body {what} (line {}, column {})", error.line(), error.column()),
            ))
        })
    })
}

/// Reads the body as it is.
pub(super) fn bytes(most: usize) -> impl Filter<Extract = (Bytes,), Error = Rejection> + Copy {
    warp::body::stream().and_then(move |body| async move {
        let late = |_| Fault::new(FaultCode::BadRequest, "the body did not come in time");
        timeout(PATIENCE, collect(body, most)).await.map_err(late).flatten().map_err(Refusal::reject)
    })
}

async fn collect<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    most: usize,
) -> Result<Bytes, Fault> {
    let mut body = std::pin::pin!(body);
    let (mut bytes, mut total) = (BytesMut::new(), 0_usize);
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|_| Fault::new(FaultCode::BadRequest, "the body was cut off"))?;
        total = total.saturating_add(part.remaining());
        if total > READ_AWAY {
            break;
        }
        if total <= most {
            while part.has_remaining() {
                let chunk = part.chunk();
                bytes.extend_from_slice(chunk);
                let length = chunk.len();
                part.advance(length);
            }
        } else {
            bytes.clear();
        }
    }
    if total > most {
        return Err(Fault::new(FaultCode::TooLarge, format!("this body has at most {most} bytes")));
    }
    Ok(bytes.freeze())
}
