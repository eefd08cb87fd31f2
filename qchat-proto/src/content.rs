//! What members say to one another: encoded, padded to buckets so that a length says little, and back.
//!
//! Padded form: the content's length (4 bytes, big endian), the encoded `Content`, zeros up to the bucket.

mod attachment;
mod change;
mod exercise;
mod poll;
mod profile;
mod receipt;
mod settings;
mod shared_key;

use std::num::NonZeroU32;

use bytes::Bytes;
use prost::Message as _;

use crate::{
    ids::AccountId,
    transparency::HeadHash,
    wire::{codec::DecodeError, pb},
};

pub use attachment::{Attachment, MAX_CAPTION, MAX_NAME, MAX_THUMBNAIL};
pub use change::{Change, Emoji, MAX_EMOJI, MessageRef, What};
pub use exercise::{Exercise, ExerciseStep, MAX_PART, MAX_TERMS};
pub use poll::{MAX_OPTION, MAX_OPTIONS, MAX_QUESTION, Poll, PollError};
pub use profile::{MAX_AVATAR, MAX_DISPLAY_NAME, MAX_STATUS, Profile};
pub use receipt::Receipt;
pub use settings::{MAX_TOPIC, Role, RoomNameError, RoomSettings, SettingsChange, check_room_name};
pub use shared_key::{KeyStep, MAX_SAE, SharedKey};

/// Largest text of one message, bytes of UTF-8.
pub const MAX_TEXT: usize = 32 * 1024;

/// Largest room name, bytes of UTF-8.
pub const MAX_ROOM_NAME: usize = 128;

/// Most accounts that one message mentions; further ones are passed over.
pub const MAX_MENTIONS: usize = 100;

/// Smallest padded size, bytes; buckets double from here.
const SMALLEST_BUCKET: usize = 256;

/// A message's content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// When its sender says it was written, milliseconds since the Unix epoch.
    pub sent_at_ms: i64,
    /// What it says.
    pub body: Body,
    /// The newest head of the server's key directory that its sender has seen, where it says so.
    pub witness: Option<Witness>,
    /// The message that this one answers.
    pub reply_to: Option<MessageRef>,
    /// Whom its text speaks to.
    pub mentions: Vec<AccountId>,
    /// After how many seconds every device deletes it, from when that device has stored it.
    pub expires_after: Option<NonZeroU32>,
}

/// A head of the key directory, as somebody has seen it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Witness {
    /// Of which epoch.
    pub epoch: u64,
    /// Its hash.
    pub head: HeadHash,
}

impl Witness {
    /// Lets encoded content say this too; `None` when it would take the next larger bucket, or when it says so already.
    pub fn join(&self, content: &[u8]) -> Option<Bytes> {
        if Content::decode(content).ok()?.witness.is_some() {
            return None;
        }
        let witness = pb::Witness { epoch: self.epoch, head: Bytes::copy_from_slice(&self.head) };
        let said = pb::Content { witness: Some(witness), ..pb::Content::default() }.encode_to_vec();
        // What stands behind one another in protobuf is one message.
        let joined = [content, &said].concat();
        (padded_size(joined.len()) == padded_size(content.len())).then(|| joined.into())
    }
}

/// The types of content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Plain text, as it was sent: not yet fit for a terminal.
    Text(String),
    /// The sender's device has accepted its invitation: the first thing it says.
    Joined,
    /// Devices agree on a key from elsewhere.
    SharedKey(SharedKey),
    /// What becomes of an earlier message.
    Change(Change),
    /// A question with options.
    Poll(Poll),
    /// A file.
    Attachment(Box<Attachment>),
    /// How far the sender's device has got with the room's log.
    Receipt(Receipt),
    /// Two devices run BB84 in simulation.
    Exercise(Exercise),
    /// What the sender's account shows of itself.
    Profile(Profile),
    /// A type from a newer version; its bytes are kept by whoever stores the content.
    Unknown,
}

