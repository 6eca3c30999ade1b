//! Gomplate's conversions and arithmetic: texts are parsed as numbers, and one float makes the
//! result a float.

use serde_json::Value as Json;

use super::super::print::to_text;
use super::numbers::{count, from_float};
use super::{Outcome, exactly, go_string, integer_of, list_of, text_of};

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    if let Some(name) = name.strip_prefix("conv.") {
        return conversion(name, arguments);
    }
    let name = match name {
        "rem" => "Rem",
        "pow" => "Pow",
        name => name.strip_prefix("math.")?,
    };
    Some(match name {
        "IsInt" => exactly(arguments).map(|[value]| is_whole(value).into()),
        "IsFloat" => exactly(arguments).map(|[value]| is_float(value).into()),
        "IsNum" => exactly(arguments).map(|[value]| (is_whole(value) || is_float(value)).into()),
        "Add" => folded(arguments, Some((0, 0.0)), i64::checked_add, |one, other| one + other),
        "Mul" => folded(arguments, Some((1, 1.0)), i64::checked_mul, |one, other| one * other),
        "Sub" => exactly(arguments)
            .and_then(|[_, _]| folded(arguments, None, i64::checked_sub, |one, other| one - other)),
        "Max" => folded(arguments, None, |one, other| Some(one.max(other)), f64::max),
        "Min" => folded(arguments, None, |one, other| Some(one.min(other)), f64::min),
        "Div" => exactly(arguments).and_then(|[one, other]| match float(other)? {
            0.0 => Err("divides by 0".to_owned()),
            divisor => from_float(float(one)? / divisor),
        }),
        "Rem" => exactly(arguments).and_then(|[one, other]| {
            let rest = whole(one)?.checked_rem(whole(other)?);
            rest.map(Json::from).ok_or_else(|| "divides by 0".to_owned())
        }),
        "Pow" => exactly(arguments).and_then(|[base, exponent]| {
            let power = float(base)?.powf(float(exponent)?);
            if is_float(base) { from_float(power) } else { truncated(power).map(Json::from) }
        }),
        "Abs" => exactly(arguments).and_then(|[value]| {
            if is_whole(value) {
                let absolute = whole(value)?.checked_abs();
                return absolute.map(Json::from).ok_or_else(|| "makes a number that is too large".to_owned());
            }
            from_float(float(value)?.abs())
        }),
        "Ceil" => exactly(arguments).and_then(|[value]| from_float(float(value)?.ceil())),
        "Floor" => exactly(arguments).and_then(|[value]| from_float(float(value)?.floor())),
        "Round" => exactly(arguments).and_then(|[value]| from_float(float(value)?.round())),
        "Seq" => sequence(arguments),
        _ => return None,
    })
}

fn conversion(name: &str, arguments: &[Json]) -> Option<Outcome> {
    let each = |convert: &dyn Fn(&Json) -> Outcome| {
        arguments.iter().map(convert).collect::<Result<Vec<_>, _>>().map(Json::Array)
    };
    let one = |convert: &dyn Fn(&Json) -> Outcome| exactly(arguments).and_then(|[value]| convert(value));
    let to_whole = |value: &Json| whole(value).map(Json::from);
    let to_float = |value: &Json| from_float(float(value)?);
    let to_string = |value: &Json| Ok(go_string(value).into());
    let to_bool = |value: &Json| Ok(is_yes(value).into());
    Some(match name {
        "ToInt" | "ToInt64" => one(&to_whole),
        "ToInts" | "ToInt64s" => each(&to_whole),
        "ToFloat64" => one(&to_float),
        "ToFloat64s" => each(&to_float),
        "ToString" => one(&to_string),
        "ToStrings" => each(&to_string),
        "ToBool" | "Bool" => one(&to_bool),
        "ToBools" => each(&to_bool),
        "Join" => exactly(arguments).and_then(|[items, between]| {
            let items: Vec<String> = list_of(items)?.iter().map(go_string).collect();
            super::bounded(items.len(), text_of(between)?.len())?;
            Ok(items.join(text_of(between)?).into())
        }),
        "Atoi" => one(&|value| parsed(value, 10).and_then(|number| fitting(number, 64)).map(Json::from)),
        "ParseInt" => exactly(arguments).and_then(|[value, base, bits]| {
            let number = parsed(value, integer_of(base)?)?;
            Ok(fitting(number, integer_of(bits)?)?.into())
        }),
        "ParseUint" => exactly(arguments).and_then(|[value, base, bits]| {
            let number = u64::try_from(parsed(value, integer_of(base)?)?).ok();
            let bits = u32::try_from(integer_of(bits)?).unwrap_or(64);
            let fits = |number: &u64| bits == 0 || number.checked_shr(bits).unwrap_or(0) == 0;
            number.filter(fits).map(Json::from).ok_or_else(|| "reads no number that fits".to_owned())
        }),
        "ParseFloat" => exactly(arguments).and_then(|[value, _]| {
            let number =
                go_string(value).parse().map_err(|_| format!("takes a number, not {}", to_text(value)))?;
            from_float(number)
        }),
        _ => return None,
    })
}

