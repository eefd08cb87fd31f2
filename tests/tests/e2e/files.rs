//! Files between people: they arrive as they were sent, whatever is interrupted goes on, and neither a server nor a sender gets
//! anything past the reader.

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    on_both,
    process::{DEADLINE, Process},
};
use serde_json::{Value, json};

on_both!(people_exchange_files, a_transfer_goes_on_where_it_was_interrupted);

/// A sealed segment, bytes.
const PART: usize = 4_195_360;

/// Bytes of which no two stretches are alike.
fn content(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Two people in a room.
fn pair(daemon: &Daemon) -> [Client; 2] {
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    clients
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Sends a file; its id.
fn send(client: &Client, name: &str, bytes: &[u8]) -> String {
    fs::write(client.file(name), bytes).expect("a file");
    let sent = client.json(&["send", "general", "--file", text(&client.file(name))]);
    sent[0]["file_id"].as_str().expect("a file's id").to_owned()
}

/// The names in a directory, hidden ones included.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The objects that the daemon keeps of its files, with those of a file side by side.
fn objects(daemon: &Daemon) -> Vec<PathBuf> {
    let mut objects = vec![];
    for directory in fs::read_dir(daemon.data_directory().join("files")).into_iter().flatten().flatten() {
        let parts = fs::read_dir(directory.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        // What is not whole yet has another name.
        objects.extend(parts.filter(|path| !path.to_string_lossy().contains('#')));
    }
    let number = |path: &PathBuf| -> u64 {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.split('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
    };
    objects.sort_by_key(|path| (path.parent().map(Path::to_owned), number(path)));
    objects
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: never");
        thread::sleep(Duration::from_millis(2));
    }
}

fn people_exchange_files(backend: Backend) {
    let daemon = Daemon::start(backend);
    let [alice, bob] = &pair(&daemon);
    let target = bob.file("target");
    fs::create_dir(&target).expect("a directory");
    for (name, size) in [("notes.txt", 1234), ("empty", 0), ("large.bin", 2 * 4_194_304 + 99)] {
        let bytes = content(size);
        let id = send(alice, name, &bytes);
        let got = bob.json(&["file", "get", "general", &id, "-o", text(&target)]);
        assert_eq!((&got[0]["done"], &got[0]["size"]), (&"fetched".into(), &size.into()));
        assert_eq!(got[0]["path"], text(&target.canonicalize().expect("a path").join(name)));
        assert!(fs::read(target.join(name)).expect("the file") == bytes, "{name}");
        // By the beginning of its id, under another name, and to a pipe.
        bob.ok(&["file", "get", "general", &id[..8], "-o", text(&target.join("renamed"))]);
        assert!(fs::read(target.join("renamed")).expect("the file") == bytes, "{name}");
        fs::remove_file(target.join("renamed")).expect("it is there");
        let out = bob.command(&["file", "get", "general", &id, "-o", "-"]).output().expect("an output");
        assert!(out.status.success() && out.stdout == bytes, "{}", String::from_utf8_lossy(&out.stderr));
    }
    assert_eq!(names(&target), ["empty", "large.bin", "notes.txt"]);

    // What both are shown of it.
    let note = alice.file("hello.ogg");
    fs::write(&note, b"sound").expect("a file");
    let said = ["send", "general", "listen to this", "--file", text(&note), "--voice", "--duration", "12s"];
    let sent = &alice.json(&said)[0];
    let (file, message) = (&sent["file_id"], &sent["id"]);
    for reader in [alice, bob] {
        let shown = reader.json(&["history", "general", "--limit", "1"]);
        assert_eq!((&shown[0]["type"], &shown[0]["body"]), (&"file".into(), &"listen to this".into()));
        let said = &shown[0]["file"];
        assert_eq!((&said["file_id"], &shown[0]["id"]), (file, message));
        assert_eq!((&said["name"], &said["size"]), (&"hello.ogg".into(), &5.into()), "{said}");
        assert_eq!((&said["media_type"], &said["voice"]), (&"audio/ogg".into(), &true.into()), "{said}");
        assert_eq!(said["duration"].as_f64(), Some(12.0));
        let id = file.as_str().expect("an id");
        let line = reader.ok(&["history", "general", "--limit", "1"]).join("\n");
        let wanted = format!("alice: [voice note hello.ogg, 5 B, 12 s, {id}] listen to this");
        assert!(line.replace(" ✓", "").ends_with(&wanted), "{line}");
        let listed = reader.json(&["file", "list", "general"]);
        let listed: Vec<_> = listed.iter().map(|file| file["name"].as_str().unwrap_or_default()).collect();
        assert_eq!(listed, ["notes.txt", "empty", "large.bin", "hello.ogg"]);
    }
    // By the message's id as well.
    let id = message.as_str().expect("an id");
    bob.ok(&["file", "get", "general", id, "-o", text(&target)]);

    // Nothing is written over, nor through a link, unless it is said so.
    let id = file.as_str().expect("an id");
    for (name, said) in
        [("hello.ogg", "is there already"), ("link", "is there already"), ("dangling", "is there already")]
    {
        match name {
            "link" => symlink(bob.passphrase_file(), target.join(name)).expect("a link"),
            "dangling" => symlink("nowhere", target.join(name)).expect("a link"),
            _ => {}
        }
        let before = fs::read(target.join(name)).ok();
        let why = bob.fails(6, &["file", "get", "general", id, "-o", text(&target.join(name))]);
        assert!(why.contains(said), "{why}");
        assert_eq!(fs::read(target.join(name)).ok(), before, "{name}");
    }
    let passphrase = fs::read(bob.passphrase_file()).expect("a passphrase");
    bob.ok(&["file", "get", "general", id, "-o", text(&target.join("link")), "--force"]);
    assert_eq!(fs::read(target.join("link")).expect("the file"), b"sound");
    assert!(!target.join("link").is_symlink(), "the link gave way, not what it led to");
    assert_eq!(fs::read(bob.passphrase_file()).expect("a passphrase"), passphrase);

    // What is not there is not found; nobody but the sender deletes.
    for wanted in ["ffffffffffffffffffffffffffffffff", "../../x", ""] {
        bob.fails(5, &["file", "get", "general", wanted, "-o", text(&target)]);
    }
    bob.fails(6, &["file", "delete", "general", id]);
    alice.ok(&["file", "delete", "general", id]);
    let why = bob.fails(5, &["file", "get", "general", id, "-o", text(&target.join("late"))]);
    assert!(why.contains("does not have the file"), "{why}");
    bob.fails(2, &["file", "get", "general", "-o", "-"]);
}

/// A PNG of grey columns, with these parts beside its pixels.
fn png(width: u32, height: u32, parts: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let row = (0..width).map(|x| u8::try_from(x % 256).expect("a byte"));
    let pixels: Vec<u8> = (0..height).flat_map(|_| std::iter::once(0).chain(row.clone())).collect();
    // As deflate has what is not made smaller, between its header and its sum.
    let mut data = vec![0x78, 0x01];
    let mut blocks = pixels.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("it fits");
        data.push(u8::from(blocks.peek().is_none()));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        data.extend(block);
    }
    let sum = pixels.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    data.extend((sum.1 << 16 | sum.0).to_be_bytes());
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let first: &[(&[u8; 4], &[u8])] = &[(b"IHDR", &header)];
    for (name, content) in first.iter().chain(parts).chain(&[(b"IDAT", &data[..]), (b"IEND", &[])]) {
        bytes.extend(u32::try_from(content.len()).expect("it fits").to_be_bytes());
        let part = [&name[..], content].concat();
        let sum = !part.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)))
        });
        bytes.extend(part);
        bytes.extend(sum.to_be_bytes());
    }
    bytes
}

