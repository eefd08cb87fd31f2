//! Colours and marks. Nothing is told by colour alone: what matters has a sign or a word of its own as well.

use std::str::FromStr;

use qchat_proto::ids::AccountId;
use ratatui::style::{Color, Modifier, Style};
use terminal_colorsaurus::{QueryOptions, background_color};

use super::{
    graphics::{CellSize, Graphics, Means, Surroundings},
    picture::Depth,
};

/// The looks to choose from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Look {
    /// Dark or light, as the terminal says it is (`COLORFGBG`, or asked by OSC 11); without colours where `NO_COLOR` says so.
    #[default]
    Auto,
    /// For a dark background.
    Dark,
    /// For a light background.
    Light,
    /// As much contrast as there is.
    Contrast,
    /// With the terminal's own 16 colours.
    Sixteen,
    /// With bold, dim and reversed text alone.
    Plain,
}

impl Look {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Auto, Self::Dark, Self::Light, Self::Contrast, Self::Sixteen, Self::Plain];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Contrast => "contrast",
            Self::Sixteen => "sixteen",
            Self::Plain => "plain",
        }
    }
}

impl FromStr for Look {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|look| look.name() == name)
            .ok_or_else(|| format!("{name:?} is none of auto, dark, light, contrast, sixteen and plain"))
    }
}

/// What the environment and the terminal say of the terminal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ambience {
    no_color: String,
    term: String,
    fgbg: String,
    vte: String,
    colorterm: String,
    pictures: Surroundings,
    /// Whether its background is light, as it says itself.
    light: bool,
}

impl Ambience {
    /// What this process's environment says; the terminal is asked for its background where that decides how `look` looks. It answers
    /// at once, and one that does not within a second is taken to be dark. To be called before its keys are read.
    pub fn of_process(look: Look) -> Self {
        let set = |name: &str| std::env::var(name).unwrap_or_default();
        let said = Self {
            no_color: set("NO_COLOR"),
            term: set("TERM"),
            fgbg: set("COLORFGBG"),
            vte: set("VTE_VERSION"),
            colorterm: set("COLORTERM"),
            pictures: Surroundings::of(set),
            light: false,
        };
        let light = [Look::Auto, Look::Sixteen].contains(&look)
            && said.is_to_be_asked()
            && background_color(QueryOptions::default())
                .is_ok_and(|background| background.perceived_lightness() > 0.5);
        Self { light, ..said }
    }

    /// What a terminal says that has all colours.
    #[cfg(test)]
    pub(super) fn of_all_colours() -> Self {
        Self { term: "xterm-256color".to_owned(), colorterm: "truecolor".to_owned(), ..Self::default() }
    }

    /// What pictures are drawn with, by what is set.
    pub(super) fn means(&self, set: Graphics, cell: Option<CellSize>) -> Means {
        Means::of(set, &self.pictures, !self.is_without_colours(), cell)
    }

    /// What a terminal says that has all colours, and a protocol for pictures.
    #[cfg(test)]
    pub(super) fn of_pictures(variable: impl Fn(&str) -> String) -> Self {
        Self { pictures: Surroundings::of(variable), ..Self::of_all_colours() }
    }

    fn is_without_colours(&self) -> bool {
        !self.no_color.is_empty() || self.term == "dumb"
    }

    fn has_many_colours(&self) -> bool {
        ["256color", "direct", "kitty", "alacritty", "ghostty", "wezterm", "foot"]
            .iter()
            .any(|name| self.term.contains(name))
    }

    fn has_all_colours(&self) -> bool {
        ["truecolor", "24bit"].contains(&self.colorterm.as_str())
            || ["direct", "kitty", "alacritty", "ghostty", "wezterm", "foot"]
                .iter()
                .any(|name| self.term.contains(name))
    }

    fn is_to_be_asked(&self) -> bool {
        self.fgbg.is_empty() && !self.is_without_colours()
    }

