//! Notifications that the desktop shows: a session bus of the test's own, and what shows them there.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};
use zbus::{blocking::connection, interface, zvariant::Value};

use crate::terminal::Terminal;

/// How long a notification may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// A session bus, which ends with the test.
struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    fn start() -> Self {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon, of Debian's package dbus, starts");
        let mut address = String::new();
        let said = daemon.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut address).expect("its address");
        Self { daemon, address: address.trim().to_owned() }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.daemon.kill().and_then(|()| self.daemon.wait()).expect("the bus ends");
    }
}

/// What shows notifications: title and text of each.
struct Shows(Sender<(String, String)>);

#[interface(name = "org.freedesktop.Notifications")]
impl Shows {
    #[expect(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "so the specification has it"
    )]
    fn notify(
        &self,
        app_name: &str,
        replaces_id: u32,
        app_icon: &str,
        summary: &str,
        body: &str,
        actions: Vec<String>,
        hints: HashMap<String, Value<'_>>,
        expire_timeout: i32,
    ) -> u32 {
        assert_eq!((app_name, replaces_id, app_icon, expire_timeout), ("qchat", 0, "", -1));
        assert!(actions.is_empty(), "{actions:?}, {hints:?}");
        self.0.send((summary.to_owned(), body.to_owned())).expect("the test waits");
        1
    }
}

#[test]
fn the_desktop_shows_notifications_and_where_there_is_none_that_is_said() {
    let bus = Bus::start();
    let (sender, shown) = channel();
    let _service = connection::Builder::address(bus.address.as_str())
        .and_then(|builder| builder.name("org.freedesktop.Notifications"))
        .and_then(|builder| builder.serve_at("/org/freedesktop/Notifications", Shows(sender)))
        .and_then(connection::Builder::build)
        .expect("the service is on the bus");
    let daemon = Daemon::start(Backend::Sqlite);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("harbour", &[&alice, &bob]);
    client::room("general", &[&alice, &bob]);
    let mut command = alice.command(&["--notifier", "desktop", "--notifications", "full"]);
    command.env("DBUS_SESSION_BUS_ADDRESS", &bus.address);
    let mut screen = Terminal::open(&command, 24, 80);
    screen.shows("online");
    bob.ok(&["send", "harbour", "tea & <b>cake</b>"]);
    let (title, text) = shown.recv_timeout(DEADLINE).expect("a notification");
    assert_eq!((title.as_str(), text.as_str()), ("harbour", "bob: tea &amp; &lt;b&gt;cake&lt;/b&gt;"));
    drop(bus);
    bob.ok(&["send", "harbour", "and now?"]);
    screen.shows("The desktop shows no notifications");
    screen.press("\u{11}");
    screen.ends_in_order();
}
