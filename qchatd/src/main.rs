//! The daemon's program; all of it is in the library, so that tests can start it in process.

use std::process::ExitCode;

/// Envelopes are received on one thread, stored on another and let go on a third. glibc's allocator keeps what it gets
/// back that way: under load the daemon grew to 1 GB where it holds 50 MB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    qchatd::run(std::env::args_os())
}
