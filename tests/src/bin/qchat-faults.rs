//! The fault harness's program; all of it is in the library, where tests reach it.
#![expect(clippy::print_stderr, reason = "a program says what failed")]

use std::process::ExitCode;

use clap::Parser as _;
use qchat_tests::faults::arguments::Arguments;

fn main() -> ExitCode {
    match Arguments::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
