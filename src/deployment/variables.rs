//! A component's variables: their layers and the merge of these.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use super::values::Values;

/// Which layer a variable's value comes from, lowest first. For a map that several layers add to, the last.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ValueSource {
    /// The stacks that the deployment imports.
    Stacks,
    /// The images that the component uses, by digest.
    Image,
    /// The component's `vars` in the deployment.
    Component,
    /// The target's `context`.
    TargetContext,
    /// The target's `components.<name>.vars`.
    TargetOverride,
    /// `--context key=value`.
    CommandLine,
}

/// The layers of one component on one target from the deployment's file and the command line,
/// lowest first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layers<'a> {
    pub images: &'a Values,
    pub component: &'a Values,
    pub target_context: &'a Values,
    pub target_override: &'a Values,
    pub command_line: &'a Values,
}

/// A component's variables and the layer of each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Variables {
    pub values: Values,
    /// The source of each variable in `values`.
    pub sources: IndexMap<String, ValueSource>,
}

impl ValueSource {
    /// The layer's name in messages.
    #[must_use]
    pub const fn as_words(self) -> &'static str {
        match self {
            Self::Stacks => "stacks",
            Self::Image => "image of a nixpack component",
            Self::Component => "component vars",
            Self::TargetContext => "target context",
            Self::TargetOverride => "target override",
            Self::CommandLine => "--context",
        }
    }
}

impl Layers<'_> {
    /// Merges the layers; later ones win.
    #[must_use]
    pub fn resolve(&self) -> Variables {
        let mut variables = Variables::default();
        for (source, layer) in [
            (ValueSource::Image, self.images),
            (ValueSource::Component, self.component),
            (ValueSource::TargetContext, self.target_context),
            (ValueSource::TargetOverride, self.target_override),
            (ValueSource::CommandLine, self.command_line),
        ] {
            merge(&mut variables.values, layer);
            variables.sources.extend(layer.keys().map(|name| (name.clone(), source)));
        }
        variables
    }
}

impl Variables {
    /// Merges these variables over those of the stacks.
    #[must_use]
    pub fn over_stacks(self, stacks: &Values) -> Self {
        let mut values = stacks.clone();
        merge(&mut values, &self.values);
        let mut sources: IndexMap<_, _> =
            stacks.keys().map(|name| (name.clone(), ValueSource::Stacks)).collect();
        sources.extend(self.sources);
        Self { values, sources }
    }
}

/// Merges `over` into `base`: maps recurse; lists, changes of type and null replace.
pub fn merge(base: &mut Values, over: &Values) {
    for (name, value) in over {
        match (base.get_mut(name), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            (Some(below), _) => *below = value.clone(),
            (None, _) => {
                base.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(value: &Value) -> Values {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn each_layer_wins_over_those_below_it_and_is_told_as_the_source() {
        let variables = Layers {
            images: &values(&json!({"image": 1, "b": 1})),
            component: &values(&json!({"b": 2, "c": 2, "d": 2, "e": 2})),
            target_context: &values(&json!({"c": 3, "d": 3, "e": 3})),
            target_override: &values(&json!({"d": 4, "e": 4})),
            command_line: &values(&json!({"e": 5})),
        }
        .resolve()
        .over_stacks(&values(&json!({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1})));
        assert_eq!(
            Value::from(variables.values),
            json!({"a": 1, "image": 1, "b": 2, "c": 3, "d": 4, "e": 5})
        );
        assert_eq!(
            serde_json::to_value(&variables.sources).unwrap(),
            json!({
                "a": "stacks", "image": "image", "b": "component", "c": "target_context",
                "d": "target_override", "e": "command_line"
            })
        );
    }

    #[test]
    fn maps_merge_and_everything_else_replaces() {
        let mut base = values(&json!({
            "map": {"kept": 1, "deep": {"x": 1, "y": 1}}, "list": [1, 2], "type": {"a": 1}, "gone": {"a": 1}
        }));
        let over = json!({"map": {"deep": {"y": 2}, "new": 3}, "list": [3], "type": "text", "gone": null});
        merge(&mut base, &values(&over));
        assert_eq!(
            Value::from(base),
            json!({
                "map": {"kept": 1, "deep": {"x": 1, "y": 2}, "new": 3}, "list": [3], "type": "text", "gone": null
            })
        );
    }
}
