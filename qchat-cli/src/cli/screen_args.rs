//! Options of the screen.

use clap::{
    Args,
    builder::{FalseyValueParser, PossibleValue, PossibleValuesParser, TypedValueParser},
};

use crate::tui::{Graphics, Language, Look, Notifications, Notifier, Preset};

/// Options of the screen.
#[derive(Debug, Default, Args)]
pub struct ScreenArgs {
    /// How the screen looks [default: auto].
    #[arg(long, global = true, env = "QCHAT_THEME", hide_env_values = true, value_name = "LOOK", value_parser = look())]
    pub theme: Option<Look>,
    /// Which keys the screen has; the table `keys` of the configuration file changes single ones [default: plain].
    #[arg(long, global = true, env = "QCHAT_KEYMAP", hide_env_values = true, value_name = "NAME", value_parser = keymap())]
    pub keymap: Option<Preset>,
    /// Which language the screen speaks [default: auto].
    #[arg(long, global = true, env = "QCHAT_LANGUAGE", hide_env_values = true, value_name = "LANGUAGE", value_parser = language())]
    pub language: Option<Language>,
    /// How the screen draws pictures [default: auto].
    #[arg(long, global = true, env = "QCHAT_GRAPHICS", hide_env_values = true, value_name = "HOW", value_parser = graphics())]
    pub graphics: Option<Graphics>,
    /// What the screen's notifications say: others may see the desktop [default: sender].
    #[arg(long, global = true, env = "QCHAT_NOTIFICATIONS", hide_env_values = true, value_name = "WHAT")]
    #[arg(value_parser = notifications())]
    pub notifications: Option<Notifications>,
    /// What shows the screen's notifications [default: terminal].
    #[arg(long, global = true, env = "QCHAT_NOTIFIER", hide_env_values = true, value_name = "BY")]
    #[arg(value_parser = notifier())]
    pub notifier: Option<Notifier>,
    /// Ring the terminal's bell with each.
    #[arg(long, global = true, env = "QCHAT_BELL", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub bell: bool,
}

fn look() -> impl TypedValueParser<Value = Look> {
    let choices = Look::ALL.map(|look| {
        PossibleValue::new(look.name()).help(match look {
            Look::Auto => {
                "Dark or light, as the terminal says (COLORFGBG, or OSC 11); no colours where NO_COLOR says so"
            }
            Look::Dark => "For a dark background",
            Look::Light => "For a light background",
            Look::Contrast => "As much contrast as there is",
            Look::Sixteen => "With the terminal's own 16 colours",
            Look::Plain => "With bold, dim and reversed text alone",
        })
    });
    PossibleValuesParser::new(choices).try_map(|word| word.parse())
}

fn keymap() -> impl TypedValueParser<Value = Preset> {
    let choices = Preset::ALL.map(|preset| {
        PossibleValue::new(preset.name()).help(match preset {
            Preset::Plain => "Arrows, function keys, and letters where nothing is typed",
            Preset::Vim => "For who has vi in the fingers",
            Preset::Emacs => "For who has Emacs in the fingers",
        })
    });
    PossibleValuesParser::new(choices).try_map(|word| word.parse())
}

fn language() -> impl TypedValueParser<Value = Language> {
    let choices = Language::ALL.map(|language| {
        PossibleValue::new(language.name()).help(match language {
            Language::Auto => {
                "That of the environment (LC_ALL, LC_MESSAGES, LANG), where it is one of these; else English"
            }
            Language::English => "English",
            Language::German => "German",
            Language::Hebrew => "Hebrew, from the right",
        })
    });
    PossibleValuesParser::new(choices).try_map(|word| word.parse())
}

fn graphics() -> impl TypedValueParser<Value = Graphics> {
    let choices = Graphics::ALL.map(|how| {
        PossibleValue::new(how.name()).help(match how {
            Graphics::Auto => {
                "In the terminal's own pixels, where the environment says that it can (TERM, TERM_PROGRAM, KITTY_WINDOW_ID)"
            }
            Graphics::Kitty => "By kitty's protocol; in tmux, where its allow-passthrough is on",
            Graphics::Sixel => "By sixel",
            Graphics::Iterm2 => "By iTerm2's protocol; not in tmux",
            Graphics::Halfblocks => "In half-blocks, which every terminal has",
            Graphics::None => "Not at all",
        })
    });
    PossibleValuesParser::new(choices).try_map(|word| word.parse())
}

fn notifications() -> impl TypedValueParser<Value = Notifications> {
    let choices = Notifications::ALL.map(|what| {
        PossibleValue::new(what.name()).help(match what {
            Notifications::Off => "There are none",
            Notifications::Hidden => "That there is a message",
            Notifications::Sender => "Room and sender",
            Notifications::Full => "The text, too",
        })
    });
    PossibleValuesParser::new(choices).try_map(|word| word.parse())
}

fn notifier() -> impl TypedValueParser<Value = Notifier> {
    let choices = Notifier::ALL.map(|by| {
        PossibleValue::new(by.name()).help(match by {
            Notifier::Terminal => "The terminal, by OSC 9, or OSC 777 in rxvt, foot and what builds on VTE",
            Notifier::Desktop => "The desktop's session, over D-Bus; the terminal where there is none",
        })
    });
    PossibleValuesParser::new(choices).try_map(|word| word.parse())
}
