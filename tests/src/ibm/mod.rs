//! A stand-in for IBM Quantum, over plain http on this machine: tokens, backends, jobs that really run (on the simulator),
//! results, usage, and the service's bad days on request. What is checked here is what the service's published interface
//! says (version 2026-04-15); `qchat-fake-ibm` is the same as a program.

pub mod arguments;
mod control;
mod device;
mod jobs;
mod qasm;
mod routes;
mod server;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use qchat_quantum::ibm::{ApiKey, Client, Config, Pace};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

pub use self::control::{Control, End, Mishap, Route};
pub use self::device::{BACKEND, OFFLINE, PAUSED};
pub use self::routes::Charged;
use self::routes::World;

/// The API key that is accepted.
pub const KEY: &str = "fake-api-key_wYl7Yk0sJ4";
/// The instance that there is.
pub const CRN: &str = "crn:v1:bluemix:public:quantum-computing:us-east:a/fake:0d5e-1::";

/// A running stand-in; it ends when this is dropped.
pub struct Fake {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    _stop: oneshot::Sender<()>,
}

impl Fake {
    /// Starts one on a free port, in a thread of its own.
    pub fn start(control: Control) -> Self {
        let world = Arc::new(Mutex::new(World::new(control)));
        let (stop, stopped) = oneshot::channel();
        let address = server::spawn(([127, 0, 0, 1], 0).into(), world.clone(), stopped).expect("a free port");
        Self { address, world, _stop: stop }
    }

    /// How to reach it, with pauses that no test feels.
    pub fn config(&self) -> Config {
        let key = ApiKey::new(&Zeroizing::new(KEY.to_owned())).expect("a key");
        let mut config = Config::new(CRN, key).expect("a CRN");
        let url = |path: &str| format!("http://{}{path}", self.address).parse().expect("a URL");
        (config.api_url, config.iam_url) = (url("/api/v1"), url("/"));
        config.timeout = Duration::from_mins(1);
        config.pace =
            Pace { first: Duration::from_millis(1), most: Duration::from_millis(4), ..Pace::default() };
        config
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(self.config()).expect("a client")
    }

    /// Changes how it behaves.
    pub fn change(&self, change: impl FnOnce(&mut Control)) {
        change(&mut self.world().control);
    }

    /// Lets something happen to the next `times` requests of a route.
    pub fn happen(&self, route: Route, times: usize, mishap: &Mishap) {
        self.change(|control| control.mishaps.extend(std::iter::repeat_n((route, mishap.clone()), times)));
    }

    /// Makes every token that was issued invalid.
    pub fn revoke_tokens(&self) {
        self.world().valid.clear();
    }

    /// Every token that was ever issued.
    pub fn issued(&self) -> Vec<String> {
        self.world().issued.clone()
    }

    /// The jobs that exist, each of which the instance pays for.
    pub fn jobs(&self) -> Vec<Charged> {
        self.world().charged()
    }

    /// How many requests came to a route, whatever became of them.
    pub fn requests(&self, route: Route) -> usize {
        self.world().requests.iter().filter(|seen| **seen == route).count()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
