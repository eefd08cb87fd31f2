//! Completion in the shells themselves: what a profile offers, when it offers nothing, and names that would run.
//!
//! Bash has to be there. The other shells are tried where they are installed, and have to be where
//! `QCHAT_TEST_SHELLS` names them, as contrib/test.sh does.

use std::{fs, path::Path, process::Command};

use qchat_tests::{client::Client, daemon::Daemon, database::Backend, programs};

use crate::terminal::Terminal;

/// What a member could call a room to make somebody else's shell do something. What is typed to find it, the name, and
/// what only the completed line shows.
const HOSTILE: [(&str, &str, &str); 13] = [
    ("r1", "r1 $(touch pwned) e1", "e1"),
    ("r2", "r2 `touch pwned` e2", "e2"),
    ("r3", "r3; touch pwned; e3", "e3"),
    ("r4", "r4 * ? [a-z]* {a,b} e4", "e4"),
    ("r5", "r5 it's e5", "e5"),
    ("r6", "r6 \"quoted\" e6", "e6"),
    ("r7", "r7 & touch pwned & e7", "e7"),
    ("r8", "r8 !! !touch e8", "e8"),
    ("r9", "r9 ~ # $HOME ${HOME} e9", "e9"),
    ("s1", "s1 back\\slash \\ f1", "f1"),
    ("s2", "s2 > pwned < pwned | f2", "f2"),
    ("s3", "s3 a:b=c@d%e^f,g f3", "f3"),
    ("s4", "s4 größe f4", "f4"),
];

/// A name with what no line of text has: such a room goes by its id.
const UNSPEAKABLE: &str = "two\nlines \u{1b}[31m";

fn is_required(shell: &str) -> bool {
    let named = std::env::var("QCHAT_TEST_SHELLS").unwrap_or_default();
    shell == "bash" || named.split(' ').any(|named| named == shell)
}

fn is_there(shell: &str) -> bool {
    let there = Command::new(shell).arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(there || !is_required(shell), "{shell} is missing: install it, as contrib/test.sh does");
    there
}

/// A shell for a user whose settings stand in the environment.
fn shell(user: &Client, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    let built = programs::qchat();
    let folder = built.parent().expect("a program lies in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let home = user.file("home");
    fs::create_dir_all(&home).expect("a home");
    command
        .env_clear()
        .envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)))
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("HOME", &home)
        .env("LANG", "C.UTF-8")
        .env("QCHAT_DATA_DIR", user.data_directory())
        .env("QCHAT_PROFILE", user.name())
        .env("QCHAT_PASSPHRASE_FILE", user.passphrase_file())
        .current_dir(&home)
        .args(arguments);
    command
}

/// The script for a shell, in a file.
fn script(user: &Client, shell: &str) -> String {
    let file = user.file(&format!("completions.{shell}"));
    fs::write(&file, user.ok(&["completions", shell]).join("\n") + "\n").expect("a script");
    file.to_str().expect("a UTF-8 path").to_owned()
}

