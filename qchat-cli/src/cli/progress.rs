//! A sign of life for whatever takes longer than a moment; on a terminal alone.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Settings;

/// What takes less than this needs no sign.
const MOMENT: Duration = Duration::from_millis(700);

/// Awaits `work`; when it takes long, the terminal shows `what` beside something that turns.
pub(super) async fn during<T>(settings: &Settings, what: &'static str, work: impl Future<Output = T>) -> T {
    let silent = settings.quiet || settings.plain || settings.json || !stderr().is_terminal();
    let mut work = std::pin::pin!(work);
    if !silent {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(MOMENT) => {}
        }
    }
    let bar = if silent { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    bar.finish_and_clear();
    done
}
