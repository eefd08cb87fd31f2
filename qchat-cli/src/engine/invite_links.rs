//! Invite links: making them, asking by one to be let in, and answering who asks. docs/PROTOCOL.md, "Invite links".

use std::{num::NonZeroU32, time::Duration};

use qchat_proto::{
    content::{Role, RoomSettings, SettingsChange},
    ids::{InviteId, RoomId, UserName},
    invite::{InviteLink, Link, LinkSecret, MAX_LINKS, MAX_USES},
    session::ledger::{Ledger, Phase, Want},
    wire::api::{PutJoinRequest, WaitingJoinRequest},
};

use super::{
    clock,
    devices::{Applicant, Genuine, Judged},
    entropy::MixedEntropy,
    error::EngineError,
    handle::Handle,
    old_copy,
};
use crate::store::{StoreError, Tx};

/// How often a request is said again to members who may not have heard it, while somebody waits.
const AGAIN: Duration = Duration::from_secs(10);

/// Longest time that a link is made for: ten years.
const LONGEST: Duration = Duration::from_hours(10 * 366 * 24);

/// What a link is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkTerms {
    /// After how long it lets nobody in.
    pub lifetime: Option<Duration>,
    /// How many people it lets in.
    pub uses: Option<NonZeroU32>,
    /// Whether an admin says yes to each.
    pub ask: bool,
}

/// How far somebody is who has asked to be let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// In the room.
    Joined,
    /// The request waits for a member's device, or for an admin's yes.
    Waits,
}

impl Handle {
    /// Makes a link to a room.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for who is no admin, in a conversation of two, when there are too many links, and for terms that cannot
    /// be; otherwise as [`Handle::change_settings`].
    pub async fn create_link(&self, room: RoomId, terms: LinkTerms) -> Result<Link, EngineError> {
        let LinkTerms { lifetime, uses, ask } = terms;
        let refuse = |why: String| Err(EngineError::Refused(why));
        if uses.is_some_and(|uses| uses.get() > MAX_USES) {
            return refuse(format!("a link lets in at most {MAX_USES} people, or any number"));
        }
        if lifetime.is_some_and(|life| life > LONGEST) {
            return refuse("a link is good for ten years at most, or without an end".to_owned());
        }
        let expires_at = lifetime.map(|life| clock::seconds().saturating_add(life.as_secs().max(1)));
        let settings = self.settings(room).await?;
        if settings.direct {
            return refuse("a conversation of two people stays theirs: there is no link to it".to_owned());
        }
        if settings.links.len() >= MAX_LINKS {
            return refuse(format!(
                "a room has at most {MAX_LINKS} invite links; `qchat room link revoke` ends one"
            ));
        }
        let secret =
            LinkSecret::random(&MixedEntropy).map_err(|error| EngineError::Keys(error.to_string()))?;
        let link = InviteLink { secret: secret.clone(), expires_at, uses, ask, joined: vec![] };
        self.change_settings(room, SettingsChange::Link(link)).await?;
        self.link(room, secret).await
    }

    /// The links of a room.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRoom`].
    pub async fn links(&self, room: RoomId) -> Result<Vec<InviteLink>, EngineError> {
        Ok(self.settings(room).await?.links)
    }

    /// The link of a room whose id begins so, to be passed on.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where there is none, or several.
    pub async fn find_link(&self, room: RoomId, prefix: &str) -> Result<Link, EngineError> {
        let found = find(&self.settings(room).await?, prefix)?.secret.clone();
        self.link(room, found).await
    }

    /// Ends the link of a room whose id begins so. Who waits by it is let in no more.
    ///
    /// # Errors
    /// As [`Handle::find_link`] and [`Handle::change_settings`].
    pub async fn revoke_link(&self, room: RoomId, prefix: &str) -> Result<InviteId, EngineError> {
        let id = find(&self.settings(room).await?, prefix)?.id();
        self.change_settings(room, SettingsChange::Unlink(id)).await?;
        Ok(id)
    }

    async fn link(&self, room: RoomId, secret: LinkSecret) -> Result<Link, EngineError> {
        let server_id = self.0.devices.identity().await?.server_id;
        Ok(Link { server: self.0.me.server.to_string(), server_id, room, secret })
    }

    /// Asks to be let into a room, and waits so long for it.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for a link of another server; otherwise why the daemon did not take it, or why the room that this device
    /// was let into is not that of the link.
    pub async fn join_by_link(&self, link: &Link, patience: Duration) -> Result<Admission, EngineError> {
        self.0.profile.read_async(old_copy::expect_none).await?;
        let (room, secret) = (link.room, link.secret.clone());
        if link.server_id != self.0.devices.identity().await?.server_id {
            return Err(EngineError::Refused(format!(
                "this link is of another server, {}; it takes an account there",
                qchat_proto::sanitize::line(&link.server)
            )));
        }
        // It may have been removed since this device was here.
        match self.sync().await {
            Ok(()) | Err(EngineError::Partial(_)) => {}
            Err(error) => return Err(error),
        }
        if self.is_member(room).await? {
            return Ok(Admission::Joined);
        }
        self.0.profile.write_async(move |tx| tx.put_link_request(room, &secret, clock::seconds())).await?;
        let until = tokio::time::Instant::now() + patience;
        loop {
            let request = self.0.access.join_request(room, &link.secret).await?;
            let (rest, body) = (&self.0.rest, &PutJoinRequest { request: request.into() });
            self.0.access.ask(|token| async move { rest.put_join_request(&token, room, body).await }).await?;
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let joined = self.until_within(left.min(AGAIN), async move |handle: &Self| {
                Ok(handle.is_member(room).await?.then_some(()))
            });
            match joined.await {
                Ok(()) => break,
                Err(EngineError::Timeout(_)) if left > AGAIN => {}
                Err(EngineError::Timeout(_)) => return Ok(Admission::Waits),
                Err(error) => return Err(error),
            }
        }
        // Members do it, too, when they see that this account is in.
        let (rest, me) = (&self.0.rest, self.0.me.account);
        let taken =
            self.0.access.ask(|token| async move { rest.forget_join_request(&token, room, me).await });
        if let Err(error) = taken.await {
            tracing::debug!(%error, "the join request is left to the members");
        }
        Ok(Admission::Joined)
    }

