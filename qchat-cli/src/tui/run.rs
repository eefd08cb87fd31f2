//! The loop that connects the screen to a terminal and to the engine: it moves messages and commands, and decides
//! nothing.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use crossterm::{
    event::{Event as TerminalEvent, EventStream, MouseEventKind},
    queue,
    terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate},
};
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use ratatui::{buffer::Buffer, layout::Rect};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    task::{AbortHandle, JoinError, JoinSet, spawn_blocking},
    time::{sleep, sleep_until, timeout},
};

use super::{
    Answer, App, Command, Desk, Msg, editor,
    emit::{self, Link},
    graphics::{self, Encoded},
    screen::{Screen, Surface},
    signals::{self, Told},
    start, update, view,
    view::{links, pixels},
    words::Words,
};
use crate::{
    desktop,
    expiry::{Expiry, TICK},
};

/// Most often that the screen is drawn, however much happens,
const FRAME: Duration = Duration::from_millis(16);
/// and for a while after a key: what it does is seen at once, and so is what is read for it.
const AFTER_A_KEY: Duration = Duration::from_millis(3);
/// How long that is.
const ANSWERED: Duration = Duration::from_millis(100);
/// How long nobody presses a key before what is begun is kept.
const PAUSE: Duration = Duration::from_secs(1);
/// How long there is no further notification of a room of which there was one.
const REST: Duration = Duration::from_secs(5);
/// How much is told at once of how far things are.
const PROGRESS: usize = 64;
/// How long what has to be kept may take when the program ends.
const END: Duration = Duration::from_secs(5);
/// How long it may take then to tell others that nothing is written any more.
const GOODBYE: Duration = Duration::from_millis(500);

