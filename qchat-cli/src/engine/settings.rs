//! What the members of a room have agreed on, changed by an admin.

use qchat_proto::{
    content::{Role, RoomSettings, SettingsChange},
    ids::{AccountId, RoomId, UserName},
    session::ledger::{Change, Want},
};

use super::{error::EngineError, handle::Handle};

impl Handle {
    /// Changes a room's settings. Returns when that is in effect, for everybody; who is banned is out of the room then.
    ///
    /// # Errors
    /// [`EngineError::NotMember`]; [`EngineError::Refused`] when this account may not, or the room would not be what it is:
    /// a room keeps an owner, and a conversation of two its people.
    pub async fn change_settings(&self, room: RoomId, change: SettingsChange) -> Result<(), EngineError> {
        self.writable(room).await?;
        let me = self.0.me.account;
        if expect_allowed(&self.settings(room).await?, me, &change).is_err() {
            // This account may have been appointed since.
            match self.sync().await {
                Ok(()) | Err(EngineError::Partial(_)) => {}
                Err(error) => return Err(error),
            }
            expect_allowed(&self.settings(room).await?, me, &change)?;
        }
        let id = self.0.steps.enqueue(room, Want::Commit(Change::Settings(change.clone()))).await?;
        self.settled(room, id).await?;
        // Others may have changed more at once.
        let now = self.settings(room).await?;
        if now.with(&change) != now {
            return Err(EngineError::Refused("the settings were not changed; try again".to_owned()));
        }
        Ok(())
    }

    /// The account of somebody, be they in a room or not.
    ///
    /// # Errors
    /// [`EngineError::NoSuchUser`], or why nobody could be asked.
    pub async fn account_of(&self, user: &UserName) -> Result<AccountId, EngineError> {
        let name = user.clone();
        let known = self.0.profile.read_async(move |tx| tx.contact_by_name(&name)).await?;
        match known {
            Some(contact) => Ok(contact.account),
            None => Ok(self.0.people.by_name(user).await?.record.account),
        }
    }

    pub(super) async fn settings(&self, room: RoomId) -> Result<RoomSettings, EngineError> {
        let row = self.0.profile.read_async(move |tx| tx.room_row(room)).await?;
        row.and_then(|row| row.settings).ok_or_else(|| EngineError::NoSuchRoom(room.to_string()))
    }
}

/// Says in words what every member's rules would refuse.
fn expect_allowed(now: &RoomSettings, me: AccountId, change: &SettingsChange) -> Result<(), EngineError> {
    let role = now.role(me);
    let refuse = |why: &str| Err(EngineError::Refused(why.to_owned()));
    if role > Role::Admin {
        return refuse("only an admin of the room may change its settings");
    }
    let changed = now.with(change);
    if (&changed.owners, &changed.admins) != (&now.owners, &now.admins) && role != Role::Owner {
        return refuse("only an owner of the room may say who is an admin or an owner");
    }
    if changed.owners.is_empty() {
        return refuse("a room keeps an owner; make somebody else one before");
    }
    if RoomSettings::decode(&changed.encode()).is_err() {
        return refuse(if now.direct {
            "in a conversation of two, who takes part and what they may do stays as it is"
        } else {
            "the topic is too long, or there are too many links, or people that are banned or may only read"
        });
    }
    Ok(())
}
