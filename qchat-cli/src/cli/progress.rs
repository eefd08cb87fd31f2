//! A sign of life for whatever takes longer than a moment; on a terminal alone.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::config::Settings;

/// What takes less than this needs no sign.
const MOMENT: Duration = Duration::from_millis(700);

/// Awaits `work`; when it takes long, the terminal shows `what` beside something that turns.
pub(super) async fn during<T>(settings: &Settings, what: &'static str, work: impl Future<Output = T>) -> T {
    // On the heap, for it is moved from state to state otherwise, and large.
    let work = Box::pin(work);
    telling(settings, what, async |_| work.await).await
}

/// As [`during`], for work that says how far it is.
pub(super) async fn telling<T>(
    settings: &Settings,
    what: &'static str,
    work: impl AsyncFnOnce(&Teller) -> T,
) -> T {
    let silent = settings.quiet || settings.plain || settings.json || !stderr().is_terminal();
    let teller = Teller(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
    let bar = &teller.0;
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    let mut work = Box::pin(work(&teller));
    if !silent {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(MOMENT) => {}
        }
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(100));
    }
    let done = work.await;
    bar.finish_and_clear();
    done
}

/// Changes what the terminal shows meanwhile; clones change the same.
#[derive(Clone)]
pub(super) struct Teller(ProgressBar);

impl Teller {
    /// Shows this from now on.
    pub(super) fn say(&self, what: String) {
        self.0.set_message(what);
    }

    /// Shows how much of it is done, as a bar.
    pub(super) fn far(&self, done: u64, of: u64, what: String) {
        if self.0.length().is_none() && of > 0 {
            let style = ProgressStyle::with_template("{spinner} {msg} [{bar:24}] {percent}% {elapsed}");
            if let Ok(style) = style {
                self.0.set_style(style.progress_chars("=> "));
            }
            self.0.set_length(of);
        }
        self.0.set_position(done);
        self.0.set_message(what);
    }
}
