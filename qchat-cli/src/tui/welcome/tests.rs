//! The first run, driven from outside: keys in, what is to be done and drawn cells out.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{Terminal, backend::TestBackend};
use url::Url;
use zeroize::Zeroizing;

use super::{
    super::{
        hidden::Passphrase,
        theme::Theme,
        words::{Language, Locale, Words},
    },
    state::{Act, Done, Input, Step, Task, Welcome, update},
    view,
};

const GOOD: &str = "lantern gravel mustard tuba";

struct Stage {
    welcome: Welcome,
    acts: Vec<Act>,
}

impl Stage {
    fn new() -> Self {
        Self::of(None)
    }

    /// In another language.
    fn speaking(language: Language) -> Self {
        let mut stage = Self::new();
        stage.welcome.says = Words::of(language, &Locale::default());
        stage
    }

    fn of(passphrase: Option<&str>) -> Self {
        let passphrase = passphrase.map(|said| Passphrase::from(Zeroizing::new(said.to_owned())));
        let read = |text: &str| Url::parse(text).map_err(|error| error.to_string());
        Self { welcome: Welcome::new(None, passphrase, read, Words::default()), acts: Vec::new() }
    }

    fn tell(&mut self, input: Input) -> &mut Self {
        self.acts.extend(update(&mut self.welcome, input));
        self
    }

    fn press(&mut self, code: KeyCode) -> &mut Self {
        self.tell(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn leave(&mut self) -> &mut Self {
        self.tell(Input::Key(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::CONTROL)))
    }

    /// Types this, and Enter.
    fn line(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.press(KeyCode::Char(c));
        }
        self.press(KeyCode::Enter)
    }

    fn drawn(&self, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view::view(&self.welcome, Theme::PLAIN, frame)).unwrap();
        terminal.backend().to_string()
    }

    /// On the way by `down` presses of the arrow, with server and name.
    fn named(down: usize) -> Self {
        let mut stage = Self::new();
        for _ in 0..down {
            stage.press(KeyCode::Down);
        }
        stage.press(KeyCode::Enter).line("https://chat.example.org").line("alice");
        stage
    }

    fn registered() -> Self {
        let mut stage = Self::named(0);
        stage.line(GOOD).line(GOOD);
        let words = (1..=24).map(|number| format!("word{number}")).collect::<Vec<_>>().join(" ");
        stage.tell(Input::Done(Ok(Done::Registered(Zeroizing::new(words), [2, 23]))));
        stage.acts.clear();
        stage
    }
}

#[test]
fn what_is_asked_for_leads_to_one_task_and_is_in_it() {
    let words = qchat_proto::identity::RecoveryKey::generate(&qchat_proto::crypto::entropy::SystemEntropy)
        .unwrap()
        .words();
    for (down, answers, kind) in [
        (0, vec![GOOD, GOOD], "register"),
        (1, vec!["whatever the account has"], "link"),
        (2, vec![&*words, GOOD, GOOD], "restore"),
    ] {
        let mut stage = Stage::named(down);
        for (at, answer) in answers.iter().enumerate() {
            assert!(stage.acts.is_empty(), "nothing is begun before all of it is known: {kind} {at}");
            stage.line(answer);
        }
        let [Act::Begin(task)] = &stage.acts[..] else { panic!("{kind}: {:?}", stage.acts) };
        let (got, who) = match task {
            Task::Register(who) => ("register", who),
            Task::Link(who) => ("link", who),
            Task::Restore(who, given) => {
                assert_eq!(*given.expose(), words);
                ("restore", who)
            }
            Task::Confirm => panic!("nothing to confirm yet"),
        };
        assert_eq!(got, kind);
        assert_eq!((who.server.as_str(), who.name.as_str()), ("https://chat.example.org/", "alice"));
        assert_eq!(who.passphrase.expose().as_str(), answers[answers.len() - 1]);
    }
    // A passphrase that was said elsewhere is not asked for.
    let mut stage = Stage::of(Some(GOOD));
    stage.press(KeyCode::Enter).line("https://chat.example.org").line("@alice");
    assert!(matches!(&stage.acts[..], [Act::Begin(Task::Register(who))] if who.name.as_str() == "alice"));
}

#[test]
fn what_cannot_be_right_is_not_taken_and_says_why() {
    for (answers, why) in [
        (&["no address"][..], "relative URL"),
        (&["https://a.example", "Not A Name"], "cannot be a name"),
        (&["https://a.example", "alice", "short"], "5 characters"),
        (&["https://a.example", "alice", "alicealicealice"], "first that are tried"),
        (&["https://a.example", "alice", GOOD, "another one"], "not the same"),
    ] {
        let mut stage = Stage::new();
        stage.press(KeyCode::Enter);
        for answer in answers {
            stage.line(answer);
        }
        let drawn = stage.drawn(80, 24);
        assert!(drawn.contains(why) && stage.acts.is_empty(), "{answers:?}: {drawn}");
    }
}

