//! What the daemon decides: one service per concern, each over the store, none of them knowing HTTP or frames.

mod access;
pub mod accounts;
pub mod audit;
pub mod backups;
pub mod directory;
mod error;
pub mod files;
pub mod floor;
pub mod housekeeping;
pub mod join_requests;
pub mod key_packages;
pub mod keys;
pub mod links;
pub mod notes;
mod password;
mod proof;
pub mod relay;
pub mod rooms;
pub mod seed;
pub mod sessions;
mod spaces;
mod token;
pub mod trees;
pub mod turns;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use qchat_proto::ids::ServerId;

pub use self::error::ServiceError;
use self::{
    accounts::Accounts,
    audit::Audit,
    backups::Backups,
    directory::KeyDirectory,
    files::{FileLimits, Files},
    housekeeping::{Housekeeping, Retention},
    join_requests::JoinRequests,
    key_packages::KeyPackages,
    keys::ServerKeys,
    links::Links,
    notes::Notes,
    password::Passwords,
    relay::Relay,
    rooms::Rooms,
    sessions::Sessions,
    trees::Trees,
    turns::Turns,
};
use crate::{blobs::Blobs, bus::Bus, hub::Hub, limits::Limits, meters::Meters, store::Store};

/// All services of one daemon.
pub struct Services {
    /// Who this daemon's database is.
    pub server_id: ServerId,
    /// The database.
    pub store: Store,
    /// The connected devices.
    pub hub: Arc<Hub>,
    /// The way to those of other nodes.
    pub bus: Bus,
    /// Registration and the directory.
    pub accounts: Accounts,
    /// That the directory says the same to everybody.
    pub directory: Arc<KeyDirectory>,
    /// Logins and tokens.
    pub sessions: Sessions,
    /// KeyPackages.
    pub key_packages: KeyPackages,
    /// New devices.
    pub links: Links,
    /// What the devices of an account keep for one another.
    pub notes: Notes,
    /// What people ask who hold an invite link.
    pub join_requests: JoinRequests,
    /// What devices keep here for those that come after them.
    pub backups: Backups,
    /// Rooms and invitations.
    pub rooms: Rooms,
    /// Ratchet trees for joiners.
    pub trees: Trees,
    /// What members put there for one another.
    pub files: Files,
    /// What is deleted by the clock.
    pub housekeeping: Housekeeping,
    /// The order of envelopes.
    pub relay: Relay,
    /// Who may read a log now.
    pub turns: Turns,
    /// What is noted of who did what.
    pub audit: Audit,
    /// How much each may ask for.
    pub limits: Arc<Limits>,
    /// What is counted.
    pub meters: Arc<Meters>,
}

/// How much each may ask for, how long what lies here is kept, what is noted of who did what, how large backups and files may be,
/// and where files lie.
pub type More = (Limits, Retention, Audit, u64, (Blobs, FileLimits));

impl Services {
    /// Puts the services together.
    pub fn new(
        server_id: ServerId,
        store: Store,
        bus: Bus,
        keys: ServerKeys,
        relay: Relay,
        meters: Arc<Meters>,
        (limits, retention, audit, backup_bytes, (blobs, file_limits)): More,
    ) -> Result<Self, ServiceError> {
        let (hub, limits) = (bus.hub(), Arc::new(limits));
        let passwords = Passwords::new(keys.pepper.clone());
        let sessions = Sessions::new(
            (store.clone(), hub.clone(), bus.clone()),
            limits.clone(),
            audit.clone(),
            server_id,
            &keys,
        );
        let directory =
            Arc::new(KeyDirectory::new(store.clone(), server_id, keys.directory, meters.clone())?);
        Ok(Self {
            server_id,
            accounts: Accounts::new(
                store.clone(),
                hub.clone(),
                bus.clone(),
                sessions.clone(),
                limits.clone(),
                audit.clone(),
                passwords.clone(),
                directory.clone(),
            ),
            directory,
            links: Links::new(
                store.clone(),
                bus.clone(),
                limits.clone(),
                (passwords, audit.clone()),
                keys.strangers,
            ),
            notes: Notes::new(store.clone(), bus.clone()),
            join_requests: JoinRequests::new(store.clone(), bus.clone()),
            backups: Backups::new(store.clone(), audit.clone(), backup_bytes),
            key_packages: KeyPackages::new(store.clone(), bus.clone()),
            rooms: Rooms::new(store.clone(), bus.clone()),
            trees: Trees::new(store.clone()),
            files: Files::new(store.clone(), blobs, file_limits),
            housekeeping: Housekeeping::new(store.clone(), meters.clone(), retention),
            sessions,
            turns: Turns::new(relay.clone()),
            relay,
            audit,
            limits,
            meters,
            store,
            hub,
            bus,
        })
    }
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seconds since the Unix epoch, as the database keeps them.
fn now_sql() -> i64 {
    i64::try_from(now()).unwrap_or(i64::MAX)
}
