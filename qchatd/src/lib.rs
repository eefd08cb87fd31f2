//! The qchat daemon: orders, keeps and delivers envelopes that it cannot read.
//!
//! Dependencies point one way: `server` → `http`, `socket` → `service` → `store`; committed envelopes go through
//! `bus` to the `hub`, which feeds the sockets.

pub mod store;
