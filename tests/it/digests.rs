//! Digests between jobs: equal for the same rollout, wherever it is planned, and different for any
//! other rollout.

use crate::support::{Checkout, Clone, Remote, TestEnvironment};

const LINE: &str = "deployment rollout shop --target prod";
const FILE: &str = "deployments/shop.yaml";
const DEPLOYMENT: &str = "\
deployment:
  name: shop
  components:
    command:
      api:
        vars: { region: '{{ env \"REGION\" }}', branch: '{{ git.branch }}', port: 8080 }
        settings: { command: { plan: [./services/api/deploy.sh, --plan], apply: [./services/api/deploy.sh] } }
      worker: { settings: { command: { apply: [./services/worker/deploy.sh] } } }
  targets:
    prod: { context: { cpu: 256 } }
    qa: { context: { cpu: 256 } }
";

/// A repository with two components, one of which reads its environment.
fn shop(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>) {
    let (checkout, remote) = environment.with_remote();
    checkout.write("atmos.yaml", "deployments: { template_env: [REGION] }\n");
    checkout.write(FILE, DEPLOYMENT);
    checkout.commit("Add the shop");
    checkout.git(&["push", "--quiet"]);
    (checkout, remote)
}

/// The digest of the plan for this command line.
#[track_caller]
fn digest(checkout: &Checkout<'_>, line: &str, variables: &[(&str, &str)]) -> String {
    let run = checkout.atmos_with(&format!("{line} --plan --format json"), variables);
    run.succeeded().json()["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_plan_of_one_job_is_what_another_job_runs() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = shop(&environment);
    let line = format!("{LINE} --component api");
    // A detached checkout of the newest commit for a pull request, without secrets.
    let planning = environment.clone(&remote.url(), "planning", Clone::SHALLOW);
    planning.git(&["checkout", "--quiet", "--detach"]);
    let job =
        [("CI", "true"), ("GITHUB_ACTIONS", "true"), ("GITHUB_RUN_ID", "7"), ("GITHUB_RUN_ATTEMPT", "1")];
    let planned = [
        &job[..],
        &[
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_REF", "refs/pull/7/merge"),
            ("GITHUB_HEAD_REF", "feature"),
            ("GITHUB_ACTOR", "mallory"),
        ],
    ]
    .concat();
    // The job may lack variables that the component needs for its own plan; the digest is known all
    // the same.
    let plan = planning.atmos_with(&format!("{line} --plan --format json"), &planned).json();
    let digest = plan["digest"].as_str().unwrap();
    let gated = [
        &job[..],
        &[
            ("GITHUB_EVENT_NAME", "workflow_dispatch"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_ACTOR", "ada"),
            ("REGION", "eu-central-1"),
            ("DATABASE_PASSWORD", "secret"),
            ("TEST_DO", "cat $ATMOS_VARS_FILE >> $TEST_APPLIED"),
        ],
    ]
    .concat();
    checkout.atmos_with(&format!("{line} --digest {digest}"), &gated).succeeded();
    let applied = environment.applied().join("\n");
    for value in ["eu-central-1", "\"main\""] {
        assert!(applied.contains(value), "what the surroundings decide is theirs\n{applied}");
    }
    let record = remote.git(&["cat-file", "-p", "refs/atmos/latest/shop/prod/api"]);
    assert!(record.contains("digest: v1:sha256:"), "{record}");
}

#[test]
fn a_digest_is_of_one_target_and_one_deployment() {
    let mut environment = TestEnvironment::new();
    environment.set("REGION", "eu-central-1");
    let (checkout, remote) = shop(&environment);
    checkout.write("deployments/store.yaml", &DEPLOYMENT.replace("name: shop", "name: store"));
    checkout.commit("Add a store that is the same");
    checkout.git(&["push", "--quiet"]);
    let api = |line: &str| format!("{line} --component api");
    let others = [api("deployment rollout shop --target qa"), api("deployment rollout store --target prod")];
    let own = digest(&checkout, &api(LINE), &[]);
    let before = remote.snapshot();
    for other in others {
        assert_ne!(digest(&checkout, &other, &[]), own, "{other}");
        checkout.atmos(&format!("{other} --digest {own}")).refused(3, "is not what was planned");
    }
    assert_eq!((remote.snapshot(), environment.applied()), (before, Vec::new()));
    checkout.atmos(&format!("{} --digest {own}", api(LINE))).succeeded();
}

#[test]
fn whatever_else_would_be_deployed_has_another_digest() {
    let mut environment = TestEnvironment::new();
    environment.set("REGION", "eu-central-1");
    let (checkout, remote) = shop(&environment);
    let own = digest(&checkout, LINE, &[]);
    let first = checkout.head();
    checkout.commit("Nothing");
    let before = remote.snapshot();
    // The digest also covers the commit's content, which the vectors test.
    let mut known = vec![own.clone()];
    for (what, more) in [
        ("another commit", ""),
        ("an override that changes nothing", "--context cpu=256"),
        ("an override", "--context cpu=512"),
        ("that and another one", "--context cpu=512 --context memory=1"),
        ("a part of it", "--component api"),
    ] {
        let line = format!("{LINE} {more}");
        let digest = digest(&checkout, &line, &[]);
        assert!(!known.contains(&digest), "{what}");
        checkout.atmos(&format!("{line} --digest {own}")).refused(3, "is not what was planned");
        known.push(digest);
    }
    assert_eq!((remote.snapshot(), environment.applied()), (before, Vec::new()));
    assert_eq!(digest(&checkout, &format!("{LINE} --git-sha {first}"), &[]), own);
}

#[test]
fn a_rule_is_part_of_the_digest_and_the_commit_that_it_comes_from_is_not() {
    let mut environment = TestEnvironment::new();
    environment.set("REGION", "eu-central-1");
    let (checkout, remote) = shop(&environment);
    let line = format!("{LINE} --component api --git-sha {}", checkout.head());
    let own = digest(&checkout, &line, &[]);
    let text = std::fs::read_to_string(checkout.path.join(FILE)).unwrap();
    checkout.commit("Something else on the default branch");
    checkout.git(&["push", "--quiet"]);
    assert_eq!(digest(&checkout, &line, &[]), own, "a push to the default branch ends no approval");
    let rule =
        "prod: { promotion: { requires_approval: true, approval_method: manual }, context: { cpu: 256 } }";
    checkout.write(FILE, &text.replace("prod: { context: { cpu: 256 } }", rule));
    checkout.commit("Ask for an approval");
    checkout.git(&["push", "--quiet"]);
    let ruled = digest(&checkout, &line, &[]);
    assert_ne!(ruled, own);
    let before = remote.snapshot();
    checkout.atmos(&format!("{line} --digest {own} --approve why")).refused(3, "is not what was planned");
    assert_eq!(remote.snapshot(), before);
    checkout.atmos(&format!("{line} --digest {ruled} --approve why")).succeeded();
}

#[test]
fn a_digest_that_is_none_is_never_taken_for_no_digest() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = shop(&environment);
    let line = format!("{LINE} --component api");
    let before = remote.snapshot();
    for verb in [line.as_str(), "deployment approve shop --target prod --component api --reason why"] {
        for (digest, code, message) in [
            ("\"\"", 2, "it is empty"),
            ("\" \"", 2, "it is empty"),
            ("garbage", 2, "expected v1:sha256:"),
            ("v1:sha256:00", 2, "expected v1:sha256:"),
            (&format!("sha256:{}", "0a".repeat(32)), 3, "plan again"),
            ("v2:whatever", 3, "plan again"),
            (&format!("v1:sha256:{}", "0a".repeat(32)), 3, "is not what was planned"),
        ] {
            let line = format!("{verb} --digest {digest}");
            let run = checkout.atmos_with(&line, &[("REGION", "eu-1")]).exited(code);
            assert!(run.stderr.contains(message), "{}", run.report());
            assert!(run.stdout.is_empty(), "{}", run.report());
        }
    }
    assert_eq!((remote.snapshot(), environment.applied()), (before, Vec::new()));
}
