//! What will become of a text when it is sent: how it is sealed, how large it is then, and who will be able to read it.

use qchat_proto::{
    content::{Content, MessageRef, padded_size},
    ids::DeviceId,
};

use super::{text, words::Words};
use crate::engine::{
    MemberDevice,
    types::{Member, RoomDetails},
};

/// The only cipher suite: docs/PROTOCOL.md.
pub(super) const SUITE: &str = "X-Wing, AES-256-GCM, SHA-384, ML-DSA-65 + Ed25519";

/// Characters of a device's id that tell it from the others of a person; all of it stands among the members.
const SHORT: usize = 8;

/// How much is said of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Form {
    #[default]
    Hidden,
    /// How many people and devices, and how many of those are not verified.
    Counted,
    /// Every person and device as well.
    Named,
}

impl Form {
    /// The one that comes after it.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Hidden => Self::Counted,
            Self::Counted => Self::Named,
            Self::Named => Self::Hidden,
        }
    }
}

/// What will become of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Preview {
    pub(super) epoch: u64,
    /// Bytes that are sealed: what the server sees of the length.
    pub(super) padded: usize,
    /// Who will be able to read it, whoever writes it included: those first who need a look.
    pub(super) readers: Vec<Reader>,
}

/// Somebody who will be able to read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reader {
    name: String,
    pub(super) trust: Trust,
    /// On how many devices.
    devices: usize,
    /// On these, once they have been read.
    ids: Vec<DeviceId>,
}

/// How far somebody is trusted who will read it; what needs a look comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Trust {
    Changed,
    Unverified,
    Verified,
    Own,
}

impl Trust {
    /// Whether somebody else may have put these devices there.
    const fn is_open(self) -> bool {
        matches!(self, Self::Changed | Self::Unverified)
    }
}

impl Preview {
    /// Of this text in this room, whose group has the devices of `roster` where that has been read.
    pub(super) fn of(
        text: &str,
        reply_to: Option<MessageRef>,
        details: &RoomDetails,
        roster: &[MemberDevice],
        me: &str,
    ) -> Option<Self> {
        let mut content = Content::text(if text.is_empty() { "…" } else { text }.to_owned(), 0).ok()?;
        content.reply_to = reply_to;
        let trust = |member: &Member| match member {
            member if member.name == me => Trust::Own,
            Member { changed: true, .. } => Trust::Changed,
            Member { verified: true, .. } => Trust::Verified,
            _ => Trust::Unverified,
        };
        let ids = |member: &Member| {
            let theirs = roster.iter().filter(|device| device.account == member.account);
            theirs.map(|device| device.device).collect()
        };
        let reader = |member: &Member| Reader {
            name: member.name.clone(),
            trust: trust(member),
            devices: member.devices,
            ids: ids(member),
        };
        let mut readers: Vec<_> = details.members.iter().map(reader).collect();
        readers.sort_by_key(|reader| reader.trust);
        Some(Self { epoch: details.epoch, padded: padded_size(content.encode().len()), readers })
    }

    /// In words, counted.
    pub(super) fn words(&self, words: Words) -> String {
        let devices = |open: bool| -> usize {
            let counted = self.readers.iter().filter(|reader| !open || reader.trust.is_open());
            counted.map(|reader| reader.devices).sum()
        };
        words.preview(SUITE, self.epoch, self.padded, self.readers.len(), devices(false), devices(true))
    }
}

impl Reader {
    /// Who it is and on which devices, with the mark that says how far they are trusted.
    pub(super) fn words(&self, words: Words) -> String {
        let trust = match self.trust {
            Trust::Own => "own",
            Trust::Verified => "verified",
            Trust::Unverified => "unverified",
            Trust::Changed => "changed",
        };
        let short = |id: &DeviceId| id.to_string().chars().take(SHORT).collect::<String>();
        let devices = if self.ids.len() == self.devices {
            self.ids.iter().map(short).collect::<Vec<_>>().join(", ")
        } else {
            // Not read yet, or of another epoch.
            format!("×{}", self.devices)
        };
        words.preview_reader(text::clean_line(&self.name), trust, devices)
    }
}
