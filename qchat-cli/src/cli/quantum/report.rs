//! What came of a job, for people and for scripts.

use qchat_proto::sanitize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::plot::{Look, columns};
use crate::{
    cli::{Context, failure::Outcome, json as objects},
    quantum::QuantumError,
    store::quantum::Job,
};

/// A report with what is known of its job.
pub(super) struct Shown {
    kind: String,
    /// All of it, in one object.
    object: Map<String, Value>,
    distances: Vec<(f64, usize)>,
}

impl Shown {
    /// Puts them together.
    ///
    /// # Errors
    /// When the report is malformed.
    pub(super) fn new(job: Option<&Job>, kind: &str, report: &str) -> Result<Self, QuantumError> {
        let report: Map<String, Value> =
            serde_json::from_str(report).map_err(|_| QuantumError::Malformed("report"))?;
        let mut object = job_object(job, kind);
        object.extend(report);
        Ok(Self { kind: kind.to_owned(), object, distances: vec![] })
    }

    /// Adds the final key's length in bits over so many kilometres.
    pub(super) fn add_distances(&mut self, distances: Vec<(f64, usize)>) {
        let shown = distances.iter().map(|(km, bits)| json!({ "km": km, "final_key_bits": bits })).collect();
        self.object.insert("key_over_distance".to_owned(), Value::Array(shown));
        self.distances = distances;
    }

    /// Adds what is known beside the report.
    pub(super) fn add(&mut self, facts: &[(&str, Value)]) {
        self.object.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }

    /// The final key's length in bits over kilometres.
    pub(super) fn distances(&self) -> &[(f64, usize)] {
        &self.distances
    }

