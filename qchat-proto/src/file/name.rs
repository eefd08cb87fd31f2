//! A name that somebody else chose, made one that a file here may have: it stays in its directory, hides nothing, and means
//! nothing to a shell or another system.

use unicode_normalization::UnicodeNormalization;

use crate::sanitize;

/// Longest name, bytes: file systems take 255, and a temporary name is longer.
const MOST: usize = 200;
/// Longest extension that is kept when a name is cut off, bytes.
const EXTENSION: usize = 16;
/// How often a name is looked at again before it is given up.
const PASSES: usize = 8;
/// What a file is called whose name leaves nothing.
const NAMELESS: &str = "file";

/// The name under which a received file may be kept: a single component of a path, not hidden, 1 to 200 bytes, without
/// separators, control, invisible and direction-changing characters, not one of Windows' devices, and no option to a command.
/// Applied twice it changes nothing more.
pub fn safe_name(name: &str) -> String {
    let mut safe = pass(name);
    // What was taken away may have been what another character had a right to stand beside.
    for _ in 0..PASSES {
        let again = pass(&safe);
        if again == safe {
            return safe;
        }
        safe = again;
    }
    NAMELESS.to_owned()
}

fn pass(name: &str) -> String {
    let composed: String = name.nfc().collect();
    // What could act is visible now, as `\u{…}`, and its signs go with the others that file systems do not take.
    let shown = sanitize::line(&composed);
    let mut safe = String::with_capacity(shown.len());
    let mut was_space = false;
    for c in shown.chars() {
        let c = match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '`' | '$' | '{' | '}' => '_',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if !(c == ' ' && was_space) {
            safe.push(c);
        }
        was_space = c == ' ';
    }
    let mut safe = trimmed(&safe).to_owned();
    if safe.starts_with(['-', '~']) {
        safe.replace_range(..1, "_");
    }
    if is_device(&safe) {
        safe.insert(0, '_');
    }
    cut(&mut safe);
    if safe.is_empty() { NAMELESS.to_owned() } else { safe }
}

/// Without white space and dots around it: a leading dot hides, a trailing one is dropped by some systems.
fn trimmed(name: &str) -> &str {
    name.trim_matches([' ', '.'])
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or("").trim_end();
    let numbered = |prefix: &str| {
        stem.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
            && stem.get(3..).is_some_and(|rest| {
                let mut rest = rest.chars();
                matches!(rest.next(), Some('1'..='9' | '¹' | '²' | '³')) && rest.next().is_none()
            })
    };
    ["con", "prn", "aux", "nul", "conin_", "conout_"].iter().any(|device| stem.eq_ignore_ascii_case(device))
        || numbered("com")
        || numbered("lpt")
}

/// Cuts what is too long out of the middle: the extension says what it is.
fn cut(name: &mut String) {
    if name.len() <= MOST {
        return;
    }
    let extension = match name.rfind('.') {
        Some(at) if (2..=EXTENSION).contains(&(name.len() - at)) => name.split_off(at),
        _ => String::new(),
    };
    let mut end = MOST - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    // A joiner whose neighbour was cut off joins nothing, and hides.
    name.truncate(name.trim_end_matches([' ', '.', '\u{200c}', '\u{200d}']).len());
    name.push_str(&extension);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_become_harmless_ones() {
        let long = format!("{}.tar.gz", "x".repeat(300));
        for (name, safe) in [
            ("notes.txt", "notes.txt"),
            ("Übersicht 2026 – final.pdf", "Übersicht 2026 – final.pdf"),
            ("照片.jpg", "照片.jpg"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            ("..\\..\\boot.ini", "_.._boot.ini"),
            ("C:\\Windows\\x", "C__Windows_x"),
            ("..", "file"),
            (".", "file"),
            ("", "file"),
            ("   ", "file"),
            (".bashrc", "bashrc"),
            (". .ssh", "ssh"),
            ("-rf", "_rf"),
            ("~root", "_root"),
            ("a\0b", "a_u_0_b"),
            ("a\nb\r\tc", "a_nb_r c"),
            (".\u{301}x", "\u{25cc}\u{301}x"),
            ("gpj\u{202e}exe.txt", "gpj_u_202e_exe.txt"),
            ("pay\u{200b}pal", "pay_u_200b_pal"),
            ("\u{1b}[31mred", "_u_1b_[31mred"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("nul .x", "_nul .x"),
            ("COM1.log", "_COM1.log"),
            ("COM10", "COM10"),
            ("trailing. . ", "trailing"),
            ("`id`$(id)", "_id__(id)"),
            ("e\u{301}.txt", "é.txt"),
        ] {
            assert_eq!(safe_name(name), safe, "{name:?}");
        }
        let cut = safe_name(&long);
        assert!(cut.len() == MOST && cut.split('.').next_back() == Some("gz"), "{cut}");
        assert!(safe_name(&"é".repeat(300)).len() <= MOST);
    }

    proptest! {
        #[test]
        fn a_safe_name_is_one_component_and_stays_as_it_is(name in "\\PC{0,300}|[./\\\\ ~\\-\\x00-\\x1f\u{202e}\u{200b}a-z]{0,40}|.{0,60}") {
            let safe = safe_name(&name);
            prop_assert!((1..=MOST).contains(&safe.len()));
            prop_assert!(!safe.contains(['/', '\\', '\0']) && !safe.starts_with(['.', '-', '~', ' ']));
            prop_assert!(!safe.ends_with(['.', ' ']));
            prop_assert_eq!(sanitize::line(&safe), &safe[..]);
            prop_assert_eq!(std::path::Path::new(&safe).file_name(), Some(safe.as_ref()));
            prop_assert_eq!(safe_name(&safe), safe);
        }
    }
}
