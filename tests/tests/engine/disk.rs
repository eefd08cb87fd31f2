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
    session::ledger::{GroupBlob, GroupUpdate, Ledger, OpenedMessage, OutboxRow, RowState, Sealed, Want},
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
        bytes.windows(WINDOW).for_each(|window| {
            over.remove(window);
        });
    }
    over.into_iter().map(<[u8]>::to_vec).collect()
}

/// A copy of a profile's files, as its thief has them.
struct Copy {
    directory: TempDir,
    key: Secret<32>,
    pages: Vec<Page>,
}

impl Copy {
    fn of(profile: &Path) -> Self {
        let directory = TempDir::with_prefix("copy-").unwrap();
        for file in fs::read_dir(profile).unwrap() {
            let file = file.unwrap().path();
            if file.is_file() {
                fs::copy(&file, directory.path().join(file.file_name().unwrap())).unwrap();
            }
        }
        let key = vault::unlock(directory.path(), PASSPHRASE).unwrap();
        let pages = sqlcipher::pages(directory.path(), key.expose());
        Self { directory, key, pages }
    }

    fn holds(&self, text: &str) -> bool {
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
    fn group(&self, room: RoomId) -> (Device, GroupBlob) {
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
    fn draw(&mut self, length: usize) -> (Vec<u8>, Vec<u8>) {
        self.0 += 1;
        let mut token = vec![0xa5; WINDOW];
        token[4..12].copy_from_slice(&self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        token[12..].copy_from_slice(&u32::try_from(self.0).unwrap().to_be_bytes());
        (token.iter().copied().cycle().take(length.max(2 * WINDOW)).collect(), token)
    }
}

fn id(number: u64) -> MessageId {
    MessageId::from_bytes(u128::from(number).to_be_bytes())
}

/// What SQLite does to the rows beside those that change: this moves as many as a busy year, without an engine.
#[test]
fn however_rows_are_moved_no_page_keeps_what_was_deleted_or_replaced() {
    const ROOMS: u8 = 24;
    const ROUNDS: u64 = 60;
    let directory = TempDir::new().unwrap();
    let key = [7; 32];
    let path = directory.path().join("profile");
    let profile = Profile::create(&path, Secret::from_bytes(key)).unwrap();
    profile.write(|tx| tx.put_identity(&crate::kept::identity(1))).unwrap();

    let mut secrets = Secrets(0);
    let mut over: HashMap<Vec<u8>, String> = HashMap::new();
    let mut alive: HashMap<Vec<u8>, String> = HashMap::new();
    let mut states: HashMap<u8, Vec<u8>> = HashMap::new();
    let mut texts: Vec<(RoomId, MessageId, Vec<u8>)> = vec![];
    let mut number = 0;
    for round in 0..ROUNDS {
        let mut waiting = vec![];
        profile.write(|tx| {
            for room in 0..ROOMS {
                let at = RoomId::from_bytes([room + 1; 16]);
                // A state of another size each time, as with members that come and go.
                let size = 200 + usize::try_from((round * 977 + u64::from(room) * 1531) % 9000).unwrap();
                let (state, token) = secrets.draw(size);
                tx.put_group(at, &GroupUpdate { state: Zeroizing::new(state), tree: None })?;
                if let Some(old) = states.insert(room, token) {
                    over.insert(old, format!("a state of room {room}"));
                }
                // What somebody else says, and two own texts that wait.
                let size = 20 + usize::try_from((round * 311 + u64::from(room) * 89) % 5000).unwrap();
                for own in [false, true, true] {
                    number += 1;
                    let (content, token) = secrets.draw(size);
                    let message = id(number);
                    if own {
                        let want = Want::Application(Bytes::from(content.clone()));
                        let row = OutboxRow { message_id: message, want, state: RowState::Waiting };
                        tx.outbox_push_back(at, &row)?;
                        tx.put_pending(at, message, &content)?;
                        assert_eq!(tx.outbox_row(at, message)?, Some(row));
                        waiting.push((at, number, size));
                    } else {
                        tx.put_message(&OpenedMessage {
                            room: at,
                            seq: Seq(number),
                            message_id: message,
                            account: AccountId::from_bytes([9; 16]),
                            device: DeviceId::from_bytes([9; 16]),
                            epoch: 1,
                            content: content.into(),
                        })?;
                    }
                    texts.push((at, message, token));
                }
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
        // The waiting ones are sealed, which makes their rows grow, and go.
        profile.write(|tx| {
            for (at, number, size) in waiting {
                let sealed = Sealed {
                    envelope: Bytes::from(vec![0x5e; 4000 + size]),
                    commit_seq: Seq(1),
                    welcomes: vec![],
                    ratchet_tree: Bytes::new(),
                };
                tx.outbox_set(at, id(number), &RowState::Sealed(sealed))?;
                tx.outbox_remove(at, id(number))?;
                tx.settle_message(at, id(number), Seq(number), 1)?;
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
        // A third is deleted, some from long ago.
        texts.sort_by_key(|(_, message, _)| message.as_bytes().map(|byte| byte.wrapping_mul(101)));
        let deleted = texts.split_off(texts.len() - texts.len() / 3);
        profile.write(|tx| {
            for (room, message, token) in deleted {
                assert_eq!(tx.delete_messages(room, &[message])?.deleted, 1);
                over.insert(token, "a deleted text".to_owned());
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    }
    for (room, token) in states {
        alive.insert(token, format!("the state of room {room}"));
    }
    for (_, message, token) in texts {
        alive.insert(token, format!("the text {message}"));
    }
    assert!(profile.checkpoint(Duration::ZERO).unwrap());

    for page in sqlcipher::pages(&path, &key) {
        for window in page.bytes.windows(WINDOW) {
            assert_eq!(over.get(window), None, "stands on {}", page.place);
            alive.remove(window);
        }
    }
    assert_eq!(alive.into_values().collect::<Vec<_>>(), Vec::<String>::new(), "the search finds what is there");
}

async fn emptied(person: &Person) {
    let log = person.directory.path().join("profile/profile.db-wal");
    eventually("the write-ahead log is emptied", || (fs::metadata(&log).ok()?.len() == 0).then_some(())).await;
}

fn blob(person: &Person, room: RoomId) -> GroupBlob {
    person.profile.read(|tx| tx.group(room)).unwrap().unwrap()
}

fn package_keys(person: &Person) -> HashMap<Vec<u8>, [Vec<u8>; 2]> {
    let packages = person.profile.read(Tx::key_packages).unwrap();
    packages.into_iter().map(|secret| (secret.id, key_package_keys(&secret.data))).collect()
}

fn windows_of(secret: &[u8]) -> HashSet<Vec<u8>> {
    secret.windows(WINDOW).map(<[u8]>::to_vec).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_disk_and_the_passphrase_open_nothing_of_the_past() {
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&proxy.url(), "alice").await;
    let mut bob = Person::register(&proxy.url(), "bob").await;
    let before_joining = package_keys(&bob);
    let room = crate::person::room("tea", &[&alice, &bob]).await;
    let after_joining = package_keys(&bob);
    let (_, [init_key, leaf_key]) =
        before_joining.into_iter().find(|(id, _)| !after_joining.contains_key(id)).unwrap();

    let texts = ["canary-1 the heron lands at noon", "canary-2 the otter sleeps", "canary-3 it rains on the fen"];
    alice.say(room, texts[0]).await;
    bob.texts(room, 1).await;
    alice.texts(room, 1).await;

    // Message after message: what sealed or opened the one before is gone.
    for (number, text) in texts.iter().enumerate().skip(1) {
        bob.stop().await;
        let (sender_before, receiver_before) = (blob(&alice, room), blob(&bob, room));
        let not_read_yet = Copy::of(&bob.directory.path().join("profile"));
        alice.say(room, text).await;
        let sealed = published(&proxy).into_iter().rfind(|envelope| envelope.kind == Kind::Application).unwrap();
        assert!(not_read_yet.opens(room, &sealed.payload), "before it is read, its key is on the disk");
        bob.through(&proxy).await;
        bob.texts(room, number + 1).await;
        for (who, before) in [(&alice, sender_before), (&bob, receiver_before)] {
            emptied(who).await;
            // In use: nobody has closed it.
            let copy = Copy::of(&who.directory.path().join("profile"));
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
    Copy::of(&bob.directory.path().join("profile")).holds_none_of("the joiner's init key", &windows_of(&init_key));

    // Epoch after epoch: the committer's side and the other one.
    for committer in [&alice, &bob] {
        let before = [blob(&alice, room), blob(&bob, room)];
        let sealed = published(&proxy).into_iter().rfind(|envelope| envelope.kind == Kind::Application).unwrap();
        committer.engine.update_keys(room).await.unwrap();
        for (who, before) in [&alice, &bob].into_iter().zip(before) {
            who.engine.sync().await.unwrap();
            emptied(who).await;
            let copy = Copy::of(&who.directory.path().join("profile"));
            let now = blob(who, room);
            let name = who.engine.me().name.clone();
            copy.holds_none_of(
                &format!("a key of {name}'s epoch that is over"),
                &superseded(&before.state, &[&now.state, &now.tree]),
            );
            assert!(!copy.opens(room, &sealed.payload));
        }
    }
    Copy::of(&bob.directory.path().join("profile")).holds_none_of("the leaf key that bob joined with", &windows_of(&leaf_key));

    // A text that both delete; while it waits for nothing, and from a disk in use.
    let message = published(&proxy)
        .into_iter()
        .filter(|envelope| envelope.kind == Kind::Application && envelope.sender == alice.engine.me().device)
        .nth(1)
        .unwrap()
        .message_id;
    for who in [&alice, &bob] {
        let deletion = who.engine.delete(room, vec![message]).await.unwrap();
        assert_eq!((deletion.deleted, deletion.unknown.len(), deletion.on_their_way.len()), (1, 0, 0));
        emptied(who).await;
        let copy = Copy::of(&who.directory.path().join("profile"));
        assert!(!copy.holds(texts[1]), "deleted");
        assert!(copy.holds(texts[0]) && copy.holds(texts[2]), "the others are found");
    }
    for Person { directory, profile, engine } in [alice, bob] {
        engine.shutdown().await;
        drop(profile);
        let copy = Copy::of(&directory.path().join("profile"));
        assert!(!copy.holds(texts[1]) && copy.holds(texts[2]), "after the end, too");
    }
}
