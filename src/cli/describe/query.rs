//! `--query`: one value of a description.

use std::str::FromStr;

use serde_json::Value;

use crate::error::CommandError;
use crate::stacks::{check_query, find_in};

/// A query that selects a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Query {
    /// Fields and indexes: `.vars.tags`, `.components["ecs/api"]`, `.deps[0]`.
    Path(Vec<Step>),
    /// A yq expression, in the part of the language that stacks support.
    Expression(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Field(String),
    Index(usize),
}

impl Step {
    fn field(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            Self::Index(_) => None,
        }
    }
}

impl Query {
    /// The selected value; null where there is none.
    pub(super) fn of(&self, value: &Value) -> Result<Value, CommandError> {
        let steps = match self {
            Self::Path(steps) => steps,
            Self::Expression(text) => {
                return find_in(text, value)
                    .map_err(|why| CommandError::usage(format!("the query `{text}` {why}")));
            }
        };
        let step = |value, step: &Step| match step {
            Step::Field(name) => Value::get(value, name),
            Step::Index(index) => Value::get(value, index),
        };
        Ok(steps.iter().try_fold(value, step).cloned().unwrap_or_default())
    }

    /// The field names of a path without indexes; `None` for any other query.
    pub(super) fn fields(&self) -> Option<Vec<&str>> {
        let Self::Path(steps) = self else { return None };
        steps.iter().map(Step::field).collect()
    }
}

impl FromStr for Query {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        path(text).map(Self::Path).or_else(|refusal| {
            let is_expression = text.starts_with(['.', '(']) && check_query(text).is_ok();
            if is_expression { Ok(Self::Expression(text.to_owned())) } else { Err(refusal) }
        })
    }
}

fn path(text: &str) -> Result<Vec<Step>, String> {
    let refuse = || {
        format!(
            "only paths such as .vars.tags, .components[\"ecs/api\"] and .deps[0], and what `!include` picks \
                 values with, are supported, not \"{text}\""
        )
    };
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('.').ok_or_else(refuse)?;
    while !rest.is_empty() {
        let (step, after) = if let Some(quoted) = rest.strip_prefix("[\"").or(rest.strip_prefix('"')) {
            let (name, after) = quoted.split_once('"').ok_or_else(refuse)?;
            let after = if rest.starts_with('[') { after.strip_prefix(']') } else { Some(after) };
            (Step::Field(name.to_owned()), after.ok_or_else(refuse)?)
        } else if let Some(index) = rest.strip_prefix('[') {
            let (index, after) = index.split_once(']').ok_or_else(refuse)?;
            (Step::Index(index.parse().map_err(|_| refuse())?), after)
        } else {
            let (name, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '/');
            if name.is_empty() || !name.chars().all(is_plain) {
                return Err(refuse());
            }
            (Step::Field(name.to_owned()), after)
        };
        steps.push(step);
        rest = match after.strip_prefix('.') {
            Some("") => return Err(refuse()),
            Some(after) => after,
            None if after.is_empty() || after.starts_with('[') => after,
            None => return Err(refuse()),
        };
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let value = json!({"a": {"b/c": [1, {"d.e": "x"}]}, "f-g": null});
        let at = |query: &str| Query::from_str(query).unwrap().of(&value).unwrap();
        assert_eq!(at("."), value);
        assert_eq!(at(".a.b/c[0]"), json!(1));
        assert_eq!(at(".a[\"b/c\"][1][\"d.e\"]"), json!("x"));
        assert_eq!(at(".a.\"b/c\"[0]"), json!(1));
        assert_eq!(at(".f-g.h"), json!(null));
        assert_eq!(at(".a.b/c[9]"), json!(null));
        assert_eq!(at(".a | keys"), json!(["b/c"]));
        assert_eq!(at(".nope // .f-g // \"x\""), json!("x"));
    }

    #[test]
    fn anything_else_is_refused() {
        for query in ["", "a", ".a | map(.b)", "..", ".a.", ".[x]", ".a[]", ".a[\"b]", ".a\"b\"", ".[\"a\"]b"]
        {
            let refusal = Query::from_str(query).unwrap_err();
            assert!(refusal.starts_with("only paths"), "{query}: {refusal}");
        }
    }
}
