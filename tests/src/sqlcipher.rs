//! An encrypted profile as whoever has its files and its key can read it: not what SQL shows of it, but every page of the
//! database, used or free, from its first byte to its last, and every frame of a write-ahead log, old ones too.
//!
//! SQLCipher 4 with a raw key: pages of 4096 bytes, the last 80 of which are the IV (16) and an HMAC-SHA-512 (64) over
//! ciphertext, IV and page number (little endian); AES-256-CBC. The file begins with a salt of 16 bytes, in the place of
//! SQLite's own magic; the key of the HMAC is PBKDF2-HMAC-SHA-512(key, salt with each byte ^ 0x3a, 2 rounds).

use std::{fs, path::Path};

use aes::Aes256;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::NoPadding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;

const PAGE: usize = 4096;
const RESERVE: usize = 80;
const IV: usize = 16;
const SALT: usize = 16;
/// A write-ahead log begins with so many bytes, and so does each of its frames.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// A decrypted page, and where it was found.
pub struct Page {
    /// For messages of a test.
    pub place: String,
    /// Its bytes, without what SQLCipher adds.
    pub bytes: Vec<u8>,
}

/// Every page of the profile's database in `dir`, and every page in its write-ahead log.
pub fn pages(dir: &Path, key: &[u8; 32]) -> Vec<Page> {
    pages_of(&dir.join("profile.db"), key)
}

/// The same of another database under the same key.
pub fn pages_of(file: &Path, key: &[u8; 32]) -> Vec<Page> {
    let database = fs::read(file).expect("a database");
    assert_eq!(database.len() % PAGE, 0, "whole pages");
    let pages = database.chunks(PAGE).zip(1_u32..);
    let mut found: Vec<Page> = pages
        .map(|(page, number)| Page {
            place: format!("page {number} of the database"),
            bytes: decrypt(page, number, &database[..SALT], key),
        })
        .collect();
    assert!(found[0].bytes.starts_with(b"SQLite format 3\0"));
    // It is away while nobody has the database open.
    let log = fs::read(file.with_extension("db-wal")).unwrap_or_default();
    for (place, frame) in
        log.get(LOG_HEADER..).unwrap_or_default().chunks_exact(FRAME_HEADER + PAGE).enumerate()
    {
        let (header, page) = frame.split_at(FRAME_HEADER);
        let number = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        found.push(Page {
            place: format!("page {number} in frame {place} of the write-ahead log"),
            bytes: decrypt(page, number, &database[..SALT], key),
        });
    }
    found
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 64] {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn decrypt(page: &[u8], number: u32, salt: &[u8], key: &[u8; 32]) -> Vec<u8> {
    let salt: Vec<u8> = salt.iter().map(|byte| byte ^ 0x3a).collect();
    // PBKDF2 (RFC 8018 §5.2), first block.
    let first = mac(key, &[&salt, &1_u32.to_be_bytes()]);
    let second = mac(key, &[&first]);
    let mac_key: Vec<u8> = first.iter().zip(second).map(|(one, other)| one ^ other).take(32).collect();

    // On the first page the salt stands before the ciphertext.
    let start = if number == 1 { SALT } else { 0 };
    let (ciphertext, reserve) = page.split_at(PAGE - RESERVE);
    let (iv, tag) = reserve.split_at(IV);
    let expected = mac(&mac_key, &[&ciphertext[start..], iv, &number.to_le_bytes()]);
    assert_eq!(expected, tag, "page {number} is not encrypted as this file thinks");

    let mut bytes = ciphertext.to_vec();
    cbc::Decryptor::<Aes256>::new_from_slices(key, iv)
        .expect("a key and an IV")
        .decrypt_padded::<NoPadding>(&mut bytes[start..])
        .expect("whole blocks");
    if number == 1 {
        bytes[..SALT].copy_from_slice(b"SQLite format 3\0");
    }
    bytes
}
