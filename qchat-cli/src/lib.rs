//! The client `qchat` as a library: the binary is `main.rs`, tests and other programs use what is listed here.

mod child;
pub mod cli;
pub mod config;
mod desktop;
pub mod engine;
mod expiry;
mod local;
pub mod net;
mod qr;
pub mod quantum;
pub mod query;
mod sound;
pub mod store;
pub mod tui;
pub mod vault;
pub mod zone;
