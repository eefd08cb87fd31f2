//! Fresh keys: when a device gives itself some, and that everybody follows however often members race to.

use std::collections::HashMap;

use qchat_proto::{
    session::ledger::{Change, KeyLife, Renewal},
    wire::frame::{Envelope, Kind},
};

use crate::{
    members::{room, settle},
    peer::{NOW, Peer},
    relay::Relay,
};

const DAY: u64 = 24 * 3600;

#[test]
fn keys_are_renewed_after_a_day_or_a_hundred_envelopes_and_later_in_large_rooms() {
    let renewed = Renewal { at: NOW, accepted: 7 };
    for (seconds, envelopes, devices, jitter, due) in [
        (0, 0, 2, 0, false),
        (DAY - 1, 99, 2, 0, false),
        (DAY, 0, 2, 0, true),
        (0, 100, 2, 0, true),
        // Up to an eighth earlier, by a number of the device's own.
        (DAY - DAY / 8, 0, 2, DAY / 8 - 1, false),
        (DAY - DAY / 8 + 1, 0, 2, DAY / 8 - 1, true),
        (DAY - 1, 0, 2, DAY / 8, false),
        // 10 minutes a device, from 144 devices on.
        (DAY, 0, 144, 0, true),
        (DAY, 100, 1000, 0, false),
        (600_000 - 1, 693, 1000, 0, false),
        (600_000, 0, 1000, 0, true),
        (0, 694, 1000, 0, true),
    ] {
        let found = renewed.is_due(NOW + seconds, 7 + envelopes, devices, jitter, KeyLife::default());
        assert_eq!(
            found, due,
            "after {seconds} s and {envelopes} envelopes, of {devices} devices, jitter {jitter}"
        );
    }
    // A clock that was set back renews nothing.
    assert!(!renewed.is_due(0, 7, 2, 0, KeyLife::default()));
}

#[test]
fn keys_may_be_renewed_sooner_and_never_later() {
    let renewed = Renewal { at: NOW, accepted: 7 };
    for (asked, seconds, envelopes, devices, due) in [
        (KeyLife::new(5, 3600), 3599, 4, 2, false),
        (KeyLife::new(5, 3600), 3600, 0, 2, true),
        (KeyLife::new(5, 3600), 0, 5, 2, true),
        // In a large room as much later as without.
        (KeyLife::new(5, 3600), 3600, 5, 1440, false),
        (KeyLife::new(5, 3600), 36_000, 0, 1440, true),
        (KeyLife::new(5, 3600), 0, 50, 1440, true),
        // Whoever asks for never gets what everybody gets, and for always, what others can bear.
        (KeyLife::new(u64::MAX, u64::MAX), DAY, 0, 2, true),
        (KeyLife::new(u64::MAX, u64::MAX), 0, 100, 2, true),
        (KeyLife::new(0, 0), 59, 0, 2, false),
        (KeyLife::new(0, 0), 60, 0, 2, true),
        (KeyLife::new(0, 0), 0, 1, 2, true),
    ] {
        let found = renewed.is_due(NOW + seconds, 7 + envelopes, devices, 0, asked);
        assert_eq!(found, due, "{asked:?} after {seconds} s and {envelopes} envelopes, of {devices} devices");
    }
}

/// The kinds of all that this device has in the log.
fn kinds(relay: &Relay, peer: &Peer) -> Vec<Kind> {
    let envelopes = relay.log.iter().map(|bytes| Envelope::decode(bytes.clone()).unwrap());
    envelopes.filter(|envelope| envelope.sender == peer.id()).map(|envelope| envelope.kind).collect()
}

#[test]
fn who_has_written_a_hundred_envelopes_or_for_a_day_renews_its_keys_before_the_next() {
    let (mut relay, mut peers) = room(2);
    let mut own = HashMap::new();
    let mut say = |peers: &mut [Peer], relay: &mut Relay, text: String| {
        own.insert(peers[0].say(&text), text);
        settle(relay, peers);
    };
    // The room's first commit, which added the other, is the last renewal so far.
    for number in 0..101 {
        say(&mut peers, &mut relay, number.to_string());
    }
    peers[0].now += DAY;
    for text in ["the next day", "and again"] {
        say(&mut peers, &mut relay, text.to_owned());
    }
    let mut expected = vec![Kind::Commit];
    expected.extend([Kind::Application; 100]);
    expected.extend([Kind::Commit, Kind::Application, Kind::Commit, Kind::Application, Kind::Application]);
    assert_eq!(kinds(&relay, &peers[0]), expected);
    assert_eq!(peers[1].texts(&HashMap::new()), peers[0].texts(&own));
    assert_eq!(peers[1].texts(&HashMap::new()).len(), 103);
}

#[test]
fn two_members_who_race_five_hundred_times_stay_in_one_epoch_and_read_everything() {
    let (mut relay, mut peers) = room(2);
    let mut own = [HashMap::new(), HashMap::new()];
    for round in 0..500 {
        for (peer, own) in peers.iter_mut().zip(&mut own) {
            peer.change(Change::Update);
            let text = format!("{} in round {round}", peer.id());
            own.insert(peer.say(&text), text);
        }
        // Both seal before either reads: one of the two commits is refused.
        for peer in &mut peers {
            peer.flush(&mut relay);
        }
        settle(&mut relay, &mut peers);
        assert_eq!(peers[0].view().state.unwrap().epoch, peers[1].view().state.unwrap().epoch, "{round}");
    }
    let read = [peers[0].texts(&own[0]), peers[1].texts(&own[1])];
    assert_eq!(read[0].len(), 1000);
    assert_eq!(read[0], read[1]);
    assert_eq!(peers[0].view().state.unwrap().epoch, 1 + 1000);
}
