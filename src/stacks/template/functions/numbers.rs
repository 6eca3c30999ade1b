//! Numbers. Whole ones stay whole, and what does not fit is refused.

use serde_json::Value as Json;

use super::super::print::to_text;
use super::{Outcome, exactly, integer_of};

/// How many numbers `until` may count.
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
        _ => return None,
    })
}

/// Any value as a whole number: texts are read, fractions are cut off.
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

fn from_float(float: f64) -> Outcome {
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

fn count(start: i64, end: i64, step: i64) -> Outcome {
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
