//! Pictures of every screen, of the sample data, in three sizes and two looks.

use std::fmt::Write as _;

use ratatui::style::{Color, Modifier};

use super::{panels::Show, *};
use crate::tui::theme::Look;

/// Every screen by the keys that lead there.
pub(super) const SCREENS: &[(&str, &str)] = &[
    ("invitation", ""),
    ("room", "<Tab>"),
    ("chosen", "<Tab><Up><Up><Up><Enter>"),
    ("reply", "<Tab><Up><Up>ron my way<Enter>@"),
    ("reaction", "<Tab><Up><Up>+ha"),
    ("preview", "<Tab><A-i>who reads this?"),
    ("preview_names", "<Tab><A-i><A-i>who reads this?"),
    ("picture", "<Tab><Tab><S-Up>v"),
    ("right_to_left", "<Tab><Tab><Tab><Tab>"),
    ("filter", "<Tab><A-r>ha"),
    ("question", "<Tab><Up><Up>d"),
    ("prompt", "<Tab><C-o>dora"),
    ("palette", "<Tab><C-p>"),
    ("palette_typed", "<Tab><C-p>me"),
    ("search", "<Tab><C-f>lantern"),
    ("help", "<F1>"),
    ("members", "<Tab><F2>"),
    ("safety", "<Tab><F2><Down><Enter>"),
    ("keys", "<Tab><F3>"),
    ("security_log", "<F4>"),
    ("quantum", "<F5>"),
    ("transfers", "<F6>"),
    ("connection", "<F7>"),
    ("settings", "<F8>"),
];

/// The screen as text, and below it what a look adds: runs of cells that do not look like plain text.
fn picture(stage: &mut Stage) -> String {
    let text = stage.drawn();
    let buffer = stage.terminal.backend().buffer();
    let mut looks = String::new();
    for y in 0..buffer.area.height {
        let mut runs: Vec<(u16, u16, String)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let mut look = String::new();
            for (colour, name) in [(cell.fg, ""), (cell.bg, "on ")] {
                match colour {
                    Color::Reset => {}
                    Color::Indexed(number) => write!(look, "{name}{number} ").unwrap(),
                    other => write!(look, "{name}{other:?} ").unwrap(),
                }
            }
            if cell.modifier != Modifier::empty() {
                write!(look, "{:?}", cell.modifier).unwrap();
            }
            match runs.last_mut() {
                Some((_, end, known)) if *end == x && *known == look => *end = x + 1,
                _ => runs.push((x, x + 1, look)),
            }
        }
        let shown = runs.iter().filter(|(_, _, look)| !look.trim().is_empty());
        let shown: Vec<_> = shown.map(|(from, to, look)| format!("{from}-{to} {}", look.trim())).collect();
        if !shown.is_empty() {
            writeln!(looks, "{y}: {}", shown.join("; ")).unwrap();
        }
    }
    format!("{text}\n{looks}")
}

#[test]
fn every_screen_in_every_size_has_its_picture() {
    for (theme_name, theme) in
        [("dark", Theme::of(Look::Dark, &crate::tui::Ambience::default())), ("plain", Theme::PLAIN)]
    {
        for (width, height) in [(120, 40), (80, 24), (30, 8)] {
            for (name, keys) in SCREENS {
                let mut show = Show::new(width, height, theme);
                show.press(keys);
                insta::assert_snapshot!(
                    format!("{name}_{width}x{height}_{theme_name}"),
                    picture(&mut show.stage)
                );
            }
        }
    }
}

/// What leads to a screen that no key leads to.
type Lead = fn(&mut Stage);

fn lock(stage: &mut Stage, keys: &str) {
    stage.tell(Msg::Idle);
    stage.press(keys);
}

/// What no key leads to: the locked screen, and a device that asks to be let in.
#[test]
fn what_comes_by_itself_has_its_picture_in_every_size() {
    let states: [(&str, Lead); 5] = [
        ("locked", |stage| lock(stage, "")),
        ("locked_typed", |stage| lock(stage, "correct horse")),
        ("locked_trying", |stage| lock(stage, "correct horse<Enter>")),
        ("locked_refused", |stage| {
            lock(stage, "x<Enter>");
            let asked = stage.asked();
            let unlock = asked.into_iter().find(|command| matches!(command, Command::Unlock(_))).unwrap();
            let why = "This is not the passphrase. Try again.".to_owned();
            stage.tell(Msg::Failed(unlock, why));
        }),
        ("device", |stage| {
            stage.tell(Msg::Done(Command::LoadLink, Answer::Link(LinkStatus::Asks(link_request()))));
        }),
    ];
    for (theme_name, theme) in
        [("dark", Theme::of(Look::Dark, &crate::tui::Ambience::default())), ("plain", Theme::PLAIN)]
    {
        for (width, height) in [(120, 40), (80, 24), (30, 8)] {
            for (name, lead) in states {
                let mut show = Show::new(width, height, theme);
                show.press("<Tab>");
                lead(&mut show.stage);
                insta::assert_snapshot!(
                    format!("{name}_{width}x{height}_{theme_name}"),
                    picture(&mut show.stage)
                );
            }
        }
    }
}

#[test]
fn a_size_that_changes_at_any_moment_is_drawn() {
    for (_, keys) in SCREENS {
        let mut show = Show::new(120, 40, Theme::PLAIN);
        show.press(keys);
        for (width, height) in [(30, 8), (31, 9), (59, 13), (60, 14), (29, 7), (1, 1), (300, 100), (80, 24)] {
            show.stage.resize(width, height);
            show.answer();
            show.drawn();
            show.stage.press("<Down>");
            show.answer();
            show.drawn();
        }
    }
}

#[test]
fn a_click_anywhere_is_taken() {
    use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
    for (_, keys) in SCREENS {
        for kind in [
            MouseEventKind::Down(MouseButton::Left),
            MouseEventKind::ScrollUp,
            MouseEventKind::ScrollDown,
            MouseEventKind::Moved,
        ] {
            let mut show = Show::new(80, 24, Theme::PLAIN);
            show.press(keys);
            for row in 0..24 {
                for column in [3, 24, 40] {
                    let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
                    show.stage.tell(Msg::Mouse(event));
                    show.answer();
                }
            }
            show.drawn();
        }
    }
}

#[test]
fn the_sample_data_can_be_talked_to() {
    let mut show = Show::new(100, 40, Theme::PLAIN);
    show.press("<Tab>hello there<Enter>");
    for event in [Event::Timeline(id(1)), Event::Changed(id(1))] {
        show.stage.tell(Msg::Engine(event));
        show.answer();
    }
    assert!(show.drawn().contains("✓ alice: hello there"), "{}", show.drawn());
    show.press("<Up>+eyes<Enter>");
    show.stage.tell(Msg::Engine(Event::Changed(id(1))));
    show.answer();
    assert!(show.drawn().contains("[👀 alice]"), "{}", show.drawn());
}

/// The keys of the manual are the keys of the program.
#[test]
fn the_guide_has_the_table_of_keys() {
    let guide = include_str!("../../../../docs/guides/tui.md");
    let table = crate::tui::Keymap::default().markdown(crate::tui::Words::default());
    let (_, rest) = guide.split_once("<!-- keys -->\n").expect("the guide has a place for the keys");
    let (written, _) = rest.split_once("<!-- end of keys -->").expect("and its end");
    assert!(written.trim() == table.trim(), "the guide's table of keys is to be:\n\n{table}");
}
