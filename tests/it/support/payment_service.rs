//! The specification's example: three components, dev → staging → prod.

use std::fmt::Write as _;

use super::checkout::Checkout;

/// The deployment's file.
const DEPLOYMENT: &str = "\
deployment:
  name: payment-service
  description: Payment processing REST API
  labels: { service: payment, environment: prod }
  components:
    command:
      api:
        metadata: { depends_on: [database] }
        settings: { command: { plan: [./services/api/deploy.sh, --plan], apply: [./services/api/deploy.sh] } }
      worker:
        settings: { command: { plan: [./services/worker/deploy.sh, --plan], apply: [./services/worker/deploy.sh] } }
      database:
        settings: { command: { plan: [./services/database/deploy.sh, --plan], apply: [./services/database/deploy.sh] } }
  targets:
    dev:
      labels: { environment: dev }
      context: { cpu: 256, memory: 512 }
    staging:
      promotion: { from: dev }
      labels: { environment: staging }
      context: { cpu: 512, memory: 1024 }
    prod:
      promotion: { from: staging, requires_approval: true, approval_method: manual }
      labels: { environment: prod }
      context: { cpu: 2048, memory: 4096 }
";

/// The script of a component. It logs what it applies outside of the repository, and runs the shell
/// snippet in `TEST_DO` first, in every component.
const SCRIPT: &str = r#"#!/bin/sh
set -eu
mode=apply
[ "${1:-}" = --plan ] && mode=plan
if [ -n "${TEST_DO:-}" ]; then eval "$TEST_DO"; fi
if [ "$mode" = apply ]; then
    echo "$ATMOS_TARGET $ATMOS_COMPONENT $ATMOS_GIT_SHA $(cat "$(dirname "$0")/version")" >> "$TEST_APPLIED"
fi
"#;

/// Writes the files into a checkout.
pub(crate) fn write(checkout: &Checkout<'_>) {
    checkout.write("deployments/payment-service.yaml", DEPLOYMENT);
    for component in ["api", "worker", "database"] {
        write_component(checkout, component);
    }
}

/// Writes one component's script and version.
pub(crate) fn write_component(checkout: &Checkout<'_>, component: &str) {
    checkout.write_script(&format!("services/{component}/deploy.sh"), SCRIPT);
    checkout.write(&format!("services/{component}/version"), "1\n");
}

/// The file of a deployment whose components have no dependencies on each other, with the targets
/// `dev` and `qa`.
pub(crate) fn independent_components(name: &str, components: &[String]) -> String {
    let mut file = format!(
        "deployment:\n  name: {name}\n  targets: {{ dev: {{}}, qa: {{}} }}\n  components:\n    command:\n"
    );
    for component in components {
        let _ = writeln!(
            file,
            "      {component}: {{ settings: {{ command: {{ apply: [./services/{component}/deploy.sh] }} }} }}"
        );
    }
    file
}