#[test]
fn esc_goes_back_to_the_beginning_and_then_out() {
    let mut stage = Stage::named(0);
    stage.line(GOOD);
    assert_eq!(stage.welcome.step, Step::Again);
    for step in [Step::Passphrase, Step::Name, Step::Server, Step::Way] {
        stage.press(KeyCode::Esc);
        assert_eq!(stage.welcome.step, step);
    }
    assert!(stage.acts.is_empty());
    // What was typed and may be seen is still there.
    stage.press(KeyCode::Enter).press(KeyCode::Enter).press(KeyCode::Enter);
    assert_eq!(stage.welcome.step, Step::Passphrase);
    assert!(stage.welcome.passphrase.is_empty());
    for _ in 0..4 {
        stage.press(KeyCode::Esc);
    }
    assert_eq!(stage.acts, [Act::Leave]);
}

#[test]
fn what_goes_wrong_is_said_where_it_can_be_mended() {
    let mut stage = Stage::named(0);
    stage.line(GOOD).line(GOOD).acts.clear();
    stage.tell(Input::Done(Err("the name alice is taken".to_owned())));
    assert!(stage.drawn(80, 24).contains("alice is taken"));
    stage.press(KeyCode::Esc);
    assert_eq!(stage.welcome.step, Step::Name);
}

#[test]
fn nothing_is_left_half_made() {
    let mut stage = Stage::named(0);
    stage.line(GOOD).line(GOOD).acts.clear();
    // Whoever leaves in the middle of a registration is warned first, and kept by nothing.
    stage.leave();
    assert!(stage.acts.is_empty() && stage.drawn(80, 24).contains("should not be stopped halfway"));
    assert_eq!(stage.leave().acts, [Act::Leave]);
    // A link that nobody has answered is given up.
    let mut stage = Stage::named(1);
    stage.line(GOOD).acts.clear();
    stage.press(KeyCode::Esc);
    assert_eq!((&stage.acts[..], stage.welcome.step), (&[Act::GiveUp][..], Step::Passphrase));
}

#[test]
fn the_picture_that_both_devices_show_is_agreed_to_or_not() {
    for (key, yes) in [(KeyCode::Char('y'), true), (KeyCode::Char('n'), false), (KeyCode::Esc, false)] {
        let mut stage = Stage::named(1);
        stage.line(GOOD).acts.clear();
        stage.tell(Input::Far("Waiting".to_owned())).tell(Input::Ask("🐝 🌵\nbee cactus".to_owned()));
        assert!(stage.drawn(80, 24).contains("bee cactus"));
        stage.press(KeyCode::Enter);
        assert!(stage.acts.is_empty(), "Enter alone agrees to nothing");
        stage.press(key);
        assert_eq!(stage.acts, [Act::Answer(yes)]);
    }
}

#[test]
fn two_of_the_words_are_asked_for_before_the_account_is_entered() {
    let mut stage = Stage::registered();
    let drawn = stage.drawn(80, 24);
    assert!(drawn.contains("word1 ") && drawn.contains("word24") && drawn.contains("on paper"), "{drawn}");
    stage.press(KeyCode::Esc);
    assert!(stage.drawn(80, 24).contains("qchat recovery confirm"));
    stage.press(KeyCode::Enter);
    assert!(stage.drawn(80, 24).contains("what is word 3?") && !stage.drawn(80, 24).contains("word24"));
    stage.line("word4");
    assert!(stage.welcome.step == Step::Shown && stage.acts.is_empty());
    stage.press(KeyCode::Enter).line("Word3").line(" word24");
    assert_eq!(stage.acts, [Act::Begin(Task::Confirm)]);
    stage.tell(Input::Done(Ok(Done::Entered)));
    assert_eq!(stage.acts.last(), Some(&Act::Enter));
}

#[test]
fn every_step_fits_on_every_screen() {
    let mut again = Stage::named(0);
    again.line(GOOD);
    let mut passphrase = Stage::named(0);
    passphrase.tell(Input::Paste("lantern gravel mustard\n".to_owned()));
    let mut server = Stage::new();
    server.press(KeyCode::Enter).line("nowhere");
    let mut asked = Stage::named(1);
    asked.line(GOOD).tell(Input::Ask("🐝  🌵  ⚓\nbee cactus anchor\n1234 5678".to_owned()));
    let stages = [
        ("way", Stage::new()),
        ("server", server),
        ("passphrase", passphrase),
        ("again", again),
        ("asked", asked),
        ("words", Stage::registered()),
    ];
    for (name, stage) in stages {
        for (width, height) in [(120, 40), (80, 24), (30, 8)] {
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), stage.drawn(width, height));
        }
        // However small it gets, it is drawn.
        for width in 1..30 {
            stage.drawn(width, 1 + width % 8);
        }
    }
    // A passphrase is never drawn.
    let mut typed = Stage::named(0);
    typed.tell(Input::Paste("SECRET".to_owned()));
    assert!(!typed.drawn(80, 24).contains("SECRET") && !format!("{:?}", typed.welcome).contains("SECRET"));
}

#[test]
fn the_first_run_speaks_the_language_of_its_user() {
    for language in [Language::German, Language::Hebrew] {
        let name = language.name();
        let mut stage = Stage::speaking(language);
        insta::assert_snapshot!(format!("{name}_way"), stage.drawn(80, 24));
        stage.press(KeyCode::Enter).line("https://chat.example.org").line("alice").line("short");
        insta::assert_snapshot!(format!("{name}_passphrase"), stage.drawn(80, 24));
        // However small it gets, it is drawn.
        for width in 1..30 {
            stage.drawn(width, 1 + width % 8);
        }
    }
}
