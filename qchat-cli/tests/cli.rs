//! The program's face, told without a daemon: help, usage, settings, errors, and where each of them is printed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// The program in an environment of its own, with a directory that is its home.
fn qchat(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qchat"));
    command.env_clear().env("HOME", home).env("COLUMNS", "100").args(arguments).stdin(Stdio::null());
    // Where a program that counts its covered lines puts its counts.
    command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
    command
}

fn run(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    qchat(home.path(), arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_of_every_command() {
    let commands: [&[&str]; 80] = [
        &[],
        &["register"],
        &["recovery", "confirm"],
        &["recovery", "check"],
        &["login"],
        &["logout"],
        &["whoami"],
        &["account"],
        &["account", "activity"],
        &["account", "password"],
        &["account", "export"],
        &["account", "delete"],
        &["unlock"],
        &["lock"],
        &["room"],
        &["room", "create"],
        &["room", "list"],
        &["room", "show"],
        &["room", "invite"],
        &["room", "join"],
        &["room", "remove"],
        &["room", "leave"],
        &["room", "update-keys"],
        &["room", "expire"],
        &["room", "mark"],
        &["room", "link"],
        &["room", "link", "create"],
        &["room", "link", "list"],
        &["room", "link", "show"],
        &["room", "link", "revoke"],
        &["room", "request"],
        &["room", "request", "list"],
        &["room", "request", "accept"],
        &["room", "request", "decline"],
        &["room", "psk"],
        &["room", "psk", "add"],
        &["room", "psk", "accept"],
        &["room", "psk", "status"],
        &["room", "psk", "drop"],
        &["send"],
        &["edit"],
        &["react"],
        &["pin"],
        &["unpin"],
        &["poll", "create"],
        &["poll", "vote"],
        &["poll", "close"],
        &["outbox"],
        &["outbox", "list"],
        &["outbox", "drop"],
        &["draft"],
        &["listen"],
        &["rpc"],
        &["history"],
        &["search"],
        &["export"],
        &["file", "get"],
        &["file", "thumbnail"],
        &["file", "play"],
        &["file", "list"],
        &["file", "delete"],
        &["unread"],
        &["presence"],
        &["typing"],
        &["block"],
        &["delete"],
        &["verify"],
        &["device"],
        &["device", "link"],
        &["device", "approve"],
        &["device", "list"],
        &["device", "revoke"],
        &["keys", "show"],
        &["keys", "rotate"],
        &["profile", "set"],
        &["config"],
        &["config", "show"],
        &["config", "path"],
        &["completions"],
        &["man"],
    ];
    let mut transcript = String::new();
    for command in commands {
        let output = run(&[command, &["--help"]].concat());
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{command:?}");
        let help = stdout(&output);
        // Options of every command are printed once, with the program itself.
        let own =
            if command.is_empty() { &help } else { help.split("Options of every command:").next().unwrap() };
        transcript.extend(["$ qchat ", &command.join(" "), " --help\n", own.trim_end(), "\n\n"]);
    }
    insta::assert_snapshot!("help", transcript);
}

#[test]
fn misuse_is_told_on_standard_error_with_exit_code_2() {
    let long_name = "x".repeat(129);
    for (arguments, words) in [
        (&["no-such-command"][..], "no-such-command"),
        (&["send"], "<ROOM>"),
        (&["send", "general", ""], "empty"),
        (&["send", "general", "x", "--voice"], "--file"),
        (&["send", "general", "--file", "/"], "no regular file"),
        (&["send", "general", "x", "--duration", "3s"], "--record"),
        (&["send", "general", "--record", "--file", "/"], "cannot be used with"),
        (&["send", "general", "--record", "--recorder", "a 'b"], "recorder names no command"),
        (&["send", "general", "--file", "/", "--at", "1h"], "cannot be used with"),
        (&["file", "get", "general"], "<ID>"),
        (&["send", "general", "--file", "/no/such/file"], "/no/such/file"),
        (&["room"], "Usage"),
        (&["room", "create", ""], "name"),
        (&["room", "create", &long_name], "1 to 128 bytes"),
        (&["room", "invite", "general"], "<USER>"),
        (&["room", "invite", "general", "Bob!"], "user name"),
        (&["history", "general", "--limit", "many"], "many"),
        (&["history", "general", "--before", "first"], "first"),
        (&["history", "general", "--since", "whenever"], "2026-01-31"),
        (&["search", "form:alice"], "from:USER"),
        (&["search"], "nothing to look for"),
        (&["search", "tea", "--limit", "1001"], "1..=1000"),
        (&["export", "general", "--force"], "--output"),
        (&["register", "Not A Name"], "user name"),
        (&["register", "alice"], "--server"),
        (&["--server", "http://chat.example.org", "whoami"], "say https"),
        (&["--server", "http://192.0.2.1:8080", "whoami"], "say https"),
        (&["--server", "ftp://127.0.0.1", "whoami"], "only https"),
        (&["--server", "not a url", "whoami"], "https://chat.example.org:8470"),
        (&["--server-key", "sha256:1234", "whoami"], "64 hexadecimal digits"),
        (&["--key-exchange", "classical", "whoami"], "require"),
        (&["server", "show"], "--server"),
        (&["--accept-invites", "some", "whoami"], "verified"),
        (&["--server", "https://alice:secret@chat.example.org", "whoami"], "no user or password"),
        (&["--profile", "../other", "whoami"], "profile"),
        (&["--timeout", "0", "whoami"], "above 0"),
        (&["--timeout", "soon", "whoami"], "above 0"),
        (&["--timeout=-1h", "whoami"], "above 0"),
        (&["unlock", "--for", "a while"], "15m"),
        (&["unlock", "--for", "1mo"], "15m"),
        (&["unlock", "--for", "31d"], "30 days"),
        (&["--quiet", "--verbose", "whoami"], "cannot be used with"),
        (&["--config", "/no/such/file", "whoami"], "/no/such/file"),
        (&[], "terminal"),
    ] {
        let output = run(arguments);
        let said = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{arguments:?}: {said}");
        assert!(said.contains(words) && !said.contains("panicked"), "{arguments:?}: {said}");

        let output = run(&[arguments, &["--json"]].concat());
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{arguments:?} --json");
        let error: Value = serde_json::from_str(&stderr(&output)).unwrap();
        assert_eq!(
            (error["v"].as_u64(), error["error"]["exit"].as_u64(), error["error"]["code"].as_str()),
            (Some(1), Some(2), Some("usage")),
            "{error}"
        );
        assert!(error["error"]["message"].as_str().unwrap().contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn a_profile_that_is_not_there_is_exit_code_4_and_says_how_to_make_one() {
    for arguments in [
        &["whoami"][..],
        &["login"],
        &["logout"],
        &["unlock"],
        &["room", "list"],
        &["send", "general", "hello"],
        &["listen"],
        &["history", "general"],
        &["search", "tea"],
        &["export", "general"],
        &["device", "approve"],
        &["device", "list"],
        &["device", "revoke", "laptop"],
        &["keys", "show"],
    ] {
        let output = run(&[&["--no-input", "--profile", "work"], arguments].concat());
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(4), ""), "{arguments:?}");
        assert!(stderr(&output).contains("qchat register NAME"), "{}", stderr(&output));
        let output = run(&[&["--no-input", "--json"], arguments].concat());
        let error: Value = serde_json::from_str(&stderr(&output)).unwrap();
        assert_eq!(error["error"]["code"], "auth", "{error}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is_opened() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("text");
    for (content, words) in [
        (vec![b'x'; 10_000_000], "at most 32768 bytes"),
        (vec![b'x'; 32 * 1024 + 1], "32769 bytes"),
        (vec![0xff, 0xfe], "UTF-8"),
        (b"\n".to_vec(), "empty"),
        (Vec::new(), "empty"),
    ] {
        fs::write(&file, content).unwrap();
        for arguments in [&["send", "general", "-"][..], &["send", "general"]] {
            let mut command = qchat(home.path(), arguments);
            let output =
                command.current_dir(home.path()).stdin(fs::File::open(&file).unwrap()).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
            assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
        }
    }
}

/// The name of a server's key.
const KEY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn flags_come_before_environment_before_file_before_defaults() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("settings.toml");
    let content = format!(
        "profile = \"from-file\"\ntimeout = 7.5\nno_input = true\nserver = \"http://127.0.0.1:7\"\n\
         server_key = \"{KEY}\"\nkey_exchange = \"require\"\naccept_invites = \"all\"\n\
         update_after_messages = 20\nupdate_after = \"8h\"\nbackup_interval = \"12h\"\n\
         vault_memory = 512\n\
         theme = \"contrast\"\nlanguage = \"de\"\ngraphics = \"sixel\"\nnotifications = \"hidden\"\nnotifier = \"desktop\"\nbell = true\n\
         etsi014 = \"https://kme.example\"\nsae = \"alice-sae\"\nsae_key = \"/k\"\n"
    );
    fs::write(&file, content).unwrap();
    let show = |environment: &[(&str, &str)], flags: &[&str]| -> Value {
        let mut command = qchat(home.path(), &["config", "show", "--json"]);
        let output = command.envs(environment.iter().copied()).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        serde_json::from_str(&stdout(&output)).unwrap()
    };
    let named = [("QCHAT_CONFIG", file.to_str().unwrap())];
    let with_profile =
        [named[0], ("QCHAT_PROFILE", "from-env"), ("QCHAT_NO_INPUT", "0"), ("QCHAT_TIMEOUT", "3")];
    for (environment, flags, key, value) in [
        (&[][..], &[][..], "profile", Value::from("default")),
        (&[], &[], "timeout", Value::from(30.0)),
        (&[], &[], "server", Value::Null),
        (&[], &[], "server_key", Value::Null),
        (&[], &[], "key_exchange", Value::from("prefer")),
        (&named, &[], "server_key", Value::from(KEY)),
        (&named, &[], "key_exchange", Value::from("require")),
        (&named, &["--server-key", "roots", "--key-exchange", "prefer"], "server_key", Value::from("roots")),
        (&[("QCHAT_KEY_EXCHANGE", "require")], &[], "key_exchange", Value::from("require")),
        (&[("QCHAT_SERVER_KEY", KEY)], &[], "server_key", Value::from(KEY)),
        (&[], &[], "accept_invites", Value::from("ask")),
        (&named, &[], "accept_invites", Value::from("all")),
        (&named, &["--accept-invites", "verified"], "accept_invites", Value::from("verified")),
        (&[], &[], "update_after_messages", Value::from(100)),
        (&[], &[], "update_after", Value::from(86_400)),
        (&named, &[], "update_after_messages", Value::from(20)),
        (&named, &[], "update_after", Value::from(28_800)),
        (&named, &["--update-after-messages", "1"], "update_after_messages", Value::from(1)),
        (&[("QCHAT_UPDATE_AFTER", "1m")], &[], "update_after", Value::from(60)),
        (&[], &[], "etsi014", Value::Null),
        (&named, &[], "etsi014", Value::from("https://kme.example")),
        (&named, &[], "sae_key", Value::from("/k")),
        (&named, &["--sae", "other"], "sae", Value::from("other")),
        (&[("QCHAT_PEER_SAE", "bob-sae")], &[], "peer_sae", Value::from("bob-sae")),
        (&[], &[], "receipts", Value::from("off")),
        (&named, &["--receipts", "on"], "receipts", Value::from("on")),
        (&[], &[], "thumbnails", Value::from("on")),
        (&[("QCHAT_PLAYER", "mpv -")], &["--player", "play -"], "player", Value::from("play -")),
        (&[("QCHAT_RECORDER", "rec -")], &[], "recorder", Value::from("rec -")),
        (&[], &[], "recorder", Value::Null),
        (&[("QCHAT_THUMBNAILS", "off")], &[], "thumbnails", Value::from("off")),
        (&[("QCHAT_THUMBNAILS", "off")], &["--thumbnails", "on"], "thumbnails", Value::from("on")),
        (&[], &[], "theme", Value::from("auto")),
        (&named, &[], "theme", Value::from("contrast")),
        (&named, &["--theme", "light"], "theme", Value::from("light")),
        (&[("QCHAT_KEYMAP", "vim")], &[], "keymap", Value::from("vim")),
        (&[], &[], "language", Value::from("auto")),
        (&named, &[], "language", Value::from("de")),
        (&named, &["--language", "en"], "language", Value::from("en")),
        (&[("QCHAT_LANGUAGE", "he")], &[], "language", Value::from("he")),
        (&[], &[], "graphics", Value::from("auto")),
        (&named, &[], "graphics", Value::from("sixel")),
        (&named, &["--graphics", "none"], "graphics", Value::from("none")),
        (&[("QCHAT_GRAPHICS", "kitty")], &[], "graphics", Value::from("kitty")),
        (&named, &[], "notifications", Value::from("hidden")),
        (&named, &["--notifications", "off"], "notifications", Value::from("off")),
        (&[], &[], "notifier", Value::from("terminal")),
        (&named, &[], "notifier", Value::from("desktop")),
        (&[("QCHAT_NOTIFIER", "desktop")], &["--notifier", "terminal"], "notifier", Value::from("terminal")),
        (&named, &[], "bell", Value::from(true)),
        (&[], &[], "vault_memory", Value::from(256)),
        (&named, &[], "vault_memory", Value::from(512)),
        (&named, &["--vault-memory", "1024"], "vault_memory", Value::from(1024)),
        (&[("QCHAT_VAULT_MEMORY", "64")], &[], "vault_memory", Value::from(64)),
        (&[], &[], "backup_interval", Value::Null),
        (&named, &[], "backup_interval", Value::from(43200.0)),
        (&named, &["--backup-interval", "off"], "backup_interval", Value::Null),
        (&[], &[], "no_input", Value::from(false)),
        (&named, &[], "profile", Value::from("from-file")),
        (&named, &[], "timeout", Value::from(7.5)),
        (&named, &[], "no_input", Value::from(true)),
        (&named, &[], "server", Value::from("http://127.0.0.1:7/")),
        (&with_profile, &[], "profile", Value::from("from-env")),
        (&with_profile, &[], "timeout", Value::from(3.0)),
        (&with_profile, &["--profile", "from-flag"], "profile", Value::from("from-flag")),
        (&with_profile, &["--timeout", "1"], "timeout", Value::from(1.0)),
        (&[], &["--timeout", "90s"], "timeout", Value::from(90.0)),
        (&[], &["--timeout", "1h 30m"], "timeout", Value::from(5400.0)),
        (&[("QCHAT_TIMEOUT", "1d")], &[], "timeout", Value::from(86400.0)),
        (&[("QCHAT_JSON", "1")], &[], "json", Value::from(true)),
        (&[("QCHAT_PASSPHRASE_FILE", "/p")], &[], "passphrase_file", Value::from("/p")),
    ] {
        let settings = show(environment, flags);
        assert_eq!(settings[key], value, "{environment:?} {flags:?}: {settings}");
    }

    for (content, words) in [
        ("no_such_key = 1", "no_such_key"),
        ("timeout = \"soon\"", "timeout"),
        ("server = \"http://a.example\"", "say https"),
        ("server_key = \"1234\"", "server_key"),
        ("key_exchange = \"classical\"", "key_exchange"),
        ("accept_invites = \"some\"", "accept_invites"),
        ("update_after_messages = 101", "update_after_messages"),
        ("update_after_messages = 0", "never heal"),
        ("update_after = \"25h\"", "update_after"),
        ("update_after = \"59s\"", "never heal"),
        ("backup_interval = \"1s\"", "backup_interval"),
        ("vault_memory = 63", "guessed too cheaply"),
        ("vault_memory = 1025", "vault_memory"),
        ("theme = \"pink\"", "theme"),
        ("keymap = \"nano\"", "there are plain, vim and emacs"),
        ("language = \"klingon\"", "none of auto, en, de and he"),
        ("notifications = \"all\"", "notifications"),
    ] {
        fs::write(&file, content).unwrap();
        let output = qchat(home.path(), &["config", "show"]).envs(named).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{content}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{content}: {}", stderr(&output));
    }
    let path = stdout(&qchat(home.path(), &["config", "path"]).output().unwrap());
    assert!(path.trim_end().ends_with(".config/qchat/config.toml"), "{path}");
}

/// The pages in a directory that are this program's, by name.
fn pages(dir: &Path) -> BTreeMap<String, String> {
    let pages = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let own = pages.filter(|page| {
        let name = page.file_name().into_string().unwrap();
        ["qchat.", "qchat-"].iter().any(|own| name.starts_with(own))
    });
    own.map(|page| (page.file_name().into_string().unwrap(), fs::read_to_string(page.path()).unwrap()))
        .collect()
}

#[test]
fn the_manual_in_the_repository_is_the_one_that_the_program_writes() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["man", "--dir", dir.path().to_str().unwrap()]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let written = pages(dir.path());
    let kept = pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../man"));
    assert_eq!(
        kept.keys().collect::<Vec<_>>(),
        written.keys().collect::<Vec<_>>(),
        "write it anew: just man"
    );
    for (page, text) in &written {
        assert!(kept[page] == *text, "write {page} anew: just man");
    }
    assert!(written["qchat.1"] == stdout(&run(&["man"])));
    // What is hidden stays hidden.
    assert!(written.contains_key("qchat-room-update-keys.1") && !written.contains_key("qchat-agent.1"));
    assert!(!written["qchat.toml.5"].contains("QCHAT_CONFIG"));
}

#[test]
fn the_page_of_the_configuration_file_has_every_key_that_the_file_may_have() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("settings.toml");
    fs::write(&file, "no_such_key = 1").unwrap();
    let refused = qchat(home.path(), &["config", "show"]).env("QCHAT_CONFIG", &file).output().unwrap();
    let said = stderr(&refused);
    // The refusal names the keys that there are.
    // The screen's keys are a table, which no flag gives.
    let known: BTreeSet<&str> =
        said.split('`').skip(1).step_by(2).filter(|key| !["no_such_key", "keys"].contains(key)).collect();
    assert!(known.contains("accept_invites"), "{said}");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man/qchat.toml.5");
    let page = fs::read_to_string(kept).unwrap();
    let described: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("\\fB")?.split_once("\\fR = "))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(described, known);
    assert!(page.contains("[keys.everywhere]"));
    for key in known {
        assert!(page.contains(&format!("\\fBQCHAT_{}\\fR", key.to_uppercase())), "{key} in the environment");
    }
}

#[test]
fn a_manual_that_cannot_be_written_is_told() {
    let output = run(&["man", "--dir", "/proc/nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/proc/nowhere"), "{}", stderr(&output));
}

#[test]
fn a_reader_that_goes_away_ends_the_output_in_silence() {
    let home = tempfile::tempdir().unwrap();
    let mut child =
        qchat(home.path(), &["man"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
