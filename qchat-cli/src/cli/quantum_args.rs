//! Commands about quantum jobs: their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint, builder::FalseyValueParser};
use url::Url;

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
    /// List the jobs, the latest first.
    #[command(
        after_help = "Examples:\n  qchat quantum jobs\n  qchat quantum jobs --json | jq 'select(.state == \"queued\")'"
    )]
    Jobs,
    /// Show what a job was to do and what came of it.
    #[command(
        after_help = "Examples:\n  qchat quantum show 3fa2\n  qchat quantum show 3fa2 --json | jq .qber"
    )]
    Show {
        /// The job's id, or its beginning.
        job: String,
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
    /// Agree on a key by BB84 between Alice and Bob, with Eve on the line, all on this machine.
    ///
    /// It shows the protocol, and gives nobody any secrecy.
    #[command(
        after_help = "Examples:\n  qchat quantum run bb84\n  qchat quantum run bb84 --qubits 1000000 --eve 0.3 --noise 0.02 --seed 7\n  qchat quantum run bb84 --source decoy --distance 50 --efficiency 0.2 --dark-counts 1e-6 --qubits 10000000\n  qchat quantum run bb84 --svg bb84.svg"
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
    #[arg(long, value_name = "RATE", default_value_t = 0.11, value_parser = share)]
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

fn share(text: &str) -> Result<f64, String> {
    number(text, |share| (0.0..=1.0).contains(&share), "a number from 0 to 1")
}

fn distance(text: &str) -> Result<f64, String> {
    number(text, |kilometres| (0.0..=1_000.0).contains(&kilometres), "kilometres from 0 to 1000")
}

fn epsilon(text: &str) -> Result<f64, String> {
    number(text, |epsilon| (1e-30..=0.1).contains(&epsilon), "a number from 1e-30 to 0.1")
}
