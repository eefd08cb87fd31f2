//! How an account gets another device: a new one and one that is there already agree, through a server that both
//! distrust, on who the other is, and two people (or one, at both) compare 42 bits.
//!
//! ```text
//! new device                                   server                          old device
//!   commitment to nonce and hello  ────────────────────────────────────────────►
//!   ◄──────────────────────────────────────────  answer: who the account is, a nonce, a key
//!   opening: nonce and hello, sealed to that key ──────────────────────────────►
//!            both show the code of all of this; both people say that it is the same
//!   ◄──────────────────────────────────────────  grant: certificate, list, account key, sealed to the hello's key
//! ```
//!
//! The new device commits before it sees the answer, and the old one answers before it sees the nonce. So whoever sits
//! between the two has chosen everything that it says to one of them before the other's nonce decides the code: it has
//! one guess in 2⁴². A new device takes one answer, ever; whoever tries again draws everything anew.
//!
//! docs/PROTOCOL.md, "A further device".

mod code;
mod error;
mod grant;
mod hello;
mod new;
mod old;

pub use code::{Code, Transcript};
pub use error::LinkError;
pub use grant::{Grant, HandedContact};
pub use hello::{LinkAnswer, LinkHello};
pub use new::NewDevice;
pub use old::OldDevice;

/// Size of the nonces, bytes.
const NONCE: usize = 32;
