//! What the daemon holds about an account, given out to its owner line by line: no more of it is in memory than one line.

use std::collections::VecDeque;

use bytes::Bytes;
use qchat_proto::{
    identity::Deed,
    ids::{AccountId, DeviceId, FileId, RoomId},
    wire::{
        api::{Binary, ExportAccount},
        chunk::ChunkId,
    },
};
use serde_json::{Value, json};

use super::Accounts;
use crate::{
    peer::Peer,
    service::{ServiceError, audit::About, proof::prove, sessions::Caller},
    store::{
        Connection, Store, StoreError, accounts,
        audit::{self, Act, Actor, Outcome, Which},
        backups, directory, export, files, join_requests, notes, owed,
    },
};

/// Entries of the audit log that are read at once.
const ACTIVITY: u32 = 200;
/// Parts of backups that are looked up at once.
const CHUNKS: u32 = 200;

/// What is still to be given out.
pub struct Export {
    store: Store,
    account: AccountId,
    /// What comes next.
    steps: VecDeque<Step>,
    /// Lines so far.
    lines: u64,
    ended: bool,
}

/// A part of what there is, small enough to be read at once, or the way to the next such part.
enum Step {
    Account,
    Device(DeviceId),
    Place(RoomId, DeviceId),
    /// The envelopes of a device in a room after a seq.
    Sent(RoomId, DeviceId, u64),
    Envelope(RoomId, DeviceId, export::Envelope),
    /// The parts of backups after a row.
    Chunks(i64),
    Chunk(DeviceId, ChunkId),
    /// The files after one of them.
    Files(Option<FileId>),
    /// What the key directory says of it.
    Directory,
    /// What is noted after a place in the audit log.
    Activity(i64),
}

impl Accounts {
    /// Begins to give out what there is about the caller's account.
    ///
    /// # Errors
    /// `forbidden` when the device's proof is wrong.
    pub async fn export(
        &self,
        caller: Caller,
        request: ExportAccount,
        from: Option<&Peer>,
    ) -> Result<Export, ServiceError> {
        let who = (caller.account, caller.device);
        let about = About::caller(&caller, from);
        let verified =
            prove(&self.store, &self.sessions, who, &request.proof, |proof, signature, key, now| {
                proof.verify(Deed::Export, signature, key, now).is_ok()
            });
        let proved = verified.await.inspect_err(|error| {
            if matches!(error, ServiceError::Refused(_)) {
                self.audit.note(Act::ExportAccount, Outcome::WrongProof, Actor::Unknown, about);
            }
        })?;
        self.store.write(move |conn| proved.spend(conn)).await?;
        self.audit.done(Act::ExportAccount, about);
        let steps = VecDeque::from([Step::Account]);
        Ok(Export { store: self.store.clone(), account: caller.account, steps, lines: 0, ended: false })
    }
}

impl Export {
    /// The next lines of JSON; `None` at the end. The last line says how many there were before it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let Some(step) = self.steps.pop_front() else {
                if std::mem::replace(&mut self.ended, true) {
                    return Ok(None);
                }
                return Ok(Some(line(&json!({"kind": "end", "lines": self.lines})).into()));
            };
            let account = self.account;
            let (objects, then) = self.store.read(move |conn| carry_out(conn, account, step)).await?;
            for step in then.into_iter().rev() {
                self.steps.push_front(step);
            }
            self.lines += objects.len() as u64;
            if !objects.is_empty() {
                return Ok(Some(objects.iter().flat_map(line).collect::<Vec<u8>>().into()));
            }
        }
    }
}

