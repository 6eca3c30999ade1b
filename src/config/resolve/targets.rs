//! Targets: names, context, promotion rules, overrides.

use indexmap::IndexMap;

use crate::deployment::definition::{ComponentOverride, Values};
use crate::deployment::graph::Cycle;
use crate::deployment::names::ComponentReference;
use crate::deployment::{ComponentName, Deployment, PromotionRule, Target, TargetName, promotion};

use super::super::deployment_file::{OverrideSection, PromotionSection, TargetSection};
use super::super::nearest;
use super::super::problem::Problems;
use super::super::span::Span;
use super::target_stack::StackNames;
use super::{Places, arrows, settings};

/// Adds the file's targets to the deployment, whose components are already resolved.
pub(super) fn resolve(
    section: IndexMap<String, Option<TargetSection>>,
    deployment: &mut Deployment,
    places: Places<'_>,
    problems: &mut Problems<'_>,
) {
    if section.is_empty() && !places.has_content(&["targets"]) {
        let hint = "add at least `targets: { dev: {} }` to roll it out".to_owned();
        problems.warning(places.key(&["targets"]), "the deployment has no targets", Some(hint));
    }
    let names: Vec<String> = section.keys().cloned().collect();
    for (written, target) in section {
        let name = match written.parse::<TargetName>() {
            Ok(name) => name,
            Err(error) => {
                problems.error(places.key(&["targets", &written]), error.to_string(), None);
                continue;
            }
        };
        let target = target.unwrap_or_default();
        let context = context(target.context, target.shorthand, &name, places, problems);
        // An empty `promotion:` must not silently open the target for any commit.
        let is_empty = target.promotion.is_none() && places.is_empty(&["targets", &written, "promotion"]);
        let section = if is_empty { Some(PromotionSection::default()) } else { target.promotion };
        let promotion = section.and_then(|section| rule(section, &name, &names, places, problems));
        let components = overrides(target.components, deployment, &name, places, problems);
        let labels = target.labels.unwrap_or_default();
        let names = StackNames { labels: &labels, context: &context, target: &name };
        let stack = target.stack.and_then(|written| names.stack(&written, deployment, places, problems));
        let target = Target { name: name.clone(), labels, context, stack, promotion, components };
        deployment.targets.insert(name, target);
    }
    check_cycle(deployment, places, problems);
}

/// A target's context, merged with the shorthand entries outside of `context`.
fn context(
    context: Option<Values>,
    shorthand: Values,
    target: &TargetName,
    places: Places<'_>,
    problems: &mut Problems<'_>,
) -> Values {
    let mut context = context.unwrap_or_default();
    let place = |key: &str| places.key(&["targets", target.as_str(), key]);
    let mut taken: Vec<String> = Vec::new();
    for (key, value) in shorthand {
        if context.contains_key(&key) {
            let hint = "keep that one".to_owned();
            problems.error(place(&key), format!("`{key}` is also set under `context`"), Some(hint));
        } else {
            context.insert(key.clone(), value);
            taken.push(key);
        }
    }
    if let Some(first) = taken.first() {
        let keys: Vec<String> = taken.iter().map(|key| format!("`{key}`")).collect();
        let hint = format!("write `context: {{ {first}: … }}`");
        let message = format!("{} of target `{target}` taken as context", keys.join(", "));
        problems.warning(place(first), message, Some(hint));
    }
    context
}

