//! The stand-in's answers.

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::form_urlencoded;

use super::{
    CRN, KEY,
    control::{Control, Route},
    device,
    jobs::{self, Job, Malformed, Program, Stage},
};

/// A job that the instance pays for.
#[derive(Debug, Clone, PartialEq)]
pub struct Charged {
    /// Its id.
    pub id: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The seconds that it was charged so far.
    pub seconds: f64,
    /// Whether the executor runs it, and not the sampler.
    pub executor: bool,
}

/// All that the stand-in knows.
pub(super) struct World {
    pub(super) control: Control,
    /// Tokens that are good.
    pub(super) valid: Vec<String>,
    pub(super) issued: Vec<String>,
    pub(super) requests: Vec<Route>,
    jobs: Vec<Job>,
}

/// What was asked.
pub(super) struct Request {
    pub(super) method: String,
    /// The path below the version's, without slashes around it.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) authorization: String,
    pub(super) instance: String,
    pub(super) version: String,
    pub(super) body: Vec<u8>,
}

/// A status and, but for 204, a document.
pub(super) struct Reply(pub(super) u16, pub(super) Option<Value>);

impl From<Value> for Reply {
    fn from(document: Value) -> Self {
        Self(200, Some(document))
    }
}

/// A refusal in the service's form.
pub(super) fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let trace = format!("fake-{:08x}", fastrand::u32(..));
    let more = "https://quantum.cloud.ibm.com/docs/errors";
    Reply(
        status,
        Some(json!({"trace": trace, "errors": [{"code": code, "message": message, "more_info": more}]})),
    )
}

/// Which kind of request it is.
pub(super) fn route(request: &Request) -> Route {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match (request.method.as_str(), &path[..]) {
        ("POST", ["identity", "token"]) => Route::Token,
        ("GET", ["backends", ..]) => Route::Backends,
        ("POST", ["jobs"]) => Route::Submit,
        ("GET", ["jobs"]) => Route::List,
        ("GET", ["jobs", _]) => Route::Job,
        ("GET", ["jobs", _, "metrics"]) => Route::Metrics,
        ("GET", ["jobs", _, "results"]) => Route::Results,
        ("POST", ["jobs", _, "cancel"]) => Route::Cancel,
        ("GET", ["instances", "usage"]) => Route::Usage,
        _ => Route::Any,
    }
}

impl World {
    pub(super) fn new(control: Control) -> Self {
        Self { control, valid: Vec::new(), issued: Vec::new(), requests: Vec::new(), jobs: Vec::new() }
    }

    pub(super) fn charged(&self) -> Vec<Charged> {
        let charged = |job: &Job| Charged {
            id: job.id.clone(),
            tags: job.tags.clone(),
            seconds: job.charged,
            executor: job.program == Program::Executor,
        };
        self.jobs.iter().map(charged).collect()
    }

    /// What a refusal adds when it repeats what was sent to it.
    pub(super) fn repeated(&self, request: &Request) -> String {
        if !self.control.repeats_secrets {
            return String::new();
        }
        format!(" You sent {} for {KEY}.", request.authorization)
    }

    /// Does what is asked.
    pub(super) fn answer(&mut self, route: Route, request: &Request) -> Reply {
        if route == Route::Token {
            return self.token(request);
        }
        let repeated = self.repeated(request);
        let token = request.authorization.strip_prefix("Bearer ").unwrap_or_default();
        if !self.valid.iter().any(|valid| valid == token) {
            return refusal(401, "1201", &format!("Invalid credentials.{repeated}"));
        }
        if request.instance != CRN {
            return refusal(403, "1200", &format!("You are not authorized to use this instance.{repeated}"));
        }
        if request.version.len() != "2026-04-15".len() || !request.version.starts_with("20") {
            return refusal(400, "1224", "The header IBM-API-Version is missing or no date.");
        }
        let id = request.path.get(1).map(String::as_str).unwrap_or_default();
        match route {
            Route::Backends => self.backends(request),
            Route::Submit => self.submit(&request.body),
            Route::List => self.list(&request.query),
            Route::Usage => self.usage(),
            Route::Job | Route::Metrics | Route::Results | Route::Cancel => {
                let Some(place) = self.jobs.iter().position(|job| job.id == id) else {
                    return refusal(404, "1291", "Job not found.");
                };
                match route {
                    Route::Job => {
                        self.jobs[place].look(&self.control);
                        self.jobs[place].told().into()
                    }
                    Route::Metrics => self.metrics(place),
                    Route::Results => self.results(place),
                    _ => self.cancel(place),
                }
            }
            Route::Token | Route::Any => refusal(404, "1219", "The endpoint does not exist."),
        }
    }

