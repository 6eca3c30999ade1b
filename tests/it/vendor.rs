//! Vendoring: components whose code is not in the commit.

use crate::support::{Checkout, TestEnvironment};

/// A deployment of one command, with a `vendor` section.
fn with_section<'e>(environment: &'e TestEnvironment, section: &str) -> Checkout<'e> {
    let checkout = environment.empty_repository("checkout", &[]);
    checkout.write_script("run.sh", "#!/bin/sh\necho \"$ATMOS_COMPONENT\" >> \"$TEST_APPLIED\"\n");
    let deployment = format!(
        "deployment:\n  name: shop\n  vendor: {section}\n  components:\n    command:\n      api: {{ settings: {{ \
         command: {{ apply: [./run.sh] }} }} }}\n  targets: {{ dev: }}\n"
    );
    checkout.write("deployments/shop.yaml", &deployment);
    checkout.commit("vendored");
    checkout
}

#[test]
fn a_section_that_is_not_acted_on_is_refused_everywhere() {
    let environment = TestEnvironment::new();
    let checkout = with_section(&environment, "{ components: [{ source: x }] }");
    let message = "a rollout does not act on `vendor`";
    for line in ["deployment rollout shop --target dev", "deployment rollout shop --target dev --plan"] {
        checkout.atmos(line).refused(2, message).says("deployments/shop.yaml:3:");
    }
    checkout.atmos("deployment validate shop").exited(2).shows(message);
    assert_eq!(environment.applied(), [""; 0]);
}
