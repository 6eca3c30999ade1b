//! The trust in checked-out commits: every event with a fork's commit, and the repository's own
//! commits.

use serde_json::Value;

use crate::ci_reports::pull_request;
use crate::support::{Checkout, CiJob, Clone, Platform, Remote, Run, TestEnvironment};

/// A secret of the repository, which a fork's component tries to print.
const SECRET: &str = "planted-secret-0123456789";

/// The commits that fill in the placeholders of an event.
pub(crate) struct Commits {
    pub(crate) base: String,
    pub(crate) head: String,
}

/// A remote with a fork's pull request, whose head is checked out. A step has moved local refs to
/// it.
pub(crate) fn with_fork(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>, Commits) {
    let (checkout, remote) = environment.with_remote();
    let base = checkout.head();
    checkout.git(&["tag", "v1"]);
    checkout.git(&["push", "--quiet", "origin", "v1"]);
    let evil = "#!/bin/sh\necho \"stolen: $DEPLOY_SECRET\"\necho \"stolen: $DEPLOY_SECRET\" >&2\nexit 1\n";
    for component in ["api", "database", "worker"] {
        checkout.write_script(&format!("services/{component}/deploy.sh"), evil);
    }
    let head = checkout.commit("A change from a fork");
    checkout.git(&["push", "--quiet", "origin", "HEAD:refs/pull/7/head", "HEAD:refs/merge-requests/7/head"]);
    for local in ["refs/remotes/origin/main", "refs/remotes/origin/feature", "refs/tags/mine"] {
        checkout.git(&["update-ref", local, &head]);
    }
    (checkout, remote, Commits { base, head })
}

fn events(platform: &str) -> Vec<Value> {
    let file = format!("{}/tests/events/{platform}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn filled(text: &str, commits: &Commits) -> String {
    text.replace("\"$HEAD_REPOSITORY\"", r#"{"full_name": "mallory/shop"}"#)
        .replace("\"$LISTED\"", "[]")
        .replace("$HEAD_PROJECT", "43")
        .replace("$HEAD_PATH", "mallory/shop")
        .replace("$HEAD", &commits.head)
        .replace("$BASE", &commits.base)
        .replace("$TAG", &commits.base)
        .replace("$MERGE", &"b".repeat(40))
}

fn github<'c, 'e>(checkout: &'c Checkout<'e>, event: &Value, commits: &Commits) -> CiJob<'c, 'e> {
    let text = |key: &str| event[key].as_str().unwrap_or_default();
    let payload: Value = serde_json::from_str(&filled(&event["payload"].to_string(), commits)).unwrap();
    let reference = filled(text("ref"), commits);
    let name = reference.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/").to_owned();
    CiJob::github(checkout, text("event"))
        .with("GITHUB_REF", &reference)
        .with("GITHUB_REF_NAME", &name)
        .with("GITHUB_SHA", &filled(text("sha"), commits))
        .event(&payload)
}

/// All output of a job that others can read: streams, reports and files.
fn left_behind(run: &Run, checkout: &Checkout<'_>, files: &[String], platform: &Platform) -> String {
    let mut all = vec![run.stdout.clone(), run.stderr.clone(), platform.state().to_string()];
    all.extend(files.iter().cloned());
    let mut folders = vec![checkout.path.join(".atmos")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => all.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()),
            }
        }
    }
    all.concat()
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_fork_s_commit_runs_under_no_event_of_github_and_prints_no_secret() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote, fork) = with_fork(&environment);
    let before = remote.snapshot();
    for event in events("github") {
        let name = event["event"].as_str().unwrap();
        // These events are of the repository's branches, but a step has checked out the fork's
        // commit.
        let pushed = ["push", "workflow_dispatch"].contains(&name) && event["note"] != "of a record's tag";
        let commits = Commits {
            base: fork.base.clone(),
            head: if pushed { fork.base.clone() } else { fork.head.clone() },
        };
        for plan in ["true", "false"] {
            let job = github(&checkout, &event, &commits).rollout("dev").input("plan", plan);
            let job = job.with("GITHUB_API_URL", platform.github());
            // The only event whose jobs get no secrets for a fork: there is none to print.
            let is_exempt = name == "pull_request" && plan == "true";
            let job = if is_exempt { job } else { job.with("DEPLOY_SECRET", SECRET) };
            let run = job.run();
            if is_exempt {
                assert_ne!(job.output("result"), "refused", "{}", run.report());
            } else {
                assert_eq!(
                    (run.code, job.output("result").as_str()),
                    (Some(3), "refused"),
                    "{event}\n{}",
                    run.report()
                );
                assert!(run.stderr.contains(&format!("under {name}")), "{}", run.report());
            }
            let files = [job.summary(), job.read("GITHUB_OUTPUT")];
            assert!(!left_behind(&run, &checkout, &files, &platform).contains(SECRET), "{}", run.report());
        }
    }
    assert_eq!(remote.snapshot(), before);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_fork_s_commit_runs_under_no_source_of_gitlab_and_prints_no_secret() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote, fork) = with_fork(&environment);
    let before = remote.snapshot();
    for source in events("gitlab") {
        let name = source["source"].as_str().unwrap();
        let pushed = name == "push" && source["note"] != "of a record's tag";
        let commits = Commits {
            base: fork.base.clone(),
            head: if pushed { fork.base.clone() } else { fork.head.clone() },
        };
        for plan in ["true", "false"] {
            let mut job = CiJob::gitlab(&checkout).rollout("dev").input("plan", plan);
            for (variable, value) in source["variables"].as_object().unwrap() {
                job = job.with(variable, &filled(value.as_str().unwrap(), &commits));
            }
            let job = job.with("CI_PIPELINE_SOURCE", name).with("CI_API_V4_URL", &platform.gitlab());
            let job = job.with("GITLAB_TOKEN", "glpat-user").with("DEPLOY_SECRET", SECRET);
            let run = job.run();
            assert_eq!(run.code, Some(3), "{source}\n{}", run.report());
            assert!(run.stderr.contains(&format!("Refused to run rollout under {name}")), "{}", run.report());
            assert!(!left_behind(&run, &checkout, &[], &platform).contains(SECRET), "{}", run.report());
        }
    }
    assert_eq!(remote.snapshot(), before);
}

