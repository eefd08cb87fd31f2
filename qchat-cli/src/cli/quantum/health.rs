//! `quantum health`: how the backends do, now and before.

use std::collections::HashMap;

use qchat_proto::sanitize;
use qchat_quantum::{device::Properties, ibm::Availability};
use serde::Serialize;
use time::OffsetDateTime;

use super::{ibm, jobs as open_jobs, plot, report};
use crate::{
    cli::{Context, failure::Outcome, json, progress},
    engine::EngineError,
    quantum::{QuantumError, local},
    store::quantum::{Health, QuantumStore},
};

/// Looks at a backend that are shown.
const SHOWN: usize = 200;

/// How a backend does.
#[derive(Serialize)]
struct HealthObject<'a> {
    v: u8,
    name: &'a str,
    available: bool,
    readout_error: Option<f64>,
    gate_error: Option<f64>,
    /// When the device was calibrated, as the service writes it.
    calibrated: Option<&'a str>,
    s: Option<f64>,
    s_error: Option<f64>,
    history: Vec<LookObject>,
}

/// One look at it.
#[derive(Serialize)]
struct LookObject {
    at: String,
    available: bool,
    readout_error: Option<f64>,
    gate_error: Option<f64>,
    s: Option<f64>,
    s_error: Option<f64>,
}

impl From<&Health> for LookObject {
    fn from(look: &Health) -> Self {
        Self {
            at: json::rfc3339(report::moment(look.measured_ms)),
            available: look.available,
            readout_error: look.readout_error,
            gate_error: look.gate_error,
            s: look.chsh.map(|(s, _)| s),
            s_error: look.chsh.map(|(_, error)| error),
        }
    }
}

