//! How a scene runs: rounds, each with its own dice out of the seed, under load, judged one by one.

use std::{fs, ops::Range, time::Instant};

use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::clients::Clients;
use crate::{
    database::Backend,
    load::measure::{Progress, Quantiles},
};

/// Acknowledgements of a round before its fault, at least: a daemon that has promised nothing cannot break its word.
pub const BEFORE: u64 = 10;

/// How many clients a crowd is when nobody says how many.
pub const CROWD: u32 = 2_000;

/// A family of faults, told as one story.
pub struct Scene {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in half a sentence.
    pub about: &'static str,
    /// The databases that it can be told on.
    pub on: &'static [Backend],
    /// Rounds when nobody says how many; none when it is told in long runs alone, or by name.
    pub rounds: u32,
    /// Rounds of a long run.
    pub long: u32,
    /// Does it.
    pub run: fn(&Run) -> Result<Told>,
}

/// One telling of a scene.
pub struct Run<'a> {
    /// The scene's name.
    pub scene: &'static str,
    /// The database.
    pub backend: Backend,
    /// What all choices follow from.
    pub seed: u64,
    /// Which rounds.
    pub rounds: Range<u32>,
    /// Most resident memory that a daemon may have had, KiB.
    pub memory: u64,
    /// How many clients a crowd is.
    pub crowd: u32,
    /// Who watches.
    pub progress: &'a Progress,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// The scene.
    pub scene: &'static str,
    /// The database.
    pub database: &'static str,
    /// The seed.
    pub seed: u64,
    /// Rounds, each with ten acknowledgements at least before its fault.
    pub rounds: u32,
    /// Envelopes that were acknowledged.
    pub acknowledged: u64,
    /// Envelopes that readers took.
    pub taken: u64,
    /// Connections that ended and came again.
    pub reconnections: u64,
    /// Connections that owed an answer for ten seconds, and were given up.
    pub given_up: u64,
    /// How often a connection was told to catch up from the log.
    pub behind: u64,
    /// Refusals that ask to try again.
    pub refused: u64,
    /// Most resident memory that a daemon has had, KiB.
    pub peak_kib: u64,
    /// How long clients were without a connection after their node was killed, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed_ms: Option<Quantiles>,
    /// The same after it was drained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained_ms: Option<Quantiles>,
    /// How long it took, clients and databases made anew included, seconds.
    pub seconds: f64,
}

impl Told {
    /// Both together.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            rounds: self.rounds + other.rounds,
            acknowledged: self.acknowledged + other.acknowledged,
            taken: self.taken + other.taken,
            reconnections: self.reconnections + other.reconnections,
            given_up: self.given_up + other.given_up,
            behind: self.behind + other.behind,
            refused: self.refused + other.refused,
            peak_kib: self.peak_kib.max(other.peak_kib),
            seconds: self.seconds + other.seconds,
            ..self
        }
    }
}

/// The name of a database on the command line.
pub fn name(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "sqlite",
        Backend::Postgres => "postgres",
    }
}

impl<'a> Run<'a> {
    /// The dice of one round: no other round's, whatever was thrown before.
    pub fn dice(&self, round: u32) -> Rng {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(round.to_be_bytes());
        hash.update(self.scene);
        let digest: [u8; 32] = hash.finalize().into();
        Rng::with_seed(digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte)))
    }

    /// One round alone.
    #[must_use]
    pub fn only(&self, round: u32) -> Run<'a> {
        let Self { scene, backend, seed, memory, crowd, progress, .. } = *self;
        Self { scene, backend, seed, rounds: round..round.saturating_add(1), memory, crowd, progress }
    }

    /// The command that does one round again.
    pub fn replay(&self, round: u32) -> String {
        let crowd = if self.crowd == CROWD { String::new() } else { format!(" --crowd {}", self.crowd) };
        format!(
            "qchat-faults --scene {} --database {} --seed {} --from {round} --rounds 1{crowd}",
            self.scene,
            name(self.backend),
            self.seed
        )
    }

    /// Tells every round: load, what `fault` does to it, drain, verdict. `fault` is called with ten acknowledgements at
    /// least and a random number more, heals what it broke, and gives the processes of the daemons whose memory counts.
    ///
    /// # Errors
    /// When the promise is broken, a daemon has grown too much, or something did not happen that has to; says how to do
    /// the round again.
    pub fn rounds(
        &self,
        clients: &mut Clients,
        mut fault: impl FnMut(&mut Clients, &mut Rng) -> Result<Vec<u32>>,
    ) -> Result<Told> {
        let began = Instant::now();
        let (mut taken, mut peak) = (0, 0);
        for round in self.rounds.clone() {
            let dice = &mut self.dice(round);
            let mut play = || {
                clients.begin()?;
                clients.acknowledged(BEFORE + dice.u64(0..60))?;
                let daemons = fault(clients, dice)?;
                let verdict = clients.end()?;
                let told = verdict.told.iter().map(ToString::to_string);
                let told: Vec<String> = told.chain(clients.strange().iter().cloned()).collect();
                if !told.is_empty() {
                    bail!("the promise is broken ({} breaches):\n  {}", verdict.breaches, told.join("\n  "));
                }
                taken += verdict.taken;
                for daemon in daemons {
                    peak = peak_kib(daemon)?.max(peak);
                }
                ensure!(peak <= self.memory, "a daemon took {peak} KiB, more than {}", self.memory);
                Ok(())
            };
            play().with_context(|| {
                format!(
                    "scene {} on {}, round {round}; again with: {}",
                    self.scene,
                    name(self.backend),
                    self.replay(round)
                )
            })?;
            self.progress.say(|| {
                format!(
                    "{} on {}: {} of {} rounds",
                    self.scene,
                    name(self.backend),
                    round + 1,
                    self.rounds.end
                )
            });
        }
        self.progress.clear();
        let tally = clients.tally();
        Ok(Told {
            scene: self.scene,
            database: name(self.backend),
            seed: self.seed,
            rounds: self.rounds.end - self.rounds.start,
            acknowledged: tally.acknowledged,
            taken,
            reconnections: tally.reconnections,
            given_up: tally.given_up,
            behind: tally.behind,
            refused: tally.refused.values().sum(),
            peak_kib: peak,
            killed_ms: None,
            drained_ms: None,
            seconds: began.elapsed().as_secs_f64(),
        })
    }
}

/// The most resident memory that a process has had, KiB.
///
/// # Errors
/// When there is no such process.
pub fn peak_kib(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("{path}: is the daemon gone?"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}