#[test]
fn what_is_not_the_repository_s_is_refused_however_it_is_asked_for() {
    let environment = TestEnvironment::new();
    let (checkout, _remote, fork) = with_fork(&environment);
    let job = || {
        let job = CiJob::github(&checkout, "issue_comment").with("GITHUB_REF", "refs/heads/main");
        job.with("GITHUB_SHA", &fork.base).input("deployment", "payment-service").unreported()
    };
    // The state is shown without running anything; checks of health and drift run commands.
    job().input("command", "status").run().succeeded();
    job().input("command", "validate").run().succeeded();
    for (command, args) in
        [("status", "--check-health"), ("status", "--check-drift"), ("build", "--plan"), ("test", "")]
    {
        job().input("command", command).input("args", args).run().refused(3, "the checkout is not part of");
    }
    checkout.git(&["checkout", "--quiet", &fork.base]);
    for (command, plan) in [("rollout", "true"), ("build", ""), ("test", "")] {
        let job = job().input("command", command).input("plan", plan);
        let job = if command == "rollout" { job.input("target", "dev") } else { job };
        let message = format!("Refused to run {command} under issue_comment: {} is not part of", fork.head);
        job.input("git-sha", &fork.head).run().refused(3, &message);
    }
    let by_words = job().input("command", "rollout").input("target", "dev");
    by_words.input("args", &format!("--git-sha {}", fork.head)).run().refused(3, "is not part of");
}

