//! Somebody with a profile and an engine.

use std::time::Duration;

use qchat_cli::{
    engine::{
        Accept, Choice, EngineError, Handle, KeyLife, NewVault, Options, register, types::Body, types::Event,
    },
    store::Profile,
    vault,
};
use qchat_proto::{
    ids::RoomId,
    wire::{
        frame::{Envelope, read_client_frame},
        pb::{self, client_frame},
    },
};
use qchat_tests::proxy::{Direction, Proxy};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use zeroize::Zeroizing;

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";
/// How long one thing may take on a slow, busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How often a connection may break before somebody has read everything.
const ATTEMPTS: usize = 10;

pub(crate) struct Person {
    pub(crate) directory: TempDir,
    pub(crate) profile: Profile,
    pub(crate) engine: Handle,
}

impl Person {
    pub(crate) async fn register(server: &str, name: &str) -> Self {
        Self::register_with_words(server, name).await.0
    }

    /// The same, with the recovery words.
    pub(crate) async fn register_with_words(server: &str, name: &str) -> (Self, Zeroizing<String>) {
        let directory = TempDir::with_prefix("qchat-").unwrap();
        let registered = register(
            &directory.path().join("profile"),
            server.parse().unwrap(),
            name.parse().unwrap(),
            NewVault::new(Zeroizing::new(PASSPHRASE.to_owned()), NewVault::LEAST_MEMORY),
            PATIENCE,
            |_| {},
        )
        .await
        .unwrap();
        let words = registered.recovery_words.unwrap();
        assert_eq!(words.split_whitespace().count(), 24);
        let profile = registered.profile;
        let engine = engine(&profile, None, Accept::Ask).await;
        engine.sync().await.unwrap();
        (Self { directory, profile, engine }, words)
    }

    /// Ends the engine. Whatever is written to the profile from here on is not seen by it.
    pub(crate) async fn stop(&self) {
        self.engine.clone().shutdown().await;
    }

    /// Ends the engine and starts another, which talks to the daemon through this proxy.
    pub(crate) async fn through(&mut self, proxy: &Proxy) {
        self.stop().await;
        self.engine = engine(&self.profile, Some(proxy), Accept::Ask).await;
    }

    /// Ends the engine and starts another, which renews its keys after so many messages of its own.
    pub(crate) async fn renewing_after(&mut self, proxy: &Proxy, envelopes: u64) {
        self.stop().await;
        let key_life = KeyLife::new(envelopes, KeyLife::LONGEST);
        let options = Options { key_life, ..options(Some(proxy), Accept::Ask) };
        self.engine = Handle::start(self.profile.clone(), options).await.unwrap();
    }

    /// Ends the engine and starts another, which talks to the daemon through this proxy and accepts these invitations by
    /// itself.
    pub(crate) async fn through_accepting(&mut self, proxy: &Proxy, accept: Accept) {
        self.stop().await;
        self.engine = engine(&self.profile, Some(proxy), accept).await;
    }

    /// Ends the engine and starts another, which accepts these invitations by itself.
    pub(crate) async fn accepting(&mut self, accept: Accept) {
        self.stop().await;
        self.engine = engine(&self.profile, None, accept).await;
        self.engine.sync().await.unwrap();
    }

    /// The profile as another process has it open, with an engine of its own.
    pub(crate) async fn second_process(&self, proxy: &Proxy) -> Handle {
        let dir = self.directory.path().join("profile");
        let profile = Profile::open(&dir, vault::unlock(&dir, PASSPHRASE).unwrap()).unwrap();
        engine(&profile, Some(proxy), Accept::Ask).await
    }

    pub(crate) async fn say(&self, room: RoomId, text: &str) {
        let id = self.engine.send(room, text.to_owned()).await.unwrap();
        self.engine.wait_sent(room, id).await.unwrap();
    }

    /// Reads everything, over as many connections as it takes, and leaves nothing out.
    pub(crate) async fn read_everything(&self) {
        for _ in 0..ATTEMPTS {
            match self.engine.sync().await {
                Ok(()) => return,
                Err(error @ EngineError::Partial(_)) => panic!("{error}"),
                Err(_) => {}
            }
        }
        panic!("no connection lasts");
    }

    /// The texts of a room, once there are as many as that.
    pub(crate) async fn texts(&self, room: RoomId, count: usize) -> Vec<String> {
        let mut events = self.engine.events();
        loop {
            let lines = self.engine.timeline(room, None, 10_000).await.unwrap();
            let texts: Vec<String> = lines
                .into_iter()
                .filter_map(|line| match line.body {
                    Body::Text(text) => Some(text),
                    Body::Warning(text) => panic!("a warning: {text}"),
                    _ => None,
                })
                .collect();
            if texts.len() >= count {
                return texts;
            }
            next(&mut events).await;
        }
    }
}

fn options(proxy: Option<&Proxy>, accept: Accept) -> Options {
    let server = proxy.map(|proxy| proxy.url().parse().unwrap());
    let (tls, key_life) = (Choice::default(), KeyLife::default());
    let options = Options::new(PATIENCE);
    Options { server, tls, accept, key_life, ..options }
}

async fn engine(profile: &Profile, proxy: Option<&Proxy>, accept: Accept) -> Handle {
    Handle::start(profile.clone(), options(proxy, accept)).await.unwrap()
}

/// A room with its members: the first one creates it and invites the others, who join.
pub(crate) async fn room(name: &str, members: &[&Person]) -> RoomId {
    let (creator, invited) = members.split_first().unwrap();
    let room = creator.engine.create_room(name.to_owned()).await.unwrap();
    if !invited.is_empty() {
        let names = invited.iter().map(|person| person.engine.me().name.clone()).collect();
        creator.engine.invite(room, names).await.unwrap();
    }
    for person in invited {
        person.engine.join(room).await.unwrap();
    }
    room
}

/// Waits for a sentence about trouble that has these words in it.
pub(crate) async fn trouble(events: &mut Receiver<Event>, words: &str) {
    loop {
        match next(events).await {
            Event::Trouble(sentence) if sentence.contains(words) => return,
            _ => {}
        }
    }
}

pub(crate) async fn next(events: &mut Receiver<Event>) -> Event {
    tokio::time::timeout(PATIENCE, events.recv()).await.expect("news in time").unwrap()
}

/// Waits until there is an answer, for what no event tells.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// The same for what has to be waited for itself.
pub(crate) async fn eventually_async(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// What a client has asked for in a frame.
pub(crate) fn publish(direction: Direction, payload: &[u8]) -> Option<pb::Publish> {
    match read_client_frame(payload.to_vec().into()) {
        Ok(client_frame::Body::Publish(publish)) if direction == Direction::ToDaemon => Some(publish),
        _ => None,
    }
}

/// Every envelope that clients have put on the wire, accepted or not, again for each time that it was sent.
pub(crate) fn published(proxy: &Proxy) -> Vec<Envelope> {
    let frames = proxy.frames().into_iter();
    let published = frames.filter_map(|frame| publish(frame.direction, &frame.payload));
    published.map(|publish| Envelope::decode(publish.envelope).unwrap()).collect()
}
