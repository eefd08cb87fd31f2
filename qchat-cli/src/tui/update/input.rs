//! Keys and pastes: which of them hold now, and who carries out what they do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};
use qchat_proto::content::MAX_TEXT;

use super::{
    super::{
        app::{App, Focus, Overlay, Prompt, Question, Report},
        keymap::{Action, Scope},
        msg::Command,
        panels::Kind,
        view::{areas::Areas, overlay::furthest},
    },
    lists, message, panels, prompts,
    rooms::{self, Step},
    writing,
};
use crate::engine::types::RoomStatus;

/// Most bytes that are taken at once: what does not fit into a message can still be cut to size, but no more than that.
const MOST_PASTED: usize = 4 * MAX_TEXT;

/// A key was pressed.
pub(super) fn key(app: &mut App, event: KeyEvent) -> Vec<Command> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    if matches!(app.report, Some(Report::Info(_))) {
        app.report = None;
    }
    rooms::stay(app);
    let commands = match app.keymap.action(event, &scopes(app)) {
        Some(action) => act(app, action, event),
        None => type_in(app, event),
    };
    writing::look_for_completion(app);
    commands
}

/// Text was pasted.
pub(super) fn paste(app: &mut App, pasted: &str) -> Vec<Command> {
    if pasted.len() > MOST_PASTED {
        let (size, key) = (pasted.len(), app.words.key_of(&app.keymap, Action::Attach));
        app.report = Report::trouble(app.words.pasted_too_long(size, MAX_TEXT, key));
        return Vec::new();
    }
    let can_write = app.can_write();
    match &mut app.overlay {
        Overlay::Prompt { input, .. } => input.paste_line(pasted),
        Overlay::Picker(picker) => {
            picker.input.paste_line(pasted);
            picker.at = 0;
        }
        Overlay::Search(search) => search.input.paste_line(pasted),
        Overlay::None => match &mut app.filter {
            Some(filter) => filter.input.paste_line(pasted),
            None if can_write => return writing::paste(app, pasted),
            None => {}
        },
        Overlay::Help { .. } | Overlay::Question(_) | Overlay::Panel(_) | Overlay::Picture(_) => {}
    }
    Vec::new()
}

/// Where keys hold now: earlier places win.
pub(in super::super) fn scopes(app: &App) -> Vec<Scope> {
    match &app.overlay {
        Overlay::Help { .. } => vec![Scope::Help, Scope::Everywhere],
        Overlay::Prompt { .. } => vec![Scope::Prompt, Scope::Everywhere],
        Overlay::Question(Question::Link(_)) => vec![Scope::Device, Scope::Everywhere],
        Overlay::Question(_) => vec![Scope::Question, Scope::Everywhere],
        Overlay::Picker(_) | Overlay::Search(_) => vec![Scope::List, Scope::Everywhere],
        Overlay::Panel(_) => vec![Scope::Panel, Scope::Everywhere],
        Overlay::Picture(_) => vec![Scope::Picture, Scope::Everywhere],
        Overlay::None if app.filter.is_some() => vec![Scope::Filter, Scope::Everywhere, Scope::Rooms],
        Overlay::None if app.focus == Focus::Timeline => {
            vec![Scope::Timeline, Scope::Everywhere, Scope::Rooms]
        }
        Overlay::None => {
            let mut scopes = vec![Scope::Everywhere];
            if app.completion.is_some() {
                scopes.push(Scope::Completing);
            }
            match app.current().map(|room| room.status) {
                Some(RoomStatus::Joined) => scopes.push(Scope::Composer),
                Some(RoomStatus::Invited) => scopes.push(Scope::Invitation),
                Some(RoomStatus::Left | RoomStatus::Removed | RoomStatus::Stuck) | None => {}
            }
            scopes.push(Scope::Rooms);
            if !app.can_write() || app.composer.is_empty() {
                scopes.push(Scope::Blank);
            }
            scopes
        }
    }
}

