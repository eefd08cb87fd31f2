//! The recovery words: kept in the profile until their owner has confirmed that they are on paper, and then only checked.

use std::time::Duration;

use qchat_proto::{
    crypto::entropy::Entropy as _,
    identity::{AccountRecord, RecoveryKey},
};
use zeroize::Zeroizing;

use super::{entropy::MixedEntropy, error::EngineError};
use crate::store::{Profile, StoreError, Tx};

/// How long to wait for others who read the database before what was deleted is off the disk: else it is with the next change.
const PATIENCE: Duration = Duration::from_secs(1);

/// The words, as long as nobody has confirmed them.
///
/// # Errors
/// When the profile cannot be read.
pub async fn unconfirmed(profile: &Profile) -> Result<Option<Zeroizing<String>>, EngineError> {
    let key = profile.read_async(Tx::recovery_key).await?;
    Ok(key.map(|key| key.words()))
}

/// The words are on paper, or in a file: the profile keeps them no longer.
///
/// # Errors
/// When the profile cannot be written.
pub async fn confirm(profile: &Profile) -> Result<(), EngineError> {
    if profile.write_async(Tx::forget_recovery_key).await? {
        profile.checkpoint_async(PATIENCE).await?;
    }
    Ok(())
}

/// Whether this is the recovery key of the profile's account.
///
/// # Errors
/// When the profile cannot be read.
pub async fn fits(profile: &Profile, key: &RecoveryKey) -> Result<bool, EngineError> {
    let signing = key.signing_key().map_err(|error| EngineError::Keys(error.to_string()))?;
    let contact = profile
        .read_async(|tx| {
            let own = tx.identity()?;
            own.map(|own| tx.contact(own.account)).transpose().map(Option::flatten)
        })
        .await?;
    let contact = contact.ok_or(EngineError::LoggedOut)?;
    let record = AccountRecord::verify(&contact.record).map_err(|_| StoreError::Corrupt("own record"))?;
    Ok(record.recovery_key == *signing.public())
}

/// Two different places among so many words, from 0, at random: these words are asked for.
///
/// # Errors
/// When there is no randomness.
pub fn two_of(words: usize) -> Result<[usize; 2], EngineError> {
    let mut bytes = [0; 2];
    MixedEntropy.fill(&mut bytes).map_err(|error| EngineError::Keys(error.to_string()))?;
    let ([first, second], words) = (bytes.map(usize::from), words.max(2));
    let first = first % words;
    Ok([first, (first + 1 + second % (words - 1)) % words])
}
