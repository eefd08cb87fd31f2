//! The relay's promises, through its wire alone: acknowledged means durable and ordered once, whatever happens to the
//! daemon; what is given out once is given out once.

use std::{collections::BTreeMap, future::Future};

use qchat_proto::{
    ids::{MessageId, RoomId, Seq},
    wire::{
        api,
        frame::Envelope,
        pb::{self, client_frame::Body, server_frame},
    },
};
use qchat_tests::{
    daemon::Daemon,
    database::Backend,
    device::{Device, Socket, noise, publish},
    on_both,
};
use tokio::{task::JoinSet, time};

on_both!(
    acknowledged_envelopes_survive_a_killed_daemon_once_and_in_place,
    a_key_package_is_given_out_once,
    a_name_belongs_to_the_first_who_asked,
    who_does_not_read_is_told_to_catch_up_and_holds_up_nobody
);

fn run(story: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(story);
}

/// Everything in a room, page by page.
async fn log_of(socket: &mut Socket, room: RoomId) -> Vec<(u64, MessageId)> {
    let mut log = Vec::new();
    loop {
        let after = log.last().map_or(0, |(seq, _)| *seq);
        let room_id = room.as_bytes().to_vec().into();
        socket.send(Body::Fetch(pb::Fetch { request_id: 1, room_id, after, limit: 7 })).await;
        let Some(server_frame::Body::Page(page)) = socket.answer().await else { panic!("no page") };
        if page.envelopes.is_empty() {
            assert_eq!(page.last_seq, after);
            return log;
        }
        log.extend(
            page.envelopes.into_iter().map(|logged| {
                (logged.seq, Envelope::decode(logged.envelope).expect("logged bytes").message_id)
            }),
        );
    }
}

fn acknowledged_envelopes_survive_a_killed_daemon_once_and_in_place(backend: Backend) {
    const CONNECTIONS: usize = 4;
    const EACH: usize = 60;
    run(async {
        let mut daemon = Daemon::start(backend);
        let mut device = Device::register(&daemon.url(), "alice").await;
        let room = device.create_room().await;
        let mut acknowledged: BTreeMap<MessageId, u64> = BTreeMap::new();
        let mut open: Vec<Envelope> =
            (0..CONNECTIONS * EACH).map(|_| device.envelope(room, Seq(0), noise(3000))).collect();
        let mut rounds = 0_u64;
        while !open.is_empty() {
            rounds += 1;
            assert!(rounds < 200, "no progress");
            // Access tokens live on; a login shows that accounts survive as well.
            device.login().await;
            let mut publishing = JoinSet::new();
            for batch in open.chunks(open.len().div_ceil(CONNECTIONS)) {
                let (mut socket, batch) = (device.connect().await, batch.to_vec());
                publishing.spawn(async move {
                    let mut seqs = Vec::new();
                    // All at once: what is in flight when the power goes is the point.
                    for (request, envelope) in (0..).zip(&batch) {
                        socket.send(publish(request, envelope)).await;
                    }
                    while seqs.len() < batch.len() {
                        match socket.answer().await {
                            Some(server_frame::Body::Accepted(accepted)) => {
                                let id = MessageId::try_from(&accepted.message_id[..]).expect("an id");
                                seqs.push((id, accepted.seq));
                            }
                            None => break,
                            other => panic!("{other:?}"),
                        }
                    }
                    seqs
                });
            }
            // The strike comes later each round, until one comes too late.
            time::sleep(time::Duration::from_millis(rounds * 3)).await;
            daemon.kill();
            for (id, seq) in publishing.join_all().await.into_iter().flatten() {
                assert_eq!(*acknowledged.entry(id).or_insert(seq), seq, "an id keeps its seq");
            }
            open.retain(|envelope| !acknowledged.contains_key(&envelope.message_id));
            daemon.restart();
        }
        let log = log_of(&mut device.connect().await, room).await;
        let expected: Vec<u64> = (1..=(CONNECTIONS * EACH) as u64).collect();
        assert_eq!(log.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), expected, "no gap, nothing twice");
        assert_eq!(log.into_iter().map(|(seq, id)| (id, seq)).collect::<BTreeMap<_, _>>(), acknowledged);
        assert!(rounds > 1, "no strike hit");
    });
}

fn a_key_package_is_given_out_once(backend: Backend) {
    run(async {
        let daemon = Daemon::start(backend);
        let bob = Device::register(&daemon.url(), "bob").await;
        let mut claiming = JoinSet::new();
        for number in 0..4 {
            let claimer = Device::register(&daemon.url(), &format!("claimer-{number}")).await;
            let account = bob.account;
            claiming.spawn(async move { claimer.claim_key_packages(account).await });
        }
        let claimed: Vec<api::ClaimedKeyPackage> =
            claiming.join_all().await.into_iter().flat_map(|claimed| claimed.key_packages).collect();
        let mut once: Vec<_> = claimed.iter().filter(|package| !package.last_resort).collect();
        // Three were uploaded; the fourth gets the last resort.
        assert_eq!((claimed.len(), once.len()), (4, 3));
        once.sort_by_key(|package| package.key_package.0.clone());
        once.dedup_by_key(|package| package.key_package.0.clone());
        assert_eq!(once.len(), 3, "a one-time KeyPackage was given out twice");
    });
}

fn a_name_belongs_to_the_first_who_asked(backend: Backend) {
    run(async {
        let daemon = Daemon::start(backend);
        let mut registering = JoinSet::new();
        for _ in 0..4 {
            let url = daemon.url();
            registering.spawn(async move { Device::try_register(&url, "alice").await.err() });
        }
        let mut refusals = registering.join_all().await;
        refusals.sort();
        assert_eq!(refusals[0], None, "somebody gets the name");
        for refusal in &refusals[1..] {
            assert_eq!(refusal.as_deref(), Some("name_taken"));
        }
    });
}

fn who_does_not_read_is_told_to_catch_up_and_holds_up_nobody(backend: Backend) {
    // Far more than the queue of a connection and the buffers of both sockets hold.
    const MESSAGES: u64 = 600;
    run(async {
        let daemon = Daemon::start(backend);
        let device = Device::register(&daemon.url(), "alice").await;
        let room = device.create_room().await;
        let mut idle = device.connect().await;
        let mut busy = device.connect().await;
        for request in 1..=MESSAGES {
            busy.send(publish(request, &device.envelope(room, Seq(0), noise(60_000)))).await;
            match busy.answer().await {
                Some(server_frame::Body::Accepted(accepted)) => assert_eq!(accepted.seq, request),
                other => panic!("{other:?}"),
            }
        }
        // Now it reads: a part of them, in order and without a gap, then that it is behind.
        let mut seen = 0;
        loop {
            match idle.next().await {
                Some(server_frame::Body::Deliver(deliver)) => {
                    let seq = deliver.logged.expect("an envelope").seq;
                    assert_eq!(seq, seen + 1);
                    seen = seq;
                }
                Some(server_frame::Body::Behind(behind)) => {
                    assert!(behind.last_seq > seen && behind.last_seq <= MESSAGES);
                    break;
                }
                Some(server_frame::Body::RoomHint(_)) => {}
                other => panic!("after {seen}: {other:?}"),
            }
        }
        assert_eq!(log_of(&mut idle, room).await.len() as u64, MESSAGES);
    });
}
