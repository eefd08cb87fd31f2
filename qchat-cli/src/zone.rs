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
