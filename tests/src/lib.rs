//! What the end-to-end tests stand on: the built programs as child processes, databases, a recording proxy, and a
//! reader of the workspace's own sources.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a harness fails a test by panicking, and says on standard error what it saw"
)]

pub mod certificate;
pub mod client;
pub mod cluster;
pub mod daemon;
pub mod database;
pub mod device;
pub mod faketime;
pub mod faults;
pub mod http;
pub mod ibm;
pub mod kme;
pub mod load;
pub mod operator;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod redis;
pub mod search;
pub mod small_disk;
pub mod source;
pub mod sqlcipher;
pub mod tls;

use std::path::PathBuf;

/// The workspace's root folder.
pub fn workspace_root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}