#[test]
fn a_picture_has_a_small_one_of_it_in_its_message_with_nothing_of_what_its_file_says() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = &pair(&daemon);
    let secret = b"Comment\0Hidden Lane 7".as_slice();
    let picture = png(700, 350, &[(b"tEXt", secret), (b"eXIf", b"II*\0\x08\0\0\0\0\0\0\0\0\0Hidden Lane 7")]);
    let id = send(alice, "yard.png", &picture);
    let shown = bob.json(&["history", "general", "--limit", "1"]).remove(0);
    let bytes = shown["file"]["thumbnail_size"].as_u64().expect("a thumbnail");
    assert!((1..=16 * 1024).contains(&bytes), "{bytes}");
    // The file need not be there any more.
    alice.ok(&["file", "delete", "general", &id]);
    let target = bob.file("target");
    fs::create_dir(&target).expect("a directory");
    let got = bob.json(&["file", "thumbnail", "general", &id, "-o", text(&target)]).remove(0);
    assert_eq!((&got["done"], &got["size"]), (&json!("fetched"), &json!(bytes)));
    assert_eq!(names(&target), ["yard.thumbnail.jpg"]);
    let path = target.join("yard.thumbnail.jpg");
    let thumbnail = fs::read(&path).expect("the thumbnail");
    assert_eq!(u64::try_from(thumbnail.len()), Ok(bytes));
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    assert!(thumbnail.starts_with(&[0xff, 0xd8, 0xff]), "it is a JPEG");
    for said in [b"Hidden".as_slice(), b"Exif", b"Comment", b"PNG"] {
        assert!(!thumbnail.windows(said.len()).any(|window| window == said));
    }
    let out = bob.command(&["file", "thumbnail", "general", &id, "-o", "-"]).output().expect("an output");
    assert!(out.status.success() && out.stdout == thumbnail);

    // Nothing is written over, nor through a link, unless it is said so.
    let link = target.join("link");
    symlink(bob.passphrase_file(), &link).expect("a link");
    let passphrase = fs::read(bob.passphrase_file()).expect("a passphrase");
    for place in [&target, &path, &link] {
        let why = bob.fails(6, &["file", "thumbnail", "general", &id, "-o", text(place)]);
        assert!(why.contains("is there already"), "{why}");
    }
    bob.ok(&["file", "thumbnail", "general", &id, "-o", text(&link), "--force"]);
    assert!(!link.is_symlink() && fs::read(&link).expect("a file") == thumbnail);
    assert_eq!(fs::read(bob.passphrase_file()).expect("a passphrase"), passphrase);
    assert_eq!(names(&target), ["link", "yard.thumbnail.jpg"]);

    // What is no picture, breaks, or is not to have one is sent without a word about it.
    let broken = &picture[..picture.len() / 2];
    for (name, bytes, more) in [
        ("notes.png", b"no picture".as_slice(), &[][..]),
        ("half.png", broken, &[]),
        ("empty.png", b"", &[]),
        ("yard.png", &picture, &["--thumbnails", "off"]),
    ] {
        fs::write(alice.file(name), bytes).expect("a file");
        let path = alice.file(name);
        let sent = alice.run(&[&["send", "general", "--json", "--file", text(&path)], more].concat());
        let sent = sent.expect_code(0);
        assert_eq!(sent.stderr, "", "{name}");
        let id = sent.json()[0]["file_id"].as_str().expect("an id").to_owned();
        let why = bob.fails(5, &["file", "thumbnail", "general", &id, "-o", text(&target)]);
        assert!(why.contains("no thumbnail"), "{name}: {why}");
        let shown = bob.json(&["history", "general", "--limit", "1"]).remove(0);
        assert!(shown["file"]["thumbnail_size"].is_null(), "{shown}");
    }
}

