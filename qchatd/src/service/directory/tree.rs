//! The part of the tree that one operation needs, in memory: read in few queries before it, written after it.
//!
//! The library asks its storage for one node at a time. Which nodes that can be follows from the places that are read or
//! written: the way from the root to each, and what hangs beside the way. So the library runs on a copy of these alone,
//! and what it changes is collected for one transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use akd::{
    AkdLabel, AkdValue, Azks, NodeLabel,
    errors::StorageError,
    storage::{
        Database, DbSetState, Storable,
        types::{DbRecord, KeyData, StorageType, ValueState, ValueStateRetrievalFlag},
    },
    tree_node::{NodeKey, TreeNodeWithPreviousValue},
};
use async_trait::async_trait;

use super::node;
use crate::store::{Connection, StoreError, directory};

/// Levels above the leaves that are fetched at once, beyond those that a tree of that size fills evenly.
const SLACK: u32 = 4;

/// Records in memory; clones are the same records.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Records>>);

#[derive(Default)]
struct Records {
    azks: Option<Azks>,
    nodes: HashMap<NodeLabel, TreeNodeWithPreviousValue>,
    values: HashMap<Vec<u8>, Vec<ValueState>>,
    /// Labels of nodes that were written.
    written: BTreeSet<Vec<u8>>,
    /// Values that were written.
    new: Vec<ValueState>,
}

/// What was written.
pub(super) struct Written {
    /// How many nodes the tree has now.
    pub(super) size: u64,
    /// Nodes by label, encoded.
    pub(super) nodes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Values.
    pub(super) values: Vec<ValueState>,
}

impl Memory {
    /// The tree at this epoch, of so many nodes, as far as these places need it, and what labels hold.
    pub(super) fn load(
        conn: &mut Connection,
        (epoch, size): (u64, u64),
        places: &[NodeLabel],
        values: Vec<ValueState>,
    ) -> Result<Self, StoreError> {
        let mut records = Records {
            azks: Some(DbRecord::build_azks(epoch, size)),
            nodes: ways(conn, size, places)?,
            ..Records::default()
        };
        for value in values {
            records.values.entry(value.username.0.clone()).or_default().push(value);
        }
        Ok(Self(Arc::new(Mutex::new(records))))
    }

