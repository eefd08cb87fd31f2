//! Files: what is sealed comes back, and whatever a server could do to it on the way is refused by name.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::prelude::*;
use qchat_proto::{
    content::{Attachment, Body, Content, MAX_CAPTION, MAX_NAME, MAX_THUMBNAIL},
    crypto::entropy::SystemEntropy,
    file::{
        CHUNK, FileDigest, FileError, FileHash, FileKey, Layout, SEGMENT, Sealing, open, seal, segment_hash,
    },
    ids::FileId,
    wire::pb,
};

const SEALED_CHUNK: usize = CHUNK + 16;
const SALT: usize = 32;

fn sealing(size: u64) -> Sealing {
    Sealing {
        id: FileId::random(&SystemEntropy).unwrap(),
        key: FileKey::random(&SystemEntropy).unwrap(),
        layout: Layout::new(size).unwrap(),
    }
}

/// Bytes of which no two chunks are alike.
fn plain(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 11).to_le_bytes()[0]).collect()
}

fn seal_all(file: &Sealing, plain: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = plain;
    (0..file.layout.segments())
        .map(|segment| {
            let (now, later) = rest.split_at(file.layout.content(segment));
            rest = later;
            seal(file, segment, now, &SystemEntropy).unwrap()
        })
        .collect()
}

fn digest(file: &Sealing, segments: &[Vec<u8>]) -> FileHash {
    let begin = FileDigest::begin(file.id, file.layout.sealed());
    segments.iter().fold(begin, |digest, sealed| digest.with(&segment_hash(sealed))).finish()
}

/// As a client fetches a file: segment by segment, and the hash at the end.
fn open_all(file: &Sealing, hash: FileHash, segments: &[Vec<u8>]) -> Result<Vec<u8>, FileError> {
    let mut plain = vec![];
    for segment in 0..file.layout.segments() {
        let sealed = segments.get(usize::try_from(segment).unwrap()).map_or(&[][..], Vec::as_slice);
        plain.extend_from_slice(&open(file, segment, sealed)?);
    }
    if digest(file, segments) == hash { Ok(plain) } else { Err(FileError::Hash) }
}

#[test]
fn files_of_every_size_come_back_and_say_little_of_it() {
    for size in [0, 1, 1024, 1025, CHUNK - 1, CHUNK, CHUNK + 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT + 70_000] {
        let file = sealing(size as u64);
        let plain = plain(size);
        let segments = seal_all(&file, &plain);
        let sealed: usize = segments.iter().map(Vec::len).sum();
        assert_eq!(sealed as u64, file.layout.sealed(), "{size}");
        assert_eq!(open_all(&file, digest(&file, &segments), &segments).unwrap(), plain, "{size}");
    }
    assert_eq!(sealing(0).layout.sealed(), sealing(1000).layout.sealed());
    assert_eq!(sealing(1_000_001).layout.sealed(), sealing(1_010_000).layout.sealed());
}

/// What somebody does to the segments of a file, and what comes of it.
type Deed<'a> = (&'a str, Box<dyn Fn(&mut Vec<Vec<u8>>) + 'a>, Result<Vec<u8>, FileError>);

#[test]
fn what_a_server_does_to_a_file_is_refused_by_name() {
    let size = 2 * SEGMENT + 3 * CHUNK;
    let file = sealing(size as u64);
    let plain = plain(size);
    let genuine = seal_all(&file, &plain);
    let hash = digest(&file, &genuine);
    let other = sealing(size as u64);
    let elsewhere = seal_all(&other, &plain);
    // The same key for another file, as no client of ours draws it.
    let twin = Sealing { id: other.id, ..file.clone() };
    let twins = seal_all(&twin, &plain);
    let again = seal_all(&file, &plain);
    // One with the same padding, so that its segments have the same lengths.
    let chunk = |number: usize| SALT + number * SEALED_CHUNK..SALT + (number + 1) * SEALED_CHUNK;
    let altered = |segment, chunk| Err(FileError::Altered { segment, chunk });
    let length =
        |segment, expected: &Vec<u8>, got| Err(FileError::Length { segment, expected: expected.len(), got });
    let deeds: Vec<Deed<'_>> = vec![
        ("nothing", Box::new(|_| {}), Ok(plain.clone())),
        ("a byte of a chunk", Box::new(|all| all[1][SALT + SEALED_CHUNK + 7] ^= 1), altered(1, 1)),
        ("a byte of a tag", Box::new(|all| all[0][SALT + SEALED_CHUNK - 1] ^= 1), altered(0, 0)),
        ("a byte of a salt", Box::new(|all| all[0][3] ^= 1), altered(0, 0)),
        (
            "two chunks change places",
            Box::new(|all| {
                let (one, two) = (all[0][chunk(3)].to_vec(), all[0][chunk(4)].to_vec());
                all[0][chunk(3)].copy_from_slice(&two);
                all[0][chunk(4)].copy_from_slice(&one);
            }),
            altered(0, 3),
        ),
        (
            "a chunk twice",
            Box::new(|all| {
                let one = all[0][chunk(3)].to_vec();
                all[0][chunk(4)].copy_from_slice(&one);
            }),
            altered(0, 4),
        ),
        ("two segments change places", Box::new(|all| all.swap(0, 1)), altered(0, 0)),
        ("a segment twice", Box::new(|all| all[1] = all[0].clone()), altered(1, 0)),
        (
            "the last chunk is gone",
            Box::new(|all| {
                let end = all[2].len() - SEALED_CHUNK;
                all[2].truncate(end);
            }),
            length(2, &genuine[2], genuine[2].len() - SEALED_CHUNK),
        ),
        ("the last segment is gone", Box::new(|all| drop(all.pop())), length(2, &genuine[2], 0)),
        ("a byte more", Box::new(|all| all[2].push(0)), length(2, &genuine[2], genuine[2].len() + 1)),
        (
            "a byte less",
            Box::new(|all| all[1].truncate(genuine[1].len() - 1)),
            length(1, &genuine[1], genuine[1].len() - 1),
        ),
        ("another file", Box::new(|all| all.clone_from(&elsewhere)), altered(0, 0)),
        ("a segment of a file with the same key", Box::new(|all| all[1] = twins[1].clone()), altered(1, 0)),
        // Whoever has the key can make two files that open: all members see the one of the message, or none.
        ("another ciphertext under the key", Box::new(|all| all.clone_from(&again)), Err(FileError::Hash)),
        ("a segment sealed again", Box::new(|all| all[1] = again[1].clone()), Err(FileError::Hash)),
    ];
    for (what, deed, expected) in deeds {
        let mut all = genuine.clone();
        deed(&mut all);
        assert_eq!(open_all(&file, hash, &all), expected, "{what}");
    }
}

