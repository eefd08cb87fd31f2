//! A profile with very many messages: how long its index takes to be made, how large it is, and how long the first page of a search
//! takes. The words are as unlike in their frequency as those of a language are (Zipf).
//!
//! `cargo bench -p qchat-cli --bench search -- 1000000`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may panic")]

mod stored;

use std::{
    fs,
    time::{Duration, Instant},
};

use qchat_cli::store::{Profile, Search, Term};
use qchat_proto::ids::{MessageId, RoomId};

use self::stored::{Stored, account, key, word};

/// Messages, when nothing else is asked for.
const MESSAGES: u64 = 100_000;
const ROOMS: u64 = 20;
/// How often each search is made.
const TIMES: usize = 20;

fn main() {
    let messages = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(MESSAGES);
    let directory = tempfile::TempDir::with_prefix("qchat-").unwrap();
    let path = directory.path().join("profile");
    let begun = Instant::now();
    let stored = Stored { messages, rooms: ROOMS };
    let profile = stored.create(&path).unwrap();
    println!("{messages} messages stored in {:.1?}", begun.elapsed());
    profile.checkpoint(Duration::from_secs(9)).unwrap();
    let size = fs::metadata(path.join("profile.db")).unwrap().len();
    println!("database: {} MB, {} bytes a message", size / 1_000_000, size / messages);

    let term = |rank: u64, prefix: bool| Term::new(&word(rank), prefix).unwrap();
    let rooms: Vec<RoomId> = (0..ROOMS).map(|number| stored.room(number)).collect();
    let search = |terms: Vec<Term>| Search { terms, rooms: rooms.clone(), ..Search::default() };
    for (what, search) in [
        ("the most frequent word", search(vec![term(1, false)])),
        ("a frequent word", search(vec![term(30, false)])),
        ("a rare word", search(vec![term(40_000, false)])),
        ("two frequent words", search(vec![term(3, false), term(30, false)])),
        ("a phrase", search(vec![Term::new(&format!("{} {}", word(2), word(5)), false).unwrap()])),
        ("a beginning", search(vec![Term::new(&word(700)[..2], true).unwrap()])),
        ("a frequent word in a room", Search { rooms: vec![stored.room(3)], ..search(vec![term(3, false)]) }),
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
    let profile = Profile::open(&path, key()).unwrap();
    let begun = Instant::now();
    profile.read(|tx| tx.search(&search(vec![term(3, false)]), 20, 0)).unwrap();
    println!("first search after opening   {:.2?}", begun.elapsed());
    let begun = Instant::now();
    profile
        .write(|tx| tx.delete_messages(stored.room(5), &[MessageId::from_bytes(5_u128.to_be_bytes())]))
        .unwrap();
    println!("one message deleted in       {:.2?}", begun.elapsed());
}
