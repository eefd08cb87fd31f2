//! Files: parts of megabytes that are bytes and no JSON, and files of any size in the other direction.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use qchat_proto::{
    ids::{FileId, RoomId},
    wire::{
        api::{CompleteFile, PutFile},
        fault::{Fault, FaultCode},
    },
};
use sync_wrapper::SyncStream;
use warp::{Filter, Rejection, Reply, filters::BoxedFilter, reply::Response};

use super::{
    HeaderValueText, answer, bearer, body, done, fault_reply, segment, streamed, streamed::Body, with,
};
use crate::service::{ServiceError, Services, files::Reading, sessions::Caller};

/// `/v1/rooms/{room}/files/{file}`, and what follows.
fn file() -> impl Filter<Extract = (RoomId, FileId), Error = Rejection> + Copy {
    warp::path!("v1" / "rooms" / ..)
        .and(segment::<RoomId>())
        .and(warp::path("files"))
        .and(segment::<FileId>())
}

pub(super) fn routes(services: &Arc<Services>) -> BoxedFilter<(Response,)> {
    let quota = warp::path!("v1" / "account" / "files")
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|caller: Caller, services: Arc<Services>| async move {
            answer(StatusCode::OK, services.files.quota(caller).await)
        });
    let begin = file()
        .and(warp::path::end())
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(body::json())
        .then(
            |room: RoomId, file: FileId, caller: Caller, services: Arc<Services>, request: PutFile| async move {
                answer(StatusCode::OK, services.files.begin(caller, room, file, request).await)
            },
        );
    let part = file()
        .and(warp::path("parts"))
        .and(segment::<u64>())
        .and(warp::path::end())
        .and(warp::put())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(streamed::body())
        .then(take);
    let complete =
        file()
            .and(warp::path("complete"))
            .and(warp::path::end())
            .and(warp::post())
            .and(bearer(services.clone()))
            .and(with(services.clone()))
            .and(body::json())
            .then(
                |room: RoomId,
                 file: FileId,
                 caller: Caller,
                 services: Arc<Services>,
                 request: CompleteFile| async move {
                    done(services.files.complete(caller, room, file, request).await)
                },
            );
    let read = file()
        .and(warp::path::end())
        .and(warp::get())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .and(warp::header::optional::<HeaderValueText>(header::RANGE.as_str()))
        .then(give);
    let delete = file()
        .and(warp::path::end())
        .and(warp::delete())
        .and(bearer(services.clone()))
        .and(with(services.clone()))
        .then(|room: RoomId, file: FileId, caller: Caller, services: Arc<Services>| async move {
            done(services.files.delete(caller, room, file).await)
        });
    quota.or(begin).unify().or(part).unify().or(complete).unify().or(read).unify().or(delete).unify().boxed()
}

async fn take(
    room: RoomId,
    file: FileId,
    number: u64,
    caller: Caller,
    services: Arc<Services>,
    mut body: Body,
) -> Response {
    let taken = async {
        let (length, space) = services.files.expect(caller, room, file, number).await?;
        let bytes = tokio::select! {
            bytes = streamed::whole(collect(&mut body, length)) => bytes?,
            refused = space.outstayed() => return Err(refused),
        };
        // Whoever hangs up does not stop it halfway: what is on disk is noted, or gone.
        let storing = tokio::spawn(async move {
            let stored = services.files.put_part(caller, room, file, number, bytes).await;
            drop(space);
            stored
        });
        storing.await.map_err(|_| ServiceError::Defect("a part was cancelled"))?
    };
    let taken = taken.await;
    if taken.is_err() {
        streamed::refused(&mut body).await;
    }
    done(taken)
}

/// All of a body, which has to have this length.
async fn collect(body: &mut Body, length: usize) -> Result<Bytes, ServiceError> {
    let mut bytes = BytesMut::with_capacity(length);
    while let Some(part) = streamed::next(body).await? {
        if bytes.len() + part.len() > length {
            return Err(ServiceError::refuse(
                FaultCode::TooLarge,
                format!("this part of the file has {length} bytes"),
            ));
        }
        bytes.extend_from_slice(&part);
    }
    if bytes.len() < length {
        return Err(ServiceError::refuse(
            FaultCode::BadRequest,
            format!("this part of the file has {length} bytes"),
        ));
    }
    Ok(bytes.freeze())
}

async fn give(
    room: RoomId,
    file: FileId,
    caller: Caller,
    services: Arc<Services>,
    range: Option<HeaderValueText>,
) -> Response {
    let wanted = match range.as_ref().map(|range| stretch(&range.0)) {
        None => Some((0, None)),
        Some(stretch) => stretch,
    };
    let Some(wanted) = wanted else {
        let fault = Fault::new(FaultCode::BadRequest, "a range is like bytes=0-1023 or bytes=1024-");
        return fault_reply(&fault);
    };
    let Reading { size, range: given, bytes } = match services.files.read(caller, room, file, wanted).await {
        Ok(reading) => reading,
        Err(error) => return fault_reply(&error.into_fault()),
    };
    let mut response = warp::reply::stream(SyncStream::new(bytes)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(given.end - given.start));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if range.is_some() {
        let text = format!("bytes {}-{}/{size}", given.start, given.end - 1);
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// `bytes=FROM-` and `bytes=FROM-LAST` (RFC 9110 §14.1.2), as from where and up to where.
fn stretch(text: &str) -> Option<(u64, Option<u64>)> {
    let (from, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten()
    };
    let from = number(from)?;
    if last.is_empty() {
        return Some((from, None));
    }
    Some((from, Some(number(last)?.checked_add(1)?)))
}

#[cfg(test)]
mod tests {
    use super::stretch;

    #[test]
    fn ranges_are_read_as_the_standard_writes_them() {
        for (text, read) in [
            ("bytes=0-", Some((0, None))),
            ("bytes=5-9", Some((5, Some(10)))),
            ("bytes=9-5", Some((9, Some(6)))),
            ("bytes=-5", None),
            ("bytes=0-1,5-6", None),
            ("bytes=+1-2", None),
            ("items=0-1", None),
            ("bytes=0-18446744073709551615", None),
            ("", None),
        ] {
            assert_eq!(stretch(text), read, "{text}");
        }
    }
}
