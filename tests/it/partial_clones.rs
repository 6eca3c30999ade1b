//! Partial clones lack objects, which git fetches only where it may.

use crate::support::{Checkout, Clone, TestEnvironment};

/// The objects that the clone lacks.
fn missing(checkout: &Checkout<'_>) -> Vec<String> {
    let objects = checkout.git(&["rev-list", "--objects", "--missing=print", "--all"]);
    let mut missing: Vec<_> =
        objects.lines().filter(|line| line.starts_with('?')).map(str::to_owned).collect();
    missing.sort();
    missing
}

#[test]
fn nothing_is_fetched_offline_also_not_what_a_partial_clone_lacks() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    remote.git(&["config", "uploadpack.allowFilter", "true"]);
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    for version in ["2", "3", "4"] {
        checkout.commit_version(version);
    }
    checkout.git(&["push", "--quiet"]);
    checkout.atmos("deployment rollout payment-service --target dev --git-sha HEAD~1").succeeded();
    for filter in ["--filter=tree:0", "--filter=blob:none"] {
        let clone = environment.clone(&remote.url(), filter, Clone { arguments: &[filter, "--no-tags"] });
        clone.atmos("deployment status payment-service").succeeded();
        let before = missing(&clone);
        assert!(!before.is_empty(), "{filter}: nothing is missing, and this test tests nothing");
        for verb in ["status", "history", "diff", "describe", "promotion-status", "promotion-graph"] {
            let target = if ["history", "diff"].contains(&verb) { " --target dev" } else { "" };
            let run = clone.atmos(&format!("deployment {verb} payment-service{target} --offline"));
            assert_eq!(missing(&clone), before, "{filter} {}", run.report());
        }
        let plan = "deployment rollout payment-service --target dev --git-sha HEAD~2 --plan --offline";
        let run = clone.atmos(plan);
        assert_eq!(missing(&clone), before, "{filter} {}", run.report());
        assert!(run.stderr.contains("--offline"), "{}", run.report());
        clone.atmos("deployment rollout payment-service --target dev --git-sha HEAD~2 --plan").succeeded();
        assert_ne!(missing(&clone), before, "{filter}: the plan needs nothing that is missing");
    }
}
