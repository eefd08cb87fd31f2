//! The main job: people in a room read what the others write, each message once and in one order.

use std::{collections::BTreeSet, thread};

use qchat_tests::{
    client::{self, Client, Message},
    daemon::Daemon,
    database::Backend,
    on_both,
};

on_both!(two_people_talk, every_member_reads_every_message_once_in_one_order, an_invitation_needs_a_yes);

fn two_people_talk(backend: Backend) {
    let mut daemon = Daemon::start(backend);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    alice.ok(&["send", "general", "Hello Bob"]);
    bob.ok(&["send", "general", "Hello Alice"]);
    // From standard input, with its line breaks and without the last one.
    assert_eq!(alice.run_with_input(&["send", "general", "-"], "two\nlines ✓\n".as_bytes()).code, Some(0));
    for reader in [&alice, &bob] {
        let read: Vec<(String, String)> =
            reader.history("general").into_iter().map(|message| (message.sender, message.body)).collect();
        assert_eq!(
            read,
            [("alice", "Hello Bob"), ("bob", "Hello Alice"), ("alice", "two\nlines ✓")]
                .map(|(sender, body)| (sender.to_owned(), body.to_owned())),
            "{} reads",
            reader.name()
        );
    }
    assert!(bob.ok(&["history", "general"]).iter().any(|line| line.contains("Hello Bob")));
    assert_eq!(alice.json(&["whoami"])[0]["name"], "alice");
    let room = &alice.json(&["room", "show", "general"])[0];
    assert_eq!(room["members"].as_array().map(Vec::len), Some(2), "{room}");

    assert!(daemon.is_ready());
    assert!(daemon.stop().success(), "a daemon that is asked to end does so in order");
}

/// Two senders at once, one reader offline until the end.
fn every_member_reads_every_message_once_in_one_order(backend: Backend) {
    const EACH: usize = 100;
    let daemon = Daemon::start(backend);
    let names = ["alice", "bob", "carol"];
    let mut clients = names.map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob, carol] = &clients;
    client::room("general", &[alice, bob, carol]);

    let sent: BTreeSet<(String, String)> = thread::scope(|scope| {
        let senders = [alice, bob].map(|sender| {
            scope.spawn(move || {
                let bodies = (0..EACH).map(|number| format!("{} says {number}", sender.name()));
                bodies
                    .map(|body| {
                        sender.ok(&["send", "general", &body]);
                        (sender.name().to_owned(), body)
                    })
                    .collect::<Vec<_>>()
            })
        });
        senders.into_iter().flat_map(|sender| sender.join().expect("a sender ends")).collect()
    });
    assert_eq!(sent.len(), 2 * EACH);

    let histories = clients.each_ref().map(|reader| reader.history("general"));
    for history in &histories {
        assert!(history.is_sorted_by(|a, b| a.seq < b.seq), "each seq once, ascending");
        let read: BTreeSet<_> =
            history.iter().map(|message| (message.sender.clone(), message.body.clone())).collect();
        assert_eq!(read, sent);
        assert_eq!(history.len(), 2 * EACH, "every body once");
        for name in ["alice", "bob"] {
            let own = history.iter().filter(|message| message.sender == name);
            let expected = (0..EACH).map(|number| format!("{name} says {number}"));
            assert!(
                own.map(|message| message.body.clone()).eq(expected),
                "a sender's messages keep their order"
            );
        }
    }
    assert_eq!(histories[0], histories[1]);
    assert_eq!(histories[0], histories[2]);
}

fn an_invitation_needs_a_yes(backend: Backend) {
    let daemon = Daemon::start(backend);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    alice.ok(&["room", "create", "general"]);
    alice.ok(&["room", "invite", "general", "bob"]);
    alice.ok(&["send", "general", "before the yes"]);

    let rooms = bob.json(&["room", "list"]);
    assert_eq!(rooms.len(), 1, "{rooms:?}");
    assert_eq!(rooms[0]["status"], "invited", "{rooms:?}");
    let room = rooms[0]["room_id"].as_str().expect("a room's id").to_owned();
    // Nothing is sent into a room that was not joined.
    bob.fails(6, &["send", &room, "too early"]);
    let show = &alice.json(&["room", "show", "general"])[0];
    let standing = |name: &str| {
        let member = show["members"].as_array()?.iter().find(|member| member["name"] == name)?;
        member["invited"].as_bool()
    };
    assert_eq!((standing("alice"), standing("bob")), (Some(false), Some(true)), "{show}");

    bob.ok(&["room", "join", &room]);
    bob.ok(&["send", "general", "after the yes"]);
    let seen = |reader: &Client| -> Vec<Message> { reader.history("general") };
    assert_eq!(seen(&bob), seen(&alice), "who was invited reads from the invitation on");
    assert_eq!(bob.bodies("general"), ["before the yes", "after the yes"]);
}
