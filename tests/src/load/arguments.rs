//! The tool's command line, and the rooms and accounts that it asks for.

use std::{io::Write as _, process::ExitCode, time::Duration};

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};
use qchatd::service::seed::Plan;
use serde::Serialize;
use url::Url;

use super::{
    account::{Rest, Source},
    engines, idle,
    live::{self, Load, Pace},
    measure::{Progress, Quantiles},
    pages::Pagers,
    resume, rooms,
};

/// Puts load on a qchat daemon, and checks that it keeps the relay's promise: what is acknowledged reaches every member's
/// device exactly once and in one order per room.
///
/// Accounts are registered anew, or are those of a database that `qchatd admin seed` has filled (--seed).
#[derive(Debug, Parser)]
#[command(
    name = "qchat-load",
    after_help = "\
Examples:
  qchat-load relay --rooms 20 --members 10 --pid $(pidof qchatd)
  qchat-load relay --rooms 100 --members 2 --rate 250 --duration 10
  qchat-load idle --connections 10000 --seed 1 --seeded-accounts 10000 --pid $(pidof qchatd)

Exit codes:
  0  done, and the promise was kept
  1  it could not be done
  2  wrong usage
  8  the promise was broken"
)]
pub struct Arguments {
    /// The daemon. Over https any certificate is believed; `engines` speaks http alone.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8470/")]
    server: Url,
    /// The daemon's process, whose use of the machine is told then.
    #[arg(long, global = true)]
    pid: Option<u32>,
    /// The accounts are those of a database filled with this seed.
    #[arg(long, global = true, requires = "seeded_accounts")]
    seed: Option<u64>,
    /// As many as it was filled with.
    #[arg(long, global = true, default_value_t = 0)]
    seeded_accounts: u32,
    /// Its rooms.
    #[arg(long, global = true, default_value_t = 0)]
    seeded_rooms: u32,
    /// The members of each.
    #[arg(long, global = true, default_value_t = 1)]
    seeded_members: u32,
    /// Print JSON, one object.
    #[arg(long, global = true)]
    json: bool,
    /// Print a row of a Markdown table, of what `relay` found.
    #[arg(long, global = true, conflicts_with = "json")]
    row: bool,
    /// Do not say how far things are.
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Envelopes of noise through rooms: the daemon's own speed.
    Relay {
        #[command(flatten)]
        shape: Shape,
        /// Envelopes that each sender has unanswered at any time, when no rate is given.
        #[arg(long, default_value_t = 16)]
        window: u32,
        /// Cut all connections every so many seconds, and let them come again at once.
        #[arg(long, value_name = "SECONDS")]
        storm: Option<f64>,
        /// Connections that the daemon ends come again.
        #[arg(long)]
        reconnect: bool,
        /// So many further devices read the logs of the seed's rooms meanwhile.
        #[arg(long, default_value_t = 0)]
        pagers: usize,
    },
    /// The same by whole clients, which seal and open every message.
    Engines {
        #[command(flatten)]
        shape: Shape,
    },
    /// Connections that only wait, and the daemon's memory for each.
    Idle {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        connections: usize,
        /// Leave so many accounts out: another load has them.
        #[arg(long, default_value_t = 0)]
        after: usize,
        /// Opened a second at most.
        #[arg(long, default_value_t = 5000.0)]
        ramp: f64,
        /// Seconds that they wait.
        #[arg(long, default_value_t = 5.0)]
        hold: f64,
    },
    /// Devices that come back with an access token, one after the other.
    Resume {
        /// Accounts that take part.
        #[arg(long, default_value_t = 200)]
        connections: usize,
        /// Underway at any time.
        #[arg(long, default_value_t = 64)]
        at_once: usize,
        /// Seconds.
        #[arg(long, default_value_t = 5.0)]
        duration: f64,
    },
    /// Devices that come back all at once.
    Storm {
        /// How many.
        #[arg(long, default_value_t = 2000)]
        connections: usize,
    },
}

#[derive(Debug, Args)]
struct Shape {
    /// Rooms.
    #[arg(long, default_value_t = 20)]
    rooms: usize,
    /// Members of each room.
    #[arg(long, default_value_t = 10)]
    members: usize,
    /// Members of each room that send; 0 are all.
    #[arg(long, default_value_t = 0)]
    senders: usize,
    /// Accounts; with fewer than rooms have members altogether, each is in several rooms.
    #[arg(long)]
    accounts: Option<usize>,
    /// Messages a second in all, measured from when each is due.
    #[arg(long)]
    rate: Option<f64>,
    /// Bytes of an envelope's payload.
    #[arg(long, default_value_t = 4096)]
    payload: usize,
    /// Seconds before it is measured.
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 5.0)]
    duration: f64,
}

