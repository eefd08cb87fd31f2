//! Fills a database for development: accounts, rooms and long logs, without a client.
//!
//! One number decides ids, names, keys, places and payloads. So whoever knows it can compute the private keys of the
//! devices and log in as any of them: what a load tool wants, and why a database in use must never be filled. The
//! payloads are random bytes: nothing in them can be opened.

use bytes::Bytes;
use qchat_proto::{
    crypto::{
        secret::Secret,
        sign::{AccountSigningKey, DeviceSigningKey, SignError},
    },
    identity::{AccountRecord, DeviceCertificate, DeviceList, IdentityError, ListedDevice},
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq, UserName},
    transparency::Salt,
    wire::{
        frame::{Envelope, Kind},
        limits,
    },
};
use sha2::{Digest, Sha256, Sha512};

use super::{
    directory::{Said, entries},
    now,
};
use crate::store::{
    Connection, Store, StoreError,
    accounts::{self, Account, Device, Verifier},
    directory::{self, NewEntry},
    key_packages::{self, KeyPackage},
    relay::{self, Changes, NewEnvelope},
    rooms::{self, Member, RoomState, Span, Standing},
};

/// Accounts in one transaction; making their keys takes longer than storing them.
const ACCOUNTS: u32 = 64;
/// Envelopes in one transaction.
const ENVELOPES: usize = 256;
/// Every so many envelopes is a commit, the first one too.
const COMMIT: u64 = 100;
/// Bytes of a KeyPackage: what clients upload.
const KEY_PACKAGE: usize = 18_500;

/// What to fill the database with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Accounts, with one device each.
    pub accounts: u32,
    /// Rooms.
    pub rooms: u32,
    /// Members of each room, at most as many as there are accounts.
    pub members: u32,
    /// Envelopes in each room.
    pub messages: u64,
    /// Bytes of an envelope's payload.
    pub size: u32,
    /// Decides everything else.
    pub seed: u64,
}

/// What has been stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seeded {
    /// Accounts, and as many devices.
    pub accounts: u64,
    /// Rooms.
    pub rooms: u64,
    /// Places of devices in rooms.
    pub members: u64,
    /// Envelopes.
    pub envelopes: u64,
    /// Their bytes as logged.
    pub bytes: u64,
}

