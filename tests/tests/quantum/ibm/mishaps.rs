//! The service's bad days.

use std::{pin::pin, time::Duration};

use qchat_quantum::ibm::{
    Client, IbmError, Pace,
    poll::{self, Progress},
};
use qchat_tests::ibm::{BACKEND, Control, Fake, Mishap, Route};

use super::submission;

#[tokio::test]
async fn what_passes_is_tried_again_as_often_as_the_pace_says() {
    let passing = [
        Mishap::Status(500, None),
        Mishap::Status(503, Some(0)),
        Mishap::Status(429, Some(0)),
        Mishap::Cut,
        Mishap::Lost,
        Mishap::Short,
        Mishap::Half,
    ];
    for mishap in passing {
        let fake = Fake::start(Control::default());
        let client = fake.client();
        fake.happen(Route::Backends, 4, &mishap);
        client.backends().await.expect("the fifth answer");
        fake.happen(Route::Backends, 5, &mishap);
        let error = client.backends().await.expect_err("five failures");
        assert!(error.is_passing(), "{error:?}");
        assert_eq!(fake.requests(Route::Backends), 10, "{mishap:?}");
    }
}

#[tokio::test]
async fn tokens_are_asked_for_again_too() {
    for mishap in [Mishap::Status(503, None), Mishap::Cut, Mishap::Short, Mishap::Half] {
        let fake = Fake::start(Control::default());
        fake.happen(Route::Token, 4, &mishap);
        fake.client().usage().await.expect("a usage");
        assert_eq!((fake.requests(Route::Token), fake.requests(Route::Usage)), (5, 1), "{mishap:?}");
    }
}

#[tokio::test]
async fn a_pause_longer_than_anybody_would_wait_is_told_at_once() {
    let fake = Fake::start(Control::default());
    fake.happen(Route::Any, 1, &Mishap::Status(429, Some(3600)));
    let error = fake.client().usage().await.expect_err("an hour");
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
    assert!(error.to_string().contains("try again in 3600 s"), "{error}");
    fake.happen(Route::Submit, 1, &Mishap::Status(429, Some(3600)));
    let error = fake.client().submit(&submission()).await.expect_err("an hour");
    assert!(matches!(error, IbmError::Limited { .. }), "{error:?}");
    assert!(fake.jobs().is_empty());
}

#[tokio::test]
async fn waiting_for_a_job_outlasts_storms_and_cuts() {
    let fake = Fake::start(Control { queued: 3, running: 3, ..Control::default() });
    let client = fake.client();
    let id = client.submit(&submission()).await.expect("an id");
    for _ in 0..5 {
        for mishap in [Mishap::Status(503, None), Mishap::Cut, Mishap::Short, Mishap::Half, Mishap::Lost] {
            fake.happen(Route::Job, 1, &mishap);
        }
    }
    fake.happen(Route::Job, 20, &Mishap::Status(500, Some(0)));
    let mut troubles = 0;
    let pace = Pace { first: Duration::from_millis(1), most: Duration::from_millis(4), ..Pace::POLLING };
    let job = poll::wait(&client, &id, &pace, |progress| {
        troubles += usize::from(matches!(progress, Progress::Trouble(_)));
    });
    assert!(job.await.expect("it ends").state.is_final());
    assert_eq!(troubles, 45);
}

#[tokio::test]
async fn waiting_ends_when_nothing_will_come_of_it() {
    let fake = Fake::start(Control { queued: u32::MAX, ..Control::default() });
    let client = fake.client();
    let id = client.submit(&submission()).await.expect("an id");
    let pace = Pace { first: Duration::from_millis(1), ..Pace::POLLING };
    fake.happen(Route::Job, 1, &Mishap::Status(404, None));
    let error = poll::wait(&client, &id, &pace, |_| {}).await.expect_err("it is gone");
    assert!(matches!(error, IbmError::NotFound { what: "job", .. }), "{error:?}");
    fake.happen(Route::Job, 1, &Mishap::Instead(b"{\"state\": {\"status\": \"Dreaming\"}}".to_vec()));
    let error = poll::wait(&client, &id, &pace, |_| {}).await.expect_err("no state");
    assert!(matches!(error, IbmError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn a_token_that_has_ended_is_replaced_before_or_after_it_is_refused() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    client.usage().await.expect("a usage");
    fake.revoke_tokens();
    client.usage().await.expect("a usage, with a new token");
    assert_eq!((fake.requests(Route::Token), fake.requests(Route::Usage)), (2, 3));

    // A token without any time left is never used twice.
    let fake = Fake::start(Control { token_seconds: 0, ..Control::default() });
    let client = fake.client();
    for _ in 0..3 {
        client.status(BACKEND).await.expect("a status");
    }
    assert_eq!((fake.requests(Route::Token), fake.requests(Route::Backends)), (3, 3));
}

#[tokio::test]
async fn a_token_is_renewed_after_four_fifths_of_its_time() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    client.usage().await.expect("a usage");
    for (seconds, tokens) in [(2800, 1), (79, 1), (3, 2)] {
        pass(seconds).await;
        client.usage().await.expect("a usage");
        assert_eq!(fake.requests(Route::Token), tokens, "{seconds} s later");
    }
}

#[tokio::test]
async fn a_token_that_is_always_refused_is_replaced_once() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    fake.happen(Route::Usage, 9, &Mishap::Status(401, None));
    let error = client.usage().await.expect_err("refused");
    assert!(matches!(error, IbmError::Unauthorized(_)), "{error:?}");
    assert_eq!((fake.requests(Route::Token), fake.requests(Route::Usage)), (2, 2));
}

#[tokio::test]
async fn a_sixth_job_waits_until_its_minute() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    for _ in 0..5 {
        client.submit(&submission()).await.expect("an id");
    }
    let sixth = submission();
    let mut sixth = pin!(client.submit(&sixth));
    for seconds in [0, 59] {
        pass(seconds).await;
        // Long enough for a submission that does not wait, which is one request.
        let others = async {
            for _ in 0..20 {
                client.usage().await.expect("a usage");
            }
        };
        tokio::select! {
            biased;
            early = &mut sixth => panic!("{early:?}"),
            () = others => {}
        }
        assert_eq!(fake.requests(Route::Submit), 5);
    }
    pass(1).await;
    sixth.await.expect("an id");
    assert_eq!(fake.jobs().len(), 6);
}

/// Lets time pass for this thread; the stand-in has its own.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn plain_http_goes_nowhere_but_to_this_machine() {
    let fake = Fake::start(Control::default());
    for url in ["http://192.0.2.7/", "http://localhost.example.org/", "http://quantum.cloud.ibm.com/api/v1"] {
        let (mut one, mut two) = (fake.config(), fake.config());
        (one.api_url, two.iam_url) = (url.parse().expect("a URL"), url.parse().expect("a URL"));
        for config in [one, two] {
            let error = Client::new(config).expect_err("plain http");
            assert!(matches!(error, IbmError::PlainHttp { .. }), "{error:?}");
            assert!(error.to_string().contains("use https"), "{error}");
        }
    }
    let mut config = fake.config();
    let port = config.api_url.port().expect("a port");
    config.api_url = format!("http://localhost:{port}/api/v1").parse().expect("a URL");
    Client::new(config).expect("a client").usage().await.expect("this machine by its name");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let config = {
        let fake = Fake::start(Control::default());
        fake.config()
    };
    // Whether the port is free again or cut, it is tried until the pace ends.
    let error = Client::new(config).expect("a client").usage().await.expect_err("nobody there");
    assert!(error.is_passing() && error.to_string().contains("127.0.0.1"), "{error:?}");
}
