//! People who hold an invite link, and ask to be let into a room that this device is in. What they say is held against the link as the
//! room's settings have it, and against their account's own device list: the daemon, which keeps it meanwhile, can invent nobody.

use bytes::Bytes;
use qchat_proto::{
    content::Role,
    identity::{JoinRequest, VerifiedDirectory},
    ids::{AccountId, InviteId, RoomId, UserName},
    session::ledger::{Change, Phase, Want},
    wire::api::WaitingJoinRequest,
};

use super::{OwnDevices, owed};
use crate::{
    engine::{claims, clock, error::EngineError},
    store::{StoreError, Tx},
};

/// How long a request counts for, seconds: a week.
pub(crate) const ASKED: u64 = 7 * 24 * 3600;
/// How far the clock of who asks may be ahead, seconds: a day.
const AHEAD: u64 = 24 * 3600;
/// How long a device that may be behind leaves alone what makes no sense by what it knows, seconds: an hour.
const UNKNOWN: u64 = 3600;

/// What a device makes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Judged {
    /// It is to be let in, into a room of so many devices.
    Due(usize),
    /// An admin says yes to it, or no.
    Ask,
    /// Somebody else answers it, or this device will, later.
    Later,
    /// It is answered, or nobody honest has made it, or it comes too late.
    Over,
}

/// Somebody who waits for an admin's yes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Applicant {
    /// The room.
    pub room: RoomId,
    /// Who asks.
    pub name: UserName,
    /// Their account.
    pub account: AccountId,
    /// By which link.
    pub link: InviteId,
    /// When, Unix seconds by their clock.
    pub at: u64,
}

/// A request that is genuine.
pub(crate) struct Genuine {
    pub(crate) request: JoinRequest,
    pub(crate) person: VerifiedDirectory,
}

impl OwnDevices {
    /// Lets those in who may come in: their Adds are put into the outboxes. The rooms that have something to send now, and who
    /// waits for this account's yes.
    pub(crate) async fn admit_applicants(&self) -> Result<(Vec<RoomId>, Vec<Applicant>), EngineError> {
        let (mut rooms, mut asking) = (vec![], vec![]);
        for (waits, judged) in self.join_requests().await? {
            let done = match judged {
                Judged::Due(devices) => self.let_one_in(&waits, devices).await.map(|done| {
                    rooms.extend(done.then_some(waits.room_id));
                }),
                Judged::Ask => self.genuine(&waits).await.map(|genuine| {
                    asking.extend(genuine.map(|genuine| genuine.applicant()));
                }),
                Judged::Over => self.forget_request(&waits).await,
                Judged::Later => Ok(()),
            };
            match done {
                Ok(()) => {}
                Err(EngineError::Store(error)) => return Err(error.into()),
                // Whose identity has changed, say.
                Err(error) => tracing::info!(%error, room = %waits.room_id, "nobody was let in"),
            }
        }
        Ok((rooms, asking))
    }

    /// What waits at the daemon, judged.
    pub(crate) async fn join_requests(&self) -> Result<Vec<(WaitingJoinRequest, Judged)>, EngineError> {
        let rest = &self.rest;
        let waiting = self.access.ask(|token| async move { rest.join_requests(&token).await }).await?;
        let mut judged = vec![];
        for waits in waiting.requests {
            let judgement = self.judge(&waits).await?;
            judged.push((waits, judgement));
        }
        Ok(judged)
    }

    async fn judge(&self, waits: &WaitingJoinRequest) -> Result<Judged, EngineError> {
        let (waits, me) = (waits.clone(), self.account);
        let judged = self.profile.read_async(move |tx: &mut Tx| judge(tx, &waits, me, clock::seconds()));
        Ok(judged.await?)
    }

