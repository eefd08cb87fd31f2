//! The service's interface: one method for each route that we use.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, StatusCode, header::HeaderValue};

use super::{
    ApiKey, Config, Configuration, IbmError, Job, JobId, Listed, Place, Raw, Status, Submission, Tag, Usage,
    backends,
    config::{Base, Scrub},
    error::{Asked, refusal},
    http::{Answer, Ask, Body, Http},
    jobs,
    limit::Limit,
    pace::Pace,
    submission::{Expected, backend},
    token::{Identity, Tokens},
    usage,
};
use crate::{circuit::target::Target, device::Properties, simulator::Samples};

/// The version of the interface that is spoken.
const VERSION: HeaderValue = HeaderValue::from_static("2026-04-15");
/// Largest answer that is not about results or a device's properties, bytes.
const MOST: usize = 4 << 20;
/// Largest properties and configuration, bytes: a device of 156 qubits has some hundred thousand.
const MOST_DEVICE: usize = 32 << 20;
/// Largest answer with results, bytes.
pub(super) const MOST_RESULTS: usize = 64 << 20;
/// How much longer than others a request may take that carries circuits or results.
const SLOW: u32 = 10;
/// Jobs on a page of the list, the most that the service gives.
const PAGE: usize = 200;
/// Pages that are looked through for a tag, should the service not filter by it.
const MOST_PAGES: usize = 10;

/// Speaks to one instance of IBM Quantum. Requests that change nothing are repeated as [`Pace`] says; a submission is
/// not, once it may have arrived.
pub struct Client {
    http: Http,
    base: Base,
    identity: Base,
    crn: HeaderValue,
    key: ApiKey,
    timeout: Duration,
    pace: Pace,
    tokens: Tokens,
    limit: Limit,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// [`IbmError::PlainHttp`], [`IbmError::Address`], [`IbmError::Crn`].
    pub fn new(config: Config) -> Result<Self, IbmError> {
        let (base, identity) = (Base::new(&config.api_url)?, Base::new(&config.iam_url)?);
        Ok(Self {
            http: Http::new(&[&base, &identity]),
            base,
            identity,
            crn: HeaderValue::from_str(&config.crn).map_err(|_| IbmError::Crn)?,
            key: config.key,
            timeout: config.timeout,
            pace: config.pace,
            tokens: Tokens::default(),
            limit: Limit::default(),
        })
    }

    /// `GET /backends`: those that the instance may use.
    ///
    /// # Errors
    /// [`IbmError`], as every method here.
    pub async fn backends(&self) -> Result<Vec<Listed>, IbmError> {
        let ask = self.get(&["backends"], &[], MOST);
        self.read("instance", &ask, backends::list).await
    }

    /// `GET /backends/{name}/status`
    pub async fn status(&self, name: &str) -> Result<Status, IbmError> {
        let ask = self.get(&["backends", backend(name)?, "status"], &[], MOST);
        self.read("backend", &ask, backends::status).await
    }

    /// `GET /backends/{name}/properties`
    pub async fn properties(&self, name: &str) -> Result<Properties, IbmError> {
        let ask = self.get(&["backends", backend(name)?, "properties"], &[], MOST_DEVICE);
        self.read("backend", &ask, |body, _| backends::properties(body)).await
    }

    /// `GET /backends/{name}/configuration`
    pub async fn configuration(&self, name: &str) -> Result<Configuration, IbmError> {
        let ask = self.get(&["backends", backend(name)?, "configuration"], &[], MOST_DEVICE);
        self.read("backend", &ask, |body, _| backends::configuration(body)).await
    }

    /// What circuits for a backend are lowered to: configuration and properties in one.
    pub async fn target(&self, name: &str) -> Result<Target, IbmError> {
        let configuration = self.configuration(name).await?;
        let properties = self.properties(name).await?;
        configuration.target(&properties)
    }

