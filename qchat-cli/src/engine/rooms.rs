//! What people do with rooms: create, invite, join, remove, leave, renew keys.

use std::{sync::Arc, time::Duration};

use qchat_proto::{
    content::{Content, MAX_ROOM_NAME, RoomSettings},
    identity::VerifiedDirectory,
    ids::{AccountId, MessageId, RoomId, UserName},
    mls::membership::Leaf,
    session::{
        error::SessionError,
        joining,
        ledger::{Change, Ledger, ListedDevice, Phase, Renewal, Want},
        outbox,
    },
    wire::api::{CreateRoom, RoomInvitation},
};
use tokio::sync::oneshot;

use super::{
    actor::Command,
    claims, clock,
    error::EngineError,
    handle::Handle,
    tidy,
    types::{Event, Inviting},
};
use crate::store::{StoreError, Tx};

/// Most devices that one commit adds. Whatever their number, a commit in a room of 1,000 takes 1.2 MB and brings a tree of
/// 11 MB: the more it adds, the fewer there are. A hundred take 2.8 MB there of the 4 MiB that a commit may have.
pub(super) const ADDED_AT_ONCE: usize = 100;
/// What a room's size adds to the time that a commit may take until it is in effect, for each device: its tree has 11.4 kB
/// for each, and a slow line carries 64 kB in a second.
const PATIENCE_PER_DEVICE: Duration = Duration::from_millis(200);
/// Why a Welcome is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// A person has said yes: the room is told.
    Accepted,
    /// Nobody need say yes: a member has added this device again, or it leaves at once.
    Unasked,
    /// Another device of this account has added this one, or it is not opened.
    Own,
}

/// Whether a leaf is a device of this account, by the account's newest list and its own identity key.
fn is_own(tx: &mut Tx, me: AccountId, leaf: &Leaf) -> Result<bool, SessionError<StoreError>> {
    let contact = tx.contact(me).map_err(SessionError::Ledger)?;
    let list = tx.stored_device_list(me).map_err(SessionError::Ledger)?;
    Ok(leaf.account == me
        && contact.is_some_and(|contact| contact.pinned.identity_key_hash == leaf.identity_key_hash)
        && list.is_some_and(|list| list.listed(leaf.device).is_some()))
}

/// How often a join or an invitation goes back to fetch identity keys that turn out to be needed.
const LEARNING: usize = 4;

impl Handle {
    /// Creates a room with this account as its only member and admin.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for an empty or too long name; otherwise why the daemon did not take it.
    pub async fn create_room(&self, name: String) -> Result<RoomId, EngineError> {
        if name.is_empty() || name.len() > MAX_ROOM_NAME {
            return Err(EngineError::Invalid(format!("a room's name has 1 to {MAX_ROOM_NAME} bytes")));
        }
        let inner = &self.0;
        let device = inner.steps.device.clone();
        let room = RoomId::random(device.entropy()).map_err(|error| EngineError::Keys(error.to_string()))?;
        let (rest, request) = (&inner.rest, &CreateRoom { room_id: room });
        inner.access.ask(|token| async move { rest.create_room(&token, request).await }).await?;
        let settings = RoomSettings { name, admins: vec![inner.me.account] };
        self.store(move |tx| joining::create(tx, &device, room, &settings, clock::seconds())).await?;
        self.tell(Event::Rooms);
        self.command(Command::Joined(room)).await?;
        // Before anything is said in it, so that the account's other devices read it from the first word.
        match inner.devices.add_to_rooms().await {
            Ok(rooms) => {
                for room in rooms {
                    self.command(Command::Wrote(room)).await?;
                }
            }
            Err(error) => tracing::debug!(%error, "other devices are added later"),
        }
        Ok(room)
    }

    /// Invites people: every device of theirs is added to the group. Returns when the commit is in effect.
    ///
    /// # Errors
    /// [`EngineError::NoSuchUser`], [`EngineError::AlreadyInRoom`], [`EngineError::IdentityChanged`], or that the room's
    /// rules or the daemon refuse.
    pub async fn invite(&self, room: RoomId, users: Vec<UserName>) -> Result<(), EngineError> {
        self.invite_with(room, users, |_| {}).await
    }

