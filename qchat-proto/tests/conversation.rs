//! Three devices post and change messages, offline and on, send and hear things twice and join late: what each makes of the
//! log is the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use qchat_proto::{
    content::{Body, Change, Content, Emoji, MessageRef, Poll, What},
    conversation::{By, MAX_CHANGES, NotAllowed, State},
    ids::{AccountId, DeviceId, MessageId},
};

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

fn by(number: u8) -> By {
    // The first account is the room's admin.
    By { account: account(number), admin: number == 0 }
}

fn emoji(text: &str) -> Emoji {
    Emoji::new(text).unwrap()
}

fn text() -> State {
    State::new(account(1), &Body::Text("first".to_owned()))
}

fn poll(choices: u32) -> State {
    let options = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    State::new(account(1), &Body::Poll(Poll::new("which".to_owned(), options, choices).unwrap()))
}

#[test]
fn who_may_do_what_to_whose_message() {
    let edit = || What::Edit("second".to_owned());
    let file = State::new(account(1), &Body::Unknown);
    let mut closed = poll(1);
    closed.apply(&What::Close, &[], by(1));
    let mut gone = text();
    gone.apply(&What::Delete, &[], by(1));
    for (state, what, admin, author, other) in [
        (text(), edit(), Err(NotAllowed::OthersText), Ok(()), Err(NotAllowed::OthersText)),
        (poll(1), edit(), Err(NotAllowed::NoText), Err(NotAllowed::NoText), Err(NotAllowed::NoText)),
        (text(), What::Delete, Ok(()), Ok(()), Err(NotAllowed::OthersMessage)),
        (file.clone(), What::Delete, Ok(()), Ok(()), Err(NotAllowed::OthersMessage)),
        (text(), What::React(emoji("+1")), Ok(()), Ok(()), Ok(())),
        (file, What::Unreact(emoji("+1")), Ok(()), Ok(()), Ok(())),
        (text(), What::Pin, Ok(()), Err(NotAllowed::NoAdmin), Err(NotAllowed::NoAdmin)),
        (text(), What::Unpin, Ok(()), Err(NotAllowed::NoAdmin), Err(NotAllowed::NoAdmin)),
        (
            text(),
            What::Vote(vec![0]),
            Err(NotAllowed::NoPoll),
            Err(NotAllowed::NoPoll),
            Err(NotAllowed::NoPoll),
        ),
        (poll(1), What::Vote(vec![2]), Ok(()), Ok(()), Ok(())),
        (
            poll(1),
            What::Vote(vec![3]),
            Err(NotAllowed::NoOption),
            Err(NotAllowed::NoOption),
            Err(NotAllowed::NoOption),
        ),
        (
            poll(1),
            What::Vote(vec![0, 1]),
            Err(NotAllowed::NoOption),
            Err(NotAllowed::NoOption),
            Err(NotAllowed::NoOption),
        ),
        (poll(2), What::Vote(vec![0, 1]), Ok(()), Ok(()), Ok(())),
        (poll(2), What::Close, Err(NotAllowed::OthersPoll), Ok(()), Err(NotAllowed::OthersPoll)),
        (
            closed,
            What::Vote(vec![0]),
            Err(NotAllowed::Closed),
            Err(NotAllowed::Closed),
            Err(NotAllowed::Closed),
        ),
        (gone.clone(), edit(), Err(NotAllowed::Deleted), Err(NotAllowed::Deleted), Err(NotAllowed::Deleted)),
        (gone, What::Delete, Err(NotAllowed::Deleted), Err(NotAllowed::Deleted), Err(NotAllowed::Deleted)),
    ] {
        for (who, allowed) in [(by(0), admin), (by(1), author), (by(2), other)] {
            assert_eq!(state.allows(&what, who), allowed, "{what:?} by {who:?}");
            let mut after = state.clone();
            if allowed.is_err() {
                assert!(!after.apply(&what, &[], who), "{what:?} by {who:?}");
                assert_eq!((after.edits(), after.deleted_by()), (state.edits(), state.deleted_by()));
            }
        }
    }
}

