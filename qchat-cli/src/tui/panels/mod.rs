//! Panels: lists of facts, and of things that can be done, each made out of the state by one function. A row may do something
//! when it is chosen, and something else besides.

mod connection;
mod keys;
mod log;
mod members;
mod quantum;
pub(super) mod report;
mod settings;
mod transfers;

use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::{
    app::{App, Question},
    keymap::Action,
    msg::Command,
    prefs::Change,
    text,
    words::Words,
};
use crate::engine::{MemberDevice, QuantumOverview, types::OwnDevice};

/// Columns of the name of a fact.
const NAME: usize = 15;

/// Which panel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Members,
    Keys,
    Log,
    Quantum,
    Transfers,
    Connection,
    Settings,
}

impl Kind {
    /// All of them, in the order of their keys.
    pub(super) const ALL: [Self; 7] = [
        Self::Members,
        Self::Keys,
        Self::Log,
        Self::Quantum,
        Self::Transfers,
        Self::Connection,
        Self::Settings,
    ];

    pub(super) const fn action(self) -> Action {
        match self {
            Self::Members => Action::Members,
            Self::Keys => Action::Keys,
            Self::Log => Action::SecurityLog,
            Self::Quantum => Action::Quantum,
            Self::Transfers => Action::Transfers,
            Self::Connection => Action::Connection,
            Self::Settings => Action::Settings,
        }
    }

    pub(super) fn title(self, words: Words) -> String {
        match self {
            Self::Members => words.panel_members(),
            Self::Keys => words.panel_keys(),
            Self::Log => words.panel_log(),
            Self::Quantum => words.panel_quantum(),
            Self::Transfers => words.panel_transfers(),
            Self::Connection => words.panel_connection(),
            Self::Settings => words.panel_settings(),
        }
    }
}

/// A panel that is open.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) kind: Kind,
    /// The row that is chosen.
    pub(super) at: usize,
    pub(super) roster: Vec<MemberDevice>,
    pub(super) safety: Option<report::Safety>,
    pub(super) change: Option<report::Change>,
    pub(super) devices: Option<Vec<OwnDevice>>,
    pub(super) keys: Option<report::Keys>,
    pub(super) log: Option<Vec<report::LogEntry>>,
    pub(super) quantum: Option<QuantumOverview>,
    pub(super) latency: Option<report::Latency>,
    /// Why something is missing.
    pub(super) trouble: Option<String>,
}

/// What a row does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Does {
    /// Asks the engine.
    Run(Command),
    /// Asks the user.
    Ask(Question),
    /// Changes a setting.
    Set(Change),
}

/// A row of a panel, as it is written: it is turned, where its language runs from the right, when it is drawn.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct PanelRow {
    pub(super) line: Line<'static>,
    /// What it does when it is chosen.
    pub(super) does: Option<Does>,
    /// What else it does.
    pub(super) other: Option<Does>,
}

impl PanelRow {
    pub(super) fn words(words: impl Into<String>, style: Style) -> Self {
        Self { line: Line::styled(text::clean_line(&words.into()), style), ..Self::default() }
    }

    pub(super) fn blank() -> Self {
        Self::default()
    }

    /// A name, and what is said of it.
    pub(super) fn fact(name: impl AsRef<str>, value: impl Into<String>) -> Self {
        let value = text::clean_line(&value.into());
        let name = text::fill(name.as_ref(), NAME);
        Self { line: Line::from(vec![Span::raw(format!("{name} ")), Span::raw(value)]), ..Self::default() }
    }

    #[must_use]
    pub(super) fn doing(mut self, does: Does) -> Self {
        self.does = Some(does);
        self
    }

    #[must_use]
    pub(super) fn or(mut self, other: Does) -> Self {
        self.other = Some(other);
        self
    }

    #[must_use]
    pub(super) fn styled(mut self, style: Style) -> Self {
        self.line = self.line.patch_style(style);
        self
    }

    /// Whether it can be chosen.
    pub(super) fn acts(&self) -> bool {
        self.does.is_some() || self.other.is_some()
    }
}

/// Sentences in rows of a width.
fn sentences(said: impl AsRef<str>, app: &App, width: usize, style: Style) -> Vec<PanelRow> {
    let rows = app.words.rows(&text::clean_line(said.as_ref()), width, style).into_iter();
    rows.map(|line| PanelRow { line, ..PanelRow::default() }).collect()
}

/// A heading with a blank above, unless it is the first.
fn heading(rows: &mut Vec<PanelRow>, words: impl Into<String>, app: &App) {
    if !rows.is_empty() {
        rows.push(PanelRow::blank());
    }
    rows.push(PanelRow::words(words, app.theme.heading()));
}

/// A bar of so many cells, filled to a share.
fn bar(share: f64, cells: usize) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of some cells"
    )]
    let filled = (share.clamp(0.0, 1.0) * cells as f64).round() as usize;
    format!("{}{}", "█".repeat(filled), "░".repeat(cells.saturating_sub(filled)))
}

impl Panel {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            at: 0,
            roster: Vec::new(),
            safety: None,
            change: None,
            devices: None,
            keys: None,
            log: None,
            quantum: None,
            latency: None,
            trouble: None,
        }
    }

    /// What has to be read for it.
    pub(super) fn needs(&self, app: &App) -> Vec<Command> {
        let room = app.open.as_ref().map(|open| open.id);
        match self.kind {
            Kind::Members => {
                room.map_or_else(Vec::new, |room| vec![Command::LoadRoom(room), Command::LoadRoster(room)])
            }
            Kind::Keys => {
                let mut needs = vec![Command::LoadKeys, Command::LoadDevices];
                needs.extend(room.map(Command::LoadRoom));
                needs
            }
            Kind::Log => vec![Command::LoadLog],
            Kind::Quantum => vec![Command::LoadQuantum],
            Kind::Transfers => vec![Command::LoadUnsent],
            Kind::Connection => vec![Command::Ping],
            Kind::Settings => Vec::new(),
        }
    }

    /// Its rows.
    pub(super) fn rows(&self, app: &App, width: usize) -> Vec<PanelRow> {
        let mut rows = match self.kind {
            Kind::Members => members::rows(self, app, width),
            Kind::Keys => keys::rows(self, app, width),
            Kind::Log => log::rows(self, app, width),
            Kind::Quantum => quantum::rows(self, app, width),
            Kind::Transfers => transfers::rows(app, width),
            Kind::Connection => connection::rows(self, app, width),
            Kind::Settings => settings::rows(app, width),
        };
        if let Some(why) = &self.trouble {
            rows.push(PanelRow::blank());
            rows.extend(sentences(format!("! {why}"), app, width, app.theme.failure()));
        }
        rows
    }

    /// Chooses the next row that does something, or the one before; where there is none that way, the list moves all the same.
    pub(super) fn step(&mut self, by: isize, rows: &[PanelRow]) {
        let last = rows.len().saturating_sub(1);
        let mut at = self.at.min(last);
        loop {
            let next = at.saturating_add_signed(by.signum()).min(last);
            if next == at {
                break;
            }
            at = next;
            if rows.get(at).is_some_and(PanelRow::acts) {
                break;
            }
        }
        self.at = at;
    }

    /// Chooses the first row that does something, when the chosen one does nothing.
    pub(super) fn settle(&mut self, rows: &[PanelRow]) {
        if !rows.get(self.at).is_some_and(PanelRow::acts)
            && let Some(first) = rows.iter().position(PanelRow::acts)
        {
            self.at = first;
        }
    }
}
