//! The keys. One table says what each does and where; the help is this table printed.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Send,
    Newline,
    NextRoom,
    PreviousRoom,
    NextUnread,
    PageUp,
    PageDown,
    ToOldest,
    ToNewest,
    CreateRoom,
    Invite,
    Accept,
    Decline,
    Help,
    Quit,
    Dismiss,
    Confirm,
    Refuse,
    Submit,
}

/// Where a binding holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// Whatever is open.
    Everywhere,
    /// While neither help nor a prompt is open.
    Rooms,
    /// While a message can be written.
    Composer,
    /// While nothing has been typed.
    Blank,
    /// While the open room is an invitation.
    Invitation,
    /// In a prompt for text.
    Prompt,
    /// In a question.
    Question,
    /// In the question about a device, which comes up by itself and maybe in the middle of a word.
    Device,
    /// In the help.
    Help,
}

impl Scope {
    /// Every scope, in the order of the help, with its heading.
    pub(super) const ALL: [(Self, &'static str); 9] = [
        (Self::Composer, "Writing"),
        (Self::Rooms, "Rooms"),
        (Self::Invitation, "An invitation"),
        (Self::Everywhere, "Everywhere"),
        (Self::Blank, "While nothing is typed"),
        (Self::Prompt, "Answering a prompt"),
        (Self::Question, "Answering a question"),
        (Self::Device, "A device that wants to be let in"),
        (Self::Help, "This help"),
    ];
}

/// A key with its modifiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chord(KeyModifiers, KeyCode);

/// A line of the table.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) scope: Scope,
    pub(super) chords: &'static [Chord],
    pub(super) action: Action,
    pub(super) help: &'static str,
}

const fn key(code: KeyCode) -> Chord {
    Chord(KeyModifiers::NONE, code)
}
const fn char(c: char) -> Chord {
    key(KeyCode::Char(c))
}
const fn ctrl(c: char) -> Chord {
    Chord(KeyModifiers::CONTROL, KeyCode::Char(c))
}
const fn alt(code: KeyCode) -> Chord {
    Chord(KeyModifiers::ALT, code)
}

const fn bind(scope: Scope, chords: &'static [Chord], action: Action, help: &'static str) -> Binding {
    Binding { scope, chords, action, help }
}

/// All bindings.
pub(super) const KEYMAP: &[Binding] = &[
    bind(Scope::Composer, &[key(KeyCode::Enter)], Action::Send, "send the message"),
    bind(
        Scope::Composer,
        &[alt(KeyCode::Enter), ctrl('j'), Chord(KeyModifiers::SHIFT, KeyCode::Enter)],
        Action::Newline,
        "break the line",
    ),
    bind(Scope::Composer, &[ctrl('o')], Action::Invite, "invite people to this room"),
    bind(Scope::Rooms, &[key(KeyCode::Tab), alt(KeyCode::Down)], Action::NextRoom, "next room"),
    bind(Scope::Rooms, &[key(KeyCode::BackTab), alt(KeyCode::Up)], Action::PreviousRoom, "previous room"),
    bind(Scope::Rooms, &[alt(KeyCode::Char('a'))], Action::NextUnread, "next room with something unread"),
    bind(Scope::Rooms, &[ctrl('n')], Action::CreateRoom, "create a room"),
    bind(Scope::Rooms, &[key(KeyCode::PageUp)], Action::PageUp, "older messages"),
    bind(Scope::Rooms, &[key(KeyCode::PageDown)], Action::PageDown, "newer messages"),
    bind(
        Scope::Rooms,
        &[Chord(KeyModifiers::CONTROL, KeyCode::Home)],
        Action::ToOldest,
        "oldest loaded message",
    ),
    bind(Scope::Rooms, &[Chord(KeyModifiers::CONTROL, KeyCode::End)], Action::ToNewest, "newest message"),
    bind(Scope::Rooms, &[key(KeyCode::Esc)], Action::Dismiss, "put what is reported away"),
    bind(Scope::Invitation, &[char('j'), key(KeyCode::Enter)], Action::Accept, "join the room (asks first)"),
    bind(Scope::Invitation, &[char('d')], Action::Decline, "decline (asks first)"),
    bind(Scope::Everywhere, &[key(KeyCode::F(1))], Action::Help, "this help, and back"),
    bind(Scope::Everywhere, &[ctrl('q'), ctrl('c')], Action::Quit, "quit"),
    bind(Scope::Blank, &[char('?')], Action::Help, "this help; pressed again it types a question mark"),
    bind(Scope::Prompt, &[key(KeyCode::Enter)], Action::Submit, "go ahead"),
    bind(Scope::Prompt, &[key(KeyCode::Esc)], Action::Dismiss, "cancel"),
    bind(Scope::Question, &[char('y')], Action::Confirm, "yes"),
    bind(Scope::Question, &[char('n'), key(KeyCode::Esc)], Action::Refuse, "no"),
    bind(Scope::Device, &[ctrl('y')], Action::Confirm, "yes, both show the same"),
    bind(Scope::Device, &[key(KeyCode::Esc)], Action::Refuse, "no"),
    bind(Scope::Help, &[key(KeyCode::PageUp), key(KeyCode::Up)], Action::PageUp, "up"),
    bind(Scope::Help, &[key(KeyCode::PageDown), key(KeyCode::Down)], Action::PageDown, "down"),
    bind(Scope::Help, &[key(KeyCode::Esc), char('q')], Action::Dismiss, "close"),
];

