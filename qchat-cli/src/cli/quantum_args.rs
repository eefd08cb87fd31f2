//! Commands about quantum jobs: their arguments.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum, ValueHint, builder::FalseyValueParser};
use qchat_proto::ids::UserName;
use qchat_quantum::bb84::ERROR_LIMIT;
use url::Url;

use super::args;
use crate::quantum::task::MOST_BITS;

/// An account at IBM Quantum.
#[derive(Debug, Default, Args)]
pub struct Ibm {
    /// The name (CRN) of the instance, as https://quantum.cloud.ibm.com/instances shows it.
    #[arg(long, global = true, env = "QCHAT_IBM_CRN", hide_env_values = true, value_name = "CRN")]
    pub ibm_crn: Option<String>,
    /// Read the API key from the first line of a file, for its owner alone. Without this it is taken from QCHAT_IBM_API_KEY in the
    /// environment, or from the keyring, where `qchat quantum key` puts it.
    #[arg(long, global = true, env = "QCHAT_IBM_KEY_FILE", hide_env_values = true, value_name = "F")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub ibm_key_file: Option<PathBuf>,
    /// Where the service is, instead of the CRN's region: its address up to /api/v1.
    #[arg(long, global = true, env = "QCHAT_IBM_URL", hide_env_values = true, value_name = "URL")]
    pub ibm_url: Option<Url>,
    /// Where the identity service is that gives tokens for the key.
    #[arg(long, global = true, env = "QCHAT_IBM_IAM_URL", hide_env_values = true, value_name = "URL")]
    pub ibm_iam_url: Option<Url>,
    /// Seconds of quantum computers that jobs may take in a calendar month [default: 60].
    #[arg(long, global = true, env = "QCHAT_IBM_BUDGET", hide_env_values = true, value_name = "SECONDS")]
    #[arg(value_parser = seconds)]
    pub ibm_budget: Option<u32>,
    /// US dollars that a second of a quantum computer costs, for `quantum bench` [default: 1.60, IBM's price without a contract].
    #[arg(long, global = true, env = "QCHAT_IBM_PRICE", hide_env_values = true, value_name = "DOLLARS")]
    #[arg(value_parser = price)]
    pub ibm_price: Option<Price>,
    /// Let the executor run the circuits exactly as they are, instead of the sampler. Not every plan has it.
    #[arg(long, global = true, env = "QCHAT_IBM_EXECUTOR", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub ibm_executor: bool,
}

/// Where a job runs.
#[derive(Debug, Args)]
pub struct Where {
    /// What runs it: local, ibm for the device with the shortest queue, or the name of a device.
    #[arg(long, value_name = "BACKEND", default_value = "local")]
    pub backend: String,
    /// When the device does not do it, let the job fail, instead of taking the simulator.
    #[arg(long)]
    pub no_fallback: bool,
    /// Do not ask before time of a quantum computer is spent.
    #[arg(short, long)]
    pub yes: bool,
    /// Return once the job is submitted; `qchat quantum resume` waits for it.
    #[arg(long)]
    pub detach: bool,
}

