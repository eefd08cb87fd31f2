//! What the user shows of themselves: noted for all devices of the account, and said in each small room, again when somebody comes;
//! and what others show.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use qchat_proto::{
    content::{Body, Content, Profile, Role},
    identity::Topic,
    ids::{AccountId, RoomId, Seq, UserName},
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
    notes::Noted,
    permission,
    receipts::MOST_DEVICES,
    types::{Connection, Event},
};
use crate::{
    net::reconnect,
    store::{StoreError, ToldProfile, Tx},
};

/// How long after something has changed it is said at the soonest, and by how much later at the latest: of several devices of an account
/// the first says it, and the others hear that.
const SOONEST: Duration = Duration::from_secs(1);
const SPREAD: Duration = Duration::from_secs(2);

/// How soon it is said again in a room because somebody has come there, milliseconds: whoever brings people in, again and again, has
/// nobody say it each time.
const AGAIN_MS: i64 = 10 * 60 * 1000;

/// Says it while the engine runs.
pub(super) fn start(handle: &Handle) {
    tokio::spawn(run(Arc::downgrade(&handle.0), handle.events()));
}

async fn run(engine: Weak<Inner>, mut events: Receiver<Event>) {
    let mut later: Option<Instant> = None;
    loop {
        tokio::select! {
            () = sleep_until(later.unwrap_or_else(Instant::now)), if later.is_some() => {}
            event = events.recv() => match event {
                Ok(Event::Rooms | Event::Connection(Connection::Online(_))) | Err(RecvError::Lagged(_)) => {}
                Ok(_) => continue,
                Err(RecvError::Closed) => return,
            },
        }
        tokio::time::sleep(SOONEST + SPREAD.mul_f64(reconnect::random())).await;
        // What has come meanwhile is seen by the same look.
        events = events.resubscribe();
        let Some(inner) = engine.upgrade() else { return };
        let next = Handle(inner).tell_profile().await.unwrap_or_else(|error| {
            tracing::debug!(%error, "nobody is told what this user shows");
            None
        });
        later = next.map(|after| Instant::now() + after);
    }
}

/// Whether something is to be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    /// No.
    Never,
    /// Now.
    Now,
    /// In so many milliseconds.
    In(i64),
}

/// When what was noted at `at_ms` is to be said in a room, in which the last device was added at `addition`.
fn when((at_ms, shows): (i64, bool), told: ToldProfile, addition: Seq, now_ms: i64) -> When {
    // Where it was never said, that there is nothing needs no saying.
    if !shows && told.at_ms == i64::MIN {
        return When::Never;
    }
    if told.at_ms < at_ms {
        return When::Now;
    }
    if !shows || told.seq >= addition {
        return When::Never;
    }
    // A clock that went back does not put it off.
    match now_ms.saturating_sub(told.said_ms) {
        since @ 0..AGAIN_MS => When::In(AGAIN_MS - since),
        _ => When::Now,
    }
}

/// What is shown, and when that was noted.
type Dated = (Profile, i64);

/// What is to be said in a room, and when it was noted; nothing with the time after which there is something.
fn owed(tx: &mut Tx, room: RoomId) -> Result<(Option<Dated>, Option<Duration>), StoreError> {
    let Some(note) = tx.noted(Topic::Profile)? else { return Ok((None, None)) };
    let (told, addition) = (tx.profile_told(room)?, tx.newest_addition(room)?);
    let when = when((note.at_ms, !note.value.is_empty()), told, addition, clock::millis());
    if when == When::Never {
        return Ok((None, None));
    }
    let sayable = sayable(tx, room)?;
    Ok(match when {
        When::In(ms) if sayable => (None, u64::try_from(ms).ok().map(Duration::from_millis)),
        When::Now if sayable => (Profile::decode(&note.value).map(|profile| (profile, note.at_ms)), None),
        _ => (None, None),
    })
}

/// Whether this user says there what they show.
fn sayable(tx: &mut Tx, room: RoomId) -> Result<bool, StoreError> {
    let Some(row) = tx.room_row(room)? else { return Ok(false) };
    if row.state.phase != Phase::Member || tx.roster(room)?.len() > MOST_DEVICES {
        return Ok(false);
    }
    let me = tx.identity()?.map(|own| own.account);
    if me.zip(row.settings).is_some_and(|(me, settings)| settings.role(me) == Role::Reader) {
        return Ok(false);
    }
    Ok(true)
}

