//! What the first run asks for, step by step, as a function from what happens to what is to be done.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use qchat_proto::ids::{IdError, UserName};
use url::Url;
use zeroize::Zeroizing;

use super::super::{
    composer::Composer,
    hidden::{Hidden, Passphrase},
    words::Words,
};
use crate::vault::strength;

/// Most lines that the recovery words can take, each of them, and what is said before them.
const MOST_LINES: usize = 48;

/// Reads the address of a server.
pub type ReadServer = fn(&str) -> Result<Url, String>;

/// How this machine comes to an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// By a new one.
    Register,
    /// By another device of it.
    Link,
    /// By its recovery words and a backup.
    Restore,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Register, Self::Link, Self::Restore];
}

/// Where one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Which way is to be taken.
    Way,
    Server,
    Name,
    /// The recovery words of the account.
    Words,
    Passphrase,
    /// The passphrase once more.
    Again,
    /// Something is being done; whether it can be given up.
    Working(bool),
    /// Whether another device shows the same, or it is the right backup.
    Asked,
    /// The recovery words of the new account are shown.
    Shown,
    /// One of them is asked for: the first, or the second one.
    Proof(usize),
}

/// What happens.
pub(super) enum Input {
    Key(KeyEvent),
    Paste(String),
    /// How far a task is.
    Far(String),
    /// A task asks something.
    Ask(String),
    /// A task is done.
    Done(Result<Done, String>),
}

/// What has come of a task.
pub enum Done {
    /// There is an account, and these are its recovery words, of which these two places are asked for.
    Registered(Zeroizing<String>, [usize; 2]),
    /// The machine is a device of the account.
    Entered,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// Begin this.
    Begin(Task),
    /// The answer to what the task asks.
    Answer(bool),
    /// Give the task up.
    GiveUp,
    /// Leave, with nothing.
    Leave,
    /// Go on into the account.
    Enter,
}

/// What takes a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Task {
    /// Make an account.
    Register(Who),
    /// Make this machine a device of it.
    Link(Who),
    /// The same by the recovery words and a backup.
    Restore(Who, Passphrase),
    /// Note that the recovery words are on paper.
    Confirm,
}

/// Whose account, where, and the passphrase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The server's address.
    pub server: Url,
    /// The account's name.
    pub name: UserName,
    /// The passphrase.
    pub passphrase: Passphrase,
}

/// The first run.
pub struct Welcome {
    pub(super) step: Step,
    /// The step that an answer goes back to.
    before: Step,
    pub(super) way: Way,
    pub(super) server: Composer,
    pub(super) name: Composer,
    pub(super) words: Hidden,
    pub(super) passphrase: Hidden,
    pub(super) again: Hidden,
    pub(super) proof: Composer,
    /// What is done, or asked.
    pub(super) said: String,
    pub(super) trouble: Option<String>,
    /// Lines of the recovery words that are above the window.
    pub(super) scrolled: usize,
    /// The recovery words of the new account, and the places that are asked for.
    pub(super) new_words: Option<(Zeroizing<String>, [usize; 2])>,
    /// The passphrase, where it was said elsewhere and is not asked for.
    given: Option<Passphrase>,
    read: ReadServer,
    /// In the language that its user reads.
    pub(super) says: Words,
}

impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Welcome").field("step", &self.step).finish_non_exhaustive()
    }
}

impl Welcome {
    /// The beginning. `server` and `passphrase`, where they were said elsewhere; `read` reads the address of a server; it
    /// says everything in `words`.
    pub fn new(server: Option<&Url>, passphrase: Option<Passphrase>, read: ReadServer, words: Words) -> Self {
        Self {
            step: Step::Way,
            before: Step::Way,
            way: Way::Register,
            server: Composer::new(server.map_or("", Url::as_str)),
            name: Composer::new(""),
            words: Hidden::new(),
            passphrase: Hidden::new(),
            again: Hidden::new(),
            proof: Composer::new(""),
            said: String::new(),
            trouble: None,
            scrolled: 0,
            new_words: None,
            given: passphrase,
            read,
            says: words,
        }
    }

    /// What is asked for on the way that was chosen, in its order.
    pub(super) fn asked(&self) -> Vec<Step> {
        let mut steps = vec![Step::Server, Step::Name];
        if self.way == Way::Restore {
            steps.push(Step::Words);
        }
        if self.given.is_none() {
            steps.push(Step::Passphrase);
            // The account's own passphrase is checked by the server.
            if self.way != Way::Link {
                steps.push(Step::Again);
            }
        }
        steps
    }

    fn hidden(&mut self) -> Option<&mut Hidden> {
        match self.step {
            Step::Words => Some(&mut self.words),
            Step::Passphrase => Some(&mut self.passphrase),
            Step::Again => Some(&mut self.again),
            _ => None,
        }
    }

