//! Lists and maps.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use super::super::print::{is_true, sorted};
use super::{Outcome, any_text, bounded, exactly, index_of, integer_of, kind, list_of, map_of, text_of};

pub(super) fn call(name: &str, arguments: &[Json]) -> Option<Outcome> {
    of_lists(name, arguments).or_else(|| of_maps(name, arguments))
}

fn of_lists(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "list" => Ok(Json::Array(arguments.to_vec())),
        "first" => part_of(arguments, |items| items.first().cloned().unwrap_or_default()),
        "last" => part_of(arguments, |items| items.last().cloned().unwrap_or_default()),
        "rest" => part_of(arguments, |items| items.get(1..).unwrap_or_default().into()),
        "initial" => part_of(arguments, |items| items[..items.len().saturating_sub(1)].into()),
        "reverse" => part_of(arguments, |items| items.iter().rev().cloned().collect()),
        "compact" => part_of(arguments, |items| items.iter().filter(|item| is_true(item)).cloned().collect()),
        "uniq" => part_of(arguments, unique),
        "sortAlpha" => part_of(arguments, |items| {
            let mut texts: Vec<String> = items.iter().map(any_text).collect();
            texts.sort_unstable();
            texts.into()
        }),
        "toStrings" => part_of(arguments, |items| items.iter().map(any_text).collect()),
        "append" => exactly(arguments)
            .and_then(|[items, item]| Ok(list_of(items)?.iter().chain([item]).cloned().collect())),
        "prepend" => exactly(arguments)
            .and_then(|[items, item]| Ok([item].into_iter().chain(list_of(items)?).cloned().collect())),
        "concat" => {
            let lists = arguments.iter().map(list_of).collect::<Result<Vec<_>, _>>();
            lists.map(|lists| lists.concat().into())
        }
        "has" => exactly(arguments).and_then(|[item, items]| match items {
            Json::Null => Ok(Json::Bool(false)),
            items => Ok(Json::Bool(list_of(items)?.contains(item))),
        }),
        "without" => match arguments {
            [items, gone @ ..] => list_of(items)
                .map(|items| items.iter().filter(|item| !gone.contains(item)).cloned().collect()),
            [] => Err("takes a list".to_owned()),
        },
        "slice" => slice(arguments),
        "chunk" => exactly(arguments).and_then(|[size, items]| {
            let size = index_of(size)?;
            if size == 0 {
                return Err("takes a size of at least 1".to_owned());
            }
            Ok(list_of(items)?.chunks(size).map(Json::from).collect())
        }),
        "join" => exactly(arguments).and_then(|[between, items]| join(between, items)),
        "splitList" => exactly(arguments)
            .and_then(|[between, text]| Ok(split(text_of(text)?, text_of(between)?).into_iter().collect())),
        "len" => exactly(arguments).and_then(|[value]| length(value)),
        "index" => index(arguments),
        _ => return None,
    })
}

