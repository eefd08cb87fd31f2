//! Whether the audit log is the chain that it was written as.

use std::fmt;

use crate::store::{
    Connection, StoreError,
    audit::{self, Hash, START},
};

/// Entries that are read at once.
const PAGE: u32 = 1000;

/// A chain that holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Whole {
    /// The first entry that is there; 0: none is.
    pub first: i64,
    /// The last entry; 0: none is.
    pub last: i64,
    /// The last entry's hash, which stands for all of them. Whoever has kept it elsewhere sees whether they were replaced.
    pub hash: Hash,
}

/// Where the chain breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken {
    /// The first entry that is not what was written, or not there.
    pub seq: i64,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It says something else than its hash is over, or the one before does.
    Altered,
    /// It is not there.
    Missing,
    /// It and those before are not there, and no entry says that they were deleted.
    Forgotten,
    /// It is not the end that the log has.
    Cut,
    /// It has not the hash that was kept elsewhere, or nothing has.
    Replaced,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.why {
            Why::Altered => {
                write!(f, "entry {seq} is not what was written: it was altered, or put in another's place")
            }
            Why::Missing => write!(f, "entry {seq} is missing"),
            Why::Forgotten => {
                write!(f, "the entries up to {seq} are missing, and no entry says that they were deleted")
            }
            Why::Cut => write!(
                f,
                "the log does not end with entry {seq}: entries are missing at its end, or were added past it"
            ),
            Why::Replaced => write!(
                f,
                "no entry up to {seq} has the hash that was given: the log was replaced, or is older"
            ),
        }
    }
}

/// Goes through the whole log. `known`: the hash of an entry that was noted elsewhere, which has to be among them.
///
/// # Errors
/// When a query fails.
pub fn verify(conn: &mut Connection, known: Option<&Hash>) -> Result<Result<Whole, Broken>, StoreError> {
    let broken = |seq, why| Ok(Err(Broken { seq, why }));
    let mut page = audit::stored(conn, 0, PAGE)?;
    let first = page.first().map_or(0, |(seq, _)| *seq);
    let (mut last, mut hash) = (0, START);
    if first > 1 {
        let deleted = audit::checkpoint(conn, first - 1)?.and_then(|entry| entry.says.deleted);
        let Some(deleted) = deleted else { return broken(first - 1, Why::Forgotten) };
        (last, hash) = (deleted.until, deleted.hash);
    }
    let mut found = known.is_none_or(|known| *known == hash && last > 0);
    loop {
        for (seq, entry) in &page {
            if *seq != last + 1 {
                return broken(last + 1, Why::Missing);
            }
            let Some(entry) = entry.as_ref().filter(|entry| entry.follows(&hash)) else {
                return broken(*seq, Why::Altered);
            };
            (last, hash) = (*seq, entry.hash);
            found |= known == Some(&hash);
        }
        // The end is looked up before what may have been added since is read.
        let head = audit::head(conn)?;
        page = audit::stored(conn, last, PAGE)?;
        if page.is_empty() {
            // Something was added between the two looks, at most.
            if head.seq != last || head.hash != hash {
                return broken(last, Why::Cut);
            }
            break;
        }
    }
    if !found {
        return broken(last, Why::Replaced);
    }
    Ok(Ok(Whole { first, last, hash }))
}
