//! A thief with the disk and the passphrase: every byte of every page is read, and nothing that is over is there.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use qchat_cli::{
    engine::recovery,
    store::{Profile, StoreError, Tx},
    vault,
};
use qchat_proto::{
    crypto::{
        entropy::SystemEntropy,
        secret::Secret,
        sign::{AccountPublicKey, DeviceSigningKey},
    },
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    mls::{device::Device, group::Opened, identity::AccountKeys},
    session::ledger::{
        Change, GroupBlob, GroupUpdate, Ledger, OpenedMessage, OutboxRow, RowState, Sealed, Want,
    },
    wire::frame::Kind,
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    proxy::Proxy,
    sqlcipher::{self, Page},
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{
    keys::key_package_keys,
    person::{PASSPHRASE, Person, eventually, published},
};

/// Bytes of a secret that are looked for at once: fewer would be found by chance, more would miss a piece at the end of a
/// page.
const WINDOW: usize = 16;

fn windows(bytes: &[u8]) -> HashSet<&[u8]> {
    bytes.windows(WINDOW).collect()
}

/// What stood in `old` and does not stand in what may still be there.
fn superseded(old: &[u8], current: &[&[u8]]) -> HashSet<Vec<u8>> {
    let mut over = windows(old);
    for bytes in current {
        for window in bytes.windows(WINDOW) {
            over.remove(window);
        }
    }
    // Counters and lengths are no secrets, and stand in many places. Of 16 random bytes 8 are different, always.
    over.retain(|window| window.iter().collect::<HashSet<_>>().len() >= 8);
    over.into_iter().map(<[u8]>::to_vec).collect()
}

/// A copy of a profile's files, as its thief has them.
pub(crate) struct Copy {
    directory: TempDir,
    key: Secret<32>,
    pages: Vec<Page>,
}

impl Copy {
    /// `key`: as the passphrase has opened it before.
    fn of(profile: &Path, key: &Secret<32>) -> Self {
        let directory = TempDir::with_prefix("copy-").unwrap();
        for file in fs::read_dir(profile).unwrap() {
            let file = file.unwrap().path();
            if file.is_file() {
                fs::copy(&file, directory.path().join(file.file_name().unwrap())).unwrap();
            }
        }
        let key = Secret::from_bytes(*key.expose());
        let pages = sqlcipher::pages(directory.path(), key.expose());
        Self { directory, key, pages }
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        self.pages.iter().any(|page| page.bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    #[track_caller]
    fn holds_none_of(&self, what: &str, over: &HashSet<Vec<u8>>) {
        assert!(!over.is_empty(), "{what}: nothing to look for");
        for page in &self.pages {
            let found = page.bytes.windows(WINDOW).position(|window| over.contains(window));
            assert_eq!(found, None, "{what} stands on {}", page.place);
        }
    }

    /// The group as the thief finds it, and what it can be used with.
    pub(crate) fn group(&self, room: RoomId) -> (Device, GroupBlob) {
        let profile = Profile::open(self.directory.path(), Secret::from_bytes(*self.key.expose())).unwrap();
        let (own, blob) = profile
            .read(|tx| Ok::<_, StoreError>((tx.identity()?.unwrap(), tx.group(room)?.unwrap())))
            .unwrap();
        let key = DeviceSigningKey::from_seed(own.device_key).unwrap();
        let keys = Arc::new(Pinned(profile));
        (Device::new(&own.certificate, &key, Arc::new(SystemEntropy), keys).unwrap(), blob)
    }

    /// Whether a recorded envelope's payload can be opened with what is in the copy.
    fn opens(&self, room: RoomId, payload: &[u8]) -> bool {
        let (device, blob) = self.group(room);
        let mut group = device.load(room, &blob, &[]).unwrap();
        matches!(group.open(payload), Ok(Opened::Application { .. }))
    }
}

struct Pinned(Profile);

impl AccountKeys for Pinned {
    fn account_key(&self, account: AccountId, hash: &[u8; 48]) -> Option<AccountPublicKey> {
        let key = self.0.read(|tx| tx.account_key(hash)).unwrap().filter(|key| key.account == account)?;
        AccountPublicKey::from_bytes(&key.public_key).ok()
    }
}

/// Bytes in which a piece of one window names the secret that it is from.
struct Secrets(u64);

impl Secrets {
    const MARK: [u8; 4] = [0xa5; 4];

    fn draw(&mut self, length: usize) -> (Vec<u8>, Vec<u8>) {
        self.0 += 1;
        let mut token = Self::MARK.repeat(WINDOW / 4);
        token[4..12].copy_from_slice(&self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        token[12..].copy_from_slice(&u32::try_from(self.0).unwrap().to_be_bytes());
        (token.iter().copied().cycle().take(length.max(2 * WINDOW)).collect(), token)
    }
}

fn id(number: u64) -> MessageId {
    MessageId::from_bytes(u128::from(number).to_be_bytes())
}

/// A profile without an engine, whose rows are moved about as much as in a busy year.
struct Shelf {
    directory: TempDir,
    profile: Profile,
    secrets: Secrets,
    over: HashMap<Vec<u8>, &'static str>,
    alive: HashSet<Vec<u8>>,
}

impl Shelf {
    const KEY: [u8; 32] = [7; 32];

    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let profile =
            Profile::create(&directory.path().join("profile"), Secret::from_bytes(Self::KEY)).unwrap();
        profile.write(|tx| tx.put_identity(&crate::kept::identity(1))).unwrap();
        Self { directory, profile, secrets: Secrets(0), over: HashMap::new(), alive: HashSet::new() }
    }

    fn write<T>(&self, work: impl FnOnce(&mut Tx) -> Result<T, StoreError>) -> T {
        self.profile.write(work).unwrap()
    }

    /// A secret of this length that is stored from now on, and what it is found by.
    fn draw(&mut self, length: usize) -> (Vec<u8>, Vec<u8>) {
        let (secret, token) = self.secrets.draw(length);
        self.alive.insert(token.clone());
        (secret, token)
    }

    fn is_over(&mut self, token: Vec<u8>, what: &'static str) {
        self.alive.remove(&token);
        self.over.insert(token, what);
    }

    /// Reads every page: what is over is nowhere, and what is not is found.
    fn search(&self, round: u64) {
        assert!(self.profile.checkpoint(Duration::ZERO).unwrap());
        let mut missing: HashSet<&Vec<u8>> = self.alive.iter().collect();
        for page in sqlcipher::pages(&self.directory.path().join("profile"), &Self::KEY) {
            for window in page.bytes.windows(WINDOW).filter(|window| window.starts_with(&Secrets::MARK)) {
                assert_eq!(self.over.get(window), None, "stands on {} in round {round}", page.place);
                missing.remove(&window.to_vec());
            }
        }
        assert!(missing.is_empty(), "the search does not find what is there");
    }
}

fn room_of(number: u64) -> RoomId {
    RoomId::from_bytes(u128::from(number + 1).to_be_bytes())
}

/// A length below `most` that looks drawn and is the same each time.
fn length(seed: u64, most: u64) -> usize {
    let mixed =
        (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    usize::try_from((mixed >> 20) % most).unwrap()
}

#[test]
fn the_states_of_groups_leave_no_copies_beside_one_another() {
    const ROOMS: u64 = 60;
    let mut shelf = Shelf::new();
    let mut states: HashMap<u64, Vec<u8>> = HashMap::new();
    for round in 0..100 {
        let busy = 1 + length(round, 5);
        for room in (0..ROOMS).filter(|room| length(room + round * ROOMS, 10) < busy) {
            let seed = round * ROOMS + room;
            if length(seed + 3, 4) == 0 {
                // Left, or lost and joined again.
                shelf.write(|tx| tx.forget_group(room_of(room)));
                if let Some(old) = states.remove(&room) {
                    shelf.is_over(old, "the state of a room that is over");
                }
                continue;
            }
            // Another size each time, as with members that come and go.
            let (state, token) = shelf.draw(60 + length(seed, [300, 900, 2400, 9000][length(seed + 7, 4)]));
            let update = GroupUpdate { state: Zeroizing::new(state), tree: None };
            shelf.write(|tx| tx.put_group(room_of(room), &update));
            if let Some(old) = states.insert(room, token) {
                shelf.is_over(old, "an earlier state");
            }
        }
        shelf.search(round);
    }
}

#[test]
fn what_waited_to_be_sent_is_nowhere_once_it_is_sent_and_deleted() {
    let mut shelf = Shelf::new();
    let room = room_of(0);
    let mut waiting: Vec<(u64, Vec<u8>)> = vec![];
    let mut number = 0;
    for round in 0..40 {
        while waiting.len() < 64 {
            number += 1;
            let (content, token) = shelf.draw(40 + length(number, 400));
            let want = Want::Application(Bytes::from(content.clone()));
            let row = OutboxRow { message_id: id(number), want, state: RowState::Waiting };
            shelf.write(|tx| {
                tx.outbox_push_back(room, &row)?;
                tx.put_pending(room, id(number), &content)?;
                assert_eq!(tx.outbox_row(room, id(number))?.as_ref(), Some(&row));
                Ok(())
            });
            waiting.push((number, token));
        }
        // Sealed, which makes the row grow beside those that wait; acknowledged; read; deleted.
        let later = waiting.split_off(1 + length(round, 40));
        for (number, token) in std::mem::replace(&mut waiting, later) {
            let sealed = Sealed {
                envelope: Bytes::from(vec![0x5e; 300 + length(number, 5000)]),
                commit_seq: Seq(1),
                welcomes: vec![],
                tree: None,
            };
            // Refused once, and sealed again; a commit goes first, and is in its way.
            let commit = OutboxRow {
                message_id: id(1_000_000 + number),
                want: Want::Commit(Change::Add(vec![Bytes::from(vec![0x77; 200 + length(number, 3000)])])),
                state: RowState::Waiting,
            };
            let deletion = shelf.write(|tx| {
                tx.outbox_set(room, id(number), &RowState::Sealed(sealed.clone()))?;
                tx.outbox_push_front(room, &commit)?;
                tx.outbox_set(room, id(number), &RowState::Stale(Seq(2)))?;
                tx.outbox_remove(room, commit.message_id)?;
                tx.outbox_set(room, id(number), &RowState::Sealed(sealed))?;
                tx.outbox_remove(room, id(number))?;
                tx.settle_message(room, id(number), Seq(number), 1)?;
                tx.delete_messages(room, &[id(number)])
            });
            assert_eq!(deletion.deleted, 1);
            shelf.is_over(token, "a text that was sent and deleted");
        }
        shelf.search(round);
    }
}

#[test]
fn deleted_texts_are_nowhere_whatever_stands_beside_them() {
    let mut shelf = Shelf::new();
    let mut texts: Vec<(RoomId, MessageId, Vec<u8>)> = vec![];
    let mut number = 0;
    for round in 0..24 {
        let mut said = vec![];
        for _ in 0..120 {
            number += 1;
            let (room, message) = (room_of(number % 5), id(number));
            let (content, token) = shelf.draw(20 + length(number, if number % 9 == 0 { 9000 } else { 1800 }));
            said.push(OpenedMessage {
                room,
                seq: Seq(number),
                message_id: message,
                account: AccountId::from_bytes([9; 16]),
                device: DeviceId::from_bytes([9; 16]),
                epoch: 1,
                content: content.into(),
            });
            texts.push((room, message, token));
        }
        shelf.write(|tx| said.iter().try_for_each(|message| tx.put_message(message)));
        // A third goes, some of it from long ago.
        texts.sort_by_key(|(_, message, _)| message.as_bytes().map(|byte| byte.wrapping_mul(101)));
        let deleted = texts.split_off(texts.len() - texts.len() / 3);
        shelf.write(|tx| {
            for (room, message, _) in &deleted {
                assert_eq!(tx.delete_messages(*room, &[*message])?.deleted, 1);
            }
            Ok(())
        });
        for (.., token) in deleted {
            shelf.is_over(token, "a deleted text");
        }
        shelf.search(round);
    }
}

pub(crate) async fn emptied(person: &Person) {
    let log = person.directory.path().join("profile/profile.db-wal");
    eventually("the write-ahead log is emptied", || (fs::metadata(&log).ok()?.len() == 0).then_some(()))
        .await;
}

fn blob(person: &Person, room: RoomId) -> GroupBlob {
    person.profile.read(|tx| tx.group(room)).unwrap().unwrap()
}

pub(crate) fn key(person: &Person) -> Secret<32> {
    vault::unlock(&person.directory.path().join("profile"), PASSPHRASE).unwrap()
}

pub(crate) fn copy(person: &Person, key: &Secret<32>) -> Copy {
    Copy::of(&person.directory.path().join("profile"), key)
}

fn package_keys(person: &Person) -> HashMap<Vec<u8>, [Vec<u8>; 2]> {
    let packages = person.profile.read(Tx::key_packages).unwrap();
    packages.into_iter().map(|secret| (secret.id, key_package_keys(&secret.data))).collect()
}

fn windows_of(secret: &[u8]) -> HashSet<Vec<u8>> {
    secret.windows(WINDOW).map(<[u8]>::to_vec).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_words_are_off_the_disk_once_they_are_confirmed() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let alices = key(&alice);
    let kept = alice.profile.read(Tx::recovery_key).unwrap().expect("nobody has confirmed them");
    let kept = windows_of(kept.secret().expose());
    let found = |copy: &Copy| {
        copy.pages.iter().any(|page| page.bytes.windows(WINDOW).any(|window| kept.contains(window)))
    };
    assert!(found(&copy(&alice, &alices)), "they are not lost with the window that shows them");
    recovery::confirm(&alice.profile).await.unwrap();
    emptied(&alice).await;
    copy(&alice, &alices).holds_none_of("the recovery key", &kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_disk_and_the_passphrase_open_nothing_of_the_past() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&proxy.url(), "alice").await;
    let mut bob = Person::register(&proxy.url(), "bob").await;
    let (alices, bobs) = (key(&alice), key(&bob));
    let before_joining = package_keys(&bob);
    let room = crate::person::room("tea", &[&alice, &bob]).await;
    let after_joining = package_keys(&bob);
    let (_, [init_key, leaf_key]) =
        before_joining.into_iter().find(|(id, _)| !after_joining.contains_key(id)).unwrap();

    let texts =
        ["canary-1 the heron lands at noon", "canary-2 the otter sleeps", "canary-3 it rains on the fen"];
    alice.say(room, texts[0]).await;
    bob.texts(room, 1).await;
    alice.texts(room, 1).await;

    // Message after message: what sealed or opened the one before is gone.
    for (number, text) in texts.iter().enumerate().skip(1) {
        bob.stop().await;
        let (sender_before, receiver_before) = (blob(&alice, room), blob(&bob, room));
        let not_read_yet = copy(&bob, &bobs);
        alice.say(room, text).await;
        let sealed =
            published(&proxy).into_iter().rfind(|envelope| envelope.kind == Kind::Application).unwrap();
        assert!(not_read_yet.opens(room, &sealed.payload), "before it is read, its key is on the disk");
        bob.through(&proxy).await;
        bob.texts(room, number + 1).await;
        for (who, key, before) in [(&alice, &alices, sender_before), (&bob, &bobs, receiver_before)] {
            emptied(who).await;
            // In use: nobody has closed it.
            let copy = copy(who, key);
            let now = blob(who, room);
            let name = who.engine.me().name.clone();
            copy.holds_none_of(
                &format!("a key that {name} has used"),
                &superseded(&before.state, &[&now.state, &now.tree]),
            );
            assert!(!copy.opens(room, &sealed.payload), "{name}'s copy opens what is over");
            assert!(copy.holds(text), "what was not deleted is found");
        }
    }
    copy(&bob, &bobs).holds_none_of("the joiner's init key", &windows_of(&init_key));

    // Epoch after epoch: the committer's side and the other one.
    for committer in [&alice, &bob] {
        let before = [blob(&alice, room), blob(&bob, room)];
        let sealed =
            published(&proxy).into_iter().rfind(|envelope| envelope.kind == Kind::Application).unwrap();
        committer.engine.update_keys(room).await.unwrap();
        for ((who, key), before) in [(&alice, &alices), (&bob, &bobs)].into_iter().zip(before) {
            who.engine.sync().await.unwrap();
            emptied(who).await;
            let copy = copy(who, key);
            let now = blob(who, room);
            let name = who.engine.me().name.clone();
            copy.holds_none_of(
                &format!("a key of {name}'s epoch that is over"),
                &superseded(&before.state, &[&now.state, &now.tree]),
            );
            assert!(!copy.opens(room, &sealed.payload));
        }
    }
    copy(&bob, &bobs).holds_none_of("the leaf key that bob joined with", &windows_of(&leaf_key));

    // A text that both delete; while it waits for nothing, and from a disk in use.
    let message = published(&proxy)
        .into_iter()
        .filter(|envelope| envelope.kind == Kind::Application && envelope.sender == alice.engine.me().device)
        .nth(1)
        .unwrap()
        .message_id;
    for (who, key) in [(&alice, &alices), (&bob, &bobs)] {
        let deletion = who.engine.delete(room, vec![message]).await.unwrap();
        assert_eq!((deletion.deleted, deletion.unknown.len(), deletion.on_their_way.len()), (1, 0, 0));
        emptied(who).await;
        let copy = copy(who, key);
        assert!(!copy.holds(texts[1]), "deleted");
        assert!(copy.holds(texts[0]) && copy.holds(texts[2]), "the others are found");
    }
    for (Person { directory, profile, engine }, key) in [(alice, alices), (bob, bobs)] {
        engine.shutdown().await;
        drop(profile);
        let copy = Copy::of(&directory.path().join("profile"), &key);
        assert!(!copy.holds(texts[1]) && copy.holds(texts[2]), "after the end, too");
    }
}
