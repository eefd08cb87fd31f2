//! Groups: MLS (RFC 9420) through one library, which is named nowhere else.

pub mod identity;
pub mod provider;
