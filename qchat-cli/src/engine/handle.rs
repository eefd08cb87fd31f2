//! The engine as its clients hold it: TUI, CLI and scripts alike.

use std::{collections::HashMap, sync::Arc, time::Duration};

use qchat_proto::{
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq, UserName},
    session::ledger::KeyLife,
    wire::api::MemberStatus,
};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::Instant,
};
use url::Url;
use zeroize::Zeroizing;

use super::{
    access::Access,
    actor::{Actor, Command},
    backup, clock,
    consent::{self, Accept},
    devices::OwnDevices,
    error::EngineError,
    files,
    invitations::Invitations,
    old_copy,
    parts::{Parts, parts},
    people::People,
    presence::Board,
    profiles, readmission, receipts,
    register::blocking,
    steps::Steps,
    tidy, transparency,
    types::{Connection, Event, Key, Message, RoomDetails, RoomSummary},
    view, waiting,
};
use crate::{
    net::{rest::Client, tls::Choice},
    store::{Contact, Delivery, Line, LineBody, Profile, StoreError, Tx},
    vault,
};

/// Commands that may wait for the task.
const COMMANDS: usize = 64;
/// Events kept for a slow listener; one that lags is told so and reads everything again.
const EVENTS: usize = 256;
/// How long whoever waits for something goes without a look, however little was said that concerns it: what another process of the
/// profile has done is not always told.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What an event is to whoever waits for something.
enum Heard<T> {
    /// What was waited for.
    Found(T),
    /// A reason to look.
    Look,
    /// Nothing.
    Nothing,
}

/// How the engine is to behave.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Options {
    /// How long one request, or the wait for one thing, may take.
    pub timeout: Duration,
    /// Never connect: show what is stored, keep what is written.
    pub offline: bool,
    /// Another address of the profile's daemon than the stored one.
    pub server: Option<Url>,
    /// What is said about TLS.
    pub tls: Choice,
    /// Which invitations are accepted without asking.
    pub accept: Accept,
    /// How soon this device gives itself fresh keys in its rooms.
    pub key_life: KeyLife,
    /// How long after a backup the next one is made without being asked for; `None`: none is.
    pub backup_interval: Option<Duration>,
    /// Whether this device tells the members of its rooms what it has stored, and its user seen.
    pub receipts: bool,
    /// Whether members of small rooms are told that the user is there, and are shown to be.
    pub presence: bool,
    /// Whether they are told that the user writes something, and are shown to.
    pub typing: bool,
    /// Whether a picture that is sent has a small one of it in its message.
    pub thumbnails: bool,
}

impl Options {
    /// Connects as the profile says, asks about every invitation, and does nothing by the clock but what it must.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            offline: false,
            server: None,
            tls: Choice::default(),
            accept: Accept::default(),
            key_life: KeyLife::default(),
            backup_interval: None,
            receipts: false,
            presence: false,
            typing: false,
            thumbnails: true,
        }
    }
}

/// Who this profile is.
#[derive(Clone, Debug)]
pub struct Me {
    /// The account's name.
    pub name: UserName,
    /// The account.
    pub account: AccountId,
    /// This device.
    pub device: DeviceId,
    /// The daemon.
    pub server: Url,
}

/// The engine; clones are the same engine.
#[derive(Clone)]
pub struct Handle(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) me: Me,
    pub(super) options: Options,
    pub(super) profile: Profile,
    pub(super) rest: Client,
    pub(super) access: Access,
    pub(super) people: People,
    pub(super) steps: Steps,
    pub(super) invitations: Invitations,
    pub(super) devices: OwnDevices,
    /// Held while a room is entered unasked: two attempts at once would get in each other's way.
    pub(super) entering: tokio::sync::Mutex<()>,
    /// Who is there.
    pub(super) board: Board,
    events: broadcast::Sender<Event>,
    commands: mpsc::Sender<Command>,
}

impl Inner {
    pub(super) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Tells the task that a row waits. Without a task (offline) the row waits for the next run.
    pub(super) async fn wrote(&self, room: RoomId) {
        let _ = self.commands.send(Command::Wrote(room)).await;
    }
}

