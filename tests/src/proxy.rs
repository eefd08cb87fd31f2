//! A proxy between clients and the daemon that records every request and every WebSocket frame of both directions. By
//! its rules it cuts a connection before or after a chosen one, loses an answer, or gives another one.

mod http;
mod websocket;

use std::{
    io::Write,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use self::{
    http::{Message, read_head},
    websocket::{Part, message},
};
use crate::process::DEADLINE;

pub use self::http::{Answer, Request};

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
    /// Whether it was passed on: one that a connection was cut before was not, nor one that another took the place of.
    pub passed: bool,
}

/// What to do at a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Pass it on.
    Pass,
    /// Cut the connection; the other side never sees it.
    CutBefore,
    /// Pass it on, then cut the connection.
    CutAfter,
    /// Withhold it, and pass these on in its place.
    Instead(Vec<Vec<u8>>),
    /// Withhold it, and give this back to its sender.
    Reply(Vec<u8>),
}

type FrameRule = Box<dyn FnMut(Direction, &[u8]) -> Action + Send>;
type RequestRule = Box<dyn FnMut(&Request) -> Answer + Send>;

#[derive(Default)]
struct Recorded {
    connections: usize,
    open: Vec<Wire>,
    frames: Vec<Frame>,
    requests: Vec<Request>,
    lost: usize,
    raw: Vec<u8>,
}

/// One end of an open connection.
struct Wire {
    connection: usize,
    /// Where what is written to it arrives.
    direction: Direction,
    stream: TcpStream,
    /// The same, for one writer at a time.
    writer: Arc<Mutex<TcpStream>>,
}

struct Shared {
    target: SocketAddr,
    recorded: Mutex<Recorded>,
    changed: Condvar,
    frame_rule: Mutex<FrameRule>,
    request_rule: Mutex<RequestRule>,
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
            frame_rule: Mutex::new(Box::new(rule)),
            request_rule: Mutex::new(Box::new(|_| Answer::Genuine)),
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

    /// Asks this rule at every binary WebSocket message from now on.
    pub fn at_frames(&self, rule: impl FnMut(Direction, &[u8]) -> Action + Send + 'static) {
        *lock(&self.shared.frame_rule) = Box::new(rule);
    }

