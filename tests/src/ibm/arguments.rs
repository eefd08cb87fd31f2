//! The stand-in as a program.

use std::{
    io::Write as _,
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use anyhow::Result;
use clap::Parser;
use qchat_quantum::noise::NoiseModel;
use tokio::sync::oneshot;

use super::{
    BACKEND, CRN, KEY,
    control::{Control, Mishap, Route},
    routes::World,
    server,
};

/// Stands in for IBM Quantum on this machine: tokens, backends and jobs, over plain http, with jobs that run on the
/// simulator. Its bits are pseudorandom.
///
/// It prints where it is and what it accepts, and serves until it is interrupted.
#[derive(Debug, Parser)]
#[command(name = "qchat-fake-ibm")]
pub struct Arguments {
    /// Where it listens, on this machine.
    #[arg(long, default_value = "127.0.0.1:8475")]
    listen: SocketAddr,
    /// So many looks find a job queued.
    #[arg(long, default_value_t = 1)]
    queued: u32,
    /// So many looks after that find it running.
    #[arg(long, default_value_t = 1)]
    running: u32,
    /// Seconds that a job is charged.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Seconds that may be used.
    #[arg(long, default_value_t = 600.0)]
    limit: f64,
    /// The probability that a gate on two qubits goes wrong, and that a reading does; a tenth of it for other gates.
    #[arg(long, default_value_t = 0.0)]
    noise: f64,
    /// What the outcomes are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Circuits that are not the device's fail in the queue and not at submission, as the service does it.
    #[arg(long)]
    late_validation: bool,
    /// The answers to so many submissions are lost, though the jobs exist.
    #[arg(long, default_value_t = 0)]
    lost: usize,
    /// So many requests are refused with 503 at first.
    #[arg(long, default_value_t = 0)]
    storm: usize,
}

impl Arguments {
    /// Serves until it is interrupted.
    ///
    /// # Errors
    /// When the address cannot be listened on, or is not of this machine.
    pub async fn run(self) -> Result<ExitCode> {
        anyhow::ensure!(
            self.listen.ip().is_loopback(),
            "{} is not an address of this machine alone",
            self.listen
        );
        let mut control = Control {
            queued: self.queued,
            running: self.running,
            seconds: self.seconds,
            limit: self.limit,
            noise: NoiseModel::uniform(self.noise / 10.0, self.noise, self.noise),
            seed: self.seed,
            late_validation: self.late_validation,
            ..Control::default()
        };
        control.mishaps.extend(std::iter::repeat_n((Route::Any, Mishap::Status(503, Some(1))), self.storm));
        control.mishaps.extend(std::iter::repeat_n((Route::Submit, Mishap::Lost), self.lost));
        let (_stop, stopped) = oneshot::channel();
        let address = server::spawn(self.listen, Arc::new(Mutex::new(World::new(control))), stopped)?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "api      http://{address}/api/v1")?;
        writeln!(out, "iam      http://{address}")?;
        writeln!(out, "key      {KEY}\ncrn      {CRN}\nbackend  {BACKEND}")?;
        out.flush()?;
        tokio::signal::ctrl_c().await?;
        Ok(ExitCode::SUCCESS)
    }
}
