//! What the members of a room agree on.

use std::num::NonZeroU32;

use bytes::{Buf as _, Bytes};
use prost::{
    Message as _,
    encoding::{DecodeContext, decode_key, skip_field},
};

use super::{Body, MAX_ROOM_NAME};
use crate::{
    ids::{AccountId, InviteId},
    invite::{InviteLink, LinkSecret, MAX_LINKS},
    wire::codec::DecodeError,
    wire::pb,
};

/// The fields of `RoomSettings` that this version knows.
const KNOWN: [u32; 9] = [1, 2, 3, 4, 5, 6, 10, 11, 12];
/// Longest topic of a room, bytes.
pub const MAX_TOPIC: usize = 1024;
/// Most accounts that are readers or banned, each.
const MAX_LISTED: usize = 1000;

/// What somebody may do in a room; of two, who may do more is the lesser.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Whatever an admin may, and say who is an owner or an admin, and remove those.
    Owner,
    /// Change the settings, and remove, ban and silence others.
    Admin,
    /// Read, write, and invite.
    Member,
    /// Read.
    Reader,
}

impl Role {
    const ALL: [(Self, &str); 4] =
        [(Self::Owner, "owner"), (Self::Admin, "admin"), (Self::Member, "member"), (Self::Reader, "reader")];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(role, _)| *role == self).map_or("member", |(_, name)| name)
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
    }
}

/// What the members agree on about their room; it lives in the signed group context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomSettings {
    /// The name, as it was set: not yet fit for a terminal.
    pub name: String,
    /// What it is about, as it was set; may be empty.
    pub topic: String,
    /// Who may remove others and change these settings: the owners and the other admins.
    pub admins: Vec<AccountId>,
    /// Those of them that may say who is one; at least one.
    pub owners: Vec<AccountId>,
    /// Who may only read.
    pub readers: Vec<AccountId>,
    /// Whom nobody adds.
    pub banned: Vec<AccountId>,
    /// Whether it is the conversation of two people, who are its admins: nobody else is let in, and that stays so.
    pub direct: bool,
    /// After how many seconds every device deletes a message, from when that device has stored it.
    pub expire_after: Option<NonZeroU32>,
    /// What lets those who hold one ask to be let in.
    pub links: Vec<InviteLink>,
    /// What a later version has set: kept, so that whoever does not know it does not end it.
    unknown: Bytes,
}

impl RoomSettings {
    /// Settings of a room of any number of people, whose admins all are owners.
    pub fn new(name: String, admins: Vec<AccountId>) -> Self {
        Self {
            name,
            topic: String::new(),
            owners: admins.clone(),
            admins,
            readers: vec![],
            banned: vec![],
            direct: false,
            expire_after: None,
            links: vec![],
            unknown: Bytes::new(),
        }
    }

    /// Settings of a conversation of two.
    pub fn direct(name: String, two: [AccountId; 2]) -> Self {
        Self { direct: true, ..Self::new(name, two.to_vec()) }
    }

    /// Whether these two talk to one another here, and nobody else.
    pub fn is_between(&self, one: AccountId, other: AccountId) -> bool {
        self.direct && self.admins.contains(&one) && self.admins.contains(&other) && one != other
    }

    /// What an account may do that is in the room.
    pub fn role(&self, account: AccountId) -> Role {
        if self.owners.contains(&account) {
            Role::Owner
        } else if self.admins.contains(&account) {
            Role::Admin
        } else if self.readers.contains(&account) {
            Role::Reader
        } else {
            Role::Member
        }
    }

    /// Whether an account may remove another's devices: an admin those of who are none, an owner all.
    pub fn may_remove(&self, by: AccountId, of: AccountId) -> bool {
        let role = self.role(by);
        role <= if self.admins.contains(&of) { Role::Owner } else { Role::Admin }
    }

    /// Whether nobody shows what somebody says, who may only read: all save that they have joined, what they have read,
    /// and steps towards a key from elsewhere. `said`: `None` where it makes no sense.
    pub fn silences(&self, account: AccountId, said: Option<&Body>) -> bool {
        self.role(account) == Role::Reader
            && !matches!(said, Some(Body::Joined | Body::Receipt(_) | Body::SharedKey(_)))
    }

