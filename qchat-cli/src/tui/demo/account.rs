//! The keys, devices, log and quantum jobs of the sample data.

use qchat_proto::ids::{MessageId, UserName};
use time::Duration;

use super::{
    NAME,
    data::{NOON, device, room},
};
use crate::{
    engine::{
        KeptBackup, QuantumJob, QuantumOverview, Unsent, UnsentState,
        types::{OwnDevice, Standing},
    },
    tui::panels::report::{Keys, Latency, LogEntry, Safety},
};

pub(super) fn safety(name: UserName) -> Safety {
    let groups: Vec<String> =
        (0..12_u32).map(|group| format!("{:05}", (group * 27_183 + 31_415) % 100_000)).collect();
    let emoji = [
        ("🐝", "bee"),
        ("🌵", "cactus"),
        ("⚓", "anchor"),
        ("🎩", "hat"),
        ("🚀", "rocket"),
        ("🍕", "pizza"),
        ("📎", "clip"),
    ];
    Safety {
        standing: if name.as_str() == "bob" { Standing::Verified } else { Standing::Unverified },
        name,
        number: groups.concat(),
        groups,
        emoji: emoji.iter().map(|(picture, name)| ((*picture).to_owned(), (*name).to_owned())).collect(),
        code: "qchat-safety:1:sample-data".to_owned(),
        fingerprint: "5a".repeat(48),
        fresh: true,
    }
}

pub(super) fn devices() -> Vec<OwnDevice> {
    let own = |number, name: &str, days, me| OwnDevice {
        device: device(NAME, number),
        me,
        name: Some(name.to_owned()),
        added_at: NOON - Duration::days(days),
        added_by: None,
        last_seen: Some(NOON - Duration::hours(i64::from(number))),
    };
    vec![own(1, "workbench", 90, true), own(2, "phone in the van", 12, false)]
}

pub(super) fn keys() -> Keys {
    let backup = KeptBackup {
        device: device(NAME, 1),
        me: true,
        version: Some(7),
        created_at: Some(NOON - Duration::hours(20)),
        messages: 1_204,
        bytes: 2_400_000,
    };
    Keys { fingerprint: "a7".repeat(48), backups: Ok(vec![backup]) }
}

pub(super) fn log() -> Vec<LogEntry> {
    [
        ("2026-11-23 08:01:12  sign in, by this device, from 198.51.100.0/24", true),
        ("2026-11-22 23:40:05  sign in: wrong proof, by unknown, from 203.0.113.0/24, 3 times until 2026-11-22 23:44:51", false),
        ("2026-11-11 10:15:33  device added, by this device", true),
        ("2026-08-25 09:00:00  register, by this device", true),
    ]
    .into_iter()
    .map(|(words, good)| LogEntry { words: words.to_owned(), good })
    .collect()
}

pub(super) fn latency() -> Latency {
    Latency { server: "https://chat.example.org/".to_owned(), time: std::time::Duration::from_micros(18_400) }
}

pub(super) fn unsent() -> Vec<Unsent> {
    vec![Unsent {
        id: MessageId::from_bytes([18; 16]),
        room: room(1),
        kind: "text",
        excerpt: Some("The ladder is in the van already".to_owned()),
        state: UnsentState::Waiting,
    }]
}

pub(super) fn quantum() -> QuantumOverview {
    let job = |number: u8, kind: &str, state: &'static str, hours| QuantumJob {
        id: format!("{number:02x}").repeat(16),
        kind: kind.to_owned(),
        backend: "local".to_owned(),
        state,
        over: state != "running",
        quantum: false,
        fallback: None,
        reason: None,
        created: NOON - Duration::hours(hours),
        qber: None,
        qber_over_time: Vec::new(),
        chsh: None,
        key_bits: None,
    };
    QuantumOverview {
        quantum_bits: 4_096,
        simulated_bits: 12_288,
        jobs: vec![
            job(0xd4, "qrng", "running", 0),
            QuantumJob {
                qber: Some((0.0187, [0.0171, 0.0204])),
                qber_over_time: vec![
                    0.017, 0.019, 0.021, 0.018, 0.016, 0.02, 0.022, 0.019, 0.018, 0.017, 0.02, 0.019,
                ],
                key_bits: Some(21_344),
                ..job(0xc3, "bb84", "done", 3)
            },
            QuantumJob { chsh: Some((2.794, 0.021)), ..job(0xb2, "chsh", "done", 26) },
            QuantumJob { chsh: Some((2.741, 0.024)), ..job(0xa1, "chsh", "done", 50) },
            QuantumJob {
                key_bits: Some(4_096),
                fallback: Some(("ibm_fez".to_owned(), "it takes no jobs".to_owned())),
                ..job(0x90, "qrng", "done", 72)
            },
        ],
    }
}
