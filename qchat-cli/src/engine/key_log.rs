//! What the engine's clients ask about the server's key directory.

use qchat_proto::ids::UserName;

use super::{
    error::EngineError,
    handle::Handle,
    transparency::{AuditReport, Audited, Log},
};
use crate::store::{Evidence, Tx};

/// Most changes that are asked for.
const RECENT: u16 = 200;

impl Handle {
    /// What the server's key directory has said of somebody, newest first, as it proves it.
    ///
    /// # Errors
    /// [`EngineError::NoSuchUser`]; [`EngineError::Directory`] when something does not hold.
    pub async fn key_log(&self, name: UserName) -> Result<Log, EngineError> {
        let account = if name == self.0.me.name {
            self.0.me.account
        } else {
            self.0.people.by_name(&name).await?.record.account
        };
        self.0.people.log.log(account, &name, RECENT).await
    }

    /// Checks what the key directory says of this account, and that it has only grown since the epoch `from`, or since the last
    /// time; `told` hears how far it
    /// has come.
    ///
    /// # Errors
    /// [`EngineError::Directory`] when it has not, or has nothing of this account; [`EngineError::Invalid`] when there is no such
    /// epoch.
    pub async fn audit_directory(
        &self,
        from: Option<u64>,
        told: impl Fn(Audited),
    ) -> Result<AuditReport, EngineError> {
        self.0.people.log.check_own(self.0.me.account).await?;
        self.0.people.log.audit(from, told).await
    }

    /// Takes the key directory as the server shows it now for the one that counts.
    ///
    /// # Errors
    /// When the server cannot be asked, or has none.
    pub async fn accept_directory(&self) -> Result<(), EngineError> {
        self.0.people.log.accept().await
    }

    /// Warnings about the key directory that were not shown yet; they count as shown from now on.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn unshown_warnings(&self) -> Result<Vec<String>, EngineError> {
        let profile = &self.0.profile;
        let unshown: Vec<Evidence> = profile.read_async(Tx::unshown_evidence).await?;
        if !unshown.is_empty() {
            profile.write_async(Tx::note_shown).await?;
        }
        Ok(unshown.into_iter().map(|evidence| evidence.what).collect())
    }
}
