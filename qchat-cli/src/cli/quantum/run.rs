//! `quantum run`: from the arguments to a job, and to what came of it.

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use qchat_quantum::{
    bb84::{self, distance::LOSS_PER_KM, eve::Strategy, light},
    e91,
};

use super::{ibm, jobs_or_new, joint, new_file::NewFile, report, svg};
use crate::{
    cli::{
        Context,
        failure::{Failure, Outcome},
        open, progress,
        quantum_args::{Attack, Bb84, Imitated, Run, Source, Where},
    },
    quantum::{
        Cloud, Jobs, QuantumError,
        jobs::Step,
        local, outcome,
        task::{ChshTest, Noise, Qrng, Task, WIDTH},
    },
    store::quantum::{Job, State},
    vault,
};

/// Largest file that is read as the properties of a device, bytes: the largest devices take some hundred thousand.
const LARGEST: u64 = 8 << 20;
/// Kilometres that keys are tried over.
const DISTANCES: [f64; 16] =
    [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 125.0, 150.0];

pub(super) async fn run(context: &Context, what: &Run) -> Outcome {
    if let Run::Bb84(arguments) = what
        && arguments.together.room.is_some()
    {
        if arguments.at.backend != local::NAME {
            return Err(Failure::usage(
                "the light of a run over a room is simulated here: leave --backend out",
            ));
        }
        return joint::ask(context, arguments, &arguments.together).await;
    }
    let (task, svg, distances) = match what {
        Run::Qrng { bits, seed, imitated, at: _ } => {
            (Task::Qrng(Qrng { bits: *bits, seed: *seed, noise: noise(imitated)? }), None, false)
        }
        Run::Chsh { shots, seed, imitated, at: _ } => {
            let test =
                ChshTest { shots: *shots as usize, seed: seed_or_fresh(*seed)?, noise: noise(imitated)? };
            (Task::Chsh(test), None, false)
        }
        Run::Bb84(arguments) => {
            let settings = bb84_settings(arguments)?;
            if arguments.at.backend != local::NAME {
                fit_for_a_device(&settings, arguments.distances)?;
            }
            (Task::Bb84(settings), arguments.svg.as_deref(), arguments.distances)
        }
        Run::E91 { pairs, eve, visibility, seed, svg } => {
            let settings = e91::Settings {
                pairs: *pairs as usize,
                visibility: *visibility,
                eve: *eve,
                seed: seed_or_fresh(*seed)?,
                ..e91::Settings::default()
            };
            (Task::E91(settings), svg.as_deref(), false)
        }
    };
    if let Run::Qrng { imitated, at, .. } | Run::Chsh { imitated, at, .. } = what
        && at.backend != local::NAME
        && (imitated.properties.is_some() || imitated.noise.is_some_and(|noise| noise > 0.0))
    {
        return Err(Failure::usage(
            "a quantum computer has noise of its own: --noise and --properties are for the simulator",
        ));
    }
    // Before anything is computed for it.
    let drawing = svg.map(|path| NewFile::reserve(path, 0o666)).transpose()?;
    let at = match what {
        Run::Qrng { at, .. } | Run::Chsh { at, .. } => Some(at),
        Run::Bb84(arguments) => Some(&arguments.at),
        Run::E91 { .. } => None,
    };
    let Some(done) = carry_out(context, &task, at).await? else { return Ok(()) };
    let mut shown = report::Shown::new(done.job.as_ref(), task.kind(), &done.report)?;
    shown.add(&[("cached", done.cached.into())]);
    if let Task::Bb84(settings) = &task
        && (distances || drawing.is_some())
        && at.is_none_or(|at| at.backend == local::NAME)
    {
        let settings = *settings;
        let trying = progress::telling(&context.settings, "Trying distances", async |teller| {
            let teller = teller.clone();
            open::blocking(move || {
                let tried = AtomicU64::new(0);
                bb84::distance::key_lengths(&settings, &DISTANCES, &|| {
                    let tried = tried.fetch_add(1, Relaxed) + 1;
                    teller.far(tried, DISTANCES.len() as u64, "Trying distances".to_owned());
                })
            })
            .await
        });
        let lengths = trying.await?;
        shown.add_distances(DISTANCES.into_iter().zip(lengths).collect());
    }
    if let Some(drawing) = drawing {
        drawing.write(svg::draw(&shown).as_bytes())?;
    }
    shown.print(context, &done.notes)
}

