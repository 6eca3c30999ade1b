//! Comparisons and conditions.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::super::print::is_true;
use super::{Outcome, any_text, convert, exactly, kind, text_of};

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "not" => exactly(arguments).map(|[value]| Json::Bool(!is_true(value))),
        "eq" => any_equal(arguments),
        "ne" => exactly(arguments).and_then(|[one, other]| Ok(Json::Bool(!equal(one, other)?))),
        "lt" => ordered(arguments, |order| order == Ordering::Less),
        "le" => ordered(arguments, |order| order != Ordering::Greater),
        "gt" => ordered(arguments, |order| order == Ordering::Greater),
        "ge" => ordered(arguments, |order| order != Ordering::Less),
        "default" => default(arguments),
        "empty" => exactly(arguments).map(|[value]| Json::Bool(!is_true(value))),
        "coalesce" => Ok(arguments.iter().find(|value| is_true(value)).cloned().unwrap_or_default()),
        "all" => Ok(Json::Bool(arguments.iter().all(is_true))),
        "any" => Ok(Json::Bool(arguments.iter().any(is_true))),
        "ternary" => exactly(arguments).and_then(|[yes, no, choice]| match choice {
            Json::Bool(true) => Ok(yes.clone()),
            Json::Bool(false) => Ok(no.clone()),
            other => Err(format!("chooses by a truth value, not by {}", kind(other))),
        }),
        "fail" => exactly(arguments).and_then(|[why]| Err(format!("says: {}", text_of(why)?))),
        "kindOf" => exactly(arguments).map(|[value]| Json::from(go_kind(value))),
        "kindIs" => exactly(arguments).map(|[wanted, value]| Json::Bool(any_text(wanted) == go_kind(value))),
        "typeOf" => exactly(arguments).map(|[value]| Json::from(go_type(value))),
        "typeIs" => exactly(arguments).map(|[wanted, value]| Json::Bool(any_text(wanted) == go_type(value))),
        "typeIsLike" => exactly(arguments).map(|[wanted, value]| {
            let wanted = any_text(wanted);
            Json::Bool(wanted == go_type(value) || wanted.strip_prefix('*') == Some(go_type(value)))
        }),
        "deepEqual" => exactly(arguments).map(|[one, other]| Json::Bool(one == other)),
        "test.Kind" | "kind" => exactly(arguments).map(|[value]| Json::from(go_kind(value))),
        "test.IsKind" | "isKind" => exactly(arguments).map(|[wanted, value]| {
            let is_number = wanted == "number" && value.is_number();
            Json::Bool(is_number || any_text(wanted) == go_kind(value))
        }),
        "test.Ternary" => exactly(arguments).and_then(|[yes, no, choice]| {
            let Some(choice) = convert::call("conv.ToBool", std::slice::from_ref(choice)) else {
                return Ok(no.clone());
            };
            Ok(if is_true(&choice?) { yes.clone() } else { no.clone() })
        }),
        "test.Assert" | "assert" => {
            required(arguments, "the assertion does not hold", is_true).map(|()| "".into())
        }
        "test.Required" | "required" => required(arguments, "a value is required", |value| match value {
            Json::Null => false,
            Json::String(text) => !text.is_empty(),
            _ => true,
        })
        .map(|()| arguments.last().cloned().unwrap_or_default()),
        "test.Fail" => Err(arguments
            .first()
            .map_or_else(|| "says: failed".to_owned(), |why| format!("says: {}", any_text(why)))),
        _ => return None,
    })
}

/// Refuses a value unless the condition holds, with the message argument or the default message.
fn required(arguments: &[Json], message: &str, holds: impl Fn(&Json) -> bool) -> Result<(), String> {
    let (message, value) = match arguments {
        [value] => (message, value),
        [message, value] => (text_of(message)?, value),
        _ => return Err(format!("takes 1 or 2 arguments, not {}", arguments.len())),
    };
    if holds(value) { Ok(()) } else { Err(format!("says: {message}")) }
}

fn default(arguments: &[Json]) -> Outcome {
    match arguments {
        [default] => Ok(default.clone()),
        [default, value] => Ok(if is_true(value) { value.clone() } else { default.clone() }),
        _ => Err(format!("takes a default and a value, not {} arguments", arguments.len())),
    }
}

fn any_equal(arguments: &[Json]) -> Outcome {
    let [one, others @ ..] = arguments else { return Err("takes what it compares".to_owned()) };
    if others.is_empty() {
        return Err("takes at least two arguments".to_owned());
    }
    for other in others {
        if equal(one, other)? {
            return Ok(Json::Bool(true));
        }
    }
    Ok(Json::Bool(false))
}

/// Whether two scalars are equal; scalars of different types cannot be compared.
fn equal(one: &Json, other: &Json) -> Result<bool, String> {
    match (one, other) {
        (Json::Null, other) | (other, Json::Null) => Ok(other.is_null()),
        (Json::Bool(one), Json::Bool(other)) => Ok(one == other),
        (Json::String(one), Json::String(other)) => Ok(one == other),
        (Json::Number(one), Json::Number(other)) => Ok(one == other || one.as_f64() == other.as_f64()),
        _ => Err(format!("cannot compare {} and {}", kind(one), kind(other))),
    }
}

fn ordered(arguments: &[Json], holds: fn(Ordering) -> bool) -> Outcome {
    let [one, other] = exactly(arguments)?;
    let order = match (one, other) {
        (Json::String(one), Json::String(other)) => Some(one.cmp(other)),
        (Json::Number(one), Json::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => one.as_f64().zip(other.as_f64()).and_then(|(one, other)| one.partial_cmp(&other)),
        },
        _ => None,
    };
    match order {
        Some(order) => Ok(Json::Bool(holds(order))),
        None => Err(format!("cannot compare {} and {}", kind(one), kind(other))),
    }
}

/// Go's name for a kind of value.
fn go_kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "invalid",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_f64() => "float64",
        Json::Number(_) => "int",
        Json::String(_) => "string",
        Json::Array(_) => "slice",
        Json::Object(_) => "map",
    }
}

/// Go's name for a type of value.
fn go_type(value: &Json) -> &'static str {
    match value {
        Json::Null => "<nil>",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
        value => go_kind(value),
    }
}
