//! What peers sent, made fit for a terminal: every string that someone else chose goes through here before it is
//! shown, named or logged.
//!
//! Whatever could move the cursor, turn the line around, hide, or grow over its neighbours is made visible in place:
//! control characters and invisible ones as escapes like `\u{202e}`, a flood of combining marks as U+FFFD. Letters of
//! every script, right-to-left ones included, pass unchanged, and so do emoji with their joiners. The output is safe
//! to pass through again and does not change then.

use std::{borrow::Cow, iter::Peekable, str::Chars};

use unicode_normalization::char::is_combining_mark;

/// Most combining marks on one character; biblical Hebrew needs five.
const MOST_MARKS: usize = 5;
const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';
const CUT: char = '…';

/// A text of any number of lines: `\n` and `\r\n` become `\n`, a tab four spaces.
pub fn text(text: &str) -> Cow<'_, str> {
    clean(text, Form::Text)
}

/// A text on one line: line ends are shown as escapes, a tab becomes a space.
pub fn line(text: &str) -> Cow<'_, str> {
    clean(text, Form::Line)
}

/// A name, of at most `most` characters, on one line: outer white space is dropped, inner runs become one space, and
/// what is too long ends with `…`. May be empty.
pub fn name(text: &str, most: usize) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let cleaned = clean(&words.join(" "), Form::Line).into_owned();
    if cleaned.chars().count() <= most {
        return cleaned;
    }
    let mut cut: String = cleaned.chars().take(most.saturating_sub(1)).collect();
    // A joiner whose neighbour was cut off joins nothing, and hides.
    cut.truncate(cut.trim_end_matches([' ', ZWJ, ZWNJ]).len());
    if most > 0 {
        cut.push(CUT);
    }
    cut
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Line,
}

fn clean(text: &str, form: Form) -> Cow<'_, str> {
    let plain = |c: char| (form == Form::Text && c == '\n') || !(is_suspect(c) || is_combining_mark(c));
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    // The character that the next one follows, as it stands in the output; none at the start of a line.
    let mut before = None;
    let mut marks = 0;
    while let Some(c) = rest.next() {
        if is_combining_mark(c) && !is_suspect(c) {
            marks += 1;
            push_mark(&mut out, c, before, marks);
            before = Some(c);
            continue;
        }
        marks = 0;
        before = match c {
            '\n' if form == Form::Text => {
                out.push(c);
                None
            }
            '\r' if form == Form::Text && rest.peek() == Some(&'\n') => continue,
            '\t' => {
                out.push_str(if form == Form::Text { "    " } else { " " });
                Some(' ')
            }
            c if !is_suspect(c) || has_a_right_here(c, before, &mut rest) => {
                out.push(c);
                Some(c)
            }
            c => {
                out.extend(c.escape_default());
                Some('}')
            }
        };
    }
    Cow::Owned(out)
}

/// Keeps a mark on its character: at the start of a line it would sit on whatever the screen shows before it.
fn push_mark(out: &mut String, mark: char, before: Option<char>, count: usize) {
    if before.is_none() {
        out.push('\u{25cc}');
    }
    match count {
        count if count <= MOST_MARKS => out.push(mark),
        count if count == MOST_MARKS + 1 => out.push(char::REPLACEMENT_CHARACTER),
        _ => {}
    }
}

/// Whether a suspect character belongs to the writing around it: joiners in emoji and in scripts that spell with
/// them, presentation selectors after emoji.
fn has_a_right_here(c: char, before: Option<char>, rest: &mut Peekable<Chars<'_>>) -> bool {
    let Some(before) = before else { return false };
    match c {
        '\u{fe0e}' | '\u{fe0f}' => is_emoji(before) || matches!(before, '#' | '*' | '0'..='9'),
        ZWJ | ZWNJ => rest.peek().is_some_and(|&after| {
            let in_emoji = is_emoji(before) || matches!(before, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}');
            (c == ZWJ && in_emoji && is_emoji(after)) || (joins(before) && joins(after))
        }),
        _ => false,
    }
}

/// Letters and signs of the scripts that spell with joiners: Arabic to Syriac, and those of India.
fn joins(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{6d5}' | '\u{710}'..='\u{77f}' | '\u{904}'..='\u{df3}')
}

/// What a joiner may join: Extended_Pictographic (Unicode Technical Standard 51), rounded up to whole blocks.
fn is_emoji(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{23ff}' | '\u{24c2}' | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}'
        | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}')
}

