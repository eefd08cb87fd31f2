//! The daemon's program; all of it is in the library, so that tests can start it in process.

use std::process::ExitCode;

fn main() -> ExitCode {
    qchatd::run(std::env::args_os())
}
