//! The built program, on a database of a test.

use std::{
    fs::{self, File},
    process::{Child, Command, Output, Stdio},
};

use super::{Database, eventually};

/// A daemon in a process of its own, killed when dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: String,
}

/// The program with the settings of a database; the URL, which may hold a password, stands in no argument list.
fn command(database: &Database) -> Command {
    command_of(database, Command::new(env!("CARGO_BIN_EXE_qchatd")))
}

fn command_of(database: &Database, mut command: Command) -> Command {
    command
        .env("QCHATD_DATABASE", &database.url)
        .env("QCHATD_DATA_DIR", database.dir.path())
        .env("QCHATD_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null());
    command
}

/// As [`command`], after what a shell does in its place.
fn in_shell(database: &Database, script: &str) -> Command {
    let mut command = command_of(database, Command::new("/bin/sh"));
    command.arg("-c").arg(format!("{script}\nexec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_qchatd"));
    command
}

/// Runs a command to its end, after what a shell does in its place.
pub(crate) fn run_in_shell(database: &Database, script: &str, args: &[&str]) -> Output {
    in_shell(database, script).args(args).output().unwrap()
}

/// Runs a command to its end.
pub(crate) fn run(database: &Database, args: &[&str]) -> Output {
    command(database).args(args).output().unwrap()
}

impl Program {
    /// Starts it, with all that it can log going to `log` in the directory of the database; returns when it is ready.
    pub(crate) async fn start(database: &Database) -> Self {
        Self::start_with(database, "", Stdio::null(), &[]).await
    }

    /// As [`Program::start`], with more in its environment, and after what a shell does in its place.
    pub(crate) async fn start_with(
        database: &Database,
        script: &str,
        stdin: Stdio,
        environment: &[(&str, &str)],
    ) -> Self {
        Self::begin(database, script, environment, |command| command.stdin(stdin)).await
    }

    /// As [`Program::start_with`], with a descriptor as standard input and one as standard output.
    pub(crate) async fn start_passing(
        database: &Database,
        script: &str,
        stdin: Stdio,
        stdout: Stdio,
    ) -> Self {
        Self::begin(database, script, &[], |command| command.stdin(stdin).stdout(stdout)).await
    }

    async fn begin(
        database: &Database,
        script: &str,
        environment: &[(&str, &str)],
        streams: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let file = database.dir.path().join("address");
        drop(fs::remove_file(&file));
        let mut command = in_shell(database, script);
        command
            .args(["serve", "--log", "trace", "--log-format", "json", "--address-file"])
            .arg(&file)
            .envs(environment.iter().copied())
            .stderr(File::create(database.dir.path().join("log")).unwrap());
        let child = streams(&mut command).spawn().unwrap();
        let mut address = String::new();
        eventually("the daemon is ready", async || {
            fs::read_to_string(&file)
                .unwrap_or_default()
                .lines()
                .next()
                .unwrap_or("")
                .clone_into(&mut address);
            !address.is_empty()
        })
        .await;
        Self { child, address }
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; gives the exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let mut ended = None;
        eventually("the daemon ends", async || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        ended.and_then(|status| status.code())
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it has logged.
    pub(crate) fn log(database: &Database) -> String {
        String::from_utf8_lossy(&fs::read(database.dir.path().join("log")).unwrap()).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