#[test]
fn the_repository_s_own_commits_run() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let base = checkout.head();
    checkout.git(&["checkout", "--quiet", "-b", "feature"]);
    let older = checkout.commit_version("2");
    let head = checkout.commit_version("3");
    checkout.git(&["push", "--quiet", "origin", "feature"]);
    checkout.git(&["checkout", "--quiet", "--detach", &base]);
    checkout.git(&["merge", "--quiet", "--no-ff", "--message", "Trial merge", &head]);
    let merge = checkout.head();
    checkout.git(&["tag", "--annotate", "--message", "v1", "v1", &older]);
    checkout.git(&["push", "--quiet", "origin", "v1"]);
    let job = |event: &str, reference: &str, sha: &str| {
        let job = CiJob::github(&checkout, event).with("GITHUB_REF", reference).with("GITHUB_SHA", sha);
        job.rollout("dev").unreported().input("plan", "true")
    };
    // Merges by the platform are trusted, those by a step of the job are not.
    let own = pull_request("acme/shop", &head);
    job("pull_request", "refs/pull/7/merge", &merge).event(&own).run().succeeded();
    job("merge_group", "refs/heads/gh-readonly-queue/main/pr-7-x", &merge).run().succeeded();
    job("push", "refs/heads/main", &base).run().refused(3, "the checkout is not part of");
    job("deployment", "", &merge).run().refused(3, "the checkout is not part of");
    // The tips of a branch and of a tag are trusted, and so are their ancestors.
    for (commit, event) in [(&head, "issue_comment"), (&older, "issue_comment"), (&older, "deployment")] {
        checkout.git(&["checkout", "--quiet", commit]);
        job(event, "refs/heads/main", &base).run().succeeded();
        job(event, "refs/heads/main", &base)
            .input("plan", "false")
            .input("allow-rollback", "true")
            .run()
            .succeeded();
    }
    // With a deleted branch its commits are no longer trusted, but those below a tag are.
    checkout.git(&["push", "--quiet", "origin", ":feature"]);
    job("issue_comment", "refs/heads/main", &base).run().succeeded();
    checkout.git(&["checkout", "--quiet", &head]);
    job("issue_comment", "refs/heads/main", &base).run().refused(3, "the checkout is not part of");
    // The ledger's own tags have the commit, and do not count.
    assert_eq!(remote.records("payment-service", "dev", "api").len(), 2);
}

#[test]
fn a_shallow_checkout_fetches_what_tells_whose_a_commit_is() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let old = checkout.commit_version("2");
    for version in 3..8 {
        checkout.commit_version(&version.to_string());
    }
    checkout.git(&["push", "--quiet", "origin", "main"]);
    let shallow = environment.clone(&remote.url(), "shallow", Clone::SHALLOW);
    let head = shallow.head();
    let job = |event: &str| {
        let job = CiJob::github(&shallow, event).with("GITHUB_REF", "refs/heads/main");
        job.with("GITHUB_SHA", &head).rollout("dev").unreported()
    };
    job("workflow_dispatch").input("git-sha", &old).run().succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), old);
}

#[test]
fn a_remote_that_proves_nothing_is_no_proof() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let base = checkout.head();
    let head = checkout.commit_version("2");
    checkout.git(&["push", "--quiet", "origin", "HEAD:feature"]);
    let job = || {
        let job = CiJob::github(&checkout, "issue_comment").with("GITHUB_REF", "refs/heads/main");
        job.with("GITHUB_SHA", &base).rollout("dev").unreported().input("plan", "true")
    };
    job().run().succeeded();
    let unknown = "it is not known whether the checkout is part of this repository's own history";
    job().input("fetch", "false").run().refused(3, unknown);
    // `origin` is the fork, since its repository was checked out.
    checkout.git(&["remote", "set-url", "origin", "https://github.example.com/mallory/shop.git"]);
    job().run().refused(3, unknown).says("origin is not the repository of this job");
    // Another host with the same path is not the repository either, whatever it answers.
    let server = environment.path("server");
    let answer = format!("#!/bin/sh\nexec git-upload-pack '{}'\n", environment.path("remote.git").display());
    std::fs::write(&server, answer).unwrap();
    std::fs::set_permissions(&server, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let by_ssh = || job().with("GIT_SSH", server.to_str().unwrap()).with("GIT_SSH_VARIANT", "simple");
    for address in [
        "git@evil.example:acme/shop.git",
        "git@evil.example:shop.git",
        "evil.example:/shop.git",
        "ssh://git@evil.example/acme/shop",
        "ssh://git@evil.example/shop.git",
        "https://evil.example/acme/shop.git",
    ] {
        checkout.git(&["remote", "set-url", "origin", address]);
        by_ssh().run().refused(3, unknown).says("origin is not the repository of this job");
    }
    checkout.git(&["remote", "set-url", "origin", "git@github.example.com:acme/shop.git"]);
    by_ssh().run().succeeded();
    // The runner may redirect git to a mirror, the repository's own configuration may not.
    let mirror = "url.git@mirror.example:.insteadOf";
    let of_runner = by_ssh().with("GIT_CONFIG_COUNT", "1").with("GIT_CONFIG_KEY_0", mirror);
    of_runner.with("GIT_CONFIG_VALUE_0", "git@github.example.com:").run().succeeded();
    checkout.git(&["config", mirror, "git@github.example.com:"]);
    by_ssh().run().refused(3, unknown).says("origin is not the repository of this job");
    checkout.git(&["config", "--unset", mirror]);
    checkout.git(&["remote", "set-url", "origin", "/nowhere/at-all.git"]);
    job().run().refused(3, unknown);
    checkout.git(&["remote", "remove", "origin"]);
    job().run().refused(3, unknown).says("there is no remote to ask");
    // The event's own commit is trusted without a remote.
    let own = job().with("GITHUB_SHA", &head);
    own.run().succeeded();
}

