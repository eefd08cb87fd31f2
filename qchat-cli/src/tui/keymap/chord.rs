//! A key with its modifiers, as terminals report it and as people write it: `Ctrl+P`, `Alt+Enter`, `F1`, `?`.

use std::{fmt, str::FromStr};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in super::super) struct Chord(KeyModifiers, KeyCode);

/// Names of keys that are no characters. The first name of a key is the one that is shown.
const NAMED: &[(&str, KeyCode)] = &[
    ("Enter", KeyCode::Enter),
    ("Return", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Escape", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Insert", KeyCode::Insert),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("PgUp", KeyCode::PageUp),
    ("PageUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("PageDown", KeyCode::PageDown),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("Space", KeyCode::Char(' ')),
];

const MODIFIERS: [(&str, KeyModifiers); 3] =
    [("Ctrl+", KeyModifiers::CONTROL), ("Alt+", KeyModifiers::ALT), ("Shift+", KeyModifiers::SHIFT)];

impl Chord {
    /// The chord of an event. Shift is already in the case of a character and in the name of BackTab.
    pub(super) fn of(event: KeyEvent) -> Self {
        let kept = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        Self::new(event.modifiers & kept, event.code)
    }

    fn new(mut modifiers: KeyModifiers, mut code: KeyCode) -> Self {
        if code == KeyCode::Tab && modifiers.contains(KeyModifiers::SHIFT) {
            code = KeyCode::BackTab;
        }
        if matches!(code, KeyCode::Char(_) | KeyCode::BackTab) {
            modifiers -= KeyModifiers::SHIFT;
        }
        if let (KeyCode::Char(c), false) = (code, modifiers.is_empty()) {
            code = KeyCode::Char(c.to_ascii_lowercase());
        }
        Self(modifiers, code)
    }

    /// Whether it types a character.
    #[cfg(test)]
    pub(super) fn types(self) -> bool {
        matches!(self.1, KeyCode::Char(_)) && self.0.is_empty()
    }
}

impl FromStr for Chord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        while let Some((name, modifier)) = MODIFIERS
            .iter()
            .find(|(name, _)| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
            && rest.len() > name.len()
        {
            modifiers |= *modifier;
            rest = &rest[name.len()..];
        }
        let named = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(rest)).map(|(_, code)| *code);
        let function = rest
            .strip_prefix(['F', 'f'])
            .and_then(|number| number.parse().ok())
            .filter(|number| (1..=12).contains(number))
            .map(KeyCode::F);
        let mut characters = rest.chars();
        let character = match (characters.next(), characters.next()) {
            (Some(c), None) if !c.is_control() && !c.is_whitespace() => Some(KeyCode::Char(c)),
            _ => None,
        };
        let code = named.or(function).or(character).ok_or_else(|| {
            format!("{text:?} is no key: as in Ctrl+P, Alt+Enter, Shift+Tab, PgUp, F1, Space or a single character")
        })?;
        if let (KeyCode::Char(c), true) = (code, modifiers.contains(KeyModifiers::SHIFT)) {
            // What Shift makes of a key is the keyboard's to say, but for letters.
            let shifted: String = c.to_uppercase().collect();
            let mut shifted = shifted.chars();
            if let (Some(c), None) = (shifted.next(), shifted.next()) {
                return Ok(Self::new(modifiers, KeyCode::Char(c)));
            }
        }
        Ok(Self::new(modifiers, code))
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, modifier) in MODIFIERS {
            if self.0.contains(modifier) {
                f.write_str(name)?;
            }
        }
        match self.1 {
            KeyCode::BackTab => f.write_str("Shift+Tab"),
            KeyCode::F(number) => write!(f, "F{number}"),
            KeyCode::Char(c) if c != ' ' => {
                let letter = !self.0.is_empty() && c.is_ascii_lowercase();
                write!(f, "{}", if letter { c.to_ascii_uppercase() } else { c })
            }
            code => match NAMED.iter().find(|(_, named)| *named == code) {
                Some((name, _)) => f.write_str(name),
                None => write!(f, "{code:?}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        for (text, shown) in [
            ("Ctrl+P", "Ctrl+P"),
            ("ctrl+p", "Ctrl+P"),
            ("Ctrl+Shift+P", "Ctrl+P"),
            ("alt+enter", "Alt+Enter"),
            ("Shift+Tab", "Shift+Tab"),
            ("Shift+Up", "Shift+Up"),
            ("PageUp", "PgUp"),
            ("F12", "F12"),
            ("Space", "Space"),
            ("G", "G"),
            ("Shift+g", "G"),
            ("Alt+<", "Alt+<"),
            ("Alt+a", "Alt+A"),
            ("Ctrl++", "Ctrl++"),
            ("+", "+"),
            ("f", "f"),
        ] {
            let chord: Chord = text.parse().unwrap();
            assert_eq!(chord.to_string(), shown, "{text}");
            assert_eq!(shown.parse::<Chord>().unwrap(), chord, "{text}");
        }
        for text in ["", "Ctrl+", "Ctrl+Foo", "F13", "Hyper+X", "ab", "\u{7}"] {
            let refused = text.parse::<Chord>();
            assert!(refused.is_err() || text == "Ctrl+", "{text:?}: {refused:?}");
        }
    }
}
