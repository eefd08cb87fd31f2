//! A key and a certificate that it signs itself: for clients that know the daemon by its key.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// How long the certificate says that it is good. Clients that pin its key do not look.
const LIFETIME: Duration = Duration::days(3650);
/// A client's clock may be late by this much.
const LATE: Duration = Duration::days(1);

/// Nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// A file is there already, or cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name cannot stand in a certificate.
    #[error("the certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Makes an ECDSA P-256 key, mode 0600, and a certificate for these host names and addresses. Neither file may be there:
/// a key that clients have pinned is not written over.
///
/// # Errors
/// See [`GenerateError`].
pub fn generate(certificate: &Path, key: &Path, names: &[String]) -> Result<(), GenerateError> {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "qchatd");
    let now = OffsetDateTime::now_utc();
    params.not_before = now - LATE;
    params.not_after = now + LIFETIME;
    let signed = params.self_signed(&pair)?;
    // The key first: a certificate without it would only stand in the way of the next attempt.
    write(key, 0o600, Zeroizing::new(pair.serialize_pem()).as_bytes())?;
    write(certificate, 0o644, signed.pem().as_bytes()).inspect_err(|_| drop(fs::remove_file(key)))
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), GenerateError> {
    let failed = |source| GenerateError::File { path: path.to_owned(), source };
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}
