//! Functions that mutate a map. In Go every reference sees the change; here values are no
//! references, so that only a map held by a single variable can be mutated.

use serde_json::Value as Json;

use super::super::parse::{Base, Operand, Pipeline};
use super::{Datum, Runner, full_name};

/// Functions that return a new map.
const MAKERS: [&str; 22] = [
    "dict",
    "coll.Dict",
    "deepCopy",
    "mustDeepCopy",
    "fromJson",
    "mustFromJson",
    "json",
    "data.JSON",
    "fromYaml",
    "yaml",
    "data.YAML",
    "toml",
    "data.TOML",
    "pick",
    "omit",
    "coll.Pick",
    "coll.Omit",
    "coll.Merge",
    "split",
    "splitn",
    "urlParse",
    "collectKeys",
];
/// Functions whose result contains their arguments.
const HOLDERS: [&str; 20] = [
    "dict",
    "coll.Dict",
    "list",
    "tuple",
    "coll.Slice",
    "append",
    "push",
    "mustAppend",
    "mustPush",
    "prepend",
    "mustPrepend",
    "coll.Append",
    "coll.Prepend",
    "default",
    "coalesce",
    "ternary",
    "pluck",
    "set",
    "coll.Set",
    "merge",
];

/// Whether the result of a pipeline is a new map that nothing else shares.
pub(super) fn makes_own(pipeline: &Pipeline) -> bool {
    let operand = pipeline.commands.last().and_then(|command| command.operands.first());
    operand.is_some_and(|operand| match &operand.base {
        Base::Function(name) => MAKERS.contains(&full_name(name, operand).as_str()),
        Base::Group(pipeline) => operand.fields.is_empty() && makes_own(pipeline),
        _ => false,
    })
}

/// The operand of a function that is the map it mutates.
fn changed<'o>(name: &str, operands: &'o [Operand]) -> Option<&'o Operand> {
    match name {
        "set" | "unset" | "merge" | "mergeOverwrite" | "mustMerge" | "mustMergeOverwrite" => operands.first(),
        "coll.Set" => operands.get(2),
        "coll.Unset" => operands.get(1),
        _ => None,
    }
}

impl Runner<'_> {
    /// Replaces the mutated map by the function's result.
    pub(super) fn change(&mut self, name: &str, operands: &[Operand], value: &Json) -> Result<(), String> {
        let changed = changed(name, operands);
        if HOLDERS.contains(&name) {
            for operand in
                operands.iter().filter(|operand| !changed.is_some_and(|one| std::ptr::eq(one, *operand)))
            {
                self.share(operand);
            }
        }
        let Some(operand) = changed else { return Ok(()) };
        if matches!(operand.base, Base::Function(_) | Base::Group(_) | Base::Constant(_)) {
            return Ok(());
        }
        if let Base::Variable(variable) = &operand.base
            && let Some(variable) = self.variable(variable)
            && variable.is_own
            && let Datum::Value(map) = &mut variable.value
        {
            let inner = operand.fields.iter().try_fold(map, |map, field| map.get_mut(field));
            if let Some(inner) = inner {
                *inner = value.clone();
            }
            return Ok(());
        }
        // Merges are mostly called for their result.
        if name.contains("erge") {
            return Ok(());
        }
        Err("would change a value that is not the template's own; `deepCopy` gives one that is".to_owned())
    }

    /// Records that another value shares a variable's map from now on.
    fn share(&mut self, operand: &Operand) {
        if let Base::Variable(name) = &operand.base
            && let Some(variable) = self.variable(name)
        {
            variable.is_own = false;
        }
    }

    /// Records the same for a variable that is assigned to another one.
    pub(super) fn share_bare(&mut self, pipeline: &Pipeline) {
        if let [command] = pipeline.commands.as_slice()
            && let [operand] = command.operands.as_slice()
        {
            self.share(operand);
        }
    }
}
