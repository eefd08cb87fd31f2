//! The qchat daemon: orders, keeps and delivers envelopes that it cannot read.
//!
//! Dependencies point one way: `server` → `http`, `socket` → `service` → `store`; committed envelopes go through
//! `bus`, which reads those of other nodes from the `store`, to the `hub`, which feeds the sockets.

pub mod blobs;
pub mod bus;
mod cli;
mod command;
pub mod config;
pub mod drain;
mod error;
mod frame;
mod harden;
pub mod http;
pub mod hub;
pub mod limits;
mod logging;
pub mod meters;
pub mod peer;
mod queue;
pub mod server;
pub mod service;
pub mod socket;
pub mod store;
pub mod tls;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

/// Runs the command line; the exit codes stand in its help.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match cli::Cli::try_parse_from(args) {
        Ok(cli) => match command::run(&cli) {
            Ok(code) => code,
            Err(error) => {
                error.print();
                error.exit_code()
            }
        },
        Err(error) => {
            // Also help and version, which exit with 0. Nothing is left to do when the terminal is gone.
            drop(error.print());
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}
