//! What has become of a message: a function of the message and of the changes that name it, in the order of the room's
//! log, and of nothing else. Every member that has the same log sees the same. docs/PROTOCOL.md, "Changes of messages".
//!
//! Whoever keeps a log gives [`State::apply`] the changes that stand after the message, each once, by their seq; own ones
//! that are not in the log yet come last.

use std::collections::BTreeMap;

use crate::{
    content::{Body, Emoji, What},
    ids::AccountId,
};

/// So many changes of one message by one account do something; what follows is passed over, save a deletion. Nobody can make
/// a message grow for ever.
pub const MAX_CHANGES: u32 = 128;

/// Who makes a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct By {
    /// The account, proven by the leaf that has signed.
    pub account: AccountId,
    /// Whether it was an admin of the room at that place of the log.
    pub admin: bool,
}

/// What of a message decides which changes it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// A text, or a file: what is said with that is one.
    Text,
    Poll {
        options: u32,
        choices: u32,
    },
    Other,
}

/// What has become of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    author: AccountId,
    form: Form,
    counted: BTreeMap<AccountId, u32>,
    edits: u32,
    edited: Option<Edited>,
    deleted: Option<AccountId>,
    reactions: Vec<Reaction>,
    pinned: Option<AccountId>,
    votes: BTreeMap<AccountId, Vec<u32>>,
    closed: bool,
}

/// What an edit has put in the place of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edited {
    /// The text, as it was sent: not yet fit for a terminal.
    pub text: String,
    /// Whom it speaks to.
    pub mentions: Vec<AccountId>,
}

/// A reaction, and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reaction {
    /// The reaction.
    pub emoji: Emoji,
    /// Whose, in the order in which they reacted; never empty.
    pub accounts: Vec<AccountId>,
}

impl State {
    /// A message that nothing has changed. `author`: whose device sent it.
    pub fn new(author: AccountId, body: &Body) -> Self {
        let form = match body {
            Body::Text(_) | Body::Attachment(_) => Form::Text,
            Body::Poll(poll) => Form::Poll {
                options: u32::try_from(poll.options().len()).unwrap_or(u32::MAX),
                choices: poll.choices(),
            },
            Body::Joined
            | Body::SharedKey(_)
            | Body::Exercise(_)
            | Body::Change(_)
            | Body::Receipt(_)
            | Body::Profile(_)
            | Body::Unknown => Form::Other,
        };
        Self {
            author,
            form,
            counted: BTreeMap::new(),
            edits: 0,
            edited: None,
            deleted: None,
            reactions: vec![],
            pinned: None,
            votes: BTreeMap::new(),
            closed: false,
        }
    }

    /// Makes a change, if who asks for it may make it. `mentions`: those of the change's content. Whether anything is
    /// different now.
    pub fn apply(&mut self, what: &What, mentions: &[AccountId], by: By) -> bool {
        let before = self.counted.get(&by.account).copied().unwrap_or(0);
        if (before >= MAX_CHANGES && *what != What::Delete) || self.allows(what, by).is_err() {
            return false;
        }
        let news = self.make(what, mentions, by);
        if news {
            self.counted.insert(by.account, before.saturating_add(1));
        }
        news
    }

    fn make(&mut self, what: &What, mentions: &[AccountId], by: By) -> bool {
        match what {
            What::Edit(text) => {
                self.edits += 1;
                self.edited = Some(Edited { text: text.clone(), mentions: mentions.to_vec() });
                true
            }
            What::Delete => {
                // Nothing of it is left, and nothing more becomes of it.
                *self = Self { deleted: Some(by.account), ..Self::new(self.author, &Body::Unknown) };
                true
            }
            What::React(emoji) => self.react(emoji, by.account),
            What::Unreact(emoji) => self.take_back(emoji, by.account),
            What::Pin => {
                let news = self.pinned.is_none();
                self.pinned.get_or_insert(by.account);
                news
            }
            What::Unpin => self.pinned.take().is_some(),
            What::Vote(choices) if choices.is_empty() => self.votes.remove(&by.account).is_some(),
            What::Vote(choices) => self.votes.insert(by.account, choices.clone()).as_ref() != Some(choices),
            What::Close => {
                self.closed = true;
                true
            }
        }
    }

