//! Keys of the user's own: the table `keys` of the configuration file, read with the line of whatever is wrong in it.
//!
//! ```toml
//! keymap = "vim"
//! [keys.composer]
//! send = ["Alt+Enter"]
//! newline = "Enter"
//! ```

use std::{ops::Range, path::Path};

use toml_edit::{Document, Item, TableLike, Value};

use super::{Action, Chord, Keymap, Preset, Scope};

/// Something in the table makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct KeyError {
    file: String,
    line: usize,
    why: String,
}

impl Keymap {
    /// A keymap that comes with the program, with the keys that the configuration file at `path` says otherwise. `text` is
    /// all of that file.
    ///
    /// # Errors
    /// [`KeyError`], with the line.
    pub fn customised(preset: Preset, path: &Path, text: &str) -> Result<Self, KeyError> {
        let error = |span: Option<Range<usize>>, why: String| KeyError {
            file: path.display().to_string(),
            line: span
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1),
            why,
        };
        let mut keymap = Self::preset(preset);
        let document =
            Document::parse(text).map_err(|wrong| error(wrong.span(), wrong.message().to_owned()))?;
        let Some(keys) = document.get("keys") else { return Ok(keymap) };
        let places = keys.as_table_like().ok_or_else(|| {
            error(keys.span(), "`keys` is a table of places, as in [keys.composer]".to_owned())
        })?;
        let mut bound: Vec<(Scope, Action, Option<Range<usize>>)> = Vec::new();
        for (name, place) in places.iter() {
            let span = span_of(places, name).or_else(|| place.span());
            let scope = Scope::ALL.iter().copied().find(|scope| scope.id() == name).ok_or_else(|| {
                let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.id()).collect();
                error(
                    span.clone(),
                    format!("there is no place {name:?} for keys; there are {}", all.join(", ")),
                )
            })?;
            let actions = place.as_table_like().ok_or_else(|| {
                error(
                    span,
                    format!("keys.{name} is a table, as in [keys.{name}] with `action = \"Ctrl+P\"` below"),
                )
            })?;
            for (id, value) in actions.iter() {
                let span = span_of(actions, id).or_else(|| value.span());
                let action = Action::ALL.iter().copied().find(|action| action.id() == id);
                let action =
                    action.filter(|action| Self::is_there(&keymap, scope, *action)).ok_or_else(|| {
                        let known: Vec<_> = keymap.within(scope).map(|binding| binding.action.id()).collect();
                        error(span.clone(), format!("keys.{name} has no {id:?}; it has {}", known.join(", ")))
                    })?;
                let chords = chords(value).map_err(|(at, why)| {
                    error(at.or_else(|| span.clone()), format!("keys.{name}.{id}: {why}"))
                })?;
                keymap.bind(scope, action, chords);
                bound.push((scope, action, span));
            }
        }
        for (scope, action, span) in bound {
            if (scope, action) == (Scope::Everywhere, Action::Quit) && keymap.key(scope, action).is_none() {
                return Err(error(span, "keys.everywhere.quit: there has to be a way out".to_owned()));
            }
            if let Some((chord, other)) = keymap.clash(scope, action) {
                return Err(error(
                    span,
                    format!("keys.{}.{}: {chord} is {:?} there already", scope.id(), action.id(), other.id()),
                ));
            }
        }
        Ok(keymap)
    }

    fn is_there(keymap: &Self, scope: Scope, action: Action) -> bool {
        keymap.within(scope).any(|binding| binding.action == action)
    }

    /// A key of this action that does something else in the same place.
    fn clash(&self, scope: Scope, action: Action) -> Option<(Chord, Action)> {
        let own = self.within(scope).find(|binding| binding.action == action)?;
        self.within(scope).filter(|binding| binding.action != action).find_map(|other| {
            let chord = other.chords.iter().find(|chord| own.chords.contains(chord))?;
            Some((*chord, other.action))
        })
    }
}

fn span_of(table: &dyn TableLike, key: &str) -> Option<Range<usize>> {
    table.key(key)?.span()
}

/// The keys of a value: one, or a list; none takes the action its keys.
fn chords(item: &Item) -> Result<Vec<Chord>, (Option<Range<usize>>, String)> {
    let one = |value: &Value| {
        let text =
            value.as_str().ok_or_else(|| (value.span(), "a key is a text, as in \"Ctrl+P\"".to_owned()))?;
        text.parse().map_err(|why| (value.span(), why))
    };
    match item.as_value() {
        Some(Value::Array(list)) => list.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
        None => Err((item.span(), "keys are a text or a list of texts".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;

    fn read(text: &str) -> Result<Keymap, KeyError> {
        Keymap::customised(Preset::Plain, Path::new("config.toml"), text)
    }

    #[test]
    fn keys_can_be_given_and_taken() {
        let text = "theme = \"dark\"\n[keys.composer]\nsend = [\"Alt+Enter\"]\nnewline = \"Enter\"\n[keys.everywhere]\nhelp = []\n";
        let keymap = read(text).unwrap();
        let does = |code, modifiers, scope| keymap.action(KeyEvent::new(code, modifiers), &[scope]);
        assert_eq!(does(KeyCode::Enter, KeyModifiers::NONE, Scope::Composer), Some(Action::Newline));
        assert_eq!(does(KeyCode::Enter, KeyModifiers::ALT, Scope::Composer), Some(Action::Send));
        assert_eq!(does(KeyCode::F(1), KeyModifiers::NONE, Scope::Everywhere), None);
        assert_eq!(read("").unwrap(), Keymap::default());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line, word) in [
            ("a = 1\n\n[keys.composer]\nsend = \"Ctrl+Foo\"\n", 4, "is no key"),
            ("[keys.composer]\n# mine\nsendd = \"Enter\"\n", 3, "no \"sendd\""),
            ("[keys.kitchen]\nsend = \"Enter\"\n", 1, "no place \"kitchen\""),
            ("[keys.composer]\nsend = [\"Enter\", 5]\n", 2, "a key is a text"),
            ("keys = 5\n", 1, "table"),
            ("x = 1\n[keys.everywhere]\npalette = \"Ctrl+Q\"\n", 3, "Ctrl+Q is \"quit\""),
            ("[keys.everywhere]\nquit = []\n", 2, "a way out"),
            ("x = 1\ny = = 2\n", 2, ""),
        ] {
            let told = read(text).unwrap_err().to_string();
            assert!(
                told.starts_with(&format!("config.toml:{line}: ")) && told.contains(word),
                "{text:?}: {told}"
            );
        }
    }
}