impl Handle {
    /// Says in every room what is to be said there of this user; the time after which there may be more to say.
    pub(super) async fn tell_profile(&self) -> Result<Option<Duration>, EngineError> {
        let rooms = self.0.profile.read_async(|tx: &mut Tx| {
            let (mut rooms, mut next) = (vec![], None);
            // Hardly anybody shows anything.
            if tx.noted(Topic::Profile)?.is_none() {
                return Ok((rooms, next));
            }
            for row in tx.rooms()? {
                let (now, later) = owed(tx, row.state.room)?;
                rooms.extend(now.map(|_| row.state.room));
                next = next.into_iter().chain(later).min();
            }
            Ok::<_, StoreError>((rooms, next))
        });
        let (rooms, next) = rooms.await?;
        for room in rooms {
            let tellable = self.0.profile.read_async(move |tx| {
                permission::writable(tx, room)?;
                permission::expect_not_blocked(tx, room)
            });
            if tellable.await.is_err() {
                continue;
            }
            let told = self.0.steps.tell_unasked(room, move |tx| {
                let (Some((profile, at_ms)), _) = owed(tx, room)? else { return Ok(None) };
                let after = tx.room(room)?.map(|state| state.cursor).unwrap_or_default();
                tx.put_profile_told(room, at_ms, after)?;
                Ok(Some(Want::Application(Content::new(Body::Profile(profile), at_ms).encode())))
            });
            if told.await? {
                self.wrote(room).await;
            }
        }
        Ok(next)
    }

    /// Says in every room what is to be said there of this user, and waits until it has left. Where it cannot leave in time it leaves later.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub async fn say_profile(&self) -> Result<(), EngineError> {
        self.tell_profile().await?;
        let gone = self.until(async |handle: &Self| {
            let waiting = handle.0.profile.read_async(|tx: &mut Tx| {
                let mut waiting = 0;
                for room in tx.outbox_rooms()? {
                    waiting += tx.outbox_len(room)?;
                }
                Ok::<_, StoreError>(waiting)
            });
            Ok((waiting.await? == 0).then_some(()))
        });
        match gone.await {
            Ok(()) | Err(EngineError::Timeout(_) | EngineError::Net(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Changes what this user shows of themselves, on all devices of the account, and says it in their small rooms. What is `None`
    /// stays as it is.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when it is over its limits, or the picture is none; as [`Handle::mark`].
    pub async fn show_profile(
        &self,
        name: Option<String>,
        status: Option<String>,
        avatar: Option<Vec<u8>>,
    ) -> Result<Noted, EngineError> {
        // Another device may have set what is not set here.
        if !self.0.options.offline
            && let Err(error) = self.0.devices.sync_notes(None).await
        {
            tracing::debug!(%error, "what the other devices have noted is not known");
        }
        let mut profile = self.own_profile().await?;
        profile.name = name.unwrap_or(profile.name);
        profile.status = status.unwrap_or(profile.status);
        profile.avatar = avatar.map_or(profile.avatar, Into::into);
        if !profile.is_valid() {
            return Err(EngineError::Invalid(
                "a name has 64 bytes at most, a line about you 256, and a picture, a PNG, JPEG or WebP, 16 KiB".to_owned(),
            ));
        }
        let now = clock::millis();
        self.0
            .profile
            .write_async(move |tx: &mut Tx| {
                // Later than all that rooms were told, by whichever device: else this would not be news there.
                let after = tx.last_profile_told()?.saturating_add(1);
                tx.note(Topic::Profile, &profile.encode(), now.max(after))
            })
            .await?;
        let noted = self.noted().await?;
        self.tell_profile().await?;
        Ok(noted)
    }

    /// What this user shows of themselves.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn own_profile(&self) -> Result<Profile, EngineError> {
        let note = self.0.profile.read_async(|tx: &mut Tx| tx.noted(Topic::Profile)).await?;
        Ok(note.and_then(|note| Profile::decode(&note.value)).unwrap_or_default())
    }

    /// What somebody shows of themselves, as they have said it in a room that both are in.
    ///
    /// # Errors
    /// [`EngineError::NoSuchUser`]; when the profile cannot be read.
    pub async fn profile_of(&self, user: &UserName) -> Result<Profile, EngineError> {
        if *user == self.0.me.name {
            return self.own_profile().await;
        }
        let account: AccountId = self.account_of(user).await?;
        let found = self.0.profile.read_async(move |tx: &mut Tx| {
            // Nothing is shown of who is blocked.
            if tx.is_blocked(account)? { Ok(None) } else { tx.profile_of(account) }
        });
        Ok(found.await?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn what_is_new_is_said_at_once_and_to_who_comes_not_as_often_as_somebody_comes() {
        let told = |at_ms, seq, said_ms| ToldProfile { at_ms, seq: Seq(seq), said_ms };
        let never = told(i64::MIN, 0, i64::MIN);
        for (noted, told, addition, expected) in [
            ((5, true), never, 0, When::Now),
            ((5, false), never, 9, When::Never),
            ((5, true), told(4, 9, NOW), 3, When::Now),
            ((5, false), told(4, 9, NOW), 3, When::Now),
            ((5, true), told(5, 9, NOW - 1), 9, When::Never),
            ((5, true), told(5, 9, NOW - 1), 10, When::In(AGAIN_MS - 1)),
            ((5, true), told(5, 9, NOW - AGAIN_MS), 10, When::Now),
            ((5, false), told(5, 9, NOW - AGAIN_MS), 10, When::Never),
            // Said before this was noted, or by a clock that was ahead.
            ((5, true), told(5, 9, 0), 10, When::Now),
            ((5, true), told(5, 9, NOW + 1), 10, When::Now),
        ] {
            assert_eq!(when(noted, told, Seq(addition), NOW), expected, "{noted:?} {told:?} {addition}");
        }
    }
}