    fn field(&mut self) -> Option<&mut Composer> {
        match self.step {
            Step::Server => Some(&mut self.server),
            Step::Name => Some(&mut self.name),
            Step::Proof(_) => Some(&mut self.proof),
            _ => None,
        }
    }

    /// How strong the passphrase is that is typed; nothing before there is one.
    pub(super) fn strength(&self) -> Option<Result<strength::Strength, strength::Weak>> {
        let wanted = self.step == Step::Passphrase && self.way != Way::Link && !self.passphrase.is_empty();
        wanted.then(|| strength::judge(self.passphrase.text(), &[self.name.text().trim(), "qchat"]))
    }

    /// Why a passphrase is not taken, in words.
    pub(super) fn weak(&self, weak: &strength::Weak) -> String {
        match weak {
            strength::Weak::Short(characters) => self.says.weak_short(*characters, strength::LEAST),
            strength::Weak::Guessable(None) => self.says.weak_tried(),
            strength::Weak::Guessable(Some(why)) => self.says.weak_tried_why(why),
        }
    }

    fn who(&self) -> Result<Who, String> {
        let passphrase = self.given.clone().unwrap_or_else(|| self.passphrase.copy());
        Ok(Who { server: (self.read)(self.server.text().trim())?, name: self.user()?, passphrase })
    }

    fn user(&self) -> Result<UserName, String> {
        let name = self.name.text();
        let name = name.trim().trim_start_matches('@').parse();
        name.map_err(|why: IdError| self.says.bad_name(why.to_string()))
    }

    /// Whether what is typed at this step can be right.
    fn check(&mut self) -> Result<(), String> {
        match self.step {
            Step::Server => (self.read)(self.server.text().trim()).map(|_| ()),
            Step::Name => self.user().map(|_| ()),
            Step::Words => {
                let words = qchat_proto::identity::RecoveryKey::from_words(self.words.text());
                words.map(|_| ()).map_err(|why| self.says.bad_words(why.to_string()))
            }
            Step::Passphrase => match self.strength() {
                Some(Err(weak)) => Err(self.weak(&weak)),
                _ if self.passphrase.is_empty() => Err(self.says.no_passphrase()),
                _ => Ok(()),
            },
            Step::Again if self.again.text() != self.passphrase.text() => {
                self.again.clear();
                Err(self.says.not_the_same())
            }
            _ => Ok(()),
        }
    }
}

/// Takes in what has happened.
pub(super) fn update(welcome: &mut Welcome, input: Input) -> Option<Act> {
    match input {
        Input::Key(event) if event.kind != KeyEventKind::Release => key(welcome, event),
        Input::Key(_) => None,
        Input::Paste(text) => {
            let words = welcome.step == Step::Words;
            if let Some(hidden) = welcome.hidden() {
                // Words may be one on a line; a passphrase ends with it.
                let text = if words { text.replace(['\n', '\r', '\t'], " ") } else { text };
                hidden.push(&Zeroizing::new(text));
            } else if let Some(field) = welcome.field() {
                field.paste_line(&text);
            }
            None
        }
        Input::Far(words) => {
            welcome.said = words;
            None
        }
        Input::Ask(words) => {
            (welcome.step, welcome.said) = (Step::Asked, words);
            None
        }
        Input::Done(Ok(Done::Entered)) => Some(Act::Enter),
        Input::Done(Ok(Done::Registered(words, places))) => {
            // Nothing of it is needed any more.
            welcome.passphrase.clear();
            welcome.again.clear();
            (welcome.step, welcome.new_words) = (Step::Shown, Some((words, places)));
            None
        }
        Input::Done(Err(why)) => {
            (welcome.step, welcome.trouble) = (welcome.before, Some(why));
            None
        }
    }
}

