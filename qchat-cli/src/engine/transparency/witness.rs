//! Heads that members tell of, held against the own: a server that shows people different directories is found out.

use std::{sync::Weak, time::Duration};

use qchat_proto::{
    sanitize,
    session::ledger::{Ledger, Notice},
    transparency::{TransparencyError, verify_path},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::Transparency;
use crate::{
    engine::{
        clock,
        error::EngineError,
        handle::{Handle, Inner},
        types::{Connection, Event},
    },
    store::{HeardHead, StoreError, Tx},
};

/// How long the server may take to show here what it has shown elsewhere, milliseconds.
const LATE: i64 = 10_000;
/// Between two questions about what the server did not show yet, and how often at least it is asked.
const REST: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(5);
/// How often a newer head may come between two questions about one epoch.
const TRIES: usize = 4;

/// What comparing has shown.
enum Compared {
    /// The same.
    Same,
    /// This device does not see that epoch yet.
    Later,
    /// It does not see it, and should by now.
    Withheld,
    /// Another.
    Other(Vec<u8>),
}

/// Compares after every event that may have brought a head, until the engine ends.
async fn run(engine: Weak<Inner>, mut events: Receiver<Event>) {
    let mut again = false;
    loop {
        let event = if again {
            tokio::time::timeout(AGAIN, events.recv()).await.unwrap_or(Err(RecvError::Lagged(0)))
        } else {
            events.recv().await
        };
        match event {
            Ok(Event::Timeline(_) | Event::Connection(Connection::Online(_))) | Err(RecvError::Lagged(_)) => {
            }
            Ok(_) => continue,
            Err(RecvError::Closed) => return,
        }
        let Some(inner) = engine.upgrade() else { return };
        let handle = Handle(inner);
        again = match compare_all(&handle).await {
            Ok(later) => later,
            Err(error @ EngineError::Directory(_)) => {
                handle.tell(Event::Trouble(error.to_string()));
                false
            }
            Err(error) => {
                tracing::debug!(%error, "heads of the key directory were not compared");
                false
            }
        };
        drop(handle);
        if again {
            // Whoever tells of what the server has not must not have it asked all the time.
            tokio::time::sleep(REST).await;
        }
    }
}

/// Starts [`run`].
pub(crate) fn start(handle: &Handle) {
    tokio::spawn(run(std::sync::Arc::downgrade(&handle.0), handle.events()));
}

/// Compares all that was heard; whether something of it has to wait.
async fn compare_all(handle: &Handle) -> Result<bool, EngineError> {
    let mut later = false;
    let log = &handle.0.people.log;
    for heard in log.profile.read_async(Tx::heard).await? {
        let (what, theirs) = match log.compare(&heard).await? {
            Compared::Later => {
                later = true;
                continue;
            }
            Compared::Same => {
                log.profile.write_async(move |tx| tx.forget_heard(&heard)).await?;
                continue;
            }
            Compared::Withheld => ("has not shown this device", None),
            Compared::Other(ours) => ("has shown another one to this device", Some(ours)),
        };
        let account = heard.account;
        let name = log.profile.read_async(move |tx| tx.contact(account)).await?;
        let name = name.map_or_else(|| format!("account {account}"), |contact| contact.name.to_string());
        let sentence = format!(
            "a device of {} has seen a key directory of this server at epoch {} and the server {what}: either it shows \
             people different directories and gives somebody false keys, or that device lies. Compare what `qchat keys \
             audit` prints with each other over another channel",
            sanitize::line(&name),
            heard.epoch
        );
        if log.keep(heard.epoch, sentence.clone(), theirs, Some(heard.head.to_vec())).await? {
            let (room, device, epoch) = (heard.room, heard.device, heard.epoch);
            log.profile
                .write_async(move |tx| {
                    let Some(row) = tx.room(room)? else { return Ok(()) };
                    tx.put_notice(room, row.cursor, &Notice::SplitView { device, epoch })
                })
                .await
                .map_err(|error: StoreError| error)?;
            handle.tell(Event::Trouble(sentence));
            handle.tell(Event::Timeline(heard.room));
        }
        log.profile.write_async(move |tx| tx.forget_heard(&heard)).await?;
    }
    Ok(later)
}

impl Transparency {
    async fn compare(&self, heard: &HeardHead) -> Result<Compared, EngineError> {
        let mut newest = self.known().await?;
        if newest.since().is_none_or(|epoch| epoch < heard.epoch) {
            self.refresh().await?;
            newest = self.known().await?;
        }
        for _ in 0..TRIES {
            let Some(head) = newest.newest else { return Ok(Compared::Later) };
            if head.epoch < heard.epoch {
                let late = clock::millis().saturating_sub(heard.heard_ms) > LATE;
                return Ok(if late { Compared::Withheld } else { Compared::Later });
            }
            let signed = newest.state.head.clone().unwrap_or_default();
            if head.epoch == heard.epoch {
                let same = head.hash() == heard.head;
                return Ok(if same { Compared::Same } else { Compared::Other(signed) });
            }
            let answer = self.head(Some(heard.epoch)).await?;
            if answer.head.as_ref() == signed {
                return match verify_path(&head, answer.path.as_ref(), heard.epoch) {
                    Ok(hash) if hash == heard.head => Ok(Compared::Same),
                    Ok(_) | Err(TransparencyError::Forked { .. }) => Ok(Compared::Other(signed)),
                    Err(error) => Err(super::DirectoryFault::from(error).into()),
                };
            }
            // There is a newer one, which has to follow from what is known.
            self.refresh().await?;
            newest = self.known().await?;
        }
        Ok(Compared::Later)
    }
}
