//! Finding messages: which rooms and people are meant, and which part of a text shows why it was found.

use std::ops::Range;

use qchat_proto::{
    ids::{AccountId, RoomId, Seq, UserName},
    session::ledger::Phase,
};
use time::OffsetDateTime;

use super::{
    clock,
    error::EngineError,
    handle::Handle,
    types::{Body, Message},
    view,
};
use crate::{
    query::Query,
    store::{self, Search, StoreError, Tx, highlights},
};

/// Longest excerpt, characters.
const EXCERPT: usize = 160;
/// So much of it stands before what was found, characters.
const BEFORE: usize = 40;

/// A message that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hit {
    /// The message.
    pub message: Message,
    /// A part of what it says, as its sender wrote it: not yet fit for a terminal.
    pub excerpt: String,
    /// Where in it stands what was looked for: bytes, in their order, none over another.
    pub highlights: Vec<Range<usize>>,
}

/// A part of a room's log, all of it when nothing is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Part(store::Part);

impl Part {
    /// From one seq to another, both of which belong to it, and from one time to another, which does not: times as senders say
    /// them.
    pub fn new(
        (from, to): (Option<Seq>, Option<Seq>),
        (since, until): (Option<OffsetDateTime>, Option<OffsetDateTime>),
    ) -> Self {
        let (since_ms, until_ms) = (since.map(clock::to_millis), until.map(clock::to_millis));
        Self(store::Part { from, to, since_ms, until_ms })
    }

    /// The same, and before a seq.
    #[must_use]
    pub fn before(mut self, seq: Option<Seq>) -> Self {
        if let Some(seq) = seq {
            self.0.to = Some(Seq(seq.0.saturating_sub(1)));
        }
        self
    }
}

/// A page of messages that were found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hits {
    /// The best first where words were looked for, and the newest first among equals.
    pub hits: Vec<Hit>,
    /// Whether there is a further page.
    pub more: bool,
}

impl Handle {
    /// Finds messages that are stored here, those after the first `offset`. Rooms that this account has left are looked into only
    /// where they are named.
    ///
    /// # Errors
    /// [`EngineError::NoSuchRoom`], [`EngineError::AmbiguousRoom`], [`EngineError::NoSuchUser`]; when the profile cannot be read.
    pub async fn search(&self, query: Query, limit: usize, offset: usize) -> Result<Hits, EngineError> {
        let mut rooms = vec![];
        for room in &query.rooms {
            rooms.push(self.find_room(room).await?);
        }
        let me = self.0.me.clone();
        let found = self.0.profile.read_aside_async(move |tx| {
            let mut names = view::Names::new(me.account);
            let from = accounts(tx, &query.from, (&me.name, me.account))?;
            if rooms.is_empty() {
                rooms = shown_rooms(tx)?;
            }
            let search = Search {
                hidden: vec![],
                terms: query.terms,
                rooms,
                from,
                has: query.has,
                since_ms: query.since.map(clock::to_millis),
                until_ms: query.until.map(clock::to_millis),
            };
            let found = tx.search(&search, limit, offset)?;
            let mut messages = vec![];
            for line in found.lines {
                messages.push(view::line(tx, &mut names, line)?);
            }
            Ok::<_, EngineError>(Hits { hits: hits(&search, messages)?, more: found.more })
        });
        found.await
    }

    /// The newest `limit` lines of a part of a room's log, oldest first.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn timeline_within(
        &self,
        room: RoomId,
        part: Part,
        limit: usize,
    ) -> Result<Vec<Message>, EngineError> {
        self.lines(move |tx| tx.lines_within(room, &part.0, limit)).await
    }
}

fn accounts(
    tx: &mut Tx,
    names: &[UserName],
    (own, me): (&UserName, AccountId),
) -> Result<Vec<AccountId>, EngineError> {
    let mut accounts = vec![];
    for name in names {
        accounts.push(match tx.contact_by_name(name)? {
            Some(contact) => contact.account,
            None if name == own => me,
            None => return Err(EngineError::NoSuchUser(name.clone())),
        });
    }
    Ok(accounts)
}