    fn is_light(&self) -> bool {
        self.light || is_light(&self.fgbg)
    }

    /// Whether notifications are told to this terminal by OSC 777, as rxvt, foot and what builds on VTE take them; OSC 9 is
    /// what the others take. Some take both, and would show each twice.
    pub(super) fn is_notified_by_777(&self) -> bool {
        !self.vte.is_empty() || ["rxvt", "foot"].iter().any(|name| self.term.contains(name))
    }
}

/// How things look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Theme(&'static Palette);

/// The colours of a look; `None` where it has none.
#[derive(PartialEq, Eq, Debug)]
struct Palette {
    /// Colours that tell people apart; none that warnings or the background use.
    people: Option<[Color; 8]>,
    quiet: Option<Color>,
    warning: Option<Color>,
    failure: Option<Color>,
    good: Option<Color>,
    unread: Option<Color>,
    link: Option<Color>,
    code: Option<Color>,
    /// Behind the status line.
    bar: Option<(Color, Color)>,
}

static SIXTEEN: Palette = Palette {
    people: Some([
        Color::Cyan,
        Color::Green,
        Color::Magenta,
        Color::Blue,
        Color::LightCyan,
        Color::LightGreen,
        Color::LightMagenta,
        Color::LightBlue,
    ]),
    quiet: Some(Color::DarkGray),
    warning: Some(Color::Yellow),
    failure: Some(Color::LightRed),
    good: Some(Color::Green),
    unread: Some(Color::LightYellow),
    link: Some(Color::Blue),
    code: Some(Color::Cyan),
    bar: None,
};

/// What of them is read on a white background.
static SIXTEEN_LIGHT: Palette = Palette {
    people: Some([
        Color::Blue,
        Color::Green,
        Color::Cyan,
        Color::LightBlue,
        Color::Black,
        Color::Blue,
        Color::Green,
        Color::LightBlue,
    ]),
    quiet: Some(Color::DarkGray),
    warning: Some(Color::Red),
    failure: Some(Color::Red),
    good: Some(Color::Green),
    unread: Some(Color::Magenta),
    link: Some(Color::Blue),
    code: Some(Color::Cyan),
    bar: None,
};

static PLAIN: Palette = Palette {
    people: None,
    quiet: None,
    warning: None,
    failure: None,
    good: None,
    unread: None,
    link: None,
    code: None,
    bar: None,
};

static DARK: Palette = Palette {
    people: Some([
        Color::Indexed(80),
        Color::Indexed(114),
        Color::Indexed(176),
        Color::Indexed(111),
        Color::Indexed(180),
        Color::Indexed(79),
        Color::Indexed(147),
        Color::Indexed(216),
    ]),
    quiet: Some(Color::Indexed(246)),
    warning: Some(Color::Indexed(221)),
    failure: Some(Color::Indexed(210)),
    good: Some(Color::Indexed(114)),
    unread: Some(Color::Indexed(222)),
    link: Some(Color::Indexed(117)),
    code: Some(Color::Indexed(151)),
    bar: Some((Color::Indexed(252), Color::Indexed(236))),
};

static LIGHT: Palette = Palette {
    people: Some([
        Color::Indexed(24),
        Color::Indexed(22),
        Color::Indexed(90),
        Color::Indexed(18),
        Color::Indexed(94),
        Color::Indexed(23),
        Color::Indexed(54),
        Color::Indexed(130),
    ]),
    quiet: Some(Color::Indexed(242)),
    warning: Some(Color::Indexed(94)),
    failure: Some(Color::Indexed(124)),
    good: Some(Color::Indexed(22)),
    unread: Some(Color::Indexed(130)),
    link: Some(Color::Indexed(25)),
    code: Some(Color::Indexed(23)),
    bar: Some((Color::Indexed(235), Color::Indexed(254))),
};

