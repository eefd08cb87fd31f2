//! Bodies of megabytes that are bytes and no JSON, read part by part as they come.

use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use qchat_proto::wire::fault::{Fault, FaultCode};
use tokio::time::timeout;
use warp::{Filter, Rejection};

use super::body::READ_AWAY;
use crate::service::ServiceError;

/// How long the next bytes may take to come,
const PATIENCE: Duration = Duration::from_secs(30);
/// and all of them.
const WHOLE: Duration = Duration::from_mins(10);

/// A body as it comes; `Err` when it was cut off.
pub(super) type Body = BoxStream<'static, Result<Bytes, ()>>;

/// The body, unread.
pub(super) fn body() -> impl Filter<Extract = (Body,), Error = Rejection> + Copy {
    warp::body::stream().map(|body| -> Body { boxed(body) })
}

fn boxed<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>> + Send + 'static) -> Body {
    body.map(|part| part.map(|mut part| part.copy_to_bytes(part.remaining())).map_err(drop)).boxed()
}

/// What comes next; `None` at the end.
pub(super) async fn next(body: &mut Body) -> Result<Option<Bytes>, ServiceError> {
    let part = timeout(PATIENCE, body.next()).await.map_err(|_| late())?.transpose();
    part.map_err(|()| ServiceError::refuse(FaultCode::BadRequest, "the body was cut off"))
}

/// What reads all of a body, and does not take for ever.
pub(super) async fn whole<T>(
    reading: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    timeout(WHOLE, reading).await.unwrap_or_else(|_| Err(late()))
}

/// Reads on for a while, so that the client gets to see the refusal and not a reset.
pub(super) async fn refused(body: &mut Body) {
    drop(timeout(PATIENCE, read_away(body)).await);
}

/// Reads what nobody wants, as far as that makes sense.
pub(super) async fn read_away(body: &mut Body) {
    let mut read = 0_usize;
    while read < READ_AWAY {
        match body.next().await {
            Some(Ok(part)) => read += part.len(),
            Some(Err(())) | None => return,
        }
    }
}

fn late() -> ServiceError {
    Fault::new(FaultCode::BadRequest, "the body did not come in time").into()
}
