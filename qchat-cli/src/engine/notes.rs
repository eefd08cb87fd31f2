//! How the user wants rooms and people to be treated: noted here, told to the account's other devices through the daemon, and learned
//! from them. docs/PROTOCOL.md, "Notes of an account".

use qchat_proto::{
    identity::{Topic, open_notes, seal_notes},
    ids::{RoomId, UserName},
    wire::{api::PutAccountNotes, fault::FaultCode},
};

use super::{
    clock,
    devices::OwnDevices,
    entropy::MixedEntropy,
    error::EngineError,
    handle::Handle,
    types::{Event, RoomMarks},
    view,
};
use crate::{
    net::NetError,
    store::{StoreError, Tx},
};

/// How often notes are put there anew because another device was quicker.
const ATTEMPTS: usize = 8;

/// What a user may note of a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// It is out of the way: not in the list unless asked for, and not counted.
    Archived,
    /// It says nothing aloud, and is not counted.
    Muted,
    /// It stands before others.
    Favourite,
}

impl Mark {
    fn of(self, room: RoomId) -> Topic {
        match self {
            Self::Archived => Topic::Archived(room),
            Self::Muted => Topic::Muted(room),
            Self::Favourite => Topic::Favourite(room),
        }
    }
}

/// Whether the other devices know of something by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Noted {
    /// They learn of it from the daemon.
    Told,
    /// The daemon does not have it yet: the next connection tells it.
    Here,
}

impl OwnDevices {
    /// Brings notes and those at the daemon together. `newest`: the version there, where it is known. Whether anything has changed
    /// here.
    pub(crate) async fn sync_notes(&self, newest: Option<u64>) -> Result<bool, EngineError> {
        let (known, untold) = self.profile.read_async(Tx::notes_version).await?;
        if !untold && newest == Some(known) {
            return Ok(false);
        }
        let own = self.identity().await?;
        let mut changed = false;
        for _ in 0..ATTEMPTS {
            let rest = &self.rest;
            let there = self.access.ask(|token| async move { rest.notes(&token).await }).await?;
            // What does not open is of the key before this account's identity key was replaced, or the daemon's own invention. It
            // says nothing, and gives way.
            let opened = if there.version == 0 {
                Ok(vec![])
            } else {
                open_notes(there.sealed.as_ref(), &own.account_key, own.account)
            };
            if let Err(error) = &opened {
                tracing::warn!(%error, "what the server keeps for the account's devices is not theirs");
            }
            let (theirs, unreadable) = (opened.as_deref().unwrap_or_default().to_vec(), opened.is_err());
            let (news, untold, all) = self
                .profile
                .write_async(move |tx: &mut Tx| {
                    let news = tx.merge_notes(&theirs, there.version, clock::millis())?;
                    let (_, untold) = tx.notes_version()?;
                    Ok::<_, StoreError>((news, untold, tx.notes()?))
                })
                .await?;
            changed |= news;
            if !untold && !unreadable {
                return Ok(changed);
            }
            let sealed = seal_notes(&all, &own.account_key, own.account, &MixedEntropy).map_err(|_| {
                EngineError::Refused(
                    "more rooms and people are noted than fit: take some notes back".to_owned(),
                )
            })?;
            let put = &PutAccountNotes { after: there.version, sealed: sealed.into() };
            match self.access.ask(|token| async move { rest.put_notes(&token, put).await }).await {
                Ok(()) => {
                    let version = there.version + 1;
                    self.profile.write_async(move |tx: &mut Tx| tx.told_notes(&all, version)).await?;
                    return Ok(changed);
                }
                Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        // Others go on putting theirs there: the next look is soon enough.
        Ok(changed)
    }
}

/// With whom a room is a conversation, where nothing is heard of them.
pub(super) fn blocked_peer(tx: &mut Tx, room: RoomId) -> Result<Option<UserName>, StoreError> {
    let settings = tx.room_row(room)?.and_then(|row| row.settings).filter(|settings| settings.direct);
    let Some(settings) = settings else { return Ok(None) };
    let me = tx.identity()?.map(|identity| identity.account);
    for account in settings.admins {
        if Some(account) != me && tx.is_blocked(account)? {
            return Ok(tx.contact(account)?.map(|contact| contact.name));
        }
    }
    Ok(None)
}

impl Handle {
    /// Marks a room, or takes that back, on all devices of the account.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRoom`]; [`EngineError::Refused`] when too much is noted; when the profile cannot be written.
    pub async fn mark(&self, room: RoomId, mark: Mark, so: bool) -> Result<Noted, EngineError> {
        self.0
            .profile
            .read_async(move |tx: &mut Tx| tx.room_row(room))
            .await?
            .ok_or_else(|| EngineError::NoSuchRoom(room.to_string()))?;
        self.note(mark.of(room), so).await
    }

    /// What the user has noted of a room.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn marks(&self, room: RoomId) -> Result<RoomMarks, EngineError> {
        Ok(self
            .0
            .profile
            .read_async(move |tx: &mut Tx| Ok::<_, StoreError>(view::marks(&tx.all_noted()?, room)))
            .await?)
    }

    /// Hears nothing more of somebody, or hears of them again, on all devices of the account.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] of oneself, [`EngineError::NoSuchUser`]; as [`Handle::mark`].
    pub async fn block(&self, user: &UserName, so: bool) -> Result<Noted, EngineError> {
        if *user == self.0.me.name {
            return Err(EngineError::Invalid("nobody blocks themselves".to_owned()));
        }
        let account = self.account_of(user).await?;
        let noted = self.note(Topic::Blocked(account), so).await?;
        // What was shown of them is not any more, or is again.
        self.tell(Event::Deleted);
        Ok(noted)
    }

    /// Of whom nothing is heard, by name.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn blocked(&self) -> Result<Vec<UserName>, EngineError> {
        let names = self.0.profile.read_async(|tx: &mut Tx| {
            let mut names = vec![];
            for topic in tx.all_noted()? {
                if let Topic::Blocked(account) = topic {
                    names.extend(tx.contact(account)?.map(|contact| contact.name));
                }
            }
            names.sort_unstable();
            Ok::<_, StoreError>(names)
        });
        Ok(names.await?)
    }

    pub(super) async fn note(&self, topic: Topic, so: bool) -> Result<Noted, EngineError> {
        let now = clock::millis();
        self.0.profile.write_async(move |tx: &mut Tx| tx.note_whether(topic, so, now)).await?;
        self.noted().await
    }

    /// Tells what was noted, if that can be.
    pub(super) async fn noted(&self) -> Result<Noted, EngineError> {
        self.tell(Event::Rooms);
        if self.0.options.offline {
            return Ok(Noted::Here);
        }
        match self.0.devices.sync_notes(None).await {
            Ok(_) => {
                let (_, untold) = self.0.profile.read_async(Tx::notes_version).await?;
                Ok(if untold { Noted::Here } else { Noted::Told })
            }
            Err(error @ (EngineError::Refused(_) | EngineError::Store(_))) => Err(error),
            Err(error) => {
                tracing::debug!(%error, "the other devices were not told");
                Ok(Noted::Here)
            }
        }
    }
}