    /// [`Handle::invite`], which tells how far it is: many people take a while.
    ///
    /// # Errors
    /// As there.
    pub async fn invite_with(
        &self,
        room: RoomId,
        users: Vec<UserName>,
        progress: impl Fn(Inviting),
    ) -> Result<(), EngineError> {
        self.writable(room).await?;
        // Everybody is looked up before anybody's KeyPackage is used up.
        let mut people = vec![];
        for name in &users {
            progress(Inviting::LookingUp { done: people.len(), of: users.len() });
            let person = self.0.people.by_name(name).await?;
            if self.in_room(room, person.record.account).await? {
                return Err(EngineError::AlreadyInRoom(name.clone()));
            }
            people.push(person);
        }
        let mut key_packages = vec![];
        for (done, person) in people.iter().enumerate() {
            progress(Inviting::Claiming { done, of: people.len() });
            key_packages.extend(self.claim(person).await?);
        }
        let (mut ids, of) = (vec![], key_packages.len());
        for some in key_packages.chunks(ADDED_AT_ONCE) {
            ids.push(self.0.steps.enqueue(room, Want::Commit(Change::Add(some.to_vec()))).await?);
        }
        for (chunk, id) in ids.into_iter().enumerate() {
            progress(Inviting::Adding { done: chunk * ADDED_AT_ONCE, of });
            self.settled(room, id).await?;
        }
        for person in people {
            if !self.in_room(room, person.record.account).await? {
                return Err(EngineError::Refused(format!(
                    "{} could not be added; try again",
                    person.record.name
                )));
            }
        }
        Ok(())
    }

    /// One verified KeyPackage of each listed device of a person.
    pub(super) async fn claim(&self, person: &VerifiedDirectory) -> Result<Vec<bytes::Bytes>, EngineError> {
        let inner = &self.0;
        let devices = person.list.devices.iter().map(|listed| listed.device).collect();
        let claimed = claims::claim((&inner.rest, &inner.access, &inner.steps), person, devices).await?;
        if claimed.is_empty() {
            return Err(EngineError::NoDevices(person.record.name.clone()));
        }
        Ok(claimed)
    }

    /// Accepts an invitation.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRoom`] without an invitation; that it does not hold, or that its sender's identity has
    /// changed.
    pub async fn join(&self, room: RoomId) -> Result<(), EngineError> {
        self.enter(room, Entry::Accepted).await
    }

