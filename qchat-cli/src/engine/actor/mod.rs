//! The one task that holds the connection: it feeds the core and carries out its effects.

mod effects;
mod ephemeral;
mod flight;
mod frames;
mod trees;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use qchat_proto::{
    ids::{AccountId, MessageId, RoomId, Seq},
    session::ledger::Phase,
    wire::{api::MemberStatus, fault::FaultCode, frame::Logged, tree::TreeHash},
};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    task::{JoinHandle, JoinSet},
    time::Instant,
};

use self::{ephemeral::Whispering, flight::Flight, trees::Uploading};
use super::{
    access::Access,
    core::{Core, Input},
    devices::{Applicant, OwnDevices},
    duties,
    error::EngineError,
    invitations::Invitations,
    old_copy,
    people::People,
    presence::{self, Appearance, Board},
    steps::Steps,
    types::{Connection, Event},
    upkeep,
};
use crate::{
    net::{NetError, reconnect::Backoff, rest::Client, socket::Socket},
    store::{Profile, Tx},
};

/// How often the database is looked at for what other processes wrote.
const WATCH: Duration = Duration::from_millis(500);
/// A connection that lasted this long was a good one.
const STEADY: Duration = Duration::from_secs(10);
/// Longest part of a log that a join may need, envelopes.
const LONGEST_LOG: u64 = 100_000;
/// How long the end waits for upkeep under way.
const UPKEEP_PATIENCE: Duration = Duration::from_secs(5);
/// Commits refused as stale before a device lets the others go first,
const RACES: u32 = 2;
/// and for how long it does.
const BACK_OFF: Duration = Duration::from_secs(2);
/// How often an envelope is tried again while its members' keys have to be fetched first.
const LEARNING: usize = 3;

/// What the handle asks of the task.
pub(crate) enum Command {
    /// A row may wait in the outbox.
    Wrote(RoomId),
    /// A room was created or joined.
    Joined(RoomId),
    /// Fetch this part of a room's log, both ends as in `joining::Span`.
    Log(RoomId, Seq, Seq, oneshot::Sender<Result<Vec<Logged>, EngineError>>),
    /// Answer once everything that the daemon has is processed.
    Sync(oneshot::Sender<Result<(), EngineError>>),
    /// Something about the account may have changed: look after it.
    Account,
    /// The account was looked after; these rooms have something to send, and these people wait for a yes.
    LookedAfter(Vec<RoomId>, Vec<Applicant>),
    /// Show this of the user from now on; whether the others are asked for the same.
    Appear(Appearance, bool),
    /// Ask the others whether they are there.
    AskPresence,
    /// Tell the members of a room that the user writes, or does so no more; whether that could be said.
    Writing(RoomId, bool, oneshot::Sender<Result<(), EngineError>>),
    /// Close the connection and end.
    Stop(oneshot::Sender<()>),
}

/// What an answer of the daemon belongs to.
enum Asked {
    Page(RoomId),
    Log(RoomId, Seq, Vec<Logged>, oneshot::Sender<Result<Vec<Logged>, EngineError>>),
    Publish { room: RoomId, id: MessageId, under: Seq, commit: bool },
}

pub(crate) struct Actor {
    pub(crate) profile: Profile,
    pub(crate) rest: Client,
    pub(crate) access: Access,
    pub(crate) people: People,
    pub(crate) steps: Steps,
    pub(crate) invitations: Invitations,
    pub(crate) devices: OwnDevices,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) commands: mpsc::Receiver<Command>,
    /// For the upkeep to say that it is done; it keeps nobody from ending.
    back: mpsc::WeakSender<Command>,
    core: Core,
    asked: HashMap<u64, Asked>,
    flights: HashMap<RoomId, Flight>,
    next_request: u64,
    syncing: Vec<oneshot::Sender<Result<(), EngineError>>>,
    data_version: i64,
    /// How many messages have been deleted from this device.
    deleted: i64,
    upkeep: Option<JoinHandle<()>>,
    /// Upkeep is wanted once more when the one under way is done.
    upkeep_again: bool,
    /// Who asks to be let in, and was shown to the user.
    asking: HashSet<Applicant>,
    me: AccountId,
    /// Trees on their way.
    uploads: JoinSet<(Uploading, Result<(), EngineError>)>,
    /// The last tree of a room that this process has put there.
    put: HashMap<RoomId, TreeHash>,
    /// How often the daemon said that it does not have the tree of a room's commit.
    misses: HashMap<RoomId, u32>,
    /// How often commits of a room were refused as stale since one was accepted.
    lost_races: HashMap<RoomId, u32>,
    /// Rooms that back off, and until when; the pause is the same for all, so the first ends first.
    backing_off: VecDeque<(Instant, RoomId)>,
    whispering: Whispering,
    board: Board,
    /// Whether the user shows and is shown who is there,
    presence: bool,
    /// and who writes.
    typing: bool,
}

