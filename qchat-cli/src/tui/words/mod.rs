//! The words of the screen, in the language that its user reads. They stand in files for translators (`locales/*/tui.ftl`, in Project
//! Fluent's syntax); [`said`] lists them, each as a function that takes what is put into it, so that none can be missing or asked for
//! by a wrong name. What comes from elsewhere, the engine's errors above all, stays as it is.
//!
//! A string that somebody else chose is only ever put into a message, never taken for one.

mod language;
mod said;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use ratatui::{style::Style, text::Line};

pub use self::language::{Language, Locale};
use super::{
    bidi::{self, Direction},
    keymap::{Action, Keymap, Scope},
    text,
};
use crate::engine::types::size;

/// Messages by their names.
type Messages = FluentBundle<FluentResource>;

static ENGLISH: LazyLock<Messages> =
    LazyLock::new(|| read("en", include_str!("../../../locales/en/tui.ftl")));
static GERMAN: LazyLock<Messages> = LazyLock::new(|| read("de", include_str!("../../../locales/de/tui.ftl")));
static HEBREW: LazyLock<Messages> = LazyLock::new(|| read("he", include_str!("../../../locales/he/tui.ftl")));

/// Reads a file of messages. That all of it can be read is tested; what cannot is passed over, and English stands there.
fn read(code: &str, file: &str) -> Messages {
    let resource = FluentResource::try_new(file.to_owned()).unwrap_or_else(|(readable, _)| readable);
    // The language decides which plural a number takes.
    let mut messages = Messages::new_concurrent(vec![code.parse().unwrap_or_default()]);
    // Nothing that turns a line around reaches the terminal: lines are turned here, before they are drawn.
    messages.set_use_isolating(false);
    messages.add_resource_overriding(resource);
    messages
}

/// The words of a language.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Words(Tongue);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Tongue {
    #[default]
    English,
    German,
    Hebrew,
}

impl Words {
    /// Those of the language that was chosen; of the environment's where none was.
    pub fn of(language: Language, locale: &Locale) -> Self {
        Self(match language {
            Language::Auto => return Self::of(locale.language(), locale),
            Language::English => Tongue::English,
            Language::German => Tongue::German,
            Language::Hebrew => Tongue::Hebrew,
        })
    }

    fn messages(self) -> &'static Messages {
        match self.0 {
            Tongue::English => &ENGLISH,
            Tongue::German => &GERMAN,
            Tongue::Hebrew => &HEBREW,
        }
    }

    /// Which way they run.
    pub(super) const fn direction(self) -> Direction {
        match self.0 {
            Tongue::English | Tongue::German => Direction::LeftToRight,
            Tongue::Hebrew => Direction::RightToLeft,
        }
    }

    /// The message of this name, hyphens for underscores, with values put into it: in this language, else in English.
    fn say(self, name: &str, values: Vec<(&'static str, FluentValue<'_>)>) -> String {
        let id = name.replace('_', "-");
        let values: FluentArgs<'_> = values.into_iter().collect();
        let found = [self.messages(), &ENGLISH].into_iter().find_map(|messages| {
            let pattern = messages.get_message(&id)?.value()?;
            // A value that is missing stands there by its name. That none is missing is tested.
            Some(messages.format_pattern(pattern, Some(&values), &mut Vec::new()).into_owned())
        });
        found.unwrap_or(id)
    }

    /// What an action does.
    pub(super) fn action(self, action: Action) -> String {
        self.say(&format!("action-{}", action.id()), Vec::new())
    }

    /// The heading of the keys that hold in a place.
    pub(super) fn scope(self, scope: Scope) -> String {
        self.say(&format!("scope-{}", scope.id()), Vec::new())
    }

    /// A key of an action, wherever it holds; its name in the palette when it has none.
    pub(super) fn key_of(self, keymap: &Keymap, action: Action) -> String {
        keymap.any_key(action).unwrap_or_else(|| self.by_palette(self.action(action)))
    }

    /// A number that is written with a point, as it is written in this language.
    pub(super) fn number(self, number: &str) -> String {
        number.replace('.', &self.decimal_mark())
    }

    /// A size as people read it.
    pub(super) fn size(self, bytes: u64) -> String {
        self.number(&size(bytes))
    }

    /// A line in the order in which it is drawn, at the side where the language begins.
    pub(super) fn line(self, line: Line<'static>) -> Line<'static> {
        bidi::turned(line, self.direction())
    }

    /// The same of a text alone, which stays where it is.
    pub(super) fn visual(self, text: &str) -> String {
        match self.direction() {
            Direction::LeftToRight => bidi::visual(text),
            Direction::RightToLeft => self.line(Line::raw(text.to_owned())).to_string(),
        }
    }

    /// The rows that a text takes, as they are written; [`Words::line`] turns each of them.
    pub(super) fn rows(self, text: &str, width: usize, style: Style) -> Vec<Line<'static>> {
        let width = width.max(1);
        let from_right = bidi::runs_from_right(text, self.direction());
        let rows = text::wrap(text, width, width).into_iter().map(|row| Line::styled(row, style));
        if from_right { rows.map(Line::right_aligned).collect() } else { rows.collect() }
    }

    /// The rows that a text takes, as they are drawn.
    pub(super) fn paragraph(self, text: &str, width: usize, style: Style) -> Vec<Line<'static>> {
        self.rows(text, width, style).into_iter().map(|row| self.line(row)).collect()
    }
}
