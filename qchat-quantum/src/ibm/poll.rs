//! Waiting for a job: looks at it ever more rarely, and outlasts failures of the service and lost connections for as long
//! as the caller does.

use super::{Client, IbmError, Job, JobId, pace::Pace};

/// What a look at a job brought.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// How it is.
    Job(&'a Job),
    /// Why nobody knows now; it will be looked at again.
    Trouble(&'a IbmError),
}

/// Waits until a job is in a state that will never change, and tells each look to `seen`. It ends early with an error
/// that will not pass, and when the future is dropped.
///
/// # Errors
/// [`IbmError`], one that does not pass or that asks for a longer pause than `pace` has.
pub async fn wait(
    client: &Client,
    id: &JobId,
    pace: &Pace,
    mut seen: impl FnMut(Progress<'_>),
) -> Result<Job, IbmError> {
    let (mut looks, mut failures) = (0_u32, 0_u32);
    let mut last = None;
    loop {
        let pause = match client.look(id).await {
            Ok(job) => {
                seen(Progress::Job(&job));
                if job.state.is_final() {
                    return Ok(job);
                }
                failures = 0;
                let kind = std::mem::discriminant(&job.state);
                looks = if last.replace(kind) == Some(kind) { looks.saturating_add(1) } else { 0 };
                pace.look(looks)
            }
            Err(error) if error.is_passing() => {
                seen(Progress::Trouble(&error));
                failures = failures.saturating_add(1);
                let Some(pause) = pace.after(failures, &error) else { return Err(error) };
                pause
            }
            Err(error) => return Err(error),
        };
        tokio::time::sleep(pause).await;
    }
}
