//! What somebody types to find messages: words, phrases in quotes, beginnings of words, and operators.

use qchat_proto::ids::UserName;
use time::OffsetDateTime;

use crate::store::{Has, Term};

/// The operators there are; the same words stand in the help of `qchat search`.
pub const OPERATORS: &str = "from:USER, in:ROOM, before:DATE, after:DATE, has:link, has:poll and has:file";

/// What is looked for: all of it has to hold, of several rooms or people one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Query {
    /// Words and phrases.
    pub terms: Vec<Term>,
    /// Rooms, by name or id.
    pub rooms: Vec<String>,
    /// Who wrote it.
    pub from: Vec<UserName>,
    /// What it has beside words.
    pub has: Vec<Has>,
    /// From then on.
    pub since: Option<OffsetDateTime>,
    /// Before then.
    pub until: Option<OffsetDateTime>,
}

/// What was typed makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no such operator.
    #[error("there is no operator `{0}:`; there are {OPERATORS}. In quotes it is looked for as it stands")]
    Operator(String),
    /// An operator with nothing behind it.
    #[error("nothing stands behind `{0}:`; there are {OPERATORS}")]
    Bare(String),
    /// An operator with something behind it that makes no sense there.
    #[error("{value:?} makes no sense behind `{operator}:`; there are {OPERATORS}")]
    Value {
        /// The operator.
        operator: String,
        /// What stands behind it.
        value: String,
    },
    /// No date or time.
    #[error(
        "{0:?} is no date: as in 2026-01-31, 2026-01-31T09:00, or 2d for two days ago; there are {OPERATORS}"
    )]
    Date(String),
    /// A quote without its other half.
    #[error("a quote is not closed")]
    Quote,
    /// Nothing that can be found.
    #[error("there is no letter and no digit in {0:?}, and nothing else is found")]
    NoWord(String),
    /// Nothing at all.
    #[error("there is nothing to look for; give words, or operators: {OPERATORS}")]
    Nothing,
}

impl Query {
    /// Reads what was typed. `moment` reads a date or a time.
    ///
    /// # Errors
    /// [`QueryError`]: what makes no sense.
    pub fn parse(text: &str, moment: impl Fn(&str) -> Option<OffsetDateTime>) -> Result<Self, QueryError> {
        let mut query = Self::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (operator, behind) = operator(rest);
            let (value, quoted, after) = value(behind)?;
            match operator {
                Some(name) => query.add(&name.to_ascii_lowercase(), value, &moment)?,
                None => query.terms.push(term(value, quoted)?),
            }
            rest = after.trim_start();
        }
        Ok(query)
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Narrows it to what was written from this time on.
    pub fn after(&mut self, time: OffsetDateTime) {
        self.since = self.since.max(Some(time));
    }

    /// Narrows it to what was written before this time.
    pub fn before(&mut self, time: OffsetDateTime) {
        self.until = Some(self.until.map_or(time, |until| until.min(time)));
    }

    fn add(
        &mut self,
        operator: &str,
        value: &str,
        moment: impl Fn(&str) -> Option<OffsetDateTime>,
    ) -> Result<(), QueryError> {
        let makes_no_sense = || QueryError::Value { operator: operator.to_owned(), value: value.to_owned() };
        let when = || moment(value).ok_or_else(|| QueryError::Date(value.to_owned()));
        if !["from", "in", "before", "after", "has"].contains(&operator) {
            return Err(QueryError::Operator(operator.to_owned()));
        }
        if value.is_empty() {
            return Err(QueryError::Bare(operator.to_owned()));
        }
        match operator {
            "from" => {
                let name = value.strip_prefix('@').unwrap_or(value);
                self.from.push(name.parse().map_err(|_| makes_no_sense())?);
            }
            "in" => self.rooms.push(value.to_owned()),
            "before" => self.before(when()?),
            "after" => self.after(when()?),
            _ => self.has.push(match value {
                "link" => Has::Link,
                "poll" => Has::Poll,
                "file" => Has::File,
                _ => return Err(makes_no_sense()),
            }),
        }
        Ok(())
    }
}