/// Why the connection is given up.
enum End {
    Lost(EngineError),
    Stop(Option<oneshot::Sender<()>>),
}

type Step = Result<(), End>;

impl From<EngineError> for End {
    fn from(error: EngineError) -> Self {
        Self::Lost(error)
    }
}

impl From<NetError> for End {
    fn from(error: NetError) -> Self {
        Self::Lost(error.into())
    }
}

impl Actor {
    #[expect(clippy::too_many_arguments, reason = "the parts that the handle has put together, once")]
    pub(crate) fn new(
        profile: Profile,
        rest: Client,
        access: Access,
        people: People,
        steps: Steps,
        invitations: Invitations,
        devices: OwnDevices,
        events: broadcast::Sender<Event>,
        (back, commands): (mpsc::WeakSender<Command>, mpsc::Receiver<Command>),
        (board, presence, typing): (Board, bool, bool),
    ) -> Self {
        Self {
            profile,
            rest,
            access,
            people,
            steps,
            invitations,
            me: devices.account,
            devices,
            events,
            commands,
            back,
            core: Core::default(),
            asked: HashMap::new(),
            flights: HashMap::new(),
            next_request: 0,
            syncing: vec![],
            data_version: 0,
            deleted: 0,
            upkeep: None,
            upkeep_again: false,
            asking: HashSet::new(),
            uploads: JoinSet::new(),
            put: HashMap::new(),
            misses: HashMap::new(),
            lost_races: HashMap::new(),
            backing_off: VecDeque::new(),
            whispering: Whispering::default(),
            board,
            presence,
            typing,
        }
    }

