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
    // A paste is text, whatever is in it; several lines are asked about, and Enter sends them.
    screen.press("\u{1b}[200~two\nlines\u{1b}[201~");
    screen.shows("Paste 2 lines");
    screen.press("y");
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
    screen.signal("TERM");
    screen.ends_in_order();
}

#[test]
fn two_screens_talk_and_one_that_was_killed_shows_the_line_above_what_is_new_where_it_was() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    let mut hers = Terminal::open(&alice.command(&[]), 24, 80);
    let mut his = Terminal::open(&bob.command(&[]), 24, 80);
    hers.shows("online");
    his.shows("online");
    hers.press("shall we meet?\r");
    his.shows("alice: shall we meet?");

    // He chooses the message, answers it, and reacts to it.
    his.press("\u{1b}[A");
    his.shows("reply");
    his.press("r");
    his.shows("↪ to alice: shall we meet?");
    his.press("at *nine*\r");
    hers.shows("↪ alice: shall we meet?");
    hers.shows("bob: at nine");
    his.press("\u{1b}[A\u{1b}[A+");
    his.shows("React with");
    his.press("tada\r");
    hers.shows("[🎉 bob]");
    // She edits hers, and deletes it for everyone.
    hers.press("\u{1b}[A\u{1b}[Ae");
    hers.shows("Editing");
    hers.press(" Today?\r");
    his.shows("alice: shall we meet? Today? (edited)");
    hers.press("\u{1b}[A\u{1b}[AD");
    hers.shows("Delete it for everyone?");
    hers.press("y");
    his.shows("(deleted by alice)");

    // What is begun is kept, and what comes meanwhile gets a line.
    hers.press("half a word");
    hers.shows("> half a word");
    hers.press("\u{11}");
    hers.ends_in_order();
    assert!(alice.json(&["draft"])[0]["draft"] == "half a word");
    assert_eq!(alice.json(&["unread"])[0]["unread"], 0, "she has seen it all");
    for text in ["one more", "and another"] {
        his.press(&format!("{text}\r"));
        his.shows(&format!("✓ bob: {text}"));
    }
    let placed = |screen: &str| {
        let below = screen.split_once("── new ──").map(|(_, below)| below);
        screen.contains("half a word")
            && below.is_some_and(|below| below.contains("one more") && below.contains("and another"))
            && !below.is_some_and(|below| below.contains("at nine"))
    };
    let mut hers = Terminal::open(&alice.command(&[]), 24, 80);
    hers.wait_for("the line", placed);
    // It is read, and the program is killed.
    while alice.json(&["unread"])[0]["unread"] != 0 {}
    hers.child.kill().expect("the screen can be killed");
    let mut hers = Terminal::open(&alice.command(&[]), 24, 80);
    hers.resize(30, 100);
    hers.wait_for("the same line", placed);
    // Whoever answers has read it all.
    hers.press("!\r");
    hers.wait_for("no line", |screen| screen.contains("half a word!") && !screen.contains("── new ──"));
    his.shows("alice: half a word!");
    for screen in [&mut hers, &mut his] {
        screen.press("\u{11}");
    }
    hers.ends_in_order();
    his.ends_in_order();
}

#[test]
fn the_screen_shows_panels_searches_and_writes_settings_down() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    bob.ok(&["send", "general", "the heron lands at noon"]);
    let config = alice.file("config.toml");
    std::fs::write(&config, "# mine\ntheme = \"plain\" # at work\n[keys.everywhere]\nsettings = \"F9\"\n")
        .expect("a file");
    let config = config.to_str().expect("a UTF-8 path");
    let mut screen = Terminal::open(&alice.command(&["--config", config]), 30, 100);
    screen.shows("bob: the heron");
    // Members: the safety number is compared.
    screen.press("\u{1b}OQ");
    screen.shows("not verified");
    screen.press("\r");
    screen.shows("You and bob");
    screen.press("\r");
    screen.shows("Did bob read the same number");
    screen.press("y");
    screen.shows("✓ verified");
    assert!(alice.ok(&["verify", "--status"]).join("\n").contains("verified"));
    // Keys, log, quantum and connection have something to say.
    for (key, words) in [
        ("\u{1b}OR", "Update the keys now"),
        ("\u{1b}OS", "register"),
        ("\u{1b}[15~", "Start on this machine's simulator"),
        ("\u{1b}[17~", "Everything is sent."),
        ("\u{1b}[18~", "ms for a question"),
    ] {
        screen.press(key);
        screen.shows(words);
    }
    screen.press("\u{1b}[15~");
    screen.shows("None yet.");
    screen.press("\u{1b}[B\r");
    screen.shows("last S");
    // A search jumps, and a setting is written down.
    screen.press("\u{6}heron");
    screen.shows("1 message");
    screen.press("\r");
    screen.shows("bob ✓: the heron");
    screen.press("\u{1b}[20~");
    screen.shows("Settings");
    screen.press("\r");
    screen.wait_for("another theme", |screen| screen.contains("theme           auto"));
    screen.press("\u{11}");
    screen.ends_in_order();
    let written = std::fs::read_to_string(config).expect("the file");
    assert_eq!(written, "# mine\ntheme = \"auto\" # at work\n[keys.everywhere]\nsettings = \"F9\"\n");
    // What makes no sense is told with its line, before anything else.
    std::fs::write(config, "\n[keys.composer]\nsend = \"Ctrl+Foo\"\n").expect("a file");
    let mut screen = Terminal::open(&alice.command(&["--config", config]), 30, 100);
    screen.shows("config.toml:3: keys.composer.send");
}

