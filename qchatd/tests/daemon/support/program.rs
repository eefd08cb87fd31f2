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
    let mut command = Command::new(env!("CARGO_BIN_EXE_qchatd"));
    command
        .env("QCHATD_DATABASE", &database.url)
        .env("QCHATD_DATA_DIR", database.dir.path())
        .env("QCHATD_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(database: &Database, args: &[&str]) -> Output {
    command(database).args(args).output().unwrap()
}

impl Program {
    /// Starts it, with all that it can log going to `log` in the directory of the database; returns when it is ready.
    pub(crate) async fn start(database: &Database) -> Self {
        Self::start_with(database, &[]).await
    }

    /// As [`start`](Self::start), with more settings in its environment.
    pub(crate) async fn start_with(database: &Database, settings: &[(&str, &str)]) -> Self {
        let file = database.dir.path().join("address");
        drop(fs::remove_file(&file));
        let child = command(database)
            .envs(settings.iter().copied())
            .args(["serve", "--log", "trace", "--log-format", "json", "--address-file"])
            .arg(&file)
            .stderr(File::create(database.dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut address = String::new();
        eventually("the daemon is ready", async || {
            fs::read_to_string(&file).unwrap_or_default().trim().clone_into(&mut address);
            !address.is_empty()
        })
        .await;
        Self { child, address }
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
