//! Ledgers that were copied as branches and tags alone: by a mirror, an import, a fork.

use crate::support::{Checkout, Clone, Remote, TestEnvironment};

/// Two versions on dev and one on staging, and a clone of a copy that has the branches and tags
/// alone.
fn copied(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>) {
    let (checkout, remote) = environment.with_remote();
    let deploy = |rest: &str| {
        checkout.atmos(&format!("deployment rollout payment-service --target {rest}")).succeeded();
    };
    deploy("dev");
    checkout.commit_version("2");
    checkout.git(&["push", "--quiet"]);
    deploy("dev");
    deploy("staging --promote-from dev");
    let copy = environment.bare("copy.git", &[]);
    remote.git(&["push", "--quiet", &copy.url(), "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"]);
    environment.forget_applied();
    (environment.clone(&copy.url(), "of-the-copy", Clone::default()), copy)
}

#[test]
fn the_records_tell_what_runs_where_nothing_leads_to_the_newest_of_them() {
    let environment = TestEnvironment::new();
    let (checkout, copy) = copied(&environment);
    let status = checkout.json("deployment status payment-service");
    let targets = status["deployments"][0]["targets"].as_array().unwrap();
    let running: Vec<_> = targets
        .iter()
        .flat_map(|target| target["components"].as_array().unwrap())
        .filter_map(|component| component["commit"].as_str())
        .collect();
    assert_eq!(running, vec![checkout.head(); 6], "{status:#}");

    let run = checkout.atmos("deployment status payment-service").succeeded().says("told by the records");
    let command = run.stderr.lines().find_map(|line| line.split_once("to make these refs anew: "));
    checkout.git_line(command.unwrap().1);
    let run = checkout.atmos("deployment status payment-service").succeeded();
    assert!(!run.stderr.contains("told by the records"), "{}", run.report());
    assert_eq!(copy.state("payment-service", "staging", "api"), checkout.head());
    assert_eq!(copy.verify_chain("payment-service", "dev", "api"), 2);
}

#[test]
fn a_copied_ledger_goes_on_where_its_records_end() {
    let environment = TestEnvironment::new();
    let (checkout, copy) = copied(&environment);
    let promote = "deployment rollout payment-service --target prod --promote-from staging --approve CHG-1";
    checkout.atmos(promote).succeeded();
    assert_eq!(copy.state("payment-service", "prod", "api"), checkout.head());
    // The same for a target that has records, of which this checkout knows nothing before.
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    for component in ["api", "database", "worker"] {
        assert_eq!(copy.verify_chain("payment-service", "dev", component), 3, "{component}");
    }
}
