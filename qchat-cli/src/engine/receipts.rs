//! Receipts: how far this device has got with a room, told to its members now and then where the user wants that; and waiting
//! for those of others.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use qchat_proto::{
    content::{Body, Content, Receipt},
    identity::Topic,
    ids::{AccountId, MessageId, RoomId, Seq},
    session::ledger::{Ledger, Phase, Want},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};

use super::{
    clock,
    error::EngineError,
    handle::{Handle, Inner},
    types::Event,
};
use crate::{
    net::reconnect,
    store::{StoreError, Tx},
};

/// Nobody tells in rooms of more devices: everybody would tell everybody of everything.
pub(super) const MOST_DEVICES: usize = 32;
/// How soon after a message a receipt is sent at the soonest, and by how much later at the latest: all that comes until then is
/// one receipt, and when somebody reads shows less exactly.
const SOONEST: Duration = Duration::from_secs(1);
const SPREAD: Duration = Duration::from_secs(2);

/// Which receipts are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reached {
    /// Their device has stored the message.
    Delivered,
    /// They have seen it.
    Read,
}

/// Tells while the engine runs.
pub(super) fn start(handle: &Handle) {
    tokio::spawn(run(Arc::downgrade(&handle.0), handle.events()));
}

async fn run(engine: Weak<Inner>, mut events: Receiver<Event>) {
    let mut due: HashMap<RoomId, Instant> = HashMap::new();
    // When all rooms are looked at: what was read is a matter of their list, of which is told far more often than anything is owed.
    let mut all: Option<Instant> = None;
    loop {
        let next = due.iter().min_by_key(|(_, at)| **at).map(|(room, at)| (*room, *at));
        tokio::select! {
            event = events.recv() => match event {
                Ok(Event::Timeline(room) | Event::Read(room)) => {
                    due.entry(room).or_insert_with(soon);
                }
                Ok(Event::Rooms) | Err(RecvError::Lagged(_)) => {
                    all.get_or_insert_with(soon);
                }
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            },
            () = sleep_until(all.unwrap_or_else(Instant::now)), if all.is_some() => {
                all = None;
                let Some(inner) = engine.upgrade() else { return };
                if let Ok(rooms) = owing(&Handle(inner)).await {
                    for room in rooms {
                        due.entry(room).or_insert_with(Instant::now);
                    }
                }
            }
            () = sleep_until(next.map_or_else(Instant::now, |(_, at)| at)), if next.is_some() => {
                let Some((room, _)) = next else { continue };
                due.remove(&room);
                let Some(inner) = engine.upgrade() else { return };
                if let Err(error) = Handle(inner).tell_receipt(room).await {
                    tracing::debug!(%error, "no receipt");
                }
            }
        }
    }
}

fn soon() -> Instant {
    Instant::now() + SOONEST + SPREAD.mul_f64(reconnect::random())
}

/// What there is to be told in a room.
fn owed(tx: &mut Tx, room: RoomId) -> Result<Option<Receipt>, StoreError> {
    let Some(row) = tx.room_row(room)? else { return Ok(None) };
    if row.state.phase != Phase::Member || tx.roster(room)?.len() > MOST_DEVICES {
        return Ok(None);
    }
    // A receipt counts all that came before, whoever said it.
    let noted = tx.all_noted()?;
    if tx.roster(room)?.iter().any(|listed| noted.contains(&Topic::Blocked(listed.account))) {
        return Ok(None);
    }
    let told = tx.told(room)?;
    // Where nothing has come and nothing was read there is nothing to look for.
    if row.state.cursor <= told.delivered && row.read_seq <= told.read {
        return Ok(None);
    }
    let Some(newest) = tx.newest_of_others(room)? else { return Ok(None) };
    let read = if row.read_seq >= newest { newest } else { row.read_seq };
    let owes = newest > told.delivered || (read > told.read && read <= newest);
    Ok(owes.then_some(Receipt { delivered: row.state.cursor, read: row.read_seq }))
}

