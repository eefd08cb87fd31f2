//! The health tests of SP 800-90B §4.4, which every measured bit passes before it is used: a source that got stuck or
//! lost its entropy is noticed while it runs.

use super::estimate::binary_logarithm;

/// α, the probability that a healthy source fails a test once: 2⁻²⁰ (SP 800-90B §4.4 recommends 2⁻²⁰ to 2⁻⁴⁰).
pub const FALSE_ALARM: f64 = 1.0 / 1_048_576.0;
/// How many samples the adaptive proportion test looks at together, for a binary source (§4.4.2).
pub const WINDOW: u32 = 1024;
/// How many samples the start-up tests need at least (§4.3).
pub const START_UP: usize = 1024;

/// A test failed: the source is not what it was taken for, and nothing more of it may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HealthError {
    /// The same value came too often in a row (§4.4.1).
    #[error("the repetition count test failed: one value came {0} times in a row")]
    Repetition(u32),
    /// One value came too often within a window (§4.4.2).
    #[error("the adaptive proportion test failed: one value came {0} times among {WINDOW}")]
    Proportion(u32),
    /// The start-up tests were given too little.
    #[error("start-up tests need {START_UP} samples, and {0} came")]
    TooFew(usize),
    /// The assumed min-entropy is not above 0 and at most 1 bit a sample.
    #[error("a binary source has more than 0 and at most 1 bit of min-entropy a sample")]
    Entropy,
}

/// Both tests over a stream of binary samples. After a failure every further sample is refused with the same error.
#[derive(Debug, Clone)]
pub struct HealthTests {
    repetition_cutoff: u32,
    proportion_cutoff: u32,
    repeated: Option<(bool, u32)>,
    window: Option<(bool, u32, u32)>,
    failed: Option<HealthError>,
}

impl HealthTests {
    /// Tests for a source with `entropy` bits of min-entropy a sample, 0 < `entropy` ≤ 1.
    ///
    /// # Errors
    /// [`HealthError::Entropy`] for any other value.
    pub fn new(entropy: f64) -> Result<Self, HealthError> {
        Ok(Self {
            repetition_cutoff: repetition_cutoff(entropy, FALSE_ALARM)?,
            proportion_cutoff: proportion_cutoff(entropy, FALSE_ALARM, WINDOW)?,
            repeated: None,
            window: None,
            failed: None,
        })
    }

    /// The same tests after the start-up tests (§4.3): `samples`, at least [`START_UP`], pass through both. They may be
    /// used afterwards.
    ///
    /// # Errors
    /// What [`HealthTests::new`] and [`HealthTests::feed`] say, and [`HealthError::TooFew`].
    pub fn start_up(entropy: f64, samples: impl ExactSizeIterator<Item = bool>) -> Result<Self, HealthError> {
        let mut tests = Self::new(entropy)?;
        if samples.len() < START_UP {
            return Err(HealthError::TooFew(samples.len()));
        }
        for sample in samples {
            tests.feed(sample)?;
        }
        Ok(tests)
    }

    /// Takes the next sample.
    ///
    /// # Errors
    /// The test that failed, now or before.
    pub fn feed(&mut self, sample: bool) -> Result<(), HealthError> {
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        let result = self.repetition(sample).and_then(|()| self.proportion(sample));
        self.failed = result.err();
        result
    }

    fn repetition(&mut self, sample: bool) -> Result<(), HealthError> {
        let count = match self.repeated {
            Some((value, count)) if value == sample => count + 1,
            _ => 1,
        };
        self.repeated = Some((sample, count));
        if count >= self.repetition_cutoff { Err(HealthError::Repetition(count)) } else { Ok(()) }
    }

    fn proportion(&mut self, sample: bool) -> Result<(), HealthError> {
        let (value, count, seen) = match self.window {
            Some((value, count, seen)) => (value, count + u32::from(value == sample), seen + 1),
            None => (sample, 1, 1),
        };
        self.window = (seen < WINDOW).then_some((value, count, seen));
        if count >= self.proportion_cutoff { Err(HealthError::Proportion(count)) } else { Ok(()) }
    }
}

/// C = 1 + ⌈−log₂ α / H⌉ (§4.4.1): how many equal samples in a row are too many.
///
/// # Errors
/// [`HealthError::Entropy`] unless 0 < `entropy` ≤ 1.
pub fn repetition_cutoff(entropy: f64, false_alarm: f64) -> Result<u32, HealthError> {
    let entropy = checked(entropy)?;
    let length = (-binary_logarithm(false_alarm) / entropy).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
    Ok((length as u32).saturating_add(1))
}

/// C = 1 + critbinom(W, 2⁻ᴴ, 1 − α) (§4.4.2, with NIST's reading of the footnote): how many samples of a window may not
/// equal its first. Never more than `window` + 1, which no window reaches.
///
/// # Errors
/// [`HealthError::Entropy`] unless 0 < `entropy` ≤ 1.
pub fn proportion_cutoff(entropy: f64, false_alarm: f64, window: u32) -> Result<u32, HealthError> {
    let probability = (-checked(entropy)?).exp2();
    // The tail is summed from its thin end, where no term drowns in a larger one.
    let (log_yes, log_no) = (probability.ln(), (-probability).ln_1p());
    let mut log_choose = 0.0;
    let mut tail = 0.0;
    for count in (0..=window).rev() {
        let missing = f64::from(window - count);
        tail += (log_choose + f64::from(count) * log_yes + missing * log_no).exp();
        if tail > false_alarm {
            return Ok(count + 1);
        }
        log_choose += (f64::from(count) / (missing + 1.0)).ln();
    }
    Ok(1)
}

fn checked(entropy: f64) -> Result<f64, HealthError> {
    if entropy > 0.0 && entropy <= 1.0 { Ok(entropy) } else { Err(HealthError::Entropy) }
}
