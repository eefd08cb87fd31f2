//! Text of a help message as text of a manual page.

use roff::{Inline, Roff, bold, roman};

/// Begins a page.
pub(crate) fn begin(title: &str, section: u8, source: &str) -> Roff {
    let kind = match section {
        5 => "File Formats",
        8 => "System Administration",
        _ => "User Commands",
    };
    let mut page = Roff::new();
    // No date: the same definitions make the same page on any day.
    let section = section.to_string();
    page.control("TH", [title.to_uppercase().as_str(), section.as_str(), "\"\"", source, kind]);
    page
}

/// Begins a part of a page.
pub(crate) fn heading(page: &mut Roff, title: &str) {
    page.control("SH", [title.to_uppercase().as_str()]);
}

/// A text with what stands between backticks in bold.
pub(crate) fn inlines(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(at, part)| if at % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// Paragraphs, which empty lines part.
pub(crate) fn paragraphs(page: &mut Roff, text: &str) {
    for (at, paragraph) in text.split("\n\n").enumerate() {
        if at > 0 {
            page.control("PP", []);
        }
        page.text(inlines(&paragraph.replace('\n', " ")));
    }
}

/// A help text, which may be written in paragraphs and without a full stop, as one piece of prose.
pub(crate) fn sentence(help: &str) -> String {
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    if help.is_empty() || help.ends_with(['.', '!', '?']) { help } else { format!("{help}.") }
}

/// Lines as they stand.
pub(crate) fn verbatim(page: &mut Roff, text: &str) {
    page.control("EX", []);
    for line in text.lines() {
        page.text([roman(line)]);
    }
    page.control("EE", []);
}

/// An entry of a list.
pub(crate) fn entry(page: &mut Roff, term: Vec<Inline>, text: &str) {
    page.control("TP", []);
    page.text(term);
    page.text(inlines(text));
}

/// A further paragraph of an entry.
pub(crate) fn more(page: &mut Roff, text: &str) {
    page.control("IP", []);
    page.text(inlines(text));
}

/// Names other pages.
pub(crate) fn see_also(page: &mut Roff, pages: &[(String, u8)]) {
    heading(page, "See also");
    let mut line = vec![];
    for (at, (name, section)) in pages.iter().enumerate() {
        if at > 0 {
            line.push(roman(", "));
        }
        line.push(bold(name.as_str()));
        line.push(roman(format!("({section})")));
    }
    page.text(line);
}

/// A part of what a help message says at its end: lines below a title, or a paragraph.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Titled { title: String, lines: Vec<String> },
    Paragraph(String),
}

/// Takes the end of a help message apart. The lines below a title are indented, and those that go on more than that.
pub(crate) fn parts(text: &str) -> Vec<Part> {
    let mut parts = vec![];
    for block in text.split("\n\n").map(|block| block.trim_matches('\n')).filter(|block| !block.is_empty()) {
        match block.split_once(":\n") {
            Some((title, rest)) if rest.lines().all(|line| line.starts_with("  ")) => {
                let mut lines: Vec<String> = vec![];
                for line in rest.lines() {
                    match (lines.last_mut(), line.strip_prefix("     ")) {
                        (Some(last), Some(more)) => last.extend([" ", more.trim_start()]),
                        _ => lines.push(line.trim_start_matches("  ").to_owned()),
                    }
                }
                parts.push(Part::Titled { title: title.to_owned(), lines });
            }
            _ => parts.push(Part::Paragraph(block.replace('\n', " "))),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_help_message_has_titles_and_paragraphs() {
        let text = "Examples:\n  a -b\n  c\n\nExit codes:\n  0  done,\n     and well\n\nData goes\nthere: and\nthere.";
        let titled = |title: &str, lines: &[&str]| Part::Titled {
            title: title.to_owned(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        assert_eq!(
            parts(text),
            [
                titled("Examples", &["a -b", "c"]),
                titled("Exit codes", &["0  done, and well"]),
                Part::Paragraph("Data goes there: and there.".to_owned()),
            ]
        );
    }

    #[test]
    fn no_text_is_taken_for_a_request_of_the_formatter() {
        let mut page = begin("x", 1, "x 1");
        paragraphs(&mut page, ".so /etc/passwd\n\n'br \\fB `.x` - end");
        verbatim(&mut page, ".nf\n'x");
        let text = page.render();
        for line in text.lines().skip_while(|line| !line.starts_with(".TH")) {
            let request = line.strip_prefix('.').map(|line| line.split(' ').next().unwrap_or_default());
            assert!(request.is_none_or(|name| ["TH", "PP", "EX", "EE"].contains(&name)), "{line}");
            assert!(!line.starts_with('\''), "{line}");
        }
        assert!(text.contains("\\\\fB") && text.contains("\\fB.x\\fR"), "{text}");
    }
}
