//! The bus of a single daemon: a queue to its own hub, so that delivering one group overlaps with committing the next.

use std::sync::Arc;

use tokio::{sync::mpsc, task::JoinHandle};

use crate::hub::{Announcement, Hub};

/// Groups that may wait; the relay waits for the hub when there are more.
const WAITING: usize = 16;

/// A handle on the bus. Its task ends, after what was sent, when the last handle is gone.
#[derive(Clone)]
pub struct Bus(mpsc::Sender<Vec<Announcement>>);

impl Bus {
    /// Starts the bus's task, which is to be awaited after the last handle is dropped.
    pub fn start(hub: Arc<Hub>) -> (Self, JoinHandle<()>) {
        let (groups, mut waiting) = mpsc::channel::<Vec<Announcement>>(WAITING);
        let task = tokio::spawn(async move {
            while let Some(group) = waiting.recv().await {
                for announcement in &group {
                    hub.announce(announcement);
                }
            }
        });
        (Self(groups), task)
    }

    /// Passes on what a commit has made true, in the order of the commits.
    pub async fn announce(&self, group: Vec<Announcement>) {
        if !group.is_empty() {
            // The task lives as long as this handle.
            drop(self.0.send(group).await);
        }
    }
}
