//! Many runners at once against one remote.

use std::collections::BTreeSet;

use crate::support::{Checkout, Clone, Run, Running, TestEnvironment, independent_components};

/// A clone of the remote for each of many runners.
fn clones<'e>(environment: &'e TestEnvironment, url: &str, number: usize) -> Vec<Checkout<'e>> {
    (0..number).map(|at| environment.clone(url, &format!("runner-{at:02}"), Clone::SHALLOW)).collect()
}

/// Rolls out in every checkout at once.
fn at_once(checkouts: &[Checkout<'_>], line: impl Fn(usize) -> String) -> Vec<Run> {
    let running: Vec<_> = checkouts
        .iter()
        .enumerate()
        .map(|(at, checkout)| {
            let run_id = format!("run-{at:02}");
            checkout.start(&line(at), &[("ATMOS_RUN_ID", &run_id)])
        })
        .collect();
    running.into_iter().map(Running::wait).collect()
}

#[test]
fn many_processes_roll_out_different_components_of_one_target() {
    const RUNNERS: usize = 32;
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let components: Vec<_> = (0..RUNNERS).map(|at| format!("c{at:02}")).collect();
    for component in &components {
        checkout.write_component(component);
    }
    // All components need an approval, so that all runs write to one notes ref as well.
    let file = independent_components("fleet", &components).replace(
        "targets: { dev: {}, qa: {} }",
        "targets: { dev: {}, prod: { promotion: { from: dev, requires_approval: true, approval_method: manual } } }",
    );
    checkout.write("deployments/fleet.yaml", &file);
    let commit = checkout.commit("A fleet");
    checkout.git(&["push", "--quiet"]);
    checkout.atmos("deployment rollout fleet --target dev").succeeded();

    let runners = clones(&environment, &remote.url(), RUNNERS);
    let runs = at_once(&runners, |at| {
        format!(
            "deployment rollout fleet --target prod --promote-from dev --component c{at:02} --approve reason-{at:02}"
        )
    });
    for run in runs {
        run.succeeded();
    }
    for component in &components {
        assert_eq!(remote.state("fleet", "prod", component), commit);
        assert_eq!(remote.verify_chain("fleet", "prod", component), 1);
    }
    let note = remote.git(&["notes", "--ref=atmos/fleet/approvals", "show", &commit]);
    let entries: BTreeSet<_> = note.lines().collect();
    assert_eq!(entries.len(), RUNNERS, "{note}");
    assert_eq!(remote.locks(), [""; 0]);
}

#[test]
fn racing_on_one_component_there_is_one_at_a_time_and_one_chain() {
    const RUNNERS: usize = 16;
    let environment = TestEnvironment::new();
    let (_, remote) = environment.with_remote();
    let runners = clones(&environment, &remote.url(), RUNNERS);
    let line = "deployment rollout payment-service --target dev --component worker";
    let runs = at_once(&runners, |_| line.to_owned());
    let (won, lost): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.code == Some(0));
    assert!(!won.is_empty());
    for run in lost {
        let run = run.exited(4);
        assert!(run.stderr.contains("ada@example.com"), "the holder is not named\n{}", run.report());
    }
    // Each winner of the lock applied once and has one record; the losers did nothing.
    assert_eq!(remote.verify_chain("payment-service", "dev", "worker"), won.len());
    assert_eq!(environment.applied().len(), won.len());
    assert_eq!(remote.locks(), [""; 0]);
    for runner in &runners {
        assert_eq!(runner.git(&["for-each-ref", "refs/atmos/pending"]), "");
    }
}

#[test]
fn whoever_waits_gets_the_lock_in_turn() {
    const RUNNERS: usize = 6;
    let environment = TestEnvironment::new();
    let (_, remote) = environment.with_remote();
    let runners = clones(&environment, &remote.url(), RUNNERS);
    let line = "deployment rollout payment-service --target dev --component worker --lock-timeout 100s";
    for run in at_once(&runners, |_| line.to_owned()) {
        run.succeeded();
    }
    assert_eq!(remote.verify_chain("payment-service", "dev", "worker"), RUNNERS);
    assert_eq!(remote.locks(), [""; 0]);
}

#[test]
fn two_rollouts_share_one_checkout() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.write(
        "deployments/pair.yaml",
        &independent_components("pair", &["api".to_owned(), "worker".to_owned()]),
    );
    let commit = checkout.commit("A pair");
    let start = |target: &str| checkout.start(&format!("deployment rollout pair --target {target}"), &[]);
    let running = ["dev", "qa"].map(start);
    for run in running {
        run.wait().succeeded();
    }
    for target in ["dev", "qa"] {
        for component in ["api", "worker"] {
            assert_eq!(remote.state("pair", target, component), commit);
            assert_eq!(checkout.state("pair", target, component), commit);
            assert_eq!(remote.verify_chain("pair", target, component), 1);
        }
    }
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(checkout.git(&["for-each-ref", "refs/atmos/pending"]), "");
}

#[test]
fn without_a_remote_processes_take_turns_all_the_same() {
    const RUNNERS: usize = 8;
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("alone");
    let runners = vec![checkout.clone(); RUNNERS];
    let line = "deployment rollout payment-service --target dev --component worker --lock-timeout 100s";
    for run in at_once(&runners, |_| line.to_owned()) {
        run.succeeded();
    }
    let here = crate::support::Remote::new(&environment, checkout.path.clone());
    assert_eq!(here.verify_chain("payment-service", "dev", "worker"), RUNNERS);
    assert_eq!(here.locks(), [""; 0]);
}
