//! Sealing: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its
//! Nonce-Reuse Misuse-Resistance", 2015, §7) over AES-256-GCM in every segment, each under a key of its own.
//!
//! A segment's key is derived with a salt that is drawn whenever it is sealed. So a segment that is sealed a second time,
//! after an interruption, may say something else without meeting a nonce again. Which file, how large it is and which
//! segment go into the key, which chunk and whether it is the last one into the nonce: nothing can change its place.

use aead_stream::{NewStream, StreamBE32, StreamPrimitive};
use aes_gcm::{Aes256Gcm, KeyInit};
use zeroize::Zeroizing;

use super::{
    FileError, Sealing,
    layout::{CHUNK, SALT},
};
use crate::crypto::{aead, entropy::Entropy, kdf};

const INFO: &[u8] = b"qchat file segment v1";

/// The key of a segment is used with no other prefix.
const PREFIX: [u8; 7] = [0; 7];

impl Sealing {
    fn stream(&self, segment: u64, salt: &[u8]) -> Result<StreamBE32<Aes256Gcm>, FileError> {
        let mut info = Vec::with_capacity(INFO.len() + 32);
        info.extend_from_slice(INFO);
        info.extend_from_slice(self.id.as_bytes());
        info.extend_from_slice(&self.layout.padded().to_be_bytes());
        info.extend_from_slice(&segment.to_be_bytes());
        let mut key = Zeroizing::new([0; aead::KEY]);
        kdf::expand(kdf::extract(salt, self.key.expose()).expose(), &info, &mut key[..])?;
        Ok(StreamBE32::from_aead(Aes256Gcm::new((&*key).into()), &PREFIX.into()))
    }
}

/// Seals a segment; `content` is what the file has in it, and padding follows.
///
/// # Errors
/// [`FileError::Length`] when `content` is not as long as the layout says, [`FileError::NoSegment`],
/// [`FileError::Entropy`].
pub fn seal(
    file: &Sealing,
    segment: u64,
    content: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, FileError> {
    let plain = file.layout.plain(segment);
    if plain.is_empty() {
        return Err(FileError::NoSegment(segment));
    }
    let expected = file.layout.content(segment);
    if content.len() != expected {
        return Err(FileError::Length { segment, expected, got: content.len() });
    }
    let mut rest = usize::try_from(plain.end - plain.start).unwrap_or(usize::MAX);
    let mut sealed = vec![0; SALT];
    sealed.reserve_exact(file.layout.sealed_segment(segment) - SALT);
    entropy.fill(&mut sealed)?;
    let stream = file.stream(segment, &sealed)?;
    let mut content = content;
    let mut chunk = Zeroizing::new(Vec::with_capacity(CHUNK + aead::TAG));
    let mut number = 0;
    while rest > 0 {
        let length = rest.min(CHUNK);
        let (now, later) = content.split_at(content.len().min(length));
        content = later;
        rest -= length;
        chunk.clear();
        chunk.extend_from_slice(now);
        chunk.resize(length, 0);
        stream
            .encrypt_in_place(number, rest == 0, &[], &mut *chunk)
            .map_err(|_| FileError::Altered { segment, chunk: number })?;
        sealed.extend_from_slice(&chunk);
        number += 1;
    }
    Ok(sealed)
}

/// Opens a segment: the part of the file that is in it.
///
/// # Errors
/// [`FileError`] for whatever is not as [`seal`] made it.
pub fn open(file: &Sealing, segment: u64, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, FileError> {
    if file.layout.plain(segment).is_empty() {
        return Err(FileError::NoSegment(segment));
    }
    let expected = file.layout.sealed_segment(segment);
    let (salt, chunks) = match sealed.split_at_checked(SALT) {
        Some(parts) if sealed.len() == expected => parts,
        _ => return Err(FileError::Length { segment, expected, got: sealed.len() }),
    };
    let stream = file.stream(segment, salt)?;
    let mut content = Zeroizing::new(Vec::with_capacity(chunks.len()));
    let mut chunk = Zeroizing::new(Vec::with_capacity(CHUNK + aead::TAG));
    let mut parts = chunks.chunks(CHUNK + aead::TAG).peekable();
    let mut number = 0;
    while let Some(part) = parts.next() {
        chunk.clear();
        chunk.extend_from_slice(part);
        stream
            .decrypt_in_place(number, parts.peek().is_none(), &[], &mut *chunk)
            .map_err(|_| FileError::Altered { segment, chunk: number })?;
        content.extend_from_slice(&chunk);
        number += 1;
    }
    if content[file.layout.content(segment)..].iter().any(|&byte| byte != 0) {
        return Err(FileError::Padding);
    }
    content.truncate(file.layout.content(segment));
    Ok(content)
}
