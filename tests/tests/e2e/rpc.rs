//! Commands for programs: over standard input, over an engine that stays open, and beside what `listen` prints.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    sync::mpsc::{Receiver, channel},
};

use qchat_proto::wire::{
    frame::read_client_frame,
    pb::{self, client_frame::Body},
};
use qchat_tests::{
    client::{Client, room},
    daemon::Daemon,
    database::Backend,
    process::{DEADLINE, Process},
    proxy::{Action, Direction, Proxy},
};
use serde_json::{Value, json};

/// Calls a method and waits for its answer.
fn call(rpc: &mut Process, id: u64, method: &str, params: &Value) -> Value {
    rpc.tell(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
    rpc.wait_for(&format!("answer to {method}"), |line| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        (value["id"] == id).then_some(value)
    })
}

#[test]
fn a_program_sends_reads_and_is_told_of_messages() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let bob = Client::register(&daemon.url(), "bob");
    room("general", &[&alice, &bob]);
    let mut rpc = alice.start_to_be_told(&["rpc"]);

    let me = call(&mut rpc, 1, "whoami", &Value::Null);
    assert_eq!(me["result"]["results"][0]["name"], "alice");
    // What is sent in an order arrives in it, also when nobody waits for an answer in between.
    for (id, text) in [(2, "one"), (3, "-"), (4, "--three")] {
        let params = json!({ "room": "general", "text": text });
        rpc.tell(&json!({ "jsonrpc": "2.0", "id": id, "method": "send", "params": params }).to_string());
    }
    let sent = rpc.wait_for("the last answer", |line| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        (value["id"] == 4).then_some(value)
    });
    assert!(sent["result"]["results"][0]["seq"].is_u64(), "{sent}");
    assert_eq!(bob.bodies("general"), ["one", "-", "--three"]);

    let history = call(&mut rpc, 5, "history", &json!({ "room": "general", "limit": 2 }));
    let bodies: Vec<_> =
        history["result"]["results"].as_array().expect("lines").iter().map(|line| &line["body"]).collect();
    assert_eq!(bodies, ["-", "--three"]);

    assert!(call(&mut rpc, 6, "subscribe", &json!({ "rooms": ["general"] }))["result"].is_object());
    bob.ok(&["send", "general", "hello\u{1b}[2J"]);
    let told = rpc.wait_for("a notification", |line| {
        assert!(!line.contains('\u{1b}'));
        let value: Value = serde_json::from_str(line).expect("JSON");
        (value["method"] == "message" && value["params"]["sender"] == "bob").then_some(value)
    });
    assert_eq!(told["params"]["body"], "hello\u{1b}[2J");
    // Whoever subscribes again is told nothing again.
    assert!(call(&mut rpc, 20, "subscribe", &json!({}))["result"].is_object());
    bob.ok(&["send", "general", "and on"]);
    let told = rpc.wait_for("the next message", |line| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        (value["method"] == "message").then_some(value)
    });
    assert_eq!(told["params"]["body"], "and on");

    let table = [
        ("register", json!({ "name": "eve" }), -32601),
        ("send", json!({ "room": "general" }), -32002),
        ("send", json!({ "room": "general", "text": "x", "passphrase_file": "/x" }), -32602),
        ("send", json!({ "room": "nowhere", "text": "x" }), -32005),
        ("history", json!({ "room": "general", "limit": "many" }), -32602),
        ("delete", json!({ "room": "general", "all": true }), -32002),
    ];
    for (number, (method, params, code)) in (7..).zip(table) {
        let answer = call(&mut rpc, number, method, &params);
        assert_eq!(answer["error"]["code"], code, "{method}: {answer}");
    }
    // What is no text at all is answered like what is no JSON, and ends nothing.
    rpc.tell_bytes(b"\xff\n");
    rpc.wait_for("a complaint", |line| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        (value["error"]["code"] == -32700).then_some(())
    });
    assert!(call(&mut rpc, 21, "whoami", &Value::Null)["result"].is_object());
    // The end of the input is the end, once all is answered.
    drop(rpc.hang_up().expect_code(0));
}

