//! Privacy amplification: how long a key may be after what an eavesdropper may know ([`finite`]), and the hash that makes
//! it so short ([`toeplitz`]).

pub mod finite;
pub mod toeplitz;
