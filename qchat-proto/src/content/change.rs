//! What members say about an earlier message: the wire's form of it, and its limits. What it does is decided in
//! [`crate::conversation`].

use bytes::Bytes;

use super::MAX_TEXT;
use crate::{
    ids::{DeviceId, MessageId},
    wire::pb,
};

/// Longest reaction, bytes of UTF-8: the longest emoji sequences have 35.
pub const MAX_EMOJI: usize = 40;

/// A message as the log names it: a message id is drawn by its sender's device, and unique for that alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MessageRef {
    /// The device that sent it.
    pub device: DeviceId,
    /// Its id.
    pub id: MessageId,
}

impl MessageRef {
    pub(super) fn to_wire(self) -> pb::MessageRef {
        pb::MessageRef {
            device_id: Bytes::copy_from_slice(self.device.as_bytes()),
            message_id: Bytes::copy_from_slice(self.id.as_bytes()),
        }
    }

    pub(super) fn from_wire(raw: &pb::MessageRef) -> Option<Self> {
        Some(Self {
            device: DeviceId::try_from(&raw.device_id[..]).ok()?,
            id: MessageId::try_from(&raw.message_id[..]).ok()?,
        })
    }
}

/// A change of an earlier message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Which message.
    pub target: MessageRef,
    /// What becomes of it.
    pub what: What,
}

/// What becomes of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// It has this text now: 1 to [`MAX_TEXT`] bytes.
    Edit(String),
    /// It is deleted for everyone.
    Delete,
    /// An account reacts to it.
    React(Emoji),
    /// It takes that back.
    Unreact(Emoji),
    /// It is kept in view.
    Pin,
    /// It is that no more.
    Unpin,
    /// An account is for these options of a poll, ascending; none: it has no vote.
    Vote(Vec<u32>),
    /// The poll takes no more votes.
    Close,
}

/// A reaction: 1 to [`MAX_EMOJI`] bytes without white space and control characters. Which of the many sequences are
/// drawn as one emoji changes with every version of Unicode, so nothing more is asked of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Emoji(String);

impl Emoji {
    /// Takes a reaction; `None` when it is none.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=MAX_EMOJI).contains(&text.len());
        let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        (fits && plain).then(|| Self(text.to_owned()))
    }

    /// As it was sent: not yet fit for a terminal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Change {
    pub(super) fn to_wire(&self) -> pb::Change {
        use pb::change::{Close, Delete, Edit, Pin, Reaction, Vote, What as Raw};

        let reaction = |emoji: &Emoji, remove| Raw::Reaction(Reaction { emoji: emoji.0.clone(), remove });
        let what = match &self.what {
            What::Edit(text) => Raw::Edit(Edit { body: text.clone() }),
            What::Delete => Raw::Delete(Delete {}),
            What::React(emoji) => reaction(emoji, false),
            What::Unreact(emoji) => reaction(emoji, true),
            What::Pin => Raw::Pin(Pin { remove: false }),
            What::Unpin => Raw::Pin(Pin { remove: true }),
            What::Vote(choices) => Raw::Vote(Vote { choices: choices.clone() }),
            What::Close => Raw::Close(Close {}),
        };
        pb::Change { target: Some(self.target.to_wire()), what: Some(what) }
    }

    /// `None` for what makes no sense.
    pub(super) fn from_wire(raw: pb::Change) -> Option<Self> {
        use pb::change::What as Raw;

        let target = MessageRef::from_wire(raw.target.as_ref()?)?;
        let what = match raw.what? {
            Raw::Edit(edit) if (1..=MAX_TEXT).contains(&edit.body.len()) => What::Edit(edit.body),
            Raw::Delete(_) => What::Delete,
            Raw::Reaction(reaction) => {
                let emoji = Emoji::new(&reaction.emoji)?;
                if reaction.remove { What::Unreact(emoji) } else { What::React(emoji) }
            }
            Raw::Pin(pin) => {
                if pin.remove {
                    What::Unpin
                } else {
                    What::Pin
                }
            }
            Raw::Vote(vote) if vote.choices.is_sorted_by(|a, b| a < b) => What::Vote(vote.choices),
            Raw::Edit(_) | Raw::Vote(_) => return None,
            Raw::Close(_) => What::Close,
        };
        Some(Self { target, what })
    }
}
