//! Who is connected and follows which room. A room's frame is encoded once and shared by all queues; a queue that is
//! full gets nothing more of that room until its device has been told to catch up from the log.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    wire::pb::{self, server_frame::Body},
};
use tokio_util::sync::CancellationToken;

use crate::{frame::encode, queue::Queue, store::sessions::SessionId};

/// What an accepted envelope means for deliveries.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The room.
    pub room: RoomId,
    /// The envelope's place, and its logged bytes; `None` when only the audience changes.
    pub envelope: Option<(Seq, Bytes)>,
    /// Devices that receive this envelope and what follows.
    pub joined: Vec<DeviceId>,
    /// Devices with a new Welcome.
    pub invited: Vec<DeviceId>,
    /// Devices that receive nothing after it.
    pub left: Vec<DeviceId>,
}

/// All connections of this daemon.
#[derive(Default)]
pub struct Hub(Mutex<Connections>);

#[derive(Default)]
struct Connections {
    next: u64,
    links: HashMap<u64, Link>,
    devices: HashMap<DeviceId, Vec<u64>>,
    /// Ordered by the number of the connection.
    rooms: HashMap<RoomId, BTreeMap<u64, Queue>>,
}

struct Link {
    device: DeviceId,
    session: SessionId,
    queue: Queue,
    /// Whether it follows a room, as far as that was said since it came: later than what it then loads.
    said: HashMap<RoomId, bool>,
    end: CancellationToken,
}

/// A connection's place in the hub; dropping it leaves.
pub struct Attached {
    hub: Arc<Hub>,
    number: u64,
    queue: Queue,
    /// Cancelled when the session ends.
    pub end: CancellationToken,
}

impl Hub {
    /// Adds a connection whose queue holds `capacity` frames. It follows nothing yet.
    pub fn attach(self: &Arc<Self>, device: DeviceId, session: SessionId, capacity: usize) -> Attached {
        let queue = Queue::new(capacity);
        let end = CancellationToken::new();
        let mut connections = self.lock();
        let number = connections.next;
        connections.next += 1;
        connections.devices.entry(device).or_default().push(number);
        connections.links.insert(
            number,
            Link { device, session, queue: queue.clone(), said: HashMap::new(), end: end.clone() },
        );
        drop(connections);
        Attached { hub: self.clone(), number, queue, end }
    }

    /// Delivers what a commit has made true.
    pub fn announce(&self, announcement: &Announcement) {
        let room = announcement.room;
        let mut connections = self.lock();
        for device in &announcement.joined {
            connections.set(room, *device, true);
        }
        let last = announcement.envelope.as_ref().map_or(Seq(0), |(seq, _)| *seq);
        connections.hint(room, last, &announcement.invited);
        if let Some((seq, logged)) = &announcement.envelope
            && let Some(followers) = connections.rooms.get(&room)
        {
            let frame = encode(Body::Deliver(pb::Deliver {
                room_id: Bytes::copy_from_slice(room.as_bytes()),
                logged: Some(pb::Logged { seq: seq.0, envelope: logged.clone() }),
            }));
            for queue in followers.values() {
                queue.offer(room, *seq, &frame);
            }
        }
        for device in &announcement.left {
            connections.set(room, *device, false);
        }
        // Who was only invited opens no commit that would tell it.
        connections.hint(room, last, &announcement.left);
    }

    /// A device follows a room from now on.
    pub fn joined(&self, room: RoomId, device: DeviceId) {
        self.lock().set(room, device, true);
    }

    /// The sessions that have sockets here.
    pub fn sessions(&self) -> HashSet<SessionId> {
        self.lock().links.values().map(|link| link.session).collect()
    }

    /// Closes the sockets of these sessions.
    pub fn end_sessions(&self, sessions: &HashSet<SessionId>) {
        if sessions.is_empty() {
            return;
        }
        for link in self.lock().links.values() {
            if sessions.contains(&link.session) {
                link.end.cancel();
            }
        }
    }

    /// Closes the sockets of a device.
    pub fn end_device(&self, device: DeviceId) {
        for link in self.lock().links.values() {
            if link.device == device {
                link.end.cancel();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        // Nothing in here panics halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Tells devices to ask anew which rooms they are in.
    fn hint(&self, room: RoomId, last: Seq, devices: &[DeviceId]) {
        if devices.is_empty() {
            return;
        }
        let hint = encode(Body::RoomHint(pb::RoomHint { room_id: Bytes::copy_from_slice(room.as_bytes()) }));
        for number in devices.iter().filter_map(|device| self.devices.get(device)).flatten() {
            if let Some(link) = self.links.get(number) {
                link.queue.offer(room, last, &hint);
            }
        }
    }

    fn set(&mut self, room: RoomId, device: DeviceId, follows: bool) {
        let Some(numbers) = self.devices.get(&device) else { return };
        for number in numbers {
            let Some(link) = self.links.get_mut(number) else { continue };
            link.said.insert(room, follows);
            if follows {
                self.rooms.entry(room).or_default().insert(*number, link.queue.clone());
            } else if let Some(followers) = self.rooms.get_mut(&room) {
                followers.remove(number);
                if followers.is_empty() {
                    self.rooms.remove(&room);
                }
            }
        }
    }
}

impl Attached {
    /// Follows the rooms that were loaded *after* [`Hub::attach`]; what was said since then counts more.
    pub fn follow(&self, rooms: Vec<RoomId>) {
        let mut connections = self.hub.lock();
        let Connections { links, rooms: followers, .. } = &mut *connections;
        let Some(link) = links.get_mut(&self.number) else { return };
        for room in rooms {
            if let hash_map::Entry::Vacant(unsaid) = link.said.entry(room) {
                unsaid.insert(true);
                followers.entry(room).or_default().insert(self.number, link.queue.clone());
            }
        }
    }

    /// Whether frames of this room may come.
    pub fn follows(&self, room: RoomId) -> bool {
        let connections = self.hub.lock();
        connections.links.get(&self.number).and_then(|link| link.said.get(&room)).copied().unwrap_or(false)
    }

    /// Waits for frames to send, each a whole WebSocket frame, and moves at most `most` of them. May be cancelled.
    pub async fn receive(&self, into: &mut Vec<Bytes>, most: usize) {
        self.queue.receive(into, most).await;
    }

    /// Moves frames that wait already, at most `most`.
    pub fn take(&self, into: &mut Vec<Bytes>, most: usize) {
        self.queue.take(into, most);
    }

    /// The rooms to catch up with, once all frames were received. Their frames flow again from here on.
    pub fn catch_up(&self) -> BTreeMap<RoomId, Seq> {
        self.queue.catch_up()
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut connections = self.hub.lock();
        let Connections { links, devices, rooms, .. } = &mut *connections;
        let Some(link) = links.remove(&self.number) else { return };
        for room in link.said.keys() {
            if let Some(followers) = rooms.get_mut(room) {
                followers.remove(&self.number);
                if followers.is_empty() {
                    rooms.remove(room);
                }
            }
        }
        if let Some(numbers) = devices.get_mut(&link.device) {
            numbers.retain(|number| *number != self.number);
            if numbers.is_empty() {
                devices.remove(&link.device);
            }
        }
    }
}
