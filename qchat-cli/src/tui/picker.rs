//! A list that is narrowed down by typing, letters of the words in their order (as fzf does): the palette, and reactions.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};
use qchat_proto::{
    content::MessageRef,
    ids::{RoomId, UserName},
};

use super::{
    app::App,
    composer::Composer,
    emoji,
    keymap::{Action, Scope},
    text,
    words::Words,
};
use crate::engine::types::RoomStatus;

/// Most reactions that are offered at once.
const REACTIONS: usize = 200;

/// A list that is narrowed down by typing.
#[derive(Debug)]
pub(super) struct Picker {
    pub(super) kind: Kind,
    pub(super) input: Composer,
    /// Which of those left is chosen.
    pub(super) at: usize,
    items: Vec<Item>,
    words: Words,
}

/// What a picker is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Rooms, people and commands.
    Palette,
    /// A reaction to a message; those that this account has given already.
    Reaction(RoomId, MessageRef, Vec<String>),
}

/// What is picked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Picked {
    Room(RoomId),
    Person(UserName),
    Command(Action),
    Emoji(String),
}

/// One of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    /// What is matched and shown.
    pub(super) label: String,
    /// What stands behind it.
    pub(super) hint: String,
    pub(super) picked: Picked,
}

/// One that is left, and the characters of its label that were typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Match {
    pub(super) item: Item,
    pub(super) letters: Vec<u32>,
}

impl Picker {
    /// The palette.
    pub(super) fn palette(app: &App) -> Self {
        let words = app.words;
        let mut items = Vec::new();
        for room in app.rooms() {
            let hint = match room.status {
                RoomStatus::Invited => words.pick_invitation(),
                _ if room.mentions > 0 => words.pick_mentions(room.unread, room.mentions),
                _ if room.unread > 0 => words.pick_unread(room.unread),
                _ => words.pick_room(),
            };
            items.push(Item { label: text::clean_line(&room.name), hint, picked: Picked::Room(room.id) });
        }
        for person in &app.people {
            let label = format!("@{}", person.name);
            items.push(Item {
                label,
                hint: words.pick_person(),
                picked: Picked::Person(person.name.clone()),
            });
        }
        items.extend(commands(app).into_iter().map(|(action, scope)| Item {
            label: words.action(action),
            hint: app.keymap.key(scope, action).unwrap_or_default(),
            picked: Picked::Command(action),
        }));
        Self { kind: Kind::Palette, input: Composer::new(""), at: 0, items, words }
    }

    /// Reactions to a message.
    pub(super) fn reactions(room: RoomId, of: MessageRef, mine: Vec<String>, words: Words) -> Self {
        Self {
            kind: Kind::Reaction(room, of, mine),
            input: Composer::new(""),
            at: 0,
            items: Vec::new(),
            words,
        }
    }

    /// Those that are left, the best first.
    pub(super) fn matches(&self) -> Vec<Match> {
        let typed = self.input.text();
        let typed = typed.trim();
        if let Kind::Reaction(_, _, mine) = &self.kind {
            return reactions(typed.trim_matches(':'), mine, self.words);
        }
        if typed.is_empty() {
            let all = self.items.iter().cloned();
            return all.map(|item| Match { item, letters: Vec::new() }).collect();
        }
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(typed, CaseMatching::Smart, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut left: Vec<(u32, Match)> = Vec::new();
        for item in &self.items {
            let mut letters = Vec::new();
            if let Some(score) =
                pattern.indices(Utf32Str::new(&item.label, &mut buffer), &mut matcher, &mut letters)
            {
                letters.sort_unstable();
                letters.dedup();
                left.push((score, Match { item: item.clone(), letters }));
            }
        }
        left.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        left.into_iter().map(|(_, found)| found).collect()
    }

    /// What is chosen.
    pub(super) fn chosen(&self) -> Option<Picked> {
        self.matches().into_iter().nth(self.at).map(|found| found.item.picked)
    }

    /// Chooses another one.
    pub(super) fn step(&mut self, by: isize) {
        let last = self.matches().len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(by).min(last);
    }
}

/// The commands that the palette has, each with the place where its key holds: those that need no choice of a message.
pub(super) fn commands(app: &App) -> Vec<(Action, Scope)> {
    let but = [
        Action::Send,
        Action::Newline,
        Action::HistoryOlder,
        Action::HistoryNewer,
        Action::Dismiss,
        Action::Palette,
    ];
    let scopes = [Scope::Composer, Scope::Rooms, Scope::Everywhere];
    let writes = app.can_write();
    scopes
        .into_iter()
        .filter(|scope| writes || *scope != Scope::Composer)
        .flat_map(|scope| app.keymap.within(scope).map(move |binding| (binding.action, scope)))
        .filter(|(action, _)| !but.contains(action))
        .collect()
}

fn reactions(typed: &str, mine: &[String], words: Words) -> Vec<Match> {
    let item = |emoji: &str, name: &str| {
        let taken = mine.iter().any(|known| known == emoji);
        Item {
            label: format!("{emoji} {name}"),
            hint: if taken { words.pick_take_back() } else { String::new() },
            picked: Picked::Emoji(emoji.to_owned()),
        }
    };
    let mut items: Vec<Item> = Vec::new();
    if typed.is_empty() {
        let given = mine.iter().filter(|emoji| !emoji::USUAL.iter().any(|(usual, _)| usual == emoji));
        items.extend(given.map(|emoji| item(&text::clean_line(emoji), "")));
        items.extend(emoji::USUAL.iter().map(|(emoji, name)| item(emoji, name)));
    } else {
        if emoji::is_one(typed) {
            items.push(item(typed, ""));
        }
        items.extend(emoji::by_name(typed, REACTIONS).into_iter().map(|(emoji, name)| item(emoji, name)));
    }
    items.into_iter().map(|item| Match { item, letters: Vec::new() }).collect()
}
