//! A thief with a copy of the whole profile and its passphrase, and a daemon that gives him everything that is ever sent: he
//! reads what follows until the device gives itself fresh keys, and nothing after; nor what it had deleted before.

use std::collections::HashSet;

use qchat_cli::store::{StoreError, Tx};
use qchat_proto::{
    content::{self, Body, Content},
    ids::{MessageId, RoomId},
    mls::group::Opened,
    session::ledger::{GroupBlob, Ledger as _},
    wire::frame::Envelope,
};
use qchat_tests::{daemon::Daemon, database::Backend, proxy::Proxy};

use crate::{
    disk::{Copy, copy, emptied, key},
    person::{Person, eventually, published, room},
};

/// How the owner comes to fresh keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Renewal {
    ByHand,
    ByItself,
    WithANewSignatureKey,
}

/// Everything of a room that was put on the wire after the first `since`, each envelope once.
fn recorded(proxy: &Proxy, room: RoomId, since: usize) -> Vec<Envelope> {
    let mut seen: HashSet<MessageId> = HashSet::new();
    let all = published(proxy).into_iter().filter(|envelope| envelope.room == room);
    all.filter(|envelope| seen.insert(envelope.message_id)).skip(since).collect()
}

/// What the copy opens of the recording, one envelope after the other, with all that each gives to open the next with.
fn texts(copy: &Copy, room: RoomId, recording: &[Envelope]) -> Vec<String> {
    let (device, mut blob) = copy.group(room);
    let mut texts = vec![];
    for envelope in recording {
        // Whatever fails leaves the state as it was.
        let mut group = device.load(room, &blob, &[]).unwrap();
        let Ok(opened) = group.open(&envelope.payload) else { continue };
        if let Opened::Application { data, .. } = opened {
            if let Body::Text(text) = Content::decode(&content::unpad(&data).unwrap()).unwrap().body {
                texts.push(text);
            }
        }
        let update = group.snapshot().unwrap();
        blob = GroupBlob { state: update.state, tree: update.tree.unwrap_or(blob.tree) };
    }
    texts
}

/// How many envelopes the device has sealed with its keys in a room.
fn sealed(tx: &mut Tx, room: RoomId) -> u64 {
    let renewal = tx.renewal(room).unwrap().unwrap();
    tx.room(room).unwrap().unwrap().accepted - renewal.accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thief_with_a_copy_of_everything_reads_nothing_once_the_owner_has_renewed_its_keys() {
    const GONE: &str = "canary-7 deleted before the theft";
    let daemon = Daemon::start(Backend::Sqlite);
    let proxy = Proxy::start(daemon.address());
    let alice = Person::register(&proxy.url(), "alice").await;
    let mut bob = Person::register(&proxy.url(), "bob").await;
    let bobs = key(&bob);
    let tea = room("tea", &[&alice, &bob]).await;
    alice.say(tea, GONE).await;
    bob.texts(tea, 1).await;
    assert_eq!(bob.engine.delete_before(tea, None).await.unwrap().deleted, 1);

    let mut read = 0;
    for renewal in [Renewal::ByHand, Renewal::ByItself, Renewal::WithANewSignatureKey] {
        if renewal == Renewal::ByItself {
            bob.renewing_after(&proxy, 1).await;
            bob.engine.sync().await.unwrap();
            // He has sent something with the keys that he has, so they are due at once.
            let used = || bob.profile.read(|tx| Ok::<_, StoreError>(sealed(tx, tea))).unwrap();
            eventually("the renewal", || (used() == 0).then_some(())).await;
        }
        emptied(&bob).await;
        let stolen = copy(&bob, &bobs);
        let since = recorded(&proxy, tea, 0).len();
        // What is over is over, whatever the daemon has kept.
        assert_eq!(texts(&stolen, tea, &recorded(&proxy, tea, 0)), Vec::<String>::new(), "{renewal:?}");
        assert!(!stolen.holds(GONE), "{renewal:?}");

        // The thief is as good as bob until bob is another; the fresh keys of others do not keep him out.
        alice.say(tea, "read by the thief").await;
        alice.engine.update_keys(tea).await.unwrap();
        alice.say(tea, "this, too").await;
        read += 2;
        bob.texts(tea, read).await;
        let mut stolen_words = vec!["read by the thief", "this, too"];
        assert_eq!(texts(&stolen, tea, &recorded(&proxy, tea, since)), stolen_words, "{renewal:?}");

        match renewal {
            Renewal::ByHand => bob.engine.update_keys(tea).await.unwrap(),
            // Bob only writes: once is what his keys are for, and before more goes out, he has fresh ones.
            Renewal::ByItself => {
                bob.say(tea, "bob writes").await;
                alice.say(tea, "the last of it").await;
                bob.say(tea, "and again").await;
                stolen_words.push("the last of it");
            }
            Renewal::WithANewSignatureKey => {
                let rotated = bob.engine.rotate_keys().await.unwrap();
                assert_eq!((rotated.rooms, rotated.waiting), (vec![tea], vec![]));
            }
        }
        alice.engine.sync().await.unwrap();
        alice.say(tea, "after the renewal").await;
        bob.say(tea, "to friends alone").await;
        read += if renewal == Renewal::ByItself { 5 } else { 2 };
        for person in [&alice, &bob] {
            // Alice has what bob has deleted, too.
            let own = usize::from(person.engine.me().name.as_str() == "alice");
            person.texts(tea, read + own).await;
        }
        assert_eq!(texts(&stolen, tea, &recorded(&proxy, tea, since)), stolen_words, "{renewal:?}");
    }
}
