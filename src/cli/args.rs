//! Parsers of values that several commands take.

use crate::text::KeyValue;

/// The maximum depth of an override's key: values that are nested deeper could not be traversed.
const DEEPEST: usize = 64;

/// An override of the context: `key=value`, with dots in the key between the names of nested
/// values.
pub fn context_override(text: &str) -> Result<KeyValue, String> {
    let pair: KeyValue = text.parse()?;
    let mut depth = 0;
    for name in pair.key.split('.') {
        depth += 1;
        if name.trim().is_empty() {
            return Err("a dot of its key has no name on both sides".to_owned());
        }
    }
    if depth > DEEPEST {
        return Err(format!("its key is nested {depth} deep; {DEEPEST} is the most"));
    }
    Ok(pair)
}

/// A text that is not blank, so that an unset variable is not taken for one.
pub fn not_blank(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty; is a variable not set?".to_owned());
    }
    Ok(text.to_owned())
}

/// The maximum duration in days, about a hundred years.
const LONGEST: i64 = 36_525;

/// Parses a duration as users write it: `30s`, `10m`, `2h`, `1d`.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    let parsed: jiff::SignedDuration = match text.parse() {
        Ok(parsed) => parsed,
        // A day has no fixed length in a calendar; for a lock or a timeout it has 24 hours.
        Err(_) => match text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()) {
            Some(days) => jiff::SignedDuration::from_hours(days.clamp(-LONGEST - 1, LONGEST + 1) * 24),
            None => return Err("expected a duration such as 30s, 10m, 2h or 1d".to_owned()),
        },
    };
    // Adding it to a time must not overflow.
    if parsed > jiff::SignedDuration::from_hours(LONGEST * 24) {
        return Err(format!("it is longer than {LONGEST} days"));
    }
    std::time::Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())
}

/// Parses a duration that is longer than zero.
pub fn positive_duration(text: &str) -> Result<std::time::Duration, String> {
    duration(text).and_then(|length| {
        if length.is_zero() { Err("it would be over at once".to_owned()) } else { Ok(length) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_an_end() {
        let day = 24 * 60 * 60;
        for (text, seconds) in
            [("30s", Some(30)), ("1d", Some(day)), ("36525d", Some(36_525 * day)), ("36526d", None)]
        {
            assert_eq!(duration(text).ok().map(|length| length.as_secs()), seconds, "{text}");
        }
        for text in ["9999999999999999d", "9223372036854775807s", "153722867280912930m", "-9999999999999999d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_part_of_an_override_has_a_name_and_there_are_not_too_many() {
        for text in [".=x", "a..b=x", ".a=x", "a.=x", "a. .b=x", &format!("{}z=1", "a.".repeat(4000)), "a=…"]
        {
            assert!(context_override(text).is_err(), "{text}");
        }
        for text in ["a=", "image.tag=1.2", &format!("{}z=1", "a.".repeat(63))] {
            assert!(context_override(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_lock_lasts() {
        assert!(positive_duration("0s").is_err());
        assert_eq!(positive_duration("1s").unwrap().as_secs(), 1);
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("90s").unwrap().as_secs(), 90);
        assert_eq!(duration("1h30m").unwrap().as_secs(), 5400);
        assert_eq!(duration("2d").unwrap().as_secs(), 48 * 3600);
        assert!(duration("soon").is_err());
        assert!(duration("-5m").is_err());
    }
}