fn shown_rooms(tx: &mut Tx) -> Result<Vec<RoomId>, StoreError> {
    let shown = |phase: Phase| !matches!(phase, Phase::Leaving(_) | Phase::Left(_));
    Ok(tx.rooms()?.into_iter().filter(|row| shown(row.state.phase)).map(|row| row.state.room).collect())
}

fn hits(search: &Search, messages: Vec<Message>) -> Result<Vec<Hit>, StoreError> {
    let said: Vec<String> = messages.iter().map(said).collect();
    let texts: Vec<&str> = said.iter().map(String::as_str).collect();
    let found = highlights(&search.terms, &texts)?;
    let hit = |((message, said), found): ((Message, &String), Vec<Range<usize>>)| {
        let (excerpt, highlights) = excerpt(said, &found);
        Hit { message, excerpt, highlights }
    };
    Ok(messages.into_iter().zip(&said).zip(found).map(hit).collect())
}

/// What was looked into, as it is shown.
fn said(message: &Message) -> String {
    match &message.body {
        Body::Text(text) => text.clone(),
        Body::Poll(poll) => {
            let options = poll.options.iter().map(|option| option.text.as_str());
            std::iter::once(poll.question.as_str()).chain(options).collect::<Vec<_>>().join("\n")
        }
        Body::File(file) => format!("{}\n{}", file.name, file.caption),
        Body::Deleted(_) | Body::Unknown | Body::Notice(_) | Body::Warning(_) => String::new(),
    }
}

/// The part of a text in which the first of these places stands, and the places in that part.
fn excerpt(text: &str, found: &[Range<usize>]) -> (String, Vec<Range<usize>>) {
    const CUT: &str = "…";
    // Places of characters, and the end.
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let first = found.first().map_or(0, |range| places.partition_point(|at| *at < range.start));
    let length = places.len() - 1;
    // What fits is shown from its beginning.
    let from = if length <= EXCERPT { 0 } else { first.saturating_sub(BEFORE).min(length - EXCERPT) };
    let to = (from + EXCERPT).min(length);
    let (begin, end) = (places[from], places[to]);
    let mut excerpt = String::new();
    if from > 0 {
        excerpt.push_str(CUT);
    }
    let shift = excerpt.len();
    excerpt.push_str(&text[begin..end]);
    if to < length {
        excerpt.push_str(CUT);
    }
    let within = |range: &Range<usize>| {
        let range = range.start.clamp(begin, end)..range.end.clamp(begin, end);
        (!range.is_empty()).then(|| range.start - begin + shift..range.end - begin + shift)
    };
    (excerpt, found.iter().filter_map(within).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_shows_the_first_place_and_where_it_stands() {
        let long = format!("{} needle {}", "ä".repeat(300), "ö".repeat(300));
        for (text, needle, cut) in [
            ("a needle", "needle", (false, false)),
            (&long, "needle", (true, true)),
            (&long[..long.len() - 600], "needle", (true, false)),
            (&long[600..], "needle", (false, true)),
            ("", "needle", (false, false)),
        ] {
            let found: Vec<_> = text.match_indices(needle).map(|(at, it)| at..at + it.len()).collect();
            let (excerpt, highlights) = excerpt(text, &found);
            assert!(excerpt.chars().count() <= EXCERPT + 2, "{excerpt}");
            assert_eq!((excerpt.starts_with('…'), excerpt.ends_with('…')), cut, "{excerpt}");
            assert_eq!(highlights.len(), found.len());
            assert!(highlights.into_iter().all(|range| &excerpt[range] == needle), "{excerpt}");
        }
        // Of a place that does not fit there is what fits.
        let all = 0..long.len();
        let (excerpt, highlights) = excerpt(&long, std::slice::from_ref(&all));
        assert_eq!(highlights.as_slice(), std::slice::from_ref(&(0..excerpt.len() - "…".len())));
    }
}