static CONTRAST: Palette = Palette {
    people: Some([Color::Indexed(231); 8]),
    quiet: Some(Color::Indexed(231)),
    warning: Some(Color::Indexed(226)),
    failure: Some(Color::Indexed(226)),
    good: Some(Color::Indexed(231)),
    unread: Some(Color::Indexed(226)),
    link: Some(Color::Indexed(51)),
    code: Some(Color::Indexed(231)),
    bar: Some((Color::Indexed(16), Color::Indexed(231))),
};

impl Theme {
    /// With the terminal's 16 colours.
    pub const COLOUR: Self = Self(&SIXTEEN);
    /// With bold, dim and reversed text alone.
    pub const PLAIN: Self = Self(&PLAIN);

    /// What a look comes to here: `NO_COLOR` (any value but the empty one) and `TERM=dumb` turn colours off, where no look was
    /// chosen; and a terminal of 16 colours has them alone.
    pub fn of(look: Look, terminal: &Ambience) -> Self {
        let sixteen = if terminal.is_light() { &SIXTEEN_LIGHT } else { &SIXTEEN };
        Self(match look {
            Look::Plain => &PLAIN,
            Look::Auto if terminal.is_without_colours() => &PLAIN,
            Look::Sixteen => sixteen,
            Look::Auto if !terminal.has_many_colours() => sixteen,
            Look::Auto if terminal.is_light() => &LIGHT,
            Look::Auto | Look::Dark => &DARK,
            Look::Light => &LIGHT,
            Look::Contrast => &CONTRAST,
        })
    }

    /// The colours that pictures have in this look on this terminal: none where there are 16, or none.
    pub(super) fn depth(self, terminal: &Ambience) -> Depth {
        if [&SIXTEEN, &SIXTEEN_LIGHT, &PLAIN].contains(&self.0) {
            Depth::None
        } else if terminal.has_all_colours() {
            Depth::All
        } else {
            Depth::Indexed
        }
    }

    fn with(colour: Option<Color>) -> Style {
        colour.map_or(Style::new(), |colour| Style::new().fg(colour))
    }

    /// A person's name; the same colour for the same account in every room and on every day.
    pub(super) fn person(self, account: AccountId) -> Style {
        let colour = self.0.people.map(|people| people[usize::from(account.as_bytes()[0]) % people.len()]);
        Self::with(colour).add_modifier(Modifier::BOLD)
    }

