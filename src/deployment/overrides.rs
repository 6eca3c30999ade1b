//! `--context`: the overrides of the command line, exactly as typed, and their values.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::commit::CommitId;
use super::digest::{canonical_json, content_digest};
use super::names::{ComponentName, DeploymentName, TargetName};
use super::values::Values;
use super::variables::merge;

/// The hash's domain separator.
const PURPOSE: &str = "atmos context override v1";

/// The overrides of a rollout: dotted key → text, in the order of the command line.
///
/// Of keys that set the same value, the last one counts: `a=1` after `a.b=2` drops `a.b`, and vice
/// versa. So the order of the remaining keys has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContextOverrides(IndexMap<String, String>);

/// The component that overrides are recorded for.
#[derive(Debug, Clone, Copy)]
pub struct OverriddenComponent<'a> {
    pub deployment: &'a DeploymentName,
    pub target: &'a TargetName,
    pub component: &'a ComponentName,
    pub commit: &'a CommitId,
}

/// The rules for which overrides are recorded only as hashes.
#[derive(Clone, Copy)]
pub struct Sensitive<'a> {
    /// Whether the project redacts this name. It is called for the whole key and for its prefixes:
    /// `db` and `db.password` of `db.password.value`.
    pub redacted: &'a dyn Fn(&str) -> bool,
    pub variables: &'a SensitiveVariables,
}

/// The variables that the module of a component declares sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SensitiveVariables {
    Named(BTreeSet<String>),
    /// The module cannot be read, so that any variable may be sensitive.
    Any,
}

impl ContextOverrides {
    /// Adds an override.
    pub fn set(&mut self, key: &str, text: &str) {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0.retain(|known, _| !within(known, key) && !within(key, known));
        self.0.insert(key.to_owned(), text.to_owned());
    }

    /// Whether nothing is overridden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each key with its text as typed.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, text)| (key.as_str(), text.as_str()))
    }

    /// The overrides as values, dotted keys nested: `image.tag=1.2` is `{image: {tag: "1.2"}}`.
    ///
    /// `declared` are the overridden values, the nearest first: the target's context, then the
    /// component's variables. A text stays a text where a text is overridden. Otherwise it becomes
    /// a number or boolean if it is exactly the JSON form of that value, else a text: `512` is a
    /// number; `0787849`, `1.10` and `1e3`, which would change when printed, are texts.
    #[must_use]
    pub fn values(&self, declared: &[&Values]) -> Values {
        let mut values = Values::new();
        for (key, text) in self.iter() {
            let overridden = declared.iter().find_map(|layer| look_up(layer, key));
            let value = typed(text, overridden);
            let nested = key
                .rsplit('.')
                .fold(value, |value, key| Value::Object([(key.to_owned(), value)].into_iter().collect()));
            if let Value::Object(nested) = nested {
                merge(&mut values, &nested);
            }
        }
        values
    }

    /// The overrides for records and digests: as typed, or for a sensitive value `sha256:<digits>`.
    ///
    /// The hash is salted with deployment, target, component, commit and key, and with nothing
    /// else: a plan and its gated run, in two jobs that share no secret, must have the same digest.
    /// It keeps values out of the ledger, and hides whether the values of two keys, components or
    /// commits are equal. It does not prevent brute force: a short value can be guessed.
    #[must_use]
    pub fn recorded(
        &self,
        component: OverriddenComponent<'_>,
        sensitive: Sensitive<'_>,
    ) -> BTreeMap<String, String> {
        let recorded = |(key, text): (&str, &str)| {
            let text = if sensitive.covers(key) { salted(component, key, text) } else { text.to_owned() };
            (key.to_owned(), text)
        };
        self.iter().map(recorded).collect()
    }
}

impl<K: AsRef<str>, T: AsRef<str>> FromIterator<(K, T)> for ContextOverrides {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(pairs: I) -> Self {
        let mut overrides = Self::default();
        for (key, text) in pairs {
            overrides.set(key.as_ref(), text.as_ref());
        }
        overrides
    }
}

