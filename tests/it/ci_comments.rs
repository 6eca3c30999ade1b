//! Comment, summary and status after errors and with unknown facts: they state nothing untrue.

use serde_json::json;

use crate::ci_reports::{pull_request, statuses};
use crate::support::{CiJob, Platform, TestEnvironment};

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_change_whose_head_is_not_known_is_not_said_to_run_anywhere() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    // The default branch is checked out, and the event does not tell the head of the pull request.
    let job = CiJob::github(&checkout, "issue_comment").rollout("dev");
    let job = job.with("GITHUB_API_URL", platform.github()).event(&json!({
        "issue": { "number": 7, "pull_request": {} }, "repository": { "full_name": "acme/shop" },
    }));
    job.run().succeeded();
    let comment = platform.told("comments")[0]["body"].as_str().unwrap().to_owned();
    for text in [comment, job.summary()] {
        assert!(text.contains("**✅ Rollout to dev succeeded**"), "{text}");
        assert!(text.contains("### `payment-service` · dev · staging · prod\n"), "{text}");
        assert!(text.contains("| Target | Runs | Since |"), "{text}");
        assert!(!text.contains("| deployed |"), "{text}");
    }
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_broken_deployment_file_changes_the_comment() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = |run: &str| {
        let event = pull_request("acme/shop", &checkout.head());
        let job = CiJob::github(&checkout, "pull_request").rollout("dev").event(&event);
        job.with("GITHUB_API_URL", platform.github()).with("GITHUB_RUN_ID", run)
    };
    let body = || {
        let comments = platform.told("comments");
        assert_eq!(comments.len(), 1);
        comments[0]["body"].as_str().unwrap().to_owned()
    };
    job("1").run().succeeded();
    assert!(body().contains("· dev ✅ ·"), "{}", body());
    let short = checkout.head()[..7].to_owned();
    let file = "deployments/payment-service.yaml";
    let valid = std::fs::read_to_string(checkout.path.join(file)).unwrap();
    checkout.write(file, "deployment:\n  name: payment-service\n  targts: {}\n");
    let broken = checkout.commit("Break it");
    let failing = job("2");
    failing.run().exited(2);
    for text in [body(), failing.summary()] {
        assert!(!text.contains('✅'), "{text}");
        assert!(
            text.contains("**❌ atmos deployment rollout failed:** the configuration has 3 problems"),
            "{text}"
        );
        assert!(text.contains("The deployment file cannot be used: this is what the ledger knows"), "{text}");
        assert!(text.contains("| **dev** | ") && text.contains(&short), "{text}");
    }
    assert!(statuses(&platform).pop().unwrap().starts_with("atmos/payment-service/dev failure "));
    assert_eq!(platform.told("statuses").pop().unwrap()["sha"], broken.as_str());
    // With a broken `atmos.yaml`, no configuration can be read at all.
    checkout.write(file, &valid);
    checkout.write("atmos.yaml", "deployments: [\n");
    checkout.commit("Break all of it");
    job("3").run().exited(2);
    assert!(body().contains("**❌ atmos deployment rollout failed:** atmos.yaml:"), "{}", body());
    assert!(body().contains(&short), "{}", body());
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_mistyped_name_leaves_nothing_behind() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let head = checkout.head();
    for (input, value) in
        [("deployment", "payment-servise"), ("target", "dve"), ("component", "apii"), ("git-sha", "0badc0de")]
    {
        let job = CiJob::github(&checkout, "pull_request").rollout("dev").input(input, value);
        let job = job.event(&pull_request("acme/shop", &head)).with("GITHUB_API_URL", platform.github());
        job.run().exited(2);
        assert_eq!(statuses(&platform), [""; 0], "{input}: {value}");
        assert_eq!(platform.told("deployments"), [json!(null); 0]);
    }
    // A deployment that does not exist has no comment either: no later run could correct it.
    assert!(!platform.told("comments").iter().any(|told| told["body"].as_str().unwrap().contains("servise")));
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_refusal_stands_at_the_commit_that_was_asked_for() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let old = checkout.head();
    checkout.commit_version("2");
    checkout.atmos("deployment lock payment-service --target dev --reason freeze").succeeded();
    let job = CiJob::github(&checkout, "push").rollout("dev").input("git-sha", &old);
    job.with("GITHUB_API_URL", platform.github()).run().exited(3);
    let told = platform.told("statuses");
    assert_eq!((told.len(), &told[0]["state"]), (1, &json!("error")));
    assert_eq!(told[0]["sha"], old.as_str());
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn what_failed_in_one_job_stays_in_the_comment_when_another_succeeds() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = |component: &str, does: &str| {
        let event = pull_request("acme/shop", &checkout.head());
        let job = CiJob::github(&checkout, "pull_request").rollout("dev").event(&event);
        let job = job.input("component", component).with("GITHUB_API_URL", platform.github());
        job.with("TEST_DO", does)
    };
    let body = || platform.told("comments")[0]["body"].as_str().unwrap().to_owned();
    let error = "echo 'Error: no subnet' >&2; echo 'a load balancer needs two subnets' >&2; exit 7";
    let failing = job("worker", error);
    failing.run().exited(1);
    for text in [body(), failing.summary()] {
        assert!(text.contains("**❌ Rollout of worker to dev failed**"), "{text}");
        assert!(
            text.contains(
                "`worker` said:\n\n<pre>Error&#58; no subnet\na load balancer needs two subnets</pre>"
            ),
            "{text}"
        );
    }
    job("database", "").run().succeeded();
    assert!(body().contains("**✅ Rollout of database to dev succeeded**"), "{}", body());
    assert!(body().contains("· dev ❌ ·"), "{}", body());
    assert!(body().contains("- ❌ **dev**: `worker` failed at "), "{}", body());
    let why = "deploy.sh failed with exit status 7";
    assert!(body().contains(why), "{}", body());
    let history = checkout.atmos("deployment history payment-service --target dev").succeeded();
    assert!(history.stdout.contains(why), "{}", history.report());
    assert!(!body().contains("**Next:** promote"), "{}", body());
    job("worker", "").run().succeeded();
    assert!(!body().contains('❌'), "{}", body());
    assert!(body().contains("2 of 3 components"), "{}", body());
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn what_is_read_days_later_has_no_relative_times() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    CiJob::github(&checkout, "push").rollout("dev").unreported().run().succeeded();
    checkout.atmos("deployment lock payment-service --target dev --reason freeze").succeeded();
    let refused = CiJob::github(&checkout, "push").rollout("dev").with("GITHUB_RUN_ID", "100");
    let refused = refused.with("GITHUB_API_URL", platform.github());
    refused.run().exited(3);
    let shown = |command: &str| {
        let job = CiJob::github(&checkout, "push").input("command", command);
        let job = job.input("deployment", "payment-service");
        job.run().succeeded();
        job.summary()
    };
    for text in [refused.summary(), shown("status"), shown("promotion-status"), shown("locks")] {
        assert!(text.contains(" UTC"), "{text}");
        assert!(!text.contains(" ago") && !text.contains("just now"), "{text}");
    }
}
