//! Times given in Unix seconds, and durations.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::{Outcome, exactly, kind, text_of};

/// The parts of Go's reference layout and their jiff equivalents. Longer ones come first.
const LAYOUT: [(&str, &str); 32] = [
    ("January", "%B"),
    ("Monday", "%A"),
    ("Z07:00", "Z%:z"),
    ("-07:00", "%:z"),
    ("Z0700", "Z%z"),
    ("-0700", "%z"),
    ("2006", "%Y"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "%Z"),
    ("002", "%j"),
    ("-07", "%:::z"),
    ("_2", "%e"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
    ("%", "%%"),
    (".000000000", ".%9f"),
    (".000000", ".%6f"),
    (".000", ".%3f"),
    (".00", ".%2f"),
];

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "dateInZone" | "date_in_zone" => exactly(arguments)
            .and_then(|[layout, moment, zone]| formatted(text_of(layout)?, moment, text_of(zone)?)),
        "htmlDateInZone" => {
            exactly(arguments).and_then(|[moment, zone]| formatted("2006-01-02", moment, text_of(zone)?))
        }
        "duration" => exactly(arguments).map(|[seconds]| {
            let seconds = match seconds {
                Json::String(text) => text.parse().unwrap_or(0),
                value => value.as_i64().unwrap_or(0),
            };
            duration(seconds).into()
        }),
        "durationRound" => exactly(arguments).and_then(|[value]| match value {
            Json::String(text) => Ok(rounded(nanoseconds(text).unwrap_or(0.0)).into()),
            other => Err(format!("takes a duration as a text, not {}", kind(other))),
        }),
        _ => return None,
    })
}

/// Formats a time by Go's layout.
fn formatted(layout: &str, moment: &Json, zone: &str) -> Outcome {
    let Some(seconds) = moment.as_i64() else {
        return Err(format!(
            "takes seconds since 1970, not {}, which would mean the present time",
            kind(moment)
        ));
    };
    let zone = match zone {
        "Local" => return Err("depends on the time zone of the machine".to_owned()),
        "" => TimeZone::UTC,
        zone => TimeZone::get(zone).map_err(|_| format!("knows no time zone `{zone}`"))?,
    };
    let moment = Timestamp::from_second(seconds).map_err(|_| "takes a moment of this era".to_owned())?;
    let moment = moment.to_zoned(zone);
    let mut written = String::with_capacity(layout.len() * 2);
    let mut rest = layout;
    while let Some(letter) = rest.chars().next() {
        match LAYOUT.iter().find(|(part, _)| rest.starts_with(part)) {
            Some((part, form)) if form.starts_with('Z') => {
                let is_utc = moment.offset().seconds() == 0;
                written.push_str(if is_utc { "Z" } else { &form[1..] });
                rest = &rest[part.len()..];
            }
            Some((part, form)) => {
                written.push_str(form);
                rest = &rest[part.len()..];
            }
            None => {
                written.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    jiff::fmt::strtime::format(&written, &moment)
        .map(Json::from)
        .map_err(|_| format!("cannot read the layout `{layout}`"))
}

/// Seconds as Go prints a duration: `1h1m1s`.
fn duration(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let seconds = seconds.unsigned_abs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{rest}s"),
        (0, _) => format!("{sign}{minutes}m{rest}s"),
        _ => format!("{sign}{hours}h{minutes}m{rest}s"),
    }
}

/// Parses a duration in Go's notation (`2h10m5s`) to nanoseconds.
fn nanoseconds(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut sum = 0.0;
    while !rest.is_empty() && rest != "0" {
        let end = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
        sum += number
            * match &rest[..end] {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Some(sum)
}

/// A duration rounded to its largest unit.
fn rounded(nanoseconds: f64) -> String {
    let seconds = nanoseconds / 1e9;
    let units = [
        (365.0 * 86_400.0, "y"),
        (30.0 * 86_400.0, "mo"),
        (86_400.0, "d"),
        (3600.0, "h"),
        (60.0, "m"),
        (1.0, "s"),
    ];
    let unit = units.iter().find(|(length, _)| seconds > *length);
    unit.map_or_else(|| "0s".to_owned(), |(length, name)| format!("{}{name}", (seconds / length).floor()))
}
