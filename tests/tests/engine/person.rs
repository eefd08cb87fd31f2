//! Somebody with a profile and an engine.

use std::time::Duration;

use qchat_cli::{
    engine::{Accept, Handle, Options, register, types::Body},
    store::Profile,
    vault,
};
use qchat_proto::ids::RoomId;
use tempfile::TempDir;
use zeroize::Zeroizing;

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

pub(crate) struct Person {
    pub(crate) directory: TempDir,
    pub(crate) engine: Handle,
}

impl Person {
    pub(crate) async fn register(server: &str, name: &str) -> Self {
        let directory = TempDir::with_prefix("qchat-").unwrap();
        let registered = register(
            &directory.path().join("profile"),
            server.parse().unwrap(),
            name.parse().unwrap(),
            Zeroizing::new(PASSPHRASE.to_owned()),
            Duration::from_secs(20),
            |_| {},
        )
        .await
        .unwrap();
        assert_eq!(registered.recovery_words.unwrap().split_whitespace().count(), 24);
        let engine = Self::start(registered.profile, Accept::Ask).await;
        Self { directory, engine }
    }

    async fn start(profile: Profile, accept: Accept) -> Handle {
        let options = Options { timeout: Duration::from_secs(20), offline: false, server: None, accept };
        let engine = Handle::start(profile, options).await.unwrap();
        engine.sync().await.unwrap();
        engine
    }

    /// Ends the engine and starts it again.
    pub(crate) async fn restart(&mut self, accept: Accept) {
        self.engine.clone().shutdown().await;
        let directory = self.directory.path().join("profile");
        let key = vault::unlock(&directory, PASSPHRASE).unwrap();
        self.engine = Self::start(Profile::open(&directory, key).unwrap(), accept).await;
    }

    pub(crate) async fn say(&self, room: RoomId, text: &str) {
        let id = self.engine.send(room, text.to_owned()).await.unwrap();
        self.engine.wait_sent(room, id).await.unwrap();
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
            tokio::time::timeout(Duration::from_secs(20), events.recv())
                .await
                .expect("news in time")
                .unwrap();
        }
    }
}
