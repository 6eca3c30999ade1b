//! `approval_method: ci`: the platform's environment holds the job, and its approval counts for the
//! rollout.

use serde_json::json;

use crate::support::{Checkout, CiJob, Platform, RUNNER, Remote, TestEnvironment};

/// Has prod approved by the platform, and brings the commit to staging.
fn ready_for_prod(checkout: &Checkout<'_>) {
    let file = "deployments/payment-service.yaml";
    let text = std::fs::read_to_string(checkout.path.join(file)).unwrap();
    checkout.write(file, &text.replace("approval_method: manual", "approval_method: ci"));
    checkout.commit("Let the platform ask");
    checkout.git(&["push", "--quiet"]);
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
}

/// The newest record of a component on prod.
fn record(remote: &Remote<'_>, component: &str) -> String {
    remote.git(&["cat-file", "-p", &format!("refs/atmos/latest/payment-service/prod/{component}")])
}

fn promotion<'c, 'e>(checkout: &'c Checkout<'e>) -> CiJob<'c, 'e> {
    CiJob::github(checkout, "workflow_dispatch").rollout("prod").input("promote-from", "staging")
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn whoever_approved_the_run_approved_exactly_what_was_planned() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    ready_for_prod(&checkout);
    let job = || promotion(&checkout).with("GITHUB_API_URL", platform.github());
    let plan = job().input("plan", "true");
    plan.run().succeeded();
    assert!(
        plan.summary().contains("**Next:** roll this out to **prod**, which needs an approval"),
        "{}",
        plan.summary()
    );
    let digest = plan.output("digest");

    let refused = job().run().refused(3, "nobody has approved this run for the environment prod");
    let setting = "The job needs `environment: prod`, and that environment needs \"Required reviewers\"";
    assert!(refused.stderr.contains(setting), "{}", refused.report());
    assert!(refused.stderr.contains(&digest), "{}", refused.report());

    platform.approve("prod", "alice");
    platform.job(RUNNER, Some("prod"), &checkout.head());
    let approved = job().input("digest", &digest);
    let run = approved.run().succeeded().says("Approval received from alice");
    assert!(!run.stderr.contains("could not be checked"), "{}", run.report());
    let notes = "refs/notes/atmos/payment-service/approvals";
    let note = remote.git(&["notes", "--ref", notes, "show", &checkout.head()]);
    let note: serde_json::Value = serde_json::from_str(&note).unwrap();
    assert_eq!((&note["approved_by"], &note["method"]), (&"alice".into(), &"ci".into()));
    assert_eq!((&note["digest"], &note["reason"]), (&digest.as_str().into(), &"Ship it!".into()));
    let record = record(&remote, "api");
    for line in ["approver: alice", "approvals_of: seen", "reason: \"Ship it!\""] {
        assert!(record.contains(line), "no {line:?} in\n{record}");
    }
    assert!(approved.summary().contains("approved by `alice`"), "{}", approved.summary());
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn an_approval_is_of_the_job_that_waited_for_it_and_of_no_other_job_of_the_run() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    ready_for_prod(&checkout);
    platform.approve("prod", "alice");
    platform.job(RUNNER, None, &checkout.head());
    platform.job("GitHub Actions 2", Some("prod"), &checkout.head());
    let job = || promotion(&checkout).unreported().with("GITHUB_API_URL", platform.github());
    let before = remote.snapshot();
    let refused = job().run().refused(3, "this job has no `environment: prod`");
    assert!(refused.stderr.contains("what was approved are other jobs of this run"), "{}", refused.report());
    // An environment that an earlier attempt waited for does not count for this attempt.
    platform.forget_jobs();
    platform.job(RUNNER, Some("prod"), &checkout.head());
    let again = json!({ "run": 99, "attempt": 2, "runner": RUNNER, "commit": checkout.head() });
    platform.control("POST", "/__jobs", &again);
    job().with("GITHUB_RUN_ATTEMPT", "2").run().refused(3, "this job has no `environment: prod`");
    assert_eq!(remote.snapshot(), before);
    let run = job().run().succeeded().says("Approval received from alice");
    assert!(!run.stderr.contains("could not be checked"), "{}", run.report());
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn where_the_job_cannot_be_told_the_approvals_of_the_run_count_with_a_warning() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    ready_for_prod(&checkout);
    platform.approve("prod", "alice");
    platform.job(RUNNER, Some("prod"), &checkout.head());
    platform.refuse(403, 1, "/deployments", &json!({ "message": "Resource not accessible by integration" }));
    let job = promotion(&checkout).unreported().with("GITHUB_API_URL", platform.github());
    let warning =
        "Warning: it could not be checked whether this job waited for the approval of the environment prod";
    job.run()
        .succeeded()
        .says("Approval received from alice")
        .says(warning)
        .says("The job needs `actions: read` and `deployments: read`");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn another_environment_may_stand_for_the_target() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.write("atmos.yaml", "ci: { environment: \"{{ deployment }}/{{ labels.environment }}\" }\n");
    ready_for_prod(&checkout);
    platform.approve("prod", "mallory");
    let job = || promotion(&checkout).with("GITHUB_API_URL", platform.github());
    job().run().refused(3, "nobody has approved this run for the environment payment-service/prod");
    platform.approve("payment-service/prod", "alice");
    platform.job(RUNNER, Some("payment-service/prod"), &checkout.head());
    job()
        .run()
        .succeeded()
        .says("Approval received from alice")
        .says("--digest binds it to what was looked at");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_branch_does_not_choose_the_environment_whose_reviewers_approve() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.write("atmos.yaml", "ci: { environment: \"{{ labels.environment }}\" }\n");
    ready_for_prod(&checkout);
    platform.approve("qa", "mallory");
    let github = || promotion(&checkout).with("GITHUB_API_URL", platform.github());
    let gitlab = || {
        let job = CiJob::gitlab(&checkout).rollout("prod").input("promote-from", "staging").unreported();
        job.with("CI_API_V4_URL", &platform.gitlab()).with("CI_PIPELINE_SOURCE", "web")
    };
    let before = remote.snapshot();
    let file = "deployments/payment-service.yaml";
    let text = std::fs::read_to_string(checkout.path.join(file)).unwrap();
    let labels = "      labels: { environment: prod }\n      context: { cpu: 2048";
    assert!(text.contains(labels));
    let relabelled = text.replace(labels, &labels.replace("prod", "qa"));
    for (file, content) in [("atmos.yaml", "ci: { environment: qa }\n"), (file, &relabelled)] {
        checkout.git(&["checkout", "--quiet", "-B", "branch", "main"]);
        checkout.write(file, content);
        // First uncommitted, then committed.
        for _ in 0..2 {
            for run in [github().unreported().run(), gitlab().run()] {
                assert!(matches!(run.code, Some(2 | 3)), "{}", run.report());
            }
            checkout.commit("Ask others");
        }
        let contradiction = "the default branch calls its environment prod, this checkout qa";
        github().run().refused(3, contradiction);
        gitlab().run().refused(3, contradiction);
    }
    assert_eq!(remote.snapshot(), before);
    checkout.git(&["checkout", "--quiet", "main"]);
    platform.approve("prod", "alice");
    platform.job(RUNNER, Some("prod"), &checkout.head());
    github().run().succeeded().says("Approval received from alice");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn gitlab_tells_who_approved_the_job_s_deployment() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    ready_for_prod(&checkout);
    platform.approve("prod", "carol");
    let job = CiJob::gitlab(&checkout).rollout("prod").input("promote-from", "staging");
    let job = job.with("CI_API_V4_URL", &platform.gitlab()).with("CI_PIPELINE_SOURCE", "web").unreported();
    let elsewhere = CiJob::gitlab(&checkout).rollout("prod").input("promote-from", "staging").unreported();
    let elsewhere = elsewhere.with("CI_API_V4_URL", &platform.gitlab()).with("CI_JOB_ID", "7");
    elsewhere.run().refused(3, "nobody has approved this run for the environment prod");
    let approved_at = "2025-01-23T15:30:00Z";
    let old = json!({ "environment": "prod", "by": "carol", "at": approved_at });
    platform.control("DELETE", "/__approvals", &json!({}));
    platform.control("POST", "/__approvals", &old);
    job.run().refused(3, "the one that this run has is too old");
    platform.control("DELETE", "/__approvals", &json!({}));
    platform.approve("prod", "carol");
    job.run().succeeded().says("Approval received from carol");
}

