//! Invite links: who holds one may ask to be let into a room, and a member's device lets them in. docs/PROTOCOL.md, "Invite links".
//!
//! The secret of a link stands in the link and in the room's settings, which are signed in the group and which the server cannot read.
//! So both sides can tell that the other one has it: members by the MAC of who asks, and who asks by the settings of the group
//! that it is let into.

use std::{fmt, num::NonZeroU32, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    crypto::{
        entropy::{Entropy, EntropyError},
        kdf,
    },
    ids::{AccountId, InviteId, RoomId, ServerId},
};

const VERSION: u8 = 1;
const ID: &[u8] = b"qchat invite link id v1";
const REQUEST: &[u8] = b"qchat join request v1";
/// Bytes of a link's secret.
const SECRET: usize = 32;
/// Bytes of a link before it is written down: version, server, room, secret.
const LINK: usize = 1 + 16 + 16 + SECRET;
/// What stands between the server's address and the rest.
const PLACE: &str = "join#";

/// Most links that a room has at once.
pub const MAX_LINKS: usize = 16;
/// Most people that a link with a number lets in: each of them stands in the room's settings.
pub const MAX_USES: u32 = 100;

/// The secret of a link, 32 bytes.
#[derive(Clone, ZeroizeOnDrop)]
pub struct LinkSecret([u8; SECRET]);

impl LinkSecret {
    /// Draws one.
    ///
    /// # Errors
    /// Fails only when the entropy source does.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut secret = Self([0; SECRET]);
        entropy.fill(&mut secret.0)?;
        Ok(secret)
    }

    /// Copies a slice; `None` when it has not 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Opens the secret.
    pub fn expose(&self) -> &[u8; SECRET] {
        &self.0
    }

    /// What the link is called, also where the server sees it: the first 16 bytes of SHA-384 of a label and the secret.
    pub fn id(&self) -> InviteId {
        let hash = kdf::sha384(&[ID, &self.0]);
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        InviteId::from_bytes(id)
    }

    /// HMAC-SHA-384 of what somebody asks with, under a key for this room alone.
    pub fn mac(&self, room: RoomId, asked: &[u8]) -> [u8; kdf::HASH_LEN] {
        let mut key = kdf::hmac_sha384(&self.0, &[REQUEST, room.as_bytes()].concat());
        let mac = kdf::hmac_sha384(&key, asked);
        key.zeroize();
        mac
    }

    /// Whether a MAC is that of [`LinkSecret::mac`], in a time that does not depend on where it differs.
    pub fn has_made(&self, mac: &[u8], room: RoomId, asked: &[u8]) -> bool {
        self.mac(room, asked)[..].ct_eq(mac).into()
    }
}

impl PartialEq for LinkSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for LinkSecret {}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkSecret({})", self.id())
    }
}

/// A link as a room's members keep it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InviteLink {
    /// What opens it.
    pub secret: LinkSecret,
    /// Unix seconds from which on nobody is let in any more.
    pub expires_at: Option<u64>,
    /// How many people it lets in, at most [`MAX_USES`].
    pub uses: Option<NonZeroU32>,
    /// Whether an admin says yes to each.
    pub ask: bool,
    /// Whom it has let in, where it lets in so many and no more.
    pub joined: Vec<AccountId>,
}

/// Why a link lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkOver {
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
    /// It has let in as many as it may.
    #[error("the link has let in as many people as it may")]
    UsedUp,
}

impl InviteLink {
    /// What it is called.
    pub fn id(&self) -> InviteId {
        self.secret.id()
    }

    /// Whether it lets an account in. Whom it has counted already it lets in again. `now`: Unix seconds.
    ///
    /// # Errors
    /// Why not.
    pub fn lets_in(&self, account: AccountId, now: u64) -> Result<(), LinkOver> {
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(LinkOver::Expired);
        }
        match self.uses {
            Some(uses) if !self.joined.contains(&account) && self.left(uses) == 0 => Err(LinkOver::UsedUp),
            _ => Ok(()),
        }
    }

    /// Whether it lets anybody in that it has not counted. `now`: Unix seconds.
    pub fn is_open(&self, now: u64) -> bool {
        self.expires_at.is_none_or(|at| at > now) && self.uses.is_none_or(|uses| self.left(uses) > 0)
    }

    /// How many people it still lets in, of so many.
    pub fn left(&self, uses: NonZeroU32) -> u32 {
        uses.get().saturating_sub(u32::try_from(self.joined.len()).unwrap_or(u32::MAX))
    }

    /// Whether it can be: no more people than it lets in, and none twice.
    pub(crate) fn is_sound(&self) -> bool {
        let most = self.uses.map_or(0, NonZeroU32::get);
        let mut accounts = self.joined.clone();
        accounts.sort_unstable();
        accounts.dedup();
        most <= MAX_USES && accounts.len() == self.joined.len() && self.joined.len() <= most as usize
    }
}

/// A link as people pass it on: the server's address, `join#`, and base64url of version (1) ‖ server id (16) ‖ room id (16) ‖ secret
/// (32). What stands behind `#` no program sends to a server that takes it for the address of a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The server's address as whoever made the link has it, with a slash at its end.
    pub server: String,
    /// Which server that is.
    pub server_id: ServerId,
    /// The room.
    pub room: RoomId,
    /// What opens it.
    pub secret: LinkSecret,
}