/// What became of a task.
struct Done {
    /// The job, where there is a profile to keep it in.
    job: Option<Job>,
    report: String,
    /// Whether nothing was computed for it, because the job had done the same before.
    cached: bool,
    /// What to say beside it.
    notes: Vec<String>,
}

/// Does it; nothing when it was only to be submitted.
async fn carry_out(context: &Context, task: &Task, at: Option<&Where>) -> Outcome<Option<Done>> {
    let settings = &context.settings;
    let elsewhere = at.filter(|at| at.backend != local::NAME);
    if elsewhere.is_none() && !matches!(task, Task::Qrng(_)) && !vault::exists(&settings.profile_dir()) {
        // Nothing comes of it but the report.
        let task = task.clone();
        let work = open::blocking(move || {
            let samples = local::run(&task)?;
            outcome::of(&task, &outcome::Source::LOCAL, &samples)
        });
        let made = progress::during(settings, "Simulating", work).await??;
        let notes = vec!["There is no profile here, so that the job is not kept.".to_owned()];
        return Ok(Some(Done { job: None, report: made.report, cached: false, notes }));
    }
    let cloud = match elsewhere {
        Some(_) => Some(ibm::expect_cloud(context).await?),
        None => None,
    };
    let jobs = jobs_or_new(context).await?;
    if cloud.is_none()
        && let Some(job) = jobs.done_before(task).await?
        && let Some(report) = job.report.clone()
    {
        let id = job.id.to_string();
        let id = id.get(..8).unwrap_or(&id);
        let notes = vec![format!(
            "Nothing was computed: job {id} has done the same, and a simulator repeats itself."
        )];
        return Ok(Some(Done { job: Some(job), report, cached: true, notes }));
    }
    let job = match (&cloud, elsewhere) {
        (Some(cloud), Some(at)) => submitted(context, (&jobs, cloud), task, at).await?,
        _ => jobs.prepare(task, local::NAME, 0.0, false).await?,
    };
    if at.is_some_and(|at| at.detach) && job.state == State::Queued {
        let id = job.id.to_string();
        context.output.result(&report::job_object(Some(&job), task.kind()), || {
            let id = id.get(..8).unwrap_or(&id);
            format!("submitted {id} to {}; `qchat quantum resume {id}` waits for it", job.backend)
        })?;
        return Ok(None);
    }
    let driving = progress::telling(settings, "Simulating", async |teller| {
        let tell = |step: &Step| teller.say(words(step));
        jobs.drive(job.id, cloud.as_ref(), &tell).await
    });
    let job = driving.await?;
    let report = job.report.clone().ok_or(QuantumError::Malformed("report"))?;
    Ok(Some(Done { job: Some(job), report, cached: false, notes: vec![] }))
}

/// Chooses a device, asks whether its time may be spent, and tells it of the job. Where nothing of that works the simulator takes
/// it, if it may.
async fn submitted(
    context: &Context,
    (jobs, cloud): (&Jobs, &Cloud),
    task: &Task,
    at: &Where,
) -> Outcome<Job> {
    let name = Some(at.backend.as_str()).filter(|name| *name != "ibm");
    let may_fall_back = !at.no_fallback;
    let choosing = progress::during(&context.settings, "Choosing a device", cloud.device(name));
    let device = match choosing.await {
        Ok(device) => device,
        // Nobody can say which, or none takes jobs. An account that is not accepted is for its owner to mend.
        Err(error) if may_fall_back && (is_passing(&error) || (name.is_none() && is_none(&error))) => {
            return Ok(jobs.prepare_instead(task, &at.backend, &error.to_string()).await?);
        }
        Err(error) => return Err(error.into()),
    };
    let (circuits, shots) = task.circuits(device.qubits.unwrap_or(WIDTH)).map_err(QuantumError::from)?;
    let seconds = Cloud::estimate(circuits.len() * shots);
    let usage = match ibm::usage(context, cloud).await {
        Ok(usage) => usage,
        Err(error) if may_fall_back && is_passing(&error) => {
            return Ok(jobs.prepare_instead(task, &device.name, &error.to_string()).await?);
        }
        Err(error) => return Err(error.into()),
    };
    ibm::allow(context, (jobs, cloud), (&device.name, seconds), &usage, at.yes).await?;
    let job = jobs.prepare(task, &device.name, seconds, may_fall_back).await?;
    Ok(progress::during(&context.settings, "Submitting", jobs.submit(&job, cloud)).await?)
}

