//! `quantum bench`: a table, and how long the bars are.

use serde::Serialize;
use serde_json::Value;

use super::jobs as open_jobs;
use crate::{
    cli::{
        Context,
        failure::{Failure, Outcome},
        open, progress,
    },
    engine::EngineError,
    quantum::bench::{self, Figure, Paid},
    store::quantum::{Job, QuantumStore},
    vault,
};

/// Characters of the longest bar.
const LONGEST: usize = 24;

#[derive(Serialize)]
struct FigureObject<'a> {
    v: u8,
    #[serde(flatten)]
    figure: &'a Figure,
}

pub(super) async fn bench(context: &Context) -> Outcome {
    let paid = if vault::exists(&context.settings.profile_dir()) {
        let all = open_jobs(context).await?.store().with(QuantumStore::jobs).await;
        all.map_err(EngineError::from)?.iter().filter_map(paid).take(3).collect()
    } else {
        vec![]
    };
    let measuring = progress::telling(&context.settings, "Measuring", async |teller| {
        let (teller, price) = (teller.clone(), context.settings.ibm.price.dollars());
        // On the disk that profiles lie on, where there is one.
        let data = context.settings.data_dir.clone();
        open::blocking(move || {
            // Where that cannot be written to, on the disk for temporary files.
            let dir = tempfile::TempDir::with_prefix_in(".bench-", &data)
                .or_else(|_| tempfile::TempDir::with_prefix(".bench-"))
                .map_err(|error| {
                    let beside = std::env::temp_dir();
                    Failure::unexpected(format!(
                        "cannot make a directory in {}: {error}; name another with TMPDIR",
                        beside.display()
                    ))
                })?;
            let measured = bench::run(&paid, price, dir.path(), &|done, of| {
                teller.far(done, of, "Measuring".to_owned());
            });
            Ok::<_, Failure>(measured?)
        })
        .await
    });
    let figures = measuring.await??;
    let longest = figures.iter().map(|figure| log(figure.microseconds)).fold(1.0, f64::max);
    for figure in &figures {
        let object = FigureObject { v: 1, figure };
        context.output.result(&object, || line(figure, longest, context.settings.plain))?;
    }
    context.output.say(
        "Bars grow with the logarithm of the time. The operating system's bits are as good as any of these.",
    );
    Ok(())
}

/// What a quantum computer has done for keys.
fn paid(job: &Job) -> Option<Paid> {
    let report: Value = serde_json::from_str(job.report.as_deref()?).ok()?;
    let bits = report["key_bits"].as_f64()?;
    (report["quantum"] == true && job.seconds > 0.0).then(|| Paid {
        backend: job.backend.clone(),
        bits,
        seconds: job.seconds,
    })
}

/// Orders of magnitude above a tenth of a microsecond.
fn log(microseconds: f64) -> f64 {
    (microseconds * 10.0).max(1.0).log10()
}

fn line(figure: &Figure, longest: f64, plain: bool) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and 24"
    )]
    let length = (log(figure.microseconds) / longest * LONGEST as f64).round() as usize;
    let bar = if plain { "#" } else { "█" }.repeat(length.clamp(1, LONGEST));
    let mut notes = vec![];
    if !figure.measured {
        notes.push("not measured".to_owned());
    }
    if let Some(rate) = figure.bits_per_second {
        notes.push(format!("{rate:.0} bit/s"));
    }
    if figure.dollars > 0.0 {
        notes.push(format!("${:.2} a key of 256 bits", figure.dollars));
    }
    if let Some(bytes) = figure.wire_bytes {
        notes.push(format!("{bytes} bytes sent"));
    }
    if let Some(withstands) = figure.post_quantum {
        notes.push(if withstands { "withstands" } else { "falls to a quantum computer" }.to_owned());
    }
    let name = qchat_proto::sanitize::line(&figure.name);
    format!("{name:<48} {:>12.1} µs  {bar:<LONGEST$}  {}", figure.microseconds, notes.join(", "))
}
