//! `--label`: filters deployments, targets and components by their labels.

use crate::deployment::Deployment;
use crate::deployment::definition::Labels;
use crate::text::KeyValue;

/// Whether a deployment has all of these labels: by itself, or together with one of its targets.
pub(super) fn has_labels(deployment: &Deployment, labels: &[KeyValue]) -> bool {
    holds_all(labels, &[&deployment.labels])
        || deployment.targets.values().any(|target| holds_all(labels, &[&deployment.labels, &target.labels]))
}

/// Whether each label is in at least one of the sets.
pub(super) fn holds_all(labels: &[KeyValue], sets: &[&Labels]) -> bool {
    labels.iter().all(|label| sets.iter().any(|set| set.get(&label.key) == Some(&label.value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::fixtures::{deployment, target_name};

    #[test]
    fn labels_hold_together_on_one_target() {
        let mut deployment = deployment(&["api"], &[("dev", &[]), ("prod", &["dev"])]);
        let set = |key: &str, value: &str| -> Labels { [(key.to_owned(), value.to_owned())].into() };
        deployment.labels = set("service", "api");
        deployment.targets[&target_name("dev")].labels = set("environment", "dev");
        deployment.targets[&target_name("prod")].labels = set("tier", "1");
        let has = |labels: &[&str]| {
            let labels: Vec<KeyValue> = labels.iter().map(|label| label.parse().unwrap()).collect();
            has_labels(&deployment, &labels)
        };
        assert!(has(&[]));
        assert!(has(&["service=api", "environment=dev"]));
        assert!(!has(&["environment=dev", "tier=1"]));
        assert!(!has(&["service=web"]));
    }
}
