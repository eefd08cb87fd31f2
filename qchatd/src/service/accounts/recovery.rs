//! The way back of whoever has the recovery words and no device: they see the account and its backups, and make a device of the
//! machine that they sit at. The words outrank everything else that an account has, its passphrase included.

use qchat_proto::{
    crypto::sign::AccountPublicKey,
    identity::{AccountRecord, Recovering, RecoveryProof},
    ids::{AccountId, DeviceId},
    wire::{
        api::{
            AddRecovered, Proof, PutDeviceList, Recover, Recovered, RecoveryChallenge,
            RecoveryChallengeRequest,
        },
        fault::FaultCode,
    },
};

use super::{Accounts, described};
use crate::{
    peer::Peer,
    service::{ServiceError, audit::About, backups, now, now_sql},
    store::{
        Connection, StoreError, accounts,
        audit::{Act, Outcome},
        sessions,
    },
};

impl Accounts {
    /// Something for the recovery key of this account to sign. Who has no account gets it, too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recovery_challenge(
        &self,
        request: RecoveryChallengeRequest,
    ) -> Result<RecoveryChallenge, ServiceError> {
        let RecoveryChallengeRequest { name, device_id } = request;
        let stranger = self.passwords.keyed(&[b"qchatd recovery of a stranger v1", name.as_str().as_bytes()]);
        let stranger = AccountId::from_bytes(*stranger.first_chunk().unwrap_or(&[0; 16]));
        let known = self.store.read(move |conn| accounts::by_name(conn, &name)).await?;
        let account_id = known.map_or(stranger, |account| account.id);
        let challenge = self.sessions.challenge(account_id, device_id)?;
        Ok(RecoveryChallenge {
            account_id,
            nonce: challenge.nonce,
            server_id: challenge.server_id,
            expires_at: challenge.expires_at,
        })
    }

    /// The account and its backups, for whoever has the words.
    ///
    /// # Errors
    /// `unauthenticated` when the proof does not hold, or nobody has the name.
    pub async fn recover(&self, request: Recover, from: Option<&Peer>) -> Result<Recovered, ServiceError> {
        let who = (request.account_id, request.device_id);
        let (nonce, expires_at) = self
            .recovering(who, request.proof, from, |proof, signature, key, now| {
                proof.verify(Recovering::Look, signature, key, now).is_ok()
            })
            .await?;
        let account = request.account_id;
        let recovered = self
            .store
            .write(move |conn| {
                spend(conn, &nonce, expires_at)?;
                let stored = accounts::by_id(conn, account)?.ok_or(StoreError::Corrupt("an account"))?;
                Ok::<_, ServiceError>(Recovered {
                    directory: described(conn, stored)?,
                    backups: backups::stored(conn, account)?,
                })
            })
            .await?;
        self.audit.done(Act::Recover, About { account: Some(account), device: None, from });
        Ok(recovered)
    }

    /// Makes a device one of the account, under another identity key where the request brings a record of that. Asked again for
    /// what has been done, it says `conflict`.
    ///
    /// # Errors
    /// As [`Accounts::recover`], and as [`Accounts::replace_device_list`].
    pub async fn add_recovered(
        &self,
        request: AddRecovered,
        from: Option<&Peer>,
    ) -> Result<(), ServiceError> {
        let (account, device) = (request.account_id, request.device_id);
        let list = request.device_list.clone();
        let (nonce, expires_at) = self
            .recovering((account, device), request.proof, from, move |proof, signature, key, now| {
                proof.verify(Recovering::AddDevice { list: list.as_ref() }, signature, key, now).is_ok()
            })
            .await?;
        self.store.write(move |conn| spend(conn, &nonce, expires_at)).await?;
        let put = PutDeviceList {
            device_list: request.device_list,
            certificates: vec![request.certificate],
            account_record: request.account_record,
            ..PutDeviceList::default()
        };
        self.store_device_list((account, device), put, from, true).await?;
        self.audit.done(Act::Recover, About { account: Some(account), device: Some(device), from });
        Ok(())
    }

    /// Holds a proof against the recovery key of an account. Gives the nonce, which is to be spent.
    async fn recovering(
        &self,
        (account, device): (AccountId, DeviceId),
        proof: Proof,
        from: Option<&Peer>,
        verifies: impl FnOnce(&RecoveryProof, &[u8], &AccountPublicKey, u64) -> bool + Send + 'static,
    ) -> Result<([u8; 32], u64), ServiceError> {
        let stored = self.store.read(move |conn| accounts::by_id(conn, account)).await?;
        let about = About { account: stored.as_ref().map(|account| account.id), device: None, from };
        let wrong = |about: About<'_>| {
            self.audit.refused(Act::Recover, Outcome::WrongProof, about);
            ServiceError::refuse(FaultCode::Unauthenticated, "the name or the recovery words are wrong")
        };
        let asked = self.sessions.challenged(proof.nonce.as_ref(), account, device);
        let (Some(asked), Some(stored)) = (asked, stored) else { return Err(wrong(about)) };
        let (nonce, expires_at) = (asked.nonce, asked.expires_at);
        let proved = RecoveryProof { nonce, server: asked.server, expires_at, account, device };
        let record = stored.record;
        let holds = tokio::task::spawn_blocking(move || {
            let record =
                AccountRecord::verify(&record).map_err(|_| StoreError::Corrupt("an account record"))?;
            Ok::<_, StoreError>(verifies(&proved, proof.signature.as_ref(), &record.recovery_key, now()))
        });
        let holds = holds.await.map_err(|_| ServiceError::Defect("a check was cancelled"))??;
        if holds { Ok((nonce, expires_at)) } else { Err(wrong(about)) }
    }
}

fn spend(conn: &mut Connection, nonce: &[u8; 32], expires_at: u64) -> Result<(), ServiceError> {
    let expires = i64::try_from(expires_at).unwrap_or(i64::MAX);
    if sessions::spend_nonce(conn, nonce, expires, now_sql())? {
        return Ok(());
    }
    Err(ServiceError::refuse(FaultCode::Unauthenticated, "this challenge was used before; ask for a new one"))
}