    /// The request, and whose it is, when their device has signed it. One that it has not is forgotten.
    pub(crate) async fn genuine(&self, waits: &WaitingJoinRequest) -> Result<Option<Genuine>, EngineError> {
        let Ok(sealed) = JoinRequest::read(waits.request.as_ref()) else { return Ok(None) };
        let person = self.people.refresh(waits.account_id).await?;
        let certificate = person.certificate(sealed.request.device);
        if certificate.is_some_and(|it| sealed.verify(&it.device_key).is_ok()) {
            return Ok(Some(Genuine { request: sealed.request, person }));
        }
        tracing::warn!(room = %waits.room_id, account = %waits.account_id, "a join request that its device has not signed");
        self.forget_request(waits).await?;
        Ok(None)
    }

    async fn let_one_in(&self, waits: &WaitingJoinRequest, devices: usize) -> Result<bool, EngineError> {
        if let Some(pause) = owed::pause(devices, self.steps.device.latest().jitter()) {
            tokio::time::sleep(pause).await;
            if !matches!(self.judge(waits).await?, Judged::Due(_)) {
                return Ok(false);
            }
        }
        let Some(genuine) = self.genuine(waits).await? else { return Ok(false) };
        let key_packages = self.claim_of(&genuine.person).await?;
        if key_packages.is_empty() {
            return Ok(false);
        }
        self.steps.enqueue(waits.room_id, Want::Commit(genuine.change(key_packages))).await?;
        Ok(true)
    }

    /// A KeyPackage of each device of a person.
    pub(crate) async fn claim_of(&self, person: &VerifiedDirectory) -> Result<Vec<Bytes>, EngineError> {
        let asking = (&self.rest, &self.access, &self.people, &self.steps);
        claims::claim(asking, person, person.device_ids()).await
    }

    /// Tells the daemon that a request is answered.
    pub(crate) async fn forget_request(&self, waits: &WaitingJoinRequest) -> Result<(), EngineError> {
        let (rest, room, account) = (&self.rest, waits.room_id, waits.account_id);
        self.access.ask(|token| async move { rest.forget_join_request(&token, room, account).await }).await
    }
}

impl Genuine {
    /// The commit that lets them in.
    pub(crate) fn change(&self, key_packages: Vec<Bytes>) -> Change {
        Change::LetIn { link: self.request.link, account: self.request.account, key_packages }
    }

    pub(crate) fn applicant(&self) -> Applicant {
        let JoinRequest { room, link, account, created_at, .. } = self.request;
        Applicant { room, name: self.person.record.name.clone(), account, link, at: created_at }
    }
}

