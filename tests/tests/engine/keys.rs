//! Private keys stand nowhere but in the encrypted database: this process holds them all and searches every file.

use qchat_cli::{store::Profile, vault};
use qchat_proto::{crypto::secret::Secret, session::ledger::Ledger};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    search::{Needle, assert_nowhere_below, assert_nowhere_in},
};

use crate::person::{PASSPHRASE, Person};

/// The fields of an encoded KeyPackage secret, each behind its length (RFC 9420 §2.1.2): the public KeyPackage, the
/// init key, the leaf's encryption key.
pub(crate) fn key_package_keys(mut encoded: &[u8]) -> [Vec<u8>; 2] {
    let mut field = || {
        let (length, header) = match encoded[0] >> 6 {
            0 => (usize::from(encoded[0]), 1),
            1 => (usize::from(u16::from_be_bytes([encoded[0], encoded[1]]) & 0x3fff), 2),
            _ => {
                let four: [u8; 4] = encoded[..4].try_into().unwrap();
                (usize::try_from(u32::from_be_bytes(four) & 0x3fff_ffff).unwrap(), 4)
            }
        };
        let (value, rest) = encoded[header..].split_at(length);
        encoded = rest;
        value.to_vec()
    };
    let _public = field();
    [field(), field()]
}

fn needles(who: &str, profile: &Profile, db_key: &Secret<32>, room: qchat_proto::ids::RoomId) -> Vec<Needle> {
    let mut needles = vec![Needle::new(&format!("{who}'s database key"), db_key.expose())];
    profile
        .read(|tx| {
            let own = tx.identity()?.unwrap();
            for (what, seed) in [("device key", &own.device_key), ("identity key", &own.account_key)] {
                let (ml_dsa, ed25519) = seed.expose().split_at(32);
                needles.push(Needle::new(&format!("{who}'s {what}, ML-DSA"), ml_dsa));
                needles.push(Needle::new(&format!("{who}'s {what}, Ed25519"), ed25519));
            }
            for secret in tx.key_packages()? {
                for key in key_package_keys(&secret.data) {
                    assert_eq!(key.len(), 32);
                    needles.push(Needle::new(&format!("{who}'s KeyPackage key"), &key));
                }
            }
            let session = tx.session()?.unwrap();
            needles.push(Needle::new(&format!("{who}'s refresh token"), session.refresh_token.as_bytes()));
            // The state holds public keys too, which the daemon may have; its tail is the signer's seed.
            let group = tx.group(room)?.unwrap();
            assert!(group.state.ends_with(own.device_key.expose()));
            Ok::<_, qchat_cli::store::StoreError>(())
        })
        .unwrap();
    needles
}

#[tokio::test(flavor = "multi_thread")]
async fn no_private_key_stands_in_any_file_or_log() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let bob = Person::register(&daemon.url(), "bob").await;
    let room = alice.engine.create_room("tea".to_owned()).await.unwrap();
    alice.engine.invite(room, vec!["bob".parse().unwrap()]).await.unwrap();
    bob.engine.join(room).await.unwrap();
    bob.say(room, "hello").await;
    alice.engine.update_keys(room).await.unwrap();
    alice.texts(room, 1).await;

    let mut found = vec![];
    for (name, person) in [("alice", &alice), ("bob", &bob)] {
        let dir = person.directory.path().join("profile");
        let db_key = vault::unlock(&dir, PASSPHRASE).unwrap();
        let profile = Profile::open(&dir, vault::unlock(&dir, PASSPHRASE).unwrap()).unwrap();
        found.extend(needles(name, &profile, &db_key, room));
    }
    // 20 one-time KeyPackages (bob used one up) and a last-resort one, two keys each, beside six others.
    assert!(found.len() > 80, "{}", found.len());
    for person in [&alice, &bob] {
        assert_nowhere_below(person.directory.path(), &found);
    }
    assert_nowhere_below(daemon.directory(), &found);
    assert_nowhere_in("the daemon's log", daemon.log().as_bytes(), &found);
}
