//! Which database: a URL, checked.

use std::{fmt, path::PathBuf, str::FromStr};

use super::postgres;

/// Where the data is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL connection URL; it may hold a password.
    Postgres(String),
}

/// Not a database URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a database is given as sqlite:///absolute/path or postgres://user@host/name")]
pub struct TargetError;

impl Target {
    /// Whether several daemons may share it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Whether it names several servers, of which one may take the place of another.
    pub fn has_standbys(&self) -> bool {
        matches!(self, Self::Postgres(url) if postgres::apart(url).len() > 1)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err(TargetError);
            }
            Ok(Self::Sqlite(path.into()))
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Ok(Self::Postgres(text.to_owned()))
        } else {
            Err(TargetError)
        }
    }
}

impl fmt::Display for Target {
    /// The URL with its password, and its query (which may hold one), left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => f.write_str(&shown(url)),
        }
    }
}

/// The URL of a PostgreSQL with its password, and its query (which may hold one), left out.
pub(super) fn shown(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(before, _)| before);
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?))) {
        Some((scheme, (credentials, host))) => {
            let user = credentials.split_once(':').map_or(credentials, |(user, _)| user);
            format!("{scheme}://{user}@{host}")
        }
        None => url.to_owned(),
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_target_keeps_its_password_to_itself() {
        for (url, printed) in [
            ("sqlite:///var/lib/q.db", Some("sqlite:///var/lib/q.db")),
            ("postgres://u:p%40ss@h:5/db?password=x", Some("postgres://u@h:5/db")),
            ("postgresql://h/db", Some("postgresql://h/db")),
            ("postgres://u:p@h,i:5/db?x", Some("postgres://u@h,i:5/db")),
            ("mysql://h/db", None),
            ("sqlite://", None),
        ] {
            assert_eq!(
                url.parse::<Target>().ok().map(|target| target.to_string()).as_deref(),
                printed,
                "{url}"
            );
        }
    }
}
