//! Observations of a running component: health and drift. They are stored as notes on the running
//! commit, so that later commands can show the last observation and its time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::diff::Drift;
use super::health::{Health, HealthStatus};
use super::names::{ComponentName, TargetName};
use super::rollout_report::Changes;

/// The finding of a drift check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DriftFinding {
    pub drift: Drift,
    /// The planned changes, for kinds that report them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
}

/// One observation of one component on one target. Of several, the newest counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation<T> {
    pub target: TargetName,
    pub component: ComponentName,
    pub checked_at: Timestamp,
    #[serde(flatten)]
    pub finding: T,
}

/// Observations by target and component.
pub type ByPlace<T> = BTreeMap<(TargetName, ComponentName), Observation<T>>;

/// The last observations of the running components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observations {
    pub health: ByPlace<Health>,
    pub drift: ByPlace<DriftFinding>,
}

/// The combined health of the components of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    pub health: Health,
    /// The time of the oldest of these observations.
    pub checked_at: Timestamp,
}

impl Observations {
    /// The health of a target: the worst of its observed components. `None` without observations.
    #[must_use]
    pub fn health_of(&self, target: &TargetName) -> Option<TargetHealth> {
        let seen: Vec<_> = self.health.values().filter(|seen| seen.target == *target).collect();
        let status = seen.iter().map(|seen| seen.finding.status).max_by_key(|status| status.severity())?;
        let checked_at = seen.iter().map(|seen| seen.checked_at).min()?;
        let these: Vec<_> = seen.iter().filter(|seen| seen.finding.status == status).collect();
        let names = || these.iter().map(|seen| seen.component.as_str()).collect::<Vec<_>>().join(", ");
        let detail = match (these.as_slice(), status) {
            ([only], _) if seen.len() == 1 => only.finding.detail.clone(),
            (_, HealthStatus::Healthy) => None,
            ([Observation { component, finding: Health { detail: Some(detail), .. }, .. }], _) => {
                Some(format!("{component}: {detail}"))
            }
            _ => Some(names()),
        };
        Some(TargetHealth { health: Health { status, detail }, checked_at })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{observed, target_name};
    use super::*;

    fn of_prod(found: &[(&str, &str, HealthStatus, &str)]) -> Option<String> {
        observed(found).health_of(&target_name("prod")).map(|found| found.health.to_string())
    }

    #[test]
    fn a_target_is_as_its_worst_component() {
        use HealthStatus::{Healthy, Unhealthy, Unknown};
        let (api, worker) = (("prod", "api", Healthy, "2/2 tasks"), ("prod", "worker", Healthy, "HTTP 200"));
        let elsewhere = ("dev", "api", Unhealthy, "HTTP 503");
        assert_eq!(of_prod(&[elsewhere]), None);
        assert_eq!(of_prod(&[api, elsewhere]).unwrap(), "healthy (2/2 tasks)");
        assert_eq!(of_prod(&[api, worker]).unwrap(), "healthy");
        let stuck = ("prod", "worker", Unhealthy, "stuck");
        assert_eq!(of_prod(&[api, stuck]).unwrap(), "unhealthy (worker: stuck)");
        let silent = ("prod", "database", Unknown, "no answer");
        assert_eq!(of_prod(&[api, silent]).unwrap(), "unknown (database: no answer)");
        assert_eq!(
            of_prod(&[silent, stuck, ("prod", "api", Unhealthy, "")]).unwrap(),
            "unhealthy (api, worker)"
        );
    }

    #[test]
    fn it_is_known_as_long_as_the_oldest_look() {
        let at = |hour: u8| format!("2025-01-22T{hour}:00:00Z").parse().unwrap();
        let mut observed = observed(&[
            ("prod", "api", HealthStatus::Healthy, "2/2 tasks"),
            ("prod", "worker", HealthStatus::Unhealthy, "stuck"),
        ]);
        for (seen, hour) in observed.health.values_mut().zip([10, 11]) {
            seen.checked_at = at(hour);
        }
        assert_eq!(observed.health_of(&target_name("prod")).unwrap().checked_at, at(10));
    }
}
