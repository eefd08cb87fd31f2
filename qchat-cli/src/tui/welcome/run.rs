//! The loop that connects the first run to a terminal and to who carries it out.

use std::{future::poll_fn, io, pin::Pin, task::Poll};

use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::{mpsc, oneshot};

use super::{
    super::{
        screen::{Screen, Surface},
        signals::{self, Told as Signalled},
        text,
        theme::Theme,
    },
    state::{Act, Done, Input, Task, Welcome, update},
    view,
};

/// What a task tells at most before it is taken in.
const TOLD: usize = 16;

/// What a task says before it is done.
#[derive(Debug)]
pub enum Told {
    /// How far it is.
    Far(String),
    /// Something that the user has to answer.
    Ask(String, oneshot::Sender<bool>),
}

/// Whoever carries the tasks out.
pub trait Clerk {
    /// Does one, and tells how far it is. A task that is given up is dropped.
    fn perform(&self, task: Task, told: mpsc::Sender<Told>) -> impl Future<Output = Result<Done, String>>;
}

/// A task that is under way.
type Work<'a> = Pin<Box<dyn Future<Output = Result<Done, String>> + 'a>>;

/// Takes the terminal, and leads somebody to an account. Returns whether they have come to one.
///
/// # Errors
/// What the terminal says.
pub async fn open(mut welcome: Welcome, theme: Theme, clerk: &impl Clerk) -> io::Result<bool> {
    let signals = signals::told()?;
    let mut screen = Screen::take()?;
    run(&mut welcome, &mut screen, EventStream::new, signals, theme, clerk).await
}

async fn run<S, E>(
    welcome: &mut Welcome,
    surface: &mut S,
    mut events: impl FnMut() -> E,
    mut signals: impl Stream<Item = Signalled> + Unpin,
    theme: Theme,
    clerk: &impl Clerk,
) -> io::Result<bool>
where
    S: Surface,
    E: Stream<Item = io::Result<TerminalEvent>> + Unpin,
{
    let mut keys = events();
    let (teller, mut told) = mpsc::channel(TOLD);
    let mut task: Option<Work<'_>> = None;
    let mut waits: Option<oneshot::Sender<bool>> = None;
    loop {
        surface.terminal().draw(|frame| view::view(welcome, theme, frame))?;
        let input = tokio::select! {
            event = keys.next() => match event {
                None => return Ok(false),
                Some(event) => match event? {
                    TerminalEvent::Key(key) => Input::Key(key),
                    TerminalEvent::Paste(text) => Input::Paste(text),
                    _ => continue,
                },
            },
            Some(signal) = signals.next() => match signal {
                // A task that is under way is given up, as by somebody who leaves.
                Signalled::End | Signalled::Interrupt => return Ok(false),
                Signalled::Suspend => {
                    drop(keys);
                    surface.lend()?;
                    if signals::stop() {
                        while !matches!(signals.next().await, Some(Signalled::Continue) | None) {}
                    }
                    surface.take_back()?;
                    keys = events();
                    continue;
                }
                Signalled::Continue => {
                    surface.lend()?;
                    surface.take_back()?;
                    continue;
                }
            },
            Some(told) = told.recv() => match told {
                Told::Far(words) => Input::Far(text::clean(&words)),
                Told::Ask(words, answer) => {
                    waits = Some(answer);
                    Input::Ask(text::clean(&words))
                }
            },
            done = poll_fn(|context| match &mut task {
                Some(task) => task.as_mut().poll(context),
                None => Poll::Pending,
            }) => {
                (task, waits) = (None, None);
                Input::Done(done)
            }
        };
        match update(welcome, input) {
            None => {}
            Some(Act::Begin(what)) => {
                task = Some(Box::pin(clerk.perform(what, teller.clone())));
            }
            Some(Act::Answer(yes)) => {
                // Whoever does not wait any more needs no answer.
                let _ = waits.take().map(|answer| answer.send(yes));
            }
            Some(Act::GiveUp) => {
                (task, waits) = (None, None);
                // What it has told already is of no interest any more.
                while told.try_recv().is_ok() {}
            }
            Some(Act::Leave) => return Ok(false),
            Some(Act::Enter) => return Ok(true),
        }
    }
}
