//! What members say to one another: encoded, padded to buckets so that a length says little, and back.
//!
//! Padded form: the content's length (4 bytes, big endian), the encoded `Content`, zeros up to the bucket.

mod attachment;
mod shared_key;

use bytes::Bytes;
use prost::Message as _;

use crate::{
    ids::AccountId,
    transparency::HeadHash,
    wire::{codec::DecodeError, pb},
};

pub use attachment::{Attachment, MAX_CAPTION, MAX_NAME, MAX_THUMBNAIL};
pub use shared_key::{KeyStep, MAX_SAE, SharedKey};

/// Largest text of one message, bytes of UTF-8.
pub const MAX_TEXT: usize = 32 * 1024;

/// Largest room name, bytes of UTF-8.
pub const MAX_ROOM_NAME: usize = 128;

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
        let said = pb::Content { sent_at_ms: 0, body: None, witness: Some(witness) }.encode_to_vec();
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
    /// A file.
    Attachment(Box<Attachment>),
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
            _ => Ok(Self { sent_at_ms, body: Body::Text(text), witness: None }),
        }
    }

    /// What a device says first where it was invited.
    pub fn joined(sent_at_ms: i64) -> Self {
        Self { sent_at_ms, body: Body::Joined, witness: None }
    }

    /// What a device says of a key from elsewhere.
    pub fn shared_key(said: SharedKey, sent_at_ms: i64) -> Self {
        Self { sent_at_ms, body: Body::SharedKey(said), witness: None }
    }

    /// A file that is at the daemon.
    pub fn attachment(attachment: Attachment, sent_at_ms: i64) -> Self {
        Self { sent_at_ms, body: Body::Attachment(Box::new(attachment)), witness: None }
    }

    /// Encodes the content, unpadded. An unknown body encodes as none: only its receiver's stored bytes keep it.
    pub fn encode(&self) -> Bytes {
        let body = match &self.body {
            Body::Text(text) => Some(pb::content::Body::Text(pb::Text { body: text.clone() })),
            Body::Joined => Some(pb::content::Body::Joined(pb::Joined {})),
            Body::SharedKey(said) => Some(pb::content::Body::SharedKey(said.to_wire())),
            Body::Attachment(attachment) => Some(pb::content::Body::Attachment(attachment.to_wire())),
            Body::Unknown => None,
        };
        let witness = self
            .witness
            .map(|Witness { epoch, head }| pb::Witness { epoch, head: Bytes::copy_from_slice(&head) });
        pb::Content { sent_at_ms: self.sent_at_ms, body, witness }.encode_to_vec().into()
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
            Some(pb::content::Body::Attachment(attachment)) => Attachment::from_wire(attachment)
                .map_or(Body::Unknown, |attachment| Body::Attachment(Box::new(attachment))),
            None => Body::Unknown,
        };
        // One of another size says nothing.
        let witness = raw
            .witness
            .and_then(|said| Some(Witness { epoch: said.epoch, head: said.head.as_ref().try_into().ok()? }));
        Ok(Self { sent_at_ms: raw.sent_at_ms, body, witness })
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

/// What the members agree on about their room; it lives in the signed group context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomSettings {
    /// The name, as it was set: not yet fit for a terminal.
    pub name: String,
    /// Who may remove others and change these settings.
    pub admins: Vec<AccountId>,
}

impl RoomSettings {
    /// Encodes the settings for the group context.
    pub fn encode(&self) -> Vec<u8> {
        pb::RoomSettings {
            name: self.name.clone(),
            admins: self.admins.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect(),
        }
        .encode_to_vec()
    }

    /// Decodes settings.
    ///
    /// # Errors
    /// [`DecodeError`] when they are malformed, unnamed, named too long or without an admin.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const MALFORMED: DecodeError = DecodeError::Malformed("room settings");
        let raw = pb::RoomSettings::decode(bytes).map_err(|_| MALFORMED)?;
        let admins = raw.admins.iter().map(|id| AccountId::try_from(&id[..])).collect::<Result<Vec<_>, _>>();
        let settings = Self { name: raw.name, admins: admins.map_err(|_| MALFORMED)? };
        if settings.name.is_empty() || settings.name.len() > MAX_ROOM_NAME || settings.admins.is_empty() {
            return Err(MALFORMED);
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(
            Content::decode(&future),
            Ok(Content { sent_at_ms: 5, body: Body::Unknown, witness: None })
        );
        assert!(Content::decode(&[0xff, 0xff]).is_err());
    }

    #[test]
    fn what_is_said_of_a_key_is_read_back_and_what_makes_no_sense_is_unknown() {
        let key_id = [7; 16];
        let offered = |sae: &str| KeyStep::Offered { master: "alice-sae".to_owned(), slave: sae.to_owned() };
        for (step, known) in [
            (offered("bob-sae"), true),
            (KeyStep::Held { confirmation: [9; 32] }, true),
            (KeyStep::GivenUp { differs: true }, true),
            (KeyStep::GivenUp { differs: false }, true),
            (offered(&"x".repeat(MAX_SAE)), true),
            (offered(""), false),
            (offered(&"x".repeat(MAX_SAE + 1)), false),
        ] {
            let content = Content::shared_key(SharedKey { key_id, step }, 5);
            let body = if known { content.body.clone() } else { Body::Unknown };
            assert_eq!(Content::decode(&content.encode()), Ok(Content { body, ..content }));
        }
        let genuine =
            Content::shared_key(SharedKey { key_id, step: KeyStep::Held { confirmation: [9; 32] } }, 5);
        let mut short = pb::Content::decode(genuine.encode()).unwrap();
        let Some(pb::content::Body::SharedKey(said)) = &mut short.body else { panic!("a key") };
        said.key_id.truncate(15);
        assert_eq!(Content::decode(&short.encode_to_vec()).unwrap().body, Body::Unknown);
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