/// Commands about quantum jobs.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Quantum {
    /// Show what can run jobs: the simulator on this machine, and IBM's devices where an account is configured.
    #[command(after_help = "Examples:\n  qchat quantum backends\n  qchat quantum backends --json | jq .name")]
    Backends,
    /// Put the API key of IBM Quantum into the keyring of the desktop's session, or take it out again.
    #[command(after_help = "Examples:\n  qchat quantum key\n  qchat quantum key --forget")]
    Key {
        /// Take it out.
        #[arg(long)]
        forget: bool,
    },
    /// Start a job and wait for its end.
    #[command(subcommand)]
    Run(Run),
    /// Take part in a simulated run of BB84 that another member of a room has asked for, or decline it.
    ///
    /// `qchat quantum run bb84 --room` asks. Nothing is computed before this says yes.
    #[command(
        after_help = "Examples:\n  qchat quantum answer lab\n  qchat quantum answer lab --wait 10m --yes\n  qchat quantum answer lab --decline"
    )]
    Answer(Answer),
    /// List the jobs, the latest first.
    ///
    /// IBM Quantum is asked how those are that wait or run there: how many are before one, as far as it says so. Of the simulator's
    /// jobs that are over, the latest 1,000 are kept.
    #[command(
        after_help = "Examples:\n  qchat quantum jobs\n  qchat quantum jobs --json | jq 'select(.state == \"queued\")'"
    )]
    Jobs,
    /// Show what a job was to do and what came of it.
    #[command(
        after_help = "Examples:\n  qchat quantum show 3fa2\n  qchat quantum show 3fa2 --json | jq .qber\n  qchat quantum show 3fa2 --circuits --json | jq -r .open_qasm"
    )]
    Show {
        /// The job's id, or its beginning.
        job: String,
        /// Show the circuits that it runs instead, drawn, or as OpenQASM 3 with --json, before they are made fit for a device.
        #[arg(long)]
        circuits: bool,
    },
    /// End a job that is not over.
    Cancel {
        /// The job's id, or its beginning.
        job: String,
    },
    /// Go on with jobs that were interrupted, or wait for those that run elsewhere: all of them, where none is named.
    #[command(after_help = "Examples:\n  qchat quantum resume\n  qchat quantum resume 3fa2 91c0")]
    Resume {
        /// The jobs' ids, or their beginnings.
        jobs: Vec<String>,
    },
    /// Make a job's report again of what a quantum computer had measured for it: as IBM has it still, or out of a file.
    ///
    /// Nothing is spent, no bit goes into the pool, and the job stays as it is. The report says that it was replayed.
    #[command(
        after_help = "Examples:\n  qchat quantum replay 3fa2\n  qchat quantum replay 3fa2 --save chsh.json\n  qchat quantum replay 3fa2 --results chsh.json --json | jq .unchanged"
    )]
    Replay {
        /// The job's id, or its beginning.
        job: String,
        /// Take the results out of this file, as --save has written them, or IBM's service gives them.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "save")]
        results: Option<PathBuf>,
        /// Write IBM's results into this new file. Random bits for keys are not.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        save: Option<PathBuf>,
    },
    /// Forget jobs that are over, and what came of them. What they were charged counts all the same.
    ///
    /// A job is kept as long as bits of it wait in the pool.
    #[command(
        group = clap::ArgGroup::new("which").args(["jobs", "all"]).required(true),
        after_help = "Examples:\n  qchat quantum forget 3fa2 91c0\n  qchat quantum forget --all"
    )]
    Forget {
        /// The jobs' ids, or their beginnings.
        jobs: Vec<String>,
        /// All that are over.
        #[arg(long)]
        all: bool,
    },
    /// Show how the backends do: which take jobs, their errors, and the CHSH values that were measured on them.
    ///
    /// Each look at a device is kept. With --prometheus the newest are printed for the textfile collector of the node exporter;
    /// contrib/prometheus has the alert that goes with it.
    #[command(
        after_help = "Examples:\n  qchat quantum health\n  qchat quantum health --json | jq .history\n  qchat quantum health --prometheus > q.new && mv q.new qchat_quantum.prom"
    )]
    Health {
        /// Print metrics in the text format of Prometheus.
        #[arg(long, conflicts_with = "json")]
        prometheus: bool,
    },
    /// Show what may be spent: of the instance at IBM Quantum, and of the own budget of this month.
    #[command(
        after_help = "Examples:\n  qchat quantum usage\n  qchat quantum usage --json | jq .remaining_seconds"
    )]
    Usage,
    /// Measure how quantum and classical ways to make keys compare, and post-quantum algorithms with classical ones.
    ///
    /// Nothing is spent: what quantum computers take is known from jobs that have run there.
    #[command(
        after_help = "Examples:\n  qchat quantum bench\n  qchat quantum bench --json | jq 'select(.group == \"keys\")'"
    )]
    Bench,
    /// Show how many bits the pool has for keys, and where they are from.
    ///
    /// `register`, `keys rotate` and `room update-keys` take 256 bits for each key and mix them into the operating system's
    /// randomness: whoever knows the pool, as the operator of a quantum computer does, knows nothing of the key.
    Pool,
}