/// What the program answers when a script asks with these words, as bytes, errors included.
fn asked(user: &Client, words: &[&str]) -> String {
    let mut command = shell(user, "qchat", &["--", "qchat"]);
    let output = command
        .args(words)
        .env("QCHAT_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .output()
        .expect("the program runs");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Alice, unlocked, with rooms of these names, and a daemon that has gone.
fn unlocked_with_rooms(names: &[&str]) -> Client {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.unlock();
    for name in names {
        alice.ok(&["room", "create", name]);
    }
    alice
}

#[test]
fn the_scripts_of_both_programs_load_in_the_real_shells() {
    let alice = Client::new("http://127.0.0.1:1", "alice");
    for (name, arguments) in [
        ("bash", &["--norc", "--noprofile", "-c"][..]),
        ("zsh", &["-f", "-c"]),
        ("fish", &["--no-config", "-c"]),
    ] {
        if !is_there(name) {
            continue;
        }
        let daemons =
            Command::new(programs::qchatd()).args(["completions", name]).output().expect("a script");
        let of_daemon = alice.file(&format!("qchatd.{name}"));
        fs::write(&of_daemon, daemons.stdout).expect("a script");
        for file in [script(&alice, name), of_daemon.display().to_string()] {
            let begin = if name == "zsh" { "autoload -U compinit; compinit -u; " } else { "" };
            let load = format!("{begin}. '{file}'; echo loaded");
            let output = shell(&alice, name, arguments).arg(load).output().expect("the shell runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!((said.as_str(), printed.trim()), ("", "loaded"), "{name} {file}");
        }
    }
}

#[test]
fn bash_reads_each_offered_word_as_the_name_of_a_room() {
    let names = HOSTILE.map(|(_, name, _)| name);
    let alice = unlocked_with_rooms(&[&names[..], &[UNSPEAKABLE]].concat());
    let driver = format!(
        r#". '{}'
complete() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _qchat_complete; }}
complete qchat send ""
for word in "${{COMPREPLY[@]}}"; do eval "set -- $word"; printf '%s|%s\n' "$#" "$1"; done"#,
        script(&alice, "bash")
    );
    assert!(is_there("bash"));
    let output =
        shell(&alice, "bash", &["--norc", "--noprofile", "-c", &driver]).output().expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let mut read: Vec<&str> = printed.lines().collect();
    read.sort_unstable();
    let rooms = alice.json(&["room", "list"]);
    let unspeakable =
        rooms.iter().find(|room| room["room"].as_str().is_some_and(|name| name.starts_with("two")));
    let unspeakable = unspeakable.unwrap_or_else(|| panic!("the room is not there: {rooms:?}"));
    let id = unspeakable["room_id"].as_str().expect("its id");
    let mut expected: Vec<String> = names.iter().map(|name| format!("1|{name}")).collect();
    expected.push(format!("1|{id}"));
    expected.sort_unstable();
    assert_eq!(read, expected);
    assert!(!alice.file("home").join("pwned").exists(), "a name was run");
}

/// Types into a real shell what finds each room, and runs the line.
#[track_caller]
fn types_and_runs(alice: &Client, name: &str, arguments: &[&str], setup: &str) {
    if !is_there(name) {
        return;
    }
    let home = alice.file("home");
    let mut terminal = Terminal::open(&shell(alice, name, arguments), 40, 200);
    terminal.press(&format!("{setup}; echo rea''dy\r"));
    terminal.shows("ready");
    for (typed, room, shown) in HOSTILE {
        terminal.press(&format!("show send {typed}\t"));
        terminal.shows(shown);
        terminal.press("\r");
        terminal.shows(&format!("[send][{room}]"));
    }
    terminal.press("exit\r");
    terminal.ends_in_order();
    assert!(!Path::new(&home).join("pwned").exists(), "{name}: a name was run");
}

#[test]
fn a_completed_line_runs_nothing_of_a_rooms_name() {
    let names = HOSTILE.map(|(_, name, _)| name);
    let alice = unlocked_with_rooms(&names);
    let of = |name| script(&alice, name);
    let show = "show() { printf '[%s]' \"$@\"; echo; }";
    types_and_runs(
        &alice,
        "bash",
        &["--norc", "--noprofile", "-i"],
        &format!("{show}; . '{}'; complete -o nosort -F _qchat_complete show", of("bash")),
    );
    types_and_runs(
        &alice,
        "zsh",
        &["-f", "-i"],
        &format!(
            "{show}; autoload -U compinit; compinit -u; . '{}'; compdef _clap_dynamic_completer_qchat show",
            of("zsh")
        ),
    );
    types_and_runs(
        &alice,
        "fish",
        &["--no-config", "-i"],
        &format!(
            "function show; printf '[%s]' $argv; echo; end; . '{}'; complete -c show -w qchat",
            of("fish")
        ),
    );
}

#[test]
fn who_is_unlocked_is_offered_what_fits_and_who_is_locked_nothing_and_is_not_asked() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (mut alice, mut bob) =
        (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    alice.unlock();
    bob.unlock();
    alice.ok(&["room", "create", "general"]);
    alice.ok(&["room", "invite", "general", "bob"]);
    bob.ok(&["room", "create", "two words"]);
    bob.ok(&["room", "list"]);
    drop(daemon);

    for (words, offered) in [
        (&["send", ""][..], "two\\ words\n"),
        (&["send", "tw"], "two\\ words\n"),
        (&["send", "two\\ w"], "two\\ words\n"),
        (&["send", "'two w"], "two words\n"),
        (&["history", "nothing"], ""),
        (&["room", "join", ""], "general\n"),
        (&["room", "show", ""], "two\\ words\ngeneral\n"),
        (&["room", "invite", "general", "al"], "alice\n"),
        (&["--profile", ""], "bob\n"),
        (&["--profile", "=", "b"], "bob\n"),
        (&["--profile", "nobody", "send", "tw"], ""),
        (&["--data-dir", "/nonexistent", "send", "tw"], ""),
        (&["room", "inv"], "invite\n"),
        (&["send", "--wa"], "--wait\n"),
        (&["--accept-invites", "ve"], "verified\n"),
    ] {
        assert_eq!(asked(&bob, words), offered, "{words:?}");
    }

    // The passphrase stands in a file that the environment names, and is not looked at.
    bob.ok(&["lock"]);
    for (words, offered) in
        [(&["send", "tw"][..], ""), (&["room", "join", "g"], ""), (&["room", "invite", "general", "al"], "")]
    {
        assert_eq!(asked(&bob, words), offered, "{words:?}");
    }
    assert_eq!(asked(&bob, &["room", "inv"]), "invite\n");
}
