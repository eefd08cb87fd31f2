//! Who is there, and who writes where: what members' devices say of their users while they run, kept while it is true. Only when
//! somebody was there last is stored. docs/PROTOCOL.md, "Presence and typing".

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use qchat_proto::{
    identity::Topic,
    ids::{AccountId, DeviceId, RoomId, UserName},
    session::{
        ephemeral::{Statement, What},
        ledger::{Ledger, Phase},
    },
};
use time::OffsetDateTime;
use tokio::{sync::oneshot, time::Instant};

use super::{actor::Command, clock, error::EngineError, handle::Handle, receipts::MOST_DEVICES};
use crate::store::{StoreError, Tx};

/// For how long what somebody says of being there holds, unless they say it again.
const LIFE: Duration = Duration::from_mins(5);
/// How often it is said again.
pub(super) const BEAT: Duration = Duration::from_mins(2);
/// For how long somebody writes, unless they say it again.
const WRITING: Duration = Duration::from_secs(15);
/// How soon in a room it is said again that somebody writes.
pub(super) const WRITING_AGAIN: Duration = Duration::from_secs(4);
/// How often it is stored that somebody is there.
const SEEN_AGAIN_MS: i64 = 60_000;
/// How old a statement may be, and how far in the future by this device's clock.
const SKEW_MS: i64 = 120_000;

/// What a user shows of themselves while a program of theirs runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Appearance {
    /// The program runs without them.
    Away,
    /// They are there.
    Online,
}

impl Appearance {
    pub(super) fn said(self) -> What {
        match self {
            Self::Online => What::Online,
            Self::Away => What::Away,
        }
    }
}

/// Whether somebody is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// None of their devices has said so.
    Offline,
    /// A program of theirs runs without them.
    Away,
    /// They are there.
    Online,
}

/// Somebody, and whether they are there, by their own word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presence {
    /// Their account.
    pub account: AccountId,
    /// Their name.
    pub name: UserName,
    /// Whether they are there.
    pub standing: Standing,
    /// When they were there last, as far as they have said.
    pub last_seen: Option<OffsetDateTime>,
}

/// What has changed by a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// Whether somebody is there.
    Presence(AccountId),
    /// Who writes in a room.
    Writing(RoomId),
}

/// What follows of a statement that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    /// What has changed by it.
    pub(super) change: Option<Change>,
    /// Whether it is to be stored that its user was there then.
    pub(super) seen: bool,
}

/// What is true at the moment; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Board(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    devices: HashMap<DeviceId, Said>,
    writing: HashMap<(RoomId, AccountId), Instant>,
    /// The newest statement of each device, of writing in each room: an older one was repeated, or held back.
    newest: HashMap<(Option<RoomId>, DeviceId), i64>,
    /// When it was last stored that somebody was there.
    seen: HashMap<AccountId, i64>,
}

struct Said {
    account: AccountId,
    standing: Standing,
    until: Instant,
}

impl Board {
    /// Takes in what a device has said. `None`: it says nothing, being old, repeated, or of a clock that is wrong.
    pub(super) fn take(
        &self,
        room: RoomId,
        (account, device): (AccountId, DeviceId),
        said: Statement,
        now_ms: i64,
    ) -> Option<Taken> {
        let mut notes = self.lock();
        // That somebody is there is said in several rooms, of all of which it is true.
        let of = matches!(said.what, What::Writing | What::Paused).then_some(room);
        let newest = notes.newest.entry((of, device)).or_insert(i64::MIN);
        if said.at_ms <= *newest || now_ms.abs_diff(said.at_ms) > SKEW_MS.unsigned_abs() {
            return None;
        }
        *newest = said.at_ms;
        let now = Instant::now();
        let writes =
            |changed: bool| Some(Taken { change: changed.then_some(Change::Writing(room)), seen: false });
        let standing = match said.what {
            What::Writing => return writes(notes.writing.insert((room, account), now + WRITING).is_none()),
            What::Paused => return writes(notes.writing.remove(&(room, account)).is_some()),
            What::Online => Standing::Online,
            What::Away => Standing::Away,
            What::Gone => Standing::Offline,
        };
        let before = notes.standing(account, now);
        // What was held back on the way holds for no longer than what was not.
        let age = u64::try_from(now_ms - said.at_ms).map_or(Duration::ZERO, Duration::from_millis);
        let until = now + LIFE.saturating_sub(age);
        let left = notes.devices.insert(device, Said { account, standing, until });
        let change = (notes.standing(account, now) != before).then_some(Change::Presence(account));
        // Who goes was there until then.
        let goes = standing == Standing::Offline
            && left.is_some_and(|said| said.standing == Standing::Online && said.until > now);
        let last = notes.seen.get(&account).copied().unwrap_or(i64::MIN);
        let seen = goes || (standing == Standing::Online && said.at_ms.saturating_sub(last) >= SEEN_AGAIN_MS);
        if seen {
            notes.seen.insert(account, said.at_ms);
        }
        Some(Taken { change, seen })
    }

