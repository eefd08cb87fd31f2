//! Members that mean harm, and members that were removed.

use mls_rs::{
    Extension, ExtensionList, MlsMessage, ProtocolVersion,
    extension::{ExtensionType, recommended::LastResortKeyPackageExt},
};
use mls_rs_core::{extension::MlsExtension, psk::ExternalPskId};
use qchat_proto::{
    content::{RoomSettings, pad},
    ids::{DeviceId, MessageId, RoomId, Seq},
    mls::{fault::OpenFault, provider::SUITE},
    session::{
        authenticated::Authenticated,
        error::SessionError,
        inbox, joining,
        ledger::{Change, Phase, Sealed, Want},
        outbox,
    },
    wire::{
        frame::{Envelope, Kind, MembershipChange, Operation, delta_hash},
        limits,
    },
};

use crate::{
    hostile::{epoch, receive, rejections},
    insider::{FOREIGN_PSK, Insider, SHARED_PSK, change_of},
    members::{ROOM, room, settle},
    peer::{Peer, ghost, people},
    relay::{Answer, Relay},
};

/// A valid commit of carol's under authenticated data that are not true.
fn lying(peers: &[Peer], change: fn(&mut Authenticated)) -> Sealed {
    Insider::new(&peers[2]).commit(|plan| plan, change)
}

type Attack = fn(&[Peer]) -> Sealed;

