//! Texts that want to be more than texts, through the whole way to a terminal: whatever they are, only their own cells change.

use std::{
    io,
    num::NonZeroU16,
    sync::{Arc, Mutex},
};

use ratatui::backend::CrosstermBackend;

use super::*;
use crate::tui::{Language, emit, view::links};

/// What is written to a terminal.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Vec<u8>>>);

impl io::Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every kind of text that a terminal might obey, hide or turn around.
fn corpus() -> Vec<String> {
    let mut texts: Vec<String> =
        (0..0x20_u8).chain(0x7f..=0x9f).map(|c| format!("a{}b", char::from(c))).collect();
    for sequence in [
        "\u{1b}[2J\u{1b}[H",
        "\u{1b}[31;1m",
        "\u{1b}[?1049l",
        "\u{1b}[?25l",
        "\u{1b}[10;10H*",
        "\u{1b}[6n",
        "\u{1b}c",
        "\u{1b}]0;owned\u{7}",
        "\u{1b}]52;c;b3duZWQ=\u{1b}\\",
        "\u{1b}]8;;https://evil.example\u{1b}\\click\u{1b}]8;;\u{1b}\\",
        "\u{1b}P+q544e\u{1b}\\",
        "\u{9b}2J",
        "\u{9d}0;owned\u{9c}",
        "\u{202e}drawkcab\u{202c}",
        "\u{2066}isolated\u{2069}",
        "\u{200e}\u{200f}\u{61c}",
        "ze\u{200b}ro\u{200d}wi\u{2060}dth\u{feff}",
        "tag\u{e0041}\u{e007f}",
        "line\u{2028}para\u{2029}",
        "soft\u{ad}hyphen",
        "cr\rlf\r\nvt\u{b}ff\u{c}nel\u{85}",
        "\u{fffd}\u{fffe}\u{ffff}",
        "https://user@evil.example/\u{1b}]8;;\u{7}",
        "**bold\u{1b}[2J** `co\u{7}de`",
        "שלום\u{202e}abc",
        "12) שלום (3 abc 4 שלום",
        "{ $name } { rooms-title }",
    ] {
        texts.push(sequence.to_owned());
    }
    texts.push(format!("e{}", "\u{301}".repeat(10_000)));
    texts.push("\u{301}".repeat(100));
    texts.push("👨\u{200d}".repeat(2_000));
    texts.push(String::from_utf8_lossy(b"bad \xff\xfe\xc3\x28 utf8").into_owned());
    texts.push("x".repeat(5_000));
    texts
}

/// The screen in a terminal, in a language, which has said `text` in every place that somebody else can fill.
fn shown(text: &str, language: Language) -> (vt100::Parser, Vec<u8>) {
    let mut bad = room(1, text, RoomStatus::Joined, 0);
    bad.blocked_by = Some(text.to_owned());
    let mut spoken = message(1, 0, "bob", text);
    spoken.sender.as_mut().unwrap().name = text.to_owned();
    spoken.marks.reactions =
        vec![crate::engine::types::Reaction { emoji: text.to_owned(), by: vec![text.to_owned()], me: false }];
    let mut stage = Stage::with(80, 24, vec![bad], vec![spoken, aside(2, 1, Body::Notice(text.to_owned()))]);
    stage.app.prefs.language = language;
    stage.app.speak();
    let mut full = details(1, text);
    full.topic = text.to_owned();
    full.members[0].name = text.to_owned();
    stage.tell(Msg::Done(Command::LoadRoom(id(1)), Answer::Room(Box::new(full))));
    stage.tell(Msg::Engine(Event::Connection(Connection::Offline(text.to_owned()))));

    let wire = Wire::default();
    let mut terminal = Terminal::with_options(
        CrosstermBackend::new(wire.clone()),
        ratatui::TerminalOptions {
            viewport: ratatui::Viewport::Fixed(ratatui::layout::Rect::new(0, 0, 80, 24)),
        },
    )
    .unwrap();
    let mut before = ratatui::buffer::Buffer::default();
    for keys in ["", "<Up>", "<Up><Enter>", "<Esc><F2>", "<Esc><C-p>", "<Esc><Esc>"] {
        stage.press(keys);
        let buffer = terminal.draw(|frame| view(&stage.app, frame)).unwrap().buffer.clone();
        emit::uncertain_rows(terminal.backend_mut(), &before, &buffer, None).unwrap();
        emit::links(terminal.backend_mut(), &buffer, &[], &links(&stage.app)).unwrap();
        before = buffer;
    }
    let bytes = wire.0.lock().unwrap().clone();
    let some = |cells| NonZeroU16::new(cells).unwrap();
    let mut parser = vt100::Parser::new(some(24), some(80), 0);
    parser.process(b"\x1b[?1049h\x1b[?2004h\x1b[?7l\x1b]0;mine\x07");
    parser.process(&bytes);
    (parser, bytes)
}

#[test]
fn no_text_does_more_than_to_be_seen() {
    for (text, language) in
        corpus().into_iter().flat_map(|text| [(text.clone(), Language::English), (text, Language::Hebrew)])
    {
        let (parser, bytes) = shown(&text, language);
        let screen = parser.screen();
        assert!(screen.alternate_screen() && screen.bracketed_paste(), "{text:?}");
        assert!(!screen.application_keypad() && !screen.application_cursor(), "{text:?}");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "{text:?}");
        let written = String::from_utf8_lossy(&bytes);
        // What is not drawn are cursor moves, colours, and addresses: nothing else begins with an escape.
        for after in written.split('\u{1b}').skip(1) {
            let known = match after.chars().next() {
                Some('[') => {
                    let rest = after[1..].trim_start_matches(|c: char| c.is_ascii_digit() || ";".contains(c));
                    rest.starts_with(['H', 'm']) || after.starts_with("[?25") || after.starts_with("[2K")
                }
                Some(']') => after.starts_with("]8;;"),
                Some('\\' | '7' | '8') => true,
                _ => false,
            };
            assert!(known, "{text:?}: {:?}", after.chars().take(12).collect::<String>());
        }
        for forbidden in [
            "\u{7}",
            "\u{9b}",
            "\u{9d}",
            "\u{202e}",
            "\u{200b}",
            "\u{200f}",
            "\u{feff}",
            "\u{1b}]52",
            "\u{1b}]0",
        ] {
            assert!(!written.contains(forbidden), "{text:?}: {forbidden:?}");
        }
        // Neighbours keep their places: the border of the rooms is where it was.
        let rows: Vec<_> = screen.rows(0, 80).collect();
        let title = if language == Language::Hebrew { "                  םירדח" } else { "Rooms" };
        assert!(rows[0].starts_with(title), "{text:?}: {rows:#?}");
        for row in 0..10 {
            let border = screen.cell(row, 23).map(|cell| cell.contents().to_owned());
            assert_eq!(border.as_deref(), Some("│"), "{text:?}, row {row}: {rows:#?}");
        }
    }
}
