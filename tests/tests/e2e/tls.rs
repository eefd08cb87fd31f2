//! TLS between the built programs, and with others that can do less or show something else.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use qchat_tests::{
    certificate::{Authority, Pair, Time},
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    process::{DEADLINE, Output, Process},
    programs,
    tls::{Ability, HYBRID, Terminator, visit},
};
use rustls::{
    NamedGroup,
    crypto::aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;

const CLASSICAL: Ability = Ability { groups: &[X25519], versions: &[&TLS13] };
const OTHER_CURVE: Ability = Ability { groups: &[SECP256R1], versions: &[&TLS13] };
const BOTH: Ability = Ability { groups: &[X25519MLKEM768, X25519], versions: &[&TLS13] };
const OLD: Ability = Ability { groups: &[X25519], versions: &[&TLS12] };

/// `qchat server show` without a profile, with these roots.
fn ask(server: &str, roots: &Authority, more: &[&str]) -> Output {
    let client = Client::new(server, "nobody");
    let file = client.file("roots.pem");
    roots.write(&file);
    let arguments = [more, &["--json", "--timeout", "20", "server", "show"]].concat();
    Process::start(client.command(&arguments).env("SSL_CERT_FILE", file)).finish()
}

/// Waits until the daemon has logged this so often.
fn logged(daemon: &Daemon, words: &str, times: usize) {
    let until = Instant::now() + DEADLINE;
    while daemon.log().matches(words).count() < times {
        assert!(Instant::now() < until, "{words} is not in the log:\n{}", daemon.log());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn two_machines_need_a_certificate_that_the_daemon_makes_and_its_key() {
    let directory = TempDir::with_prefix("qchatd-").expect("a temporary directory");
    let qchatd = |arguments: &[&str]| {
        let mut command = Command::new(programs::qchatd());
        command.arg("--data-dir").arg(directory.path()).args(arguments);
        Process::start(&mut command).finish()
    };
    let made = qchatd(&["tls", "generate", "--json", "chat.example.org"]).expect_code(0).json().remove(0);
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    let (certificate, key_file, key) = (text("certificate"), text("key_file"), text("key"));
    let files = ["--tls-certificate", &certificate, "--tls-key", &key_file];
    assert_eq!(qchatd(&[&files[..], &["tls", "show"]].concat()).expect_code(0).lines, [key.as_str()]);
    let again = qchatd(&["tls", "generate"]).expect_code(2);
    assert!(again.stderr.contains("tls.key"), "a key in use is not written over: {}", again.stderr);

    let pair = Pair {
        certificate: fs::read_to_string(&certificate).expect("the certificate"),
        key: fs::read_to_string(&key_file).expect("the key"),
        name: key.parse().expect("a key's name"),
    };
    let daemon = Daemon::start_with_tls(Backend::Sqlite, &pair, &[]);
    assert!(daemon.log().contains(&key), "the key is logged at the start");
    // The key is said once, and kept in the profile.
    let [alice, bob] = ["alice", "bob"].map(|name| {
        let client = Client::new(&daemon.url(), name);
        let words = client.file("words");
        let words = words.to_str().expect("a UTF-8 path");
        client.ok(&["--server-key", &key, "register", name, "--recovery-file", words]);
        client
    });
    client::room("tea", &[&alice, &bob]);
    alice.ok(&["--key-exchange", "require", "send", "tea", "over TLS"]);
    assert_eq!(bob.bodies("tea"), ["over TLS"]);
    let shown = alice.json(&["server", "show"]).remove(0);
    assert_eq!(shown["tls"]["key_exchange"], "X25519MLKEM768", "{shown}");
    assert_eq!(
        (shown["tls"]["post_quantum"].as_bool(), shown["tls"]["key"].as_str()),
        (Some(true), Some(&*key))
    );
    let words = alice.ok(&["server", "show"]).join("\n");
    assert!(words.contains("X25519MLKEM768 (post-quantum)") && words.contains(&key), "{words}");
}

#[test]
fn a_certificate_counts_when_it_is_for_the_server_in_force_and_vouched_for() {
    let (ours, others) = (Authority::default(), Authority::default());
    for (what, pair, roots, says) in [
        ("a good one", ours.issue("localhost", Time::Now), &ours, None),
        ("another name", ours.issue("chat.example.org", Time::Now), &ours, Some("another name")),
        ("an old one", ours.issue("localhost", Time::Past), &ours, Some("expired")),
        ("an early one", ours.issue("localhost", Time::Future), &ours, Some("not valid yet")),
        ("of an unknown authority", ours.issue("localhost", Time::Now), &others, Some("nobody has signed")),
        ("of nobody", Pair::self_signed("localhost"), &ours, Some("nobody has signed")),
    ] {
        let daemon = Daemon::start_with_tls(Backend::Sqlite, &pair, &[]);
        let server = format!("https://localhost:{}", daemon.address().port());
        let output = ask(&server, roots, &[]);
        match says {
            None => assert_eq!(output.expect_code(0).json()[0]["tls"]["known_by"], "roots", "{what}"),
            Some(words) => {
                let said = output.expect_code(6).stderr;
                assert!(said.contains(words), "{what}: {said}");
                let key = pair.name.to_string();
                assert_eq!(
                    said.contains(&key),
                    words.contains("signed"),
                    "what is to be compared is shown: {said}"
                );
            }
        }
        // Known by its key, none of that matters; by another one, nothing helps.
        let key = pair.name.to_string();
        let known = ask(&server, roots, &["--server-key", &key]).expect_code(0).json();
        assert_eq!(known[0]["tls"]["known_by"], "key", "{what}");
        let wrong = Pair::self_signed("localhost").name.to_string();
        let said = ask(&server, roots, &["--server-key", &wrong]).expect_code(6).stderr;
        assert!(said.contains("another key") && said.contains(&key), "{what}: {said}");
    }
}

#[test]
fn a_server_whose_key_has_changed_is_told_nothing_until_the_new_one_is_taken() {
    let (before, after) = (Pair::self_signed("localhost"), Pair::self_signed("localhost"));
    let mut daemon = Daemon::start_with_tls(Backend::Sqlite, &before, &[]);
    let alice = Client::new(&daemon.url(), "alice");
    let words = alice.file("words");
    let words = words.to_str().expect("a UTF-8 path");
    alice.ok(&["--server-key", &before.name.to_string(), "register", "alice", "--recovery-file", words]);
    alice.ok(&["room", "create", "tea"]);
    daemon.kill();
    after.write(daemon.directory());
    daemon.restart();
    let said = alice.fails(6, &["--timeout", "20", "send", "tea", "to whom?"]);
    assert!(said.contains("another key") && said.contains(&after.name.to_string()), "{said}");
    assert!(said.contains("qchat login --server-key"), "the remedy is said: {said}");

    alice.ok(&["--server-key", &after.name.to_string(), "login"]);
    alice.ok(&["send", "tea", "to you"]);
    assert_eq!(alice.bodies("tea"), ["to whom?", "to you"], "what was written meanwhile has waited");
}

#[test]
fn the_daemon_agrees_on_keys_by_the_hybrid_alone_unless_told_otherwise() {
    let pair = Pair::self_signed("localhost");
    for (how, classical) in [("require", false), ("prefer", true)] {
        let daemon = Daemon::start_with_tls(Backend::Sqlite, &pair, &[("QCHATD_TLS_KEY_EXCHANGE", how)]);
        let visit = |ability| visit(daemon.address(), ability);
        let groups = |ability| visit(ability).map(|visit| visit.group).ok();
        assert_eq!(groups(HYBRID), Some(NamedGroup::X25519MLKEM768), "{how}");
        assert_eq!(groups(CLASSICAL), classical.then_some(NamedGroup::X25519), "{how}");
        assert_eq!(groups(OTHER_CURVE), None, "{how}");
        assert_eq!(groups(OLD), None, "{how}: TLS 1.2");
        // Who offers both, the hybrid first, gets that.
        assert_eq!(groups(BOTH), Some(NamedGroup::X25519MLKEM768), "{how}");
        let head = visit(HYBRID).expect("a connection").get("/health/live").to_lowercase();
        assert!(
            head.starts_with("http/1.1 200") && head.contains("strict-transport-security: max-age="),
            "{head}"
        );
        assert!(!daemon.get("/health/live").contains("HTTP/1.1"), "plain http gets no answer");
    }
}

#[test]
fn the_client_says_when_a_server_is_not_post_quantum_and_refuses_what_is_older() {
    let (authority, daemon) = (Authority::default(), Daemon::start(Backend::Sqlite));
    let pair = authority.issue("localhost", Time::Now);
    let require = &["--key-exchange", "require"][..];
    for (ability, more, expected) in [
        (HYBRID, require, Ok("X25519MLKEM768")),
        (CLASSICAL, &[], Ok("X25519")),
        (CLASSICAL, require, Err("does not speak X25519MLKEM768")),
        (OTHER_CURVE, &[], Err("neither X25519MLKEM768 nor X25519")),
        (OLD, &[], Err("does not speak TLS 1.3")),
    ] {
        let server = Terminator::start(&pair, ability, daemon.address());
        let output = ask(&format!("https://localhost:{}", server.address().port()), &authority, more);
        match expected {
            Ok(group) => {
                let shown = output.expect_code(0).json().remove(0);
                assert_eq!(shown["tls"]["key_exchange"], group);
                assert_eq!(shown["tls"]["post_quantum"], group == "X25519MLKEM768");
            }
            Err(words) => {
                let said = output.expect_code(6).stderr;
                assert!(said.contains(words), "{said}");
            }
        }
    }
    // No TLS at all: there is no way back to http.
    let said = ask(&format!("https://localhost:{}", daemon.address().port()), &authority, &[]).expect_code(6);
    assert!(said.stderr.contains("does not speak TLS"), "{}", said.stderr);
}

#[test]
fn a_new_certificate_is_taken_while_connections_live_on() {
    let (first, second) = (Pair::self_signed("localhost"), Pair::self_signed("localhost"));
    let daemon = Daemon::start_with_tls(Backend::Sqlite, &first, &[]);
    let shown = || visit(daemon.address(), HYBRID).expect("a connection").key;
    let [alice, bob] = ["alice", "bob"].map(|name| {
        let client = Client::new(&daemon.url(), name);
        let words = client.file("words");
        let words = words.to_str().expect("a UTF-8 path");
        client.ok(&["--server-key", &first.name.to_string(), "register", name, "--recovery-file", words]);
        client
    });
    client::room("tea", &[&alice, &bob]);
    alice.ok(&["send", "tea", "before"]);
    // It knows the daemon by its first key: were its connection cut, it would hear no more.
    let listening = bob.listen("tea");
    let hear = |words: &str| listening.wait_for(words, |line| line.contains(words).then_some(()));
    hear("before");

    second.write(daemon.directory());
    daemon.reload();
    logged(&daemon, "was read again", 1);
    assert_eq!(shown(), second.name);
    alice.ok(&["--server-key", &second.name.to_string(), "login"]);
    alice.ok(&["send", "tea", "after"]);
    hear("after");
    assert!(!listening.stderr().contains("offline"), "{}", listening.stderr());

    for (certificate, key) in [("nonsense", &second.key), (&*second.certificate, &first.key)] {
        fs::write(daemon.directory().join("tls.crt"), certificate).expect("a file");
        fs::write(daemon.directory().join("tls.key"), key).expect("a file");
        let told = daemon.log().matches("stays in force").count();
        daemon.reload();
        logged(&daemon, "stays in force", told + 1);
        assert_eq!(shown(), second.name, "a bad certificate changes nothing");
    }
    alice.ok(&["send", "tea", "at last"]);
    hear("at last");
}

#[test]
fn half_a_handshake_is_cut_off_and_costs_nobody_else() {
    let pair = Pair::self_signed("localhost");
    let daemon = Daemon::start_with_tls(
        Backend::Sqlite,
        &pair,
        &[("QCHATD_TLS_HANDSHAKE_SECONDS", "1"), ("QCHATD_MAX_CONNECTIONS", "3")],
    );
    // The head of a record that announces a ClientHello, and no more; and what is no TLS at all.
    for beginning in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stalled: Vec<TcpStream> = (0..2)
            .map(|_| {
                let mut stream = TcpStream::connect(daemon.address()).expect("a connection");
                stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
                stream.write_all(beginning).expect("a few bytes");
                stream
            })
            .collect();
        assert!(visit(daemon.address(), HYBRID).is_ok(), "the third place is free");
        for stream in &mut stalled {
            let mut rest = Vec::new();
            // An alert may come, and a reset is as good as an end; waiting until the deadline is neither.
            let ended = stream.read_to_end(&mut rest);
            assert!(
                !ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
                "never cut off"
            );
        }
        // Their places are free again.
        let visits: Vec<_> = (0..3).map(|_| visit(daemon.address(), HYBRID)).collect();
        assert!(visits.iter().all(Result::is_ok));
    }
}

#[test]
fn certificate_and_key_are_checked_before_anything_starts() {
    let directory = TempDir::with_prefix("qchatd-").expect("a temporary directory");
    let pair = Pair::self_signed("localhost");
    let [certificate, key] = pair.write(directory.path()).map(|path| path.display().to_string());
    let other = directory.path().join("other.key");
    fs::write(&other, Pair::self_signed("localhost").key).expect("a key");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).expect("its mode");
    let open = directory.path().join("open.key");
    fs::write(&open, &pair.key).expect("a key");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o640)).expect("its mode");
    let (other, open) = (other.display().to_string(), open.display().to_string());
    for (files, code, words) in [
        (&["--tls-certificate", &certificate][..], 2, "tls_key"),
        (&["--tls-key", &key], 2, "tls_certificate"),
        (&["--tls-certificate", "/nowhere/tls.crt", "--tls-key", &key], 2, "/nowhere/tls.crt"),
        (&["--tls-certificate", &key, "--tls-key", &key], 2, "no certificate"),
        (&["--tls-certificate", &certificate, "--tls-key", &certificate], 6, "chmod 600"),
        (&["--tls-certificate", &certificate, "--tls-key", &other], 2, "cannot be used"),
        (&["--tls-certificate", &certificate, "--tls-key", &open], 6, "chmod 600"),
    ] {
        for command in ["serve", "check"] {
            let mut program = Command::new(programs::qchatd());
            program.arg("--data-dir").arg(directory.path().join("data")).args(files).arg(command);
            let output = Process::start(&mut program).finish().expect_code(code);
            assert!(output.stderr.contains(words), "{files:?}: {}", output.stderr);
            assert!(!output.stderr.contains("PRIVATE KEY"), "{}", output.stderr);
        }
    }

    // With a certificate the daemon is not bound to this machine.
    let address_file = directory.path().join("address");
    let mut program = Command::new(programs::qchatd());
    program.arg("--data-dir").arg(directory.path().join("data")).args(["--listen", "0.0.0.0:0"]);
    program.args(["--tls-certificate", &certificate, "--tls-key", &key, "--address-file"]).arg(&address_file);
    let mut serving = Process::start(program.arg("serve"));
    let until = Instant::now() + DEADLINE;
    let address: SocketAddr = loop {
        assert!(serving.is_running() && Instant::now() < until, "{}", serving.stderr());
        match fs::read_to_string(&address_file).map(|text| text.trim().parse()) {
            Ok(Ok(address)) => break address,
            _ => thread::sleep(Duration::from_millis(5)),
        }
    };
    assert_eq!(
        visit((Ipv4Addr::LOCALHOST, address.port()).into(), HYBRID).map(|visit| visit.key),
        Ok(pair.name)
    );
}
