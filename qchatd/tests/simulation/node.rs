//! A node: the product's relay, bus, hub and rooms over the database in memory, and connections that do with them what
//! those on sockets do. A crash drops all of it at once.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    wire::{
        frame::{Logged, read_server_frame},
        pb::server_frame::Body,
    },
};
use qchatd::{
    bus::{Bus, Carried, Started},
    hub::{Attached, Hub},
    meters::Meters,
    service::{
        relay::{Outcome, Publication, PublishError, Refusal, Relay},
        rooms::{Page, Rooms},
    },
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use crate::{chance::lock, memory::Memory, world::World};

/// Frames that the network holds between a node and a device.
const ON_THE_WAY: usize = 3;
/// Frames in one write, and answers that wait at most; as a socket has them.
const BURST: usize = 64;

/// A running node.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) relay: Relay,
    pub(crate) rooms: Arc<Rooms<Memory>>,
    hub: Arc<Hub>,
    core: Vec<AbortHandle>,
    connections: Arc<std::sync::Mutex<JoinSet<()>>>,
}

/// A device's end of a connection.
pub(crate) struct Line {
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) frames: mpsc::Receiver<Heard>,
}

/// What a device asks.
pub(crate) enum Request {
    Publish(Box<Publication>, [u8; 16]),
    Fetch(RoomId, Seq, u32),
    Confirm(RoomId, Seq),
}

/// What a device hears.
pub(crate) enum Heard {
    Hello,
    Deliver(RoomId, Logged),
    Hint(RoomId),
    Behind(RoomId, Seq),
    Published(RoomId, [u8; 16], Result<Seq, Option<Refusal>>),
    Page(RoomId, Option<Page>),
}

impl Node {
    /// Starts one; its hints are the caller's to carry.
    pub(crate) fn start(number: usize, memory: &Memory, shared: bool) -> (Self, Carried) {
        let meters = Arc::new(Meters::default());
        let (Started { bus, task, .. }, carried) =
            Bus::carried(Arc::new(Hub::default()), memory.clone(), shared, meters.clone());
        let (relay, relaying) = Relay::start(memory.clone(), bus.clone(), meters);
        let node = Self {
            number,
            relay,
            hub: bus.hub(),
            rooms: Arc::new(Rooms::new(memory.clone(), bus)),
            core: vec![task.abort_handle(), relaying.abort_handle()],
            connections: Arc::default(),
        };
        (node, carried)
    }

    /// Ends all of it between two steps.
    pub(crate) fn crash(&self) {
        self.core.iter().for_each(AbortHandle::abort);
        lock(&self.connections).abort_all();
    }

    /// Whether its relay runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.relay.is_alive()
    }

    /// Connects a device.
    pub(crate) fn connect(&self, world: &Arc<World>, device: DeviceId) -> (Line, AbortHandle) {
        let (requests, asked) = mpsc::unbounded_channel();
        let (sending, frames) = mpsc::channel(ON_THE_WAY);
        let (node, world) = (self.clone(), world.clone());
        let serving = lock(&self.connections).spawn(async move {
            // Whatever ends it, the peer notices.
            let _ended = serve(&node, &world, device, asked, sending).await;
        });
        (Line { requests, frames }, serving)
    }
}

async fn serve(
    node: &Node,
    world: &Arc<World>,
    device: DeviceId,
    mut asked: mpsc::UnboundedReceiver<Request>,
    frames: mpsc::Sender<Heard>,
) -> Option<()> {
    let attached = node.hub.attach(device, [0; 16], world.plan.queue);
    attached.settle(|| node.rooms.audience(device)).await.ok()?;
    frames.send(Heard::Hello).await.ok()?;
    let (answers, mut answered) = mpsc::channel(BURST);
    let (mut batch, mut order) = (Vec::new(), Order::new());
    loop {
        tokio::select! {
            biased;
            () = attached.receive(&mut batch, BURST) => {
                deliver(world, device, &attached, &mut batch, &mut order, &frames).await?;
            }
            Some(answer) = answered.recv() => frames.send(answer).await.ok()?,
            request = asked.recv() => match request? {
                Request::Publish(publication, id) => {
                    let (room, answers) = (publication.room(), answers.clone().reserve_owned().await.ok()?);
                    let reply = move |outcome: Outcome| {
                        let outcome = outcome.map_err(|error| match error {
                            PublishError::Refused(refusal) => Some(refusal),
                            PublishError::Failed(_) => None,
                        });
                        drop(answers.send(Heard::Published(room, id, outcome)));
                    };
                    node.relay.publish(*publication, Box::new(reply)).await;
                }
                Request::Fetch(room, after, limit) => {
                    let (rooms, answers) = (node.rooms.clone(), answers.clone());
                    let page = async move {
                        let page = rooms.page(device, room, after, limit).await.ok();
                        drop(answers.send(Heard::Page(room, page)).await);
                    };
                    lock(&node.connections).spawn(page);
                }
                Request::Confirm(room, seq) => drop(node.rooms.confirm(vec![(room, device, seq)]).await),
            }
        }
    }
}

/// The last envelope of each room that a connection got, and whether it was told since that others may be missing.
type Order = BTreeMap<RoomId, (Seq, bool)>;

fn told(order: &mut Order, room: RoomId) {
    if let Some((_, told)) = order.get_mut(&room) {
        *told = true;
    }
}

/// As a socket's connection does it: what waits, and then the rooms to catch up with.
async fn deliver(
    world: &World,
    device: DeviceId,
    attached: &Attached,
    batch: &mut Vec<Bytes>,
    order: &mut Order,
    frames: &mpsc::Sender<Heard>,
) -> Option<()> {
    for frame in batch.drain(..) {
        let heard = read(&frame)?;
        match &heard {
            Heard::Deliver(room, logged) => {
                world.delivered(device, *room, logged.seq);
                let before = order.insert(*room, (logged.seq, false));
                if before
                    .is_some_and(|(last, told)| logged.seq <= last || !(told || logged.seq == last.next()))
                {
                    world.fail(format!("{device} got {} of {room} after {before:?}", logged.seq.0));
                }
            }
            Heard::Hint(room) => told(order, *room),
            _ => {}
        }
        frames.send(heard).await.ok()?;
    }
    for (room, last) in attached.catch_up() {
        told(order, room);
        frames.send(Heard::Behind(room, last)).await.ok()?;
    }
    Some(())
}

/// Reads a frame as it goes over the socket.
fn read(frame: &Bytes) -> Option<Heard> {
    let header = match frame.get(1)? {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    Some(match read_server_frame(frame.slice(header..)).ok()?? {
        Body::Deliver(deliver) => {
            let logged = deliver.logged?;
            let room = RoomId::try_from(&deliver.room_id[..]).ok()?;
            Heard::Deliver(room, Logged { seq: Seq(logged.seq), bytes: logged.envelope })
        }
        Body::RoomHint(hint) => Heard::Hint(RoomId::try_from(&hint.room_id[..]).ok()?),
        _ => return None,
    })
}
