//! The keys. One table says what each does and where; the help, the footer and the manual are this table printed.

mod action;
mod chord;
mod custom;
mod preset;

use std::{fmt::Write as _, str::FromStr};

use crossterm::event::KeyEvent;

use super::words::Words;

pub(super) use self::action::Action;
pub(super) use self::chord::Chord;
pub use self::custom::KeyError;

macro_rules! scopes {
    ($($scope:ident $id:literal,)*) => {
        /// Where a binding holds.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(super) enum Scope { $($scope,)* }

        impl Scope {
            /// Every scope, in the order of the help.
            pub(super) const ALL: &[Self] = &[$(Self::$scope,)*];

            /// Its name in the configuration file; its heading in the help is a message, `scope-` and this.
            pub(super) const fn id(self) -> &'static str {
                match self { $(Self::$scope => $id,)* }
            }
        }
    };
}

scopes! {
    Composer "composer",
    Completing "completing",
    Blank "blank",
    Rooms "rooms",
    Filter "filter",
    Timeline "timeline",
    Picture "picture",
    Invitation "invitation",
    Everywhere "everywhere",
    List "list",
    Panel "panel",
    Prompt "prompt",
    Question "question",
    Device "device",
    Help "help",
}

/// The keymaps that come with the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preset {
    /// Arrows, function keys, and letters where nothing is typed.
    #[default]
    Plain,
    /// For who has vi in the fingers.
    Vim,
    /// For who has Emacs in the fingers.
    Emacs,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Vim, Self::Emacs];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Vim => "vim",
            Self::Emacs => "emacs",
        }
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| format!("{name:?} is no keymap: there are plain, vim and emacs"))
    }
}

/// What the keys of one place do, for one action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Binding {
    pub(super) scope: Scope,
    pub(super) action: Action,
    pub(super) chords: Vec<Chord>,
}

/// The keys in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keymap {
    bindings: Vec<Binding>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::preset(Preset::Plain)
    }
}

impl Keymap {
    /// One that comes with the program.
    pub fn preset(preset: Preset) -> Self {
        let mut keymap = Self { bindings: Vec::new() };
        let differently = match preset {
            Preset::Plain => &[],
            Preset::Vim => preset::VIM,
            Preset::Emacs => preset::EMACS,
        };
        for &(scope, action, keys) in preset::PLAIN.iter().chain(differently) {
            // That they can be read is tested.
            keymap.bind(scope, action, keys.iter().filter_map(|key| key.parse().ok()).collect());
        }
        keymap
    }

    /// Gives an action other keys.
    fn bind(&mut self, scope: Scope, action: Action, chords: Vec<Chord>) {
        match self.bindings.iter_mut().find(|binding| (binding.scope, binding.action) == (scope, action)) {
            Some(binding) => binding.chords = chords,
            None => self.bindings.push(Binding { scope, action, chords }),
        }
    }

    /// What holds in a scope.
    pub(super) fn within(&self, scope: Scope) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(move |binding| binding.scope == scope)
    }

    /// What `event` does where `scopes` hold; earlier scopes win.
    pub(super) fn action(&self, event: KeyEvent, scopes: &[Scope]) -> Option<Action> {
        let pressed = Chord::of(event);
        scopes.iter().find_map(|&scope| {
            self.within(scope).find(|binding| binding.chords.contains(&pressed)).map(|binding| binding.action)
        })
    }

    /// The first key of an action, as it is shown.
    pub(super) fn key(&self, scope: Scope, action: Action) -> Option<String> {
        let binding = self.within(scope).find(|binding| binding.action == action)?;
        binding.chords.first().map(ToString::to_string)
    }

    /// A key of an action, wherever it holds.
    pub(super) fn any_key(&self, action: Action) -> Option<String> {
        let bound = self.bindings.iter().filter(|binding| binding.action == action);
        bound.flat_map(|binding| &binding.chords).next().map(ToString::to_string)
    }

    /// The table as a page of the manual, in these words: a Markdown table a scope.
    pub fn markdown(&self, words: Words) -> String {
        let mut page = String::new();
        for &scope in Scope::ALL {
            let (heading, id) = (words.scope(scope), scope.id());
            let _ = write!(page, "### {heading} (`{id}`)\n\n| key | does | name |\n|---|---|---|\n");
            for binding in self.within(scope) {
                let keys: Vec<_> = binding.chords.iter().map(|chord| format!("`{chord}`")).collect();
                let keys = if keys.is_empty() { "(palette)".to_owned() } else { keys.join(" ") };
                let action = binding.action;
                let _ = writeln!(page, "| {keys} | {} | `{}` |", words.action(action), action.id());
            }
            page.push('\n');
        }
        page.truncate(page.trim_end().len());
        page.push('\n');
        page
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;

    #[test]
    fn every_table_can_be_read_and_no_key_means_two_things_in_one_place() {
        for entries in [preset::PLAIN, preset::VIM, preset::EMACS] {
            for (scope, action, keys) in entries {
                for key in *keys {
                    assert!(key.parse::<Chord>().is_ok(), "{scope:?} {action:?} {key}");
                }
            }
        }
        for preset in Preset::ALL {
            let keymap = Keymap::preset(preset);
            for &scope in Scope::ALL {
                let mut known = HashSet::new();
                for binding in keymap.within(scope) {
                    for chord in &binding.chords {
                        assert!(known.insert(*chord), "{preset:?} {scope:?} {chord}");
                    }
                }
            }
            assert_eq!(preset.name().parse(), Ok(preset));
        }
    }

    #[test]
    fn nothing_that_types_a_character_is_bound_where_text_is_written() {
        for preset in Preset::ALL {
            let keymap = Keymap::preset(preset);
            for scope in [
                Scope::Composer,
                Scope::Completing,
                Scope::Rooms,
                Scope::Everywhere,
                Scope::Prompt,
                Scope::List,
            ] {
                for binding in keymap.within(scope) {
                    assert!(!binding.chords.iter().any(|chord| chord.types()), "{binding:?}");
                }
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let ids: HashSet<_> = Action::ALL.iter().map(|action| action.id()).collect();
        assert_eq!(ids.len(), Action::ALL.len());
    }

    #[test]
    fn chords_are_recognised_as_terminals_report_them() {
        let keymap = Keymap::default();
        for (code, modifiers, scope, action) in [
            (
                KeyCode::Char('C'),
                KeyModifiers::CONTROL | KeyModifiers::SHIFT,
                Scope::Everywhere,
                Some(Action::Quit),
            ),
            (KeyCode::BackTab, KeyModifiers::SHIFT, Scope::Rooms, Some(Action::PreviousRoom)),
            (KeyCode::Char('?'), KeyModifiers::SHIFT, Scope::Blank, Some(Action::Help)),
            (KeyCode::Char('D'), KeyModifiers::SHIFT, Scope::Timeline, Some(Action::Retract)),
            (KeyCode::Char('j'), KeyModifiers::CONTROL, Scope::Composer, Some(Action::Newline)),
            (KeyCode::Char('?'), KeyModifiers::NONE, Scope::Rooms, None),
        ] {
            assert_eq!(keymap.action(KeyEvent::new(code, modifiers), &[scope]), action, "{code:?}");
        }
    }
}