    /// Connects, works, reconnects, until told to stop.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            self.tell(Event::Connection(Connection::Connecting));
            let end = match self.connect().await {
                Ok(mut socket) => {
                    let since = Instant::now();
                    let end = self.work(&mut socket).await;
                    // A connection that fails at once each time must not be tried in a hot loop.
                    if since.elapsed() > STEADY {
                        backoff.reset();
                    }
                    socket.close().await;
                    end
                }
                Err(end) => end,
            };
            self.core.handle(Input::Offline);
            self.asked.clear();
            self.flights.clear();
            self.backing_off.clear();
            self.misses.clear();
            self.whispering.disconnect();
            // Those on their way are given up.
            self.uploads = JoinSet::new();
            match end {
                End::Stop(done) => {
                    if let Some(upkeep) = self.upkeep.take() {
                        let _ = tokio::time::timeout(UPKEEP_PATIENCE, upkeep).await;
                    }
                    if let Some(done) = done {
                        let _ = done.send(());
                    }
                    return;
                }
                End::Lost(error) => {
                    tracing::info!(%error, "offline");
                    self.tell(Event::Connection(Connection::Offline(error.to_string())));
                    self.fail_waiting(&error);
                    let asked = match &error {
                        EngineError::Net(error) => error.retry_after(),
                        _ => None,
                    };
                    if self.pause(backoff.pause(asked), &error).await {
                        return;
                    }
                }
            }
        }
    }

    /// Waits before the next attempt, after what has ended the last one; whether the task is to end.
    async fn pause(&mut self, pause: Duration, after: &EngineError) -> bool {
        let limited = match after {
            EngineError::Net(NetError::Fault(fault)) => {
                fault.code == FaultCode::RateLimited && fault.retry_after.is_some()
            }
            _ => false,
        };
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return false,
                command = self.commands.recv() => match command {
                    None => return true,
                    Some(Command::Stop(done)) => {
                        let _ = done.send(());
                        return true;
                    }
                    // To ask again now would only be refused again.
                    Some(Command::Sync(reply)) if limited => {
                        let _ = reply.send(Err(repeat(after)));
                    }
                    // Somebody waits for the connection: try at once.
                    Some(Command::Sync(reply)) => {
                        self.syncing.push(reply);
                        return false;
                    }
                    Some(Command::Log(.., reply)) => {
                        let _ = reply.send(Err(EngineError::Timeout("there is no connection".to_owned())));
                    }
                    Some(Command::Appear(appearance, _)) => self.show(Some(appearance)),
                    Some(Command::Writing(.., reply)) => {
                        let _ = reply.send(Err(EngineError::Timeout("there is no connection".to_owned())));
                    }
                    // Stored already; the next connection looks at every room.
                    Some(
                        Command::Wrote(_)
                        | Command::Joined(_)
                        | Command::Account
                        | Command::AskPresence
                        | Command::LookedAfter(..),
                    ) => {}
                },
            }
        }
    }

    fn fail_waiting(&mut self, error: &EngineError) {
        for waiting in self.syncing.drain(..) {
            let _ = waiting.send(Err(repeat(error)));
        }
    }

    async fn connect(&mut self) -> Result<Socket, End> {
        self.profile.read_async(old_copy::expect_none).await?;
        let token = self.access.token().await?;
        let server = self.profile.read_async(Tx::identity).await.map_err(EngineError::from)?;
        let server = server.ok_or(EngineError::LoggedOut)?.server_id;
        match Socket::connect(self.rest.base(), &token, server).await {
            // The token looked good, but the daemon will not have it: its key or its session is gone.
            Err(NetError::Fault(fault)) if fault.code == FaultCode::Unauthenticated => {
                let token = self.access.renew(&token).await?;
                Ok(Socket::connect(self.rest.base(), &token, server).await?)
            }
            Err(NetError::Fault(fault)) if fault.code == FaultCode::SessionEnded => {
                Err(self.access.forget(&token, fault).await?.into())
            }
            other => Ok(other?),
        }
    }

    async fn work(&mut self, socket: &mut Socket) -> End {
        let started = async {
            self.data_version = self.profile.data_version_async().await.map_err(EngineError::from)?;
            self.deleted =
                self.profile.read_aside_async(Tx::deleted_messages).await.map_err(EngineError::from)?;
            let mut rooms = self.list_rooms().await?;
            for (room, cursor, newest) in &mut rooms {
                if *newest < *cursor
                    && let Some(known) = self.steps.gone_too_far(*room, *newest).await?
                {
                    self.contradiction();
                    *cursor = known;
                }
            }
            self.tell(Event::Connection(Connection::Online(socket.link().clone())));
            self.feed(socket, Input::Online(rooms)).await?;
            self.confirm_over(socket).await?;
            self.announce_shown(socket, true).await
        };
        if let Err(end) = started.await {
            return end;
        }
        let mut watch = tokio::time::interval(WATCH);
        let mut beat = tokio::time::interval_at(Instant::now() + presence::BEAT, presence::BEAT);
        let mut duties = tokio::time::interval(duties::interval(self.steps.device.latest().key_life()));
        loop {
            let step: Step = tokio::select! {
                frame = socket.recv() => match frame {
                    Ok(frame) => self.frame(socket, frame).await,
                    Err(error) => Err(error.into()),
                },
                command = self.commands.recv() => match command {
                    Some(command) => self.command(socket, command).await,
                    None => Err(End::Stop(None)),
                },
                Some(put) = self.uploads.join_next() => match put {
                    Ok((uploading, result)) => self.tree_put(socket, uploading, result).await,
                    Err(_) => Err(EngineError::Stopped.into()),
                },
                _ = watch.tick() => {
                    match self.expire_presence().await {
                        Ok(()) => self.watch(socket).await,
                        Err(error) => Err(error.into()),
                    }
                }
                _ = beat.tick() => self.announce_shown(socket, false).await,
                room = rested(&mut self.whispering.owed) => self.answer_owed(socket, room).await,
                _ = duties.tick() => {
                    self.start_upkeep();
                    self.duties(socket).await
                }
                room = rested(&mut self.backing_off) => self.feed(socket, Input::Resume(room)).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// The conversation does not wait for it, nor end with it: the next connection tries again.
    fn start_upkeep(&mut self) {
        if self.upkeep.as_ref().is_some_and(|upkeep| !upkeep.is_finished()) {
            self.upkeep_again = true;
            return;
        }
        self.upkeep_again = false;
        let (devices, events, back) = (self.devices.clone(), self.events.clone(), self.back.clone());
        let (log, me) = (self.people.log.clone(), self.me);
        self.upkeep = Some(tokio::spawn(async move {
            match log.check_own(me).await {
                Ok(strange) => {
                    for sentence in strange {
                        let _ = events.send(Event::Trouble(sentence));
                    }
                }
                Err(error @ (EngineError::Net(NetError::Fault(_)) | EngineError::Directory(_))) => {
                    let _ = events.send(Event::Trouble(error.to_string()));
                }
                Err(error) => tracing::debug!(%error, "what the key directory says of this account"),
            }
            let due = match upkeep::run(&devices).await {
                Ok(due) => due,
                Err(
                    error @ (EngineError::Net(NetError::Fault(_))
                    | EngineError::Identity { .. }
                    | EngineError::Directory(_)
                    | EngineError::Refused(_)),
                ) => {
                    let _ = events.send(Event::Trouble(error.to_string()));
                    upkeep::Due::default()
                }
                Err(error) => {
                    tracing::debug!(%error, "upkeep");
                    upkeep::Due::default()
                }
            };
            if due.noted {
                let _ = events.send(Event::Rooms);
                // Somebody may be blocked now, or no more.
                let _ = events.send(Event::Deleted);
            }
            if let Some(back) = back.upgrade() {
                let _ = back.send(Command::LookedAfter(due.rooms, due.asking)).await;
            }
        }));
    }

    /// Says who asks to be let into a room, once.
    async fn tell_who_asks(&mut self, asking: Vec<Applicant>) -> Step {
        for asking in asking {
            let room = asking.room;
            if !self.asking.insert(asking.clone()) {
                continue;
            }
            let row =
                self.profile.read_async(move |tx| tx.room_row(room)).await.map_err(EngineError::from)?;
            let settings = row.and_then(|row| row.settings);
            let room = settings.map_or_else(|| room.to_string(), |settings| settings.name);
            self.tell(Event::Trouble(format!(
                "{name} asks to be let into {room}; `qchat room request accept` lets them in, and `qchat room request decline` does not",
                name = asking.name
            )));
        }
        Ok(())
    }

    /// Does what is due by the clock, and what is owed since the account's devices have changed.
    async fn duties(&mut self, socket: &mut Socket) -> Step {
        for room in duties::run(&self.profile, &self.steps, self.me).await? {
            self.feed(socket, Input::Wrote(room)).await?;
        }
        Ok(())
    }

    /// Says once more which rooms are over for this device: the daemon keeps their logs until it knows.
    async fn confirm_over(&mut self, socket: &mut Socket) -> Step {
        let rooms = self.profile.read_async(Tx::rooms).await.map_err(EngineError::from)?;
        for room in rooms {
            if matches!(room.state.phase, Phase::Removed(_) | Phase::Left(_)) {
                self.feed(socket, Input::Over(room.state.room, room.state.cursor)).await?;
            }
        }
        Ok(())
    }

    /// Asks for the rooms of this device, stores new invitations, and gives those that are joined.
    async fn list_rooms(&mut self) -> Result<Vec<(RoomId, Seq, Seq)>, End> {
        let token = self.access.token().await?;
        let remote = self.rest.rooms(&token).await?.rooms;
        // Only now: what another process of this profile has confirmed meanwhile is stored.
        let local = self.profile.read_async(Tx::rooms).await.map_err(EngineError::from)?;
        old_copy::compare(&self.profile, &remote, &local).await?;
        let mut joined = vec![];
        for room in &local {
            let id = room.state.room;
            let theirs = remote.iter().find(|theirs| theirs.room_id == id);
            let invited = theirs.is_some_and(|theirs| theirs.status == MemberStatus::Invited);
            if invited && room.state.phase == Phase::Member {
                // Joined here, but the daemon was not told before the program ended.
                self.rest.join(&token, id).await?;
            }
            if matches!(room.state.phase, Phase::Removed(_) | Phase::Left(_)) {
                continue;
            }
            joined.push((id, room.state.cursor, theirs.map_or(room.state.cursor, |theirs| theirs.last_seq)));
        }
        let phase = |id| local.iter().find(|room| room.state.room == id).map(|room| room.state.phase);
        let invited: Vec<RoomId> = remote
            .iter()
            .filter(|theirs| match (theirs.status, phase(theirs.room_id)) {
                // Whoever was removed, left or is stuck and is added again has to say yes again.
                (MemberStatus::Invited, phase) => phase != Some(Phase::Member),
                // Added by another device of the account, unless the daemon has not heard yet that it is in it no more.
                (MemberStatus::Full, None | Some(Phase::Removed(_) | Phase::Left(_))) => true,
                _ => false,
            })
            .map(|theirs| theirs.room_id)
            .collect();
        if self.invitations.learn(&token, &invited).await? {
            self.tell(Event::Rooms);
        }
        Ok(joined)
    }

    async fn watch(&mut self, socket: &mut Socket) -> Step {
        let version = self.profile.data_version_async().await.map_err(EngineError::from)?;
        if version == self.data_version {
            return Ok(());
        }
        self.data_version = version;
        // Another process wrote: its messages are to be shown, its rows it sends itself unless it has ended.
        let deleted = self.profile.read_aside_async(Tx::deleted_messages).await.map_err(EngineError::from)?;
        if deleted != self.deleted {
            self.deleted = deleted;
            self.tell(Event::Deleted);
        }
        let waiting = self.profile.read_async(Tx::outbox_rooms).await.map_err(EngineError::from)?;
        let rooms = self.profile.read_async(Tx::rooms).await.map_err(EngineError::from)?;
        for room in rooms {
            let id = room.state.room;
            self.tell(Event::Changed(id));
            self.tell(Event::Timeline(id));
            if room.state.phase == Phase::Member && !self.core.follows(id) {
                self.feed(socket, Input::Joined(id, room.state.cursor)).await?;
            }
        }
        self.tell(Event::Rooms);
        for room in waiting {
            self.feed(socket, Input::Wrote(room)).await?;
        }
        Ok(())
    }

    async fn command(&mut self, socket: &mut Socket, command: Command) -> Step {
        match command {
            Command::Wrote(room) => self.feed(socket, Input::Wrote(room)).await,
            Command::Joined(room) => {
                // The account's other devices may be missing there.
                self.start_upkeep();
                // A page of what this device has read without following it is of no use any more.
                self.asked.retain(|_, asked| !matches!(asked, Asked::Page(of) if *of == room));
                let state = self.profile.read_async(move |tx| tx.room_row(room)).await;
                match state.map_err(EngineError::from)? {
                    Some(row) => self.feed(socket, Input::Joined(room, row.state.cursor)).await,
                    None => Ok(()),
                }
            }
            Command::Log(_, after, until, reply) if until.0.saturating_sub(after.0) > LONGEST_LOG => {
                let _ =
                    reply.send(Err(NetError::Protocol("the server names an impossible log".into()).into()));
                Ok(())
            }
            Command::Log(room, after, until, reply) => {
                self.fetch(socket, room, after, Asked::Log(room, until, vec![], reply)).await
            }
            Command::Sync(reply) => {
                if self.core.synced() {
                    let _ = reply.send(self.read_everything());
                } else {
                    self.syncing.push(reply);
                }
                Ok(())
            }
            Command::Account => {
                self.start_upkeep();
                Ok(())
            }
            Command::LookedAfter(rooms, asking) => {
                self.tell_who_asks(asking).await?;
                if let Some(upkeep) = self.upkeep.take() {
                    // This was the last that it had to do.
                    let _ = upkeep.await;
                }
                if self.upkeep_again {
                    self.start_upkeep();
                }
                for room in rooms {
                    self.feed(socket, Input::Wrote(room)).await?;
                }
                self.duties(socket).await
            }
            Command::Appear(appearance, asks) => {
                self.show(Some(appearance));
                self.announce_shown(socket, asks).await
            }
            Command::AskPresence => {
                let shown = self.whispering.shown.unwrap_or(Appearance::Away);
                self.announce(socket, self.of_device(shown).said(), true).await
            }
            Command::Writing(room, writing, reply) => {
                let told = self.tell_writing(socket, room, writing).await?;
                let _ = reply.send(if told { Ok(()) } else { Err(presence::too_large()) });
                Ok(())
            }
            Command::Stop(done) => {
                if let Err(End::Lost(error)) = self.take_leave(socket).await {
                    tracing::debug!(%error, "nobody was told that this user goes");
                }
                Err(End::Stop(Some(done)))
            }
        }
    }

    fn tell(&self, event: Event) {
        // Nobody listening is fine: the store is the truth.
        let _ = self.events.send(event);
    }

    fn trouble(&self, error: &EngineError) {
        tracing::warn!(%error, "trouble");
        self.tell(Event::Trouble(error.to_string()));
    }
}

/// The same failure for one more who waits.
fn repeat(error: &EngineError) -> EngineError {
    match error {
        EngineError::Net(NetError::Fault(fault)) => EngineError::Net(NetError::Fault(fault.clone())),
        EngineError::LoggedOut => EngineError::LoggedOut,
        EngineError::OldCopy => EngineError::OldCopy,
        EngineError::Refused(text) => EngineError::Refused(text.clone()),
        EngineError::Net(NetError::Untrusted { .. }) => EngineError::Refused(error.to_string()),
        error => EngineError::Timeout(error.to_string()),
    }
}

/// Waits until the first pause is over; for ever when no room backs off.
async fn rested(backing_off: &mut VecDeque<(Instant, RoomId)>) -> RoomId {
    match backing_off.front().copied() {
        Some((until, room)) => {
            tokio::time::sleep_until(until).await;
            backing_off.pop_front();
            room
        }
        None => std::future::pending().await,
    }
}

/// Whether the next connection may find it otherwise.
fn is_passing(code: FaultCode) -> bool {
    matches!(
        code,
        FaultCode::Unavailable | FaultCode::Internal | FaultCode::RateLimited | FaultCode::Unauthenticated
    )
}