pub(super) async fn health(context: &Context, prometheus: bool) -> Outcome {
    let jobs = open_jobs(context).await?;
    let known = jobs.store().with(QuantumStore::known_backends).await.map_err(EngineError::from)?;
    let (looks, calibrated): (Vec<_>, HashMap<_, _>) = look(context, known)
        .await?
        .into_iter()
        .map(|(look, calibrated)| {
            let of = (look.backend.clone(), calibrated);
            (look, of)
        })
        .unzip();
    let mut names = vec![local::NAME.to_owned()];
    names.extend(looks.iter().map(|look: &Health| look.backend.clone()));
    let kept = jobs.store().with(move |store: &QuantumStore| {
        looks.iter().try_for_each(|look| store.note_health(look))?;
        names
            .into_iter()
            .map(|name| Ok((store.health(Some(&name), SHOWN)?, store.newest_chsh(&name)?, name)))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut metrics = vec![];
    for (history, chsh, name) in kept.await.map_err(EngineError::from)? {
        let newest = |of: fn(&Health) -> Option<f64>| history.iter().find_map(of);
        let object = HealthObject {
            v: 1,
            name: &name,
            available: name == local::NAME || history.first().is_some_and(|look| look.available),
            readout_error: newest(|look| look.readout_error),
            gate_error: newest(|look| look.gate_error),
            calibrated: calibrated.get(&name).and_then(Option::as_deref),
            s: chsh.map(|(s, _)| s),
            s_error: chsh.map(|(_, error)| error),
            history: history.iter().map(Into::into).collect(),
        };
        if prometheus {
            metrics.push(object_metrics(&object));
        } else {
            context.output.result(&object, || words(&object, &history, context.settings.plain))?;
        }
    }
    if prometheus {
        context.output.result(&metrics, || exposition(&metrics))?;
    }
    Ok(())
}

/// A look at a device, and when it was calibrated, where that is known.
type Look = (Health, Option<String>);

/// Asks IBM Quantum how its devices are; nothing where no account is configured. Those that are known and not listed, or of which nobody
/// tells, take no jobs.
async fn look(context: &Context, known: Vec<String>) -> Outcome<Vec<Look>> {
    let Some(cloud) = ibm::cloud(context).await? else { return Ok(vec![]) };
    let asking = async {
        let mut looks = vec![];
        for backend in cloud.client().backends().await? {
            if backend.simulator {
                continue;
            }
            let properties = cloud.client().properties(&backend.name).await.ok();
            let look = Health {
                backend: backend.name,
                measured_ms: now_ms(),
                available: backend.availability == Availability::Online,
                chsh: None,
                readout_error: properties.as_ref().and_then(|properties| mean(readouts(properties))),
                gate_error: properties.as_ref().and_then(|properties| mean(gates(properties))),
            };
            let calibrated = properties.map(|properties| properties.calibrated);
            looks.push((look, calibrated.filter(|calibrated| !calibrated.is_empty())));
        }
        Ok::<_, QuantumError>(looks)
    };
    let mut looks = match progress::during(&context.settings, "Asking IBM Quantum", asking).await {
        Err(QuantumError::Ibm(error)) if error.is_passing() => {
            context.output.say(&format!("warning: {error}"));
            vec![]
        }
        looks => looks?,
    };
    let listed: Vec<_> = looks.iter().map(|(look, _)| look.backend.clone()).collect();
    let gone = known.into_iter().filter(|name| name != local::NAME && !listed.contains(name));
    looks.extend(gone.map(|backend| {
        let look = Health {
            backend,
            measured_ms: now_ms(),
            available: false,
            chsh: None,
            readout_error: None,
            gate_error: None,
        };
        (look, None)
    }));
    Ok(looks)
}

fn now_ms() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn readouts(properties: &Properties) -> impl Iterator<Item = f64> {
    properties.qubits.iter().filter_map(|qubit| qubit.readout_error)
}

/// Of the gates on two qubits that there are: an error of 1 is IBM's way to say that there is none.
fn gates(properties: &Properties) -> impl Iterator<Item = f64> {
    let on_two = properties.gates.iter().filter(|gate| gate.qubits.len() == 2);
    on_two.filter_map(|gate| gate.error).filter(|error| *error < 1.0)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

fn words(object: &HealthObject<'_>, history: &[Health], plain: bool) -> String {
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "unknown".to_owned(), |share| format!("{:.2} %", share * 100.0))
    };
    let s = match (object.s, object.s_error) {
        (Some(s), Some(error)) => format!("{s:.4} ± {error:.4}"),
        _ => "not measured; `qchat quantum run chsh` does".to_owned(),
    };
    let mut lines = vec![
        format!(
            "{}: {}",
            sanitize::line(object.name),
            if object.available { "takes jobs" } else { "takes no jobs" }
        ),
        format!("  readout error  {}", percent(object.readout_error)),
        format!("  gate error     {}", percent(object.gate_error)),
        format!("  calibrated     {}", sanitize::line(object.calibrated.unwrap_or("unknown"))),
        format!("  S              {s}"),
    ];
    let values: Vec<f64> = history.iter().rev().filter_map(|look| look.chsh.map(|(s, _)| s.abs())).collect();
    if values.len() > 1 {
        let look = plot::Look { plain, width: 2 };
        let title = "  S over time, the newest last";
        lines.push(plot::columns(title, &values, 8_f64.sqrt(), |s| format!("{s:.2}"), &[], look));
    }
    lines.join("\n")
}

/// What a time series says: its name, the backend, the value.
type Metric = (&'static str, &'static str, String, f64);

fn object_metrics(object: &HealthObject<'_>) -> Vec<Metric> {
    let name = object.name.to_owned();
    let mut metrics = vec![(
        "qchat_quantum_backend_available",
        "Whether the backend takes jobs.",
        name.clone(),
        if object.available { 1.0 } else { 0.0 },
    )];
    for (metric, help, value) in [
        (
            "qchat_quantum_readout_error",
            "Mean probability that a qubit is read wrongly.",
            object.readout_error,
        ),
        ("qchat_quantum_gate_error", "Mean error of a gate on two qubits.", object.gate_error),
        ("qchat_quantum_chsh_s", "The CHSH value that was measured last.", object.s),
    ] {
        metrics.extend(value.map(|value| (metric, help, name.clone(), value)));
    }
    metrics
}

/// The text format of Prometheus: all of one name together.
fn exposition(backends: &[Vec<Metric>]) -> String {
    let mut lines: Vec<String> = vec![];
    let mut names: Vec<(&str, &str)> = vec![];
    for (metric, help, _, _) in backends.iter().flatten() {
        if !names.contains(&(*metric, *help)) {
            names.push((*metric, *help));
        }
    }
    for (metric, help) in names {
        lines.push(format!("# HELP {metric} {help}\n# TYPE {metric} gauge"));
        for (_, _, backend, value) in backends.iter().flatten().filter(|(name, ..)| *name == metric) {
            // Names of backends are letters, digits, - and _: the client of IBM has seen to that.
            lines.push(format!(
                "{metric}{{backend=\"{}\"}} {value}",
                sanitize::line(backend).replace(['"', '\\'], "_")
            ));
        }
    }
    lines.join("\n")
}
