//! Which language the screen speaks: what the user has said, else what the environment says, else English.

use std::str::FromStr;

use unic_langid::LanguageIdentifier;

/// The languages to choose from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Language {
    /// That of the environment (`LC_ALL`, else `LC_MESSAGES`, else `LANG`), where it is one of these; else English.
    #[default]
    Auto,
    /// English.
    English,
    /// German.
    German,
    /// Hebrew, which is written from the right.
    Hebrew,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::English, Self::German, Self::Hebrew];

    /// Its name: the code of ISO 639.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::English => "en",
            Self::German => "de",
            Self::Hebrew => "he",
        }
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|language| language.name() == name)
            .ok_or_else(|| format!("{name:?} is none of auto, en, de and he"))
    }
}

/// The language of messages that the environment asks for, as it says it: `de_AT.UTF-8`, say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Locale(String);

impl Locale {
    /// What this process's environment says.
    pub fn of_process() -> Self {
        Self::read(|name| std::env::var(name).unwrap_or_default())
    }

    /// The first of the variables that is set, in the order of POSIX (Base Definitions, 8.2); an empty one is as good as none.
    pub(super) fn read(set: impl Fn(&str) -> String) -> Self {
        let said = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().map(set).find(|value| !value.is_empty());
        Self(said.unwrap_or_default())
    }

    /// The language that this comes to. `C` and `POSIX`, and whatever is not known here, are English.
    pub(super) fn language(&self) -> Language {
        let name = self.0.split(['.', '@']).next().unwrap_or_default();
        let Ok(identifier) = name.parse::<LanguageIdentifier>() else { return Language::English };
        match identifier.language.as_str() {
            "de" => Language::German,
            // The code of Hebrew until 1989, which some systems still have.
            "he" | "iw" => Language::Hebrew,
            _ => Language::English,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_the_language_in_the_order_of_posix() {
        for (all, messages, lang, language) in [
            ("", "", "", Language::English),
            ("", "", "C", Language::English),
            ("", "", "C.UTF-8", Language::English),
            ("", "", "POSIX", Language::English),
            ("", "", "en_GB.UTF-8", Language::English),
            ("", "", "de", Language::German),
            ("", "", "de_AT.UTF-8", Language::German),
            ("", "", "de_DE@euro", Language::German),
            ("", "", "de-CH", Language::German),
            ("", "", "he_IL.UTF-8", Language::Hebrew),
            ("", "", "iw_IL", Language::Hebrew),
            ("", "", "fr_FR.UTF-8", Language::English),
            ("", "", "no language at all", Language::English),
            ("", "", "../../../etc/passwd", Language::English),
            // The first that is set counts, whether it is known or not.
            ("", "he_IL.UTF-8", "de_DE.UTF-8", Language::Hebrew),
            ("de_DE.UTF-8", "he_IL.UTF-8", "fr_FR.UTF-8", Language::German),
            ("C", "de_DE.UTF-8", "de_DE.UTF-8", Language::English),
            ("", "fr_FR", "de_DE", Language::English),
        ] {
            let set = |name: &str| match name {
                "LC_ALL" => all.to_owned(),
                "LC_MESSAGES" => messages.to_owned(),
                "LANG" => lang.to_owned(),
                name => panic!("nobody sets {name}"),
            };
            assert_eq!(Locale::read(set).language(), language, "{all:?} {messages:?} {lang:?}");
        }
        for language in Language::ALL {
            assert_eq!(language.name().parse(), Ok(language));
        }
        assert!("klingon".parse::<Language>().unwrap_err().contains("auto, en, de and he"));
    }
}
