//! Who is connected and follows which room, and how far each room is delivered here. A room's frame is encoded once and
//! shared by all queues; a queue that is full gets nothing more of that room until its device has been told to catch up
//! from the log. Envelopes of a room are delivered in its order without a gap, whichever node has committed them.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    wire::pb::{self, server_frame::Body},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    frame::encode,
    queue::Queue,
    store::{rooms::Audience, sessions::SessionId},
};

/// Pauses before a device's list of rooms is read once more, the shortest and the longest.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

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

/// What a device tells the members who are there, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ephemeral {
    /// Whose word it is.
    pub sender: DeviceId,
    /// What it is; the daemon cannot tell.
    pub sealed: Bytes,
}

/// What became of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Those whom it concerns are told.
    InOrder,
    /// Nobody here follows the room.
    Nobody,
    /// Nobody is told yet: something that comes before it is to be read from the log.
    TooSoon,
}

/// All connections of this daemon.
#[derive(Default)]
pub struct Hub(Mutex<Connections>);

#[derive(Default)]
struct Connections {
    next: u64,
    links: HashMap<u64, Link>,
    devices: HashMap<DeviceId, Vec<u64>>,
    rooms: HashMap<RoomId, Followed>,
}

/// A room that somebody here follows.
struct Followed {
    /// The newest envelope that the queues have got, or that was there before them: the next is one further.
    delivered: Seq,
    /// Where it stood when somebody here began to follow it: what the log says before this, nobody here was told.
    since: Seq,
    /// Ordered by the number of the connection.
    queues: BTreeMap<u64, Queue>,
}

struct Link {
    device: DeviceId,
    session: SessionId,
    queue: Queue,
    /// The version of the list of rooms that it was last compared with.
    audience: u64,
    /// Where it stands in a room, as far as that was said since it came: later than what it then loads.
    said: HashMap<RoomId, Said>,
    end: CancellationToken,
}