/// Shows the screen until the user quits, the terminal goes away or `signals` say so; locked after `lock_after` without a key. `events`
/// opens the terminal's events, and again after another program had the terminal. However it ends, what was to be sent and kept is.
///
/// # Errors
/// What the terminal says when it cannot be drawn on or read from.
pub async fn run<S, D, E>(
    app: &mut App,
    surface: &mut S,
    desk: &D,
    mut events: impl FnMut() -> E,
    lock_after: Option<Duration>,
    mut signals: impl Stream<Item = Told> + Unpin,
) -> io::Result<()>
where
    S: Surface,
    D: Desk,
    E: Stream<Item = io::Result<TerminalEvent>> + Unpin,
{
    let mut news = desk.events();
    let (progress, mut told) = mpsc::channel(PROGRESS);
    let mut work = Work::new(desk.clone(), progress);
    let mut keys = Some(events());
    let size = surface.terminal().size()?;
    let mut commands = update(app, Msg::Cell(surface.cell()));
    commands.extend(update(app, Msg::Resize(size.width, size.height)));
    commands.extend(start(app));
    let mut drawn = Instant::now().checked_sub(FRAME).unwrap_or_else(Instant::now);
    let mut changed = true;
    let (mut touched, mut paused) = (Instant::now(), true);
    // By whichever clock comes first: while the machine sleeps, nobody is there either.
    let mut idle = lock_after.map(Expiry::after);
    let mut shown = Shown::default();
    loop {
        let mut next = Vec::new();
        for command in commands.drain(..) {
            match command {
                Command::Quit => {
                    work.finish().await;
                    return Ok(());
                }
                Command::Emit(emission) => emit(surface, &emission.bytes(app.ambience.is_notified_by_777()))?,
                Command::Edit(text) => {
                    // Whoever reads keys here would take them from the editor.
                    drop(keys.take());
                    surface.lend()?;
                    let (written, ended) = edit(&text, app.words, &mut signals).await?;
                    surface.take_back()?;
                    keys = Some(events());
                    shown = Shown::default();
                    let command = Command::Edit(text);
                    next.extend(match written {
                        Ok(text) => update(app, Msg::Done(command, Answer::Written(text))),
                        Err(why) => update(app, Msg::Failed(command, why)),
                    });
                    if ended {
                        next.extend(update(app, Msg::End));
                    }
                    changed = true;
                }
                Command::Suspend => {
                    drop(keys.take());
                    surface.lend()?;
                    if signals::stop() {
                        // Other threads may go on for a moment after that: nothing is written before it is over.
                        loop {
                            match signals.next().await {
                                Some(Told::Continue) | None => break,
                                Some(Told::End) => next.extend(update(app, Msg::End)),
                                Some(Told::Interrupt | Told::Suspend) => {}
                            }
                        }
                    } else {
                        next.extend(update(app, Msg::Unstoppable));
                    }
                    surface.take_back()?;
                    keys = Some(events());
                    shown = Shown::default();
                    changed = true;
                    let size = surface.terminal().size()?;
                    next.extend(update(app, Msg::Resize(size.width, size.height)));
                    if !app.is_locked() && idle.is_some_and(|idle| idle.remaining().is_zero()) {
                        // Whoever goes on after the time was over finds the screen locked.
                        next.extend(update(app, Msg::Idle));
                    }
                }
                Command::GiveUp(command) => work.give_up(&command),
                command => work.begin(command),
            }
        }
        if !next.is_empty() {
            commands = next;
            continue;
        }
        let Some(keys) = keys.as_mut() else { return Ok(()) };
        let before = touched;
        let frame = if touched.elapsed() < ANSWERED { AFTER_A_KEY } else { FRAME };
        let msg = tokio::select! {
            biased;
            () = sleep_until((drawn + frame).into()), if changed => {
                draw(app, surface, &mut shown)?;
                drawn = Instant::now();
                changed = false;
                continue;
            }
            event = keys.next() => match event {
                None => Msg::End,
                Some(Err(error)) => {
                    work.finish().await;
                    return Err(error);
                }
                Some(Ok(event)) => match event {
                    TerminalEvent::Key(key) => {
                        (touched, paused) = (Instant::now(), false);
                        Msg::Key(key)
                    }
                    TerminalEvent::Paste(text) => {
                        (touched, paused) = (Instant::now(), false);
                        Msg::Paste(text)
                    }
                    TerminalEvent::Mouse(mouse) => {
                        // One that is only moved, by a cat, say, is nobody who works.
                        if mouse.kind != MouseEventKind::Moved {
                            touched = Instant::now();
                        }
                        Msg::Mouse(mouse)
                    }
                    TerminalEvent::Resize(width, height) => Msg::Resize(width, height),
                    TerminalEvent::FocusGained => Msg::Focus(true),
                    TerminalEvent::FocusLost => Msg::Focus(false),
                },
            },
            () = sleep_until((touched + PAUSE).into()), if !paused => {
                paused = true;
                Msg::Pause
            }
            () = sleep(idle.map_or(TICK, |idle| idle.remaining().min(TICK))), if idle.is_some() && !app.is_locked() => {
                if idle.is_some_and(|idle| !idle.remaining().is_zero()) {
                    continue;
                }
                Msg::Idle
            }
            Some(told) = signals.next() => match told {
                Told::End | Told::Interrupt => Msg::End,
                Told::Suspend => Msg::Suspend,
                Told::Continue => {
                    // Stopped by what nobody is told of: who had the terminal meanwhile has left it in other modes.
                    surface.lend()?;
                    surface.take_back()?;
                    shown = Shown::default();
                    changed = true;
                    if !idle.is_some_and(|idle| idle.remaining().is_zero()) {
                        continue;
                    }
                    Msg::Idle
                }
            },
            Some(done) = work.tasks.join_next() => match work.ended(done)? {
                Some(msg) => msg,
                None => continue,
            },
            Some(far) = told.recv() => far,
            event = news.recv() => match event {
                Ok(event) => Msg::Engine(event),
                Err(RecvError::Lagged(_)) => Msg::Lagged,
                Err(RecvError::Closed) => return Ok(()),
            },
        };
        // Whoever comes back after the time was over finds the screen locked, though nothing has looked at the clock meanwhile.
        let late =
            touched != before && !app.is_locked() && idle.is_some_and(|idle| idle.remaining().is_zero());
        let msg = if late { Msg::Idle } else { msg };
        if touched != before {
            idle = lock_after.map(Expiry::after);
        }
        let was_locked = app.is_locked();
        if matches!(msg, Msg::Resize(..)) {
            // Other letters, too, are another size.
            commands = update(app, Msg::Cell(surface.cell()));
        }
        commands.extend(update(app, msg));
        if was_locked && !app.is_locked() {
            // Checking the passphrase takes its time, and whoever typed it is there.
            touched = Instant::now();
            idle = lock_after.map(Expiry::after);
        }
        changed = true;
    }
}

/// Has somebody write in their editor. What interrupts is meant for that one, and it stops with the program.
async fn edit(
    text: &str,
    words: Words,
    signals: &mut (impl Stream<Item = Told> + Unpin),
) -> io::Result<(Result<Option<String>, String>, bool)> {
    let text = text.to_owned();
    let mut writing = spawn_blocking(move || editor::write(&text, words));
    let mut ended = false;
    let mut take = |told| match told {
        Told::End => ended = true,
        Told::Suspend => {
            signals::stop();
        }
        Told::Interrupt | Told::Continue => {}
    };
    let written = loop {
        tokio::select! {
            biased;
            Some(told) = signals.next() => take(told),
            written = &mut writing => break written,
        }
    };
    // What has ended the editor may have come here as well.
    while let Some(Some(told)) = signals.next().now_or_never() {
        take(told);
    }
    Ok((written.map_err(io::Error::other)?, ended))
}

