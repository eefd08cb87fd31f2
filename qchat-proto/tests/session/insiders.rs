//! Members that mean harm, and members that were removed.

use bytes::Bytes;
use qchat_proto::{
    ids::{DeviceId, MessageId, RoomId, Seq},
    mls::{device::Anchor, fault::OpenFault, group::Plan},
    session::{
        authenticated::Authenticated,
        error::SessionError,
        inbox,
        ledger::{Change, Phase, Sealed, Want},
        outbox,
    },
    wire::frame::{Envelope, Kind, MembershipChange, Operation, delta_hash},
};

use crate::{
    hostile::{epoch, rejections, said},
    members::{ROOM, room, settle},
    peer::{NOW, Peer, people},
    relay::Answer,
};

/// A commit as an insider can make it: any plan, any authenticated data, any delta.
struct Insider<'a> {
    peer: &'a Peer,
    plan: Plan,
    /// Devices that its own rules let it remove.
    lapsed: Vec<DeviceId>,
    delta: Vec<MembershipChange>,
    kind: Kind,
}

impl<'a> Insider<'a> {
    fn new(peer: &'a Peer) -> Self {
        Self { peer, plan: Plan::default(), lapsed: vec![], delta: vec![], kind: Kind::Commit }
    }

    fn sealed(&self, change: impl FnOnce(&mut Authenticated)) -> Sealed {
        let state = self.peer.view().state.unwrap();
        let blob = self.peer.ledger.group_of(ROOM).unwrap();
        let mut group = self.peer.device.load(ROOM, &blob, &self.lapsed).unwrap();
        let message_id = MessageId::random(self.peer.device.entropy()).unwrap();
        let mut vouched = Authenticated {
            room: ROOM,
            message_id,
            sender: self.peer.id(),
            kind: Kind::Commit,
            commit_seq: state.commit_seq,
            counter: state.accepted + 1,
            head_seq: state.cursor,
            head: state.head,
            delta_hash: delta_hash(&self.delta),
        };
        change(&mut vouched);
        let anchor = Anchor { head_seq: state.cursor, head: state.head, message_id, leaving: vec![] };
        let output = group.commit(&self.plan, &anchor, vouched.encode(), NOW).unwrap();
        self.envelope(output.message, message_id)
    }

    fn envelope(&self, payload: Bytes, message_id: MessageId) -> Sealed {
        let commit_seq = self.peer.view().state.unwrap().commit_seq;
        let envelope = Envelope {
            room: ROOM,
            message_id,
            sender: self.peer.id(),
            kind: self.kind,
            commit_seq,
            payload,
            delta: self.delta.clone(),
        };
        Sealed { envelope: envelope.encode(), commit_seq, welcomes: vec![], ratchet_tree: Bytes::new() }
    }
}

fn change_of(operation: Operation, peer: &Peer) -> MembershipChange {
    MembershipChange { operation, account: peer.device.account(), device: peer.id() }
}

type Attack = fn(&[Peer]) -> Sealed;

#[test]
fn an_invalid_commit_is_skipped_by_all_alike_and_the_room_goes_on() {
    let attacks: &[(&str, Attack)] = &[
        ("no MLS message", |peers| {
            Insider::new(&peers[2]).envelope(Bytes::from_static(b"garbage"), MessageId::from_bytes([1; 16]))
        }),
        ("an application message that is called a commit", |peers| {
            let mut carol = peers[2].clone();
            let text = said(&mut carol, "text");
            let envelope = Envelope::decode(text).unwrap();
            Insider::new(&peers[2]).envelope(envelope.payload, envelope.message_id)
        }),
        ("a commit that is called a proposal", |peers| {
            let mut insider = Insider::new(&peers[2]);
            insider.kind = Kind::Proposal;
            insider.sealed(|_| {})
        }),
        ("authenticated data for another room", |peers| {
            Insider::new(&peers[2]).sealed(|vouched| vouched.room = RoomId::from_bytes([1; 16]))
        }),
        ("in another's name", |peers| {
            Insider::new(&peers[2]).sealed(|v| v.sender = DeviceId::from_bytes([1; 16]))
        }),
        ("under another message id", |peers| {
            Insider::new(&peers[2]).sealed(|vouched| vouched.message_id = MessageId::from_bytes([1; 16]))
        }),
        ("for another kind", |peers| {
            Insider::new(&peers[2]).sealed(|vouched| vouched.kind = Kind::Application)
        }),
        ("under another commit", |peers| {
            Insider::new(&peers[2]).sealed(|vouched| vouched.commit_seq = Seq(0))
        }),
        ("a head from the future", |peers| {
            Insider::new(&peers[2]).sealed(|vouched| vouched.head_seq = Seq(99))
        }),
        ("a head that never was", |peers| Insider::new(&peers[2]).sealed(|vouched| vouched.head = [7; 48])),
        ("no counter", |peers| Insider::new(&peers[2]).sealed(|vouched| vouched.counter = 0)),
        ("a counter beyond the log", |peers| Insider::new(&peers[2]).sealed(|v| v.counter = u64::MAX)),
        ("a delta that it does not vouch for", |peers| {
            let mut insider = Insider::new(&peers[2]);
            insider.delta = vec![change_of(Operation::Remove, &peers[1])];
            insider.sealed(|vouched| vouched.delta_hash = delta_hash(&[]))
        }),
        ("a removal by somebody who is no admin", |peers| {
            let mut insider = Insider::new(&peers[2]);
            insider.lapsed = vec![peers[1].id()];
            insider.plan.remove = vec![peers[1].id()];
            insider.delta = vec![change_of(Operation::Remove, &peers[1])];
            insider.sealed(|_| {})
        }),
        ("a device that its delta does not name", |peers| {
            let mut insider = Insider::new(&peers[2]);
            insider.plan.add = vec![Peer::new(3, ROOM).key_package()];
            insider.sealed(|_| {})
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
        let mut insider = Insider::new(&peers[2]);
        insider.delta = delta(&peers);
        let sealed = insider.sealed(|_| {});
        assert!(matches!(relay.publish(&sealed), Answer::Accepted(_)), "{what}");
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
fn a_leave_that_was_refused_within_an_epoch_forgets_no_other_leave() {
    let (mut relay, mut peers) = room(4);
    // Carol asks to leave; bob, who knows of it, asks too, but an invalid commit of dave's is ordered before him.
    peers[2].want(Want::Leave);
    peers[2].flush(&mut relay);
    peers[1].catch_up(&relay);
    peers[1].want(Want::Leave);
    let refused = peers[1].next().unwrap();
    peers[3].catch_up(&relay);
    let garbage =
        Insider::new(&peers[3]).envelope(Bytes::from_static(b"garbage"), MessageId::from_bytes([1; 16]));
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
        inbox::receive(&mut carol.ledger, &carol.device, ROOM, &logged).unwrap();
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
