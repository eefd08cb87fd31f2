//! What can go wrong between a passphrase and a key.

use std::path::{Path, PathBuf};

use qchat_proto::{
    crypto::{entropy::EntropyError, password::KdfError},
    vault::VaultFault,
};

/// The vault cannot be made or opened. Never holds a key or a passphrase.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no vault in the profile's directory.
    #[error("there is no vault in {}; create a profile with `qchat register`", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("there is a vault in {} already", .0.display())]
    Exists(PathBuf),
    /// The passphrase does not open the vault; or the file was altered, which cannot be told apart.
    #[error("the passphrase is wrong; try again")]
    WrongPassphrase,
    /// The file is not one that this program writes.
    #[error(
        "{} is damaged: {what}. Nothing was changed. Put the file back from a backup of the profile's directory: any that was \
         made since the passphrase was changed will do",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which part.
        what: &'static str,
    },
    /// A newer version of the program wrote it.
    #[error("the vault was written by a newer version of qchat; upgrade qchat")]
    TooNew,
    /// The passphrase is empty, the stored costs are out of bounds, or memory is short.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The key could not be encrypted.
    #[error("the vault's key could not be encrypted")]
    Seal,
    /// There is no keyring, or it refuses.
    #[error(
        "the keyring of the desktop's session (Secret Service) cannot be used: {0}. Without one, `qchat unlock --for 8h` keeps \
         the key, or --passphrase-command asks a password manager"
    )]
    Keyring(String),
    /// A file or directory cannot be used.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl VaultError {
    /// What went wrong with the file at `path`.
    #[expect(clippy::needless_pass_by_value, reason = "the form that map_err passes")]
    pub(super) fn of(fault: VaultFault, path: &Path) -> Self {
        match fault {
            VaultFault::TooNew => Self::TooNew,
            VaultFault::Malformed(what) => Self::Malformed { path: path.to_owned(), what },
            VaultFault::WrongPassphrase => Self::WrongPassphrase,
            VaultFault::Kdf(error) => Self::Kdf(error),
            VaultFault::Entropy(error) => Self::Entropy(error),
            VaultFault::Seal => Self::Seal,
        }
    }

    /// The process's exit code: 4 authentication or locked, 5 not found, 6 refused by policy, 1 anything else.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::WrongPassphrase | Self::Keyring(_) | Self::Kdf(KdfError::Empty) => 4,
            Self::Missing(_) => 5,
            Self::Kdf(KdfError::BelowFloor(_) | KdfError::AboveCeiling(_)) => 6,
            _ => 1,
        }
    }
}
