//! Who is there and who writes, in words.

use time::macros::format_description;

use super::super::{app::App, text};
use crate::engine::{Presence, PresenceStanding as Standing, types::RoomSummary};

/// Who writes in the open room.
pub(super) fn writers(app: &App) -> Option<String> {
    let names: Vec<_> =
        app.open.as_ref()?.writers.iter().map(|name| text::clean_line(name.as_str())).collect();
    match &names[..] {
        [] => None,
        [one] => Some(format!("{one} writes …")),
        [one, other] => Some(format!("{one} and {other} write …")),
        [one, other, third] => Some(format!("{one}, {other} and {third} write …")),
        some => Some(format!("{} people write …", some.len())),
    }
}

/// Whether the other one of a conversation of two is there, where they say so.
pub(super) fn partner<'a>(app: &'a App, room: &RoomSummary) -> Option<&'a Presence> {
    let name = room.name.strip_prefix('@').filter(|_| room.direct)?;
    app.present.values().find(|presence| presence.name.as_str() == name)
}

/// Whether somebody is there, in words; nothing of whom nothing is known.
pub(in super::super) fn words(app: &App, presence: &Presence) -> Option<String> {
    Some(match presence.standing {
        Standing::Online => "online".to_owned(),
        Standing::Away => "away".to_owned(),
        Standing::Offline => {
            let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
            let at = app.zone.show(presence.last_seen?).format(format).ok()?;
            format!("last seen {at}")
        }
    })
}

/// The same as one character, for lists.
pub(super) fn mark(presence: &Presence) -> Option<&'static str> {
    match presence.standing {
        Standing::Online => Some("●"),
        Standing::Away => Some("○"),
        Standing::Offline => None,
    }
}
