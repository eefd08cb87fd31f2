//! The devices of this profile's own account: how one is let in, how it comes into the rooms, how they are called, and how
//! one is taken out.

mod approving;
mod grants;
mod letting_in;
mod linking;
mod listing;
mod names;
mod owed;
mod own;
mod rooms;
mod stolen;

pub(crate) use self::{
    grants::everybody,
    letting_in::{ASKED, Genuine, Judged},
    linking::put_known,
    own::OwnDevices,
};
pub use self::{
    letting_in::Applicant,
    linking::{LinkStage, link},
    listing::Revoked,
    names::host_name,
    stolen::TakenBack,
};