impl Handle {
    /// Starts the engine on an open profile; it connects in the background unless told not to.
    ///
    /// # Errors
    /// When the profile is not registered or cannot be read.
    pub async fn start(profile: Profile, options: Options) -> Result<Self, EngineError> {
        let Parts { me, rest, access, steps, keys, log } =
            parts(&profile, options.server.clone(), options.tls, options.timeout, options.key_life).await?;
        let (events, _) = broadcast::channel(EVENTS);
        let people = People { profile: profile.clone(), log, keys, events: events.clone() };
        let invitations = Invitations {
            profile: profile.clone(),
            rest: rest.clone(),
            device: Arc::clone(&steps.device),
            people: people.clone(),
        };
        let devices = OwnDevices {
            account: me.account,
            profile: profile.clone(),
            rest: rest.clone(),
            access: access.clone(),
            people: people.clone(),
            steps: steps.clone(),
        };
        let board = Board::default();
        let (commands, receiver) = mpsc::channel(COMMANDS);
        if !options.offline {
            let actor = Actor::new(
                profile.clone(),
                rest.clone(),
                access.clone(),
                people.clone(),
                steps.clone(),
                invitations.clone(),
                devices.clone(),
                events.clone(),
                (commands.downgrade(), receiver),
                (board.clone(), options.presence, options.typing),
            );
            tokio::spawn(actor.run());
        }
        let inner = Inner {
            me,
            options,
            profile,
            rest,
            access,
            people,
            steps,
            invitations,
            devices,
            entering: tokio::sync::Mutex::default(),
            board,
            events,
            commands,
        };
        let handle = Self(Arc::new(inner));
        // Before anybody is shown anything.
        tidy::expire(&handle.0.profile, clock::millis()).await;
        tidy::start(&handle);
        if !handle.0.options.offline {
            // A command that is over sooner than the next look would never send it.
            waiting::send_due(&handle.0).await;
            consent::start(&handle, handle.0.options.accept);
            files::start(&handle);
            readmission::start(&handle);
            profiles::start(&handle);
            if handle.0.options.receipts {
                receipts::start(&handle);
            }
            if let Some(interval) = handle.0.options.backup_interval {
                backup::start(&handle, interval);
            }
            transparency::start(&handle);
        }
        Ok(handle)
    }

    /// What happens from now on. After `Lagged` read everything again.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// Who this profile is.
    pub fn me(&self) -> &Me {
        &self.0.me
    }

    /// Whether this is the profile's passphrase: asked when whoever sits there may be somebody else by now.
    ///
    /// # Errors
    /// [`EngineError::Vault`] when it is not.
    pub async fn try_passphrase(&self, passphrase: Zeroizing<String>) -> Result<(), EngineError> {
        let dir = self.0.profile.dir().to_owned();
        blocking(move || Ok(vault::unlock(&dir, &passphrase).map(drop)?)).await
    }

