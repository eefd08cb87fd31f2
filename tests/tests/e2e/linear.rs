//! The linear mode as a screen reader meets it: lines in, lines out, and no byte that moves a cursor.

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};

#[test]
fn a_conversation_line_by_line() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    bob.ok(&["send", "general", "before she came"]);

    let mut hers = alice.start_to_be_told(&["--plain"]);
    hers.wait_until_it_says("general is open.");
    let line = |words: &'static str| move |line: &str| line.contains(words).then(|| line.to_owned());
    hers.wait_for("what was said before", line("bob: before she came"));
    hers.tell("typed by alice");
    hers.wait_for("her own line, once the server has it", line("alice: typed by alice"));
    hers.tell("//not a command");
    hers.wait_for("a slash", line("alice: /not a command"));
    bob.ok(&["send", "general", "\u{1b}[31mred\u{1b}]0;title\u{7}"]);
    let shown = hers.wait_for("what he says", line("red"));
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");

    // Any command, by the engine that is open; a dot is the room.
    hers.tell("/room show .");
    hers.wait_for("the members", line("bob"));
    // No id begins with that.
    hers.tell("/send . --reply-to zz 'never sent'");
    hers.wait_until_it_says("error: ");
    hers.tell("/nonsense");
    hers.wait_until_it_says("unrecognized subcommand");
    hers.tell("/listen");
    hers.wait_until_it_says("a command of the shell's");
    hers.tell("/help");
    hers.wait_until_it_says("/open ROOM");

    // Another room says its name, until it is open itself.
    client::room("second", &[bob, alice]);
    bob.ok(&["send", "second", "elsewhere"]);
    let shown = hers.wait_for("a line of another room", line("elsewhere"));
    assert!(shown.contains("second"), "{shown}");
    hers.tell("/open second");
    hers.wait_until_it_says("second is open.");
    hers.tell("here now");
    hers.wait_for("her line there", line("alice: here now"));
    hers.tell("/quit");
    let ended = hers.finish().expect_code(0);
    assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
    assert!(bob.bodies("second").contains(&"here now".to_owned()));

    // What comes from a pipe is sent before it ends.
    drop(alice.run_with_input(&["--plain"], b"/open general\none\ntwo\n").expect_code(0));
    assert_eq!(bob.bodies("general")[4..], ["one", "two"]);
    assert_eq!(alice.json(&["unread"])[0]["unread"], 0, "what was shown is read");
}
