//! Parses the answers of `kubectl` and `aws` about a workload into its health.

use serde::Deserialize;
use serde_json::Value;

use crate::deployment::health::{Health, HealthStatus};

/// The relevant part of `kubectl get <workload> --output=json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Workload {
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    generation: u64,
}

/// A workload is healthy when its controller has observed its newest specification and every
/// replica of that is ready.
pub(super) fn kubernetes(answer: &[u8]) -> Option<Health> {
    let workload: Workload = crate::text::json(answer).ok()?;
    let count = |name: &str| workload.status.get(name).and_then(Value::as_u64).unwrap_or(0);
    let replicas = workload.spec.get("replicas").and_then(Value::as_u64).unwrap_or(1);
    let (wanted, ready, updated) = match workload.kind.as_str() {
        "Deployment" => (replicas, count("availableReplicas"), count("updatedReplicas")),
        "StatefulSet" => (replicas, count("readyReplicas"), count("updatedReplicas")),
        "ReplicaSet" => (replicas, count("readyReplicas"), count("readyReplicas")),
        "DaemonSet" => {
            (count("desiredNumberScheduled"), count("numberReady"), count("updatedNumberScheduled"))
        }
        _ => return by_condition(&workload),
    };
    let observed = count("observedGeneration") >= workload.metadata.generation;
    let health = if observed && updated >= wanted && ready >= wanted {
        HealthStatus::Healthy
    } else {
        HealthStatus::Unhealthy
    };
    let old = if observed && updated < wanted { format!(", {updated} up to date") } else { String::new() };
    Some(Health::new(health, format!("{ready}/{wanted} pods{old}")))
}

/// The health of a resource without replicas, by its own readiness conditions.
fn by_condition(workload: &Workload) -> Option<Health> {
    let conditions = workload.status.get("conditions")?.as_array()?;
    let is = |condition: &&Value, name: &str| condition.get("type").and_then(Value::as_str) == Some(name);
    let ready = ["Ready", "Available", "Complete"];
    let condition = ready.iter().find_map(|name| conditions.iter().find(|condition| is(condition, name)))?;
    let health = match condition.get("status").and_then(Value::as_str)? {
        "True" => HealthStatus::Healthy,
        "False" => HealthStatus::Unhealthy,
        _ => HealthStatus::Unknown,
    };
    let reason = condition.get("reason").and_then(Value::as_str).map(str::to_owned);
    Some(Health { status: health, detail: reason })
}

/// The relevant part of `aws ecs describe-services --output json`.
#[derive(Debug, Deserialize)]
struct Services {
    services: Vec<Service>,
    #[serde(default)]
    failures: Vec<Failure>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    status: String,
    desired_count: u64,
    running_count: u64,
    #[serde(default)]
    deployments: Vec<EcsDeployment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EcsDeployment {
    #[serde(default)]
    rollout_state: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    reason: Option<String>,
}

/// A service is healthy when it is active, all of its tasks run, and no other deployment of it is
/// in progress.
pub(super) fn ecs(answer: &[u8]) -> Option<Health> {
    let Services { services, failures } = crate::text::json(answer).ok()?;
    let Some(service) = services.into_iter().next() else {
        let reason = failures.into_iter().find_map(|failure| failure.reason);
        return Some(Health::new(
            HealthStatus::Unknown,
            reason.unwrap_or_else(|| "no such service".to_owned()),
        ));
    };
    let Service { status, desired_count, running_count, deployments } = service;
    let completed = |deployment: &EcsDeployment| {
        deployment.rollout_state.as_deref().is_none_or(|state| state == "COMPLETED")
    };
    let settled = deployments.len() <= 1 && deployments.iter().all(completed);
    let mut detail = format!("{running_count}/{desired_count} tasks");
    if status != "ACTIVE" {
        detail = format!("{detail}, {}", status.to_lowercase());
    } else if !settled {
        detail.push_str(", being deployed");
    }
    let healthy = status == "ACTIVE" && settled && running_count >= desired_count;
    Some(Health::new(if healthy { HealthStatus::Healthy } else { HealthStatus::Unhealthy }, detail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(read: fn(&[u8]) -> Option<Health>, answer: &Value) -> String {
        read(answer.to_string().as_bytes()).map_or_else(|| "none".to_owned(), |health| health.to_string())
    }

    #[test]
    fn a_workload_is_healthy_when_all_of_its_newest_is_ready() {
        let deployment = |observed: u64, updated: u64, available: u64| {
            json!({
                "kind": "Deployment", "metadata": {"generation": 4}, "spec": {"replicas": 3},
                "status": {"observedGeneration": observed, "updatedReplicas": updated, "availableReplicas": available}
            })
        };
        assert_eq!(shown(kubernetes, &deployment(4, 3, 3)), "healthy (3/3 pods)");
        assert_eq!(shown(kubernetes, &deployment(3, 3, 3)), "unhealthy (3/3 pods)");
        assert_eq!(shown(kubernetes, &deployment(4, 1, 3)), "unhealthy (3/3 pods, 1 up to date)");
        assert_eq!(shown(kubernetes, &deployment(4, 3, 2)), "unhealthy (2/3 pods)");
        let daemons = json!({
            "kind": "DaemonSet", "metadata": {"generation": 1}, "spec": {},
            "status": {"observedGeneration": 1, "desiredNumberScheduled": 2, "numberReady": 2, "updatedNumberScheduled": 2}
        });
        assert_eq!(shown(kubernetes, &daemons), "healthy (2/2 pods)");
        let pod = json!({"kind": "Pod", "status": {"conditions": [
            {"type": "Initialized", "status": "True"},
            {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}
        ]}});
        assert_eq!(shown(kubernetes, &pod), "unhealthy (ContainersNotReady)");
        assert_eq!(shown(kubernetes, &json!({"kind": "ConfigMap"})), "none");
    }

    #[test]
    fn a_service_is_healthy_when_its_tasks_run_and_no_deployment_does() {
        let service = |running: u64, deployments: Value| json!({"services": [{"status": "ACTIVE", "desiredCount": 2, "runningCount": running, "deployments": deployments}]});
        let done = json!([{"status": "PRIMARY", "rolloutState": "COMPLETED"}]);
        assert_eq!(shown(ecs, &service(2, done.clone())), "healthy (2/2 tasks)");
        assert_eq!(shown(ecs, &service(1, done)), "unhealthy (1/2 tasks)");
        let busy = json!([{"rolloutState": "IN_PROGRESS"}, {"rolloutState": "COMPLETED"}]);
        assert_eq!(shown(ecs, &service(2, busy)), "unhealthy (2/2 tasks, being deployed)");
        let gone = json!({"services": [], "failures": [{"arn": "x", "reason": "MISSING"}]});
        assert_eq!(shown(ecs, &gone), "unknown (MISSING)");
    }
}
