//! No message is missing in any language, and each takes the same values everywhere.

use std::collections::{BTreeMap, BTreeSet};

use fluent_bundle::FluentValue;
use fluent_syntax::{
    ast::{Entry, Expression, InlineExpression, Message, Pattern, PatternElement, VariantKey},
    parser,
};
use ratatui::{layout::Alignment, style::Style};

use super::{Language, Locale, Words, said};
use crate::tui::{
    keymap::{Action, Scope},
    text,
};

const FILES: [(Language, &str); 3] = [
    (Language::English, include_str!("../../../locales/en/tui.ftl")),
    (Language::German, include_str!("../../../locales/de/tui.ftl")),
    (Language::Hebrew, include_str!("../../../locales/he/tui.ftl")),
];

fn words(language: Language) -> Words {
    Words::of(language, &Locale::default())
}

/// What a message depends on: the values that are put into it, and the names among which it chooses by one of them.
type Needs = BTreeMap<String, BTreeSet<String>>;

/// The messages of a file.
fn messages(language: Language, file: &str) -> BTreeMap<String, Needs> {
    let resource = parser::parse(file).unwrap_or_else(|(_, errors)| panic!("{language:?}: {errors:?}"));
    let mut all = BTreeMap::new();
    for entry in &resource.body {
        match entry {
            Entry::Message(Message { id, value: Some(pattern), attributes, .. }) => {
                assert!(attributes.is_empty(), "{language:?}: {} has parts that nobody asks for", id.name);
                let mut needs = Needs::new();
                read_pattern(pattern, &mut needs);
                let known = all.insert(id.name.to_owned(), needs);
                assert!(known.is_none(), "{language:?}: {} is there twice", id.name);
            }
            Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => {}
            other => panic!("{language:?}: {other:?}"),
        }
    }
    all
}

fn read_pattern(pattern: &Pattern<&str>, needs: &mut Needs) {
    for element in &pattern.elements {
        if let PatternElement::Placeable { expression } = element {
            read(expression, needs);
        }
    }
}

fn read(expression: &Expression<&str>, needs: &mut Needs) {
    match expression {
        Expression::Inline(inline) => {
            read_inline(inline, needs);
        }
        Expression::Select { selector, variants } => {
            let by = read_inline(selector, needs).expect("a value to choose by");
            for variant in variants {
                // Numbers and plurals are each language's own; names are the program's.
                if let VariantKey::Identifier { name } = variant.key
                    && !["zero", "one", "two", "few", "many", "other"].contains(&name)
                {
                    needs.entry(by.clone()).or_default().insert(name.to_owned());
                }
                read_pattern(&variant.value, needs);
            }
        }
    }
}

fn read_inline(inline: &InlineExpression<&str>, needs: &mut Needs) -> Option<String> {
    match inline {
        InlineExpression::VariableReference { id } => {
            needs.entry(id.name.to_owned()).or_default();
            Some(id.name.to_owned())
        }
        InlineExpression::Placeable { expression } => {
            read(expression, needs);
            None
        }
        InlineExpression::StringLiteral { .. } | InlineExpression::NumberLiteral { .. } => None,
        other => panic!("nothing here says what this is: {other:?}"),
    }
}

/// The messages that the program asks for, and what it puts into them.
fn asked_for() -> BTreeMap<String, BTreeSet<String>> {
    let said = said::ALL.iter().map(|(name, values)| (name.replace('_', "-"), *values));
    let actions = Action::ALL.iter().map(|action| (format!("action-{}", action.id()), &[][..]));
    let scopes = Scope::ALL.iter().map(|scope| (format!("scope-{}", scope.id()), &[][..]));
    let all = said.chain(actions).chain(scopes);
    all.map(|(id, values)| (id, values.iter().map(|value| (*value).to_owned()).collect())).collect()
}

#[test]
fn no_message_is_missing_in_any_language_and_each_takes_the_same_values() {
    let asked_for = asked_for();
    let english = messages(Language::English, FILES[0].1);
    for (language, file) in FILES {
        let there = messages(language, file);
        let ids = |of: Vec<&String>| of.into_iter().cloned().collect::<BTreeSet<_>>();
        let (known, wanted) = (ids(there.keys().collect()), ids(asked_for.keys().collect()));
        let missing: Vec<_> = wanted.difference(&known).collect();
        let unused: Vec<_> = known.difference(&wanted).collect();
        assert!(missing.is_empty() && unused.is_empty(), "{language:?}: no {missing:?}, useless {unused:?}");
        for (id, needs) in &there {
            let values: BTreeSet<_> = needs.keys().cloned().collect();
            assert_eq!(values, asked_for[id], "{language:?}: the values of {id}");
            assert_eq!(*needs, english[id], "{language:?}: what {id} chooses among");
        }
    }
}