/// A program of a few lines of shell, in a directory of programs.
fn program(directory: &Path, name: &str, lines: &str) {
    fs::create_dir_all(directory).expect("a directory");
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\nhere=$(dirname \"$0\")\n{lines}\n")).expect("a program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("a program");
}

/// A command that finds these programs before others.
fn with_programs(client: &Client, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = client.interactive(arguments);
    command.env("PATH", format!("{}:/usr/bin:/bin", directory.display()));
    command
}

fn interrupt(process: &Process) {
    let told = Command::new("kill").args(["-INT", &process.id().to_string()]).status();
    assert!(told.expect("a status").success());
}

/// Whether a file below a directory has these bytes, but those of this name.
fn is_on_disk(directory: &Path, bytes: &[u8], but: &str) -> bool {
    fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_on_disk(&path, bytes, but);
        }
        let content = if path.is_file() { fs::read(&path).unwrap_or_default() } else { vec![] };
        entry.file_name() != but && content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn a_voice_note_is_recorded_and_played_by_programs_and_never_on_a_disk() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = &pair(&daemon);
    let (tools, none) = (alice.file("tools"), alice.file("none"));
    let seen = |name: &str| tools.join(name).exists();
    program(
        &tools,
        "ffmpeg",
        "trap 'printf end; : > \"$here/ended\"; exit 255' INT; printf Ogg''Spoken; sleep 0.05; : > \"$here/begun\"\n\
         while :; do sleep 0.01; done",
    );
    program(&tools, "mpv", "test \"$*\" = '--no-terminal --no-video -' && cat > \"$here/heard\"");
    let record = ["--json", "send", "general", "listen", "--record"];
    let count = || bob.json(&["file", "list", "general"]).len();

    // Until Enter, and until Ctrl+C.
    for by_enter in [true, false] {
        let mut process = Process::start_to_be_told(&mut with_programs(alice, &tools, &record));
        until("it is recorded", || seen("begun"));
        if by_enter {
            process.tell("");
        } else {
            interrupt(&process);
        }
        let sent = process.finish().expect_code(0).json().remove(0);
        fs::remove_file(tools.join("begun")).expect("it is there");
        let said = bob.json(&["history", "general", "--limit", "1"]).remove(0);
        assert_eq!((&said["id"], &said["body"]), (&sent["id"], &json!("listen")));
        let file = &said["file"];
        assert_eq!((&file["voice"], &file["media_type"]), (&json!(true), &json!("audio/ogg")), "{file}");
        assert_eq!((&file["name"], &file["size"]), (&json!("voice-note.ogg"), &json!(12)), "{file}");
        assert!(file["duration"].as_f64().unwrap_or_default() < 100.0, "{file}");
        let id = file["file_id"].as_str().expect("an id");
        let played = Process::start(&mut with_programs(bob, &tools, &["file", "play", "general", id]));
        let played = played.finish().expect_code(0);
        assert_eq!(played.lines, Vec::<String>::new());
        assert_eq!(fs::read(tools.join("heard")).expect("it was heard"), b"OggSpokenend");
        for client in [alice, bob] {
            assert!(!is_on_disk(&client.file(""), b"OggSpoken", "heard"));
        }
    }

    // Ctrl+C twice: the second comes before the recorder has ended.
    let before = count();
    program(
        &tools,
        "slow",
        "trap ': > \"$here/told\"; while [ ! -e \"$here/go\" ]; do sleep 0.01; done; exit' INT; printf OggS\n\
         : > \"$here/begun\"; while :; do sleep 0.01; done",
    );
    let slow = tools.join("slow");
    let process = alice.start(&[&record[..], &["--recorder", text(&slow)]].concat());
    until("it is recorded", || seen("begun"));
    interrupt(&process);
    until("it is told to end", || seen("told"));
    interrupt(&process);
    fs::write(tools.join("go"), "").expect("a file");
    assert!(process.finish().expect_code(1).stderr.contains("nothing was sent"));
    // Nothing comes of a recorder that records nothing, no sound, or is not there.
    for (recorder, words) in [
        ("true", "recorded nothing"),
        ("printf text", "no sound"),
        ("false", "failed"),
        ("/no/such/recorder", "cannot be started"),
    ] {
        let why = alice.fails(1, &[&record[..], &["--recorder", recorder]].concat());
        assert!(why.contains(words), "{recorder}: {why}");
    }
    let mut command = alice.command(&record);
    let out = Process::start(command.env("PATH", &none)).finish().expect_code(5);
    assert!(out.stderr.contains("no recorder was found"), "{}", out.stderr);
    assert_eq!(count(), before);

    // What is no sound is given to no player, unless it is wanted; and where there is none, that is said.
    let play = |id: &str, more: &[&str]| {
        fs::remove_file(tools.join("heard")).ok();
        let arguments = [&["file", "play", "general", id], more].concat();
        let out = Process::start(&mut with_programs(bob, &tools, &arguments)).finish();
        (out.code, out.stderr, fs::read(tools.join("heard")).ok())
    };
    let (list, note) = (send(alice, "list.ogg", b"#EXTM3U\n/etc/passwd"), send(alice, "a.txt", b"OggS"));
    for id in [&list, &note] {
        let (code, why, heard) = play(id, &[]);
        assert!(code == Some(6) && why.contains("no sound") && heard.is_none(), "{code:?} {why}");
    }
    assert_eq!(play(&note, &["--force"]).2.as_deref(), Some(b"OggS".as_slice()));
    let sound = send(alice, "a.ogg", b"OggS");
    assert_eq!(play(&sound, &["--player", "false"]).0, Some(1));
    let mut command = bob.command(&["file", "play", "general", &sound]);
    let out = Process::start(command.env("PATH", &none)).finish().expect_code(5);
    assert!(out.stderr.contains("no player was found"), "{}", out.stderr);

    // Who ends the command ends the player.
    program(&tools, "long", "echo $$ > \"$here/new\"; mv \"$here/new\" \"$here/pid\"; exec sleep 600");
    let long = tools.join("long");
    let playing = bob.start(&["file", "play", "general", &sound, "--player", text(&long)]);
    until("it plays", || seen("pid"));
    interrupt(&playing);
    let _ = playing.finish().expect_code(0);
    let pid = fs::read_to_string(tools.join("pid")).expect("a process");
    let at = PathBuf::from(format!("/proc/{}/cmdline", pid.trim()));
    until("the player ends", || fs::read(&at).map_or(true, |words| words.is_empty()));
}

