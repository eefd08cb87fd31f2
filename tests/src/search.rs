//! Looks for secrets in files, raw and in the forms that bytes are written down in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use memchr::memmem;

/// Something that must not be found, in all the forms it is looked for in.
pub struct Needle {
    name: String,
    forms: Vec<Vec<u8>>,
}

impl Needle {
    /// A needle of at least 8 bytes: shorter ones are found by chance.
    pub fn new(name: &str, secret: &[u8]) -> Self {
        assert!(secret.len() >= 8, "{name} is too short to be looked for");
        let hex = hex::encode(secret);
        let mut forms = vec![secret.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
        // Base64 of the secret inside something longer: the digits that depend on the secret alone, at each of the
        // three offsets that it may start at, in both alphabets.
        for offset in 0..3 {
            let digits = STANDARD_NO_PAD.encode([&[0; 2][..offset], secret].concat());
            let first = (offset * 8).div_ceil(6);
            let last = (offset + secret.len()) * 8 / 6;
            let standard = digits[first..last].to_owned();
            forms.push(standard.replace('+', "-").replace('/', "_").into_bytes());
            forms.push(standard.into_bytes());
        }
        forms.sort();
        forms.dedup();
        Self { name: name.to_owned(), forms }
    }

    /// Whether any form of it stands in `hay`.
    pub fn is_in(&self, hay: &[u8]) -> bool {
        self.forms.iter().any(|form| memmem::find(hay, form).is_some())
    }
}

/// Every file below a directory.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Fails when a needle stands in a file below `root`, or in a file's name.
#[track_caller]
pub fn assert_nowhere_below(root: &Path, needles: &[Needle]) {
    let files = files(root);
    assert!(!files.is_empty(), "there is nothing to search in {}", root.display());
    for file in files {
        // A socket or a file that just went away has no bytes.
        let bytes = fs::read(&file).unwrap_or_default();
        assert_nowhere_in(&file.display().to_string(), &bytes, needles);
        assert_nowhere_in("the name of a file", file.as_os_str().as_encoded_bytes(), needles);
    }
}

/// Fails when a needle stands in these bytes.
#[track_caller]
pub fn assert_nowhere_in(place: &str, hay: &[u8], needles: &[Needle]) {
    for needle in needles {
        assert!(!needle.is_in(hay), "{} stands in {place}", needle.name);
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn a_needle_is_found_in_every_form() {
        let secret = b"\xfb\xff\xfe canary \x3e\x3f";
        let needle = Needle::new("the canary", secret);
        for before in 0..4 {
            let hay = [&b"abcd"[..before], secret, b"tail"].concat();
            assert!(needle.is_in(&hay));
            assert!(needle.is_in(hex::encode(&hay).as_bytes()));
            assert!(needle.is_in(hex::encode_upper(&hay).as_bytes()));
            assert!(needle.is_in(STANDARD_NO_PAD.encode(&hay).as_bytes()), "{before}");
            assert!(needle.is_in(URL_SAFE_NO_PAD.encode(&hay).as_bytes()), "{before}");
        }
        assert!(!needle.is_in(b"a haystack without it, which is long enough to hold it twice over"));
    }
}