impl Sensitive<'_> {
    /// Whether an override is recorded only as a hash.
    #[must_use]
    pub fn covers(&self, key: &str) -> bool {
        let first = key.split('.').next().unwrap_or_default();
        let parents = key.match_indices('.').map(|(at, _)| &key[..at]);
        parents.chain([key]).any(|key| (self.redacted)(key)) || self.variables.covers(first)
    }
}

impl SensitiveVariables {
    /// No variables, for components without a module.
    #[must_use]
    pub const fn none() -> Self {
        Self::Named(BTreeSet::new())
    }

    fn covers(&self, name: &str) -> bool {
        match self {
            Self::Named(names) => names.contains(name),
            Self::Any => true,
        }
    }
}

/// Whether a recorded text is the hash of a sensitive value.
#[must_use]
pub fn is_hash(recorded: &str) -> bool {
    const DIGITS: usize = 64;
    recorded.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn salted(component: OverriddenComponent<'_>, key: &str, text: &str) -> String {
    let OverriddenComponent { deployment, target, component, commit } = component;
    let parts = json!([PURPOSE, deployment, target, component, commit, key, text]);
    content_digest(canonical_json(&parts).as_bytes())
}

/// The value at a dotted key.
fn look_up<'v>(values: &'v Values, key: &str) -> Option<&'v Value> {
    let mut parts = key.split('.');
    let first = values.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// Converts a text to the type of the value that it overrides.
fn typed(text: &str, overridden: Option<&Value>) -> Value {
    let Some(value @ (Value::Number(_) | Value::Bool(_))) = serde_json::from_str::<Value>(text).ok() else {
        return text.into();
    };
    // JSON would be parsed even with blanks around it.
    if text.trim() != text {
        return text.into();
    }
    let keeps = match overridden {
        // The result type of a template is not known here.
        Some(Value::String(declared)) if !declared.contains("{{") => false,
        Some(Value::Number(_)) if value.is_number() => !loses_digits(text, &value),
        _ => is_written_so(text, &value),
    };
    if keeps { value } else { text.into() }
}

/// Whether the value is printed as typed. With an exponent it is not, since formats differ: `1e300`
/// is `1e+300` to Terraform.
fn is_written_so(text: &str, value: &Value) -> bool {
    let has_exponent = value.is_number() && text.contains(['e', 'E']);
    let written = value.to_string();
    !has_exponent && written == text
}

