//! What of a message's content and of its changes is shown beside its text.

use std::time::Duration;

use qchat_proto::{
    content::{self, Attachment, Content, MessageRef, What},
    conversation::State,
    ids::RoomId,
    sanitize,
};

use super::{
    types::{ChangeKind, File, Marks, Poll, PollOption, Reaction, Reply},
    view::Names,
};
use crate::store::{LineBody, StoreError, Tx};

/// Longest excerpt of a message that another answers, characters.
const EXCERPT: usize = 80;
/// Longest question or option that is shown, characters.
const NAME: usize = 256;

/// What belongs to a message that is not deleted.
pub(super) fn marks(
    tx: &mut Tx,
    names: &mut Names,
    room: RoomId,
    (content, state): (&Content, &State),
) -> Result<Marks, StoreError> {
    let mentions = state.edited().map_or(&content.mentions, |edited| &edited.mentions);
    let mut reactions = vec![];
    for reaction in state.reactions() {
        let accounts = names.shown(tx, reaction.accounts.iter().copied())?;
        if !accounts.is_empty() {
            reactions.push(Reaction {
                emoji: sanitize::line(reaction.emoji.as_str()).into_owned(),
                by: names.each(tx, &accounts)?,
                me: accounts.contains(&names.me),
            });
        }
    }
    let pinned_by = names.shown(tx, state.pinned_by())?;
    Ok(Marks {
        reply_to: content.reply_to.map(|of| reply(tx, names, room, of)).transpose()?,
        edits: state.edits(),
        reactions,
        mentions: names.each(tx, mentions)?,
        pinned_by: names.each(tx, &pinned_by)?.pop(),
        ..Marks::default()
    })
}

/// The message that another answers, as it is now: what was deleted is not quoted.
fn reply(tx: &mut Tx, names: &mut Names, room: RoomId, of: MessageRef) -> Result<Reply, StoreError> {
    let line = tx.message(room, of)?;
    let Some(LineBody::Message { account, content, state, .. }) = line.map(|line| line.body) else {
        return Ok(Reply { id: of.id, sender: None, excerpt: None, blocked: false });
    };
    let said = match (state.deleted_by(), state.edited(), Content::decode(&content)) {
        (Some(_), ..) => None,
        (None, Some(edited), _) => Some(edited.text.clone()),
        (None, None, Ok(Content { body: content::Body::Text(text), .. })) => Some(text),
        (None, None, Ok(Content { body: content::Body::Poll(poll), .. })) => Some(poll.question().to_owned()),
        (None, None, Ok(Content { body: content::Body::Attachment(file), .. })) => {
            Some(if file.caption.is_empty() { file.safe_name() } else { file.caption })
        }
        (None, None, _) => Some("…".to_owned()),
    };
    // Nor who is blocked.
    let blocked = names.hides(tx, account)?;
    let said = said.filter(|_| !blocked);
    let excerpt = said.map(|said| sanitize::name(&said, EXCERPT));
    Ok(Reply { id: of.id, sender: Some(names.name(tx, account)?), excerpt, blocked })
}

/// A poll with its votes.
pub(super) fn poll(
    tx: &mut Tx,
    names: &mut Names,
    poll: &content::Poll,
    state: &State,
) -> Result<Poll, StoreError> {
    let mut options = vec![];
    for (number, text) in (0_u32..).zip(poll.options()) {
        let for_it = state.votes().iter().filter(|(_, choices)| choices.contains(&number));
        let accounts = names.shown(tx, for_it.map(|(account, _)| *account))?;
        options.push(PollOption {
            text: sanitize::name(text, NAME),
            by: names.each(tx, &accounts)?,
            me: accounts.contains(&names.me),
        });
    }
    Ok(Poll {
        question: sanitize::name(poll.question(), NAME),
        options,
        choices: poll.choices(),
        closed: state.is_closed(),
    })
}

/// A file, with what is said with it now.
pub(super) fn file(file: &Attachment, state: &State) -> File {
    File {
        id: file.sealing.id,
        name: file.safe_name(),
        size: file.size(),
        media_type: (!file.media_type.is_empty()).then(|| file.media_type.clone()),
        voice: file.voice,
        duration: (file.duration_ms > 0).then(|| Duration::from_millis(file.duration_ms.into())),
        thumbnail: (!file.thumbnail.is_empty()).then_some(file.thumbnail.len()),
        caption: state.edited().map_or_else(|| file.caption.clone(), |edited| edited.text.clone()),
    }
}

/// What kind of change an encoded content is.
pub(super) fn kind(content: &[u8]) -> Option<ChangeKind> {
    let Ok(Content { body: content::Body::Change(change), .. }) = Content::decode(content) else {
        return None;
    };
    let emoji = |emoji: &content::Emoji| sanitize::line(emoji.as_str()).into_owned();
    Some(match &change.what {
        What::Edit(_) => ChangeKind::Edit,
        What::Delete => ChangeKind::Delete,
        What::React(reaction) => ChangeKind::React(emoji(reaction)),
        What::Unreact(reaction) => ChangeKind::Unreact(emoji(reaction)),
        What::Pin => ChangeKind::Pin,
        What::Unpin => ChangeKind::Unpin,
        What::Vote(_) => ChangeKind::Vote,
        What::Close => ChangeKind::Close,
    })
}
