//! The lines of `status` beside its table: facts of records, observations, warnings.

use crate::deployment::RecordStatus;
use crate::deployment::count::count_have;
use crate::render::document::locks::LockEntry;
use crate::render::document::status::{ComponentStatus, DeploymentEntry, TargetEntry};
use crate::render::escape::escape;
use crate::render::rollout::planned_changes;
use crate::render::{Presentation, status_style, style, styled};

use super::marked;

/// Further facts of the records: once where all have the same, otherwise with the names of their
/// components.
pub(super) fn record_facts(components: &[ComponentStatus], presentation: &Presentation) -> Vec<String> {
    let approval = |component: &ComponentStatus| {
        let by = component.approved_by.clone()?;
        Some(match component.approved_at {
            Some(at) => format!("{by} ({})", presentation.clock.exact(at)),
            None => by,
        })
    };
    let promoted_from =
        |component: &ComponentStatus| component.promoted_from.as_ref().map(ToString::to_string);
    [
        fact("Promoted from", components, promoted_from),
        fact("Approved by", components, approval),
        fact("Rollback of", components, |component| {
            component.rollback_of.as_deref().map(crate::render::history::short)
        }),
        fact("Held", components, |component| {
            component.hold.then(|| "no pipeline alone moves it forwards".to_owned())
        }),
        fact("Context", components, |component| {
            let overrides = component.context_overrides.iter();
            let overrides: Vec<_> = overrides.map(|(key, value)| format!("{key}={value}")).collect();
            (!overrides.is_empty()).then(|| format!("--context {}", overrides.join(" ")))
        }),
        fact("Build ID", components, |component| component.build_id.clone()),
        fact("PR", components, |component| component.metadata.get("pr").cloned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The last observations of the components, with their ages.
pub(super) fn observations(components: &[ComponentStatus], presentation: &Presentation) -> Vec<String> {
    let health = |component: &ComponentStatus| {
        Some(presentation.seen(component.health.as_ref()?, component.health_checked_at))
    };
    let drift = |component: &ComponentStatus| {
        let changes = component.drift_changes.map(|changes| format!(" ({})", planned_changes(changes)));
        let found = format!("{}{}", component.drift?.as_words(), changes.unwrap_or_default());
        Some(presentation.seen(&found, component.drift_checked_at))
    };
    [fact("Health", components, health), fact("Drift", components, drift)].into_iter().flatten().collect()
}

fn fact(
    label: &str,
    components: &[ComponentStatus],
    value: impl Fn(&ComponentStatus) -> Option<String>,
) -> Option<String> {
    let mut values: Vec<(String, Vec<&str>)> = Vec::new();
    for component in components {
        let Some(found) = value(component) else { continue };
        let name = component.component.as_str();
        match values.iter_mut().find(|(known, _)| *known == found) {
            Some((_, names)) => names.push(name),
            None => values.push((found, vec![name])),
        }
    }
    let shown: Vec<_> = values
        .iter()
        .map(|(value, names)| {
            if names.len() == components.len() {
                escape(value).into_owned()
            } else {
                format!("{} ({})", escape(value), escape(&names.join(", ")))
            }
        })
        .collect();
    (!shown.is_empty()).then(|| format!("{label}: {}", shown.join(", ")))
}

/// A warning, as text and its colour.
type Warning = (String, owo_colors::Style);

/// The warnings of a target and of its components, each with the name of its component.
pub(super) fn warnings(target: &TargetEntry, presentation: &Presentation) -> Vec<String> {
    let freeze = freeze(target, presentation).map(|frozen| styled(&frozen, style::WARN));
    let components = target.components.iter().flat_map(|component| {
        let named = |(line, style): Warning| {
            styled(&format!("{}: {line}", escape(component.component.as_str())), style)
        };
        of_component(component, presentation).into_iter().map(named)
    });
    freeze.into_iter().chain(components).collect()
}

fn freeze(target: &TargetEntry, presentation: &Presentation) -> Option<String> {
    let clock = &presentation.clock;
    let lock = target.lock.as_ref().filter(|lock| !lock.expired)?;
    let until = lock.expires_at.map(|at| format!(", until {}", clock.exact(at))).unwrap_or_default();
    let reason = lock.reason.as_ref().map(|reason| format!(": {}", escape(reason))).unwrap_or_default();
    let since = clock.relative_and_exact(lock.acquired_at);
    Some(format!("Frozen by {} {since}{until}{reason}", escape(&lock.holder)))
}

fn of_component(component: &ComponentStatus, presentation: &Presentation) -> Vec<Warning> {
    let clock = &presentation.clock;
    let attempt = component.last_attempt.as_ref().map(|attempt| {
        let by = attempt.by.as_ref().map(|by| format!(" by {}", escape(by))).unwrap_or_default();
        let runs = match &component.commit {
            Some(commit) => format!("{} still runs", commit.short()),
            None if attempt.status == RecordStatus::Success => "what runs is not known".to_owned(),
            None => "nothing runs".to_owned(),
        };
        let (commit, status) = (attempt.commit.short(), attempt.status);
        let line = format!(
            "the last attempt ({commit}) {} {}{by}; {runs}",
            if status == RecordStatus::Cancelled { "was cancelled" } else { status.as_str() },
            clock.relative(attempt.at),
        );
        (line, status_style(status))
    });
    let unpublished = (component.unpublished > 0).then(|| {
        let records = count_have(component.unpublished, "record");
        (format!("{records} not reached the remote yet"), style::WARN)
    });
    let lock = component.lock.as_ref().map(|lock| lock_of(component, lock, presentation));
    [attempt, unpublished, lock].into_iter().flatten().collect()
}

/// The lock of a component, or the remains of a run that did not end.
fn lock_of(component: &ComponentStatus, lock: &LockEntry, presentation: &Presentation) -> Warning {
    let since = presentation.clock.relative(lock.acquired_at);
    let by = format!("by {} {since} (run {})", escape(&lock.holder), escape(&lock.run_id));
    let ahead = lock.commit.as_ref().filter(|commit| component.commit.as_ref() != Some(*commit));
    let ended = if lock.dead {
        "died"
    } else if lock.expired {
        "has not ended, and its lock has run out"
    } else {
        let to = ahead.map(|commit| format!(", to roll out {}", commit.short())).unwrap_or_default();
        let reason = lock.reason.as_ref().map(|reason| format!(": {}", escape(reason))).unwrap_or_default();
        return (format!("locked {by}{to}{reason}"), style::PLAIN);
    };
    let line = match ahead {
        Some(commit) => {
            format!("the rollout of {} {by} {ended}: whether it was applied is not known", commit.short())
        }
        None => format!("locked {by}, which {ended}"),
    };
    (line, style::WARN)
}

/// The details of a component for programs, in one cell, which escapes them.
pub(super) fn details(
    deployment: &DeploymentEntry,
    target: &TargetEntry,
    component: Option<&ComponentStatus>,
    presentation: &Presentation,
) -> String {
    let gone = [
        deployment.removed.then_some("deployment"),
        target.removed.then_some("target"),
        component.is_some_and(|component| component.removed).then_some("component"),
    ];
    let mut all: Vec<_> = gone.into_iter().flatten().map(|gone| marked(gone, true)).collect();
    if let Some(component) = component {
        let alone = std::slice::from_ref(component);
        all.extend(observations(alone, presentation));
        all.extend(of_component(component, presentation).into_iter().map(|(line, _)| line));
        all.extend(record_facts(alone, presentation));
    }
    all.extend(freeze(target, presentation));
    all.join("; ")
}
