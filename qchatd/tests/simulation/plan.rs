//! What a seed makes of a run: how many of everything, and how bad the weather is.

use std::time::Duration;

use crate::chance::Chance;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    /// Whether others may write to the database: always so with several nodes.
    pub(crate) shared: bool,
    pub(crate) devices: u8,
    pub(crate) rooms: u8,
    /// Frames that a connection's queue holds.
    pub(crate) queue: usize,
    /// Envelopes in a page.
    pub(crate) page: u32,
    /// Longest time between two things that a device does, milliseconds.
    pub(crate) pace: u64,
    /// Per cent of these that change who is in a room.
    pub(crate) changes: u64,
    /// Most messages at once, beside the first.
    pub(crate) burst: u64,
    /// Envelopes that are published in all.
    pub(crate) messages: u64,
    /// Per cent of the questions to the database that something befalls.
    pub(crate) harsh: u64,
    /// Per cent of the hints that are lost, and how late others are at most, milliseconds.
    pub(crate) lost: u64,
    pub(crate) late: u64,
    /// Whether nodes crash.
    pub(crate) crashes: bool,
    /// Longest life of a connection, milliseconds.
    pub(crate) life: u64,
    /// How long the bad weather lasts.
    pub(crate) storm: Duration,
}

impl Plan {
    pub(crate) fn new(chance: &Chance) -> Self {
        let some = |few: &[u64]| chance.pick(few).unwrap_or_default();
        let nodes = if chance.percent(60) { 2 } else { 1 };
        Self {
            nodes,
            shared: nodes > 1 || chance.percent(50),
            devices: if chance.percent(50) { 3 } else { 5 },
            rooms: if chance.percent(50) { 1 } else { 2 },
            queue: usize::try_from(some(&[1, 2, 4, 16])).unwrap_or(1),
            page: u32::try_from(some(&[1, 3, 64])).unwrap_or(1),
            pace: some(&[50, 200, 600]),
            changes: some(&[5, 15, 30]),
            burst: some(&[0, 3, 8]),
            messages: some(&[20, 40, 60]),
            harsh: some(&[0, 3, 10]),
            lost: some(&[0, 30, 100]),
            late: some(&[3, 200, 1_500]),
            crashes: chance.percent(60),
            life: some(&[600, 4_000, 60_000]),
            storm: Duration::from_millis(some(&[3_000, 6_000, 9_000])),
        }
    }
}
