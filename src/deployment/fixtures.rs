//! Deployments and ledger states for tests, modelled on the specification's `payment-service`.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;

use super::definition::{
    Component, ComponentSettings, Deployment, DeploymentContext, Labels, PromotionRule, Target, Values,
};
use super::health::{Health, HealthStatus};
use super::lock::{HeldLock, Lock, LockScope};
use super::observation::{Observation, Observations};
use super::record::{LedgerRecord, Record, RecordDetails, RecordId, RecordStatus};
use super::state::{ComponentState, DeploymentState, TargetState};
use super::{CommitId, ComponentKind, ComponentName, ObjectId, TargetName};

/// A commit whose short form is the given seven digits.
pub(crate) fn commit(short: &str) -> CommitId {
    format!("{short:0<40}").parse().unwrap()
}

/// A name as the digits of an id, at least seven.
pub(crate) fn hexadecimal(name: &str) -> String {
    let digits = name.bytes().fold(String::new(), |digits, byte| digits + &format!("{byte:x}"));
    format!("{digits:0<7}")
}

pub(crate) fn target_name(name: &str) -> TargetName {
    name.parse().unwrap()
}

pub(crate) fn component_name(name: &str) -> ComponentName {
    name.parse().unwrap()
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A deployment of nixpack components, its targets with their promotion
/// sources. `prod` requires approval.
pub(crate) fn deployment(components: &[&str], targets: &[(&str, &[&str])]) -> Deployment {
    let target = |name: &str, sources: &[&str]| Target {
        name: target_name(name),
        labels: Labels::new(),
        context: Values::new(),
        stack: None,
        promotion: (!sources.is_empty()).then(|| PromotionRule {
            sources: sources.iter().copied().map(target_name).collect(),
            requires_approval: name == "prod",
            ..PromotionRule::default()
        }),
        components: IndexMap::new(),
    };
    Deployment {
        name: "payment-service".parse().unwrap(),
        description: None,
        labels: Labels::new(),
        stacks: Vec::new(),
        context: DeploymentContext::default(),
        components: components
            .iter()
            .map(|name| Component {
                name: component_name(name),
                kind: ComponentKind::Nixpack,
                folder: None,
                labels: Labels::new(),
                depends_on: Vec::new(),
                vars: Values::new(),
                settings: ComponentSettings::default(),
            })
            .collect(),
        targets: targets.iter().map(|(name, sources)| (target_name(name), target(name, sources))).collect(),
        vendor: None,
    }
}

pub(crate) fn record(
    target: &str,
    component: &str,
    commit_short: &str,
    status: RecordStatus,
    at: &str,
) -> LedgerRecord {
    let timestamp = time(at);
    LedgerRecord {
        id: RecordId {
            deployment: "payment-service".parse().unwrap(),
            target: target_name(target),
            component: component_name(component),
            timestamp,
            sequence: 1,
        },
        object: commit("0bec7").0,
        record: Box::new(Record {
            deployment: "payment-service".parse().unwrap(),
            target: target_name(target),
            component: component_name(component),
            component_type: Some(ComponentKind::Nixpack),
            deployed_by: Some("ci@example.com".to_owned()),
            build_id: None,
            commit: commit(commit_short),
            timestamp,
            status,
            promoted_from: None,
            promoted_at: None,
            rollback_of: None,
            previous: None,
            run_id: None,
            artifacts: BTreeMap::new(),
            sources: BTreeMap::new(),
            context_overrides: BTreeMap::new(),
            metadata: BTreeMap::new(),
            details: RecordDetails::default(),
            unknown: Values::new(),
        }),
    }
}

/// A component that runs the commit of its newest record.
pub(crate) fn running(target: &str, component: &str, commit_short: &str, at: &str) -> ComponentState {
    let newest = Arc::new(record(target, component, commit_short, RecordStatus::Success, at));
    ComponentState {
        commit: Some(commit(commit_short)),
        newest: Some(newest.clone()),
        running: Some(newest),
        unpublished: 0,
    }
}

/// The state of `payment-service`: of each target, its components.
pub(crate) fn state(targets: Vec<(&str, Vec<(&str, ComponentState)>)>) -> DeploymentState {
    DeploymentState {
        deployment: "payment-service".parse().unwrap(),
        targets: targets
            .into_iter()
            .map(|(name, components)| {
                let components =
                    components.into_iter().map(|(name, state)| (component_name(name), state)).collect();
                (target_name(name), TargetState { components, locks: Vec::new() })
            })
            .collect(),
    }
}

/// Results of health checks at 13:00: target, component, finding.
pub(crate) fn observed(found: &[(&str, &str, HealthStatus, &str)]) -> Observations {
    let observation = |(target, component, status, detail): &(&str, &str, HealthStatus, &str)| {
        let (target, component) = (target_name(target), component_name(component));
        let place = (target.clone(), component.clone());
        let finding = Health::new(*status, *detail);
        let checked_at = time("2025-01-22T13:00:00Z");
        (place, Observation { target, component, checked_at, finding })
    };
    Observations { health: found.iter().map(observation).collect(), ..Observations::default() }
}

pub(crate) fn lock(scope: LockScope, expires_at: Option<&str>) -> HeldLock {
    HeldLock {
        scope,
        object: "10c4".repeat(10).parse::<ObjectId>().unwrap(),
        lock: Lock {
            holder: "alice@example.com".to_owned(),
            run_id: "github:123456789/1".to_owned(),
            run_url: None,
            reason: Some("incident #42".to_owned()),
            acquired_at: time("2025-01-22T13:30:00Z"),
            expires_at: expires_at.map(time),
            lease: None,
            host: None,
            process: None,
            process_started: None,
            user: None,
            session: None,
            intends: BTreeMap::new(),
            follows: BTreeMap::new(),
        },
    }
}