#[test]
fn sample_data_needs_no_account_and_no_daemon() {
    let nobody = Client::new("http://127.0.0.1:9", "nobody");
    let mut screen = Terminal::open(&nobody.command(&["--demo"]), 24, 80);
    screen.shows("dora invites you");
    screen.press("\t");
    screen.shows("Matches are here");
    screen.press("hello\r");
    screen.shows("✓ alice: hello");
    screen.press("\u{11}");
    screen.ends_in_order();
    assert!(!nobody.data_directory().exists());
}

#[test]
fn no_text_does_more_on_the_screen_than_to_be_seen() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (alice, mut mallory) =
        (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "mallory"));
    mallory.unlock();
    client::room("general", &[&alice, &mallory]);
    let mut screen = Terminal::open(&alice.command(&[]), 24, 80);
    screen.shows("online");
    mallory.ok(&["send", "general", "the first"]);
    screen.shows("mallory: the first");
    screen.wait_for("a room that was read", |screen| !screen.contains("•general"));
    let frame = screen.frame(24);
    let controls: String = (1..0x20_u8).chain(0x7f..=0x9f).flat_map(|c| ['a', char::from(c), 'b']).collect();
    let marks = format!("e{}", "\u{301}".repeat(10_000));
    let texts = [
        controls.as_str(),
        "\u{1b}[2J\u{1b}[H\u{1b}[31;1m\u{1b}[10;3H*",
        "\u{1b}[?1049l\u{1b}[?25l\u{1b}[?2004l\u{1b}[?1000l\u{1b}[?1h\u{1b}=\u{1b}c",
        "\u{1b}]0;owned\u{7}\u{1b}]52;c;b3duZWQ=\u{1b}\\",
        "\u{1b}]8;;https://evil.example\u{1b}\\click\u{1b}]8;;\u{1b}\\",
        "\u{9b}2J\u{9d}0;owned\u{9c}\u{1b}P+q544e\u{1b}\\",
        "\u{202e}drawkcab\u{202c}\u{2066}isolated\u{2069}\u{200e}\u{200f}\u{61c}",
        "ze\u{200b}ro\u{200d}wi\u{2060}dth\u{feff}\u{ad}\u{e0041}\u{e007f}",
        "line\u{2028}para\u{2029}vt\u{b}ff\u{c}nel\u{85}cr\rlf\r\nbs\u{8}\u{8}",
        "\u{fffd}\u{fffe}\u{ffff} שלום\u{202e}abc",
        &marks,
        &"👨\u{200d}".repeat(2_000),
        &"x".repeat(5_000),
    ]
    .map(str::to_owned);
    for (number, text) in texts.iter().enumerate() {
        let end = format!("the end of {number}");
        let text = format!("{text}\n{end}");
        drop(mallory.run_with_input(&["send", "general", "-"], text.as_bytes()).expect_code(0));
        screen.shows(&end);
        // The list of rooms says that there is something new until it is read.
        screen.wait_for("a room that was read", |screen| !screen.contains("•general"));
        assert_eq!(screen.frame(24), frame, "{end}");
    }
    screen.press("\u{11}");
    screen.ends_in_order();
}