impl Shape {
    fn load(&self, pace: Pace) -> Result<Load> {
        ensure!(self.rooms > 0 && self.members > 0, "there is one room at least, and one member in it");
        ensure!(self.rate.is_none_or(|rate| rate > 0.0), "a rate is more than nothing");
        let senders = if self.senders == 0 { self.members } else { self.senders.min(self.members) };
        Ok(Load {
            rooms: self.rooms,
            members: self.members,
            senders,
            payload: self.payload,
            pace: self.rate.map_or(pace, Pace::Rate),
            warm_up: Duration::try_from_secs_f64(self.warm_up)?,
            duration: Duration::try_from_secs_f64(self.duration)?,
            storm: None,
            reconnect: false,
            pid: None,
        })
    }
}

impl Arguments {
    fn source(&self) -> Source {
        self.seed.map_or(Source::Register, |seed| {
            Source::Seeded(Plan {
                accounts: self.seeded_accounts,
                rooms: self.seeded_rooms,
                members: self.seeded_members,
                messages: 0,
                size: 0,
                seed,
            })
        })
    }

    /// Does what it says.
    ///
    /// # Errors
    /// When it cannot be done.
    pub async fn run(&self) -> Result<ExitCode> {
        let progress = Progress::new(self.quiet);
        let rest = Rest::new(self.server.clone())?;
        let broken = match &self.command {
            Command::Relay { shape, window, storm, reconnect, pagers } => {
                let load = Load {
                    storm: storm.map(Duration::try_from_secs_f64).transpose()?,
                    reconnect: *reconnect,
                    pid: self.pid,
                    ..shape.load(Pace::Window((*window).max(1)))?
                };
                let source = self.source();
                let talking = shape.accounts.unwrap_or(load.rooms * load.members).max(load.members);
                let all = rest.accounts(source, talking + pagers, &progress).await?;
                let (first, _) = all.split_at(talking);
                let rooms = rooms::make(&rest, first, load.rooms, load.members, &progress).await?;
                let pagers = match source {
                    Source::Seeded(plan) if *pagers > 0 => Pagers::new(plan, talking, all.len()),
                    _ => Pagers::default(),
                };
                let outcome = live::run(&rest, &all, &rooms, load, pagers, &progress)?;
                let lines =
                    if self.row && outcome.breaches == 0 { vec![row(&outcome)] } else { relayed(&outcome) };
                self.tell("relay", &outcome, &lines)?;
                outcome.breaches > 0
            }
            Command::Engines { shape } => {
                let outcome = engines::run(&self.server, shape.load(Pace::Window(1))?, &progress).await?;
                let mut lines = vec![
                    format!("{} messages, read {} times", outcome.acknowledged, outcome.read),
                    quantiles("to each member", outcome.delivery_ms),
                    quantiles("to the ack", outcome.acknowledgement_ms),
                ];
                lines.extend(promise(outcome.told.len() as u64, &outcome.told));
                self.tell("engines", &outcome, &lines)?;
                !outcome.told.is_empty()
            }
            Command::Idle { connections, after, ramp, hold } => {
                let pid = self.pid.ok_or_else(|| anyhow::anyhow!("whose memory? give --pid"))?;
                let accounts = rest.accounts(self.source(), after + connections, &progress).await?;
                let accounts = accounts.split_at(*after).1;
                let hold = Duration::try_from_secs_f64(*hold)?;
                let outcome = idle::run(&rest, accounts, *ramp, hold, pid, &progress)?;
                let lines = [
                    format!("{} connections, {:.0}/s", outcome.connections, outcome.connections_per_second),
                    format!("{} bytes each (RSS {:?} KiB)", outcome.bytes_per_connection, outcome.rss_kib),
                    format!("{:.3} of a core while they waited", outcome.daemon_cores),
                ];
                self.tell("idle", &outcome, &lines)?;
                false
            }
            Command::Resume { connections, at_once, duration } => {
                let accounts = rest.accounts(self.source(), *connections, &progress).await?;
                let duration = Duration::try_from_secs_f64(*duration)?;
                let outcome = resume::run(&rest, &accounts, *at_once, duration, self.pid, &progress)?;
                let mut lines = vec![
                    format!(
                        "{:.0} sessions resumed a second, {} at once",
                        outcome.resumed_per_second, outcome.at_once
                    ),
                    quantiles("each", outcome.resume_ms),
                ];
                lines.extend(outcome.daemon_us_each.map(|each| format!("{each:.0} µs of the daemon each")));
                lines.push(format!("{} failures", outcome.failures));
                self.tell("resume", &outcome, &lines)?;
                false
            }
            Command::Storm { connections } => {
                let accounts = rest.accounts(self.source(), *connections, &progress).await?;
                let outcome = resume::storm(&rest, &accounts, &progress)?;
                let lines = [
                    format!("{} connections came back in {:.2} s", outcome.connections, outcome.seconds),
                    quantiles("each", outcome.resume_ms),
                    format!("{} failures", outcome.failures),
                ];
                self.tell("storm", &outcome, &lines)?;
                false
            }
        };
        Ok(if broken { ExitCode::from(8) } else { ExitCode::SUCCESS })
    }