    /// Joins.
    pub(super) async fn enter(&self, room: RoomId, entry: Entry) -> Result<(), EngineError> {
        let announced = entry == Entry::Accepted;
        let inner = &self.0;
        if inner.profile.read_async(move |tx| tx.room(room)).await?.is_some_and(|s| s.phase == Phase::Member)
        {
            return Ok(());
        }
        let rest = &inner.rest;
        let invitation: RoomInvitation =
            inner.access.ask(|token| async move { rest.invitation(&token, room).await }).await?;
        let seq = invitation.seq;
        let tree = inner.access.ask(|token| async move { rest.tree(&token, room, seq).await }).await?;
        let (invited, keep_key_package) = inner.invitations.prepare(invitation, tree, announced).await?;
        let mut span = None;
        let invited = Arc::new(invited);
        for _ in 0..LEARNING {
            match inner.invitations.needed_log(Arc::clone(&invited)).await? {
                Ok(found) => {
                    span = Some(found);
                    break;
                }
                Err(SessionError::UnknownAccounts(missing)) => inner.people.learn(&missing).await?,
                Err(error) => return Err(error.into()),
            }
        }
        let span = span.ok_or_else(|| {
            EngineError::Refused(
                "the server does not give the identity keys of the room's members".to_owned(),
            )
        })?;
        let (reply, log) = oneshot::channel();
        self.command(Command::Log(room, span.after, span.until, reply)).await?;
        let log = tokio::time::timeout(inner.options.timeout, log)
            .await
            .map_err(|_| EngineError::Timeout("the server did not send the room's log".to_owned()))?
            .map_err(|_| EngineError::Stopped)??;
        let device = inner.steps.device.clone();
        let key_package = invited.key_package.0.clone();
        let me = inner.me.account;
        self.store(move |tx| {
            let inviter = joining::join(tx, &device, &invited, &log)?;
            if entry == Entry::Own && !is_own(tx, me, &inviter)? {
                return Err(SessionError::Stranger);
            }
            if !keep_key_package {
                tx.forget_key_package(&key_package).map_err(SessionError::Ledger)?;
            }
            tx.forget_invitation(room).map_err(SessionError::Ledger)?;
            let renewal = Renewal { at: clock::seconds(), accepted: 0 };
            tx.put_renewal(room, renewal).map_err(SessionError::Ledger)?;
            if announced {
                let yes = Want::Application(Content::joined(clock::millis()).encode());
                outbox::enqueue(tx, &device, room, yes)?;
            }
            Ok(())
        })
        .await?;
        // The keys that the Welcome was sealed to are used up.
        tidy::now(&inner.profile).await;
        inner.access.ask(|token| async move { rest.join(&token, room).await }).await?;
        self.tell(Event::Rooms);
        self.command(Command::Joined(room)).await
    }

    /// Removes a person with all their devices. Returns when the commit is in effect.
    ///
    /// # Errors
    /// [`EngineError::NotInRoom`], or that this account may not remove others.
    pub async fn remove(&self, room: RoomId, user: UserName) -> Result<(), EngineError> {
        // Also while somebody's identity has changed: removing them is the remedy.
        self.member(room).await?;
        let name = user.clone();
        let contact = self.0.profile.read_async(move |tx| tx.contact_by_name(&name)).await?;
        let account = contact.ok_or_else(|| EngineError::NotInRoom(user.clone()))?.account;
        if account == self.0.me.account {
            return Err(EngineError::Invalid(
                "you cannot remove yourself; use `qchat room leave`".to_owned(),
            ));
        }
        if !self.in_room(room, account).await? {
            return Err(EngineError::NotInRoom(user));
        }
        let me = self.0.me.account;
        let row = self.0.profile.read_async(move |tx| tx.room_row(room)).await?;
        if !row.and_then(|row| row.settings).is_some_and(|settings| settings.admins.contains(&me)) {
            return Err(EngineError::Refused("only an admin of the room may remove other people".to_owned()));
        }
        let id = self.0.steps.enqueue(room, Want::Commit(Change::RemoveAccount(account))).await?;
        self.settled(room, id).await?;
        if self.in_room(room, account).await? {
            return Err(EngineError::Refused(format!("{user} could not be removed; try again")));
        }
        Ok(())
    }

    /// Leaves a room, or declines an invitation. The room is hidden; the next member who writes removes this account.
    ///
    /// To decline, the device joins and leaves at once: whoever is invited has a leaf already, and the members believe
    /// only the device itself that it wants to go. On the daemon's word they would remove anybody. An invitation that
    /// cannot be opened is declined at the daemon alone.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRoom`], or why the daemon was not told.
    pub async fn leave(&self, room: RoomId) -> Result<(), EngineError> {
        let row = self.0.profile.read_async(move |tx| tx.room_row(room)).await?;
        if row.is_none_or(|row| row.state.phase != Phase::Member) {
            if !self.is_invited(room).await? {
                return Err(EngineError::NotMember(""));
            }
            match self.enter(room, Entry::Unasked).await {
                Ok(()) => {}
                Err(error @ (EngineError::Net(_) | EngineError::Store(_) | EngineError::Timeout(_))) => {
                    return Err(error);
                }
                Err(_) => {
                    let rest = &self.0.rest;
                    self.0.access.ask(|token| async move { rest.decline(&token, room).await }).await?;
                    self.0.profile.write_async(move |tx| tx.forget_invitation(room)).await?;
                    self.tell(Event::Rooms);
                    return Ok(());
                }
            }
        }
        let me = self.0.me.clone();
        let others = self.0.profile.read_async(move |tx| {
            let own = |listed: &ListedDevice| listed.account == me.account && listed.device != me.device;
            Ok::<_, StoreError>(tx.roster(room)?.iter().any(own))
        });
        if others.await? {
            // The account leaves: else the devices that stay would let this one in again.
            let all = Want::Commit(Change::RemoveAccount(self.0.me.account));
            let id = self.0.steps.enqueue(room, all).await?;
            self.settled(room, id).await?;
        }
        let id = self.0.steps.enqueue(room, Want::Leave).await?;
        self.settled(room, id).await?;
        self.tell(Event::Rooms);
        Ok(())
    }