#[test]
fn the_colours_suit_the_background_that_the_terminal_says_it_has() {
    // Of what is quiet.
    const DARK: u8 = 246;
    const LIGHT: u8 = 242;
    let nobody = Client::new("http://127.0.0.1:9", "nobody");
    for (background, said, expected, other) in [
        ("1e1e/1e1e/1e1e", "", DARK, LIGHT),
        ("ffff/fafa/f0f0", "", LIGHT, DARK),
        // Whoever has set it knows better than the terminal.
        ("ffff/fafa/f0f0", "15;0", DARK, LIGHT),
    ] {
        let mut command = nobody.command(&["--demo"]);
        command.env("COLORFGBG", said);
        let mut screen = Terminal::with_background(background, &command, 24, 80);
        screen.shows("dora invites you");
        let colours = screen.colours();
        assert!(colours.contains(&expected) && !colours.contains(&other), "{background}: {colours:?}");
        // The answer is no key that was pressed.
        screen.press("\u{11}");
        screen.ends_in_order();
    }
}

#[test]
fn the_first_run_leads_to_an_account_and_into_it() {
    let daemon = Daemon::start(Backend::Sqlite);
    let _bob = Client::register(&daemon.url(), "bob");
    let alice = Client::new(&daemon.url(), "alice");

    // Whoever leaves has made nothing.
    let mut screen = Terminal::open(&alice.asked_for_all(), 24, 80);
    screen.shows("There is no account on this machine yet");
    screen.press("\r");
    screen.shows("Which server?");
    screen.press("\u{1b}");
    screen.shows("There is no account on this machine yet");
    screen.press("\u{11}");
    screen.ends_in_order();
    assert!(!alice.data_directory().exists(), "nothing is half made");

    let mut screen = Terminal::open(&alice.asked_for_all(), 24, 80);
    screen.shows("There is no account on this machine yet");
    screen.press("\r");
    screen.shows(&daemon.url());
    screen.press("\r");
    for name in ["bob", "alice"] {
        screen.shows("What is your name?");
        screen.press(&format!("{name}\r"));
        screen.shows("Four or five");
        screen.press("too short\r");
        screen.shows("9 characters");
        screen.press("\u{15}");
        screen.press(&format!("{}\r", alice.passphrase()));
        screen.shows("The same once more");
        screen.press(&format!("{}\r", alice.passphrase()));
        if name == "bob" {
            screen.shows("taken");
            screen.press("\u{1b}");
            screen.shows("> bob");
            screen.press("\u{7f}\u{7f}\u{7f}");
        }
    }
    let mut words = Vec::new();
    screen.wait_for("24 words", |screen| {
        let shown: Vec<&str> = screen.split_whitespace().collect();
        let numbered = |number: usize| shown.iter().position(|word| *word == number.to_string());
        words = (1..=24).filter_map(|number| Some(shown.get(numbered(number)? + 1)?.to_string())).collect();
        words.len() == 24
    });
    screen.press("\r");
    let mut asked = Vec::new();
    for _ in 0..2 {
        screen.wait_for("another word that is asked for", |screen| {
            let place = screen.split("what is word ").nth(1).and_then(|rest| rest.split('?').next());
            let place: Option<usize> = place.and_then(|place| place.parse().ok());
            place.filter(|place| !asked.contains(place)).map(|place| asked.push(place)).is_some()
        });
        screen.press(&format!("{}\r", words[asked[asked.len() - 1] - 1]));
    }
    screen.shows("No rooms yet");
    screen.press("\u{11}");
    screen.ends_in_order();
    assert_eq!(alice.json(&["whoami"])[0]["name"], "alice");
    assert!(
        alice.ok(&["recovery", "confirm"]).concat().contains("confirmed"),
        "it asks for nothing any more"
    );

    // Another machine comes to the account by the first one.
    let laptop = alice.another_machine();
    let mut screen = Terminal::open(&laptop.asked_for_all(), 24, 80);
    screen.shows("There is no account on this machine yet");
    screen.press("\u{1b}[B\r");
    screen.shows("Which server?");
    screen.press("\r");
    screen.shows("name of your account?");
    screen.press("alice\r");
    screen.shows("passphrase of the account");
    screen.press(&format!("{}\r", alice.passphrase()));
    screen.shows("Waiting for a device of the account");
    let mut old = Terminal::open(&alice.command(&[]), 24, 80);
    screen.shows("Does your other device show the same?");
    old.shows("wants to be a device of this account");
    screen.press("y");
    old.press("\u{1b}[24~");
    screen.shows("No rooms yet");
    for mut screen in [screen, old] {
        screen.press("\u{11}");
        screen.ends_in_order();
    }
    assert_eq!(alice.json(&["device", "list"]).len(), 2);
}