fn is_passing(error: &QuantumError) -> bool {
    matches!(error, QuantumError::Ibm(error) if error.is_passing())
}

fn is_none(error: &QuantumError) -> bool {
    matches!(error, QuantumError::NotFound(_))
}

/// What a job is busy with.
pub(super) fn words(Step { job, before }: &Step) -> String {
    match job.state {
        State::Queued if before.is_some() => {
            format!("Waiting in the queue of {}, {} before it", job.backend, before.unwrap_or_default())
        }
        State::Prepared if job.backend == local::NAME => "Simulating".to_owned(),
        State::Prepared | State::Submitting => format!("Submitting to {}", job.backend),
        State::Queued => format!("Waiting in the queue of {}", job.backend),
        State::Running => format!("Running on {}", job.backend),
        _ => "Looking at what was measured".to_owned(),
    }
}

fn seed_or_fresh(seed: Option<u64>) -> Outcome<u64> {
    Ok(match seed {
        Some(seed) => seed,
        // Any JSON reader can hold it.
        None => local::fresh_seed()? >> 11,
    })
}

fn noise(imitated: &Imitated) -> Outcome<Noise> {
    use std::io::Read as _;

    let Some(path) = &imitated.properties else {
        return Ok(imitated.noise.filter(|noise| *noise > 0.0).map_or(Noise::None, Noise::Uniform));
    };
    let failed = |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let mut text = String::new();
    fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text)).map_err(failed)?;
    qchat_quantum::device::Properties::from_json(&text)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(Noise::Properties(text))
}

pub(super) fn bb84_settings(arguments: &Bb84) -> Outcome<bb84::Settings> {
    let eve = match arguments.attack {
        Attack::PhotonNumberSplitting => Strategy::PhotonNumberSplitting,
        _ if arguments.eve <= 0.0 => Strategy::None,
        Attack::InterceptResend => Strategy::InterceptResend { fraction: arguments.eve },
        Attack::Breidbart => Strategy::Breidbart { fraction: arguments.eve },
    };
    let source = match arguments.source {
        Source::Single => light::Source::SinglePhoton,
        Source::Weak => light::Source::WeakPulses { mean: 0.5 },
        Source::Decoy => light::Source::Decoy(light::Intensities::default()),
    };
    Ok(bb84::Settings {
        qubits: arguments.qubits as usize,
        source,
        line: light::Line { loss_db: arguments.distance * LOSS_PER_KM, noise: arguments.noise },
        detector: light::Detector { efficiency: arguments.efficiency, dark_counts: arguments.dark_counts },
        eve,
        key_basis: arguments.key_basis,
        error_limit: arguments.error_limit,
        eps_sec: arguments.eps_sec,
        eps_cor: arguments.eps_cor,
        seed: seed_or_fresh(arguments.seed)?,
    })
}

/// A device has qubits, and neither light nor Eve.
fn fit_for_a_device(settings: &bb84::Settings, distances: bool) -> Outcome {
    let perfect = bb84::Settings {
        qubits: settings.qubits,
        key_basis: settings.key_basis,
        error_limit: settings.error_limit,
        eps_sec: settings.eps_sec,
        eps_cor: settings.eps_cor,
        seed: settings.seed,
        ..bb84::Settings::default()
    };
    if *settings != perfect || distances {
        return Err(Failure::usage(
            "a quantum computer has no light, line or Eve: --eve, --attack, --source, --noise, --distance, --distances, --efficiency \
             and --dark-counts are for the simulator",
        ));
    }
    if settings.qubits > bb84::circuits::MOST_QUBITS {
        return Err(Failure::usage(format!(
            "a quantum computer prepares each qubit by itself: say --qubits N, {} at most",
            bb84::circuits::MOST_QUBITS
        )));
    }
    Ok(())
}
