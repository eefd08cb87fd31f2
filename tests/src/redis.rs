//! A Redis of one's own, that ends with its owner.

use std::{
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{daemon::free_address, process::DEADLINE};

/// A running `redis-server`.
pub struct Redis {
    _directory: TempDir,
    address: SocketAddr,
    child: Child,
}

impl Redis {
    /// Starts it on this machine alone, and waits until it listens.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub fn start() -> Result<Self> {
        let (directory, address) = (TempDir::with_prefix("qchat-redis-")?, free_address());
        let child = Command::new("redis-server")
            .args(["--save", "", "--appendonly", "no", "--bind", &address.ip().to_string()])
            .args(["--port", &address.port().to_string(), "--dir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server: apt-get install redis-server")?;
        let redis = Self { _directory: directory, address, child };
        let until = Instant::now() + DEADLINE;
        while TcpStream::connect(address).is_err() {
            ensure!(Instant::now() < until, "Redis does not listen on {address}");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(redis)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