/// The content cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Over [`MAX_TEXT`].
    #[error("the text has {0} bytes; at most {MAX_TEXT} fit into one message")]
    TextTooLong(usize),
    /// Nothing to say.
    #[error("the text is empty")]
    Empty,
}

impl Content {
    /// A text message.
    ///
    /// # Errors
    /// [`ContentError`] when the text is empty or too long.
    pub fn text(text: impl Into<String>, sent_at_ms: i64) -> Result<Self, ContentError> {
        let text = text.into();
        match text.len() {
            0 => Err(ContentError::Empty),
            size if size > MAX_TEXT => Err(ContentError::TextTooLong(size)),
            _ => Ok(Self::new(Body::Text(text), sent_at_ms)),
        }
    }

    /// Content with nothing beside its body.
    pub fn new(body: Body, sent_at_ms: i64) -> Self {
        Self { sent_at_ms, body, witness: None, reply_to: None, mentions: vec![], expires_after: None }
    }

    /// What a device says first where it was invited.
    pub fn joined(sent_at_ms: i64) -> Self {
        Self::new(Body::Joined, sent_at_ms)
    }

    /// What a device says of a key from elsewhere.
    pub fn shared_key(said: SharedKey, sent_at_ms: i64) -> Self {
        Self::new(Body::SharedKey(said), sent_at_ms)
    }

    /// What a device says in a simulated run of BB84.
    pub fn exercise(said: Exercise, sent_at_ms: i64) -> Self {
        Self::new(Body::Exercise(said), sent_at_ms)
    }

    /// A file that is at the daemon.
    pub fn attachment(attachment: Attachment, sent_at_ms: i64) -> Self {
        Self::new(Body::Attachment(Box::new(attachment)), sent_at_ms)
    }

    /// Encodes the content, unpadded. An unknown body encodes as none: only its receiver's stored bytes keep it.
    pub fn encode(&self) -> Bytes {
        let body = match &self.body {
            Body::Text(text) => Some(pb::content::Body::Text(pb::Text { body: text.clone() })),
            Body::Joined => Some(pb::content::Body::Joined(pb::Joined {})),
            Body::SharedKey(said) => Some(pb::content::Body::SharedKey(said.to_wire())),
            Body::Change(change) => Some(pb::content::Body::Change(change.to_wire())),
            Body::Poll(poll) => Some(pb::content::Body::Poll(poll.to_wire())),
            Body::Attachment(attachment) => Some(pb::content::Body::Attachment(attachment.to_wire())),
            Body::Receipt(receipt) => Some(pb::content::Body::Receipt(receipt.to_wire())),
            Body::Exercise(said) => Some(pb::content::Body::Exercise(said.to_wire())),
            Body::Profile(profile) => Some(pb::content::Body::Profile(profile.to_wire())),
            Body::Unknown => None,
        };
        let witness = self
            .witness
            .map(|Witness { epoch, head }| pb::Witness { epoch, head: Bytes::copy_from_slice(&head) });
        let content = pb::Content {
            sent_at_ms: self.sent_at_ms,
            body,
            witness,
            in_reply_to: self.reply_to.map(MessageRef::to_wire),
            mentions: self.mentions.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect(),
            expires_after: self.expires_after.map_or(0, NonZeroU32::get),
        };
        content.encode_to_vec().into()
    }