    /// Everything that was written since, encoded.
    pub(super) fn written(&self) -> Written {
        let records = self.records();
        let nodes = records.nodes.iter().filter_map(|(label, stored)| {
            let label = node::encode_label(label);
            records.written.contains(&label).then(|| (label, node::encode(&stored.latest_node)))
        });
        Written {
            size: records.azks.as_ref().map_or(0, |azks| azks.num_nodes),
            nodes: nodes.collect(),
            values: records.new.clone(),
        }
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The nodes on the ways from the root to these places, and their children.
fn ways(
    conn: &mut Connection,
    size: u64,
    places: &[NodeLabel],
) -> Result<HashMap<NodeLabel, TreeNodeWithPreviousValue>, StoreError> {
    let goals: BTreeSet<[u8; 32]> = places.iter().map(|place| place.label_val).collect();
    let on_a_way = |label: &NodeLabel| {
        let next = goals.range(label.label_val..).next();
        next.is_some_and(|goal| label.is_prefix_of(&NodeLabel::new(*goal, 256)))
    };
    let levels = size.max(2).ilog2() + SLACK;
    let mut wanted: BTreeSet<Vec<u8>> = [node::encode_label(&NodeLabel::root())].into();
    for place in places {
        wanted.extend((1..levels).map(|length| node::encode_label(&place.get_prefix(length))));
    }
    let mut asked = BTreeSet::new();
    let mut found = HashMap::new();
    while !wanted.is_empty() {
        let labels: Vec<Vec<u8>> = wanted.iter().cloned().collect();
        asked.append(&mut wanted);
        for (label, bytes) in directory::nodes(conn, &labels)? {
            let stored =
                node::decode(&label, &bytes).ok_or(StoreError::Corrupt("a node of the directory"))?;
            let children = [stored.latest_node.left_child, stored.latest_node.right_child];
            if on_a_way(&stored.label) {
                let children = children.iter().flatten().map(node::encode_label);
                wanted.extend(children.filter(|child| !asked.contains(child)));
            }
            found.insert(stored.label, stored);
        }
        wanted.retain(|label| !asked.contains(label));
    }
    Ok(found)
}

fn missing(what: &str) -> StorageError {
    StorageError::NotFound(what.to_owned())
}

impl Records {
    fn put(&mut self, record: DbRecord) {
        match record {
            DbRecord::Azks(azks) => self.azks = Some(azks),
            DbRecord::TreeNode(stored) => {
                self.written.insert(node::encode_label(&stored.label));
                self.nodes.insert(stored.label, stored);
            }
            DbRecord::ValueState(value) => {
                self.values.entry(value.username.0.clone()).or_default().push(value.clone());
                self.new.push(value);
            }
        }
    }

    fn get<St: Storable>(&self, id: &St::StorageKey) -> Option<DbRecord> {
        let key = St::get_full_binary_key_id(id);
        match St::data_type() {
            StorageType::Azks => self.azks.clone().map(DbRecord::Azks),
            StorageType::TreeNode => {
                let NodeKey(label) = TreeNodeWithPreviousValue::key_from_full_binary(&key).ok()?;
                self.nodes.get(&label).cloned().map(DbRecord::TreeNode)
            }
            StorageType::ValueState => {
                let key = ValueState::key_from_full_binary(&key).ok()?;
                let states = self.values.get(&key.0)?;
                states.iter().find(|state| state.epoch == key.1).cloned().map(DbRecord::ValueState)
            }
        }
    }

    fn state(&self, label: &AkdLabel, flag: ValueStateRetrievalFlag) -> Option<&ValueState> {
        let mut states = self.values.get(&label.0)?.iter();
        match flag {
            ValueStateRetrievalFlag::SpecificVersion(version) => {
                states.find(|state| state.version == version)
            }
            ValueStateRetrievalFlag::SpecificEpoch(epoch) => states.find(|state| state.epoch == epoch),
            ValueStateRetrievalFlag::LeqEpoch(epoch) => {
                states.filter(|state| state.epoch <= epoch).max_by_key(|state| state.epoch)
            }
            ValueStateRetrievalFlag::MaxEpoch => states.max_by_key(|state| state.epoch),
            ValueStateRetrievalFlag::MinEpoch => states.min_by_key(|state| state.epoch),
        }
    }
}

#[async_trait]
impl Database for Memory {
    async fn set(&self, record: DbRecord) -> Result<(), StorageError> {
        self.records().put(record);
        Ok(())
    }

    async fn batch_set(&self, records: Vec<DbRecord>, _state: DbSetState) -> Result<(), StorageError> {
        let mut stored = self.records();
        for record in records {
            stored.put(record);
        }
        Ok(())
    }

    async fn get<St: Storable>(&self, id: &St::StorageKey) -> Result<DbRecord, StorageError> {
        self.records().get::<St>(id).ok_or_else(|| missing("a record"))
    }

    async fn batch_get<St: Storable>(&self, ids: &[St::StorageKey]) -> Result<Vec<DbRecord>, StorageError> {
        let records = self.records();
        Ok(ids.iter().filter_map(|id| records.get::<St>(id)).collect())
    }

    async fn get_user_data(&self, label: &AkdLabel) -> Result<KeyData, StorageError> {
        let states = self.records().values.get(&label.0).cloned().ok_or_else(|| missing("a label"))?;
        Ok(KeyData { states })
    }

    async fn get_user_state(
        &self,
        label: &AkdLabel,
        flag: ValueStateRetrievalFlag,
    ) -> Result<ValueState, StorageError> {
        self.records().state(label, flag).cloned().ok_or_else(|| missing("a label"))
    }

    async fn get_user_state_versions(
        &self,
        labels: &[AkdLabel],
        flag: ValueStateRetrievalFlag,
    ) -> Result<HashMap<AkdLabel, (u64, AkdValue)>, StorageError> {
        let records = self.records();
        let version = |label: &AkdLabel| {
            let state = records.state(label, flag)?;
            Some((label.clone(), (state.version, state.value.clone())))
        };
        Ok(labels.iter().filter_map(version).collect())
    }
}
