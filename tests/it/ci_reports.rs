//! Reports of jobs' rollouts to the platform and to reviewers.

use serde_json::{Value, json};

use rustix::process::Signal;

use crate::support::{CiJob, Platform, TestEnvironment, wait_until};

/// The payload of a pull request's event.
pub(crate) fn pull_request(repository: &str, head: &str) -> Value {
    json!({ "number": 7, "pull_request": {
        "number": 7,
        "head": { "sha": head, "repo": { "full_name": repository } },
        "base": { "sha": head, "repo": { "full_name": "acme/shop" } },
    } })
}

/// The statuses that GitHub was sent, as `context state description`.
pub(crate) fn statuses(platform: &Platform) -> Vec<String> {
    let text = |status: &Value, key: &str| status[key].as_str().unwrap().to_owned();
    let line = |status: &Value| {
        format!("{} {} {}", text(status, "context"), text(status, "state"), text(status, "description"))
    };
    platform.told("statuses").iter().map(line).collect()
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_pull_request_s_rollout_is_shown_where_reviewers_look() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let head = checkout.head();
    let job = |run: &str| {
        let job = CiJob::github(&checkout, "pull_request").rollout("dev").with("GITHUB_RUN_ID", run);
        job.with("GITHUB_API_URL", platform.github()).event(&pull_request("acme/shop", &head))
    };
    let first = job("99");
    let run = first.run().succeeded();
    assert!(!run.stderr.contains("::notice::"), "{}", run.report());
    assert_eq!(
        statuses(&platform),
        [
            "atmos/payment-service/dev pending Rolling out 3 components",
            "atmos/payment-service/dev success 3 deployed"
        ]
    );
    assert_eq!(platform.told("statuses")[1]["sha"], head.as_str());
    assert_eq!(
        platform.told("statuses")[1]["target_url"],
        "https://github.example.com/acme/shop/actions/runs/99/attempts/1"
    );
    let deployments = platform.told("deployments");
    assert_eq!((deployments.len(), &deployments[0]["environment"]), (1, &json!("dev")));
    let states: Vec<_> =
        platform.told("deployment_statuses").iter().map(|told| told["state"].clone()).collect();
    assert_eq!(states, ["in_progress", "success"]);
    let comments = platform.told("comments");
    assert_eq!(comments.len(), 1);
    let body = comments[0]["body"].as_str().unwrap();
    assert!(body.contains("### `payment-service` · dev ✅ · staging ➖ · prod ➖"), "{body}");
    assert!(body.contains("**Next:** promote dev → **staging**"), "{body}");
    assert!(first.summary().contains("**✅ Rollout to dev succeeded**"), "{}", first.summary());
    let file = checkout.path.join(first.output("summary-file"));
    assert_eq!(std::fs::read_to_string(file).unwrap().trim(), first.summary().trim());

    let second = job("100").input("target", "staging").input("promote-from", "dev");
    second.run().succeeded();
    let comments = platform.told("comments");
    assert_eq!(comments.len(), 1, "a second run edits the comment");
    let body = comments[0]["body"].as_str().unwrap();
    assert!(body.contains("dev ✅ · staging ✅ · prod ➖"), "{body}");
    assert!(body.contains("**Next:** promote staging → **prod**, which needs an approval 🔒"), "{body}");
    assert!(body.contains("/actions/runs/99/attempts/1"), "where dev comes from: {body}");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn after_a_merge_the_push_goes_on_with_the_comment_of_what_was_merged() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let plan = CiJob::github(&checkout, "pull_request").rollout("dev").input("plan", "true");
    let plan = plan.with("GITHUB_API_URL", platform.github());
    plan.event(&pull_request("acme/shop", &checkout.head())).run().succeeded();
    let merged = checkout.commit_version("2");
    let push = |run: &str| {
        let job = CiJob::github(&checkout, "push").rollout("dev").with("GITHUB_API_URL", platform.github());
        job.with("GITHUB_RUN_ID", run)
    };
    // A push that merges nothing, and one whose job lacks the permission to find out.
    push("100").run().succeeded();
    platform.refuse(403, 1, "/pulls", &json!({ "message": "Resource not accessible by integration" }));
    let run = push("101").run().succeeded();
    assert!(!run.stderr.contains("::notice::"), "{}", run.report());
    let body = || platform.told("comments")[0]["body"].as_str().unwrap().to_owned();
    assert!(!body().contains("dev ✅"), "{}", body());

    let merge = json!({ "number": 7, "branch": "main", "commit": merged });
    platform.control("POST", "/__merges", &merge);
    push("102").run().succeeded();
    assert_eq!(platform.told("comments").len(), 1);
    assert!(body().contains("dev ✅ · staging ➖"), "{}", body());

    let gitlab = CiJob::gitlab(&checkout).rollout("dev").with("CI_API_V4_URL", &platform.gitlab());
    gitlab.with("GITLAB_TOKEN", "glpat-user").run().succeeded();
    let notes = platform.told("notes");
    assert_eq!((notes.len(), &notes[0]["noteable_iid"]), (1, &json!(7)));
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn what_comes_next_is_started_when_the_rollout_has_succeeded() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = |target: &str, run: &str| {
        let job = CiJob::github(&checkout, "push").rollout(target).with("GITHUB_API_URL", platform.github());
        job.with("GITHUB_RUN_ID", run).input("dispatch", "promote.yml").unreported()
    };
    job("dev", "99").input("plan", "true").run().succeeded();
    job("prod", "100").run().exited(3);
    assert_eq!(platform.told("dispatches"), [json!(null); 0]);
    job("dev", "101").run().succeeded().says("what comes next is started without inputs: GitHub refused");
    let [dispatch] = &platform.told("dispatches")[..] else { panic!("one workflow is started") };
    assert_eq!((&dispatch["ref"], &dispatch["inputs"]), (&json!("main"), &json!({})));
    assert_eq!(platform.requests("POST /repos/acme/shop/actions/workflows/promote.yml/dispatches"), 1);
    platform.refuse(403, 1, "/dispatches", &json!({ "message": "Resource not accessible by integration" }));
    job("dev", "102").run().succeeded().says("`actions: write`");

    let gitlab = CiJob::gitlab(&checkout).rollout("dev").with("CI_API_V4_URL", &platform.gitlab());
    gitlab.input("dispatch", "promote").unreported().run().succeeded();
    let told = json!({ "ATMOS_DISPATCH": "promote", "ATMOS_DISPATCH_DEPLOYMENT": "payment-service",
        "ATMOS_DISPATCH_TARGET": "dev", "ATMOS_DISPATCH_COMMIT": checkout.head() });
    assert_eq!(platform.told("pipelines")[0]["variables"], told);

    CiJob::elsewhere(&checkout)
        .rollout("dev")
        .input("dispatch", "x")
        .run()
        .succeeded()
        .says("starts nothing outside");
    let status = CiJob::github(&checkout, "push").input("command", "status").input("dispatch", "promote.yml");
    status.run().refused(2, "input `dispatch` does not apply to command `status`");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_plan_shows_its_digest_and_leaves_the_status_of_what_runs_alone() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let job = CiJob::github(&checkout, "push").with("GITHUB_API_URL", platform.github());
    job.rollout("dev").run().succeeded();
    let head = checkout.commit_version("2");
    checkout.write("deployments/other.txt", "x");
    let before = remote.snapshot();
    let plan = CiJob::github(&checkout, "pull_request").rollout("dev").input("plan", "true");
    let plan = plan.with("GITHUB_API_URL", platform.github()).with("GITHUB_RUN_ID", "100");
    let plan = plan.event(&pull_request("acme/shop", &head));
    let digest = |job: &CiJob<'_, '_>| job.output("digest");
    plan.run().succeeded().shows(&format!("Digest {}", digest(&plan)));
    assert_eq!(remote.snapshot(), before);
    assert!(digest(&plan).starts_with("v1:sha256:"));
    let summary = plan.summary();
    for part in [
        "**📋 Rollout to dev planned** · 1 commit, 3 components",
        "**Next:** roll this out to **dev**",
        "Version 2",
        &format!("Digest `{}`: an approval is of exactly this", digest(&plan)),
    ] {
        assert!(summary.contains(part), "{part} is not in {summary}");
    }
    assert_eq!(statuses(&platform).last().unwrap(), "atmos/payment-service/dev/plan success 3 planned");
    assert_eq!(platform.told("deployments").len(), 1, "a plan deploys nothing");
    assert_eq!(platform.told("comments").len(), 1);
    // The digest allows exactly this plan.
    let planned = digest(&plan);
    checkout.commit_version("3");
    let job = || {
        let job = CiJob::github(&checkout, "push").rollout("dev").input("digest", &planned);
        job.with("GITHUB_API_URL", platform.github()).with("GITHUB_RUN_ID", "101")
    };
    job().run().refused(3, "What would be rolled out to dev is not what was planned");
    assert_eq!(remote.snapshot(), before);
    job().input("git-sha", &head).run().succeeded();
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_promotion_shows_which_dependencies_it_changes() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let attach = |component: &str, packages: &[(&str, &str)]| {
        let packages: Vec<_> = packages
            .iter()
            .map(|(name, version)| json!({ "type": "library", "name": name, "version": version }))
            .collect();
        let sbom = json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": packages });
        let file = environment.path("sbom.json");
        std::fs::write(&file, sbom.to_string()).unwrap();
        let line = "deployment attach payment-service sbom --component";
        checkout.atmos(&format!("{line} {component} --file {}", file.display())).succeeded();
    };
    let run = |target: &str, from: Option<&str>, plan: bool| {
        let job = CiJob::github(&checkout, "pull_request")
            .rollout(target)
            .event(&pull_request("acme/shop", &checkout.head()));
        let job = job.with("GITHUB_API_URL", platform.github()).with("GITHUB_RUN_ATTEMPT", &checkout.head());
        let job = from.map_or_else(|| job.clone(), |from| job.clone().input("promote-from", from));
        let job = if plan { job.input("plan", "true") } else { job };
        job.run().succeeded();
        let comment = platform.told("comments")[0]["body"].as_str().unwrap().to_owned();
        (comment, job.summary())
    };
    attach("api", &[("idna", "3.6"), ("gone", "1.0"), ("same", "1.0")]);
    attach("worker", &[("left-pad", "1.3.0")]);
    run("dev", None, false);
    let (comment, _) = run("staging", Some("dev"), false);
    assert!(!comment.contains("| Dependency |"), "there is nothing to compare with: {comment}");
    checkout.commit_version("2");
    attach("api", &[("idna", "3.7"), ("new", "2.0"), ("same", "1.0")]);
    let (comment, _) = run("dev", None, false);
    let table = "| Dependency | Of | Now | After | |\n|:--|:--|:--|:--|:--|\n\
                 | `gone` | `api` | `1.0` | – | removed |\n\
                 | `idna` | `api` | `3.6` | `3.7` | changed |\n\
                 | `new` | `api` | – | `2.0` | added |\n\n";
    assert!(comment.contains(&table.replace("Now | After", "From | To")), "what it did: {comment}");
    assert!(comment.contains(table), "what can come next: {comment}");
    // The worker has no SBOM of the second version: its dependencies are unknown, and not removed.
    assert!(comment.contains("1 commit, 3 components, 3 dependencies"), "{comment}");
    let (comment, summary) = run("staging", Some("dev"), true);
    for text in [comment, summary] {
        assert!(text.contains("planned** · 1 commit, 3 components, 3 dependencies"), "{text}");
        assert_eq!(text.matches(table).count(), 1, "{text}");
    }
    checkout.commit_version("3");
    let (comment, _) = run("dev", None, false);
    assert!(!comment.contains("| Dependency |"), "{comment}");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn whatever_happens_the_status_is_finished() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = |target: &str| {
        let job = CiJob::github(&checkout, "push").rollout(target);
        job.with("GITHUB_API_URL", platform.github()).input("comment", "false")
    };
    let failing = job("dev").with("TEST_DO", "echo broken >&2; exit 7");
    let run = failing.run().exited(1);
    assert!(run.stderr.contains("::error title=worker failed on dev::"), "{}", run.report());
    assert!(
        run.stderr.contains("::group::Output of worker (1 line)\nbroken\n::endgroup::\n"),
        "{}",
        run.report()
    );
    assert_eq!(failing.output("result"), "failed");
    let last = || statuses(&platform).pop().unwrap();
    assert!(last().starts_with("atmos/payment-service/dev failure 2 failed, 1 skipped; "), "{}", last());
    assert_eq!(platform.told("deployment_statuses").pop().unwrap()["state"], "failure");

    let refused = job("prod").input("promote-from", "dev");
    let run = refused.run().exited(3);
    let title =
        "::error title=atmos deployment rollout was refused::Cannot promote directly from dev to prod";
    assert!(run.stderr.contains(title), "{}", run.report());
    assert_eq!(last(), "atmos/payment-service/prod error Cannot promote directly from dev to prod");
    assert!(
        refused.summary().contains("Promotion path requires&#58; dev → staging → prod"),
        "{}",
        refused.summary()
    );

    checkout.atmos("deployment lock payment-service --target dev --component api").succeeded();
    let locked = job("dev").input("args", "--lock-timeout 0s");
    locked.run().refused(4, "api on dev is locked by");
    assert_eq!(locked.output("result"), "locked");
    assert!(last().starts_with("atmos/payment-service/dev error api on dev is locked by"), "{}", last());
    let pending = statuses(&platform).iter().filter(|status| status.contains(" pending ")).count();
    assert_eq!(pending, 1, "a rollout that is refused or gets no lock never was under way");
}

