//! What commands print for people: one line for each thing, everything from peers sanitised.

use qchat_proto::{content::Role, ids::AccountId, invite::InviteLink, mls::psk::PskKind, sanitize};
use time::{OffsetDateTime, macros::format_description};

use super::json;
use crate::{
    engine::{
        Me,
        types::{Body, Inviting, Message, RoomDetails, RoomStatus, RoomSummary},
    },
    zone::Zone,
};

/// What stands before the second and further lines of a message, so that none passes for a message of its own.
const INDENT: &str = "    ";
/// What stands before a line that tells more about a message, so that no line of anybody's text passes for one.
const TOLD: &str = "  ┆ ";

/// A line of a timeline; with the room's name where lines of several rooms are mixed, and with the message's id when that is
/// asked for.
pub(super) fn message(message: &Message, room: Option<&str>, ids: bool, zone: &Zone) -> String {
    let id = message.id.filter(|_| ids).map(|id| format!("{id}  ")).unwrap_or_default();
    let time = clock(message.sent_at, zone);
    let time = format!("{id}{time}");
    let mut room = room.map(|room| format!("[{}] ", sanitize::line(room))).unwrap_or_default();
    if let Some(made) = &message.marks.change {
        room = format!("{room}· {}: ", sanitize::line(&made.words()));
    }
    let sender = message.sender.as_ref();
    // No user name has such a character in it.
    let mark = match sender {
        Some(sender) if sender.changed => " !",
        Some(sender) if sender.verified && !sender.me => " ✓",
        _ => "",
    };
    let sender = format!("{}{mark}", sanitize::line(sender.map_or("?", |sender| &sender.name)));
    let marks = &message.marks;
    let said = |text: &str| {
        let told = |line: &str| format!("\n{TOLD}{}", sanitize::line(line));
        let above = marks.answers().map_or_else(|| " ".to_owned(), |answers| told(&answers) + "\n" + INDENT);
        let edited = if marks.edits > 0 { told("(edited)") } else { String::new() };
        let below = marks.notes().map(|notes| told(&notes)).unwrap_or_default();
        let text = sanitize::text(text).replace('\n', &format!("\n{INDENT}"));
        format!("{time}  {room}{sender}:{above}{text}{edited}{below}")
    };
    match &message.body {
        Body::Text(text) => said(text),
        Body::Poll(poll) => said(&poll.words()),
        Body::File(file) => said(&file.words()),
        Body::Deleted(by) => format!("{time}  {room}{sender}: (deleted by {})", sanitize::line(by)),
        Body::Unknown => format!("{time}  {room}{sender} sent something that needs a newer qchat"),
        Body::Notice(sentence) => format!("{time}  {room}· {}", sanitize::line(sentence)),
        Body::Warning(sentence) => format!("{time}  {room}! {}", sanitize::line(sentence)),
    }
}

/// A message that was found: when, where and by whom it was written, and an excerpt that is fit for a terminal.
pub(super) fn found(message: &Message, excerpt: &str, room: &str, ids: bool, zone: &Zone) -> String {
    let id = message.id.filter(|_| ids).map(|id| format!("{id}  ")).unwrap_or_default();
    let sender = message.sender.as_ref().map_or("?", |sender| &sender.name);
    format!(
        "{id}{}  [{}] {}: {excerpt}",
        clock(message.sent_at, zone),
        sanitize::line(room),
        sanitize::line(sender)
    )
}

/// A room in a list: its state, unread messages, id and name.
pub(super) fn room(room: &RoomSummary) -> String {
    let name = sanitize::line(&room.name);
    let marks = [
        (room.marks.favourite, " ★"),
        (room.marks.muted, "  (muted)"),
        (room.marks.archived, "  (archived)"),
    ];
    let marks: String = marks.iter().filter(|(so, _)| *so).map(|(_, word)| *word).collect();
    let more = match (&room.invited_by, room.status) {
        (Some(by), RoomStatus::Invited) => format!("  (from {})", sanitize::line(by)),
        _ => String::new(),
    };
    format!("{:<8} {:>5}  {}  {name}{more}", json::status(room.status), room.unread, room.id) + &marks
}

