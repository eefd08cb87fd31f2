//! Nothing is charged twice, whatever is lost.

use qchat_quantum::ibm::{IbmError, submit_once};
use qchat_tests::ibm::{Control, Fake, Mishap, Route};

use super::submission;

#[tokio::test]
async fn a_job_whose_answer_was_lost_is_found_and_not_sent_again() {
    for lost in [
        Mishap::Lost,
        Mishap::Short,
        Mishap::Half,
        Mishap::Instead(b"{}".to_vec()),
        Mishap::Instead(b"<html>".to_vec()),
        Mishap::Instead(b"{\"id\": \"../evil\"}".to_vec()),
    ] {
        // It is not listed at once, either.
        let fake = Fake::start(Control { unlisted: 3, ..Control::default() });
        fake.happen(Route::Submit, 1, &lost);
        let submission = submission();
        let id = submit_once(&fake.client(), &submission).await.expect("found");
        let jobs = fake.jobs();
        assert_eq!(jobs.len(), 1, "{lost:?}");
        assert_eq!(
            (jobs[0].id.as_str(), &jobs[0].tags[..]),
            (id.as_str(), &[submission.tag.to_string()][..])
        );
        assert_eq!(fake.requests(Route::Submit), 1);
    }
}

#[tokio::test]
async fn who_restarts_between_answer_and_disk_finds_the_job() {
    let fake = Fake::start(Control::default());
    let submission = submission();
    fake.happen(Route::Submit, 1, &Mishap::Lost);
    let error = fake.client().submit(&submission).await.expect_err("lost");
    assert!(matches!(&error, IbmError::OutcomeUnknown { tag, .. } if *tag == submission.tag), "{error:?}");
    assert!(error.to_string().contains(submission.tag.as_str()), "{error}");
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(submit_once(&fake.client(), &submission).await.expect("found"));
    }
    ids.dedup();
    assert_eq!((ids.len(), fake.jobs().len(), fake.requests(Route::Submit)), (1, 1, 1));
}

#[tokio::test]
async fn a_job_that_nobody_can_look_for_is_not_sent_again() {
    let fake = Fake::start(Control::default());
    let (client, submission) = (fake.client(), submission());
    fake.happen(Route::Submit, 1, &Mishap::Lost);
    // The first look finds that it was never sent; then the list is broken.
    fake.change(|control| control.unlisted = 100);
    let error = submit_once(&client, &submission).await.expect_err("nobody knows");
    assert!(matches!(error, IbmError::OutcomeUnknown { .. }), "{error:?}");
    assert_eq!((fake.jobs().len(), fake.requests(Route::Submit)), (1, 1));
    fake.happen(Route::List, 5, &Mishap::Status(503, None));
    let error = submit_once(&client, &submission).await.expect_err("the list is broken");
    assert!(matches!(error, IbmError::Unavailable { .. }), "{error:?}");
    assert_eq!(fake.requests(Route::Submit), 1, "who cannot look does not send");
    fake.change(|control| control.unlisted = 0);
    let id = submit_once(&client, &submission).await.expect("found");
    assert_eq!((fake.jobs().len(), fake.jobs()[0].id.as_str()), (1, id.as_str()));
}

#[tokio::test]
async fn a_submission_that_failed_on_the_other_side_is_sent_by_the_next_call() {
    for mishap in [Mishap::Status(502, None), Mishap::Cut] {
        let fake = Fake::start(Control::default());
        let (client, submission) = (fake.client(), submission());
        fake.happen(Route::Submit, 1, &mishap);
        let error = submit_once(&client, &submission).await.expect_err("nobody knows");
        assert!(matches!(error, IbmError::OutcomeUnknown { .. }), "{error:?}");
        assert_eq!((fake.jobs().len(), fake.requests(Route::Submit)), (0, 1));
        submit_once(&client, &submission).await.expect("an id");
        assert_eq!((fake.jobs().len(), fake.requests(Route::Submit)), (1, 2));
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_that_is_known() {
    let fake = Fake::start(Control::default());
    fake.happen(Route::Token, 5, &Mishap::Status(503, None));
    let client = fake.client();
    let error = client.submit(&submission()).await.expect_err("no token");
    assert!(matches!(error, IbmError::Unavailable { .. }), "{error:?}");
    assert_eq!((fake.requests(Route::Token), fake.requests(Route::Submit)), (5, 0));
    for _ in 0..5 {
        client.submit(&submission()).await.expect("none of the minute's five is used up");
    }
}

#[tokio::test]
async fn what_was_surely_not_taken_is_sent_again() {
    let fake = Fake::start(Control::default());
    let client = fake.client();
    fake.happen(Route::Submit, 2, &Mishap::Status(429, Some(0)));
    client.submit(&submission()).await.expect("an id");
    assert_eq!((fake.jobs().len(), fake.requests(Route::Submit)), (1, 3));
    fake.revoke_tokens();
    client.submit(&submission()).await.expect("an id, with a new token");
    assert_eq!((fake.jobs().len(), fake.requests(Route::Submit), fake.requests(Route::Token)), (2, 5, 2));
}

#[tokio::test]
async fn a_job_of_somebody_else_is_not_taken_for_ours() {
    let fake = Fake::start(Control { ignores_tags: true, ..Control::default() });
    let client = fake.client();
    let (ours, others) = (submission(), submission());
    client.submit(&others).await.expect("an id");
    assert_eq!(client.find(&ours.tag).await.expect("a list"), None);
    let id = submit_once(&client, &ours).await.expect("an id");
    assert_eq!(client.find(&ours.tag).await.expect("a list"), Some(id));
    assert_eq!(fake.jobs().len(), 2);
}