/// The database was not filled, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Somebody's database.
    #[error("the database has accounts: only a new one is filled, so name another with --database")]
    NotEmpty,
    /// The plan makes no sense.
    #[error("{0}")]
    Plan(&'static str),
    /// The database's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be made.
    #[error("a key could not be made: {0}")]
    Key(#[from] SignError),
    /// A statement could not be signed.
    #[error("a statement could not be signed: {0}")]
    Statement(#[from] IdentityError),
    /// The runtime is ending.
    #[error("interrupted")]
    Interrupted,
}

/// A device of the plan, and what it takes to log in as it.
pub struct Person {
    /// `user-1` and so on.
    pub name: UserName,
    /// Its account.
    pub account: AccountId,
    /// Its only device.
    pub device: DeviceId,
    /// The key that the device logs in with.
    pub key: DeviceSigningKey,
    identity: AccountSigningKey,
    recovery: AccountSigningKey,
}

impl Plan {
    /// Checks that the plan can be carried out.
    ///
    /// # Errors
    /// [`SeedError::Plan`].
    pub fn check(&self) -> Result<(), SeedError> {
        match self {
            Self { accounts: 0, .. } => Err(SeedError::Plan("one account at least is wanted")),
            Self { members: 0, .. } => Err(SeedError::Plan("a room has one member at least")),
            Self { size, .. } if *size as usize > limits::APPLICATION => {
                Err(SeedError::Plan("the payload is larger than the daemon takes"))
            }
            _ => Ok(()),
        }
    }

    /// The account with this number, counted from 1.
    ///
    /// # Errors
    /// [`SeedError::Key`].
    pub fn person(&self, number: u32) -> Result<Person, SeedError> {
        let name = format!("user-{number}").parse().map_err(|_| SeedError::Plan("too many accounts"))?;
        let key = |use_| Secret::from_bytes(self.draw(use_, u64::from(number), 0));
        Ok(Person {
            name,
            account: AccountId::from_bytes(self.draw("account", u64::from(number), 0)),
            device: DeviceId::from_bytes(self.draw("device", u64::from(number), 0)),
            key: DeviceSigningKey::from_seed(key("device key"))?,
            identity: AccountSigningKey::from_seed(key("identity key"))?,
            recovery: AccountSigningKey::from_seed(key("recovery key"))?,
        })
    }

    /// The room with this number, counted from 1.
    pub fn room(&self, number: u32) -> RoomId {
        RoomId::from_bytes(self.draw("room", u64::from(number), 0))
    }

    /// The numbers of a room's members: neighbours, so that each account is in about as many rooms.
    pub fn members(&self, room: u32) -> impl Iterator<Item = u32> + use<> {
        let accounts = u64::from(self.accounts);
        let first = u64::from_be_bytes(self.draw("first member", u64::from(room), 0)) % accounts;
        let members = u64::from(self.members).min(accounts);
        (0..members).filter_map(move |at| u32::try_from((first + at) % accounts + 1).ok())
    }

    /// Bytes that the seed decides: up to 64 for one use of them and two numbers.
    fn draw<const N: usize>(&self, use_: &str, number: u64, part: u64) -> [u8; N] {
        let hash = Sha512::new()
            .chain_update(b"qchatd seed v1\0")
            .chain_update(self.seed.to_be_bytes())
            .chain_update(number.to_be_bytes())
            .chain_update(part.to_be_bytes())
            .chain_update(use_)
            .finalize();
        std::array::from_fn(|at| hash.get(at).copied().unwrap_or_default())
    }

    /// A long run of such bytes.
    fn stream(&self, use_: &str, number: u64, part: u64, length: usize) -> Vec<u8> {
        let mut state: [u8; 64] = self.draw(use_, number, part);
        let mut bytes = Vec::with_capacity(length + state.len());
        while bytes.len() < length {
            bytes.extend_from_slice(&state);
            state = Sha512::digest(state).into();
        }
        bytes.truncate(length);
        bytes
    }

    /// An account with its device and its KeyPackage of last resort, as a registration would have left them. Its
    /// password is nobody's.
    fn account(&self, number: u32, now: u64) -> Result<(Account, Device, KeyPackage), SeedError> {
        let person = self.person(number)?;
        let record = AccountRecord {
            account: person.account,
            name: person.name.clone(),
            identity_key: person.identity.public().clone(),
            recovery_key: person.recovery.public().clone(),
            created_at: now,
        };
        let certificate = DeviceCertificate {
            account: person.account,
            device: person.device,
            device_key: person.key.public().clone(),
            identity_key_hash: person.identity.public().hash(),
            created_at: now,
        };
        let list = DeviceList {
            account: person.account,
            version: 1,
            issued_at: now,
            expires_at: now + DeviceList::LIFETIME,
            devices: vec![ListedDevice {
                device: person.device,
                device_key_hash: person.key.public().hash(),
            }],
        };
        let account = Account {
            id: person.account,
            name: person.name,
            record: record.sign(&person.identity, &person.recovery)?,
            device_list: list.sign(&person.identity)?,
            device_list_version: list.version,
            auth_salt: self.draw("salt", u64::from(number), 0),
            verifier: Verifier {
                salt: self.draw("verifier's salt", u64::from(number), 0),
                hash: self.draw("verifier", u64::from(number), 0),
            },
        };
        let device = Device {
            id: person.device,
            account: person.account,
            certificate: certificate.sign(&person.identity)?,
            listed: true,
        };
        let bytes = self.stream("KeyPackage", u64::from(number), 0, KEY_PACKAGE);
        Ok((account, device, KeyPackage { digest: Sha256::digest(&bytes).into(), bytes }))
    }

    /// The envelope with this seq.
    fn envelope(&self, room: u32, senders: &[DeviceId], seq: u64) -> NewEnvelope {
        let (number, id) = (u64::from(room), self.room(room));
        let turn = u64::from_be_bytes(self.draw("sender", number, seq)) % (senders.len().max(1) as u64);
        let sender = usize::try_from(turn).ok().and_then(|turn| senders.get(turn)).copied();
        let sender = sender.unwrap_or(DeviceId::from_bytes([0; 16]));
        let message = MessageId::from_bytes(self.draw("message", number, seq));
        let is_commit = is_commit(seq);
        let envelope = Envelope {
            room: id,
            message_id: message,
            sender,
            kind: if is_commit { Kind::Commit } else { Kind::Application },
            commit_seq: Seq(last_commit(seq.saturating_sub(1))),
            payload: self.stream("payload", number, seq, self.size as usize).into(),
            delta: vec![],
        };
        let logged: Bytes = envelope.encode();
        NewEnvelope { room: id, seq: Seq(seq), sender, message, logged }
    }
}

fn is_commit(seq: u64) -> bool {
    seq % COMMIT == 1
}

/// The newest commit in a log that has come this far; 0 in an empty one.
fn last_commit(seq: u64) -> u64 {
    if seq == 0 { 0 } else { (seq - 1) / COMMIT * COMMIT + 1 }
}

/// Fills an empty database, whose migrations must be current, and says after every transaction what it has stored so
/// far. Each transaction is durable when it is told of; what an interruption leaves behind is no empty database.
///
/// # Errors
/// [`SeedError`]; [`SeedError::NotEmpty`] before anything is changed.
pub async fn fill(store: &Store, plan: Plan, mut told: impl FnMut(Seeded)) -> Result<Seeded, SeedError> {
    plan.check()?;
    let mut done = Seeded::default();
    for first in (1..=plan.accounts).step_by(ACCOUNTS as usize) {
        let last = first.saturating_add(ACCOUNTS - 1).min(plan.accounts);
        let made = tokio::task::spawn_blocking(move || {
            (first..=last).map(|number| plan.account(number, now())).collect::<Result<Vec<_>, _>>()
        });
        let made = made.await.map_err(|_| SeedError::Interrupted)??;
        done.accounts += made.len() as u64;
        let said = said(&plan, &made);
        store
            .write(move |conn| {
                // In the transaction that adds the first ones: of two that begin together, one is refused.
                if first == 1 && accounts::any(conn)? {
                    return Err(SeedError::NotEmpty);
                }
                put_accounts(conn, &made)?;
                directory::append(conn, &said).map_err(SeedError::from)
            })
            .await?;
        told(done);
    }
    for room in 1..=plan.rooms {
        let people: Vec<(AccountId, DeviceId)> = plan
            .members(room)
            .map(|number| {
                let number = u64::from(number);
                let account = AccountId::from_bytes(plan.draw("account", number, 0));
                (account, DeviceId::from_bytes(plan.draw("device", number, 0)))
            })
            .collect();
        let devices: Vec<DeviceId> = people.iter().map(|(_, device)| *device).collect();
        done.rooms += 1;
        done.members += people.len() as u64;
        let id = plan.room(room);
        store.write(move |conn| put_room(conn, id, &people)).await?;
        for first in (1..=plan.messages).step_by(ENVELOPES) {
            let last = first.saturating_add(ENVELOPES as u64 - 1).min(plan.messages);
            let senders = devices.clone();
            let made = tokio::task::spawn_blocking(move || {
                (first..=last).map(|seq| plan.envelope(room, &senders, seq)).collect::<Vec<_>>()
            });
            let envelopes = made.await.map_err(|_| SeedError::Interrupted)?;
            done.envelopes += envelopes.len() as u64;
            done.bytes += envelopes.iter().map(|envelope| envelope.logged.len() as u64).sum::<u64>();
            let state = RoomState { next_seq: Seq(last).next(), commit_seq: Seq(last_commit(last)) };
            let changes = Changes { envelopes, rooms: [(id, state)].into(), ..Changes::default() };
            store.write(move |conn| relay::save(conn, &changes, super::now_sql())).await?;
            told(done);
        }
    }
    told(done);
    Ok(done)
}

/// What the key directory is to say of them; their salts follow from the seed as all else does.
fn said(plan: &Plan, made: &[(Account, Device, KeyPackage)]) -> Vec<NewEntry> {
    let entries = made.iter().flat_map(|(account, ..)| {
        let number = u64::from_be_bytes(*account.id.as_bytes().first_chunk().unwrap_or(&[0; 8]));
        let mut nth = 0;
        let salt = || {
            nth += 1;
            Ok::<_, std::convert::Infallible>(Salt(plan.draw("salt of an entry", number, nth)))
        };
        entries(account, Said::Everything, salt).unwrap_or_default()
    });
    entries.collect()
}

fn put_accounts(conn: &mut Connection, made: &[(Account, Device, KeyPackage)]) -> Result<(), StoreError> {
    let at = super::now_sql();
    for (account, device, last_resort) in made {
        accounts::insert(conn, account, at)?;
        accounts::insert_device(conn, device, at)?;
        key_packages::renew(conn, device.id, last_resort)?;
    }
    Ok(())
}

fn put_room(conn: &mut Connection, room: RoomId, people: &[(AccountId, DeviceId)]) -> Result<(), StoreError> {
    for (at, (account, device)) in people.iter().enumerate() {
        let member = Member {
            device: *device,
            account: *account,
            standing: Standing::Full,
            once_full: true,
            waiting: false,
            reads: Span { after: Seq(0), until: None },
            past: Span::EMPTY,
        };
        if at == 0 {
            rooms::create(conn, room, &member, super::now_sql())?;
        } else {
            rooms::put_member(conn, room, &member)?;
        }
    }
    Ok(())
}
