//! The terminal's modes, and the promise that it gets them back: on return, on error, on panic.

use std::{io, panic, sync::Once, thread};

use crossterm::{
    event::{
        DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
        EnableFocusChange, EnableMouseCapture, KeyboardEnhancementFlags, PopKeyboardEnhancementFlags,
        PushKeyboardEnhancementFlags,
    },
    execute,
    terminal::{
        DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
        disable_raw_mode, enable_raw_mode, window_size,
    },
};
use ratatui::{Terminal, backend::CrosstermBackend};

use super::{
    emit::ExplicitOrder,
    graphics::{self, CellSize},
    pixels,
};

/// What is drawn on: a terminal, which can be lent to another program.
pub trait Surface {
    /// Where its bytes go.
    type Out: io::Write;

    /// The terminal.
    fn terminal(&mut self) -> &mut Terminal<CrosstermBackend<Self::Out>>;

    /// Gives the terminal to another program.
    ///
    /// # Errors
    /// What the terminal says.
    fn lend(&mut self) -> io::Result<()>;

    /// Takes it back; everything on it has to be drawn anew.
    ///
    /// # Errors
    /// What the terminal says.
    fn take_back(&mut self) -> io::Result<()>;

    /// How many pixels a cell has, where that is known without asking the terminal.
    fn cell(&self) -> Option<CellSize> {
        None
    }
}

/// A terminal in the modes that the screen needs; dropping it restores the terminal.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<io::Stdout>>,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn take() -> io::Result<Self> {
        restore_on_panic();
        // From here on, a failure restores as well.
        match enter().and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout()))) {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }
}

impl Surface for Screen {
    type Out = io::Stdout;

    fn terminal(&mut self) -> &mut Terminal<CrosstermBackend<io::Stdout>> {
        &mut self.terminal
    }

    fn lend(&mut self) -> io::Result<()> {
        restore();
        Ok(())
    }

    fn take_back(&mut self) -> io::Result<()> {
        enter()?;
        // Not by clearing it, which asks where the cursor is: the answer would come between the keys.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    fn cell(&self) -> Option<CellSize> {
        let window = window_size().ok()?;
        CellSize::of((window.width, window.height), (window.columns, window.rows))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        EnableMouseCapture,
        EnableFocusChange,
        // What a terminal draws wider than it is meant to be stays in its row.
        DisableLineWrap,
        ExplicitOrder(true),
        // So that Shift+Enter and the like are told apart, where the terminal can.
        PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES)
    )
}

/// Gives the terminal back. Where it has gone away, there is nothing to give back.
fn restore() {
    let _ = graphics::leave(&mut io::stdout());
    let _ = execute!(
        io::stdout(),
        EndSynchronizedUpdate,
        PopKeyboardEnhancementFlags,
        ExplicitOrder(false),
        EnableLineWrap,
        DisableFocusChange,
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        crossterm::cursor::Show
    );
    let _ = disable_raw_mode();
}

/// The message of a panic belongs on the user's own screen.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A picture at which a decoder breaks is told as one that is broken, and the screen goes on.
            if thread::current().name() == Some(pixels::THREAD) {
                return;
            }
            restore();
            before(info);
        }));
    });
}
