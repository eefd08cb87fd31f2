//! The state of the screen: what is drawn, and nothing else.

use std::collections::HashMap;

use qchat_proto::{
    content::MessageRef,
    ids::{AccountId, DeviceId, LinkId, MessageId, RoomId, Seq, UserName},
};
use ratatui::layout::Size;

use super::{
    complete::Completion,
    composer::Composer,
    graphics::{CellSize, Means},
    keymap::Keymap,
    lock::Lock,
    msg::Command,
    panels::Panel,
    picker::Picker,
    picture::{Looking, Picture},
    prefs::Prefs,
    preview::Form,
    search::SearchBox,
    theme::{Ambience, Theme},
    timeline::Timeline,
    transfers::Transfers,
    words::{Locale, Words},
};
use crate::{
    engine::{
        MemberDevice, Presence, Unsent,
        types::{Connection, LinkRequest, RoomDetails, RoomStatus, RoomSummary, Trusted},
    },
    zone::Zone,
};

/// Everything that is on the screen.
#[derive(Debug)]
pub struct App {
    /// Who is signed in, fit for the status line.
    pub(super) me: String,
    pub(super) theme: Theme,
    /// What plays a sound, while it does.
    pub(super) playing: Option<Command>,
    pub(super) ambience: Ambience,
    /// What the environment says of the language.
    locale: Locale,
    /// In the language that its user reads.
    pub(super) words: Words,
    pub(super) keymap: Keymap,
    pub(super) prefs: Prefs,
    pub(super) zone: Zone,
    pub(super) size: Size,
    /// How many pixels a cell has, where the terminal says so.
    pub(super) cell: Option<CellSize>,
    /// Whether the terminal's window has the user's attention; where terminals do not tell, it has.
    pub(super) focused: bool,
    /// Whether anybody has pressed a key since the screen opened: what comes before that nobody has seen for certain.
    pub(super) touched: bool,
    /// What the keys go to while nothing lies over the rooms.
    pub(super) focus: Focus,
    pub(super) connection: Connection,
    /// How often the connection was lost since the screen opened.
    pub(super) losses: u32,
    /// Why the desktop does not show what it was to show.
    pub(super) no_desktop: Option<String>,
    /// The rooms whose messages were told of a moment ago, and whether more has come there since.
    pub(super) told: HashMap<RoomId, bool>,
    /// None until they have been read.
    pub(super) rooms: Option<Vec<RoomSummary>>,
    /// What narrows the list of rooms down.
    pub(super) filter: Option<Filter>,
    pub(super) people: Vec<Trusted>,
    /// Whether they are there, by their own word.
    pub(super) present: HashMap<AccountId, Presence>,
    pub(super) loading_present: Loading,
    /// The room whose members were told that something is written there, and after how many changes of the text ago.
    pub(super) told_writing: Option<(RoomId, u32)>,
    pub(super) open: Option<OpenRoom>,
    pub(super) composer: Composer,
    pub(super) writing: Writing,
    pub(super) completion: Option<Completion>,
    /// What was sent, by room.
    pub(super) history: HashMap<RoomId, History>,
    /// What is begun in other rooms than the open one.
    pub(super) drafts: HashMap<RoomId, String>,
    /// What was being answered or edited in other rooms, and what was written of it.
    pub(super) put_off: HashMap<RoomId, (Writing, String)>,
    /// What the engine keeps as the draft of the open room.
    pub(super) kept_draft: Option<(RoomId, String)>,
    /// A paste of several lines that was not agreed to yet.
    pub(super) pasted: Option<String>,
    /// What is said of who will be able to read what is written.
    pub(super) preview: Form,
    pub(super) overlay: Overlay,
    /// The panel that a question came from, and goes back to.
    pub(super) under: Option<Box<Panel>>,
    pub(super) report: Option<Report>,
    pub(super) loading_rooms: Loading,
    pub(super) loading_link: Loading,
    /// A device that wants to belong to the account.
    pub(super) link: Option<LinkRequest>,
    /// The last link that was answered here, yes or no.
    pub(super) answered: Option<LinkId>,
    pub(super) transfers: Transfers,
    pub(super) unsent: Vec<Unsent>,
    /// While nothing is shown until the passphrase is typed.
    pub(super) lock: Option<Lock>,
}

/// What the keys go to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Focus {
    /// The text that is written.
    #[default]
    Composer,
    /// A message that is chosen.
    Timeline,
}

/// What the text that is written becomes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Writing {
    /// A message.
    #[default]
    New,
    /// An answer.
    Reply {
        /// To this message,
        of: MessageRef,
        /// of whom,
        to: String,
        /// which begins so.
        excerpt: String,
    },
    /// Another text of a message.
    Edit {
        /// Of this one.
        of: MessageRef,
        /// What was being written before.
        before: String,
    },
}

