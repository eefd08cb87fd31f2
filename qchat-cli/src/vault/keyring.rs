//! The profile's key in the keyring of the desktop's session, where its owner wants that: on Linux the Secret Service (GNOME
//! Keyring, KWallet, KeePassXC).
//!
//! It is the database's key and not the passphrase: that opens the account's other doors, too, and a change of it leaves the key
//! as it is. An empty file in the profile's directory says that there is one, so that nobody else's commands ask for a
//! keyring.

use std::{
    fs::{self, OpenOptions},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use keyring::{Entry, Error};
use qchat_proto::crypto::secret::Secret;
use zeroize::Zeroizing;

use super::VaultError;

const SERVICE: &str = "qchat";
const MARKER: &str = "in-keyring";

/// Whether the keyring was given the key of the profile in `dir`.
pub fn remembers(dir: &Path) -> bool {
    dir.join(MARKER).exists()
}

/// Puts the key into the keyring. Blocks the thread for as long as its owner takes to unlock that.
///
/// # Errors
/// [`VaultError::Keyring`], [`VaultError::File`].
pub fn remember(dir: &Path, key: &Secret<32>) -> Result<(), VaultError> {
    let entry = entry(dir)?;
    let known = remembers(dir);
    // First, so that what is in the keyring is always known here.
    let marker = dir.join(MARKER);
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&marker);
    made.map_err(|source| VaultError::File { what: "write", path: marker.clone(), source })?;
    entry.set_secret(key.expose()).map_err(|error| {
        if !known {
            let _ = fs::remove_file(&marker);
        }
        failed(&error)
    })
}

/// The key out of the keyring; `None` when it was never given one. Blocks the thread as [`remember`] does.
///
/// # Errors
/// [`VaultError::Keyring`], also when somebody has taken it out.
pub fn recall(dir: &Path) -> Result<Option<Secret<32>>, VaultError> {
    if !remembers(dir) {
        return Ok(None);
    }
    let found = Zeroizing::new(entry(dir)?.get_secret().map_err(|error| failed(&error))?);
    let key = Secret::from_slice(&found)
        .ok_or_else(|| VaultError::Keyring("what it holds is no key".to_owned()))?;
    Ok(Some(key))
}

/// Takes the key out of the keyring; `false` when there was none.
///
/// # Errors
/// [`VaultError::Keyring`]; it may still be there.
pub fn forget(dir: &Path) -> Result<bool, VaultError> {
    if !remembers(dir) {
        return Ok(false);
    }
    match entry(dir)?.delete_credential() {
        Ok(()) | Err(Error::NoEntry) => {}
        Err(error) => return Err(failed(&error)),
    }
    let marker = dir.join(MARKER);
    match fs::remove_file(&marker) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(VaultError::File { what: "delete", path: marker, source })
        }
        _ => Ok(true),
    }
}

/// The entry of the profile, by the place of its directory.
fn entry(dir: &Path) -> Result<Entry, VaultError> {
    if let Err(error) = Entry::store_status() {
        return Err(failed(error));
    }
    let dir = dir.canonicalize().map_err(|_| VaultError::Missing(dir.to_owned()))?;
    Entry::new(SERVICE, &dir.to_string_lossy()).map_err(|error| failed(&error))
}

fn failed(error: &Error) -> VaultError {
    VaultError::Keyring(match error {
        Error::NoEntry => "it does not hold this profile's key any more".to_owned(),
        // Its bytes may be those of a key.
        Error::BadEncoding(_) => "what it holds is no key".to_owned(),
        error => error.to_string(),
    })
}
