//! A server, or somebody who owns its database, puts other keys in the place of those that were pinned.

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    device::Device,
    on_both,
};

on_both!(another_identity_under_a_pinned_name_is_refused);

fn another_identity_under_a_pinned_name_is_refused(backend: Backend) {
    let mut daemon = Daemon::start(backend);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    alice.ok(&["send", "general", "for the real bob"]);

    daemon.execute("UPDATE accounts SET name = 'moved' WHERE name = 'bob'");
    let impostor = Client::register(&daemon.url(), "bob");

    alice.ok(&["room", "create", "second"]);
    let said = alice.fails(6, &["room", "invite", "second", "bob"]);
    assert!(said.contains("bob") && said.contains("identity"), "what happened is said: {said}");
    assert!(impostor.json(&["room", "list"]).is_empty());
    // The room with the real one goes on.
    alice.ok(&["send", "general", "still for the real bob"]);
    assert_eq!(bob.bodies("general"), ["for the real bob", "still for the real bob"]);
    assert!(daemon.is_ready());
}

#[test]
fn worthless_keys_are_not_invited() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // Its KeyPackages are noise: no suite, no signature, nothing.
    runtime.block_on(Device::register(&daemon.url(), "mallory"));
    alice.ok(&["room", "create", "general"]);
    let said = alice.fails(6, &["room", "invite", "general", "mallory"]);
    assert!(said.contains("mallory") && !said.contains("panicked"), "{said}");
    let room = &alice.json(&["room", "show", "general"])[0];
    assert_eq!(room["members"].as_array().map(Vec::len), Some(1), "{room}");
    alice.ok(&["send", "general", "alone, as before"]);
}