    async fn is_member(&self, room: RoomId) -> Result<bool, EngineError> {
        let state = self.0.profile.read_async(move |tx| tx.room(room)).await?;
        Ok(state.is_some_and(|state| state.phase == Phase::Member))
    }

    /// Who waits for this account's yes, of one room or of all.
    ///
    /// # Errors
    /// Why the daemon, or somebody's directory, could not be read.
    pub async fn applicants(&self, room: Option<RoomId>) -> Result<Vec<Applicant>, EngineError> {
        let mut asking = vec![];
        for (waits, judged) in self.0.devices.join_requests().await? {
            if judged == Judged::Ask && room.is_none_or(|room| room == waits.room_id) {
                match self.0.devices.genuine(&waits).await {
                    Ok(genuine) => asking.extend(genuine.map(|genuine| genuine.applicant())),
                    // One whose identity has changed keeps nobody else waiting.
                    Err(EngineError::Store(error)) => return Err(error.into()),
                    Err(error) => tracing::warn!(%error, account = %waits.account_id, "a join request"),
                }
            }
        }
        Ok(asking)
    }

    /// Lets somebody in who waits for it. Returns when that is in effect.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when they do not wait, or could not be added.
    pub async fn admit(&self, room: RoomId, user: &UserName) -> Result<(), EngineError> {
        self.writable(room).await?;
        let (waits, genuine) = self.waiting(room, user).await?;
        let key_packages = self.0.devices.claim_of(&genuine.person).await?;
        if key_packages.is_empty() {
            return Err(EngineError::NoDevices(user.clone()));
        }
        let id = self.0.steps.enqueue(room, Want::Commit(genuine.change(key_packages))).await?;
        self.settled(room, id).await?;
        if !self.in_room(room, waits.account_id).await? {
            return Err(EngineError::Refused(format!("{user} could not be added; try again")));
        }
        self.0.devices.forget_request(&waits).await
    }

    /// Lets somebody wait no more who asks to be let in. They may ask again, unless they are banned or the link is revoked.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when they do not wait.
    pub async fn turn_away(&self, room: RoomId, user: &UserName) -> Result<(), EngineError> {
        let (waits, _) = self.waiting(room, user).await?;
        self.0.devices.forget_request(&waits).await
    }

    async fn waiting(
        &self,
        room: RoomId,
        user: &UserName,
    ) -> Result<(WaitingJoinRequest, Genuine), EngineError> {
        let me = self.0.me.account;
        if self.settings(room).await?.role(me) > Role::Admin {
            return Err(EngineError::Refused(
                "only an admin of the room answers who asks to be let in".to_owned(),
            ));
        }
        for (waits, judged) in self.0.devices.join_requests().await? {
            if judged == Judged::Ask
                && waits.room_id == room
                && let Some(genuine) = self.0.devices.genuine(&waits).await?
                && genuine.person.record.name == *user
            {
                return Ok((waits, genuine));
            }
        }
        Err(EngineError::Refused(format!("{user} does not wait to be let into that room")))
    }

    /// How many links let people into a room, by this device's clock.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRoom`].
    pub async fn open_links(&self, room: RoomId) -> Result<usize, EngineError> {
        let now = clock::seconds();
        Ok(self.settings(room).await?.links.iter().filter(|link| link.is_open(now)).count())
    }
}

/// The link whose id begins so.
fn find<'a>(settings: &'a RoomSettings, prefix: &str) -> Result<&'a InviteLink, EngineError> {
    let mut found = settings.links.iter().filter(|link| link.id().to_string().starts_with(prefix));
    match (found.next(), found.next()) {
        (Some(link), None) => Ok(link),
        (Some(_), Some(_)) => Err(EngineError::Refused(format!(
            "several invite links begin with {prefix}; give more of the id"
        ))),
        (None, _) => Err(EngineError::Refused(format!(
            "the room has no invite link {prefix}; `qchat room link list` shows those that there are"
        ))),
    }
}

/// Whether the room that was just entered is the one that a link leads to: its settings have the secret that this device asked with.
pub(super) fn is_linked(tx: &mut Tx, room: RoomId) -> Result<bool, StoreError> {
    let Some(secret) = tx.link_request(room, 0)? else { return Ok(false) };
    let settings = tx.room_row(room)?.and_then(|row| row.settings);
    Ok(settings
        .and_then(|settings| settings.link(secret.id()).cloned())
        .is_some_and(|link| link.secret == secret))
}
