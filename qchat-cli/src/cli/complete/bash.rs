//! Bash puts what it is offered into the line as it stands, so everything is quoted here: a room's name, which somebody
//! else chose, would otherwise run when the line does.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::Path,
};

use clap::Command;
use clap_complete::{
    engine::{self, CompletionCandidate},
    env::EnvCompleter,
};

use super::{INDEX, index, words::Line};

/// The adapter for Bash.
pub(super) struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    /// Lines are read one by one: an unquoted expansion would take `*` for a pattern. What is offered ends with a space
    /// unless there is more to come.
    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        program: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        writeln!(
            out,
            r#"_{name}_complete() {{
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <({variable}=bash {INDEX}=$COMP_CWORD command {completer} -- "${{COMP_WORDS[@]}}" 2>/dev/null </dev/null)
    if [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == */ ]]; then
        compopt -o nospace 2>/dev/null
    fi
}}
complete -o nosort -F _{name}_complete {program}"#
        )
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        current_dir: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let line = Line::read(&words, index().unwrap_or(0));
        let empty = line.words.get(line.index).is_some_and(|word| word.is_empty());
        let mut candidates = engine::complete(command, line.words, line.index, current_dir)?;
        // Who has typed nothing yet looks for a command or a room first.
        let is_option =
            |candidate: &CompletionCandidate| candidate.get_value().as_encoded_bytes().starts_with(b"-");
        if empty && !candidates.iter().all(is_option) {
            candidates.retain(|candidate| !is_option(candidate));
        }
        for candidate in candidates {
            let value = candidate.get_value().to_str().and_then(|value| value.strip_prefix(&line.kept));
            if let Some(word) = value.and_then(|value| quoted(value, line.open)) {
                writeln!(out, "{word}")?;
            }
        }
        Ok(())
    }
}

/// A word for this place of the line, such that Bash reads exactly `value` there; `None` where that cannot be written.
fn quoted(value: &str, open: Option<char>) -> Option<String> {
    let harmless = |c: char| {
        c.is_ascii_alphanumeric() || "_-./,+@%".contains(c) || (!c.is_ascii() && !c.is_whitespace())
    };
    if value.chars().any(char::is_control) {
        return None;
    }
    if open.is_some() {
        // Between quotes a space is harmless too; what else could end them, or be expanded, is not offered.
        return value.chars().all(|c| harmless(c) || c == ' ').then(|| value.to_owned());
    }
    let mut word = String::with_capacity(value.len());
    for c in value.chars() {
        if !harmless(c) {
            word.push('\\');
        }
        word.push(c);
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_offered_that_bash_would_read_otherwise() {
        for (value, open, word) in [
            ("general", None, Some("general")),
            ("two words", None, Some("two\\ words")),
            ("$(touch x)", None, Some("\\$\\(touch\\ x\\)")),
            ("a'b\"c`d!e~f*g?[h]{i}", None, Some("a\\'b\\\"c\\`d\\!e\\~f\\*g\\?\\[h\\]\\{i\\}")),
            ("größe", None, Some("größe")),
            ("two\nlines", None, None),
            ("two words", Some('\''), Some("two words")),
            ("it's", Some('\''), None),
            ("$HOME", Some('"'), None),
        ] {
            assert_eq!(quoted(value, open).as_deref(), word, "{value} {open:?}");
        }
    }
}
