//! The screen, driven from outside: keys and events in, commands and drawn cells out.

mod behaviour;
mod demo;
mod hostile;
mod languages;
mod lists;
mod messages;
mod panels;
mod people;
mod pictures;
mod screens;
mod virtualised;
mod writing;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use qchat_proto::{
    content::{MessageRef, Role},
    crypto::entropy::{Entropy, EntropyError},
    identity::{
        DeviceName,
        link::{LinkAnswer, NewDevice, OldDevice},
    },
    ids::{AccountId, DeviceId, LinkId, MessageId, RoomId, Seq, ServerId},
};
use ratatui::{Terminal, backend::TestBackend};
use time::{Duration, OffsetDateTime, macros::datetime};

use super::{Answer, App, Command, Emission, Msg, Theme, update, view};
use crate::{
    engine::types::{
        Body, Connection, Delivery, Event, Link, LinkRequest, LinkStatus, Marks, Member, Message,
        RoomDetails, RoomStatus, RoomSummary, Sender,
    },
    zone::Zone,
};

const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

fn id(n: u8) -> RoomId {
    RoomId::from_bytes([n; 16])
}

fn room(n: u8, name: &str, status: RoomStatus, unread: u64) -> RoomSummary {
    let invited_by = (status == RoomStatus::Invited).then(|| "bob".to_owned());
    RoomSummary {
        id: id(n),
        name: name.to_owned(),
        direct: false,
        status,
        unread,
        read: None,
        mentions: 0,
        marks: crate::engine::types::RoomMarks::default(),
        invited_by,
        last_activity: None,
        blocked_by: None,
    }
}

/// A line `minutes` after noon, by `sender`; alice is the one who looks.
fn message(row: i64, minutes: i64, sender: &str, text: &str) -> Message {
    let account = AccountId::from_bytes([sender.as_bytes()[0]; 16]);
    Message {
        row,
        room: id(1),
        seq: Some(Seq(row.unsigned_abs())),
        id: Some(message_id(row)),
        sender: Some(Sender {
            account,
            name: sender.to_owned(),
            device: DeviceId::from_bytes([1; 16]),
            me: sender == "alice",
            verified: false,
            changed: false,
        }),
        sent_at: NOON + Duration::minutes(minutes),
        epoch: 3,
        body: Body::Text(text.to_owned()),
        delivery: Delivery::Sent,
        marks: Marks::default(),
    }
}

fn message_id(row: i64) -> MessageId {
    MessageId::from_bytes(u128::from(row.unsigned_abs()).to_be_bytes())
}

fn reference(row: i64) -> MessageRef {
    MessageRef { device: DeviceId::from_bytes([1; 16]), id: message_id(row) }
}

fn aside(row: i64, minutes: i64, body: Body) -> Message {
    Message { body, sender: None, id: None, ..message(row, minutes, "x", "") }
}

fn details(n: u8, name: &str) -> RoomDetails {
    let member = |name: &str, invited| Member {
        account: AccountId::from_bytes([name.as_bytes()[0]; 16]),
        name: name.to_owned(),
        devices: 1,
        display_name: None,
        role: if name == "alice" { Role::Owner } else { Role::Member },
        invited,
        verified: false,
        changed: false,
    };
    RoomDetails {
        summary: room(n, name, RoomStatus::Joined, 0),
        members: vec![member("alice", false), member("bob", false), member("carol", true)],
        topic: String::new(),
        banned: vec![],
        epoch: 3,
        expire_after: None,
        cursor: Seq(9),
        waiting: 0,
        keys_renewed: None,
        mixed_key: None,
        offered_keys: vec![],
    }
}

/// The same bytes each time, so that a picture stays the same.
struct Same;

impl Entropy for Same {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.fill(7);
        Ok(())
    }
}

/// A device that asks to be let in, and has a true code.
fn link_request() -> LinkRequest {
    let server = ServerId::from_bytes([1; 16]);
    let name = DeviceName::new("laptop").unwrap();
    let new = NewDevice::draw(server, "alice".parse().unwrap(), name.clone(), &Same).unwrap();
    let own = LinkAnswer {
        server,
        account: AccountId::from_bytes([2; 16]),
        device: DeviceId::from_bytes([3; 16]),
        identity_key_hash: [4; 48],
        recovery_key_hash: [5; 48],
        transfer_key: vec![],
        nonce: [0; 32],
    };
    let old = OldDevice::answer(new.commitment(), own, &Same).unwrap();
    let (_, transcript) = new.meet(old.answer_bytes()).unwrap();
    LinkRequest {
        link: LinkId::from_bytes([5; 16]),
        device: new.hello().device,
        name: name.to_string(),
        asked_at: NOON,
        left: std::time::Duration::from_mins(10),
        code: transcript.code(),
        confirmed: false,
    }
}