/// A text is no invite link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It has another form.
    #[error(
        "this is no invite link: one looks like https://chat.example.org/join#… and is copied as a whole"
    )]
    Malformed,
    /// It is of a later version.
    #[error("this invite link is of a later version; update qchat")]
    Version,
}

impl Link {
    /// Whether a text is meant to be a link, rather than a room's name.
    pub fn is_meant(text: &str) -> bool {
        text.split_once("://").is_some_and(|(_, rest)| rest.contains(PLACE))
    }

    /// The text to pass on. Whoever has it can ask to be let in.
    pub fn text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LINK));
        bytes.push(VERSION);
        bytes.extend_from_slice(self.server_id.as_bytes());
        bytes.extend_from_slice(self.room.as_bytes());
        bytes.extend_from_slice(self.secret.expose());
        let code = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes));
        Zeroizing::new(format!("{}{PLACE}{}", self.server, *code))
    }
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (server, code) = text.trim().rsplit_once(PLACE).ok_or(LinkError::Malformed)?;
        let known = ["https://", "http://"].iter().any(|scheme| server.starts_with(scheme));
        if !known || !server.ends_with('/') {
            return Err(LinkError::Malformed);
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(code).map_err(|_| LinkError::Malformed)?);
        match bytes.split_first() {
            Some((&VERSION, rest)) => {
                let (server_id, rest) = rest.split_first_chunk().ok_or(LinkError::Malformed)?;
                let (room, secret) = rest.split_first_chunk().ok_or(LinkError::Malformed)?;
                Ok(Self {
                    server: server.to_owned(),
                    server_id: ServerId::from_bytes(*server_id),
                    room: RoomId::from_bytes(*room),
                    secret: LinkSecret::from_slice(secret).ok_or(LinkError::Malformed)?,
                })
            }
            Some(_) => Err(LinkError::Version),
            None => Err(LinkError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link {
            server: "https://chat.example.org:8443/".to_owned(),
            server_id: ServerId::from_bytes([1; 16]),
            room: RoomId::from_bytes([2; 16]),
            secret: LinkSecret([3; SECRET]),
        }
    }

    #[test]
    fn a_link_is_read_as_it_was_written_and_nothing_like_it() {
        let (link, text) = (link(), link().text());
        assert_eq!(text.parse(), Ok(link.clone()));
        assert_eq!(format!(" {}\n", *text).parse(), Ok(link));
        assert!(Link::is_meant(&text) && !Link::is_meant("join#us") && !Link::is_meant("general"));
        let later = text.replacen("#A", "#B", 1);
        for (text, error) in [
            ("general", LinkError::Malformed),
            (&text[..text.len() - 1], LinkError::Malformed),
            (&format!("{}A", *text), LinkError::Malformed),
            (text.strip_prefix("https://").unwrap(), LinkError::Malformed),
            (&text.replacen("https", "file", 1), LinkError::Malformed),
            ("https://chat.example.org/join#", LinkError::Malformed),
            (&later, LinkError::Version),
        ] {
            assert_eq!(text.parse::<Link>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_secret_is_in_no_debug_output_and_its_macs_are_of_one_room() {
        let (link, other) = (link(), RoomId::from_bytes([9; 16]));
        let shown = format!("{link:?}");
        assert!(!shown.contains("3, 3") && !shown.contains("0303"), "{shown}");
        let mac = link.secret.mac(link.room, b"asked");
        assert!(link.secret.has_made(&mac, link.room, b"asked"));
        assert!(!link.secret.has_made(&mac, other, b"asked"));
        assert!(!link.secret.has_made(&mac, link.room, b"askee"));
        assert!(!link.secret.has_made(&mac[..47], link.room, b"asked"));
        assert!(!LinkSecret([4; SECRET]).has_made(&mac, link.room, b"asked"));
    }

    #[test]
    fn a_link_ends_by_its_time_and_by_its_number() {
        let [alice, bob, carol] = [1, 2, 3].map(|n| AccountId::from_bytes([n; 16]));
        let link = |expires_at, uses, joined: &[AccountId]| InviteLink {
            secret: LinkSecret([3; SECRET]),
            expires_at,
            uses: NonZeroU32::new(uses),
            ask: false,
            joined: joined.to_vec(),
        };
        for (link, who, may) in [
            (link(None, 0, &[]), carol, Ok(())),
            (link(Some(101), 0, &[]), carol, Ok(())),
            (link(Some(100), 0, &[]), carol, Err(LinkOver::Expired)),
            (link(None, 2, &[alice]), carol, Ok(())),
            (link(None, 2, &[alice, bob]), carol, Err(LinkOver::UsedUp)),
            (link(None, 2, &[alice, bob]), bob, Ok(())),
            (link(Some(100), 2, &[alice, bob]), bob, Err(LinkOver::Expired)),
        ] {
            assert_eq!(link.lets_in(who, 100), may, "{link:?}");
        }
        for (link, sound) in [
            (link(None, 0, &[]), true),
            (link(None, 0, &[alice]), false),
            (link(None, 2, &[alice, bob]), true),
            (link(None, 1, &[alice, bob]), false),
            (link(None, 2, &[alice, alice]), false),
            (link(None, MAX_USES + 1, &[]), false),
        ] {
            assert_eq!(link.is_sound(), sound, "{link:?}");
        }
    }
}
