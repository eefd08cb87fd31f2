//! What can happen to the screen, and what it can ask for. Both are data: `update` turns one into the other.

use crossterm::event::{KeyEvent, MouseEvent};
use qchat_proto::ids::{LinkId, RoomId, UserName};

use super::lock::Passphrase;
use crate::engine::types::{Event, LinkStatus, Message, RoomDetails, RoomSummary};

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
    /// The terminal's window gained (or lost) the user's attention.
    Focus(bool),
    /// Nobody has pressed a key for so long that the screen is to be locked.
    Idle,
    /// The engine has news.
    Engine(Event),
    /// Engine events were missed: everything has to be read again.
    Lagged,
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
    /// Lines of a timeline, ascending.
    Page(Vec<Message>),
    /// The room that was created.
    Created(RoomId),
    /// Whether a device wants to belong to the account.
    Link(LinkStatus),
}

/// Something for the engine to do; its outcome comes back as [`Msg::Done`] or [`Msg::Failed`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// End the program.
    Quit,
    /// Read the list of rooms.
    LoadRooms,
    /// Read a room's members and state.
    LoadRoom(RoomId),
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
    /// Send a text. Sends are carried out one after the other.
    Send {
        /// The room.
        room: RoomId,
        /// The text.
        text: String,
    },
    /// Everything in the room has been seen.
    MarkRead(RoomId),
    /// Create a room.
    CreateRoom(String),
    /// Invite users.
    Invite {
        /// The room.
        room: RoomId,
        /// Whom.
        users: Vec<UserName>,
    },
    /// Accept an invitation.
    Join(RoomId),
    /// Decline an invitation.
    Decline(RoomId),
    /// Look whether a device wants to belong to the account.
    LoadLink,
    /// Let it in.
    ApproveLink(LinkId),
    /// Refuse it.
    RefuseLink(LinkId),
    /// Try a passphrase, which unlocks the screen.
    Unlock(Passphrase),
}