/// What narrows the list of rooms down.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) input: Composer,
    /// Which of those left is chosen.
    pub(super) at: usize,
}

/// What was sent from here, to be sent again.
#[derive(Debug, Default)]
pub(super) struct History {
    sent: Vec<String>,
    /// Where one is, and what was being written before.
    at: Option<(usize, String)>,
}

/// Most messages that are remembered for sending again.
const REMEMBERED: usize = 100;

impl History {
    pub(super) fn push(&mut self, text: &str) {
        self.at = None;
        if self.sent.last().is_some_and(|last| last == text) {
            return;
        }
        if self.sent.len() == REMEMBERED {
            self.sent.remove(0);
        }
        self.sent.push(text.to_owned());
    }

    /// What was recalled and then changed is being written.
    fn begin_anew_unless(&mut self, now: &str) {
        if self.at.as_ref().is_some_and(|(place, _)| self.sent.get(*place).is_none_or(|sent| sent != now)) {
            self.at = None;
        }
    }

    /// The text before this one.
    pub(super) fn older(&mut self, now: &str) -> Option<&str> {
        self.begin_anew_unless(now);
        let place = match &self.at {
            None => self.sent.len().checked_sub(1)?,
            Some((place, _)) => place.checked_sub(1)?,
        };
        match &mut self.at {
            Some((at, _)) => *at = place,
            none => *none = Some((place, now.to_owned())),
        }
        self.sent.get(place).map(String::as_str)
    }

    /// The text after this one; at last what was being written.
    pub(super) fn newer(&mut self, now: &str) -> Option<String> {
        self.begin_anew_unless(now);
        let (place, before) = self.at.as_mut()?;
        *place += 1;
        if let Some(text) = self.sent.get(*place) {
            return Some(text.clone());
        }
        let before = std::mem::take(before);
        self.at = None;
        Some(before)
    }
}

/// The room whose timeline is shown.
#[derive(Debug)]
pub(super) struct OpenRoom {
    pub(super) id: RoomId,
    pub(super) details: Option<RoomDetails>,
    /// The devices in its group, where they have been asked for.
    pub(super) roster: Vec<MemberDevice>,
    pub(super) timeline: Timeline,
    /// Who writes something there.
    pub(super) writers: Vec<UserName>,
    /// How many messages were unread when it was opened, and up to where was read, until the unread line has been placed.
    pub(super) unread_at_opening: Option<(u64, Option<Seq>)>,
    /// Where the unread line stood when the room was last shown, once that is known.
    #[expect(clippy::option_option, reason = "not known yet, nowhere, or above a row")]
    pub(super) line: Option<Option<i64>>,
    /// The newest row when the room was last read, and whether the engine was told.
    pub(super) read_to: Option<(i64, bool)>,
    pub(super) loading_details: Loading,
    pub(super) loading_newest: Loading,
    pub(super) loading_more: bool,
    /// Whether lines that are loaded have become something else.
    pub(super) reread: bool,
    /// Whether lines that are loaded may be gone.
    pub(super) purged: bool,
    /// The message to choose once the lines around it are loaded.
    pub(super) going_to: Option<i64>,
    /// The message whose row is looked for, to go there.
    pub(super) looking_for: Option<MessageId>,
    /// Where one came from, by jumping to what was answered.
    pub(super) came_from: Vec<i64>,
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
    Picker(Box<Picker>),
    Search(Box<SearchBox>),
    Panel(Box<Panel>),
    Picture(Box<Picture>),
}

/// What a prompt asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Prompt {
    RoomName,
    Invitees(RoomId),
    Link,
    Applicant(RoomId),
    NewName(RoomId),
    Topic(RoomId),
    Person,
    File(RoomId),
    Poll(RoomId),
}

/// What a question is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Question {
    Join(RoomId),
    Decline(RoomId),
    Link(LinkId),
    Leave(RoomId),
    DeleteHere(RoomId, MessageId),
    Retract(RoomId, MessageRef),
    /// To put several lines into the text.
    Paste,
    /// That the numbers are the same.
    Same(UserName, String),
    Unverify(UserName),
    /// The identity that was shown: the fingerprint of its key.
    AcceptIdentity(UserName, String),
    Remove(RoomId, UserName, AccountId),
    Revoke(DeviceId, String),
}

/// A sentence above the composer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Report {
    /// Something is under way or done; the next key puts it away.
    Info(String),
    /// Something went wrong; it stays until Esc.
    Trouble(String),
}

