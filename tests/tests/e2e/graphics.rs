//! Pictures that the terminal draws itself: what is written to it for each protocol, and that nothing of it stays.

use std::process::Command;

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
};

use crate::terminal::Terminal;

/// A red picture of 24 by 24 pixels.
const RED: &str = "89504e470d0a1a0a0000000d49484452000000180000001808020000006f15aaaf0000001f4944415478da633821274715c4306ad0a841a3068d1a346ad0a841036f1000c6b5491f2c3e76060000000049454e44ae426082";

/// What begins and ends what is shown at once.
const BEGIN: &str = "\u{1b}[?2026h";
const END: &str = "\u{1b}[?2026l";
/// What empties the screen.
const CLEAR: &str = "\u{1b}[2J";
/// What stands in a cell that kitty draws a part of a picture in.
const PLACEHOLDER: char = '\u{10eeee}';

/// A protocol, as a terminal sees it.
struct Protocol {
    /// What the environment says where there is one that has it.
    term: &'static str,
    program: &'static str,
    /// How a picture begins, and what deletes it.
    begins: &'static str,
    deletes: Option<&'static str>,
}

const PROTOCOLS: [Protocol; 3] = [
    Protocol {
        term: "xterm-kitty",
        program: "",
        begins: "\u{1b}_Gq=2,i=",
        deletes: Some("\u{1b}_Ga=d,d=I,i="),
    },
    Protocol { term: "foot", program: "", begins: "\u{1b}P", deletes: None },
    Protocol {
        term: "xterm-256color",
        program: "WezTerm",
        begins: "\u{1b}]1337;File=inline=1;",
        deletes: None,
    },
];

impl Protocol {
    fn terminal(&self, mut command: Command) -> Terminal {
        command.env("TERM", self.term).env("TERM_PROGRAM", self.program).env("COLORFGBG", "15;0");
        Terminal::with_pixels(&command, 24, 80)
    }

    /// Waits until a picture is on the terminal, and says what was written till then.
    #[track_caller]
    fn painted(&self, terminal: &mut Terminal) -> String {
        let shown = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.split_once(self.begins).is_some_and(|(_, rest)| rest.contains(END))
        };
        terminal.wait_for_bytes(self.term, shown);
        text(terminal.written())
    }

    /// That `written` takes the picture away, and does not bring it back.
    #[track_caller]
    fn is_taken_away(&self, written: &str) {
        if let Some(deletes) = self.deletes {
            assert!(written.contains(deletes), "{}: {written:?}", self.term);
        }
        assert!(written.contains(CLEAR), "{}: {written:?}", self.term);
        assert!(!written.rsplit(CLEAR).next().unwrap_or_default().contains(self.begins), "{}", self.term);
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text alone is written")
}

/// Looks at the picture of the sample data.
fn look(terminal: &mut Terminal) {
    terminal.shows("dora invites you");
    terminal.press("\t\t");
    terminal.shows(".png");
    terminal.press("\u{1b}[1;2Av");
}

#[test]
fn a_picture_is_shown_at_once_between_the_other_cells_and_gone_when_it_is_closed() {
    let nobody = Client::new("http://127.0.0.1:9", "nobody");
    for protocol in &PROTOCOLS {
        let mut screen = protocol.terminal(nobody.command(&["--demo"]));
        look(&mut screen);
        let written = protocol.painted(&mut screen);
        // One frame has all of it, and nothing is asked.
        let (before, after) = written.split_once(protocol.begins).expect("a picture");
        let frame = before.rsplit(BEGIN).next().expect("a frame");
        assert!(!frame.contains(END) && before.contains(BEGIN), "{}", protocol.term);
        assert!(after.split(END).next().is_some_and(|rest| rest.ends_with("\u{1b}8")), "{}", protocol.term);
        for question in ["\u{1b}[c", "\u{1b}[6n", "\u{1b}[14t", "\u{1b}[16t", "a=q"] {
            assert!(!written.contains(question), "{}: {question:?}", protocol.term);
        }
        // What is said stands where it does without a picture.
        screen.shows("96 × 64 pixels");
        let list = screen.frame(24).0;
        let placeholders = screen.contents().matches(PLACEHOLDER).count();
        assert_eq!(placeholders, if protocol.deletes.is_some() { 40 } else { 0 }, "{}", protocol.term);

        // Another size paints it once more, where it stands then.
        screen.resize(30, 90);
        protocol.painted(&mut screen);
        screen.resize(24, 80);
        protocol.painted(&mut screen);
        screen.press("\u{1b}");
        screen.wait_for("the messages", |screen| screen.contains(".png") && !screen.contains("pixels"));
        screen.wait_for_bytes("a whole frame", |bytes| bytes.ends_with(END.as_bytes()));
        protocol.is_taken_away(&text(screen.written()));
        assert!(!screen.contents().contains(PLACEHOLDER));
        // The last row says other keys, and the room that was passed may count as read by now.
        let stays = |(at, _): &(usize, &String)| ![2, 23].contains(at);
        let now = screen.frame(24).0;
        assert!(
            now.iter().enumerate().filter(stays).eq(list.iter().enumerate().filter(stays)),
            "{now:?}\n{list:?}"
        );
        screen.press("\u{11}");
        screen.ends_in_order();
    }
}