fn type_in(app: &mut App, event: KeyEvent) -> Vec<Command> {
    let can_write = app.can_write();
    match &mut app.overlay {
        Overlay::Prompt { input, .. } => input.key(event),
        Overlay::Picker(picker) => {
            picker.input.key(event);
            picker.at = 0;
        }
        Overlay::Search(search) => {
            // The key that opened the search, pressed again, begins a command.
            if event.code == KeyCode::Char('/') && search.input.is_empty() && can_write {
                app.overlay = Overlay::None;
                app.focus = Focus::Composer;
                app.composer.key(event);
            } else {
                search.input.key(event);
            }
        }
        Overlay::None if app.filter.is_some() => {
            if let Some(filter) = &mut app.filter {
                filter.input.key(event);
                filter.at = 0;
            }
        }
        Overlay::None if can_write && app.focus == Focus::Composer => app.composer.key(event),
        // The key that asked for help, pressed again, was meant as a character.
        Overlay::Help { .. } if event.code == KeyCode::Char('?') => {
            app.overlay = Overlay::None;
            if can_write && app.focus == Focus::Composer {
                app.composer.key(event);
            }
        }
        Overlay::None
        | Overlay::Help { .. }
        | Overlay::Question(_)
        | Overlay::Panel(_)
        | Overlay::Picture(_) => {}
    }
    Vec::new()
}

/// Carries out an action, whichever key or click or choice asked for it.
pub(super) fn act(app: &mut App, action: Action, event: KeyEvent) -> Vec<Command> {
    match action {
        Action::Quit => return writing::leave_in_order(app),
        Action::Suspend => return vec![Command::Suspend],
        Action::Send => return writing::send(app),
        Action::Newline => app.composer.newline(),
        Action::HistoryOlder => writing::recall(app, true),
        Action::HistoryNewer => writing::recall(app, false),
        Action::Editor => return vec![Command::Edit(app.composer.text())],
        Action::NextCandidate => writing::complete(app, false),
        Action::PreviousCandidate => writing::complete(app, true),
        Action::Preview => {
            app.preview = app.preview.next();
            return rooms::read_roster(app).into_iter().collect();
        }
        Action::NextRoom => return rooms::step(app, Step::Next),
        Action::PreviousRoom => return rooms::step(app, Step::Previous),
        Action::NextUnread => return rooms::step(app, Step::NextUnread),
        Action::FilterRooms => lists::filter(app),
        Action::CreateRoom => prompts::ask(app, Prompt::RoomName),
        Action::Direct => {
            prompts::ask(app, Prompt::Person);
            return vec![Command::LoadPeople];
        }
        Action::Invite => prompts::ask_here(app, Prompt::Invitees),
        Action::JoinByLink => prompts::ask(app, Prompt::Link),
        Action::LetIn => prompts::ask_here(app, Prompt::Applicant),
        Action::MakeLink => return prompts::make_link(app),
        Action::Attach => prompts::ask_here(app, Prompt::File),
        Action::Rename => prompts::ask_here(app, Prompt::NewName),
        Action::Topic => prompts::ask_here(app, Prompt::Topic),
        Action::Poll => prompts::ask_here(app, Prompt::Poll),
        Action::Leave => prompts::question(app, Question::Leave),
        Action::Accept => prompts::question(app, Question::Join),
        Action::Decline => prompts::question(app, Question::Decline),
        Action::Submit => return prompts::submit(app),
        Action::Complete => prompts::complete(app),
        Action::Confirm => return prompts::confirm(app),
        Action::Refuse => return prompts::refuse(app),
        Action::Palette => return lists::palette(app),
        Action::Search => lists::search(app, ""),
        Action::Help => {
            app.overlay = match app.overlay {
                Overlay::Help { .. } => Overlay::None,
                _ => Overlay::Help { scrolled: 0 },
            }
        }
        Action::Dismiss => return dismiss(app),
        Action::Choose => return lists::choose(app),
        Action::Other => return panels::choose(app, true),
        Action::SelectMessage
        | Action::ToComposer
        | Action::Reply
        | Action::EditMessage
        | Action::DeleteHere
        | Action::Retract
        | Action::React
        | Action::Copy
        | Action::CopyCode
        | Action::Pin
        | Action::SaveFile
        | Action::OpenFile
        | Action::LookAt
        | Action::Play
        | Action::Original
        | Action::Back
        | Action::Vote
        | Action::ClosePoll
        | Action::Details
        | Action::Resend
        | Action::First
        | Action::Last => return message::act(app, action, event),
        Action::Up
        | Action::Down
        | Action::PageUp
        | Action::PageDown
        | Action::ToOldest
        | Action::ToNewest => {
            return go(app, action);
        }
        Action::Members
        | Action::Keys
        | Action::SecurityLog
        | Action::Quantum
        | Action::Transfers
        | Action::Connection
        | Action::Settings => {
            let kind = Kind::ALL.into_iter().find(|kind| kind.action() == action);
            return kind.map_or_else(Vec::new, |kind| panels::open(app, kind));
        }
    }
    Vec::new()
}

