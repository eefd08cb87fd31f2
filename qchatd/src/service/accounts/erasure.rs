//! Erasing an account, at the word of one of its devices and of whoever has its passphrase.
//!
//! Its rooms are left first, each in a transaction of its own, and the rest goes in the last one. A client whose answer was lost
//! asks again with the same token and is told that it is done.

use std::sync::Arc;

use qchat_proto::{
    crypto::secret::Secret,
    identity::{AccountRecord, Deed},
    ids::{AccountId, UserName},
    wire::{
        api::{DeleteAccount, IdentityKey},
        fault::FaultCode,
    },
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Accounts, bad};
use crate::{
    peer::Peer,
    service::{ServiceError, audit::About, now_sql, proof::prove},
    store::{
        Connection, StoreError, accounts,
        audit::{Act, Actor, Outcome},
        erased::{self, Erased},
        rooms,
    },
};

impl Accounts {
    /// Erases an account. What its devices have sent stays in the rooms' logs, as the others' history, until retention deletes
    /// it. Repeating what has been done is harmless.
    ///
    /// # Errors
    /// `forbidden` when the device's proof or the passphrase is wrong, whatever account it is, `rate_limited`, `bad_request`.
    pub async fn delete(&self, request: DeleteAccount, from: Option<&Peer>) -> Result<(), ServiceError> {
        let (account, device) = (request.account_id, request.device_id);
        let auth_key = Secret::<32>::from_slice(request.auth_key.as_ref())
            .ok_or_else(|| bad("an auth key has 32 bytes"))?;
        if request.token.as_ref().len() != 32 {
            return Err(bad("the token of a deletion has 32 bytes"));
        }
        let token: [u8; 32] = Sha256::digest(request.token.as_ref()).into();
        if let Some(before) = self.store.read(move |conn| erased::by_id(conn, account)).await?
            && bool::from(before.token.ct_eq(&token))
        {
            return Ok(());
        }
        let about = About { account: Some(account), device: Some(device), from };
        let refused = |outcome| self.audit.note(Act::DeleteAccount, outcome, Actor::Unknown, about);

        let request = Arc::new(request);
        let named = request.clone();
        let verified = prove(
            &self.store,
            &self.sessions,
            (account, device),
            &request.proof,
            move |proof, signature, key, now| {
                proof.verify(Deed::Delete { token: named.token.as_ref() }, signature, key, now).is_ok()
            },
        );
        let proved = match verified.await {
            Err(error @ ServiceError::Refused(_)) => {
                // Of an account that is there its owner is to know.
                let known = self.store.read(move |conn| accounts::device(conn, device)).await?;
                if known.is_some_and(|known| known.account == account) {
                    refused(Outcome::WrongProof);
                } else {
                    self.audit.refused(Act::DeleteAccount, Outcome::WrongProof, About::peer(from));
                }
                return Err(error);
            }
            proved => proved?,
        };
        let stored = self.store.read(move |conn| accounts::by_id(conn, account)).await?;
        let stored = stored.ok_or(StoreError::Corrupt("the account of a device"))?;
        self.limits.name(&stored.name).inspect_err(|_| refused(Outcome::RateLimited))?;
        if !self.passwords.verify(auth_key, &stored.verifier).await? {
            refused(Outcome::WrongPassphrase);
            return Err(ServiceError::refuse(FaultCode::Forbidden, "that is not the account's passphrase"));
        }

        self.leave_rooms(account).await?;
        let record =
            AccountRecord::verify(&stored.record).map_err(|_| StoreError::Corrupt("an account record"))?;
        let gone = Erased {
            account,
            name: self.hashed(&stored.name),
            token,
            identity_key: record.identity_key.as_bytes().to_vec(),
        };
        let devices = self
            .store
            .write(move |conn| {
                proved.spend(conn)?;
                let devices = accounts::devices(conn, account)?;
                erased::erase(conn, &gone, now_sql())?;
                Ok::<_, ServiceError>(devices)
            })
            .await?;
        let devices: Vec<_> = devices.into_iter().map(|device| device.id).collect();
        for device in &devices {
            self.hub.end_device(*device);
        }
        self.bus.delisted(&devices);
        self.audit.done(Act::DeleteAccount, about);
        Ok(())
    }

    async fn leave_rooms(&self, account: AccountId) -> Result<(), ServiceError> {
        let mine = self.store.read(move |conn| erased::rooms(conn, account)).await?;
        for room in mine {
            self.store
                .write(move |conn| {
                    rooms::lock(conn, room)?;
                    let changed = erased::leave(conn, room, account)?;
                    rooms::advance_audiences(conn, &changed.into_iter().collect())
                })
                .await?;
        }
        Ok(())
    }

    /// The identity key of an account that was erased, for those who still have to check what its devices have sealed.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn erased_identity_key(&self, account: AccountId) -> Result<IdentityKey, ServiceError> {
        let erased = self.store.read(move |conn| erased::by_id(conn, account)).await?;
        let gone = erased.ok_or_else(|| {
            ServiceError::refuse(FaultCode::NotFound, "there is no erased account of that id")
        })?;
        Ok(IdentityKey { identity_key: gone.identity_key.into() })
    }

    /// A name as it is kept of an erased account. Whoever has the database alone cannot try names against it.
    pub(super) fn hashed(&self, name: &UserName) -> [u8; 48] {
        self.passwords.keyed(&[b"qchatd name of an erased account v1", name.as_str().as_bytes()])
    }
}

/// What is said of an account that is not there: that it was erased, or that there is none.
pub(in crate::service) fn absent(
    conn: &mut Connection,
    asked: Asked<'_>,
) -> Result<ServiceError, StoreError> {
    let erased = match asked {
        Asked::Id(account) => erased::by_id(conn, account)?.is_some(),
        Asked::Name(hash) => erased::had_name(conn, hash)?,
    };
    Ok(if erased {
        ServiceError::refuse(FaultCode::AccountDeleted, "this account was deleted by its owner")
    } else {
        ServiceError::refuse(FaultCode::NotFound, "there is no such account")
    })
}

/// How an account was asked for.
#[derive(Clone, Copy)]
pub(in crate::service) enum Asked<'a> {
    /// By its id.
    Id(AccountId),
    /// By its name, hashed as it is kept.
    Name(&'a [u8; 48]),
}
