//! Invitations that are accepted without asking: where the user has chosen so, and those by the account's own devices.

use std::{
    collections::HashSet,
    fmt,
    str::FromStr,
    sync::{Arc, Weak},
};

use qchat_proto::{
    ids::{RoomId, Seq},
    session::ledger::{Ledger, Phase},
};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    clock,
    devices::ASKED,
    error::EngineError,
    handle::{Handle, Inner},
    rooms::Entry,
    types::{Connection, Event},
};
use crate::store::{Standing, StoreError, Tx};

/// Which invitations are accepted without asking. In settings and JSON it is written as [`Accept::name`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Accept {
    /// None.
    #[default]
    Ask,
    /// Those of accounts whose safety number was compared and whose identity has not changed since.
    Verified,
    /// Everybody's.
    All,
}

impl Accept {
    /// Every choice.
    pub const EVERY: [Self; 3] = [Self::Ask, Self::Verified, Self::All];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Verified => "verified",
            Self::All => "all",
        }
    }
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The word is none of those that say which invitations are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("one of ask, verified and all is wanted")]
pub struct NoSuchChoice;

impl FromStr for Accept {
    type Err = NoSuchChoice;

    fn from_str(text: &str) -> Result<Self, NoSuchChoice> {
        Self::EVERY.into_iter().find(|choice| choice.name() == text).ok_or(NoSuchChoice)
    }
}

/// Looks for invitations after every event until the engine ends. One that could not be accepted waits for the user.
pub(super) async fn run(engine: Weak<Inner>, mut events: Receiver<Event>, accept: Accept) {
    let mut tried = HashSet::new();
    loop {
        {
            let Some(inner) = engine.upgrade() else { return };
            let handle = Handle(inner);
            let entering = handle.0.entering.lock().await;
            match acceptable(&handle, accept).await {
                Ok(found) => {
                    for (room, seq, entry) in found {
                        if tried.insert((room, seq))
                            && let Err(error) = handle.enter(room, entry).await
                        {
                            if matches!(error, EngineError::Net(_) | EngineError::Timeout(_)) {
                                // A later connection may do better.
                                tried.remove(&(room, seq));
                            }
                            handle.tell(Event::Trouble(error.to_string()));
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "invitations"),
            }
            drop(entering);
        }
        loop {
            match events.recv().await {
                Ok(Event::Rooms | Event::Connection(Connection::Online(_))) | Err(RecvError::Lagged(_)) => {
                    break;
                }
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

/// Enters the rooms that other devices of this account have let this one into; whether there was any. What cannot be entered
/// is left to [`run`], which says why.
pub(super) async fn enter_own(handle: &Handle) -> Result<bool, EngineError> {
    let _entering = handle.0.entering.lock().await;
    let mut entered = false;
    for (room, _, entry) in acceptable(handle, Accept::Ask).await? {
        match handle.enter(room, entry).await {
            Ok(()) => entered = true,
            Err(error) => tracing::debug!(%error, %room, "not entered"),
        }
    }
    Ok(entered)
}

/// The invitations that may be accepted, by room and place, and why. That one is by a device of this account is the daemon's
/// word until it is opened.
async fn acceptable(handle: &Handle, accept: Accept) -> Result<Vec<(RoomId, Seq, Entry)>, EngineError> {
    let me = handle.0.me.account;
    let profile = &handle.0.profile;
    let since = clock::seconds().saturating_sub(ASKED);
    let found = profile.read_async(move |tx: &mut Tx| {
        let mut found = vec![];
        for row in tx.invitations()? {
            let good = match accept {
                Accept::Ask => false,
                // By the daemon's word; the Welcome has to prove it.
                Accept::Verified => {
                    tx.contact(row.inviter)?.is_some_and(|contact| contact.standing() == Standing::Verified)
                }
                Accept::All => true,
            };
            if tx.is_blocked(row.inviter)? {
                continue;
            }
            // Another device of this account has said yes.
            let own = row.inviter == me;
            // A device that cannot follow a room says nothing in it by itself but to whom it knows from there.
            let stuck = tx.room(row.room)?.is_some_and(|state| matches!(state.phase, Phase::Stuck(_)));
            let restored = tx.is_restored(row.room)?;
            // The user has asked for it; whoever lets this account in shows that they know the link.
            let linked = tx.link_request(row.room, since)?.is_some();
            if (good || own || restored || linked) && !stuck {
                let entry = match accept {
                    _ if own => Entry::Own,
                    _ if linked => Entry::ByLink,
                    _ if restored && !good => Entry::Restored,
                    Accept::All => Entry::AcceptedOfAll,
                    Accept::Ask | Accept::Verified => Entry::AcceptedOfVerified,
                };
                found.push((row.room, row.seq, entry));
            }
        }
        Ok::<_, StoreError>(found)
    });
    Ok(found.await?)
}

/// Starts [`run`].
pub(super) fn start(handle: &Handle, accept: Accept) {
    tokio::spawn(run(Arc::downgrade(&handle.0), handle.events(), accept));
}