/// Whether an integer has more digits than its parsed value.
fn loses_digits(text: &str, value: &Value) -> bool {
    let whole = !text.contains(['.', 'e', 'E']);
    whole && value.as_i64().is_none() && value.as_u64().is_none()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{commit, component_name, target_name};
    use super::*;

    fn one(text: &str, declared: &[&Values]) -> Value {
        let overrides: ContextOverrides = [("image.tag", text)].into_iter().collect();
        overrides.values(declared)["image"]["tag"].clone()
    }

    fn values(value: &Value) -> Values {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_looks_like_a_number_and_is_none_stays_what_was_typed() {
        for text in [
            "0787849",
            "6063e25",
            "012",
            "1e3",
            "0x1F",
            "1_000",
            "1.10",
            "12345678901234567890123",
            "+1",
            ".5",
            "-0",
            "null",
            "on",
            "yes",
            "~",
            "2025-01-22",
            "12:30",
            "",
            " a ",
            "it's",
            "{}",
            "[1]",
            "\"q\"",
            "a=b",
            "{{x}}",
            "{{ context.cpu }}",
            " 512",
            "512\n",
            "1e300",
            "1E5",
            "-0.0e1",
            "NaN",
            "True",
            "1.",
            "--1",
            "0b1",
            "٣",
        ] {
            assert_eq!(one(text, &[]), json!(text), "{text}");
        }
    }

    #[test]
    fn a_number_and_a_truth_value_are_such_where_they_are_written_back_the_same() {
        for (text, value) in [
            ("58467965", json!(58_467_965)),
            ("512", json!(512)),
            ("0", json!(0)),
            ("-7", json!(-7)),
            ("2.5", json!(2.5)),
            ("1.0", json!(1.0)),
            ("18446744073709551615", json!(u64::MAX)),
            ("true", json!(true)),
            ("false", json!(false)),
        ] {
            let typed = one(text, &[]);
            assert_eq!(typed, value);
            assert_eq!(typed.to_string(), text);
        }
    }

    #[test]
    fn what_is_overridden_says_of_which_type_it_is() {
        let context = values(&json!({"image": {"tag": "1.2"}}));
        let number = values(&json!({"image": {"tag": 1}}));
        let template = values(&json!({"image": {"tag": "{{ context.tag }}"}}));
        let map = values(&json!({"image": {"tag": {"a": 1}}}));
        for text in ["512", "true", "1.10", "1e3"] {
            assert_eq!(one(text, &[&context]), json!(text));
            assert_eq!(one(text, &[&context, &number]), json!(text), "the nearest counts");
        }
        assert_eq!(one("1.10", &[&number]), json!(1.1));
        assert_eq!(one("1e3", &[&number]), json!(1000.0));
        assert_eq!(one("512", &[&number]), json!(512));
        for text in ["0787849", "12345678901234567890123", "-0", "x"] {
            assert_eq!(one(text, &[&number]), json!(text));
        }
        assert_eq!(one("true", &[&number]), json!(true));
        assert_eq!(one("512", &[&Values::new(), &template]), json!(512));
        assert_eq!(one("512", &[&map]), json!(512));
        let deeper = values(&json!({"image": "text"}));
        assert_eq!(one("512", &[&deeper]), json!(512));
    }

    #[test]
    fn the_last_of_several_counts_whatever_is_nested_in_what() {
        let of = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<ContextOverrides>();
        let overrides = of(&[("a", "1"), ("b.c", "2"), ("b.d", "3"), ("a", "4")]);
        assert_eq!(Value::from(overrides.values(&[])), json!({"b": {"c": 2, "d": 3}, "a": 4}));
        assert_eq!(Value::from(of(&[("a", "1"), ("a.b", "2")]).values(&[])), json!({"a": {"b": 2}}));
        let outer = of(&[("a.b", "2"), ("ab", "3"), ("a", "1")]);
        assert_eq!(outer.iter().collect::<Vec<_>>(), [("ab", "3"), ("a", "1")]);
        assert!(of(&[]).is_empty() && !outer.is_empty());
    }

    #[test]
    fn what_is_sensitive_is_kept_as_a_hash_of_its_own() {
        let overrides: ContextOverrides =
            [("tag", "1.10"), ("db.password", "s3"), ("token", "s3"), ("smtp.user", "a")]
                .into_iter()
                .collect();
        let (deployment, target, commit) = ("api".parse().unwrap(), target_name("dev"), commit("a1"));
        let variables = SensitiveVariables::Named(["db".to_owned()].into());
        let recorded_with = |component: &str, variables: &SensitiveVariables| {
            let component = component_name(component);
            overrides.recorded(
                OverriddenComponent {
                    deployment: &deployment,
                    target: &target,
                    component: &component,
                    commit: &commit,
                },
                Sensitive { redacted: &|name| ["token", "smtp.user"].contains(&name), variables },
            )
        };
        let recorded = |component: &str| recorded_with(component, &variables);
        let (api, worker) = (recorded("api"), recorded("worker"));
        assert_eq!(api, recorded("api"));
        assert_eq!(api["tag"], "1.10");
        assert!(!is_hash(&api["tag"]) && !is_hash("sha256:0123"));
        for key in ["db.password", "token", "smtp.user"] {
            let digits = api[key].strip_prefix("sha256:").unwrap();
            assert!(digits.len() == 64 && !api[key].contains("s3"), "{key}");
            assert!(is_hash(&api[key]), "{key}");
            assert_ne!(api[key], worker[key], "{key}");
        }
        assert_ne!(api["db.password"], api["token"]);
        let all = recorded_with("api", &SensitiveVariables::Any);
        assert!(all.values().all(|text| text.starts_with("sha256:")));
        let redacted = recorded_with("api", &SensitiveVariables::none());
        assert_eq!((redacted["db.password"].as_str(), &redacted["token"]), ("s3", &api["token"]));
        // Pinned: with another hash, records would not match the digests of an earlier version's
        // plans.
        let line = format!(
            r#"["atmos context override v1","api","dev","api","{}","token","s3"]"#,
            "a1".to_owned() + &"0".repeat(38)
        );
        assert_eq!(api["token"], content_digest(line.as_bytes()));
    }
}
