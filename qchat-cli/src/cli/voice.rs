//! Voice notes: recorded and sent, and played, by programs of the user's choice.

use std::{
    cell::Cell,
    future::pending,
    io::{self, Read as _},
    path::PathBuf,
    thread,
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::timeout,
};

use super::{
    Context,
    failure::{Failure, Outcome},
    files, listen,
    messages::{self, More},
    open, progress,
};
use crate::{
    engine::{Memory, Source},
    sound::{self, SoundTrouble},
};

/// How long a voice note is at most, where nothing else is said.
const LONGEST: Duration = Duration::from_mins(5);
/// How long it can be thrown away after a first Ctrl+C.
const SECOND_THOUGHTS: Duration = Duration::from_secs(1);

impl From<SoundTrouble> for Failure {
    fn from(trouble: SoundTrouble) -> Self {
        let said = trouble.to_string();
        match trouble {
            SoundTrouble::Engine(error) => error.into(),
            SoundTrouble::NoSound | SoundTrouble::TooLarge(_) => Self::refused(said),
            SoundTrouble::Words(_) => Self::usage(said),
            SoundTrouble::NoPlayer | SoundTrouble::NoRecorder => Self::not_found(said),
            SoundTrouble::Start { .. } | SoundTrouble::Failed { .. } | SoundTrouble::Unknown(_) => {
                Self::unexpected(said)
            }
        }
    }
}

/// Plays a sound that was sent.
pub(super) async fn play(context: &Context, room: &str, id: &str, force: bool) -> Outcome {
    let settings = &context.settings;
    open::with_engine(context, async |handle| {
        let room = open::room(handle, room).await?;
        let found = files::find(context, handle, room, id).await?;
        let getting = progress::telling(settings, "Getting the sound", async |teller| {
            let rate = files::Rate::new("Getting");
            sound::fetch(handle, room, &found, force, |far| rate.tell(teller, far)).await
        });
        let sound = getting.await?;
        let player = sound::player(settings.player.as_deref(), sound::kind(&sound))?;
        // Whoever ends this ends the player.
        listen::until_told(async { Ok(sound::play(&player, &sound, true).await?) }).await
    })
    .await
}

/// Records, and sends what was recorded.
pub(super) async fn record(
    context: &Context,
    room: &str,
    caption: Option<&str>,
    longest: Option<Duration>,
    more: More<'_>,
) -> Outcome {
    if context.engine.is_some() {
        return Err(Failure::usage("what is recorded is recorded for who sits before it; send a file"));
    }
    // Before the passphrase is asked for.
    let recorder = sound::recorder(context.settings.recorder.as_deref())?;
    let caption = caption.unwrap_or_default().to_owned();
    open::with_engine(context, async |handle| {
        let id = messages::place(context, handle, room).await?;
        let draft = messages::draft(handle, id, caption, &more).await?;
        let failed = |error| Failure::unexpected(format!("signals cannot be received: {error}"));
        let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hung_up = signal(SignalKind::hangup()).map_err(failed)?;
        let given_up = || Failure::unexpected("given up; nothing was sent");
        let by_interrupt = Cell::new(false);
        context.output.say("Recording. Enter or Ctrl+C ends it and sends it, Ctrl+C twice throws it away.");
        let stop = async {
            tokio::select! {
                _ = interrupted.recv() => by_interrupt.set(true),
                () = enter(context.settings.no_input) => {}
            }
        };
        let recorded = tokio::select! {
            recorded = sound::record(&recorder, stop, longest.unwrap_or(LONGEST)) => recorded?,
            _ = terminated.recv() => return Err(given_up()),
            _ = hung_up.recv() => return Err(given_up()),
        };
        let recording = recorded.ok_or_else(|| {
            Failure::unexpected(format!("{} has recorded nothing, and nothing was sent", recorder[0]))
        })?;
        if by_interrupt.get() && timeout(SECOND_THOUGHTS, interrupted.recv()).await.is_ok() {
            return Err(given_up());
        }
        let source = Source {
            path: PathBuf::from(format!("voice-note.{}", recording.kind.ending)),
            memory: Some(Memory::new(recording.sound)),
            media_type: recording.kind.media_type.to_owned(),
            draft,
            voice: true,
            duration_ms: u32::try_from(recording.duration.as_millis()).unwrap_or(u32::MAX),
        };
        tokio::select! {
            sent = files::put(context, handle, id, source, more.wait) => sent,
            _ = interrupted.recv() => Err(Failure::unexpected(
                "given up; `qchat outbox list` and `qchat history` show whether it was sent",
            )),
        }
    })
    .await
}

/// Waits for Enter; where none can come, for ever.
async fn enter(no_input: bool) {
    let (pressed, mut told) = oneshot::channel();
    let reading = move || {
        let mut byte = [0];
        while matches!(io::stdin().lock().read(&mut byte), Ok(1)) {
            if byte == *b"\n" {
                let _ = pressed.send(());
                return;
            }
        }
    };
    // A thread of its own: one that waits for a key holds nothing up when the program ends.
    if no_input || thread::Builder::new().spawn(reading).is_err() || (&mut told).await.is_err() {
        pending::<()>().await;
    }
}
