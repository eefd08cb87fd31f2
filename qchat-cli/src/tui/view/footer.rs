//! The row of hints at the bottom: the keys that matter now, out of the keymap in force. A click on one is its key.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};

use super::{
    super::{
        app::{App, Overlay, Question},
        bidi::Direction,
        keymap::{Action, Scope},
        text,
        update::{
            input::scopes,
            message::{is_picture, is_sound},
        },
        words::Words,
    },
    areas::Areas,
};

/// A word or two of the screen's.
type Hint = fn(Words) -> String;

/// What is hinted at in a place, in this order, as far as there is space.
#[rustfmt::skip]
fn wanted(app: &App) -> &'static [(Action, Hint)] {
    match &app.overlay {
        Overlay::Help { .. } => &[(Action::PageDown, Words::hint_more), (Action::Dismiss, Words::hint_close)],
        Overlay::Prompt { .. } => &[(Action::Submit, Words::hint_go_ahead), (Action::Dismiss, Words::hint_cancel), (Action::Complete, Words::hint_complete)],
        Overlay::Question(Question::Link(_)) => &[(Action::Confirm, Words::hint_yes_the_same), (Action::Refuse, Words::hint_no)],
        Overlay::Question(_) => &[(Action::Confirm, Words::hint_yes), (Action::Refuse, Words::hint_no)],
        Overlay::Picker(_) | Overlay::Search(_) => &[(Action::Choose, Words::hint_take), (Action::Down, Words::hint_next), (Action::Dismiss, Words::hint_close)],
        Overlay::Panel(_) => &[(Action::Choose, Words::hint_choose), (Action::Other, Words::hint_other), (Action::Down, Words::hint_next), (Action::Dismiss, Words::hint_close), (Action::Help, Words::hint_help)],
        Overlay::Picture(_) => &[(Action::Dismiss, Words::hint_close), (Action::SaveFile, Words::hint_save_file)],
        Overlay::None if scopes(app).contains(&Scope::Filter) => &[(Action::Choose, Words::hint_open), (Action::Down, Words::hint_next), (Action::Dismiss, Words::hint_close)],
        Overlay::None if scopes(app).contains(&Scope::Timeline) && is_on_a_picture(app) => &[
            (Action::ToComposer, Words::hint_back), (Action::LookAt, Words::hint_look_at), (Action::SaveFile, Words::hint_save_file), (Action::Reply, Words::hint_reply),
            (Action::React, Words::hint_react), (Action::DeleteHere, Words::hint_delete), (Action::Pin, Words::hint_pin), (Action::Details, Words::hint_details),
        ],
        Overlay::None if scopes(app).contains(&Scope::Timeline) && is_on_a_sound(app) => &[
            (Action::ToComposer, Words::hint_back), (Action::Play, Words::hint_play), (Action::SaveFile, Words::hint_save_file), (Action::Reply, Words::hint_reply),
            (Action::React, Words::hint_react), (Action::DeleteHere, Words::hint_delete), (Action::Pin, Words::hint_pin), (Action::Details, Words::hint_details),
        ],
        Overlay::None if scopes(app).contains(&Scope::Timeline) => &[
            (Action::ToComposer, Words::hint_back), (Action::Reply, Words::hint_reply), (Action::React, Words::hint_react), (Action::Copy, Words::hint_copy), (Action::EditMessage, Words::hint_edit),
            (Action::DeleteHere, Words::hint_delete), (Action::Pin, Words::hint_pin), (Action::Details, Words::hint_details), (Action::SaveFile, Words::hint_save_file), (Action::Original, Words::hint_original),
        ],
        Overlay::None if scopes(app).contains(&Scope::Invitation) => &[(Action::Accept, Words::hint_join), (Action::Decline, Words::hint_decline), (Action::NextRoom, Words::hint_next_room), (Action::Help, Words::hint_help)],
        Overlay::None if scopes(app).contains(&Scope::Completing) => &[(Action::NextCandidate, Words::hint_complete), (Action::Send, Words::hint_send)],
        Overlay::None => &[
            (Action::Palette, Words::hint_go_to), (Action::SelectMessage, Words::hint_messages), (Action::NextUnread, Words::hint_unread), (Action::Search, Words::hint_search),
            (Action::Members, Words::hint_members), (Action::Settings, Words::hint_settings), (Action::Help, Words::hint_help),
        ],
    }
}

/// Whether the chosen message has a picture.
fn is_on_a_picture(app: &App) -> bool {
    app.open.as_ref().and_then(|open| open.timeline.selected()).is_some_and(is_picture)
}

/// Whether the chosen message has a sound.
fn is_on_a_sound(app: &App) -> bool {
    app.open.as_ref().and_then(|open| open.timeline.selected()).is_some_and(is_sound)
}

/// The hints with the columns that they take.
fn hints(app: &App, width: u16) -> Vec<(u16, u16, Action, String, String)> {
    let scopes = scopes(app);
    let mut hints = Vec::new();
    let mut x = 1;
    for (action, words) in wanted(app) {
        let Some(key) = scopes.iter().find_map(|scope| app.keymap.key(*scope, *action)) else { continue };
        let words = words(app.words);
        let cells = u16::try_from(text::width(&key) + 1 + text::width(&words)).unwrap_or(u16::MAX);
        if x + cells > width {
            break;
        }
        hints.push((x, cells, *action, key, words));
        x += cells + 2;
    }
    hints
}

/// Draws them.
pub(super) fn draw(app: &App, frame: &mut Frame, area: Rect) {
    if area.height == 0 {
        return;
    }
    let mut spans = vec![Span::raw(" ")];
    for (_, _, _, key, words) in hints(app, area.width) {
        spans.push(Span::styled(key, app.theme.heading()));
        spans.push(Span::styled(format!(" {words}  "), app.theme.quiet()));
    }
    frame.render_widget(app.words.line(Line::from(spans)), area);
}

/// What is hinted at here.
pub(in super::super) fn action_at(app: &App, at: Position) -> Option<Action> {
    let area = Areas::of(app).hints;
    if !area.contains(at) {
        return None;
    }
    let column = match app.words.direction() {
        Direction::LeftToRight => at.x - area.x,
        Direction::RightToLeft => area.right() - 1 - at.x,
    };
    let hint = hints(app, area.width).into_iter().find(|(x, cells, ..)| (*x..*x + *cells).contains(&column));
    hint.map(|(_, _, action, ..)| action)
}