/// A room with its members.
pub(super) fn details(details: &RoomDetails, me: AccountId) -> String {
    let room = &details.summary;
    let mut lines = vec![
        format!("{}", sanitize::line(&room.name)),
        format!("  id       {}", room.id),
        format!("  status   {}", json::status(room.status)),
        format!("  epoch    {}", details.epoch),
        format!("  log      read up to {}", details.cursor),
    ];
    if !details.topic.is_empty() {
        lines.insert(1, format!("  topic    {}", sanitize::line(&details.topic)));
    }
    if !details.banned.is_empty() {
        lines.push(format!("  banned   {}", sanitize::line(&details.banned.join(", "))));
    }
    if let Some(after) = details.expire_after {
        lines.push(format!("  expire   messages are deleted {after} s after a device has stored them"));
    }
    if let Some(renewed) = details.keys_renewed {
        lines.push(format!("  keys     renewed {}", json::rfc3339(renewed)));
    }
    if let Some(mixed) = &details.mixed_key {
        let what = match mixed.kind {
            PskKind::QuantumLink => "of a quantum link (ETSI GS QKD 014)",
            PskKind::Exercise => "of a simulated BB84 exercise, which adds no secrecy",
        };
        lines.push(format!("  psk      {what}, since epoch {}", mixed.since));
    }
    for offered in &details.offered_keys {
        let who = match &offered.waits_for[..] {
            [] => "all that is known of hold it".to_owned(),
            waits_for => format!("waits for {}", sanitize::line(&waits_for.join(", "))),
        };
        let what = match offered.kind {
            PskKind::Exercise => "simulated key",
            PskKind::QuantumLink => "key",
        };
        lines.push(format!("  offered  {what} {} by {}; {who}", offered.key, sanitize::line(&offered.by)));
    }
    if let Some(name) = &room.blocked_by {
        let name = sanitize::line(name);
        lines.push(format!(
            "  blocked  the identity key of {name} has changed; `qchat verify {name} --accept`, or remove them"
        ));
    }
    if details.waiting > 0 {
        lines.push(format!("  waiting  {} to be sent", details.waiting));
    }
    lines.push(format!("  members  {}", details.members.len()));
    for member in &details.members {
        let mut notes =
            vec![format!("{} device{}", member.devices, if member.devices == 1 { "" } else { "s" })];
        let own = member.account == me;
        let flags = [
            (own, "you"),
            (member.role != Role::Member, member.role.name()),
            (member.invited, "invited"),
            (member.verified && !own, "verified"),
            (member.changed, "CHANGED"),
        ];
        notes.extend(flags.iter().filter(|(set, _)| *set).map(|(_, note)| (*note).to_owned()));
        let goes_by = member.display_name.as_ref().map(|name| format!(" “{}”", sanitize::line(name)));
        let goes_by = goes_by.unwrap_or_default();
        lines.push(format!("    {}{goes_by} ({})", sanitize::line(&member.name), notes.join(", ")));
    }
    lines.join("\n")
}

/// An account and its device.
pub(super) fn me(me: &Me) -> String {
    format!("{}\n  account  {}\n  device   {}\n  server   {}", me.name, me.account, me.device, me.server)
}

/// A time as people here read it.
pub(super) fn clock(at: OffsetDateTime, zone: &Zone) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    zone.show(at).format(format).unwrap_or_default()
}

/// An invite link, without what opens it.
pub(super) fn invite_link(link: &InviteLink, expires: Option<OffsetDateTime>, zone: &Zone) -> String {
    let until =
        expires.map_or_else(|| "without an end".to_owned(), |at| format!("until {}", clock(at, zone)));
    let people = match link.uses {
        Some(uses) => format!("lets in {} more of {uses}", link.left(uses)),
        None => "lets in anybody".to_owned(),
    };
    let asks = if link.ask { ", after an admin's yes" } else { "" };
    format!("{}  {until}  {people}{asks}", &link.id().to_string()[..8])
}

/// How far an invitation of many people is.
pub(super) fn inviting(far: Inviting) -> String {
    match far {
        Inviting::LookingUp { done, of } => format!("Looking people up, {done} of {of}"),
        Inviting::Claiming { done, of } => format!("Fetching their keys, {done} of {of}"),
        Inviting::Adding { done, of } => format!("Adding devices, {done} of {of}"),
    }
}
