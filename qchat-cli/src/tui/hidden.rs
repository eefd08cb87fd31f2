//! What is typed and not shown: passphrases, and the words that an account comes back by.

use std::fmt;

use zeroize::Zeroizing;

/// Longest that is taken, bytes: room is reserved at once, since growing would leave copies behind.
const LONGEST: usize = 1024;

/// A passphrase as it was typed, which no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// What was typed.
    pub fn expose(&self) -> &Zeroizing<String> {
        &self.0
    }
}

impl From<Zeroizing<String>> for Passphrase {
    fn from(passphrase: Zeroizing<String>) -> Self {
        Self(passphrase)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// A field whose content is not shown.
pub(super) struct Hidden(Zeroizing<String>);

impl Hidden {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(LONGEST)))
    }

    /// How many characters were typed.
    pub(super) fn length(&self) -> usize {
        self.0.chars().count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was typed.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Types this, but for what is no character.
    pub(super) fn push(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            if self.0.len() + c.len_utf8() <= LONGEST {
                self.0.push(c);
            }
        }
    }

    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// What was typed; nothing is left of it here.
    pub(super) fn take(&mut self) -> Passphrase {
        Passphrase(std::mem::replace(self, Self::new()).0)
    }

    /// The same, and it stays here.
    pub(super) fn copy(&self) -> Passphrase {
        let mut copy = Zeroizing::new(String::with_capacity(LONGEST));
        copy.push_str(&self.0);
        Passphrase(copy)
    }
}