/// Starts to send, and strikes once the daemon has this many parts.
fn sending(alice: &Client, daemon: &Daemon, path: &Path, parts: usize) -> Process {
    let process = alice.start(&["--timeout", "60", "send", "general", "--file", text(path), "--json"]);
    until("parts come", || objects(daemon).len() >= parts);
    process
}

fn a_transfer_goes_on_where_it_was_interrupted(backend: Backend) {
    const SEGMENTS: usize = 16;
    let mut daemon = Daemon::start(backend);
    let [alice, bob] = &pair(&daemon);
    let bytes = content(SEGMENTS * 4_194_304);
    let path = alice.file("large.bin");
    fs::write(&path, &bytes).expect("a file");

    // The daemon dies and comes back: who sends waits for it, and goes on.
    let process = sending(alice, &daemon, &path, 3);
    daemon.kill();
    let there = objects(&daemon);
    daemon.restart();
    let sent = process.finish().expect_code(0).json();
    let id = sent[0]["file_id"].as_str().expect("an id").to_owned();
    let first = &there[0];
    assert!(first.exists(), "what had come was not sent again");
    let target = bob.file("target");
    fs::create_dir(&target).expect("a directory");

    // The reader dies, and so does the daemon meanwhile.
    let get = ["--timeout", "60", "file", "get", "general", &id, "-o", text(&target)];
    let mut getting = bob.start(&get);
    until("bytes come", || {
        let hidden = names(&target);
        hidden.iter().any(|name| fs::metadata(target.join(name)).is_ok_and(|file| file.len() > 8_000_000))
    });
    getting.kill();
    let part = names(&target);
    assert!(part.len() == 1 && part[0].starts_with(".qchat-"), "{part:?}");
    let getting = bob.start(&get);
    daemon.kill();
    daemon.restart();
    let _ = getting.finish().expect_code(0);
    assert_eq!(names(&target), ["large.bin"]);
    assert!(fs::read(target.join("large.bin")).expect("the file") == bytes);

    // The sender dies: the same again goes on with the same file, and it is said once.
    alice.ok(&["file", "delete", "general", &id]);
    assert!(objects(&daemon).is_empty());
    let mut process = sending(alice, &daemon, &path, 2);
    until("it is noted how far it is", || objects(&daemon).len() >= SEGMENTS / 2 || !process.is_running());
    process.kill();
    let there = objects(&daemon);
    let sent = alice.json(&["send", "general", "--file", text(&path)]);
    let again = sent[0]["file_id"].as_str().expect("an id");
    assert!(objects(&daemon).iter().all(|object| object.to_string_lossy().contains(again)));
    assert!(there[0].to_string_lossy().contains(again), "the file that had begun is the one that was sent");
    assert_ne!(again, id, "a new file has another id");
    let listed = bob.json(&["file", "list", "general"]);
    assert_eq!(listed.len(), 2, "{listed:?}");
    bob.ok(&["file", "get", "general", again, "-o", text(&target), "--force"]);
    assert!(fs::read(target.join("large.bin")).expect("the file") == bytes);

    // One that was changed meanwhile is another file, sealed under another key.
    let mut process = sending(alice, &daemon, &path, SEGMENTS + 2);
    process.kill();
    let begun: Vec<_> =
        objects(&daemon).into_iter().filter(|part| !part.to_string_lossy().contains(again)).collect();
    let changed = content(SEGMENTS * 4_194_304 / 2);
    fs::write(&path, &changed).expect("a file");
    let sent = alice.json(&["send", "general", "--file", text(&path)]);
    let other = sent[0]["file_id"].as_str().expect("an id");
    assert!(!begun[0].to_string_lossy().contains(other), "not the one that had begun");
    assert!(!begun[0].exists(), "which is not kept");
    bob.ok(&["file", "get", "general", other, "-o", text(&target), "--force"]);
    assert!(fs::read(target.join("large.bin")).expect("the file") == changed);
}

