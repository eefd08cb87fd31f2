//! The row of hints at the bottom: the keys that matter now, out of the keymap in force. A click on one is its key.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};

use super::{
    super::{
        app::{App, Overlay, Question},
        keymap::{Action, Scope},
        text,
        update::input::scopes,
    },
    areas::Areas,
};

/// What is hinted at in a place, in this order, as far as there is space.
#[rustfmt::skip]
fn wanted(app: &App) -> &'static [(Action, &'static str)] {
    match &app.overlay {
        Overlay::Help { .. } => &[(Action::PageDown, "more"), (Action::Dismiss, "close")],
        Overlay::Prompt { .. } => &[(Action::Submit, "go ahead"), (Action::Dismiss, "cancel"), (Action::Complete, "complete")],
        Overlay::Question(Question::Link(_)) => &[(Action::Confirm, "yes, the same"), (Action::Refuse, "no")],
        Overlay::Question(_) => &[(Action::Confirm, "yes"), (Action::Refuse, "no")],
        Overlay::Picker(_) | Overlay::Search(_) => &[(Action::Choose, "take"), (Action::Down, "next"), (Action::Dismiss, "close")],
        Overlay::Panel(_) => &[(Action::Choose, "choose"), (Action::Other, "other"), (Action::Down, "next"), (Action::Dismiss, "close"), (Action::Help, "help")],
        Overlay::None if scopes(app).contains(&Scope::Filter) => &[(Action::Choose, "open"), (Action::Down, "next"), (Action::Dismiss, "close")],
        Overlay::None if scopes(app).contains(&Scope::Timeline) => &[
            (Action::ToComposer, "back"), (Action::Reply, "reply"), (Action::React, "react"), (Action::Copy, "copy"), (Action::EditMessage, "edit"),
            (Action::DeleteHere, "delete"), (Action::Pin, "pin"), (Action::Details, "details"), (Action::SaveFile, "save file"), (Action::Original, "original"),
        ],
        Overlay::None if scopes(app).contains(&Scope::Invitation) => &[(Action::Accept, "join"), (Action::Decline, "decline"), (Action::NextRoom, "next room"), (Action::Help, "help")],
        Overlay::None if scopes(app).contains(&Scope::Completing) => &[(Action::NextCandidate, "complete"), (Action::Send, "send")],
        Overlay::None => &[
            (Action::Palette, "go to"), (Action::SelectMessage, "messages"), (Action::NextUnread, "unread"), (Action::Search, "search"),
            (Action::Members, "members"), (Action::Settings, "settings"), (Action::Help, "help"),
        ],
    }
}

/// The hints with the columns that they take.
fn hints(app: &App, width: u16) -> Vec<(u16, u16, Action, String, &'static str)> {
    let scopes = scopes(app);
    let mut hints = Vec::new();
    let mut x = 1;
    for (action, words) in wanted(app) {
        let Some(key) = scopes.iter().find_map(|scope| app.keymap.key(*scope, *action)) else { continue };
        let cells = u16::try_from(text::width(&key) + 1 + text::width(words)).unwrap_or(u16::MAX);
        if x + cells > width {
            break;
        }
        hints.push((x, cells, *action, key, *words));
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
    frame.render_widget(Line::from(spans), area);
}

/// What is hinted at here.
pub(in super::super) fn action_at(app: &App, at: Position) -> Option<Action> {
    let area = Areas::of(app).hints;
    if !area.contains(at) {
        return None;
    }
    let column = at.x - area.x;
    let hint = hints(app, area.width).into_iter().find(|(x, cells, ..)| (*x..*x + *cells).contains(&column));
    hint.map(|(_, _, action, ..)| action)
}
