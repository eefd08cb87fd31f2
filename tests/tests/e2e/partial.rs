//! A room that cannot be read to its end: what is stored is shown, its exit code says so, and no other room suffers.

use qchat_proto::{
    ids::RoomId,
    wire::{
        fault::{Fault, FaultCode},
        frame::{read_client_frame, server_frame},
        pb::{self, client_frame, server_frame as server},
    },
};
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    proxy::{Action, Proxy},
};

#[test]
fn a_room_that_cannot_be_read_to_its_end_gives_exit_code_8_and_no_other_does() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, mut bob] = clients;
    for room in ["tea", "cake"] {
        client::room(room, &[&alice, &bob]);
        alice.ok(&["send", room, "first"]);
        bob.ok(&["history", room]);
        alice.ok(&["send", room, "second"]);
    }
    let tea: RoomId =
        bob.json(&["room", "show", "tea"])[0]["room_id"].as_str().expect("an id").parse().expect("an id");
    alice.ok(&["send", "tea", "third"]);
    alice.ok(&["send", "cake", "third"]);
    proxy.at_frames(move |_, payload| match read_client_frame(payload.to_vec().into()) {
        Ok(client_frame::Body::Fetch(fetch)) if fetch.room_id == tea.as_bytes()[..] => {
            let fault = pb::Fault::from(&Fault::new(FaultCode::Forbidden, "says somebody between"));
            let refused =
                pb::Refused { request_id: fetch.request_id, fault: Some(fault), ..pb::Refused::default() };
            Action::Reply(server_frame(server::Body::Refused(refused)).to_vec())
        }
        _ => Action::Pass,
    });
    bob.set_server(&proxy.url());

    for arguments in [&["history", "tea", "--json"][..], &["room", "show", "tea"], &["room", "list"]] {
        let output = bob.run(arguments).expect_code(8);
        assert!(!output.lines.is_empty(), "what is stored is shown: {output:?}");
        assert!(output.stderr.contains(&tea.to_string()), "which room is said: {output:?}");
    }
    assert_eq!(bob.bodies("cake"), ["first", "second", "third"]);
    bob.ok(&["room", "show", "cake"]);
    bob.ok(&["send", "cake", "and thanks"]);
    // Joining another room is none of its business.
    alice.ok(&["room", "create", "bread"]);
    alice.ok(&["room", "invite", "bread", "bob"]);
    bob.ok(&["room", "join", "bread"]);

    proxy.at_frames(|_, _| Action::Pass);
    assert_eq!(bob.bodies("tea"), ["first", "second", "third"]);
}
