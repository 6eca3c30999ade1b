//! Times and durations for people: relative and exact, in their time zone.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The current time, and the time zone of exact times.
#[derive(Debug, Clone)]
pub struct Clock {
    pub now: Timestamp,
    pub zone: TimeZone,
    /// Whether the output is stored and read later: then every time is exact, with its date, in
    /// UTC.
    pub kept: bool,
}

impl Clock {
    /// A clock in UTC.
    #[must_use]
    pub const fn utc(now: Timestamp) -> Self {
        Self { now, zone: TimeZone::UTC, kept: false }
    }

    /// The current time.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// `30m ago`, `2h ago`, `1d ago`; `in 5m` for a future time. Stored output has the exact time
    /// instead.
    #[must_use]
    pub fn relative(&self, time: Timestamp) -> String {
        if self.kept {
            return self.exact(time);
        }
        let seconds = self.now.as_second() - time.as_second();
        match seconds {
            0 => "just now".to_owned(),
            1.. => format!("{} ago", age(seconds.unsigned_abs())),
            _ => format!("in {}", age(seconds.unsigned_abs())),
        }
    }

    /// `12:00:00`, preceded by the date where it is not today.
    #[must_use]
    pub fn exact(&self, time: Timestamp) -> String {
        if self.kept {
            return time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        }
        let today = self.now.to_zoned(self.zone.clone()).date();
        let zoned = time.to_zoned(self.zone.clone());
        let format = if zoned.date() == today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        zoned.strftime(format).to_string()
    }

    /// `2h ago (12:00:00)`.
    #[must_use]
    pub fn relative_and_exact(&self, time: Timestamp) -> String {
        if self.kept {
            return self.exact(time);
        }
        format!("{} ({})", self.relative(time), self.exact(time))
    }

    /// `2025-01-22 12:00`.
    #[must_use]
    pub fn minute(&self, time: Timestamp) -> String {
        if self.kept {
            return time.strftime("%Y-%m-%d %H:%M UTC").to_string();
        }
        time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// `2025-01-22 12:00:00`.
    #[must_use]
    pub fn second(&self, time: Timestamp) -> String {
        if self.kept {
            return self.exact(time);
        }
        time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// A duration in its largest unit, rounded down.
fn age(seconds: u64) -> String {
    match seconds {
        ..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        HOUR..DAY => format!("{}h", seconds / HOUR),
        DAY..YEAR => format!("{}d", seconds / DAY),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// A duration: `4.1s`, `2m 5s`, `1h 2m`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    let seconds = tenths / 10;
    match seconds {
        ..60 => format!("{seconds}.{}s", tenths % 10),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A duration in whole seconds: `4s`, `2m 5s`; less than one is `<1s`.
#[must_use]
pub fn duration_in_seconds(length: Duration) -> String {
    match length.as_secs() {
        0 => "<1s".to_owned(),
        seconds @ ..60 => format!("{seconds}s"),
        _ => duration(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(zone: &str) -> Clock {
        Clock {
            now: "2025-01-22T14:00:00Z".parse().unwrap(),
            zone: TimeZone::get(zone).unwrap(),
            kept: false,
        }
    }

    #[test]
    fn what_is_kept_says_nothing_that_becomes_untrue() {
        let clock = Clock { kept: true, ..clock("Europe/Berlin") };
        let time = at("2025-01-22T12:00:00Z");
        for said in [clock.relative(time), clock.exact(time), clock.relative_and_exact(time)] {
            assert_eq!(said, "2025-01-22 12:00:00 UTC");
        }
        assert_eq!(clock.minute(time), "2025-01-22 12:00 UTC");
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn ages_are_in_their_largest_unit() {
        let clock = clock("UTC");
        for (time, expected) in [
            ("2025-01-22T14:00:00Z", "just now"),
            ("2025-01-22T13:59:01Z", "59s ago"),
            ("2025-01-22T13:30:00Z", "30m ago"),
            ("2025-01-22T12:00:00Z", "2h ago"),
            ("2025-01-21T14:00:00Z", "1d ago"),
            ("2023-01-22T14:00:00Z", "2y ago"),
            ("2025-01-22T14:05:30Z", "in 5m"),
        ] {
            assert_eq!(clock.relative(at(time)), expected);
        }
    }

    #[test]
    fn another_day_is_named_as_the_zone_sees_it() {
        assert_eq!(clock("UTC").relative_and_exact(at("2025-01-22T12:00:00Z")), "2h ago (12:00:00)");
        assert_eq!(clock("UTC").exact(at("2025-01-21T23:30:00Z")), "2025-01-21 23:30:00");
        assert_eq!(clock("Europe/Berlin").exact(at("2025-01-21T23:30:00Z")), "00:30:00");
        assert_eq!(clock("Asia/Tokyo").minute(at("2025-01-22T12:00:00Z")), "2025-01-22 21:00");
    }

    #[test]
    fn durations_never_show_sixty_of_anything() {
        for (milliseconds, expected) in
            [(0, "0.0s"), (4_100, "4.1s"), (59_949, "59.9s"), (59_950, "1m 0s"), (3_725_000, "1h 2m")]
        {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
    }
}
