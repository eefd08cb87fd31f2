//! The devices of this profile's own account: how one is let in, how it comes into the rooms, how they are called, and how
//! one is taken out.

mod approving;
mod grants;
mod linking;
mod listing;
mod names;
mod own;
mod rooms;

pub(crate) use self::own::OwnDevices;
pub use self::{
    linking::{LinkStage, link},
    listing::Revoked,
    names::host_name,
};