    /// Whether somebody may make a change of this message as it is now.
    ///
    /// # Errors
    /// [`NotAllowed`]: why not.
    pub fn allows(&self, what: &What, by: By) -> Result<(), NotAllowed> {
        let author = by.account == self.author;
        if self.deleted.is_some() {
            return Err(NotAllowed::Deleted);
        }
        match (what, self.form) {
            (What::Edit(_), Form::Text) if author => Ok(()),
            (What::Edit(_), Form::Text) => Err(NotAllowed::OthersText),
            (What::Edit(_), Form::Poll { .. } | Form::Other) => Err(NotAllowed::NoText),
            (What::Delete, _) if author || by.admin => Ok(()),
            (What::Delete, _) => Err(NotAllowed::OthersMessage),
            (What::React(_) | What::Unreact(_), _) => Ok(()),
            (What::Pin | What::Unpin, _) if by.admin => Ok(()),
            (What::Pin | What::Unpin, _) => Err(NotAllowed::NoAdmin),
            (What::Vote(_) | What::Close, Form::Text | Form::Other) => Err(NotAllowed::NoPoll),
            (What::Vote(_) | What::Close, Form::Poll { .. }) if self.closed => Err(NotAllowed::Closed),
            (What::Vote(votes), Form::Poll { options, choices }) => {
                let few = u32::try_from(votes.len()).is_ok_and(|votes| votes <= choices);
                if few && votes.iter().all(|&vote| vote < options) {
                    Ok(())
                } else {
                    Err(NotAllowed::NoOption)
                }
            }
            (What::Close, Form::Poll { .. }) if author => Ok(()),
            (What::Close, Form::Poll { .. }) => Err(NotAllowed::OthersPoll),
        }
    }

    fn react(&mut self, emoji: &Emoji, account: AccountId) -> bool {
        match self.reactions.iter_mut().find(|reaction| reaction.emoji == *emoji) {
            Some(reaction) if reaction.accounts.contains(&account) => return false,
            Some(reaction) => reaction.accounts.push(account),
            None => self.reactions.push(Reaction { emoji: emoji.clone(), accounts: vec![account] }),
        }
        true
    }

    fn take_back(&mut self, emoji: &Emoji, account: AccountId) -> bool {
        let Some(reaction) = self.reactions.iter_mut().find(|reaction| reaction.emoji == *emoji) else {
            return false;
        };
        let before = reaction.accounts.len();
        reaction.accounts.retain(|other| *other != account);
        let news = reaction.accounts.len() < before;
        self.reactions.retain(|reaction| !reaction.accounts.is_empty());
        news
    }

    /// Whose message it is.
    pub fn author(&self) -> AccountId {
        self.author
    }

    /// Who has deleted it, if somebody has.
    pub fn deleted_by(&self) -> Option<AccountId> {
        self.deleted
    }

    /// How often it was edited.
    pub fn edits(&self) -> u32 {
        self.edits
    }

    /// What it says since it was edited last.
    pub fn edited(&self) -> Option<&Edited> {
        self.edited.as_ref()
    }

    /// The reactions, by when the first of each kind came.
    pub fn reactions(&self) -> &[Reaction] {
        &self.reactions
    }

    /// Who has pinned it, if it is pinned.
    pub fn pinned_by(&self) -> Option<AccountId> {
        self.pinned
    }

    /// What each account is for.
    pub fn votes(&self) -> &BTreeMap<AccountId, Vec<u32>> {
        &self.votes
    }

    /// Whether the poll takes no more votes.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

/// Somebody may not change a message so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// It is deleted.
    #[error("that message is deleted")]
    Deleted,
    /// Another account's text is not edited.
    #[error("only who wrote a message may edit it")]
    OthersText,
    /// There is nothing to edit.
    #[error("only texts, and what is said with files, can be edited")]
    NoText,
    /// Another account's message is deleted by admins alone.
    #[error("only who wrote a message, or an admin of the room, may delete it for everyone")]
    OthersMessage,
    /// Admins pin.
    #[error("only an admin of the room may pin messages")]
    NoAdmin,
    /// It is no poll.
    #[error("that message is no poll")]
    NoPoll,
    /// It is over.
    #[error("that poll is closed")]
    Closed,
    /// There are not so many options, or not so many may be chosen.
    #[error("the poll does not have these options, or does not let one choose so many")]
    NoOption,
    /// Another account's poll.
    #[error("only who asked a poll's question may close it")]
    OthersPoll,
}
