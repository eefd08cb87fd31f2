//! Ratchet trees, which go to the daemon ahead of the commits that name them: beside the conversation, which does not wait
//! for megabytes, and before the commit, which the daemon would refuse.

use qchat_proto::{
    ids::{MessageId, RoomId, Seq},
    session::ledger::Ledger,
    wire::{
        fault::{Fault, FaultCode},
        tree::TreeHash,
    },
};
use tokio::time::Instant;

use super::{Actor, BACK_OFF, Step};
use crate::{
    engine::error::EngineError,
    net::{NetError, socket::Socket},
};

/// How often a tree that the daemon says it does not have is put there again before this waits for another connection.
const MISSES: u32 = 4;

/// A tree on its way, and the sealed row that names it.
#[derive(Clone, Copy)]
pub(super) struct Uploading {
    pub(super) room: RoomId,
    pub(super) id: MessageId,
    pub(super) under: Seq,
    pub(super) hash: TreeHash,
}

impl Actor {
    /// Begins to put a row's tree there; the room sends nothing meanwhile.
    pub(super) fn put_tree(&mut self, uploading: Uploading) {
        let Uploading { room, id, hash, .. } = uploading;
        let (profile, rest, access) = (self.profile.clone(), self.rest.clone(), self.access.clone());
        self.uploads.spawn(async move {
            let put = async {
                // Another process may have settled the row meanwhile.
                let Some(tree) = profile.read_async(move |tx| tx.outbox_tree(room, id)).await? else {
                    return Ok(());
                };
                let (rest, tree) = (&rest, &tree);
                access.ask(|token| async move { rest.put_tree(&token, room, hash, tree.clone()).await }).await
            };
            (uploading, put.await)
        });
    }

    /// A tree is there, or not.
    pub(super) async fn tree_put(
        &mut self,
        socket: &mut Socket,
        uploading: Uploading,
        result: Result<(), EngineError>,
    ) -> Step {
        let Uploading { room, id, under, hash } = uploading;
        match result {
            Ok(()) => {}
            // Another process of this device has put one there: what it did for the row is done.
            Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::Conflict => {}
            Err(EngineError::Net(NetError::Fault(fault))) => {
                return self.refused(socket, room, (id, under, true), Seq(0), fault).await;
            }
            Err(error) => return Err(error.into()),
        }
        self.put.insert(room, hash);
        self.answered(socket, room).await
    }

    /// The daemon does not have the tree of a commit: it was put there too long ago, or the daemon has lost it.
    pub(super) async fn tree_missing(&mut self, socket: &mut Socket, room: RoomId, fault: Fault) -> Step {
        self.put.remove(&room);
        let misses = self.misses.entry(room).or_default();
        *misses += 1;
        match *misses {
            1 => self.answered(socket, room).await,
            2..=MISSES => {
                self.backing_off.push_back((Instant::now() + BACK_OFF, room));
                self.back_off(socket, room).await
            }
            _ => {
                self.trouble(&NetError::Fault(fault).into());
                self.hold(socket, room).await
            }
        }
    }
}
