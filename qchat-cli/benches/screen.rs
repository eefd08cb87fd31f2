//! The screen on a profile with very many messages: how long it takes until something is seen, and how long after each key, with
//! messages arriving meanwhile. The screen, the engine and the store are the program's, in a process of their own on a terminal of 200
//! columns and 60 rows; the engine has no connection, and what arrives is stored as it stores what it has opened, one transaction each.
//!
//! `cargo bench -p qchat-cli --bench screen -- 1000000`, and any of `paint`, `frame`, `keys`, `switch`, `search` and `memory`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may panic")]

mod stored;

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Read as _, Stdout, Write},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers};
use futures_util::{Stream, stream};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use qchat_cli::{
    engine::{
        Handle, Options,
        types::{Body, Event},
    },
    store::Profile,
    tui::{
        Ambience, Answer, App, Command, Desk, Keymap, Language, Locale, Look, Msg, Office, Prefs, Surface,
        Theme, run, view,
    },
    zone::Zone,
};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};
use tokio::sync::{broadcast, mpsc};

use self::stored::Stored;

/// Messages, when nothing else is asked for.
const MESSAGES: u64 = 100_000;
const ROOMS: u64 = 200;
/// The terminal.
const COLUMNS: u16 = 200;
const ROWS: u16 = 60;
/// What arrives each second, and for how long keys are pressed meanwhile.
const RATE: u64 = 500;
const TYPING: Duration = Duration::from_secs(20);
/// How often rooms are switched, and something is looked for.
const TIMES: usize = 60;
/// What the newest line of a room begins with as it is handed to the screen, by turns: it stands nowhere else, and so it is seen in what is
/// written to the terminal when the line is.
const MARKS: [&str; 4] = ["Ж", "Щ", "Ю", "Ф"];
/// Frames that are drawn one after the other.
const FRAMES: usize = 500;
/// Where the child finds the profile, and puts what it has measured.
const PROFILE: &str = "QCHAT_SCREEN_BENCH";

/// What is seen: when the terminal was given all of a frame, and which keys are not seen yet.
#[derive(Default)]
struct Seen {
    first: Option<Instant>,
    /// When the first message was seen.
    message: Option<Instant>,
    /// Keys that the screen has taken, and when they were pressed.
    waiting: Vec<Instant>,
    /// How long each took until it was seen.
    keys: Vec<Duration>,
    /// When a room was last seen that was not seen before.
    room: Option<Instant>,
    /// When something was found that is not seen yet, and when it was.
    answered: bool,
    found: Option<Instant>,
    frames: u64,
}

type Watched = Arc<Mutex<Seen>>;

/// The terminal's way out, which looks at what goes there.
struct Paper {
    out: Stdout,
    written: Vec<u8>,
    seen: Watched,
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.written.is_empty() {
            return Ok(());
        }
        self.out.write_all(&self.written)?;
        self.out.flush()?;
        let now = Instant::now();
        let marked = self.written.windows(2).any(|bytes| MARKS.map(str::as_bytes).contains(&bytes));
        // A frame goes out in parts, and ends so.
        let ended = self.written.ends_with(b"\x1b[?2026l");
        let mut seen = self.seen.lock().unwrap();
        seen.frames += u64::from(ended);
        seen.first.get_or_insert(now);
        if marked {
            seen.message.get_or_insert(now);
            seen.room = Some(now);
        }
        if std::mem::take(&mut seen.answered) {
            seen.found = Some(now);
        }
        let waited = std::mem::take(&mut seen.waiting);
        seen.keys.extend(waited.into_iter().map(|pressed| now - pressed));
        self.written.clear();
        Ok(())
    }
}

struct Sheet(Terminal<CrosstermBackend<Paper>>);

impl Surface for Sheet {
    type Out = Paper;

    fn terminal(&mut self) -> &mut Terminal<CrosstermBackend<Paper>> {
        &mut self.0
    }