    /// The settings after a change.
    #[must_use]
    pub fn with(&self, change: &SettingsChange) -> Self {
        let mut changed = self.clone();
        match change {
            SettingsChange::Name(name) => changed.name.clone_from(name),
            SettingsChange::Topic(topic) => changed.topic.clone_from(topic),
            SettingsChange::ExpireAfter(after) => changed.expire_after = *after,
            SettingsChange::Role(account, role) if changed.role(*account) != *role => {
                changed.forget(*account);
                if *role == Role::Owner {
                    changed.owners.push(*account);
                }
                if *role <= Role::Admin {
                    changed.admins.push(*account);
                }
                if *role == Role::Reader {
                    changed.readers.push(*account);
                }
            }
            SettingsChange::Ban(account) if !changed.banned.contains(account) => {
                changed.forget(*account);
                changed.banned.push(*account);
            }
            SettingsChange::Unban(account) => changed.banned.retain(|banned| banned != account),
            SettingsChange::Link(link) if !changed.links.iter().any(|known| known.id() == link.id()) => {
                changed.links.push(link.clone());
            }
            SettingsChange::Unlink(id) => changed.links.retain(|link| link.id() != *id),
            SettingsChange::LetIn(id, account) => {
                // Two admins may count one person at once, or the last two.
                let link = changed.links.iter_mut().find(|link| link.id() == *id);
                let left = |link: &InviteLink| link.uses.is_some_and(|uses| link.left(uses) > 0);
                if let Some(link) = link.filter(|link| !link.joined.contains(account) && left(link)) {
                    link.joined.push(*account);
                }
            }
            // It is so already.
            SettingsChange::Role(..) | SettingsChange::Ban(_) | SettingsChange::Link(_) => {}
        }
        changed
    }

    /// The link of an id.
    pub fn link(&self, id: InviteId) -> Option<&InviteLink> {
        self.links.iter().find(|link| link.id() == id)
    }

    fn forget(&mut self, account: AccountId) {
        for list in [&mut self.owners, &mut self.admins, &mut self.readers] {
            list.retain(|listed| *listed != account);
        }
    }

    /// Encodes the settings for the group context.
    pub fn encode(&self) -> Vec<u8> {
        let ids = |list: &[AccountId]| list.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect();
        let mut encoded = pb::RoomSettings {
            name: self.name.clone(),
            topic: self.topic.clone(),
            admins: ids(&self.admins),
            owners: ids(&self.owners),
            readers: ids(&self.readers),
            banned: ids(&self.banned),
            direct: self.direct,
            expire_after: self.expire_after.map_or(0, NonZeroU32::get),
            links: self.links.iter().map(write_link).collect(),
        }
        .encode_to_vec();
        encoded.extend_from_slice(&self.unknown);
        encoded
    }

    /// Decodes settings.
    ///
    /// # Errors
    /// [`DecodeError`] when they are malformed, unnamed, named too long or as people are (`@`), when nobody owns the room, or
    /// somebody has two roles, when they are those of a conversation of two without two owners or with links, or when there are more
    /// than [`MAX_LINKS`] links or a link that cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const MALFORMED: DecodeError = DecodeError::Malformed("room settings");
        let raw = pb::RoomSettings::decode(bytes).map_err(|_| MALFORMED)?;
        let ids = |list: &[Bytes]| {
            let ids = list.iter().map(|id| AccountId::try_from(&id[..])).collect::<Result<Vec<_>, _>>();
            ids.map_err(|_| MALFORMED)
        };
        let settings = Self {
            name: raw.name,
            topic: raw.topic,
            admins: ids(&raw.admins)?,
            owners: ids(&raw.owners)?,
            readers: ids(&raw.readers)?,
            banned: ids(&raw.banned)?,
            direct: raw.direct,
            expire_after: NonZeroU32::new(raw.expire_after),
            links: raw.links.iter().map(read_link).collect::<Option<Vec<_>>>().ok_or(MALFORMED)?,
            unknown: unknown(bytes).ok_or(MALFORMED)?,
        };
        if check_room_name(&settings.name).is_err() || settings.topic.len() > MAX_TOPIC {
            return Err(MALFORMED);
        }
        let Self { owners, admins, readers, banned, .. } = &settings;
        let admin = |account: &AccountId| admins.contains(account);
        let mut secrets: Vec<_> = settings.links.iter().map(InviteLink::id).collect();
        secrets.sort_unstable();
        secrets.dedup();
        if secrets.len() != settings.links.len() || secrets.len() > MAX_LINKS {
            return Err(MALFORMED);
        }
        let good = !owners.is_empty()
            && owners.iter().all(admin)
            && !readers.iter().chain(banned).any(admin)
            && readers.len().max(banned.len()) <= MAX_LISTED;
        if !good {
            return Err(MALFORMED);
        }
        let two = matches!(admins[..], [one, other] if one != other)
            && owners.len() == admins.len()
            && readers.len() + banned.len() + settings.links.len() == 0;
        if settings.direct && !two {
            return Err(MALFORMED);
        }
        Ok(settings)
    }
}