#[test]
fn an_invalid_commit_is_skipped_by_all_alike_and_the_room_goes_on() {
    let attacks: &[(&str, Attack)] = &[
        ("no MLS message", |peers| Insider::new(&peers[2]).envelope("garbage")),
        ("an application message that is called a commit", |peers| {
            Insider::new(&peers[2]).text(&pad(b"text"))
        }),
        ("a commit that is called a proposal", |peers| {
            Insider { kind: Kind::Proposal, ..Insider::new(&peers[2]) }.commit(|plan| plan, |_| {})
        }),
        ("authenticated data for another room", |peers| {
            lying(peers, |v| v.room = RoomId::from_bytes([1; 16]))
        }),
        ("in another's name", |peers| lying(peers, |v| v.sender = DeviceId::from_bytes([1; 16]))),
        ("under another message id", |peers| lying(peers, |v| v.message_id = MessageId::from_bytes([1; 16]))),
        ("for another kind", |peers| lying(peers, |v| v.kind = Kind::Application)),
        ("under another commit", |peers| lying(peers, |v| v.commit_seq = Seq(0))),
        ("a head from the future", |peers| lying(peers, |v| v.head_seq = Seq(99))),
        ("a head that never was", |peers| lying(peers, |v| v.head = [7; 48])),
        ("no counter", |peers| lying(peers, |v| v.counter = 0)),
        ("a counter beyond the log", |peers| lying(peers, |v| v.counter = u64::MAX)),
        ("a delta that it does not vouch for", |peers| {
            let delta = vec![change_of(Operation::Remove, &peers[1])];
            Insider { delta, ..Insider::new(&peers[2]) }
                .commit(|plan| plan, |v| v.delta_hash = delta_hash(&[]))
        }),
        ("a removal by somebody who is no admin", |peers| {
            let delta = vec![change_of(Operation::Remove, &peers[1])];
            Insider { delta, ..Insider::new(&peers[2]) }.commit(|plan| plan.remove_member(1).unwrap(), |_| {})
        }),
        ("settings by somebody who is no admin", |peers| {
            let settings = RoomSettings::new("mine".to_owned(), vec![peers[2].device.account()]);
            let extension = Extension::new(ExtensionType::new(0xf0a1), settings.encode());
            Insider::new(&peers[2])
                .commit(|plan| plan.set_group_context_ext(vec![extension].into()).unwrap(), |_| {})
        }),
        ("a device that its delta does not name", |peers| {
            let stranger = MlsMessage::from_bytes(&Peer::new(3, ROOM).key_package()).unwrap();
            Insider::new(&peers[2]).commit(|plan| plan.add_member(stranger).unwrap(), |_| {})
        }),
        ("a device under the id of another's", |peers| {
            let account = people()[3].2;
            let stranger = MlsMessage::from_bytes(&ghost(account, peers[1].id(), 3)).unwrap();
            let delta = vec![MembershipChange { operation: Operation::Add, account, device: peers[1].id() }];
            Insider { delta, ..Insider::new(&peers[2]) }
                .commit(|plan| plan.add_member(stranger).unwrap(), |_| {})
        }),
        ("the group's end and another in its place", |peers| {
            let none = ExtensionList::new();
            Insider::new(&peers[2])
                .commit(|plan| plan.reinit(None, ProtocolVersion::MLS_10, SUITE, none).unwrap(), |_| {})
        }),
        ("a pre-shared key under a name that is not ours", |peers| {
            let id = ExternalPskId::new(FOREIGN_PSK.to_vec());
            Insider::new(&peers[2]).commit(|plan| plan.add_external_psk(id).unwrap(), |_| {})
        }),
        ("a pre-shared key by somebody who is no admin", |peers| {
            let id = ExternalPskId::new(SHARED_PSK.encode());
            Insider::new(&peers[2]).commit(|plan| plan.add_external_psk(id).unwrap(), |_| {})
        }),
        ("a proposal to remove another", |peers| {
            Insider { kind: Kind::Proposal, ..Insider::new(&peers[2]) }.propose_removal(1)
        }),
    ];
    for (what, attack) in attacks {
        let (mut relay, mut peers) = room(3);
        let before = epoch(&peers[0]);
        let answer = relay.publish(&attack(&peers));
        let Answer::Accepted(seq) = answer else { panic!("{what}: {answer:?}") };
        let honest = &mut peers[..2];
        for peer in honest.iter_mut() {
            peer.catch_up(&relay);
            assert_eq!(rejections(peer).len(), 1, "{what}: {:?}", peer.view().notices);
            assert_eq!(rejections(peer)[0].0, seq, "{what}");
            assert_eq!(epoch(peer), before, "{what}");
        }
        for (number, text) in [(0, "from alice"), (1, "from bob")] {
            honest[number].say(text);
        }
        settle(&mut relay, honest);
        for peer in honest.iter() {
            assert_eq!(peer.view().messages.len(), 1, "{what}: {:?}", peer.view().notices);
            assert_eq!(peer.phase(), Some(Phase::Member), "{what}");
            assert!(peer.view().outbox.is_empty(), "{what}");
        }
        // Whatever the delta told the daemon, its list is the roster again.
        assert_eq!(relay.status.len(), 3, "{what}");
        assert_eq!(peers[0].view().listed.len(), 3, "{what}");
    }
}

#[test]
fn an_admins_commit_changes_the_settings_of_a_room_and_nothing_beside_them() {
    let (_, peers) = room(3);
    let settings = RoomSettings::new("mine".to_owned(), vec![peers[0].device.account()]);
    let settings = Extension::new(ExtensionType::new(0xf0a1), settings.encode());
    let other = Extension::new(LastResortKeyPackageExt::extension_type(), vec![]);
    for (what, extensions) in [
        ("something else", vec![other.clone()]),
        ("the settings and something else", vec![settings.clone(), other]),
        ("nothing", vec![]),
        ("no settings of ours", vec![Extension::new(ExtensionType::new(0xf0a1), vec![1])]),
    ] {
        let (mut relay, mut peers) = room(3);
        let before = epoch(&peers[1]);
        let sealed = Insider::new(&peers[0])
            .commit(|plan| plan.set_group_context_ext(extensions.into()).unwrap(), |_| {});
        assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)), "{what}");
        peers[1].catch_up(&relay);
        assert_eq!(rejections(&peers[1]).len(), 1, "{what}: {:?}", peers[1].view().notices);
        assert_eq!(epoch(&peers[1]), before, "{what}");
    }
    let (mut relay, mut peers) = room(3);
    let sealed = Insider::new(&peers[0])
        .commit(|plan| plan.set_group_context_ext(vec![settings].into()).unwrap(), |_| {});
    assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)));
    peers[1].catch_up(&relay);
    assert_eq!(peers[1].view().settings.unwrap().name, "mine");
}

