//! The screen in other languages than English: what it looks like, and that everything has its place there too.

use super::{demo::SCREENS, panels::Show, *};
use crate::tui::{Language, text};

const OTHERS: [Language; 2] = [Language::German, Language::Hebrew];

/// Screens that show most of what there is to be said.
const SHOWN: [&str; 8] = ["invitation", "room", "chosen", "prompt", "palette", "help", "members", "settings"];

fn keys_to(name: &str) -> &'static str {
    SCREENS.iter().find(|(known, _)| *known == name).map_or("", |(_, keys)| *keys)
}

#[test]
fn the_screens_of_other_languages_have_their_pictures() {
    for language in OTHERS {
        for name in SHOWN {
            let mut show = Show::speaking(80, 24, Theme::PLAIN, language);
            show.press(keys_to(name));
            insta::assert_snapshot!(format!("{}_{name}", language.name()), show.drawn());
        }
    }
}

#[test]
fn german_is_german_and_hebrew_is_read_from_the_right() {
    let mut german = Show::speaking(120, 50, Theme::PLAIN, Language::German);
    let drawn = german.press("<Tab>").drawn();
    for word in ["Räume", "Montag, 23. November 2026", "4 Mitglieder, 1 eingeladen", "F1 Hilfe", "1,4 MB"] {
        assert!(drawn.contains(word), "{word}: {drawn}");
    }
    let mut hebrew = Show::speaking(120, 50, Theme::PLAIN, Language::Hebrew);
    let drawn = hebrew.press("<Tab>").drawn();
    // In the order in which it is drawn; at the right of its pane, with the key and the number as they are.
    for line in ["םירדח│", " 2026 רבמבונב 23 ,ינש םוי ──", "הרזע F1", "םירבח 4 · lantern-works · alice"]
    {
        assert!(drawn.contains(line), "{line}: {drawn}");
    }
    // A name, a text and an address of somebody else's stay as they were written.
    assert!(drawn.contains("alice: I bring the wire.") && drawn.contains("lantern-works"), "{drawn}");
    let settings = hebrew.press("<F8>").drawn();
    let row = settings.lines().find(|line| line.contains("he ")).unwrap_or_default();
    assert!(
        row.trim_end_matches(['"', ' ', '<']).ends_with("הפש"),
        "the name stands at the right: {settings}"
    );
}

#[test]
fn everything_has_its_place_in_every_language_and_size() {
    let border = |drawn: &str| -> Vec<usize> {
        let columns = |line: &str| line.chars().position(|c| c == '│');
        drawn.lines().filter_map(columns).collect()
    };
    for language in OTHERS {
        for (width, height) in [(30, 8), (80, 24), (120, 40)] {
            for (name, keys) in SCREENS {
                let mut english = Show::new(width, height, Theme::PLAIN);
                let expected = english.press(keys).drawn();
                let mut show = Show::speaking(width, height, Theme::PLAIN, language);
                show.press(keys);
                let drawn = show.drawn();
                // What is too long in one pane would push the border, or write over what is below.
                let (borders, wanted) = (border(&drawn), border(&expected));
                assert!(borders.iter().all(|column| wanted.contains(column)), "{language:?} {name}: {drawn}");
                for line in drawn.lines() {
                    // The backend says behind it what wide characters hide.
                    let cells = line.split("\" Hidden").next().unwrap_or_default();
                    let cells = cells.strip_prefix('"').unwrap_or(cells);
                    let cells = cells.strip_suffix('"').unwrap_or(cells);
                    assert_eq!(text::width(cells), usize::from(width), "{language:?} {name}: {cells}");
                    assert!(!cells.chars().any(text::is_harmful), "{language:?} {name}: {cells}");
                }
            }
        }
        // However small it gets, it is drawn.
        for (_, keys) in SCREENS {
            let mut show = Show::speaking(120, 40, Theme::PLAIN, language);
            show.press(keys);
            for (width, height) in [(30, 8), (31, 9), (29, 7), (1, 1), (60, 14)] {
                show.stage.resize(width, height);
                show.answer();
                show.drawn();
            }
        }
    }
}

#[test]
fn the_language_is_changed_on_the_screen_and_all_of_it_with_it() {
    let mut show = Show::new(80, 24, Theme::PLAIN);
    show.press("<Tab><F8><Down><Down>");
    for (language, word) in
        [("de", "Einstellungen"), ("he", "תורדגה"), ("auto", "Settings"), ("en", "Settings")]
    {
        let asked = {
            show.stage.press("<Enter>");
            show.stage.asked()
        };
        let saved = asked.iter().any(|command| {
            matches!(command, Command::SaveSetting(crate::tui::prefs::Change::Language(to), _) if to.name() == language)
        });
        assert!(saved, "{asked:?}");
        let drawn = show.drawn();
        assert!(drawn.contains(word) && drawn.contains(&format!("{language} ")), "{language}: {drawn}");
    }
    // What had been laid out before is laid out anew.
    show.stage.press("<Enter><Esc>");
    let drawn = show.drawn();
    assert!(drawn.contains("[Datei yard.pdf, 1,4 MB]"), "{drawn}");
}

#[test]
fn a_hint_is_clicked_where_it_is_drawn() {
    use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
    for language in [Language::English, Language::German, Language::Hebrew] {
        let mut show = Show::speaking(120, 24, Theme::PLAIN, language);
        show.press("<Tab>");
        let drawn = show.drawn();
        let last = drawn.lines().last().unwrap_or_default().trim_matches('"').to_owned();
        let at = last.find("F8").unwrap();
        let column = u16::try_from(text::width(&last[..at])).unwrap();
        let kind = MouseEventKind::Down(MouseButton::Left);
        show.stage.tell(Msg::Mouse(MouseEvent { kind, column, row: 23, modifiers: KeyModifiers::NONE }));
        let words = show.stage.app.words;
        let title = words.visual(&words.panel_settings());
        assert!(show.drawn().contains(&title), "{language:?}: {}", show.drawn());
    }
}