/// Draws what has changed, all of it at once; addresses again when they have, so that they lead where they say.
fn draw<S: Surface>(app: &App, surface: &mut S, shown: &mut Shown) -> io::Result<()> {
    let terminal = surface.terminal();
    let size = terminal.size()?;
    // A window that has another size already than the one that is told next has no place for a picture.
    let picture = pixels(app).filter(|_| size == app.size);
    let changed = picture != shown.picture.as_ref().map(|(place, picture)| (*place, picture));
    queue!(terminal.backend_mut(), BeginSynchronizedUpdate)?;
    if let Some((_, before)) = shown.picture.as_ref().filter(|_| changed) {
        // Nothing of a picture stays: every cell is drawn anew.
        graphics::take_away(terminal.backend_mut(), before)?;
        terminal.resize(size.into())?;
        *shown = Shown::default();
    }
    let buffer = terminal.draw(|frame| view(app, frame))?.buffer.clone();
    let now = links(app);
    emit::uncertain_rows(terminal.backend_mut(), &shown.buffer, &buffer, picture.map(|(place, _)| place))?;
    if !now.is_empty() || !shown.links.is_empty() {
        emit::links(terminal.backend_mut(), &buffer, &shown.links, &now)?;
    }
    // Whatever has cleared the terminal has taken the picture with it.
    let cleared = buffer.area != shown.buffer.area;
    if let Some((place, picture)) = picture.filter(|_| changed || cleared) {
        graphics::paint(terminal.backend_mut(), picture, place)?;
    }
    queue!(terminal.backend_mut(), EndSynchronizedUpdate)?;
    io::Write::flush(terminal.backend_mut())?;
    let picture = picture.map(|(place, picture)| (place, picture.clone()));
    *shown = Shown { buffer, links: now, picture };
    Ok(())
}

/// What is on the terminal.
#[derive(Default)]
struct Shown {
    buffer: Buffer,
    links: Vec<Link>,
    /// What it draws itself, and where.
    picture: Option<(Rect, Encoded)>,
}

fn emit<S: Surface>(surface: &mut S, bytes: &[u8]) -> io::Result<()> {
    let out = surface.terminal().backend_mut();
    io::Write::write_all(out, bytes)?;
    io::Write::flush(out)
}

/// Commands that the desk works on.
struct Work<D> {
    desk: D,
    progress: mpsc::Sender<Msg>,
    tasks: JoinSet<Msg>,
    /// Those that keep the order in which they were asked for.
    kept: Queue,
    told: Queue,
    /// What may be given up, and what ends it.
    endable: Vec<(Command, AbortHandle)>,
}

/// Commands that are carried out one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// What is written, and what is kept.
    Kept,
    /// What is told to those who are there, which is in the way of nothing.
    Told,
}

fn lane(command: &Command) -> Option<Lane> {
    match command {
        Command::Send { .. }
        | Command::Rewrite { .. }
        | Command::React { .. }
        | Command::Vote { .. }
        | Command::KeepDraft { .. }
        | Command::KeepLine { .. }
        | Command::MarkRead(_)
        | Command::SaveSetting(..) => Some(Lane::Kept),
        Command::Appear(_) | Command::TellWriting { .. } => Some(Lane::Told),
        _ => None,
    }
}

/// What waits for the one before it.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Command>,
    busy: bool,
}

impl<D: Desk> Work<D> {
    fn new(desk: D, progress: mpsc::Sender<Msg>) -> Self {
        Self {
            desk,
            progress,
            tasks: JoinSet::new(),
            kept: Queue::default(),
            told: Queue::default(),
            endable: Vec::new(),
        }
    }

    fn queue(&mut self, command: &Command) -> Option<&mut Queue> {
        lane(command).map(|lane| match lane {
            Lane::Kept => &mut self.kept,
            Lane::Told => &mut self.told,
        })
    }

