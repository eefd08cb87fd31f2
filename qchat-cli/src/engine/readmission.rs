//! The way back into rooms that this device could not follow: the Welcome that answers its request is opened unasked.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
};

use qchat_proto::{
    ids::{RoomId, Seq},
    session::{ledger::Phase, resync},
    wire::fault::FaultCode,
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    error::EngineError,
    handle::{Handle, Inner},
    rooms::Entry,
    types::Event,
};
use crate::{
    net::NetError,
    store::{StoreError, Tx},
};

/// Looks after every event whether a room that this device cannot follow has added it again, until the engine ends.
async fn run(engine: Weak<Inner>, mut events: Receiver<Event>) {
    // Each place in a room's log is tried once; only what a later connection may mend is tried again.
    let mut tried = HashSet::new();
    loop {
        {
            let Some(inner) = engine.upgrade() else { return };
            let handle = Handle(inner);
            match stuck(&handle).await {
                Ok(found) => {
                    for (room, at) in found {
                        if tried.insert((room, at)) && !handle.return_to(room, at).await {
                            tried.remove(&(room, at));
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "rooms that cannot be followed"),
            }
        }
        loop {
            match events.recv().await {
                Ok(Event::Rooms | Event::Connection(_)) | Err(RecvError::Lagged(_)) => break,
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

/// The rooms that this device cannot follow, each with the place of what it could not or of what added it again.
async fn stuck(handle: &Handle) -> Result<Vec<(RoomId, Seq)>, EngineError> {
    let rooms = handle.0.profile.read_async(Tx::rooms).await?;
    let stuck = rooms.into_iter().filter_map(|room| match room.state.phase {
        Phase::Stuck(at) => Some((room.state.room, at)),
        _ => None,
    });
    Ok(stuck.collect())
}

/// Starts [`run`].
pub(super) fn start(handle: &Handle) {
    tokio::spawn(run(Arc::downgrade(&handle.0), handle.events()));
}

impl Handle {
    /// Opens the Welcome of the commit at `at`, which this device has read and which declares that it adds this device
    /// again. One of any other place is an invitation, and waits for a yes. Whether the matter is settled for `at`.
    async fn return_to(&self, room: RoomId, at: Seq) -> bool {
        let rest = &self.0.rest;
        match self.0.access.ask(|token| async move { rest.invitation(&token, room).await }).await {
            Ok(invitation) if invitation.seq == at => {}
            Ok(_) => return true,
            Err(EngineError::Net(NetError::Fault(fault))) => return fault.code == FaultCode::NotFound,
            Err(_) => return false,
        }
        match self.enter(room, Entry::Unasked).await {
            Ok(()) => true,
            Err(
                EngineError::Net(_) | EngineError::Store(_) | EngineError::Timeout(_) | EngineError::Stopped,
            ) => false,
            Err(error @ (EngineError::Session(_) | EngineError::Refused(_))) => {
                // Somebody has answered the request with what this device cannot open.
                self.tell(Event::Trouble(error.to_string()));
                let again = self.0.profile.write_async(move |tx| {
                    resync::ask_again(tx, room).map_err(|error| match error {
                        qchat_proto::session::error::SessionError::Ledger(error) => error,
                        _ => StoreError::Corrupt("request"),
                    })
                });
                if let Err(error) = again.await {
                    tracing::warn!(%error, %room, "asking again");
                    return false;
                }
                self.wrote(room).await;
                true
            }
            // An identity that has changed, say: asking again would bring the same.
            Err(error) => {
                self.tell(Event::Trouble(error.to_string()));
                true
            }
        }
    }
}
