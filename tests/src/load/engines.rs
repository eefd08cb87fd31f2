//! The same load by whole clients: every member is an engine with a profile of its own on disk, so that a message is
//! sealed, stored, ordered, delivered, opened and stored again before it counts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _};
use qchat_cli::engine::{
    Handle, NewVault, Options, register,
    types::{Body, Event},
};
use qchat_proto::ids::{MessageId, RoomId, Seq};
use serde::Serialize;
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, broadcast::error::RecvError},
    task::JoinSet,
};
use url::Url;
use zeroize::Zeroizing;

use super::{
    live::{Load, Pace},
    measure::{Clock, Progress, Quantiles, Times, nanoseconds},
};
use crate::device::noise;

/// How long one step of a client may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// Profiles that are made at once: each derives its key with 256 MiB.
const AT_ONCE: usize = 2;
/// Lines that are read at once.
const LINES: usize = 200;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What was done.
    pub load: Load,
    /// Messages that were acknowledged.
    pub acknowledged: usize,
    /// Messages that members have read, the senders' own included.
    pub read: usize,
    /// From when a message was due to when a member had stored it, milliseconds.
    pub delivery_ms: Quantiles,
    /// The same to the sender's acknowledgement.
    pub acknowledgement_ms: Quantiles,
    /// What was lost, repeated or out of order, in words.
    pub told: Vec<String>,
}

struct Person {
    _directory: TempDir,
    engine: Handle,
}

struct Running {
    clock: Clock,
    /// When the message with this number was due.
    due: Mutex<BTreeMap<u64, u64>>,
    delivery: Mutex<Times>,
    acknowledgement: Mutex<Times>,
    acknowledged: Mutex<Vec<(RoomId, MessageId, Seq)>>,
}

/// Runs it.
///
/// # Errors
/// When a client cannot do something.
pub async fn run(server: &Url, load: Load, progress: &Progress) -> Result<Outcome> {
    let Pace::Rate(rate) = load.pace else { bail!("whole clients send at a rate: give one with --rate") };
    let mut mark = [0; 5];
    mark.copy_from_slice(&noise(5));
    let making = (0..load.rooms * load.members).map(|number| {
        let name = format!("engine-{}-{number}", hex::encode(mark));
        async move { person(server, &name).await }
    });
    let mut making = futures_util::stream::iter(making).buffered(AT_ONCE);
    let mut people: Vec<Person> = Vec::new();
    while let Some(person) = making.try_next().await? {
        people.push(person);
        progress.say(|| format!("{} clients", people.len()));
    }
    drop(making);
    let mut rooms = Vec::new();
    for (number, members) in people.chunks(load.members).enumerate() {
        rooms.push((room(number, members).await?, members));
        progress.say(|| format!("{} rooms", rooms.len()));
    }

    let running = Arc::new(Running {
        clock: Clock::start(),
        due: Mutex::default(),
        delivery: Mutex::new(Times::new()?),
        acknowledgement: Mutex::new(Times::new()?),
        acknowledged: Mutex::default(),
    });
    let mut readers = JoinSet::new();
    let (done, stop) = tokio::sync::watch::channel(false);
    for (room, members) in &rooms {
        for person in *members {
            readers.spawn(read(person.engine.clone(), *room, running.clone(), stop.clone()));
        }
    }
    let mut senders = JoinSet::new();
    let senders_each = load.senders.max(1);
    let start = running.clock.now();
    let from = start + nanoseconds(load.warm_up);
    let end = from + nanoseconds(load.duration);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds between two")]
    let gap = ((1e9 / rate) as u64).max(1);
    let (mut due, mut number) = (start, 0_u64);
    while due < end {
        tokio::time::sleep(Duration::from_nanos(due.saturating_sub(running.clock.now()))).await;
        let turn = usize::try_from(number)?;
        let (room, members) = rooms.get(turn % rooms.len()).context("no rooms")?;
        let sender = members.get(turn / rooms.len() % senders_each).context("no members")?;
        if due >= from {
            running.due.lock().await.insert(number, due);
        }
        senders.spawn(say(sender.engine.clone(), *room, number, running.clone()));
        while let Some(said) = senders.try_join_next() {
            said??;
        }
        number += 1;
        due += gap;
        progress.say(|| format!("{number} messages"));
    }
    while let Some(said) = senders.join_next().await {
        said??;
    }
    // Everybody reads to the end; what is not there then is lost.
    for person in &people {
        person.engine.sync().await?;
    }
    // Each reader holds the other end.
    let _ = done.send(true);
    let mut views = Vec::new();
    while let Some(view) = readers.join_next().await {
        views.push(view??);
    }
    progress.clear();
    for person in people {
        person.engine.shutdown().await;
    }
    let acknowledged = running.acknowledged.lock().await;
    let told = judge(&views, &acknowledged);
    Ok(Outcome {
        load,
        acknowledged: acknowledged.len(),
        read: views.iter().map(|view| view.lines.len()).sum(),
        delivery_ms: running.delivery.lock().await.quantiles(),
        acknowledgement_ms: running.acknowledgement.lock().await.quantiles(),
        told,
    })
}