fn key(welcome: &mut Welcome, event: KeyEvent) -> Option<Act> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    if control && matches!(event.code, KeyCode::Char('q' | 'c')) {
        // What is stopped halfway leaves something that has to be completed. But no server keeps anybody here.
        let warned = welcome.step != Step::Working(false) || welcome.trouble.is_some();
        return if warned { Some(Act::Leave) } else { back(welcome) };
    }
    let trouble = welcome.trouble.take();
    match (welcome.step, event.code) {
        (_, KeyCode::Esc) | (Step::Asked, KeyCode::Char('n')) => return back(welcome),
        (Step::Way, KeyCode::Up) => choose(welcome, -1),
        (Step::Way, KeyCode::Down | KeyCode::Tab) => choose(welcome, 1),
        (Step::Way, KeyCode::Enter) => welcome.step = Step::Server,
        (Step::Working(_), _) => welcome.trouble = trouble,
        (Step::Asked, KeyCode::Char('y')) => {
            // A link that the other device's user does not say yes to is waited for long; the next one takes it up.
            (welcome.step, welcome.said) = (Step::Working(welcome.way == Way::Link), welcome.says.going_on());
            return Some(Act::Answer(true));
        }
        (Step::Shown, KeyCode::Enter) => (welcome.step, welcome.proof) = (Step::Proof(0), Composer::new("")),
        (Step::Shown, KeyCode::Up | KeyCode::PageUp) => welcome.scrolled = welcome.scrolled.saturating_sub(1),
        (Step::Shown, KeyCode::Down | KeyCode::PageDown) => {
            welcome.scrolled = (welcome.scrolled + 1).min(MOST_LINES);
        }
        (Step::Proof(number), KeyCode::Enter) => return prove(welcome, number),
        (_, KeyCode::Enter) => return enter(welcome),
        (_, code) => match welcome.hidden() {
            Some(hidden) => match code {
                KeyCode::Backspace => hidden.pop(),
                KeyCode::Char('u') if control => hidden.clear(),
                KeyCode::Char(c) if !control && !event.modifiers.contains(KeyModifiers::ALT) => {
                    hidden.push(c.encode_utf8(&mut [0; 4]));
                }
                _ => {}
            },
            None => {
                if let Some(field) = welcome.field() {
                    field.key(event);
                }
            }
        },
    }
    None
}

fn choose(welcome: &mut Welcome, by: isize) {
    let at = Way::ALL.iter().position(|way| *way == welcome.way).unwrap_or(0);
    welcome.way = Way::ALL[at.saturating_add_signed(by).min(Way::ALL.len() - 1)];
}

/// Takes what was typed, and goes on.
fn enter(welcome: &mut Welcome) -> Option<Act> {
    if let Err(why) = welcome.check() {
        welcome.trouble = Some(why);
        return None;
    }
    let asked = welcome.asked();
    let at = asked.iter().position(|step| *step == welcome.step)?;
    if let Some(next) = asked.get(at + 1) {
        welcome.step = *next;
        return None;
    }
    let who = match welcome.who() {
        Ok(who) => who,
        Err(why) => {
            welcome.trouble = Some(why);
            return None;
        }
    };
    let (task, said) = match welcome.way {
        Way::Register => (Task::Register(who), welcome.says.making_account()),
        Way::Link => (Task::Link(who), welcome.says.asking_server()),
        Way::Restore => (Task::Restore(who, welcome.words.copy()), welcome.says.looking_for_backups()),
    };
    welcome.before = asked.iter().copied().find(|step| *step == Step::Passphrase).unwrap_or(Step::Name);
    welcome.again.clear();
    (welcome.step, welcome.said) = (Step::Working(welcome.way == Way::Link), said);
    Some(Act::Begin(task))
}

/// Goes back by one step; nothing of what was typed is lost but for what is hidden.
fn back(welcome: &mut Welcome) -> Option<Act> {
    match welcome.step {
        Step::Way => return Some(Act::Leave),
        Step::Working(true) => {
            welcome.step = welcome.before;
            return Some(Act::GiveUp);
        }
        Step::Working(false) => {
            welcome.trouble = Some(welcome.says.halfway());
        }
        Step::Asked => {
            (welcome.step, welcome.said) = (Step::Working(false), welcome.says.going_back());
            return Some(Act::Answer(false));
        }
        Step::Shown => {
            welcome.trouble = Some(welcome.says.account_is_there());
        }
        Step::Proof(_) => welcome.step = Step::Shown,
        step => {
            if let Some(hidden) = welcome.hidden() {
                hidden.clear();
            }
            let asked = welcome.asked();
            let before = asked.iter().position(|asked| *asked == step).and_then(|at| at.checked_sub(1));
            welcome.step = before.map_or(Step::Way, |at| asked[at]);
            if let Some(hidden) = welcome.hidden() {
                hidden.clear();
            }
        }
    }
    None
}

/// Compares one of the words; after both, the account is entered.
fn prove(welcome: &mut Welcome, number: usize) -> Option<Act> {
    let (words, places) = welcome.new_words.as_ref()?;
    let word = places.get(number).and_then(|place| words.split_whitespace().nth(*place))?;
    let right = welcome.proof.text().trim().eq_ignore_ascii_case(word);
    welcome.proof = Composer::new("");
    if !right {
        welcome.step = Step::Shown;
        welcome.trouble = Some(welcome.says.wrong_word());
        return None;
    }
    if number + 1 < places.len() {
        welcome.step = Step::Proof(number + 1);
        return None;
    }
    (welcome.before, welcome.said) = (Step::Shown, welcome.says.forgetting_words());
    welcome.step = Step::Working(false);
    Some(Act::Begin(Task::Confirm))
}
