//! The daemon's frames as bytes on the socket: a whole unmasked WebSocket message (RFC 6455 §5.2), built once however
//! many connections it goes to.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use qchat_proto::wire::pb::{self, server_frame::Body};

/// FIN and the opcode of a binary message.
const BINARY: u8 = 0x82;

/// Encodes a frame with its WebSocket header.
pub(crate) fn encode(body: Body) -> Bytes {
    let frame = pb::ServerFrame { body: Some(body) };
    let length = frame.encoded_len();
    let mut bytes = BytesMut::with_capacity(length + 10);
    bytes.put_u8(BINARY);
    match u16::try_from(length) {
        // 0 to 125 stand for themselves.
        Ok(short) if short < 126 => bytes.put_u8(short.to_be_bytes()[1]),
        Ok(middle) => {
            bytes.put_u8(126);
            bytes.put_u16(middle);
        }
        Err(_) => {
            bytes.put_u8(127);
            bytes.put_u64(length as u64);
        }
    }
    // `encode` fails only when the buffer is too small, and this one grows.
    frame.encode_raw(&mut bytes);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_state_the_length_of_every_size() {
        for (payload, header) in [(10, 2), (200, 4), (70_000, 10)] {
            let bytes = encode(Body::Fault(pb::Fault { message: "x".repeat(payload), ..Default::default() }));
            let stated = match bytes[1] {
                126 => usize::from(u16::from_be_bytes([bytes[2], bytes[3]])),
                127 => usize::try_from(u64::from_be_bytes(bytes[2..10].try_into().unwrap())).unwrap(),
                short => usize::from(short),
            };
            assert_eq!((bytes[0], stated), (BINARY, bytes.len() - header), "{payload}");
            assert!(pb::ServerFrame::decode(&bytes[header..]).is_ok());
        }
    }
}