#[test]
fn only_a_job_that_may_be_of_any_commit_asks_the_remote_whose_it_is() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let trace = environment.path("trace");
    for (event, asked) in [("push", 0), ("issue_comment", 0), ("deployment", 1)] {
        let _ = std::fs::remove_file(&trace);
        let job = CiJob::github(&checkout, event).with("GITHUB_REF", "refs/heads/main").rollout("dev");
        job.unreported().with("GIT_TRACE", trace.to_str().unwrap()).run().succeeded();
        let text = std::fs::read_to_string(&trace).unwrap();
        let lists =
            |line: &&str| line.contains("git ls-remote --heads") || line.contains("git ls-remote --tags");
        assert_eq!(text.lines().filter(lists).count(), asked, "{event}");
    }
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_fork_does_not_decide_what_is_reported_of_a_target() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    CiJob::github(&checkout, "push").rollout("dev").unreported().run().succeeded();
    let base = checkout.head();
    let file = "deployments/payment-service.yaml";
    let deployment = std::fs::read_to_string(checkout.path.join(file)).unwrap();
    // The fork leaves out the component that it has changed.
    let worker = deployment.lines().position(|line| line == "      worker:").unwrap();
    let others = deployment.lines().enumerate().filter(|(at, _)| ![worker, worker + 1].contains(at));
    checkout.write(file, &others.map(|(_, line)| line).collect::<Vec<_>>().join("\n"));
    let head = checkout.commit("A change from a fork");
    checkout.git(&["push", "--quiet", "origin", "HEAD:refs/pull/7/head"]);
    let event = pull_request("mallory/shop", &head);
    for name in ["pull_request_target", "pull_request", "issue_comment"] {
        let job = CiJob::github(&checkout, name).rollout("dev").input("command", "status");
        let job = job.with("GITHUB_REF", "refs/heads/main").with("GITHUB_SHA", &base).event(&event);
        let job = job.with("GITHUB_API_URL", platform.github());
        job.run().succeeded();
        for report in ["commit-status", "deployment-record", "comment"] {
            let job = job.clone().input(report, "true");
            job.run().refused(3, &format!("Refused to run status under {name}: the checkout is not part of"));
            assert!(job.summary().contains("Refused to run status"), "{}", job.summary());
        }
    }
    let told = platform.told("statuses");
    assert!(!told.is_empty() && told.iter().all(|status| status["state"] == "error"), "{told:?}");
    assert_eq!(platform.told("deployments").len(), 0);
    // The comment shows the state from the ledger.
    let comments = platform.told("comments");
    let [comment] = &comments[..] else { panic!("{comments:?}") };
    let body = comment["body"].as_str().unwrap();
    assert!(body.contains("was refused:**") && body.contains(&base[..7]), "{body}");
}
