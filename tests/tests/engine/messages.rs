//! Edits, deletions, reactions, pins and votes through three engines and the daemon, while connections break, the daemon is
//! killed and engines end: all see the same in the end.

use qchat_cli::engine::{
    EngineError, Handle, Options,
    types::{Body, Message},
};
use qchat_proto::{
    content::{Emoji, MessageRef, Poll},
    ids::RoomId,
};
use qchat_tests::{daemon::Daemon, database::Backend, proxy::Proxy};

use crate::{
    cuts::cuts,
    person::{PATIENCE, Person, room},
};

const STEPS: usize = 60;

async fn lines(person: &Person, room: RoomId) -> Vec<Message> {
    let mut lines = person.engine.timeline(room, None, 10_000).await.unwrap();
    lines.retain(Message::is_said);
    lines
}

/// What is the same for everybody: who is looking, and when they have stored it, is not.
fn common(messages: Vec<Message>) -> Vec<String> {
    let common = messages.into_iter().map(|message| {
        let mut marks = message.marks;
        marks.mentions_me = false;
        (marks.delivered_to, marks.read_by) = (vec![], vec![]);
        marks.reactions.iter_mut().for_each(|reaction| reaction.me = false);
        let mut body = message.body;
        if let Body::Poll(poll) = &mut body {
            poll.options.iter_mut().for_each(|option| option.me = false);
        }
        format!("{:?} {:?} {body:?} {marks:?}", message.seq, message.id)
    });
    common.collect()
}

/// One random thing; what is not allowed, or names what is not there, is refused and changes nothing.
async fn act(person: &Person, room: RoomId, number: usize, random: &mut fastrand::Rng) {
    let known = lines(person, room).await;
    let target = random
        .choice(&known)
        .and_then(|message| Some(MessageRef { device: message.sender.as_ref()?.device, id: message.id? }));
    let emoji = Emoji::new(["👍", "❤️"][random.usize(..2)]).unwrap();
    let engine = &person.engine;
    let done = match (random.u8(..12), target) {
        (0..=2, _) | (_, None) => engine.send(room, format!("text {number} @bob")).await.map(drop),
        (3, _) => {
            let options = vec!["yes".to_owned(), "no".to_owned()];
            engine.ask(room, Poll::new(format!("poll {number}?"), options, 1).unwrap()).await.map(drop)
        }
        (4 | 5, Some(of)) => engine.edit(room, of, format!("edit {number}")).await.map(drop),
        (6, Some(of)) => engine.retract(room, of).await.map(drop),
        (7 | 8, Some(of)) => engine.react(room, of, emoji, random.u8(..4) == 0).await.map(drop),
        (9, Some(of)) => engine.pin(room, of, random.bool()).await.map(drop),
        (10, Some(of)) => engine.vote(room, of, vec![random.u32(..2)]).await.map(drop),
        (_, Some(of)) => engine.close_poll(room, of).await.map(drop),
    };
    match done {
        Ok(()) | Err(EngineError::NotAllowed(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

/// What each has written has to be in the log before the others can have read it.
async fn all_is_sent(people: &[Person], room: RoomId) {
    for person in people {
        while person.engine.room(room).await.unwrap().waiting > 0 {
            person.read_everything().await;
            tokio::task::yield_now().await;
        }
    }
}

/// However the dice fell: a change of each kind that comes to something, by an admin.
async fn something_of_each_kind(admin: &Person, room: RoomId) {
    let engine = &admin.engine;
    let poll = Poll::new("the last?".to_owned(), vec!["yes".to_owned(), "no".to_owned()], 1).unwrap();
    engine.ask(room, poll).await.unwrap();
    let text = engine.send(room, "the last".to_owned()).await.unwrap();
    admin.read_everything().await;
    let lines = lines(admin, room).await;
    let name = |message: &Message| MessageRef {
        device: message.sender.as_ref().unwrap().device,
        id: message.id.unwrap(),
    };
    let text = name(lines.iter().find(|line| line.id == Some(text)).unwrap());
    engine.edit(room, text, "the last @bob".to_owned()).await.unwrap();
    engine.react(room, text, Emoji::new("👍").unwrap(), false).await.unwrap();
    engine.pin(room, text, false).await.unwrap();
    let gone =
        lines.iter().find(|line| line.seq.is_some() && !matches!(line.body, Body::Deleted(_))).unwrap();
    engine.retract(room, name(gone)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_by_whom_and_in_what_order_all_see_the_same() {
    let mut daemon = Daemon::start(Backend::Sqlite);
    let mut people = vec![];
    for name in ["alice", "bob", "carol", "dave"] {
        people.push(Person::register(&daemon.url(), name).await);
    }
    let dave = people.pop().unwrap();
    let proxy = Proxy::with_rule(daemon.address(), cuts(16, 5, 13));
    let room = room("tea", &people.iter().collect::<Vec<_>>()).await;
    for person in &mut people {
        person.through(&proxy).await;
    }
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0..STEPS {
        let who = random.usize(..people.len());
        act(&people[who], room, number, &mut random).await;
        match number {
            20 | 45 => proxy.cut_all(),
            30 => {
                daemon.kill();
                daemon.restart();
            }
            40 => people[who].through(&proxy).await,
            _ => {}
        }
        if number == STEPS / 2 {
            // Reads what is said from here on, and what becomes of earlier messages without having those.
            for person in &people {
                person.read_everything().await;
            }
            people[0].engine.invite(room, vec!["dave".parse().unwrap()]).await.unwrap();
            dave.engine.sync().await.unwrap();
            dave.engine.join(room).await.unwrap();
        }
    }
    all_is_sent(&people, room).await;
    something_of_each_kind(&people[0], room).await;
    all_is_sent(&people, room).await;
    let mut seen = vec![];
    for person in people.iter().chain([&dave]) {
        person.read_everything().await;
        seen.push(common(lines(person, room).await));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    let late = &seen[3];
    assert!(!late.is_empty() && late.len() < seen[0].len(), "{} of {}", late.len(), seen[0].len());
    // What he reads answers nothing that he has not: all of it is the same.
    assert_eq!(&seen[0][seen[0].len() - late.len()..], &late[..]);
    let all = seen[0].join("\n");
    for word in ["Deleted", "edits: 1", "Reaction {", "pinned_by: Some", "Poll {", "mentions: [\"bob\"]"] {
        assert!(all.contains(word), "none of it came to {word}:\n{all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_what_was_taken_back_is_told_so() {
    let daemon = Daemon::start(Backend::Sqlite);
    let alice = Person::register(&daemon.url(), "alice").await;
    let tea = room("tea", &[&alice]).await;
    alice.stop().await;
    let options = Options { offline: true, ..Options::new(PATIENCE) };
    let engine = Handle::start(alice.profile.clone(), options).await.unwrap();
    let id = engine.send(tea, "not so".to_owned()).await.unwrap();
    assert!(engine.take_back(tea, id).await.unwrap());
    let error = engine.wait_sent(tea, id).await.unwrap_err();
    assert!(error.to_string().contains("taken back"), "{error}");
}
