//! The built `qchatd` as a child process, which tests may cut the power of and start again.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    certificate::Pair,
    database::{self, Backend, PostgresDatabase},
    process::DEADLINE,
    programs,
};

/// A running daemon with a database of its own.
pub struct Daemon {
    directory: TempDir,
    postgres: Option<PostgresDatabase>,
    address: SocketAddr,
    settings: Vec<(&'static str, String)>,
    /// What starts it, before its own name.
    program: Vec<String>,
    child: Option<Child>,
}

impl Daemon {
    /// Starts a daemon on a fresh database and waits until it is ready.
    pub fn start(backend: Backend) -> Self {
        Self::start_with(backend, |_| vec![])
    }

    /// Starts a daemon that speaks TLS with this certificate, and with these settings besides, by their variables.
    pub fn start_with_tls(backend: Backend, pair: &Pair, settings: &[(&'static str, &str)]) -> Self {
        Self::start_with(backend, |directory| {
            let [certificate, key] = pair.write(directory).map(|path| path.display().to_string());
            let files = [("QCHATD_TLS_CERTIFICATE", certificate), ("QCHATD_TLS_KEY", key)];
            let more = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
            files.into_iter().chain(more).collect()
        })
    }

    /// Starts a daemon with the settings that `choose` makes, given its folder.
    pub fn start_with(backend: Backend, choose: impl FnOnce(&Path) -> Vec<(&'static str, String)>) -> Self {
        Self::start_on((backend == Backend::Postgres).then(PostgresDatabase::create), choose)
    }

    /// The same on this database, or on SQLite. Settings count more than the database does: a daemon may be led to it by
    /// another way.
    pub fn start_on(
        postgres: Option<PostgresDatabase>,
        choose: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    ) -> Self {
        Self::begin(postgres, &[], free_address(), choose)
    }

    /// Starts a daemon on this address by another program, which becomes it: by one that changes its surroundings.
    pub fn start_within(
        program: &[&str],
        address: SocketAddr,
        choose: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    ) -> Self {
        Self::begin(None, program, address, choose)
    }

    fn begin(
        postgres: Option<PostgresDatabase>,
        program: &[&str],
        address: SocketAddr,
        choose: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    ) -> Self {
        let directory = TempDir::with_prefix("qchatd-").expect("a temporary directory");
        let settings = choose(directory.path());
        let program = program.iter().map(|word| (*word).to_owned()).collect();
        let mut daemon = Self { directory, postgres, address, settings, program, child: None };
        daemon.restart();
        daemon
    }

    /// Starts it again, after [`kill`](Self::kill) or [`stop`](Self::stop), on the same address and database.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the daemon still runs");
        let address_file = self.directory.path().join("address");
        drop(fs::remove_file(&address_file));
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let mut command = match self.program.split_first() {
            None => Command::new(programs::qchatd()),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(programs::qchatd());
                command
            }
        };
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(self.data_directory())
            .arg("--listen")
            .arg(self.address.to_string())
            .arg("--address-file")
            .arg(&address_file)
            // All that it would ever log, for the tests that search its log.
            .env("QCHATD_LOG", "qchatd=trace,info")
            // A URL with a password stands in no argument list.
            .envs(self.postgres.as_ref().map(|database| ("QCHATD_DATABASE", database.url())))
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        let mut child = command.spawn().expect("qchatd starts");
        let until = Instant::now() + DEADLINE;
        // The file appears when the daemon is ready: there is no other event to wait for from outside.
        while fs::read_to_string(&address_file).map_or(true, |text| text.trim().parse() != Ok(self.address)) {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("qchatd ended at its start with {status}\n{}", self.log());
            }
            if Instant::now() > until {
                drop(child.kill());
                panic!("qchatd was not ready in time\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.child = Some(child);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running daemon").id()
    }

    /// The URL that clients are given.
    pub fn url(&self) -> String {
        let tls = self.settings.iter().any(|(name, _)| *name == "QCHATD_TLS_CERTIFICATE");
        format!("{}://{}", if tls { "https" } else { "http" }, self.address)
    }

    /// Tells it to read its certificate again.
    pub fn reload(&self) {
        let sent = Command::new("kill").args(["-HUP", &self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot signal the daemon");
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a running daemon can be killed");
            child.wait().expect("a killed daemon ends");
        }
    }

    /// Asks it to end, and waits.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the daemon runs");
        let sent = Command::new("kill").arg(child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot signal the daemon");
        child.wait().expect("the daemon ends")
    }

    /// Whether its process still runs and it says that it is ready.
    pub fn is_ready(&mut self) -> bool {
        let running = self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        running && self.get("/health/ready").starts_with("HTTP/1.1 200")
    }

    /// A plain `GET`: the response with its head, or nothing when there is none.
    pub fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        let mut response = Vec::new();
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            drop(stream.set_read_timeout(Some(DEADLINE)));
            drop(stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut response)));
        }
        String::from_utf8_lossy(&response).into_owned()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read(self.log_path()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// The folder it keeps its files in.
    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The folder with its data, its log and its address file.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The PostgreSQL database, when it is on one.
    pub fn postgres(&self) -> Option<&PostgresDatabase> {
        self.postgres.as_ref()
    }

    /// Changes its database behind its back, as a malicious operator would.
    pub fn execute(&self, sql: &str) {
        match &self.postgres {
            Some(database) => database.execute(sql),
            None => database::execute_on_sqlite(&self.data_directory(), sql),
        }
    }

    /// Lets so many hours pass by the daemon's own count, in which nothing happens.
    pub fn age(&self, hours: u32) {
        self.execute(&format!(
            "WITH RECURSIVE passed (hour) AS (SELECT 1 UNION ALL SELECT hour + 1 FROM passed WHERE hour < {hours}) \
             INSERT INTO hours (id, noted_at, envelope, key_package) \
             SELECT hour + (SELECT coalesce(max(id), 0) FROM hours), 0, \
             (SELECT coalesce(max(id), 0) FROM envelopes), 0 FROM passed"
        ));
    }

    /// Has it delete what nobody needs; returns how many envelopes that were.
    pub fn sweep(&self) -> u64 {
        let output = Command::new(programs::qchatd())
            .args(["admin", "sweep", "--json", "--data-dir"])
            .arg(self.data_directory())
            .envs(self.postgres.as_ref().map(|database| ("QCHATD_DATABASE", database.url())))
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("qchatd runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        said["swept"]["envelopes"].as_u64().expect("a number of envelopes")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("qchatd.log")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("the end of qchatd's log:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// A loopback address that nobody listens on, outside the range that outgoing connections take their ports from: the
/// daemon must find it free again after a restart.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 15_000 + (std::process::id().wrapping_mul(61).wrapping_add(step)) % 15_000;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("below 30,000")));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