    fn lend(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn take_back(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keys as they are pressed.
struct Keys {
    pressed: mpsc::UnboundedReceiver<(Instant, KeyEvent)>,
    seen: Watched,
}

impl Stream for Keys {
    type Item = io::Result<TerminalEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pressed.poll_recv(context).map(|key| {
            key.map(|(at, key)| {
                self.seen.lock().unwrap().waiting.push(at);
                Ok(TerminalEvent::Key(key))
            })
        })
    }
}

/// The engine's desk, to which messages come that nobody has sent.
#[derive(Clone)]
struct Arriving {
    office: Office,
    events: broadcast::Sender<Event>,
    seen: Watched,
}

impl Desk for Arriving {
    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    async fn perform(&self, command: Command, progress: mpsc::Sender<Msg>) -> Result<Answer, String> {
        let opened = match &command {
            Command::LoadNewest { room, .. } => Some(usize::from(room.as_bytes()[15])),
            _ => None,
        };
        let mut answer = self.office.perform(command, progress).await;
        match (&mut answer, opened) {
            (Ok(Answer::Found(_)), _) => self.seen.lock().unwrap().answered = true,
            (Ok(Answer::Page(page)), Some(room)) => {
                if let Some(Body::Text(text)) = page.last_mut().map(|last| &mut last.body) {
                    text.insert_str(0, MARKS[room % MARKS.len()]);
                }
            }
            _ => {}
        }
        answer
    }
}

/// Whoever sits before the screen.
struct Person {
    keys: mpsc::UnboundedSender<(Instant, KeyEvent)>,
    seen: Watched,
    report: String,
}

impl Person {
    fn press(&self, code: KeyCode, modifiers: KeyModifiers) -> Instant {
        let at = Instant::now();
        let _ = self.keys.send((at, KeyEvent::new(code, modifiers)));
        at
    }

    /// Waits until something is seen after `since`.
    fn until(&self, since: Instant, of: impl Fn(&Seen) -> Option<Instant>) -> Duration {
        loop {
            if let Some(at) = of(&self.seen.lock().unwrap()).filter(|at| *at > since) {
                return at - since;
            }
            assert!(since.elapsed() < Duration::from_secs(30), "nothing is seen");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn say(&mut self, what: &str, mut times: Vec<Duration>, target: &str) {
        times.sort();
        let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
        let _ = writeln!(
            self.report,
            "{what:<48} p50 {:>8.2?}  p99 {:>8.2?}  worst {:>8.2?}  of {:>4}  ({target})",
            at(50),
            at(99),
            times[times.len() - 1],
            times.len()
        );
    }

    fn type_while_messages_arrive(&mut self, profile: &Profile, arriving: &Arriving, stored: Stored) {
        let going = Arc::new(AtomicBool::new(true));
        let came = Arc::new(AtomicU64::new(0));
        let from = {
            let (going, came, events, profile) =
                (Arc::clone(&going), Arc::clone(&came), arriving.events.clone(), profile.clone());
            thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(8);
                let begun = Instant::now();
                // The newest room, which is the one that is open.
                let room = stored.room(stored.messages - 1);
                while going.load(Ordering::Relaxed) {
                    let number = came.load(Ordering::Relaxed);
                    let due =
                        begun + Duration::from_micros(1_000_000 / RATE) * u32::try_from(number).unwrap();
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let said = stored::text(&mut random);
                    let from = stored::account(1 + random.u64(..20));
                    profile.write(|tx| stored::put(tx, stored.messages + number, room, from, said)).unwrap();
                    let _ = events.send(Event::Timeline(room));
                    came.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let mut random = fastrand::Rng::with_seed(9);
        thread::sleep(Duration::from_secs(1));
        self.seen.lock().unwrap().keys.clear();
        let (begun, frames, before) =
            (Instant::now(), self.seen.lock().unwrap().frames, came.load(Ordering::Relaxed));
        while begun.elapsed() < TYPING {
            self.press(KeyCode::Char(char::from(random.u8(b'a'..=b'z'))), KeyModifiers::NONE);
            if random.u8(..60) == 0 {
                self.press(KeyCode::Char('u'), KeyModifiers::CONTROL);
            }
            thread::sleep(Duration::from_millis(random.u64(20..80)));
        }
        let took = begun.elapsed().as_secs();
        let arrived = (came.load(Ordering::Relaxed) - before) / took;
        let drawn = (self.seen.lock().unwrap().frames - frames) / took;
        going.store(false, Ordering::Relaxed);
        from.join().unwrap();
        let keys = std::mem::take(&mut self.seen.lock().unwrap().keys);
        let what = format!("key to paint, {arrived} messages/s, {drawn} flushes/s");
        self.say(&what, keys, "p99 10 ms");
    }
}

/// Resident memory, kB: now and at most.
fn resident() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// What is measured: all that is not named, when nothing is.
fn wanted(what: &str) -> bool {
    let known = ["paint", "frame", "keys", "switch", "search", "memory"];
    let named: Vec<String> = env::args().skip(1).filter(|word| known.contains(&word.as_str())).collect();
    named.is_empty() || named.iter().any(|word| word == what)
}

fn messages() -> u64 {
    env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(MESSAGES)
}

/// A frame of all of the screen: laid out, drawn, and written.
fn frames(app: &App, person: &mut Person) {
    let area = Rect::new(0, 0, COLUMNS, ROWS);
    let fresh = || {
        let options = TerminalOptions { viewport: Viewport::Fixed(area) };
        Terminal::with_options(CrosstermBackend::new(io::sink()), options).unwrap()
    };
    let draw = |anew: bool| -> Vec<Duration> {
        let mut terminal = fresh();
        let frames = (0..FRAMES).map(|_| {
            if anew {
                terminal = fresh();
            }
            let begun = Instant::now();
            terminal.draw(|frame| view(app, frame)).unwrap();
            begun.elapsed()
        });
        frames.collect()
    };
    let same = draw(false);
    let all = draw(true);
    person.say("a frame at 200x60, nothing changed", same, "3 ms");
    person.say("a frame at 200x60, every cell anew", all, "3 ms");
}

/// The process that has the screen.
fn child(path: &Path) {
    let stored = Stored { messages: messages(), rooms: ROOMS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let profile = Profile::open(&path.join("profile"), stored::key()).unwrap();
    let report = runtime.block_on(async {
        let options = Options { offline: true, ..Options::new(Duration::from_secs(5)) };
        let handle = Handle::start(profile.clone(), options).await.unwrap();
        let seen = Watched::default();
        let (keys, pressed) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(256);
        let locale = Locale::of_process();
        let begun = Instant::now();
        let theme = Theme::of(Look::Dark, &Ambience::default());
        let mut app = App::new("alice", theme, Zone::utc()).with(
            Keymap::default(),
            Prefs::default(),
            Ambience::default(),
        );
        let office = Office::new(handle, Zone::utc(), None, Language::English, locale);
        let desk = Arriving { office, events, seen: Arc::clone(&seen) };
        let paper = Paper { out: io::stdout(), written: Vec::new(), seen: Arc::clone(&seen) };
        let mut sheet = Sheet(Terminal::new(CrosstermBackend::new(paper)).unwrap());
        let mut person = Person { keys, seen: Arc::clone(&seen), report: String::new() };
        let arriving = desk.clone();
        // Whoever types is a thread: no key waits for the screen to be ready for it.
        let sitting = thread::spawn(move || {
            let first = person.until(begun, |seen| seen.first);
            let message = person.until(begun, |seen| seen.message);
            if wanted("paint") {
                person.say("first paint", vec![first], "50 ms");
                person.say("first message seen", vec![message], "");
            }
            thread::sleep(Duration::from_millis(500));
            let (at_rest, _) = resident();
            if wanted("keys") {
                person.type_while_messages_arrive(&profile, &arriving, stored);
                person.press(KeyCode::Char('u'), KeyModifiers::CONTROL);
            }
            thread::sleep(Duration::from_millis(500));
            if wanted("switch") {
                let times = (0..TIMES).map(|_| {
                    let pressed = person.press(KeyCode::Down, KeyModifiers::ALT);
                    let took = person.until(pressed, |seen| seen.room);
                    thread::sleep(Duration::from_millis(50));
                    took
                });
                let times = times.collect();
                person.say("switching rooms, until the messages are seen", times, "20 ms");
            }
            if wanted("search") {
                let mut times = Vec::new();
                for rank in 0..u64::try_from(TIMES).unwrap() {
                    person.press(KeyCode::Char('f'), KeyModifiers::CONTROL);
                    let word = stored::word(rank * rank);
                    for letter in word.chars() {
                        person.press(KeyCode::Char(letter), KeyModifiers::NONE);
                    }
                    let pressed = Instant::now();
                    thread::sleep(Duration::from_millis(5));
                    times.push(person.until(pressed, |seen| seen.found));
                    thread::sleep(Duration::from_millis(100));
                    person.press(KeyCode::Esc, KeyModifiers::NONE);
                    thread::sleep(Duration::from_millis(30));
                }
                person.say("a search, until its first page is seen", times, "100 ms");
            }
            if wanted("memory") {
                let (now, most) = resident();
                let _ = writeln!(
                    person.report,
                    "{:<48} {} MB at rest, {} MB at the end, at most {} MB  (60 MB)",
                    "resident",
                    at_rest / 1000,
                    now / 1000,
                    most / 1000
                );
            }
            person.press(KeyCode::Char('q'), KeyModifiers::CONTROL);
            person
        });
        let mut pressed = Some(pressed);
        let keys = || Keys { pressed: pressed.take().unwrap(), seen: Arc::clone(&seen) };
        run(&mut app, &mut sheet, &desk, keys, None, stream::pending()).await.unwrap();
        let mut person = sitting.join().unwrap();
        if wanted("frame") {
            frames(&app, &mut person);
        }
        person.report
    });
    fs::write(path.join("report"), report).unwrap();
}

fn main() {
    if let Some(path) = env::var_os(PROFILE) {
        return child(&PathBuf::from(path));
    }
    let directory = tempfile::TempDir::with_prefix("qchat-").unwrap();
    let stored = Stored { messages: messages(), rooms: ROOMS };
    let begun = Instant::now();
    let profile = stored.create(&directory.path().join("profile")).unwrap();
    profile.checkpoint(Duration::from_secs(9)).unwrap();
    drop(profile);
    println!("{} messages in {ROOMS} rooms stored in {:.1?}", stored.messages, begun.elapsed());
    let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env::current_exe().unwrap());
    command.args(env::args().skip(1));
    command.env(PROFILE, directory.path());
    let mut screen = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut drawn = pair.master.try_clone_reader().unwrap();
    let reading = thread::spawn(move || {
        let (mut bytes, mut last) = (vec![0; 1 << 16], Vec::new());
        while let Ok(count @ 1..) = drawn.read(&mut bytes) {
            last.extend_from_slice(&bytes[..count]);
            // Why it ended, should it fail.
            last.drain(..last.len().saturating_sub(4096));
        }
        last
    });
    let ended = screen.wait().unwrap();
    drop(pair.master);
    let last = reading.join().unwrap();
    assert!(ended.success(), "{}", String::from_utf8_lossy(&last));
    print!("{}", fs::read_to_string(directory.path().join("report")).unwrap());
}