/// A promotion rule (`target-promotion.md`, rules 2 to 5).
fn rule(
    section: PromotionSection,
    target: &TargetName,
    targets: &[String],
    places: Places<'_>,
    problems: &mut Problems<'_>,
) -> Option<PromotionRule> {
    let path = |key| ["targets", target.as_str(), "promotion", key];
    let requires_approval = section.requires_approval.unwrap_or(false);
    let about_approvals = [
        ("approval_method", section.approval_method.is_some()),
        ("approval_expires", section.approval_expires.is_some()),
        ("require_digest", section.require_digest.is_some()),
    ];
    for (key, _) in about_approvals.into_iter().filter(|(_, is_there)| *is_there && !requires_approval) {
        let hint = "add `requires_approval: true`, or remove it".to_owned();
        let message = format!("`{key}` has no effect without `requires_approval: true`");
        problems.warning(places.key(&path(key)), message, Some(hint));
    }
    let approval_expires = section.approval_expires.as_deref();
    let approval_expires = approval_expires
        .and_then(|text| settings::duration(text, places.value(&path("approval_expires")), problems));
    let is_entry_point = requires_approval || section.hold.is_some();
    let written: Vec<(String, Span)> = match (section.from, section.allowed_from) {
        (from, Some(allowed)) => {
            if from.is_some() {
                let hint = "keep one of them".to_owned();
                let message = format!("target `{target}` has both `from` and `allowed_from`");
                problems.error(places.key(&path("allowed_from")), message, Some(hint));
            }
            let from = from.map(|from| (from, places.value(&path("from"))));
            let allowed = allowed.into_iter().enumerate();
            from.into_iter()
                .chain(allowed.map(|(index, name)| (name, places.item(&path("allowed_from"), index))))
                .collect()
        }
        (Some(from), None) => vec![(from, places.value(&path("from")))],
        (None, None) => {
            // An existing but invalid value has been reported already.
            let is_wrong = ["from", "allowed_from"].into_iter().any(|key| places.has(&path(key)));
            if !is_wrong && !is_entry_point {
                let hint =
                    "an entry point has no `promotion`, or one with `requires_approval: true`".to_owned();
                let message =
                    format!("the promotion of target `{target}` has neither `from` nor `allowed_from`");
                problems.error(places.key(&["targets", target.as_str(), "promotion"]), message, Some(hint));
            }
            if is_wrong || !is_entry_point {
                return None;
            }
            Vec::new()
        }
    };
    let mut sources: Vec<TargetName> = Vec::new();
    for (source, span) in written {
        if !targets.contains(&source) {
            let hint = nearest::hint(&source, "targets", targets.iter().map(String::as_str));
            let message = format!("target `{target}` is promoted from `{source}`, which does not exist");
            problems.error(span, message, Some(hint));
        } else if let Ok(source) = source.parse()
            && !sources.contains(&source)
        {
            sources.push(source);
        }
    }
    Some(PromotionRule {
        sources,
        requires_approval,
        approval_method: section.approval_method.unwrap_or_default(),
        approval_expires: approval_expires.unwrap_or(PromotionRule::APPROVAL_EXPIRES),
        require_digest: section.require_digest.unwrap_or(false),
        hold: section.hold,
    })
}

/// A target's component overrides, by component name.
fn overrides(
    section: Option<IndexMap<String, Option<OverrideSection>>>,
    deployment: &Deployment,
    target: &TargetName,
    places: Places<'_>,
    problems: &mut Problems<'_>,
) -> IndexMap<ComponentName, ComponentOverride> {
    let mut overrides = IndexMap::new();
    for (written, change) in section.into_iter().flatten() {
        let place = places.key(&["targets", target.as_str(), "components", &written]);
        let Some(component) = deployment.find(&ComponentReference(written.clone())) else {
            let names = deployment.components.iter().map(|component| component.name.as_str());
            let hint = nearest::hint(&written, "components", names);
            problems.error(place, format!("the component `{written}` does not exist"), Some(hint));
            continue;
        };
        let vars = change.unwrap_or_default().vars.unwrap_or_default();
        if overrides.insert(component.name.clone(), ComponentOverride { vars }).is_some() {
            problems.error(place, format!("the component `{}` comes up twice", component.name), None);
        }
    }
    overrides
}

/// Refuses circular promotion paths (`target-promotion.md`, rule 6).
fn check_cycle(deployment: &Deployment, places: Places<'_>, problems: &mut Problems<'_>) {
    let rules = deployment.targets.iter().map(|(name, target)| (name, target.promotion.as_ref()));
    if let Some(Cycle(path)) = promotion::cycle(rules)
        && let Some(first) = path.first()
    {
        let span = places.key(&["targets", first.as_str(), "promotion"]);
        // The graph's edges point to the prerequisites; readers expect the order of promotion.
        let path = arrows(path.iter().rev().map(TargetName::as_str));
        problems.error(span, format!("circular promotion path: {path}"), None);
    }
}
