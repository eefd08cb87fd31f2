//! The store through its public interface, on real files.

mod changes;
mod contract;
mod deletions;
mod exercises;
mod files;
mod migrations;
mod notes;
mod profile;
mod queue;
mod search;
mod timeline;
mod unread;

use qchat_proto::{
    crypto::secret::Secret,
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq, ServerId},
    session::ledger::{Phase, RoomState},
};

use super::{Identity, Profile, StoreError, Tx};

pub(super) const KEY: [u8; 32] = [0xc3; 32];
pub(super) const ROOM: RoomId = RoomId::from_bytes([1; 16]);
pub(super) const ALICE: AccountId = AccountId::from_bytes([0xa1; 16]);
pub(super) const ALICE_DEVICE: DeviceId = DeviceId::from_bytes([0xa2; 16]);
pub(super) const BOB: AccountId = AccountId::from_bytes([0xb1; 16]);
pub(super) const BOB_DEVICE: DeviceId = DeviceId::from_bytes([0xb2; 16]);

pub(super) fn message(n: u8) -> MessageId {
    MessageId::from_bytes([n; 16])
}

pub(super) fn alice() -> Identity {
    Identity {
        account: ALICE,
        device: ALICE_DEVICE,
        name: "alice".parse().unwrap(),
        server_url: "http://127.0.0.1:1/".to_owned(),
        server_key: None,
        server_id: ServerId::from_bytes([9; 16]),
        device_key: Secret::from_bytes([0xd1; 64]),
        account_key: Secret::from_bytes([0xd2; 64]),
        certificate: vec![7; 100],
        list_version: 1,
    }
}

/// How much is unread in the room, and how much of that speaks to this account.
pub(super) fn unread(tx: &mut Tx) -> Result<(u64, u64), StoreError> {
    Ok(tx.room_row(ROOM)?.map_or((0, 0), |row| (row.unread, row.mentions)))
}

pub(super) fn state(cursor: u64) -> RoomState {
    RoomState {
        room: ROOM,
        phase: Phase::Member,
        cursor: Seq(cursor),
        head: [cursor.to_le_bytes()[0]; 48],
        commit_seq: Seq(0),
        accepted: 0,
        generation: Seq(0),
        epoch: 0,
    }
}

/// A profile that belongs to alice, in a directory that vanishes with the test.
pub(super) fn profile() -> (tempfile::TempDir, Profile) {
    let dir = tempfile::tempdir().unwrap();
    let profile = Profile::create(&dir.path().join("alice"), Secret::from_bytes(KEY)).unwrap();
    profile.write(|tx| tx.put_identity(&alice())).unwrap();
    (dir, profile)
}

/// The same profile as another process has it.
pub(super) fn other_process(profile: &Profile) -> Profile {
    Profile::open(profile.dir(), Secret::from_bytes(KEY)).unwrap()
}

pub(super) fn read<T>(profile: &Profile, work: impl FnOnce(&mut super::Tx) -> Result<T, StoreError>) -> T {
    profile.read(work).unwrap()
}

pub(super) fn write<T>(profile: &Profile, work: impl FnOnce(&mut super::Tx) -> Result<T, StoreError>) -> T {
    profile.write(work).unwrap()
}