fn of_maps(name: &str, arguments: &[Json]) -> Option<Outcome> {
    Some(match name {
        "dict" => Ok(dict(arguments)),
        "get" => exactly(arguments)
            .and_then(|[map, key]| Ok(map_of(map)?.get(text_of(key)?).cloned().unwrap_or_else(|| "".into()))),
        "hasKey" => {
            exactly(arguments).and_then(|[map, key]| Ok(map_of(map)?.contains_key(text_of(key)?).into()))
        }
        "gomplate.has" => exactly(arguments).map(|[value, item]| match value {
            Json::Object(map) => item.as_str().is_some_and(|key| map.contains_key(key)).into(),
            Json::Array(items) => items.contains(item).into(),
            _ => Json::Bool(false),
        }),
        "keys" => {
            let maps = arguments.iter().map(map_of).collect::<Result<Vec<_>, _>>();
            maps.map(|maps| maps.into_iter().flat_map(sorted).map(|(key, _)| key.clone()).collect())
        }
        "values" => {
            let maps = arguments.iter().map(map_of).collect::<Result<Vec<_>, _>>();
            maps.map(|maps| maps.into_iter().flat_map(sorted).map(|(_, value)| value.clone()).collect())
        }
        "pick" => filtered(arguments, true),
        "omit" => filtered(arguments, false),
        "merge" => merge(arguments, false),
        "mergeOverwrite" => merge(arguments, true),
        "dig" => dig(arguments),
        "deepCopy" => exactly(arguments).map(|[value]| value.clone()),
        // `run/changes.rs` changes the map itself; these are the functions' results.
        "set" => exactly(arguments).and_then(|[map, key, value]| {
            let mut map = map_of(map)?.clone();
            map.insert(text_of(key)?.to_owned(), value.clone());
            Ok(Json::Object(map))
        }),
        "unset" => exactly(arguments).and_then(|[map, key]| {
            let mut map = map_of(map)?.clone();
            map.shift_remove(text_of(key)?);
            Ok(Json::Object(map))
        }),
        "pluck" => match arguments {
            [key, maps @ ..] => maps
                .iter()
                .filter_map(|map| map_of(map).map(|map| map.get(key.as_str()?).cloned()).transpose())
                .collect(),
            [] => Err("takes a key and maps".to_owned()),
        },
        "splitn" => exactly(arguments).and_then(|[between, count, text]| {
            let parts = split_at_most(text_of(text)?, text_of(between)?, integer_of(count)?).into_iter();
            Ok(Json::Object(
                parts.enumerate().map(|(index, part)| (format!("_{index}"), part.into())).collect(),
            ))
        }),
        "split" => exactly(arguments).and_then(|[between, text]| {
            let parts = split(text_of(text)?, text_of(between)?).into_iter().enumerate();
            Ok(Json::Object(parts.map(|(index, part)| (format!("_{index}"), part.into())).collect()))
        }),
        "collectKeys" => collect_keys(arguments),
        _ => return None,
    })
}

fn part_of(arguments: &[Json], part: impl Fn(&[Json]) -> Json) -> Outcome {
    let [items] = exactly(arguments)?;
    Ok(part(list_of(items)?))
}

fn unique(items: &[Json]) -> Json {
    let mut seen = HashSet::with_capacity(items.len());
    items.iter().filter(|item| seen.insert(*item)).cloned().collect()
}

/// A slice of a list, or of a text as Go's own `slice` takes it.
fn slice(arguments: &[Json]) -> Outcome {
    let [value, bounds @ ..] = arguments else { return Err("takes a list".to_owned()) };
    let bounds = bounds.iter().map(index_of).collect::<Result<Vec<_>, _>>()?;
    let start = bounds.first().copied().unwrap_or(0);
    let outside = || format!("has bounds outside of {}", kind(value));
    match value {
        Json::String(text) => {
            let end = bounds.get(1).copied().unwrap_or(text.len());
            text.get(start..end).map(Json::from).ok_or_else(outside)
        }
        value => {
            let items = list_of(value)?;
            let end = bounds.get(1).copied().unwrap_or(items.len());
            items.get(start..end).map(Json::from).ok_or_else(outside)
        }
    }
}

fn join(between: &Json, items: &Json) -> Outcome {
    let one = [items.clone()];
    let items = items.as_array().map_or(one.as_slice(), Vec::as_slice);
    bounded(items.len(), text_of(between)?.len())?;
    let texts: Vec<String> = items.iter().filter(|item| !item.is_null()).map(any_text).collect();
    Ok(Json::String(texts.join(text_of(between)?)))
}

pub(super) fn split(text: &str, between: &str) -> Vec<String> {
    if between.is_empty() {
        return text.chars().map(String::from).collect();
    }
    text.split(between).map(ToOwned::to_owned).collect()
}

