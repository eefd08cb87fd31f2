//! Connecting to PostgreSQL: to that one of its servers which takes writes, and which has come furthest.
//!
//! Of several servers one is the primary, and others are its standbys until one of them is promoted. That begins a new
//! timeline (a number that grows), by which a primary is known that was thought dead and has come back: what it would
//! take now, the others would never see.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::{
    Connection as _, PgConnection, RunQueryDsl,
    connection::SimpleConnection,
    dsl::sql,
    sql_types::{Bool, Text},
};

use super::{StoreError, target};

/// What libpq is told where the URL says nothing.
///
/// How it finds out that the network has gone without a word: a request that waits for nobody would hold up every room.
/// Connecting takes 5 s at most; what is sent is confirmed by the other machine within 10 s, and one that says nothing is
/// asked after 10 s, three times. And that a standby is of no use, also when one name has the addresses of several servers.
const UNSAID: [(&str, &str); 7] = [
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "10000"),
    ("keepalives", "1"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "3"),
    ("keepalives_count", "3"),
    ("target_session_attrs", "read-write"),
];

/// The same for PostgreSQL, about this node. A transaction here never waits for anything but the database, so one that does
/// nothing for 5 s is that of a node that is gone, and what it has locked is wanted by the others.
const LET_GO: &str = "SET idle_in_transaction_session_timeout = '5s'; SET tcp_user_timeout = '10s'; \
                      SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3;";

/// How PostgreSQL plans. Every statement seeks by an index, and is written so: its plan is made once, for all values, and
/// seeking counts as little as it costs in memory and on a disk without heads. Else a thousand rooms in one question are
/// reason enough to read all of them, and a plan that was made while a table was small stays with the connection.
const PLANS: &str =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET random_page_cost = 1.1;";

/// The servers of one database.
pub(super) struct Servers {
    /// A URL for each.
    urls: Vec<String>,
    /// The newest timeline that was seen; 0 when there is one server, or none has said.
    timeline: AtomicU32,
}

impl Servers {
    /// Those that a URL names. Where they are several, all that can be reached are asked how far they have come: who starts
    /// knows nothing of what has been.
    pub(super) fn known(url: &str) -> Self {
        let urls = apart(url).into_iter().map(|url| watchful(&url)).collect();
        let servers = Self { urls, timeline: AtomicU32::new(0) };
        if servers.are_several() {
            for url in &servers.urls {
                // What is wrong with it is said by who connects.
                drop(servers.connect_to(url));
            }
        }
        servers
    }

    /// Whether there are several, so that one may take the place of another.
    fn are_several(&self) -> bool {
        self.urls.len() > 1
    }

    /// Connects to the first that takes writes, commits durably, and is no primary of former times.
    pub(super) fn connect(&self) -> Result<PgConnection, StoreError> {
        let mut failures = Vec::new();
        for url in &self.urls {
            match self.connect_to(url) {
                Ok(conn) => return Ok(conn),
                Err(error) => failures.push(error),
            }
        }
        Err(StoreError::of_all(failures))
    }

    fn connect_to(&self, url: &str) -> Result<PgConnection, StoreError> {
        let mut conn = PgConnection::establish(url).map_err(|error| StoreError::connect(error).at(url))?;
        conn.batch_execute(&format!("SET synchronous_commit = on; {LET_GO} {PLANS}"))?;
        for setting in ["synchronous_commit", "fsync"] {
            let value: String = diesel::select(sql::<Text>(&format!("current_setting('{setting}')")))
                .get_result(&mut conn)?;
            if value != "on" {
                return Err(StoreError::NotDurable(format!(
                    "PostgreSQL runs with {setting}={value} where on is needed"
                )));
            }
        }
        takes_writes(&mut conn).map_err(|error| error.at(url))?;
        if self.are_several() {
            let own = timeline(&mut conn);
            let newest = self.timeline.fetch_max(own, Ordering::AcqRel);
            // One that does not say, as some that only speak like PostgreSQL do, is believed.
            if own < newest && own > 0 {
                return Err(StoreError::ReadOnly(format!(
                    "{} is a primary of former times (timeline {own}, and {newest} was seen): stop it, and make it a \
                     standby of the new one",
                    target::shown(url)
                )));
            }
        }
        Ok(conn)
    }
}

