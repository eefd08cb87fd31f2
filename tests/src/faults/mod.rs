//! Faults under load: the built daemon is broken on purpose, healed, and held to its promise by the checker of the load
//! tool. `qchat-faults` is the program. What happens in a round follows from the seed, so that a failure can be replayed.

pub mod arguments;
pub mod clients;
pub mod clock;
pub mod crash;
pub mod cuts;
pub mod disk;
pub mod failover;
pub mod nodes;
pub mod partition;
pub mod peers;
pub mod pipe;
pub mod postgres;
pub mod run;
mod state;
