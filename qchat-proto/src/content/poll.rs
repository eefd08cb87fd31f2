//! A question with options.

use crate::wire::pb;

/// Longest question of a poll, bytes of UTF-8.
pub const MAX_QUESTION: usize = 1024;
/// Longest option of a poll, bytes of UTF-8.
pub const MAX_OPTION: usize = 256;
/// Most options of a poll.
pub const MAX_OPTIONS: usize = 20;

/// A poll: a question of 1 to [`MAX_QUESTION`] bytes, and 2 to [`MAX_OPTIONS`] different options of 1 to [`MAX_OPTION`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Poll {
    question: String,
    options: Vec<String>,
    choices: u32,
}

/// It is no poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// The question.
    #[error("a poll's question has 1 to {MAX_QUESTION} bytes")]
    Question,
    /// The options.
    #[error("a poll has 2 to {MAX_OPTIONS} different options of 1 to {MAX_OPTION} bytes")]
    Options,
    /// How many may be chosen.
    #[error("one may choose from 1 to as many options as there are")]
    Choices,
}

impl Poll {
    /// A poll, in which one may be for `choices` options.
    ///
    /// # Errors
    /// [`PollError`].
    pub fn new(question: String, options: Vec<String>, choices: u32) -> Result<Self, PollError> {
        if !(1..=MAX_QUESTION).contains(&question.len()) {
            return Err(PollError::Question);
        }
        // Counted before each is compared with all others.
        let fit = (2..=MAX_OPTIONS).contains(&options.len())
            && options.iter().all(|option| (1..=MAX_OPTION).contains(&option.len()))
            && !options.iter().enumerate().any(|(at, option)| options[..at].contains(option));
        if !fit {
            return Err(PollError::Options);
        }
        if choices == 0 || usize::try_from(choices).map_or(true, |choices| choices > options.len()) {
            return Err(PollError::Choices);
        }
        Ok(Self { question, options, choices })
    }

    /// The question, as it was sent: not yet fit for a terminal.
    pub fn question(&self) -> &str {
        &self.question
    }

    /// The options, as they were sent.
    pub fn options(&self) -> &[String] {
        &self.options
    }

    /// How many options one account may be for.
    pub fn choices(&self) -> u32 {
        self.choices
    }

    pub(super) fn to_wire(&self) -> pb::Poll {
        pb::Poll { question: self.question.clone(), options: self.options.clone(), choices: self.choices }
    }

    pub(super) fn from_wire(raw: pb::Poll) -> Option<Self> {
        Self::new(raw.question, raw.options, raw.choices).ok()
    }
}