/// Holds a request against what this device knows of its room; its signature is not looked at. `now`: Unix seconds.
fn judge(tx: &mut Tx, waits: &WaitingJoinRequest, me: AccountId, now: u64) -> Result<Judged, StoreError> {
    let room = waits.room_id;
    let Ok(sealed) = JoinRequest::read(waits.request.as_ref()) else { return Ok(Judged::Over) };
    let asked = &sealed.request;
    let server = tx.identity()?.map(|own| own.server_id);
    let meant = asked.room == room && asked.account == waits.account_id && Some(asked.server) == server;
    let age = now.saturating_sub(asked.created_at);
    if !meant || age > ASKED || asked.created_at > now.saturating_add(AHEAD) {
        return Ok(Judged::Over);
    }
    let Some(row) = tx.room_row(room)?.filter(|row| row.state.phase == Phase::Member) else {
        return Ok(Judged::Later);
    };
    let Some(settings) = row.settings else { return Ok(Judged::Later) };
    let roster = tx.roster(room)?;
    let there = roster.iter().any(|listed| listed.account == asked.account);
    // A device that is behind does not know of a new link, nor that somebody has left who asks anew.
    let behind = if age > UNKNOWN { Judged::Over } else { Judged::Later };
    let Some(link) = settings.link(asked.link) else { return Ok(behind) };
    if !sealed.is_under(&link.secret) || link.lets_in(asked.account, now).is_err() {
        return Ok(Judged::Over);
    }
    if there || settings.banned.contains(&asked.account) {
        return Ok(behind);
    }
    let role = settings.role(me);
    let counted = link.uses.is_some() || link.ask;
    if role == Role::Reader
        || (counted && role > Role::Admin)
        || tx.is_blocked(asked.account)?
        || tx.outbox_holds_change(room)?
    {
        return Ok(Judged::Later);
    }
    Ok(if link.ask { Judged::Ask } else { Judged::Due(roster.len()) })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use qchat_proto::{
        content::RoomSettings,
        crypto::{entropy::SystemEntropy, secret::Secret, sign::DeviceSigningKey},
        ids::{DeviceId, Seq, ServerId},
        invite::{InviteLink, LinkSecret},
        session::ledger::{Ledger as _, ListedDevice, OutboxRow, RoomState, RowState},
    };

    use super::*;
    use crate::store::{Identity, Profile};

    const NOW: u64 = 1_800_000_000;
    const ROOM: RoomId = RoomId::from_bytes([1; 16]);
    const SERVER: ServerId = ServerId::from_bytes([9; 16]);
    const ALICE: AccountId = AccountId::from_bytes([0xa1; 16]);
    const BOB: AccountId = AccountId::from_bytes([0xb1; 16]);
    const CAROL: AccountId = AccountId::from_bytes([0xc1; 16]);

    fn secret(n: u8) -> LinkSecret {
        LinkSecret::from_slice(&[n; 32]).unwrap()
    }

    /// Alice's profile, in a room of hers with links of all kinds.
    fn alice() -> (tempfile::TempDir, Profile) {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::create(&dir.path().join("alice"), Secret::from_bytes([7; 32])).unwrap();
        let link = |n, uses, expires_at, ask| InviteLink {
            secret: secret(n),
            expires_at,
            uses: NonZeroU32::new(uses),
            ask,
            joined: vec![],
        };
        let links = vec![
            link(1, 0, None, false),
            link(2, 2, Some(NOW + 1), false),
            link(3, 0, None, true),
            link(4, 0, Some(NOW), false),
            InviteLink { joined: vec![ALICE], ..link(5, 1, None, false) },
        ];
        let mut settings = RoomSettings::new("tea".to_owned(), vec![ALICE]);
        settings.links = links;
        let state = RoomState {
            room: ROOM,
            phase: Phase::Member,
            cursor: Seq(3),
            head: [3; 48],
            commit_seq: Seq(3),
            accepted: 0,
            generation: Seq(0),
            epoch: 1,
        };
        profile
            .write(|tx| {
                tx.put_identity(&Identity {
                    account: ALICE,
                    device: DeviceId::from_bytes([0xa2; 16]),
                    name: "alice".parse().unwrap(),
                    server_url: "http://127.0.0.1:1/".to_owned(),
                    server_key: None,
                    server_id: SERVER,
                    device_key: Secret::from_bytes([1; 64]),
                    account_key: Secret::from_bytes([2; 64]),
                    certificate: vec![7; 100],
                    list_version: 1,
                })?;
                tx.put_room(&state)?;
                tx.put_settings(ROOM, &settings)?;
                let device = DeviceId::from_bytes([0xa2; 16]);
                tx.put_roster(ROOM, &[ListedDevice { account: ALICE, device }])
            })
            .unwrap();
        (dir, profile)
    }

    fn request(link: u8) -> JoinRequest {
        JoinRequest {
            server: SERVER,
            room: ROOM,
            link: secret(link).id(),
            account: BOB,
            device: DeviceId::from_bytes([0xb2; 16]),
            created_at: NOW,
        }
    }

    fn sealed(request: &JoinRequest, by: u8) -> WaitingJoinRequest {
        let key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
        let request = request.seal(&secret(by), &key).unwrap().into();
        WaitingJoinRequest { room_id: ROOM, account_id: BOB, request }
    }

    #[test]
    fn a_request_is_answered_as_long_as_it_is_what_it_says() {
        let (_dir, profile) = alice();
        let judged = |waits: &WaitingJoinRequest, me| profile.read(|tx| judge(tx, waits, me, NOW)).unwrap();
        let plain = request(1);
        let other = RoomId::from_bytes([2; 16]);
        for (asked, by, me, expected) in [
            (plain.clone(), 1, ALICE, Judged::Due(1)),
            (plain.clone(), 1, CAROL, Judged::Due(1)),
            (request(2), 2, ALICE, Judged::Due(1)),
            // Who is no admin does not count, and is not asked.
            (request(2), 2, CAROL, Judged::Later),
            (request(3), 3, ALICE, Judged::Ask),
            (request(3), 3, CAROL, Judged::Later),
            (request(4), 4, ALICE, Judged::Over),
            (request(5), 5, ALICE, Judged::Over),
            // The id of one link and the secret of another, which its holder may have.
            (plain.clone(), 2, ALICE, Judged::Over),
            (request(6), 6, ALICE, Judged::Later),
            (JoinRequest { created_at: NOW - UNKNOWN - 1, ..request(6) }, 6, ALICE, Judged::Over),
            (JoinRequest { created_at: NOW - ASKED, ..plain.clone() }, 1, ALICE, Judged::Due(1)),
            (JoinRequest { created_at: NOW - ASKED - 1, ..plain.clone() }, 1, ALICE, Judged::Over),
            (JoinRequest { created_at: NOW + AHEAD + 1, ..plain.clone() }, 1, ALICE, Judged::Over),
            (JoinRequest { server: ServerId::from_bytes([8; 16]), ..plain.clone() }, 1, ALICE, Judged::Over),
            (JoinRequest { room: other, ..plain.clone() }, 1, ALICE, Judged::Over),
            (JoinRequest { account: CAROL, ..plain.clone() }, 1, ALICE, Judged::Over),
        ] {
            assert_eq!(judged(&sealed(&asked, by), me), expected, "{asked:?} by {by} at {me}");
        }
        let waits = sealed(&plain, 1);
        assert_eq!(
            judged(&WaitingJoinRequest { request: vec![1, 17].into(), ..waits.clone() }, ALICE),
            Judged::Over
        );
        assert_eq!(judged(&WaitingJoinRequest { room_id: other, ..waits.clone() }, ALICE), Judged::Over);

        // What changes the room just now may be just this.
        let row = OutboxRow {
            message_id: qchat_proto::ids::MessageId::from_bytes([3; 16]),
            want: Want::Commit(Change::Update),
            state: RowState::Waiting,
        };
        profile.write(|tx| tx.outbox_push_back(ROOM, &row)).unwrap();
        assert_eq!(judged(&waits, ALICE), Judged::Later);
        profile.write(|tx| tx.outbox_remove(ROOM, row.message_id)).unwrap();
        // Who is there or banned may not be any more, by what this device has not read yet; an hour later they are answered.
        let old = sealed(&JoinRequest { created_at: NOW - UNKNOWN - 1, ..plain.clone() }, 1);
        let there = ListedDevice { account: BOB, device: plain.device };
        profile.write(|tx| tx.put_roster(ROOM, &[there])).unwrap();
        assert_eq!((judged(&waits, ALICE), judged(&old, ALICE)), (Judged::Later, Judged::Over));
        profile.write(|tx| tx.put_roster(ROOM, &[])).unwrap();
        let mut settings = RoomSettings::new("tea".to_owned(), vec![ALICE]);
        settings.banned = vec![BOB];
        settings.links =
            vec![InviteLink { secret: secret(1), expires_at: None, uses: None, ask: false, joined: vec![] }];
        profile.write(|tx| tx.put_settings(ROOM, &settings)).unwrap();
        assert_eq!((judged(&waits, ALICE), judged(&old, ALICE)), (Judged::Later, Judged::Over));
    }
}
