//! The screen without an account: sample data that is the same each time, and no network. What is written stays in memory.

mod account;
mod data;
mod talk;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qchat_proto::{
    content::MessageRef,
    ids::{MessageId, RoomId, Seq},
};
use tokio::sync::{broadcast, mpsc};

use self::data::World;
use super::{Answer, App, Command, Desk, Msg, Theme, keymap::Keymap, prefs::Prefs, theme::Ambience};
use crate::{
    engine::{
        Hit, Hits,
        types::{Body, Connection, Delivery, Event, Link, LinkStatus, Marks, Message, Reaction, RoomStatus},
    },
    zone::Zone,
};

/// Who looks at the sample data.
pub const NAME: &str = "alice";
/// Events that wait.
const EVENTS: usize = 64;

/// The sample data.
#[derive(Clone)]
pub struct Demo {
    world: Arc<Mutex<World>>,
    events: broadcast::Sender<Event>,
}

impl Default for Demo {
    fn default() -> Self {
        Self { world: Arc::new(Mutex::new(World::new())), events: broadcast::channel(EVENTS).0 }
    }
}

/// A screen that looks at the sample data.
pub fn app(theme: Theme, keymap: Keymap, prefs: Prefs, ambience: Ambience) -> App {
    let mut app = App::new(NAME, theme, Zone::utc()).with(keymap, prefs, ambience);
    let link =
        Link::Tls { key_exchange: "X25519MLKEM768".to_owned(), post_quantum: true, key: data::server_key() };
    app.connection = Connection::Online(link);
    app
}

impl Desk for Demo {
    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    async fn perform(&self, command: Command, _: mpsc::Sender<Msg>) -> Result<Answer, String> {
        self.answer(command)
    }
}

impl Demo {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a command comes to.
    ///
    /// # Errors
    /// That it needs an account.
    pub(super) fn answer(&self, command: Command) -> Result<Answer, String> {
        let world = self.world();
        Ok(match command {
            Command::LoadRooms => Answer::Rooms(world.rooms.clone()),
            Command::LoadRoom(room) => Answer::Room(Box::new(world.details(room))),
            Command::LookAt { .. } => Answer::Picture(talk::picture()),
            Command::LoadRoster(room) => Answer::Roster(world.roster(room)),
            Command::LoadNewest { room, limit } => Answer::Page(world.page(room, i64::MAX, limit)),
            Command::LoadOlder { room, before } => Answer::Page(world.page(room, before, usize::MAX)),
            Command::LoadNewer { room, after } => Answer::Page(world.after(room, after)),
            Command::LoadAround { room, .. } => Answer::Page(world.page(room, i64::MAX, usize::MAX)),
            Command::Locate { room, id } => {
                let all = world.page(room, i64::MAX, usize::MAX);
                Answer::Row(all.iter().find(|message| message.id == Some(id)).map(|message| message.row))
            }
            Command::Peek(room) => Answer::Page(world.page(room, i64::MAX, 1)),
            Command::LoadLine(_) => Answer::Row(None),
            Command::LoadDrafts => Answer::Drafts(world.drafts.clone()),
            Command::LoadPeople => Answer::People(data::people()),
            Command::Search { query, .. } => Answer::Found(find(&world, &query)),
            Command::Compare(name) => Answer::Safety(Box::new(account::safety(name))),
            Command::LoadDevices => Answer::Devices(account::devices()),
            Command::LoadKeys => Answer::Keys(Box::new(account::keys())),
            Command::LoadLog => Answer::Log(account::log()),
            Command::LoadQuantum => Answer::Quantum(Box::new(account::quantum())),
            Command::Ping => Answer::Latency(account::latency()),
            Command::LoadUnsent => Answer::Unsent(account::unsent()),
            Command::LoadPresence => Answer::Presences(data::presences()),
            Command::LoadWriters(room) => Answer::Writers(data::writers(room)),
            Command::LoadLink => Answer::Link(LinkStatus::None),
            Command::SaveSetting(..) => {
                return Err("Sample data: nothing is written to the configuration file.".to_owned());
            }
            Command::KeepLine { .. }
            | Command::KeepDraft { .. }
            | Command::Unlock(_)
            | Command::TellWriting { .. }
            | Command::Appear(_) => Answer::Nothing,
            command => {
                drop(world);
                return self.change(command);
            }
        })
    }

