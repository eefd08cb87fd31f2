//! Whom a text speaks to: `@name`, where somebody of that name is in the room.

use qchat_proto::{
    content::MAX_MENTIONS,
    ids::{AccountId, RoomId, UserName},
};

use crate::store::{StoreError, Tx};

/// The accounts of a room that a text mentions, each once, in the order in which it does.
pub(super) fn of(tx: &mut Tx, room: RoomId, text: &str) -> Result<Vec<AccountId>, StoreError> {
    let mut candidates = names(text).peekable();
    if candidates.peek().is_none() {
        return Ok(vec![]);
    }
    let mut members: Vec<AccountId> = tx.roster(room)?.into_iter().map(|listed| listed.account).collect();
    members.sort_unstable();
    members.dedup();
    let mut mentioned = vec![];
    for name in candidates {
        // A full stop may end the name, or the sentence.
        let found = prefixes(name).find_map(|name| {
            let name: UserName = name.parse().ok()?;
            match tx.contact_by_name(&name) {
                Ok(contact) => contact.filter(|contact| members.contains(&contact.account)).map(Ok),
                Err(error) => Some(Err(error)),
            }
        });
        if let Some(contact) = found.transpose()?
            && !mentioned.contains(&contact.account)
            && mentioned.len() < MAX_MENTIONS
        {
            mentioned.push(contact.account);
        }
    }
    Ok(mentioned)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')
}

/// What follows an `@` that begins a word.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('@').filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '@') {
            return None;
        }
        let rest = &text[at + 1..];
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}

/// The name, and what it is without the marks at its end.
fn prefixes(name: &str) -> impl Iterator<Item = &str> {
    let least = name.trim_end_matches(['.', '_', '-']).len();
    (least.max(1)..=name.len()).rev().map(move |end| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_an_at_sign_at_the_start_of_a_word_is_a_name() {
        for (text, expected) in [
            ("@bob hello", &["bob"][..]),
            ("hello (@bob, @carol.w)", &["bob", "carol.w"]),
            ("mail bob@example.org", &[]),
            ("@@bob @ @Ünal", &[]),
            ("ask @bob...", &["bob..."]),
        ] {
            assert_eq!(names(text).collect::<Vec<_>>(), expected, "{text}");
        }
        assert_eq!(prefixes("bob..").collect::<Vec<_>>(), ["bob..", "bob.", "bob"]);
    }
}
