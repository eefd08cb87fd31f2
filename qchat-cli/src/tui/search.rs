//! Looking for messages in all rooms: what was typed, and what was found.

use super::{composer::Composer, msg::Command};
use crate::engine::{Hit, Hits};

/// Hits of a page.
pub(super) const PAGE: usize = 50;

/// The search.
#[derive(Debug)]
pub(super) struct SearchBox {
    pub(super) input: Composer,
    /// What was looked for last.
    pub(super) asked: String,
    pub(super) hits: Vec<Hit>,
    /// Whether there are more.
    pub(super) more: bool,
    pub(super) searching: bool,
    /// Why nothing was found that could be.
    pub(super) refused: Option<String>,
    pub(super) at: usize,
}

impl SearchBox {
    pub(super) fn new(typed: &str) -> Self {
        Self {
            input: Composer::new(typed),
            asked: String::new(),
            hits: Vec::new(),
            more: false,
            searching: false,
            refused: None,
            at: 0,
        }
    }

    /// Looks for what stands there, unless that was done.
    pub(super) fn ask(&mut self) -> Option<Command> {
        let query = self.input.text();
        let query = query.trim();
        if query == self.asked {
            return None;
        }
        query.clone_into(&mut self.asked);
        (self.refused, self.searching) = (None, !query.is_empty());
        if query.is_empty() {
            (self.hits, self.more, self.at) = (Vec::new(), false, 0);
            return None;
        }
        Some(Command::Search { query: query.to_owned(), offset: 0 })
    }

    /// Asks for the next page, when the last hit is near.
    pub(super) fn ask_for_more(&mut self) -> Option<Command> {
        let near = self.at + PAGE / 2 >= self.hits.len();
        if !self.more || self.searching || !near {
            return None;
        }
        self.searching = true;
        Some(Command::Search { query: self.asked.clone(), offset: self.hits.len() })
    }

    /// Takes in what was found; what is not looked for any more is passed over.
    pub(super) fn found(&mut self, query: &str, offset: usize, found: Hits) {
        if query != self.asked {
            return;
        }
        self.searching = false;
        if offset == 0 {
            (self.hits, self.at) = (found.hits, 0);
        } else if offset == self.hits.len() {
            self.hits.extend(found.hits);
        }
        self.more = found.more;
    }

    pub(super) fn failed(&mut self, query: &str, why: String) {
        if query == self.asked {
            (self.searching, self.refused) = (false, Some(why));
            self.hits.clear();
        }
    }

    pub(super) fn step(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.hits.len().saturating_sub(1));
    }

    pub(super) fn chosen(&self) -> Option<&Hit> {
        self.hits.get(self.at)
    }
}
