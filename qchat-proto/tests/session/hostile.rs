//! A daemon that lies about the log, and copies of keys: each ends in a named error or in something shown.

use bytes::Bytes;
use qchat_proto::{
    ids::{DeviceId, MessageId, RoomId, Seq},
    session::{
        error::SessionError,
        inbox,
        ledger::{Change, Notice, Phase, Sealed, Want},
        outbox,
    },
    wire::frame::{Envelope, Kind, Logged, MembershipChange, Operation},
};

use crate::{
    members::{ROOM, room, settle},
    peer::Peer,
};

pub(crate) type Received = Result<(), SessionError<std::convert::Infallible>>;

/// Processes bytes as the envelope after the cursor; a failed step leaves no trace.
pub(crate) fn receive(peer: &mut Peer, bytes: &Bytes) -> Received {
    let seq = peer.cursor().next();
    receive_at(peer, seq, bytes)
}

pub(crate) fn receive_at(peer: &mut Peer, seq: Seq, bytes: &Bytes) -> Received {
    let mut transaction = peer.ledger.clone();
    let logged = Logged { seq, bytes: bytes.clone() };
    inbox::receive(&mut transaction, &peer.device, ROOM, &logged, peer.now)?;
    peer.ledger = transaction;
    Ok(())
}

/// Seals what is due and gives the bytes, as if they were on their way.
pub(crate) fn seal(peer: &mut Peer) -> Sealed {
    peer.next().expect("something to send").sealed
}

/// Says something and gives the logged bytes, acknowledged; the daemon decides who gets them.
pub(crate) fn said(peer: &mut Peer, text: &str) -> Bytes {
    let id = peer.say(text);
    let sealed = seal(peer);
    outbox::accepted(&mut peer.ledger, ROOM, id, Seq(0)).unwrap();
    sealed.envelope
}

pub(crate) fn rejections(peer: &Peer) -> Vec<(Seq, DeviceId, String)> {
    let notices = peer.view().notices;
    notices
        .into_iter()
        .filter_map(|(seq, notice)| match notice {
            Notice::Rejected { sender, reason } => Some((seq, sender, reason)),
            _ => None,
        })
        .collect()
}

pub(crate) fn has(peer: &Peer, wanted: &Notice) -> bool {
    peer.view().notices.iter().any(|(_, notice)| notice == wanted)
}

pub(crate) fn epoch(peer: &Peer) -> u64 {
    peer.view().state.unwrap().epoch
}

pub(crate) fn edited(bytes: &Bytes, edit: impl FnOnce(&mut Envelope)) -> Bytes {
    let mut envelope = Envelope::decode(bytes.clone()).unwrap();
    edit(&mut envelope);
    envelope.encode()
}

/// Flips a bit of the payload.
fn flipped(bytes: &Bytes, at: impl FnOnce(usize) -> usize) -> Bytes {
    edited(bytes, |envelope| {
        let mut payload = envelope.payload.to_vec();
        let at = at(payload.len());
        payload[at] ^= 1;
        envelope.payload = payload.into();
    })
}

/// Where the authenticated data begins in an MLSMessage: version, wire format, group id, epoch, content type, length.
const AUTHENTICATED: usize = 2 + 2 + 25 + 8 + 1 + 2;

#[test]
fn a_tampered_copy_is_rejected_and_the_genuine_message_still_opens() {
    let (_, mut peers) = room(3);
    let genuine = said(&mut peers[0], "genuine");
    let flip = |at: usize| flipped(&genuine, |_| at);
    let aad = |offset: usize| flip(AUTHENTICATED + offset);
    let other = [0x77; 16];
    let copies: Vec<(&str, Bytes)> = vec![
        ("message id", edited(&genuine, |e| e.message_id = MessageId::from_bytes(other))),
        ("sender", edited(&genuine, |e| e.sender = peers[2].id())),
        ("unknown sender", edited(&genuine, |e| e.sender = DeviceId::from_bytes(other))),
        ("kind", edited(&genuine, |e| e.kind = Kind::Proposal)),
        ("kind, to a commit", edited(&genuine, |e| e.kind = Kind::Commit)),
        ("commit_seq", edited(&genuine, |e| e.commit_seq = Seq(0))),
        ("a delta", {
            let account = peers[2].device.account();
            let device = peers[2].id();
            let change = MembershipChange { operation: Operation::Remove, account, device };
            edited(&genuine, |e| (e.kind, e.delta) = (Kind::Commit, vec![change]))
        }),
        ("payload cut", edited(&genuine, |e| e.payload = e.payload.slice(..e.payload.len() - 1))),
        ("payload longer", edited(&genuine, |e| e.payload = [&e.payload[..], &[0]].concat().into())),
        ("payload replaced", edited(&genuine, |e| e.payload = Bytes::from_static(b"not MLS"))),
        ("MLS version", flip(1)),
        (
            "wire format: public",
            edited(&genuine, |e| {
                let mut payload = e.payload.to_vec();
                payload[3] = 1;
                e.payload = payload.into();
            }),
        ),
        ("group id", flip(5)),
        ("epoch, to the one before", flip(AUTHENTICATED - 4)),
        ("content type", flip(AUTHENTICATED - 3)),
        ("its version", aad(0)),
        ("its room", aad(1)),
        ("its message id", aad(17)),
        ("its sender", aad(33)),
        ("its kind", aad(49)),
        ("its commit_seq", aad(57)),
        ("its counter", aad(65)),
        ("its head_seq", aad(73)),
        ("its head", aad(74)),
        ("its delta hash", aad(122)),
        ("sender data", aad(170 + 5)),
        ("ciphertext, first byte", aad(170 + 1 + 28 + 4)),
        ("ciphertext, last byte", flipped(&genuine, |length| length - 1)),
    ];
    for (what, copy) in copies {
        assert_ne!(copy, genuine, "{what}");
        let mut bob = peers[1].clone();
        let group = bob.ledger.group_of(ROOM).unwrap();
        let sender = Envelope::decode(copy.clone()).unwrap().sender;
        receive(&mut bob, &copy).unwrap();
        let rejected = rejections(&bob);
        assert_eq!(rejected.len(), 1, "{what}: {:?}", bob.view().notices);
        assert_eq!(rejected[0].1, sender, "{what}");
        assert_eq!(bob.ledger.group_of(ROOM).unwrap().state, group.state, "{what}: the stored group");
        receive(&mut bob, &genuine).unwrap();
        assert_eq!(bob.view().messages.len(), 1, "{what}: {:?}", bob.view().notices);
        assert_eq!(rejections(&bob).len(), 1, "{what}");
    }
}

