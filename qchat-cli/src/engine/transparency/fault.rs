//! What does not hold of a server's key directory: what happened, and what to do.

use qchat_proto::transparency::TransparencyError;

/// The directory, or what the server says of it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryFault {
    /// The server has no directory.
    #[error(
        "this server keeps no key directory, so nobody could notice if it gave out false keys: upgrade it"
    )]
    None,
    /// An answer came without a proof.
    #[error("the server does not prove that its key directory says this of {who}: its keys are not used")]
    NoProof {
        /// Of whom.
        who: String,
    },
    /// A proof does not hold.
    #[error(
        "the server's key directory does not say of {who} what the server says ({source}): its keys are not used. Ask \
         {who} over another channel, and tell others who use this server"
    )]
    False {
        /// Of whom.
        who: String,
        /// What does not hold.
        source: TransparencyError,
    },
    /// What was to be in the directory within seconds is not.
    #[error("the server has not put {who} into its key directory for {seconds} s; try again later")]
    Pending {
        /// Whom.
        who: String,
        /// How long it was asked.
        seconds: u64,
    },
    /// The server shows an older directory than it has shown before.
    #[error(
        "the server has gone back in its key directory, from epoch {known} to {offered}: its operator has restored an \
         old copy, or it hides something. {}",
        REMEDY
    )]
    RolledBack {
        /// The epoch of the newest head that was seen.
        known: u64,
        /// The epoch that it shows now.
        offered: u64,
    },
    /// The server shows another directory than it has shown before.
    #[error(
        "the server's key directory is not the one that it has shown before: at epoch {epoch} it has two. {}",
        REMEDY
    )]
    Forked {
        /// Where they part, or later.
        epoch: u64,
    },
    /// A head, or what leads to it, is no good.
    #[error("what the server shows of its key directory is refused: {0}. {remedy}", remedy = REMEDY)]
    Head(TransparencyError),
    /// The server keeps its growth to itself.
    #[error("the server does not show how its key directory has grown after epoch {epoch}. {}", REMEDY)]
    Withheld {
        /// The epoch.
        epoch: u64,
    },
    /// The tree has lost or changed something.
    #[error(
        "the server has changed its key directory at epoch {epoch} otherwise than by adding to it. {}",
        REMEDY
    )]
    NotGrown {
        /// The epoch.
        epoch: u64,
    },
}

const REMEDY: &str = "Do not use keys that it has given out since; ask its operator, and tell others who use it. \
                      `qchat keys audit` shows what is known, and with --accept takes the directory as it is now";

impl From<TransparencyError> for DirectoryFault {
    fn from(source: TransparencyError) -> Self {
        Self::Head(source)
    }
}
