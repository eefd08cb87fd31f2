//! Load on a daemon, from outside: many cheap connections on one thread, their clocks, and the check that the relay's
//! promise was kept. `qchat-load` is the program; what checks is of use to whoever breaks a daemon on purpose, too.

pub mod account;
pub mod arguments;
pub mod checker;
pub mod engines;
pub mod envelope;
pub mod frames;
pub mod idle;
pub mod links;
pub mod live;
pub mod measure;
pub mod pages;
pub mod resume;
pub mod rooms;
mod wire;