#[test]
fn an_envelope_that_comes_again_is_not_shown_again() {
    let (_, mut peers) = room(2);
    let message = said(&mut peers[0], "once");
    let bob = &mut peers[1];
    receive(bob, &message).unwrap();
    let seq = bob.cursor();
    // The same place again is a repeated delivery; another place is a lie.
    receive_at(bob, seq, &message).unwrap();
    assert!(rejections(bob).is_empty());
    receive(bob, &message).unwrap();
    assert_eq!(bob.view().messages.len(), 1);
    assert_eq!(rejections(bob).len(), 1);
}

#[test]
fn envelopes_are_taken_in_their_order_only() {
    let (relay, mut peers) = room(2);
    let messages: Vec<Bytes> = (0..2).map(|n| said(&mut peers[0], &n.to_string())).collect();
    let bob = &mut peers[1];
    let first = Seq(relay.log.len() as u64).next();
    let cursor = bob.cursor();
    let early = receive_at(bob, first.next(), &messages[1]);
    assert!(matches!(early, Err(SessionError::NotNext { cursor: at }) if at == cursor), "{early:?}");
    receive_at(bob, first, &messages[0]).unwrap();
    receive_at(bob, first.next(), &messages[1]).unwrap();
    assert_eq!(bob.view().messages.len(), 2);
}

#[test]
fn bytes_that_are_no_envelope_of_the_room_stop_the_room_with_an_error() {
    let (_, mut peers) = room(2);
    let message = said(&mut peers[0], "hi");
    let elsewhere = edited(&message, |e| e.room = RoomId::from_bytes([9; 16]));
    for bytes in [Bytes::from_static(b"\xff"), Bytes::new(), elsewhere] {
        let before = peers[1].view().state;
        assert!(matches!(receive(&mut peers[1], &bytes), Err(SessionError::Server)));
        assert_eq!(peers[1].view().state, before);
    }
}

#[test]
fn a_dropped_envelope_shows_as_a_gap() {
    // A member's first envelope may be the one that is dropped: it was seen being added.
    for dropped in [0, 1] {
        let (_, mut peers) = room(3);
        let carol = peers[2].id();
        let messages: Vec<Bytes> = (0..3).map(|n| said(&mut peers[2], &n.to_string())).collect();
        for (_, message) in messages.iter().enumerate().filter(|(number, _)| *number != dropped) {
            receive(&mut peers[0], message).unwrap();
        }
        assert!(has(&peers[0], &Notice::Gap { device: carol, missing: 1 }), "{dropped}");
        assert_eq!(peers[0].view().messages.len(), 2);
    }
}