#[test]
fn what_is_said_without_waiting_goes_together_and_arrives_in_its_order_though_connections_break() {
    const LINES: u64 = 40;
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Client::register(&proxy.url(), "alice");
    let bob = Client::register(&daemon.url(), "bob");
    room("general", &[&alice, &bob]);
    let before = proxy.frames().len();
    let mut published = 0;
    proxy.at_frames(move |direction, payload| {
        if publish(direction, payload).is_none() {
            return Action::Pass;
        }
        published += 1;
        match published {
            // In the middle of what goes together, and again while it is sent once more.
            5 | 30 => Action::CutBefore,
            12 => Action::CutAfter,
            _ => Action::Pass,
        }
    });
    let mut rpc = alice.start_to_be_told(&["rpc"]);
    for id in 1..=LINES {
        let params = json!({ "room": "general", "text": id.to_string() });
        rpc.tell(&json!({ "jsonrpc": "2.0", "id": id, "method": "send", "params": params }).to_string());
    }
    let mut seqs = vec![0; usize::try_from(LINES).expect("a few")];
    let mut answered = 0;
    rpc.wait_for("the last answer", |line| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let id = usize::try_from(value["id"].as_u64().expect("an answer")).expect("a few");
        seqs[id - 1] = value["result"]["results"][0]["seq"].as_u64().unwrap_or_else(|| panic!("{value}"));
        answered += 1;
        (answered == LINES).then_some(())
    });
    drop(rpc.hang_up().expect_code(0));
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
    let said: Vec<String> = (1..=LINES).map(|id| id.to_string()).collect();
    for reader in [&alice, &bob] {
        assert_eq!(reader.bodies("general"), said);
    }
    let frames = proxy.frames();
    let together = frames[before..].iter().filter_map(|frame| publish(frame.direction, &frame.payload));
    assert!(
        together.filter(|publish| !publish.after.is_empty()).count() > 4,
        "each waits for the one before"
    );
}

/// What a client publishes.
fn publish(direction: Direction, payload: &[u8]) -> Option<pb::Publish> {
    match (direction, read_client_frame(payload.to_vec().into())) {
        (Direction::ToDaemon, Ok(Body::Publish(publish))) => Some(publish),
        _ => None,
    }
}

#[test]
fn an_open_engine_carries_out_what_others_ask_until_it_is_locked() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    alice.ok(&["room", "create", "notes"]);
    let rpc = alice.start(&["rpc", "--socket"]);
    rpc.wait_until_it_says("listening on");
    let socket = alice.data_directory().join("alice/rpc.sock");
    assert_eq!(fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);

    // It need not open the profile: no passphrase is looked at.
    let sent = alice.run_with_passphrase("wrong", &["send", "notes", "first", "--json"]).expect_code(0);
    assert_eq!(sent.json()[0]["done"], "sent");
    let words = alice.run_with_passphrase("wrong", &["history", "notes"]).expect_code(0);
    assert!(words.lines.last().is_some_and(|line| line.ends_with("alice: first")), "{:?}", words.lines);
    let failed = alice.run_with_passphrase("wrong", &["send", "nowhere", "x"]).expect_code(5);
    assert!(failed.stderr.contains("nowhere"), "{}", failed.stderr);
    let input = alice.run_with_input(&["send", "notes", "-"], b"from a pipe\n").expect_code(0);
    assert_eq!(input.lines.len(), 1);
    assert_eq!(alice.bodies("notes"), ["first", "from a pipe"]);
    assert!(alice.fails(6, &["rpc", "--socket"]).contains("qchat lock"));

    alice.ok(&["lock"]);
    drop(rpc.finish().expect_code(0));
    assert!(!socket.exists());
    drop(alice.run_with_passphrase("wrong", &["send", "notes", "x"]).expect_code(4));
}

#[test]
fn an_engine_that_nobody_asks_for_anything_ends_though_somebody_listens() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let rpc = alice.start(&["rpc", "--socket", "--lock-after-idle", "1s"]);
    rpc.wait_until_it_says("listening on");
    let mut peer = UnixStream::connect(alice.data_directory().join("alice/rpc.sock")).expect("let in");
    writeln!(peer, r#"{{"jsonrpc":"2.0","id":1,"method":"subscribe"}}"#).expect("asked");
    let mut answer = String::new();
    BufReader::new(peer.try_clone().expect("a stream")).read_line(&mut answer).expect("an answer");
    assert!(answer.contains("result"), "{answer}");
    drop(rpc.finish().expect_code(0));
}

