//! The loop that connects the screen to a terminal and to the engine: it moves messages and commands, and decides
//! nothing.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::{Stream, StreamExt as _};
use ratatui::{Terminal, backend::Backend};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::broadcast::error::RecvError,
    task::{JoinError, JoinSet},
    time::sleep_until,
};

use super::{Answer, App, Command, Msg, Theme, screen::Screen, start, update, update::PAGE, view};
use crate::{
    engine::{
        EngineError, Handle,
        types::{LinkStatus, Message},
    },
    zone::Zone,
};

/// Most often that the screen is drawn, however much happens.
const FRAME: Duration = Duration::from_millis(16);

/// Shows the screen until the user quits or the terminal goes away; locked after `lock_after` without a key.
///
/// # Errors
/// What the terminal says when it cannot be drawn on or read from.
pub async fn run<B>(
    app: &mut App,
    terminal: &mut Terminal<B>,
    handle: &Handle,
    mut events: impl Stream<Item = io::Result<TerminalEvent>> + Unpin,
    lock_after: Option<Duration>,
) -> io::Result<()>
where
    B: Backend<Error: Send + Sync + 'static>,
{
    let mut news = handle.events();
    let mut work = Work::new(handle.clone());
    let size = terminal.size().map_err(io::Error::other)?;
    let mut commands = update(app, Msg::Resize(size.width, size.height));
    commands.extend(start(app));
    let mut drawn = Instant::now().checked_sub(FRAME).unwrap_or_else(Instant::now);
    let mut changed = true;
    let mut touched = Instant::now();
    loop {
        for command in commands.drain(..) {
            if command == Command::Quit {
                return Ok(());
            }
            work.begin(command);
        }
        let msg = tokio::select! {
            biased;
            () = sleep_until((drawn + FRAME).into()), if changed => {
                terminal.draw(|frame| view(app, frame)).map_err(io::Error::other)?;
                drawn = Instant::now();
                changed = false;
                continue;
            }
            event = events.next() => match event {
                None => return Ok(()),
                Some(event) => match seen(event?, &mut touched) {
                    TerminalEvent::Key(key) => Msg::Key(key),
                    TerminalEvent::Paste(text) => Msg::Paste(text),
                    TerminalEvent::Mouse(mouse) => Msg::Mouse(mouse),
                    TerminalEvent::Resize(width, height) => Msg::Resize(width, height),
                    TerminalEvent::FocusGained => Msg::Focus(true),
                    TerminalEvent::FocusLost => Msg::Focus(false),
                },
            },
            () = sleep_until((touched + lock_after.unwrap_or_default()).into()),
                if lock_after.is_some() && !app.is_locked() => Msg::Idle,
            Some(done) = work.tasks.join_next() => work.ended(done)?,
            event = news.recv() => match event {
                Ok(event) => Msg::Engine(event),
                Err(RecvError::Lagged(_)) => Msg::Lagged,
                Err(RecvError::Closed) => return Ok(()),
            },
        };
        commands = update(app, msg);
        changed = true;
    }
}

/// Notes when somebody has last touched anything.
fn seen(event: TerminalEvent, touched: &mut Instant) -> TerminalEvent {
    if matches!(event, TerminalEvent::Key(_) | TerminalEvent::Paste(_) | TerminalEvent::Mouse(_)) {
        *touched = Instant::now();
    }
    event
}

/// Commands that the engine works on.
struct Work {
    handle: Handle,
    tasks: JoinSet<Msg>,
    /// Sends that wait for the one before them, so that they keep the order in which they were typed.
    sends: VecDeque<Command>,
    sending: bool,
}

impl Work {
    fn new(handle: Handle) -> Self {
        Self { handle, tasks: JoinSet::new(), sends: VecDeque::new(), sending: false }
    }

    fn begin(&mut self, command: Command) {
        if matches!(command, Command::Send { .. }) {
            if self.sending {
                self.sends.push_back(command);
                return;
            }
            self.sending = true;
        }
        let handle = self.handle.clone();
        self.tasks.spawn(async move {
            match perform(&handle, command.clone()).await {
                Ok(answer) => Msg::Done(command, answer),
                Err(error) => Msg::Failed(command, error.to_string()),
            }
        });
    }

    fn ended(&mut self, done: Result<Msg, JoinError>) -> io::Result<Msg> {
        let msg = done.map_err(io::Error::other)?;
        if let Msg::Done(Command::Send { .. }, _) | Msg::Failed(Command::Send { .. }, _) = &msg {
            self.sending = false;
            if let Some(next) = self.sends.pop_front() {
                self.begin(next);
            }
        }
        Ok(msg)
    }
}

async fn perform(handle: &Handle, command: Command) -> Result<Answer, EngineError> {
    let page = |messages: Vec<Message>| Answer::Page(messages);
    match command {
        Command::Quit => Ok(Answer::Nothing),
        Command::LoadRooms => handle.rooms().await.map(Answer::Rooms),
        Command::LoadRoom(room) => handle.room(room).await.map(|room| Answer::Room(Box::new(room))),
        Command::LoadNewest { room, limit } => handle.timeline(room, None, limit).await.map(page),
        Command::LoadOlder { room, before } => handle.timeline(room, Some(before), PAGE).await.map(page),
        Command::LoadNewer { room, after } => handle.timeline_after(room, after, PAGE).await.map(page),
        Command::Send { room, text } => handle.send(room, text).await.map(|_| Answer::Nothing),
        Command::MarkRead(room) => handle.mark_read(room).await.map(|()| Answer::Nothing),
        Command::CreateRoom(name) => handle.create_room(name).await.map(Answer::Created),
        Command::Invite { room, users } => handle.invite(room, users).await.map(|()| Answer::Nothing),
        Command::Join(room) => handle.join(room).await.map(|()| Answer::Nothing),
        Command::Decline(room) => handle.leave(room).await.map(|()| Answer::Nothing),
        Command::LoadLink => match handle.link_request().await {
            Ok(status) => Ok(Answer::Link(status)),
            // Without a connection nobody asks; that there is none is said elsewhere.
            Err(
                EngineError::Net(_)
                | EngineError::Timeout(_)
                | EngineError::LoggedOut
                | EngineError::LinkOver,
            ) => Ok(Answer::Link(LinkStatus::None)),
            Err(error) => Err(error),
        },
        Command::ApproveLink(link) => handle.approve_link(link).await.map(|_| Answer::Nothing),
        Command::Unlock(passphrase) => {
            handle.try_passphrase(passphrase.expose().clone()).await.map(|()| Answer::Nothing)
        }
        Command::RefuseLink(link) => handle.refuse_link(link).await.map(|()| Answer::Nothing),
    }
}

/// Takes the process's terminal, shows the screen, and gives the terminal back whatever happens. After `lock_after` without a key
/// the passphrase has to be typed.
///
/// # Errors
/// What the terminal says.
pub async fn open(handle: &Handle, theme: Theme, zone: Zone, lock_after: Option<Duration>) -> io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let mut screen = Screen::take()?;
    let mut app = App::new(handle.me().name.as_str(), theme, zone);
    tokio::select! {
        shown = run(&mut app, &mut screen.terminal, handle, EventStream::new(), lock_after) => shown,
        _ = terminated.recv() => Ok(()),
        _ = hung_up.recv() => Ok(()),
    }
}