#[test]
fn two_members_who_are_shown_different_logs_find_out() {
    let (mut relay, mut peers) = room(3);
    settle(&mut relay, &mut peers);
    // Alice's log has what alice said, bob's has what carol said, at the same seq.
    let (to_alice, to_bob) = (said(&mut peers[0], "a"), said(&mut peers[2], "b"));
    receive(&mut peers[0], &to_alice).unwrap();
    receive(&mut peers[1], &to_bob).unwrap();
    // What bob writes from now on vouches for another history than alice knows: text or commit.
    let text = said(&mut peers[1], "from bob");
    let mut alice = peers[0].clone();
    receive(&mut alice, &text).unwrap();
    let shown = &rejections(&alice)[0];
    assert_eq!(shown.1, peers[1].id());
    assert!(shown.2.contains("different history"), "{shown:?}");
    assert!(alice.view().messages.is_empty());

    peers[1].change(Change::Update);
    let commit = seal(&mut peers[1]).envelope;
    let before = epoch(&peers[0]);
    receive(&mut peers[0], &commit).unwrap();
    receive(&mut peers[1], &commit).unwrap();
    assert!(rejections(&peers[0])[0].2.contains("different history"));
    assert_eq!((epoch(&peers[0]), epoch(&peers[1])), (before, before + 1));
    // From here on bob is in an epoch of his own, and alice does not go on as if nothing were wrong.
    let text = said(&mut peers[1], "from bob");
    receive(&mut peers[0], &text).unwrap();
    assert!(matches!(peers[0].phase(), Some(Phase::Stuck(_))));
}

type Forgery = fn(&mut Vec<Peer>) -> Bytes;

#[test]
fn only_an_envelope_sealed_with_this_devices_keys_stops_it() {
    let forge: &[(&str, bool, Forgery)] = &[
        ("forged by the daemon", false, |peers| {
            let message = said(&mut peers[0], "hi");
            let bob = peers[1].id();
            edited(&message, |envelope| envelope.sender = bob)
        }),
        ("its own, once more", false, |peers| {
            let message = said(&mut peers[1], "once");
            receive(&mut peers[1], &message).unwrap();
            message
        }),
        ("sealed by a copy of its keys", true, |peers| {
            let mut copy = peers[1].clone();
            said(&mut copy, "from the copy")
        }),
        ("its own commit, after a refusal that was a lie", true, |peers| {
            let id = peers[1].change(Change::Update);
            let sealed = seal(&mut peers[1]);
            outbox::refused_as_stale(&mut peers[1].ledger, ROOM, id, sealed.commit_seq, sealed.commit_seq)
                .unwrap();
            assert_ne!(seal(&mut peers[1]).envelope, sealed.envelope);
            sealed.envelope
        }),
    ];
    for (what, stops, forge) in forge {
        let (_, mut peers) = room(2);
        let forged = forge(&mut peers);
        peers[1].say("never sent");
        receive(&mut peers[1], &forged).unwrap();
        let notices = peers[1].view().notices;
        assert_eq!(has(&peers[1], &Notice::Clone), *stops, "{what}: {notices:?}");
        assert_eq!(matches!(peers[1].phase(), Some(Phase::Stuck(_))), *stops, "{what}");
        let sealed = peers[1].next().map(|out| Envelope::decode(out.sealed.envelope).unwrap().kind);
        assert_eq!(sealed, Some(if *stops { Kind::Resync } else { Kind::Application }), "{what}");
        assert!(notices.iter().any(|(_, n)| matches!(n, Notice::Clone | Notice::Rejected { .. })), "{what}");
    }
}

#[test]
fn a_device_that_cannot_follow_says_so_and_seals_nothing() {
    // Whoever the envelope of a later epoch claims to come from.
    for name in [0, 1] {
        let (mut relay, mut peers) = room(2);
        // The daemon withholds a commit from bob.
        peers[0].change(Change::Update);
        peers[0].flush(&mut relay);
        peers[0].catch_up(&relay);
        let later = said(&mut peers[0], "in the next epoch");
        let later = edited(&later, |envelope| envelope.sender = peers[name].id());
        let bob = &mut peers[1];
        bob.say("waits for ever");
        let group = bob.ledger.group_of(ROOM).unwrap();
        receive(bob, &later).unwrap();
        assert!(matches!(bob.phase(), Some(Phase::Stuck(_))), "{name}");
        assert!(bob.view().notices.iter().any(|(_, notice)| matches!(notice, Notice::Stuck { .. })));
        let asked = Envelope::decode(bob.next().unwrap().sealed.envelope).unwrap();
        assert_eq!(asked.kind, Kind::Resync, "it asks to be added again, and no more");
        assert_eq!(bob.view().outbox.len(), 1);
        assert_eq!(bob.ledger.group_of(ROOM).unwrap().state, group.state);
        let more = outbox::enqueue(&mut bob.ledger, &bob.device, ROOM, Want::Leave);
        assert!(matches!(more, Err(SessionError::NotWriting(Phase::Stuck(_)))));
    }
}

#[test]
fn a_message_that_the_daemon_held_back_behind_a_commit_is_not_taken_for_delivered() {
    let (mut relay, mut peers) = room(2);
    let id = peers[0].say("held back");
    let late = seal(&mut peers[0]);
    peers[1].change(Change::Update);
    peers[1].flush(&mut relay);
    let seq = relay.append(late.envelope);
    outbox::accepted(&mut peers[0].ledger, ROOM, id, seq).unwrap();
    for peer in &mut peers {
        peer.catch_up(&relay);
        assert_eq!(rejections(peer).len(), 1);
    }
    assert!(peers[1].view().messages.is_empty());
}
