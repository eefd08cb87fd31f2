//! What the service manager is told, seen on its socket.

use std::{os::unix::net::UnixDatagram, process::Stdio, time::Duration};

use crate::support::{Database, Program, exchange, get};

/// The next message's lines.
fn told(socket: &UnixDatagram) -> Vec<String> {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).expect("a message within a minute");
    String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned).collect()
}

fn wait_for(socket: &UnixDatagram, line: &str) -> Vec<String> {
    loop {
        let lines = told(socket);
        if lines.iter().any(|said| said == line) {
            return lines;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_is_told_ready_alive_and_stopping() {
    let database = Database::sqlite();
    let path = database.dir.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let mut program = Program::start_with(&database, "", Stdio::null(), &environment).await;
    let ready = told(&manager);
    assert_eq!(ready, ["READY=1", "STATUS=ready"]);
    // Who is told that it is ready can come at once.
    assert!(
        exchange(program.address.parse().unwrap(), &get("/health/ready")).await.starts_with("HTTP/1.1 200 ")
    );
    for _ in 0..3 {
        let alive = wait_for(&manager, "WATCHDOG=1");
        assert!(alive.iter().any(|line| line.starts_with("STATUS=0 connected")), "{alive:?}");
    }
    program.terminate();
    wait_for(&manager, "STOPPING=1");
    assert_eq!(program.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watchdog_of_another_process_is_left_alone() {
    let database = Database::sqlite();
    let path = database.dir.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let environment =
        [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")];
    let program = Program::start_with(&database, "", Stdio::null(), &environment).await;
    wait_for(&manager, "READY=1");
    let status = told(&manager);
    program.terminate();
    for lines in [status, wait_for(&manager, "STOPPING=1")] {
        assert!(lines.iter().all(|line| line != "WATCHDOG=1"), "{lines:?}");
    }
}
