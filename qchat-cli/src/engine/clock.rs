//! The wall clock, read in one place.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Seconds since the Unix epoch.
pub(crate) fn seconds() -> u64 {
    since_epoch().as_secs()
}

/// Milliseconds since the Unix epoch.
pub(crate) fn millis() -> i64 {
    i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)
}

/// A time that this device has noted, in seconds.
pub(crate) fn from_seconds(seconds: u64) -> OffsetDateTime {
    from_millis(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000))
}

/// A time to compare those of the timeline with.
pub(crate) fn to_millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// A time of the timeline. What lies outside the calendar (a peer may claim anything) is shown as the epoch.
pub(crate) fn from_millis(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .ok()
        // RFC 3339 has four digits for the year.
        .filter(|time| (0..=9999).contains(&time.year()))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_claimed_time_can_be_shown() {
        for millis in [i64::MIN, -1, 0, 1_800_000_000_000, i64::MAX] {
            let shown = from_millis(millis);
            assert!(shown.format(&time::format_description::well_known::Rfc3339).is_ok(), "{millis}");
        }
    }
}
