//! What about the audit log.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};
use qchat_proto::ids::{AccountId, UserName};
use time::{
    Date, Duration, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description,
};

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Print the newest entries, oldest first. That somebody did is an entry, too.
    #[command(
        after_help = "Examples:\n  qchatd admin audit list --since 24h\n  qchatd admin audit list --account alice --json"
    )]
    List {
        /// Those about one account, by its name or id.
        #[arg(long, value_name = "ACCOUNT", value_parser = whose)]
        account: Option<Whose>,
        /// Those of this time or later: 2026-11-28, 2026-11-28T13:00:00Z, or an age like 30m, 12h and 7d.
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<Since>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Print JSON, an object a line.
        #[arg(long)]
        json: bool,
    },
    /// Print all entries, oldest first, with all that their hashes are over. That somebody did is an entry, too.
    #[command(
        after_help = "Example:\n  qchatd admin audit export --format jsonl --since 2026-11-01 --output november.jsonl"
    )]
    Export {
        /// What the entries look like.
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
        /// Those about one account, by its name or id.
        #[arg(long, value_name = "ACCOUNT", value_parser = whose)]
        account: Option<Whose>,
        /// Those of this time or later: 2026-11-28, 2026-11-28T13:00:00Z, or an age like 30m, 12h and 7d.
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<Since>,
        /// Write them to this new file, which its owner alone may read.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Check that every entry is what was written, and none is missing.
    ///
    /// Ends with 6 and names the first entry that is not. Whoever can write to the database can write another log, too:
    /// keep the hash that this prints elsewhere, and give it to --includes later.
    #[command(
        after_help = "Examples:\n  qchatd admin audit verify\n  qchatd admin audit verify --includes 5a0c…"
    )]
    Verify {
        /// That the log has an entry with this hash, which was noted before.
        #[arg(long, value_name = "HASH", value_parser = hash)]
        includes: Option<Hash>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What exported entries look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// JSON Lines: an object a line.
    Jsonl,
}

/// Whose entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// Of an account that is there.
    Name(UserName),
    /// Of one that may be gone.
    Id(AccountId),
}

/// Unix seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Since(pub(crate) i64);

/// An entry's hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hash(pub(crate) [u8; 48]);

fn whose(text: &str) -> Result<Whose, String> {
    // A name has 32 characters at most, and none is likely to look like an id.
    match (text.parse(), text.parse()) {
        (Ok(id), _) => Ok(Whose::Id(id)),
        (Err(_), Ok(name)) => Ok(Whose::Name(name)),
        (Err(_), Err(_)) => Err("is an account's name, or its id of 32 hexadecimal digits".to_owned()),
    }
}

fn hash(text: &str) -> Result<Hash, String> {
    let mut hash = [0; 48];
    hex::decode_to_slice(text, &mut hash).map_err(|_| "is a hash of 96 hexadecimal digits".to_owned())?;
    Ok(Hash(hash))
}

fn since(text: &str) -> Result<Since, String> {
    let now = OffsetDateTime::now_utc();
    let day = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .or_else(|| day().map(|day| day.midnight().assume_utc()))
        .or_else(|| now.checked_sub(age(text)?));
    moment.map(|moment| Since(moment.unix_timestamp())).ok_or_else(|| {
        "is a time like 2026-11-28, 2026-11-28T13:00:00Z, or an age like 30m, 12h and 7d".to_owned()
    })
}

fn age(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u32>().ok().map(|number| Duration::seconds(i64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_a_moment_or_an_age() {
        assert_eq!(since("2026-11-28").map(|since| since.0), Ok(1_795_824_000));
        assert_eq!(since("2026-11-28T13:00:00+01:00").map(|since| since.0), Ok(1_795_867_200));
        let now = OffsetDateTime::now_utc().unix_timestamp();
        for (text, ago) in [("30s", 30), ("30m", 1_800), ("12h", 43_200), ("7d", 604_800), ("0d", 0)] {
            let since = since(text).unwrap().0;
            assert!((now - ago..=now - ago + 60).contains(&since), "{text}");
        }
        for text in
            ["", "d", "7", "7w", "-7d", "99999999999999d", "4294967295d", "yesterday", "2026-13-01", "7€"]
        {
            assert!(since(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_account_is_named_or_given_by_its_id() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(whose(id), Ok(Whose::Id(id.parse().unwrap())));
        assert_eq!(whose("alice"), Ok(Whose::Name("alice".parse().unwrap())));
        assert!(whose("Alice!").is_err());
    }
}