/// The operator that a piece begins with, and what stands behind it. The address of a page begins with none.
fn operator(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((name, behind))
            if !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphabetic())
                && !behind.starts_with("//") =>
        {
            (Some(name), behind)
        }
        _ => (None, text),
    }
}

/// What stands up to the next space, or in quotes; whether it does; and what stands behind it.
fn value(text: &str) -> Result<(&str, bool, &str), QueryError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, after) = quoted.split_once('"').ok_or(QueryError::Quote)?;
        return Ok((value, true, after));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (value, after) = text.split_at(end);
    Ok((value, false, after))
}

fn term(value: &str, quoted: bool) -> Result<Term, QueryError> {
    let (word, prefix) = match value.strip_suffix('*') {
        Some(word) if !quoted => (word, true),
        _ => (value, false),
    };
    Term::new(word, prefix).ok_or_else(|| QueryError::NoWord(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn parse(text: &str) -> Result<Query, QueryError> {
        Query::parse(text, |text| (text == "2026-01-31").then_some(datetime!(2026-01-31 00:00 UTC)))
    }

    fn words(words: &[(&str, bool)]) -> Query {
        let terms = words.iter().map(|(word, prefix)| Term::new(word, *prefix).unwrap()).collect();
        Query { terms, ..Query::default() }
    }

    #[test]
    fn words_phrases_and_beginnings_of_words_are_told_apart() {
        for (text, expected) in [
            ("", &[][..]),
            ("  two  words ", &[("two", false), ("words", false)]),
            ("\"a phrase\" more", &[("a phrase", false), ("more", false)]),
            ("begin*", &[("begin", true)]),
            ("\"no begin*\"", &[("no begin*", false)]),
            ("https://example.org/a:b", &[("https://example.org/a:b", false)]),
            ("12:30", &[("12:30", false)]),
            ("\"from:alice\"", &[("from:alice", false)]),
            ("OR AND NOT NEAR(", &[("OR", false), ("AND", false), ("NOT", false), ("NEAR(", false)]),
        ] {
            assert_eq!(parse(text), Ok(words(expected)), "{text}");
        }
    }

    #[test]
    fn operators_narrow_what_is_found() {
        let query = parse("tea from:alice from:@bob in:general in:\"the den\" has:link HAS:poll").unwrap();
        assert_eq!(query.terms, words(&[("tea", false)]).terms);
        assert_eq!(query.from, ["alice".parse().unwrap(), "bob".parse().unwrap()]);
        assert_eq!(query.rooms, ["general", "the den"]);
        assert_eq!(query.has, [Has::Link, Has::Poll]);
        let day = datetime!(2026-01-31 00:00 UTC);
        let query = parse("before:2026-01-31 after:2026-01-31").unwrap();
        assert_eq!((query.since, query.until), (Some(day), Some(day)));
        let mut query = Query::default();
        assert!(query.is_empty());
        query.before(day);
        query.before(day + time::Duration::DAY);
        query.after(day);
        query.after(day - time::Duration::DAY);
        assert_eq!((query.since, query.until), (Some(day), Some(day)));
    }

    #[test]
    fn what_makes_no_sense_is_told_with_the_operators_there_are() {
        let value = |operator: &str, value: &str| QueryError::Value {
            operator: operator.to_owned(),
            value: value.to_owned(),
        };
        for (text, error) in [
            ("form:alice", QueryError::Operator("form".to_owned())),
            ("from:", QueryError::Bare("from".to_owned())),
            ("in: general", QueryError::Bare("in".to_owned())),
            ("has:everything", value("has", "everything")),
            ("from:Not/AName", value("from", "Not/AName")),
            ("before:someday", QueryError::Date("someday".to_owned())),
        ] {
            let told = parse(text).unwrap_err();
            assert_eq!(told, error, "{text}");
            assert!(told.to_string().contains(OPERATORS), "{told}");
        }
        assert_eq!(parse("\"not closed"), Err(QueryError::Quote));
        assert_eq!(parse("!!! *"), Err(QueryError::NoWord("!!!".to_owned())));
    }
}