#[expect(clippy::unnecessary_wraps, reason = "what is reported may be nothing")]
impl Report {
    pub(super) fn info(words: impl Into<String>) -> Option<Self> {
        Some(Self::Info(words.into()))
    }

    pub(super) fn trouble(words: impl Into<String>) -> Option<Self> {
        Some(Self::Trouble(words.into()))
    }
}

impl App {
    /// An empty screen for the account `me`.
    pub fn new(me: impl Into<String>, theme: Theme, zone: Zone) -> Self {
        Self {
            me: me.into(),
            theme,
            ambience: Ambience::default(),
            locale: Locale::default(),
            words: Words::default(),
            keymap: Keymap::default(),
            prefs: Prefs::default(),
            zone,
            size: Size::default(),
            cell: None,
            playing: None,
            focused: true,
            touched: false,
            focus: Focus::default(),
            connection: Connection::Connecting,
            losses: 0,
            no_desktop: None,
            told: HashMap::new(),
            rooms: None,
            filter: None,
            people: Vec::new(),
            present: HashMap::new(),
            loading_present: Loading::Idle,
            told_writing: None,
            open: None,
            composer: Composer::new(""),
            writing: Writing::New,
            completion: None,
            history: HashMap::new(),
            drafts: HashMap::new(),
            put_off: HashMap::new(),
            kept_draft: None,
            pasted: None,
            preview: Form::Hidden,
            overlay: Overlay::None,
            under: None,
            report: None,
            loading_rooms: Loading::Idle,
            loading_link: Loading::Idle,
            link: None,
            answered: None,
            transfers: Transfers::default(),
            unsent: Vec::new(),
            lock: None,
        }
    }

    /// The same, with the user's own keys and settings, in their terminal.
    #[must_use]
    pub fn with(mut self, keymap: Keymap, prefs: Prefs, ambience: Ambience) -> Self {
        (self.keymap, self.prefs, self.ambience) = (keymap, prefs, ambience);
        self.speak();
        self
    }

    /// The same, in the language of these settings; of the environment, where they name none.
    #[must_use]
    pub fn speaking(mut self, locale: Locale) -> Self {
        self.locale = locale;
        self.speak();
        self
    }

    /// Speaks the language that is set by now.
    pub(super) fn speak(&mut self) {
        self.words = Words::of(self.prefs.language, &self.locale);
    }

    /// Whether nothing is shown until the passphrase is typed.
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// Whether something lies over the timeline, so that nobody sees what comes there.
    pub(super) fn is_covered(&self) -> bool {
        self.is_locked()
            || matches!(
                self.overlay,
                Overlay::Help { .. } | Overlay::Search(_) | Overlay::Panel(_) | Overlay::Picture(_)
            )
    }

    /// What pictures are drawn with.
    pub(super) fn means(&self) -> Means {
        self.ambience.means(self.prefs.graphics, self.cell)
    }

    /// What fetches the picture that is to be looked at, while it is on its way.
    pub(super) fn fetches(&self) -> Option<&Command> {
        match &self.overlay {
            Overlay::Picture(picture) if matches!(picture.state, Looking::Coming(..)) => {
                Some(&picture.command)
            }
            _ => None,
        }
    }

    pub(super) fn rooms(&self) -> &[RoomSummary] {
        self.rooms.as_deref().unwrap_or_default()
    }

    /// The rooms that the list shows: those that the filter leaves.
    pub(super) fn listed(&self) -> Vec<&RoomSummary> {
        let wanted =
            self.filter.as_ref().map(|filter| filter.input.text().to_lowercase()).unwrap_or_default();
        let left = |room: &&RoomSummary| {
            wanted.split_whitespace().all(|word| room.name.to_lowercase().contains(word))
        };
        self.rooms().iter().filter(left).collect()
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

    /// What is begun in the open room: not what is being edited.
    pub(super) fn draft(&self) -> String {
        match &self.writing {
            Writing::New | Writing::Reply { .. } => self.composer.text(),
            Writing::Edit { before, .. } => before.clone(),
        }
    }
}

impl OpenRoom {
    pub(super) fn new(id: RoomId, unread: (u64, Option<Seq>)) -> Self {
        Self {
            id,
            details: None,
            roster: Vec::new(),
            timeline: Timeline::new(),
            writers: Vec::new(),
            unread_at_opening: Some(unread),
            line: None,
            read_to: None,
            loading_details: Loading::Idle,
            loading_newest: Loading::Idle,
            reread: false,
            purged: false,
            loading_more: false,
            going_to: None,
            looking_for: None,
            came_from: Vec::new(),
        }
    }
}