    /// Forgets what is true no more: what has changed by that.
    pub(super) fn expire(&self) -> Vec<Change> {
        let now = Instant::now();
        let mut changes = vec![];
        let mut notes = self.lock();
        notes.writing.retain(|(room, _), until| {
            let holds = *until > now;
            if !holds {
                changes.push(Change::Writing(*room));
            }
            holds
        });
        notes.devices.retain(|_, said| {
            let holds = said.until > now;
            if !holds && said.standing != Standing::Offline {
                changes.push(Change::Presence(said.account));
            }
            holds
        });
        changes
    }

    fn standing(&self, account: AccountId) -> Standing {
        self.lock().standing(account, Instant::now())
    }

    fn writers(&self, room: RoomId) -> Vec<AccountId> {
        let now = Instant::now();
        let notes = self.lock();
        let here = notes.writing.iter().filter(|((of, _), until)| *of == room && **until > now);
        here.map(|((_, account), _)| *account).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        // Nothing in here panics halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    /// The most that a device of the account says.
    fn standing(&self, account: AccountId, now: Instant) -> Standing {
        let said = self.devices.values().filter(|said| said.account == account && said.until > now);
        said.map(|said| said.standing).max().unwrap_or(Standing::Offline)
    }
}

/// The rooms in which it is said that this user is there: few and small ones in which everybody is who shares a small room.
pub(super) fn audience(tx: &mut Tx, me: AccountId) -> Result<Vec<RoomId>, StoreError> {
    let mut small = vec![];
    let noted = tx.all_noted()?;
    for row in tx.rooms()? {
        let room = row.state.room;
        let roster = tx.roster(room)?;
        if row.state.phase == Phase::Member && roster.len() <= MOST_DEVICES {
            let invited: HashSet<DeviceId> =
                tx.invitees(room)?.into_iter().map(|invitee| invitee.device).collect();
            let joined =
                roster.iter().filter(|listed| listed.account != me && !invited.contains(&listed.device));
            let accounts: HashSet<AccountId> = joined
                .map(|listed| listed.account)
                .filter(|account| !noted.contains(&Topic::Blocked(*account)))
                .collect();
            small.push((roster.len(), room, accounts));
        }
    }
    small.sort_unstable_by_key(|(size, room, _)| (*size, *room));
    let mut told = HashSet::new();
    small.retain(|(_, _, accounts)| {
        let new = accounts.difference(&told).next().is_some();
        told.extend(accounts);
        new
    });
    Ok(small.into_iter().map(|(_, room, _)| room).collect())
}

/// Why it is not said in a room who writes.
pub(super) fn too_large() -> EngineError {
    EngineError::Refused(format!(
        "nobody is told: who writes is said in rooms of up to {MOST_DEVICES} devices alone, and while this device follows them"
    ))
}

impl Handle {
    /// Shows from now on, while this engine runs, that the user is there, or that a program of theirs is, where they want that; `asks` has
    /// the others say the same. Of several programs of the profile the one that shows most counts.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] and [`EngineError::Timeout`] where there is no connection to come.
    pub async fn appear(&self, appearance: Appearance, asks: bool) -> Result<(), EngineError> {
        if self.0.options.presence {
            self.command(Command::Appear(appearance, asks)).await?;
        }
        Ok(())
    }

    /// Asks the others whether they are there, and shows what was shown before.
    ///
    /// # Errors
    /// As [`Handle::appear`].
    pub async fn ask_presence(&self) -> Result<(), EngineError> {
        if self.0.options.presence {
            self.command(Command::AskPresence).await?;
        }
        Ok(())
    }

    /// Tells the members of a room who are there that this user writes something, or does so no more. Too soon after the last time
    /// it is passed over.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when the user does not want that, or the room is too large; [`EngineError::NotMember`];
    /// [`EngineError::Timeout`] without a connection.
    pub async fn write_notice(&self, room: RoomId, writing: bool) -> Result<(), EngineError> {
        if !self.0.options.typing {
            return Err(EngineError::Refused(
                "this profile neither says nor shows who writes; `typing = on` in the configuration does"
                    .to_owned(),
            ));
        }
        self.may_speak(room).await?;
        let (told, done) = oneshot::channel();
        self.command(Command::Writing(room, writing, told)).await?;
        done.await.map_err(|_| EngineError::Stopped)?
    }