/// Characters that act, hide or pretend, unless they have a right to be where they are.
fn is_suspect(c: char) -> bool {
    c.is_control()
        || is_bidi_control(c)
        || is_invisible(c)
        // Line and paragraph separator.
        || matches!(c, '\u{2028}' | '\u{2029}')
        // Private use: with icon fonts they can pass for marks of the program's own.
        || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
        // Noncharacters.
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Default_Ignorable_Code_Point of the Unicode Character Database, format characters of notations, interlinear
/// annotation, and the empty Braille pattern.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_people_write_is_left_alone() {
        for good in [
            "",
            "plain ASCII, with punctuation!",
            "two\nlines",
            "Grüße, čau, привет, γειά, こんにちは、你好　世界, 안녕",
            "שלום עולם, مرحبا بالعالم",
            "e\u{301} combined, Vie\u{302}\u{323}t, ש\u{5c1}\u{5bc}\u{5b8}\u{5bd}\u{591}",
            "می\u{200c}خواهم, क्\u{200d}ष",
            "👩\u{200d}👩\u{200d}👧\u{200d}👦 👍🏽 🏳\u{fe0f}\u{200d}🌈 👩🏽\u{200d}🚀 ❤\u{fe0f} 1\u{fe0f}\u{20e3} 🇩🇪 ☎\u{fe0e}",
        ] {
            assert_eq!(text(good), good);
        }
        assert!(matches!(text("nothing to do: ñ"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_acts_or_hides_is_made_visible() {
        for (bad, shown) in [
            ("\u{1b}[2J\u{1b}]0;owned\u{7}", r"\u{1b}[2J\u{1b}]0;owned\u{7}"),
            ("\u{9b}31m\u{7f}\0\u{8}", r"\u{9b}31m\u{7f}\u{0}\u{8}"),
            ("evil\u{202e}gpj.exe\u{2066}\u{200f}\u{61c}", r"evil\u{202e}gpj.exe\u{2066}\u{200f}\u{61c}"),
            ("al\u{200b}ice\u{200d}\u{2060}\u{feff}\u{ad}", r"al\u{200b}ice\u{200d}\u{2060}\u{feff}\u{ad}"),
            ("a\u{200c}b", r"a\u{200c}b"),
            ("क\u{200d}b", r"क\u{200d}b"),
            ("a\u{200d}क", r"a\u{200d}क"),
            ("a\u{fe0f}\u{e0041}\u{e01ef}\u{3164}", r"a\u{fe0f}\u{e0041}\u{e01ef}\u{3164}"),
            ("👩\u{200d}\u{200d}👩", r"👩\u{200d}\u{200d}👩"),
            ("👩\u{200d}", r"👩\u{200d}"),
            ("\u{200d}👩", r"\u{200d}👩"),
            ("\u{2028}\u{2029}\u{85}", r"\u{2028}\u{2029}\u{85}"),
            ("\u{ffff}\u{fdd0}\u{1fffe}\u{e0b0}\u{10fffd}", r"\u{ffff}\u{fdd0}\u{1fffe}\u{e0b0}\u{10fffd}"),
            ("a\r\nb\rc", "a\nb\\rc"),
            ("a\tb", "a    b"),
            ("\u{301}a\n\u{302}", "◌\u{301}a\n◌\u{302}"),
            (
                "z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}!",
                "z\u{300}\u{301}\u{302}\u{303}\u{304}\u{fffd}!",
            ),
        ] {
            assert_eq!(text(bad), shown, "{bad:?}");
        }
        assert_eq!(line("a\nb\tc"), r"a\nb c");
    }

    #[test]
    fn a_name_is_short_and_on_one_line() {
        for (given, most, shown) in [
            ("  the \n room\t", 20, "the room"),
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abcde…"),
            ("abcd efg", 6, "abcd…"),
            ("\u{202e}", 4, "\\u{…"),
            ("abc", 0, ""),
            (" \u{a0} ", 4, ""),
            ("👩\u{200d}👩\u{200d}👧x", 5, "👩\u{200d}👩…"),
            ("می\u{200c}خواهم", 4, "می…"),
        ] {
            assert_eq!(name(given, most), shown, "{given:?}");
        }
    }

    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>(),
            proptest::char::range('\0', '\u{ff}'),
            proptest::char::range('\u{2000}', '\u{206f}'),
            proptest::char::range('\u{300}', '\u{36f}'),
            proptest::char::range('\u{fe00}', '\u{feff}'),
            proptest::char::range('\u{1f3f0}', '\u{1f480}'),
            proptest::char::range('\u{e0000}', '\u{e01ff}'),
        ];
        proptest::collection::vec(piece, 0..60).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn nothing_gets_through(given in hostile(), most in 0_usize..40) {
            for (shown, newline) in [
                (text(&given).into_owned(), true),
                (line(&given).into_owned(), false),
                (name(&given, most), false),
            ] {
                for c in shown.chars() {
                    prop_assert!(!c.is_control() || (newline && c == '\n'), "{c:?} of {given:?}");
                    prop_assert!(!is_bidi_control(c), "{c:?} of {given:?}");
                    let hides = matches!(c, '\u{2028}' | '\u{200b}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}');
                    prop_assert!(!hides, "{c:?} of {given:?}");
                }
                let mut run = 0;
                for c in shown.chars() {
                    run = if is_combining_mark(c) { run + 1 } else { 0 };
                    // A selector after an emoji is a mark to Unicode, too.
                    prop_assert!(run <= MOST_MARKS + 1, "{given:?}");
                }
            }
            prop_assert!(name(&given, most).chars().count() <= most);
            let (once, one_line) = (text(&given), line(&given));
            prop_assert_eq!(text(&once), once.as_ref());
            prop_assert_eq!(line(&one_line), one_line.as_ref());
            let short = name(&given, most);
            prop_assert_eq!(name(&short, most), short);
        }
    }
}
