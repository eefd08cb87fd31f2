//! The JSON that scripts read: its objects, and an encoding in which no string can steer a terminal.

use std::io::{self, Write};

use qchat_proto::mls::psk::PskKind;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::json_marks::MarksObject;
use crate::engine::{
    Me,
    types::{Body, Delivery, Member, Message, RoomDetails, RoomStatus, RoomSummary},
};

/// The version of all objects.
const V: u8 = 1;

/// A line of a timeline.
#[derive(Debug, Serialize)]
pub(super) struct MessageObject<'a> {
    v: u8,
    room: &'a str,
    room_id: String,
    seq: Option<u64>,
    id: Option<String>,
    sender: Option<&'a str>,
    sender_device: Option<String>,
    sent_at: String,
    epoch: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    body: Option<&'a str>,
    verified: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    warning: bool,
    #[serde(flatten)]
    marks: MarksObject<'a>,
}

impl<'a> MessageObject<'a> {
    pub(super) fn new(message: &'a Message, room: &'a str) -> Self {
        let (kind, body, warning) = match &message.body {
            Body::Text(text) => ("text", Some(text.as_str()), false),
            Body::Poll(poll) => ("poll", Some(poll.question.as_str()), false),
            Body::File(file) => ("file", (!file.caption.is_empty()).then_some(&*file.caption), false),
            Body::Deleted(_) => ("deleted", None, false),
            Body::Unknown => ("unknown", None, false),
            Body::Notice(sentence) => ("notice", Some(sentence.as_str()), false),
            Body::Warning(sentence) => ("notice", Some(sentence.as_str()), true),
        };
        let sender = message.sender.as_ref();
        Self {
            v: V,
            room,
            room_id: message.room.to_string(),
            seq: message.seq.map(|seq| seq.0),
            id: message.id.map(|id| id.to_string()),
            sender: sender.map(|sender| sender.name.as_str()),
            sender_device: sender.map(|sender| sender.device.to_string()),
            sent_at: rfc3339(message.sent_at),
            epoch: message.epoch,
            kind,
            body,
            verified: sender.is_some_and(|sender| sender.verified),
            warning,
            marks: MarksObject::new(message),
        }
    }
}

/// A room in a list.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the fields are what scripts read")]
pub(super) struct RoomObject<'a> {
    v: u8,
    room: &'a str,
    room_id: String,
    direct: bool,
    status: &'static str,
    unread: u64,
    mentions: u64,
    archived: bool,
    muted: bool,
    favourite: bool,
    invited_by: Option<&'a str>,
    last_activity: Option<String>,
    blocked_by: Option<&'a str>,
}

impl<'a> RoomObject<'a> {
    pub(super) fn new(room: &'a RoomSummary) -> Self {
        Self {
            v: V,
            room: &room.name,
            room_id: room.id.to_string(),
            direct: room.direct,
            status: status(room.status),
            unread: room.unread,
            mentions: room.mentions,
            archived: room.marks.archived,
            muted: room.marks.muted,
            favourite: room.marks.favourite,
            invited_by: room.invited_by.as_deref(),
            last_activity: room.last_activity.map(rfc3339),
            blocked_by: room.blocked_by.as_deref(),
        }
    }
}

/// A room with its members.
#[derive(Debug, Serialize)]
pub(super) struct DetailsObject<'a> {
    #[serde(flatten)]
    room: RoomObject<'a>,
    topic: &'a str,
    banned: &'a [String],
    epoch: u64,
    /// Seconds; null for never.
    expire_after: Option<u32>,
    cursor: u64,
    waiting: usize,
    keys_renewed: Option<String>,
    psk: Option<PskObject>,
    offered_keys: Vec<OfferedKeyObject<'a>>,
    members: Vec<MemberObject<'a>>,
}

/// Where a key from elsewhere comes from.
pub(super) fn psk_kind(kind: PskKind) -> &'static str {
    match kind {
        PskKind::QuantumLink => "quantum-link",
        PskKind::Exercise => "simulated-bb84",
    }
}

/// A key from elsewhere in a room's key schedule.
#[derive(Debug, Serialize)]
struct PskObject {
    kind: &'static str,
    since_epoch: u64,
}

