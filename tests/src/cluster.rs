//! Several daemons behind HAProxy, with PostgreSQL and Redis, as contrib/cluster.sh runs them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{database::PostgresDatabase, programs, workspace_root};

/// A running cluster with a database of its own; it ends with its owner.
pub struct Cluster {
    directory: TempDir,
    database: PostgresDatabase,
}

impl Cluster {
    /// Starts it, and waits until all nodes are ready.
    pub fn start(nodes: usize) -> Self {
        let directory = TempDir::with_prefix("qchat-cluster-").expect("a temporary directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).expect("permissions");
        let cluster = Self { directory, database: PostgresDatabase::create() };
        cluster.script("start", &[&nodes.to_string()]);
        cluster
    }

    /// The URL that clients are given: that of HAProxy.
    pub fn url(&self) -> String {
        format!("http://{}", self.read("address").trim())
    }

    /// Ends a node as a power cut would. Nodes are counted from 1.
    pub fn kill(&self, node: usize) {
        self.script("kill", &[&node.to_string()]);
    }

    /// Lets a node drain, or finds it killed, and starts it again.
    pub fn restart(&self, node: usize) {
        self.script("restart", &[&node.to_string()]);
    }

    /// Ends Redis as a power cut would.
    pub fn kill_redis(&self) {
        self.script("kill", &["redis"]);
    }

    /// Starts Redis again, empty.
    pub fn restart_redis(&self) {
        self.script("restart", &["redis"]);
    }

    /// The folder with a folder for each program of it, in which `pid` is its process.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What a node has logged.
    pub fn log(&self, node: usize) -> String {
        self.read(&format!("node-{node}/log"))
    }

    fn read(&self, name: &str) -> String {
        let path = self.directory.path().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn script(&self, action: &str, arguments: &[&str]) {
        let output = self.command(action, self.directory.path()).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("contrib/cluster.sh: {error}"));
        assert!(
            output.status.success(),
            "contrib/cluster.sh {action}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn command(&self, action: &str, directory: &Path) -> Command {
        let mut command = Command::new(workspace_root().join("contrib/cluster.sh"));
        command
            .env("QCHATD", programs::qchatd())
            .env("QCHATD_DATABASE", self.database.url())
            .stdin(Stdio::null())
            .arg(action)
            .arg(directory);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Best effort: the test has failed already when this does.
        drop(self.command("stop", self.directory.path()).output());
    }
}
