//! The stand-in's door: requests in, answers out, and connections that are cut on request.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::{
    Response,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{runtime, sync::oneshot};
use url::form_urlencoded;

use super::{
    control::Mishap,
    routes::{Reply, Request, World, refusal, route},
};

/// Largest request, bytes.
const MOST: usize = 64 << 20;

/// An answer, whole or cut off.
type Answer = Response<BoxBody<Bytes, Cut>>;

/// The connection is to be cut.
#[derive(Debug, thiserror::Error)]
#[error("cut on request")]
struct Cut;

/// Serves on an address, in a thread of its own, until `stopped` is told or dropped. Gives the address.
pub(super) fn spawn(
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    thread::Builder::new().name("fake-ibm".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = accept(listener, world) => {}
                _ = stopped => {}
            }
        });
    })?;
    Ok(address)
}

async fn accept(listener: TcpListener, world: Arc<Mutex<World>>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener in its runtime");
    while let Ok((stream, _)) = listener.accept().await {
        let world = world.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| serve(request, &world));
            // One that was cut ends in an error, which is what was wanted.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn serve(request: hyper::Request<Incoming>, world: &Mutex<World>) -> Result<Answer, Cut> {
    let request = read(request).await.ok_or(Cut)?;
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    let route = route(&request);
    world.requests.push(route);
    let mishap = world.control.mishap(route);
    match mishap {
        Some(Mishap::Cut) => return Err(Cut),
        Some(Mishap::Elsewhere(address)) => {
            let builder = Response::builder().status(302).header("location", address);
            return builder.body(whole(Bytes::new())).map_err(|_| Cut);
        }
        Some(Mishap::Status(status, after)) => {
            let message = format!("Something is wrong today.{}", world.repeated(&request));
            return response(refusal(status, "1000", &message), after, false);
        }
        _ => {}
    }
    let reply = world.answer(route, &request);
    match mishap {
        Some(Mishap::Lost) => Err(Cut),
        Some(Mishap::Short) => response(reply, None, true),
        Some(Mishap::Half) => {
            let text = reply.1.map(|document| document.to_string()).unwrap_or_default();
            plain(reply.0, text.as_bytes()[..text.len() / 2].to_vec(), None, false)
        }
        Some(Mishap::Instead(bytes)) => plain(200, bytes, None, false),
        _ => response(reply, None, false),
    }
}

fn response(Reply(status, document): Reply, after: Option<u64>, short: bool) -> Result<Answer, Cut> {
    let text = document.map(|document| document.to_string()).unwrap_or_default();
    plain(status, text.into_bytes(), after, short)
}

/// An answer; the connection ends within a `short` one.
fn plain(status: u16, body: Vec<u8>, after: Option<u64>, short: bool) -> Result<Answer, Cut> {
    let mut builder = Response::builder().status(status).header("content-type", "application/json");
    if let Some(seconds) = after {
        builder = builder.header("retry-after", seconds);
    }
    let body = if short {
        let begin = Bytes::copy_from_slice(&body[..body.len() / 2]);
        StreamBody::new(stream::iter([Ok(Frame::data(begin)), Err(Cut)])).boxed()
    } else {
        whole(Bytes::from(body))
    };
    builder.body(body).map_err(|_| Cut)
}

fn whole(body: Bytes) -> BoxBody<Bytes, Cut> {
    Full::new(body).map_err(|never| match never {}).boxed()
}

/// Reads a request; none when it cannot be read.
async fn read(request: hyper::Request<Incoming>) -> Option<Request> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MOST).collect().await.ok()?.to_bytes().to_vec();
    let header = |name: &str| {
        head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let path = head.uri.path();
    let below = path.strip_prefix("/api/v1/").unwrap_or(path);
    Some(Request {
        method: head.method.to_string(),
        path: below.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        query: form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
        authorization: header("authorization"),
        instance: header("service-crn"),
        version: header("ibm-api-version"),
        body,
    })
}
