//! What is not sent yet: drafts, messages that are to be sent at a time, and what waits in the outbox.

use qchat_proto::{
    content::{self, Content, What},
    ids::{MessageId, RoomId},
    sanitize,
    session::ledger::{Phase, Want},
};
use time::OffsetDateTime;

use super::{
    clock,
    error::EngineError,
    handle::{Handle, Inner},
    steps::Due,
    tidy,
    types::Event,
    writing::Draft,
};
use crate::store::{Scheduled, StoreError, Tx, WaitingState};

/// Longest excerpt of what waits, characters.
const EXCERPT: usize = 80;

/// Something that is not sent yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsent {
    /// Its id.
    pub id: MessageId,
    /// Where.
    pub room: RoomId,
    /// What it is, as a word: `text`, `edit`, `delete`, `reaction`, `pin`, `vote`, `poll`, `file`, `receipt`, `change of the group`
    /// and so on.
    pub kind: &'static str,
    /// How it begins, fit for a line of a terminal.
    pub excerpt: Option<String>,
    /// How far it has come.
    pub state: UnsentState,
}

/// How far something has come that is not sent yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnsentState {
    /// It is sent at this time.
    Scheduled(OffsetDateTime),
    /// It waits for a connection, or its turn.
    Waiting,
    /// It has left, or may have, and the server has not acknowledged it.
    OnItsWay,
    /// It can never be sent.
    Failed,
}

/// What a content is, and how it begins.
fn describe(content: &[u8]) -> (&'static str, Option<String>) {
    let excerpt = |text: &str| Some(sanitize::name(text, EXCERPT));
    let Ok(content) = Content::decode(content) else { return ("unknown", None) };
    match content.body {
        content::Body::Text(text) => ("text", excerpt(&text)),
        content::Body::Poll(poll) => ("poll", excerpt(poll.question())),
        content::Body::Attachment(file) => ("file", excerpt(&file.safe_name())),
        content::Body::Receipt(_) => ("receipt", None),
        content::Body::Profile(_) => ("profile", None),
        content::Body::Joined => ("joined", None),
        content::Body::SharedKey(_) => ("key", None),
        content::Body::Exercise(_) => ("exercise", None),
        content::Body::Unknown => ("unknown", None),
        content::Body::Change(change) => match change.what {
            What::Edit(text) => ("edit", excerpt(&text)),
            What::Delete => ("delete", None),
            What::React(emoji) | What::Unreact(emoji) => ("reaction", excerpt(emoji.as_str())),
            What::Pin | What::Unpin => ("pin", None),
            What::Vote(_) => ("vote", None),
            What::Close => ("close", None),
        },
    }
}

