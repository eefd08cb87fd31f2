//! The daemon's WebSocket messages out of a stream of bytes, reading no more of a delivery than says which envelope it
//! is: a tool that decodes and copies every payload would measure itself.

use anyhow::{Result, anyhow, bail, ensure};
use qchat_proto::{
    ids::{MessageId, RoomId, Seq},
    wire::{
        frame, limits,
        pb::{self, server_frame::Body},
    },
};

/// Bytes of a delivery that are looked at: a frame's and an envelope's fields up to the message id.
const LOOKED_AT: usize = 96;
/// Bytes of a WebSocket header without a mask, at most.
const HEADER: usize = 10;
/// `ServerFrame.deliver`: field 5, length-delimited.
const DELIVER: u8 = 5 << 3 | 2;
/// `ServerFrame.accepted`: field 2.
const ACCEPTED: u8 = 2 << 3 | 2;

/// Opcodes of RFC 6455 §5.2.
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
/// The only fragment of its message.
const FINAL: u8 = 0x80;
/// What follows is masked.
const MASKED: u8 = 0x80;

/// What has come.
#[derive(Debug)]
pub enum Incoming {
    /// An envelope that was accepted.
    Deliver(RoomId, Seq, MessageId),
    /// An envelope of this connection's is durable.
    Accepted(RoomId, Seq, MessageId),
    /// Any other frame of the daemon.
    Frame(Body),
    /// A ping, with what a pong repeats.
    Ping(Vec<u8>),
    /// The daemon closes, with this code.
    Close(u16),
}

/// Reads one connection's stream.
#[derive(Default)]
pub struct Frames {
    /// The beginning of a message, when it did not come at once.
    held: Vec<u8>,
    /// Bytes of a delivery that need not be looked at.
    skip: usize,
}

impl Frames {
    /// Takes what has come and tells of every message that it completes.
    ///
    /// # Errors
    /// When the daemon sends what is no frame of this protocol, or `on` fails.
    pub fn feed(&mut self, mut bytes: &[u8], mut on: impl FnMut(Incoming) -> Result<()>) -> Result<()> {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return Ok(());
            }
            if self.held.is_empty() {
                match read(bytes)? {
                    Read::Whole(incoming, length) => {
                        self.skip = length.saturating_sub(bytes.len());
                        bytes = &bytes[length.min(bytes.len())..];
                        if let Some(incoming) = incoming {
                            on(incoming)?;
                        }
                    }
                    Read::Needs(_) => {
                        self.held.extend_from_slice(bytes);
                        return Ok(());
                    }
                }
            } else {
                // Byte for byte as many as are needed to know how many are needed.
                let Read::Needs(needed) = read(&self.held)? else { bail!("a frame was read too late") };
                let taken = (needed - self.held.len()).min(bytes.len());
                self.held.extend_from_slice(&bytes[..taken]);
                bytes = &bytes[taken..];
                if let Read::Whole(incoming, length) = read(&self.held)? {
                    self.skip = length.saturating_sub(self.held.len());
                    self.held.clear();
                    if let Some(incoming) = incoming {
                        on(incoming)?;
                    }
                }
            }
        }
    }
}

enum Read {
    /// A message, unless it is to be ignored, and how long it is with its header.
    Whole(Option<Incoming>, usize),
    /// It takes so many bytes in all to go on.
    Needs(usize),
}

fn read(bytes: &[u8]) -> Result<Read> {
    let [first, second, ..] = *bytes else { return Ok(Read::Needs(2)) };
    ensure!(first & FINAL != 0 && second & MASKED == 0, "the daemon sends fragments or masks");
    let header = match second {
        126 => 4,
        127 => HEADER,
        _ => 2,
    };
    let Some(stated) = bytes.get(2..header) else { return Ok(Read::Needs(header)) };
    let length = match *stated {
        [] => u64::from(second),
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        ref eight => eight.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    let length = usize::try_from(length)?;
    ensure!(length <= limits::FRAME, "the daemon sends a message of {length} bytes");
    let whole = header + length;
    let payload = bytes.get(header..whole.min(bytes.len())).unwrap_or_default();
    let is_delivery = first == (FINAL | BINARY) && (payload.first() == Some(&DELIVER));
    let needed = if is_delivery {
        LOOKED_AT.min(length)
    } else if first == (FINAL | BINARY) && payload.is_empty() {
        // Its first byte says what it is.
        length.min(1)
    } else {
        length
    };
    if payload.len() < needed {
        return Ok(Read::Needs(header + needed));
    }
    let incoming = match first & !FINAL {
        BINARY if is_delivery => Some(delivery(payload).ok_or_else(|| anyhow!("a strange delivery"))?),
        BINARY if payload.len() < length => return Ok(Read::Needs(whole)),
        BINARY if payload.first() == Some(&ACCEPTED) => {
            Some(accepted(payload).ok_or_else(|| anyhow!("a strange acknowledgement"))?)
        }
        BINARY => frame::read_server_frame(payload.to_vec().into())?.map(Incoming::Frame),
        PING => Some(Incoming::Ping(payload.to_vec())),
        PONG => None,
        CLOSE => {
            let code = payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code));
            Some(Incoming::Close(code))
        }
        other => bail!("the daemon sends a message with opcode {other}"),
    };
    Ok(Read::Whole(incoming, whole))
}

