//! Lists that are narrowed down by typing: the palette, reactions, the search, and the list of rooms.

use super::{
    super::{
        app::{App, Filter, Focus, Overlay},
        composer::Composer,
        keymap::Action,
        msg::Command,
        picker::{Kind, Picked, Picker},
        search::SearchBox,
    },
    input, message, panels, rooms,
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Opens the palette.
pub(super) fn palette(app: &mut App) -> Vec<Command> {
    app.overlay = Overlay::Picker(Box::new(Picker::palette(app)));
    vec![Command::LoadPeople]
}

/// Opens the search.
pub(super) fn search(app: &mut App, typed: &str) {
    app.overlay = Overlay::Search(Box::new(SearchBox::new(typed)));
}

/// Begins to narrow the list of rooms down.
pub(super) fn filter(app: &mut App) {
    app.filter = Some(Filter { input: Composer::new(""), at: 0 });
}

/// Chooses another one.
pub(super) fn go(app: &mut App, by: isize) -> Vec<Command> {
    match &mut app.overlay {
        Overlay::Picker(picker) => picker.step(by),
        Overlay::Search(search) => {
            search.step(by);
            return search.ask_for_more().into_iter().collect();
        }
        Overlay::Panel(_) => panels::step(app, by),
        _ => {
            let last = app.listed().len().saturating_sub(1);
            if let Some(filter) = &mut app.filter {
                filter.at = filter.at.saturating_add_signed(by).min(last);
            }
        }
    }
    Vec::new()
}

/// Takes what is chosen.
pub(super) fn choose(app: &mut App) -> Vec<Command> {
    match &app.overlay {
        Overlay::Picker(picker) => {
            let (kind, picked) = (picker.kind.clone(), picker.chosen());
            app.overlay = Overlay::None;
            picked.map_or_else(Vec::new, |picked| take(app, &kind, picked))
        }
        Overlay::Search(search) => {
            let hit = search.chosen().map(|hit| (hit.message.room, hit.message.row));
            let Some((room, row)) = hit else { return Vec::new() };
            app.overlay = Overlay::None;
            let mut commands = rooms::open(app, room);
            commands.extend(rooms::go_to(app, row));
            commands
        }
        Overlay::Panel(_) => panels::choose(app, false),
        _ => {
            let at = app.filter.as_ref().map_or(0, |filter| filter.at);
            let room = app.listed().get(at).map(|room| room.id);
            app.filter = None;
            room.map_or_else(Vec::new, |room| rooms::open(app, room))
        }
    }
}

fn take(app: &mut App, kind: &Kind, picked: Picked) -> Vec<Command> {
    match (picked, kind) {
        (Picked::Room(room), _) => rooms::open(app, room),
        (Picked::Person(name), _) => super::begin(app, Command::Direct(name)),
        (Picked::Command(action), _) => {
            // What is chosen is what is looked at.
            if app.focus == Focus::Timeline && !matches!(action, Action::LookAt | Action::Play) {
                message::back_to_text(app);
            }
            input::act(app, action, KeyEvent::new(KeyCode::Null, KeyModifiers::NONE))
        }
        (Picked::Emoji(emoji), Kind::Reaction(room, of, mine)) => {
            let remove = mine.contains(&emoji);
            message::back_to_text(app);
            vec![Command::React { room: *room, of: *of, emoji, remove }]
        }
        (Picked::Emoji(_), Kind::Palette) => Vec::new(),
    }
}
