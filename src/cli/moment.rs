//! Moments as users write them: a date, a time, or an age.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::args::duration;

/// The expected notations, for errors.
const EXPECTED: &str = "expected a date (2025-01-31, yesterday), a time (2025-01-31T12:00:00Z, 2025-01-31 12:00) or an age (2h, 7d)";

/// A moment as users write it. Without a time zone, it is in that of `--timezone`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Day(Date),
    Exact(Timestamp),
    /// A local time, and the duration of its notation: a second or a minute.
    Wall(DateTime, SignedDuration),
    /// A number of days before the current day.
    DaysAgo(i64),
    /// An age.
    Ago(SignedDuration),
}

/// The current time and the zone by which a moment is resolved.
#[derive(Debug, Clone, Copy)]
pub struct Viewpoint<'z> {
    pub now: Timestamp,
    pub zone: &'z TimeZone,
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.to_ascii_lowercase().as_str() {
            "today" => return Ok(Self::DaysAgo(0)),
            "yesterday" => return Ok(Self::DaysAgo(1)),
            "now" => return Ok(Self::Ago(SignedDuration::ZERO)),
            _ => {}
        }
        if let Ok(exact) = text.parse::<Timestamp>() {
            return Ok(Self::Exact(exact));
        }
        // The parser of dates ignores a time.
        if text.contains(':') {
            let lasts = SignedDuration::from_secs(if text.matches(':').count() > 1 { 1 } else { 60 });
            return text.parse().map(|wall| Self::Wall(wall, lasts)).map_err(|_| EXPECTED.to_owned());
        }
        if let Ok(date) = text.parse::<Date>() {
            return Ok(Self::Day(date));
        }
        let age = text.strip_suffix("ago").unwrap_or(text).trim_end();
        duration(age)
            .ok()
            .and_then(|age| SignedDuration::try_from(age).ok())
            .map(Self::Ago)
            .ok_or_else(|| EXPECTED.to_owned())
    }
}

impl Moment {
    /// The start of the moment; `None` beyond the range of the calendar.
    #[must_use]
    pub fn start(self, from: Viewpoint<'_>) -> Option<Timestamp> {
        match self {
            Self::Day(date) => date.to_zoned(from.zone.clone()).ok().map(|zoned: Zoned| zoned.timestamp()),
            Self::Exact(exact) => Some(exact),
            Self::Wall(wall, _) => wall.to_zoned(from.zone.clone()).ok().map(|zoned| zoned.timestamp()),
            Self::DaysAgo(days) => Self::Day(days_ago(days, from)?).start(from),
            Self::Ago(age) => from.now.checked_sub(age).ok(),
        }
    }

    /// The end of the moment, exclusive: of a day, the start of the next.
    #[must_use]
    pub fn end(self, from: Viewpoint<'_>) -> Option<Timestamp> {
        let lasts = match self {
            Self::Day(date) => return Self::Day(date.tomorrow().ok()?).start(from),
            Self::DaysAgo(days) => return Self::Day(days_ago(days, from)?).end(from),
            Self::Wall(_, lasts) => lasts,
            Self::Exact(_) | Self::Ago(_) => SignedDuration::from_secs(1),
        };
        self.start(from)?.checked_add(lasts).ok()
    }
}

fn days_ago(days: i64, from: Viewpoint<'_>) -> Option<Date> {
    let today = from.now.to_zoned(from.zone.clone()).date();
    today.checked_sub(SignedDuration::from_hours(24 * days)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start and the end of a text in a zone at `2025-01-22T14:00:00Z`.
    fn meant(text: &str, zone: &str) -> [String; 2] {
        let zone = TimeZone::get(zone).unwrap();
        let from = Viewpoint { now: "2025-01-22T14:00:00Z".parse().unwrap(), zone: &zone };
        let moment: Moment = text.parse().unwrap();
        [moment.start(from), moment.end(from)].map(|time| time.unwrap().to_string())
    }

    #[test]
    fn what_has_no_zone_is_read_in_that_of_the_command() {
        let cases = [
            ("2025-01-22T11:00:00Z", "2025-01-22T11:00:00Z", "2025-01-22T11:00:01Z"),
            ("2025-01-22T11:00:00+02:00", "2025-01-22T09:00:00Z", "2025-01-22T09:00:01Z"),
            ("2025-01-22T11:00:00", "2025-01-22T10:00:00Z", "2025-01-22T10:00:01Z"),
            ("2025-01-22 11:00", "2025-01-22T10:00:00Z", "2025-01-22T10:01:00Z"),
            ("2025-01-22", "2025-01-21T23:00:00Z", "2025-01-22T23:00:00Z"),
            ("yesterday", "2025-01-20T23:00:00Z", "2025-01-21T23:00:00Z"),
            ("today", "2025-01-21T23:00:00Z", "2025-01-22T23:00:00Z"),
            ("2h", "2025-01-22T12:00:00Z", "2025-01-22T12:00:01Z"),
            ("7d ago", "2025-01-15T14:00:00Z", "2025-01-15T14:00:01Z"),
            ("now", "2025-01-22T14:00:00Z", "2025-01-22T14:00:01Z"),
        ];
        for (text, start, end) in cases {
            assert_eq!(meant(text, "Europe/Berlin"), [start, end], "{text}");
        }
    }

    #[test]
    fn no_part_of_what_was_written_is_passed_over() {
        let wrong = [
            "",
            "soon",
            "2025-01-22T25:00:00",
            "2025-01-22 11:00 o'clock",
            "2025-13-01",
            "-2h",
            "11:00",
            "ago",
        ];
        for text in wrong {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_ends_where_the_next_one_begins() {
        // The night of a change to daylight saving time.
        assert_eq!(meant("2025-03-30", "Europe/Berlin"), ["2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z"]);
    }
}
