//! Finding what was said, reading a part of a log, and writing one down, through the built programs.

use std::{fs, os::unix::fs::PermissionsExt as _};

use qchat_cli::vault;
use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    sqlcipher,
};
use serde_json::{Value, json};

fn bodies(found: &[Value]) -> Vec<&str> {
    found.iter().map(|line| line["body"].as_str().unwrap_or_default()).collect()
}

fn send(client: &Client, room: &str, arguments: &[&str]) -> String {
    let sent = client.json(&[&["send", room], arguments].concat());
    sent[0]["id"].as_str().expect("an id").to_owned()
}

/// Fails when a word stands on any page of a profile, used or free.
#[track_caller]
fn assert_nowhere(client: &Client, words: &[&str]) {
    let dir = client.data_directory().join(client.name());
    let key = vault::unlock(&dir, client.passphrase()).expect("the passphrase opens it");
    for page in sqlcipher::pages(&dir, key.expose()) {
        for word in words {
            let found = page.bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{word} stands on {} of {}", page.place, client.name());
        }
    }
}

#[test]
fn messages_are_found_by_their_words_and_operators_without_a_server() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    client::room("the den", &[alice]);
    for (who, room, text) in [
        (alice, "general", "Lunch on Friday, in the crème brûlée bar?"),
        (bob, "general", "friday works, see https://bar.example"),
        (alice, "general", "金曜日の夜"),
        (alice, "the den", "friday: buy \u{1b}[31m paint\u{202e}"),
    ] {
        send(who, room, &[text]);
    }
    alice.ok(&["poll", "create", "general", "Which friday?", "first", "second"]);
    alice.ok(&["history", "general"]);
    daemon.kill();

    for (arguments, expected) in [
        (&["friday", "--in", "general", "--from", "bob"][..], &["friday works, see https://bar.example"][..]),
        (&["friday in:general from:bob"], &["friday works, see https://bar.example"]),
        (&["CREME", "brulee"], &["Lunch on Friday, in the crème brûlée bar?"]),
        (&["\"on friday\""], &["Lunch on Friday, in the crème brûlée bar?"]),
        (&["\"friday on\""], &[]),
        (&["brul*"], &["Lunch on Friday, in the crème brûlée bar?"]),
        (&["曜日"], &["金曜日の夜"]),
        (&["has:link"], &["friday works, see https://bar.example"]),
        (&["has:poll", "second"], &["Which friday?"]),
        (&["in:\"the den\""], &["friday: buy \u{1b}[31m paint\u{202e}"]),
        (&["friday", "before:2020-01-01"], &[]),
        (&["lunch", "--after", "1h"], &["Lunch on Friday, in the crème brûlée bar?"]),
        (
            &["lunch", "--after", "2020-01-01", "--before", "2999-01-01T12:00"],
            &["Lunch on Friday, in the crème brûlée bar?"],
        ),
        (&["https://bar.example"], &["friday works, see https://bar.example"]),
    ] {
        let found = alice.json(&[&["search"], arguments].concat());
        assert_eq!(bodies(&found), expected, "{arguments:?}");
    }
    let all = alice.json(&["search", "friday"]);
    assert_eq!(all.len(), 4);
    let pages: Vec<Value> = ["1", "2", "3"]
        .iter()
        .flat_map(|page| alice.json(&["search", "friday", "--limit", "2", "--page", page]))
        .collect();
    assert_eq!(pages, all);
    let first = alice.run(&["search", "friday", "--limit", "2"]).expect_code(0);
    assert!(first.stderr.contains("--page 2"), "{}", first.stderr);

    // The same object as in the history, and what was found in it.
    let found = &alice.json(&["search", "brulee", "bar", "in:general", "from:alice"])[0];
    assert_eq!(found["excerpt"], found["body"]);
    let excerpt: Vec<char> = found["excerpt"].as_str().expect("an excerpt").chars().collect();
    let marked: Vec<String> = found["highlights"]
        .as_array()
        .expect("highlights")
        .iter()
        .map(|range| {
            let at =
                |number: usize| usize::try_from(range[number].as_u64().expect("a place")).expect("small");
            excerpt[at(0)..at(1)].iter().collect()
        })
        .collect();
    assert_eq!(marked, ["brûlée", "bar"]);
    let mut object = found.clone();
    for more in ["excerpt", "highlights"] {
        object.as_object_mut().expect("an object").remove(more);
    }
    let history = alice.run(&["history", "general", "--json", "--timeout", "2"]).json();
    assert!(history.contains(&object), "{object} in {history:?}");

    // Nothing that a peer wrote steers the terminal.
    let lines = alice.ok(&["search", "paint"]);
    assert!(lines[0].contains("[the den] alice: friday: buy \\u{1b}[31m paint\\u{202e}"), "{lines:?}");

    for (code, arguments, words) in [
        (2, &["form:bob"][..], "from:USER, in:ROOM"),
        (2, &["has:everything"], "has:link"),
        (2, &["before:someday"], "2026-01-31"),
        (2, &["--after", "2026"], "2026-01-31"),
        (2, &["\"open"], "quote"),
        (2, &["!!!"], "no letter"),
        (2, &[], "nothing to look for"),
        (2, &["x", "--limit", "0"], "1..=1000"),
        (5, &["x", "in:nowhere"], "room list"),
        (5, &["x", "from:nobody"], "spelling"),
        (0, &["nothing", "like", "it"], "Nothing was found"),
    ] {
        let output = alice.run(&[&["search"], arguments].concat()).expect_code(code);
        assert!(output.stderr.contains(words) && output.lines.is_empty(), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn what_is_edited_deleted_or_over_is_found_no_more_and_its_words_are_nowhere() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    // Enough beside them that pieces of the index are merged and moved.
    for number in 0..12 {
        send([alice, bob][number % 2], "general", &[&format!("filler{number} between the canaries")]);
    }
    let edited = send(alice, "general", &["canaryedited once"]);
    let deleted = send(alice, "general", &["canarydeleted for all"]);
    let here = send(bob, "general", &["canaryhere alone"]);
    send(alice, "general", &["canarygone soon", "--expire", "3s"]);
    for number in 12..24 {
        send([alice, bob][number % 2], "general", &[&format!("filler{number} between the canaries")]);
    }
    for who in [alice, bob] {
        who.ok(&["history", "general"]);
        for word in ["canaryedited", "canarydeleted", "canaryhere"] {
            assert_eq!(who.json(&["search", word]).len(), 1, "{word} of {}", who.name());
        }
    }
    alice.ok(&["edit", "general", &edited, "secondversion"]);
    alice.ok(&["delete", "general", &deleted]);
    for who in [alice, bob] {
        who.ok(&["history", "general"]);
        who.ok(&["delete", "general", &here, "--here"]);
        while !who.json(&["search", "canarygone"]).is_empty() {}
        for word in ["canaryedited", "canarydeleted", "canaryhere"] {
            assert_eq!(who.json(&["search", word]), Vec::<Value>::new(), "{word} of {}", who.name());
        }
        assert_eq!(bodies(&who.json(&["search", "secondversion"])), ["secondversion"]);
        assert_eq!(who.json(&["search", "filler*", "--limit", "100"]).len(), 24);
        // What was edited stands in the log still, for those who are shown it later; in the index it does not.
        assert_nowhere(who, &["canarydeleted", "canaryhere", "canarygone"]);
    }
    alice.ok(&["delete", "general", &edited]);
    bob.ok(&["history", "general"]);
    for who in [alice, bob] {
        assert_nowhere(who, &["canaryedited", "secondversion"]);
        who.ok(&["delete", "general", "--all", "--yes"]);
        assert_nowhere(who, &["filler", "canaries"]);
    }
}

#[test]
fn a_restored_backup_and_a_linked_device_are_looked_into_too() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.unlock();
    client::room("general", &[&alice]);
    let edited = send(&alice, "general", &["first version"]);
    alice.ok(&["edit", "general", &edited, "second version"]);
    send(&alice, "general", &["keepsake"]);
    alice.ok(&["backup", "create"]);
    let mut machine = alice.another_machine();
    let words = alice.recovery_file();
    let words = words.to_str().expect("a UTF-8 path");
    machine.ok(&["backup", "restore", "alice", "--recovery-file", words, "--yes"]);
    machine.unlock();
    assert_eq!(bodies(&machine.json(&["search", "keepsake"])), ["keepsake"]);
    assert_eq!(bodies(&machine.json(&["search", "version"])), ["second version"]);
    assert_eq!(machine.json(&["search", "first"]), Vec::<Value>::new());
}