/// What somebody wants changed of a room's settings. It is made of what they are when it is sealed: so two changes at once
/// are both made, and neither undoes the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SettingsChange {
    /// Another name.
    Name(String),
    /// Another topic; empty for none.
    Topic(String),
    /// After how many seconds messages go, or that they stay.
    ExpireAfter(Option<NonZeroU32>),
    /// What somebody may do.
    Role(AccountId, Role),
    /// That somebody is removed and not added again.
    Ban(AccountId),
    /// That somebody may be added again.
    Unban(AccountId),
    /// Another link.
    Link(InviteLink),
    /// That a link lets nobody in any more.
    Unlink(InviteId),
    /// That somebody is one of the people whom a link lets in, which lets in so many.
    LetIn(InviteId, AccountId),
}

impl SettingsChange {
    /// Encodes it for the device that keeps it until it is done.
    pub fn encode(&self) -> Vec<u8> {
        use pb::settings_change::Change;
        let id = |account: &AccountId| Bytes::copy_from_slice(account.as_bytes());
        let change = match self {
            Self::Name(name) => Change::Name(name.clone()),
            Self::Topic(topic) => Change::Topic(topic.clone()),
            Self::ExpireAfter(after) => Change::ExpireAfter(after.map_or(0, NonZeroU32::get)),
            Self::Role(account, role) => {
                let role = role.name().to_owned();
                Change::Role(pb::settings_change::Role { account: id(account), role })
            }
            Self::Ban(account) => Change::Ban(id(account)),
            Self::Unban(account) => Change::Unban(id(account)),
            Self::Link(link) => Change::Link(write_link(link)),
            Self::Unlink(link) => Change::Unlink(Bytes::copy_from_slice(link.as_bytes())),
            Self::LetIn(link, account) => Change::LetIn(pb::settings_change::LetIn {
                link: Bytes::copy_from_slice(link.as_bytes()),
                account: id(account),
            }),
        };
        pb::SettingsChange { change: Some(change) }.encode_to_vec()
    }

    /// Decodes it.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        use pb::settings_change::Change;
        const MALFORMED: DecodeError = DecodeError::Malformed("change of settings");
        let raw = pb::SettingsChange::decode(bytes).map_err(|_| MALFORMED)?;
        let id = |id: &[u8]| AccountId::try_from(id).map_err(|_| MALFORMED);
        let link_id = |id: &[u8]| InviteId::try_from(id).map_err(|_| MALFORMED);
        Ok(match raw.change.ok_or(MALFORMED)? {
            Change::Name(name) => Self::Name(name),
            Change::Topic(topic) => Self::Topic(topic),
            Change::ExpireAfter(after) => Self::ExpireAfter(NonZeroU32::new(after)),
            Change::Role(role) => Self::Role(id(&role.account)?, Role::named(&role.role).ok_or(MALFORMED)?),
            Change::Ban(account) => Self::Ban(id(&account)?),
            Change::Unban(account) => Self::Unban(id(&account)?),
            Change::Link(link) => Self::Link(read_link(&link).ok_or(MALFORMED)?),
            Change::Unlink(link) => Self::Unlink(link_id(&link)?),
            Change::LetIn(it) => Self::LetIn(link_id(&it.link)?, id(&it.account)?),
        })
    }
}

fn write_link(link: &InviteLink) -> pb::InviteLink {
    pb::InviteLink {
        secret: Bytes::copy_from_slice(link.secret.expose()),
        expires_at: link.expires_at.unwrap_or(0),
        uses: link.uses.map_or(0, NonZeroU32::get),
        ask: link.ask,
        joined: link.joined.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect(),
    }
}

fn read_link(raw: &pb::InviteLink) -> Option<InviteLink> {
    let joined = raw.joined.iter().map(|id| AccountId::try_from(&id[..])).collect::<Result<_, _>>();
    let link = InviteLink {
        secret: LinkSecret::from_slice(&raw.secret)?,
        expires_at: (raw.expires_at > 0).then_some(raw.expires_at),
        uses: NonZeroU32::new(raw.uses),
        ask: raw.ask,
        joined: joined.ok()?,
    };
    link.is_sound().then_some(link)
}

/// Why a room cannot be called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomNameError {
    /// Too short or too long.
    #[error("a room's name has 1 to {MAX_ROOM_NAME} bytes")]
    Length,
    /// So are conversations of two called, by the name of the other one.
    #[error("a room's name does not begin with @, as a person's does")]
    Person,
}

/// Whether a room can be called so.
///
/// # Errors
/// [`RoomNameError`]: why not.
pub fn check_room_name(name: &str) -> Result<(), RoomNameError> {
    match name {
        name if name.is_empty() || name.len() > MAX_ROOM_NAME => Err(RoomNameError::Length),
        name if name.starts_with('@') => Err(RoomNameError::Person),
        _ => Ok(()),
    }
}

