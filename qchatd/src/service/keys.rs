//! The daemon's own secrets: two files, made at the first start, from which every other key is derived.
//!
//! Nodes that share a database share both files.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use qchat_proto::crypto::{
    entropy::{Entropy, EntropyError, SystemEntropy},
    kdf,
    secret::Secret,
};
use zeroize::Zeroizing;

use super::directory::DirectorySecrets;
use crate::config::is_credential;

/// The secrets, derived and ready.
pub struct ServerKeys {
    /// Keys the password verifiers.
    pub pepper: Arc<Secret<32>>,
    /// Signs access tokens (HS512).
    pub access: Secret<64>,
    /// Derives the successor of a refresh token.
    pub refresh: Secret<32>,
    /// Authenticates challenges.
    pub challenge: Secret<32>,
    /// Makes the salts of names that nobody has.
    pub strangers: Secret<32>,
    /// Signs the key directory and places what is in it.
    pub directory: DirectorySecrets,
}

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or made.
    #[error("key file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could read it.
    #[error("key file {} may be read by others: run chmod 600 on it", .0.display())]
    Open(PathBuf),
    /// Not a key of ours.
    #[error("key file {} does not hold {size} bytes: restore it from a backup", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        size: usize,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A defect.
    #[error("a key could not be derived")]
    Derive,
}

impl ServerKeys {
    /// Reads both files; makes those that are missing, mode 0600.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn load(pepper: &Path, token_key: &Path) -> Result<Self, KeyFileError> {
        let pepper = read_or_make::<32>(pepper)?;
        let master = read_or_make::<64>(token_key)?;
        Ok(Self {
            pepper: Arc::new(pepper),
            access: derive(&master, b"qchatd 1 access token")?,
            refresh: derive(&master, b"qchatd 1 refresh token")?,
            challenge: derive(&master, b"qchatd 1 login challenge")?,
            strangers: derive(&master, b"qchatd 1 salts of strangers")?,
            directory: DirectorySecrets {
                sign: derive(&master, b"qchatd 1 tree head")?,
                vrf: derive(&master, b"qchatd 1 directory place")?,
                labels: derive(&master, b"qchatd 1 directory label")?,
            },
        })
    }
}

fn derive<const N: usize>(master: &Secret<64>, info: &[u8]) -> Result<Secret<N>, KeyFileError> {
    kdf::derive(master.expose(), info).map_err(|_| KeyFileError::Derive)
}

fn read_or_make<const N: usize>(path: &Path) -> Result<Secret<N>, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    if !path.exists() {
        make::<N>(path)?;
    }
    let mut file = open_private(path)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(N + 1));
    (&mut file).take(N as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Secret::from_slice(&bytes).ok_or_else(|| KeyFileError::Size { path: path.to_owned(), size: N })
}

/// Opens a file that nobody but its owner may read.
pub(crate) fn open_private(path: &Path) -> Result<fs::File, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    // A credential is shown with its group's bits where an ACL lets this service alone read it.
    let others = if is_credential(path) { 0o007 } else { 0o077 };
    if mode & others != 0 {
        return Err(KeyFileError::Open(path.to_owned()));
    }
    Ok(file)
}

/// Makes the file under another name and links it into place: nobody reads half a key, and of two daemons that start
/// at once the second takes the first one's.
fn make<const N: usize>(path: &Path) -> Result<(), KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    let secret = Secret::<N>::random(&SystemEntropy)?;
    let mut suffix = [0; 8];
    SystemEntropy.fill(&mut suffix)?;
    let temporary = path.with_extension(format!("{}.new", hex::encode(suffix)));
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(failed)?;
    file.write_all(secret.expose()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary).map_err(failed)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}
