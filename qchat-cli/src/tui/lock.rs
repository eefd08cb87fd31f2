//! The lock: after a while without a key nothing is shown until the passphrase is typed. What happens meanwhile is taken in, and
//! nothing counts as seen.

use std::fmt;

use super::hidden::{Hidden, Passphrase};

/// A locked screen.
pub(super) struct Lock {
    pub(super) typed: Hidden,
    /// Whether the passphrase is being tried.
    pub(super) trying: bool,
    /// Why the last one did not do.
    pub(super) refused: Option<String>,
}

impl Lock {
    pub(super) fn new() -> Self {
        Self { typed: Hidden::new(), trying: false, refused: None }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { refused: self.refused.take(), ..Self::new() };
    }

    /// What was typed, to be tried; nothing is left of it here.
    pub(super) fn take(&mut self) -> Option<Passphrase> {
        if self.typed.is_empty() || self.trying {
            return None;
        }
        (self.trying, self.refused) = (true, None);
        Some(self.typed.take())
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("trying", &self.trying).finish_non_exhaustive()
    }
}
