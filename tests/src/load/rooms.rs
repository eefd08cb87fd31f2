//! Rooms for the load, made as clients make them: created, filled by commits that add devices, and joined by each of
//! them. Trees and Welcomes are noise, which the daemon cannot tell.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _};
use qchat_proto::{
    crypto::entropy::SystemEntropy,
    ids::{MessageId, RoomId, Seq},
    wire::{
        frame::{self, Envelope, Kind, MembershipChange, Operation},
        limits,
        pb::{self, client_frame, server_frame::Body},
        tree::TreeHash,
    },
};

use super::{
    account::{Account, Rest},
    frames::{Incoming, put_binary},
    links::{Heard, Links},
    measure::{Clock, Progress},
};
use crate::device::noise;

/// Requests that are underway at once.
const AT_ONCE: usize = 64;
/// How long the daemon may take for a commit.
const PATIENCE: Duration = Duration::from_mins(1);
/// Bytes of a tree and of a Welcome: they are not what is measured.
const NOISE: usize = 64;

/// A room whose members have all joined.
#[derive(Clone, Debug)]
pub struct Room {
    /// The room.
    pub id: RoomId,
    /// Its members, as indices of the accounts.
    pub members: Vec<usize>,
    /// The seq of the newest commit, after which there is nothing.
    pub last: Seq,
}

/// Makes `count` rooms. Members are taken in turn, so that with accounts enough nobody is in two rooms.
///
/// # Errors
/// When the daemon refuses something.
pub async fn make(
    rest: &Rest,
    accounts: &[Account],
    count: usize,
    members: usize,
    progress: &Progress,
) -> Result<Vec<Room>> {
    ensure!(
        !accounts.is_empty() && members <= accounts.len(),
        "a room has more members than there are accounts"
    );
    let mut rooms = Vec::with_capacity(count);
    for number in 0..count {
        let first = number * members;
        let members = (first..first + members).map(|at| at % accounts.len()).collect();
        rooms.push(Room { id: RoomId::random(&SystemEntropy)?, members, last: Seq(0) });
    }
    let creating = rooms.iter().map(|room| async {
        let creator =
            room.members.first().and_then(|at| accounts.get(*at)).context("a room without members")?;
        rest.create_room(&creator.token, room.id).await
    });
    in_parallel("rooms", count, creating, progress).await?;
    // Each commit adds as many as one may.
    let adds: Vec<usize> = (1..members).step_by(limits::DELTA).collect();
    for first in adds {
        let commits = rooms.iter().map(|room| async {
            let creator = account(accounts, room, 0)?;
            let tree = rest.put_tree(&creator.token, room.id, noise(NOISE)).await?;
            let added = first..members.min(first + limits::DELTA);
            let added: Vec<&Account> = added.map(|at| account(accounts, room, at)).collect::<Result<_>>()?;
            anyhow::Ok((
                room.members.first().copied().unwrap_or_default(),
                commit(room, creator, &added, tree)?,
            ))
        });
        let commits = in_parallel("trees", count, commits, progress).await?;
        let places = publish(rest, accounts, commits)?;
        for room in &mut rooms {
            room.last = *places.get(&room.id).context("a commit was not accepted")?;
        }
    }
    let joining = rooms.iter().flat_map(|room| (1..members).map(move |at| (room, at)));
    let joining = joining
        .map(|(room, at)| async move { rest.join(&account(accounts, room, at)?.token, room.id).await });
    in_parallel("places", count * (members - 1), joining, progress).await?;
    Ok(rooms)
}

fn account<'a>(accounts: &'a [Account], room: &Room, at: usize) -> Result<&'a Account> {
    room.members.get(at).and_then(|at| accounts.get(*at)).context("a room has fewer members")
}

async fn in_parallel<T>(
    what: &str,
    count: usize,
    work: impl Iterator<Item = impl Future<Output = Result<T>>>,
    progress: &Progress,
) -> Result<Vec<T>> {
    let mut running = futures_util::stream::iter(work).buffered(AT_ONCE);
    let mut done = Vec::with_capacity(count);
    while let Some(one) = running.try_next().await? {
        done.push(one);
        progress.say(|| format!("{} of {count} {what}", done.len()));
    }
    Ok(done)
}

/// A commit of the room's creator that adds devices.
fn commit(room: &Room, creator: &Account, added: &[&Account], tree: TreeHash) -> Result<pb::Publish> {
    let delta = added.iter().map(|account| MembershipChange {
        operation: Operation::Add,
        account: account.id,
        device: account.device,
    });
    let envelope = Envelope {
        room: room.id,
        message_id: MessageId::random(&SystemEntropy)?,
        sender: creator.device,
        kind: Kind::Commit,
        commit_seq: room.last,
        payload: noise(NOISE).into(),
        delta: delta.collect(),
    };
    let welcomes = added.iter().map(|account| pb::Invitation {
        device_id: account.device.as_bytes().to_vec().into(),
        welcome: noise(NOISE).into(),
    });
    Ok(pb::Publish {
        request_id: 0,
        envelope: envelope.encode(),
        welcomes: welcomes.collect(),
        tree_hash: tree.as_bytes().to_vec().into(),
        after: Vec::new().into(),
    })
}

/// Publishes one request of each of these accounts; gives the places by room.
fn publish(
    rest: &Rest,
    accounts: &[Account],
    requests: Vec<(usize, pb::Publish)>,
) -> Result<HashMap<RoomId, Seq>> {
    let mut by_account: HashMap<usize, Vec<pb::Publish>> = HashMap::new();
    let count = requests.len();
    for (account, request) in requests {
        by_account.entry(account).or_default().push(request);
    }
    let mut links = Links::new(rest.server(), accounts.len())?;
    for account in by_account.keys() {
        links.connect(*account, &accounts.get(*account).context("no such account")?.token)?;
    }
    let mut places = HashMap::with_capacity(count);
    let clock = Clock::start();
    while places.len() < count {
        ensure!(clock.elapsed() < PATIENCE, "the daemon does not answer to commits");
        links.turn(Duration::from_secs(1), |slot, what, out| {
            match what {
                Heard::Open => {
                    for request in by_account.remove(&slot).unwrap_or_default() {
                        put_binary(out, &frame::client_frame(client_frame::Body::Publish(request)));
                    }
                }
                Heard::Frame(Incoming::Accepted(room, seq, _)) => {
                    places.insert(room, seq);
                }
                Heard::Frame(Incoming::Frame(Body::Refused(refused))) => {
                    let fault = refused.fault.unwrap_or_default();
                    bail!("a commit is refused: {}: {}", fault.code, fault.message);
                }
                Heard::Frame(_) => {}
                Heard::Closed(why) => bail!("a connection ended: {why}"),
            }
            Ok(())
        })?;
    }
    Ok(places)
}
