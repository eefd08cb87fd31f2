//! What is looked for, in the form that the index understands, and texts in the form in which they are put into it.

use std::borrow::Cow;

/// Stands between the letters of scripts that put no spaces between words. It is in no text: see [`spaced`].
pub(super) const BETWEEN: char = '\u{3}';

/// A word or phrase that is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Term {
    text: String,
    prefix: bool,
}

impl Term {
    /// A word, or a phrase: words that stand behind one another. `prefix`: the last word is the beginning of one. `None` when there
    /// is no letter and no digit in it: nothing else is found.
    pub fn new(text: &str, prefix: bool) -> Option<Self> {
        text.chars().any(char::is_alphanumeric).then(|| Self { text: text.to_owned(), prefix })
    }
}

/// The terms as an FTS5 expression: a message has all of them. Each is a string of that language, in which nothing has a meaning
/// but the quote, which is doubled.
pub(super) fn expression(terms: &[Term]) -> String {
    let term = |term: &Term| {
        let text = spaced(&term.text).replace('"', "\"\"");
        format!("\"{text}\"{}", if term.prefix { "*" } else { "" })
    };
    terms.iter().map(term).collect::<Vec<_>>().join(" ")
}

/// A text as it is put into the index.
///
/// Chinese, Japanese, Korean and the scripts of South-East Asia put no spaces between words, and for the tokenizer a whole sentence
/// would be one word. Here each of their letters is a word of its own, and what is looked for in them a phrase of such words: any
/// piece of a sentence is found, of one letter or more. The trigram tokenizer finds no word of two letters, which most of these
/// are, and makes the index of all other languages three times as large; LIKE reads every message that there is.
///
/// Control characters become spaces, which separate words as they do: so they can mark places in what comes back. What
/// this function gives for a text must not change while an index stands that was made with it.
pub(super) fn spaced(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c.is_ascii_control() || stands_alone(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if c.is_ascii_control() {
            out.push(' ');
        } else if stands_alone(c) {
            out.extend([BETWEEN, c, BETWEEN]);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a letter belongs to a script that is written without spaces; Korean has some, and its words grow at their ends.
fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{318f}' | '\u{31a0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ffdc}' | '\u{1b000}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}')
}
