//! The command that finds messages.

use std::{
    collections::HashMap,
    io::{IsTerminal as _, stdout},
    ops::Range,
};

use qchat_proto::{ids::RoomId, sanitize};
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    json::MessageObject,
    messages, open,
    search_args::SearchArgs,
    words,
};
use crate::{
    engine::{Handle, Hit},
    query::{Query, QueryError},
};

/// A message that was found: as `history` prints it, and what shows why.
#[derive(Serialize)]
struct FoundObject<'a> {
    #[serde(flatten)]
    message: MessageObject<'a>,
    excerpt: &'a str,
    /// Where in the excerpt stands what was looked for: from a character to the one behind it, Unicode scalar values, as jq and
    /// Python count them.
    highlights: Vec<[usize; 2]>,
}

pub(super) async fn search(context: &Context, arguments: &SearchArgs) -> Outcome {
    // Before the passphrase is asked for.
    let query = query(context, arguments)?;
    let limit = usize::from(arguments.limit);
    let offset = (usize::try_from(arguments.page).unwrap_or(usize::MAX) - 1).saturating_mul(limit);
    let bold = bold(context);
    open::offline(context, async |handle| {
        let found = handle.search(query, limit, offset).await?;
        let mut names = HashMap::new();
        for hit in &found.hits {
            let name = name(handle, &mut names, hit.message.room).await?;
            let object = FoundObject {
                message: MessageObject::new(&hit.message, &name),
                excerpt: &hit.excerpt,
                highlights: hit.highlights.iter().map(|range| characters(&hit.excerpt, range)).collect(),
            };
            context.output.result(&object, || {
                words::found(&hit.message, &marked(hit, bold), &name, arguments.ids, &context.zone)
            })?;
        }
        if found.more {
            context.output.say(&format!("There is more: --page {}", arguments.page.saturating_add(1)));
        } else if found.hits.is_empty() {
            let further = if arguments.page > 1 { "Nothing more" } else { "Nothing" };
            context.output.say(&format!("{further} was found."));
        }
        Ok(())
    })
    .await
}

fn query(context: &Context, arguments: &SearchArgs) -> Outcome<Query> {
    let wrong = |error: QueryError| Failure::usage(error.to_string());
    let moment = |text: &str| messages::past(context, text);
    let mut query = Query::parse(&arguments.words.join(" "), moment).map_err(wrong)?;
    query.rooms.extend(arguments.rooms.iter().cloned());
    query.from.extend(arguments.from.iter().cloned());
    let date = |text: &String| moment(text).ok_or_else(|| wrong(QueryError::Date(text.clone())));
    if let Some(time) = arguments.after.as_ref().map(date).transpose()? {
        query.after(time);
    }
    if let Some(time) = arguments.before.as_ref().map(date).transpose()? {
        query.before(time);
    }
    if query.is_empty() { Err(wrong(QueryError::Nothing)) } else { Ok(query) }
}

async fn name(handle: &Handle, names: &mut HashMap<RoomId, String>, room: RoomId) -> Outcome<String> {
    if let Some(name) = names.get(&room) {
        return Ok(name.clone());
    }
    let name = messages::name(handle, room).await?;
    names.insert(room, name.clone());
    Ok(name)
}

/// Whether what was found stands out: on a terminal, unless the environment says otherwise.
fn bold(context: &Context) -> bool {
    let set = |name| std::env::var_os(name).unwrap_or_default();
    stdout().is_terminal() && !context.settings.plain && set("NO_COLOR").is_empty() && set("TERM") != "dumb"
}

/// The excerpt on one line, fit for a terminal. Each piece is made so by itself: what is added here is the only thing that a
/// terminal obeys.
fn marked(hit: &Hit, bold: bool) -> String {
    let (mut line, mut at) = (String::new(), 0);
    // What people write in several lines is shown in one.
    let piece = |range: Range<usize>| {
        let text: String =
            hit.excerpt[range].chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }).collect();
        sanitize::line(&text).into_owned()
    };
    for range in &hit.highlights {
        line.push_str(&piece(at..range.start));
        let found = piece(range.clone());
        if bold {
            line.extend(["\u{1b}[1m", &found, "\u{1b}[22m"]);
        } else {
            line.push_str(&found);
        }
        at = range.end;
    }
    line.push_str(&piece(at..hit.excerpt.len()));
    line
}

fn characters(text: &str, range: &Range<usize>) -> [usize; 2] {
    [text[..range.start].chars().count(), text[..range.end].chars().count()]
}
