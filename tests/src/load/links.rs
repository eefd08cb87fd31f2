//! Many WebSocket connections on one thread: epoll, one buffer to read into, and no task or allocation for a message,
//! so that the daemon is what is measured.

use std::{
    collections::HashMap,
    fmt,
    io::ErrorKind,
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    os::fd::OwnedFd,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use qchat_proto::wire::{fault::Fault, frame, pb::server_frame::Body};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt},
};
use url::Url;

use super::{
    frames::{Frames, Incoming, put_binary, put_pong},
    wire::{Manner, Wire},
};
use crate::{device::hello, tls};

/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;
/// Times that a connection is read before others have their turn.
const READS: usize = 4;
/// Connections that one look at epoll tells of.
const EVENTS: usize = 1024;
/// Largest answer to the upgrade, bytes.
const UPGRADED: usize = 8 * 1024;

/// What a connection tells.
#[derive(Debug)]
pub enum Heard {
    /// It has said its hello and heard one.
    Open,
    /// A frame of the daemon.
    Frame(Incoming),
    /// It is gone, and why.
    Closed(Farewell),
}

/// How a connection ended.
#[derive(Debug)]
pub struct Farewell {
    /// In words.
    pub why: String,
    /// Seconds after which the daemon wants its client back.
    pub retry_after: Option<u32>,
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<String> for Farewell {
    fn from(why: String) -> Self {
        Self { why, retry_after: None }
    }
}

/// All connections, by the slot that they were given.
pub struct Links {
    epoll: OwnedFd,
    address: SocketAddr,
    host: String,
    /// Slots that connect to another address.
    routes: HashMap<usize, SocketAddr>,
    manner: Manner,
    slots: Vec<Option<Link>>,
    ready: Vec<epoll::Event>,
    buffers: Buffers,
}

/// What all connections read into.
struct Buffers {
    read: Box<[u8]>,
    plain: Vec<u8>,
}

struct Link {
    wire: Wire,
    stage: Stage,
    frames: Frames,
    out: Vec<u8>,
    /// Bytes of `out` that are on their way.
    sent: usize,
    /// Whether epoll tells when there is room to write.
    waits: bool,
    /// The answer to the upgrade, as far as it has come.
    head: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Upgrading,
    Greeting,
    Open,
}

impl Links {
    /// Slots for `count` connections to the daemon at `server`.
    ///
    /// # Errors
    /// When the URL is not that of a daemon that can be found.
    pub fn new(server: &Url, count: usize) -> Result<Self> {
        let host = server.host_str().context("the URL has no host")?;
        let manner = match server.scheme() {
            "http" => Manner::Plain,
            "https" => {
                let name = host.trim_matches(['[', ']']).to_owned().try_into()?;
                Manner::Tls(Arc::new(tls::credulous(tls::HYBRID)), name)
            }
            other => bail!("{server}: {other} is not spoken"),
        };
        let port = server.port_or_known_default().context("the URL has no port")?;
        let address = (host.trim_matches(['[', ']']), port).to_socket_addrs()?.next();
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            address: address.with_context(|| format!("{host} is not known"))?,
            host: format!("{host}:{port}"),
            routes: HashMap::new(),
            slots: std::iter::repeat_with(|| None).take(count).collect(),
            ready: Vec::with_capacity(EVENTS),
            manner,
            buffers: Buffers { read: vec![0; BUFFER].into(), plain: Vec::new() },
        })
    }

    /// A slot connects to this address from now on: to a proxy, or to another node.
    pub fn route(&mut self, slot: usize, address: SocketAddr) {
        self.routes.insert(slot, address);
    }

    /// Begins to connect; [`Heard::Open`] or [`Heard::Closed`] follows.
    ///
    /// # Errors
    /// When there is no further file or port.
    pub fn connect(&mut self, slot: usize, token: &str) -> Result<()> {
        let address = self.routes.get(&slot).unwrap_or(&self.address);
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None).context("a socket")?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        match connect(&socket, address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error).with_context(|| format!("connecting to {address}")),
        }
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(slot as u64), flags)?;
        let request = format!(
            "GET /v1/socket HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\
             Authorization: Bearer {token}\r\n\r\n",
            self.host
        );
        let link = Link {
            wire: Wire::new(TcpStream::from(socket), &self.manner)?,
            stage: Stage::Connecting,
            frames: Frames::default(),
            out: request.into_bytes(),
            sent: 0,
            waits: true,
            head: Vec::new(),
        };
        *self.slots.get_mut(slot).context("no such slot")? = Some(link);
        Ok(())
    }

    /// Whether a slot has a connection, or one that is being made.
    pub fn has(&self, slot: usize) -> bool {
        self.slots.get(slot).is_some_and(Option::is_some)
    }

    /// What is to be written to an open connection; [`Self::flush`] writes it.
    pub fn out(&mut self, slot: usize) -> Option<&mut Vec<u8>> {
        let link = self.slots.get_mut(slot)?.as_mut()?;
        (link.stage == Stage::Open).then_some(&mut link.out)
    }

    /// Bytes that the daemon has not taken yet.
    pub fn waiting(&self, slot: usize) -> usize {
        self.slots.get(slot).and_then(Option::as_ref).map_or(0, |link| link.out.len() - link.sent)
    }

    /// Writes what there is room for; the rest goes when there is.
    ///
    /// # Errors
    /// When epoll fails. A connection that fails tells so by itself.
    pub fn flush(&mut self, slot: usize) -> Result<()> {
        match self.slots.get_mut(slot) {
            Some(Some(link)) => link.flush(&self.epoll, slot),
            _ => Ok(()),
        }
    }

    /// Ends a connection at once, without a word: as one whose machine has left the network.
    pub fn cut(&mut self, slot: usize) {
        if let Some(link) = self.slots.get_mut(slot).and_then(Option::take) {
            // No state stays behind in this machine, whose ports would run out.
            let _ = sockopt::set_socket_linger(link.wire.stream(), Some(Duration::ZERO));
        }
    }

    /// Waits for at most `patience`, and tells of all that happened. `on` may append to what is to be written to the
    /// connection that it is told of.
    ///
    /// # Errors
    /// When epoll or `on` fails.
    pub fn turn(
        &mut self,
        patience: Duration,
        mut on: impl FnMut(usize, Heard, &mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let patience =
            Timespec { tv_sec: patience.as_secs().try_into()?, tv_nsec: patience.subsec_nanos().into() };
        let mut ready = std::mem::take(&mut self.ready);
        match epoll::wait(&self.epoll, spare_capacity(&mut ready), Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in ready.drain(..) {
            let slot = usize::try_from(event.data.u64())?;
            let Some(Some(link)) = self.slots.get_mut(slot) else { continue };
            match link.ready(&self.epoll, slot, event.flags, &mut self.buffers, &self.host, &mut on) {
                Ok(()) => {}
                Err(Gone::Failed(error)) => return Err(error),
                Err(Gone::Closed(why)) => {
                    self.slots[slot] = None;
                    on(slot, Heard::Closed(why), &mut Vec::new())?;
                }
            }
        }
        self.ready = ready;
        Ok(())
    }
}

/// Why a connection is not served further.
enum Gone {
    /// The peer's doing.
    Closed(Farewell),
    /// Ours.
    Failed(anyhow::Error),
}

impl From<std::io::Error> for Gone {
    fn from(error: std::io::Error) -> Self {
        Self::Closed(error.to_string().into())
    }
}

/// What a refusal of the upgrade says.
fn refusal(head: &[u8]) -> Farewell {
    let why = String::from_utf8_lossy(head).into_owned();
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("retry-after").then(|| value.trim().parse().ok())?
    };
    Farewell { retry_after: why.lines().find_map(value), why }
}

