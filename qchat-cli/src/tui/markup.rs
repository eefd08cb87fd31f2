//! Markdown, lightly: what is bold, italic, code, a quote or a link is drawn so. The marks of emphasis and of code go; everything
//! else stays as it was written, so that nothing is hidden behind anything: the address of a link is what is seen.

use std::ops::Range;

use linkify::{LinkFinder, LinkKind};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use url::Url;

use super::theme::Theme;

/// Longest text that is looked through for markup, bytes: more is drawn as it is.
const LONGEST: usize = 16 * 1024;

/// A text with the places in it that look differently, and its links.
#[derive(Debug, Default)]
pub(super) struct Marked {
    /// What is drawn.
    pub(super) text: String,
    /// Styles of parts of it, in any order; one may lie over another.
    pub(super) styles: Vec<(Range<usize>, Style)>,
    /// Addresses in it, in their order.
    pub(super) links: Vec<(Range<usize>, String)>,
}

impl Marked {
    /// A text as it is.
    pub(super) fn plain(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    /// Reads a clean text.
    pub(super) fn read(source: &str, theme: Theme) -> Self {
        let mut marked =
            if source.len() > LONGEST { Self::plain(source.to_owned()) } else { emphasis(source, theme) };
        marked.find_links(theme);
        marked
    }

    /// The style of the place `at`, on top of `base`.
    pub(super) fn style(&self, at: usize, base: Style) -> Style {
        self.styles
            .iter()
            .filter(|(range, _)| range.contains(&at))
            .fold(base, |style, (_, over)| style.patch(*over))
    }

    /// Marks every place of a name after an `@`.
    pub(super) fn mention(&mut self, name: &str, style: Style) {
        let wanted = format!("@{}", name.to_lowercase());
        let lower = self.text.to_lowercase();
        // Where letters change their size with their case, places do not fit.
        if lower.len() != self.text.len() {
            return;
        }
        let ends =
            |at: usize| !lower[at..].starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
        for (at, found) in lower.match_indices(&wanted) {
            if ends(at + found.len()) {
                self.styles.push((at..at + found.len(), style));
            }
        }
    }

    fn find_links(&mut self, theme: Theme) {
        let found: Vec<_> = addresses()
            .links(&self.text)
            .filter_map(|link| {
                let url = Url::parse(link.as_str()).ok().filter(is_followed)?;
                Some((link.start()..link.end(), url, link.as_str().to_owned()))
            })
            .collect();
        // From the end, so that places before stay.
        for (range, url, shown) in found.into_iter().rev() {
            self.styles.push((range.clone(), theme.link()));
            if let Some(host) = url.host_str().filter(|host| !shows_host(&shown, host)) {
                let note = format!(" [{host}]");
                self.insert(range.end, &note);
            }
            self.links.insert(0, (range, url.to_string()));
        }
    }

    fn insert(&mut self, at: usize, note: &str) {
        self.text.insert_str(at, note);
        let moved = |place: usize| if place > at { place + note.len() } else { place };
        for (range, _) in &mut self.styles {
            *range = moved(range.start)..moved(range.end);
        }
        for (range, _) in &mut self.links {
            *range = if range.start >= at {
                range.start + note.len()..range.end + note.len()
            } else {
                range.clone()
            };
        }
    }
}

fn addresses() -> LinkFinder {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]).url_must_have_scheme(true);
    finder
}

/// Kinds of addresses that become links.
fn is_followed(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https" | "mailto" | "ftp" | "gemini" | "matrix")
        && url.as_str().len() <= 2048
}

