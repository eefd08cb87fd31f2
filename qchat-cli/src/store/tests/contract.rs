//! What every `Ledger` owes to the protocol, whoever implements it.

use bytes::Bytes;
use qchat_proto::{
    content::{Role, RoomSettings, SettingsChange},
    crypto::secret::Secret,
    ids::{AccountId, DeviceId, RoomId, Seq},
    invite::{InviteLink, LinkSecret},
    mls::psk::{Psk, PskId, PskKind},
    session::ledger::{
        Asked, Change, GroupUpdate, Invitee, Ledger, ListedDevice, Notice, OpenedMessage, OutboxRow,
        OwnRequest, Phase, Renewal, RowState, Sealed, Want,
    },
    session::shared_key::Offer,
    wire::{frame::Invitation, tree::TreeHash},
};
use zeroize::Zeroizing;

use super::{ALICE, ALICE_DEVICE, BOB, BOB_DEVICE, ROOM, message, profile, state, write};

const OTHER: RoomId = RoomId::from_bytes([2; 16]);

/// Each rule is asked for in `ROOM` while `OTHER` must stay as it was.
fn ledger_contract(l: &mut impl Ledger) {
    numbers_and_state(l);
    heads_and_counters(l);
    lists(l);
    resyncs(l);
    shared_keys(l);
    outbox(l);
    messages(l);
}

fn numbers_and_state(l: &mut impl Ledger) {
    assert_eq!(l.room(ROOM).unwrap(), None);
    for phase in [Phase::Member, Phase::Leaving(Seq(3)), Phase::Stuck(Seq(4)), Phase::Removed(Seq(5))] {
        let mut room = state(7);
        (room.phase, room.accepted, room.commit_seq, room.epoch) = (phase, 12, Seq(6), 3);
        l.put_room(&room).unwrap();
        assert_eq!(l.room(ROOM).unwrap(), Some(room));
    }
    assert_eq!(l.room(OTHER).unwrap(), None);

    for state in [vec![1; 10], vec![2; 2_000_000], Vec::new()] {
        let tree = Some(Bytes::copy_from_slice(&state));
        for tree in [tree, None] {
            l.put_group(ROOM, &GroupUpdate { state: Zeroizing::new(state.clone()), tree }).unwrap();
            let stored = l.group(ROOM).unwrap().unwrap();
            assert!(*stored.state == state && stored.tree == state);
        }
    }
    let only = GroupUpdate { state: Zeroizing::new(vec![3]), tree: None };
    l.put_group(OTHER, &only).unwrap();
    assert!(l.group(OTHER).unwrap().unwrap().tree.is_empty());
    l.forget_group(ROOM).unwrap();
    assert!(l.group(ROOM).unwrap().is_none());
    l.put_group(ROOM, &only).unwrap();
    assert!(l.group(ROOM).unwrap().unwrap().tree.is_empty(), "the tree is forgotten with the group");
    l.forget_group(ROOM).unwrap();
    l.put_settings(ROOM, &RoomSettings::new("one".into(), vec![ALICE])).unwrap();
    l.put_settings(ROOM, &RoomSettings::new("two".into(), vec![ALICE, BOB])).unwrap();
}

fn heads_and_counters(l: &mut impl Ledger) {
    for seq in 1..=5u8 {
        l.put_head(ROOM, Seq(seq.into()), &[seq; 48]).unwrap();
    }
    l.put_head(OTHER, Seq(1), &[9; 48]).unwrap();
    l.forget_heads_below(ROOM, Seq(4)).unwrap();
    for (seq, kept) in [(3, None), (4, Some([4; 48])), (5, Some([5; 48])), (6, None)] {
        assert_eq!(l.head(ROOM, Seq(seq)).unwrap(), kept, "{seq}");
    }
    assert_eq!(l.head(OTHER, Seq(1)).unwrap(), Some([9; 48]));
    for (until, other, last) in
        [(9, 9, Some(5)), (9, 5, Some(4)), (4, 9, Some(4)), (4, 4, None), (3, 9, None)]
    {
        let found = l.last_head_but(ROOM, &[other; 48], Seq(until)).unwrap();
        assert_eq!(found, last.map(Seq), "up to {until}, not {other}");
    }

    for device in [ALICE_DEVICE, BOB_DEVICE] {
        assert_eq!(l.counter(ROOM, device).unwrap(), None);
        l.put_counter(ROOM, device, 1).unwrap();
        l.put_counter(ROOM, device, 2).unwrap();
        l.put_counter(OTHER, device, 5).unwrap();
    }
    l.forget_counters(ROOM, &[BOB_DEVICE]).unwrap();
    assert_eq!(l.counter(ROOM, ALICE_DEVICE).unwrap(), Some(2));
    assert_eq!(l.counter(ROOM, BOB_DEVICE).unwrap(), None);
    assert_eq!(l.counter(OTHER, BOB_DEVICE).unwrap(), Some(5));
}