#[test]
fn every_message_is_there_in_every_language_with_its_values_in_it() {
    for (language, _) in FILES {
        let words = words(language);
        for (name, values) in said::ALL {
            assert!(words.messages().has_message(&name.replace('_', "-")), "{language:?}: no {name}");
            for value in [FluentValue::from("VALUE"), FluentValue::from(1), FluentValue::from(7)] {
                let said =
                    words.say(name, values.iter().map(|value_of| (*value_of, value.clone())).collect());
                assert!(!said.is_empty() && !said.contains(['{', '}', '$']), "{language:?} {name}: {said}");
                // Nothing in it turns a line around, or breaks it.
                assert!(!said.chars().any(text::is_harmful), "{language:?} {name}: {said:?}");
            }
        }
        for &action in Action::ALL {
            assert!(!words.action(action).starts_with("action-"), "{language:?} {action:?}");
        }
        for &scope in Scope::ALL {
            assert!(!words.scope(scope).starts_with("scope-"), "{language:?} {scope:?}");
        }
    }
}

#[test]
fn what_a_language_lacks_is_said_in_english_and_what_nobody_knows_by_its_name() {
    let lacking = super::read("de", "rooms-title = Räume\n= no message\nreading = { $no-such }\n");
    assert!(lacking.has_message("rooms-title") && !lacking.has_message("quit"));
    for (language, _) in FILES {
        assert_eq!(words(language).say("no_such_message", Vec::new()), "no-such-message");
    }
    assert_eq!(words(Language::Auto), words(Language::English));
    assert!(said::ALL.len() > 300);
}

#[test]
fn what_somebody_wrote_is_put_in_as_it_is_and_never_read_as_a_message() {
    for (language, _) in FILES {
        let said = words(language).deleted_by("{ $name } { rooms-title } \\u0041");
        assert!(said.contains("{ $name } { rooms-title } \\u0041"), "{said}");
    }
}

#[test]
fn each_language_counts_and_writes_numbers_and_dates_in_its_own_way() {
    let [english, german, hebrew] = FILES.map(|(language, _)| words(language));
    for (words, one, two, many) in [
        (english, "1 member, 1 invited", "2 members", "5 members, 2 verified"),
        (german, "1 Mitglied, 1 eingeladen", "2 Mitglieder", "5 Mitglieder, 2 verifiziert"),
        (hebrew, "חבר אחד, מוזמן אחד", "2 חברים", "5 חברים, 2 מאומתים"),
    ] {
        assert_eq!(words.people_here(1, 1, 0), one);
        assert_eq!(words.people_here(2, 0, 0), two);
        assert_eq!(words.people_here(5, 0, 2), many);
    }
    assert_eq!(english.day_line(1, 23, 11, 2026), "Monday, 23 November 2026");
    assert_eq!(german.day_line(1, 23, 11, 2026), "Montag, 23. November 2026");
    assert_eq!(hebrew.day_line(1, 23, 11, 2026), "יום שני, 23 בנובמבר 2026");
    assert_eq!([english, german, hebrew].map(|words| words.size(1_480_000)), ["1.4 MB", "1,4 MB", "1.4 MB"]);
    assert_eq!(hebrew.lost_times(2), "פעמיים מאז שהמסך נפתח");
}

#[test]
fn words_that_have_a_place_of_their_own_fit_into_it() {
    for (language, _) in FILES {
        let words = words(language);
        // Behind the name of a room.
        for word in [
            words.room_invited(),
            words.room_removed(),
            words.room_stuck(),
            words.room_left(),
            words.room_blocked(),
            words.room_archived(),
        ] {
            assert!(text::width(&word) <= 12, "{language:?}: {word}");
        }
        // The names of facts, and the states of jobs.
        for (name, _) in said::ALL.iter().filter(|(name, _)| {
            (name.starts_with("fact_") || name.starts_with("setting_")) && !name.contains("about")
        }) {
            let name = words.say(name, Vec::new());
            assert!(text::width(&name) <= 15, "{language:?}: {name}");
        }
        for state in
            ["prepared", "submitting", "queued", "running", "measured", "done", "failed", "cancelled"]
        {
            let state = words.job_state(state);
            assert!(text::width(&state) <= 10, "{language:?}: {state}");
        }
        // A hint is a word or two, or there would be no more of them.
        for (name, _) in said::ALL.iter().filter(|(name, _)| name.starts_with("hint_")) {
            let hint = words.say(name, Vec::new());
            assert!(text::width(&hint) <= 15, "{language:?}: {hint}");
        }
    }
}

#[test]
fn a_paragraph_begins_where_its_language_does() {
    let (german, hebrew) = (words(Language::German), words(Language::Hebrew));
    let rows = german.paragraph("eins zwei drei", 9, Style::new());
    assert_eq!(rows.iter().map(ToString::to_string).collect::<Vec<_>>(), ["eins zwei", "drei"]);
    assert!(rows.iter().all(|row| row.alignment.is_none()));
    let rows = hebrew.paragraph("אחת שתיים qchat.", 9, Style::new());
    assert_eq!(rows.iter().map(ToString::to_string).collect::<Vec<_>>(), ["םייתש תחא", ".qchat"]);
    assert!(rows.iter().all(|row| row.alignment == Some(Alignment::Right)));
    // What is not of the language, a fingerprint say, or what the engine says in English, stays at its side.
    let rows = hebrew.paragraph("a7a7 b8b8.", 20, Style::new());
    assert!(rows[0].to_string() == "a7a7 b8b8." && rows[0].alignment.is_none());
}
