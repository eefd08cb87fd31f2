//! What belongs to a message in the JSON that scripts read. A field that says nothing is not there.

use serde::Serialize;

use super::json::rfc3339;
use crate::engine::types::{Body, ChangeMade, File, Message, Poll, PollOption, Reaction, Reply};

/// What belongs to a message.
#[derive(Debug, Serialize)]
pub(super) struct MarksObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<ReplyObject<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    edits: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<ReactionObject<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mentions: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    mentions_me: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    delivered_to: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    read_by: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<PollObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<ChangeObject<'a>>,
}

#[derive(Debug, Serialize)]
struct ReplyObject<'a> {
    id: String,
    sender: Option<&'a str>,
    excerpt: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    blocked: bool,
}

#[derive(Debug, Serialize)]
struct ReactionObject<'a> {
    emoji: &'a str,
    by: &'a [String],
    me: bool,
}

#[derive(Debug, Serialize)]
struct PollObject<'a> {
    options: Vec<OptionObject<'a>>,
    choices: u32,
    closed: bool,
}

#[derive(Debug, Serialize)]
struct OptionObject<'a> {
    text: &'a str,
    by: &'a [String],
    me: bool,
}

/// What is said of a file; what was said with it is the message's body.
#[derive(Debug, Serialize)]
pub(super) struct FileObject<'a> {
    file_id: String,
    name: &'a str,
    size: u64,
    media_type: Option<&'a str>,
    voice: bool,
    /// Seconds.
    duration: Option<f64>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail_size: Option<usize>,
}

/// What has just become of the message.
#[derive(Debug, Serialize)]
struct ChangeObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    seq: Option<u64>,
    by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl<'a> MarksObject<'a> {
    pub(super) fn new(message: &'a Message) -> Self {
        let marks = &message.marks;
        let reply = |reply: &'a Reply| ReplyObject {
            id: reply.id.to_string(),
            sender: reply.sender.as_deref(),
            excerpt: reply.excerpt.as_deref(),
            blocked: reply.blocked,
        };
        let reaction = |reaction: &'a Reaction| ReactionObject {
            emoji: &reaction.emoji,
            by: &reaction.by,
            me: reaction.me,
        };
        let change = |made: &'a ChangeMade| ChangeObject {
            kind: made.kind.name(),
            id: made.id.to_string(),
            seq: made.seq.map(|seq| seq.0),
            by: &made.by,
            emoji: made.kind.emoji(),
        };
        Self {
            reply_to: marks.reply_to.as_ref().map(reply),
            edits: marks.edits,
            deleted_by: if let Body::Deleted(by) = &message.body { Some(by) } else { None },
            reactions: marks.reactions.iter().map(reaction).collect(),
            mentions: &marks.mentions,
            mentions_me: marks.mentions_me,
            pinned_by: marks.pinned_by.as_deref(),
            expires_at: marks.expires_at.map(rfc3339),
            delivered_to: &marks.delivered_to,
            read_by: &marks.read_by,
            poll: if let Body::Poll(poll) = &message.body { Some(PollObject::new(poll)) } else { None },
            file: if let Body::File(file) = &message.body { Some(FileObject::new(file)) } else { None },
            change: marks.change.as_ref().map(change),
        }
    }
}

impl<'a> PollObject<'a> {
    fn new(poll: &'a Poll) -> Self {
        let option =
            |option: &'a PollOption| OptionObject { text: &option.text, by: &option.by, me: option.me };
        Self {
            options: poll.options.iter().map(option).collect(),
            choices: poll.choices,
            closed: poll.closed,
        }
    }
}

impl<'a> FileObject<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self {
            file_id: file.id.to_string(),
            name: &file.name,
            size: file.size,
            media_type: file.media_type.as_deref(),
            voice: file.voice,
            duration: file.duration.map(|duration| duration.as_secs_f64()),
            thumbnail_size: file.thumbnail,
        }
    }
}
