//! The forms in which a room's log is written down. Whatever a peer chose is data in all of them: it becomes no markup, loads
//! nothing, and nothing in it steers the terminal that the document is looked at on.

use std::io::{self, Write};

use qchat_proto::sanitize;
use serde::Serialize;

use super::{
    json::{self, MessageObject, rfc3339},
    search_args::Format,
    words::clock,
};
use crate::{
    engine::types::{Body, Message},
    zone::Zone,
};

/// A document that is written from its beginning to its end.
pub(super) trait Document {
    /// What stands before the lines.
    fn begin(&self, out: &mut dyn Write) -> io::Result<()>;
    /// A line, and where the file is that it names, as a reference (RFC 3986 §4.1) from the document.
    fn line(&self, out: &mut dyn Write, message: &Message, file: Option<&str>) -> io::Result<()>;
    /// What stands behind the lines.
    fn end(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// A document of a room with this name.
pub(super) fn of(format: Format, room: &str, zone: &Zone) -> Box<dyn Document> {
    let (room, zone) = (room.to_owned(), zone.clone());
    match format {
        Format::Jsonl => Box::new(Jsonl(room)),
        Format::Markdown => Box::new(Markdown(room, zone)),
        Format::Html => Box::new(Html(room, zone)),
    }
}

/// A line as people read it: who said it, and what. What is no message has nobody.
fn words(message: &Message) -> (Option<&str>, String) {
    let marks = &message.marks;
    let said = match &message.body {
        Body::Text(text) => text.clone(),
        Body::Poll(poll) => poll.words(),
        // Files themselves are beside the document, where they were asked for; here stands what they are called.
        Body::File(file) => file.words(),
        Body::Deleted(by) => format!("(deleted by {by})"),
        Body::Unknown => "(something that needs a newer qchat)".to_owned(),
        Body::Notice(sentence) | Body::Warning(sentence) => sentence.clone(),
    };
    let above = marks.answers().map(|answers| format!("{answers}\n")).unwrap_or_default();
    let below = marks.notes().map(|notes| format!("\n{notes}")).unwrap_or_default();
    let said = format!("{above}{said}{}{below}", marks.suffix());
    let sender = message.sender.as_ref().filter(|_| message.is_said()).map(|sender| sender.name.as_str());
    (sender, sanitize::text(&said).into_owned())
}

/// What a message's file is called, fit for a line.
fn name_of(message: &Message) -> String {
    match &message.body {
        Body::File(file) => sanitize::line(&file.name).into_owned(),
        _ => String::new(),
    }
}

/// The objects of `history --json`.
struct Jsonl(String);

impl Document for Jsonl {
    fn begin(&self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn line(&self, mut out: &mut dyn Write, message: &Message, file: Option<&str>) -> io::Result<()> {
        json::write(&mut out, &Line { message: MessageObject::new(message, &self.0), file_path: file })
    }

    fn end(&self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// A message, and where its file is.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    message: MessageObject<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_path: Option<&'a str>,
}

struct Markdown(String, Zone);

impl Document for Markdown {
    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "# {}", plain(&sanitize::line(&self.0)))
    }

    fn line(&self, out: &mut dyn Write, message: &Message, file: Option<&str>) -> io::Result<()> {
        let (sender, said) = words(message);
        let time = clock(message.sent_at, &self.1);
        // Percent-encoded, so that nothing in it ends the reference.
        let link =
            file.map(|file| format!("\n\n[{}](<{file}>)", plain(&name_of(message)))).unwrap_or_default();
        match sender {
            Some(sender) => {
                writeln!(out, "\n**{}** {time}\n\n{}{link}", plain(&sanitize::line(sender)), plain(&said))
            }
            None => writeln!(out, "\n*{}* {time}", plain(&said.replace('\n', " "))),
        }
    }

    fn end(&self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// Text in which nothing has a meaning: `CommonMark` takes a backslash off any punctuation. A line stays a line, and spaces at its
/// start make no code of it.
fn plain(text: &str) -> String {
    let line = |line: &str| {
        let words = line.trim_start_matches(' ');
        let mut out = "&nbsp;".repeat(line.len() - words.len());
        for c in words.chars() {
            // Those that stand between words often, and mean nothing anywhere.
            if c.is_ascii_punctuation() && !matches!(c, ',' | ';' | '?' | '\'' | '%' | '/') {
                out.push('\\');
            }
            out.push(c);
        }
        out
    };
    // Two paragraphs stay two.
    text.split('\n').map(line).collect::<Vec<_>>().join("\\\n").replace("\\\n\\\n", "\n\n")
}

struct Html(String, Zone);

/// What a browser may do with the page: show it.
const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 44rem; padding: 0 1rem; color-scheme: light dark }
p { margin: 0 0 1rem; white-space: pre-wrap; overflow-wrap: anywhere }
time, .notice { opacity: .7 }
</style>
"#;

impl Document for Html {
    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        let room = escaped(&sanitize::line(&self.0));
        writeln!(out, "{HEAD}<title>{room}</title>\n</head>\n<body>\n<h1 dir=\"auto\">{room}</h1>")
    }

    fn line(&self, out: &mut dyn Write, message: &Message, file: Option<&str>) -> io::Result<()> {
        let (sender, said) = words(message);
        let (moment, time) = (rfc3339(message.sent_at), clock(message.sent_at, &self.1));
        let time = format!("<time datetime=\"{moment}\">{time}</time>");
        let said = escaped(&said);
        // Saved, where a browser can tell: what somebody has sent is not opened as a page of this one's.
        let link = file.map(|file| {
            let (file, name) = (escaped(file), escaped(&name_of(message)));
            format!("<p><a href=\"{file}\" rel=\"noopener noreferrer\" download dir=\"auto\">{name}</a></p>")
        });
        let link = link.unwrap_or_default();
        match sender {
            Some(sender) => {
                let sender = escaped(&sanitize::line(sender));
                writeln!(
                    out,
                    "<article><header><b><bdi>{sender}</bdi></b> {time}</header><p dir=\"auto\">{said}</p>{link}</article>"
                )
            }
            None => writeln!(out, "<p class=\"notice\" dir=\"auto\">{said} {time}</p>"),
        }
    }

    fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "</body>\n</html>")
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_becomes_no_markup() {
        for (text, markdown, html) in [
            ("plain, ñ", "plain, ñ", "plain, ñ"),
            ("<img src=x>", "\\<img src\\=x\\>", "&lt;img src=x&gt;"),
            ("![](http://a.example)", "\\!\\[\\]\\(http\\://a\\.example\\)", "![](http://a.example)"),
            ("\"a\" & 'b'", "\\\"a\\\" \\& 'b'", "&quot;a&quot; &amp; &#39;b&#39;"),
            ("# a\n    b\n\n1. c", "\\# a\\\n&nbsp;&nbsp;&nbsp;&nbsp;b\n\n1\\. c", "# a\n    b\n\n1. c"),
            ("`a` **b** |c|", "\\`a\\` \\*\\*b\\*\\* \\|c\\|", "`a` **b** |c|"),
        ] {
            assert_eq!((plain(text).as_str(), escaped(text).as_str()), (markdown, html), "{text}");
        }
    }
}
