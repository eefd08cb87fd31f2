//! The byte stream under a WebSocket: tungstenite reads it and writes control frames, the daemon's own frames are
//! written past it, many in one system call and without a copy.

use std::{io::IoSlice, time::Duration};

use bytes::{Buf, Bytes};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use qchat_proto::wire::limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

/// How long a peer may take to accept what is written to it.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);
/// How long the daemon goes on reading after it has refused a connection, so that the peer sees the reason and not a
/// reset.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes that it reads away at most.
const LINGER_BYTES: usize = 32 * 1024 * 1024;

/// A WebSocket owned by one task.
pub(super) struct Socket(WebSocketStream<TokioIo<Upgraded>>);

impl Socket {
    pub(super) async fn new(stream: TokioIo<Upgraded>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(64 * 1024)
            .max_message_size(Some(limits::FRAME))
            .max_frame_size(Some(limits::FRAME));
        Self(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await)
    }

    /// The next message; may be cancelled.
    pub(super) async fn next(&mut self) -> Option<Result<Message, Error>> {
        self.0.next().await
    }

    /// Writes whole frames. Not to be cancelled: the peer would see half of one.
    pub(super) async fn write(&mut self, frames: &mut [Bytes]) -> Result<(), Error> {
        let all = async {
            // An answer to a ping that is still underway has to be out first.
            self.0.flush().await?;
            let stream = self.0.get_mut();
            let mut rest = frames;
            while let [first, ..] = rest {
                if first.is_empty() {
                    rest = &mut rest[1..];
                    continue;
                }
                let slices: Vec<IoSlice<'_>> = rest.iter().map(|frame| IoSlice::new(frame)).collect();
                let mut written = stream.write_vectored(&slices).await?;
                if written == 0 {
                    return Err(Error::Io(std::io::ErrorKind::WriteZero.into()));
                }
                for frame in rest.iter_mut() {
                    let part = written.min(frame.len());
                    frame.advance(part);
                    written -= part;
                    if written == 0 {
                        break;
                    }
                }
            }
            stream.flush().await.map_err(Error::Io)
        };
        timeout(PATIENCE, all).await.map_err(|_| Error::Io(std::io::ErrorKind::TimedOut.into()))?
    }

    /// Sends a ping.
    pub(super) async fn ping(&mut self) -> Result<(), Error> {
        timeout(PATIENCE, self.0.send(Message::Ping(Bytes::new())))
            .await
            .map_err(|_| Error::Io(std::io::ErrorKind::TimedOut.into()))?
    }

    /// Says why and ends, after reading away what the peer is still sending.
    pub(super) async fn close(mut self, code: CloseCode, reason: &'static str) {
        let goodbye = async {
            self.0.close(Some(CloseFrame { code, reason: reason.into() })).await.ok()?;
            let stream = self.0.get_mut();
            stream.shutdown().await.ok()?;
            let (mut buffer, mut read) = ([0; 4096], 0);
            while read < LINGER_BYTES {
                match stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(some) => read += some,
                }
            }
            Some(())
        };
        drop(timeout(LINGER, goodbye).await);
    }
}
