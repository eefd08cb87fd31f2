//! A profile with very many messages: how long its index takes to be made, how large it is, and how long the first page of a search
//! takes. The words are as unlike in their frequency as those of a language are (Zipf).
//!
//! `cargo bench -p qchat-tests --bench search -- 1000000`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may panic")]

use std::{
    fs,
    time::{Duration, Instant},
};

use bytes::Bytes;
use qchat_cli::store::{Identity, Profile, Search, StoreError, Term};
use qchat_proto::{
    content::Content,
    crypto::secret::Secret,
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq, ServerId},
    session::{
        head,
        ledger::{Ledger, OpenedMessage, Phase, RoomState},
    },
};

/// Messages, when nothing else is asked for.
const MESSAGES: u64 = 100_000;
const ROOMS: u64 = 20;
const ACCOUNTS: u64 = 50;
/// Different words.
const VOCABULARY: f64 = 50_000.0;
/// Words of a message, at most.
const LENGTH: usize = 20;
/// Messages in one transaction while the profile is made.
const STEP: u64 = 1000;
/// How often each search is made.
const TIMES: usize = 20;

fn room(number: u64) -> RoomId {
    RoomId::from_bytes(u128::from(number % ROOMS + 1).to_be_bytes())
}

fn account(number: u64) -> AccountId {
    AccountId::from_bytes(u128::from(number % ACCOUNTS + 1).to_be_bytes())
}

/// A word of this rank: the more frequent, the lower.
fn word(rank: u64) -> String {
    let letters = b"etaoinshrdlucmfwypvbgkqjxz";
    let (mut word, mut rest) = (String::new(), rank + 26);
    while rest > 0 {
        word.push(char::from(letters[usize::try_from(rest % 26).unwrap()]));
        rest /= 26;
    }
    word
}

/// The rank of a random word, whose frequency is the inverse of its rank.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is small")]
fn rank(random: &mut fastrand::Rng) -> u64 {
    VOCABULARY.powf(random.f64()) as u64
}

fn text(random: &mut fastrand::Rng) -> String {
    let words: Vec<String> = (0..random.usize(1..=LENGTH)).map(|_| word(rank(random))).collect();
    words.join(" ")
}

fn state(number: u64, cursor: u64) -> RoomState {
    RoomState {
        room: room(number),
        phase: Phase::Member,
        cursor: Seq(cursor),
        head: head::EMPTY,
        commit_seq: Seq(0),
        accepted: 0,
        generation: Seq(0),
        epoch: 0,
    }
}

fn fill(profile: &Profile, messages: u64) {
    let mut random = fastrand::Rng::with_seed(7);
    for from in (0..messages).step_by(usize::try_from(STEP).unwrap()) {
        let step = |tx: &mut qchat_cli::store::Tx| -> Result<(), StoreError> {
            for number in from..messages.min(from + STEP) {
                let at = i64::try_from(number).unwrap() * 60_000;
                let content: Bytes = Content::text(text(&mut random), at).unwrap().encode();
                tx.put_message(&OpenedMessage {
                    room: room(number),
                    seq: Seq(number + 1),
                    message_id: MessageId::from_bytes(u128::from(number).to_be_bytes()),
                    account: account(random.u64(..)),
                    device: DeviceId::from_bytes([9; 16]),
                    epoch: 1,
                    content,
                })?;
            }
            (0..ROOMS).try_for_each(|number| tx.put_room(&state(number, messages)))
        };
        profile.write(step).unwrap();
    }
}

fn main() {
    let messages = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(MESSAGES);
    let directory = tempfile::TempDir::with_prefix("qchat-").unwrap();
    let path = directory.path().join("profile");
    let profile = Profile::create(&path, Secret::from_bytes([1; 32])).unwrap();
    let identity = Identity {
        account: account(0),
        device: DeviceId::from_bytes([8; 16]),
        name: "alice".parse().unwrap(),
        server_url: "http://127.0.0.1:1/".to_owned(),
        server_key: None,
        server_id: ServerId::from_bytes([9; 16]),
        device_key: Secret::from_bytes([2; 64]),
        account_key: Secret::from_bytes([3; 64]),
        certificate: vec![7; 100],
        list_version: 1,
    };
    profile.write(|tx| tx.put_identity(&identity)).unwrap();
    let begun = Instant::now();
    fill(&profile, messages);
    println!("{messages} messages stored in {:.1?}", begun.elapsed());
    profile.checkpoint(Duration::from_secs(9)).unwrap();
    let size = fs::metadata(path.join("profile.db")).unwrap().len();
    println!("database: {} MB, {} bytes a message", size / 1_000_000, size / messages);

    let term = |rank: u64, prefix: bool| Term::new(&word(rank), prefix).unwrap();
    let rooms: Vec<RoomId> = (0..ROOMS).map(room).collect();
    let search = |terms: Vec<Term>| Search { terms, rooms: rooms.clone(), ..Search::default() };
    for (what, search) in [
        ("the most frequent word", search(vec![term(1, false)])),
        ("a frequent word", search(vec![term(30, false)])),
        ("a rare word", search(vec![term(40_000, false)])),
        ("two frequent words", search(vec![term(3, false), term(30, false)])),
        ("a phrase", search(vec![Term::new(&format!("{} {}", word(2), word(5)), false).unwrap()])),
        ("a beginning", search(vec![Term::new(&word(700)[..2], true).unwrap()])),
        ("a frequent word in a room", Search { rooms: vec![room(3)], ..search(vec![term(3, false)]) }),
        ("a frequent word by one", Search { from: vec![account(4)], ..search(vec![term(3, false)]) }),
        ("no word, by one", Search { from: vec![account(4)], ..search(vec![]) }),
        ("nothing that is there", search(vec![Term::new("zzzzzzzz", false).unwrap()])),
    ] {
        let mut times: Vec<Duration> = (0..TIMES)
            .map(|_| {
                let begun = Instant::now();
                profile.read(|tx| tx.search(&search, 20, 0)).unwrap();
                begun.elapsed()
            })
            .collect();
        times.sort();
        println!("{what:<28} median {:>9.2?}  worst {:>9.2?}", times[TIMES / 2], times[TIMES - 1]);
    }
    // As a program that has just started does it.
    let profile = Profile::open(&path, Secret::from_bytes([1; 32])).unwrap();
    let begun = Instant::now();
    profile.read(|tx| tx.search(&search(vec![term(3, false)]), 20, 0)).unwrap();
    println!("first search after opening   {:.2?}", begun.elapsed());
    let begun = Instant::now();
    profile.write(|tx| tx.delete_messages(room(5), &[MessageId::from_bytes(5_u128.to_be_bytes())])).unwrap();
    println!("one message deleted in       {:.2?}", begun.elapsed());
}