fn lists(l: &mut impl Ledger) {
    let device = |n| ListedDevice {
        account: AccountId::from_bytes([n; 16]),
        device: DeviceId::from_bytes([n + 100; 16]),
    };
    l.put_listed(OTHER, &[device(9)]).unwrap();
    assert_eq!(l.renewal(ROOM).unwrap(), None);
    for at in [7, 8] {
        l.put_renewal(ROOM, Renewal { at, accepted: at + 1 }).unwrap();
        assert_eq!(l.renewal(ROOM).unwrap(), Some(Renewal { at, accepted: at + 1 }));
    }
    assert_eq!(l.renewal(OTHER).unwrap(), None);
    for list in [vec![device(1), device(2)], vec![device(2), device(3), device(4)], vec![], vec![device(1)]] {
        l.put_listed(ROOM, &list).unwrap();
        l.put_roster(ROOM, &list).unwrap();
        let mut found = l.listed(ROOM).unwrap();
        found.sort_unstable();
        assert_eq!(found, list);

        let lapsed: Vec<_> = list.iter().map(|listed| listed.device).collect();
        l.put_lapsed(ROOM, &lapsed).unwrap();
        let mut found = l.lapsed(ROOM).unwrap();
        found.sort_unstable();
        assert_eq!(found, lapsed);

        let invitees: Vec<_> =
            (1_u64..).zip(&list).map(|(since, listed)| Invitee { device: listed.device, since }).collect();
        l.put_invitees(ROOM, &invitees).unwrap();
        assert_eq!(l.invitees(ROOM).unwrap(), invitees);
    }
    assert_eq!(l.listed(OTHER).unwrap(), [device(9)]);
    assert_eq!(l.lapsed(OTHER).unwrap(), []);
    assert_eq!(l.invitees(OTHER).unwrap(), []);
}

fn resyncs(l: &mut impl Ledger) {
    let device = |n| DeviceId::from_bytes([n; 16]);
    assert_eq!(l.added_at(ROOM, device(1)).unwrap(), None);
    l.put_added_at(OTHER, device(1), Seq(9)).unwrap();
    for seq in [Seq(3), Seq(5)] {
        l.put_added_at(ROOM, device(1), seq).unwrap();
        assert_eq!(l.added_at(ROOM, device(1)).unwrap(), Some(seq));
    }
    let asked = |n: u8| Asked { device: device(n), key_package: Bytes::from(vec![n; 300]) };
    for all in [vec![asked(1)], vec![asked(2), asked(3)], vec![]] {
        l.put_asked(OTHER, &[asked(9)]).unwrap();
        l.put_asked(ROOM, &all).unwrap();
        assert_eq!(l.asked(ROOM).unwrap(), all);
    }
    assert_eq!(l.asked(OTHER).unwrap(), [asked(9)]);
    let request = OwnRequest {
        message_id: message(70),
        envelope: Bytes::from_static(b"request"),
        commit_seq: Seq(4),
        expires_at: 1_800_000_000,
        logged: false,
    };
    assert_eq!(l.request(ROOM).unwrap(), None);
    for request in [request.clone(), OwnRequest { logged: true, message_id: message(71), ..request }] {
        l.put_request(ROOM, &request).unwrap();
        assert_eq!(l.request(ROOM).unwrap(), Some(request));
        assert_eq!(l.request(OTHER).unwrap(), None);
    }
    l.forget_request(ROOM).unwrap();
    assert_eq!(l.request(ROOM).unwrap(), None);
}

fn link() -> InviteLink {
    let secret = LinkSecret::from_slice(&[7; 32]).unwrap();
    InviteLink { secret, expires_at: Some(9), uses: None, ask: true, joined: vec![] }
}