/// That this session may write: no standby's may, nor one of a database that an operator has made read-only.
pub(super) fn takes_writes(conn: &mut PgConnection) -> Result<(), StoreError> {
    let (read_only, recovers): (String, bool) = diesel::select((
        sql::<Text>("current_setting('transaction_read_only')"),
        sql::<Bool>("pg_is_in_recovery()"),
    ))
    .get_result(conn)?;
    match (recovers, read_only.as_str()) {
        (true, _) => Err(StoreError::ReadOnly(STANDBY.to_owned())),
        (false, "off") => Ok(()),
        (false, _) => {
            Err(StoreError::ReadOnly("default_transaction_read_only is on: turn it off".to_owned()))
        }
    }
}

/// What a standby is answered with.
pub(super) const STANDBY: &str = "a standby takes no writes: name the primary too, as in postgres://qchat@db1,db2/qchat, or promote this one";

/// The timeline that this primary writes; 0 when it does not say.
fn timeline(conn: &mut PgConnection) -> u32 {
    let name = diesel::select(sql::<Text>("left(pg_walfile_name(pg_current_wal_lsn()), 8)"));
    name.get_result::<String>(conn).ok().and_then(|hex| u32::from_str_radix(&hex, 16).ok()).unwrap_or(0)
}

/// A URL for each server that this one names, in its order: `postgres://user@a,b:5433/db` is `…@a/db` and `…@b:5433/db`.
pub(super) fn apart(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, hosts) = authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
    hosts.split(',').map(|host| format!("{scheme}://{user}{host}{path}")).collect()
}

/// The URL, with what it does not say.
fn watchful(url: &str) -> String {
    let (start, query) = url.split_once('?').unwrap_or((url, ""));
    let said = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let unsaid = UNSAID.iter().filter(|(name, _)| !said(name)).map(|(name, value)| format!("{name}={value}"));
    let own = Some(query.to_owned()).filter(|query| !query.is_empty());
    format!("{start}?{}", own.into_iter().chain(unsaid).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_what_it_says() {
        const ALL: &str = "connect_timeout=5&tcp_user_timeout=10000&keepalives=1&keepalives_idle=10&\
                           keepalives_interval=3&keepalives_count=3&target_session_attrs=read-write";
        for (url, watchful_url) in [
            ("postgres://h/db", format!("postgres://h/db?{ALL}")),
            ("postgres://h/db?", format!("postgres://h/db?{ALL}")),
            ("postgres://h/db?sslmode=verify-full", format!("postgres://h/db?sslmode=verify-full&{ALL}")),
            (
                "postgres://h/db?connect_timeout=60&keepalives_idle=9&target_session_attrs=any",
                "postgres://h/db?connect_timeout=60&keepalives_idle=9&target_session_attrs=any&tcp_user_timeout=10000&\
                 keepalives=1&keepalives_interval=3&keepalives_count=3"
                    .to_owned(),
            ),
        ] {
            assert_eq!(watchful(url), watchful_url);
        }
    }

    #[test]
    fn each_server_of_a_url_has_its_own() {
        for (url, servers) in [
            ("postgres://h/db", vec!["postgres://h/db"]),
            ("postgres:///db?host=/run/postgresql", vec!["postgres:///db?host=/run/postgresql"]),
            ("postgres://a,b", vec!["postgres://a", "postgres://b"]),
            (
                "postgresql://u:p%2C@a:1,[::1]:2,%2Frun%2Fpg/db?sslmode=require&application_name=a,b",
                vec![
                    "postgresql://u:p%2C@a:1/db?sslmode=require&application_name=a,b",
                    "postgresql://u:p%2C@[::1]:2/db?sslmode=require&application_name=a,b",
                    "postgresql://u:p%2C@%2Frun%2Fpg/db?sslmode=require&application_name=a,b",
                ],
            ),
            (
                "postgres://u:a,b@c,d?dbname=x",
                vec!["postgres://u:a,b@c?dbname=x", "postgres://u:a,b@d?dbname=x"],
            ),
        ] {
            assert_eq!(apart(url), servers);
        }
    }
}
