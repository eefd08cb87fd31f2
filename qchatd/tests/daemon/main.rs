//! The daemon through its public interfaces: REST, sockets, the command line; on both databases.
//!
//! The PostgreSQL half needs `QCHAT_TEST_POSTGRES_URL`, which contrib/test.sh sets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a step that fails is the failure of its test"
)]

mod accounts;
mod audit;
mod backup;
mod checkpoint;
mod cluster;
mod commands;
mod crash;
mod directory;
mod directory_story;
mod doors;
mod ephemeral;
mod farewell;
mod faults;
mod files;
mod join_requests;
mod key_packages;
mod limits;
mod links;
mod listeners;
mod metrics;
mod migrations;
mod nodes;
mod notify;
mod overflow;
mod plans;
mod pool;
mod postgres;
mod relay;
mod retention;
mod rooms_story;
mod seed;
mod sessions;
mod shutdown;
mod socket;
mod store;
mod story;
mod support;
mod tls;
mod trees;