async fn person(server: &Url, name: &str) -> Result<Person> {
    let directory = TempDir::with_prefix("qchat-load-")?;
    let passphrase = Zeroizing::new(hex::encode(noise(16)));
    let vault = NewVault::new(passphrase, NewVault::LEAST_MEMORY);
    let path = directory.path().join("profile");
    let registered =
        register(&path, server.as_str().parse()?, name.parse()?, vault, PATIENCE, |_| {}).await?;
    let options = Options::new(PATIENCE);
    let engine = Handle::start(registered.profile, options).await?;
    engine.sync().await?;
    Ok(Person { _directory: directory, engine })
}

async fn room(number: usize, members: &[Person]) -> Result<RoomId> {
    let (creator, invited) = members.split_first().context("a room has a member")?;
    let room = creator.engine.create_room(format!("load {number}")).await?;
    if !invited.is_empty() {
        let names = invited.iter().map(|person| person.engine.me().name.clone()).collect();
        creator.engine.invite(room, names).await?;
    }
    for person in invited {
        person.engine.sync().await?;
        person.engine.join(room).await?;
    }
    Ok(room)
}

async fn say(engine: Handle, room: RoomId, number: u64, running: Arc<Running>) -> Result<()> {
    let id = engine.send(room, number.to_string()).await?;
    let seq = engine.wait_sent(room, id).await?;
    if let Some(due) = running.due.lock().await.get(&number) {
        running.acknowledgement.lock().await.add(running.clock.now().saturating_sub(*due));
    }
    running.acknowledged.lock().await.push((room, id, seq));
    Ok(())
}

/// What one member has read of a room.
struct View {
    name: String,
    room: RoomId,
    lines: Vec<(Seq, MessageId)>,
}

async fn read(
    engine: Handle,
    room: RoomId,
    running: Arc<Running>,
    mut stop: tokio::sync::watch::Receiver<bool>,
) -> Result<View> {
    let mut events = engine.events();
    let mut view = View { name: engine.me().name.to_string(), room, lines: Vec::new() };
    let mut row = 0;
    loop {
        let ending = *stop.borrow_and_update();
        loop {
            let lines = engine.settled_after(room, row, LINES).await?;
            let now = running.clock.now();
            let Some(last) = lines.last() else { break };
            row = last.row;
            for line in lines {
                let (Some(seq), Some(id), Body::Text(text)) = (line.seq, line.id, &line.body) else {
                    continue;
                };
                view.lines.push((seq, id));
                let due = running.due.lock().await.get(&text.parse()?).copied();
                if let Some(due) = due {
                    running.delivery.lock().await.add(now.saturating_sub(due));
                }
            }
        }
        if ending {
            return Ok(view);
        }
        tokio::select! {
            _ = stop.changed() => {}
            event = events.recv() => match event {
                Ok(Event::Trouble(sentence)) => bail!("{}: {sentence}", view.name),
                Err(RecvError::Closed) => bail!("{}: the engine has ended", view.name),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
            },
        }
    }
}

/// What is wrong: each view must have what was acknowledged, once, and in the order of the seqs.
fn judge(views: &[View], acknowledged: &[(RoomId, MessageId, Seq)]) -> Vec<String> {
    let mut told = Vec::new();
    for view in views {
        let places: BTreeMap<MessageId, Seq> = view.lines.iter().map(|(seq, id)| (*id, *seq)).collect();
        if places.len() < view.lines.len() {
            told.push(format!("{} has read a message twice", view.name));
        }
        if view.lines.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            told.push(format!("{} has read messages out of order", view.name));
        }
        for (room, id, seq) in acknowledged {
            if *room == view.room && places.get(id) != Some(seq) {
                told.push(format!("{} has not read message {id}, acknowledged at seq {}", view.name, seq.0));
            }
        }
    }
    told
}
