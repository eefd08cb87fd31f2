//! Words of a command line as their user has typed them, quotes included.

use std::{ffi::OsString, path::Path};

use clap::Command;
use clap_complete::env::EnvCompleter;

/// A word without its quotes, and the quote that is still open at its end.
pub(super) fn unquoted(word: &str) -> (String, Option<char>) {
    let mut plain = String::with_capacity(word.len());
    let mut open = None;
    let mut rest = word.chars().peekable();
    while let Some(c) = rest.next() {
        match (open, c) {
            (Some(quote), c) if c == quote => open = None,
            (None, '\'' | '"') => open = Some(c),
            (None, '\\') => plain.extend(rest.next()),
            (Some('"'), '\\') => match rest.next_if(|next| matches!(next, '$' | '`' | '"' | '\\')) {
                Some(next) => plain.push(next),
                None => plain.push('\\'),
            },
            (_, c) => plain.push(c),
        }
    }
    (plain, open)
}

/// The command line as clap reads it.
pub(super) struct Line {
    pub(super) words: Vec<OsString>,
    pub(super) index: usize,
    /// What of the word to complete stays in the line, because Bash takes it for a word of its own.
    pub(super) kept: String,
    /// The quote that the word to complete has opened.
    pub(super) open: Option<char>,
}

impl Line {
    /// Puts together what Bash has taken apart: `--profile=alice` comes as three words.
    pub(super) fn read(given: &[OsString], index: usize) -> Self {
        let mut line = Self { words: vec![], index: 0, kept: String::new(), open: None };
        let mut joining = false;
        for (at, word) in given.iter().enumerate() {
            let (plain, open) = unquoted(&word.to_string_lossy());
            let option =
                line.words.last().and_then(|last| last.to_str()).is_some_and(|last| last.starts_with("--"));
            let equals = word == "=" && option && !joining;
            let last = line.words.last_mut().filter(|_| equals || joining);
            let kept = last.as_ref().map(|last| last.to_string_lossy().into_owned()).unwrap_or_default();
            match last {
                Some(last) => last.push(&plain),
                None => line.words.push(plain.into()),
            }
            joining = equals;
            if at == index {
                line.index = line.words.len() - 1;
                line.kept = if equals { format!("{kept}=") } else { kept };
                line.open = open;
            }
        }
        line
    }
}

/// A shell that quotes what it is offered by itself, but gives words with their quotes.
pub(super) struct Unquoted<T>(pub(super) T);

impl<T: EnvCompleter> EnvCompleter for Unquoted<T> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn is(&self, name: &str) -> bool {
        self.0.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn std::io::Write,
    ) -> std::io::Result<()> {
        self.0.write_registration(var, name, bin, completer, buf)
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn std::io::Write,
    ) -> std::io::Result<()> {
        let plain = |word: OsString| word.to_str().map(|word| unquoted(word).0.into()).unwrap_or(word);
        let words = words.into_iter().map(plain).collect();
        self.0.write_complete(command, words, current_dir, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bash_took_apart_is_one_word_again() {
        for (given, index, words, at, kept) in [
            (&["qchat", "send", "ge"][..], 2, &["qchat", "send", "ge"][..], 2, ""),
            (&["qchat", "--profile", "=", "al"], 3, &["qchat", "--profile=al"], 1, "--profile="),
            (&["qchat", "--profile", "="], 2, &["qchat", "--profile="], 1, "--profile="),
            (&["qchat", "--profile", "=", "a", "send", ""], 5, &["qchat", "--profile=a", "send", ""], 3, ""),
            (&["qchat", "send", "my\\ ro"], 2, &["qchat", "send", "my ro"], 2, ""),
            (&["qchat", "send", "a", "=", "b"], 4, &["qchat", "send", "a", "=", "b"], 4, ""),
        ] {
            let given: Vec<OsString> = given.iter().map(OsString::from).collect();
            let line = Line::read(&given, index);
            assert_eq!(line.words, words, "{given:?}");
            assert_eq!((line.index, line.kept.as_str()), (at, kept), "{given:?}");
        }
    }

    #[test]
    fn words_lose_their_quotes() {
        for (word, plain, open) in [
            ("plain", "plain", None),
            ("two\\ words", "two words", None),
            ("'two w", "two w", Some('\'')),
            ("\"a \\\"b\\\" \\c", "a \"b\" \\c", Some('"')),
            ("'it'\\''s'", "it's", None),
            ("end\\", "end", None),
        ] {
            assert_eq!(unquoted(word), (plain.to_owned(), open), "{word}");
        }
    }
}
