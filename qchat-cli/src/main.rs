//! The program `qchat`.

use std::process::ExitCode;

fn main() -> ExitCode {
    qchat_cli::cli::run(std::env::args_os())
}
