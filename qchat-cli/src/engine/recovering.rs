//! What whoever has an account's recovery words asks the daemon about it, without a session: what the account is now, and what it
//! is to be.

use qchat_proto::{
    crypto::sign::AccountSigningKey,
    identity::{Answer, Asked, Pinned, Recovering, RecoveryProof, VerifiedDirectory, verify_directory},
    ids::{AccountId, DeviceId, ServerId, UserName},
    wire::{
        api::{AddRecovered, Binary, Proof, PutCertificate, Recover, Recovered, RecoveryChallengeRequest},
        fault::FaultCode,
    },
};

use super::error::EngineError;
use crate::net::{NetError, rest::Client};

/// A device list that has expired is judged, too: its owner has lost the machine that would have signed the next.
const ANY_AGE: u64 = 0;

/// Who asks: a device that need not be one of the account, with the key that the words give.
pub(super) struct Recoverer<'a> {
    pub(super) rest: &'a Client,
    pub(super) name: &'a UserName,
    pub(super) server: ServerId,
    pub(super) device: DeviceId,
    pub(super) key: &'a AccountSigningKey,
}

impl Recoverer<'_> {
    /// The account as the daemon has it, and its backups.
    ///
    /// # Errors
    /// `NetError::Fault` when the words are wrong; [`EngineError::OtherWords`] when the account's record is not theirs;
    /// [`EngineError::Identity`] with what does not hold.
    pub(super) async fn look(&self) -> Result<(Recovered, VerifiedDirectory), EngineError> {
        let (account, proof) = self.prove(Recovering::Look).await?;
        let asked = Recover { account_id: account, device_id: self.device, proof };
        let recovered = self.rest.recover(&asked).await?;
        let directory = &recovered.directory;
        let answer = Answer {
            record: directory.account_record.as_ref(),
            list: directory.device_list.as_ref(),
            certificates: directory.device_certificates.iter().map(AsRef::as_ref).collect(),
        };
        let none: Option<&Pinned> = None;
        let verified = verify_directory(Asked::Name(self.name), &answer, none, ANY_AGE)
            .map_err(|source| EngineError::Identity { who: self.name.to_string(), source })?;
        // Nobody else has signed it.
        if verified.record.recovery_key != *self.key.public() {
            return Err(EngineError::OtherWords);
        }
        Ok((recovered, verified))
    }

    /// Has the daemon store a list that names the device, with its certificate, and a record where there is a new one; whether
    /// it was the first to: another device may have been quicker, or the answer to this very request was lost.
    ///
    /// # Errors
    /// Why the daemon was not told.
    pub(super) async fn put(
        &self,
        device_list: Vec<u8>,
        certificate: PutCertificate,
        account_record: Option<Binary>,
    ) -> Result<bool, EngineError> {
        let (account, proof) = self.prove(Recovering::AddDevice { list: &device_list }).await?;
        let put = AddRecovered {
            account_id: account,
            device_id: self.device,
            proof,
            device_list: device_list.into(),
            certificate,
            account_record,
        };
        match self.rest.add_recovered(&put).await {
            Err(NetError::Fault(fault)) if fault.code == FaultCode::Conflict => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    async fn prove(&self, what: Recovering<'_>) -> Result<(AccountId, Proof), EngineError> {
        let asked = RecoveryChallengeRequest { name: self.name.clone(), device_id: self.device };
        let challenge = self.rest.recovery_challenge(&asked).await?;
        if challenge.server_id != self.server {
            return Err(EngineError::Refused(
                "this is not the server that it was before; check --server".to_owned(),
            ));
        }
        let malformed = |_| NetError::Protocol("the challenge is malformed".into());
        let proof = RecoveryProof {
            nonce: challenge.nonce.as_ref().try_into().map_err(malformed)?,
            server: self.server,
            expires_at: challenge.expires_at,
            account: challenge.account_id,
            device: self.device,
        };
        let signature = proof.sign(what, self.key).map_err(|error| EngineError::Keys(error.to_string()))?;
        Ok((challenge.account_id, Proof { nonce: challenge.nonce, signature: signature.into() }))
    }
}