    /// A number of the report.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.object.get(name).and_then(Value::as_f64).unwrap_or(0.0)
    }

    /// Several numbers of the report.
    pub(super) fn numbers(&self, name: &str) -> Vec<f64> {
        let values = self.object.get(name).and_then(Value::as_array);
        values.map(|values| values.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
    }

    /// Whether a quantum computer measured it, now or in a recording.
    pub(super) fn is_of_a_device(&self) -> bool {
        ["quantum", "replayed"]
            .iter()
            .any(|name| self.object.get(*name).and_then(Value::as_bool) == Some(true))
    }

    /// A text of the report.
    pub(super) fn text(&self, name: &str) -> &str {
        self.object.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// Prints it.
    pub(super) fn print(&self, context: &Context, notes: &[String]) -> Outcome {
        context.output.result(&self.object, || self.words(context.settings.plain))?;
        for note in notes {
            context.output.say(note);
        }
        if let Some(fallback) = self.object.get("fallback").filter(|fallback| !fallback.is_null()) {
            let said = |name: &str| fallback[name].as_str().unwrap_or("").to_owned();
            warn_of(context, self.text("backend"), &(said("asked"), said("why")));
        }
        Ok(())
    }

    fn words(&self, plain: bool) -> String {
        let mut lines = match self.kind.as_str() {
            "qrng" => self.qrng(),
            "chsh" => self.chsh(),
            _ => self.protocol(plain),
        };
        if let Some(job) = self.object.get("job").and_then(Value::as_str) {
            lines.push(format!("job          {}", job.get(..8).unwrap_or(job)));
        }
        if self.object.get("cached").and_then(Value::as_bool) == Some(true) {
            lines.push("cached       done before by this job; nothing was computed again".to_owned());
        }
        lines.push(format!("worth        {}", sanitize::line(self.text("provenance"))));
        lines.join("\n")
    }

    fn qrng(&self) -> Vec<String> {
        let seed = self.object.get("seed").and_then(Value::as_u64);
        let pooled = self.number("pool_bits");
        let mut lines = vec![
            format!("random bits  {} extracted, {pooled} of them into the pool", self.number("key_bits")),
            format!(
                "measured     {} bits on {}: {} qubits, {} shots",
                self.number("raw_bits"),
                sanitize::line(self.text("backend")),
                self.number("qubits"),
                self.number("shots")
            ),
            format!("min-entropy  {:.3} of a measured bit", self.number("entropy")),
        ];
        if let Some(seed) = seed {
            lines.push(format!("seed         {seed}"));
        }
        lines
    }

    fn chsh(&self) -> Vec<String> {
        let (s, error) = (self.number("s"), self.number("s_error"));
        let verdict = if self.number("deviations") >= 3.0 {
            "entangled: above 2, which nothing else reaches"
        } else {
            "no entanglement shown: not clearly above 2"
        };
        let correlations: Vec<String> =
            self.numbers("correlations").iter().map(|value| format!("{value:+.3}")).collect();
        vec![
            format!(
                "S            {s:.4} ± {error:.4}, {:.1} standard errors from 2",
                self.number("deviations")
            ),
            format!("means        {verdict}"),
            format!("correlations {}", correlations.join("  ")),
            format!(
                "measured     4 × {} shots on {}",
                self.number("shots"),
                sanitize::line(self.text("backend"))
            ),
        ]
    }

    fn protocol(&self, plain: bool) -> Vec<String> {
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        let on_a_device = self.is_of_a_device();
        let (name, what) = match self.kind.as_str() {
            "e91" => ("E91", "pairs"),
            _ if on_a_device => ("BB84", "qubits"),
            _ => ("BB84", "pulses"),
        };
        let interval = self.numbers("qber_interval");
        let within = match interval[..] {
            [low, high] => format!(" ({} to {})", percent(low), percent(high)),
            _ => String::new(),
        };
        let ended = if self.object.get("aborted").and_then(Value::as_bool) == Some(false) {
            format!("a key of {} bits", self.number("final_key_bits"))
        } else {
            format!("no key: {}", reason(self.object.get("abort_reason")))
        };
        let mut lines = vec![
            format!("{name:<12} {ended}"),
            format!(
                "{:<12} {} {what}, {} detected, {} in the same basis",
                if on_a_device { sanitize::line(self.text("backend")) } else { "light".into() },
                self.number("qubits"),
                self.number("detected"),
                self.number("sifted_bits")
            ),
            format!(
                "error rate   {}{within} of {} test bits",
                percent(self.number("qber")),
                self.number("test_bits")
            ),
        ];
        if let [s, error] = self.numbers("chsh")[..] {
            lines.push(format!("S            {s:.4} ± {error:.4}"));
        }
        if let Some(efficiency) = self.object.get("reconciliation_efficiency").and_then(Value::as_f64) {
            lines.push(format!(
                "corrected    {} bits said aloud, {efficiency:.3} times the least possible",
                self.number("leaked_bits")
            ));
        }
        if let Some(certain) = self.object.get("eve_certain_bits").and_then(Value::as_u64) {
            lines.push(format!(
                "Eve          {certain} bits of the raw key for certain, {} guessed",
                self.number("eve_guessed_bits")
            ));
        }
        if let Some(with) = self.object.get("with").and_then(Value::as_str) {
            lines.push(format!("ends         {} here, with {}", self.text("role"), sanitize::line(with)));
        }
        lines.push(format!(
            "within       {:e} of secret, {:e} of equal",
            self.number("eps_sec"),
            self.number("eps_cor")
        ));
        // As it stands there: no floating-point number holds all of them.
        lines.push(format!("seed         {}", self.object.get("seed").unwrap_or(&Value::Null)));
        let over_time = self.numbers("qber_over_time");
        if over_time.len() > 1 {
            let look = Look { plain, width: 3 };
            let below: Vec<String> = (1..=over_time.len())
                .map(|part| if part % 5 == 0 || part == 1 { part.to_string() } else { String::new() })
                .collect();
            let title = "\nerror rate in each twentieth of the run";
            lines.push(
                columns(title, &over_time, 0.01, |rate| format!("{:.1} %", rate * 100.0), &below, look)
                    + "\n",
            );
        }
        if !self.distances.is_empty() {
            let look = Look { plain, width: 5 };
            #[expect(clippy::cast_precision_loss, reason = "counts of bits")]
            let lengths: Vec<f64> = self.distances.iter().map(|(_, bits)| *bits as f64).collect();
            let below: Vec<String> = self.distances.iter().map(|(km, _)| format!("{km:.0}")).collect();
            let title = "key in bits over kilometres of fibre";
            lines.push(columns(title, &lengths, 1.0, |bits| format!("{bits:.0}"), &below, look) + "\n");
        }
        lines
    }
}

/// Why there is no key, in words.
fn reason(reason: Option<&Value>) -> String {
    let known: Option<qchat_quantum::distill::AbortReason> =
        reason.and_then(|reason| serde_json::from_value(reason.clone()).ok());
    known.map_or_else(|| "it was not finished".to_owned(), |reason| reason.to_string())
}

/// A job without what came of it.
pub(super) fn job_object(job: Option<&Job>, kind: &str) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("v".to_owned(), json!(1));
    object.insert("job".to_owned(), json!(job.map(|job| job.id.to_string())));
    object.insert("kind".to_owned(), json!(kind));
    let Some(job) = job else { return object };
    object.insert("state".to_owned(), json!(job.state.name()));
    object.insert("backend".to_owned(), json!(job.backend));
    let fallback = job.fallback.as_ref().map(|(asked, why)| json!({ "asked": asked, "why": why }));
    object.insert("fallback".to_owned(), json!(fallback));
    object.insert("reason".to_owned(), json!(job.reason));
    object.insert("quantum_seconds".to_owned(), json!(job.seconds));
    object.insert("created_at".to_owned(), json!(objects::rfc3339(moment(job.created_ms))));
    object.insert("changed_at".to_owned(), json!(objects::rfc3339(moment(job.changed_ms))));
    object
}

/// A time out of the database.
pub(in crate::cli) fn moment(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Says that something else ran a job than what was asked for, and why.
pub(super) fn warn_of(context: &Context, backend: &str, (asked, why): &(String, String)) {
    let [backend, asked, why] = [backend, asked, why].map(|text| sanitize::line(text));
    context.output.say(&format!("warning: this ran on {backend}, not on {asked}: {why}"));
}
