//! The differences of a deployment's configuration between two sides: variables and settings of
//! each component on its target, and the declarations around them.

use std::time::Duration;

use indexmap::{IndexMap, IndexSet};
use serde_json::{Value, json};

use super::definition::{
    CommandSettings, Component, Deployment, HelmfileOptions, Labels, NixpackSettings, PromoteBy,
    PromotionRule, RunLimits, TerraformOptions, Values,
};
use super::diff::{Change, ConfigurationDifference, SideName};
use super::health::HealthCheck;
use super::names::{ComponentName, TargetName};

/// A component of a deployment at some commit, on the compared target.
#[derive(Debug, Clone)]
pub struct ConfigurationSide<'a> {
    pub deployment: &'a Deployment,
    pub target: &'a TargetName,
    /// The component's resolved variables.
    pub vars: Values,
    /// The keys of `--context` that it runs with.
    pub overridden: Vec<String>,
    /// The declared source of a vendored component, with its version.
    pub source: Option<String>,
}

/// Both sides of one component. A side is absent where the component does not run, or where its
/// commit does not declare the deployment.
#[derive(Debug, Clone)]
pub struct ComponentSides<'a> {
    pub component: &'a ComponentName,
    pub from: Option<ConfigurationSide<'a>>,
    pub to: Option<ConfigurationSide<'a>>,
}

/// A value on both sides.
type Pair = (Option<Value>, Option<Value>);

/// A value of one component on both sides, with the sides whose value comes from the command line.
type OfComponent<'a> = (&'a ComponentName, Pair, Vec<SideName>);

/// Values by their paths.
type Flat = IndexMap<String, Declared>;

/// A value, and whether it equals the default.
#[derive(Debug, Clone, PartialEq)]
struct Declared {
    value: Value,
    is_default: bool,
}

impl Declared {
    fn written(value: Value) -> Self {
        Self { value, is_default: false }
    }

    /// A value that is marked if it equals the default.
    fn or_default(value: Value, default: &Value) -> Self {
        Self { is_default: value == *default, value }
    }
}