    /// Everybody who is known, and whether they are there.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when the user shows nothing of themselves; when the profile cannot be read.
    pub async fn presences(&self) -> Result<Vec<Presence>, EngineError> {
        if !self.0.options.presence {
            return Err(EngineError::Refused(
                "this profile neither says nor shows who is there; `presence = on` in the configuration does both".to_owned(),
            ));
        }
        let me = self.0.me.account;
        let (contacts, seen, noted) = self
            .0
            .profile
            .read_async(|tx: &mut Tx| Ok::<_, StoreError>((tx.contacts()?, tx.seen()?, tx.all_noted()?)))
            .await?;
        let others = contacts.into_iter().filter(|contact| contact.account != me);
        Ok(others
            .map(|contact| {
                // What they had said before they were blocked is not shown either.
                let hidden = noted.contains(&Topic::Blocked(contact.account));
                let standing = self.0.board.standing(contact.account);
                let last_seen = seen.get(&contact.account).filter(|_| !hidden);
                Presence {
                    account: contact.account,
                    standing: if hidden { Standing::Offline } else { standing },
                    last_seen: last_seen.map(|at| clock::from_millis(*at)),
                    name: contact.name,
                }
            })
            .collect())
    }

    /// Who writes something in a room at the moment, by name.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn writers(&self, room: RoomId) -> Result<Vec<UserName>, EngineError> {
        let writers = self.0.board.writers(room);
        let mut names = self
            .0
            .profile
            .read_async(move |tx: &mut Tx| {
                let mut names = vec![];
                for account in writers {
                    if tx.is_blocked(account)? {
                        continue;
                    }
                    names.extend(tx.contact(account)?.map(|contact| contact.name));
                }
                Ok::<_, StoreError>(names)
            })
            .await?;
        names.sort_unstable();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const ROOM: RoomId = RoomId::from_bytes([1; 16]);
    const BOB: AccountId = AccountId::from_bytes([2; 16]);

    fn said(what: What, at_ms: i64) -> Statement {
        Statement { what, asks: false, at_ms }
    }

    #[test]
    fn what_is_repeated_or_old_says_nothing() {
        let (phone, laptop) = (DeviceId::from_bytes([3; 16]), DeviceId::from_bytes([4; 16]));
        let board = Board::default();
        let take = |room, device, what, at| board.take(room, (BOB, device), said(what, at), NOW);
        let other = RoomId::from_bytes([9; 16]);
        let taken =
            |changed: bool, seen| Some(Taken { change: changed.then_some(Change::Presence(BOB)), seen });
        for (place, (room, device, what, at, follows, standing)) in [
            (ROOM, phone, What::Online, NOW - 130_000, None, Standing::Offline),
            (ROOM, phone, What::Online, NOW + 130_000, None, Standing::Offline),
            // Clocks that no difference can be taken of.
            (ROOM, phone, What::Online, i64::MIN + 1, None, Standing::Offline),
            (ROOM, phone, What::Online, i64::MIN + NOW, None, Standing::Offline),
            (ROOM, phone, What::Online, i64::MAX, None, Standing::Offline),
            (ROOM, phone, What::Online, NOW - 5, taken(true, true), Standing::Online),
            // The most that a device says counts; who is away was not there.
            (ROOM, laptop, What::Away, NOW - 4, taken(false, false), Standing::Online),
            // Said again, but stored already.
            (other, phone, What::Online, NOW - 4, taken(false, false), Standing::Online),
            (other, phone, What::Gone, NOW - 3, taken(true, true), Standing::Away),
            // Repeated, or held back in another room.
            (ROOM, phone, What::Online, NOW - 5, None, Standing::Away),
            (ROOM, phone, What::Gone, NOW - 3, None, Standing::Away),
            (ROOM, laptop, What::Gone, NOW - 2, taken(true, false), Standing::Offline),
            (other, laptop, What::Away, NOW - 4, None, Standing::Offline),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!((take(room, device, what, at), board.standing(BOB)), (follows, standing), "{place}");
        }
        let writing = Some(Taken { change: Some(Change::Writing(ROOM)), seen: false });
        let take = |what, at| board.take(ROOM, (BOB, phone), said(what, NOW + at), NOW);
        assert_eq!(take(What::Writing, 1), writing);
        assert_eq!(board.writers(ROOM), [BOB]);
        assert_eq!(take(What::Paused, 2), writing);
        assert_eq!(take(What::Writing, 1), None);
        assert_eq!(board.writers(ROOM), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_said_again_is_true_no_more() {
        let (board, phone) = (Board::default(), DeviceId::from_bytes([3; 16]));
        board.take(ROOM, (BOB, phone), said(What::Online, NOW), NOW);
        board.take(ROOM, (BOB, phone), said(What::Writing, NOW + 1), NOW);
        tokio::time::advance(WRITING).await;
        assert_eq!((board.expire(), board.writers(ROOM)), (vec![Change::Writing(ROOM)], vec![]));
        assert_eq!(board.standing(BOB), Standing::Online);
        tokio::time::advance(LIFE).await;
        assert_eq!((board.expire(), board.standing(BOB)), (vec![Change::Presence(BOB)], Standing::Offline));
        assert_eq!(board.expire(), []);
    }
}
