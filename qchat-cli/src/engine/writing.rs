//! What people write: texts with what belongs to them, polls, and changes of earlier messages.
//!
//! Each is a message of its own in the outbox, durable when the call returns and shown at once. Whether it is allowed is
//! asked here to tell the user; what counts is the fold over the log (`qchat_proto::conversation`).

use std::num::NonZeroU32;

use qchat_proto::{
    content::{Body, Change, Content, ContentError, Emoji, MessageRef, Poll, What},
    conversation::By,
    ids::{AccountId, MessageId, RoomId},
};

use super::{
    clock,
    error::EngineError,
    files,
    handle::Handle,
    mentions, permission,
    types::{Event, Message},
};
use crate::store::{Delivery, Line, LineBody, Tx};

/// A text to be sent, or what is said with a file, with what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Draft {
    /// The text.
    pub text: String,
    /// The message that it answers.
    pub reply_to: Option<MessageRef>,
    /// After how many seconds every device deletes it.
    pub expires_after: Option<NonZeroU32>,
}

/// What came of the wish to delete a message for everyone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retracted {
    /// It had not left: it is gone, and nobody sees it.
    TakenBack,
    /// The others are asked by this message.
    Asked(MessageId),
}

impl From<ContentError> for EngineError {
    fn from(error: ContentError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl Handle {
    /// Puts a text into the outbox; it is durable when that ends, and sent as soon as there is a connection.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for an empty or too long text, [`EngineError::NotMember`],
    /// [`EngineError::IdentityChanged`] when a member's identity has changed.
    pub async fn send(&self, room: RoomId, text: String) -> Result<MessageId, EngineError> {
        self.send_draft(room, Draft { text, ..Draft::default() }).await
    }

    /// [`Handle::send`], with what belongs to the text. It has its place among what is said when this returns, before it is durable.
    ///
    /// # Errors
    /// As there, and [`EngineError::NoSuchMessage`] when what it answers is not here.
    pub fn send_draft(
        &self,
        room: RoomId,
        draft: Draft,
    ) -> impl Future<Output = Result<MessageId, EngineError>> + Send {
        let content = Content::text(draft.text, clock::millis()).map(|content| Content {
            expires_after: draft.expires_after,
            reply_to: draft.reply_to,
            ..content
        });
        let posting = content.map(|content| self.post(room, content));
        async move { posting?.await }
    }

    /// Asks a question.
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub async fn ask(&self, room: RoomId, poll: Poll) -> Result<MessageId, EngineError> {
        self.post(room, Content::new(Body::Poll(poll), clock::millis())).await
    }

    /// Gives a message of this account another text, or a file another that is said with it.
    ///
    /// # Errors
    /// As [`Handle::send`]; [`EngineError::NoSuchMessage`] or [`EngineError::NotAllowed`].
    pub async fn edit(&self, room: RoomId, of: MessageRef, text: String) -> Result<MessageId, EngineError> {
        let Body::Text(text) = Content::text(text, 0)?.body else {
            return Err(EngineError::Invalid(ContentError::Empty.to_string()));
        };
        self.change(room, of, What::Edit(text)).await
    }

    /// Deletes a message for everyone: one of this account, or any as an admin of the room.
    ///
    /// # Errors
    /// As [`Handle::edit`].
    pub async fn retract(&self, room: RoomId, of: MessageRef) -> Result<Retracted, EngineError> {
        let line = self.expect_message(room, of).await?;
        let file = files::own(&line, self.0.me.account);
        let unsent = match line.delivery {
            Delivery::Sent => false,
            Delivery::Failed => self.delete(room, vec![of.id]).await?.deleted > 0,
            // Acknowledged is not unsent, though the inbox may come to it later.
            Delivery::Pending => self.take_back(room, of.id).await?,
        };
        let retracted = if unsent {
            Retracted::TakenBack
        } else {
            Retracted::Asked(self.change(room, of, What::Delete).await?)
        };
        if let Some(file) = file {
            // Its key goes with the message: what lies at the daemon would count, and be of use to nobody.
            self.forget_there(room, file).await;
        }
        Ok(retracted)
    }

    /// Reacts to a message, or takes that back.
    ///
    /// # Errors
    /// As [`Handle::edit`].
    pub async fn react(
        &self,
        room: RoomId,
        of: MessageRef,
        emoji: Emoji,
        remove: bool,
    ) -> Result<MessageId, EngineError> {
        let what = if remove { What::Unreact(emoji) } else { What::React(emoji) };
        self.change(room, of, what).await
    }

    /// Keeps a message in view, or no more.
    ///
    /// # Errors
    /// As [`Handle::edit`].
    pub async fn pin(&self, room: RoomId, of: MessageRef, remove: bool) -> Result<MessageId, EngineError> {
        if !remove && self.is_kept_by_blocked(room, of).await? {
            // Here it is not kept, and by nobody: so that it is by this user from now on.
            self.change(room, of, What::Unpin).await?;
        }
        self.change(room, of, if remove { What::Unpin } else { What::Pin }).await
    }

    /// Is for these options of a poll, by their places from 0 on, and for none that it was for before.
    ///
    /// # Errors
    /// As [`Handle::edit`].
    pub async fn vote(
        &self,
        room: RoomId,
        of: MessageRef,
        mut choices: Vec<u32>,
    ) -> Result<MessageId, EngineError> {
        choices.sort_unstable();
        choices.dedup();
        self.change(room, of, What::Vote(choices)).await
    }

    /// Lets a poll of this account take no more votes.
    ///
    /// # Errors
    /// As [`Handle::edit`].
    pub async fn close_poll(&self, room: RoomId, of: MessageRef) -> Result<MessageId, EngineError> {
        self.change(room, of, What::Close).await
    }

    /// The message of a room whose id begins with these hexadecimal digits.
    ///
    /// # Errors
    /// [`EngineError::NoSuchMessage`] or [`EngineError::AmbiguousMessage`].
    pub async fn find_message(&self, room: RoomId, prefix: &str) -> Result<MessageRef, EngineError> {
        let digits = prefix.to_ascii_lowercase();
        let found = self.0.profile.read_async(move |tx| tx.messages_by_prefix(room, &digits)).await?;
        match found[..] {
            [] => Err(EngineError::NoSuchMessage(prefix.to_owned())),
            [only] => Ok(only),
            _ => Err(EngineError::AmbiguousMessage(prefix.to_owned())),
        }
    }

    /// A message as it is shown now.
    ///
    /// # Errors
    /// [`EngineError::NoSuchMessage`].
    pub async fn message(&self, room: RoomId, of: MessageRef) -> Result<Message, EngineError> {
        let lines = self.lines(move |tx| Ok(tx.message(room, of)?.into_iter().collect())).await?;
        lines.into_iter().next().ok_or_else(|| EngineError::NoSuchMessage(of.id.to_string()))
    }

    /// Says so when this account may not delete a message for everyone.
    ///
    /// # Errors
    /// [`EngineError::NoSuchMessage`] or [`EngineError::NotAllowed`].
    pub async fn expect_deletable(&self, room: RoomId, of: MessageRef) -> Result<(), EngineError> {
        let me = self.0.me.account;
        self.0.profile.read_async(move |tx| expect_allowed(tx, me, (room, of), &What::Delete)).await
    }

    /// A message that is here.
    pub(super) async fn expect_message(&self, room: RoomId, of: MessageRef) -> Result<Line, EngineError> {
        self.0.profile.read_async(move |tx| expect_message(tx, room, of)).await
    }

    fn post(
        &self,
        room: RoomId,
        mut content: Content,
    ) -> impl Future<Output = Result<MessageId, EngineError>> + Send {
        let me = self.0.me.account;
        let saying = self.0.steps.say(room, move |tx| {
            permission::may_speak(tx, me, room)?;
            if let Some(of) = content.reply_to {
                expect_message(tx, room, of)?;
            }
            if let Body::Text(text) = &content.body {
                content.mentions = mentions::of(tx, room, text)?;
            }
            Ok(content)
        });
        async move {
            let id = saying.await?;
            self.tell(Event::Timeline(room));
            self.wrote(room).await;
            Ok(id)
        }
    }

    async fn change(&self, room: RoomId, of: MessageRef, what: What) -> Result<MessageId, EngineError> {
        let me = self.0.me.account;
        let id = self.0.steps.say(room, move |tx| {
            permission::may_speak(tx, me, room)?;
            expect_allowed(tx, me, (room, of), &what)?;
            let mentions = match &what {
                What::Edit(text) => mentions::of(tx, room, text)?,
                _ => vec![],
            };
            let body = Body::Change(Change { target: of, what });
            Ok(Content { mentions, ..Content::new(body, clock::millis()) })
        });
        let id = id.await?;
        self.tell(Event::Changed(room));
        self.tell(Event::Timeline(room));
        self.wrote(room).await;
        Ok(id)
    }

    /// Whether a message is pinned by somebody of whom nothing is shown.
    async fn is_kept_by_blocked(&self, room: RoomId, of: MessageRef) -> Result<bool, EngineError> {
        let blocked = self.0.profile.read_async(move |tx: &mut Tx| {
            let line = tx.message(room, of)?;
            let by = line.and_then(|line| match line.body {
                LineBody::Message { state, .. } => state.pinned_by(),
                _ => None,
            });
            by.map_or(Ok(false), |by| tx.is_blocked(by))
        });
        Ok(blocked.await?)
    }
}

fn expect_message(tx: &mut Tx, room: RoomId, of: MessageRef) -> Result<Line, EngineError> {
    tx.message(room, of)?.ok_or_else(|| EngineError::NoSuchMessage(of.id.to_string()))
}

/// Says so when an account may not change a message like that.
fn expect_allowed(
    tx: &mut Tx,
    account: AccountId,
    (room, of): (RoomId, MessageRef),
    what: &What,
) -> Result<(), EngineError> {
    let LineBody::Message { state, .. } = expect_message(tx, room, of)?.body else {
        return Err(EngineError::NoSuchMessage(of.id.to_string()));
    };
    Ok(state.allows(what, By { account, admin: tx.is_own_admin(room)? })?)
}