fn outbox(l: &mut impl Ledger) {
    let wants = [
        Want::Commit(Change::Add(vec![
            Bytes::from_static(b"one"),
            Bytes::new(),
            Bytes::from_static(b"three"),
        ])),
        Want::Commit(Change::Add(Vec::new())),
        Want::Commit(Change::LetIn {
            link: link().id(),
            account: BOB,
            key_packages: vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")],
        }),
        Want::Commit(Change::RemoveAccount(BOB)),
        Want::Commit(Change::Settings(SettingsChange::Name("three".into()))),
        Want::Commit(Change::Settings(SettingsChange::Topic(String::new()))),
        Want::Commit(Change::Settings(SettingsChange::ExpireAfter(std::num::NonZeroU32::new(60)))),
        Want::Commit(Change::Settings(SettingsChange::ExpireAfter(None))),
        Want::Commit(Change::Settings(SettingsChange::Role(BOB, Role::Reader))),
        Want::Commit(Change::Settings(SettingsChange::Ban(BOB))),
        Want::Commit(Change::Settings(SettingsChange::Unban(BOB))),
        Want::Commit(Change::Settings(SettingsChange::Link(link()))),
        Want::Commit(Change::Settings(SettingsChange::Unlink(link().id()))),
        Want::Commit(Change::Update),
        Want::Commit(Change::Duties),
        Want::Commit(Change::Withdraw),
        Want::Leave,
        Want::Application(Bytes::from_static(b"said")),
    ];
    let rows: Vec<_> = (10..)
        .zip(wants)
        .map(|(n, want)| OutboxRow { message_id: message(n), want, state: RowState::Waiting })
        .collect();
    assert_eq!(l.outbox_first(ROOM).unwrap(), None);
    for (n, row) in rows.iter().enumerate() {
        assert!(!l.outbox_has_application(ROOM).unwrap());
        l.outbox_push_back(ROOM, row).unwrap();
        assert_eq!(l.outbox_first(ROOM).unwrap().as_ref(), Some(&rows[0]), "after {n}");
        assert_eq!(l.outbox_row(ROOM, row.message_id).unwrap().as_ref(), Some(row));
    }
    assert!(l.outbox_has_application(ROOM).unwrap());
    assert!(!l.outbox_has_application(OTHER).unwrap());
    for most in [0, 2, rows.len() + 1] {
        assert_eq!(l.outbox_rows(ROOM, most).unwrap(), rows[..most.min(rows.len())]);
    }
    assert_eq!(l.outbox_rows(OTHER, 9).unwrap(), []);
    assert_eq!(l.outbox_row(OTHER, message(10)).unwrap(), None);

    let front =
        OutboxRow { message_id: message(30), want: Want::Commit(Change::Duties), state: RowState::Waiting };
    let before_front = OutboxRow { message_id: message(31), ..front.clone() };
    l.outbox_push_front(ROOM, &front).unwrap();
    l.outbox_push_front(ROOM, &before_front).unwrap();
    assert_eq!(l.outbox_first(ROOM).unwrap(), Some(before_front));
    l.outbox_remove(ROOM, message(31)).unwrap();
    assert_eq!(l.outbox_first(ROOM).unwrap(), Some(front));
    l.outbox_remove(ROOM, message(30)).unwrap();
    assert_eq!(l.outbox_first(ROOM).unwrap().as_ref(), Some(&rows[0]));

    let sealed = Sealed {
        envelope: Bytes::from_static(b"envelope"),
        commit_seq: Seq(8),
        welcomes: vec![Invitation { device: BOB_DEVICE, welcome: Bytes::from_static(b"welcome") }],
        tree: Some(TreeHash::of(b"tree")),
    };
    // A sealing's tree is kept beside it, for as long as the row is sealed so.
    let tree = Bytes::from_static(b"tree");
    for state in [RowState::Accepted(sealed.clone()), RowState::Stale(Seq(9)), RowState::Waiting] {
        l.outbox_set(ROOM, message(10), &RowState::Sealed(sealed.clone())).unwrap();
        assert_eq!(l.outbox_tree(ROOM, message(10)).unwrap(), None);
        l.outbox_put_tree(ROOM, message(10), &tree).unwrap();
        assert_eq!(l.outbox_tree(ROOM, message(10)).unwrap().as_ref(), Some(&tree));
        assert_eq!(l.outbox_tree(ROOM, message(11)).unwrap(), None);
        l.outbox_set(ROOM, message(10), &state).unwrap();
        assert_eq!(l.outbox_tree(ROOM, message(10)).unwrap(), None, "{state:?}");
    }
    for state in [
        RowState::Sealed(sealed.clone()),
        RowState::Stale(Seq(9)),
        RowState::Accepted(sealed),
        RowState::Waiting,
    ] {
        l.outbox_set(ROOM, message(10), &state).unwrap();
        assert_eq!(l.outbox_first(ROOM).unwrap().unwrap().state, state);
        assert_eq!(l.outbox_row(ROOM, message(11)).unwrap().unwrap().state, RowState::Waiting);
    }
    l.outbox_push_back(OTHER, &rows[0]).unwrap();
    l.outbox_fail_all(ROOM).unwrap();
    assert_eq!(l.outbox_first(ROOM).unwrap(), None);
    assert!(l.outbox_first(OTHER).unwrap().is_some());

    l.put_own(ROOM, message(40), &[4; 48]).unwrap();
    assert_eq!(l.own(ROOM, message(40)).unwrap(), Some([4; 48]));
    assert_eq!(l.own(OTHER, message(40)).unwrap(), None);
    l.forget_own(ROOM, message(40)).unwrap();
    assert_eq!(l.own(ROOM, message(40)).unwrap(), None);
}

