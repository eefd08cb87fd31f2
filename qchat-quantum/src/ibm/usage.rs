//! How much of its time on quantum computers an instance has used: `GET /instances/usage`.

use serde::Deserialize;

use super::{IbmError, config::Scrub, error::parse};

/// More characters are no date.
const MOST_DATE: usize = 40;

/// What an instance has used in the current period, in seconds of devices' time.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// Used so far.
    pub consumed: f64,
    /// What may be used; none for instances without a limit.
    pub limit: Option<f64>,
    /// What is left; none for instances without a limit.
    pub remaining: Option<f64>,
    /// Whether no more jobs are taken.
    pub reached: bool,
    /// Begin and end of the period, as the service writes them.
    pub period: Option<(String, String)>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "usage_consumed_seconds")]
    consumed: f64,
    #[serde(rename = "usage_limit_seconds")]
    limit: Option<f64>,
    #[serde(rename = "usage_remaining_seconds")]
    remaining: Option<f64>,
    #[serde(rename = "usage_limit_reached", default)]
    reached: bool,
    #[serde(rename = "usage_period")]
    period: Option<Period>,
}

#[derive(Deserialize)]
struct Period {
    start_time: Option<String>,
    end_time: Option<String>,
}

pub(super) fn usage(body: &[u8], scrub: &Scrub) -> Result<Usage, IbmError> {
    let document: Document = parse(body, "the usage of an instance was expected")?;
    let (consumed, limit) = (document.consumed, document.limit);
    let remaining = document.remaining.or(limit.map(|limit| limit - consumed));
    let date = |date: Option<String>| scrub.clean(&date.unwrap_or_default(), MOST_DATE);
    Ok(Usage {
        consumed,
        limit,
        remaining: remaining.map(|seconds| seconds.max(0.0)),
        reached: document.reached,
        period: document.period.map(|period| (date(period.start_time), date(period.end_time))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_or_reckoned() {
        for (text, limit, remaining, reached) in [
            (r#"{"usage_consumed_seconds":12,"usage_limit_seconds":60}"#, Some(60.0), Some(48.0), false),
            (
                r#"{"usage_consumed_seconds":70,"usage_limit_seconds":60,"usage_limit_reached":true}"#,
                Some(60.0),
                Some(0.0),
                true,
            ),
            (
                r#"{"usage_consumed_seconds":1,"usage_limit_seconds":60,"usage_remaining_seconds":3}"#,
                Some(60.0),
                Some(3.0),
                false,
            ),
            (r#"{"usage_consumed_seconds":1,"usage_period":null}"#, None, None, false),
        ] {
            let usage = usage(text.as_bytes(), &Scrub::default()).unwrap();
            assert_eq!((usage.limit, usage.remaining, usage.reached), (limit, remaining, reached), "{text}");
        }
        let period = r#"{"usage_consumed_seconds":1,"usage_period":{"start_time":"2026-11-01T00:00:00Z"}}"#;
        let period = usage(period.as_bytes(), &Scrub::default()).unwrap().period.unwrap();
        assert_eq!(period, ("2026-11-01T00:00:00Z".to_owned(), String::new()));
        assert!(usage(b"{}", &Scrub::default()).is_err());
    }
}
