//! Reading what other nodes have committed: one job at a time looks at all rooms and devices that wait, so that whatever
//! is said while it runs is read by the next, together.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    wire::frame::{Envelope, Operation},
};

use crate::{
    hub::{Announcement, Hub},
    store::{
        RoomQueries, StoreError, envelopes,
        rooms::{Audience, Member, Standing},
    },
};

/// Rooms in one job.
pub(super) const ROOMS: usize = 1024;
/// Devices in one job.
pub(super) const DEVICES: usize = 1024;
/// Envelopes of a room in one job.
const EACH: u32 = 256;
/// Bytes of envelopes in one job, and one envelope more at most.
const BYTES: usize = 4 * 1024 * 1024;
/// Rooms or devices in one question; SQLite binds 32,766 values at most.
const ASKED: usize = 10_000;

/// What a job looks at.
#[derive(Clone, Default)]
pub(super) struct Asked {
    /// Rooms, and how far each is delivered.
    pub(super) rooms: BTreeMap<RoomId, Seq>,
    /// Devices whose places may have changed.
    pub(super) devices: HashSet<DeviceId>,
    /// Whether to look for rooms and devices beyond these: see [`Everything`].
    pub(super) everything: Option<Everything>,
}

/// All that is followed here.
#[derive(Clone)]
pub(super) struct Everything {
    /// Each room, and how far it is delivered.
    pub(super) rooms: Vec<(RoomId, Seq)>,
    /// Each device, and the version of its list of rooms that is known.
    pub(super) devices: Vec<(DeviceId, u64)>,
}

/// What a job has found.
#[derive(Default)]
pub(super) struct Found {
    /// The rooms of devices, read before the log.
    pub(super) audiences: BTreeMap<DeviceId, Audience>,
    /// The log: by room, in order. `None`: retention has deleted the envelope.
    pub(super) log: Vec<(RoomId, Seq, Option<Announcement>)>,
    /// Rooms that have more.
    pub(super) rooms: Vec<RoomId>,
    /// Devices that are still to be looked at.
    pub(super) devices: Vec<DeviceId>,
}

/// Looks.
pub(super) fn look(conn: &mut impl RoomQueries, hub: &Arc<Hub>, asked: Asked) -> Result<Found, StoreError> {
    let Asked { rooms: mut known, mut devices, everything } = asked;
    let mut found = Found::default();
    if let Some(everything) = everything {
        let positions: HashMap<RoomId, Seq> = everything.rooms.iter().copied().collect();
        for chunk in everything.rooms.chunks(ASKED) {
            for room in conn.ahead(chunk)? {
                if known.len() < ROOMS {
                    known.extend(positions.get(&room).map(|seq| (room, *seq)));
                } else {
                    found.rooms.push(room);
                }
            }
        }
        for chunk in everything.devices.chunks(ASKED) {
            let versions: HashMap<DeviceId, u64> = chunk.iter().copied().collect();
            let asked: Vec<DeviceId> = chunk.iter().map(|(device, _)| *device).collect();
            for (device, version) in conn.audience_versions(&asked)? {
                if versions.get(&device) != Some(&version) {
                    if devices.len() < DEVICES {
                        devices.insert(device);
                    } else {
                        found.devices.push(device);
                    }
                }
            }
        }
    }
    if !devices.is_empty() {
        // Before the log: what it says of a place is newer.
        found.audiences = conn.audiences(&devices.into_iter().collect::<Vec<_>>())?;
    }
    if !known.is_empty() {
        let (entries, more) = conn.following(&known, EACH, BYTES)?;
        found.rooms.extend(more);
        for envelopes::Entry { room, seq, logged } in entries {
            let announcement = match logged {
                Some(logged) => {
                    let mut announcement = Announcement {
                        room,
                        envelope: Some((seq, logged.clone())),
                        joined: Vec::new(),
                        invited: Vec::new(),
                        left: Vec::new(),
                    };
                    // It was decoded before it was logged; whatever became of it since is for the clients to judge.
                    if let Ok(envelope) = Envelope::decode(logged)
                        && !envelope.delta.is_empty()
                    {
                        said(conn, hub, &envelope, seq, &mut announcement)?;
                    }
                    Some(announcement)
                }
                None => None,
            };
            found.log.push((room, seq, announcement));
        }
    }
    Ok(found)
}

/// What a commit's delta says of the devices that have sockets here. The list said more when it was committed, about
/// those who had declined: their places say it still.
fn said(
    conn: &mut impl RoomQueries,
    hub: &Arc<Hub>,
    envelope: &Envelope,
    seq: Seq,
    announcement: &mut Announcement,
) -> Result<(), StoreError> {
    let here: Vec<DeviceId> = envelope
        .delta
        .iter()
        .map(|change| change.device)
        .filter(|device| hub.is_connected(*device))
        .collect();
    if here.is_empty() {
        return Ok(());
    }
    let places: HashMap<DeviceId, Member> =
        conn.places(envelope.room, &here)?.into_iter().map(|member| (member.device, member)).collect();
    for change in &envelope.delta {
        let Some(place) = places.get(&change.device) else { continue };
        match change.operation {
            Operation::Remove => announcement.left.push(change.device),
            Operation::Add | Operation::Readd | Operation::Relist => {
                if place.standing != Standing::Declined && place.may_read(seq) {
                    announcement.joined.push(change.device);
                }
                if matches!(change.operation, Operation::Add | Operation::Readd) {
                    announcement.invited.push(change.device);
                }
            }
        }
    }
    Ok(())
}
