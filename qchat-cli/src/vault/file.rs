//! `vault.json` on disk: written whole or not at all, readable by its owner only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use qchat_proto::{
    crypto::{entropy::Entropy, password::KdfParams, secret::Secret},
    vault::WrappedKey,
};

use super::VaultError;

const FILE: &str = "vault.json";
const TEMPORARY: &str = "vault.json.new";
/// More than this is no vault.
const MOST_BYTES: u64 = 64 * 1024;

/// Whether `dir` holds a vault.
pub fn exists(dir: &Path) -> bool {
    dir.join(FILE).exists()
}

/// Draws the database's key and writes the vault that holds it; makes `dir` (mode 0700) when missing. Takes as long as
/// Argon2id does (100 ms and more) and blocks the thread.
///
/// # Errors
/// [`VaultError::Exists`] when there is a vault; otherwise what the derivation or the disk says.
pub fn create(
    dir: &Path,
    passphrase: &str,
    params: KdfParams,
    entropy: &dyn Entropy,
) -> Result<Secret<32>, VaultError> {
    if exists(dir) {
        return Err(VaultError::Exists(dir.to_owned()));
    }
    let key = Secret::random(entropy)?;
    let wrapped = wrap(dir, &key, passphrase, params, entropy)?;
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| VaultError::File {
        what: "create",
        path: dir.to_owned(),
        source,
    })?;
    let json = wrapped.write().map_err(|error| VaultError::File {
        what: "write",
        path: dir.join(FILE),
        source: error.into(),
    })?;
    store(dir, &json)?;
    Ok(key)
}

/// Opens the vault. Takes as long as Argon2id does and blocks the thread.
///
/// # Errors
/// [`VaultError::WrongPassphrase`]; [`VaultError::Missing`]; otherwise what is wrong with the file.
pub fn unlock(dir: &Path, passphrase: &str) -> Result<Secret<32>, VaultError> {
    unwrap(dir, &load(dir)?, passphrase)
}

