//! What people do with rooms: create, invite, join, remove, leave, renew keys.

use std::{sync::Arc, time::Duration};

use qchat_proto::{
    content::{Content, Role, RoomSettings, check_room_name},
    identity::{LeafCredential, VerifiedDirectory},
    ids::{AccountId, DeviceId, MessageId, RoomId, UserName},
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
    invite_links, old_copy, permission, tidy,
    types::{Event, Inviting},
};
use crate::store::{InvitationRow, Standing, StoreError, Tx};

/// Most devices that one commit adds. Whatever their number, a commit in a room of 1,000 takes 1.2 MB and brings a tree of
/// 11 MB: the more it adds, the fewer there are. A hundred take 2.8 MB there of the 4 MiB that a commit may have.
pub(super) const ADDED_AT_ONCE: usize = 100;
/// What a room's size adds to the time that a commit may take until it is in effect, for each device: its tree has 11.4 kB
/// for each, and a slow line carries 64 kB in a second.
const PATIENCE_PER_DEVICE: Duration = Duration::from_millis(200);

/// Why a Welcome is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// The user, who was shown who invites, has said yes: the room is told.
    Accepted,
    /// The same, said once and for all of those whom the user has verified.
    AcceptedOfVerified,
    /// The same, said once and for all of everybody.
    AcceptedOfAll,
    /// Nobody need say yes: a member has added this device again, or it leaves at once.
    Unasked,
    /// Another device of this account has added this one, or it is not opened.
    Own,
    /// Somebody has added this device who was known before there was it, to a room that its account was in, as a backup says:
    /// that was restored to get back into it.
    Restored,
    /// The user has asked by an invite link, whose secret the room has to show.
    ByLink,
}

impl Entry {
    /// Whether it is a yes, which the room is told.
    fn is_a_yes(self) -> bool {
        matches!(
            self,
            Self::Accepted | Self::AcceptedOfVerified | Self::AcceptedOfAll | Self::Restored | Self::ByLink
        )
    }
}

/// Whether a leaf is a device of this account, by the account's newest list and its own identity key.
fn is_own(tx: &mut Tx, me: AccountId, leaf: &Leaf) -> Result<bool, StoreError> {
    let contact = tx.contact(me)?;
    let list = tx.stored_device_list(me)?;
    Ok(leaf.account == me
        && contact.is_some_and(|contact| contact.pinned.identity_key_hash == leaf.identity_key_hash)
        && list.is_some_and(|list| list.listed(leaf.device).is_some()))
}

/// Whether a leaf is of somebody whom this account had pinned before this device was one of it, under the same key.
fn is_known_of_old(tx: &mut Tx, leaf: &Leaf) -> Result<bool, StoreError> {
    let own = tx.identity()?.ok_or(StoreError::Corrupt("identity"))?;
    let certified = LeafCredential::from_certificate(&own.certificate)
        .map_err(|_| StoreError::Corrupt("own certificate"))?
        .certificate_created_at;
    Ok(tx.contact(leaf.account)?.is_some_and(|contact| {
        contact.changed_record.is_none()
            && contact.pinned.identity_key_hash == leaf.identity_key_hash
            && u64::try_from(contact.first_seen_ms).is_ok_and(|seen| seen / 1000 < certified)
    }))
}

/// How often a join or an invitation goes back to fetch identity keys that turn out to be needed.
const LEARNING: usize = 4;

/// Why a Welcome led into no room.
enum NotJoined {
    /// It is this account that invites, and the yes was to another.
    ByAnother(AccountId),
    Failed(EngineError),
}

impl From<StoreError> for NotJoined {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<SessionError<StoreError>> for NotJoined {
    fn from(error: SessionError<StoreError>) -> Self {
        Self::Failed(error.into())
    }
}

/// Whether it is by the one who invites that the Welcome is to be opened. Who that is the Welcome proves; the daemon has only
/// said it.
fn is_meant(
    tx: &mut Tx,
    (room, me): (RoomId, AccountId),
    inviter: &Leaf,
    entry: Entry,
) -> Result<bool, StoreError> {
    Ok(match entry {
        Entry::Accepted => {
            let shown = tx.invitations()?.into_iter().find(|row| row.room == room);
            shown.is_none_or(|row| row.inviter == inviter.account)
        }
        Entry::AcceptedOfVerified => tx.contact(inviter.account)?.is_some_and(|contact| {
            contact.standing() == Standing::Verified
                && contact.pinned.identity_key_hash == inviter.identity_key_hash
        }),
        Entry::AcceptedOfAll | Entry::Unasked => true,
        Entry::Own => is_own(tx, me, inviter)?,
        Entry::Restored => is_known_of_old(tx, inviter)?,
        Entry::ByLink => invite_links::is_linked(tx, room)?,
    })
}

/// Whether nobody could appoint anybody in a room any more, were this account gone.
fn is_only_owner(settings: &RoomSettings, me: AccountId, roster: &[ListedDevice]) -> bool {
    let others = || roster.iter().filter(|listed| listed.account != me);
    let owner = |account| settings.role(account) == Role::Owner;
    !settings.direct
        && owner(me)
        && others().next().is_some()
        && !others().any(|listed| owner(listed.account))
}

impl Handle {
    /// Creates a room with this account as its only member and admin.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a name that cannot be; otherwise why the daemon did not take it.
    pub async fn create_room(&self, name: String) -> Result<RoomId, EngineError> {
        check_room_name(&name).map_err(|error| EngineError::Invalid(error.to_string()))?;
        let settings = RoomSettings::new(name, vec![self.0.me.account]);
        self.create_with(settings).await
    }