/// What the server does to the parts of a file.
type Deed<'a> = Box<dyn Fn(&mut Vec<Vec<u8>>) + 'a>;

#[test]
fn what_a_server_does_to_a_file_is_refused_and_nothing_of_it_is_kept() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = &pair(&daemon);
    let size = 3 * 4_194_304;
    let id = send(alice, "genuine", &content(size));
    let other = send(alice, "other", &content(size).into_iter().rev().collect::<Vec<_>>());
    let of = |id: &str| -> Vec<PathBuf> {
        objects(&daemon).into_iter().filter(|part| part.to_string_lossy().contains(id)).collect()
    };
    let (parts, others) = (of(&id), of(&other));
    assert_eq!((parts.len(), others.len()), (3, 3));
    let genuine: Vec<_> = parts.iter().map(|part| fs::read(part).expect("a part")).collect();
    let foreign: Vec<_> = others.iter().map(|part| fs::read(part).expect("a part")).collect();
    assert_eq!(genuine[0].len(), PART);
    let target = bob.file("target");
    fs::create_dir(&target).expect("a directory");
    let deeds: [(&str, Deed<'_>); 5] = [
        ("a byte in the middle", Box::new(|all| all[1][2_000_000] ^= 1)),
        ("the last byte", Box::new(|all| *all[2].last_mut().expect("a byte") ^= 1)),
        ("two parts change places", Box::new(|all| all.swap(0, 1))),
        ("a part of another file", Box::new(|all| all[2].clone_from(&foreign[2]))),
        ("another file", Box::new(|all| all.clone_from(&foreign))),
    ];
    for (what, deed) in deeds {
        let mut all = genuine.clone();
        deed(&mut all);
        for (part, bytes) in parts.iter().zip(&all) {
            fs::write(part, bytes).expect("a part");
        }
        let why = bob.fails(6, &["file", "get", "general", &id, "-o", text(&target)]);
        assert!(why.contains("tampered"), "{what}: {why}");
        assert_eq!(names(&target), Vec::<String>::new(), "{what}");
        let out = bob.command(&["file", "get", "general", &id, "-o", "-"]).output().expect("an output");
        assert_eq!(out.status.code(), Some(6), "{what}");
        assert!(content(size).starts_with(&out.stdout), "{what}: nothing but what was sent gets out");
    }
    for (part, bytes) in parts.iter().zip(&genuine) {
        fs::write(part, bytes).expect("a part");
    }
    bob.ok(&["file", "get", "general", &id, "-o", text(&target)]);
}