impl Handle {
    /// What somebody has begun to write in a room.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn draft(&self, room: RoomId) -> Result<Option<String>, EngineError> {
        Ok(self.0.profile.read_async(move |tx| tx.draft(room)).await?)
    }

    /// All that somebody has begun to write, by room.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn drafts(&self) -> Result<Vec<(RoomId, String)>, EngineError> {
        Ok(self.0.profile.read_async(Tx::drafts).await?)
    }

    /// Keeps what somebody has begun to write in a room, in the place of what was there; an empty text forgets that.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a text that is too long; when the profile cannot be written.
    pub async fn keep_draft(&self, room: RoomId, text: String) -> Result<(), EngineError> {
        if text.len() > content::MAX_TEXT {
            return Err(content::ContentError::TextTooLong(text.len()).into());
        }
        self.0.profile.write_async(move |tx| tx.put_draft(room, &text)).await?;
        tidy::now(&self.0.profile).await;
        Ok(())
    }

    /// Keeps a text until a time, and sends it then, if an engine of this profile runs, or when the next one starts. Its id until
    /// then.
    ///
    /// # Errors
    /// As [`Handle::send_draft`].
    pub async fn schedule(
        &self,
        room: RoomId,
        draft: Draft,
        at: OffsetDateTime,
    ) -> Result<MessageId, EngineError> {
        let mut content = Content::text(draft.text, clock::millis())?;
        content.expires_after = draft.expires_after;
        content.reply_to = draft.reply_to;
        self.may_speak(room).await?;
        let id = MessageId::random(self.0.steps.device.latest().entropy())
            .map_err(|error| EngineError::Keys(error.to_string()))?;
        let at_ms = i64::try_from(at.unix_timestamp_nanos() / 1_000_000)
            .map_err(|_| EngineError::Invalid("that time cannot be".to_owned()))?;
        let message = Scheduled { id, room, at_ms, content: content.encode() };
        self.0.profile.write_async(move |tx| tx.put_scheduled(&message)).await?;
        Ok(id)
    }

    /// What is not sent yet, in all rooms or in one: what waits, in the order in which it is sent, what is to be sent at a
    /// time, and what can never be sent.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn unsent(&self, only: Option<RoomId>) -> Result<Vec<Unsent>, EngineError> {
        let found = self.0.profile.read_async(move |tx: &mut Tx| {
            let mut unsent = vec![];
            let wanted = |room: RoomId| only.is_none_or(|only| only == room);
            for room in tx.outbox_rooms()?.into_iter().filter(|room| wanted(*room)) {
                for waiting in tx.waiting(room)? {
                    let (kind, excerpt) =
                        waiting.content.as_deref().map_or(("change of the group", None), describe);
                    let state = match waiting.state {
                        WaitingState::Waiting => UnsentState::Waiting,
                        WaitingState::OnItsWay => UnsentState::OnItsWay,
                    };
                    unsent.push(Unsent { id: waiting.id, room, kind, excerpt, state });
                }
            }
            for message in tx.scheduled(None)?.into_iter().filter(|message| wanted(message.room)) {
                let (kind, excerpt) = describe(&message.content);
                let state = UnsentState::Scheduled(clock::from_millis(message.at_ms));
                unsent.push(Unsent { id: message.id, room: message.room, kind, excerpt, state });
            }
            for (room, id, content) in tx.failed()?.into_iter().filter(|(room, ..)| wanted(*room)) {
                let (kind, excerpt) = describe(&content);
                unsent.push(Unsent { id, room, kind, excerpt, state: UnsentState::Failed });
            }
            Ok::<_, StoreError>(unsent)
        });
        Ok(found.await?)
    }

    /// Gives up something that is not sent yet.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when it has left, or may have, or is a change of the group.
    pub async fn drop_unsent(&self, unsent: &Unsent) -> Result<(), EngineError> {
        let (room, id) = (unsent.room, unsent.id);
        if unsent.kind == "change of the group" {
            return Err(EngineError::Refused(format!(
                "{id} is a change of the group, which is made or fails by itself"
            )));
        }
        let dropped = match unsent.state {
            UnsentState::Scheduled(_) => {
                self.0.profile.write_async(move |tx: &mut Tx| tx.forget_scheduled(id)).await?
            }
            UnsentState::Failed => {
                self.0.profile.write_async(move |tx: &mut Tx| tx.delete_messages(room, &[id])).await?;
                true
            }
            UnsentState::Waiting | UnsentState::OnItsWay => self.take_back(room, id).await?,
        };
        if !dropped {
            return Err(EngineError::Refused(format!(
                "{id} is on its way to the server; delete it when it has been sent"
            )));
        }
        tidy::now(&self.0.profile).await;
        self.tell(Event::Deleted);
        self.tell(Event::Rooms);
        Ok(())
    }

    /// Waits until nothing waits any more.
    ///
    /// # Errors
    /// Why there is no connection, or [`EngineError::Timeout`].
    pub async fn wait_all_sent(&self) -> Result<(), EngineError> {
        self.until(async |handle: &Self| {
            let rooms = handle.0.profile.read_async(Tx::outbox_rooms).await?;
            Ok(rooms.is_empty().then_some(()))
        })
        .await
    }
}

/// Puts into the outbox what is due by now. What cannot be sent any more, since this device is out of the room, stands there as
/// what could not be sent; while it only cannot follow the room, it waits.
pub(super) async fn send_due(inner: &Inner) {
    let now = clock::millis();
    let due = match inner.profile.read_async(move |tx| tx.scheduled(Some(now))).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "what is due was not sent");
            return;
        }
    };
    for message in due {
        let room = message.room;
        match inner.steps.send_scheduled(message.clone()).await {
            Ok(Due::Sent) => {
                inner.tell(Event::Timeline(room));
                inner.wrote(room).await;
            }
            Ok(Due::ToBlocked(name)) => {
                inner.tell(Event::Timeline(room));
                let error = EngineError::blocked(&name);
                inner
                    .tell(Event::Trouble(format!("a message that was to be sent now could not be: {error}")));
            }
            // Another process has.
            Ok(Due::NotThere) => {}
            Err(error @ EngineError::NotMember(_)) => {
                let failed = inner.profile.write_async(move |tx: &mut Tx| {
                    let row = tx.room_row(room)?;
                    let waits =
                        row.is_some_and(|row| matches!(row.state.phase, Phase::Member | Phase::Stuck(_)));
                    if !waits {
                        tx.fail_scheduled(&message)?;
                    }
                    Ok::<_, StoreError>(!waits)
                });
                match failed.await {
                    Ok(true) => {
                        inner.tell(Event::Timeline(room));
                        inner.tell(Event::Trouble(format!(
                            "a message that was to be sent now could not be: {error}"
                        )));
                    }
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "a message that cannot be sent stays"),
                }
            }
            Err(error) => tracing::warn!(%error, "what is due was not sent"),
        }
    }
}

/// What is sent when a scheduled message is due: it is written now, and speaks to those who are in the room now.
pub(super) fn due_now(tx: &mut Tx, message: &Scheduled) -> Result<Want, StoreError> {
    let mut content =
        Content::decode(&message.content).map_err(|_| StoreError::Corrupt("scheduled message"))?;
    content.sent_at_ms = clock::millis();
    if let content::Body::Text(text) = &content.body {
        content.mentions = super::mentions::of(tx, message.room, text)?;
    }
    Ok(Want::Application(content.encode()))
}
