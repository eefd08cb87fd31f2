//! Frames of RFC 6455 §5.2, as far as it takes to see binary messages go by and to put others in their place.

use std::{io::Read, net::TcpStream};

/// One frame.
pub(super) struct Part {
    /// As it came.
    pub(super) bytes: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) is_data: bool,
    pub(super) is_last: bool,
}

impl Part {
    pub(super) fn read(from: &mut TcpStream) -> Option<Self> {
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

/// A whole binary message in one frame. What goes to a daemon is masked, here with zeros.
pub(super) fn message(payload: &[u8], masked: bool) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    let size = payload.len();
    let mut bytes = vec![0x82];
    match (u8::try_from(size), u16::try_from(size)) {
        (Ok(size @ ..=125), _) => bytes.push(bit + size),
        (_, Ok(size)) => {
            bytes.push(bit + 126);
            bytes.extend(size.to_be_bytes());
        }
        _ => {
            bytes.push(bit + 127);
            bytes.extend((size as u64).to_be_bytes());
        }
    }
    if masked {
        bytes.extend([0; 4]);
    }
    bytes.extend_from_slice(payload);
    bytes
}