#[test]
fn a_hostile_name_stays_in_its_directory_and_hides_nothing() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = &pair(&daemon);
    let cases: &[(&[u8], &str)] = &[
        (b"..\\..\\boot.ini", "_.._boot.ini"),
        (b".bashrc", "bashrc"),
        (b"-rf", "_rf"),
        (b"~", "_"),
        (b"CON.txt", "_CON.txt"),
        ("gpj\u{202e}exe.txt".as_bytes(), "gpj_u_202e_exe.txt"),
        (b"\x1b[2Jred", "_u_1b_[2Jred"),
        (b"two\nlines", "two_nlines"),
        (b"$(id)`id`", "_(id)_id_"),
        (b"not\xffutf8", "not\u{fffd}utf8"),
    ];
    for (number, (name, safe)) in cases.iter().enumerate() {
        let from = alice.file(&format!("from{number}"));
        fs::create_dir(&from).expect("a directory");
        let path = from.join(std::ffi::OsStr::from_bytes(name));
        fs::write(&path, name).expect("a file");
        let mut command = alice.command(&["--json", "send", "general", "--file"]);
        let out = command.arg(&path).output().expect("an output");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let sent: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        let id = sent["file_id"].as_str().expect("an id");
        // Where it is run is where it is put.
        let target = bob.file(&format!("target{number}"));
        fs::create_dir(&target).expect("a directory");
        let out =
            bob.command(&["file", "get", "general", id]).current_dir(&target).output().expect("an output");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(names(&target), [*safe], "{}", String::from_utf8_lossy(name));
        assert_eq!(fs::read(target.join(safe)).expect("the file"), *name);
    }
    let shown = [bob.ok(&["history", "general"]), bob.ok(&["file", "list", "general"])].concat().join("\n");
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{shown:?}");
}

