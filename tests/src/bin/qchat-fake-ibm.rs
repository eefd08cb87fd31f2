//! The stand-in for IBM Quantum as a program; all of it is in the library, where tests reach it.
#![expect(clippy::print_stderr, reason = "a program says what failed")]

use std::process::ExitCode;

use clap::Parser as _;
use qchat_tests::ibm::arguments::Arguments;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Arguments::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