/// `1`, `t`, `true` and `yes`.
fn is_yes(value: &Json) -> bool {
    match value {
        Json::Bool(value) => *value,
        Json::String(text) if matches!(text.to_lowercase().as_str(), "t" | "true" | "yes") => true,
        Json::String(_) | Json::Number(_) => float(value) == Ok(1.0),
        _ => false,
    }
}

/// Parses an integer literal in Go's notation, its base given by its prefix.
fn literal(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match (lower.get(..2), lower.strip_prefix('0')) {
        (Some("0x"), _) => (16, &lower[2..]),
        (Some("0o"), _) => (8, &lower[2..]),
        (Some("0b"), _) => (2, &lower[2..]),
        (_, Some(digits)) if !digits.is_empty() => (8, digits),
        _ => (10, lower.as_str()),
    };
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok().filter(|_| is_plain)
}

/// Converts any value to a whole number; fractions are truncated.
pub(super) fn whole(value: &Json) -> Result<i64, String> {
    let refuse = || format!("takes a whole number, not {}", to_text(value));
    match value {
        Json::Bool(value) => Ok(i64::from(*value)),
        Json::Number(number) => number.as_i64().map_or_else(|| truncated(float(value)?), Ok),
        Json::String(text) => {
            let text = text.replace(',', "");
            literal(&text).map_or_else(|| truncated(text.parse().map_err(|_| refuse())?), Ok)
        }
        _ => Err(refuse()),
    }
}

pub(super) fn float(value: &Json) -> Result<f64, String> {
    let refuse = || format!("takes a number, not {}", to_text(value));
    match value {
        Json::Bool(value) => Ok(f64::from(u8::from(*value))),
        Json::Number(number) => number.as_f64().ok_or_else(refuse),
        Json::String(text) => {
            let text = text.replace(',', "");
            let number = literal(&text).and_then(|number| Json::from(number).as_f64());
            number.or_else(|| text.parse().ok()).ok_or_else(refuse)
        }
        _ => Err(refuse()),
    }
}

/// Truncates a float.
fn truncated(float: f64) -> Result<i64, String> {
    format!("{}", float.trunc()).parse().map_err(|_| "makes a number that is too large".to_owned())
}

fn is_whole(value: &Json) -> bool {
    match value {
        Json::Number(number) => !number.is_f64(),
        Json::String(text) => literal(text).is_some(),
        _ => false,
    }
}

fn is_float(value: &Json) -> bool {
    match value {
        Json::Number(number) => number.is_f64(),
        Json::String(text) => literal(text).is_none() && text.parse::<f64>().is_ok(),
        _ => false,
    }
}

/// Folds numbers from left to right, beginning with the first one if there is no start value.
fn folded(
    arguments: &[Json],
    start: Option<(i64, f64)>,
    of_whole: fn(i64, i64) -> Option<i64>,
    of_float: fn(f64, f64) -> f64,
) -> Outcome {
    if start.is_none() && arguments.is_empty() {
        return Err("takes at least one number".to_owned());
    }
    let rest = &arguments[usize::from(start.is_none())..];
    if arguments.iter().any(is_float) {
        let start = start.map_or_else(|| float(&arguments[0]), |(_, start)| Ok(start))?;
        return from_float(
            rest.iter().try_fold(start, |sum, value| Ok::<_, String>(of_float(sum, float(value)?)))?,
        );
    }
    let start = start.map_or_else(|| whole(&arguments[0]), |(start, _)| Ok(start))?;
    let too_large = || "makes a number that is too large".to_owned();
    let sum = rest.iter().try_fold(start, |sum, value| of_whole(sum, whole(value)?).ok_or_else(too_large));
    sum.map(Json::from)
}

/// The numbers up to and including the last one; the step's sign is adjusted to the direction.
fn sequence(arguments: &[Json]) -> Outcome {
    let numbers = arguments.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
    let (start, end, step) = match numbers.as_slice() {
        [end] => (1, *end, 1),
        [start, end] => (*start, *end, 1),
        [start, end, step] => (*start, *end, *step),
        _ => return Err(format!("takes 1 to 3 arguments, not {}", arguments.len())),
    };
    let step = step.saturating_abs();
    if step == 0 {
        return Ok(Json::Array(Vec::new()));
    }
    if end < start {
        count(start, end.saturating_sub(1), -step)
    } else {
        count(start, end.saturating_add(1), step)
    }
}

/// Parses a whole number in a base; with base 0, the text's prefix decides.
fn parsed(value: &Json, base: i64) -> Result<i128, String> {
    let text = go_string(value);
    let refuse = || format!("reads no number in `{text}`");
    match u32::try_from(base) {
        Ok(0) => literal(&text).map(i128::from).ok_or_else(refuse),
        Ok(base @ 2..=36) => i128::from_str_radix(&text, base).map_err(|_| refuse()),
        _ => Err("takes a base between 2 and 36".to_owned()),
    }
}

fn fitting(number: i128, bits: i64) -> Result<i64, String> {
    let bits = u32::try_from(bits).ok().filter(|bits| (1..=64).contains(bits)).unwrap_or(64);
    let limit = 1_i128 << (bits - 1);
    let fits = (-limit..limit).contains(&number);
    i64::try_from(number).ok().filter(|_| fits).ok_or_else(|| "reads no number that fits".to_owned())
}