#[test]
fn who_may_not_have_so_much_is_told_and_keeps_the_rest() {
    let daemon = Daemon::start_with(Backend::Sqlite, |_| {
        vec![("QCHATD_FILE_BYTES", "200000".to_owned()), ("QCHATD_ACCOUNT_FILE_BYTES", "250000".to_owned())]
    });
    let [alice, _] = &pair(&daemon);
    let path = alice.file("large");
    fs::write(&path, content(300_000)).expect("a file");
    let why = alice.fails(2, &["send", "general", "--file", text(&path)]);
    assert!(why.contains("200000 bytes at most"), "{why}");
    let id = send(alice, "one", &content(150_000));
    fs::write(&path, content(150_001)).expect("a file");
    let why = alice.fails(6, &["send", "general", "--file", text(&path)]);
    assert!(why.contains("file delete"), "{why}");
    assert_eq!(alice.json(&["file", "list", "general"]).len(), 1, "nothing is said of what is not there");
    alice.ok(&["file", "delete", "general", &id]);
    alice.ok(&["send", "general", "--file", text(&path)]);
}

#[test]
fn what_becomes_of_a_message_becomes_of_its_file() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = &pair(&daemon);
    let asked = alice.json(&["send", "general", "the plans?"]).remove(0);
    let path = bob.file("plans.bin");
    fs::write(&path, content(2 * 4_194_304)).expect("a file");
    let answered = asked["id"].as_str().expect("an id");
    let said = ["send", "general", "for @alice", "--file", text(&path), "--reply-to", answered];
    let sent = bob.json(&said).remove(0);
    let id = sent["id"].as_str().expect("an id");
    bob.ok(&["edit", "general", id, "for @alice, all of them"]);
    alice.ok(&["react", "general", id, "👍"]);
    alice.fails(6, &["edit", "general", id, "not mine"]);
    for reader in [alice, bob] {
        let shown = reader.json(&["history", "general", "--limit", "1"]).remove(0);
        assert_eq!((&shown["type"], &shown["id"], &shown["edits"]), (&json!("file"), &sent["id"], &json!(1)));
        let said = (&shown["body"], &shown["mentions"]);
        assert_eq!(said, (&json!("for @alice, all of them"), &json!(["alice"])));
        assert_eq!((&shown["reply_to"]["id"], &shown["file"]["name"]), (&asked["id"], &json!("plans.bin")));
        assert_eq!(shown["reactions"][0]["by"], json!(["alice"]));
    }

    // An attempt that cannot come to its end leaves what it has got.
    fs::remove_file(objects(&daemon).pop().expect("two parts")).expect("a part");
    let target = alice.file("target");
    fs::create_dir(&target).expect("a directory");
    let mut getting = alice.start(&["--timeout", "60", "file", "get", "general", id, "-o", text(&target)]);
    until("bytes come", || {
        let hidden = names(&target);
        hidden.iter().any(|name| fs::metadata(target.join(name)).is_ok_and(|file| file.len() > 0))
    });
    getting.kill();
    assert_eq!(names(&target).len(), 1);

    // With the message goes all that there is of its file.
    bob.ok(&["delete", "general", id]);
    assert!(objects(&daemon).is_empty(), "nobody has its key any more");
    let shown = alice.json(&["history", "general", "--limit", "1"]).remove(0);
    assert_eq!((&shown["type"], &shown["id"]), (&json!("deleted"), &sent["id"]));
    assert_eq!(names(&target), Vec::<String>::new());
    for person in [alice, bob] {
        person.fails(5, &["file", "get", "general", id, "-o", text(&target)]);
        assert!(person.json(&["file", "list", "general"]).is_empty());
    }

    // So it does where somebody else deletes it, and when its time is over; not where it is deleted on one device alone.
    let small = bob.file("small");
    fs::write(&small, b"small").expect("a file");
    let said = ["send", "general", "--file", text(&small), "--expire", "1s"];
    for said in [&said[..4], &said] {
        let sent = bob.json(said).remove(0);
        if said.len() == 4 {
            alice.ok(&["delete", "general", sent["id"].as_str().expect("an id")]);
        }
        until("its sender has it deleted", || {
            bob.ok(&["history", "general"]);
            objects(&daemon).is_empty()
        });
    }
    let sent = bob.json(&said[..4]).remove(0);
    bob.ok(&["delete", "general", sent["id"].as_str().expect("an id"), "--here"]);
    bob.ok(&["history", "general"]);
    let id = sent["file_id"].as_str().expect("an id");
    alice.ok(&["file", "get", "general", id, "-o", text(&target)]);
    // But when it is then deleted for everyone.
    alice.ok(&["delete", "general", sent["id"].as_str().expect("an id")]);
    until("its sender has it deleted all the same", || {
        bob.ok(&["history", "general"]);
        objects(&daemon).is_empty()
    });
}

