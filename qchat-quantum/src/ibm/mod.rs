//! IBM Quantum over its REST interface, version 2026-04-15
//! (<https://quantum.cloud.ibm.com/docs/api/qiskit-runtime-rest>). This is the one place of the crate that does I/O.
//!
//! The provider sees every bit, so what comes from here only adds to the system's randomness ([`crate::seed`]). Who
//! submits a job draws a [`Tag`] and keeps it, calls [`submit_once`], keeps the [`JobId`], waits with [`poll::wait`] and
//! reads the results; after a crash each step can be taken again without a second charge.
//!
//! A token of IBM's identity service goes with each request, with the instance's CRN (`Service-CRN`) and the version of
//! the interface (`IBM-API-Version`). Answers are bounded, and believed in nothing: names are checked, numbers are held
//! against what was asked for, and sentences are made fit for a terminal. The API key and tokens are zeroised and appear
//! in no error, Debug text or log.

mod backends;
mod client;
mod config;
mod device;
mod error;
mod executor;
mod http;
mod jobs;
mod limit;
mod once;
mod pace;
pub mod poll;
mod registry;
mod results;
mod submission;
mod token;
mod usage;

pub use backends::{Availability, Configuration, Listed, Status};
pub use client::Client;
pub use config::{ApiKey, Config};
pub use device::Device;
pub use error::{IbmError, Said};
pub use jobs::{Job, JobId, JobState, Place};
pub use once::submit_once;
pub use pace::Pace;
pub use registry::Remedy;
pub use results::Raw;
pub use submission::{Expected, Program, Submission, Tag, Written};
pub use usage::Usage;
