//! A program in a terminal: keys in, cells out.

use std::{
    io::{Read as _, Write},
    num::NonZeroU16,
    process::Command,
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long the screen may take to show something.
const DEADLINE: Duration = Duration::from_mins(1);

/// The program in a terminal.
pub(crate) struct Terminal {
    pub(crate) child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    cells: vt100::Parser,
}

impl Terminal {
    pub(crate) fn open(plain: &Command, rows: u16, cols: u16) -> Self {
        let pair = native_pty_system()
            .openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 })
            .expect("a pseudo terminal");
        let mut command = CommandBuilder::new(plain.get_program());
        command.args(plain.get_args());
        command.env_clear();
        for (name, value) in plain.get_envs() {
            command.env(name, value.expect("only values are set"));
        }
        command.env("TERM", "xterm-256color");
        command.cwd(plain.get_current_dir().expect("a directory of its own"));
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("the terminal's output");
        let (sender, output) = sync_channel(64);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(size @ 1..) = reader.read(&mut chunk) {
                if sender.send(chunk[..size].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().expect("the terminal's input");
        Self {
            child,
            master: pair.master,
            keys,
            output,
            cells: vt100::Parser::new(some(rows), some(cols), 0),
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("keys are taken");
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, mut wanted: impl FnMut(&str) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !wanted(&self.cells.screen().contents()) {
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.cells.process(&chunk),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what} is not on the screen:\n{}", self.cells.screen().contents())
                }
            }
        }
    }

    #[track_caller]
    pub(crate) fn shows(&mut self, words: &str) {
        self.wait_for(words, |screen| screen.contains(words));
    }

    pub(crate) fn resize(&mut self, rows: u16, cols: u16) {
        self.cells.screen_mut().set_size(some(rows), some(cols));
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).expect("the terminal changes its size");
    }

    /// Waits for the program's end: in order, and the terminal as it was.
    #[track_caller]
    pub(crate) fn ends_in_order(mut self) {
        loop {
            match self.output.recv_timeout(DEADLINE) {
                Ok(chunk) => self.cells.process(&chunk),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the program does not end:\n{}", self.cells.screen().contents())
                }
            }
        }
        let status = self.child.wait().expect("the program ends");
        let screen = self.cells.screen();
        assert!(status.success(), "{status:?}: {}", screen.contents());
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    }
}

fn some(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).expect("a terminal has cells")
}
