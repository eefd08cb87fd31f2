//! The first run: what leads to an account where there is none on this machine yet. Each step is explained, and Esc goes back; nothing
//! is made before all that it takes was asked for.

mod run;
mod state;
#[cfg(test)]
mod tests;
mod view;

pub use run::{Clerk, Told, open};
pub use state::{Done, ReadServer, Task, Welcome, Who};
