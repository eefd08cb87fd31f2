//! The program `qchat`.

use std::process::ExitCode;

use qchat_cli as _;

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
