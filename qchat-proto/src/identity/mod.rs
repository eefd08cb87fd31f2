//! Who is who: the signed statements that tie accounts to keys and keys to devices, so that a server can invent nobody.
//!
//! ```text
//! recovery signing key ─┐ both sign
//! account identity key ─┴─► AccountRecord: account, name, both public keys
//!          └─ signs ─► DeviceCertificate: this device key is the account's
//!          └─ signs ─► DeviceList: these devices, and no others, until then
//! device key └─ signs ─► LoginProof, AccountProof, JoinRequest; and it is the signature key of the device's leaves in MLS
//! recovery signing key └─ signs ─► RecoveryProof, BackupKey
//! ```
//!
//! Each statement has one encoding: fields of fixed order and size, integers big-endian, nothing optional, nothing
//! after the end. The first two bytes are the format version, 1, and the kind of statement. What is signed is always
//! everything before the first signature, under the statement's own [`SignatureUse`](crate::crypto::sign::SignatureUse).
//! Times are seconds since the Unix epoch.

pub mod backup;
mod certificate;
mod credential;
mod deed;
mod directory;
mod error;
mod format;
mod join_request;
mod label;
pub mod link;
mod list;
mod login;
mod notes;
mod record;
mod recovery;
mod recovery_proof;

pub use certificate::DeviceCertificate;
pub use credential::{CREDENTIAL_TYPE, LeafCredential};
pub use deed::{AccountProof, Deed};
pub use directory::{Answer, Asked, Pinned, VerifiedDirectory, verify_directory};
pub(crate) use directory::{said_of_list, said_of_record};
pub use error::IdentityError;
pub use join_request::{JoinRequest, SealedRequest};
pub use label::{DeviceLabel, DeviceName, LabelError};
pub use list::{DeviceList, ListedDevice};
pub use login::LoginProof;
pub use notes::{Note, Topic, open_notes, seal_notes};
pub use record::AccountRecord;
pub use recovery::{RecoveryError, RecoveryKey};
pub use recovery_proof::{Recovering, RecoveryProof};