/// The content of a vault that holds `key` under another passphrase, with costs of at least `params` and at least those of
/// the vault that is there. Nothing is written. Takes as long as Argon2id does and blocks the thread.
///
/// # Errors
/// As [`unlock`] and [`create`].
pub fn rewrap(
    dir: &Path,
    key: &Secret<32>,
    passphrase: &str,
    params: KdfParams,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, VaultError> {
    let before = load(dir)?.params();
    let params = KdfParams {
        memory_kib: params.memory_kib.max(before.memory_kib),
        iterations: params.iterations.max(before.iterations),
        lanes: params.lanes.max(before.lanes),
    };
    let wrapped = wrap(dir, key, passphrase, params, entropy)?;
    wrapped.write().map_err(|error| VaultError::File {
        what: "write",
        path: dir.join(FILE),
        source: error.into(),
    })
}

/// Puts a content of [`rewrap`] in the place of the vault. Until this returns either is there as a whole, and afterwards the
/// new one is.
///
/// # Errors
/// [`VaultError::File`].
pub fn replace(dir: &Path, content: &[u8]) -> Result<(), VaultError> {
    store(dir, content)
}

/// Whether the vault has this content.
///
/// # Errors
/// [`VaultError::File`].
pub fn is(dir: &Path, content: &[u8]) -> Result<bool, VaultError> {
    match fs::read(dir.join(FILE)) {
        Ok(found) => Ok(found == content),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(VaultError::File { what: "read", path: dir.join(FILE), source }),
    }
}

/// Deletes the vault: without it, the database can never be opened again.
///
/// # Errors
/// [`VaultError::File`].
pub fn destroy(dir: &Path) -> Result<(), VaultError> {
    for name in [TEMPORARY, FILE] {
        remove(&dir.join(name))?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), VaultError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(VaultError::File { what: "delete", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn load(dir: &Path) -> Result<WrappedKey, VaultError> {
    let path = dir.join(FILE);
    let failed = |path: PathBuf| move |source| VaultError::File { what: "read", path, source };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(VaultError::Missing(dir.to_owned())),
        Err(source) => return Err(failed(path)(source)),
    };
    let mut json = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut json).map_err(failed(path.clone()))?;
    WrappedKey::read(&json).map_err(|fault| VaultError::of(fault, &path))
}

fn wrap(
    dir: &Path,
    key: &Secret<32>,
    passphrase: &str,
    params: KdfParams,
    entropy: &dyn Entropy,
) -> Result<WrappedKey, VaultError> {
    WrappedKey::wrap(key, passphrase, params, entropy).map_err(|fault| VaultError::of(fault, &dir.join(FILE)))
}

fn unwrap(dir: &Path, wrapped: &WrappedKey, passphrase: &str) -> Result<Secret<32>, VaultError> {
    wrapped.unwrap(passphrase).map_err(|fault| VaultError::of(fault, &dir.join(FILE)))
}

fn store(dir: &Path, json: &[u8]) -> Result<(), VaultError> {
    let (path, temporary) = (dir.join(FILE), dir.join(TEMPORARY));
    let failed = |source| VaultError::File { what: "write", path: path.clone(), source };
    // Left behind by a crash.
    remove(&temporary)?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(failed)?;
    file.write_all(json).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&temporary, &path).map_err(failed)?;
    // The rename itself is durable once the directory is.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use qchat_proto::crypto::{entropy::SystemEntropy, password::KdfError};

    use super::*;

    const PASSPHRASE: &str = "correct horse battery staple";

    fn vault() -> (tempfile::TempDir, PathBuf, Secret<32>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alice");
        let key = create(&path, PASSPHRASE, KdfParams::FLOOR, &SystemEntropy).unwrap();
        (dir, path, key)
    }

    fn edit(path: &Path, field: &str, value: serde_json::Value) {
        let file = path.join(FILE);
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        json[field] = value;
        fs::write(&file, json.to_string()).unwrap();
    }

    #[test]
    fn the_passphrase_opens_the_vault_and_no_other_does() {
        let (_dir, path, key) = vault();
        assert!(unlock(&path, PASSPHRASE).unwrap().ct_eq(&key));
        assert!(matches!(unlock(&path, "correct horse"), Err(VaultError::WrongPassphrase)));
        assert!(matches!(unlock(&path, ""), Err(VaultError::Kdf(KdfError::Empty))));
        assert!(matches!(unlock(&path.join("x"), PASSPHRASE), Err(VaultError::Missing(_))));
        let again = create(&path, PASSPHRASE, KdfParams::FLOOR, &SystemEntropy);
        assert!(matches!(again, Err(VaultError::Exists(_))));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join(FILE))), (0o700, 0o600));
        let stored = fs::read(path.join(FILE)).unwrap();
        assert!(!stored.windows(32).any(|window| window == key.expose()));
        destroy(&path).unwrap();
        assert!(!exists(&path));
    }

    #[test]
    fn a_changed_passphrase_opens_the_same_key_and_the_old_one_nothing() {
        let (_dir, path, key) = vault();
        let content = rewrap(&path, &key, "new", KdfParams::FLOOR, &SystemEntropy).unwrap();
        assert!(unlock(&path, PASSPHRASE).unwrap().ct_eq(&key) && !is(&path, &content).unwrap());
        // A crash in the middle of an earlier attempt left this.
        fs::write(path.join(TEMPORARY), "{").unwrap();
        replace(&path, &content).unwrap();
        assert!(is(&path, &content).unwrap());
        assert!(unlock(&path, "new").unwrap().ct_eq(&key));
        assert!(matches!(unlock(&path, PASSPHRASE), Err(VaultError::WrongPassphrase)));
        assert!(!path.join(TEMPORARY).exists());
    }

    #[test]
    fn an_altered_vault_is_refused_in_words_that_name_it() {
        let (_dir, path, _key) = vault();
        let original = fs::read(path.join(FILE)).unwrap();
        for (field, value, refusal) in [
            ("version", 2.into(), "newer"),
            ("version", 0.into(), "vault.json is damaged"),
            ("memory_kib", 1024.into(), "below the floor"),
            ("salt", "AAAAAAAAAAAAAAAAAAAAAA".into(), "passphrase is wrong"),
        ] {
            edit(&path, field, value);
            let error = unlock(&path, PASSPHRASE).err().unwrap().to_string();
            assert!(error.contains(refusal), "{field}: {error}");
            fs::write(path.join(FILE), &original).unwrap();
        }
        fs::write(path.join(FILE), &original[..original.len() / 2]).unwrap();
        assert!(matches!(unlock(&path, PASSPHRASE), Err(VaultError::Malformed { .. })));
    }
}
