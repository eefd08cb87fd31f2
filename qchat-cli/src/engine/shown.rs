//! What belongs to a message beside its body, as clients show it: what it answers, what has become of it, and the kinds of
//! body that are more than a text. Every string in it is fit for a line of a terminal, save [`File::caption`].

use std::{fmt::Write as _, time::Duration};

use qchat_proto::ids::{FileId, MessageId, Seq};
use time::OffsetDateTime;

/// What belongs to a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    /// What it answers.
    pub reply_to: Option<Reply>,
    /// How often it was edited.
    pub edits: u32,
    /// The reactions, by when the first of each kind came.
    pub reactions: Vec<Reaction>,
    /// Whom its text speaks to, by name.
    pub mentions: Vec<String>,
    /// Whether that is this account, too.
    pub mentions_me: bool,
    /// Who keeps it in view.
    pub pinned_by: Option<String>,
    /// When this device deletes it.
    pub expires_at: Option<OffsetDateTime>,
    /// Of a message of this account: who has stored it, by name, of those who say so.
    pub delivered_to: Vec<String>,
    /// And who has seen it.
    pub read_by: Vec<String>,
    /// What has just become of it, where changes are shown as they come.
    pub change: Option<ChangeMade>,
}

/// The message that another answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Its id.
    pub id: MessageId,
    /// Whose it is, where it is on this device.
    pub sender: Option<String>,
    /// How it begins; `None` where it is deleted, or not on this device, or of somebody who is blocked.
    pub excerpt: Option<String>,
    /// Whether the user has blocked who wrote it.
    pub blocked: bool,
}

/// A reaction, and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reaction {
    /// The reaction.
    pub emoji: String,
    /// Whose, by name.
    pub by: Vec<String>,
    /// Whether it is one of this account's.
    pub me: bool,
}

/// A change of a message that has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeMade {
    /// Its own id.
    pub id: MessageId,
    /// Its own place in the log.
    pub seq: Option<Seq>,
    /// Whose it is.
    pub by: String,
    /// What it is.
    pub kind: ChangeKind,
}

/// The kinds of changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// Another text.
    Edit,
    /// Deleted for everyone.
    Delete,
    /// A reaction.
    React(String),
    /// A reaction taken back.
    Unreact(String),
    /// Kept in view.
    Pin,
    /// No more.
    Unpin,
    /// A vote.
    Vote,
    /// No more votes.
    Close,
}

impl ChangeKind {
    /// Its name for scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::React(_) => "react",
            Self::Unreact(_) => "unreact",
            Self::Pin => "pin",
            Self::Unpin => "unpin",
            Self::Vote => "vote",
            Self::Close => "close",
        }
    }

    /// The reaction that it is about.
    pub fn emoji(&self) -> Option<&str> {
        match self {
            Self::React(emoji) | Self::Unreact(emoji) => Some(emoji),
            _ => None,
        }
    }
}

/// A poll, with its votes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Poll {
    /// The question.
    pub question: String,
    /// The options.
    pub options: Vec<PollOption>,
    /// How many options one account may be for.
    pub choices: u32,
    /// Whether it takes no more votes.
    pub closed: bool,
}

/// An option of a poll.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PollOption {
    /// What it says.
    pub text: String,
    /// Who is for it, by name.
    pub by: Vec<String>,
    /// Whether this account is.
    pub me: bool,
}

/// A file that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its id at the daemon.
    pub id: FileId,
    /// The name that it would have here.
    pub name: String,
    /// Its size, bytes.
    pub size: u64,
    /// Its media type (`type/subtype`), as the sender says.
    pub media_type: Option<String>,
    /// Whether it was spoken for this conversation.
    pub voice: bool,
    /// How long it plays, where that was said.
    pub duration: Option<Duration>,
    /// Bytes of the small picture of it, where its message has one.
    pub thumbnail: Option<usize>,
    /// What was said with it, as its sender wrote it, or has edited it: like a text not yet fit for a terminal.
    pub caption: String,
}

impl Poll {
    /// The poll in words, a line for each option.
    pub fn words(&self) -> String {
        let mut words = format!("poll: {}", self.question);
        if self.choices > 1 {
            let _ = write!(words, " (up to {})", self.choices);
        }
        for (number, option) in self.options.iter().enumerate() {
            let mark = if option.me { "*" } else { " " };
            // Names before texts: a text may look like anything.
            let _ = write!(words, "\n{mark}{}. ", number + 1);
            if !option.by.is_empty() {
                let _ = write!(words, "({}: {}) ", option.by.len(), option.by.join(", "));
            }
            words.push_str(&option.text);
        }
        if self.closed {
            words.push_str("\n(closed)");
        }
        words
    }
}

impl File {
    /// The file in words: name, size and id, and what was said with it. Not yet fit for a terminal.
    pub fn words(&self) -> String {
        let what = if self.voice { "voice note" } else { "file" };
        let plays = self.duration.map_or_else(String::new, |duration| format!(", {} s", duration.as_secs()));
        let mut words = format!("[{what} {}, {}{plays}, {}]", self.name, size(self.size), self.id);
        if !self.caption.is_empty() {
            words.push(' ');
            words.push_str(&self.caption);
        }
        words
    }
}

/// A size as people read it, in powers of ten.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // In tenths, so that nothing is rounded twice.
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

impl Marks {
    /// What stands before the message, if it answers another.
    pub fn answers(&self) -> Option<String> {
        let reply = self.reply_to.as_ref()?;
        Some(match (&reply.sender, &reply.excerpt) {
            (Some(sender), Some(excerpt)) => format!("↪ {sender}: {excerpt}"),
            (Some(sender), None) if reply.blocked => format!("↪ {sender}: (blocked)"),
            (Some(sender), None) => format!("↪ {sender}: (deleted)"),
            (None, _) => "↪ a message that is not on this device".to_owned(),
        })
    }

    /// What stands behind the text.
    pub fn suffix(&self) -> &'static str {
        if self.edits > 0 { " (edited)" } else { "" }
    }

    /// What stands below the message.
    pub fn notes(&self) -> Option<String> {
        let mut notes = vec![];
        if let Some(by) = &self.pinned_by {
            notes.push(format!("pinned by {by}"));
        }
        notes.extend(
            self.reactions.iter().map(|reaction| format!("{} {}", reaction.emoji, reaction.by.join(", "))),
        );
        (!notes.is_empty()).then(|| format!("[{}]", notes.join("  ")))
    }
}

impl ChangeMade {
    /// What has happened to a message, in words that go before it.
    pub fn words(&self) -> String {
        let by = &self.by;
        match &self.kind {
            ChangeKind::Edit => format!("{by} edited"),
            ChangeKind::Delete => format!("{by} deleted"),
            ChangeKind::React(emoji) => format!("{by} reacted {emoji} to"),
            ChangeKind::Unreact(emoji) => format!("{by} took back {emoji} from"),
            ChangeKind::Pin => format!("{by} pinned"),
            ChangeKind::Unpin => format!("{by} unpinned"),
            ChangeKind::Vote => format!("{by} voted in"),
            ChangeKind::Close => format!("{by} closed"),
        }
    }
}