    fn token(&mut self, request: &Request) -> Reply {
        let form: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        if field("grant_type") != "urn:ibm:params:oauth:grant-type:apikey" || field("apikey") != KEY {
            let told = if self.control.repeats_secrets { field("apikey") } else { "" };
            let message = format!("Provided API key could not be found. {told}");
            let context = json!({"requestId": "fake-request", "requestType": "incoming.Identity_Token"});
            let refused = json!({"errorCode": "BXNIM0415E", "errorMessage": message, "context": context});
            return Reply(400, Some(refused));
        }
        let life = self.control.token_seconds;
        let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(0);
        let token = web_token(now, now + life);
        self.valid.push(token.clone());
        self.issued.push(token.clone());
        json!({
            "access_token": token, "refresh_token": "not_supported", "token_type": "Bearer", "expires_in": life,
            "expiration": now + life, "scope": "ibm openid",
        })
        .into()
    }

    fn backends(&self, request: &Request) -> Reply {
        let queue = self.jobs.iter().filter(|job| job.stage == Stage::Queued).count();
        let Some(name) = request.path.get(1) else { return device::list(queue).into() };
        if !device::exists(name) {
            return refusal(404, "1007", "Backend not found.");
        }
        match request.path.get(2).map(String::as_str) {
            Some("status") => device::status(name, queue).into(),
            Some("configuration") => device::configuration(name).into(),
            Some("properties") => device::properties(name).into(),
            _ => refusal(404, "1219", "The endpoint does not exist."),
        }
    }