#[test]
fn an_engine_that_was_killed_is_in_nobodys_way() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    alice.ok(&["room", "create", "notes"]);
    let mut rpc = alice.start(&["rpc", "--socket"]);
    rpc.wait_until_it_says("listening on");
    rpc.kill();
    alice.ok(&["send", "notes", "on its own"]);
    let rpc = alice.start(&["rpc", "--socket"]);
    rpc.wait_until_it_says("listening on");
    drop(rpc.terminate().expect_code(0));
}

/// A web service that answers with these codes, one request after the other, and gives what it was sent.
fn service(codes: &'static [u16]) -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for code in codes {
            let (stream, _) = listener.accept().expect("a request");
            if sender.send(answer(stream, *code)).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}/hook?secret"), requests)
}

/// Head and body of a request that is answered with `code`.
fn answer(mut stream: TcpStream, code: u16) -> (String, Value) {
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if line.trim().is_empty() {
            break;
        }
        if let Some(size) = line.to_lowercase().strip_prefix("content-length:") {
            length = size.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    write!(stream, "HTTP/1.1 {code} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("written");
    (head, serde_json::from_slice(&body).expect("JSON"))
}

#[test]
fn a_command_and_a_web_service_are_told_of_the_messages_of_others() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let bob = Client::register(&daemon.url(), "bob");
    room("general", &[&alice, &bob]);
    let (url, requests) = service(&[503, 204, 404]);
    let kept = alice.file("kept");
    let keep = format!("tee -a {}", kept.to_str().expect("a UTF-8 path"));
    let mut command = alice.command(&["listen", "general", "--json", "--limit", "3", "--exec", &keep]);
    let listening = Process::start(command.env("QCHAT_WEBHOOK", &url));
    alice.ok(&["send", "general", "my own"]);
    bob.ok(&["send", "general", "$(touch hacked); `touch hacked`"]);
    let next = || requests.recv_timeout(DEADLINE).expect("a request");
    let (first, again) = (next(), next());
    assert_eq!(first.1["body"], "$(touch hacked); `touch hacked`", "not that of its own");
    assert_eq!(first.1, again.1, "a refusal that may pass is tried again");
    let key = |head: &str| {
        head.lines().find(|line| line.to_lowercase().starts_with("idempotency-key")).map(ToOwned::to_owned)
    };
    assert!(key(&first.0).is_some() && key(&first.0) == key(&again.0));
    bob.ok(&["send", "general", "second"]);
    assert_eq!(next().1["body"], "second");
    // One that does not pass is said, and does not count as done; the address is nobody's to read.
    let output = listening.finish().expect_code(8);
    assert!(output.stderr.contains("404") && !output.stderr.contains("secret"), "{}", output.stderr);
    let kept = fs::read_to_string(kept).expect("what the command has kept");
    let bodies: Vec<Value> =
        kept.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["body"].take()).collect();
    assert_eq!(bodies, ["$(touch hacked); `touch hacked`", "second"]);
    assert!(!Path::new(&alice.file("hacked")).exists());

    for (flag, value) in [("--webhook", "http://hooks.example.org/"), ("--exec", "'"), ("--exec", " ")] {
        drop(alice.fails(2, &["listen", flag, value]));
    }
}

#[test]
fn who_ends_listening_is_told_what_was_not_done() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Client::register(&daemon.url(), "alice");
    let bob = Client::register(&daemon.url(), "bob");
    room("general", &[&alice, &bob]);
    let (url, requests) = service(&[503]);
    let listening = alice.start(&["listen", "general", "--webhook", &url]);
    bob.ok(&["send", "general", "hello"]);
    requests.recv_timeout(DEADLINE).expect("a request");
    let output = listening.terminate().expect_code(8);
    assert!(output.stderr.contains("not tried again"), "{}", output.stderr);
}