/// Splits into at most so many parts, the last of which is the remainder; a negative count means
/// all.
pub(super) fn split_at_most(text: &str, between: &str, count: i64) -> Vec<String> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let parts = split(text, between);
    if parts.len() <= count || count == 0 {
        return parts.into_iter().take(count).collect();
    }
    let rest = parts[count - 1..].join(between);
    parts.into_iter().take(count - 1).chain([rest]).collect()
}

fn length(value: &Json) -> Outcome {
    match value {
        Json::String(text) => Ok(text.len().into()),
        Json::Array(items) => Ok(items.len().into()),
        Json::Object(map) => Ok(map.len().into()),
        other => Err(format!("takes a list, a map or a text, not {}", kind(other))),
    }
}

fn index(arguments: &[Json]) -> Outcome {
    let [value, keys @ ..] = arguments else { return Err("takes a list or a map".to_owned()) };
    let mut value = value.clone();
    for key in keys {
        value = match value {
            Json::Object(mut map) => map.shift_remove(text_of(key)?).unwrap_or_default(),
            Json::Array(mut items) => {
                let index = index_of(key)?;
                if index >= items.len() {
                    return Err(format!("looks for item {index} of {}", items.len()));
                }
                items.swap_remove(index)
            }
            other => return Err(format!("looks into {}", kind(&other))),
        };
    }
    Ok(value)
}

fn dict(arguments: &[Json]) -> Json {
    let mut map = Map::new();
    for pair in arguments.chunks(2) {
        let key = pair.first().map(any_text).unwrap_or_default();
        map.insert(key, pair.get(1).cloned().unwrap_or_else(|| "".into()));
    }
    Json::Object(map)
}

fn filtered(arguments: &[Json], keeps: bool) -> Outcome {
    let [map, keys @ ..] = arguments else { return Err("takes a map".to_owned()) };
    let mut map = map_of(map)?.clone();
    map.retain(|key, _| keys.iter().any(|named| named.as_str() == Some(key)) == keeps);
    Ok(Json::Object(map))
}

/// Merges maps; either the first or the last one wins.
fn merge(arguments: &[Json], last_wins: bool) -> Outcome {
    let mut merged = Map::new();
    for map in arguments {
        merge_into(&mut merged, map_of(map)?, last_wins);
    }
    Ok(Json::Object(merged))
}

fn merge_into(target: &mut Map<String, Json>, source: &Map<String, Json>, source_wins: bool) {
    for (key, new) in source {
        match (target.get_mut(key), new) {
            (Some(Json::Object(old)), Json::Object(new)) => merge_into(old, new, source_wins),
            // Empty values count as missing.
            (Some(old), new) if if source_wins { is_true(new) } else { !is_true(old) } => *old = new.clone(),
            (Some(_), _) => {}
            (None, new) => drop(target.insert(key.clone(), new.clone())),
        }
    }
}

/// `dig "a" "b" default map`.
fn dig(arguments: &[Json]) -> Outcome {
    let [keys @ .., default, map] = arguments else {
        return Err("takes keys, a default and a map".to_owned());
    };
    let mut value = map;
    for key in keys {
        match map_of(value)?.get(text_of(key)?) {
            Some(inner) => value = inner,
            None => return Ok(default.clone()),
        }
    }
    Ok(value.clone())
}

/// The keys of a map, or those that its values have below a key, sorted.
fn collect_keys(arguments: &[Json]) -> Outcome {
    let keys = |map: &Map<String, Json>| sorted(map).into_iter().map(|(key, _)| key.clone()).collect();
    let mut keys: Vec<String> = match arguments {
        [map] => keys(map_of(map)?),
        [map, inner] => {
            let inner = text_of(inner)?;
            let maps = map_of(map)?.values().filter_map(|value| value.get(inner)?.as_object());
            maps.flat_map(Map::keys).cloned().collect()
        }
        _ => return Err("takes a map and perhaps a key".to_owned()),
    };
    keys.sort_unstable();
    keys.dedup();
    Ok(keys.into())
}