    fn tell(&self, what: &str, outcome: &impl Serialize, lines: &[String]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::json!({ "v": 1, what: outcome }))?;
        } else {
            for line in lines {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }
}

fn relayed(outcome: &live::Outcome) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{:.0} deliveries/s of {:.0} envelopes/s, {} bytes each, {} rooms of {} by {} connections",
            outcome.deliveries_per_second,
            outcome.envelopes_per_second,
            outcome.load.payload,
            outcome.load.rooms,
            outcome.load.members,
            outcome.connections,
        ),
        quantiles("to each member", outcome.delivery_ms),
        quantiles("to the ack", outcome.acknowledgement_ms),
    ];
    if let (Some(cores), Some(each), Some(rss)) =
        (outcome.daemon_cores, outcome.daemon_us_per_delivery, outcome.daemon_rss_kib)
    {
        lines.push(format!("daemon: {cores:.2} cores, {each:.2} µs a delivery, {rss} KiB"));
    }
    if outcome.behind + outcome.reconnections + outcome.pages > 0 {
        lines.push(format!(
            "told to catch up {} times, {} reconnections, {} pages of {} envelopes",
            outcome.behind, outcome.reconnections, outcome.pages, outcome.paged_envelopes
        ));
    }
    lines.push(format!("{} acknowledged, {} without", outcome.acknowledged, outcome.unacknowledged));
    lines.extend(promise(outcome.breaches, &outcome.told));
    lines
}

/// Shape, deliveries and envelopes a second, times, what the daemon used.
fn row(outcome: &live::Outcome) -> String {
    let Load { rooms, members, pace, .. } = outcome.load;
    let pace = match pace {
        Pace::Window(window) => format!("{window} unanswered each"),
        Pace::Rate(rate) => format!("{rate} messages/s"),
    };
    let pagers = if outcome.pages > 0 {
        format!(", {} envelopes read meanwhile", outcome.paged_envelopes)
    } else {
        String::new()
    };
    let times = |times: Quantiles| format!("{:.2}, {:.2}", times.p50, times.p99);
    let used = |used: Option<f64>| used.map_or("–".to_owned(), |used| format!("{used:.2}"));
    format!(
        "| {rooms}×{members}, {pace}{pagers} | {:.0} | {:.0} | {} | {} | {} | {} | {} |",
        outcome.deliveries_per_second,
        outcome.envelopes_per_second,
        times(outcome.delivery_ms),
        times(outcome.acknowledgement_ms),
        used(outcome.daemon_cores),
        used(outcome.daemon_us_per_delivery),
        outcome.daemon_rss_kib.unwrap_or_default() / 1024,
    )
}

fn promise(breaches: u64, told: &[String]) -> Vec<String> {
    if breaches == 0 {
        return vec!["the promise was kept".to_owned()];
    }
    let mut lines = vec![format!("THE PROMISE WAS BROKEN {breaches} times:")];
    lines.extend(told.iter().map(|breach| format!("  {breach}")));
    lines
}

fn quantiles(what: &str, times: Quantiles) -> String {
    let Quantiles { p50, p90, p99, p999, max, .. } = times;
    format!("{what:<14} p50 {p50:.2}  p90 {p90:.2}  p99 {p99:.2}  p99.9 {p999:.2}  max {max:.2} ms")
}
