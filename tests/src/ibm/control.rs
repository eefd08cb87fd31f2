//! How the stand-in behaves, and what may go wrong.

use std::collections::VecDeque;

use qchat_quantum::noise::NoiseModel;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `POST /identity/token`
    Token,
    /// `GET /backends` and what is below it
    Backends,
    /// `POST /jobs`
    Submit,
    /// `GET /jobs`
    List,
    /// `GET /jobs/{id}`
    Job,
    /// `GET /jobs/{id}/metrics`
    Metrics,
    /// `GET /jobs/{id}/results`
    Results,
    /// `POST /jobs/{id}/cancel`
    Cancel,
    /// `GET /instances/usage`
    Usage,
    /// Anything else; as a place for a mishap, any request.
    Any,
}

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum Mishap {
    /// It is refused with this status, and perhaps these seconds in `Retry-After`.
    Status(u16, Option<u64>),
    /// It is redirected to this address.
    Elsewhere(String),
    /// The connection is cut before anything is done.
    Cut,
    /// It is done, and the connection is cut before the answer.
    Lost,
    /// It is done, and the connection ends within the answer.
    Short,
    /// It is done, and the answer is half of its JSON.
    Half,
    /// It is done, and answered with these bytes instead.
    Instead(Vec<u8>),
}

/// How jobs end.
#[derive(Debug, Clone, Default)]
pub enum End {
    /// With results.
    #[default]
    Completed,
    /// Cancelled by the service, for a reason.
    Cancelled(String),
    /// Failed with a code and a reason.
    Failed(u32, String),
}

/// How the stand-in behaves.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
pub struct Control {
    /// So many looks find a job queued.
    pub queued: u32,
    /// So many looks after that find it running.
    pub running: u32,
    /// So many requests for the results of a job that is done find none yet (204).
    pub late_results: u32,
    /// So many requests for the list of jobs do not have a new one yet.
    pub unlisted: u32,
    /// How jobs end.
    pub end: End,
    /// Seconds that a job takes and is charged.
    pub seconds: f64,
    /// Seconds that may be used in a period.
    pub limit: f64,
    /// Whether a circuit that is not the device's fails in the queue, as the service does it, and not at submission.
    pub late_validation: bool,
    /// How the device errs.
    pub noise: NoiseModel,
    /// What the device's outcomes are drawn from; each job has its own.
    pub seed: u64,
    /// Seconds that a token is said to be good for.
    pub token_seconds: u64,
    /// Whether refusals repeat the credentials that they refuse.
    pub repeats_secrets: bool,
    /// Whether the list of jobs is not filtered by tags.
    pub ignores_tags: bool,
    /// Whether it says where in the queue a job is.
    pub tells_places: bool,
    /// What goes wrong next: each is for the first request that its route fits.
    pub mishaps: VecDeque<(Route, Mishap)>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            queued: 0,
            running: 0,
            late_results: 0,
            unlisted: 0,
            end: End::Completed,
            seconds: 2.0,
            limit: 600.0,
            late_validation: false,
            noise: NoiseModel::default(),
            seed: 1,
            token_seconds: 3600,
            repeats_secrets: false,
            ignores_tags: false,
            tells_places: true,
            mishaps: VecDeque::new(),
        }
    }
}

impl Control {
    /// What goes wrong with a request of this route, which happens once.
    pub(super) fn mishap(&mut self, route: Route) -> Option<Mishap> {
        let place = self.mishaps.iter().position(|(fits, _)| *fits == route || *fits == Route::Any)?;
        self.mishaps.remove(place).map(|(_, mishap)| mishap)
    }
}
