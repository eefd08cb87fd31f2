//! Completing the word before the cursor: `@` people, `#` rooms, `:` emoji, and `/` commands at the beginning.

use super::{app::App, emoji, text};

/// Most candidates that are offered.
const MOST: usize = 8;
/// Fewest letters behind a colon: a colon alone is one.
const EMOJI: usize = 2;

/// What the word before the cursor may become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Completion {
    /// The word as it was typed.
    typed: String,
    pub(super) candidates: Vec<Candidate>,
    /// The one that stands in the text.
    pub(super) at: Option<usize>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    /// What is shown.
    pub(super) shown: String,
    /// What stands in the text then.
    pub(super) word: String,
}

/// What can be done by a text that begins with a slash.
const COMMANDS: [&str; 14] = [
    "create", "msg", "invite", "link", "join", "let-in", "name", "topic", "leave", "poll", "file", "search",
    "help", "quit",
];

impl Completion {
    /// What the word before the cursor may become, if it can be completed.
    pub(super) fn of(app: &App) -> Option<Self> {
        let (line, column) = app.composer.cursor_line();
        let before: String = line.chars().take(column).collect();
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let word = before.get(start..)?;
        let first_word = start == 0 && app.composer.is_first_line();
        let candidates = candidates(app, word, first_word);
        (!candidates.is_empty()).then(|| Self { typed: word.to_owned(), candidates, at: None })
    }

    /// The next candidate, or the one before: what is to be taken away before the cursor, characters, and what is put there.
    pub(super) fn step(&mut self, back: bool) -> Option<(usize, String)> {
        let count = self.candidates.len();
        let there = self.at.and_then(|at| self.candidates.get(at)).map_or(&self.typed, |found| &found.word);
        let away = there.chars().count();
        let next = match self.at {
            None if back => count - 1,
            None => 0,
            Some(at) if back => (at + count - 1) % count,
            Some(at) => (at + 1) % count,
        };
        self.at = Some(next);
        Some((away, self.candidates.get(next)?.word.clone()))
    }
}

fn candidates(app: &App, word: &str, first_word: bool) -> Vec<Candidate> {
    let begins = |name: &str, typed: &str| name.to_lowercase().starts_with(&typed.to_lowercase());
    let mut found: Vec<Candidate> = Vec::new();
    if let Some(typed) = word.strip_prefix('@') {
        let here = app.open.as_ref().and_then(|open| open.details.as_ref());
        let members =
            here.into_iter().flat_map(|details| details.members.iter().map(|member| member.name.clone()));
        let others = app.people.iter().map(|person| person.name.to_string());
        for name in members.chain(others).filter(|name| begins(name, typed) && *name != app.me) {
            let word = format!("@{name} ");
            if !found.iter().any(|known| known.word == word) {
                found.push(Candidate { shown: format!("@{name}"), word });
            }
        }
    } else if let Some(typed) = word.strip_prefix('#') {
        let rooms = app.rooms().iter().map(|room| text::clean_line(&room.name));
        let named = rooms.filter(|name| begins(name, typed));
        found.extend(named.map(|name| Candidate { shown: format!("#{name}"), word: format!("#{name} ") }));
    } else if let Some(typed) = word.strip_prefix(':') {
        if let Some(emoji) = typed.strip_suffix(':').and_then(emoji::named) {
            found.push(Candidate { shown: emoji.to_owned(), word: emoji.to_owned() });
        } else if typed.chars().count() >= EMOJI && !typed.contains(':') {
            let emoji = emoji::by_name(typed, MOST).into_iter();
            found.extend(
                emoji.map(|(emoji, name)| Candidate {
                    shown: format!("{emoji} {name}"),
                    word: emoji.to_owned(),
                }),
            );
        }
    } else if let Some(typed) = word.strip_prefix('/')
        && first_word
    {
        let commands = COMMANDS.iter().filter(|name| name.starts_with(typed));
        found.extend(commands.map(|name| Candidate { shown: format!("/{name}"), word: format!("/{name} ") }));
    }
    found.truncate(MOST);
    found
}
