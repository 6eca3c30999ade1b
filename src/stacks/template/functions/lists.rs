//! Gomplate's functions of lists and maps, which take the list or the map last.

use std::cmp::Ordering;

use serde_json::{Map, Value as Json};

use super::super::super::query;
use super::super::super::value::Value;
use super::collections;
use super::{Outcome, exactly, go_string, index_of, integer_of, kind, list_of, map_of, text_of};

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "coll.Append" => exactly(arguments)
            .and_then(|[item, items]| Ok(list_of(items)?.iter().chain([item]).cloned().collect())),
        "coll.Prepend" => exactly(arguments)
            .and_then(|[item, items]| Ok([item].into_iter().chain(list_of(items)?).cloned().collect())),
        "coll.Dict" => collections::call("dict", &with_text_keys(arguments))?,
        "coll.Index" => with_last_first(arguments).and_then(|arguments| index(&arguments)),
        "coll.Pick" => filtered(arguments, true),
        "coll.Omit" => filtered(arguments, false),
        "coll.Set" => exactly(arguments).and_then(|[key, value, map]| {
            collections::call("set", &[map.clone(), key.clone(), value.clone()]).unwrap_or(Ok(Json::Null))
        }),
        "coll.Unset" => exactly(arguments).and_then(|[key, map]| {
            collections::call("unset", &[map.clone(), key.clone()]).unwrap_or(Ok(Json::Null))
        }),
        "coll.Merge" => merged(arguments),
        "coll.Sort" | "sort" => match arguments {
            [items] => list_of(items).map(|items| sorted(items, "")),
            [key, items] => list_of(items).map(|items| sorted(items, &go_string(key))),
            _ => Err(format!("takes 1 or 2 arguments, not {}", arguments.len())),
        },
        "coll.Flatten" | "flatten" => match arguments {
            [items] => list_of(items).map(|items| flattened(items, -1)),
            [depth, items] => integer_of(depth).and_then(|depth| Ok(flattened(list_of(items)?, depth))),
            _ => Err(format!("takes 1 or 2 arguments, not {}", arguments.len())),
        },
        "coll.JQ" | "jq" => exactly(arguments).and_then(|[expression, value]| {
            let expression = text_of(expression)?;
            // jq sorts keys.
            let found = query::find(expression, &Value::from_json(&super::super::print::in_order(value)));
            found.map(|found| found.to_json()).map_err(|why| format!("`{expression}` {why}"))
        }),
        _ => return None,
    })
}

/// Converts keys to texts as Gomplate does.
fn with_text_keys(arguments: &[Json]) -> Vec<Json> {
    let text = |(index, value): (usize, &Json)| {
        if index % 2 == 0 { Json::String(go_string(value)) } else { value.clone() }
    };
    arguments.iter().enumerate().map(text).collect()
}

fn with_last_first(arguments: &[Json]) -> Result<Vec<Json>, String> {
    match arguments {
        [first, rest @ .., last] => Ok([last, first].into_iter().chain(rest).cloned().collect()),
        _ => Err("takes keys, and a list or a map".to_owned()),
    }
}

/// Returns an item, which must exist.
fn index(arguments: &[Json]) -> Outcome {
    let mut found = &arguments[0];
    for key in &arguments[1..] {
        let inner = match found {
            Json::Object(map) => map.get(text_of(key)?),
            Json::Array(items) => items.get(index_of(key)?),
            other => return Err(format!("looks into {}", kind(other))),
        };
        found = inner.ok_or_else(|| format!("finds nothing at {key}"))?;
    }
    Ok(found.clone())
}

/// Keeps or drops keys of a map, given as separate arguments or as one list.
fn filtered(arguments: &[Json], keeps: bool) -> Outcome {
    let Some((last, keys)) = arguments.split_last().filter(|(_, keys)| !keys.is_empty()) else {
        return Err("takes keys, and a list or a map".to_owned());
    };
    let keys = match keys {
        [Json::Array(keys)] => keys.as_slice(),
        keys => keys,
    };
    match last {
        Json::Array(items) if !keeps => {
            Ok(items.iter().filter(|item| !keys.contains(item)).cloned().collect())
        }
        map => {
            let mut map = map_of(map)?.clone();
            map.retain(|key, _| keys.iter().any(|named| named.as_str() == Some(key)) == keeps);
            Ok(Json::Object(map))
        }
    }
}

/// Merges maps; the first one wins even where its values are empty.
fn merged(arguments: &[Json]) -> Outcome {
    let [first, others @ ..] = arguments else { return Err("takes maps".to_owned()) };
    let mut merged = map_of(first)?.clone();
    for other in others {
        let mut lower = map_of(other)?.clone();
        lay_over(&mut lower, &merged);
        merged = lower;
    }
    Ok(Json::Object(merged))
}

fn lay_over(lower: &mut Map<String, Json>, upper: &Map<String, Json>) {
    for (key, value) in upper {
        match (lower.get_mut(key), value) {
            (Some(Json::Object(below)), Json::Object(above)) => lay_over(below, above),
            _ => drop(lower.insert(key.clone(), value.clone())),
        }
    }
}

/// Sorts in natural order if all items have one type; maps by one of their keys.
fn sorted(items: &[Json], key: &str) -> Json {
    let mut items = items.to_vec();
    let kinds: Vec<_> = items.iter().map(|item| (kind(item), item.is_f64())).collect();
    if kinds.windows(2).all(|pair| pair[0] == pair[1]) {
        items.sort_by(|one, other| match (one, other) {
            (Json::Object(one), Json::Object(other)) => {
                one.get(key).zip(other.get(key)).map_or(Ordering::Equal, |(one, other)| natural(one, other))
            }
            (one, other) => natural(one, other),
        });
    }
    Json::Array(items)
}

fn natural(one: &Json, other: &Json) -> Ordering {
    match (one, other) {
        (Json::String(one), Json::String(other)) => one.cmp(other),
        (Json::Number(one), Json::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal),
        },
        _ => Ordering::Equal,
    }
}

fn flattened(items: &[Json], depth: i64) -> Json {
    let mut flat = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Json::Array(inner) if depth != 0 => {
                if let Json::Array(inner) = flattened(inner, depth - 1) {
                    flat.extend(inner);
                }
            }
            item => flat.push(item.clone()),
        }
    }
    Json::Array(flat)
}
