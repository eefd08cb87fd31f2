//! Settings of the screen that can be changed on it, and their place in the configuration file.

use std::str::FromStr;

use toml_edit::{DocumentMut, value};

use super::{graphics::Graphics, keymap::Preset, theme::Look, words::Language};

/// What a notification says: others may see the desktop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Notifications {
    /// There are none.
    Off,
    /// That there is a message.
    Hidden,
    /// Room and sender.
    #[default]
    Sender,
    /// The text, too.
    Full,
}

impl Notifications {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Off, Self::Hidden, Self::Sender, Self::Full];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hidden => "hidden",
            Self::Sender => "sender",
            Self::Full => "full",
        }
    }
}

impl FromStr for Notifications {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| format!("{name:?} is none of off, hidden, sender and full"))
    }
}

/// What shows a notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Notifier {
    /// The terminal.
    #[default]
    Terminal,
    /// The desktop; the terminal where there is none.
    Desktop,
}

impl Notifier {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Terminal, Self::Desktop];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Desktop => "desktop",
        }
    }
}

impl FromStr for Notifier {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| format!("{name:?} is neither terminal nor desktop"))
    }
}

/// The settings of the screen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Prefs {
    /// How it looks.
    pub look: Look,
    /// Which keymap the keys start from.
    pub keymap: Preset,
    /// Which language it speaks.
    pub language: Language,
    /// How pictures are drawn.
    pub graphics: Graphics,
    /// What a notification says.
    pub notifications: Notifications,
    /// What shows it.
    pub notifier: Notifier,
    /// Whether the terminal's bell rings with one.
    pub bell: bool,
    /// Whether the members of rooms are told what this device has stored, and its user seen.
    pub receipts: bool,
    /// Whether it is shown who is there, and shown to others that the user is.
    pub presence: bool,
    /// The same of who writes.
    pub typing: bool,
}

/// A setting that is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// How the screen looks.
    Look(Look),
    /// Which keymap the keys start from.
    Keymap(Preset),
    /// Which language it speaks.
    Language(Language),
    /// How pictures are drawn.
    Graphics(Graphics),
    /// What a notification says.
    Notifications(Notifications),
    /// What shows it.
    Notifier(Notifier),
    /// Whether the bell rings.
    Bell(bool),
    /// Whether receipts are sent, from the next start on.
    Receipts(bool),
}

impl Change {
    /// The configuration file with this change, its comments and its order kept.
    ///
    /// # Errors
    /// When the text is no configuration file.
    pub(super) fn apply(self, text: &str) -> Result<String, String> {
        let mut document: DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
        let (key, item) = match self {
            Self::Look(look) => ("theme", value(look.name())),
            Self::Keymap(preset) => ("keymap", value(preset.name())),
            Self::Language(language) => ("language", value(language.name())),
            Self::Graphics(graphics) => ("graphics", value(graphics.name())),
            Self::Notifications(what) => ("notifications", value(what.name())),
            Self::Notifier(by) => ("notifier", value(by.name())),
            Self::Bell(on) => ("bell", value(on)),
            Self::Receipts(on) => ("receipts", value(if on { "on" } else { "off" })),
        };
        match document.get_mut(key).and_then(|old| old.as_value_mut()) {
            // What stands around a value, a comment behind it say, stays.
            Some(old) => {
                let decor = old.decor().clone();
                if let Some(mut new) = item.as_value().cloned() {
                    *new.decor_mut() = decor;
                    *old = new;
                }
            }
            None => {
                document.insert(key, item);
            }
        }
        Ok(document.to_string())
    }
}

impl Prefs {
    /// Takes a change in.
    pub(super) fn take(&mut self, change: Change) {
        match change {
            Change::Look(look) => self.look = look,
            Change::Keymap(preset) => self.keymap = preset,
            Change::Language(language) => self.language = language,
            Change::Graphics(graphics) => self.graphics = graphics,
            Change::Notifications(what) => self.notifications = what,
            Change::Notifier(by) => self.notifier = by,
            Change::Bell(on) => self.bell = on,
            Change::Receipts(on) => self.receipts = on,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_changed_and_everything_else_stays() {
        let text = "# mine\nserver = \"https://chat.example.org\" # home\n\ntheme = \"dark\"   # at night\n\n[keys.composer]\nsend = \"Enter\"\n";
        let changed = Change::Look(Look::Light).apply(text).unwrap();
        assert_eq!(changed, text.replace("\"dark\"", "\"light\""));
        let added = Change::Notifications(Notifications::Full).apply(text).unwrap();
        assert!(added.contains("# home") && added.contains("notifications = \"full\""), "{added}");
        // A key of the top level does not end up in a table.
        let place = added.find("notifications").unwrap();
        assert!(place < added.find("[keys.composer]").unwrap(), "{added}");
        assert_eq!(Change::Bell(true).apply("").unwrap(), "bell = true\n");
        let german = Change::Language(Language::German).apply("language = \"he\" # mine\n").unwrap();
        assert_eq!(german, "language = \"de\" # mine\n");
        assert!(Change::Bell(true).apply("a = = 1").is_err());
    }
}
