//! Numbers. Integers stay integers, and an overflow is refused.

use serde_json::Value as Json;

use super::super::print::to_text;
use super::{Outcome, exactly, integer_of};

/// The maximum length of the list that `until` returns.
const MAX_COUNT: i64 = 100_000;

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "int" | "int64" | "atoi" => exactly(arguments).and_then(|[value]| whole(value)).map(Json::from),
        "float64" => exactly(arguments).and_then(|[value]| from_float(float(value)?)),
        "add" => fold(arguments, 0, i64::checked_add),
        "mul" => fold(arguments, 1, i64::checked_mul),
        "add1" => {
            exactly(arguments).and_then(|[value]| fold(std::slice::from_ref(value), 1, i64::checked_add))
        }
        "sub" => of_two(arguments, i64::checked_sub),
        "div" => of_two(arguments, i64::checked_div),
        "mod" => of_two(arguments, i64::checked_rem),
        "max" => of_many(arguments, Iterator::max),
        "min" => of_many(arguments, Iterator::min),
        "floor" => exactly(arguments).and_then(|[value]| from_float(float(value)?.floor())),
        "ceil" => exactly(arguments).and_then(|[value]| from_float(float(value)?.ceil())),
        "until" => exactly(arguments).and_then(|[end]| count(0, whole(end)?, 1)),
        "untilStep" => exactly(arguments)
            .and_then(|[start, end, step]| count(integer_of(start)?, integer_of(end)?, integer_of(step)?)),
        "seq" => sequence(arguments).map(Json::from),
        "round" => round(arguments),
        "toDecimal" => exactly(arguments)
            .map(|[value]| i64::from_str_radix(&to_text(value), 8).unwrap_or_default().into()),
        "addf" => fold_floats(arguments, Some(0.0), |one, other| one + other),
        "add1f" => exactly(arguments)
            .and_then(|[value]| fold_floats(&[value.clone(), Json::from(1)], None, |one, other| one + other)),
        "subf" => fold_floats(arguments, None, |one, other| one - other),
        "mulf" => fold_floats(arguments, None, |one, other| one * other),
        "divf" => fold_floats(arguments, None, |one, other| one / other),
        "maxf" => fold_floats(arguments, None, f64::max),
        "minf" => fold_floats(arguments, None, f64::min),
        _ => return None,
    })
}

/// Converts any value to a whole number: texts are parsed, fractions are truncated.
fn whole(value: &Json) -> Result<i64, String> {
    let read = match value {
        Json::Null => Some(0),
        Json::Bool(value) => Some(i64::from(*value)),
        Json::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?.trunc();
            format!("{float}").parse().ok()
        }),
        Json::String(text) => text.trim().parse().ok(),
        Json::Array(_) | Json::Object(_) => None,
    };
    read.ok_or_else(|| format!("takes a whole number, not {}", to_text(value)))
}

fn float(value: &Json) -> Result<f64, String> {
    let read = match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    read.ok_or_else(|| format!("takes a number, not {}", to_text(value)))
}

pub(super) fn from_float(float: f64) -> Outcome {
    serde_json::Number::from_f64(float).map(Json::Number).ok_or_else(|| "makes no number".to_owned())
}

fn fold(arguments: &[Json], start: i64, step: fn(i64, i64) -> Option<i64>) -> Outcome {
    let mut sum = start;
    for argument in arguments {
        sum = step(sum, whole(argument)?).ok_or("makes a number that is too large")?;
    }
    Ok(Json::from(sum))
}

fn of_two(arguments: &[Json], compute: fn(i64, i64) -> Option<i64>) -> Outcome {
    let [one, other] = exactly(arguments)?;
    let number = compute(whole(one)?, whole(other)?).ok_or("makes no number, or one that is too large")?;
    Ok(Json::from(number))
}

fn of_many(arguments: &[Json], choose: fn(std::vec::IntoIter<i64>) -> Option<i64>) -> Outcome {
    let numbers = arguments.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
    choose(numbers.into_iter()).map(Json::from).ok_or_else(|| "takes at least one number".to_owned())
}

pub(super) fn count(start: i64, end: i64, step: i64) -> Outcome {
    if step == 0 || end.saturating_sub(start).saturating_div(step) > MAX_COUNT {
        return Err(format!("counts more than {MAX_COUNT} numbers"));
    }
    let mut numbers = Vec::new();
    let mut number = start;
    while (step > 0 && number < end) || (step < 0 && number > end) {
        numbers.push(Json::from(number));
        match number.checked_add(step) {
            Some(next) => number = next,
            None => break,
        }
    }
    Ok(Json::Array(numbers))
}

/// The numbers of the shell's `seq`, separated by blanks.
fn sequence(arguments: &[Json]) -> Result<String, String> {
    let numbers = arguments.iter().map(integer_of).collect::<Result<Vec<_>, _>>()?;
    let (start, step, end) = match numbers.as_slice() {
        [end] => (1, None, *end),
        [start, end] => (*start, None, *end),
        [start, step, end] => (*start, Some(*step), *end),
        _ => return Ok(String::new()),
    };
    let direction = if end < start { -1 } else { 1 };
    let step = step.unwrap_or(direction);
    if step == 0 || (step > 0) != (direction > 0) {
        return Ok(String::new());
    }
    let counted = count(start, end.saturating_add(direction), step)?;
    let numbers = counted.as_array().map(|numbers| numbers.iter().map(to_text).collect::<Vec<_>>());
    Ok(numbers.unwrap_or_default().join(" "))
}

/// Rounds a number to so many places; half rounds up, or from the given fraction on.
fn round(arguments: &[Json]) -> Outcome {
    let (value, places, from) = match arguments {
        [value, places] => (float(value)?, integer_of(places)?, 0.5),
        [value, places, from] => (float(value)?, integer_of(places)?, float(from)?),
        _ => return Err(format!("takes 2 or 3 arguments, not {}", arguments.len())),
    };
    let power = 10_f64.powi(i32::try_from(places).map_err(|_| "takes fewer places")?);
    let digits = value * power;
    let rounded = if digits.fract() >= from { digits.ceil() } else { digits.floor() };
    from_float(rounded / power)
}

/// Folds numbers from left to right with decimal precision: 0.1 and 0.2 are 0.3.
fn fold_floats(arguments: &[Json], start: Option<f64>, step: fn(f64, f64) -> f64) -> Outcome {
    let numbers = arguments.iter().map(float).collect::<Result<Vec<_>, _>>()?;
    let mut numbers = start.into_iter().chain(numbers);
    let first = numbers.next().ok_or("takes at least one number")?;
    let folded = numbers.fold(first, step);
    // Decimal arithmetic would give sixteen digits; the seventeenth is the rounding error of
    // floats.
    let decimal = format!("{folded:.15e}").parse().unwrap_or(folded);
    from_float(if (decimal - folded).abs() <= folded.abs() * 1e-15 { decimal } else { folded })
}