/// Whether an address that is seen begins with the host that it leads to: no name of somebody's before it, and no letters that
/// look like others.
fn shows_host(shown: &str, host: &str) -> bool {
    let rest = shown.split_once("://").map_or(shown, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.is_ascii()
        && !authority.contains('@')
        && authority.to_ascii_lowercase().starts_with(host)
        && !host.contains("xn--")
}

/// Emphasis, code and quotes: the marks of the first two go.
fn emphasis(source: &str, theme: Theme) -> Marked {
    let parser = Parser::new_ext(source, Options::ENABLE_STRIKETHROUGH).into_offset_iter();
    // What lies in the source between the marks of something, and what it looks like.
    let mut open: Vec<(Range<usize>, Style, Option<Range<usize>>)> = Vec::new();
    let mut styles: Vec<(Range<usize>, Style)> = Vec::new();
    let mut gone: Vec<Range<usize>> = Vec::new();
    let addresses: Vec<_> = addresses().links(source).map(|link| link.start()..link.end()).collect();
    // What looks like a mark in an address is a part of it, but for one at its end that something before it has begun.
    let is_address = |first: &Range<usize>, last: &Range<usize>| {
        addresses.iter().any(|address| {
            let has = |mark: &Range<usize>| address.start < mark.start && mark.start < address.end;
            has(first) || (has(last) && last.end < address.end)
        })
    };
    for (event, range) in parser {
        // Everything in something extends what lies between its marks.
        for (outer, _, inner) in &mut open {
            if !matches!(event, Event::End(_)) && outer.start <= range.start && range.end <= outer.end {
                *inner =
                    Some(inner.clone().map_or(range.clone(), |inner| {
                        inner.start.min(range.start)..inner.end.max(range.end)
                    }));
            }
        }
        match event {
            Event::Start(Tag::Strong) => open.push((range, Style::new().add_modifier(Modifier::BOLD), None)),
            Event::Start(Tag::Emphasis) => {
                open.push((range, Style::new().add_modifier(Modifier::ITALIC), None));
            }
            Event::Start(Tag::Strikethrough) => {
                open.push((range, Style::new().add_modifier(Modifier::CROSSED_OUT), None));
            }
            Event::Start(Tag::BlockQuote(_)) => styles.push((range, theme.quote())),
            Event::Start(Tag::CodeBlock(_)) => styles.push((range, theme.code())),
            Event::End(TagEnd::Strong | TagEnd::Emphasis | TagEnd::Strikethrough) => {
                if let Some((outer, style, Some(inner))) = open.pop() {
                    let (first, last) = (outer.start..inner.start, inner.end..outer.end);
                    if !is_address(&first, &last) {
                        gone.extend([first, last]);
                        styles.push((inner, style));
                    }
                }
            }
            Event::Code(_) => {
                let marks = source[range.clone()].bytes().take_while(|byte| *byte == b'`').count();
                if range.len() > 2 * marks {
                    gone.extend([range.start..range.start + marks, range.end - marks..range.end]);
                    styles.push((range.start + marks..range.end - marks, theme.code()));
                }
            }
            _ => {}
        }
    }
    gone.retain(|range| !range.is_empty());
    gone.sort_by_key(|range| range.start);
    without(source, &gone, styles)
}

/// The text without some parts, and the styles where their places have gone to.
fn without(source: &str, gone: &[Range<usize>], styles: Vec<(Range<usize>, Style)>) -> Marked {
    let mut text = String::with_capacity(source.len());
    let mut from = 0;
    for range in gone {
        text.push_str(source.get(from..range.start).unwrap_or_default());
        from = from.max(range.end);
    }
    text.push_str(source.get(from..).unwrap_or_default());
    let place = |at: usize| {
        let before: usize = gone.iter().map(|range| range.end.min(at).saturating_sub(range.start)).sum();
        at - before
    };
    let styles = styles.into_iter().map(|(range, style)| (place(range.start)..place(range.end), style));
    Marked { styles: styles.collect(), text, links: Vec::new() }
}

/// The code in a text, without anything around it: the blocks between fences, else what stands in the line.
pub(super) fn code(source: &str) -> Option<String> {
    let (mut blocks, mut inline, mut inside) = (String::new(), Vec::new(), false);
    for event in Parser::new(source) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => inside = true,
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => blocks.push_str(&text),
            Event::Code(text) => inline.push(text.to_string()),
            _ => {}
        }
    }
    let code = if blocks.is_empty() { inline.join("\n") } else { blocks };
    let code = code.strip_suffix('\n').unwrap_or(&code).to_owned();
    (!code.is_empty()).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn styled(marked: &Marked, part: &str) -> Style {
        marked.style(marked.text.find(part).unwrap(), Style::new())
    }

    #[test]
    fn emphasis_loses_its_marks_and_everything_else_stays() {
        for (source, text) in [
            ("a **bold** word", "a bold word"),
            ("_so_ and *so* and ***both***", "so and so and both"),
            ("`code *as it is*` here", "code *as it is* here"),
            ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
            ("- one\n- two\n\n   # no heading of mine", "- one\n- two\n\n   # no heading of mine"),
            ("[click](https://evil.example/)", "[click](https://evil.example/)"),
            ("<b>html</b> &amp; more", "<b>html</b> &amp; more"),
            ("```\nlet x = 1;\n```", "```\nlet x = 1;\n```"),
            ("a ~~wrong~~ right", "a wrong right"),
            ("https://a.example/_so_/x and _so_", "https://a.example/_so_/x and so"),
            ("*here: https://a.example/b*c d", "*here: https://a.example/b*c d"),
            ("**https://a.example/b**", "https://a.example/b"),
            ("", ""),
        ] {
            assert_eq!(Marked::read(source, Theme::PLAIN).text, text, "{source:?}");
        }
        let marked = Marked::read("a **bold *and* more** `code`\n> quoted", Theme::COLOUR);
        assert!(styled(&marked, "bold").add_modifier.contains(Modifier::BOLD));
        assert!(styled(&marked, "and").add_modifier.contains(Modifier::BOLD | Modifier::ITALIC));
        assert_eq!(styled(&marked, "code"), Theme::COLOUR.code());
        assert!(styled(&marked, "a ").add_modifier.is_empty());
    }

    #[test]
    fn an_address_that_leads_elsewhere_than_it_looks_says_where() {
        for (source, text) in [
            ("see https://example.org/a.", "see https://example.org/a."),
            ("https://bank.example@evil.example/", "https://bank.example@evil.example/ [evil.example]"),
            (
                "https://аpple.example/ and https://b.example",
                "https://аpple.example/ [xn--pple-43d.example] and https://b.example",
            ),
            ("javascript:alert(1) file:///etc/passwd", "javascript:alert(1) file:///etc/passwd"),
        ] {
            let marked = Marked::read(source, Theme::PLAIN);
            assert_eq!(marked.text, text, "{source}");
            for (range, url) in &marked.links {
                assert!(marked.text[range.clone()].starts_with("https://"), "{range:?} {url}");
            }
        }
        let two = Marked::read("https://a@b.example/ https://c.example/x", Theme::PLAIN);
        assert_eq!(&two.text[two.links[1].0.clone()], "https://c.example/x");
    }

    #[test]
    fn code_is_copied_bare() {
        for (source, code) in [
            ("look:\n```rust\nlet x = 1;\n  y();\n```\ndone", Some("let x = 1;\n  y();")),
            ("use `a` and `b`", Some("a\nb")),
            ("nothing", None),
        ] {
            assert_eq!(super::code(source).as_deref(), code, "{source}");
        }
    }

    #[test]
    fn a_name_that_is_called_is_marked_alone() {
        let mut marked = Marked::plain("@bob, not @bobby, and @BOB".to_owned());
        marked.mention("bob", Style::new().add_modifier(Modifier::BOLD));
        assert_eq!(marked.styles.iter().map(|(range, _)| range.clone()).collect::<Vec<_>>(), [0..4, 22..26]);
    }
}