#[test]
fn a_part_of_a_log_is_read_by_places_and_times() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.unlock();
    client::room("general", &[&alice]);
    for text in ["one", "two", "three"] {
        send(&alice, "general", &[text]);
    }
    let history = alice.json(&["history", "general"]);
    let place = |text: &str| {
        let line = history.iter().find(|line| line["body"] == text).expect("it is there");
        line["seq"].to_string()
    };
    let (first, second, third) = (place("one"), place("two"), place("three"));
    for (arguments, expected) in [
        (&["--from-seq", &first, "--to-seq", &second][..], &["one", "two"][..]),
        (&["--from-seq", &second], &["two", "three"]),
        (&["--from-seq", &first, "--before", &third], &["one", "two"]),
        (&["--from-seq", &first, "--limit", "1"], &["three"]),
        (&["--from-seq", &third, "--to-seq", &first], &[]),
        (&["--from-seq", &first, "--since", "1h"], &["one", "two", "three"]),
        (&["--since", "2999-01-01"], &[]),
        (&["--until", "2020-01-01T00:00:00Z"], &[]),
        (&["--from-seq", &first, "--until", "1h"], &[]),
    ] {
        let lines = alice.json(&[&["history", "general"], arguments].concat());
        assert_eq!(bodies(&lines), expected, "{arguments:?}");
        assert!(lines.iter().all(|line| history.contains(line)));
    }
    for arguments in [
        &["--since", "whenever"][..],
        &["--until", "2026"],
        &["--from-seq", "first"],
        &["--before", "3", "--to-seq", "3"],
    ] {
        alice.fails(2, &[&["history", "general"], arguments].concat());
    }
}