#[test]
fn a_program_that_ends_leaves_no_picture_behind() {
    let nobody = Client::new("http://127.0.0.1:9", "nobody");
    for protocol in &PROTOCOLS {
        for signal in [None, Some("TERM"), Some("HUP"), Some("INT")] {
            let mut screen = protocol.terminal(nobody.command(&["--demo"]));
            look(&mut screen);
            protocol.painted(&mut screen);
            match signal {
                None => screen.press("\u{11}"),
                Some(signal) => screen.signal(signal),
            }
            let written = text(screen.ends_in_order());
            let (before, _) = written.split_once("\u{1b}[?1049l").expect("the terminal is given back");
            protocol.is_taken_away(before);
        }
    }
}

#[test]
fn a_terminal_that_says_too_little_has_half_blocks_and_one_that_is_told_more_does_as_it_is_told() {
    let nobody = Client::new("http://127.0.0.1:9", "nobody");
    for (graphics, expected) in
        [("auto", None), ("halfblocks", None), ("kitty", Some(0)), ("sixel", Some(1)), ("iterm2", Some(2))]
    {
        let mut command = nobody.command(&["--demo", "--graphics", graphics]);
        command.env("COLORFGBG", "15;0");
        let mut screen = Terminal::with_pixels(&command, 24, 80);
        look(&mut screen);
        if let Some(expected) = expected {
            PROTOCOLS[expected].painted(&mut screen);
        } else {
            screen.wait_for("half-blocks", |screen| screen.contains('▀') || screen.contains('▄'));
        }
        screen.press("\u{11}");
        screen.ends_in_order();
    }
    // No size of a cell is known.
    let mut command = nobody.command(&["--demo"]);
    command.env("TERM", "xterm-kitty").env("COLORFGBG", "15;0");
    let mut screen = Terminal::open(&command, 24, 80);
    look(&mut screen);
    screen.wait_for("half-blocks", |screen| screen.contains('▀') || screen.contains('▄'));
    screen.press("\u{11}");
    screen.ends_in_order();
    let mut screen = Terminal::open(&nobody.command(&["--demo", "--graphics", "none"]), 24, 80);
    look(&mut screen);
    screen.shows("Pictures are switched off");
    screen.press("\u{11}");
    screen.ends_in_order();
}

#[test]
fn a_locked_screen_leaves_no_picture_on_the_terminal() {
    let daemon = Daemon::start(Backend::Sqlite);
    let (alice, bob) = (Client::register(&daemon.url(), "alice"), Client::register(&daemon.url(), "bob"));
    client::room("general", &[&alice, &bob]);
    let file = bob.file("red.png");
    std::fs::write(&file, hex::decode(RED).expect("hexadecimal digits")).expect("a file");
    bob.ok(&["send", "general", "--file", file.to_str().expect("a UTF-8 path")]);
    for protocol in &PROTOCOLS {
        let mut screen = protocol.terminal(alice.command(&["--lock-after-idle", "3s"]));
        screen.shows("red.png");
        screen.press("\u{1b}[1;2Av");
        protocol.painted(&mut screen);
        screen.shows("Locked");
        screen.wait_for_bytes("a whole frame", |bytes| bytes.ends_with(END.as_bytes()));
        protocol.is_taken_away(&text(screen.written()));
        assert!(!screen.contents().contains(PLACEHOLDER), "{}", protocol.term);
        screen.press(&format!("{}\r", alice.passphrase()));
        protocol.painted(&mut screen);
        screen.press("\u{11}");
        screen.ends_in_order();
    }
}
