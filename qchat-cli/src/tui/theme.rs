//! Colours and marks. Only the terminal's own 16 colours are used, and nothing is told by colour alone.

use qchat_proto::ids::AccountId;
use ratatui::style::{Color, Modifier, Style};

/// Colours that tell people apart; none that warnings or the background use.
const PEOPLE: [Color; 8] = [
    Color::Cyan,
    Color::Green,
    Color::Magenta,
    Color::Blue,
    Color::LightCyan,
    Color::LightGreen,
    Color::LightMagenta,
    Color::LightBlue,
];

/// How things look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Theme {
    colour: bool,
}

impl Theme {
    /// With the terminal's 16 colours.
    pub const COLOUR: Self = Self { colour: true };
    /// With bold, dim and reversed text alone.
    pub const PLAIN: Self = Self { colour: false };

    /// What the environment asks for: `NO_COLOR` (any value but the empty one) and `TERM=dumb` turn colours off.
    pub fn detect() -> Self {
        let set = |name: &str| std::env::var_os(name).unwrap_or_default();
        if set("NO_COLOR").is_empty() && set("TERM") != "dumb" { Self::COLOUR } else { Self::PLAIN }
    }

    fn with(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// A person's name; the same colour for the same account in every room and on every day.
    pub(super) fn person(self, account: AccountId) -> Style {
        let pick = usize::from(account.as_bytes()[0]) % PEOPLE.len();
        self.with(PEOPLE[pick]).add_modifier(Modifier::BOLD)
    }

    /// Times, rules, hints.
    pub(super) fn quiet(self) -> Style {
        if self.colour { self.with(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// Something that happened in the room.
    pub(super) fn notice(self) -> Style {
        self.quiet().add_modifier(Modifier::ITALIC)
    }

    /// Something that needs attention.
    pub(super) fn warning(self) -> Style {
        self.with(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// A failure.
    pub(super) fn failure(self) -> Style {
        self.with(Color::LightRed).add_modifier(Modifier::BOLD)
    }

    /// Something good: connected, new.
    pub(super) fn good(self) -> Style {
        self.with(Color::Green)
    }

    /// What is unread.
    pub(super) fn unread(self) -> Style {
        self.with(Color::LightYellow).add_modifier(Modifier::BOLD)
    }

    /// Text.
    fn plain(self) -> Style {
        self.with(Color::Reset)
    }

    /// The chosen line of a list, and the status line.
    pub(super) fn chosen(self) -> Style {
        self.plain().add_modifier(Modifier::REVERSED)
    }
}
