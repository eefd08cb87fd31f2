//! The WebSocket: frames out, frames in, and the hello that comes before both.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use qchat_proto::{
    ids::ServerId,
    wire::{
        VERSIONS,
        frame::{client_frame, read_server_frame},
        limits,
        pb::{self, client_frame as client, server_frame as server},
        trace::{self, TraceParent},
    },
};
use tokio::time::Instant;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderValue, StatusCode, header::AUTHORIZATION},
        protocol::WebSocketConfig,
    },
};
use tracing::Instrument;

use super::{
    Base, NetError,
    base::Stream,
    error::{clean, draw},
    tls::Link,
};

/// A connection on which nothing arrives for this long is dead; the daemon pings every 20 s.
const SILENCE: Duration = Duration::from_secs(45);
/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection that has said hello.
pub struct Socket {
    stream: WebSocketStream<Stream>,
    link: Link,
    heard: Instant,
}

impl Socket {
    /// Connects, and makes sure that both speak a common version and that this is the server meant.
    ///
    /// # Errors
    /// [`NetError`]; a refused token is a fault with `unauthenticated`.
    pub async fn connect(base: &Base, token: &str, server: ServerId) -> Result<Self, NetError> {
        match tokio::time::timeout(CONNECT, Self::open(base, token, server)).await {
            Ok(result) => result,
            Err(_) => Err(NetError::Timeout),
        }
    }

    async fn open(base: &Base, token: &str, server: ServerId) -> Result<Self, NetError> {
        let trace = draw()?;
        let span = tracing::info_span!("socket", trace = %trace.trace());
        let opened = Self::opened(base, token, server, trace).instrument(span.clone()).await;
        span.in_scope(|| match &opened {
            Ok(_) => tracing::debug!("connected"),
            Err(error) => tracing::info!(%error, "not connected"),
        });
        opened.map_err(|error| error.traced(trace.trace()))
    }

    async fn opened(
        base: &Base,
        token: &str,
        server: ServerId,
        trace: TraceParent,
    ) -> Result<Self, NetError> {
        let (stream, link) = base.connect().await?;
        let scheme = if link == Link::Local { "ws" } else { "wss" };
        let malformed = || NetError::Address { url: base.to_string() };
        let mut request = format!("{scheme}://{}/v1/socket", base.address())
            .into_client_request()
            .map_err(|_| malformed())?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| NetError::Protocol("the access token is malformed".into()))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let named = HeaderValue::from_str(&trace.to_string()).map_err(|_| malformed())?;
        request.headers_mut().insert(trace::HEADER, named);
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(0)
            .max_message_size(Some(limits::FRAME))
            .max_frame_size(Some(limits::FRAME));
        let (stream, _) =
            client_async_with_config(request, stream, Some(config)).await.map_err(failed_upgrade)?;
        let mut socket = Self { stream, link, heard: Instant::now() };
        socket.hello(server).await?;
        Ok(socket)
    }

    /// How it is protected.
    pub fn link(&self) -> &Link {
        &self.link
    }

    async fn hello(&mut self, server: ServerId) -> Result<(), NetError> {
        let hello = pb::Hello {
            version_min: *VERSIONS.start(),
            version_max: *VERSIONS.end(),
            agent: concat!("qchat/", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        self.send(client::Body::Hello(hello)).await?;
        match self.recv().await? {
            server::Body::HelloAck(ack) if ack.server_id != server.as_bytes()[..] => {
                Err(NetError::OtherServer)
            }
            server::Body::HelloAck(ack) if VERSIONS.contains(&ack.version) => Ok(()),
            server::Body::HelloAck(_) => {
                Err(NetError::Protocol("the server chose a version that this client does not speak".into()))
            }
            server::Body::Fault(fault) => Err(NetError::fault(fault.into())),
            _ => Err(NetError::Protocol("the server did not answer the hello".into())),
        }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`NetError::Closed`].
    pub async fn send(&mut self, body: client::Body) -> Result<(), NetError> {
        match tokio::time::timeout(SILENCE, self.stream.send(Message::Binary(client_frame(body)))).await {
            Ok(result) => result.map_err(closed),
            Err(_) => Err(NetError::Timeout),
        }
    }

    /// Sends several frames one after the other.
    ///
    /// # Errors
    /// [`NetError::Closed`].
    pub async fn send_all(&mut self, bodies: Vec<client::Body>) -> Result<(), NetError> {
        let sending = async {
            for body in bodies {
                self.stream.feed(Message::Binary(client_frame(body))).await?;
            }
            self.stream.flush().await
        };
        match tokio::time::timeout(SILENCE, sending).await {
            Ok(result) => result.map_err(closed),
            Err(_) => Err(NetError::Timeout),
        }
    }

    /// The next frame. A call that is dropped loses nothing.
    ///
    /// # Errors
    /// [`NetError::Closed`]; [`NetError::Timeout`] after 45 s without a sign of life; [`NetError::Protocol`].
    pub async fn recv(&mut self) -> Result<server::Body, NetError> {
        loop {
            let next = tokio::time::timeout_at(self.heard + SILENCE, self.stream.next()).await;
            let message = match next {
                Err(_) => return Err(NetError::Timeout),
                Ok(None) => return Err(NetError::Closed("by the server".into())),
                Ok(Some(message)) => message.map_err(closed)?,
            };
            self.heard = Instant::now();
            match message {
                Message::Binary(bytes) => {
                    let frame = read_server_frame(bytes).map_err(|error| {
                        NetError::Protocol(format!("the server sent a bad frame: {error}").into())
                    })?;
                    // A frame of a kind from the future is passed over.
                    if let Some(body) = frame {
                        return Ok(fit(body));
                    }
                }
                Message::Close(frame) => {
                    let reason = frame.map_or_else(String::new, |frame| {
                        let text: String = frame.reason.as_str().chars().take(120).collect();
                        format!(" ({} {})", u16::from(frame.code), qchat_proto::sanitize::line(&text))
                    });
                    return Err(NetError::Closed(format!("by the server{reason}").into()));
                }
                // Pings are answered by the library.
                Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Says goodbye; what is still on its way may be lost.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.close(None)).await;
    }
}

/// Makes the daemon's own sentences fit for a terminal at the door, so that nobody behind it has to think of it.
fn fit(mut body: server::Body) -> server::Body {
    match &mut body {
        server::Body::Fault(fault) => clean(&mut fault.message),
        server::Body::Refused(refused) => {
            if let Some(fault) = &mut refused.fault {
                clean(&mut fault.message);
            }
        }
        _ => {}
    }
    body
}

fn closed(error: tungstenite::Error) -> NetError {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            NetError::Closed("by the server".into())
        }
        tungstenite::Error::Capacity(_) => {
            NetError::Protocol("the server sent a frame larger than the protocol allows".into())
        }
        error => NetError::Closed(error.to_string().into()),
    }
}

fn failed_upgrade(error: tungstenite::Error) -> NetError {
    use qchat_proto::wire::fault::{Fault, FaultBody, FaultCode};

    let tungstenite::Error::Http(response) = error else { return closed(error) };
    let said = response.body().as_deref().and_then(|body| serde_json::from_slice::<FaultBody>(body).ok());
    match said {
        Some(body) => NetError::fault(body.error),
        None if response.status() == StatusCode::UNAUTHORIZED => {
            NetError::Fault(Fault::new(FaultCode::Unauthenticated, "the access token was not taken"))
        }
        None => NetError::Protocol(format!("the server answered {}", response.status()).into()),
    }
}