    fn submit(&mut self, body: &[u8]) -> Reply {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return refusal(400, "1224", "The body is not JSON.");
        };
        let program = match body["program_id"].as_str() {
            Some("sampler") => Program::Sampler,
            Some("executor") => Program::Executor,
            _ => return refusal(404, "1207", "Program not found."),
        };
        let backend = body["backend"].as_str().unwrap_or_default();
        if !device::exists(backend) {
            return refusal(404, "1007", "Backend not found.");
        }
        if backend == device::OFFLINE {
            return refusal(400, "1004", "The Backend is not available.");
        }
        let used: f64 = self.jobs.iter().map(|job| job.charged).sum();
        if used >= self.control.limit {
            return refusal(409, "4001", "The usage exceeds the limit of the instance.");
        }
        let tags: Option<Vec<String>> = match &body["tags"] {
            Value::Null => Some(Vec::new()),
            tags => serde_json::from_value(tags.clone()).ok(),
        };
        let Some(tags) = tags.filter(|tags| tags.len() <= 8 && tags.iter().all(|tag| tag.len() <= 86)) else {
            return refusal(400, "1204", "There are too many tags, or one is too long.");
        };
        let texts = match jobs::circuits(program, &body["params"]) {
            Ok(texts) => texts,
            Err(Malformed(what)) => return refusal(400, "1224", what),
        };
        let circuits = jobs::parse(&texts);
        if let Err((code, message)) = &circuits
            && !self.control.late_validation
        {
            return refusal(400, &code.to_string(), message);
        }
        let id = format!("d{:019x}", fastrand::u64(..));
        let created = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let private = body["private"] == true;
        let cost = body["cost"].as_f64().unwrap_or(10_800.0).min(10_800.0);
        let backend = backend.to_owned();
        let answer = json!({"id": id, "backend": backend, "private": private});
        self.jobs.push(Job {
            id,
            backend,
            tags,
            program,
            private,
            cost,
            created,
            circuits,
            stage: Stage::Queued,
            looks: 0,
            lists: 0,
            early: 0,
            results: None,
            charged: 0.0,
        });
        answer.into()
    }

    fn list(&mut self, query: &[(String, String)]) -> Reply {
        let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let number =
            |name: &str, default: usize| value(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let (limit, offset) = (number("limit", 200).clamp(1, 200), number("offset", 0));
        let tags: Vec<&String> = query.iter().filter(|(key, _)| key == "tags").map(|(_, tag)| tag).collect();
        let (unlisted, ignores) = (self.control.unlisted, self.control.ignores_tags);
        self.jobs.iter_mut().for_each(|job| job.lists += 1);
        let fits =
            |job: &&Job| job.lists > unlisted && (ignores || tags.iter().all(|tag| job.tags.contains(tag)));
        let mut all: Vec<Value> = self.jobs.iter().filter(fits).map(Job::told).collect();
        if value("sort") != Some("ASC") {
            all.reverse();
        }
        let count = all.len();
        let page: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
        json!({"jobs": page, "count": count, "offset": offset, "limit": limit}).into()
    }

    /// Where a job is that waits: as many before it as there are looks yet that find it so.
    fn metrics(&self, place: usize) -> Reply {
        let job = &self.jobs[place];
        let mut metrics = json!({
            "timestamps": {"created": job.created, "running": null, "finished": null},
            "bss": {"seconds": 0}, "usage": {"quantum_seconds": 0, "seconds": 0}, "executions": 0,
            "position_in_queue": null, "position_in_provider": null, "estimated_start_time": null,
        });
        if job.stage == Stage::Queued && self.control.tells_places {
            metrics["position_in_queue"] = json!(self.control.queued.saturating_sub(job.looks));
            metrics["estimated_start_time"] = json!("2026-11-30T12:00:00.000Z");
        }
        metrics.into()
    }

    fn results(&mut self, place: usize) -> Reply {
        let job = &mut self.jobs[place];
        if job.results.is_some() && job.early < self.control.late_results {
            job.early += 1;
            return Reply(204, None);
        }
        let results = if job.private { job.results.take() } else { job.results.clone() };
        results.map_or(Reply(204, None), Reply::from)
    }

    fn cancel(&mut self, place: usize) -> Reply {
        let job = &mut self.jobs[place];
        if job.stage.is_final() {
            return refusal(409, "1307", "The job is in a state in which it cannot be cancelled.");
        }
        job.stage = Stage::Cancelled("Cancelled by the user.".to_owned());
        Reply(204, None)
    }

    fn usage(&self) -> Reply {
        let used: f64 = self.jobs.iter().map(|job| job.charged).sum();
        let limit = self.control.limit;
        json!({
            "instance_id": CRN, "plan_id": "fake-open", "usage_consumed_seconds": used, "usage_limit_seconds": limit,
            "usage_remaining_seconds": (limit - used).max(0.0), "usage_limit_reached": used >= limit,
            "usage_period": {"start_time": "2026-11-01T00:00:00.000Z", "end_time": "2026-11-29T00:00:00.000Z"},
        })
        .into()
    }
}

/// A token in the form of RFC 7519 that nobody can verify, as clients only read its dates.
fn web_token(issued: u64, expires: u64) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let part = |document: Value| URL_SAFE_NO_PAD.encode(document.to_string());
    let head = part(json!({"alg": "HS256", "typ": "JWT"}));
    let claims = part(json!({"iat": issued, "exp": expires, "jti": format!("{:032x}", fastrand::u128(..))}));
    let signature: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
    format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature))
}