/// What was said of a device's place in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// It follows.
    Follows,
    /// It does not, and may read up to this seq.
    Out(Seq),
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
            Link {
                device,
                session,
                queue: queue.clone(),
                audience: 0,
                said: HashMap::new(),
                end: end.clone(),
            },
        );
        drop(connections);
        Attached { hub: self.clone(), number, queue, end }
    }

    /// Delivers what a commit of this node has made true, if it is the next of its room.
    pub fn announce(&self, announcement: &Announcement) -> Told {
        let mut connections = self.lock();
        let delivered = connections.rooms.get(&announcement.room).map(|followed| followed.delivered);
        if let (Some(delivered), Some((seq, _))) = (delivered, &announcement.envelope)
            && *seq != delivered.next()
        {
            // What is not new was read from the log before.
            return if *seq <= delivered { Told::InOrder } else { Told::TooSoon };
        }
        connections.tell(announcement);
        if connections.rooms.contains_key(&announcement.room) { Told::InOrder } else { Told::Nobody }
    }

    /// Delivers what the log says at `seq`, where nothing is missing before it; `None` for an envelope that retention
    /// has deleted.
    pub fn replay(&self, room: RoomId, seq: Seq, announcement: Option<&Announcement>) {
        let mut connections = self.lock();
        let Some(followed) = connections.rooms.get_mut(&room) else { return };
        if seq <= followed.delivered {
            return;
        }
        match announcement {
            Some(announcement) => connections.tell(announcement),
            None => followed.delivered = seq,
        }
    }

    /// Hands something that nobody keeps to those who follow a room here, save where there is much to do.
    pub fn whisper(&self, room: RoomId, ephemeral: &Ephemeral) {
        let connections = self.lock();
        let Some(followed) = connections.rooms.get(&room) else { return };
        let frame = encode(Body::Ephemeral(pb::Ephemeral {
            room_id: Bytes::copy_from_slice(room.as_bytes()),
            sender_device: Bytes::copy_from_slice(ephemeral.sender.as_bytes()),
            sealed: ephemeral.sealed.clone(),
        }));
        for (number, queue) in &followed.queues {
            if connections.links.get(number).is_some_and(|link| link.device != ephemeral.sender) {
                queue.whisper((room, ephemeral.sender), &frame);
            }
        }
    }

    /// A device has made a room, and follows it from its beginning.
    pub fn created(&self, room: RoomId, device: DeviceId) {
        self.lock().follow(room, device, Seq(0));
    }

    /// How far a room is delivered; `None` when nobody here follows it.
    pub fn delivered(&self, room: RoomId) -> Option<Seq> {
        self.lock().rooms.get(&room).map(|followed| followed.delivered)
    }

    /// How far each room is delivered that somebody here follows.
    pub fn positions(&self) -> Vec<(RoomId, Seq)> {
        self.lock().rooms.iter().map(|(room, followed)| (*room, followed.delivered)).collect()
    }

    /// Whether a device has a socket here.
    pub fn is_connected(&self, device: DeviceId) -> bool {
        self.lock().devices.contains_key(&device)
    }

    /// The devices that have sockets here, each with the version of its list of rooms that is known.
    pub fn audiences(&self) -> Vec<(DeviceId, u64)> {
        let connections = self.lock();
        let known = |numbers: &Vec<u64>| {
            numbers.iter().filter_map(|number| connections.links.get(number)).map(|link| link.audience).min()
        };
        connections.devices.iter().map(|(device, numbers)| (*device, known(numbers).unwrap_or(0))).collect()
    }

    /// Lets a device follow the rooms that the database says it follows, and tells it which are new. Returns the rooms
    /// whose log has to be read first, where its place in them is said.
    pub fn reconcile(&self, device: DeviceId, audience: &Audience) -> Vec<RoomId> {
        let mut connections = self.lock();
        let Connections { links, devices, rooms, .. } = &mut *connections;
        let mut unread = Vec::new();
        for number in devices.get(&device).into_iter().flatten() {
            let Some(link) = links.get_mut(number).filter(|link| link.audience < audience.version) else {
                continue;
            };
            let mut read = true;
            for place in &audience.places {
                match (link.said.get(&place.room).copied(), place.follows) {
                    (Some(Said::Follows), true) => continue,
                    (_, true) => {
                        let room = rooms.entry(place.room).or_insert_with(|| Followed::from(place.last));
                        if room.delivered < place.after {
                            unread.push(place.room);
                            read = false;
                            continue;
                        }
                        // The log may say since that it has left, and nobody here was told.
                        if place.last < room.since {
                            read = false;
                            continue;
                        }
                        room.queues.insert(*number, link.queue.clone());
                        link.said.insert(place.room, Said::Follows);
                    }
                    (Some(Said::Out(last)), false) if last >= place.last => continue,
                    (Some(Said::Follows), false)
                        if rooms.get(&place.room).is_some_and(|room| room.delivered < place.last) =>
                    {
                        // It gets what it may read still, and the log says when that is all.
                        unread.push(place.room);
                        read = false;
                        continue;
                    }
                    (_, false) => {
                        leave(rooms, place.room, *number);
                        link.said.insert(place.room, Said::Out(place.last));
                    }
                }
                link.queue.offer(place.room, place.last, &hint(place.room), Instant::now());
            }
            // Else it is read once more: when the last who follows a room here leaves it before that place, nobody reads
            // the log as far as there.
            if read {
                link.audience = audience.version;
            }
        }
        unread
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

    /// Those of `sessions`, and those of `devices`, that have sockets here.
    pub fn sessions_among(
        &self,
        sessions: &HashSet<SessionId>,
        devices: &HashSet<DeviceId>,
    ) -> HashSet<SessionId> {
        let concerns = |link: &&Link| sessions.contains(&link.session) || devices.contains(&link.device);
        self.lock().links.values().filter(concerns).map(|link| link.session).collect()
    }

    /// Closes the sockets of a device.
    pub fn end_device(&self, device: DeviceId) {
        for link in self.lock().links.values() {
            if link.device == device {
                link.end.cancel();
            }
        }
    }

    /// Tells devices that something about their account has changed.
    pub fn account_changed(&self, devices: &[DeviceId]) {
        let hint = encode(Body::AccountHint(pb::AccountHint {}));
        let connections = self.lock();
        for number in devices.iter().filter_map(|device| connections.devices.get(device)).flatten() {
            if let Some(link) = connections.links.get(number) {
                link.queue.nudge(&hint, Instant::now());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        // Nothing in here panics halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn tell(&mut self, announcement: &Announcement) {
        let room = announcement.room;
        let last = announcement.envelope.as_ref().map_or(Seq(0), |(seq, _)| *seq);
        for device in &announcement.joined {
            self.follow(room, *device, Seq(last.0.saturating_sub(1)));
        }
        self.hint(room, last, &announcement.invited);
        if let Some((seq, logged)) = &announcement.envelope
            && let Some(followed) = self.rooms.get_mut(&room)
        {
            followed.delivered = *seq;
            let frame = encode(Body::Deliver(pb::Deliver {
                room_id: Bytes::copy_from_slice(room.as_bytes()),
                logged: Some(pb::Logged { seq: seq.0, envelope: logged.clone() }),
            }));
            let now = Instant::now();
            for queue in followed.queues.values() {
                queue.offer(room, *seq, &frame, now);
            }
        }
        for device in &announcement.left {
            self.unfollow(room, *device, last);
        }
        // Who was only invited opens no commit that would tell it.
        self.hint(room, last, &announcement.left);
    }

    /// Tells devices to ask anew which rooms they are in.
    fn hint(&self, room: RoomId, last: Seq, devices: &[DeviceId]) {
        if devices.is_empty() {
            return;
        }
        let hint = hint(room);
        for number in devices.iter().filter_map(|device| self.devices.get(device)).flatten() {
            if let Some(link) = self.links.get(number) {
                link.queue.offer(room, last, &hint, Instant::now());
            }
        }
    }

    /// A device gets what comes in a room after `delivered`, or after what others here have got already.
    fn follow(&mut self, room: RoomId, device: DeviceId, delivered: Seq) {
        for number in self.devices.get(&device).into_iter().flatten() {
            let Some(link) = self.links.get_mut(number) else { continue };
            link.said.insert(room, Said::Follows);
            let followed = self.rooms.entry(room).or_insert_with(|| Followed::from(delivered));
            followed.queues.insert(*number, link.queue.clone());
        }
    }

    /// A device gets nothing that comes in a room after `last`.
    fn unfollow(&mut self, room: RoomId, device: DeviceId, last: Seq) {
        for number in self.devices.get(&device).into_iter().flatten() {
            let Some(link) = self.links.get_mut(number) else { continue };
            link.said.insert(room, Said::Out(last));
            // What is known of its rooms may be newer than this, and say that it is back: with nobody here to follow the
            // room, the log will not be read as far as there.
            link.audience = 0;
            leave(&mut self.rooms, room, *number);
        }
    }
}

impl Followed {
    fn from(delivered: Seq) -> Self {
        Self { delivered, since: delivered, queues: BTreeMap::new() }
    }
}

fn leave(rooms: &mut HashMap<RoomId, Followed>, room: RoomId, number: u64) {
    if let Some(followed) = rooms.get_mut(&room) {
        followed.queues.remove(&number);
        if followed.queues.is_empty() {
            rooms.remove(&room);
        }
    }
}

/// The frame that says to ask anew about a room.
fn hint(room: RoomId) -> Bytes {
    encode(Body::RoomHint(pb::RoomHint { room_id: Bytes::copy_from_slice(room.as_bytes()) }))
}

impl Attached {
    /// Follows the rooms that `load` gives, which is asked until its answer is recent enough: a second time at once, and
    /// then ever more slowly.
    ///
    /// # Errors
    /// When `load` fails.
    pub async fn settle<E, L>(&self, load: impl Fn() -> L) -> Result<(), E>
    where
        L: Future<Output = Result<Audience, E>>,
    {
        let mut pause = Duration::ZERO;
        while !self.follow(load().await?) {
            sleep(pause).await;
            pause = (pause * 2).clamp(PAUSE, LONGEST);
        }
        Ok(())
    }

    /// Follows the rooms that were loaded *after* [`Hub::attach`]; what was said since then counts more. False when the
    /// audience is too old for one of them: it has to be loaded once more.
    pub fn follow(&self, audience: Audience) -> bool {
        let mut connections = self.hub.lock();
        let Connections { links, rooms, .. } = &mut *connections;
        let Some(link) = links.get_mut(&self.number) else { return true };
        let (mut read, mut recent) = (true, true);
        for place in audience.places {
            if let hash_map::Entry::Vacant(unsaid) = link.said.entry(place.room) {
                if !place.follows {
                    // Whoever comes asks for its rooms by itself.
                    unsaid.insert(Said::Out(place.last));
                    continue;
                }
                let followed = rooms.entry(place.room).or_insert_with(|| Followed::from(place.last));
                if place.last < followed.since {
                    // The log may say since that it has left, and nobody here was told.
                    recent = false;
                } else if followed.delivered >= place.after {
                    unsaid.insert(Said::Follows);
                    followed.queues.insert(self.number, link.queue.clone());
                } else {
                    // Others here have not got as far as its place: the log says when it is there.
                    read = false;
                }
            }
        }
        // As in `reconcile`.
        if read && recent {
            link.audience = link.audience.max(audience.version);
        }
        recent
    }

    /// Whether frames of this room may come.
    pub fn follows(&self, room: RoomId) -> bool {
        let connections = self.hub.lock();
        connections.links.get(&self.number).and_then(|link| link.said.get(&room)) == Some(&Said::Follows)
    }

    /// Waits for frames to send, each a whole WebSocket frame, and moves at most `most` of them. May be cancelled.
    pub async fn receive(&self, into: &mut Vec<Bytes>, most: usize) {
        self.queue.receive(into, most).await;
    }

    /// Moves frames that wait already, at most `most`.
    pub fn take(&self, into: &mut Vec<Bytes>, most: usize) {
        self.queue.take(into, most);
    }

    /// Since when, at most, the frames have waited that were moved last.
    pub fn moved(&self) -> Option<Instant> {
        self.queue.moved()
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
            leave(rooms, *room, self.number);
        }
        if let Some(numbers) = devices.get_mut(&link.device) {
            numbers.retain(|number| *number != self.number);
            if numbers.is_empty() {
                devices.remove(&link.device);
            }
        }
    }
}