/// Goes up or down in whatever has the keys.
fn go(app: &mut App, action: Action) -> Vec<Command> {
    let page = usize::from(Areas::of(app).timeline.height).saturating_sub(1).max(1);
    match &app.overlay {
        Overlay::Help { .. } => {
            let by = if matches!(action, Action::Up | Action::Down) {
                1
            } else {
                usize::from(app.size.height / 2)
            };
            scroll_help(app, matches!(action, Action::Up | Action::PageUp | Action::ToOldest), by);
            return Vec::new();
        }
        Overlay::Picker(_) | Overlay::Search(_) | Overlay::Panel(_) => {
            let far = isize::try_from(app.size.height.saturating_sub(4).max(1)).unwrap_or(1);
            return lists::go(
                app,
                match action {
                    Action::Up => -1,
                    Action::Down => 1,
                    Action::PageUp => -far,
                    Action::PageDown => far,
                    Action::ToOldest => isize::MIN,
                    _ => isize::MAX,
                },
            );
        }
        Overlay::None if app.filter.is_some() && matches!(action, Action::Up | Action::Down) => {
            return lists::go(app, if action == Action::Up { -1 } else { 1 });
        }
        Overlay::None if matches!(action, Action::Up | Action::Down) => {
            return message::step(app, action == Action::Up);
        }
        _ => {}
    }
    match action {
        Action::PageUp => rooms::scroll(app, |timeline, pane| timeline.scroll_up(page, pane)),
        Action::ToOldest => rooms::scroll(app, |timeline, pane| timeline.scroll_up(usize::MAX / 2, pane)),
        Action::PageDown => rooms::scroll(app, |timeline, pane| {
            timeline.scroll_down(page, pane);
            false
        }),
        Action::ToNewest => rooms::to_newest(app),
        _ => Vec::new(),
    }
}

pub(super) fn scroll_help(app: &mut App, up: bool, by: usize) {
    let furthest = furthest(app);
    if let Overlay::Help { scrolled } = &mut app.overlay {
        *scrolled = if up { scrolled.saturating_sub(by) } else { scrolled.saturating_add(by).min(furthest) };
    }
}

/// Puts away what is nearest to the user.
fn dismiss(app: &mut App) -> Vec<Command> {
    match &mut app.overlay {
        Overlay::Panel(panel) if panel.safety.is_some() || panel.change.is_some() => {
            (panel.safety, panel.change, panel.at) = (None, None, 0);
        }
        Overlay::None if app.filter.is_some() => app.filter = None,
        Overlay::None if app.report.is_some() => app.report = None,
        Overlay::None if app.focus == Focus::Timeline => message::back_to_text(app),
        Overlay::None => writing::give_up_answer(app),
        _ => app.overlay = Overlay::None,
    }
    Vec::new()
}