    /// Gives this device fresh keys in a room: what leaked before opens nothing after. Returns when they are in effect.
    ///
    /// # Errors
    /// Why the commit was not made.
    pub async fn update_keys(&self, room: RoomId) -> Result<(), EngineError> {
        self.writable(room).await?;
        let before = self.epoch(room).await?;
        let id = self.0.steps.enqueue(room, Want::Commit(Change::Update)).await?;
        self.settled(room, id).await?;
        if self.epoch(room).await? == before {
            return Err(EngineError::Refused("the update did not take effect; try again".to_owned()));
        }
        Ok(())
    }

    async fn epoch(&self, room: RoomId) -> Result<u64, EngineError> {
        let state = self.0.profile.read_async(move |tx| tx.room(room)).await?;
        Ok(state.map_or(0, |state| state.epoch))
    }

    /// Waits until a row has left the outbox: sent, or given up.
    pub(super) async fn settled(&self, room: RoomId, id: MessageId) -> Result<(), EngineError> {
        self.wrote(room).await;
        let devices = self.0.profile.read_async(move |tx| tx.roster(room)).await?.len();
        let devices = u32::try_from(devices + ADDED_AT_ONCE).unwrap_or(u32::MAX);
        let patience = self.0.options.timeout.saturating_add(PATIENCE_PER_DEVICE.saturating_mul(devices));
        self.until_within(patience, async move |handle: &Self| {
            let waits = handle.0.profile.read_async(move |tx| tx.outbox_holds(room, id)).await?;
            Ok((!waits).then_some(()))
        })
        .await
    }

    async fn is_invited(&self, room: RoomId) -> Result<bool, EngineError> {
        let invitations = self.0.profile.read_async(Tx::invitations).await?;
        Ok(invitations.iter().any(|row| row.room == room))
    }

    /// Whether something may be written to a room: this device is a member, and nobody in it has become somebody else.
    pub(super) async fn writable(&self, room: RoomId) -> Result<(), EngineError> {
        self.member(room).await?;
        let changed = self.0.profile.read_async(move |tx| tx.changed_member(room)).await?;
        changed.map_or(Ok(()), |name| Err(EngineError::IdentityChanged(name)))
    }

    /// Whether this device is a member that follows.
    async fn member(&self, room: RoomId) -> Result<(), EngineError> {
        match self.0.profile.read_async(move |tx| tx.room(room)).await? {
            None => Err(EngineError::NotMember(" yet; `qchat room join` accepts an invitation")),
            Some(state) => EngineError::not_writing(state.phase).map_or(Ok(()), Err),
        }
    }

    async fn in_room(&self, room: RoomId, account: AccountId) -> Result<bool, EngineError> {
        let rooms = self.0.profile.read_async(move |tx| tx.rooms_with(account)).await?;
        Ok(rooms.contains(&room))
    }

    async fn store(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<(), SessionError<StoreError>> + Send + 'static,
    ) -> Result<(), EngineError> {
        self.0.profile.write_async(move |tx| work(tx).map_err(EngineError::from)).await
    }
}
