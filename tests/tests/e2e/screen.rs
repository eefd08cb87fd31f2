//! The screen as its user meets it: the built program in a terminal, keys in, cells out.

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};

use crate::terminal::Terminal;

#[test]
fn a_conversation_on_the_screen() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    bob.ok(&["send", "general", "before the screen opened"]);

    let mut screen = Terminal::open(&alice.command(&[]), 24, 80);
    screen.shows("bob: before the screen opened");
    screen.shows("online");
    screen.press("typed by alice\r");
    screen.shows("✓ alice: typed by alice");
    bob.ok(&["send", "general", "while she looks"]);
    screen.shows("bob: while she looks");
    // A paste is text, whatever is in it; Enter sends it.
    screen.press("\u{1b}[200~two\nlines\u{1b}[201~");
    screen.shows("> two");
    screen.press("\r");
    screen.shows("✓ alice: two");
    assert_eq!(
        bob.bodies("general"),
        ["before the screen opened", "typed by alice", "while she looks", "two\nlines"]
    );

    bob.ok(&["room", "create", "second"]);
    bob.ok(&["room", "invite", "second", "alice"]);
    screen.shows("?second");
    screen.press("\u{1b}a");
    screen.shows("bob invites you to “second”");
    screen.press("j");
    screen.shows("Join second?");
    screen.press("y");
    screen.shows("You are in.");
    screen.press("now here\r");
    screen.shows("✓ alice: now here");
    assert_eq!(bob.bodies("second"), ["now here"]);

    screen.resize(15, 50);
    screen.wait_for("the room alone", |screen| !screen.contains("Rooms") && screen.contains("now here"));
    screen.press("\u{11}");
    screen.ends_in_order();
}

#[test]
fn a_screen_that_nobody_touches_locks_itself_until_the_passphrase_is_typed() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    bob.ok(&["send", "general", "for her eyes"]);
    let mut screen = Terminal::open(&alice.command(&["--lock-after-idle", "2s"]), 24, 80);
    screen.shows("bob: for her eyes");
    let locked = |screen: &str| screen.contains("Locked") && !screen.contains("for her eyes");
    screen.wait_for("a locked screen", locked);
    screen.press("not hers\r");
    screen.wait_for("a refusal", |screen| locked(screen) && screen.contains("wrong"));
    screen.press(&format!("{}\r", alice.passphrase()));
    screen.shows("bob: for her eyes");
    screen.press("\u{11}");
    screen.ends_in_order();
}

#[test]
fn a_key_that_is_pressed_while_the_window_changes_its_size_is_not_lost() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    client::room("general", &[&alice]);
    let mut screen = Terminal::open(&alice.command(&[]), 24, 80);
    screen.shows("online");
    let mut typed = String::from("> ");
    for turn in 0..40 {
        screen.resize(24, if turn % 2 == 0 { 90 } else { 80 });
        screen.press("x");
        typed.push('x');
        screen.shows(&typed);
    }
    screen.resize(24, 90);
    screen.press("\u{11}");
    screen.ends_in_order();
}

#[test]
fn a_screen_that_is_told_to_end_gives_the_terminal_back() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let mut screen = Terminal::open(&alice.command(&[]), 24, 80);
    screen.shows("No rooms yet");
    let process = screen.child.process_id().expect("a running program").to_string();
    let told = std::process::Command::new("kill").args(["-TERM", &process]).status().expect("kill runs");
    assert!(told.success());
    screen.ends_in_order();
}
