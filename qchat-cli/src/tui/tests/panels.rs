//! Panels: what they show, and what their rows do.

use super::*;
use crate::tui::{Keymap, Language, Prefs, demo, demo::Demo, keymap::Preset, prefs::Change, theme::Look};

/// A screen on the sample data.
pub(super) struct Show {
    pub(super) stage: Stage,
    demo: Demo,
}

impl Show {
    pub(super) fn new(width: u16, height: u16, theme: Theme) -> Self {
        Self::speaking(width, height, theme, Language::English)
    }

    pub(super) fn speaking(width: u16, height: u16, theme: Theme, language: Language) -> Self {
        let mut stage = Stage::themed(width, height, theme);
        let prefs = Prefs { language, ..Prefs::default() };
        stage.app = demo::app(theme, Keymap::default(), prefs, crate::tui::Ambience::default());
        stage.commands.clear();
        stage.tell(Msg::Resize(width, height));
        let first = crate::tui::start(&mut stage.app);
        stage.commands.extend(first);
        let mut show = Self { stage, demo: Demo::default() };
        show.answer();
        show
    }

    /// Has all commands carried out, and those that come of them.
    pub(super) fn answer(&mut self) {
        for _ in 0..50 {
            let commands = self.stage.asked();
            if commands.is_empty() {
                return;
            }
            for command in commands {
                if matches!(command, Command::Emit(_) | Command::Quit | Command::Edit(_)) {
                    continue;
                }
                let msg = match self.demo.answer(command.clone()) {
                    Ok(answer) => Msg::Done(command, answer),
                    Err(why) => Msg::Failed(command, why),
                };
                self.stage.tell(msg);
            }
        }
        panic!("commands without end");
    }

    /// Presses one key after the other, each when what came before is done.
    pub(super) fn press(&mut self, keys: &str) -> &mut Self {
        let mut rest = keys;
        while let Some(first) = rest.chars().next() {
            let named = rest.strip_prefix('<').and_then(|tail| tail.find('>')).filter(|length| *length > 0);
            let (key, tail) = rest.split_at(named.map_or(first.len_utf8(), |length| length + 2));
            self.stage.press(key);
            self.answer();
            rest = tail;
        }
        self
    }

    pub(super) fn drawn(&mut self) -> String {
        self.stage.drawn()
    }
}

/// The sample data, with lantern-works open.
fn show() -> Show {
    let mut show = Show::new(100, 40, Theme::PLAIN);
    show.press("<Tab>");
    show
}

#[test]
fn each_panel_shows_its_facts_and_closes() {
    for (keys, words) in [
        ("<F2>", &["Members and trust", "carol", "not verified", "✓ verified", "owner", "device 626f62"][..]),
        ("<F3>", &["a7a7a7a7", "phone in the van", "epoch", "Update the keys now", "1204 messages"]),
        ("<F4>", &["sign in: wrong proof", "203.0.113.0/24"]),
        ("<F5>", &["4096 bits", "bb84", "1.87 %", "S ", "simulated", "instead of ibm_fez"]),
        ("<F6>", &["The ladder is in the van already", "waits"]),
        ("<F7>", &["X25519MLKEM768", "18.4 ms", "post-quantum"]),
        ("<F8>", &["theme", "auto", "language", "notifications", "sender"]),
    ] {
        let mut show = show();
        show.press(keys);
        let drawn = show.drawn();
        for word in words {
            assert!(drawn.contains(word), "{keys} {word}: {drawn}");
        }
        show.press("<Esc>");
        assert!(show.drawn().contains("│"), "{keys} closes");
    }
}

#[test]
fn somebody_is_verified_after_comparing() {
    let mut show = show();
    // Past oneself and bob to carol.
    show.press("<F2>").press("<Down>").press("<Enter>");
    let drawn = show.drawn();
    assert!(
        drawn.contains("You and carol") && drawn.contains("31415") && drawn.contains("🐝 bee"),
        "{drawn}"
    );
    show.stage.press("<Enter>");
    assert!(show.drawn().contains("Did carol read the same number"), "{}", show.drawn());
    show.stage.press("y");
    let asked = show.stage.asked();
    assert!(
        matches!(&asked[0], Command::MarkVerified(name, number) if name.as_str() == "carol" && number.starts_with("31415")),
        "{asked:?}"
    );
    // And back to the panel.
    assert!(asked.contains(&Command::LoadRoster(demo_room())), "{asked:?}");
}

fn demo_room() -> RoomId {
    id(1)
}

#[test]
fn what_cannot_be_undone_is_asked_about() {
    for (keys, question, command) in [
        (["<F2>", "x"], "Remove bob from lantern-works?", "Remove"),
        // Past what updates the keys.
        (["<F3>", "<Up>x"], "Take phone in the van out", "Revoke"),
    ] {
        let mut show = show();
        show.press(keys[0]).press(keys[1]);
        assert!(show.drawn().contains(question), "{keys:?}: {}", show.drawn());
        show.stage.press("n");
        let asked = format!("{:?}", show.stage.asked());
        assert!(!asked.contains(command), "{asked}");
        show.press("x");
        show.stage.press("y");
        let asked = format!("{:?}", show.stage.asked());
        assert!(asked.contains(command), "{asked}");
    }
}

#[test]
fn jobs_are_started_and_cancelled_and_what_waits_is_given_up() {
    let mut show = show();
    show.press("<F5>");
    show.stage.press("<Enter>");
    assert!(show.stage.asked().contains(&Command::StartQuantum("qrng")));
    show.stage.press("<Down><Down><Down>x");
    assert!(format!("{:?}", show.stage.asked()).contains("CancelQuantum(\"d4d4"));
    let mut show = self::show();
    show.press("<F6>");
    show.stage.press("x");
    assert!(format!("{:?}", show.stage.asked()).contains("DropUnsent"));
}

#[test]
fn a_setting_holds_at_once_and_is_written_down() {
    let mut show = show();
    show.press("<F8>");
    show.stage.press("<Enter>");
    assert_eq!(show.stage.asked(), [Command::SaveSetting(Change::Look(Look::Dark), Preset::default())]);
    assert!(show.drawn().contains("theme           dark"), "{}", show.drawn());
    show.stage.press("<Down><Down><Down><Down><Enter>");
    assert!(show.drawn().contains("notifications   full"), "{}", show.drawn());
}

#[test]
fn what_a_panel_cannot_show_is_said_in_it() {
    let mut show = show();
    show.stage.press("<F4>");
    show.stage.asked();
    show.stage.tell(Msg::Failed(Command::LoadLog, "the server does not answer".to_owned()));
    assert!(show.drawn().contains("! the server does not answer"), "{}", show.drawn());
}