#[test]
fn a_log_is_written_down_for_its_owner_alone_and_nothing_in_it_is_markup() {
    let daemon = Daemon::start(Backend::Sqlite);
    let mut alice = Client::register(&daemon.url(), "alice");
    alice.unlock();
    client::room("general", &[&alice]);
    let hostile =
        "<img src=http://evil.example onerror=alert(1)> ![x](http://evil.example) \u{1b}[2J\u{202e}";
    send(&alice, "general", &[hostile]);
    send(&alice, "general", &["two\nlines & more"]);
    // More than one page of lines.
    let many: Vec<String> = (0..3).map(|number| format!("further {number}")).collect();
    for text in &many {
        send(&alice, "general", &[text]);
    }
    let history = alice.json(&["history", "general", "--limit", "1000"]);

    let file = alice.file("general.jsonl");
    let path = file.to_str().expect("a UTF-8 path");
    let told = alice.json(&["export", "general", "--output", path]);
    assert_eq!((&told[0]["done"], &told[0]["lines"]), (&"exported".into(), &json!(history.len())));
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let written = fs::read_to_string(&file).expect("UTF-8");
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines, history);
    assert_eq!(alice.ok(&["export", "general"]), written.lines().collect::<Vec<_>>());

    // Nothing is written over, nor through a link, unless it is said.
    alice.fails(6, &["export", "general", "--format", "html", "--output", path]);
    assert_eq!(fs::read_to_string(&file).expect("UTF-8"), written);
    let (link, aim) = (alice.file("link.html"), alice.file("aim"));
    fs::write(&aim, "precious").expect("a file");
    std::os::unix::fs::symlink(&aim, &link).expect("a link");
    let link = link.to_str().expect("a UTF-8 path");
    alice.fails(6, &["export", "general", "--output", link]);
    alice.ok(&["export", "general", "--format", "html", "--output", link, "--force"]);
    assert_eq!(fs::read_to_string(&aim).expect("UTF-8"), "precious");
    assert_eq!(fs::metadata(link).expect("a file").permissions().mode() & 0o777, 0o600);
    let html = fs::read_to_string(link).expect("UTF-8");
    assert!(html.contains("&lt;img src=http://evil.example onerror=alert(1)&gt;"), "{html}");
    assert!(html.contains("default-src 'none'") && html.contains("two\nlines &amp; more"), "{html}");
    for word in ["<img", "<script", "<link", "<a ", "src=\"", "href=\"", "url(", "\u{1b}", "\u{202e}"] {
        assert!(!html.contains(word), "{word:?} in {html}");
    }
    let markdown = alice.ok(&["export", "general", "--format", "markdown"]).join("\n");
    assert!(markdown.contains("\\<img src\\=http\\://evil\\.example"), "{markdown}");
    assert!(markdown.contains("two\\\nlines \\& more"), "{markdown}");
    assert!(!markdown.contains("![") && !markdown.contains('\u{1b}'), "{markdown}");

    alice.fails(5, &["export", "nowhere"]);
    alice.fails(2, &["export", "general", "--format", "pdf"]);
    alice.fails(2, &["export", "general", "--force"]);
    alice.fails(1, &["export", "general", "--output", "/no/such/directory/file"]);
    let left: Vec<_> = fs::read_dir(file.parent().expect("a directory"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name.contains(".part-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
