//! Torn and altered files of a profile: each is named, with what to do, and none is taken for a new or an empty profile.

use std::fs;

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};

/// What is done to a file's bytes.
type Damage = fn(&mut Vec<u8>);

fn flip(bytes: &mut [u8], place: usize) {
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= 0x10;
    }
}

#[test]
fn a_damaged_profile_is_named_and_left_as_it_is() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    client::room("tea", &[&alice]);
    alice.ok(&["send", "tea", "still here"]);
    let profile = alice.data_directory().join("alice");
    let cases: [(&str, &str, i32, &str, Damage); 9] = [
        ("an empty database", "profile.db", 1, "database is damaged", Vec::clear),
        ("a torn first page", "profile.db", 4, "beginning is damaged", |bytes| bytes.truncate(1000)),
        ("half a database", "profile.db", 1, "database is damaged", |bytes| bytes.truncate(bytes.len() / 2)),
        ("a flipped bit at its beginning", "profile.db", 4, "beginning is damaged", |bytes| flip(bytes, 3)),
        ("a flipped bit in its first page", "profile.db", 4, "beginning is damaged", |bytes| {
            flip(bytes, 2000);
        }),
        ("an empty vault", "vault.json", 1, "vault.json is damaged", Vec::clear),
        ("half a vault", "vault.json", 1, "vault.json is damaged", |bytes| bytes.truncate(bytes.len() / 2)),
        ("another letter in the vault", "vault.json", 1, "vault.json is damaged", |bytes| {
            let place = bytes.windows(4).position(|some| some == b"salt").unwrap_or_default() + 10;
            if let Some(byte) = bytes.get_mut(place) {
                *byte = if *byte == b'A' { b'B' } else { b'A' };
            }
        }),
        ("an unreadable vault", "vault.json", 1, "vault.json is damaged", |bytes| bytes.fill(0)),
    ];
    for (what, file, code, words, damage) in cases {
        let path = profile.join(file);
        let whole = fs::read(&path).expect("a file");
        let mut damaged = whole.clone();
        damage(&mut damaged);
        fs::write(&path, &damaged).expect("a damaged file");
        let said = alice.fails(code, &["history", "tea"]);
        assert!(said.contains(words) && !said.contains("panicked"), "{what}: {said}");
        assert!(said.contains("backup") && said.contains("Nothing was changed"), "{what}: {said}");
        // Nor is it in the way of putting back what was there.
        assert_eq!(fs::read(&path).expect("a file"), damaged, "{what}");
        fs::write(&path, &whole).expect("the file as it was");
        assert_eq!(alice.bodies("tea"), ["still here"], "{what}");
    }

    let vault = profile.join("vault.json");
    let whole = fs::read(&vault).expect("a vault");
    fs::remove_file(&vault).expect("no vault");
    let said = alice.fails(4, &["history", "tea"]);
    assert!(said.contains("vault with its key is missing") && !said.contains("register"), "{said}");
    fs::write(&vault, &whole).expect("the vault");
    assert_eq!(alice.bodies("tea"), ["still here"]);
}
