//! No key seals two messages: everything that the built client ever put on the wire, acknowledged or not, is read with
//! the group's own state in this process.

use std::collections::HashMap;

use qchat_cli::{store::Profile, vault};
use qchat_proto::{
    ids::RoomId,
    session::ledger::{GroupBlob, Ledger},
    wire::{
        frame::{Envelope, Kind, read_client_frame},
        pb::client_frame,
    },
};
use qchat_tests::{
    client::Client,
    daemon::Daemon,
    database::Backend,
    on_both,
    proxy::{Direction, Proxy},
};

use crate::{
    cuts::cuts,
    witness::{Epoch, KeyUses, epoch, key_use},
};

const ROUNDS: usize = 12;

/// A second connection to the profile of a client that the test has registered.
fn profile_of(client: &Client) -> Profile {
    let dir = client.data_directory().join(client.name());
    let key = vault::unlock(&dir, client.passphrase()).unwrap();
    Profile::open(&dir, key).unwrap()
}

on_both!(no_key_seals_two_messages_that_left_the_device);

fn no_key_seals_two_messages_that_left_the_device(backend: Backend) {
    let mut daemon = Daemon::start(backend);
    // Every third publish: much is sealed and sent, and sent again.
    let proxy = Proxy::with_rule(daemon.address(), cuts(6, 2, 5));
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    for client in &mut clients {
        client.unlock();
        client.set_server(&proxy.url());
    }
    let [alice, bob] = &clients;
    alice.ok(&["room", "create", "tea"]);
    let profiles = [profile_of(alice), profile_of(bob)];
    let room: RoomId =
        profiles[0].read(|tx| Ok::<_, qchat_cli::store::StoreError>(tx.rooms()?[0].state.room)).unwrap();

    let mut groups: HashMap<Epoch, GroupBlob> = HashMap::new();
    let mut look = || {
        for profile in &profiles {
            if let Some(blob) = profile.read(|tx| tx.group(room)).unwrap() {
                groups.insert(epoch(room, &blob), blob);
            }
        }
    };
    // The epoch that only its creator is in.
    look();
    alice.ok(&["room", "invite", "tea", "bob"]);
    bob.ok(&["room", "join", "tea"]);
    look();
    for round in 0..ROUNDS {
        let sender = [alice, bob][round % 2];
        // Killed at a different point each time: before it seals, while it sends, after the daemon has it.
        let mut sending = sender.start(&["send", "tea", &format!("message {round}")]);
        let wanted = proxy.frames().len() + round % 5;
        while sending.is_running() && proxy.frames().len() < wanted {
            std::thread::yield_now();
        }
        drop(sending);
        look();
        if round % 3 == 2 {
            sender.ok(&["room", "update-keys", "tea"]);
            sender.ok(&["send", "tea", &format!("undisturbed {round}")]);
            look();
        }
        if round == ROUNDS / 2 {
            daemon.kill();
            daemon.restart();
        }
    }
    alice.ok(&["send", "tea", "the last one"]);
    assert!(bob.bodies("tea").contains(&"the last one".to_owned()));
    look();

    let mut uses = KeyUses::default();
    let (mut messages, mut commits) = (0, 0);
    for frame in proxy.frames().into_iter().filter(|frame| frame.direction == Direction::ToDaemon) {
        let Ok(client_frame::Body::Publish(publish)) = read_client_frame(frame.payload.into()) else {
            continue;
        };
        let envelope = Envelope::decode(publish.envelope).unwrap();
        let key = groups.values().find_map(|blob| key_use(room, blob, &envelope.payload));
        let key =
            key.unwrap_or_else(|| panic!("of no epoch: {:?} under {}", envelope.kind, envelope.commit_seq));
        if let Err(twice) = uses.note(&key, &envelope.payload) {
            panic!("{twice:?} has sealed two messages");
        }
        match envelope.kind {
            Kind::Application => messages += 1,
            Kind::Commit => commits += 1,
            Kind::Proposal | Kind::Resync | Kind::Restart => {}
        }
    }
    // What was killed may never have been sealed; what was not was sent.
    let undisturbed = ROUNDS / 3 + 1;
    assert!(messages >= undisturbed && commits > ROUNDS / 3, "{messages} messages, {commits} commits");
    assert!(uses.len() > undisturbed + ROUNDS / 3, "{uses:?}");
}