    /// Creates a room with this account as its only member.
    pub(super) async fn create_with(&self, settings: RoomSettings) -> Result<RoomId, EngineError> {
        let inner = &self.0;
        inner.profile.read_async(old_copy::expect_none).await?;
        let device = inner.steps.device.clone();
        let room = RoomId::random(device.latest().entropy())
            .map_err(|error| EngineError::Keys(error.to_string()))?;
        let (rest, request) = (&inner.rest, &CreateRoom { room_id: room });
        inner.access.ask(|token| async move { rest.create_room(&token, request).await }).await?;
        self.store(move |tx| {
            let device = device.at(tx).map_err(SessionError::Ledger)?;
            joining::create(tx, &device, room, &settings, clock::seconds())
        })
        .await?;
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
        let row = self.0.profile.read_async(move |tx| tx.room_row(room)).await?;
        let settings = row.and_then(|row| row.settings);
        // Everybody is looked up before anybody's KeyPackage is used up.
        let mut people = vec![];
        for name in &users {
            progress(Inviting::LookingUp { done: people.len(), of: users.len() });
            let person = self.0.people.by_name(name).await?;
            let account = person.record.account;
            if settings
                .as_ref()
                .is_some_and(|settings| settings.direct && !settings.admins.contains(&account))
            {
                return Err(EngineError::Refused(format!(
                    "this is a conversation of two people, and stays theirs; `qchat room create` makes a room that {name} can be \
                     invited to"
                )));
            }
            let settings = settings.as_ref();
            if settings.is_some_and(|settings| settings.banned.contains(&account)) {
                return Err(EngineError::Refused(format!(
                    "{name} is banned from this room; an admin may end that with `qchat room unban`"
                )));
            }
            let me = self.0.me.account;
            if account != me && settings.is_some_and(|settings| settings.role(me) == Role::Reader) {
                return Err(EngineError::Refused(
                    "you may only read in this room, and invite nobody".to_owned(),
                ));
            }
            // Whoever is there with one device may have another by now: one that was restored, say.
            let missing = self.missing(room, &person).await?;
            if missing.is_empty() && !person.list.devices.is_empty() {
                return Err(EngineError::AlreadyInRoom(name.clone()));
            }
            people.push((person, missing));
        }
        let mut key_packages = vec![];
        for (done, (person, missing)) in people.iter().enumerate() {
            progress(Inviting::Claiming { done, of: people.len() });
            key_packages.extend(self.claim(person, missing.clone()).await?);
        }
        let (mut ids, of) = (vec![], key_packages.len());
        for some in key_packages.chunks(ADDED_AT_ONCE) {
            ids.push(self.0.steps.enqueue(room, Want::Commit(Change::Add(some.to_vec()))).await?);
        }
        for (chunk, id) in ids.into_iter().enumerate() {
            progress(Inviting::Adding { done: chunk * ADDED_AT_ONCE, of });
            self.settled(room, id).await?;
        }
        for (person, _) in people {
            if !self.in_room(room, person.record.account).await? {
                return Err(EngineError::Refused(format!(
                    "{} could not be added; try again",
                    person.record.name
                )));
            }
        }
        Ok(())
    }

    /// The listed devices of a person that are not in the room.
    async fn missing(&self, room: RoomId, person: &VerifiedDirectory) -> Result<Vec<DeviceId>, EngineError> {
        let roster = self.0.profile.read_async(move |tx| tx.roster(room)).await?;
        let devices = person.device_ids().into_iter();
        Ok(devices.filter(|device| !roster.iter().any(|member| member.device == *device)).collect())
    }

    /// One verified KeyPackage of each of these devices of a person.
    pub(super) async fn claim(
        &self,
        person: &VerifiedDirectory,
        devices: Vec<DeviceId>,
    ) -> Result<Vec<bytes::Bytes>, EngineError> {
        let inner = &self.0;
        let claimed =
            claims::claim((&inner.rest, &inner.access, &inner.people, &inner.steps), person, devices).await?;
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
        let blocked = self.0.profile.read_async(move |tx: &mut Tx| {
            let inviter = tx.invitations()?.into_iter().find(|row| row.room == room).map(|row| row.inviter);
            let blocked = inviter.map(|inviter| tx.is_blocked(inviter)).transpose()?.unwrap_or(false);
            Ok::<_, StoreError>(if blocked {
                inviter.map(|inviter| tx.contact(inviter)).transpose()?.flatten()
            } else {
                None
            })
        });
        if let Some(inviter) = blocked.await? {
            return Err(EngineError::blocked(&inviter.name));
        }
        self.enter(room, Entry::Accepted).await
    }