    /// All rooms: invitations first, then favourites, then by their last activity; what is archived last.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn rooms(&self) -> Result<Vec<RoomSummary>, EngineError> {
        let me = self.0.me.account;
        let rooms = self.0.profile.read_async(move |tx| {
            let mut names = view::Names::new(me);
            let mut rooms = vec![];
            for row in tx.invitations()? {
                if tx.is_blocked(row.inviter)? {
                    continue;
                }
                rooms.push(view::invitation(tx, &mut names, &row)?);
            }
            // A room that one was removed from and is invited to again is an invitation.
            let invited: Vec<RoomId> = rooms.iter().map(|room: &RoomSummary| room.id).collect();
            let mut joined = vec![];
            let noted = tx.all_noted()?;
            for row in tx.rooms()?.iter().filter(|row| !invited.contains(&row.state.room)) {
                joined.push(view::summary(tx, &noted, row)?);
            }
            joined.sort_by(|a, b| {
                let rank = |room: &RoomSummary| (room.marks.archived, !room.marks.favourite);
                rank(a)
                    .cmp(&rank(b))
                    .then_with(|| b.last_activity.cmp(&a.last_activity))
                    .then_with(|| a.name.cmp(&b.name))
            });
            rooms.extend(joined);
            Ok::<_, StoreError>(rooms)
        });
        Ok(rooms.await?)
    }

    /// A room with its members.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRoom`], also for one that was not joined.
    pub async fn room(&self, room: RoomId) -> Result<RoomDetails, EngineError> {
        let statuses = self.statuses(room).await;
        let me = self.0.me.account;
        let details = self.0.profile.read_async(move |tx| {
            let Some(row) = tx.room_row(room)? else { return Ok(None) };
            view::details(tx, &mut view::Names::new(me), &row, &statuses).map(Some)
        });
        let details: Option<RoomDetails> = details.await.map_err(|error: StoreError| error)?;
        details.ok_or_else(|| EngineError::NoSuchRoom(room.to_string()))
    }

    /// What a room is called that was joined, or that this device is invited to.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn room_name(&self, room: RoomId) -> Result<Option<String>, EngineError> {
        let me = self.0.me.account;
        let name = self.0.profile.read_async(move |tx| {
            if let Some(row) = tx.room_row(room)? {
                return view::name(tx, &row).map(Some);
            }
            let invited = tx.invitations()?.into_iter().find(|row| row.room == room);
            let summary = invited.map(|row| view::invitation(tx, &mut view::Names::new(me), &row));
            Ok::<_, StoreError>(summary.transpose()?.map(|summary| summary.name))
        });
        Ok(name.await?)
    }

    /// Who has joined, as the daemon says; empty when it cannot be asked.
    async fn statuses(&self, room: RoomId) -> HashMap<DeviceId, MemberStatus> {
        if self.0.options.offline {
            return HashMap::new();
        }
        let asked = async {
            let token = self.0.access.token().await?;
            Ok::<_, EngineError>(self.0.rest.room(&token, room).await?)
        };
        match asked.await {
            Ok(room) => room.members.into_iter().map(|member| (member.device_id, member.status)).collect(),
            Err(error) => {
                tracing::debug!(%error, "the daemon was not asked who has joined");
                HashMap::new()
            }
        }
    }

    /// The newest `limit` lines below row `before`, oldest first.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn timeline(
        &self,
        room: RoomId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Message>, EngineError> {
        self.lines(move |tx| tx.lines_before(room, before, limit)).await
    }

    /// The newest `limit` lines below a seq, oldest first.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn timeline_before_seq(
        &self,
        room: RoomId,
        before: Seq,
        limit: usize,
    ) -> Result<Vec<Message>, EngineError> {
        self.lines(move |tx| tx.lines_before_seq(room, Some(before), limit)).await
    }

    /// The first `limit` lines above row `after`, oldest first.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn timeline_after(
        &self,
        room: RoomId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Message>, EngineError> {
        self.lines(move |tx| tx.lines_after(room, after, limit)).await
    }

    /// The first `limit` lines above row `after` (0: from the start) that nothing can move any more, oldest first:
    /// whoever goes on from the last one sees each line once. A change of an earlier message is a line here: that message as it
    /// is now, with [`Marks::change`](super::types::Marks::change).
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn settled_after(
        &self,
        room: RoomId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Message>, EngineError> {
        self.lines(move |tx| tx.settled_lines_after(room, after, limit)).await
    }

    /// The last row of a room that nothing can move any more: whoever goes on from it with [`Handle::settled_after`] gets what
    /// is new.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn last_settled(&self, room: RoomId) -> Result<Option<i64>, EngineError> {
        Ok(self.0.profile.read_async(move |tx| tx.last_settled_row(room)).await?)
    }

    /// The identity keys of this account and of everybody whose key was pinned, by name.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn keys(&self) -> Result<Vec<Key>, EngineError> {
        let me = self.0.me.account;
        let contacts = self.0.profile.read_async(Tx::contacts).await?;
        let key = |contact: Contact| Key {
            name: contact.name,
            account: contact.account,
            hash: contact.pinned.identity_key_hash,
            me: contact.account == me,
            verified: contact.verified,
            changed: contact.changed_record.is_some(),
        };
        Ok(contacts.into_iter().map(key).collect())
    }

    pub(super) async fn lines(
        &self,
        select: impl FnOnce(&mut Tx) -> Result<Vec<Line>, StoreError> + Send + 'static,
    ) -> Result<Vec<Message>, EngineError> {
        let me = self.0.me.account;
        let lines = self.0.profile.read_async(move |tx| {
            let mut names = view::Names::new(me);
            let lines = select(tx)?;
            lines.into_iter().map(|line| view::line(tx, &mut names, line)).collect::<Result<Vec<_>, _>>()
        });
        Ok(lines.await?)
    }

    /// Waits until the daemon has acknowledged a message.
    ///
    /// # Errors
    /// [`EngineError::Timeout`], [`EngineError::IdentityChanged`] or the reason why there is no connection: the message stays
    /// in the outbox.
    /// [`EngineError::NotMember`] when it can never be sent.
    pub async fn wait_sent(&self, room: RoomId, id: MessageId) -> Result<Seq, EngineError> {
        // Many may be waited for at once, and much else happens meanwhile.
        let heed = |event: &Event| match event {
            Event::Sent(of, sent) => {
                let found = sent.iter().find(|(sent, _)| *of == room && *sent == id);
                found.map_or(Heard::Nothing, |(_, seq)| Heard::Found(*seq))
            }
            Event::Timeline(_)
            | Event::Changed(_)
            | Event::Rooms
            | Event::Read(_)
            | Event::Presence(_)
            | Event::Writing(_) => Heard::Nothing,
            _ => Heard::Look,
        };
        let look = async move |handle: &Self| {
            let reading = handle.0.profile.read_async(move |tx| {
                Ok::<_, StoreError>((tx.own_message(room, id)?, tx.changed_member(room)?))
            });
            let (line, changed) = reading.await?;
            match line {
                Some(Line { delivery: Delivery::Sent, seq: Some(seq), .. }) => Ok(Some(seq)),
                // Deleted is what has become zeros.
                Some(Line {
                    delivery: Delivery::Failed, body: LineBody::Message { content, .. }, ..
                }) if content.iter().all(|byte| *byte == 0) => Err(EngineError::Refused(
                    "the message was taken back before it was sent: nobody has got it".to_owned(),
                )),
                Some(Line { delivery: Delivery::Failed, .. }) | None => {
                    // What this device knows about the room says most; else it was the server's refusal.
                    handle.may_speak(room).await?;
                    Err(EngineError::Refused("the server refused the message: it was not sent".to_owned()))
                }
                // Only now it was seen that a member's identity has changed.
                Some(_) => changed.map_or(Ok(None), |name| Err(EngineError::IdentityChanged(name))),
            }
        };
        self.until_heard(self.0.options.timeout, heed, look).await
    }

    /// Looks again after every event until there is an answer, the time is over, or the connection fails twice with
    /// nothing in between: one that only broke is taken up again, a daemon that is not there is not waited for.
    pub(super) async fn until<T>(
        &self,
        look: impl AsyncFnMut(&Self) -> Result<Option<T>, EngineError>,
    ) -> Result<T, EngineError> {
        self.until_within(self.0.options.timeout, look).await
    }

    /// [`Handle::until`] with another time.
    pub(super) async fn until_within<T>(
        &self,
        patience: Duration,
        look: impl AsyncFnMut(&Self) -> Result<Option<T>, EngineError>,
    ) -> Result<T, EngineError> {
        self.until_heard(patience, |_| Heard::Look, look).await
    }

    /// [`Handle::until_within`], where an event may be the answer, or none of its business: then it looks again after
    /// [`LOOK_AGAIN`] at the latest.
    async fn until_heard<T>(
        &self,
        patience: Duration,
        heed: impl Fn(&Event) -> Heard<T>,
        mut look: impl AsyncFnMut(&Self) -> Result<Option<T>, EngineError>,
    ) -> Result<T, EngineError> {
        let mut events = self.events();
        let waited = tokio::time::timeout(patience, async {
            let mut lost = false;
            loop {
                self.0.profile.read_async(old_copy::expect_none).await?;
                if let Some(found) = look(self).await? {
                    return Ok(found);
                }
                let again = Instant::now() + LOOK_AGAIN;
                while let Ok(event) = tokio::time::timeout_at(again, events.recv()).await {
                    match &event {
                        Ok(Event::Connection(Connection::Online(_))) => lost = false,
                        Ok(Event::Connection(Connection::Offline(_))) if !lost => lost = true,
                        Ok(Event::Connection(Connection::Offline(reason))) => {
                            return Err(EngineError::Timeout(format!(
                                "{reason}. What was written stays in the outbox and is sent by the next command that connects"
                            )));
                        }
                        Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(broadcast::error::RecvError::Closed) => return Err(EngineError::Stopped),
                    }
                    match event.map(|event| heed(&event)) {
                        Ok(Heard::Found(found)) => return Ok(found),
                        Ok(Heard::Nothing) => {}
                        Ok(Heard::Look) | Err(_) => break,
                    }
                }
            }
        });
        waited.await.unwrap_or_else(|_| {
            Err(EngineError::Timeout(format!(
                "no answer within {} s. What was written stays in the outbox and is sent by the next command that \
                 connects",
                patience.as_secs()
            )))
        })
    }

    /// Everything in the room has been read.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub async fn mark_read(&self, room: RoomId) -> Result<(), EngineError> {
        let read = self.0.profile.write_async(move |tx| match tx.room_row(room)? {
            Some(row) if row.read_seq < row.state.cursor => {
                tx.mark_read(room, row.state.cursor)?;
                Ok::<_, StoreError>(true)
            }
            _ => Ok(false),
        });
        if read.await? {
            self.tell(Event::Read(room));
        }
        Ok(())
    }

    /// Waits until everything that the daemon has is stored here.
    ///
    /// # Errors
    /// Why there is no connection, or [`EngineError::Timeout`].
    pub async fn sync(&self) -> Result<(), EngineError> {
        let synced = self.synced().await;
        match synced {
            // What another device of this account has let this one into is there, too.
            Ok(()) | Err(EngineError::Partial(_)) if consent::enter_own(self).await? => self.synced().await,
            other => other,
        }
    }

    async fn synced(&self) -> Result<(), EngineError> {
        let (reply, synced) = oneshot::channel();
        self.command(Command::Sync(reply)).await?;
        match tokio::time::timeout(self.0.options.timeout, synced).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(EngineError::Stopped),
            Err(_) => Err(EngineError::Timeout(format!(
                "the server did not send everything within {} s; try again, or raise --timeout",
                self.0.options.timeout.as_secs()
            ))),
        }
    }

    /// Ends the session here and at the daemon; what is stored stays.
    ///
    /// # Errors
    /// When the daemon cannot be told; the session is forgotten here all the same.
    pub async fn logout(&self) -> Result<(), EngineError> {
        self.0.access.logout().await
    }

    /// Ends the sessions of all devices of the account, this one's included; what is stored stays.
    ///
    /// # Errors
    /// When the daemon cannot be told; then nothing has changed here either.
    pub async fn logout_everywhere(&self) -> Result<(), EngineError> {
        self.0.access.logout_everywhere().await
    }

    /// Closes the connection, ends the background task, and leaves nothing in the write-ahead log.
    pub async fn shutdown(self) {
        let (done, ended) = oneshot::channel();
        if self.0.commands.send(Command::Stop(done)).await.is_ok() {
            let _ = ended.await;
        }
        tidy::now(&self.0.profile).await;
    }

    pub(super) async fn command(&self, command: Command) -> Result<(), EngineError> {
        if self.0.options.offline {
            return Err(EngineError::Timeout(
                "this needs a connection, and the engine is offline".to_owned(),
            ));
        }
        self.0.commands.send(command).await.map_err(|_| EngineError::Stopped)
    }

    /// Has the task look after the account, and tells everybody who listens.
    pub(super) async fn account_changed(&self) {
        let _ = self.0.commands.send(Command::Account).await;
        self.tell(Event::Devices);
    }

    /// [`Inner::wrote`].
    pub(super) async fn wrote(&self, room: RoomId) {
        self.0.wrote(room).await;
    }

    pub(super) fn tell(&self, event: Event) {
        self.0.tell(event);
    }
}
