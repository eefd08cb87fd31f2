//! The old device's side: it answers a new one, shows the code, and lets it in when both users say so.

use std::time::Duration;

use qchat_proto::{
    identity::{
        AccountRecord, DeviceCertificate, DeviceLabel, DeviceList, ListedDevice,
        link::{Grant, LinkAnswer, LinkError, LinkHello, OldDevice, Transcript},
    },
    ids::{DeviceId, LinkId},
    wire::{
        api::{PendingLink, PutAnswer, PutCertificate, PutDeviceList},
        fault::FaultCode,
    },
};

use super::{OwnDevices, grants, names, own::Draft};
use crate::{
    engine::{
        clock,
        entropy::MixedEntropy,
        error::EngineError,
        handle::Handle,
        types::{LinkRequest, LinkStatus},
    },
    net::NetError,
    store::{Answered, Contact, Identity, StoreError, Tx},
};

/// How often the daemon is asked how far a link is.
const LOOK: Duration = Duration::from_secs(1);

/// A new device that has opened what it had committed to.
struct Asking {
    hello: LinkHello,
    transcript: Transcript,
}

impl Handle {
    /// Whether a device wants to belong to the account, and how far that is. The first one to look at it, among the account's
    /// devices, answers it; calling this does no more than that.
    ///
    /// # Errors
    /// [`EngineError::Link`] when what the new device shows does not hold; then it was refused.
    pub async fn link_request(&self) -> Result<LinkStatus, EngineError> {
        self.0.devices.look().await.map(|(status, _)| status)
    }

    /// Lets the device in that asks by this link: its user and this device's say that both show the same code. Waits until
    /// the other one has said so. Returns the device.
    ///
    /// # Errors
    /// [`EngineError::LinkOver`] when that link is over, otherwise why it was not let in.
    pub async fn approve_link(&self, link: LinkId) -> Result<DeviceId, EngineError> {
        let devices = &self.0.devices;
        let mut events = self.events();
        loop {
            let (status, asking) = devices.look().await?;
            match (status, asking) {
                (LinkStatus::Asks(request), Some(asking)) if request.link == link => {
                    if request.confirmed {
                        let device = devices.let_in(link, &asking).await?;
                        self.account_changed().await;
                        return Ok(device);
                    }
                }
                _ => return Err(EngineError::LinkOver),
            }
            // Whatever happens, and every second: the daemon's hints may be lost.
            let _ = tokio::time::timeout(LOOK, events.recv()).await;
        }
    }

    /// Refuses the device that asks by this link.
    ///
    /// # Errors
    /// Why the daemon was not told; that the link is over already is none.
    pub async fn refuse_link(&self, link: LinkId) -> Result<(), EngineError> {
        self.0.devices.refuse(link).await
    }
}