    fn change(&self, command: Command) -> Result<Answer, String> {
        let mut world = self.world();
        let changed = match command {
            Command::MarkRead(room) => {
                for summary in world.rooms.iter_mut().filter(|summary| summary.id == room) {
                    (summary.unread, summary.mentions) = (0, 0);
                }
                Event::Read(room)
            }
            Command::Send { room, text, reply_to } => {
                let marks =
                    Marks { reply_to: reply_to.and_then(|of| world.reply(room, of.id)), ..Marks::default() };
                world.say(room, Body::Text(text), marks);
                Event::Timeline(room)
            }
            Command::Ask(room, poll) => {
                world.say(room, talk::poll(&poll), Marks::default());
                Event::Timeline(room)
            }
            Command::Rewrite { room, of, text } => {
                world.alter(room, of, |message| {
                    message.body = Body::Text(text);
                    message.marks.edits += 1;
                });
                Event::Changed(room)
            }
            Command::Retract(room, of) => {
                world.alter(room, of, |message| {
                    message.body = Body::Deleted(NAME.to_owned());
                    message.marks = Marks::default();
                });
                Event::Changed(room)
            }
            Command::DeleteHere(room, id) => {
                world.messages.retain(|message| message.room != room || message.id != Some(id));
                Event::Deleted
            }
            Command::React { room, of, emoji, remove } => {
                world.alter(room, of, |message| react(&mut message.marks.reactions, &emoji, remove));
                Event::Changed(room)
            }
            Command::Pin { room, of, remove } => {
                world.alter(room, of, |message| message.marks.pinned_by = (!remove).then(|| NAME.to_owned()));
                Event::Changed(room)
            }
            Command::Vote { room, of, choices } => {
                world.alter(room, of, |message| talk::vote(message, &choices));
                Event::Changed(room)
            }
            Command::Join(room) => {
                for summary in world.rooms.iter_mut().filter(|summary| summary.id == room) {
                    summary.status = RoomStatus::Joined;
                }
                Event::Rooms
            }
            Command::Leave(room) | Command::Decline(room) => {
                world.rooms.retain(|summary| summary.id != room);
                Event::Rooms
            }
            Command::Rename(room, name) => {
                for summary in world.rooms.iter_mut().filter(|summary| summary.id == room) {
                    summary.name.clone_from(&name);
                }
                Event::Rooms
            }
            _ => {
                return Err(
                    "These are sample data: that needs an account, which `qchat register` makes.".to_owned()
                );
            }
        };
        drop(world);
        let _ = self.events.send(changed);
        Ok(Answer::Nothing)
    }
}

fn react(reactions: &mut Vec<Reaction>, emoji: &str, remove: bool) {
    let me = || NAME.to_owned();
    match reactions.iter_mut().find(|reaction| reaction.emoji == emoji) {
        Some(reaction) if remove => {
            reaction.by.retain(|name| name != NAME);
            reaction.me = false;
        }
        Some(reaction) if !reaction.me => {
            reaction.by.push(me());
            reaction.me = true;
        }
        None if !remove => reactions.push(Reaction { emoji: emoji.to_owned(), by: vec![me()], me: true }),
        _ => {}
    }
    reactions.retain(|reaction| !reaction.by.is_empty());
}

/// Messages that hold all words.
fn find(world: &World, query: &str) -> Hits {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let hit = |message: &Message| {
        let Body::Text(text) = &message.body else { return None };
        let lower = text.to_lowercase();
        let mut highlights: Vec<_> =
            words.iter().map(|word| lower.find(word).map(|at| at..at + word.len())).collect::<Option<_>>()?;
        highlights.sort_by_key(|range: &std::ops::Range<usize>| range.start);
        let fits =
            lower.len() == text.len() && highlights.iter().all(|range| text.get(range.clone()).is_some());
        let highlights = if fits { highlights } else { Vec::new() };
        Some(Hit { message: message.clone(), excerpt: text.clone(), highlights })
    };
    Hits { hits: world.messages.iter().rev().filter_map(hit).collect(), more: false }
}

impl World {
    /// Says something as the one who looks.
    fn say(&mut self, room: RoomId, body: Body, marks: Marks) {
        let row = self.messages.iter().map(|message| message.row).max().unwrap_or(0) + 1;
        let at = self.messages.last().map_or(data::NOON, |last| last.sent_at) + time::Duration::minutes(1);
        let mut message = talk::message(room, row, at, NAME, body);
        message.id = Some(MessageId::from_bytes(u128::from(row.unsigned_abs()).to_be_bytes()));
        (message.seq, message.delivery, message.marks) =
            (Some(Seq(row.unsigned_abs())), Delivery::Sent, marks);
        self.messages.push(message);
    }

    fn alter(&mut self, room: RoomId, of: MessageRef, change: impl FnOnce(&mut Message)) {
        let found =
            self.messages.iter_mut().find(|message| message.room == room && message.id == Some(of.id));
        if let Some(message) = found {
            change(message);
        }
    }
}
