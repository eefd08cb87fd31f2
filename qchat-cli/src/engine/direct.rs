//! Conversations of two people: one is found again by both, and made when there is none. docs/PROTOCOL.md, "Conversations
//! of two".

use qchat_proto::{
    content::RoomSettings,
    ids::{AccountId, RoomId, UserName},
    session::ledger::Phase,
};

use super::{error::EngineError, handle::Handle};
use crate::store::{StoreError, Tx};

/// The conversations with somebody: those that this device is in, by their ids, and invitations to others.
struct Conversations {
    here: Vec<RoomId>,
    invited: Vec<RoomId>,
}

impl Handle {
    /// The conversation with somebody. An invitation to one is accepted: whoever writes to somebody talks to them. Where there
    /// is none, one is made, and they are invited; where they have left it, they are invited again.
    ///
    /// # Errors
    /// [`EngineError::NoSuchUser`], [`EngineError::Invalid`] with oneself; otherwise as [`Handle::create_room`],
    /// [`Handle::join`] and [`Handle::invite`].
    pub async fn direct(&self, user: &UserName) -> Result<RoomId, EngineError> {
        if *user == self.0.me.name {
            return Err(EngineError::Invalid("a conversation needs somebody else".to_owned()));
        }
        let known = self.find_direct(user).await?;
        let name = user.clone();
        let blocked = self.0.profile.read_async(move |tx: &mut Tx| match tx.contact_by_name(&name)? {
            Some(contact) => tx.is_blocked(contact.account),
            None => Ok::<_, StoreError>(false),
        });
        if blocked.await? {
            return Err(EngineError::blocked(user));
        }
        if let Some((room, there)) = known
            && there
        {
            return Ok(room);
        }
        // What is not known here may have been begun by the other one, or by another device.
        match self.sync().await {
            Ok(()) | Err(EngineError::Partial(_)) => {}
            Err(error) => return Err(error),
        }
        let account = self.0.people.by_name(user).await?.record.account;
        for room in self.conversations(account).await?.invited {
            match self.join(room).await {
                Ok(()) => {}
                // One that does not open, since it is no conversation of these two, say, keeps nobody from another.
                Err(error @ (EngineError::Session(_) | EngineError::Group(_) | EngineError::Refused(_))) => {
                    tracing::warn!(%room, %error, "an invitation to a conversation is passed over");
                }
                Err(error) => return Err(error),
            }
        }
        let (room, there) = if let Some(found) = self.find_direct(user).await? {
            found
        } else {
            let me = &self.0.me;
            let name = format!("{}, {user}", me.name);
            (self.create_with(RoomSettings::direct(name, [me.account, account])).await?, false)
        };
        if !there {
            self.invite(room, vec![user.clone()]).await?;
        }
        Ok(room)
    }

    /// The conversation with somebody that this device is in, and whether they are: of several the one with the lowest id, and
    /// one that they are in before any that they have left. So both find the same.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub(super) async fn find_direct(&self, user: &UserName) -> Result<Option<(RoomId, bool)>, EngineError> {
        let name = user.clone();
        let contact = self.0.profile.read_async(move |tx| tx.contact_by_name(&name)).await?;
        let Some(account) = contact.map(|contact| contact.account) else { return Ok(None) };
        let here = self.conversations(account).await?.here;
        for room in &here {
            if self.in_room(*room, account).await? {
                return Ok(Some((*room, true)));
            }
        }
        Ok(here.first().map(|room| (*room, false)))
    }

    async fn conversations(&self, with: AccountId) -> Result<Conversations, EngineError> {
        let me = self.0.me.account;
        let found = self.0.profile.read_async(move |tx: &mut Tx| {
            let mut here = vec![];
            for row in tx.rooms()? {
                let between = row.settings.as_ref().is_some_and(|settings| settings.is_between(me, with));
                if between && matches!(row.state.phase, Phase::Member | Phase::Stuck(_)) {
                    here.push(row.state.room);
                }
            }
            here.sort_unstable();
            let invitations = tx.invitations()?.into_iter();
            let invited = invitations.filter(|row| row.direct && row.inviter == with).map(|row| row.room);
            Ok::<_, StoreError>(Conversations { here, invited: invited.collect() })
        });
        Ok(found.await?)
    }
}
