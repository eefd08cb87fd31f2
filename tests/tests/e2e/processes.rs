//! Several processes of one profile at once: a listener and senders share keys, outbox and cursor.

use std::collections::BTreeSet;

use qchat_tests::{
    client::{self, Client, Message},
    daemon::Daemon,
    database::Backend,
    on_both,
};

on_both!(a_listener_and_several_senders_share_a_profile);

fn a_listener_and_several_senders_share_a_profile(backend: Backend) {
    let daemon = Daemon::start(backend);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    let listening = bob.listen("general");
    // Once it has printed something it listens: nobody else has stored this message into its profile.
    alice.ok(&["send", "general", "are you listening?"]);
    let first = listening.wait_for("the first message", Message::from_line);
    assert_eq!(first.body, "are you listening?");
    let mut printed = BTreeSet::from([first.body]);
    let mut expected = printed.clone();
    for round in 0..3 {
        let bodies: Vec<String> = (0..4).map(|number| format!("round {round}, message {number}")).collect();
        // Three by the listener's own profile at once, and one from the other side.
        let sending: Vec<_> = bodies
            .iter()
            .zip([&bob, &bob, &bob, &alice])
            .map(|(body, sender)| sender.start(&["send", "general", body]))
            .collect();
        for sending in sending {
            let output = sending.finish();
            assert_eq!(output.code, Some(0), "{output:?}");
        }
        expected.extend(bodies);
    }
    while printed.len() < expected.len() {
        let message = listening.wait_for("the next message", Message::from_line);
        assert!(printed.insert(message.body.clone()), "{} is printed twice", message.body);
    }
    assert_eq!(printed, expected);
    assert_eq!(alice.history("general"), bob.history("general"));
    assert_eq!(alice.bodies("general").into_iter().collect::<BTreeSet<_>>(), expected);
    assert!(
        matches!(listening.terminate().code, Some(0)),
        "a listener that is asked to end does so in order"
    );
}
