//! Who is there and who writes, in words.

use time::macros::format_description;

use super::super::{app::App, text};
use crate::engine::{Presence, PresenceStanding as Standing, types::RoomSummary};

/// Who writes in the open room.
pub(super) fn writers(app: &App) -> Option<String> {
    let names: Vec<_> =
        app.open.as_ref()?.writers.iter().map(|name| text::clean_line(name.as_str())).collect();
    let name = |place: usize| names.get(place).map_or("", String::as_str);
    (!names.is_empty()).then(|| app.words.who_writes(names.len(), name(0), name(1), name(2)))
}

/// Whether the other one of a conversation of two is there, where they say so.
pub(super) fn partner<'a>(app: &'a App, room: &RoomSummary) -> Option<&'a Presence> {
    let name = room.name.strip_prefix('@').filter(|_| room.direct)?;
    app.present.values().find(|presence| presence.name.as_str() == name)
}

/// Whether somebody is there, in words; nothing of whom nothing is known.
pub(in super::super) fn words(app: &App, presence: &Presence) -> Option<String> {
    Some(match presence.standing {
        Standing::Online => app.words.presence_online(),
        Standing::Away => app.words.presence_away(),
        Standing::Offline => {
            let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
            let at = app.zone.show(presence.last_seen?).format(format).ok()?;
            app.words.last_seen(at)
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
