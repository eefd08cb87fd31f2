//! Programs that this one starts.

use std::{ffi::OsStr, process::Command};

/// The IBM Quantum API key, which authorises spending somebody's money.
pub(crate) const IBM_API_KEY: &str = "QCHAT_IBM_API_KEY";
/// The address that messages are sent to, which is all that it takes to send there.
pub(crate) const WEBHOOK: &str = "QCHAT_WEBHOOK";

/// A command that prints the passphrase, whose arguments may be secret.
pub(crate) const PASSPHRASE_COMMAND: &str = "QCHAT_PASSPHRASE_COMMAND";

/// A program to be started, which gets no secret out of this one's environment: its own environment may be read by all that its user
/// runs, while nobody reads this one's.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove(IBM_API_KEY).env_remove(WEBHOOK).env_remove(PASSPHRASE_COMMAND);
    command
}