/// What `event` does where `scopes` hold; earlier scopes win.
pub(super) fn action(event: KeyEvent, scopes: &[Scope]) -> Option<Action> {
    let pressed = Chord::of(event);
    scopes.iter().find_map(|&scope| {
        KEYMAP
            .iter()
            .find(|binding| binding.scope == scope && binding.chords.contains(&pressed))
            .map(|binding| binding.action)
    })
}

impl Chord {
    /// The chord of an event. Shift is already in the case of a character and in the name of BackTab.
    fn of(event: KeyEvent) -> Self {
        let kept = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        let mut modifiers = event.modifiers & kept;
        let mut code = event.code;
        if matches!(code, KeyCode::Char(_) | KeyCode::BackTab) {
            modifiers -= KeyModifiers::SHIFT;
        }
        if let (KeyCode::Char(c), true) = (code, modifiers.contains(KeyModifiers::CONTROL)) {
            code = KeyCode::Char(c.to_ascii_lowercase());
        }
        Self(modifiers, code)
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, name) in
            [(KeyModifiers::CONTROL, "Ctrl+"), (KeyModifiers::ALT, "Alt+"), (KeyModifiers::SHIFT, "Shift+")]
        {
            if self.0.contains(modifier) {
                f.write_str(name)?;
            }
        }
        match self.1 {
            KeyCode::Char(c) if self.0.is_empty() => write!(f, "{c}"),
            KeyCode::Char(c) => write!(f, "{}", c.to_ascii_uppercase()),
            KeyCode::F(n) => write!(f, "F{n}"),
            KeyCode::BackTab => f.write_str("Shift+Tab"),
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            code => write!(f, "{code:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_chord_means_two_things_in_one_scope() {
        for (index, binding) in KEYMAP.iter().enumerate() {
            for other in &KEYMAP[index + 1..] {
                let shared = binding.chords.iter().any(|chord| other.chords.contains(chord));
                assert!(binding.scope != other.scope || !shared, "{binding:?} and {other:?}");
            }
        }
    }

    #[test]
    fn chords_are_recognised_as_terminals_report_them() {
        for (code, modifiers, scope, action) in [
            (
                KeyCode::Char('C'),
                KeyModifiers::CONTROL | KeyModifiers::SHIFT,
                Scope::Everywhere,
                Action::Quit,
            ),
            (KeyCode::BackTab, KeyModifiers::SHIFT, Scope::Rooms, Action::PreviousRoom),
            (KeyCode::Char('?'), KeyModifiers::SHIFT, Scope::Blank, Action::Help),
            (KeyCode::Char('j'), KeyModifiers::CONTROL, Scope::Composer, Action::Newline),
        ] {
            assert_eq!(super::action(KeyEvent::new(code, modifiers), &[scope]), Some(action), "{code:?}");
        }
        assert_eq!(
            super::action(KeyEvent::new(KeyCode::Char('?'), KeyModifiers::NONE), &[Scope::Rooms]),
            None
        );
    }
}