/// The differing configuration of components, and all values of their targets' context.
///
/// A context value is listed once, as `context.cpu`, if all components agree about it and `merge`
/// allows it; else for each component, as `api.context.cpu`. Everything else is listed under its
/// component: `api.vars.source`.
#[must_use]
pub fn of_components(components: &[ComponentSides<'_>], merge: bool) -> Vec<ConfigurationDifference> {
    let mut context: IndexMap<String, Vec<OfComponent<'_>>> = IndexMap::new();
    let mut others = Vec::new();
    for sides in components {
        for (path, pair) in component_pairs(sides) {
            let overridden = sides.overridden(&path);
            if path.starts_with("context.") {
                context.entry(path).or_default().push((sides.component, pair, overridden));
            } else {
                others.push(difference(format!("{}.{path}", sides.component), pair, overridden));
            }
        }
    }
    let mut differences = Vec::new();
    for (path, mut by_component) in context {
        let agree = by_component.len() == components.len()
            && by_component.windows(2).all(|two| (&two[0].1, &two[0].2) == (&two[1].1, &two[1].2));
        if agree && merge {
            differences
                .extend(by_component.pop().map(|(_, pair, overridden)| difference(path, pair, overridden)));
        } else {
            let each = by_component.into_iter();
            differences.extend(
                each.map(|(name, pair, overridden)| difference(format!("{name}.{path}"), pair, overridden)),
            );
        }
    }
    differences.extend(others.into_iter().filter(differs));
    differences
}

/// The differences of the deployment's own declarations.
#[must_use]
pub fn of_deployment(from: Option<&Deployment>, to: Option<&Deployment>) -> Vec<ConfigurationDifference> {
    let declared = |deployment: &Deployment| {
        let mut flat = Flat::new();
        let stacks = json!(deployment.stack_paths().collect::<Vec<_>>());
        flat.insert("stacks".to_owned(), Declared::or_default(stacks, &json!([])));
        add_labels(&mut flat, &deployment.labels);
        if let Some(target) = &deployment.context.default_target {
            flat.insert("context.default_target".to_owned(), Declared::written(json!(target)));
        }
        let promote_by = json!(deployment.context.promote_by);
        let promote_by = Declared::or_default(promote_by, &json!(PromoteBy::default()));
        flat.insert("context.promote_by".to_owned(), promote_by);
        flat
    };
    differing(from.map(declared), to.map(declared))
}

/// The differences of one target's declarations, without its context.
#[must_use]
pub fn of_target(
    from: Option<&Deployment>,
    to: Option<&Deployment>,
    target: &TargetName,
) -> Vec<ConfigurationDifference> {
    let declared = |deployment: &Deployment| {
        let target = deployment.targets.get(target)?;
        let mut flat = Flat::new();
        add_labels(&mut flat, &target.labels);
        if let Some(stack) = &target.stack {
            flat.insert("stack".to_owned(), Declared::written(json!(stack.path)));
        }
        if let Some(rule) = &target.promotion {
            add_rule(&mut flat, rule);
        }
        Some(flat)
    };
    differing(from.and_then(declared), to.and_then(declared))
}

fn add_rule(flat: &mut Flat, rule: &PromotionRule) {
    let default = PromotionRule::default();
    let mut add = |name: &str, value: Value, default: &Value| {
        flat.insert(format!("promotion.{name}"), Declared::or_default(value, default));
    };
    let hours = |rule: &PromotionRule| json!(rule.approval_expires.as_secs_f64() / 3600.0);
    if rule.is_guarded() {
        add("from", json!(rule.sources), &Value::Null);
    }
    if let Some(hold) = rule.hold {
        add("hold", json!(hold), &Value::Null);
    }
    add("requires_approval", json!(rule.requires_approval), &json!(default.requires_approval));
    if rule.requires_approval {
        add("approval_method", json!(rule.approval_method), &json!(default.approval_method));
        add("approval_expires_hours", hours(rule), &hours(&default));
        add("require_digest", json!(rule.require_digest), &json!(default.require_digest));
    }
}

/// The values that differ between two commits, on each of the targets: listed once if all targets
/// differ equally, else as `targets.prod.context.cpu`.
#[must_use]
pub fn across_targets(
    by_target: &[(&TargetName, Vec<ConfigurationDifference>)],
) -> Vec<ConfigurationDifference> {
    let everywhere = |difference: &ConfigurationDifference| {
        by_target.iter().all(|(_, differences)| differences.contains(difference))
    };
    let mut told: Vec<ConfigurationDifference> = Vec::new();
    for (target, differences) in by_target {
        for difference in differences.iter().filter(|difference| differs(difference)) {
            if !everywhere(difference) {
                let path = format!("targets.{target}.{}", difference.path);
                told.push(ConfigurationDifference { path, ..difference.clone() });
            } else if !told.contains(difference) {
                told.push(difference.clone());
            }
        }
    }
    told
}

impl ComponentSides<'_> {
    /// The sides whose variable comes at least partly from `--context`.
    fn overridden(&self, path: &str) -> Vec<SideName> {
        let Some(variable) = ["context.", "vars."].iter().find_map(|section| path.strip_prefix(section))
        else {
            return Vec::new();
        };
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let is_overridden = |side: &ConfigurationSide<'_>| {
            side.overridden.iter().any(|key| within(variable, key) || within(key, variable))
        };
        [(SideName::From, &self.from), (SideName::To, &self.to)]
            .into_iter()
            .filter(|(_, side)| side.as_ref().is_some_and(is_overridden))
            .map(|(name, _)| name)
            .collect()
    }
}

fn differing(from: Option<Flat>, to: Option<Flat>) -> Vec<ConfigurationDifference> {
    let pairs = pairs(from.unwrap_or_default(), to.unwrap_or_default()).into_iter();
    pairs.map(|(path, pair)| difference(path, pair, Vec::new())).filter(differs).collect()
}

fn component_pairs(sides: &ComponentSides<'_>) -> Vec<(String, Pair)> {
    let both = [sides.from.as_ref(), sides.to.as_ref()];
    let targets = both.iter().flatten().filter_map(|side| side.deployment.targets.get(side.target));
    // A value that only an override sets on one side is still a value of the context.
    let in_context: IndexSet<&str> =
        targets.flat_map(|target| target.context.keys()).map(String::as_str).collect();
    let [from, to] =
        both.map(|side| side.and_then(|side| component_values(side, sides.component, &in_context)));
    pairs(from.unwrap_or_default(), to.unwrap_or_default())
}

