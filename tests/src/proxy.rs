//! A proxy between clients and the daemon that records every WebSocket frame of both directions and can cut a
//! connection before or after a chosen one. What is not a WebSocket is passed on as it comes, and recorded as bytes.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::process::DEADLINE;

/// Which way something went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From a client.
    ToDaemon,
    /// From the daemon.
    ToClient,
}

/// A binary WebSocket message as it went by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Which connection, counted from 0.
    pub connection: usize,
    /// Which way.
    pub direction: Direction,
    /// Unmasked and whole.
    pub payload: Vec<u8>,
    /// Whether it was passed on: one that a connection was cut before was not.
    pub passed: bool,
}

/// What to do at a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Pass it on.
    Pass,
    /// Cut the connection; the other side never sees it.
    CutBefore,
    /// Pass it on, then cut the connection.
    CutAfter,
}

type Rule = Box<dyn FnMut(Direction, &[u8]) -> Action + Send>;

#[derive(Default)]
struct Recorded {
    connections: usize,
    open: Vec<(usize, TcpStream)>,
    frames: Vec<Frame>,
    raw: Vec<u8>,
}

struct Shared {
    target: SocketAddr,
    recorded: Mutex<Recorded>,
    changed: Condvar,
    rule: Mutex<Rule>,
    ended: AtomicBool,
}

/// A running proxy.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts a proxy that passes everything on to `target`.
    pub fn start(target: SocketAddr) -> Self {
        Self::with_rule(target, |_, _| Action::Pass)
    }

    /// Starts a proxy that asks `rule` at every binary WebSocket message.
    pub fn with_rule(
        target: SocketAddr,
        rule: impl FnMut(Direction, &[u8]) -> Action + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared {
            target,
            recorded: Mutex::default(),
            changed: Condvar::new(),
            rule: Mutex::new(Box::new(rule)),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.ended.load(Ordering::Acquire) {
                    break;
                }
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { address, shared }
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every frame so far, in the order in which they arrived here.
    pub fn frames(&self) -> Vec<Frame> {
        self.shared.lock().frames.clone()
    }

    /// All bytes of both directions so far, WebSocket frames unmasked.
    pub fn bytes(&self) -> Vec<u8> {
        let recorded = self.shared.lock();
        recorded.frames.iter().fold(recorded.raw.clone(), |mut all, frame| {
            all.extend_from_slice(&frame.payload);
            all
        })
    }

    /// Waits until `wanted` finds what it looks for among the frames.
    pub fn wait_for<T>(&self, what: &str, mut wanted: impl FnMut(&[Frame]) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let mut recorded = self.shared.lock();
        loop {
            if let Some(found) = wanted(&recorded.frames) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(left > Duration::ZERO, "the proxy never saw {what}");
            recorded =
                self.shared.changed.wait_timeout(recorded, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Cuts every open connection.
    pub fn cut_all(&self) {
        for (_, stream) in self.shared.lock().open.drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.cut_all();
        // Wakes the accepting thread, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: Arc<Self>, mut client: TcpStream) {
        let Ok(mut daemon) = TcpStream::connect(self.target) else { return };
        drop((client.set_nodelay(true), daemon.set_nodelay(true)));
        let number = {
            let mut recorded = self.lock();
            let number = recorded.connections;
            recorded.connections += 1;
            for stream in [&client, &daemon] {
                recorded.open.extend(stream.try_clone().map(|stream| (number, stream)));
            }
            number
        };
        let Some(head) = read_head(&mut client) else { return self.close(number) };
        self.lock().raw.extend_from_slice(&head);
        let is_socket = head.starts_with(b"GET /v1/socket ");
        let (Ok(()), Ok(mut back_from), Ok(mut back_to)) =
            (daemon.write_all(&head), daemon.try_clone(), client.try_clone())
        else {
            return self.close(number);
        };
        let back = Arc::clone(&self);
        let answering = thread::spawn(move || {
            if is_socket {
                if let Some(head) = read_head(&mut back_from) {
                    back.lock().raw.extend_from_slice(&head);
                    if back_to.write_all(&head).is_ok() {
                        back.pass_frames(number, Direction::ToClient, &mut back_from, &mut back_to);
                    }
                }
            } else {
                back.pass_bytes(&mut back_from, &mut back_to);
            }
            back.close(number);
        });
        if is_socket {
            self.pass_frames(number, Direction::ToDaemon, &mut client, &mut daemon);
            self.close(number);
        } else {
            self.pass_bytes(&mut client, &mut daemon);
            // The answer to a request may still be on its way after its sender has nothing more to ask.
            drop(daemon.shutdown(Shutdown::Write));
        }
        drop(answering.join());
    }

    fn close(&self, number: usize) {
        self.lock().open.retain(|(connection, stream)| {
            if *connection == number {
                drop(stream.shutdown(Shutdown::Both));
            }
            *connection != number
        });
    }

    fn pass_bytes(&self, from: &mut TcpStream, to: &mut TcpStream) {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(size @ 1..) = from.read(&mut chunk) {
            self.lock().raw.extend_from_slice(&chunk[..size]);
            if to.write_all(&chunk[..size]).is_err() {
                break;
            }
        }
    }

    fn pass_frames(&self, connection: usize, direction: Direction, from: &mut TcpStream, to: &mut TcpStream) {
        let mut message: Vec<u8> = Vec::new();
        while let Some(part) = Part::read(from) {
            let mut action = Action::Pass;
            if part.is_data {
                message.extend_from_slice(&part.payload);
                if part.is_last {
                    action = (self.rule.lock().unwrap_or_else(PoisonError::into_inner))(direction, &message);
                    let payload = std::mem::take(&mut message);
                    let passed = action != Action::CutBefore;
                    self.lock().frames.push(Frame { connection, direction, payload, passed });
                    self.changed.notify_all();
                }
            }
            if action == Action::CutBefore || to.write_all(&part.bytes).is_err() || action == Action::CutAfter
            {
                break;
            }
        }
    }
}

/// One frame of RFC 6455 §5.2.
struct Part {
    /// As it came.
    bytes: Vec<u8>,
    payload: Vec<u8>,
    is_data: bool,
    is_last: bool,
}

impl Part {
    fn read(from: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut take = |size: usize| -> Option<Vec<u8>> {
            let mut part = vec![0; size];
            from.read_exact(&mut part).ok()?;
            bytes.extend_from_slice(&part);
            Some(part)
        };
        let start = take(2)?;
        let size = match start[1] & 0x7f {
            126 => take(2)?.iter().fold(0, |size, &byte| size << 8 | usize::from(byte)),
            127 => take(8)?.iter().fold(0, |size, &byte| size << 8 | usize::from(byte)),
            size => usize::from(size),
        };
        let mask = if start[1] & 0x80 == 0 { vec![0; 4] } else { take(4)? };
        let mut payload = take(size)?;
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        // Opcodes: 0 continues, 1 text, 2 binary, 8 and above control.
        Some(Self { bytes, payload, is_data: start[0] & 0x0f <= 2, is_last: start[0] & 0x80 != 0 })
    }
}

/// Reads the head of an HTTP message, and nothing beyond it.
fn read_head(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 64 * 1024 || !matches!(from.read(&mut byte), Ok(1)) {
            return None;
        }
        head.push(byte[0]);
    }
    Some(head)
}
