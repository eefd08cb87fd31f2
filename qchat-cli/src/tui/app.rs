//! The state of the screen: what is drawn, and nothing else.

use std::collections::HashMap;

use qchat_proto::ids::{LinkId, RoomId};
use ratatui::layout::Size;

use super::{composer::Composer, lock::Lock, theme::Theme, timeline::Timeline};
use crate::{
    engine::types::{Connection, LinkRequest, RoomDetails, RoomStatus, RoomSummary},
    zone::Zone,
};

/// Everything that is on the screen.
#[derive(Debug)]
pub struct App {
    /// Who is signed in, fit for the status line.
    pub(super) me: String,
    pub(super) theme: Theme,
    pub(super) zone: Zone,
    pub(super) size: Size,
    /// Whether the terminal's window has the user's attention; where terminals do not tell, it has.
    pub(super) focused: bool,
    pub(super) connection: Connection,
    /// None until they have been read.
    pub(super) rooms: Option<Vec<RoomSummary>>,
    pub(super) open: Option<OpenRoom>,
    pub(super) composer: Composer,
    pub(super) drafts: HashMap<RoomId, String>,
    pub(super) overlay: Overlay,
    pub(super) report: Option<Report>,
    pub(super) loading_rooms: Loading,
    pub(super) loading_link: Loading,
    /// A device that wants to belong to the account.
    pub(super) link: Option<LinkRequest>,
    /// The last link that was answered here, yes or no.
    pub(super) answered: Option<LinkId>,
    /// While nothing is shown until the passphrase is typed.
    pub(super) lock: Option<Lock>,
}

/// The room whose timeline is shown.
#[derive(Debug)]
pub(super) struct OpenRoom {
    pub(super) id: RoomId,
    pub(super) details: Option<RoomDetails>,
    pub(super) timeline: Timeline,
    /// How many messages were unread when it was opened, until the unread line has been placed.
    pub(super) unread_at_opening: Option<u64>,
    /// The newest row when the room was last marked as read.
    pub(super) read_to: Option<i64>,
    pub(super) loading_details: Loading,
    pub(super) loading_newest: Loading,
    pub(super) loading_more: bool,
    /// Whether lines that are loaded have become something else.
    pub(super) reread: bool,
}

/// Whether something is being read, so that a flood of events causes one reading at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Loading {
    #[default]
    Idle,
    Running,
    /// Running, and out of date already.
    Stale,
}

impl Loading {
    /// Asks for a reading. Returns whether it has to be started now.
    pub(super) fn ask(&mut self) -> bool {
        let start = *self == Self::Idle;
        *self = if start { Self::Running } else { Self::Stale };
        start
    }

    /// A reading ended. Returns whether another one is wanted.
    pub(super) fn ended(&mut self) -> bool {
        let again = *self == Self::Stale;
        *self = Self::Idle;
        again
    }
}

/// What lies over the rooms and has the keys.
#[derive(Debug)]
pub(super) enum Overlay {
    None,
    Help { scrolled: usize },
    Prompt { what: Prompt, input: Box<Composer> },
    Question(Question),
}

/// What a prompt asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Prompt {
    RoomName,
    Invitees(RoomId),
}

/// What a question is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    Join(RoomId),
    Decline(RoomId),
    Link(LinkId),
}

/// A sentence above the composer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Report {
    /// Something is under way or done; the next key puts it away.
    Info(String),
    /// Something went wrong; it stays until Esc.
    Trouble(String),
}

impl App {
    /// An empty screen for the account `me`.
    pub fn new(me: impl Into<String>, theme: Theme, zone: Zone) -> Self {
        Self {
            me: me.into(),
            theme,
            zone,
            size: Size::default(),
            focused: true,
            connection: Connection::Connecting,
            rooms: None,
            open: None,
            composer: Composer::new(""),
            drafts: HashMap::new(),
            overlay: Overlay::None,
            report: None,
            loading_rooms: Loading::Idle,
            loading_link: Loading::Idle,
            link: None,
            answered: None,
            lock: None,
        }
    }

    /// Whether nothing is shown until the passphrase is typed.
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    pub(super) fn rooms(&self) -> &[RoomSummary] {
        self.rooms.as_deref().unwrap_or_default()
    }

    pub(super) fn summary(&self, room: RoomId) -> Option<&RoomSummary> {
        self.rooms().iter().find(|summary| summary.id == room)
    }

    /// The list entry of the open room.
    pub(super) fn current(&self) -> Option<&RoomSummary> {
        self.summary(self.open.as_ref()?.id)
    }

    /// Whether a message can be written.
    pub(super) fn can_write(&self) -> bool {
        self.current().is_some_and(|room| room.status == RoomStatus::Joined)
    }

    /// The member of the open room whose identity has changed, if there is one.
    pub(super) fn blocked_by(&self) -> Option<&str> {
        self.current().and_then(|room| room.blocked_by.as_deref())
    }

    /// The device that asks and was not answered here.
    pub(super) fn asking(&self) -> Option<&LinkRequest> {
        self.link.as_ref().filter(|request| self.answered != Some(request.link))
    }

    /// The open room, if it is this one.
    pub(super) fn opened(&mut self, room: RoomId) -> Option<&mut OpenRoom> {
        self.open.as_mut().filter(|open| open.id == room)
    }
}

impl OpenRoom {
    pub(super) fn new(id: RoomId, unread: u64) -> Self {
        Self {
            id,
            details: None,
            timeline: Timeline::new(),
            unread_at_opening: Some(unread),
            read_to: None,
            loading_details: Loading::Idle,
            loading_newest: Loading::Idle,
            reread: false,
            loading_more: false,
        }
    }
}