/// What to run.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Run {
    /// Measure random bits, test them, and put what can be extracted of them into the pool.
    #[command(
        after_help = "Examples:\n  qchat quantum run qrng\n  qchat quantum run qrng --bits 4096 --noise 0.02\n  qchat quantum run qrng --backend ibm --yes\n  qchat quantum run qrng --seed 7 --json | jq .entropy"
    )]
    Qrng {
        /// How many bits the pool is to get: a multiple of 256.
        #[arg(long, value_name = "N", default_value_t = 256, value_parser = bits)]
        bits: usize,
        /// What a simulator's bits come from. They can be made again from it, so that none goes into the pool.
        #[arg(long, value_name = "S")]
        seed: Option<u64>,
        /// Where it runs.
        #[command(flatten)]
        at: Where,
        /// What a simulator imitates.
        #[command(flatten)]
        imitated: Imitated,
    },
    /// Measure the CHSH value of two qubits: 2 at most without entanglement, 2.83 at most with it.
    #[command(
        after_help = "Examples:\n  qchat quantum run chsh\n  qchat quantum run chsh --shots 100000 --noise 0.01\n  qchat quantum run chsh --backend ibm_brisbane"
    )]
    Chsh {
        /// How often each of the four circuits runs.
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        shots: u32,
        /// What a simulator's results come from.
        #[arg(long, value_name = "S")]
        seed: Option<u64>,
        /// Where it runs.
        #[command(flatten)]
        at: Where,
        /// What a simulator imitates.
        #[command(flatten)]
        imitated: Imitated,
    },
    /// Agree on a key by BB84 between Alice and Bob, with Eve on the line: on this machine, or with another member of a room.
    ///
    /// It shows the protocol, and gives nobody any secrecy. With --room this device is Alice and has the simulated light, and a
    /// device of --with is Bob, when `qchat quantum answer` says yes there. What both say travels through the room; a key of such a
    /// run is no more secret than the room. With --psk it is mixed into the room's keys all the same, and shown there as what it is.
    /// With --backend a quantum computer plays both ends.
    #[command(
        after_help = "Examples:\n  qchat quantum run bb84\n  qchat quantum run bb84 --qubits 1000000 --eve 0.3 --noise 0.02 --seed 7\n  qchat quantum run bb84 --source decoy --distance 50 --efficiency 0.2 --dark-counts 1e-6 --qubits 10000000\n  qchat quantum run bb84 --svg bb84.svg\n  qchat quantum run bb84 --room lab --with bob --noise 0.01 --psk\n  qchat quantum run bb84 --qubits 4000 --backend ibm"
    )]
    Bb84(Box<Bb84>),
    /// Agree on a key by E91, from pairs of entangled qubits, all on this machine.
    ///
    /// It shows the protocol, and gives nobody any secrecy.
    #[command(
        after_help = "Examples:\n  qchat quantum run e91\n  qchat quantum run e91 --pairs 500000 --visibility 0.95\n  qchat quantum run e91 --eve 0.5"
    )]
    E91 {
        /// How many pairs the source sends.
        #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        pairs: u32,
        /// The share of pairs that Eve measures and sends on.
        #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
        eve: f64,
        /// How much of each pair is entangled: 1 is perfect, 0 is noise.
        #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
        visibility: f64,
        /// What all randomness of the run comes from.
        #[arg(long, value_name = "S")]
        seed: Option<u64>,
        /// Draw the run into this new file.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        svg: Option<PathBuf>,
    },
}

/// What a simulator imitates.
#[derive(Debug, Args)]
pub struct Imitated {
    /// The simulator's gates depolarise, and its readings are wrong, with this probability.
    #[arg(long, value_name = "P", value_parser = share, conflicts_with = "properties")]
    pub noise: Option<f64>,
    /// The simulator imitates the device that this file describes, as IBM's REST API gives the properties of a backend.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub properties: Option<PathBuf>,
}

/// A run of BB84.
#[derive(Debug, Args)]
pub struct Bb84 {
    /// How many pulses Alice sends.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=20_000_000))]
    pub qubits: u32,
    /// The share of pulses that Eve attacks.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub eve: f64,
    /// What Eve does.
    #[arg(long, value_enum, value_name = "ATTACK", default_value_t = Attack::InterceptResend)]
    pub attack: Attack,
    /// What Alice sends.
    #[arg(long, value_enum, value_name = "SOURCE", default_value_t = Source::Single)]
    pub source: Source,
    /// The probability that a photon arrives in the wrong state.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = share)]
    pub noise: f64,
    /// Kilometres of fibre between Alice and Bob, of 0.2 dB each.
    #[arg(long, value_name = "KM", default_value_t = 0.0, value_parser = distance)]
    pub distance: f64,
    /// The probability that Bob's detector notices a photon.
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = share)]
    pub efficiency: f64,
    /// The probability that it clicks without one, for each pulse.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = share)]
    pub dark_counts: f64,
    /// The probability with which each end chooses the basis that the key is made from; the other is for tests.
    #[arg(long, value_name = "P", default_value_t = 0.75, value_parser = share)]
    pub key_basis: f64,
    /// The error rate above which both give up.
    #[arg(long, value_name = "RATE", default_value_t = ERROR_LIMIT, value_parser = share)]
    pub error_limit: f64,
    /// How far from secret the key may be.
    #[arg(long, value_name = "EPS", default_value_t = 1e-10, value_parser = epsilon)]
    pub eps_sec: f64,
    /// How probable unequal keys may be.
    #[arg(long, value_name = "EPS", default_value_t = 1e-15, value_parser = epsilon)]
    pub eps_cor: f64,
    /// What all randomness of the run comes from.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Show how the key gets shorter with distance: runs it again and again.
    #[arg(long)]
    pub distances: bool,
    /// Draw the run, with its distances, into this new file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub svg: Option<PathBuf>,
    /// With whom.
    #[command(flatten)]
    pub together: Together,
    /// Where it runs.
    #[command(flatten)]
    pub at: Where,
}

