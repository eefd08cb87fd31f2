//! Answers that are not what the interface promises: each is an error with a name, and none takes memory without bound.

use qchat_quantum::ibm::{Client, IbmError, JobId, Submission};
use qchat_tests::ibm::{BACKEND, Control, Fake, Mishap, Route};

use super::submission;

async fn done(client: &Client, submission: &Submission) -> JobId {
    let id = client.submit(submission).await.expect("an id");
    assert!(client.job(&id).await.expect("a job").state.is_final());
    id
}

#[tokio::test]
async fn results_that_were_not_asked_for_are_an_error() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    let submission = submission();
    let id = done(&client, &submission).await;
    let sample = |number: &str, count: usize| vec![format!("\"{number}\""); count].join(",");
    let answer =
        |samples: &str| format!("{{\"results\":[{{\"data\":{{\"c\":{{\"samples\":[{samples}]}}}}}}]}}");
    for (text, right) in [
        (answer(&sample("0xf", 100)), true),
        (answer(&sample("0xf", 99)), false),
        (answer(&sample("0xf", 101)), false),
        (answer(&sample("0x1f", 100)), false),
        (answer(&sample("15", 100)), false),
        (answer(""), false),
        ("{}".to_owned(), false),
        ("\u{1b}[2J".to_owned(), false),
        ("[".repeat(1 << 20), false),
    ] {
        fake.happen(Route::Results, 1, &Mishap::Instead(text.clone().into_bytes()));
        let read = client.results(&id, &submission.expected()).await;
        match read {
            Ok(Some(_)) => assert!(right, "{text}"),
            Err(error) => assert!(!right && matches!(error, IbmError::Protocol(_)), "{error:?}"),
            Ok(None) => panic!("none"),
        }
    }
}

#[tokio::test]
async fn half_an_answer_can_be_asked_for_again() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    let submission = submission();
    let id = done(&client, &submission).await;
    fake.happen(Route::Results, 1, &Mishap::Half);
    let error = client.results(&id, &submission.expected()).await.expect_err("half of it");
    assert!(error.is_passing(), "{error:?}");
    client.results(&id, &submission.expected()).await.expect("an answer").expect("results");
}

#[tokio::test]
async fn floods_are_cut_off() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    let submission = submission();
    let id = done(&client, &submission).await;
    fake.happen(Route::Job, 1, &Mishap::Instead(vec![b' '; (4 << 20) + 1]));
    let error = client.job(&id).await.expect_err("a flood");
    assert!(matches!(error, IbmError::TooLarge(4)), "{error:?}");
    fake.happen(Route::Results, 1, &Mishap::Instead(vec![b' '; (64 << 20) + 1]));
    let error = client.raw_results(&id).await.expect_err("a flood");
    assert!(matches!(error, IbmError::TooLarge(64)) && error.to_string().contains("64 MiB"), "{error}");
    fake.happen(Route::Token, 1, &Mishap::Instead(vec![b' '; 1 << 20]));
    let error = fake.client().usage().await.expect_err("a flood");
    assert!(matches!(error, IbmError::TooLarge(_)), "{error:?}");
}

#[tokio::test]
async fn other_answers_are_errors_with_a_name() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    client.usage().await.expect("a usage");
    for text in ["null", "{}", "3", "{\"devices\": 3}", "{\"length_queue\": \"many\"}", "\u{1b}[2J"] {
        fake.happen(Route::Any, 6, &Mishap::Instead(text.as_bytes().to_vec()));
        for error in [
            client.backends().await.map(drop).expect_err("a list"),
            client.status(BACKEND).await.map(drop).expect_err("a status"),
            client.configuration(BACKEND).await.map(drop).expect_err("a configuration"),
            client.properties(BACKEND).await.map(drop).expect_err("properties"),
            client.find(&submission().tag).await.map(drop).expect_err("a list"),
            client.usage().await.map(drop).expect_err("a usage"),
        ] {
            assert!(matches!(error, IbmError::Protocol(_)), "{text}: {error:?}");
        }
    }
    for text in
        ["null", "{}", "{\"access_token\": \"two words\", \"expires_in\": 9}", "{\"access_token\": \"a\"}"]
    {
        fake.happen(Route::Token, 1, &Mishap::Instead(text.as_bytes().to_vec()));
        let error = fake.client().usage().await.expect_err("a token");
        assert!(matches!(error, IbmError::Protocol("a token was expected")), "{text}: {error:?}");
    }
}

#[tokio::test]
async fn nobody_is_followed_elsewhere_with_a_token() {
    let (fake, other) = (Fake::start(Control::default()), Fake::start(Control::default()));
    let elsewhere = other.config().api_url.to_string() + "/instances/usage";
    fake.happen(Route::Usage, 1, &Mishap::Elsewhere(elsewhere));
    let error = fake.client().usage().await.expect_err("a redirect");
    assert!(matches!(error, IbmError::Refused { status: 302, .. }), "{error:?}");
    assert_eq!(other.requests(Route::Usage), 0);
}