    /// Joins.
    pub(super) async fn enter(&self, room: RoomId, entry: Entry) -> Result<(), EngineError> {
        let inner = &self.0;
        let announced = entry.is_a_yes();
        inner.profile.read_async(old_copy::expect_none).await?;
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
        let joined = inner.profile.write_async(move |tx| {
            let device = device.at(tx)?;
            let inviter = joining::join(tx, &device, &invited, &log)?;
            if !is_meant(tx, (room, me), &inviter, entry)? {
                // Nothing of it is kept.
                return Err(match entry {
                    Entry::Own => NotJoined::Failed(SessionError::Stranger.into()),
                    Entry::ByLink => NotJoined::Failed(EngineError::Refused(
                        "whoever lets you in does not know the link that you have asked by: this may be another room. Ask whoever \
                         gave you the link; `qchat room join` accepts it as an invitation, and `qchat room leave` declines it"
                            .to_owned(),
                    )),
                    _ => NotJoined::ByAnother(inviter.account),
                });
            }
            if !keep_key_package {
                tx.forget_key_package(&key_package)?;
            }
            tx.forget_invitation(room)?;
            tx.forget_link_request(room)?;
            // By a KeyPackage of a key that this device had before, its leaf has that key, and is owed the new one.
            let newest = device.is_of_newest_key(&invited.key_package.1);
            tx.put_renewal(room, Renewal { at: if newest { clock::seconds() } else { 0 }, accepted: 0 })?;
            if announced {
                let yes = Want::Application(Content::joined(clock::millis()).encode());
                outbox::enqueue(tx, &device, room, yes)?;
            }
            Ok(())
        });
        match joined.await {
            Ok(()) => {}
            Err(NotJoined::ByAnother(inviter)) => return Err(self.invited_by_another(room, inviter).await?),
            Err(NotJoined::Failed(error)) => {
                if entry == Entry::ByLink && matches!(error, EngineError::Refused(_)) {
                    // It is an invitation like any other.
                    inner.profile.write_async(move |tx| tx.forget_link_request(room)).await?;
                }
                return Err(error);
            }
        }
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
        self.0.profile.read_async(move |tx| permission::member(tx, room)).await?;
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
        let settings = row.and_then(|row| row.settings);
        let role = |of| settings.as_ref().map_or(Role::Member, |settings| settings.role(of));
        if role(me) > Role::Admin {
            return Err(EngineError::Refused("only an admin of the room may remove other people".to_owned()));
        }
        if !settings.as_ref().is_some_and(|settings| settings.may_remove(me, account)) {
            return Err(EngineError::Refused("only an owner of the room may remove its admins".to_owned()));
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
        let me = self.0.me.account;
        let found = self.0.profile.read_async(move |tx: &mut Tx| {
            let row = tx.room_row(room)?;
            // Where nothing can be sent nobody can be made an owner either.
            let free = tx.changed_member(room)?.is_none();
            let alone = free && row.as_ref().is_some_and(|row| row.state.phase == Phase::Member) && {
                let roster = tx.roster(room)?;
                row.as_ref()
                    .and_then(|row| row.settings.as_ref())
                    .is_some_and(|it| is_only_owner(it, me, &roster))
            };
            Ok::<_, StoreError>(alone)
        });
        if found.await? {
            return Err(EngineError::Refused(
                "you are the only owner of this room; make somebody else one before, with `qchat room role`"
                    .to_owned(),
            ));
        }
        self.go(room).await
    }

    /// [`Handle::leave`], whoever is left behind.
    pub(super) async fn go(&self, room: RoomId) -> Result<(), EngineError> {
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
        // Also while somebody's identity has changed: nothing that people wrote is in it.
        self.0.profile.read_async(move |tx| permission::member(tx, room)).await?;
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

    /// The Welcome proves that it is somebody else who invites than the daemon has said: it is shown so from now on.
    async fn invited_by_another(&self, room: RoomId, inviter: AccountId) -> Result<EngineError, EngineError> {
        let name = self.0.profile.write_async(move |tx| {
            if let Some(row) = tx.invitations()?.into_iter().find(|row| row.room == room) {
                tx.put_invitation(&InvitationRow { inviter, ..row })?;
            }
            Ok::<_, StoreError>(tx.contact(inviter)?.map(|contact| contact.name))
        });
        let who = name.await?.map_or_else(|| format!("account {inviter}"), |name| name.to_string());
        self.tell(Event::Rooms);
        Ok(EngineError::Refused(format!(
            "it is {who} who invites you, whatever the server has said; if you want to join, `qchat room join` again"
        )))
    }

    async fn is_invited(&self, room: RoomId) -> Result<bool, EngineError> {
        let invitations = self.0.profile.read_async(Tx::invitations).await?;
        Ok(invitations.iter().any(|row| row.room == room))
    }

    pub(super) async fn in_room(&self, room: RoomId, account: AccountId) -> Result<bool, EngineError> {
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