impl OwnDevices {
    async fn pending(&self) -> Result<Option<PendingLink>, EngineError> {
        let rest = &self.rest;
        match self.access.ask(|token| async move { rest.pending_link(&token).await }).await {
            Ok(pending) => Ok(Some(pending)),
            Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn refuse(&self, link: LinkId) -> Result<(), EngineError> {
        let rest = &self.rest;
        let told = self.access.ask(|token| async move { rest.refuse_link(&token, link).await }).await;
        self.profile.write_async(Tx::forget_answered).await?;
        match told {
            Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::NotFound => Ok(()),
            other => other,
        }
    }

    async fn look(&self) -> Result<(LinkStatus, Option<Asking>), EngineError> {
        let Some(pending) = self.pending().await? else { return Ok((LinkStatus::None, None)) };
        let own = self.identity().await?;
        match pending.answered_by {
            None => {
                self.answer(&own, &pending).await?;
                return Ok((LinkStatus::Opening, None));
            }
            Some(device) if device != own.device => return Ok((LinkStatus::Elsewhere(device), None)),
            Some(_) => {}
        }
        let answered = self.profile.read_async(Tx::answered).await?;
        let commitment = pending.commitment.as_ref();
        let Some(answered) =
            answered.filter(|a| a.link == pending.link_id && a.commitment[..] == *commitment)
        else {
            // This device does not have what it has answered by: the new one has to begin anew.
            self.refuse(pending.link_id).await?;
            return Err(EngineError::LinkOver);
        };
        let Some(opening) = &pending.opening else { return Ok((LinkStatus::Opening, None)) };
        let old = OldDevice::restore(answered.commitment, answered.answer, answered.transfer)?;
        let (hello, transcript) = match old.open(opening.as_ref(), &own.name) {
            Ok(opened) => opened,
            Err(error) => {
                self.refuse(pending.link_id).await?;
                return Err(error.into());
            }
        };
        let request = LinkRequest {
            link: pending.link_id,
            device: hello.device,
            name: hello.name.to_string(),
            asked_at: clock::from_seconds(pending.created_at),
            left: Duration::from_secs(pending.expires_in.into()),
            code: transcript.code(),
            confirmed: pending.confirmed,
        };
        Ok((LinkStatus::Asks(request), Some(Asking { hello, transcript })))
    }

    /// Answers a new device, with what is kept until it has opened. Two processes of this profile give one answer.
    async fn answer(&self, own: &Identity, pending: &PendingLink) -> Result<(), EngineError> {
        let commitment: [u8; 48] = pending
            .commitment
            .as_ref()
            .try_into()
            .map_err(|_| NetError::Protocol("the server names a malformed commitment".into()))?;
        let contact = self.own_contact().await?;
        let says = LinkAnswer {
            server: own.server_id,
            account: own.account,
            device: own.device,
            identity_key_hash: contact.pinned.identity_key_hash,
            recovery_key_hash: contact.pinned.recovery_key_hash,
            transfer_key: vec![],
            nonce: [0; 32],
        };
        let old = OldDevice::answer(commitment, says, &MixedEntropy)?;
        let link = pending.link_id;
        let answer = self
            .profile
            .write_async(move |tx| {
                if let Some(before) = tx.answered()?
                    && before.link == link
                    && before.commitment == commitment
                {
                    return Ok::<_, StoreError>(before.answer);
                }
                let transfer =
                    qchat_proto::crypto::secret::Secret::from_bytes(*old.transfer_secret().expose());
                let answer = old.answer_bytes().to_vec();
                tx.put_answered(&Answered { link, commitment, answer: answer.clone(), transfer })?;
                Ok(answer)
            })
            .await?;
        let (rest, put) = (&self.rest, &PutAnswer { link_id: link, answer: answer.into() });
        match self.access.ask(|token| async move { rest.answer_link(&token, put).await }).await {
            // Another device of the account was quicker.
            Err(EngineError::Net(NetError::Fault(fault)))
                if matches!(fault.code, FaultCode::Conflict | FaultCode::NotFound) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    async fn own_contact(&self) -> Result<Contact, EngineError> {
        let account = self.account;
        let contact = self.profile.read_async(move |tx| tx.contact(account)).await?;
        Ok(contact.ok_or(StoreError::Corrupt("own contact"))?)
    }

    /// Makes a new device one of the account's: certificate, list, label and grant, all at once or nothing.
    async fn let_in(&self, link: LinkId, asking: &Asking) -> Result<DeviceId, EngineError> {
        let Asking { hello, transcript } = asking;
        let (account, device) = (self.account, hello.device);
        let contacts = self.profile.read_async(move |tx| grants::contacts(tx, account)).await?;
        let record = self.own_contact().await?.record;
        self.publish(|draft| {
            if draft.directory.list.listed(device).is_some() {
                // It was let in before, and only the answer to that was lost.
                return Ok(None);
            }
            let certificate = certify(draft, hello)?;
            let device_list = draft.sign()?;
            let grant = Grant {
                account_key: qchat_proto::crypto::secret::Secret::from_bytes(*draft.own.account_key.expose()),
                record: record.clone(),
                certificate: certificate.clone(),
                list: device_list.clone(),
                contacts: contacts.clone(),
            };
            let label = DeviceLabel { name: hello.name.clone(), added_by: draft.own.device };
            Ok(Some(PutDeviceList {
                device_list: device_list.into(),
                certificates: vec![PutCertificate {
                    certificate: certificate.into(),
                    label: Some(names::sealed(draft.own, device, &label)?.into()),
                    grant: Some(grant.seal(hello, transcript, &MixedEntropy)?.into()),
                }],
                account_record: None,
                link_id: Some(link),
            }))
        })
        .await
        .map_err(|error| match error {
            EngineError::Net(NetError::Fault(fault)) if fault.code == FaultCode::NotFound => {
                EngineError::LinkOver
            }
            error => error,
        })?;
        self.profile.write_async(Tx::forget_answered).await?;
        Ok(device)
    }
}

/// Puts a new device on the list, and certifies it as of that list.
fn certify(draft: &mut Draft<'_>, hello: &LinkHello) -> Result<Vec<u8>, EngineError> {
    let record: &AccountRecord = &draft.directory.record;
    if *draft.key.public() != record.identity_key {
        return Err(EngineError::Refused(
            "this account has another identity key than this device knows; it cannot let others in"
                .to_owned(),
        ));
    }
    if draft.list.devices.len() >= DeviceList::MOST_DEVICES {
        return Err(EngineError::Refused(format!(
            "an account has {} devices at most; `qchat device revoke` takes one out",
            DeviceList::MOST_DEVICES
        )));
    }
    draft.list.add(ListedDevice { device: hello.device, device_key_hash: hello.device_key.hash() });
    let certificate = DeviceCertificate {
        account: record.account,
        device: hello.device,
        device_key: hello.device_key.clone(),
        identity_key_hash: record.identity_key.hash(),
        created_at: draft.list.issued_at,
    };
    certificate.sign(draft.key).map_err(|error| EngineError::Link(LinkError::Identity(error)))
}
