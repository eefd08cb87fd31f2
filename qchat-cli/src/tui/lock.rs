//! The lock: after a while without a key nothing is shown until the passphrase is typed. What happens meanwhile is taken in, and
//! nothing counts as seen.

use std::fmt;

use zeroize::Zeroizing;

/// Longest passphrase that is taken, bytes: room is reserved at once, since growing would leave copies behind.
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

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// A locked screen.
pub(super) struct Lock {
    typed: Zeroizing<String>,
    /// Whether the passphrase is being tried.
    pub(super) trying: bool,
    /// Why the last one did not do.
    pub(super) refused: Option<String>,
}

impl Lock {
    pub(super) fn new() -> Self {
        Self { typed: Zeroizing::new(String::with_capacity(LONGEST)), trying: false, refused: None }
    }

    /// How many characters were typed.
    pub(super) fn length(&self) -> usize {
        self.typed.chars().count()
    }

    pub(super) fn push(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            if self.typed.len() + c.len_utf8() <= LONGEST {
                self.typed.push(c);
            }
        }
    }

    pub(super) fn pop(&mut self) {
        self.typed.pop();
    }

    pub(super) fn clear(&mut self) {
        *self = Self { refused: self.refused.take(), ..Self::new() };
    }

    /// What was typed, to be tried; nothing is left of it here.
    pub(super) fn take(&mut self) -> Option<Passphrase> {
        if self.typed.is_empty() || self.trying {
            return None;
        }
        let typed = std::mem::replace(&mut self.typed, Zeroizing::new(String::with_capacity(LONGEST)));
        (self.trying, self.refused) = (true, None);
        Some(Passphrase(typed))
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("trying", &self.trying).finish_non_exhaustive()
    }
}
