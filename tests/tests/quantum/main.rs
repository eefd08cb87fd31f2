//! What goes on between the quantum crate and services of others.
#![expect(clippy::expect_used, reason = "a story that goes wrong ends its test")]

mod ibm;
