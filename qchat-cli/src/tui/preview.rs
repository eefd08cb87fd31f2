//! What will become of a text when it is sent: how it is sealed, how large it is then, and who will be able to read it.

use qchat_proto::content::{Content, MessageRef, padded_size};

use super::words::Words;
use crate::engine::types::{Member, RoomDetails};

/// The only cipher suite: docs/PROTOCOL.md.
pub(super) const SUITE: &str = "X-Wing, AES-256-GCM, SHA-384, ML-DSA-65 + Ed25519";

/// What will become of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Preview {
    pub(super) epoch: u64,
    /// Bytes that are sealed: what the server sees of the length.
    pub(super) padded: usize,
    /// Devices that will be able to read it, this one included.
    pub(super) devices: usize,
    /// Those people's names, how many devices each has, and whether they were verified.
    pub(super) readers: Vec<(String, usize, Trust)>,
}

/// How far somebody is trusted who will read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trust {
    Own,
    Verified,
    Unverified,
    Changed,
}

impl Preview {
    /// Of this text in this room.
    pub(super) fn of(
        text: &str,
        reply_to: Option<MessageRef>,
        details: &RoomDetails,
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
        let members = details.members.iter();
        Some(Self {
            epoch: details.epoch,
            padded: padded_size(content.encode().len()),
            devices: members.clone().map(|member| member.devices).sum(),
            readers: members.map(|member| (member.name.clone(), member.devices, trust(member))).collect(),
        })
    }

    /// In words.
    pub(super) fn words(&self, words: Words) -> String {
        let readers: Vec<_> = self
            .readers
            .iter()
            .map(|(name, devices, trust)| {
                let trust = match trust {
                    Trust::Own => "own",
                    Trust::Verified => "verified",
                    Trust::Unverified => "unverified",
                    Trust::Changed => "changed",
                };
                words.preview_reader(name, *devices, trust)
            })
            .collect();
        words.preview(SUITE, self.epoch, self.padded, self.devices, readers.join(", "))
    }
}
