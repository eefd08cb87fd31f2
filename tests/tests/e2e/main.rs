//! The built programs, end to end: each story is told on SQLite and on PostgreSQL where the database matters.
#![expect(clippy::expect_used, clippy::panic, reason = "a story that goes wrong ends its test")]

mod account;
mod agent;
mod backups;
mod completions;
mod conversation;
mod copies;
mod crashes;
mod daemon;
mod damage;
mod deletion;
mod devices;
mod directory;
mod frames;
mod hostile;
mod impostors;
mod links;
mod load;
mod mistakes;
mod partial;
mod passphrases;
mod processes;
mod quantum;
mod quantum_cloud;
mod registration;
mod relay;
mod removal;
mod screen;
mod secrets;
mod stolen;
mod suites;
mod terminal;
mod tls;
mod tokens;
mod traces;
mod verify;
