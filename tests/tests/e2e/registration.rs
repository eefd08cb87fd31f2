//! How a registration ends when its process is killed, and what becomes of the recovery words.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::mpsc::channel};

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    proxy::{Answer, Proxy},
};

use crate::terminal::Terminal;

#[test]
fn a_registration_that_is_killed_before_its_answer_is_taken_up_again() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let (answered, carried_out) = channel();
    let (killed, is_killed) = channel::<()>();
    let mut wait = Some(is_killed);
    proxy.at_requests(move |request| {
        if !request.is("POST", "/v1/accounts") {
            return Answer::Genuine;
        }
        let (answered, is_killed) = (answered.clone(), wait.take().expect("one registration"));
        Answer::Changed(Box::new(move |session| {
            let _ = answered.send(());
            let _ = is_killed.recv();
            session
        }))
    });
    let mut alice = Client::new(&proxy.url(), "alice");
    let recovery = alice.recovery_file();
    let register = ["register", "alice", "--recovery-file", recovery.to_str().expect("a UTF-8 path")];
    let mut registering = alice.start(&register);
    carried_out.recv().expect("the daemon has carried it out");
    registering.kill();
    drop(killed);

    proxy.at_requests(|_| Answer::Genuine);
    let second = alice.file("second-recovery");
    let again = ["register", "alice", "--recovery-file", second.to_str().expect("a UTF-8 path")];
    alice.ok(&again);
    let words = fs::read_to_string(&second).expect("the words were kept");
    assert_eq!(words.split_whitespace().count(), 24);
    let created = proxy.requests().into_iter().filter(|request| request.is("POST", "/v1/accounts")).count();
    assert_eq!(created, 1, "the account is the one that was created");

    alice.set_server(&daemon.url());
    let bob = Client::register(&daemon.url(), "bob");
    client::room("tea", &[&bob, &alice]);
    alice.ok(&["send", "tea", "here after all"]);
    assert_eq!(bob.bodies("tea"), ["here after all"]);
}

/// The words on the screen, which stand there in lines of six after a number.
fn words(screen: &str) -> Option<Vec<String>> {
    let mut words = vec![];
    for line in screen.lines() {
        let mut line = line.split_whitespace();
        if line.next().and_then(|number| number.parse().ok()) == Some(words.len() + 1) {
            words.extend(line.map(str::to_owned));
        }
    }
    (words.len() == 24).then_some(words)
}

/// The place of the word that is asked for last, once `asked` were.
fn place(screen: &str, asked: usize) -> Option<usize> {
    let questions: Vec<_> = screen.lines().filter_map(|line| line.strip_prefix("Word ")).collect();
    let last = questions.last().filter(|_| questions.len() == asked)?;
    last.split(':').next()?.parse().ok()
}

#[test]
fn recovery_words_are_shown_until_two_of_them_were_said() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::new(&daemon.url(), "alice");
    // A second screenful, so that nothing scrolls away that is looked for.
    let mut screen = Terminal::open(&alice.interactive(&["register", "alice"]), 60, 80);
    let mut shown = None;
    screen.wait_for("the words", |now| {
        shown = words(now);
        shown.is_some() && place(now, 1).is_some()
    });
    let shown = shown.expect("24 words");
    let confirmed = || alice.json(&["whoami"])[0]["recovery_confirmed"].as_bool().expect("a yes or no");

    // Whoever has lost the window has not lost the words.
    screen.child.kill().expect("it is killed");
    assert!(!confirmed());
    // Whoever does not answer has confirmed nothing, and is told so by the exit code, too.
    let mut screen = Terminal::open(&alice.interactive(&["recovery", "confirm"]), 60, 80);
    screen.wait_for("a question", |now| place(now, 1).is_some());
    screen.press("\u{4}");
    screen.shows("the recovery words are not confirmed");
    assert_eq!(screen.child.wait().expect("the program ends").exit_code(), 6);
    assert!(!confirmed());
    let mut screen = Terminal::open(&alice.interactive(&["recovery", "confirm"]), 60, 80);
    let mut asked = None;
    for (questions, answer) in [(1, None), (2, Some("zebra"))] {
        screen.wait_for("a question", |now| {
            asked = place(now, questions);
            asked.is_some()
        });
        let right = &shown[asked.expect("a place") - 1];
        screen.press(&format!("{}\r", answer.unwrap_or(right)));
    }
    screen.shows("That is not what stands there.");
    assert!(!confirmed());
    for questions in 3..=4 {
        screen.wait_for("a question", |now| {
            asked = place(now, questions);
            asked.is_some()
        });
        screen.press(&format!("{}\r", shown[asked.expect("a place") - 1].to_uppercase()));
    }
    screen.shows("are confirmed, and kept here no longer");
    screen.ends_in_order();
    assert!(confirmed());
    assert_eq!(alice.json(&["recovery", "confirm"])[0]["recovery"], "confirmed", "nobody is asked again");
    assert!(!alice.said().contains(&shown[..3].join(" ")), "no other command has shown them");

    // They are this account's, and nobody else's.
    let file = alice.file("words");
    let check = ["recovery", "check", "--recovery-file", file.to_str().expect("a UTF-8 path")];
    fs::write(&file, shown.join("\n")).expect("a file");
    assert_eq!(alice.json(&check)[0]["recovery"], "right");
    fs::write(&file, shown[..23].join(" ")).expect("a file");
    alice.fails(2, &check);
    let bob = Client::register(&daemon.url(), "bob");
    fs::copy(bob.recovery_file(), &file).expect("a file");
    alice.fails(6, &check);
}

#[test]
fn scripts_find_the_recovery_words_in_a_file_and_are_never_asked() {
    let daemon = Daemon::start(Backend::Sqlite);
    let bot = Client::new(&daemon.url(), "bot");
    let said = bot.fails(2, &["register", "bot"]);
    assert!(said.contains("--no-confirm") && said.contains("--recovery-file"), "{said}");
    // One that fails leaves nothing behind, and what a killed one has left is in nobody's way.
    let profile = bot.data_directory().join("bot");
    bot.fails(3, &["register", "bot", "--no-confirm", "--server", "http://127.0.0.1:1"]);
    assert!(!profile.exists());
    fs::create_dir(&profile).expect("a directory");
    let file = profile.join("recovery-words");
    fs::write(&file, "").expect("a file");
    bot.ok(&["register", "bot", "--no-confirm"]);
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    assert_eq!(bot.json(&["whoami"])[0]["recovery_confirmed"], true);
    bot.ok(&["recovery", "check", "--recovery-file", file.to_str().expect("a UTF-8 path")]);
}