#[test]
fn the_newest_edit_stands_a_vote_replaces_the_last_and_a_deletion_leaves_nothing() {
    let mut state = text();
    assert!(state.apply(&What::Edit("second".to_owned()), &[account(2)], by(1)));
    assert!(state.apply(&What::Edit("third".to_owned()), &[], by(1)));
    let edited = state.edited().unwrap();
    assert_eq!((edited.text.as_str(), edited.mentions.len(), state.edits()), ("third", 0, 2));
    for (who, what, news) in [
        (2, What::React(emoji("+1")), true),
        (1, What::React(emoji("+1")), true),
        (2, What::React(emoji("+1")), false),
        (2, What::React(emoji("-1")), true),
        (2, What::Unreact(emoji("+1")), true),
        (2, What::Unreact(emoji("+1")), false),
    ] {
        assert_eq!(state.apply(&what, &[], by(who)), news, "{what:?}");
    }
    let reactions: Vec<_> =
        state.reactions().iter().map(|r| (r.emoji.as_str(), r.accounts.clone())).collect();
    assert_eq!(reactions, [("+1", vec![account(1)]), ("-1", vec![account(2)])]);
    assert!(state.apply(&What::Pin, &[], by(0)));
    assert_eq!(state.pinned_by(), Some(account(0)));
    assert!(state.apply(&What::Delete, &[], by(0)));
    assert_eq!((state.deleted_by(), state.edited(), state.pinned_by()), (Some(account(0)), None, None));
    assert!(state.reactions().is_empty());

    let mut state = poll(2);
    assert!(state.apply(&What::Vote(vec![0, 2]), &[], by(2)));
    assert!(state.apply(&What::Vote(vec![1]), &[], by(2)));
    assert!(state.apply(&What::Vote(vec![1]), &[], by(0)));
    assert!(state.apply(&What::Vote(vec![]), &[], by(0)));
    assert!(state.apply(&What::Close, &[], by(1)));
    assert!(!state.apply(&What::Vote(vec![0]), &[], by(0)));
    assert_eq!(state.votes(), &BTreeMap::from([(account(2), vec![1])]));
    assert!(state.is_closed());
}

#[test]
fn one_account_changes_a_message_so_often_and_no_more_and_can_delete_it_still() {
    let mut state = text();
    for round in 0..MAX_CHANGES {
        assert!(state.apply(&What::Edit(round.to_string()), &[], by(1)));
    }
    assert!(!state.apply(&What::Edit("one more".to_owned()), &[], by(1)));
    assert_eq!(state.edits(), MAX_CHANGES);
    assert!(state.apply(&What::React(emoji("+1")), &[], by(2)), "others are not held to it");
    assert!(state.apply(&What::Delete, &[], by(1)));
}

/// What stands in the room's log.
#[derive(Clone, Debug)]
struct Entry {
    at: MessageRef,
    by: By,
    content: Content,
}

/// What a device keeps of an entry.
#[derive(Clone)]
struct Row {
    seq: usize,
    by: By,
    /// Which message it changes, if it does.
    of: Option<MessageRef>,
    /// What it said, until that was erased.
    content: Option<Content>,
}

/// A device as a client keeps it: what it has of the log, and what it has erased. It folds when it is asked.
#[derive(Clone, Default)]
struct Device {
    joined_at: usize,
    cursor: usize,
    rows: BTreeMap<MessageRef, Row>,
    /// What was written here and is not in the log yet.
    outbox: Vec<Entry>,
}

/// Where own changes stand that are not in the log.
const PENDING: usize = usize::MAX;

impl Device {
    fn receive(&mut self, seq: usize, entry: &Entry) {
        if seq <= self.cursor {
            return;
        }
        assert_eq!(seq, self.cursor + 1);
        self.cursor = seq;
        self.outbox.retain(|own| own.at != entry.at);
        let of = match &entry.content.body {
            Body::Change(change) => Some(change.target),
            _ => None,
        };
        let row = Row { seq, by: entry.by, of, content: Some(entry.content.clone()) };
        assert!(self.rows.insert(entry.at, row).is_none(), "the log has each (device, id) once");
        if let Some(of) = of {
            self.erase(of);
        }
    }

    /// What is deleted for everyone does not stay: the message, and what was said of it but for the deletion.
    fn erase(&mut self, target: MessageRef) {
        if self.fold(target, false).is_none_or(|state| state.deleted_by().is_none()) {
            return;
        }
        for (at, row) in &mut self.rows {
            let deletes = row.content.as_ref().is_some_and(|content| {
                matches!(&content.body, Body::Change(Change { what: What::Delete, .. }))
            });
            if *at == target || (row.of == Some(target) && !deletes) {
                row.content = None;
            }
        }
    }

    fn fold(&self, target: MessageRef, pending: bool) -> Option<State> {
        let post = self.rows.get(&target).filter(|row| row.of.is_none())?;
        let changes = self.rows.values().filter(|row| row.of == Some(target) && row.seq > post.seq);
        let mut changes: Vec<_> =
            changes.filter_map(|row| Some((row.seq, row.by, row.content.as_ref()?))).collect();
        if pending {
            changes.extend(self.outbox.iter().map(|own| (PENDING, own.by, &own.content)));
        }
        changes.sort_by_key(|(seq, ..)| *seq);
        let body = post.content.as_ref().map_or(&Body::Unknown, |content| &content.body);
        let mut state = State::new(post.by.account, body);
        for (_, by, content) in changes {
            if let Body::Change(change) = &content.body
                && change.target == target
            {
                state.apply(&change.what, &content.mentions, by);
            }
        }
        Some(state)
    }

    fn view(&self, from: usize) -> BTreeMap<MessageRef, Shown> {
        let posts = self.rows.iter().filter(|(_, row)| row.seq > from);
        posts.filter_map(|(at, _)| Some((*at, Shown::of(&self.fold(*at, false)?)))).collect()
    }
}

