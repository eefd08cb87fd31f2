//! Files on their way, since the screen opened.

use std::path::PathBuf;

use super::msg::Command;

/// Files on their way, and those that have come.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    list: Vec<Transfer>,
}

/// A file on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Transfer {
    /// What it is: a command that gets or sends it.
    pub(super) command: Command,
    /// Its name.
    pub(super) name: String,
    pub(super) done: u64,
    pub(super) of: u64,
    pub(super) state: TransferState,
}

/// How far it has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum TransferState {
    Running,
    Done(Option<PathBuf>),
    Failed(String),
}

impl Transfers {
    /// A file sets out; the same again goes on.
    pub(super) fn begin(&mut self, command: &Command, name: String) {
        self.list.retain(|transfer| transfer.command != *command);
        self.list.push(Transfer {
            command: command.clone(),
            name,
            done: 0,
            of: 0,
            state: TransferState::Running,
        });
    }

    /// Whether it is on its way already.
    pub(super) fn runs(&self, command: &Command) -> bool {
        self.list
            .iter()
            .any(|transfer| transfer.command == *command && transfer.state == TransferState::Running)
    }

    pub(super) fn progress(&mut self, command: &Command, done: u64, of: u64) {
        if let Some(transfer) = self.of(command) {
            (transfer.done, transfer.of) = (done, of);
        }
    }

    pub(super) fn end(&mut self, command: &Command, state: TransferState) {
        if let Some(transfer) = self.of(command) {
            transfer.state = state;
        }
    }

    fn of(&mut self, command: &Command) -> Option<&mut Transfer> {
        self.list.iter_mut().find(|transfer| transfer.command == *command)
    }

    /// The newest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Transfer> {
        self.list.iter().rev()
    }

    /// Those that are not there yet.
    pub(super) fn running(&self) -> impl Iterator<Item = &Transfer> {
        self.list.iter().filter(|transfer| transfer.state == TransferState::Running)
    }
}
