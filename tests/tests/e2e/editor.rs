//! The user's own editor, out of the screen: it has the terminal while it runs, and nothing stays of what is written there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use qchat_tests::client::Client;

use crate::terminal::Terminal;

/// Opens the editor.
const EDIT: &str = "\u{1b}e";

/// Somebody who looks at the sample data, and has an editor.
struct Writer {
    client: Client,
    /// Where the text is put meanwhile.
    runtime: PathBuf,
}

impl Writer {
    fn new() -> Self {
        let client = Client::new("http://127.0.0.1:9", "nobody");
        let runtime = client.file("runtime");
        fs::create_dir(&runtime).expect("a directory");
        Self { client, runtime }
    }

    /// A program of these lines.
    fn script(&self, lines: &str) -> String {
        let path = self.client.file("editor");
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("its mode");
        path.to_str().expect("a UTF-8 path").to_owned()
    }

    /// The screen, with something begun.
    fn open(&self, variables: &[(&str, &str)]) -> Terminal {
        let mut command = self.client.command(&["--demo"]);
        command.env("XDG_RUNTIME_DIR", &self.runtime).env("COLORFGBG", "15;0");
        command.envs(variables.iter().copied());
        let mut screen = Terminal::open(&command, 24, 80);
        screen.shows("dora invites you");
        screen.press("\t\t\tbegun");
        screen.shows("> begun");
        screen
    }

    /// What of the text is still there.
    fn left(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.runtime).expect("a directory");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

fn told(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn what_is_written_in_an_editor_comes_back_and_the_terminal_is_the_editors_meanwhile() {
    let writer = Writer::new();
    let seen = writer.client.file("seen");
    let seen_at = seen.to_str().expect("a UTF-8 path");
    // It reads a line of the terminal's, as only one in its usual modes has them.
    let editor = writer.script(&format!(
        "{{ stat -c %a \"$2\" \"${{2%/*}}\"; echo \"$1\"; cat \"$2\"; echo; stty -a; }} > {seen_at}\n\
         touch \"$2~\"\necho 'the editor is here'\nread line\nprintf 'said %s\\nand more\\n' \"$line\" > \"$2\""
    ));
    for variables in [
        &[("VISUAL", format!("{editor} --quick")), ("EDITOR", "false".to_owned())][..],
        &[("EDITOR", format!("{editor} --quick"))],
    ] {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut screen = writer.open(&variables);
        let modes = screen.frame(0).1;
        screen.press(EDIT);
        screen.wait_for("the editor alone", |screen| {
            screen.contains("the editor is here") && !screen.contains("begun")
        });
        let lent = screen.frame(0).1;
        assert!(lent.starts_with("false false") && lent.contains(" None "), "{lent}");
        screen.press("aloud\r");
        screen.shows("> said aloud");
        screen.shows("and more");
        assert_eq!(screen.frame(0).1, modes, "the terminal is as it was");
        let seen = told(&seen);
        let lines: Vec<&str> = seen.lines().collect();
        assert_eq!(lines[..4], ["600", "700", "--quick", "begun"], "{seen}");
        let modes: Vec<&str> = seen.split_whitespace().collect();
        assert!(["icanon", "echo", "isig"].iter().all(|mode| modes.contains(mode)), "{seen}");
        assert!(writer.left().is_empty());
        // Keys are keys again.
        screen.press("!");
        screen.shows("and more!");
        screen.press("\u{11}");
        screen.ends_in_order();
    }
}

#[test]
fn an_editor_that_comes_to_nothing_leaves_the_text_as_it_was_and_nothing_else() {
    let writer = Writer::new();
    for (lines, words) in [
        ("printf changed > \"$1\"; exit 3", "the editor has failed"),
        ("printf changed > \"$1\"; kill -KILL $$", "the editor has failed"),
        ("rm \"$1\"", "did not leave the text"),
    ] {
        let editor = writer.script(lines);
        let mut screen = writer.open(&[("VISUAL", &editor)]);
        screen.press(EDIT);
        screen.wait_for(lines, |screen| screen.contains(words) && screen.contains("> begun"));
        assert!(writer.left().is_empty(), "{lines}");
        screen.press("\u{11}");
        screen.ends_in_order();
    }
    for (editor, words) in [("/no/such/editor --quick", "does not start"), ("'", "makes no sense")] {
        let mut screen = writer.open(&[("VISUAL", editor)]);
        screen.press(EDIT);
        screen.wait_for(editor, |screen| screen.contains(words) && screen.contains("> begun"));
        assert!(writer.left().is_empty(), "{editor}");
        screen.press("\u{11}");
        screen.ends_in_order();
    }
}
