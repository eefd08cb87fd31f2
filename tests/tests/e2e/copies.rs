//! Previous copies of a profile: one that was put back, and one that runs beside the other, send nothing; history and contacts of a
//! copy are kept, and its keys are not used again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    on_both,
    process::{Output, Process},
};

/// A copy of a user's profile as a backup of the files makes it while no program has it open.
struct Copy<'a> {
    of: &'a Client,
    directory: PathBuf,
}

impl<'a> Copy<'a> {
    fn of(client: &'a Client, name: &str) -> Self {
        let directory = client.file(name);
        copy(&client.data_directory(), &directory);
        Self { of: client, directory }
    }

    fn arguments<'b>(&'b self, arguments: &[&'b str]) -> Vec<&'b str> {
        let directory = self.directory.to_str().expect("a UTF-8 path");
        [&["--data-dir", directory][..], arguments].concat()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.of.run(&self.arguments(arguments))
    }

    fn start(&self, arguments: &[&str]) -> Process {
        self.of.start(&self.arguments(arguments))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copied file");
        }
    }
}

fn is_told_to_recover(output: Output) {
    let said = output.expect_code(6).stderr;
    assert!(said.contains("previous copy") && said.contains("qchat profile recover"), "{said}");
}

on_both!(a_previous_copy_sends_nothing_and_keeps_history_and_contacts);

fn a_previous_copy_sends_nothing_and_keeps_history_and_contacts(backend: Backend) {
    let mut daemon = Daemon::start(backend);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("tea", &[&alice, &bob]);
    alice.ok(&["send", "tea", "before"]);
    assert_eq!(bob.bodies("tea"), ["before"]);
    let copy = Copy::of(&alice, "copy");
    // Alice only reads on: there is nothing in the room by which the copy could notice it, but that she has confirmed it. The
    // daemon writes that down by when it ends.
    bob.ok(&["send", "tea", "between"]);
    assert_eq!(alice.bodies("tea"), ["before", "between"]);
    assert!(daemon.stop().success());
    daemon.restart();

    is_told_to_recover(copy.run(&["send", "tea", "by the copy"]));
    is_told_to_recover(copy.run(&["room", "create", "another"]));
    let history = copy.run(&["history", "tea"]).expect_code(0);
    assert!(history.lines.iter().any(|line| line.contains("before")), "{history:?}");
    assert!(history.stderr.contains("previous copy"), "{}", history.stderr);
    assert_eq!(bob.bodies("tea"), ["before", "between"]);

    assert!(copy.run(&["profile", "recover"]).expect_code(2).stderr.contains("--yes"));
    let recovered = copy.run(&["profile", "recover", "--yes", "--json"]).expect_code(0).json();
    assert_eq!(recovered[0]["done"], "recovered");
    assert_eq!(recovered[0]["asking"].as_array().map(Vec::len), Some(1), "{recovered:?}");
    // Bob's device answers, and the copy follows again.
    let listening = bob.listen("tea");
    let following = copy.start(&["listen", "tea", "--json"]);
    following.wait_for("return", |line| line.contains("follows the room").then_some(()));
    drop(copy.run(&["send", "tea", "from the copy"]).expect_code(0));
    listening.wait_for("message", |line| line.contains("from the copy").then_some(()));
    let history = copy.run(&["history", "tea"]).expect_code(0);
    assert!(history.lines.iter().any(|line| line.contains("before")), "{history:?}");
    assert!(!history.lines.iter().any(|line| line.contains("between")), "{history:?}");
    let keys = copy.run(&["keys", "show"]).expect_code(0);
    assert!(keys.lines.iter().any(|line| line.starts_with("bob")), "{keys:?}");

    // The other one is the previous copy now.
    is_told_to_recover(alice.run(&["send", "tea", "by the other"]));
    drop(listening.terminate());
    drop(following.terminate());
    assert_eq!(bob.bodies("tea"), ["before", "between", "from the copy"]);
}

#[test]
fn of_two_copies_that_run_at_once_one_is_told_so() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("tea", &[&alice, &bob]);
    alice.ok(&["history", "tea"]);
    let copy = Copy::of(&alice, "copy");
    let listening = alice.listen("tea");
    drop(copy.run(&["send", "tea", "from the copy"]).expect_code(0));
    // What it could not have sent is in the room, with its keys.
    listening.wait_until_it_says("previous copy");
    is_told_to_recover(alice.run(&["send", "tea", "by the other"]));
    drop(listening.terminate());
    assert_eq!(bob.bodies("tea"), ["from the copy"]);
}