/// What people see of a message.
#[derive(PartialEq, Eq, Debug)]
struct Shown {
    text: Option<String>,
    edits: u32,
    deleted: Option<AccountId>,
    reactions: Vec<(String, Vec<AccountId>)>,
    pinned: Option<AccountId>,
    votes: BTreeMap<AccountId, Vec<u32>>,
    closed: bool,
}

impl Shown {
    fn of(state: &State) -> Self {
        let reactions = state.reactions().iter();
        Self {
            text: state.edited().map(|edited| edited.text.clone()),
            edits: state.edits(),
            deleted: state.deleted_by(),
            reactions: reactions.map(|r| (r.emoji.as_str().to_owned(), r.accounts.clone())).collect(),
            pinned: state.pinned_by(),
            votes: state.votes().clone(),
            closed: state.is_closed(),
        }
    }
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A device writes: which of the messages that it knows, or one that nobody knows, and what about it.
    Write { device: u8, target: usize, what: u8 },
    /// It sends the first thing that waits.
    Send(u8),
    /// It reads so many further envelopes, some of them twice.
    Read { device: u8, count: usize, again: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let device = 0..3_u8;
    prop_oneof![
        6 => (device.clone(), 0..8_usize, 0..14_u8)
            .prop_map(|(device, target, what)| Step::Write { device, target, what }),
        6 => device.clone().prop_map(Step::Send),
        5 => (device, 0..6_usize, 0..3_usize)
            .prop_map(|(device, count, again)| Step::Read { device, count, again }),
    ]
}

fn body(what: u8, target: MessageRef, number: usize) -> Body {
    let change = |what| Body::Change(Change { target, what });
    let poll = Poll::new("?".to_owned(), vec!["a".to_owned(), "b".to_owned()], 1).unwrap();
    match what {
        0 | 1 => Body::Text(format!("text {number}")),
        2 => Body::Poll(poll),
        3 | 4 => change(What::Edit(format!("edit {number}"))),
        5 => change(What::Delete),
        6 | 7 => change(What::React(emoji(["+1", "-1"][number % 2]))),
        8 => change(What::Unreact(emoji(["+1", "-1"][number % 2]))),
        9 => change(What::Pin),
        10 => change(What::Unpin),
        11 | 12 => change(What::Vote(vec![u32::try_from(number % 3).unwrap()])),
        _ => change(What::Close),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn all_who_have_the_same_log_see_the_same_whatever_happened_on_the_way(
        steps in prop::collection::vec(step(), 0..120),
        joins in 0..60_usize,
    ) {
        let mut log: Vec<Entry> = vec![];
        let mut devices = [Device::default(), Device::default(), Device::default()];
        for (number, step) in steps.iter().enumerate() {
            match *step {
                Step::Write { device, target, what } => {
                    let own = &mut devices[usize::from(device)];
                    let nobody = MessageRef {
                        device: DeviceId::from_bytes([9; 16]),
                        id: MessageId::from_bytes([9; 16]),
                    };
                    let known = own.rows.keys().nth(target).copied().unwrap_or(nobody);
                    let at = MessageRef {
                        device: DeviceId::from_bytes([device; 16]),
                        id: MessageId::from_bytes(u128::try_from(number).unwrap().to_be_bytes()),
                    };
                    let content = Content::new(body(what, known, number), 0);
                    own.outbox.push(Entry { at, by: by(device), content });
                }
                Step::Send(device) => {
                    // It has been acknowledged, or that was lost: then the same bytes go again and change nothing.
                    let own = &devices[usize::from(device)];
                    let waits = own.outbox.iter().find(|own| !log.iter().any(|entry| entry.at == own.at));
                    log.extend(waits.cloned());
                }
                Step::Read { device, count, again } => {
                    let own = &mut devices[usize::from(device)];
                    let from = own.cursor.saturating_sub(again);
                    for (seq, entry) in log.iter().enumerate().skip(from).take(count + again) {
                        own.receive(seq + 1, entry);
                    }
                }
            }
            // Whatever is shown before its turn in the log, nothing of it makes a fold fail.
            for own in &devices {
                for at in own.rows.keys() {
                    own.fold(*at, true);
                }
            }
        }
        let mut late = Device { joined_at: joins.min(log.len()), ..Device::default() };
        late.cursor = late.joined_at;
        for device in devices.iter_mut().chain([&mut late]) {
            for (seq, entry) in log.iter().enumerate() {
                device.receive(seq + 1, entry);
            }
        }
        let [first, second, third] = &devices;
        prop_assert_eq!(first.view(0), second.view(0));
        prop_assert_eq!(first.view(0), third.view(0));
        prop_assert_eq!(first.view(late.joined_at), late.view(late.joined_at));
        // Nothing of what is deleted is kept by anybody.
        for device in &devices {
            for (at, shown) in device.view(0) {
                if shown.deleted.is_some() {
                    prop_assert_eq!(&device.rows[&at].content, &None);
                }
            }
        }
    }
}