/// An attack that needs more than the members.
type Prepared<'a> = &'a dyn Fn(&[Peer]) -> Sealed;

#[test]
fn a_conversation_of_two_lets_nobody_else_in_and_stays_one() {
    let two = || {
        let mut peers = [Peer::new(0, ROOM), Peer::new(1, ROOM)];
        let mut relay = Relay::new(ROOM, peers[0].id());
        let accounts = peers.each_ref().map(|peer| peer.device.account());
        peers[0].create_with(&RoomSettings::direct("two".to_owned(), accounts));
        let key_package = peers[1].key_package();
        peers[0].change(Change::Add(vec![key_package]));
        peers[0].flush(&mut relay);
        peers[0].catch_up(&relay);
        peers[1].join(&mut relay);
        (relay, peers)
    };
    let extension = |settings: &RoomSettings| Extension::new(ExtensionType::new(0xf0a1), settings.encode());
    let stranger = || Peer::new(2, ROOM);
    let attacks: &[(&str, Prepared<'_>)] = &[
        ("a third", &|peers| {
            let mut stranger = stranger();
            let delta = vec![change_of(Operation::Add, &stranger)];
            let added = MlsMessage::from_bytes(&stranger.key_package()).unwrap();
            Insider { delta, ..Insider::new(&peers[0]) }
                .commit(|plan| plan.add_member(added).unwrap(), |_| {})
        }),
        ("a room of many", &|peers| {
            let accounts = peers.iter().map(|peer| peer.device.account()).collect();
            let settings = extension(&RoomSettings::new("two".to_owned(), accounts));
            Insider::new(&peers[0])
                .commit(|plan| plan.set_group_context_ext(vec![settings].into()).unwrap(), |_| {})
        }),
        ("another in one's place", &|peers| {
            let accounts = [peers[0].device.account(), stranger().device.account()];
            let settings = extension(&RoomSettings::direct("two".to_owned(), accounts));
            Insider::new(&peers[0])
                .commit(|plan| plan.set_group_context_ext(vec![settings].into()).unwrap(), |_| {})
        }),
    ];
    for (what, attack) in attacks {
        let (mut relay, mut peers) = two();
        let before = epoch(&peers[1]);
        assert!(matches!(relay.publish(&attack(&peers)), Answer::Accepted(_)), "{what}");
        peers[1].catch_up(&relay);
        assert_eq!(rejections(&peers[1]).len(), 1, "{what}: {:?}", peers[1].view().notices);
        assert_eq!(epoch(&peers[1]), before, "{what}");
    }
    // Neither would a client of one of the two make such a commit.
    let (_, mut peers) = two();
    peers[0].change(Change::Add(vec![stranger().key_package()]));
    let refused =
        qchat_proto::session::outbox::next(&mut peers[0].ledger, &peers[0].device, ROOM, crate::peer::NOW);
    assert!(refused.is_err());
    // Either of the two is an admin.
    let (mut relay, mut peers) = two();
    let accounts = peers.each_ref().map(|peer| peer.device.account());
    peers[1].change(Change::Settings(RoomSettings::direct("renamed".to_owned(), accounts)));
    settle(&mut relay, &mut peers);
    assert_eq!(peers[0].view().settings.unwrap().name, "renamed");
}

#[test]
fn a_conversation_of_two_that_a_third_has_made_is_not_joined() {
    let mut peers = [Peer::new(0, ROOM), Peer::new(1, ROOM), Peer::new(2, ROOM)];
    let [alice, bob, mallory] = &mut peers;
    let mut relay = Relay::new(ROOM, mallory.id());
    let two = [alice.device.account(), bob.device.account()];
    mallory.create_with(&RoomSettings::direct("two".to_owned(), two));
    let key_packages = vec![alice.key_package(), bob.key_package()];
    mallory.change(Change::Add(key_packages));
    mallory.flush(&mut relay);
    for peer in [alice, bob] {
        let invited = peer.invited(&relay);
        let opened = joining::needed_log::<std::convert::Infallible>(&peer.device, &invited);
        assert!(matches!(opened, Err(SessionError::Welcome(OpenFault::Invalid))), "{opened:?}");
    }
}

type Delta = fn(&[Peer]) -> Vec<MembershipChange>;

#[test]
fn a_delta_that_lies_is_repaired_by_the_next_member_who_writes() {
    let strike: &[(&str, Delta)] = &[
        ("strikes a member off the list", |peers| vec![change_of(Operation::Remove, &peers[1])]),
        ("lists a stranger", |_| {
            let stranger = Peer::new(3, ROOM);
            vec![change_of(Operation::Relist, &stranger)]
        }),
    ];
    for (what, delta) in strike {
        let (mut relay, mut peers) = room(3);
        peers[1].say("from bob");
        let sealed = Insider { delta: delta(&peers), ..Insider::new(&peers[2]) }.commit(|plan| plan, |_| {});
        assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)), "{what}");
        let before = epoch(&peers[0]);
        peers[0].catch_up(&relay);
        assert_eq!(epoch(&peers[0]), before + 1, "{what}: the commit itself is in order");
        peers[0].say("from alice");
        settle(&mut relay, &mut peers[..2]);
        let mut listed: Vec<_> = relay.status.keys().copied().collect();
        listed.sort_unstable();
        assert_eq!(listed, [peers[0].id(), peers[1].id(), peers[2].id()], "{what}");
        for peer in &peers[..2] {
            assert_eq!(peer.view().messages.len(), 1, "{what}: {:?}", peer.view().notices);
            assert_eq!(peer.view().roster.len(), 3, "{what}");
            assert!(peer.view().outbox.is_empty(), "{what}");
        }
    }
}

