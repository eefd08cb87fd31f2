//! The program's command line, and the scenes that it asks for.

use std::{
    any::Any,
    io::{IsTerminal as _, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::{Parser, ValueEnum};

use super::{
    clock, crash, cuts, disk, failover, nodes, partition, peers, postgres,
    run::{CROWD, Run, Scene, Told, name},
};
use crate::{database::Backend, load::measure::Progress};

/// All scenes, in the order in which they are told.
pub fn scenes() -> Vec<&'static Scene> {
    let all = [
        crash::SCENES,
        postgres::SCENES,
        failover::SCENES,
        cuts::SCENES,
        disk::SCENES,
        peers::SCENES,
        nodes::SCENES,
        clock::SCENES,
        partition::SCENES,
    ];
    all.into_iter().flatten().collect()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

/// Breaks a qchat daemon on purpose, under load, and holds it to the relay's promise: what is acknowledged reaches every
/// member's device exactly once and in one order per room, and the daemon's memory stays bounded.
///
/// All choices follow from the seed. PostgreSQL is the one that QCHAT_TEST_POSTGRES_URL names, where a scene does not start
/// its own.
#[derive(Debug, Parser)]
#[command(
    name = "qchat-faults",
    after_help = "\
Examples:
  qchat-faults --list
  qchat-faults --scene kill --rounds 1000 --seed 1
  qchat-faults --scene kill --database postgres --seed 1 --from 312 --rounds 1
  qchat-faults --long --json

Exit codes:
  0  the promise was kept
  1  it was not, or a scene could not be told
  2  wrong usage"
)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct Arguments {
    /// Which scenes; all when none is named.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    scene: Vec<String>,
    /// On this database alone.
    #[arg(long)]
    database: Option<Database>,
    /// What all choices follow from; drawn when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Rounds of each scene.
    #[arg(long)]
    rounds: Option<u32>,
    /// As many rounds of each scene as a long run has.
    #[arg(long, conflicts_with = "rounds")]
    long: bool,
    /// The first round, to do one again.
    #[arg(long, default_value_t = 0)]
    from: u32,
    /// Most resident memory that a daemon may have, MiB.
    #[arg(long, default_value_t = 256)]
    memory: u64,
    /// How many clients come back at once in the scene that is about it, 20 to a room.
    #[arg(long, default_value_t = CROWD, value_parser = clap::value_parser!(u32).range(20..))]
    crowd: u32,
    /// Print JSON, one object for each scene and database.
    #[arg(long)]
    json: bool,
    /// Do not say how far things are.
    #[arg(long, short)]
    quiet: bool,
    /// Print the scenes, and do nothing.
    #[arg(long)]
    list: bool,
}

impl Arguments {
    /// Does what it says. All scenes are told, also after one has failed.
    ///
    /// # Errors
    /// When nothing can be printed, or a scene is not known.
    pub fn run(&self) -> Result<ExitCode> {
        let mut out = std::io::stdout().lock();
        if self.list {
            for scene in scenes() {
                let on: Vec<&str> = scene.on.iter().copied().map(name).collect();
                writeln!(out, "{:<14}{} ({})", scene.name, scene.about, on.join(", "))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let unknown = self.scene.iter().find(|wanted| scenes().iter().all(|scene| scene.name != **wanted));
        if let Some(unknown) = unknown {
            return Err(anyhow!("there is no scene {unknown}; --list prints them"));
        }
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
        let progress = Progress::new(self.quiet);
        let mut failed = 0;
        for scene in scenes() {
            if !self.scene.is_empty() && self.scene.iter().all(|wanted| scene.name != wanted) {
                continue;
            }
            for backend in scene.on.iter().copied() {
                if self.database.is_some_and(|only| only.backend() != backend) {
                    continue;
                }
                let rounds = self.rounds.unwrap_or(if self.long { scene.long } else { scene.rounds });
                if rounds == 0 && self.scene.is_empty() {
                    continue;
                }
                let rounds = rounds.max(1);
                let run = Run {
                    scene: scene.name,
                    backend,
                    seed,
                    rounds: self.from..self.from.saturating_add(rounds),
                    memory: self.memory * 1024,
                    crowd: self.crowd,
                    progress: &progress,
                };
                match tell(scene, &run) {
                    Ok(told) if self.json => {
                        writeln!(out, "{}", serde_json::json!({ "v": 1, "faults": told }))?;
                    }
                    Ok(told) => writeln!(out, "{}", line(&told))?,
                    Err(error) => {
                        progress.clear();
                        failed += 1;
                        // Where standard error is closed, the exit code says it.
                        let _ = writeln!(std::io::stderr(), "FAILED: {error:#}");
                    }
                }
                out.flush()?;
            }
        }
        Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Database {
    fn backend(self) -> Backend {
        match self {
            Self::Sqlite => Backend::Sqlite,
            Self::Postgres => Backend::Postgres,
        }
    }
}

/// Tells a scene; a panic of the harness's own parts is a failure like any other.
fn tell(scene: &Scene, run: &Run) -> Result<Told> {
    let told = catch_unwind(AssertUnwindSafe(|| (scene.run)(run))).unwrap_or_else(|panic| Err(said(&*panic)));
    let told = told.with_context(|| format!("{} on {}, seed {}", run.scene, name(run.backend), run.seed))?;
    ensure!(told.acknowledged > 0, "{}: nothing was acknowledged", run.scene);
    Ok(told)
}

fn said(panic: &(dyn Any + Send)) -> anyhow::Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    anyhow!("{}", text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic"))
}

fn line(told: &Told) -> String {
    let Told { scene, database, rounds, acknowledged, taken, reconnections, refused, behind, .. } = told;
    let bold = if std::io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    format!(
        "{}{scene}{} on {database}: kept. {rounds} rounds, {acknowledged} acknowledged, {taken} taken, {reconnections} \
         reconnections, {refused} refused for a while, {behind} times behind, {} MiB at most, {:.0} s, seed {}",
        bold.0,
        bold.1,
        told.peak_kib / 1024,
        told.seconds,
        told.seed
    )
}