/// Reads `ServerFrame { deliver: Deliver { room_id, logged: Logged { seq, envelope: Envelope { room_id, message_id, …`,
/// whose fields stand in the order of their numbers.
fn delivery(payload: &[u8]) -> Option<Incoming> {
    let mut fields = Fields(payload);
    fields.open(5)?;
    let room = fields.id(1)?;
    fields.open(2)?;
    let seq = fields.number(1)?;
    fields.open(2)?;
    fields.id(1)?;
    let message = fields.id(2)?;
    Some(Incoming::Deliver(RoomId::from_bytes(room), Seq(seq), MessageId::from_bytes(message)))
}

/// Reads `ServerFrame { accepted: Accepted { request_id, room_id, message_id, seq } }`.
fn accepted(payload: &[u8]) -> Option<Incoming> {
    let mut fields = Fields(payload);
    fields.open(2)?;
    // A request without a number has none here.
    if fields.0.first() == Some(&(1 << 3)) {
        fields.number(1)?;
    }
    let room = fields.id(2)?;
    let message = fields.id(3)?;
    let seq = fields.number(4)?;
    Some(Incoming::Accepted(RoomId::from_bytes(room), Seq(seq), MessageId::from_bytes(message)))
}

/// The envelopes of a page: their places and message ids.
///
/// # Errors
/// When one is none.
pub fn page(page: &pb::Page) -> Result<Vec<(Seq, MessageId)>> {
    let logged = page.envelopes.iter().map(|logged| {
        let mut fields = Fields(&logged.envelope);
        let message = fields.id(1).and_then(|_| fields.id(2));
        let message = message.ok_or_else(|| anyhow!("a page has a strange envelope at {}", logged.seq))?;
        Ok((Seq(logged.seq), MessageId::from_bytes(message)))
    });
    logged.collect()
}

/// Protobuf fields, read in order.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A number.
    fn number(&mut self, field: u64) -> Option<u64> {
        (self.varint()? == field << 3).then_some(())?;
        self.varint()
    }

    /// Goes into a field of bytes; gives their length.
    fn open(&mut self, field: u64) -> Option<u64> {
        (self.varint()? == (field << 3 | 2)).then_some(())?;
        self.varint()
    }

    fn id(&mut self, field: u64) -> Option<[u8; 16]> {
        (self.open(field)? == 16).then_some(())?;
        let (id, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*id)
    }
}

/// Appends a frame of ours. Its mask is zero: as good as any other against proxies that there are none of here, and it
/// costs no pass over the payload.
pub fn put_binary(out: &mut Vec<u8>, payload: &[u8]) {
    put(out, BINARY, payload);
}

/// Appends the answer to a ping.
pub fn put_pong(out: &mut Vec<u8>, payload: &[u8]) {
    put(out, PONG, payload);
}

fn put(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(FINAL | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => out.push(MASKED | short),
        (_, Ok(middle)) => {
            out.push(MASKED | 0x7e);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            out.push(MASKED | 0x7f);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(payload: usize, seq: u64) -> pb::server_frame::Body {
        let envelope = frame::Envelope {
            room: RoomId::from_bytes([1; 16]),
            message_id: MessageId::from_bytes([2; 16]),
            sender: qchat_proto::ids::DeviceId::from_bytes([3; 16]),
            kind: frame::Kind::Application,
            commit_seq: Seq(1),
            payload: vec![9; payload].into(),
            delta: vec![],
        };
        let logged = pb::Logged { seq, envelope: envelope.encode() };
        Body::Deliver(pb::Deliver { room_id: vec![1; 16].into(), logged: Some(logged) })
    }

    /// As the daemon sends it: unmasked.
    fn message(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, opcode, payload);
        let header = bytes.len() - payload.len();
        bytes.drain(header - 4..header);
        bytes[1] &= !MASKED;
        bytes
    }

    #[test]
    fn however_the_stream_is_cut_the_same_is_read() {
        let accepted = |request_id| {
            let (room_id, message_id) = (vec![1; 16].into(), vec![2; 16].into());
            Body::Accepted(pb::Accepted { request_id, room_id, message_id, seq: 7 })
        };
        let page = Body::Page(pb::Page {
            request_id: 6,
            envelopes: vec![pb::Logged { seq: 1, envelope: vec![0; 300].into() }],
            ..Default::default()
        });
        let mut stream = Vec::new();
        for body in
            [deliver(1, 1), accepted(5), deliver(4096, 300), page, accepted(0), deliver(70_000, 70_000)]
        {
            stream.extend(message(BINARY, &frame::server_frame(body)));
        }
        stream.extend(message(PING, b"hm"));
        stream.extend(message(CLOSE, &1012_u16.to_be_bytes()));
        for cut in [1, 2, 3, 7, 96, 97, 1000, 4096, stream.len()] {
            let mut frames = Frames::default();
            let mut told = Vec::new();
            for part in stream.chunks(cut) {
                frames
                    .feed(part, |incoming| {
                        told.push(match incoming {
                            Incoming::Deliver(_, seq, _) => format!("deliver {}", seq.0),
                            Incoming::Accepted(_, seq, _) => format!("accepted {}", seq.0),
                            Incoming::Frame(Body::Page(page)) => format!("page of {}", page.envelopes.len()),
                            Incoming::Ping(payload) => format!("ping {}", payload.len()),
                            Incoming::Close(code) => format!("close {code}"),
                            other @ Incoming::Frame(_) => format!("{other:?}"),
                        });
                        Ok(())
                    })
                    .expect("frames");
            }
            let expected = [
                "deliver 1",
                "accepted 7",
                "deliver 300",
                "page of 1",
                "accepted 7",
                "deliver 70000",
                "ping 2",
                "close 1012",
            ];
            assert_eq!(told, expected, "cut at {cut}");
        }
    }
}