/// With whom a run takes place.
#[derive(Debug, Args)]
pub struct Together {
    /// Run it with a member of this room; its name or id.
    #[arg(long, value_name = "ROOM", requires = "with", conflicts_with_all = ["distances", "svg"])]
    pub room: Option<String>,
    /// Whom to ask.
    #[arg(long, value_name = "USER", requires = "room")]
    pub with: Option<UserName>,
    /// Mix the key into the room, labelled as a simulated exercise: for admins of rooms of two devices.
    #[arg(long, requires = "room")]
    pub psk: bool,
    /// How long to wait for the answer: seconds, or as in 90s and 10m [default: 10m].
    #[arg(long, value_name = "TIME", requires = "room", value_parser = args::time)]
    pub wait: Option<Duration>,
}

/// The answer to who asks for a run.
#[derive(Debug, Args)]
pub struct Answer {
    /// The room's name or id.
    #[arg(value_name = "ROOM")]
    pub room: String,
    /// Say no.
    #[arg(long, conflicts_with_all = ["yes", "wait"])]
    pub decline: bool,
    /// Take part without being asked here.
    #[arg(short, long)]
    pub yes: bool,
    /// Wait so long until somebody asks: seconds, or as in 90s and 10m.
    #[arg(long, value_name = "TIME", value_parser = args::time)]
    pub wait: Option<Duration>,
}

/// What Eve does to the pulses that she attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// Measures them in one of the two bases, and sends what she saw.
    InterceptResend,
    /// The same in the basis halfway between.
    Breidbart,
    /// Keeps a photon of every pulse that has several. Takes all pulses, whatever their share.
    PhotonNumberSplitting,
}

/// What Alice sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// One photon a pulse.
    Single,
    /// Pulses of a weak laser, taken for single photons: splitting them goes unnoticed.
    Weak,
    /// Pulses of a weak laser at three intensities, by which splitting is noticed.
    Decoy,
}

fn bits(text: &str) -> Result<usize, String> {
    let bits: usize = text.parse().map_err(|_| "a number of bits".to_owned())?;
    if bits == 0 || !bits.is_multiple_of(256) || bits > MOST_BITS {
        return Err(format!("a multiple of 256, {MOST_BITS} at most"));
    }
    Ok(bits)
}

fn number(text: &str, good: impl Fn(f64) -> bool, what: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number| good(*number)).ok_or_else(|| what.to_owned())
}

pub(crate) fn seconds(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds <= 100_000)
        .ok_or_else(|| "seconds from 0 to 100000".to_owned())
}

/// A price for a second, in ten-thousandths of a US dollar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Price(pub u32);

impl Price {
    /// In US dollars.
    pub fn dollars(self) -> f64 {
        f64::from(self.0) / 1e4
    }
}

pub(crate) fn price(text: &str) -> Result<Price, String> {
    let dollars =
        number(text, |dollars| (0.0..=100_000.0).contains(&dollars), "US dollars from 0 to 100000")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10⁹")]
    Ok(Price((dollars * 1e4).round() as u32))
}

fn share(text: &str) -> Result<f64, String> {
    number(text, |share| (0.0..=1.0).contains(&share), "a number from 0 to 1")
}

fn distance(text: &str) -> Result<f64, String> {
    number(text, |kilometres| (0.0..=1_000.0).contains(&kilometres), "kilometres from 0 to 1000")
}

fn epsilon(text: &str) -> Result<f64, String> {
    number(text, |epsilon| (1e-30..=0.1).contains(&epsilon), "a number from 1e-30 to 0.1")
}
