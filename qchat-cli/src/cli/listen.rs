//! The command that prints messages as they arrive.

use std::{ops::ControlFlow, pin::pin, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use super::{
    Context,
    failure::{Failure, Outcome},
    follow::{Follower, News, Seen},
    hooks::Hooks,
    messages::{self, Show},
    open,
    presence::{self, PresenceObject, TypingObject},
};
use crate::engine::{
    Appearance,
    types::{Connection, Message},
};

/// How long a hook may go on once `listen` is to end.
const LAST: Duration = Duration::from_secs(10);

pub(super) async fn listen(
    context: &Context,
    rooms: &[String],
    (ids, people): (bool, bool),
    limit: Option<usize>,
    hooks: Hooks,
) -> Outcome {
    let profile = open::profile(context).await?;
    // Read before the engine connects: whatever it fetches is new.
    let seen = Seen::stored(&profile).await?;
    open::on_profile(context, profile, async |handle| {
        let mut only = Vec::new();
        for room in rooms {
            only.push(open::room(handle, room).await?);
        }
        let show = Show { mixed: only.len() != 1, ids };
        let mut left = limit.unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(());
        }
        // It runs with nobody before it, for all it knows.
        handle.appear(Appearance::Away, true).await?;
        let mut follower = Follower { handle, only, seen };
        let listening = follower.run(async |news| {
            match news {
                News::Line { message, room } => {
                    messages::print(context, message, room, show)?;
                    if counts(message) {
                        let aloud = handle.marks(message.room).await?.is_loud();
                        hooks.run(context, message, room, aloud).await;
                        left -= 1;
                    }
                }
                News::Presence(_) | News::Writing { .. } if !people => {}
                News::Presence(somebody) => {
                    let line = || format!("* {}", presence::line(somebody, &context.zone));
                    context.output.result(&PresenceObject::new(somebody), line)?;
                }
                News::Writing { id, room, users } => {
                    let line = || format!("* {}", presence::writing(room, users));
                    context.output.result(&TypingObject::new(id, room, users), line)?;
                }
                News::Connection(Connection::Offline(why)) => context.output.say(&format!("offline: {why}")),
                News::Connection(_) => {}
                News::Trouble(sentence) => context.output.say(&format!("warning: {sentence}")),
            }
            Ok(if left == 0 || hooks.ended() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        let mut listening = pin!(listening);
        if let Told::ToEnd = told(listening.as_mut()).await?
            && hooks.end()
        {
            // What is underway may end by itself.
            let _ = timeout(LAST, listening).await;
        }
        hooks.outcome(context)
    })
    .await
}

/// Whether it is a message, rather than something that happened or what has become of an earlier one.
fn counts(message: &Message) -> bool {
    message.is_said() && message.marks.change.is_none()
}

/// How it was ended.
enum Told {
    /// By itself.
    Done,
    /// By a signal.
    ToEnd,
}

/// Does `work` until it is done or the process is told to end.
pub(super) async fn until_told(work: impl Future<Output = Outcome>) -> Outcome {
    told(work).await.map(drop)
}

async fn told(work: impl Future<Output = Outcome>) -> Outcome<Told> {
    let failed = |error| Failure::unexpected(format!("signals cannot be received: {error}"));
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(failed)?;
    tokio::select! {
        _ = interrupted.recv() => Ok(Told::ToEnd),
        _ = terminated.recv() => Ok(Told::ToEnd),
        _ = hung_up.recv() => Ok(Told::ToEnd),
        done = work => done.map(|()| Told::Done),
    }
}
