//! The clients under whom the daemon is broken. They do what a real one does: send with the same id until it is
//! acknowledged, come back when a connection ends, log in again when a token has expired, and read from the log what they
//! have missed. The checker sees all that reaches them.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use qchat_cli::net::reconnect::Backoff;
use qchat_proto::{crypto::entropy::SystemEntropy, ids::RoomId};
use qchatd::service::seed::Plan;
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::state::{Later, Manners, State, Tally};
use crate::load::{
    account::{Account, Rest, Source},
    checker::Verdict,
    links::{Heard, Links},
    measure::{Progress, Times, nanoseconds},
    rooms::{self, Room},
};

/// How long anything may take that has to happen at all.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How many clients, and what they send.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Devices, each of an account of its own.
    pub accounts: usize,
    /// Rooms.
    pub rooms: usize,
    /// Members of each.
    pub members: usize,
    /// Members of each that send.
    pub senders: usize,
    /// Unanswered messages of each sender.
    pub window: usize,
    /// Bytes of a message.
    pub payload: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { accounts: 6, rooms: 3, members: 4, senders: 2, window: 4, payload: 300 }
    }
}

/// All clients.
pub struct Clients {
    runtime: Runtime,
    rest: Rest,
    accounts: Vec<Account>,
    links: Links,
    state: State,
}

impl Clients {
    /// Registers accounts at the daemon at `server` and makes their rooms. Their connections open when they are used.
    ///
    /// # Errors
    /// When the daemon refuses something.
    pub fn register(server: &str, shape: Shape) -> Result<Self> {
        Self::from(server, Source::Register, shape)
    }