/// A screen and its terminal.
struct Stage {
    app: App,
    terminal: Terminal<TestBackend>,
    commands: Vec<Command>,
}

impl Stage {
    fn new(width: u16, height: u16) -> Self {
        Self::themed(width, height, Theme::PLAIN)
    }

    fn themed(width: u16, height: u16, theme: Theme) -> Self {
        let app = App::new("alice", theme, Zone::utc());
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut stage = Self { app, terminal, commands: Vec::new() };
        stage.tell(Msg::Resize(width, height));
        stage.tell(Msg::Engine(Event::Connection(Connection::Online(Link::Local))));
        stage
    }

    /// A stage with these rooms, of which the first is open and holds these messages.
    fn with(width: u16, height: u16, rooms: Vec<RoomSummary>, messages: Vec<Message>) -> Self {
        let mut stage = Self::new(width, height);
        let first = rooms.first().map(|room| (room.id, room.name.clone()));
        stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(rooms)));
        stage.line(None);
        if let Some((room, name)) = first {
            let details = Box::new(details(room.as_bytes()[0], &name));
            stage.tell(Msg::Done(Command::LoadRoom(room), Answer::Room(details)));
            stage.newest(room, messages);
        }
        stage.commands.clear();
        stage
    }

    /// Where the unread line of the open room stood.
    fn line(&mut self, row: Option<i64>) {
        if let Some(room) = self.app.open.as_ref().map(|open| open.id) {
            self.tell(Msg::Done(Command::LoadLine(room), Answer::Row(row)));
        }
    }

    fn newest(&mut self, room: RoomId, messages: Vec<Message>) {
        self.tell(Msg::Done(Command::LoadNewest { room, limit: 200 }, Answer::Page(messages)));
    }

    fn tell(&mut self, msg: Msg) {
        self.commands.extend(update(&mut self.app, msg));
    }

    /// Presses keys: words in angle brackets are named keys, everything else is typed.
    fn press(&mut self, keys: &str) -> &mut Self {
        let mut rest = keys;
        while let Some(first) = rest.chars().next() {
            let named = rest.strip_prefix('<').and_then(|tail| tail.split_once('>'));
            let event = if let Some((name, tail)) = named {
                rest = tail;
                key(name)
            } else {
                rest = &rest[first.len_utf8()..];
                KeyEvent::new(KeyCode::Char(first), KeyModifiers::NONE)
            };
            self.tell(Msg::Key(event));
        }
        self
    }

    /// What was asked for since this was asked last, but for notifications and where the unread line is kept.
    fn asked(&mut self) -> Vec<Command> {
        let mut asked = self.all_asked();
        asked.retain(|command| {
            !matches!(
                command,
                Command::KeepLine { .. }
                    | Command::Peek(_)
                    | Command::Rest(_)
                    | Command::Emit(Emission::Notify { .. } | Emission::Bell)
            )
        });
        asked
    }

    /// All of it.
    fn all_asked(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    fn drawn(&mut self) -> String {
        self.terminal.draw(|frame| view(&self.app, frame)).unwrap();
        self.terminal.backend().to_string()
    }

    fn resize(&mut self, width: u16, height: u16) {
        self.terminal.backend_mut().resize(width, height);
        self.tell(Msg::Resize(width, height));
    }
}

fn key(name: &str) -> KeyEvent {
    let (modifiers, name) = match name.split_once('-') {
        Some(("C", name)) => (KeyModifiers::CONTROL, name),
        Some(("A", name)) => (KeyModifiers::ALT, name),
        Some(("S", name)) => (KeyModifiers::SHIFT, name),
        _ => (KeyModifiers::NONE, name),
    };
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "BackTab" => KeyCode::BackTab,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "PgUp" => KeyCode::PageUp,
        "PgDn" => KeyCode::PageDown,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Backspace" => KeyCode::Backspace,
        function if function.len() > 1 && function.starts_with('F') => {
            KeyCode::F(function[1..].parse().unwrap())
        }
        name => KeyCode::Char(name.chars().next().unwrap()),
    };
    KeyEvent::new(code, modifiers)
}
