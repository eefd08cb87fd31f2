//! What is done with the audit log, and noting in it what operators do by commands.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use qchat_proto::ids::{AccountId, UserName};
use serde_json::json;

use super::{current, moment, print, runtime};
use crate::{
    cli::audit::{AuditCommand, Whose},
    config::Config,
    error::CommandError,
    service::audit::verify::{Whole, verify},
    store::{
        self, Connection, Store, StoreError, accounts,
        audit::{self, Act, Actor, Draft, Entry, Outcome, Which},
    },
};

/// Entries that are read at once.
const PAGE: u32 = 1000;

pub(super) fn run(config: &Config, command: &AuditCommand) -> Result<(), CommandError> {
    current(config)?;
    match command {
        AuditCommand::List { account, since, limit, json } => {
            let limit = *limit;
            let which = which(config, account.as_ref(), since.map(|since| since.0))?;
            note(config, Act::ReadAudit, Outcome::Done, which.account)?;
            let read = move |conn: &mut Connection| {
                let mut entries = audit::before(conn, which, None, limit)?;
                entries.reverse();
                named(conn, entries, &mut HashMap::new())
            };
            for (entry, name) in with_store(config, read)? {
                let line = if *json { object(&entry, name.as_ref()) } else { words(&entry, name.as_ref()) };
                print(&line)?;
            }
            Ok(())
        }
        AuditCommand::Export { format: _, account, since, output } => {
            let which = which(config, account.as_ref(), since.map(|since| since.0))?;
            note(config, Act::ReadAudit, Outcome::Done, which.account)?;
            match output {
                None => export(config, which, &mut io::stdout().lock()),
                Some(path) => export_to(config, which, path),
            }
        }
        AuditCommand::Verify { includes, json } => {
            let known = includes.map(|hash| hash.0);
            let verified = with_store(config, move |conn| verify(conn, known.as_ref()))?;
            let Whole { first, last, hash } = verified.map_err(CommandError::Audit)?;
            let hash = hex::encode(hash);
            if *json {
                return print(
                    &json!({"v": 1, "audit": {"first": first, "last": last, "hash": hash}}).to_string(),
                );
            }
            print(&format!("entries {first} to {last} are what was written; the last one's hash is {hash}"))
        }
    }
}

/// Notes what an operator has done. A database of an older schema has no place for it.
pub(super) fn note(
    config: &Config,
    act: Act,
    outcome: Outcome,
    account: Option<AccountId>,
) -> Result<(), CommandError> {
    if !store::pending(&config.database)?.versions.is_empty() {
        return Ok(());
    }
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let says = Draft { account, ..Draft::new(now, act, outcome, Actor::Operator) };
    runtime(1)?.block_on(async {
        let store = Store::open(&config.database, 1, config.database_wait)?;
        store.write(move |conn| audit::append(conn, &[says])).await.map(drop)
    })?;
    Ok(())
}

/// Runs a query on the database.
fn with_store<T: Send + 'static>(
    config: &Config,
    query: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, CommandError> {
    Ok(runtime(1)?
        .block_on(async { Store::open(&config.database, 1, config.database_wait)?.read(query).await })?)
}

fn which(config: &Config, whose: Option<&Whose>, since: Option<i64>) -> Result<Which, CommandError> {
    let account = match whose {
        None => None,
        Some(Whose::Id(id)) => Some(*id),
        Some(Whose::Name(name)) => {
            let asked = name.clone();
            let found = with_store(config, move |conn| accounts::by_name(conn, &asked))?;
            let gone = || {
                CommandError::Other(format!(
                    "there is no account {name}; entries of one that is gone are found by its id"
                ))
            };
            Some(found.ok_or_else(gone)?.id)
        }
    };
    Ok(Which { account, since })
}

fn export_to(config: &Config, which: Which, path: &Path) -> Result<(), CommandError> {
    let failed = |error: io::Error| CommandError::Other(format!("{}: {error}", path.display()));
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let mut out = io::BufWriter::new(file);
    export(config, which, &mut out)?;
    out.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)
}

fn export(config: &Config, which: Which, out: &mut dyn Write) -> Result<(), CommandError> {
    let runtime = runtime(1)?;
    let store = runtime.block_on(async { Store::open(&config.database, 1, config.database_wait) })?;
    let (mut after, mut names) = (0, HashMap::new());
    loop {
        let read = move |conn: &mut Connection| {
            let entries = audit::after(conn, which, after, PAGE)?;
            let entries = named(conn, entries, &mut names)?;
            Ok::<_, StoreError>((entries, names))
        };
        let (entries, known) = runtime.block_on(store.read(read))?;
        names = known;
        let Some((last, _)) = entries.last() else { return Ok(()) };
        after = last.seq;
        for (entry, name) in &entries {
            writeln!(out, "{}", object(entry, name.as_ref()))
                .map_err(|error| CommandError::Other(error.to_string()))?;
        }
    }
}

/// Entries with the names of their accounts, of those that are there.
fn named(
    conn: &mut Connection,
    entries: Vec<Entry>,
    names: &mut HashMap<AccountId, Option<UserName>>,
) -> Result<Vec<(Entry, Option<UserName>)>, StoreError> {
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        let name = match entry.says.account {
            None => None,
            Some(account) => {
                if let std::collections::hash_map::Entry::Vacant(e) = names.entry(account) {
                    e.insert(accounts::name(conn, account)?);
                }
                names.get(&account).cloned().flatten()
            }
        };
        found.push((entry, name));
    }
    Ok(found)
}

/// An entry as JSON: all that its hash is over, and its account's name.
fn object(entry: &Entry, name: Option<&UserName>) -> String {
    let says = &entry.says;
    json!({
        "v": 1,
        "seq": entry.seq,
        "time": moment(says.first_at),
        "first_at": says.first_at,
        "last_at": says.last_at,
        "times": says.times,
        "act": says.act.word(),
        "outcome": says.outcome.word(),
        "actor": says.actor.word(),
        "account": says.account,
        "name": name,
        "device": says.device,
        "from": says.peer,
        "deleted": says.deleted.map(|deleted| json!({"until": deleted.until, "hash": hex::encode(deleted.hash)})),
        "hash": hex::encode(entry.hash),
    })
    .to_string()
}

/// An entry for people.
fn words(entry: &Entry, name: Option<&UserName>) -> String {
    let says = &entry.says;
    let mut line = format!(
        "{}  {}  {} {} by {}",
        entry.seq,
        moment(says.first_at),
        says.act.word(),
        says.outcome.word(),
        says.actor.word()
    );
    let mut add = |label: &str, value: String| line.extend([", ", label, " ", &value]);
    if let Some(account) = says.account {
        add("account", name.map_or_else(|| account.to_string(), |name| format!("{name} ({account})")));
    }
    if let Some(device) = says.device {
        add("device", device.to_string());
    }
    if let Some(peer) = &says.peer {
        // The daemon has written it; whoever writes to the database may have altered it.
        add("from", qchat_proto::sanitize::name(peer, 64));
    }
    if says.times > 1 {
        add("until", format!("{}, {} times", moment(says.last_at), says.times));
    }
    if let Some(deleted) = says.deleted {
        add("up to entry", deleted.until.to_string());
    }
    line
}