/// The paths of both sides, with their values. A default is listed only next to another value:
/// where the other side has nothing, the default was not written.
fn pairs(from: Flat, mut to: Flat) -> Vec<(String, Pair)> {
    let mut both = Vec::new();
    for (path, here) in from {
        let there = to.shift_remove(&path).map(|there| there.value);
        if there.is_some() || !here.is_default {
            both.push((path, (Some(here.value), there)));
        }
    }
    let only_there = to.into_iter().filter(|(_, there)| !there.is_default);
    both.extend(only_there.map(|(path, there)| (path, (None, Some(there.value)))));
    both
}

/// The variables and settings of a component on one side.
fn component_values(
    side: &ConfigurationSide<'_>,
    component: &ComponentName,
    in_context: &IndexSet<&str>,
) -> Option<Flat> {
    let component = side.deployment.component(component)?;
    let mut flat = Flat::new();
    for (name, value) in &side.vars {
        let section = if in_context.contains(name.as_str()) { "context" } else { "vars" };
        flatten(&mut flat, format!("{section}.{name}"), value.clone());
    }
    if let Some(source) = &side.source {
        flat.insert("source".to_owned(), Declared::written(json!(source)));
    }
    add_declared(&mut flat, component);
    Some(flat)
}

/// Adds a component's declarations other than variables and labels.
fn add_declared(flat: &mut Flat, component: &Component) {
    let mut add = |path: &str, value: Declared| flat.insert(path.to_owned(), value);
    let Component { kind, name, depends_on, settings, .. } = component;
    add("type", Declared::written(json!(kind)));
    add("folder", Declared::or_default(json!(component.folder()), &json!(name)));
    add("depends_on", Declared::or_default(json!(depends_on), &json!([])));
    let RunLimits { timeout, retries } = settings.limits;
    if let Some(timeout) = timeout {
        add(&format!("settings.{kind}.timeout"), Declared::written(duration(timeout)));
    }
    add(&format!("settings.{kind}.retries"), Declared::or_default(json!(retries), &json!(0)));
    if let Some(CommandSettings { plan, apply, working_directory }) = &settings.command {
        add("settings.command.apply", Declared::written(json!(apply)));
        let plan = plan.as_ref().map(|plan| ("plan", json!(plan)));
        let directory = working_directory.as_ref().map(|path| ("working_directory", json!(path)));
        for (name, value) in plan.into_iter().chain(directory) {
            add(&format!("settings.command.{name}"), Declared::written(value));
        }
    }
    if let Some(nixpack) = &settings.nixpack {
        let default = values_of(&NixpackSettings::default());
        for ((name, value), (_, default)) in values_of(nixpack).into_iter().zip(default) {
            add(&format!("settings.nixpack.{name}"), Declared::or_default(value, &default));
        }
    }
    let TerraformOptions { lock_timeout } = settings.terraform;
    if let Some(lock_timeout) = lock_timeout {
        add("settings.terraform.lock_timeout", Declared::written(duration(lock_timeout)));
    }
    let HelmfileOptions { environment, selectors } = &settings.helmfile;
    if let Some(environment) = environment {
        add("settings.helmfile.environment", Declared::written(json!(environment)));
    }
    add("settings.helmfile.selectors", Declared::or_default(json!(selectors), &json!([])));
    if let Some(HealthCheck { probe, timeout, interval, required }) = &settings.health {
        let (default_timeout, default_interval) = (HealthCheck::TIMEOUT, HealthCheck::INTERVAL);
        add("settings.health.timeout", Declared::or_default(duration(*timeout), &duration(default_timeout)));
        add(
            "settings.health.interval",
            Declared::or_default(duration(*interval), &duration(default_interval)),
        );
        add("settings.health.required", Declared::or_default(json!(required), &json!(true)));
        flatten(flat, "settings.health".to_owned(), json!(probe));
    }
}