#[test]
fn where_the_platform_cannot_be_asked_nothing_runs() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    ready_for_prod(&checkout);
    let before = remote.snapshot();
    let run = checkout.atmos("deployment rollout payment-service --target prod --promote-from staging");
    let run = run.refused(3, "requires an approval, by the CI platform, which cannot be asked from here");
    assert!(run.stderr.contains("approval_method: manual"), "{}", run.report());
    promotion(&checkout).unreported().run().refused(3, "the platform does not tell who approved this run");
    let without = promotion(&checkout).unreported().with("INPUT_TOKEN", "");
    let run = without.run().refused(3, "requires an approval, by the CI platform");
    assert!(run.stderr.contains("give the job GITHUB_TOKEN: ${{ github.token }}"), "{}", run.report());
    assert_eq!(remote.snapshot(), before);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn the_specification_s_gated_job_needs_no_digest_and_what_it_approved_counts_as_unseen() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    ready_for_prod(&checkout);
    platform.approve("prod", "alice");
    platform.job(RUNNER, Some("prod"), &checkout.head());
    // `ci-cd.md`: the job of the environment just runs the rollout.
    let job = promotion(&checkout).with("GITHUB_API_URL", platform.github());
    job.run().succeeded().says("the approval is of this run, not of a plan");
    let record = record(&remote, "api");
    assert!(record.contains("approver: alice") && record.contains("approvals_of: unseen"), "{record}");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn where_a_digest_is_required_the_gated_job_has_to_name_one() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let file = "deployments/payment-service.yaml";
    let text = std::fs::read_to_string(checkout.path.join(file)).unwrap();
    checkout.write(
        file,
        &text.replace("requires_approval: true,", "requires_approval: true, require_digest: true,"),
    );
    ready_for_prod(&checkout);
    platform.approve("prod", "alice");
    platform.job(RUNNER, Some("prod"), &checkout.head());
    let job = || promotion(&checkout).with("GITHUB_API_URL", platform.github()).unreported();
    let plan = job().input("plan", "true");
    plan.run().succeeded();
    let digest = plan.output("digest");
    let before = remote.snapshot();
    job().run().refused(3, "of a plan that was seen (promotion.require_digest)");
    job().input("digest", "none").run().refused(3, "of a plan that was seen (promotion.require_digest)");
    // An empty digest, as a job without outputs passes it on, is none either.
    job().input("digest", "").run().refused(2, "the output of the plan job is probably missing");
    assert_eq!(remote.snapshot(), before);
    job().input("digest", &digest).run().succeeded();
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn an_approval_of_a_run_allows_each_component_once() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    ready_for_prod(&checkout);
    platform.approve("prod", "alice");
    platform.job(RUNNER, Some("prod"), &checkout.head());
    let job = || promotion(&checkout).with("GITHUB_API_URL", platform.github()).unreported();
    // The jobs of a matrix share the approval.
    for component in ["database", "worker"] {
        job().input("component", component).run().succeeded().says("Approval received from alice");
    }
    let before = remote.snapshot();
    let other = || job().input("component", "worker").input("context", "cpu=4096");
    other().run().refused(3, "this run has used the one that it had for worker");
    let next_attempt = other().with("GITHUB_RUN_ATTEMPT", "2");
    next_attempt.run().refused(3, "this run has used the one that it had for worker");
    assert_eq!(remote.snapshot(), before);
    job().run().succeeded().says("already deployed by this run");
    // Another run has an approval of its own, and a second approval of this run counts again.
    other().with("GITHUB_RUN_ID", "100").run().succeeded();
    platform.approve("prod", "bob");
    job().input("component", "worker").input("context", "cpu=8192").run().succeeded();
    assert!(record(&remote, "worker").contains("8192"), "{}", record(&remote, "worker"));
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn the_time_of_an_approval_is_the_reviewer_s() {
    let platform = Platform::start();
    let mut environment = TestEnvironment::new();
    environment.set_clock("2025-01-23T16:45:00Z");
    let (checkout, remote) = environment.with_remote();
    ready_for_prod(&checkout);
    for (by, at) in [("carol", "2025-01-23T15:15:00Z"), ("dave", "2025-01-23T15:30:00Z")] {
        platform.control("POST", "/__approvals", &json!({ "environment": "prod", "by": by, "at": at }));
    }
    let job = CiJob::gitlab(&checkout).rollout("prod").input("promote-from", "staging").unreported();
    let job = job.with("CI_API_V4_URL", &platform.gitlab()).with("CI_PIPELINE_SOURCE", "web");
    job.run().succeeded().says("Approval received from carol, dave");
    let record = record(&remote, "api");
    assert!(record.contains("approval_timestamp: \"2025-01-23T15:30:00Z\""), "{record}");
    let list = checkout.json("deployment approvals payment-service");
    assert_eq!(list["approvals"][0]["approved_at"], "2025-01-23T15:30:00Z");
    assert_eq!(list["approvals"][0]["expires_at"], "2025-01-24T15:30:00Z", "it lasts from then on");
}