fn line(object: &Value) -> Vec<u8> {
    let mut line = object.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// Reads a part; gives its lines, and the steps that follow from it before all others.
fn carry_out(
    conn: &mut Connection,
    account: AccountId,
    step: Step,
) -> Result<(Vec<Value>, Vec<Step>), StoreError> {
    match step {
        Step::Account => whole_account(conn, account),
        Step::Device(device) => of_device(conn, device),
        Step::Place(room, device) => {
            let welcome = export::welcome(conn, room, device)?.map(|welcome| {
                json!({
                    "kind": "invitation", "device": device, "room": room, "seq": welcome.seq,
                    "inviter": welcome.inviter, "welcome": Binary::from(welcome.welcome),
                })
            });
            Ok((welcome.into_iter().collect(), vec![Step::Sent(room, device, 0)]))
        }
        Step::Sent(room, device, after) => {
            let some = export::envelopes(conn, room, device, after)?;
            let next = some.last().map(|last| Step::Sent(room, device, last.seq));
            let each = some.into_iter().map(|envelope| Step::Envelope(room, device, envelope));
            Ok((vec![], each.chain(next).collect()))
        }
        Step::Envelope(room, device, envelope) => {
            let logged = export::logged(conn, envelope.row)?.map(Binary::from);
            let object = json!({
                "kind": "envelope", "device": device, "room": room, "seq": envelope.seq,
                "message": hex::encode(&envelope.message), "size": envelope.size, "bytes": logged,
            });
            Ok((vec![object], vec![]))
        }
        Step::Chunks(after) => {
            let some = backups::chunks_after(conn, account, after, CHUNKS)?;
            let next = some.last().map(|(row, ..)| Step::Chunks(*row));
            let each = some.into_iter().map(|(_, device, chunk)| Step::Chunk(device, chunk));
            Ok((vec![], each.chain(next).collect()))
        }
        Step::Chunk(device, chunk) => {
            let object = backups::chunk(conn, (account, device), chunk)?.map(|bytes| {
                json!({"kind": "backup_chunk", "device": device, "chunk": chunk, "bytes": Binary::from(bytes)})
            });
            Ok((object.into_iter().collect(), vec![]))
        }
        Step::Files(after) => {
            let some = files::of_account(conn, account, after)?;
            let next = some.last().map(|last| Step::Files(Some(last.id)));
            let objects = some.into_iter().map(|file| {
                json!({
                    "kind": "file", "file": file.id, "device": file.device, "room": file.room, "size": file.size,
                    "complete": file.state == files::State::Whole,
                })
            });
            Ok((objects.collect(), next.into_iter().collect()))
        }
        Step::Directory => {
            let said = directory::said_of(conn, account)?.into_iter().map(|entry| {
                json!({
                    "kind": "directory_entry", "label": Binary::from(entry.label), "version": entry.version,
                    "salt": Binary::from(entry.salt.0.to_vec()), "said": Binary::from(entry.said),
                })
            });
            Ok((said.collect(), vec![]))
        }
        Step::Activity(after) => {
            let which = Which { account: Some(account), since: None };
            let some = audit::after(conn, which, after, ACTIVITY)?;
            let next = some.last().map(|last| Step::Activity(last.seq));
            let objects = some.iter().map(|entry| {
                let says = &entry.says;
                json!({
                    "kind": "activity", "seq": entry.seq, "first_at": says.first_at, "last_at": says.last_at,
                    "times": says.times, "act": says.act.word(), "outcome": says.outcome.word(),
                    "actor": says.actor.word(), "device": says.device, "from": says.peer,
                })
            });
            Ok((objects.collect(), next.into_iter().collect()))
        }
    }
}

fn whole_account(conn: &mut Connection, account: AccountId) -> Result<(Vec<Value>, Vec<Step>), StoreError> {
    let stored = accounts::by_id(conn, account)?.ok_or(StoreError::Corrupt("a caller's account"))?;
    let devices = export::devices(conn, account)?;
    let mut objects = vec![json!({
        "kind": "account", "account": account, "name": stored.name,
        "created_at": export::created_at(conn, account)?, "record": Binary::from(stored.record),
        "device_list": Binary::from(stored.device_list), "device_list_version": stored.device_list_version,
        "auth_salt": Binary::from(stored.auth_salt.to_vec()),
    })];
    objects.extend(devices.iter().map(|device| {
        json!({
            "kind": "device", "device": device.id, "listed": device.listed, "created_at": device.created_at,
            "certificate": Binary::from(device.certificate.clone()),
        })
    }));
    for backup in backups::of_account(conn, account)? {
        objects.push(json!({
            "kind": "backup", "device": backup.device, "version": backup.version, "made_at": backup.made_at,
            "head": Binary::from(backup.head),
        }));
    }
    if let Some((version, sealed)) = notes::find(conn, account)? {
        objects.push(json!({"kind": "notes", "version": version, "sealed": Binary::from(sealed)}));
    }
    for asked in join_requests::of_account(conn, account)? {
        let request = Binary::from(asked.request);
        objects.push(json!({"kind": "join_request", "room": asked.room, "request": request}));
    }
    let each = devices.into_iter().map(|device| Step::Device(device.id));
    Ok((
        objects,
        each.chain([Step::Chunks(0), Step::Files(None), Step::Directory, Step::Activity(0)]).collect(),
    ))
}

fn of_device(conn: &mut Connection, device: DeviceId) -> Result<(Vec<Value>, Vec<Step>), StoreError> {
    let mut objects = Vec::new();
    for session in export::sessions(conn, device)? {
        objects.push(json!({
            "kind": "session", "device": device, "created_at": session.created_at,
            "expires_at": session.expires_at, "ended": session.ended,
        }));
    }
    for package in export::key_packages(conn, device)? {
        objects.push(json!({
            "kind": "key_package", "device": device, "sha256": hex::encode(package.digest),
            "last_resort": package.last_resort, "package": package.package.map(Binary::from),
        }));
    }
    for (room, size) in export::trees(conn, device)? {
        objects.push(json!({"kind": "tree", "device": device, "room": room, "size": size}));
    }
    for room in owed::to(conn, device)? {
        objects.push(json!({"kind": "owed_place", "device": device, "room": room}));
    }
    let places = export::places(conn, device)?;
    for place in &places {
        let standing = match place.standing {
            1 => "full",
            2 => "invited",
            4 => "declined",
            _ => "removed",
        };
        objects.push(json!({
            "kind": "room", "device": device, "room": place.room, "standing": standing,
            "confirmed": place.confirmed,
        }));
    }
    Ok((objects, places.into_iter().map(|place| Step::Place(place.room, device)).collect()))
}
