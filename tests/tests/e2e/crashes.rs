//! The power is cut at random moments, from a seed: what was acknowledged is there, once; the rest at most once.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use qchat_tests::{
    client::{self, Client},
    daemon::Daemon,
    database::Backend,
    on_both,
    process::Process,
};

on_both!(
    a_killed_client_loses_and_doubles_nothing_acknowledged,
    a_killed_daemon_loses_and_doubles_nothing_acknowledged
);

/// Small, seeded, and the same everywhere.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Waits for a moment that no event marks: a crash comes when it comes.
fn strike_after(millis: u64) {
    thread::sleep(Duration::from_millis(millis));
}

/// How long an undisturbed command takes here, so that the strikes are spread over all of it.
fn duration_of(client: &Client, arguments: &[&str]) -> u64 {
    let start = Instant::now();
    client.ok(arguments);
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Holds every member's history against what is known of each sending: `true` when it was acknowledged.
fn judge(readers: &[&Client], sent: &BTreeMap<String, bool>) {
    let histories: Vec<_> = readers.iter().map(|reader| reader.history("general")).collect();
    for history in &histories {
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for message in history {
            *times.entry(&message.body).or_default() += 1;
        }
        for (body, acknowledged) in sent {
            let times = times.remove(body.as_str()).unwrap_or_default();
            assert!(times <= 1, "{body} stands there {times} times");
            assert!(times == 1 || !acknowledged, "{body} was acknowledged and is lost");
        }
        assert!(times.is_empty(), "never sent: {times:?}");
    }
    for history in &histories[1..] {
        assert_eq!(*history, histories[0]);
    }
}

fn a_killed_client_loses_and_doubles_nothing_acknowledged(backend: Backend) {
    let mut dice = Dice(0x5eed_0001);
    let daemon = Daemon::start(backend);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    let whole = duration_of(alice, &["send", "general", "undisturbed"]);
    let mut sent = BTreeMap::from([("undisturbed".to_owned(), true)]);
    let mut killed = 0;
    for number in 0..20 {
        let body = format!("message {number}");
        let mut sending = alice.start(&["send", "general", &body]);
        strike_after(dice.roll(whole * 5 / 4));
        // It may have ended in time: only its own exit code is an acknowledgement.
        let acknowledged = !sending.is_running() && sending.finish().code == Some(0);
        killed += u32::from(!acknowledged);
        sent.insert(body, acknowledged);
        // `finish` has consumed it, or the drop at the end of the scope has killed it.
    }
    assert!(killed > 0, "no strike hit");
    // The next command finishes what the crashed ones had stored.
    alice.ok(&["send", "general", "afterwards"]);
    bob.ok(&["send", "general", "here too"]);
    sent.extend([("afterwards".to_owned(), true), ("here too".to_owned(), true)]);
    judge(&[bob, alice], &sent);
}

fn a_killed_daemon_loses_and_doubles_nothing_acknowledged(backend: Backend) {
    let mut dice = Dice(0x5eed_0002);
    let mut daemon = Daemon::start(backend);
    let mut clients = ["alice", "bob"].map(|name| Client::register(&daemon.url(), name));
    clients.iter_mut().for_each(Client::unlock);
    let [alice, bob] = &clients;
    client::room("general", &[alice, bob]);
    let whole = duration_of(alice, &["send", "general", "undisturbed"]);
    let mut sent = BTreeMap::from([("undisturbed".to_owned(), true)]);
    for round in 0..8 {
        let bodies = ["alice", "bob"].map(|name| format!("{name} in round {round}"));
        let sending: Vec<Process> = [alice, bob]
            .iter()
            .zip(&bodies)
            .map(|(client, body)| client.start(&["--timeout", "60", "send", "general", body]))
            .collect();
        strike_after(dice.roll(whole * 3 / 2));
        daemon.kill();
        strike_after(dice.roll(100));
        daemon.restart();
        for (sending, body) in sending.into_iter().zip(bodies) {
            let output = sending.finish();
            // A send that cannot say that it succeeded says that it is a matter of the network.
            assert!(matches!(output.code, Some(0 | 3)), "{output:?}");
            sent.insert(body, output.code == Some(0));
        }
    }
    alice.ok(&["send", "general", "afterwards"]);
    bob.ok(&["send", "general", "here too"]);
    sent.extend([("afterwards".to_owned(), true), ("here too".to_owned(), true)]);
    judge(&[bob, alice], &sent);
}
