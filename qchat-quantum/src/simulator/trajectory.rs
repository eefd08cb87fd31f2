//! Random events of noise, drawn for many shots at once: which shot suffers what after which step, and which readings
//! are wrong. Rare events cost as much as there are of them, not as there are shots.

use rand::Rng;

use super::parts::Part;
use crate::{
    circuit::Operation,
    noise::{Channel, Readout},
};

/// What happens to a qubit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// A bit flip, a phase flip, or both.
    Pauli {
        x: bool,
        z: bool,
    },
    Reset,
}

/// Something happens in a shot after a step. Damping is no event: its probability depends on the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) shot: usize,
    pub(super) step: usize,
    pub(super) qubit: usize,
    pub(super) happening: Happening,
}

/// A uniform number in [0, 1) with 53 bits.
pub(super) fn uniform(random: &mut impl Rng) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let numerator = (random.next_u64() >> 11) as f64;
    numerator / 9_007_199_254_740_992.0
}

/// Those of `shots` shots in which something of this probability happens, in order.
pub(super) fn happens(
    probability: f64,
    shots: usize,
    random: &mut impl Rng,
    mut what: impl FnMut(usize, u64),
) {
    if probability <= 0.0 {
        return;
    }
    let log_missing = (-probability).ln_1p();
    let mut shot = 0_usize;
    loop {
        if probability < 1.0 {
            // How many shots pass first: geometric, by inversion.
            let skipped = (1.0 - uniform(random)).ln() / log_missing;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "casts of floats saturate"
            )]
            let skipped = skipped as usize;
            shot = shot.saturating_add(skipped);
        }
        if shot >= shots {
            return;
        }
        what(shot, random.next_u64());
        shot += 1;
    }
}

/// The events of so many shots, sorted by shot and then by step; within a step in the order of its channels.
pub(super) fn events(part: &Part, shots: usize, random: &mut impl Rng) -> Vec<Event> {
    let mut events = Vec::new();
    for (step, channels) in part.steps.iter().map(|step| &step.channels).enumerate() {
        for channel in channels {
            let mut add = |shot, qubit, happening| events.push(Event { shot, step, qubit, happening });
            match *channel {
                Channel::Depolarize(a, b, p) => happens(p, shots, random, |shot, word| {
                    let pauli = |shift: u32| Happening::Pauli {
                        x: word >> shift & 1 == 1,
                        z: word >> shift & 2 == 2,
                    };
                    add(shot, a, pauli(0));
                    if let Some(b) = b {
                        add(shot, b, pauli(2));
                    }
                }),
                Channel::PhaseFlip(qubit, p) => happens(p, shots, random, |shot, _| {
                    add(shot, qubit, Happening::Pauli { x: false, z: true });
                }),
                Channel::Reset(qubit, p) => happens(p, shots, random, |shot, _| {
                    add(shot, qubit, Happening::Reset);
                }),
                Channel::Damp(..) => {}
            }
        }
    }
    events.retain(|event| event.happening != Happening::Pauli { x: false, z: false });
    events.sort_by_key(|event| (event.shot, event.step));
    events
}

/// One column of readings for each classical bit, as words of 64 shots, and for each who filled it last.
pub(super) fn misread(part: &Part, shots: usize, columns: &mut [Vec<u64>], random: &mut impl Rng) {
    let mut readouts = vec![Readout::default(); part.bits.len()];
    for step in &part.steps {
        if let Operation::Measure { bit, .. } = step.operation {
            readouts[bit] = step.readout;
        }
    }
    for (column, Readout { one_for_zero, zero_for_one }) in columns.iter_mut().zip(readouts) {
        let most = one_for_zero.max(zero_for_one).min(1.0);
        happens(most, shots, random, |shot, word| {
            let mask = 1 << (shot % 64);
            let wrong = if column[shot / 64] & mask == 0 { one_for_zero } else { zero_for_one };
            #[expect(clippy::cast_precision_loss, reason = "a uniform number")]
            if (word >> 11) as f64 / 9_007_199_254_740_992.0 < wrong / most {
                column[shot / 64] ^= mask;
            }
        });
    }
}