#[test]
fn a_mistake_in_the_configuration_is_shown_at_its_line() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout
        .write("deployments/payment-service.yaml", "deployment:\n  name: payment-service\n  targts: {}\n");
    checkout.commit("Break it");
    let job = CiJob::github(&checkout, "push").rollout("dev").unreported();
    let run = job.run().exited(2);
    let annotation = "::error file=deployments/payment-service.yaml,line=3,col=3,title=";
    assert!(run.stderr.contains(annotation), "{}", run.report());
    // In a checkout in a folder of the workspace, the paths start with that folder.
    let above = checkout.path.parent().unwrap().to_str().unwrap().to_owned();
    let validate = CiJob::github(&checkout, "push").input("command", "validate").input("args", "--all");
    let run = validate.with("GITHUB_WORKSPACE", &above).run().exited(2);
    assert!(
        run.stderr.contains("::error file=checkout/deployments/payment-service.yaml,line=3,col=3::"),
        "{}",
        run.report()
    );
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_merge_request_gets_its_note_and_a_job_token_is_told_what_it_lacks() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = || {
        let job = CiJob::gitlab(&checkout).rollout("dev").with("CI_MERGE_REQUEST_IID", "7");
        job.with("CI_API_V4_URL", &platform.gitlab()).with("CI_PIPELINE_SOURCE", "merge_request_event")
    };
    let run = job().run().succeeded();
    assert!(run.stderr.contains("Notice: GitLab refused to write the comment"), "{}", run.report());
    assert!(
        run.stderr.contains("A GitLab job token cannot write MR notes: set ATMOS_GITLAB_TOKEN"),
        "{}",
        run.report()
    );
    assert!(platform.told("notes").is_empty());
    for (id, variable, name) in [("7", "GITLAB_TOKEN", "x"), ("8", "ATMOS_INPUT_TOKEN", "")] {
        let job = job().with("CI_JOB_ID", id).with(variable, "glpat-user-token");
        job.with("CI_ENVIRONMENT_NAME", name).run().succeeded();
    }
    let notes = platform.told("notes");
    assert_eq!((notes.len(), &notes[0]["noteable_iid"]), (1, &json!(7)));
    assert!(notes[0]["body"].as_str().unwrap().contains("gitlab.example.com/acme/shop/-/commit/"));
    let told: Vec<_> = platform.told("gitlab_statuses").iter().map(|told| told["status"].clone()).collect();
    assert_eq!(told, ["running", "success", "running", "success", "running", "success"]);
    // GitLab itself keeps the record of a job that has an environment.
    let deployments = platform.told("gitlab_deployments");
    assert_eq!(deployments.iter().filter(|told| told.get("deployable").is_none()).count(), 2);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn each_report_can_be_switched_off() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let head = checkout.head();
    for (run, off, left) in [
        ("1", "comment", [0, 2, 1]),
        ("2", "commit-status", [1, 2, 2]),
        ("3", "deployment-record", [1, 4, 2]),
    ] {
        let job = CiJob::github(&checkout, "pull_request").rollout("dev").with("GITHUB_RUN_ID", run);
        let job = job.with("GITHUB_API_URL", platform.github()).event(&pull_request("acme/shop", &head));
        job.input(off, "false").run().succeeded();
        let told = ["comments", "statuses", "deployments"].map(|kind| platform.told(kind).len());
        assert_eq!(told, left, "without {off}");
    }
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_team_s_own_template_is_used_and_a_broken_one_is_not() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.write("atmos.yaml", "ci: { comment_template: .github/comment.md.hbs }\n");
    let job = |template: &str, run: &str| {
        checkout.write(".github/comment.md.hbs", template);
        let head = checkout.commit("A template");
        let job = CiJob::github(&checkout, "pull_request").rollout("dev").with("GITHUB_RUN_ID", run);
        job.with("GITHUB_API_URL", platform.github())
            .event(&pull_request("acme/shop", &head))
            .run()
            .succeeded()
    };
    let body = || platform.told("comments")[0]["body"].as_str().unwrap().to_owned();
    job("{{deployment}}: {{#each targets}}{{name}} {{presence}}, {{/each}}", "1");
    assert!(body().ends_with("payment-service: dev deployed, staging not yet, prod not yet, "), "{}", body());
    let run = job("{{#if}}{{deploymnet}}", "2");
    assert!(
        run.stderr.contains("::notice::the built-in template is used for the comment: "),
        "{}",
        run.report()
    );
    assert!(body().contains("### `payment-service` · dev ✅"), "{}", body());
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_job_that_is_killed_leaves_nothing_unfinished() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let started = environment.path("started");
    let job = CiJob::github(&checkout, "push").rollout("dev").with("GITHUB_API_URL", platform.github());
    let job = job.with("TEST_DO", &format!("touch {}; sleep 60 & wait", started.display()));
    let running = job.start_with("");
    wait_until("the component runs", || started.exists());
    running.signal(Signal::TERM);
    running.wait().exited(130);
    assert!(remote.locks().is_empty());
    let tag = remote.records("payment-service", "dev", "worker").pop().unwrap();
    assert!(remote.git(&["cat-file", "-p", &tag]).contains("status: cancelled"));
    assert!(statuses(&platform).pop().unwrap().contains(" error "), "{:?}", statuses(&platform));
    assert_eq!(platform.told("deployment_statuses").pop().unwrap()["state"], "error");
    assert_eq!(job.output("result"), "cancelled");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_job_that_is_killed_while_it_waits_for_a_lock_ends_as_well() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment lock payment-service --target dev --component api").succeeded();
    let locks = remote.locks();
    let job = CiJob::github(&checkout, "push").rollout("dev").with("GITHUB_API_URL", platform.github());
    let running = job.start_with("");
    wait_until("the status is pending", || statuses(&platform).len() == 1);
    running.signal(Signal::TERM);
    running.wait().refused(130, "The rollout was cancelled before anything was applied");
    assert_eq!(remote.locks(), locks);
    assert!(statuses(&platform).pop().unwrap().contains(" error "), "{:?}", statuses(&platform));
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_status_of_components_has_one_name_however_they_are_written() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    for components in ["api\nworker", "worker,api", "command/worker\napi\ncommand/api", "api,api,worker"] {
        let told = platform.told("statuses").len();
        let job = CiJob::github(&checkout, "push").rollout("dev").input("component", components);
        let job = job.input("plan", "true").with("GITHUB_API_URL", platform.github());
        job.run().succeeded();
        let statuses = statuses(&platform);
        let ours = &statuses[told..];
        assert_eq!(ours.len(), 2, "{components}: {ours:?}");
        assert!(
            ours.iter().all(|status| status.starts_with("atmos/payment-service/dev/api,worker/plan ")),
            "{components}: {ours:?}"
        );
    }
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn an_attempt_that_has_nothing_left_to_do_says_so() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = |attempt: &str| {
        let job = CiJob::github(&checkout, "push").rollout("dev").with("GITHUB_RUN_ATTEMPT", attempt);
        job.with("GITHUB_API_URL", platform.github()).run().succeeded();
        statuses(&platform).pop().unwrap()
    };
    assert_eq!(job("1"), "atmos/payment-service/dev success 3 deployed");
    assert_eq!(job("2"), "atmos/payment-service/dev success 3 already deployed");
}

#[test]
fn a_report_that_is_asked_for_outside_of_any_ci_is_not_silently_left_out() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = || CiJob::elsewhere(&checkout).rollout("dev");
    let said = "nothing is reported outside of GitHub Actions and GitLab CI";
    job().input("commit-status", "true").run().succeeded().says(said);
    let silent = job().run().succeeded();
    assert!(!silent.stderr.contains(said), "{}", silent.report());
}