fn values_of(settings: &NixpackSettings) -> [(&'static str, Value); 5] {
    let NixpackSettings { publish, dockerfile_escape, sbom_required, sbom_formats, test } = settings;
    [
        ("publish", json!(publish)),
        ("dockerfile_escape", json!(dockerfile_escape)),
        ("sbom.require", json!(sbom_required)),
        ("sbom.formats", json!(sbom_formats)),
        ("test", json!(test)),
    ]
}

/// A duration as text.
fn duration(duration: Duration) -> Value {
    json!(format!("{duration:?}"))
}

fn add_labels(flat: &mut Flat, labels: &Labels) {
    flat.extend(
        labels.iter().map(|(name, value)| (format!("labels.{name}"), Declared::written(json!(value)))),
    );
}

/// Adds a value; a map is flattened into its values.
fn flatten(flat: &mut Flat, path: String, value: Value) {
    match value {
        Value::Object(values) if !values.is_empty() => {
            for (name, value) in values {
                flatten(flat, format!("{path}.{name}"), value);
            }
        }
        value => {
            flat.insert(path, Declared::written(value));
        }
    }
}

fn difference(path: String, (from, to): Pair, overridden: Vec<SideName>) -> ConfigurationDifference {
    ConfigurationDifference { path, from, to, overridden }
}

fn differs(difference: &ConfigurationDifference) -> bool {
    difference.change() != Change::NoChange
}

#[cfg(test)]
mod tests {

    use super::super::definition::{ComponentOverride, StackImport};
    use super::super::fixtures::{component_name, deployment, target_name};
    use super::super::resolution::Resolution;
    use super::super::stack_layer::NoStacks;
    use super::*;

    fn side<'a>(
        deployment: &'a Deployment,
        component: &Component,
        target: &'a TargetName,
    ) -> ConfigurationSide<'a> {
        let resolution =
            Resolution::as_declared(deployment, component, &deployment.targets[target], &NoStacks);
        let vars = resolution.resolve().unwrap().variables.values;
        ConfigurationSide { deployment, target, vars, overridden: Vec::new(), source: None }
    }

    fn values(value: &Value) -> Values {
        value.as_object().unwrap().clone()
    }

    fn sides<'a>(deployment: &'a Deployment, names: &'a [TargetName; 2]) -> Vec<ComponentSides<'a>> {
        deployment
            .components
            .iter()
            .map(|component| ComponentSides {
                component: &component.name,
                from: Some(side(deployment, component, &names[0])),
                to: Some(side(deployment, component, &names[1])),
            })
            .collect()
    }

    fn told(differences: &[ConfigurationDifference]) -> Vec<String> {
        differences
            .iter()
            .map(|difference| format!("{} {}", difference.path, difference.change().as_words()))
            .collect()
    }

    fn example() -> Deployment {
        let mut deployment = deployment(&["api", "worker"], &[("staging", &[]), ("prod", &["staging"])]);
        deployment.components[0].vars = values(&json!({"source": "./api"}));
        let (staging, prod) = (target_name("staging"), target_name("prod"));
        deployment.targets[&staging].context =
            values(&json!({"cpu": 512, "level": "warn", "scale": {"min": 1, "max": 4}}));
        deployment.targets[&prod].context =
            values(&json!({"cpu": 2048, "level": "warn", "scale": {"max": 2}}));
        let changes = ComponentOverride { vars: values(&json!({"cpu": 512, "queue": "slow"})) };
        deployment.targets[&prod].components.insert(component_name("worker"), changes);
        deployment
    }

    #[test]
    fn the_context_is_told_once_where_components_agree() {
        let deployment = example();
        let names = [target_name("staging"), target_name("prod")];
        assert_eq!(
            told(&of_components(&sides(&deployment, &names), true)),
            [
                "api.context.cpu increased",
                "worker.context.cpu no change",
                "context.level no change",
                "context.scale.min removed",
                "context.scale.max decreased",
                "worker.vars.queue added",
            ]
        );
        let one = &sides(&deployment, &names)[..1];
        let alone = of_components(one, false);
        assert_eq!(told(&alone)[..2], ["api.context.cpu increased", "api.context.level no change"]);
    }

    #[test]
    fn a_value_of_the_command_line_is_told_as_one() {
        let deployment = example();
        let names = [target_name("staging"), target_name("prod")];
        let mut sides = sides(&deployment, &names);
        let worker = sides[1].to.as_mut().unwrap();
        worker.overridden = ["level", "scale.max"].map(str::to_owned).to_vec();
        worker.vars.insert("level".to_owned(), json!("debug"));
        let differences = of_components(&sides, true);
        let overridden = |path: &str| {
            let found = differences.iter().find(|difference| difference.path == path);
            found.map(|difference| difference.overridden.clone())
        };
        assert_eq!(overridden("worker.context.level"), Some(vec![SideName::To]));
        assert_eq!(overridden("api.context.level"), Some(Vec::new()));
        // The same value on both components, of which only one has it from the command line.
        assert_eq!(overridden("worker.context.scale.max"), Some(vec![SideName::To]));
        assert_eq!(overridden("context.scale.min"), Some(Vec::new()));
    }

    #[test]
    fn a_component_that_one_side_lacks_was_added() {
        let deployment = example();
        let names = [target_name("staging"), target_name("prod")];
        let api = ComponentSides { from: None, ..sides(&deployment, &names).remove(0) };
        let told = told(&of_components(&[api], false));
        // Defaults that apply on both sides were not added.
        let added = ["context.cpu", "context.level", "context.scale.max"];
        let added = added.iter().map(|path| format!("api.{path} added"));
        let written = ["api.vars.source added".to_owned(), "api.type added".to_owned()];
        assert_eq!(told, added.chain(written).collect::<Vec<_>>());
    }

    #[test]
    fn a_default_is_told_only_beside_what_was_written() {
        let (before, mut after) = (example(), example());
        let prod = target_name("prod");
        let api = &mut after.components[0];
        api.settings.nixpack = Some(NixpackSettings { publish: false, ..NixpackSettings::default() });
        api.settings.limits.retries = 2;
        let sides = |from: &Deployment, to: &Deployment| {
            let mut from = from.clone();
            from.components[0].settings.nixpack.get_or_insert_default();
            let api = ComponentSides {
                component: &component_name("api"),
                from: Some(side(&from, &from.components[0], &prod)),
                to: Some(side(to, &to.components[0], &prod)),
            };
            let differing = of_components(&[api], false).into_iter().filter(differs);
            told(&differing.collect::<Vec<_>>())
        };
        assert_eq!(
            sides(&before, &after),
            ["api.settings.nixpack.retries increased", "api.settings.nixpack.publish changed"]
        );
        assert_eq!(
            told(&of_target(None, Some(&after), &prod)),
            ["promotion.from added", "promotion.requires_approval added"]
        );
        assert_eq!(told(&of_deployment(None, Some(&before))), [""; 0]);
    }

    #[test]
    fn what_differs_alike_on_all_targets_is_told_once() {
        let value = |path: &str, from: i32, to: i32| {
            difference(path.to_owned(), (Some(json!(from)), Some(json!(to))), Vec::new())
        };
        let (dev, prod) = (target_name("dev"), target_name("prod"));
        let all = across_targets(&[
            (&dev, vec![value("api.vars.port", 1, 2), value("context.cpu", 1, 1)]),
            (&prod, vec![value("api.vars.port", 1, 2), value("context.cpu", 1, 4)]),
        ]);
        assert_eq!(told(&all), ["api.vars.port increased", "targets.prod.context.cpu increased"]);
    }

    #[test]
    fn rules_and_settings_that_change_are_told() {
        let before = example();
        let mut after = example();
        let prod = target_name("prod");
        let file = "deployments/payment-service.yaml".to_owned();
        after.stacks.push(StackImport { path: "platform/vpc".to_owned(), file, line: 3, column: 5 });
        after.labels.insert("team".to_owned(), "backend".to_owned());
        after.components[1].depends_on.push(component_name("api"));
        if let Some(rule) = &mut after.targets[&prod].promotion {
            rule.requires_approval = false;
        }
        assert_eq!(
            told(&of_deployment(Some(&before), Some(&after))),
            ["stacks changed", "labels.team added"]
        );
        assert_eq!(
            told(&of_target(Some(&before), Some(&after), &prod)),
            ["promotion.requires_approval changed"]
        );
        let worker = ComponentSides {
            component: &component_name("worker"),
            from: Some(side(&before, &before.components[1], &prod)),
            to: Some(side(&after, &after.components[1], &prod)),
        };
        let changed: Vec<_> = of_components(&[worker], false).into_iter().filter(differs).collect();
        assert_eq!(told(&changed), ["worker.depends_on changed"]);
    }
}
