//! Who is removed reads nothing that follows, and is told so; the others go on.

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    on_both,
};

on_both!(a_removed_member_reads_nothing_that_follows, a_member_who_leaves_reads_nothing_that_follows);

fn a_removed_member_reads_nothing_that_follows(backend: Backend) {
    let mut daemon = Daemon::start(backend);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| Client::register(&daemon.url(), name));
    client::room("general", &[&alice, &bob, &carol]);
    alice.ok(&["send", "general", "for all three"]);
    assert_eq!(bob.bodies("general"), ["for all three"]);

    alice.ok(&["room", "remove", "general", "bob"]);
    alice.ok(&["send", "general", "for two"]);
    carol.ok(&["send", "general", "for two as well"]);

    let said = bob.fails(6, &["send", "general", "am I still here?"]);
    assert!(said.contains("removed"), "{said}");
    assert_eq!(bob.bodies("general"), ["for all three"], "what was read stays, and nothing follows");
    for reader in [&alice, &carol] {
        assert_eq!(reader.bodies("general"), ["for all three", "for two", "for two as well"]);
        let room = &reader.json(&["room", "show", "general"])[0];
        assert_eq!(room["members"].as_array().map(Vec::len), Some(2), "{room}");
    }
    // Only an admin removes: carol is none.
    carol.fails(6, &["room", "remove", "general", "alice"]);
    assert!(daemon.is_ready());
}

fn a_member_who_leaves_reads_nothing_that_follows(backend: Backend) {
    let daemon = Daemon::start(backend);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| Client::register(&daemon.url(), name));
    client::room("general", &[&alice, &bob, &carol]);
    bob.ok(&["room", "leave", "general"]);
    // The next sender commits what bob asked for, then speaks.
    alice.ok(&["send", "general", "without bob"]);
    carol.ok(&["send", "general", "indeed"]);
    bob.fails(6, &["send", "general", "one more thing"]);
    for reader in [&alice, &carol] {
        assert_eq!(reader.bodies("general"), ["without bob", "indeed"]);
        let room = &reader.json(&["room", "show", "general"])[0];
        assert_eq!(room["members"].as_array().map(Vec::len), Some(2), "{room}");
    }
}
