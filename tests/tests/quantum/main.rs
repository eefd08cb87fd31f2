//! What goes on between the quantum crate and services of others.
#![expect(clippy::expect_used, clippy::panic, reason = "a story that goes wrong ends its test")]

mod ibm;