/// The rooms in which there is something to be told.
async fn owing(handle: &Handle) -> Result<Vec<RoomId>, EngineError> {
    let found = handle.0.profile.read_async(|tx: &mut Tx| {
        let mut rooms = vec![];
        for row in tx.rooms()? {
            if owed(tx, row.state.room)?.is_some() {
                rooms.push(row.state.room);
            }
        }
        Ok::<_, StoreError>(rooms)
    });
    Ok(found.await?)
}

impl Handle {
    /// Tells all that there is to be told now, for a program that ends: what does not leave any more leaves with the next one.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub async fn tell_receipts(&self) -> Result<(), EngineError> {
        if self.0.options.receipts {
            for room in owing(self).await? {
                self.tell_receipt(room).await?;
            }
        }
        Ok(())
    }

    async fn tell_receipt(&self, room: RoomId) -> Result<(), EngineError> {
        if self.writable(room).await.is_err() {
            return Ok(());
        }
        let told = self.0.steps.tell_unasked(room, move |tx| {
            let Some(receipt) = owed(tx, room)? else { return Ok(None) };
            tx.put_receipt(room, receipt)?;
            let content = Content::new(Body::Receipt(receipt), clock::millis());
            Ok(Some(Want::Application(content.encode())))
        });
        if told.await? {
            self.wrote(room).await;
        }
        Ok(())
    }

    /// Waits until a message has reached the others: every account that is in the room and has joined. Only those who tell can be
    /// heard.
    ///
    /// # Errors
    /// [`EngineError::Timeout`] when none has said so in time, [`EngineError::NotReached`] when some have not.
    pub async fn wait_reached(
        &self,
        room: RoomId,
        id: MessageId,
        reached: Reached,
    ) -> Result<Seq, EngineError> {
        let seq = self.wait_sent(room, id).await?;
        let waited = self.until(async move |handle: &Self| {
            let (all, missing) = handle.not_reached(room, seq, reached).await?;
            Ok((all > 0 && missing.is_empty()).then_some(()))
        });
        match waited.await {
            Ok(()) => Ok(seq),
            Err(EngineError::Timeout(_)) => {
                let (all, missing) = self.not_reached(room, seq, reached).await?;
                if missing.len() < all {
                    return Err(EngineError::NotReached { seq, missing });
                }
                let what = match reached {
                    Reached::Delivered => "stored",
                    Reached::Read => "seen",
                };
                Err(EngineError::Timeout(format!(
                    "the message was sent as {seq}, and nobody has said in time that they have {what} it: they may be away, or send no receipts"
                )))
            }
            Err(error) => Err(error),
        }
    }

    /// How many others there are, and those who have not said that they have got so far.
    async fn not_reached(
        &self,
        room: RoomId,
        seq: Seq,
        reached: Reached,
    ) -> Result<(usize, Vec<String>), EngineError> {
        let me = self.0.me.account;
        let found = self.0.profile.read_async(move |tx: &mut Tx| {
            let invitees: Vec<_> = tx.invitees(room)?.into_iter().map(|invitee| invitee.device).collect();
            let mut others: Vec<AccountId> = tx
                .roster(room)?
                .into_iter()
                .filter(|listed| listed.account != me && !invitees.contains(&listed.device))
                .map(|listed| listed.account)
                .collect();
            others.sort_unstable();
            others.dedup();
            // Nobody is told how far they have got, nor waits for that.
            let blocked = tx.all_noted()?;
            others.retain(|account| !blocked.contains(&Topic::Blocked(*account)));
            let progress = tx.progress(room)?;
            let mut missing = vec![];
            for account in &others {
                let devices = progress.iter().filter(|progress| progress.account == *account);
                let far = devices.filter(|progress| progress.since < seq).map(|progress| match reached {
                    Reached::Delivered => progress.receipt.delivered,
                    Reached::Read => progress.receipt.read,
                });
                if far.max().is_none_or(|far| far < seq) {
                    let name = tx.contact(*account)?.map(|contact| contact.name.to_string());
                    missing.push(name.unwrap_or_else(|| format!("account {account}")));
                }
            }
            Ok::<_, StoreError>((others.len(), missing))
        });
        Ok(found.await?)
    }
}
