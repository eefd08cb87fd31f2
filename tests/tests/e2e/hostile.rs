//! Text that tries to leave its place: in messages, in names of rooms, through a member who means it.

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};

/// What a terminal would obey or be fooled by: escape sequences (clear, title, clipboard, C1), carriage return,
/// backspace, bell, direction overrides, zero-width characters, a line that looks like another's.
const HOSTILE: &[&str] = &[
    "\u{1b}[2J\u{1b}[Hcleared",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]52;c;cm0gLXJmIH4=\u{7}",
    "\u{9b}31mred\u{9c}",
    "harmless\rroot: yes",
    "abc\u{8}\u{8}\u{8}xyz",
    "\u{202e}txt.exe\u{202c}",
    "zero\u{200b}width\u{2060}\u{feff}",
    "tag \u{e0041}\u{e0042} characters",
    "line\n12:00 bob: I agree",
];

/// Characters that may not reach a terminal by themselves.
fn is_hostile(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[test]
fn hostile_text_reaches_no_terminal() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let (mallory, bob) = (Client::register(&daemon.url(), "mallory"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&mallory, &bob]);
    for text in HOSTILE {
        assert_eq!(
            mallory.run_with_input(&["send", "general", "-"], text.as_bytes()).code,
            Some(0),
            "{text:?}"
        );
    }
    let plain = bob.ok(&["history", "general"]);
    for line in &plain {
        assert!(!line.chars().any(is_hostile), "{line:?}");
    }
    assert!(plain.iter().any(|line| line.contains("cleared")), "what is legible stays legible");
    // A second line of a message does not begin where a message of its own would.
    assert!(!plain.iter().any(|line| line.starts_with("12:00 bob")), "{plain:?}");
    // Scripts get what was sent, escaped by JSON itself, so that their terminal sees no control character either.
    for line in bob.ok(&["history", "general", "--json"]) {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    assert_eq!(bob.bodies("general"), HOSTILE);
    assert!(daemon.is_ready());
    let log = daemon.log();
    assert!(!log.chars().any(|c| is_hostile(c) && c != '\t'), "the log holds control characters");
}

#[test]
fn a_hostile_room_name_reaches_no_terminal() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["mallory", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [mallory, bob] = &clients;
    for (number, name) in HOSTILE.iter().enumerate() {
        let created = mallory.run(&["room", "create", name, "--json"]);
        // It is refused where it is made, or it is shown without its teeth.
        if created.code == Some(0) {
            let room = created.json()[0]["room_id"].as_str().expect("a room's id").to_owned();
            mallory.ok(&["room", "invite", &room, "bob"]);
            bob.ok(&["room", "join", &room]);
            bob.ok(&["send", &room, "hello"]);
        } else {
            assert!(matches!(created.code, Some(2 | 6)), "{number}: {created:?}");
        }
        for client in [mallory, bob] {
            for line in client.said().lines() {
                assert!(!line.chars().any(is_hostile), "{number}: {line:?}");
            }
        }
    }
    for line in bob.ok(&["room", "list"]) {
        assert!(!line.chars().any(is_hostile), "{line:?}");
    }
}