fn shared_keys(l: &mut impl Ledger) {
    let offer = |device, name: u8, holders: &[DeviceId]| Offer {
        device,
        account: ALICE,
        id: PskId::quantum_link([name; 16]),
        master: "alice-sae".into(),
        slave: "bob-sae".into(),
        holders: holders.to_vec(),
    };
    let (first, second) = (offer(ALICE_DEVICE, 1, &[]), offer(BOB_DEVICE, 2, &[]));
    for offer in [&first, &second] {
        l.put_psk_offer(ROOM, offer).unwrap();
    }
    assert_eq!(l.psk_offers(ROOM).unwrap().len(), 2);
    assert!(l.psk_offers(OTHER).unwrap().is_empty() && l.psks(ROOM).unwrap().is_empty());
    let held = offer(ALICE_DEVICE, 1, &[BOB_DEVICE, ALICE_DEVICE]);
    l.put_psk_offer(ROOM, &held).unwrap();
    assert!(l.psk_offers(ROOM).unwrap().contains(&held) && !l.psk_offers(ROOM).unwrap().contains(&first));
    for room in [ROOM, OTHER] {
        l.put_psk(room, &Psk { id: first.id, secret: Secret::from_bytes([3; 32]) }).unwrap();
    }
    let psks = l.psks(ROOM).unwrap();
    assert!(psks.len() == 1 && psks[0].id == first.id && *psks[0].secret.expose() == [3; 32]);
    l.forget_psk(ROOM, first.id).unwrap();
    l.forget_psk(OTHER, first.id).unwrap();
    assert!(l.psks(ROOM).unwrap().is_empty());
    l.forget_psk_offer(ROOM, ALICE_DEVICE).unwrap();
    assert_eq!(l.psk_offers(ROOM).unwrap(), [second]);
}

fn messages(l: &mut impl Ledger) {
    let opened = OpenedMessage {
        room: ROOM,
        seq: Seq(3),
        message_id: message(50),
        account: BOB,
        device: BOB_DEVICE,
        epoch: 2,
        content: Bytes::from_static(b"hello"),
    };
    l.put_message(&opened).unwrap();
    // Another device may draw the same id, and so may the same device in another room.
    l.put_message(&OpenedMessage { device: DeviceId::from_bytes([77; 16]), ..opened.clone() }).unwrap();
    l.put_message(&OpenedMessage { room: OTHER, ..opened }).unwrap();
    for (device, id, stored) in [(BOB_DEVICE, 50, true), (BOB_DEVICE, 51, false), (ALICE_DEVICE, 50, false)] {
        assert_eq!(l.has_message(ROOM, device, message(id)).unwrap(), stored);
    }
    let notices = [
        Notice::Added { by: ALICE, accounts: vec![BOB] },
        Notice::Removed { by: ALICE, accounts: vec![] },
        Notice::Left { accounts: vec![BOB] },
        Notice::DevicesChanged { by: ALICE, account: BOB, added: 2, removed: 1 },
        Notice::RevokedAdded { by: ALICE, account: BOB },
        Notice::Settings(BOB),
        Notice::Rejected { sender: BOB_DEVICE, reason: "why".into() },
        Notice::Gap { device: BOB_DEVICE, missing: 3 },
        Notice::Clone,
        Notice::Stuck { reason: "why".into() },
        Notice::ResyncAsked(BOB_DEVICE),
        Notice::Readded(BOB_DEVICE),
        Notice::Restarted(BOB),
        Notice::KeyMixed { by: ALICE, kind: PskKind::QuantumLink, epoch: 7 },
        Notice::KeyDiffers(BOB_DEVICE),
        Notice::IdentityChanged { account: BOB, by_recovery_key: true },
        Notice::IdentityAccepted(BOB),
    ];
    for notice in &notices {
        l.put_notice(ROOM, Seq(4), notice).unwrap();
    }
    l.settle_message(ROOM, message(99), Seq(4), 1).unwrap();
}

#[test]
fn the_database_keeps_the_ledger_contract() {
    let (_dir, profile) = profile();
    write(&profile, |tx| {
        ledger_contract(tx);
        Ok(())
    });
}