impl Link {
    fn ready(
        &mut self,
        epoll: &OwnedFd,
        slot: usize,
        flags: epoll::EventFlags,
        buffers: &mut Buffers,
        host: &str,
        on: &mut impl FnMut(usize, Heard, &mut Vec<u8>) -> Result<()>,
    ) -> Result<(), Gone> {
        if self.stage == Stage::Connecting {
            match sockopt::socket_error(self.wire.stream()) {
                Ok(Ok(())) => {}
                Ok(Err(error)) | Err(error) => return Err(Gone::Closed(format!("{host}: {error}").into())),
            }
            self.stage = Stage::Upgrading;
        }
        let readable = epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        if flags.intersects(readable) {
            for _ in 0..READS {
                let said = match self.wire.read(&mut buffers.read, &mut buffers.plain) {
                    Ok(said) => said,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error.into()),
                };
                let all = said.len() < BUFFER;
                self.take(slot, said, on)?;
                if all {
                    break;
                }
            }
        }
        self.flush(epoll, slot).map_err(Gone::Failed)
    }

    fn take(
        &mut self,
        slot: usize,
        mut bytes: &[u8],
        on: &mut impl FnMut(usize, Heard, &mut Vec<u8>) -> Result<()>,
    ) -> Result<(), Gone> {
        if self.stage == Stage::Upgrading {
            // What follows the head is the socket's: there is nothing before our hello.
            self.head.extend_from_slice(bytes);
            bytes = &[];
            if !self.head.ends_with(b"\r\n\r\n") {
                let long = self.head.len() > UPGRADED || !self.head.starts_with(b"HTTP/1.1 101");
                let refused = || Gone::Closed(refusal(&self.head));
                return if long && self.head.len() > 12 { Err(refused()) } else { Ok(()) };
            }
            if !self.head.starts_with(b"HTTP/1.1 101") {
                return Err(Gone::Closed(refusal(&self.head)));
            }
            self.head = Vec::new();
            self.stage = Stage::Greeting;
            put_binary(&mut self.out, &frame::client_frame(hello(1, 1)));
        }
        // What ends the connection ends it after what came before.
        let mut end: Option<Farewell> = None;
        let Self { frames, stage, out, .. } = self;
        let fed = frames.feed(bytes, |incoming| {
            match (incoming, *stage) {
                (Incoming::Ping(payload), _) => put_pong(out, &payload),
                (Incoming::Close(code), _) => {
                    end.get_or_insert(format!("the daemon closed with code {code}").into());
                }
                (Incoming::Frame(Body::HelloAck(_)), Stage::Greeting) => {
                    *stage = Stage::Open;
                    on(slot, Heard::Open, out)?;
                }
                (Incoming::Frame(Body::Fault(fault)), _) => {
                    let why = format!("{}: {}", fault.code, fault.message);
                    end = Some(Farewell { why, retry_after: Fault::from(fault).retry_after });
                }
                (other, Stage::Open) => on(slot, Heard::Frame(other), out)?,
                (other, _) => bail!("before a hello: {other:?}"),
            }
            Ok(())
        });
        fed.map_err(Gone::Failed)?;
        end.map_or(Ok(()), |why| Err(Gone::Closed(why)))
    }

    fn flush(&mut self, epoll: &OwnedFd, slot: usize) -> Result<()> {
        if self.stage == Stage::Connecting {
            return Ok(());
        }
        let mut full = false;
        if self.wire.is_handshaking() {
            // The request follows the answer.
            full = !self.wire.drain().unwrap_or(true);
            return self.wait(epoll, slot, full);
        }
        while self.sent < self.out.len() {
            match self.wire.write(self.out.get(self.sent..).unwrap_or_default()) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    full = true;
                    break;
                }
                // Reading tells what has become of it.
                Err(_) => {
                    self.sent = self.out.len();
                }
            }
        }
        if self.sent == self.out.len() {
            self.sent = 0;
            self.out.clear();
            if self.stage == Stage::Greeting {
                // The upgrade was long, a connection that only listens writes nothing: many wait idle.
                self.out = Vec::new();
            }
        }
        // Reading tells what has become of it.
        full |= !self.wire.drain().unwrap_or(true);
        self.wait(epoll, slot, full)
    }

    /// Is told when there is room to write, or is not.
    fn wait(&mut self, epoll: &OwnedFd, slot: usize, full: bool) -> Result<()> {
        if full != self.waits {
            self.waits = full;
            let out = if full { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
            let data = epoll::EventData::new_u64(slot as u64);
            epoll::modify(epoll, &self.wire, data, epoll::EventFlags::IN | out)?;
        }
        Ok(())
    }
}
