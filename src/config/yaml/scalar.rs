//! Resolution of plain scalars: YAML 1.2's core schema, limited to values that JSON can represent
//! exactly.

use super::node::Value;

/// Resolves a plain scalar.
///
/// Two deviations from the core schema, both to preserve identifiers: digits with a leading zero
/// (`012345`, an account number) and numbers that a JSON number cannot represent (`12e4567`, a
/// commit; infinities; more than 64 bits) stay text. Dates and YAML 1.1's `yes`, `no`, `on`, `off`
/// are text, as in the core schema.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Boolean(true),
        "false" | "False" | "FALSE" => Value::Boolean(false),
        _ => number(text).map_or_else(|| Value::Text(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<serde_json::Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
    let has_digits = !whole.is_empty() || fraction.is_some_and(|fraction| !fraction.is_empty());
    if !has_digits || has_leading_zero || !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return None;
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if digits.is_empty() || !is_digits(digits) {
            return None;
        }
    }
    if fraction.is_none() && exponent.is_none() {
        let text = text.strip_prefix('+').unwrap_or(text);
        return text.parse::<i64>().map(Into::into).or_else(|_| text.parse::<u64>().map(Into::into)).ok();
    }
    // Rejects infinities.
    text.parse().ok().and_then(serde_json::Number::from_f64)
}

fn radix(digits: &str, radix: u32) -> Option<serde_json::Number> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_core_schema() {
        for (text, value) in [
            ("0", serde_json::json!(0)),
            ("-12", serde_json::json!(-12)),
            ("+7", serde_json::json!(7)),
            ("18446744073709551615", serde_json::json!(u64::MAX)),
            ("0x1F", serde_json::json!(31)),
            ("0o17", serde_json::json!(15)),
            ("1.50", serde_json::json!(1.5)),
            (".5", serde_json::json!(0.5)),
            ("12e03", serde_json::json!(12000.0)),
        ] {
            let serde_json::Value::Number(number) = value else { panic!("{text}") };
            assert_eq!(resolve(text), Value::Number(number), "{text}");
        }
    }

    #[test]
    fn what_json_cannot_hold_and_what_only_looks_like_a_number_stays_text() {
        for text in [
            "12e4567",
            "1234567890123456789012345678901234567890",
            "012345678901",
            "-.inf",
            ".nan",
            "1_000",
            "-",
            ".",
            "+",
            "1e",
            "0x",
            "0x-1",
            "2025-01-22",
            "2025-01-22T12:00:00Z",
            "yes",
            "no",
            "on",
            "1.2.3",
            "5m",
            "infinity",
            "nan",
            "１",
        ] {
            assert_eq!(resolve(text), Value::Text(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn empty_is_null() {
        assert_eq!(resolve(""), Value::Null);
        assert_eq!(resolve("~"), Value::Null);
    }
}