    /// Decodes unpadded content.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not protobuf.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let raw = pb::Content::decode(bytes).map_err(|_| DecodeError::Malformed("content"))?;
        let body = match raw.body {
            Some(pb::content::Body::Text(text)) => Body::Text(text.body),
            Some(pb::content::Body::Joined(_)) => Body::Joined,
            Some(pb::content::Body::SharedKey(said)) => {
                SharedKey::from_wire(said).map_or(Body::Unknown, Body::SharedKey)
            }
            Some(pb::content::Body::Change(change)) => {
                Change::from_wire(change).map_or(Body::Unknown, Body::Change)
            }
            Some(pb::content::Body::Poll(poll)) => Poll::from_wire(poll).map_or(Body::Unknown, Body::Poll),
            Some(pb::content::Body::Attachment(attachment)) => Attachment::from_wire(attachment)
                .map_or(Body::Unknown, |attachment| Body::Attachment(Box::new(attachment))),
            Some(pb::content::Body::Receipt(receipt)) => Body::Receipt(Receipt::from_wire(receipt)),
            Some(pb::content::Body::Exercise(said)) => {
                Exercise::from_wire(said).map_or(Body::Unknown, Body::Exercise)
            }
            Some(pb::content::Body::Profile(profile)) => {
                Profile::from_wire(profile).map_or(Body::Unknown, Body::Profile)
            }
            None => Body::Unknown,
        };
        // One of another size says nothing.
        let witness = raw
            .witness
            .and_then(|said| Some(Witness { epoch: said.epoch, head: said.head.as_ref().try_into().ok()? }));
        let mut mentions: Vec<AccountId> = vec![];
        for id in raw.mentions.iter().filter_map(|id| AccountId::try_from(&id[..]).ok()) {
            if mentions.len() < MAX_MENTIONS && !mentions.contains(&id) {
                mentions.push(id);
            }
        }
        Ok(Self {
            sent_at_ms: raw.sent_at_ms,
            body,
            witness,
            reply_to: raw.in_reply_to.as_ref().and_then(MessageRef::from_wire),
            mentions,
            expires_after: NonZeroU32::new(raw.expires_after),
        })
    }
}

/// The size that content of `length` bytes is padded to: the next power of two from 256 on, with the 4 bytes of the
/// length counted in.
pub fn padded_size(length: usize) -> usize {
    length.saturating_add(4).next_power_of_two().max(SMALLEST_BUCKET)
}

/// Pads encoded content.
pub fn pad(content: &[u8]) -> Vec<u8> {
    let mut padded = Vec::with_capacity(padded_size(content.len()));
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(content);
    padded.resize(padded_size(content.len()), 0);
    padded
}