    /// `POST /jobs`, at most five a minute. It is sent again only when the service says that it did not take it (429), or
    /// when nothing was sent. [`submit_once`](super::submit_once) is what callers want.
    ///
    /// # Errors
    /// [`IbmError::OutcomeUnknown`] when the job may have been received.
    pub async fn submit(&self, submission: &Submission) -> Result<JobId, IbmError> {
        let body = Bytes::from(submission.body()?.to_string());
        let mut ask = self.get(&["jobs"], &[], MOST);
        ask.method = Method::POST;
        ask.body = Some(Body { kind: "application/json", bytes: body });
        ask.timeout = self.timeout.saturating_mul(SLOW);
        let mut attempts = self.pace.attempts();
        loop {
            if let Some(done) = attempts.settle(self.send_job(submission, &ask).await).await {
                return done;
            }
        }
    }

    async fn send_job(&self, submission: &Submission, ask: &Ask) -> Result<JobId, IbmError> {
        // Before its turn is counted, since without a token nothing is sent.
        self.tokens.current(&self.issuer()).await?;
        self.limit.take().await;
        let sent = match self.authorised(Asked::Submit, ask).await {
            Ok((answer, _)) => jobs::created(&answer.body),
            Err(Undone { error, sent: true }) => Err(error),
            Err(Undone { error, sent: false }) => return Err(error),
        };
        sent.map_err(|error| if error.is_no_outcome() { unknown(submission, error) } else { error })
    }

