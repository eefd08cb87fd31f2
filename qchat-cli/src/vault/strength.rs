//! How hard a passphrase is to guess. It is all that stands between a copy of the profile and its key, so that one which is
//! short, or which everybody tries first, is not taken.

use std::fmt;

use zxcvbn::{Score, feedback::Feedback, zxcvbn};

/// Characters that a passphrase has at least, where nothing else is asked for (NIST SP 800-63B-4, section 3.1.1.2). No kind of
/// character is required.
pub const LEAST: usize = 15;

/// Why a passphrase is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Weak {
    /// It is shorter than [`LEAST`].
    #[error(
        "the passphrase has {0} characters, and {LEAST} are the least: take several words that have nothing to do with one \
         another"
    )]
    Short(usize),
    /// It is among the first that are tried.
    #[error("the passphrase is among the first that are tried{}", .0.as_deref().map(|why| format!(": {why}")).unwrap_or_default())]
    Guessable(Option<String>),
}

/// How hard one is to guess, of those that are taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Strength {
    /// Some 10⁸ guesses.
    Fair,
    /// Some 10¹⁰ guesses.
    Good,
    /// More.
    Strong,
}

impl Strength {
    /// The bar's full length.
    const STEPS: usize = 3;

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fair => "fair",
            Self::Good => "good",
            Self::Strong => "strong",
        }
    }

    /// It as a bar.
    pub fn bar(self) -> String {
        let (full, empty) = ("#".repeat(self.steps() * 4), "-".repeat((Self::STEPS - self.steps()) * 4));
        format!("[{full}{empty}]")
    }

    const fn steps(self) -> usize {
        match self {
            Self::Fair => 1,
            Self::Good => 2,
            Self::Strong => 3,
        }
    }
}

/// A bar, and a word.
impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.bar(), self.name())
    }
}

/// Judges a passphrase. `known`: what whoever guesses knows already, like the account's name.
///
/// # Errors
/// [`Weak`], when it is not to be taken.
pub fn judge(passphrase: &str, known: &[&str]) -> Result<Strength, Weak> {
    let characters = passphrase.chars().count();
    if characters < LEAST {
        return Err(Weak::Short(characters));
    }
    let estimate = zxcvbn(passphrase, known);
    match estimate.score() {
        Score::Two => Ok(Strength::Fair),
        Score::Three => Ok(Strength::Good),
        Score::Four => Ok(Strength::Strong),
        _ => Err(Weak::Guessable(estimate.feedback().map(why))),
    }
}

fn why(feedback: &Feedback) -> String {
    let warning = feedback.warning().map(|warning| warning.to_string());
    let sentence =
        warning.or_else(|| feedback.suggestions().first().map(ToString::to_string)).unwrap_or_default();
    let mut letters = sentence.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_or_tried_first_is_not_taken_and_nothing_else_is_asked_for() {
        for (passphrase, known, taken) in [
            ("", &[][..], false),
            ("Tr0ub4dor&3", &[], false),
            ("fourteen chars", &[], false),
            ("passwordpassword", &[], false),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", &[], false),
            ("1234567890123456", &[], false),
            ("qwertyuiopasdfgh", &[], false),
            ("alicealicealicealice", &["alice"], false),
            ("correct horse battery staple", &[], true),
            // No capital, no digit, no sign.
            ("lantern gravel mustard", &[], true),
            ("petits fours à la crème brûlée", &[], true),
            ("日本語の長いパスフレーズを使います", &[], true),
            ("d0c3a1f9b2e84756ac", &[], true),
        ] {
            let judged = judge(passphrase, known);
            assert_eq!(judged.is_ok(), taken, "{passphrase}: {judged:?}");
        }
        // Characters count, not bytes.
        assert_eq!(judge("gewöhnlicher kä", &[]).err(), None);
        assert_eq!(judge("äöüäöüäö", &[]), Err(Weak::Short(8)));
        let short = judge("short", &[]).unwrap_err().to_string();
        assert!(short.contains("5 characters") && short.contains("15"), "{short}");
        let tried = judge("passwordpassword", &[]).unwrap_err().to_string();
        assert!(tried.contains("first that are tried: "), "{tried}");
    }

    #[test]
    fn a_long_one_is_judged_in_a_moment() {
        // What is beyond the first hundred characters is not looked at.
        assert_eq!(judge(&"lantern gravel mustard ".repeat(200), &[]), Ok(Strength::Strong));
    }

    #[test]
    fn strength_is_shown_as_a_bar_and_a_word() {
        assert_eq!(Strength::Fair.to_string(), "[####--------] fair");
        assert_eq!(Strength::Strong.to_string(), "[############] strong");
    }
}
