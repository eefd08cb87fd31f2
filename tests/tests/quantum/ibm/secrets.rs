//! The API key and the tokens are in no error, no Debug text and no log, even when the service repeats them.

use std::{
    io,
    sync::{Arc, Mutex},
};

use qchat_quantum::ibm::{ApiKey, Client, Config, IbmError};
use qchat_tests::ibm::{CRN, Control, Fake, KEY, Mishap, Route};
use tracing_subscriber::fmt::MakeWriter;

use super::submission;

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("a log")).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn shown(error: &IbmError) -> String {
    format!("{error} {error:?}\n")
}

#[tokio::test]
async fn nobody_sees_the_key_or_a_token() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    // Of all threads, the other tests' too: one of a thread alone misses what another thread came upon first.
    tracing::subscriber::set_global_default(subscriber).expect("the only one");

    let fake = Fake::start(Control { repeats_secrets: true, ..Control::default() });
    let client = fake.client();
    let submission = submission();
    let id = client.submit(&submission).await.expect("an id");
    let mut seen = format!("{client:?} {:?} {submission:?} {id:?}\n", fake.config());
    for status in [400, 401, 403, 404, 409, 418, 429, 500, 503] {
        for route in [Route::Usage, Route::Submit, Route::Cancel] {
            // Five submissions are all that there are in a minute.
            if route == Route::Submit && status > 404 {
                continue;
            }
            fake.happen(route, 9, &Mishap::Status(status, Some(0)));
            let error = match route {
                Route::Usage => client.usage().await.map(drop),
                Route::Submit => client.submit(&submission).await.map(drop),
                _ => client.cancel(&id).await,
            };
            seen += &shown(&error.expect_err("a refusal"));
            fake.change(|control| control.mishaps.clear());
        }
    }
    // A key that is not theirs, and an instance that is not.
    let other = "other-key-7Q2x";
    let key = ApiKey::new(&other.to_owned().into()).expect("a key");
    let mut config = Config { key, ..fake.config() };
    let debug = format!("{config:?}\n");
    seen += &debug;
    let error = Client::new(config.clone()).expect("a client").usage().await.expect_err("no such key");
    assert!(matches!(error, IbmError::Key(_)), "{error:?}");
    seen += &shown(&error);
    config = fake.config();
    config.crn = CRN.replace("0d5e", "0000");
    let error = Client::new(config).expect("a client").usage().await.expect_err("no such instance");
    assert!(matches!(error, IbmError::Forbidden(_)), "{error:?}");
    seen += &shown(&error);
    for mishap in [Mishap::Cut, Mishap::Short, Mishap::Half] {
        fake.happen(Route::Token, 9, &mishap);
        fake.revoke_tokens();
        seen += &shown(&client.usage().await.expect_err("a token"));
        fake.change(|control| control.mishaps.clear());
    }

    let log = log.text();
    assert!(
        log.contains("/api/v1/instances/usage") && log.contains("/identity/token"),
        "it is logged: {log}"
    );
    assert!(seen.contains("[removed]"), "the service repeated them: {seen}");
    let tokens = fake.issued();
    assert!(tokens.len() >= 2);
    for secret in tokens.iter().map(String::as_str).chain([KEY, other]) {
        assert!(!seen.contains(secret), "an error shows {secret}: {seen}");
        assert!(!log.contains(secret), "the log shows {secret}: {log}");
    }
}