    /// `GET /jobs?tags=…`: the first job with this tag.
    pub async fn find(&self, tag: &Tag) -> Result<Option<JobId>, IbmError> {
        for page in 0..MOST_PAGES {
            let (limit, offset) = (PAGE.to_string(), (page * PAGE).to_string());
            let query = [
                ("tags", tag.as_str()),
                ("limit", &limit),
                ("offset", &offset),
                ("sort", "ASC"),
                ("exclude_params", "true"),
            ];
            let ask = self.get(&["jobs"], &query, MOST);
            let (count, found) = self.read("instance", &ask, |body, _| jobs::tagged(body, tag)).await?;
            if found.is_some() || count < PAGE {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// `GET /jobs/{id}`
    pub async fn job(&self, id: &JobId) -> Result<Job, IbmError> {
        let mut attempts = self.pace.attempts();
        loop {
            if let Some(done) = attempts.settle(self.look(id).await).await {
                return done;
            }
        }
    }

    /// `GET /jobs/{id}/metrics`, asked once: where a job is that waits.
    pub async fn place(&self, id: &JobId) -> Result<Place, IbmError> {
        let ask = self.get(&["jobs", id.as_str(), "metrics"], &[], MOST);
        let (answer, _) = self.authorised(Asked::About("job"), &ask).await?;
        jobs::place(&answer.body)
    }

    /// [`Client::job`], asked once.
    pub async fn look(&self, id: &JobId) -> Result<Job, IbmError> {
        let ask = self.get(&["jobs", id.as_str()], &[("exclude_params", "true")], MOST);
        let (answer, scrub) = self.authorised(Asked::About("job"), &ask).await?;
        jobs::job(&answer.body, &scrub)
    }

    /// `GET /jobs/{id}/results`: none while there are none (204). Those of a private job are gone from the service then,
    /// so they are kept before they are [read](Raw::read); should the answer be lost on its way, so are they.
    pub async fn raw_results(&self, id: &JobId) -> Result<Option<Raw>, IbmError> {
        let mut ask = self.get(&["jobs", id.as_str(), "results"], &[], MOST_RESULTS);
        ask.timeout = self.timeout.saturating_mul(SLOW);
        let (answer, _) = self.insist(Asked::About("job"), &ask).await?;
        Ok((answer.status != StatusCode::NO_CONTENT).then(|| Raw::new(answer.body)))
    }

    /// The results of a job, checked against what was asked for; none while there are none.
    pub async fn results(&self, id: &JobId, expected: &Expected) -> Result<Option<Vec<Samples>>, IbmError> {
        self.raw_results(id).await?.map(|raw| raw.read(expected)).transpose()
    }

    /// `POST /jobs/{id}/cancel`. What has run by then is charged.
    ///
    /// # Errors
    /// [`IbmError::Final`] for a job that has ended.
    pub async fn cancel(&self, id: &JobId) -> Result<(), IbmError> {
        let mut ask = self.get(&["jobs", id.as_str(), "cancel"], &[], MOST);
        ask.method = Method::POST;
        self.insist(Asked::Cancel, &ask).await.map(drop)
    }

    /// `GET /instances/usage`
    pub async fn usage(&self) -> Result<Usage, IbmError> {
        let ask = self.get(&["instances", "usage"], &[], MOST);
        self.read("instance", &ask, usage::usage).await
    }

    /// How requests are repeated.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    fn get(&self, parts: &[&str], query: &[(&str, &str)], most: usize) -> Ask {
        let url = self.base.below(parts, query);
        Ask { method: Method::GET, url, body: None, most, timeout: self.timeout }
    }

    /// Asks until there is an answer that can be read.
    async fn read<T>(
        &self,
        about: &'static str,
        ask: &Ask,
        read: impl Fn(&[u8], &Scrub) -> Result<T, IbmError>,
    ) -> Result<T, IbmError> {
        let mut attempts = self.pace.attempts();
        loop {
            let answer = self.authorised(Asked::About(about), ask).await;
            let outcome =
                answer.map_err(IbmError::from).and_then(|(answer, scrub)| read(&answer.body, &scrub));
            if let Some(done) = attempts.settle(outcome).await {
                return done;
            }
        }
    }

    /// Asks until there is an answer.
    async fn insist(&self, asked: Asked, ask: &Ask) -> Result<(Answer, Scrub), IbmError> {
        let mut attempts = self.pace.attempts();
        loop {
            let outcome = self.authorised(asked, ask).await.map_err(IbmError::from);
            if let Some(done) = attempts.settle(outcome).await {
                return done;
            }
        }
    }

    /// Sends a request with a token, and once more with a new one when that is refused: it was not carried out then.
    async fn authorised(&self, asked: Asked, ask: &Ask) -> Result<(Answer, Scrub), Undone> {
        let mut renewed = false;
        loop {
            let token = self.tokens.current(&self.issuer()).await;
            let token = token.map_err(|error| Undone { error, sent: false })?;
            let headers = [
                ("authorization", token.clone()),
                ("service-crn", self.crn.clone()),
                ("ibm-api-version", VERSION),
            ];
            let answer = self.http.send(ask, headers).await.map_err(Undone::sent)?;
            let scrub = Scrub::new(&self.key, Some(token.clone()));
            if answer.status.is_success() {
                return Ok((answer, scrub));
            }
            if answer.status == StatusCode::UNAUTHORIZED {
                self.tokens.forget(&token).await;
                if !renewed {
                    renewed = true;
                    continue;
                }
            }
            let refused = refusal(asked, answer.status, answer.retry_after, &answer.body, &scrub);
            return Err(Undone::sent(refused));
        }
    }

    fn issuer(&self) -> Identity<'_> {
        Identity { http: &self.http, base: &self.identity, key: &self.key, timeout: self.timeout }
    }
}

/// A request that brought no answer, and whether it may have been carried out.
struct Undone {
    error: IbmError,
    sent: bool,
}

impl Undone {
    fn sent(error: IbmError) -> Self {
        Self { error, sent: true }
    }
}

impl From<Undone> for IbmError {
    fn from(undone: Undone) -> Self {
        undone.error
    }
}

fn unknown(submission: &Submission, cause: IbmError) -> IbmError {
    IbmError::OutcomeUnknown { tag: submission.tag.clone(), cause: Box::new(cause) }
}