/// Takes the padding off.
///
/// # Errors
/// [`DecodeError`] when the length does not fit, the bucket is not the one that [`pad`] takes, or a padding byte is
/// not zero: one content has one padded form.
pub fn unpad(padded: &[u8]) -> Result<Bytes, DecodeError> {
    const MALFORMED: DecodeError = DecodeError::Malformed("padding");
    let (length, rest) = padded.split_first_chunk::<4>().ok_or(MALFORMED)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| MALFORMED)?;
    if length > rest.len() || padded.len() != padded_size(length) {
        return Err(MALFORMED);
    }
    let (content, zeros) = rest.split_at(length);
    if zeros.iter().any(|&byte| byte != 0) {
        return Err(MALFORMED);
    }
    Ok(Bytes::copy_from_slice(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        file::{FileHash, FileKey, Layout, Sealing},
        ids::{DeviceId, FileId, MessageId, Seq},
        mls::psk::PskId,
    };

    #[test]
    fn padding_hides_lengths_in_powers_of_two_and_has_one_form() {
        for (length, size) in [(0, 256), (252, 256), (253, 512), (1020, 1024), (1021, 2048)] {
            let content = vec![7; length];
            let padded = pad(&content);
            assert_eq!(padded.len(), size, "{length}");
            assert_eq!(unpad(&padded).as_deref(), Ok(&content[..]));
            let mut longer = padded.clone();
            longer.resize(size * 2, 0);
            assert!(unpad(&longer).is_err());
            if length + 4 < size {
                let mut dirty = padded;
                dirty[size - 1] = 1;
                assert!(unpad(&dirty).is_err());
            }
        }
        assert!(unpad(&[0, 0]).is_err());
    }

    #[test]
    fn content_of_an_unknown_type_is_kept_apart_from_malformed_content() {
        // Field 99, a length-delimited body that no version knows yet.
        let future = [0x08, 0x05, 0x9a, 0x06, 0x01, 0x00];
        assert_eq!(Content::decode(&future), Ok(Content::new(Body::Unknown, 5)));
        assert!(Content::decode(&[0xff, 0xff]).is_err());
    }

    #[test]
    fn what_is_said_of_a_key_is_read_back_and_what_makes_no_sense_is_unknown() {
        let key_id = [7; 16];
        let offered = |sae: &str| KeyStep::Offered { master: "alice-sae".to_owned(), slave: sae.to_owned() };
        for (step, known) in [
            (KeyStep::Offered { master: String::new(), slave: String::new() }, false),
            (offered("bob-sae"), true),
            (KeyStep::Held { confirmation: [9; 32] }, true),
            (KeyStep::GivenUp { differs: true }, true),
            (KeyStep::GivenUp { differs: false }, true),
            (offered(&"x".repeat(MAX_SAE)), true),
            (offered(""), false),
            (offered(&"x".repeat(MAX_SAE + 1)), false),
        ] {
            let content = Content::shared_key(SharedKey { id: PskId::quantum_link(key_id), step }, 5);
            let body = if known { content.body.clone() } else { Body::Unknown };
            assert_eq!(Content::decode(&content.encode()), Ok(Content { body, ..content }));
        }
        let of_exercise = |sae: &str| SharedKey {
            id: PskId::exercise(key_id),
            step: KeyStep::Offered { master: sae.to_owned(), slave: sae.to_owned() },
        };
        for (sae, known) in [("", true), ("an-sae", false)] {
            let content = Content::shared_key(of_exercise(sae), 5);
            let body = if known { content.body.clone() } else { Body::Unknown };
            assert_eq!(Content::decode(&content.encode()), Ok(Content { body, ..content }));
        }
        let held = KeyStep::Held { confirmation: [9; 32] };
        let genuine = Content::shared_key(SharedKey { id: PskId::quantum_link(key_id), step: held }, 5);
        for kind in [2, 4, 257] {
            let mut other = pb::Content::decode(genuine.encode()).unwrap();
            let Some(pb::content::Body::SharedKey(said)) = &mut other.body else { panic!("a key") };
            said.kind = kind;
            assert_eq!(Content::decode(&other.encode_to_vec()).unwrap().body, Body::Unknown, "{kind}");
        }
        let mut short = pb::Content::decode(genuine.encode()).unwrap();
        let Some(pb::content::Body::SharedKey(said)) = &mut short.body else { panic!("a key") };
        said.key_id.truncate(15);
        assert_eq!(Content::decode(&short.encode_to_vec()).unwrap().body, Body::Unknown);
    }

    #[test]
    fn every_type_is_read_back_and_what_is_over_its_limits_is_unknown() {
        let target = MessageRef { device: DeviceId::from_bytes([1; 16]), id: MessageId::from_bytes([2; 16]) };
        let change = |what| Body::Change(Change { target, what });
        let emoji = |text| Emoji::new(text).unwrap();
        let shown = |name: usize, status: usize, avatar: usize| {
            let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
            picture.resize(avatar, 0);
            Profile { name: "n".repeat(name), status: "s".repeat(status), avatar: picture.into() }
        };
        let poll = |options: &[&str], choices| {
            let options = options.iter().map(|&option| option.to_owned()).collect();
            Poll::new("tea?".to_owned(), options, choices)
        };
        let sealing = Sealing {
            id: FileId::from_bytes([3; 16]),
            key: FileKey::from_slice(&[4; 32]).unwrap(),
            layout: Layout::new(70_000).unwrap(),
        };
        let file = |name: &str, caption: &str| {
            Box::new(Attachment {
                sealing: sealing.clone(),
                hash: FileHash::try_from(&[5_u8; 48][..]).unwrap(),
                name: name.to_owned(),
                media_type: "audio/ogg".to_owned(),
                thumbnail: Bytes::new(),
                duration_ms: 7,
                voice: true,
                caption: caption.to_owned(),
            })
        };
        for (body, known) in [
            (change(What::Edit("x".repeat(MAX_TEXT))), true),
            (change(What::Edit("x".repeat(MAX_TEXT + 1))), false),
            (change(What::Edit(String::new())), false),
            (change(What::Delete), true),
            (change(What::React(emoji("👩\u{200d}👩\u{200d}👧\u{200d}👦"))), true),
            (change(What::Unreact(emoji("+1"))), true),
            (change(What::Pin), true),
            (change(What::Unpin), true),
            (change(What::Vote(vec![])), true),
            (change(What::Vote(vec![0, 3])), true),
            (change(What::Vote(vec![3, 3])), false),
            (change(What::Vote(vec![3, 0])), false),
            (change(What::Close), true),
            (Body::Poll(poll(&["yes", "no"], 1).unwrap()), true),
            (Body::Attachment(file(&"n".repeat(MAX_NAME), &"c".repeat(MAX_CAPTION))), true),
            (Body::Attachment(file(&"n".repeat(MAX_NAME + 1), "")), false),
            (Body::Attachment(file("n", &"c".repeat(MAX_CAPTION + 1))), false),
            (Body::Attachment(file("", "")), false),
            (Body::Receipt(Receipt { delivered: Seq(9), read: Seq(8) }), true),
            (Body::Profile(Profile::default()), true),
            (Body::Profile(shown(MAX_DISPLAY_NAME, MAX_STATUS, MAX_AVATAR)), true),
            (Body::Profile(shown(MAX_DISPLAY_NAME + 1, 0, 8)), false),
            (Body::Profile(shown(0, MAX_STATUS + 1, 8)), false),
            (Body::Profile(shown(0, 0, MAX_AVATAR + 1)), false),
            (Body::Profile(shown(0, 0, 7)), false),
        ] {
            let content = Content {
                reply_to: Some(target),
                mentions: vec![AccountId::from_bytes([5; 16])],
                expires_after: NonZeroU32::new(60),
                ..Content::new(body, 5)
            };
            let body = if known { content.body.clone() } else { Body::Unknown };
            assert_eq!(Content::decode(&content.encode()), Ok(Content { body, ..content }));
        }
        for text in ["", " ", "a b", "\n", "\u{1b}", &"x".repeat(MAX_EMOJI + 1)] {
            assert_eq!(Emoji::new(text), None, "{text:?}");
        }
        for (options, choices, fault) in [
            (&["yes"][..], 1, PollError::Options),
            (&["yes", "yes"], 1, PollError::Options),
            (&["yes", ""], 1, PollError::Options),
            (&["yes", "no"], 0, PollError::Choices),
            (&["yes", "no"], 3, PollError::Choices),
        ] {
            assert_eq!(poll(options, choices), Err(fault), "{options:?}");
        }
        assert!(!format!("{:?}", file("x", "")).contains("4, 4"), "a key does not show");
    }

    #[test]
    fn a_head_that_was_seen_goes_along_where_it_changes_no_size() {
        let witness = Witness { epoch: 70_000, head: [9; 48] };
        for (length, goes) in [(1, true), (170, true), (200, false), (235, false), (300, true)] {
            let content = Content::text("x".repeat(length), 1_800_000_000_000).unwrap().encode();
            let joined = witness.join(&content);
            assert_eq!(joined.is_some(), goes, "{length}");
            if let Some(joined) = joined {
                assert_eq!(padded_size(joined.len()), padded_size(content.len()));
                let read = Content::decode(&joined).unwrap();
                assert_eq!((read.witness, read.encode()), (Some(witness), joined.clone()));
                assert_eq!(Content { witness: None, ..read }.encode(), content);
                assert_eq!(witness.join(&joined), None);
            }
        }
    }
}
