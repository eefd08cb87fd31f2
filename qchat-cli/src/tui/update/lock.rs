//! Locking the screen, and what the keys do while it is locked.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{
    super::{
        app::App,
        keymap::{Action, Keymap, Scope},
        lock::Lock,
        msg::{Command, Msg},
    },
    react,
};

/// Nobody has pressed a key for long.
pub(super) fn lock(app: &mut App) -> Vec<Command> {
    if app.lock.is_some() {
        return Vec::new();
    }
    // What comes from now on is not seen by anybody.
    let mut commands = react(app, Msg::Focus(false));
    app.lock = Some(Lock::new());
    commands.extend(app.prefs.presence.then_some(Command::Appear(false)));
    commands
}

/// The passphrase was the right one.
pub(super) fn unlock(app: &mut App) -> Vec<Command> {
    app.lock = None;
    let mut commands = react(app, Msg::Focus(true));
    commands.extend(app.prefs.presence.then_some(Command::Appear(true)));
    commands
}

/// A key, while the screen is locked.
pub(super) fn key(keymap: &Keymap, lock: &mut Lock, event: KeyEvent) -> Vec<Command> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    if keymap.action(event, &[Scope::Everywhere]) == Some(Action::Quit) {
        return vec![Command::Quit];
    }
    match event.code {
        KeyCode::Enter => return lock.take().map(Command::Unlock).into_iter().collect(),
        KeyCode::Backspace => lock.typed.pop(),
        KeyCode::Esc => lock.clear(),
        KeyCode::Char('u') if event.modifiers == KeyModifiers::CONTROL => lock.clear(),
        KeyCode::Char(c) if !event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
            lock.typed.push(c.encode_utf8(&mut [0; 4]));
        }
        _ => {}
    }
    Vec::new()
}