    /// Times, rules, hints.
    pub(super) fn quiet(self) -> Style {
        if self.0.quiet.is_some() {
            Self::with(self.0.quiet)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    /// Something that happened in the room.
    pub(super) fn notice(self) -> Style {
        self.quiet().add_modifier(Modifier::ITALIC)
    }

    /// Something that needs attention.
    pub(super) fn warning(self) -> Style {
        Self::with(self.0.warning).add_modifier(Modifier::BOLD)
    }

    /// A failure.
    pub(super) fn failure(self) -> Style {
        Self::with(self.0.failure).add_modifier(Modifier::BOLD)
    }

    /// Something good: connected, new.
    pub(super) fn good(self) -> Style {
        Self::with(self.0.good)
    }

    /// What is unread.
    pub(super) fn unread(self) -> Style {
        Self::with(self.0.unread).add_modifier(Modifier::BOLD)
    }

    /// What speaks to the user.
    pub(super) fn mention(self) -> Style {
        self.unread().add_modifier(Modifier::UNDERLINED)
    }

    /// An address.
    pub(super) fn link(self) -> Style {
        Self::with(self.0.link).add_modifier(Modifier::UNDERLINED)
    }

    /// Code.
    pub(super) fn code(self) -> Style {
        Self::with(self.0.code)
    }

    /// What is quoted.
    pub(super) fn quote(self) -> Style {
        self.quiet().add_modifier(Modifier::ITALIC)
    }

    /// A heading.
    #[expect(clippy::unused_self, reason = "every look is asked of the theme")]
    pub(super) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The chosen line of a list.
    #[expect(clippy::unused_self, reason = "every look is asked of the theme")]
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The status line.
    pub(super) fn bar(self) -> Style {
        match self.0.bar {
            Some((text, behind)) => Style::new().fg(text).bg(behind),
            None => Style::new().add_modifier(Modifier::REVERSED),
        }
    }
}

/// Whether `COLORFGBG` (`text;background`, as rxvt, Konsole and others set it) says that the background is light.
fn is_light(fgbg: &str) -> bool {
    matches!(fgbg.rsplit(';').next().and_then(|behind| behind.parse::<u8>().ok()), Some(7 | 9..=15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_says_which_colours_suit_it() {
        for (look, no_color, term, fgbg, palette) in [
            (Look::Auto, "", "xterm-256color", "", &DARK),
            (Look::Auto, "", "xterm-256color", "15;0", &DARK),
            (Look::Auto, "", "xterm-256color", "0;15", &LIGHT),
            (Look::Auto, "", "xterm-256color", "0;default;15", &LIGHT),
            (Look::Auto, "", "linux", "", &SIXTEEN),
            (Look::Auto, "", "xterm", "0;15", &SIXTEEN_LIGHT),
            (Look::Sixteen, "", "xterm-256color", "", &SIXTEEN),
            (Look::Sixteen, "", "xterm-256color", "0;15", &SIXTEEN_LIGHT),
            (Look::Auto, "1", "xterm-256color", "", &PLAIN),
            (Look::Auto, "", "dumb", "", &PLAIN),
            (Look::Light, "1", "linux", "", &LIGHT),
            (Look::Contrast, "", "linux", "", &CONTRAST),
        ] {
            let ambience = Ambience {
                no_color: no_color.to_owned(),
                term: term.to_owned(),
                fgbg: fgbg.to_owned(),
                vte: String::new(),
                ..Ambience::default()
            };
            assert_eq!(Theme::of(look, &ambience).0, palette, "{look:?} {ambience:?}");
            // What it says itself counts where the environment says nothing, and where there are colours for it.
            let asked = fgbg.is_empty() && no_color.is_empty() && term != "dumb";
            assert_eq!(ambience.is_to_be_asked(), asked, "{look:?} {ambience:?}");
            let light = Ambience { light: asked, ..ambience };
            let suits = match look {
                Look::Auto | Look::Sixteen if asked && palette == &SIXTEEN => &SIXTEEN_LIGHT,
                Look::Auto if asked => &LIGHT,
                _ => palette,
            };
            assert_eq!(Theme::of(look, &light).0, suits, "{look:?} {light:?}");
        }
        for (term, vte, is_777) in [
            ("xterm-256color", "", false),
            ("xterm-256color", "7600", true),
            ("foot", "", true),
            ("xterm-kitty", "", false),
        ] {
            let ambience = Ambience { term: term.to_owned(), vte: vte.to_owned(), ..Ambience::default() };
            assert_eq!(ambience.is_notified_by_777(), is_777, "{ambience:?}");
        }
        for (look, term, colorterm, depth) in [
            (Look::Dark, "xterm-256color", "truecolor", Depth::All),
            (Look::Dark, "xterm-256color", "24bit", Depth::All),
            (Look::Light, "xterm-kitty", "", Depth::All),
            (Look::Light, "xterm-256color", "", Depth::Indexed),
            (Look::Sixteen, "xterm-256color", "truecolor", Depth::None),
            (Look::Plain, "xterm-256color", "truecolor", Depth::None),
            (Look::Auto, "linux", "", Depth::None),
        ] {
            let (term, colorterm) = (term.to_owned(), colorterm.to_owned());
            let ambience = Ambience { term, colorterm, ..Ambience::default() };
            assert_eq!(Theme::of(look, &ambience).depth(&ambience), depth, "{look:?} {ambience:?}");
        }
        for look in Look::ALL {
            assert_eq!(look.name().parse(), Ok(look));
        }
    }
}
