//! Where the daemon listens: Unix sockets, and sockets that the service manager has opened.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::Path,
    process::Stdio,
    time::Duration,
};

use futures_util::future::try_join_all;
use qchatd::server::{Daemon, StartError};

use crate::support::{Database, Device, Program, Server, Socket, program};

const REQUEST: &[u8] = b"GET /v1/server HTTP/1.1\r\nHost: qchat\r\nConnection: close\r\n\r\n";

/// What a request gets over any stream.
fn answer(mut stream: impl Read + Write) -> String {
    stream.write_all(REQUEST).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn answer_at(path: &Path) -> String {
    let path = path.to_owned();
    answer(UnixStream::connect(path).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_waits_at_the_door_and_is_not_turned_away() {
    let database = Database::sqlite();
    let config = database.config(&[("max_connections", "1")]);
    let server = Server::start_with(database, config).await;
    let crowd = (0..500).map(|_| tokio::net::TcpStream::connect(server.address()));
    let came = tokio::time::timeout(Duration::from_mins(1), try_join_all(crowd)).await;
    assert_eq!(came.expect("nobody is turned away").unwrap().len(), 500);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_reaches_the_daemon_by_a_unix_socket_of_the_mode_asked_for() {
    let database = Database::sqlite();
    let path = database.dir.path().join("qchatd.sock");
    let listen = format!("127.0.0.1:0, unix:{}", path.display());
    let settings = [("listen", listen.as_str()), ("listen_mode", "600")];
    // What a killed daemon leaves behind: a socket that nobody listens on.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let config = database.config(&settings);
    let server = Server::start_with(database, config.clone()).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let there = path.clone();
    let answered = tokio::task::spawn_blocking(move || answer_at(&there)).await.unwrap();
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    // The other address is served as well.
    let alice = Device::register(&server, "alice").await;
    Socket::connect(&alice).await;

    // One that listens is not pushed aside.
    match Daemon::start(config).await {
        Err(StartError::Listen(..)) => {}
        other => panic!("{:?}", other.err()),
    }
    let there = path.clone();
    let answered = tokio::task::spawn_blocking(move || answer_at(&there)).await.unwrap();
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");

    let database = server.stop().await;
    assert!(!path.exists());
    // Nor is a file that is no socket.
    fs::write(&path, "mine").unwrap();
    match Daemon::start(database.config(&settings)).await {
        Err(StartError::Listen(..)) => {}
        other => panic!("{:?}", other.err()),
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_of_the_service_manager_are_taken_instead_of_the_address() {
    let database = Database::sqlite();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let path = database.dir.path().join("passed.sock");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    // Connections that come before the daemon wait in the socket.
    let early = TcpStream::connect(&address).unwrap();
    let script = "exec 3<&0 4<&9 </dev/null; export LISTEN_FDS=2 LISTEN_PID=$$";
    // The shell is given the one as its standard input, and opens the other by the path that Linux has for it.
    let held = format!("exec 9<&1 >&2; {script}");
    let mut program = Program::start_passing(
        &database,
        &held,
        Stdio::from(OwnedFd::from(listener)),
        Stdio::from(OwnedFd::from(unix)),
    )
    .await;
    assert_eq!(program.address, address);
    for answered in [
        tokio::task::spawn_blocking(move || answer(early)).await.unwrap(),
        tokio::task::spawn_blocking(move || answer_at(&path)).await.unwrap(),
    ] {
        assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    }
    program.terminate();
    assert_eq!(program.ended().await, Some(0));
}

#[tokio::test]
async fn sockets_passed_to_another_process_and_what_is_no_listener_are_not_taken() {
    let database = Database::sqlite();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let script = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=1";
    let stdin = Stdio::from(OwnedFd::from(listener));
    let program = Program::start_with(&database, script, stdin, &[]).await;
    assert_ne!(program.address, address);

    let output =
        program::run_in_shell(&database, "exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$", &["serve"]);
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{says}");
    assert!(says.contains("the sockets that the service manager has passed"), "{says}");
}
