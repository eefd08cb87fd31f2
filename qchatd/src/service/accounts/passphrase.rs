//! Changing what the daemon keeps of a passphrase: by whoever has the old one and the device's key.

use std::sync::Arc;

use qchat_proto::{
    crypto::secret::Secret,
    identity::Deed,
    wire::{
        api::{ChangePassphrase, PassphraseSalt},
        fault::FaultCode,
    },
};

use super::{Accounts, bad};
use crate::{
    peer::Peer,
    service::{ServiceError, audit::About, proof::prove, sessions::Caller},
    store::{
        StoreError, accounts,
        audit::{Act, Actor, Outcome},
        sessions,
    },
};

impl Accounts {
    /// The salt that the passphrase's auth key was made with.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn passphrase_salt(&self, caller: Caller) -> Result<PassphraseSalt, ServiceError> {
        let account = self.store.read(move |conn| accounts::by_id(conn, caller.account)).await?;
        let account = account.ok_or(StoreError::Corrupt("a caller's account"))?;
        Ok(PassphraseSalt { auth_salt: account.auth_salt.to_vec().into() })
    }

    /// Replaces verifier and salt, and ends all other sessions of the account, whose devices then prove their keys again.
    /// Repeating what has been done is harmless.
    ///
    /// # Errors
    /// `forbidden` when the device's proof or the passphrase is wrong, `conflict` when the passphrase was changed at the
    /// same time, `rate_limited`, `bad_request`.
    pub async fn change_passphrase(
        &self,
        caller: Caller,
        request: ChangePassphrase,
        from: Option<&Peer>,
    ) -> Result<(), ServiceError> {
        let key =
            |bytes: &[u8]| Secret::<32>::from_slice(bytes).ok_or_else(|| bad("an auth key has 32 bytes"));
        let (old, new) = (key(request.auth_key.as_ref())?, key(request.new_auth_key.as_ref())?);
        let salt: [u8; 16] =
            request.new_auth_salt.as_ref().try_into().map_err(|_| bad("an auth salt has 16 bytes"))?;
        let about = About::caller(&caller, from);
        let refused = |outcome| self.audit.note(Act::ChangePassphrase, outcome, Actor::Unknown, about);

        let request = Arc::new(request);
        let named = request.clone();
        let who = (caller.account, caller.device);
        let proved =
            prove(&self.store, &self.sessions, who, &request.proof, move |proof, signature, key, now| {
                let deed = Deed::ChangePassphrase {
                    auth_key: named.new_auth_key.as_ref(),
                    auth_salt: named.new_auth_salt.as_ref(),
                };
                proof.verify(deed, signature, key, now).is_ok()
            })
            .await
            .inspect_err(|error| {
                if matches!(error, ServiceError::Refused(_)) {
                    refused(Outcome::WrongProof);
                }
            })?;
        let account = self.store.read(move |conn| accounts::by_id(conn, caller.account)).await?;
        let account = account.ok_or(StoreError::Corrupt("a caller's account"))?;
        // Each is a guess at the passphrase.
        self.limits.name(&account.name).inspect_err(|_| refused(Outcome::RateLimited))?;
        let before = account.verifier;
        if !self.passwords.verify(old, &before).await? {
            // The answer to the very same change was lost.
            let done = account.auth_salt == salt
                && self.passwords.verify(Secret::from_bytes(*new.expose()), &before).await?;
            if done {
                return Ok(());
            }
            refused(Outcome::WrongPassphrase);
            return Err(ServiceError::refuse(FaultCode::Forbidden, "that is not the account's passphrase"));
        }
        let verifier = self.passwords.verifier(new).await?;
        let ended = self
            .store
            .write(move |conn| {
                proved.spend(conn)?;
                if !accounts::replace_verifier(conn, caller.account, &before, &salt, &verifier)? {
                    return Err(ServiceError::refuse(
                        FaultCode::Conflict,
                        "the passphrase was changed from elsewhere meanwhile; try again",
                    ));
                }
                Ok(sessions::close_others(conn, caller.account, &caller.session)?)
            })
            .await?;
        self.sessions.end(&ended.into_iter().collect());
        self.audit.done(Act::ChangePassphrase, about);
        Ok(())
    }
}
