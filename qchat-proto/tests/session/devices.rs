//! Several devices of one account: they need no yes, go with their account, and are removed once it has revoked them.

use qchat_proto::{
    identity::{DeviceList, ListedDevice},
    ids::Seq,
    session::ledger::{Change, INVITATION_LIFETIME, Notice, Phase, Want},
    wire::frame::{Envelope, Operation},
};

use crate::{
    members::{ROOM, room, settle},
    peer::{NOW, Peer},
    relay::{Relay, Status},
};

/// A room of two people; the first has another device, which is outside.
fn two_and_a_further() -> (Relay, Vec<Peer>, Peer) {
    let (relay, peers) = room(2);
    (relay, peers, Peer::further(0, 2, ROOM))
}

/// The same, with that device in the room.
fn three_devices() -> (Relay, Vec<Peer>) {
    let (mut relay, mut peers, mut further) = two_and_a_further();
    peers[0].change(Change::Add(vec![further.key_package()]));
    settle(&mut relay, &mut peers);
    further.join(&mut relay);
    peers.push(further);
    settle(&mut relay, &mut peers);
    (relay, peers)
}

/// The list of the first person's account with these of its devices, issued so many seconds after they were certified.
fn list(version: u64, devices: &[&Peer], issued_after: i64, account: &Peer) -> DeviceList {
    let issued_at = NOW.saturating_add_signed(issued_after);
    let mut list = DeviceList {
        account: account.device.account(),
        version,
        issued_at,
        expires_at: issued_at + DeviceList::LIFETIME,
        devices: vec![],
    };
    for peer in devices {
        list.add(ListedDevice { device: peer.id(), device_key_hash: [0; 48] });
    }
    list
}

fn notices(peer: &Peer) -> Vec<Notice> {
    peer.view().notices.into_iter().map(|(_, notice)| notice).collect()
}

/// The changes that the envelope at a seq declares, by device.
fn declared(relay: &Relay, seq: Seq) -> Vec<(Operation, qchat_proto::ids::DeviceId)> {
    let envelope = Envelope::decode(relay.at(seq).unwrap().bytes).unwrap();
    envelope.delta.iter().map(|change| (change.operation, change.device)).collect()
}

#[test]
fn another_device_of_a_member_needs_no_yes_and_is_no_invitee() {
    let (mut relay, mut peers, mut further) = two_and_a_further();
    // Who has said something is an invitee no longer.
    let answer = peers[1].say("here I am");
    peers[0].change(Change::Add(vec![further.key_package()]));
    settle(&mut relay, &mut peers);
    assert_eq!(declared(&relay, relay.commit_seq), [(Operation::Readd, further.id())]);
    assert_eq!(relay.status[&further.id()], Status::Full, "it may stay away for as long as it likes");
    let alice = peers[0].device.account();
    for peer in &mut peers {
        assert!(peer.view().invitees.is_empty());
        peer.now = NOW + INVITATION_LIFETIME;
        peer.change(Change::Withdraw);
        let has = Notice::DevicesChanged { by: alice, account: alice, added: 1, removed: 0 };
        assert!(notices(peer).contains(&has), "{:?}", notices(peer));
    }
    settle(&mut relay, &mut peers);
    further.join(&mut relay);
    let last = further.say("from the other one");
    let own = [(answer, "here I am".to_owned()), (last, "from the other one".to_owned())].into();
    peers.push(further);
    settle(&mut relay, &mut peers);
    for peer in &peers {
        assert_eq!(peer.texts(&own).last().unwrap().1, "from the other one");
        assert_eq!(peer.view().roster.len(), 3);
    }
}

#[test]
fn what_somebody_else_adds_of_an_account_is_an_invitation_still() {
    let (mut relay, mut peers, mut further) = two_and_a_further();
    peers[1].change(Change::Add(vec![further.key_package()]));
    settle(&mut relay, &mut peers);
    assert_eq!(declared(&relay, relay.commit_seq), [(Operation::Add, further.id())]);
    assert_eq!(relay.status[&further.id()], Status::Invited);
    assert!(peers.iter().all(|peer| peer.view().invitees.len() == 1));
}

#[test]
fn two_devices_that_let_in_the_same_third_do_so_once() {
    let (mut relay, mut peers) = three_devices();
    let mut third = Peer::further(0, 3, ROOM);
    for number in [0, 2] {
        let key_package = third.key_package();
        peers[number].change(Change::Add(vec![key_package]));
    }
    let before = relay.log.len();
    for number in [0, 2] {
        peers[number].flush(&mut relay);
    }
    settle(&mut relay, &mut peers);
    assert_eq!(relay.log.len(), before + 1);
    assert!(peers.iter().all(|peer| peer.view().outbox.is_empty() && peer.view().roster.len() == 4));
    third.join(&mut relay);
}

