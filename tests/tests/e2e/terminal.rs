//! A program in a terminal: keys in, cells out.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write},
    num::NonZeroU16,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long the screen may take to show something.
const DEADLINE: Duration = Duration::from_mins(1);

/// What the program asks a terminal for its background, and for what it is (OSC 11, DA1).
const BACKGROUND: &[u8] = b"\x1b]11;?";
const ATTRIBUTES: &[u8] = b"\x1b[c";

/// The program in a terminal.
pub(crate) struct Terminal {
    pub(crate) child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Keys,
    output: Receiver<Vec<u8>>,
    cells: vt100::Parser,
    /// The pixels of a cell; 0, where it does not say how many.
    cell: (u16, u16),
    /// All that was written to it.
    written: Vec<u8>,
}

/// Its input: what is typed, and what the terminal answers.
type Keys = Arc<Mutex<Box<dyn Write + Send>>>;

fn write(keys: &Keys, bytes: &[u8]) -> std::io::Result<()> {
    let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    keys.write_all(bytes)?;
    keys.flush()
}

/// Answers what is asked in `asked`, the last of what the program has written, and leaves what may be the beginning of a question.
fn answer(asked: &mut Vec<u8>, background: &str, keys: &Keys) {
    let place = |asked: &[u8], question: &[u8]| asked.windows(question.len()).position(|at| at == question);
    loop {
        let (background_asked, attributes_asked) = (place(asked, BACKGROUND), place(asked, ATTRIBUTES));
        let (end, answer) = match (background_asked, attributes_asked) {
            (Some(at), other) if other.is_none_or(|other| at < other) => {
                (at + BACKGROUND.len(), format!("\x1b]11;rgb:{background}\x1b\\"))
            }
            (_, Some(at)) => (at + ATTRIBUTES.len(), "\x1b[?62;22c".to_owned()),
            _ => break,
        };
        asked.drain(..end);
        // A program that has ended asks nothing any more.
        let _ = write(keys, answer.as_bytes());
    }
    asked.drain(..asked.len().saturating_sub(BACKGROUND.len()));
}

impl Terminal {
    /// A dark one.
    pub(crate) fn open(plain: &Command, rows: u16, cols: u16) -> Self {
        Self::with_background("0000/0000/0000", plain, rows, cols)
    }

    /// One with a background, `RRRR/GGGG/BBBB` in hexadecimal digits.
    pub(crate) fn with_background(background: &'static str, plain: &Command, rows: u16, cols: u16) -> Self {
        Self::start(background, plain, (rows, cols), (0, 0))
    }

    /// One that says that its cells have 10 by 20 pixels.
    pub(crate) fn with_pixels(plain: &Command, rows: u16, cols: u16) -> Self {
        Self::start("0000/0000/0000", plain, (rows, cols), (10, 20))
    }

    fn start(background: &'static str, plain: &Command, (rows, cols): (u16, u16), cell: (u16, u16)) -> Self {
        let size = PtySize { rows, cols, pixel_width: cell.0 * cols, pixel_height: cell.1 * rows };
        let pair = native_pty_system().openpty(size).expect("a pseudo terminal");
        let mut command = CommandBuilder::new(plain.get_program());
        command.args(plain.get_args());
        command.env_clear();
        command.env("TERM", "xterm-256color");
        for (name, value) in plain.get_envs() {
            command.env(name, value.expect("only values are set"));
        }
        command.cwd(plain.get_current_dir().expect("a directory of its own"));
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("the terminal's output");
        let (sender, output) = sync_channel(64);
        let keys: Keys = Arc::new(Mutex::new(pair.master.take_writer().expect("the terminal's input")));
        let answers = keys.clone();
        thread::spawn(move || {
            let (mut chunk, mut asked) = ([0; 4096], Vec::new());
            while let Ok(size @ 1..) = reader.read(&mut chunk) {
                asked.extend_from_slice(&chunk[..size]);
                answer(&mut asked, background, &answers);
                if sender.send(chunk[..size].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            master: pair.master,
            keys,
            output,
            cells: vt100::Parser::new(some(rows), some(cols), 0),
            cell,
            written: Vec::new(),
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        write(&self.keys, keys.as_bytes()).expect("keys are taken");
    }

    /// All that is not text of the open room: the list of rooms, `width` cells wide, and the modes of the terminal.
    pub(crate) fn frame(&self, width: u16) -> (Vec<String>, String) {
        let screen = self.cells.screen();
        let modes = format!(
            "{} {} {} {} {:?} {:?}",
            screen.alternate_screen(),
            screen.bracketed_paste(),
            screen.application_cursor(),
            screen.application_keypad(),
            screen.mouse_protocol_mode(),
            screen.size(),
        );
        (screen.rows(0, width).collect(), modes)
    }

    /// The colours of what is written on the screen, of the 256.
    pub(crate) fn colours(&self) -> BTreeSet<u8> {
        let screen = self.cells.screen();
        let (rows, cols) = screen.size();
        let cells = (0..rows.get()).flat_map(|row| (0..cols.get()).map(move |col| (row, col)));
        cells
            .filter_map(|(row, col)| match screen.cell(row, col)?.fgcolor() {
                vt100::Color::Idx(colour) => Some(colour),
                _ => None,
            })
            .collect()
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, mut wanted: impl FnMut(&str) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !wanted(&self.cells.screen().contents()) {
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.take_in(&chunk),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what} is not on the screen:\n{}", self.cells.screen().contents())
                }
            }
        }
    }

    fn take_in(&mut self, chunk: &[u8]) {
        self.cells.process(chunk);
        self.written.extend_from_slice(chunk);
    }

    /// Waits until what was written is as wanted.
    #[track_caller]
    pub(crate) fn wait_for_bytes(&mut self, what: &str, mut wanted: impl FnMut(&[u8]) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !wanted(&self.written) {
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.take_in(&chunk),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what} is not written:\n{}", self.cells.screen().contents())
                }
            }
        }
    }

    /// What was written since this was asked last.
    pub(crate) fn written(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.written)
    }

    pub(crate) fn contents(&self) -> String {
        self.cells.screen().contents()
    }

    /// Sends its program a signal.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.process_id().expect("a running program").to_string();
        let told = Command::new("kill").args([&format!("-{name}"), &process]).status().expect("kill runs");
        assert!(told.success());
    }

    #[track_caller]
    pub(crate) fn shows(&mut self, words: &str) {
        self.wait_for(words, |screen| screen.contains(words));
    }

    pub(crate) fn resize(&mut self, rows: u16, cols: u16) {
        self.cells.screen_mut().set_size(some(rows), some(cols));
        let (width, height) = self.cell;
        let size = PtySize { rows, cols, pixel_width: width * cols, pixel_height: height * rows };
        self.master.resize(size).expect("the terminal changes its size");
    }

    /// Waits for the program's end: in order, and the terminal as it was. What was written since [`Self::written`] was asked last.
    #[track_caller]
    pub(crate) fn ends_in_order(mut self) -> Vec<u8> {
        loop {
            match self.output.recv_timeout(DEADLINE) {
                Ok(chunk) => self.take_in(&chunk),
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
        self.written
    }
}

fn some(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).expect("a terminal has cells")
}