#[test]
fn a_list_that_is_further_off_than_one_delta_can_say_is_led_back_by_several() {
    let (mut relay, mut peers) = room(3);
    for insider in [1, 2] {
        let stranger = |number: usize| MembershipChange {
            operation: Operation::Relist,
            account: people()[3].2,
            device: DeviceId::from_bytes((insider * 1000 + number as u128).to_be_bytes()),
        };
        let delta = (0..limits::DELTA).map(stranger).collect();
        let who = usize::try_from(insider).unwrap();
        let garbage = Insider { delta, ..Insider::new(&peers[who]) }.envelope("garbage");
        assert!(matches!(relay.publish(&garbage), Answer::Accepted(_)));
        for peer in &mut peers {
            peer.catch_up(&relay);
        }
    }
    assert_eq!(relay.status.len(), 3 + 2 * limits::DELTA);
    peers[0].say("from alice");
    settle(&mut relay, &mut peers);
    assert_eq!(relay.status.len(), 3);
    assert_eq!(peers[1].view().messages.len(), 1, "{:?}", peers[1].view().notices);
    assert!(peers[0].view().outbox.is_empty());
    assert_eq!(peers[0].view().listed.len(), 3);
}

#[test]
fn a_leave_that_was_refused_within_an_epoch_forgets_no_other_leave() {
    let (mut relay, mut peers) = room(4);
    // Carol asks to leave; bob, who knows of it, asks too, but an invalid commit of dave's is ordered before him.
    peers[2].want(Want::Leave);
    peers[2].flush(&mut relay);
    peers[1].catch_up(&relay);
    peers[1].want(Want::Leave);
    let refused = peers[1].next().unwrap();
    peers[3].catch_up(&relay);
    let garbage = Insider::new(&peers[3]).envelope("garbage");
    assert!(matches!(relay.publish(&garbage), Answer::Accepted(_)));
    let answer = relay.publish(&refused.sealed);
    assert!(matches!(answer, Answer::Stale(_)));
    peers[1].answered(refused.sealed.commit_seq, refused.message_id, answer);
    settle(&mut relay, &mut peers[..3]);
    peers[0].say("who is left?");
    settle(&mut relay, &mut peers[..3]);
    for leaver in [1, 2] {
        assert!(
            matches!(peers[leaver].phase(), Some(Phase::Left(_))),
            "{leaver}: {:?}",
            peers[leaver].phase()
        );
    }
    assert_eq!(peers[0].view().roster.len(), 2);
}