/// The fields that this version does not know, as they stand there.
fn unknown(bytes: &[u8]) -> Option<Bytes> {
    let (mut rest, mut unknown) = (bytes, vec![]);
    while rest.has_remaining() {
        let field = rest;
        let (tag, wire_type) = decode_key(&mut rest).ok()?;
        skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
        if !KNOWN.contains(&tag) {
            unknown.extend_from_slice(&field[..field.len() - rest.len()]);
        }
    }
    Some(unknown.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_has_set_outlives_a_change_by_this_one() {
        let mut settings = RoomSettings::new("tea".to_owned(), vec![AccountId::from_bytes([1; 16])]);
        settings.expire_after = NonZeroU32::new(3600);
        // Field 99, a length-delimited value.
        let later = [&settings.encode()[..], &[0x9a, 0x06, 0x02, 0x68, 0x69]].concat();
        let mut read = RoomSettings::decode(&later).unwrap();
        assert_eq!((&read.name, read.expire_after), (&settings.name, settings.expire_after));
        assert_eq!(read.encode(), later);
        read.name = "coffee".to_owned();
        assert!(read.encode().ends_with(&[0x9a, 0x06, 0x02, 0x68, 0x69]));
        assert_eq!(RoomSettings::decode(&read.encode()), Ok(read));
    }

    #[test]
    fn links_are_made_counted_and_ended_whoever_does_it_at_once() {
        let [alice, bob, carol] = [1, 2, 3].map(|n| AccountId::from_bytes([n; 16]));
        let link = |n: u8, uses| InviteLink {
            secret: LinkSecret::from_slice(&[n; 32]).unwrap(),
            expires_at: Some(7),
            uses: NonZeroU32::new(uses),
            ask: n == 2,
            joined: vec![],
        };
        let (free, counted) = (link(1, 0), link(2, 1));
        let settings = RoomSettings::new("tea".to_owned(), vec![alice]);
        let change = |settings: &RoomSettings, change: SettingsChange| {
            assert_eq!(SettingsChange::decode(&change.encode()), Ok(change.clone()));
            let changed = settings.with(&change);
            assert_eq!(RoomSettings::decode(&changed.encode()).as_ref(), Ok(&changed));
            changed
        };
        let both = change(&settings, SettingsChange::Link(free.clone()));
        let both = change(&both, SettingsChange::Link(counted.clone()));
        assert_eq!(change(&both, SettingsChange::Link(counted.clone())), both, "made once");
        let used = change(&both, SettingsChange::LetIn(counted.id(), bob));
        assert_eq!(used.link(counted.id()).unwrap().joined, [bob]);
        for who in [bob, carol] {
            assert_eq!(change(&used, SettingsChange::LetIn(counted.id(), who)), used, "one, and no more");
        }
        assert_eq!(change(&both, SettingsChange::LetIn(free.id(), bob)), both, "that one counts nobody");
        let ended = change(&used, SettingsChange::Unlink(counted.id()));
        assert_eq!(ended.links, std::slice::from_ref(&free));
        assert_eq!(change(&ended, SettingsChange::LetIn(counted.id(), carol)), ended);
        let refused = |links: Vec<InviteLink>| {
            RoomSettings::decode(&RoomSettings { links, ..settings.clone() }.encode()).is_err()
        };
        assert!(refused([&free, &free].map(Clone::clone).to_vec()), "one secret twice");
        assert!(refused((0..=16).map(|n| link(n, 0)).collect()), "too many");
        assert!(refused(vec![InviteLink { joined: vec![bob, carol], ..counted }]), "more than it lets in");
        let direct =
            RoomSettings { links: vec![free], ..RoomSettings::direct("two".to_owned(), [alice, bob]) };
        assert!(RoomSettings::decode(&direct.encode()).is_err(), "nobody else is let in there");
    }

    #[test]
    fn a_conversation_of_two_has_two_admins() {
        let [alice, bob, carol] = [1, 2, 3].map(|n| AccountId::from_bytes([n; 16]));
        let direct = RoomSettings::direct("two".to_owned(), [alice, bob]);
        assert_eq!(RoomSettings::decode(&direct.encode()).as_ref(), Ok(&direct));
        assert!(direct.is_between(bob, alice) && !direct.is_between(alice, carol));
        for admins in [vec![alice], vec![alice, alice], vec![alice, bob, carol]] {
            assert!(RoomSettings::decode(&RoomSettings { admins, ..direct.clone() }.encode()).is_err());
        }
    }
}
