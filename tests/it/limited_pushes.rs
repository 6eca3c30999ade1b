//! A host that limits how many refs one push may change (`deployments.ledger.max_refs_per_push`).

use crate::support::{Checkout, Remote, TestEnvironment};

const ROLLOUT: &str = "deployment rollout payment-service --target dev";

/// Counts the refs of a push, as GitHub's push rulesets do.
const LIMIT: &str = "#!/bin/sh
refs=$(wc -l)
[ \"$refs\" -le 4 ] && exit 0
echo 'error: GH013: Repository rule violations found' >&2
echo '- Pushes can not update more than 4 branches or tags.' >&2
exit 1
";

#[test]
fn pushes_are_split_by_component_where_the_host_limits_their_refs() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    remote.hook("pre-receive", LIMIT);
    let refused = checkout.atmos(ROLLOUT).exited(1);
    assert!(refused.stderr.contains("max_refs_per_push"), "{}", refused.report());
    keeps_the_limit(&checkout, &remote);
}

#[test]
fn pushes_are_split_where_the_server_has_no_atomic_ones_as_well() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    remote.git(&["config", "receive.advertiseAtomic", "false"]);
    keeps_the_limit(&checkout, &remote);
}

/// Sets the limit, and rolls out twice within it.
fn keeps_the_limit(checkout: &Checkout<'_>, remote: &Remote<'_>) {
    checkout.write("atmos.yaml", "deployments: { ledger: { max_refs_per_push: 4 } }\n");
    checkout.commit("limit");
    remote.hook("pre-receive", "#!/bin/sh\nexit 0\n");
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
    remote.hook("pre-receive", LIMIT);
    for number in [1, 2] {
        checkout.atmos(ROLLOUT).succeeded();
        for component in ["api", "database", "worker"] {
            assert_eq!(remote.state("payment-service", "dev", component), checkout.head());
            // Records that were refused before are published as well.
            assert!(remote.verify_chain("payment-service", "dev", component) >= number);
        }
        assert!(remote.locks().is_empty());
        checkout.commit_version(&number.to_string());
    }
}