    fn from(server: &str, source: Source, shape: Shape) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let rest = Rest::new(server.parse::<Url>()?)?;
        let quiet = Progress::new(true);
        let (accounts, rooms) = runtime.block_on(async {
            let accounts = rest.accounts(source, shape.accounts, &quiet).await?;
            let rooms = rooms::make(&rest, &accounts, shape.rooms, shape.members, &quiet).await?;
            anyhow::Ok((accounts, rooms))
        })?;
        Self::of(runtime, rest, accounts, &rooms, shape)
    }

    /// The same with the accounts of a database that `qchatd admin seed` has filled.
    ///
    /// # Errors
    /// When the daemon refuses something.
    pub fn seeded(server: &str, seed: u64, shape: Shape) -> Result<Self> {
        let accounts = u32::try_from(shape.accounts)?;
        let plan = Plan { accounts, rooms: 0, members: 1, messages: 0, size: 0, seed };
        Self::from(server, Source::Seeded(plan), shape)
    }

    fn of(
        runtime: Runtime,
        rest: Rest,
        accounts: Vec<Account>,
        rooms: &[Room],
        shape: Shape,
    ) -> Result<Self> {
        let links = Links::new(rest.server(), accounts.len())?;
        let state = State::new(&accounts, rooms, shape)?;
        Ok(Self { runtime, rest, accounts, links, state })
    }

    /// How many devices there are.
    pub fn count(&self) -> usize {
        self.accounts.len()
    }

    /// Asks for a further room, beside the load: the status of the answer, and its text.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn create_room(&self) -> Result<(u16, String)> {
        let token = self.accounts.first().map_or("", |account| &account.token);
        let room = RoomId::random(&SystemEntropy)?;
        self.runtime.block_on(self.rest.try_create_room(token, room))
    }

    /// Says bytes of its own on a device's connection, when that is open.
    ///
    /// # Errors
    /// When epoll fails.
    pub fn say(&mut self, device: usize, bytes: &[u8]) -> Result<()> {
        if let Some(out) = self.links.out(device) {
            out.extend_from_slice(bytes);
        }
        self.links.flush(device)
    }

    /// A device comes by another way from its next connection on.
    pub fn route(&mut self, device: usize, address: SocketAddr) {
        self.links.route(device, address);
    }

    /// What has happened so far.
    pub fn tally(&self) -> &Tally {
        &self.state.tally
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.state.devices.iter().filter(|device| device.open).count()
    }

    /// Begins a round: what follows is checked by itself, and everybody sends.
    ///
    /// # Errors
    /// When epoll fails.
    pub fn begin(&mut self) -> Result<()> {
        self.state.begin();
        for slot in 0..self.accounts.len() {
            if let Some(out) = self.links.out(slot) {
                self.state.fill(slot, out);
            }
            self.links.flush(slot)?;
        }
        Ok(())
    }

    /// Lets everything go on for so long.
    ///
    /// # Errors
    /// When the daemon refuses what it should take.
    pub fn go_on(&mut self, time: Duration) -> Result<()> {
        let until = self.state.clock.now() + nanoseconds(time);
        loop {
            let left = until.saturating_sub(self.state.clock.now());
            if left == 0 {
                return Ok(());
            }
            self.turn(Duration::from_nanos(left))?;
        }
    }

    /// Lets everything go on until `enough`.
    ///
    /// # Errors
    /// When that takes too long, or the daemon refuses what it should take.
    pub fn until(&mut self, what: &str, enough: impl Fn(&Self) -> bool) -> Result<()> {
        let end = self.state.clock.now() + nanoseconds(PATIENCE);
        while !enough(self) {
            ensure!(
                self.state.clock.now() < end,
                "{what}: not within {PATIENCE:?}; {}",
                self.state.standing()
            );
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Lets everything go on until so many further messages are acknowledged.
    ///
    /// # Errors
    /// See [`Self::until`].
    pub fn acknowledged(&mut self, further: u64) -> Result<()> {
        let wanted = self.state.tally.acknowledged + further;
        self.until(&format!("{further} acknowledgements"), |all| all.state.tally.acknowledged >= wanted)
    }

    /// Cuts a device's connection; it comes again.
    pub fn cut(&mut self, device: usize) {
        self.links.cut(device);
        self.state.closed(device, None);
    }

    /// From here on they wait before they come back as the client does, and as the daemon asks. Without this they are back
    /// as soon as may be.
    pub fn wait_as_clients_do(&mut self) {
        self.state.manners = Some(Manners::of(self.accounts.len()));
    }

    /// All connections have been up for a while: the first attempt after what follows is not one of many.
    pub fn last_for_a_while(&mut self) {
        if let Some(manners) = &mut self.state.manners {
            manners.backoffs.iter_mut().for_each(Backoff::reset);
        }
    }

    /// Puts the times from a connection's end until the next one of its device was open into `times`, those since this was
    /// asked last.
    pub fn returns(&mut self, times: &mut Times) {
        if let Some(manners) = &mut self.state.manners {
            manners.returns.drain(..).for_each(|time| times.add(time));
        }
    }

    /// Ends a round: nothing further is sent, everything is answered and read, and the verdict is given.
    ///
    /// # Errors
    /// When the daemon refuses what it should take, or does not answer.
    pub fn end(&mut self) -> Result<Verdict> {
        self.state.sending = false;
        let settled = self.until("everything is answered and read", |all| all.state.is_settled());
        let verdict = self.state.judge();
        match settled {
            // What is lost says more than that something was waited for.
            Err(error) if verdict.is_kept() => Err(error),
            _ => Ok(verdict),
        }
    }

    /// What the checker of one round cannot know, and was seen.
    pub fn strange(&self) -> &[String] {
        &self.state.strange
    }

    fn turn(&mut self, patience: Duration) -> Result<()> {
        let now = self.state.clock.now();
        while let Some((at, _)) = self.state.later.front()
            && *at <= now
        {
            match self.state.later.pop_front() {
                Some((_, Later::Connect(slot))) => self.connect(slot)?,
                Some((_, Later::Send(sender, number))) => self.resend(sender, number)?,
                Some((_, Later::Fetch(slot, room))) => {
                    if let Some(out) = self.links.out(slot) {
                        self.state.fetch_room(slot, room, out)?;
                    }
                    self.links.flush(slot)?;
                }
                None => {}
            }
        }
        let next = self.state.later.front().map(|(at, _)| Duration::from_nanos(at.saturating_sub(now)));
        let patience = next.map_or(patience, |next| next.min(patience));
        let state = &mut self.state;
        let mut expired = Vec::new();
        self.links.turn(patience, |slot, heard, out| {
            if let Heard::Closed(farewell) = &heard
                && farewell.why.starts_with("HTTP/1.1 401")
            {
                expired.push(slot);
            }
            state.heard(slot, heard, out)
        })?;
        for slot in expired {
            let account = self.accounts.get_mut(slot).context("no such account")?;
            // A daemon that is not there refuses this too, and the next connection asks again.
            let _ = self.runtime.block_on(self.rest.log_in_again(account));
        }
        for slot in self.state.silent() {
            self.state.tally.given_up += 1;
            self.cut(slot);
        }
        Ok(())
    }

    fn connect(&mut self, slot: usize) -> Result<()> {
        // One that was cut while it waited to come back waits twice.
        if self.links.has(slot) {
            return Ok(());
        }
        let token = &self.accounts.get(slot).context("no such account")?.token;
        // Without a way there it fails at once.
        if self.links.connect(slot, token).is_err() {
            self.state.later(Later::Connect(slot));
        }
        Ok(())
    }

    fn resend(&mut self, sender: u32, number: u32) -> Result<()> {
        let of = &self.state.senders[sender as usize];
        if of.unanswered.contains(&number)
            && let Some(out) = self.links.out(of.slot)
        {
            of.template.put(out, self.state.ids.id(sender, number));
            self.links.flush(of.slot)?;
        }
        Ok(())
    }
}
