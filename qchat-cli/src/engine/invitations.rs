//! Invitations that wait for a yes: learned from the daemon, named by what the Welcome says, opened only on `join`.

use std::sync::Arc;

use bytes::Bytes;
use qchat_proto::{
    content::RoomSettings,
    ids::RoomId,
    mls::device::Device,
    session::{
        error::SessionError,
        joining::{self, Invited},
    },
    wire::{api::RoomInvitation, fault::FaultCode},
};
use zeroize::Zeroizing;

use super::{error::EngineError, own::OwnDevice, people::People};
use crate::{
    net::{NetError, rest::Client},
    store::{InvitationRow, KeyPackageSecret, Profile, StoreError, Tx},
};

/// Finds, names and prepares invitations.
#[derive(Clone)]
pub(crate) struct Invitations {
    pub(crate) profile: Profile,
    pub(crate) rest: Client,
    pub(crate) device: Arc<OwnDevice>,
    pub(crate) people: People,
}

impl Invitations {
    /// Makes the stored invitations those that the daemon has; whether something changed.
    pub(crate) async fn learn(&self, token: &str, invited: &[RoomId]) -> Result<bool, EngineError> {
        let known = self.profile.read_async(Tx::invitations).await?;
        let mut changed = false;
        for row in &known {
            if !invited.contains(&row.room) {
                let room = row.room;
                self.profile.write_async(move |tx| tx.forget_invitation(room)).await?;
                changed = true;
            }
        }
        for &room in invited {
            if known.iter().any(|row| row.room == room) {
                continue;
            }
            let invitation = match self.rest.invitation(token, room).await {
                Ok(invitation) => invitation,
                // It was opened, or taken back, meanwhile.
                Err(NetError::Fault(fault)) if fault.code == FaultCode::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            // Who invites is shown by name. One whose identity does not hold is shown by id, and the join will say so.
            if let Err(error) = self.people.meet(invitation.inviter).await {
                tracing::warn!(%error, %room, "the inviter of a room cannot be verified");
            }
            let settings = self.settings(&invitation).await?;
            let row = InvitationRow {
                room,
                seq: invitation.seq,
                inviter: invitation.inviter,
                direct: settings.as_ref().is_some_and(|settings| settings.direct),
                name: settings.map(|settings| settings.name),
            };
            self.profile.write_async(move |tx| tx.put_invitation(&row)).await?;
            changed = true;
        }
        Ok(changed)
    }

    /// The room's settings as the Welcome claims them; the Welcome stays unopened.
    async fn settings(&self, invitation: &RoomInvitation) -> Result<Option<RoomSettings>, EngineError> {
        let Some(secret) = self.secret(invitation.welcome.as_ref()).await? else { return Ok(None) };
        let (device, welcome) = (self.device.latest(), invitation.welcome.0.clone());
        let peek = tokio::task::spawn_blocking(move || device.peek(&welcome, &secret.id, &secret.data))
            .await
            .map_err(|_| EngineError::Stopped)?;
        Ok(peek.ok().filter(|peek| peek.room == invitation.room_id).map(|peek| peek.settings))
    }

    /// Our KeyPackage that the Welcome is for, if it is still kept.
    async fn secret(&self, welcome: &[u8]) -> Result<Option<KeyPackageSecret>, EngineError> {
        let Ok(ids) = Device::welcome_key_packages(welcome) else { return Ok(None) };
        let found = self.profile.read_async(move |tx| {
            for id in &ids {
                if let Some(secret) = tx.key_package(id)? {
                    return Ok(Some(secret));
                }
            }
            Ok::<_, StoreError>(None)
        });
        Ok(found.await?)
    }

    /// Everything that a join needs of an invitation, `accepted` by a person or not; the second value tells whether its KeyPackage may be used again.
    pub(crate) async fn prepare(
        &self,
        invitation: RoomInvitation,
        ratchet_tree: Bytes,
        accepted: bool,
    ) -> Result<(Invited, bool), EngineError> {
        Device::welcome_key_packages(invitation.welcome.as_ref())
            .map_err(SessionError::<StoreError>::Welcome)?;
        let secret = self.secret(invitation.welcome.as_ref()).await?.ok_or_else(|| {
            EngineError::Refused(
                "this device no longer has the keys that the invitation was made for; ask to be invited again"
                    .to_owned(),
            )
        })?;
        let invited = Invited {
            room: invitation.room_id,
            seq: invitation.seq,
            welcome: invitation.welcome.0,
            ratchet_tree,
            accepted,
            key_package: (secret.id, Zeroizing::new(secret.data.to_vec())),
        };
        Ok((invited, secret.last_resort))
    }

    /// Which part of the log the join needs.
    pub(crate) async fn needed_log(
        &self,
        invited: Arc<Invited>,
    ) -> Result<Result<joining::Span, SessionError<StoreError>>, EngineError> {
        let own = Arc::clone(&self.device);
        let device = self.profile.read_async(move |tx| own.at(tx)).await?;
        // Every leaf of the tree is verified.
        tokio::task::spawn_blocking(move || joining::needed_log(&device, &invited))
            .await
            .map_err(|_| EngineError::Stopped)
    }
}
