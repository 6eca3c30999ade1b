//! `--query`: one value of a description.

use std::str::FromStr;

use serde_json::Value;

/// A path of fields and indexes: `.vars.tags`, `.components["ecs/api"]`, `.deps[0]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
}

impl Query {
    /// The value at the path; null where there is none.
    pub(super) fn of<'v>(&self, value: &'v Value) -> &'v Value {
        let step = |value: &'v Value, step: &Step| match step {
            Step::Field(name) => value.get(name),
            Step::Index(index) => value.get(index),
        };
        self.0.iter().try_fold(value, step).unwrap_or(&Value::Null)
    }
}

impl FromStr for Query {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || {
            format!(
                "only paths such as .vars.tags, .components[\"ecs/api\"] and .deps[0] are supported, not \"{text}\""
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
        Ok(Self(steps))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let value = json!({"a": {"b/c": [1, {"d.e": "x"}]}, "f-g": null});
        let at = |query: &str| Query::from_str(query).unwrap().of(&value).clone();
        assert_eq!(at("."), value);
        assert_eq!(at(".a.b/c[0]"), json!(1));
        assert_eq!(at(".a[\"b/c\"][1][\"d.e\"]"), json!("x"));
        assert_eq!(at(".a.\"b/c\"[0]"), json!(1));
        assert_eq!(at(".f-g.h"), json!(null));
        assert_eq!(at(".a.b/c[9]"), json!(null));
    }

    #[test]
    fn anything_else_is_refused() {
        for query in ["", "a", ".a | keys", "..", ".a.", ".[x]", ".a[]", ".a[\"b]", ".a\"b\"", ".[\"a\"]b"] {
            let refusal = Query::from_str(query).unwrap_err();
            assert!(refusal.starts_with("only paths"), "{query}: {refusal}");
        }
    }
}
