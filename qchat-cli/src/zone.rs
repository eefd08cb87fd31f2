//! The time zone in which times are shown: a thing of its own because offsets differ between one message and the next.

use jiff::{Timestamp, tz::TimeZone};
use time::{OffsetDateTime, UtcOffset};

/// A time zone with its rules for summer time.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of `TZ` or of the system; UTC where neither is known.
    pub fn local() -> Self {
        Self(TimeZone::system())
    }

    /// UTC, for output that must not depend on the machine.
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The moment that somebody here means: a date and a time in this zone, as in `2027-01-31T09:00`, or one with an offset of its
    /// own (RFC 3339).
    pub fn read(&self, text: &str) -> Option<OffsetDateTime> {
        let text = text.trim();
        let moment = text.parse::<Timestamp>().ok().or_else(|| {
            let civil: jiff::civil::DateTime = text.replace(' ', "T").parse().ok()?;
            Some(civil.to_zoned(self.0.clone()).ok()?.timestamp())
        })?;
        OffsetDateTime::from_unix_timestamp_nanos(moment.as_nanosecond()).ok()
    }

    /// The same moment with the offset that this zone has then; UTC for moments beyond the zone's tables.
    pub fn show(&self, at: OffsetDateTime) -> OffsetDateTime {
        let offset = Timestamp::from_second(at.unix_timestamp())
            .ok()
            .and_then(|moment| UtcOffset::from_whole_seconds(self.0.to_offset(moment).seconds()).ok())
            .unwrap_or(UtcOffset::UTC);
        at.checked_to_offset(offset).unwrap_or(at)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_is_read_in_this_zone_unless_it_says_another() {
        let zone = Zone(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        for (text, moment) in [
            ("2027-01-31T09:00", Some(datetime!(2027-01-31 08:00 UTC))),
            ("2027-07-31 09:00", Some(datetime!(2027-07-31 07:00 UTC))),
            ("2027-01-31T09:00:00Z", Some(datetime!(2027-01-31 09:00 UTC))),
            ("2027-01-31T09:00:00-05:00", Some(datetime!(2027-01-31 14:00 UTC))),
            ("tomorrow", None),
        ] {
            assert_eq!(zone.read(text), moment, "{text}");
        }
    }

    #[test]
    fn summer_and_winter_have_their_own_offsets() {
        // A POSIX rule needs no zone database on the machine that runs this.
        let zone = Zone(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        for (utc, shown) in [
            (datetime!(2026-01-15 12:00 UTC), datetime!(2026-01-15 13:00 +1)),
            (datetime!(2026-07-15 12:00 UTC), datetime!(2026-07-15 14:00 +2)),
        ] {
            assert_eq!(zone.show(utc).to_string(), shown.to_string());
        }
        assert_eq!(Zone::utc().show(datetime!(2026-07-15 12:00 UTC)).hour(), 12);
    }
}
