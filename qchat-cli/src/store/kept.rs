//! Groups that stay in memory from one transaction to the next: reading one from the database takes longer than all that
//! an operation does with it. Each is known by the version of the row that it was stored in, which no other writing of a
//! group ever has; so neither another process's write nor a rollback leaves one here that could be used.

use qchat_proto::{ids::RoomId, mls::group::Group};

/// At most so many groups: those of the rooms that are written and read now. One of a thousand devices takes 12 MB.
const GROUPS: usize = 8;

/// The groups, the one used last behind all others.
#[derive(Default)]
pub(super) struct Kept(Vec<(RoomId, i64, Group)>);

impl Kept {
    /// Takes a room's group out, if it was kept for this version; it is gone in any case.
    pub(super) fn take(&mut self, room: RoomId, version: Option<i64>) -> Option<Group> {
        let place = self.0.iter().position(|(of, ..)| *of == room)?;
        let (_, kept_for, group) = self.0.remove(place);
        (Some(kept_for) == version).then_some(group)
    }

    /// Keeps a room's group.
    pub(super) fn put(&mut self, room: RoomId, version: i64, group: Group) {
        self.0.retain(|(of, ..)| *of != room);
        if self.0.len() == GROUPS {
            self.0.remove(0);
        }
        self.0.push((room, version, group));
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
