//! Where the built programs are: beside the test that runs.

use std::{env, path::PathBuf};

/// The daemon.
pub fn qchatd() -> PathBuf {
    built("qchatd")
}

/// The client.
pub fn qchat() -> PathBuf {
    built("qchat")
}

/// Finds a program of this workspace in the folder that cargo put this test's own program into.
fn built(name: &str) -> PathBuf {
    let own = env::current_exe().expect("a test knows its own path");
    // target/debug/deps/e2e-0123 or, for an example, target/debug/examples/…
    let found = own.ancestors().skip(1).take(3).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not built beside {}: run `cargo build -p qchatd -p qchat-cli` first", own.display())
    })
}
