//! What can happen to the screen, and what it can ask for. Both are data: `update` turns one into the other.

use std::path::PathBuf;

use crossterm::event::{KeyEvent, MouseEvent};
use qchat_proto::{
    content::{MessageRef, Poll},
    ids::{DeviceId, LinkId, MessageId, RoomId, UserName},
    invite::Link,
};

use super::{
    emit::Emission,
    graphics::{CellSize, Encoded, Shape},
    hidden::Passphrase,
    keymap::{Keymap, Preset},
    panels::report,
    pixels::Pixels,
    prefs::Change,
};
use crate::engine::{
    Admission, Hits, MemberDevice, Presence, QuantumOverview, Unsent,
    types::{Event, LinkStatus, Message, OwnDevice, RoomDetails, RoomSummary, Trusted},
};

/// Something happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted, all at once.
    Paste(String),
    /// The mouse moved, clicked or scrolled.
    Mouse(MouseEvent),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// A cell of the terminal has this many pixels now, where it says so.
    Cell(Option<CellSize>),
    /// The terminal's window gained (or lost) the user's attention.
    Focus(bool),
    /// Nobody has pressed a key for so long that the screen is to be locked.
    Idle,
    /// Nobody has pressed a key for a moment.
    Pause,
    /// The program is to stop, and to give the terminal back meanwhile.
    Suspend,
    /// Nobody would let it go on.
    Unstoppable,
    /// The program is to end: it was told so by a signal, or its terminal is gone.
    End,
    /// The engine has news.
    Engine(Event),
    /// Engine events were missed: everything has to be read again.
    Lagged,
    /// How far a command is.
    Progress(Command, u64, u64),
    /// A picture that is on its way, small.
    Glimpse(Command, Pixels),
    /// A command is done.
    Done(Command, Answer),
    /// A command failed; the words say why and what to do.
    Failed(Command, String),
}

/// What a command brought.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// Nothing but success.
    Nothing,
    /// The rooms.
    Rooms(Vec<RoomSummary>),
    /// A room.
    Room(Box<RoomDetails>),
    /// Devices in a room's group.
    Roster(Vec<MemberDevice>),
    /// The keys in force, after a setting was changed.
    Keymap(Box<Keymap>),
    /// Lines of a timeline, ascending.
    Page(Vec<Message>),
    /// The room that was created, or that a conversation with somebody is.
    Created(RoomId),
    /// An invite link.
    Invite(Box<Link>),
    /// How far somebody is who asked by a link.
    Asked(Admission),
    /// Whether a device wants to belong to the account.
    Link(LinkStatus),
    /// A row of a timeline, if there is one.
    Row(Option<i64>),
    /// What is begun in rooms.
    Drafts(Vec<(RoomId, String)>),
    /// Whom this account knows.
    People(Vec<Trusted>),
    /// Messages that were found.
    Found(Hits),
    /// What is to be compared with somebody.
    Safety(Box<report::Safety>),
    /// Somebody's changed identity, unless there is none any more.
    Change(Option<Box<report::Change>>),
    /// The account's devices.
    Devices(Vec<OwnDevice>),
    /// The account's keys and backups.
    Keys(Box<report::Keys>),
    /// What the daemon has noted about the account, newest first.
    Log(Vec<report::LogEntry>),
    /// Quantum jobs and the pool.
    Quantum(Box<QuantumOverview>),
    /// The connection.
    Latency(report::Latency),
    /// What is not sent yet.
    Unsent(Vec<Unsent>),
    /// Who is there, by their own word.
    Presences(Vec<Presence>),
    /// Who writes in a room.
    Writers(Vec<UserName>),
    /// Where a file is.
    Path(PathBuf),
    /// A picture.
    Picture(Pixels),
    /// A picture as the terminal draws it.
    Encoded(Encoded),
    /// What somebody has written in their editor; `None` when nothing was changed.
    Written(Option<String>),
}