#[test]
fn a_revoked_device_is_removed_before_anything_is_said() {
    let (mut relay, mut peers) = three_devices();
    let alice = peers[0].device.account();
    let revoking = list(2, &[&peers[0]], 5, &peers[0]);
    peers[0].ledger.device_lists.insert(alice, revoking);
    let own = [(peers[0].say("among ourselves"), "among ourselves".to_owned())].into();
    settle(&mut relay, &mut peers);
    assert_eq!(declared(&relay, relay.commit_seq), [(Operation::Remove, peers[2].id())]);
    assert_eq!(peers[1].texts(&own).len(), 1);
    assert!(peers[2].texts(&own).is_empty() && !relay.readable(peers[2].id(), relay.commit_seq.next()));
    assert_eq!(peers[2].phase(), Some(Phase::Left(relay.commit_seq)), "its own account took it out");
    let gone = Notice::DevicesChanged { by: alice, account: alice, added: 0, removed: 1 };
    assert!(notices(&peers[1]).contains(&gone));
    // Every commit of this device does that, whatever it was made for.
    let (mut relay, mut peers) = three_devices();
    let revoking = list(2, &[&peers[0]], 5, &peers[0]);
    peers[0].ledger.device_lists.insert(alice, revoking);
    peers[0].change(Change::Update);
    settle(&mut relay, &mut peers);
    assert_eq!(peers[1].view().roster.len(), 2);
}

#[test]
fn a_list_of_before_a_device_says_nothing_about_it() {
    let (mut relay, mut peers) = three_devices();
    let alice = peers[0].device.account();
    // The daemon withholds the list that named the device; the one before it knows nothing of it.
    let older = list(1, &[&peers[0]], -5, &peers[0]);
    peers[0].ledger.device_lists.insert(alice, older);
    let own = [(peers[0].say("to all of us"), "to all of us".to_owned())].into();
    settle(&mut relay, &mut peers);
    assert!(peers.iter().all(|peer| peer.texts(&own).len() == 1));
}

#[test]
fn a_device_that_was_revoked_while_it_waited_to_be_added_is_not() {
    let (mut relay, mut peers, mut further) = two_and_a_further();
    let alice = peers[0].device.account();
    let key_package = further.key_package();
    let revoking = list(2, &[&peers[0]], 5, &peers[0]);
    for number in [0, 1] {
        peers[number].ledger.device_lists.insert(alice, revoking.clone());
        peers[number].change(Change::Add(vec![key_package.clone()]));
    }
    let before = relay.log.len();
    settle(&mut relay, &mut peers);
    assert_eq!(relay.log.len(), before);
    assert!(peers.iter().all(|peer| peer.view().outbox.is_empty()));
}

/// What one member knows of an account another may not: so nobody skips what others follow.
#[test]
fn a_revoked_device_that_somebody_adds_is_shown_by_who_knows_and_taken_out_by_its_account() {
    let (mut relay, mut peers) = room(3);
    let mut further = Peer::further(0, 3, ROOM);
    let alice = peers[0].device.account();
    let revoking = list(2, &[&peers[0]], 5, &peers[0]);
    for number in [0, 2] {
        peers[number].ledger.device_lists.insert(alice, revoking.clone());
    }
    // It does not know of the revocation, or does not care.
    peers[1].change(Change::Add(vec![further.key_package()]));
    peers[1].flush(&mut relay);
    for peer in &mut peers {
        peer.catch_up(&relay);
    }
    let shown = Notice::RevokedAdded { by: peers[1].device.account(), account: alice };
    let said: Vec<_> = peers.iter().map(|peer| notices(peer).contains(&shown)).collect();
    assert_eq!(said, [true, false, true]);
    let epochs: Vec<_> = peers.iter().map(|peer| peer.view().state.unwrap().epoch).collect();
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    peers[0].change(Change::Duties);
    settle(&mut relay, &mut peers);
    assert!(peers.iter().all(|peer| peer.view().roster.len() == 3 && peer.phase() == Some(Phase::Member)));
    // Nor is one that it kept from following added again.
    assert!(!relay.invites(further.id()));
}

#[test]
fn an_account_leaves_with_all_its_devices() {
    let (mut relay, mut peers) = three_devices();
    let alice = peers[0].device.account();
    peers[0].change(Change::RemoveAccount(alice));
    settle(&mut relay, &mut peers);
    assert!(matches!(peers[2].phase(), Some(Phase::Left(_))));
    peers[0].want(Want::Leave);
    peers[0].flush(&mut relay);
    peers[1].say("they have gone");
    settle(&mut relay, &mut peers);
    assert!(matches!(peers[0].phase(), Some(Phase::Left(_))));
    assert_eq!(peers[1].view().roster.len(), 1);
}
