//! Ratchet trees on their way to joiners: put there part by part, ahead of the commit that names them, and given out the
//! same way. What they are the daemon cannot tell; the joiner checks them against what its inviter has signed.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use qchat_proto::{
    ids::{RoomId, Seq},
    wire::{
        fault::{Fault, FaultCode},
        limits,
        tree::{TreeHash, TreeHasher},
    },
};
use tokio::sync::Semaphore;

use super::{ServiceError, now_sql, sessions::Caller};
use crate::store::{
    Store, StoreError, rooms,
    rooms::Standing,
    trees::{self, StoredTree, TreeId},
};

/// Bytes of a tree that are in memory at once, for each request.
const PART: usize = 256 * 1024;
/// Parts that may wait for the database, of all requests together.
const WRITING: usize = 32;

/// Takes trees and gives them out.
pub struct Trees {
    store: Store,
    writing: Arc<Semaphore>,
}

/// A tree that is being put there.
pub struct Upload {
    store: Store,
    writing: Arc<Semaphore>,
    tree: TreeId,
    hash: TreeHash,
    hasher: TreeHasher,
    part: BytesMut,
    number: i32,
    size: usize,
}

impl Trees {
    pub(super) fn new(store: Store) -> Self {
        Self { store, writing: Arc::new(Semaphore::new(WRITING)) }
    }

    /// Begins to take a tree; `None` when it is there already.
    ///
    /// # Errors
    /// `not_member` when the device is no full member of the room.
    pub async fn begin(
        &self,
        caller: Caller,
        room: RoomId,
        hash: TreeHash,
    ) -> Result<Option<Upload>, ServiceError> {
        let tree = self
            .store
            .write(move |conn| {
                let member = rooms::member(conn, room, caller.device)?;
                if member.is_none_or(|member| member.standing != Standing::Full) {
                    return Err(ServiceError::refuse(
                        FaultCode::NotMember,
                        "this device is not a full member of the room",
                    ));
                }
                Ok(trees::begin(conn, room, caller.device, &hash, now_sql())?)
            })
            .await?;
        Ok(tree.map(|tree| Upload {
            store: self.store.clone(),
            writing: self.writing.clone(),
            tree,
            hash,
            hasher: TreeHasher::default(),
            part: BytesMut::new(),
            number: 0,
            size: 0,
        }))
    }

    /// The tree for the Welcome of the commit at `seq` that waits for the calling device.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn of_welcome(
        &self,
        caller: Caller,
        room: RoomId,
        seq: Seq,
    ) -> Result<StoredTree, ServiceError> {
        self.store
            .read(move |conn| {
                let member = rooms::member(conn, room, caller.device)?;
                let tree = match member {
                    Some(member) if member.follows() => trees::of_welcome(conn, room, caller.device, seq)?,
                    _ => None,
                };
                tree.ok_or_else(|| {
                    ServiceError::refuse(
                        FaultCode::NotFound,
                        "no invitation of that commit is waiting; ask for the invitation again",
                    )
                })
            })
            .await
    }

    /// A part of a tree.
    ///
    /// # Errors
    /// When the database fails, or the tree is gone.
    pub async fn part(&self, tree: TreeId, number: i32) -> Result<Bytes, StoreError> {
        let part = self.store.read(move |conn| trees::part(conn, tree, number)).await?;
        part.map(Bytes::from).ok_or(StoreError::Corrupt("a tree that is gone"))
    }
}

impl Upload {
    /// Takes what comes next.
    ///
    /// # Errors
    /// `too_large`, after which it is over; `conflict` when the device has begun another one for the room.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), ServiceError> {
        self.size = self.size.saturating_add(bytes.len());
        if self.size > limits::RATCHET_TREE {
            self.forget().await?;
            return Err(too_large());
        }
        self.hasher.update(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PART - self.part.len()));
            self.part.extend_from_slice(now);
            rest = later;
            if self.part.len() == PART {
                self.write().await?;
            }
        }
        Ok(())
    }

    /// It is there as a whole.
    ///
    /// # Errors
    /// `bad_request` when it does not have the name that was given; `conflict` as [`Upload::push`].
    pub async fn finish(mut self) -> Result<(), ServiceError> {
        if !self.part.is_empty() {
            self.write().await?;
        }
        let tree = self.tree;
        if self.size == 0 || std::mem::take(&mut self.hasher).finish() != self.hash {
            self.forget().await?;
            return Err(ServiceError::refuse(
                FaultCode::BadRequest,
                "the tree is not the one that the address names",
            ));
        }
        let done = self.store.write(move |conn| trees::complete(conn, tree, now_sql())).await?;
        if done { Ok(()) } else { Err(replaced()) }
    }

    async fn write(&mut self) -> Result<(), ServiceError> {
        // Never closed.
        let permit = self.writing.acquire().await;
        let (tree, number) = (self.tree, self.number);
        let part = self.part.split().freeze();
        let taken = self.store.write(move |conn| trees::append(conn, tree, number, &part, now_sql())).await?;
        drop(permit);
        self.number = self.number.saturating_add(1);
        if taken { Ok(()) } else { Err(replaced()) }
    }

    async fn forget(&self) -> Result<(), StoreError> {
        let tree = self.tree;
        self.store.write(move |conn| trees::forget(conn, tree)).await
    }
}

fn replaced() -> ServiceError {
    ServiceError::refuse(FaultCode::Conflict, "this device has begun to put another tree there for the room")
}

/// A tree is larger than any room's.
pub fn too_large() -> ServiceError {
    Fault::new(FaultCode::TooLarge, format!("a ratchet tree has at most {} bytes", limits::RATCHET_TREE))
        .into()
}
