//! A PostgreSQL of a test's own, gone with the test.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use tempfile::TempDir;

/// A server that offers TLS with a certificate for 127.0.0.1, and takes plain connections too.
pub(crate) struct Postgres(TempDir);

impl Postgres {
    pub(crate) fn start() -> Self {
        // The server's user has to be able to walk there.
        let dir = tempfile::Builder::new().prefix("qchat-test.").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        script("start", dir.path());
        Self(dir)
    }

    /// The URL of a database of it, by a user that makes others.
    pub(crate) fn url(&self) -> String {
        fs::read_to_string(self.0.path().join("url")).unwrap().trim().to_owned()
    }

    /// The certificate of who signed its own.
    pub(crate) fn root(&self) -> String {
        self.0.path().join("root.crt").display().to_string()
    }

    /// The certificate of who did not.
    pub(crate) fn other(&self) -> String {
        self.0.path().join("other.crt").display().to_string()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        script("stop", self.0.path());
    }
}

fn script(action: &str, dir: &Path) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/postgres.sh");
    let output = Command::new(path).arg(action).arg(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