#[test]
fn an_export_has_the_files_beside_it_and_links_them() {
    let daemon = Daemon::start(Backend::Sqlite);
    let [alice, bob] = &pair(&daemon);
    let whole = content(70_000);
    send(alice, "notes one.txt", &whole);
    let nasty = "page<b>&\"x.html";
    let gone = send(alice, nasty, b"<script>");
    send(alice, "same.txt", b"first");
    send(alice, "same.txt", b"second");
    let directory = bob.file("out");
    fs::create_dir(&directory).expect("a directory");
    let (page, files) = (directory.join("general.html"), directory.join("its files"));
    let arguments = [
        "export",
        "general",
        "--format",
        "html",
        "--output",
        text(&page),
        "--attachments",
        text(&files),
        "--force",
    ];
    let exported = bob.json(&arguments);
    assert_eq!(exported[0]["files"], 4);
    let html = fs::read_to_string(&page).expect("the page");
    let links: Vec<&str> = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links.len(), 4, "{html}");
    assert!(links.iter().all(|link| link.starts_with("./its%20files/") && !link.contains('<')), "{links:?}");
    assert!(!html.contains("<script>") && !html.contains("<b>&"), "{html}");
    let there = names(&files);
    assert_eq!(there.len(), 4, "{there:?}");
    let first = there.iter().find(|name| name.ends_with("-notes one.txt")).expect("the first");
    assert_eq!(fs::read(files.join(first)).ok(), Some(whole));
    let same: Vec<_> = there.iter().filter(|name| name.ends_with("-same.txt")).collect();
    assert_eq!(same.len(), 2);

    // A file of another room that is called the same, is as large and stands at the same place is not taken for it.
    client::room("other", &[alice, bob]);
    let another = vec![b'x'; 70_000];
    fs::write(alice.file("notes one.txt"), &another).expect("a file");
    alice.ok(&["send", "other", "--file", text(&alice.file("notes one.txt"))]);
    let twin = directory.join("other.jsonl");
    bob.ok(&["export", "other", "--output", text(&twin), "--attachments", text(&files)]);
    let seq = |room| bob.json(&["file", "list", room])[0]["seq"].to_string();
    assert_eq!(seq("general"), seq("other"));
    let seq = seq("other");
    let written = names(&files).into_iter().filter(|name| name.starts_with(&format!("{seq}-")));
    let written: Vec<_> = written.map(|name| fs::read(files.join(name)).expect("a file")).collect();
    assert_eq!(written.len(), 2);
    assert!(written.contains(&another), "what was sent there is there");

    // What is there is not fetched again; what the server has no more is said, and the rest is whole.
    alice.ok(&["file", "delete", "general", &gone]);
    assert_eq!(bob.json(&arguments)[0]["files"], 4);
    let lines = directory.join("general.jsonl");
    let elsewhere = directory.join("anew");
    let partial = bob.run(&[
        "export",
        "general",
        "--output",
        text(&lines),
        "--attachments",
        text(&elsewhere),
        "--json",
    ]);
    let partial = partial.expect_code(8);
    assert_eq!(partial.json()[0]["files"], 3);
    let objects = fs::read_to_string(&lines).expect("the lines");
    let paths = objects.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    assert_eq!(paths.filter(|line| line["file_path"].is_string()).count(), 3);
    bob.fails(2, &["export", "general", "--attachments", text(&elsewhere)]);
}
