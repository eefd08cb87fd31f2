//! Submitting so that nothing is charged twice, whatever is lost on the way.

use super::{Client, IbmError, JobId, Submission};

/// Submits a job unless it was submitted before: its tag, which the caller kept before it called, is looked for first.
/// When it is not known whether the service received it, it is looked for again, a few times, since a new job may not be
/// listed at once. It is never sent a second time by one call; who calls again with the same tag finds it if it arrived.
///
/// # Errors
/// [`IbmError::OutcomeUnknown`] when the job may have been received and is not found: call again later. Any other error
/// means that it was not.
pub async fn submit_once(client: &Client, submission: &Submission) -> Result<JobId, IbmError> {
    if let Some(id) = client.find(&submission.tag).await? {
        return Ok(id);
    }
    let unknown = match client.submit(submission).await {
        Err(error @ IbmError::OutcomeUnknown { .. }) => error,
        known => return known,
    };
    let pace = client.pace();
    for look in 0..pace.tries {
        match client.find(&submission.tag).await {
            Ok(Some(id)) => return Ok(id),
            Ok(None) => tokio::time::sleep(pace.look(look)).await,
            Err(error) => {
                tracing::debug!(%error, "cannot look for the job");
                break;
            }
        }
    }
    Err(unknown)
}