#[test]
fn a_removed_member_opens_nothing_that_follows_even_with_the_daemons_help() {
    let (mut relay, mut peers) = room(3);
    let group = peers[2].ledger.group_of(ROOM).unwrap();
    peers[0].change(Change::RemoveAccount(people()[2].2));
    settle(&mut relay, &mut peers);
    peers[0].say("without carol");
    settle(&mut relay, &mut peers);
    let carol = &mut peers[2];
    let removed = carol.phase();
    assert!(matches!(removed, Some(Phase::Removed(_))));
    assert!(carol.ledger.group_of(ROOM).is_none());
    for seq in 1..=relay.log.len() as u64 {
        let logged = relay.at(Seq(seq)).unwrap();
        inbox::receive(&mut carol.ledger, &carol.device, ROOM, &logged, carol.now).unwrap();
    }
    assert_eq!(carol.phase(), removed);
    assert!(carol.view().messages.is_empty());
    // Nor with the keys that it had before.
    let last = Envelope::decode(relay.log[relay.log.len() - 1].clone()).unwrap();
    let mut kept = carol.device.load(ROOM, &group, &[]).unwrap();
    assert_eq!(kept.open(&last.payload), Err(OpenFault::FutureEpoch));
    let welcome = outbox::enqueue(&mut carol.ledger, &carol.device, ROOM, Want::Leave);
    assert!(matches!(welcome, Err(SessionError::NotWriting(_))));
    assert!(carol.next().is_none());
}

#[test]
fn a_member_cannot_write_in_the_name_of_another() {
    let (_, mut peers) = room(3);
    let bob = peers[1].id();
    let insider = Insider { sender: bob, ..Insider::new(&peers[2]) };
    let text = Insider { kind: Kind::Application, ..Insider { sender: bob, ..Insider::new(&peers[2]) } };
    let forged = [text.text(&pad(b"from bob")), insider.commit(|plan| plan, |_| {})];
    let before = epoch(&peers[0]);
    for sealed in &forged {
        receive(&mut peers[0], &sealed.envelope).unwrap();
    }
    assert_eq!(rejections(&peers[0]).len(), 2, "{:?}", peers[0].view().notices);
    assert_eq!(epoch(&peers[0]), before);
    assert!(peers[0].view().messages.is_empty());
}

#[test]
fn an_admins_commit_that_asks_for_a_pre_shared_key_is_followed_by_who_has_it_and_stops_who_has_not() {
    let (mut relay, mut peers) = room(3);
    peers[1].ledger.add_psk(ROOM, SHARED_PSK, [8; 32]);
    let before = epoch(&peers[1]);
    let id = ExternalPskId::new(SHARED_PSK.encode());
    let sealed = Insider::new(&peers[0]).commit(|plan| plan.add_external_psk(id).unwrap(), |_| {});
    let Answer::Accepted(seq) = relay.publish(&sealed) else { panic!("the daemon cannot tell") };
    for peer in &mut peers[1..] {
        peer.catch_up(&relay);
    }
    assert_eq!((epoch(&peers[1]), peers[1].phase()), (before + 1, Some(Phase::Member)));
    assert_eq!((epoch(&peers[2]), peers[2].phase()), (before, Some(Phase::Stuck(seq))));
    assert!(rejections(&peers[2]).is_empty());
}