    fn begin(&mut self, command: Command) {
        if let Some(queue) = self.queue(&command) {
            if queue.busy {
                queue.waiting.push_back(command);
                return;
            }
            queue.busy = true;
        }
        if let Command::Notify { title, body } = &command {
            let (title, body) = (title.clone(), body.clone());
            self.tasks.spawn(async move {
                match desktop::notify(&title, &body).await {
                    Ok(()) => Msg::Done(command, Answer::Nothing),
                    Err(why) => Msg::Failed(command, why),
                }
            });
            return;
        }
        if let Command::Rest(_) = &command {
            self.tasks.spawn(async move {
                sleep(REST).await;
                Msg::Done(command, Answer::Nothing)
            });
            return;
        }
        if let Command::Encode(pixels, shape) = &command {
            let encoding = graphics::encoded(pixels.clone(), *shape);
            self.tasks.spawn(async move {
                match encoding.await {
                    Some(encoded) => Msg::Done(command, Answer::Encoded(encoded)),
                    None => Msg::Failed(command, String::new()),
                }
            });
            return;
        }
        let (desk, progress) = (self.desk.clone(), self.progress.clone());
        let endable =
            matches!(command, Command::LookAt { .. } | Command::Play { .. }).then(|| command.clone());
        let task = self.tasks.spawn(async move {
            match desk.perform(command.clone(), progress).await {
                Ok(answer) => Msg::Done(command, answer),
                Err(why) => Msg::Failed(command, why),
            }
        });
        if let Some(command) = endable {
            self.endable.retain(|(_, task)| !task.is_finished());
            self.endable.push((command, task));
        }
    }

    /// Gives up a command; it has no outcome.
    fn give_up(&mut self, command: &Command) {
        for (_, task) in self.endable.extract_if(.., |(begun, _)| begun == command) {
            task.abort();
        }
    }

    /// What a task has come to; nothing when it was given up.
    fn ended(&mut self, done: Result<Msg, JoinError>) -> io::Result<Option<Msg>> {
        let msg = match done {
            Ok(msg) => msg,
            Err(error) if error.is_cancelled() => return Ok(None),
            Err(error) => return Err(io::Error::other(error)),
        };
        if let Msg::Done(command, _) | Msg::Failed(command, _) = &msg
            && let Some(queue) = self.queue(command)
        {
            queue.busy = false;
            if let Some(next) = queue.waiting.pop_front() {
                self.begin(next);
            }
        }
        Ok(Some(msg))
    }

    /// Carries out what is in order: what is kept to the last, and what is told as far as that goes in a moment. What else is under way
    /// is given up.
    async fn finish(&mut self) {
        let began = Instant::now();
        loop {
            let time = match (self.kept.busy, self.told.busy) {
                (true, _) => END,
                (false, true) => GOODBYE,
                (false, false) => return,
            };
            match timeout(time.saturating_sub(began.elapsed()), self.tasks.join_next()).await {
                Ok(Some(done)) => {
                    if self.ended(done).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    if self.kept.busy {
                        tracing::warn!("what was begun is not kept: the disk takes too long");
                    }
                    return;
                }
            }
        }
    }
}

/// Takes the process's terminal, shows the screen, and gives the terminal back whatever happens. After `lock_after` without a key
/// the passphrase has to be typed.
///
/// # Errors
/// What the terminal says.
pub async fn open<D: Desk>(mut app: App, desk: &D, lock_after: Option<Duration>) -> io::Result<()> {
    let told = signals::told()?;
    let mut screen = Screen::take()?;
    run(&mut app, &mut screen, desk, EventStream::new, lock_after, told).await
}

#[cfg(test)]
mod tests {
    use qchat_proto::ids::{MessageId, RoomId};

    use super::*;
    use crate::engine::types::Event;

    /// One that never answers.
    #[derive(Clone)]
    struct Slow(tokio::sync::broadcast::Sender<Event>);

    impl Desk for Slow {
        fn events(&self) -> tokio::sync::broadcast::Receiver<Event> {
            self.0.subscribe()
        }

        async fn perform(&self, _: Command, _: mpsc::Sender<Msg>) -> Result<Answer, String> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn what_is_given_up_ends_without_an_outcome() {
        let desk = Slow(tokio::sync::broadcast::channel(1).0);
        let mut work = Work::new(desk, mpsc::channel(1).0);
        let look_at = |number| Command::LookAt {
            room: RoomId::from_bytes([1; 16]),
            message: MessageId::from_bytes([number; 16]),
        };
        work.begin(look_at(1));
        work.give_up(&look_at(2));
        // Had it been ended, it would be over once others had their turn.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(work.tasks.try_join_next().is_none());
        work.give_up(&look_at(1));
        let ended = work.tasks.join_next().await.unwrap();
        assert!(matches!(work.ended(ended), Ok(None)));
    }
}