    /// Asks this rule at every request from now on, the upgrade of a socket included.
    pub fn at_requests(&self, rule: impl FnMut(&Request) -> Answer + Send + 'static) {
        *lock(&self.shared.request_rule) = Box::new(rule);
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every frame so far, in the order in which they arrived here.
    pub fn frames(&self) -> Vec<Frame> {
        self.shared.lock().frames.clone()
    }

    /// Every request so far, in the order in which they arrived here.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// How many answers of the daemon were lost so far.
    pub fn lost(&self) -> usize {
        self.shared.lock().lost
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

    /// Says something of its own on a connection.
    pub fn say(&self, connection: usize, direction: Direction, payload: &[u8]) {
        self.shared.say(connection, direction, payload);
    }

    /// Cuts every open connection.
    pub fn cut_all(&self) {
        for wire in self.shared.lock().open.drain(..) {
            drop(wire.stream.shutdown(Shutdown::Both));
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Recorded> {
        lock(&self.recorded)
    }

    fn serve(self: Arc<Self>, mut client: TcpStream) {
        drop(client.set_nodelay(true));
        let connection = {
            let mut recorded = self.lock();
            recorded.connections += 1;
            recorded.connections - 1
        };
        self.open(connection, &client, Direction::ToClient);
        while let Some(asked) = Message::read(&mut client) {
            if self.request(connection, &asked, &mut client).is_none() {
                break;
            }
        }
        self.close(connection);
    }

    /// Deals with one request; `None` when the connection is over.
    fn request(self: &Arc<Self>, connection: usize, asked: &Message, client: &mut TcpStream) -> Option<()> {
        let request = asked.request()?;
        {
            let mut recorded = self.lock();
            recorded.raw.extend([&asked.head[..], &asked.body].concat());
            recorded.requests.push(request.clone());
            self.changed.notify_all();
        }
        let answer = lock(&self.request_rule)(&request);
        let (lost, change, instead) = match answer {
            Answer::Cut => return None,
            Answer::False(status, body) => return Message::answer(status, body).write(client).ok(),
            Answer::Lost => (true, None, None),
            Answer::Changed(change) => (false, Some(change), None),
            Answer::Instead(body) => (false, None, Some(asked.asking(&body))),
            Answer::Genuine => (false, None, None),
        };
        // A connection for each request: the daemon may have ended one that idled, without the client's knowing.
        let mut daemon = TcpStream::connect(self.target).ok()?;
        drop(daemon.set_nodelay(true));
        instead.as_ref().unwrap_or(asked).write(&mut daemon).ok()?;
        if request.is("GET", "/v1/socket") && !lost {
            self.socket(connection, client, daemon);
            return None;
        }
        let mut answer = Message::read(&mut daemon)?;
        self.lock().raw.extend([&answer.head[..], &answer.body].concat());
        if lost {
            self.lock().lost += 1;
            return None;
        }
        if let Some(change) = change {
            answer = answer.with_body(change(answer.body.clone()));
        }
        answer.write(client).ok()
    }

    /// Passes frames both ways until one side ends.
    fn socket(self: &Arc<Self>, connection: usize, client: &mut TcpStream, mut daemon: TcpStream) {
        self.open(connection, &daemon, Direction::ToDaemon);
        let Some(head) = read_head(&mut daemon) else { return };
        self.lock().raw.extend_from_slice(&head);
        if client.write_all(&head).is_err() {
            return;
        }
        let back = Arc::clone(self);
        let answering = thread::spawn(move || {
            back.pass_frames(connection, Direction::ToClient, &mut daemon);
            back.close(connection);
        });
        self.pass_frames(connection, Direction::ToDaemon, client);
        self.close(connection);
        drop(answering.join());
    }

    fn open(&self, connection: usize, stream: &TcpStream, direction: Direction) {
        if let (Ok(stream), Ok(writer)) = (stream.try_clone(), stream.try_clone()) {
            let writer = Arc::new(Mutex::new(writer));
            self.lock().open.push(Wire { connection, direction, stream, writer });
        }
    }

    fn close(&self, connection: usize) {
        self.lock().open.retain(|wire| {
            if wire.connection == connection {
                drop(wire.stream.shutdown(Shutdown::Both));
            }
            wire.connection != connection
        });
    }

    /// Writes whole frames; whether they were taken.
    fn write(&self, connection: usize, direction: Direction, bytes: &[u8]) -> bool {
        let writer = {
            let recorded = self.lock();
            let mut wires = recorded.open.iter();
            let wire = wires.find(|wire| (wire.connection, wire.direction) == (connection, direction));
            wire.map(|wire| Arc::clone(&wire.writer))
        };
        writer.is_some_and(|writer| lock(&writer).write_all(bytes).is_ok())
    }

    fn say(&self, connection: usize, direction: Direction, payload: &[u8]) -> bool {
        self.write(connection, direction, &message(payload, direction == Direction::ToDaemon))
    }

    fn pass_frames(&self, connection: usize, direction: Direction, from: &mut TcpStream) {
        let (mut bytes, mut payload): (Vec<u8>, Vec<u8>) = Default::default();
        while let Some(part) = Part::read(from) {
            if !part.is_data {
                if !self.write(connection, direction, &part.bytes) {
                    break;
                }
                continue;
            }
            bytes.extend(part.bytes);
            payload.extend(part.payload);
            if !part.is_last {
                continue;
            }
            let action = lock(&self.frame_rule)(direction, &payload);
            {
                let passed = matches!(action, Action::Pass | Action::CutAfter);
                let payload = std::mem::take(&mut payload);
                self.lock().frames.push(Frame { connection, direction, payload, passed });
                self.changed.notify_all();
            }
            let bytes = std::mem::take(&mut bytes);
            let going = match action {
                Action::Pass => self.write(connection, direction, &bytes),
                Action::CutBefore => false,
                Action::CutAfter => {
                    self.write(connection, direction, &bytes);
                    false
                }
                Action::Instead(others) => {
                    others.iter().all(|payload| self.say(connection, direction, payload))
                }
                Action::Reply(payload) => self.say(connection, direction.back(), &payload),
            };
            if !going {
                break;
            }
        }
    }
}

impl Direction {
    fn back(self) -> Self {
        match self {
            Self::ToDaemon => Self::ToClient,
            Self::ToClient => Self::ToDaemon,
        }
    }
}
