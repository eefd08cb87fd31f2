//! What the screen works with: the engine, or what takes its place when there is nothing to connect to.

use std::future::Future;

use tokio::sync::{broadcast, mpsc};

use super::msg::{Answer, Command, Msg};
use crate::engine::types::Event;

/// Carries commands out, and tells what happens.
pub trait Desk: Clone + Send + Sync + 'static {
    /// What happens from now on.
    fn events(&self) -> broadcast::Receiver<Event>;

    /// Carries a command out; `progress` hears how far it is.
    ///
    /// # Errors
    /// Why not, in words that say what to do.
    fn perform(
        &self,
        command: Command,
        progress: mpsc::Sender<Msg>,
    ) -> impl Future<Output = Result<Answer, String>> + Send;
}
