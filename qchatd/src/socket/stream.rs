//! The byte stream under a WebSocket: tungstenite reads it, out of what one system call has brought, and writes control
//! frames; the daemon's own frames are written past it, many in one system call and without a copy.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use qchat_proto::wire::limits;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    task::yield_now,
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

/// Bytes that one system call reads at most; what a connection leaves of them waits in its memory.
const READ: usize = 32 * 1024;
/// Slices in one write.
const SLICES: usize = 128;
/// Bytes of a larger frame in one write, before others on this thread have their turn.
const PIECE: usize = 64 * 1024;

thread_local! {
    /// Where connections read into, one after the other: a buffer of each one's own would be most of what an idle
    /// connection costs.
    static READING: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// Reads more than was asked for, so that tungstenite, whose own buffer is small, needs no system call for each part of a
/// frame.
struct ReadAhead<S> {
    stream: S,
    ahead: Bytes,
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            return READING.with_borrow_mut(|reading| {
                let mut reading = ReadBuf::new(reading);
                ready!(Pin::new(&mut this.stream).poll_read(context, &mut reading))?;
                let (now, later) = reading.filled().split_at(reading.filled().len().min(buffer.remaining()));
                buffer.put_slice(now);
                this.ahead = Bytes::copy_from_slice(later);
                Poll::Ready(Ok(()))
            });
        }
        let now = this.ahead.split_to(this.ahead.len().min(buffer.remaining()));
        buffer.put_slice(&now);
        if this.ahead.is_empty() {
            // The memory goes with its last part.
            this.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// A WebSocket owned by one task.
pub(super) struct Socket(WebSocketStream<ReadAhead<TokioIo<Upgraded>>>);

impl Socket {
    pub(super) async fn new(stream: TokioIo<Upgraded>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(512)
            .write_buffer_size(0)
            .max_write_buffer_size(64 * 1024)
            .max_message_size(Some(limits::FRAME))
            .max_frame_size(Some(limits::FRAME));
        let stream = ReadAhead { stream, ahead: Bytes::new() };
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
                let large = first.len() > PIECE;
                // The slices are made for each try: kept across them they would be part of what an idle connection costs.
                let mut written = poll_fn(|context| {
                    if large {
                        let piece = rest[0].get(..PIECE).unwrap_or_default();
                        return Pin::new(&mut *stream).poll_write(context, piece);
                    }
                    let mut slices = [IoSlice::new(&[]); SLICES];
                    let count = rest.len().min(SLICES);
                    for (slice, frame) in slices.iter_mut().zip(rest.iter()) {
                        *slice = IoSlice::new(frame);
                    }
                    Pin::new(&mut *stream).poll_write_vectored(context, &slices[..count])
                })
                .await?;
                if written == 0 {
                    return Err(Error::Io(std::io::ErrorKind::WriteZero.into()));
                }
                if large {
                    yield_now().await;
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
            // On the heap: in the future it would be most of what every idle connection costs.
            let (mut buffer, mut read) = (vec![0; 4096], 0);
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