#[test]
fn a_file_opens_at_its_own_size_alone() {
    let file = sealing(2000);
    let plain = plain(2000);
    let segments = seal_all(&file, &plain);
    // 2000 and 1990 are padded alike: what is behind the end is no padding.
    let shorter = Sealing { layout: Layout::new(1990).unwrap(), ..file.clone() };
    assert_eq!(shorter.layout.sealed(), file.layout.sealed());
    assert_eq!(open(&shorter, 0, &segments[0]).map(drop), Err(FileError::Padding));
    assert!(matches!(seal(&file, 0, &plain[1..], &SystemEntropy), Err(FileError::Length { .. })));
    assert_eq!(seal(&file, 1, &[], &SystemEntropy).map(drop), Err(FileError::NoSegment(1)));
    assert_eq!(open(&file, 1, &[]).map(drop), Err(FileError::NoSegment(1)));
}

#[test]
fn a_segment_that_is_sealed_again_shares_no_key_with_the_first_time() {
    let file = sealing(5000);
    let (one, two) = (vec![0; 5000], vec![0xff; 5000]);
    let one = seal(&file, 0, &one, &SystemEntropy).unwrap();
    let two = seal(&file, 0, &two, &SystemEntropy).unwrap();
    // Under the same key and nonce the ciphertexts would differ by the plaintexts' difference: ones.
    let differences =
        one[SALT..SALT + 5000].iter().zip(&two[SALT..SALT + 5000]).filter(|(a, b)| *a ^ *b == 0xff);
    assert!(differences.count() < 100);
}

fn attachment() -> Attachment {
    Attachment {
        sealing: sealing(123_456),
        hash: FileHash::try_from(&[7; 48][..]).unwrap(),
        name: "../évil\u{202e}.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        thumbnail: Bytes::from_static(b"\x89PNG"),
        duration_ms: 12_000,
        voice: true,
        caption: "look\nhere".to_owned(),
    }
}

#[test]
fn an_attachment_is_read_back_and_what_makes_no_sense_is_unknown() {
    type Change = fn(&mut pb::Attachment);
    let cases: [(&str, Change, bool); 16] = [
        ("as it is", |_| {}, true),
        ("no name", |raw| raw.name.clear(), false),
        ("a long name", |raw| raw.name = "x".repeat(MAX_NAME + 1), false),
        ("a short id", |raw| raw.file_id.truncate(15), false),
        ("a short key", |raw| raw.key.truncate(31), false),
        ("a short hash", |raw| raw.hash.truncate(47), false),
        ("other chunks", |raw| raw.chunk_size = 4096, false),
        ("too large", |raw| raw.size = (1 << 40) + 1, false),
        ("empty", |raw| raw.size = 0, true),
        ("no media type", |raw| raw.media_type.clear(), true),
        ("no real media type", |raw| raw.media_type = "text".to_owned(), false),
        ("a media type with escapes", |raw| raw.media_type = "text/\u{1b}[2J".to_owned(), false),
        ("no thumbnail", |raw| raw.thumbnail.clear(), true),
        ("a large thumbnail", |raw| raw.thumbnail = vec![0; MAX_THUMBNAIL + 1].into(), false),
        ("no caption", |raw| raw.caption.clear(), true),
        ("a long caption", |raw| raw.caption = "x".repeat(MAX_CAPTION + 1), false),
    ];
    for (what, change, known) in cases {
        let content = Content::attachment(attachment(), 5);
        let mut raw = <pb::Content as prost::Message>::decode(content.encode()).unwrap();
        let Some(pb::content::Body::Attachment(said)) = &mut raw.body else { panic!("an attachment") };
        change(said);
        let read = Content::decode(&prost::Message::encode_to_vec(&raw)).unwrap();
        assert_eq!(matches!(read.body, Body::Attachment(_)), known, "{what}");
        assert_eq!(read.body == Body::Unknown, !known, "{what}");
    }
    let content = Content::attachment(attachment(), 5);
    assert_eq!(Content::decode(&content.encode()).unwrap(), content);
    assert!(!format!("{content:?}").contains(&format!("{:?}", attachment().sealing.key.expose())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn one_changed_bit_anywhere_is_noticed(size in 0_usize..200_000, at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let file = sealing(size as u64);
        let mut sealed = seal(&file, 0, &plain(size), &SystemEntropy).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1_u8 << bit;
        let opened = open(&file, 0, &sealed);
        let altered = matches!(opened, Err(FileError::Altered { segment: 0, .. }));
        prop_assert!(altered);
    }
}
