//! The rooms and people of the sample data.

use qchat_proto::{
    content::Role,
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq, UserName},
    wire::server_key::ServerKey,
};
use time::{Duration, OffsetDateTime, macros::datetime};

use super::{NAME, talk};
use crate::engine::{
    MemberDevice, Presence, PresenceStanding as There,
    types::{
        Body, Member, Message, Reply, RoomDetails, RoomMarks, RoomStatus, RoomSummary, Standing, Trusted,
    },
};

/// When it is there.
pub(super) const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

/// All there is.
pub(super) struct World {
    pub(super) rooms: Vec<RoomSummary>,
    pub(super) messages: Vec<Message>,
    pub(super) drafts: Vec<(RoomId, String)>,
}

pub(super) fn room(number: u8) -> RoomId {
    RoomId::from_bytes([number; 16])
}

pub(super) fn account(name: &str) -> AccountId {
    let mut id = [7; 16];
    for (byte, letter) in id.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    AccountId::from_bytes(id)
}

pub(super) fn device(name: &str, number: u8) -> DeviceId {
    let mut id = *account(name).as_bytes();
    id[3] = number;
    DeviceId::from_bytes(id)
}

/// The key that the daemon of the sample data is known by.
pub(super) fn server_key() -> ServerKey {
    ServerKey::of(b"sample data")
}

fn summary(number: u8, name: &str, status: RoomStatus, unread: u64, mentions: u64) -> RoomSummary {
    RoomSummary {
        id: room(number),
        name: name.to_owned(),
        direct: name.starts_with('@'),
        status,
        unread,
        read: None,
        mentions,
        invited_by: (status == RoomStatus::Invited).then(|| "dora".to_owned()),
        last_activity: Some(NOON - Duration::hours(number.into())),
        blocked_by: None,
        marks: RoomMarks::default(),
    }
}

/// Who is known, and how far they are trusted.
pub(super) fn people() -> Vec<Trusted> {
    [
        ("bob", Standing::Verified),
        ("carol", Standing::Unverified),
        ("dora", Standing::Unverified),
        ("emre", Standing::Verified),
    ]
    .into_iter()
    .filter_map(|(name, standing)| {
        let fingerprint = [account(name).as_bytes()[1]; 48];
        Some(Trusted { name: name.parse().ok()?, account: account(name), fingerprint, standing, since: None })
    })
    .collect()
}

/// Who is there.
pub(super) fn presences() -> Vec<Presence> {
    [
        ("bob", There::Online, None),
        ("carol", There::Away, Some(NOON)),
        ("dora", There::Offline, None),
        ("emre", There::Offline, Some(NOON - Duration::hours(3))),
    ]
    .into_iter()
    .filter_map(|(name, standing, last_seen)| {
        Some(Presence { account: account(name), name: name.parse().ok()?, standing, last_seen })
    })
    .collect()
}

/// Who writes in a room.
pub(super) fn writers(of: RoomId) -> Vec<UserName> {
    let name = if of == room(1) { "carol" } else { "bob" };
    name.parse::<UserName>().into_iter().collect()
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            rooms: vec![
                summary(9, "observatory", RoomStatus::Invited, 0, 0),
                summary(1, "lantern-works", RoomStatus::Joined, 3, 1),
                summary(2, "@bob", RoomStatus::Joined, 0, 0),
                summary(3, "night shift", RoomStatus::Joined, 12, 0),
                summary(4, "מרפסת", RoomStatus::Joined, 0, 0),
                summary(5, "old harbour", RoomStatus::Removed, 0, 0),
            ],
            messages: talk::all(),
            drafts: vec![(room(2), "Half a thought about the".to_owned())],
        }
    }

    fn members(number: RoomId) -> &'static [(&'static str, usize, Role)] {
        match number.as_bytes()[0] {
            1 => &[
                (NAME, 2, Role::Owner),
                ("bob", 2, Role::Admin),
                ("carol", 1, Role::Member),
                ("dora", 1, Role::Reader),
                ("emre", 1, Role::Member),
            ],
            2 => &[(NAME, 2, Role::Owner), ("bob", 2, Role::Owner)],
            _ => &[(NAME, 2, Role::Member), ("carol", 1, Role::Owner), ("emre", 1, Role::Member)],
        }
    }

    pub(super) fn details(&self, room: RoomId) -> RoomDetails {
        let people = people();
        let members = Self::members(room).iter().map(|(name, devices, role)| Member {
            account: account(name),
            name: (*name).to_owned(),
            devices: *devices,
            display_name: None,
            role: *role,
            invited: *name == "dora",
            verified: people
                .iter()
                .any(|known| known.name.as_str() == *name && known.standing == Standing::Verified),
            changed: false,
        });
        let known = self.rooms.iter().find(|known| known.id == room).cloned();
        RoomDetails {
            summary: known.unwrap_or_else(|| summary(room.as_bytes()[0], "a room", RoomStatus::Joined, 0, 0)),
            members: members.collect(),
            epoch: 17,
            topic: if room == self::room(1) { "Paper, wire and light".to_owned() } else { String::new() },
            banned: Vec::new(),
            expire_after: None,
            cursor: Seq(40),
            waiting: 0,
            keys_renewed: Some(NOON - Duration::hours(5)),
            mixed_key: None,
            offered_keys: Vec::new(),
        }
    }

    pub(super) fn roster(&self, room: RoomId) -> Vec<MemberDevice> {
        let members = self.details(room).members.into_iter();
        members
            .flat_map(|member| {
                let count = u8::try_from(member.devices).unwrap_or(1);
                (1..=count).map(move |number| MemberDevice {
                    account: member.account,
                    device: device(&member.name, number),
                })
            })
            .collect()
    }

    /// The newest lines of a room below a row.
    pub(super) fn page(&self, room: RoomId, before: i64, limit: usize) -> Vec<Message> {
        let all: Vec<_> = self
            .messages
            .iter()
            .filter(|message| message.room == room && message.row < before)
            .cloned()
            .collect();
        all[all.len().saturating_sub(limit)..].to_vec()
    }

    pub(super) fn after(&self, room: RoomId, row: i64) -> Vec<Message> {
        self.messages.iter().filter(|message| message.room == room && message.row > row).cloned().collect()
    }

    /// What an answer to a message shows of it.
    pub(super) fn reply(&self, room: RoomId, id: MessageId) -> Option<Reply> {
        let message = self.messages.iter().find(|message| message.room == room && message.id == Some(id))?;
        let excerpt = match &message.body {
            Body::Text(text) => Some(text.chars().take(60).collect()),
            _ => None,
        };
        Some(Reply {
            id,
            sender: message.sender.as_ref().map(|sender| sender.name.clone()),
            excerpt,
            blocked: false,
        })
    }
}
