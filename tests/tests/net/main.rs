//! The client's network layer: against the real daemon, and against one that lies.
#![expect(clippy::expect_used, clippy::panic, reason = "a story that goes wrong ends its test")]

mod daemon;
mod liar;
