//! Choosing a message: the window follows the choice.

use super::{Bottom, Message, MessageId, Pane, Timeline};

impl Timeline {
    /// The message that is chosen.
    pub(in super::super) fn selected(&self) -> Option<&Message> {
        self.messages.get(self.position(self.selected?)?)
    }

    /// Chooses nothing.
    pub(in super::super) fn deselect(&mut self) {
        (self.selected, self.detailed) = (None, false);
    }

    /// Says more, or no more, of the chosen message.
    pub(in super::super) fn toggle_details(&mut self, pane: Pane) {
        self.detailed = !self.detailed;
        self.follow_choice(pane);
    }

    /// Chooses the message before; the one in the window that is lowest, when none is chosen. Returns whether older ones should
    /// be read.
    pub(in super::super) fn select_up(&mut self, pane: Pane) -> bool {
        let at = match self.selected.and_then(|row| self.position(row)) {
            Some(at) => at.saturating_sub(1),
            None => match self.bottom_place(pane) {
                Some((index, _)) => index,
                None => return false,
            },
        };
        self.choose(at, pane)
    }

    /// Chooses the message after.
    pub(in super::super) fn select_down(&mut self, pane: Pane) {
        if let Some(at) = self.selected.and_then(|row| self.position(row)) {
            self.choose((at + 1).min(self.messages.len().saturating_sub(1)), pane);
        }
    }

    /// Chooses the first message that is loaded. Returns whether older ones should be read.
    pub(in super::super) fn select_first(&mut self, pane: Pane) -> bool {
        self.choose(0, pane)
    }

    /// Chooses the last one.
    pub(in super::super) fn select_last(&mut self, pane: Pane) {
        self.choose(self.messages.len().saturating_sub(1), pane);
    }

    /// Chooses the message with this row, if it is loaded; whether it is.
    pub(in super::super) fn select(&mut self, row: i64, pane: Pane) -> bool {
        let found = self.position(row);
        if let Some(at) = found {
            self.choose(at, pane);
        }
        found.is_some()
    }

    /// The row of a message that is loaded.
    pub(in super::super) fn row_of(&self, id: MessageId) -> Option<i64> {
        self.messages.iter().rev().find(|message| message.id == Some(id)).map(|message| message.row)
    }

    /// The newest message of which something holds.
    pub(in super::super) fn newest(&self, holds: impl Fn(&Message) -> bool) -> Option<&Message> {
        self.messages.iter().rev().find(|message| holds(message))
    }

    fn choose(&mut self, at: usize, pane: Pane) -> bool {
        let Some(message) = self.messages.get(at) else { return false };
        if self.selected != Some(message.row) {
            self.detailed = false;
        }
        self.selected = Some(message.row);
        self.follow_choice(pane);
        at < pane.height && self.older_exist
    }

    /// Moves the window so that the chosen message is in it.
    fn follow_choice(&mut self, pane: Pane) {
        let Some(at) = self.selected.and_then(|row| self.position(row)) else { return };
        let Some(bottom) = self.bottom_place(pane) else { return };
        let last = (at, self.height(at, pane).saturating_sub(1));
        let (top, missing) = self.up(bottom, pane.height.saturating_sub(1), pane);
        if last > bottom {
            self.hold(last, pane);
        } else if missing == 0 && (at, 0) < top {
            let place = self.down((at, 0), pane.height.saturating_sub(1), pane);
            self.hold(place, pane);
        }
        if self.newer_exist && self.bottom == Bottom::Newest {
            self.hold(last, pane);
        }
    }
}