/// A key from elsewhere on its way there.
#[derive(Debug, Serialize)]
struct OfferedKeyObject<'a> {
    kind: &'static str,
    key_id: String,
    by: &'a str,
    waits_for: &'a [String],
}

#[derive(Debug, Serialize)]
struct MemberObject<'a> {
    name: &'a str,
    account: String,
    devices: usize,
    display_name: Option<&'a str>,
    role: &'static str,
    invited: bool,
    verified: bool,
    changed: bool,
}

impl<'a> DetailsObject<'a> {
    pub(super) fn new(details: &'a RoomDetails) -> Self {
        let member = |member: &'a Member| MemberObject {
            name: &member.name,
            account: member.account.to_string(),
            devices: member.devices,
            display_name: member.display_name.as_deref(),
            role: member.role.name(),
            invited: member.invited,
            verified: member.verified,
            changed: member.changed,
        };
        Self {
            room: RoomObject::new(&details.summary),
            topic: &details.topic,
            banned: &details.banned,
            epoch: details.epoch,
            expire_after: details.expire_after.map(std::num::NonZeroU32::get),
            cursor: details.cursor.0,
            waiting: details.waiting,
            keys_renewed: details.keys_renewed.map(rfc3339),
            psk: details
                .mixed_key
                .as_ref()
                .map(|mixed| PskObject { kind: psk_kind(mixed.kind), since_epoch: mixed.since }),
            offered_keys: details
                .offered_keys
                .iter()
                .map(|offered| OfferedKeyObject {
                    kind: psk_kind(offered.kind),
                    key_id: offered.key.to_string(),
                    by: &offered.by,
                    waits_for: &offered.waits_for,
                })
                .collect(),
            members: details.members.iter().map(member).collect(),
        }
    }
}

/// An account and its device.
#[derive(Debug, Serialize)]
pub(super) struct MeObject<'a> {
    v: u8,
    name: &'a str,
    account: String,
    device: String,
    server: &'a str,
    recovery_confirmed: bool,
}

impl<'a> MeObject<'a> {
    pub(super) fn new(me: &'a Me, recovery_confirmed: bool) -> Self {
        Self {
            v: V,
            name: me.name.as_str(),
            account: me.account.to_string(),
            device: me.device.to_string(),
            server: me.server.as_str(),
            recovery_confirmed,
        }
    }
}

/// The word for a status.
pub(super) fn status(status: RoomStatus) -> &'static str {
    match status {
        RoomStatus::Invited => "invited",
        RoomStatus::Joined => "joined",
        RoomStatus::Left => "left",
        RoomStatus::Removed => "removed",
        RoomStatus::Stuck => "stuck",
    }
}

/// Whether scripts are shown this line: what is in the log for good.
pub(super) fn is_settled(message: &Message) -> bool {
    message.delivery == Delivery::Sent
}

/// UTC, as RFC 3339 writes it.
pub(super) fn rfc3339(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

/// Writes one object and a line feed. Whatever a terminal could obey is escaped, so that a script's output can be
/// looked at; JSON parsers give back the original.
pub(super) fn write(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    let mut line = Vec::with_capacity(256);
    object.serialize(&mut serde_json::Serializer::with_formatter(&mut line, Harmless(CompactFormatter)))?;
    line.push(b'\n');
    out.write_all(&line)
}

/// JSON in one line, with every control, invisible and direction-changing character escaped.
struct Harmless(CompactFormatter);

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices() {
            if is_harmful(c) {
                out.write_all(&fragment.as_bytes()[plain..at])?;
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}")?;
                }
                plain = at + c.len_utf8();
            }
        }
        out.write_all(&fragment.as_bytes()[plain..])
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, out: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(out, escape)
    }
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_could_obey_is_escaped_and_comes_back_whole() {
        for text in [
            "plain, ñ, 日本語, 👩\u{200d}👩",
            "\u{1b}[2J\u{7f}\u{9b}31m\0\r\n\t\"\\",
            "\u{202e}evil\u{2066}\u{200b}\u{feff}\u{e0041}\u{2028}",
        ] {
            let mut line = Vec::new();
            write(&mut line, &text).unwrap();
            let line = String::from_utf8(line).unwrap();
            assert!(!line.trim_end_matches('\n').chars().any(is_harmful), "{line}");
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
