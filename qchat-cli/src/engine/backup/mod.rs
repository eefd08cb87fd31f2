//! Backups: what a device keeps of itself at the daemon for the day on which it is lost, and how a machine that has nothing is
//! made a device of the account again.
//!
//! No words are needed to make one: the profile has the public key that the recovery words open. MLS state is in none: whoever
//! restores one is a new device, and somebody adds it to the rooms.

mod automatic;
mod create;
mod listing;
mod pack;
mod restore;

pub(crate) use self::automatic::start;
pub(super) use self::create::signed_key;
pub use self::{
    create::{Made, Making},
    listing::KeptBackup,
    restore::{Offer, RestoreStage, Restored, restore},
};