/// Something for the engine to do; its outcome comes back as [`Msg::Done`] or [`Msg::Failed`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// End the program.
    Quit,
    /// Stop, and give the terminal back until the shell lets the program go on.
    Suspend,
    /// Write something to the terminal that is not drawn.
    Emit(Emission),
    /// Have the desktop show a notification.
    Notify {
        /// What it is about.
        title: String,
        /// What it says.
        body: String,
    },
    /// Give the terminal to the user's editor, with this text.
    Edit(String),
    /// Read the list of rooms.
    LoadRooms,
    /// Read a room's members and state.
    LoadRoom(RoomId),
    /// Read which devices are in a room's group.
    LoadRoster(RoomId),
    /// Read a room's newest lines.
    LoadNewest {
        /// The room.
        room: RoomId,
        /// How many lines at most.
        limit: usize,
    },
    /// Read lines before a row.
    LoadOlder {
        /// The room.
        room: RoomId,
        /// The first row known.
        before: i64,
    },
    /// Read lines after a row.
    LoadNewer {
        /// The room.
        room: RoomId,
        /// The last row known.
        after: i64,
    },
    /// Read lines on both sides of a row, with it.
    LoadAround {
        /// The room.
        room: RoomId,
        /// The row.
        row: i64,
    },
    /// Find the row of a message.
    Locate {
        /// The room.
        room: RoomId,
        /// The message.
        id: MessageId,
    },
    /// Read the newest line of a room, to tell of it.
    Peek(RoomId),
    /// Let some time pass before the next notification of this room.
    Rest(RoomId),
    /// Read where a room's unread line stood.
    LoadLine(RoomId),
    /// Keep where it stands.
    KeepLine {
        /// The room.
        room: RoomId,
        /// The row below it.
        row: Option<i64>,
    },
    /// Read what is begun in rooms.
    LoadDrafts,
    /// Keep what is begun in a room.
    KeepDraft {
        /// The room.
        room: RoomId,
        /// What is begun.
        text: String,
    },
    /// Read whom this account knows.
    LoadPeople,
    /// Send a text. Sends are carried out one after the other.
    Send {
        /// The room.
        room: RoomId,
        /// The text.
        text: String,
        /// What it answers.
        reply_to: Option<MessageRef>,
    },
    /// Give a message another text.
    Rewrite {
        /// The room.
        room: RoomId,
        /// The message.
        of: MessageRef,
        /// The text.
        text: String,
    },
    /// Delete a message for everyone.
    Retract(RoomId, MessageRef),
    /// Give up a message that waits.
    TakeBack(RoomId, MessageRef),
    /// Open a file with the desktop's program for its kind.
    ShowFile(PathBuf),
    /// Delete a message from this device.
    DeleteHere(RoomId, MessageId),
    /// React, or take that back.
    React {
        /// The room.
        room: RoomId,
        /// The message.
        of: MessageRef,
        /// With what.
        emoji: String,
        /// Whether it is taken back.
        remove: bool,
    },
    /// Keep a message in view, or no more.
    Pin {
        /// The room.
        room: RoomId,
        /// The message.
        of: MessageRef,
        /// Whether no more.
        remove: bool,
    },
    /// Vote.
    Vote {
        /// The room.
        room: RoomId,
        /// The poll.
        of: MessageRef,
        /// For these, from 0 on.
        choices: Vec<u32>,
    },
    /// Let a poll take no more votes.
    ClosePoll(RoomId, MessageRef),
    /// Ask a question.
    Ask(RoomId, Poll),
    /// Send a file.
    SendFile {
        /// The room.
        room: RoomId,
        /// The file.
        path: PathBuf,
    },
    /// Get a file.
    SaveFile {
        /// The room.
        room: RoomId,
        /// Its message.
        message: MessageId,
        /// Its name, to tell of it.
        name: String,
        /// Whether it is opened then.
        open: bool,
    },
    /// Get a picture to be looked at, which is not put anywhere.
    LookAt {
        /// The room.
        room: RoomId,
        /// Its message.
        message: MessageId,
    },
    /// Play a sound, until it is over.
    Play {
        /// The room.
        room: RoomId,
        /// Its message.
        message: MessageId,
    },
    /// Make a picture into what the terminal draws.
    Encode(Pixels, Shape),
    /// Give up a command that is under way; it has no outcome then.
    GiveUp(Box<Command>),
    /// Everything in the room has been seen.
    MarkRead(RoomId),
    /// Create a room.
    CreateRoom(String),
    /// Find or begin the conversation with somebody.
    Direct(UserName),
    /// Invite users.
    Invite {
        /// The room.
        room: RoomId,
        /// Whom.
        users: Vec<UserName>,
    },
    /// Make an invite link to a room.
    MakeLink(RoomId),
    /// Ask by an invite link to be let in.
    JoinByLink(Box<Link>),
    /// Let somebody in who asks for it.
    LetIn(RoomId, UserName),
    /// Remove somebody from a room.
    Remove(RoomId, UserName),
    /// Give a room another name.
    Rename(RoomId, String),
    /// Say what a room is about.
    SetTopic(RoomId, String),
    /// Leave a room.
    Leave(RoomId),
    /// Accept an invitation.
    Join(RoomId),
    /// Decline an invitation.
    Decline(RoomId),
    /// Find messages, those after the first `offset`.
    Search {
        /// What was typed.
        query: String,
        /// How many are known.
        offset: usize,
    },
    /// Read what is to be compared with somebody.
    Compare(UserName),
    /// Note that it is the same number.
    MarkVerified(UserName, String),
    /// Take that back.
    Unverify(UserName),
    /// Read what is known of somebody's changed identity.
    LookAtChange(UserName),
    /// Accept it, if the fingerprint of its key is still this one.
    AcceptIdentity(UserName, String),
    /// Read the account's devices.
    LoadDevices,
    /// Take a device out of the account.
    Revoke(DeviceId),
    /// Read the account's keys and backups.
    LoadKeys,
    /// Give this device fresh keys in a room.
    UpdateKeys(RoomId),
    /// Read what the daemon has noted about the account.
    LoadLog,
    /// Read quantum jobs and the pool.
    LoadQuantum,
    /// Start a quantum job on this machine's simulator: `qrng`, `chsh` or `bb84`.
    StartQuantum(&'static str),
    /// Cancel a quantum job.
    CancelQuantum(String),
    /// Measure how long the daemon takes to answer.
    Ping,
    /// Read what is not sent yet.
    LoadUnsent,
    /// Give up something that is not sent yet.
    DropUnsent(Box<Unsent>),
    /// Read who is there.
    LoadPresence,
    /// Read who writes in a room.
    LoadWriters(RoomId),
    /// Tell the members of a room that something is written here, or is not any more.
    TellWriting {
        /// The room.
        room: RoomId,
        /// Whether something is.
        writing: bool,
    },
    /// Show others that somebody sits before the screen, or that nobody does.
    Appear(bool),
    /// Write a setting into the configuration file; the keys go on from this keymap, which may be named elsewhere.
    SaveSetting(Change, Preset),
    /// Look whether a device wants to belong to the account.
    LoadLink,
    /// Let it in.
    ApproveLink(LinkId),
    /// Refuse it.
    RefuseLink(LinkId),
    /// Try a passphrase, which unlocks the screen.
    Unlock(Passphrase),
}
