//! Deep merge, the general rule of stacks: the later value wins, maps are merged.

use std::sync::Arc;

use serde_json::Value as Json;

use super::list_merge::ListMergeStrategy;
use super::value::{Call, Function, Map, Value};

/// The YAML function that appends a list regardless of the strategy.
pub(super) const APPEND: &str = "!append";

/// Merges layers, the later ones winning.
pub(super) fn merge_all<'a>(layers: impl IntoIterator<Item = &'a Map>, lists: ListMergeStrategy) -> Map {
    let mut layers = layers.into_iter();
    let mut merged = layers.next().cloned().unwrap_or_default();
    for layer in layers {
        merge_into(&mut merged, layer, lists);
    }
    merged
}

/// Merges `source` into `target`, `source` winning.
pub(super) fn merge_into(target: &mut Map, source: &Map, lists: ListMergeStrategy) {
    for (key, new) in source {
        match target.get_mut(key) {
            Some(old) => merge_value(old, new, lists),
            None => {
                target.insert(Arc::clone(key), new.clone());
            }
        }
    }
}

pub(super) fn merge_value(old: &mut Value, new: &Value, lists: ListMergeStrategy) {
    match (&mut *old, new) {
        (Value::Map(old), Value::Map(new)) => {
            if !Arc::ptr_eq(old, new) {
                merge_into(Arc::make_mut(old), new, lists);
            }
        }
        (Value::List(old), Value::List(new)) => merge_lists(Arc::make_mut(old), new, lists),
        (Value::List(items), Value::Call(call)) => match appended(call) {
            Some(more) => Arc::make_mut(items).extend_from_slice(more),
            None => merge_later(old, new, lists),
        },
        (Value::Call(earlier), Value::Call(later)) => match (appended(earlier), appended(later)) {
            // Both append and no list came before: the lists to append are concatenated.
            (Some(first), Some(second)) => {
                let items = first.iter().chain(second).cloned().collect();
                let call = Call { argument: Value::List(Arc::new(items)), ..(**later).clone() };
                *old = Value::Call(Arc::new(call));
            }
            _ => merge_later(old, new, lists),
        },
        (Value::Call(earlier), Value::List(later)) => match appended(earlier) {
            Some(items) => {
                let mut items = items.to_vec();
                merge_lists(&mut items, later, lists);
                *old = Value::List(Arc::new(items));
            }
            None => merge_later(old, new, lists),
        },
        (Value::Call(_), Value::Map(_)) | (Value::Map(_), Value::Call(_)) => merge_later(old, new, lists),
        _ => *old = new.clone(),
    }
}

/// Defers the merge where a call may evaluate to a map or list; otherwise takes the new value.
fn merge_later(old: &mut Value, new: &Value, lists: ListMergeStrategy) {
    let may_merge = |value: &Value| match value {
        Value::Map(_) | Value::List(_) => true,
        Value::Call(call) => gives_anything(call),
        _ => false,
    };
    let at = [&*old, new].into_iter().find_map(|value| match value {
        Value::Call(call) => Some(call.at.clone()),
        _ => None,
    });
    match at {
        Some(at) if may_merge(old) && may_merge(new) => {
            let layers = match &*old {
                // A deferred merge with the same strategy gets one more layer.
                Value::Call(call) if call.function == Function::Merged(lists) => {
                    let layers = call.argument.as_list().unwrap_or_default();
                    layers.iter().chain([new]).cloned().collect()
                }
                _ => vec![old.clone(), new.clone()],
            };
            let argument = Value::List(Arc::new(layers));
            let call = Call { function: Function::Merged(lists), argument, at, context: None };
            *old = Value::Call(Arc::new(call));
        }
        _ => *old = new.clone(),
    }
}

/// Whether a call may evaluate to a map or a list. A template evaluates to a text, and some
/// functions never do.
fn gives_anything(call: &Call) -> bool {
    const OTHERWISE: [&str; 5] = ["!unset", "!literal", "!repo-root", "!git.root", "!cwd"];
    match &call.function {
        Function::Template => false,
        Function::Merged(_) => true,
        Function::Tag(tag) => !OTHERWISE.contains(&&**tag),
    }
}

/// Merges two computed values, the later one winning.
pub(super) fn merge_json(earlier: Json, later: Json, lists: ListMergeStrategy) -> Json {
    match (earlier, later) {
        (Json::Object(mut earlier), Json::Object(later)) => {
            for (key, new) in later {
                match earlier.get_mut(&key) {
                    Some(old) => *old = merge_json(old.take(), new, lists),
                    None => drop(earlier.insert(key, new)),
                }
            }
            Json::Object(earlier)
        }
        (Json::Array(mut earlier), Json::Array(later)) => match lists {
            ListMergeStrategy::Replace => Json::Array(later),
            ListMergeStrategy::Append => {
                earlier.extend(later);
                Json::Array(earlier)
            }
            ListMergeStrategy::Merge => {
                let known = earlier.len();
                for (index, new) in later.into_iter().enumerate() {
                    if index >= known {
                        earlier.push(new);
                    } else if earlier[index].is_object() && new.is_object() {
                        earlier[index] = merge_json(earlier[index].take(), new, lists);
                    }
                }
                Json::Array(earlier)
            }
        },
        (_, later) => later,
    }
}

/// The items that an `!append` appends.
fn appended(call: &Call) -> Option<&[Value]> {
    call.is_tag(APPEND).then(|| call.argument.as_list()).flatten()
}

fn merge_lists(old: &mut Vec<Value>, new: &[Value], lists: ListMergeStrategy) {
    match lists {
        ListMergeStrategy::Replace => new.clone_into(old),
        ListMergeStrategy::Append => old.extend_from_slice(new),
        ListMergeStrategy::Merge => {
            for (old, new) in old.iter_mut().zip(new) {
                if let (Value::Map(old), Value::Map(new)) = (old, new) {
                    merge_into(Arc::make_mut(old), new, lists);
                }
            }
            let known = old.len().min(new.len());
            old.extend_from_slice(&new[known..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::yaml;
    use super::*;

    fn map(text: &str) -> Map {
        yaml::parse(text, &Arc::from("x.yaml")).unwrap().value.as_map().unwrap().clone()
    }

    fn merged(lists: ListMergeStrategy, layers: &[&str]) -> serde_json::Value {
        let layers: Vec<Map> = layers.iter().map(|text| map(text)).collect();
        Value::map(merge_all(&layers, lists)).to_json()
    }

    #[test]
    fn maps_recurse_and_any_change_of_type_replaces() {
        let earlier = "{a: {b: 1, c: [1]}, d: [1], e: {f: 1}, g: 1}";
        let later = "{a: {b: 2}, d: {}, e: null, g: {h: 1}}";
        assert_eq!(
            merged(ListMergeStrategy::Replace, &[earlier, later]),
            json!({"a": {"b": 2, "c": [1]}, "d": {}, "e": null, "g": {"h": 1}})
        );
    }

    #[test]
    fn lists_follow_the_strategy() {
        let layers = ["{l: [{a: 1, b: [1]}, x, 3]}", "{l: [{a: 2, b: [2]}, y]}", "{l: [1, 2, 3, 4]}"];
        assert_eq!(merged(ListMergeStrategy::Replace, &layers[..2]), json!({"l": [{"a": 2, "b": [2]}, "y"]}));
        assert_eq!(
            merged(ListMergeStrategy::Append, &["{l: [1]}", "{l: [2]}", "{l: [3]}"]),
            json!({"l": [1, 2, 3]})
        );
        assert_eq!(merged(ListMergeStrategy::Merge, &layers), json!({"l": [{"a": 2, "b": [1]}, "x", 3, 4]}));
    }

    #[test]
    fn append_appends_whatever_the_strategy_and_however_late_its_list_comes() {
        for lists in [ListMergeStrategy::Replace, ListMergeStrategy::Append, ListMergeStrategy::Merge] {
            assert_eq!(
                merged(lists, &["{l: [1]}", "{l: !append [2]}", "{l: !append [3]}"]),
                json!({"l": [1, 2, 3]})
            );
        }
        let late = merge_all(&[map("{l: !append [2]}"), map("{l: !append [3]}")], ListMergeStrategy::Replace);
        assert_eq!(
            Value::map(merge_all(&[map("{l: [1]}"), late], ListMergeStrategy::Replace)).to_json(),
            json!({"l": [1, 2, 3]})
        );
        assert_eq!(merged(ListMergeStrategy::Replace, &["{l: !append [2]}", "{l: [3]}"]), json!({"l": [3]}));
    }

    #[test]
    fn what_is_merged_stays_as_it_was() {
        let base = map("{a: {b: [1]}}");
        let before = base.clone();
        let _ = merge_all(&[base.clone(), map("{a: {b: [2], c: 3}}")], ListMergeStrategy::Append);
        assert_eq!(base, before);
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<i8>().prop_map(|n| json!(n)),
            "[ab]{1}".prop_map(|s| json!(s))
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(|items| json!(items)),
                prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|map| json!(map)),
            ]
        })
    }

    fn json_map() -> impl Strategy<Value = Map> {
        prop::collection::btree_map("[abc]", value(), 0..4).prop_map(|map| {
            match Value::from_json(&json!(map)) {
                Value::Map(map) => (*map).clone(),
                _ => Map::new(),
            }
        })
    }

    proptest! {
        #[test]
        fn a_layer_merged_again_changes_nothing_and_always_wins(a in json_map(), b in json_map()) {
            let replace = ListMergeStrategy::Replace;
            let once = merge_all(&[a.clone(), b.clone()], replace);
            prop_assert_eq!(&merge_all(&[once.clone(), b.clone()], replace), &once);
            for (key, value) in b.iter().filter(|(_, value)| value.as_map().is_none()) {
                prop_assert_eq!(&once[key], value);
            }
            prop_assert_eq!(once.len(), a.keys().chain(b.keys()).collect::<std::collections::HashSet<_>>().len());
        }
    }
}
