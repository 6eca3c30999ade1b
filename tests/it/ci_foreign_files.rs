//! Limits of the files of a fork's checkout, in jobs that do not run the fork's commits.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::ci_reports::pull_request;
use crate::ci_trust::{Commits, with_fork};
use crate::support::{Checkout, CiJob, Platform, Remote, TestEnvironment};

/// A variable of the job whose name does not say that it is a secret.
const PLANTED: (&str, &str) = ("BUILD_NOTE", "planted-value-0123456789");

const TEMPLATE: &str = "comment.md.hbs";

fn link(checkout: &Checkout<'_>, target: impl AsRef<Path>, path: &str) {
    let link = checkout.path.join(path);
    let _ = std::fs::remove_file(&link);
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(target, link).unwrap();
}

fn of_github<'c, 'e>(checkout: &'c Checkout<'e>, platform: &Platform, base: &str) -> CiJob<'c, 'e> {
    let job = CiJob::github(checkout, "pull_request_target").with("GITHUB_REF", "refs/heads/main");
    let job = job.with("GITHUB_SHA", base).with("GITHUB_API_URL", platform.github());
    job.with(PLANTED.0, PLANTED.1).event(&pull_request("mallory/shop", &checkout.head()))
}

fn of_gitlab<'c, 'e>(checkout: &'c Checkout<'e>, platform: &Platform) -> CiJob<'c, 'e> {
    let mut job = CiJob::gitlab(checkout).with("CI_API_V4_URL", &platform.gitlab());
    for (name, value) in [
        ("CI_PIPELINE_SOURCE", "merge_request_event"),
        ("CI_MERGE_REQUEST_IID", "7"),
        ("CI_MERGE_REQUEST_PROJECT_ID", "42"),
        ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "43"),
        ("GITLAB_TOKEN", "glpat-user"),
        PLANTED,
    ] {
        job = job.with(name, value);
    }
    job
}

/// A fork that has replaced the template of the comment.
fn with_template(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>, Commits) {
    let (checkout, remote, mut fork) = with_fork(environment);
    let settings = "ci:\n  comment_template: comment.md.hbs\n  environment: chosen-by-the-fork\n";
    checkout.write("atmos.yaml", settings);
    checkout.write(TEMPLATE, "# Approved by the fork\n");
    fork.head = checkout.commit("A template");
    (checkout, remote, fork)
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_refused_run_reports_nothing_that_the_checkout_says() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote, fork) = with_template(&environment);
    // The repository's own rollouts are in its ledger, and are reported.
    checkout.git(&["checkout", "--quiet", &fork.base]);
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.git(&["checkout", "--quiet", &fork.head]);
    for target in [None, Some("/proc/self/environ"), Some("deployments/payment-service.yaml")] {
        if let Some(target) = target {
            link(&checkout, target, TEMPLATE);
            checkout.commit("A link");
        }
        let on_github = of_github(&checkout, &platform, &fork.base).rollout("dev");
        on_github.run().refused(3, "the checkout is not part of");
        of_gitlab(&checkout, &platform).rollout("dev").run().refused(3, "the checkout is not part of");
        let told = platform.state().to_string();
        for hidden in [PLANTED.1, "by the fork", "chosen-by-the-fork", "promotion:"] {
            assert!(!told.contains(hidden), "{hidden}: {told}");
        }
        assert!(!on_github.summary().contains("by the fork"), "{}", on_github.summary());
    }
    // The comment and the status report the refusal.
    let comment = platform.told("comments")[0]["body"].as_str().unwrap().to_owned();
    assert!(comment.contains("was refused:**") && comment.contains(&fork.base[..7]), "{comment}");
    let refused = platform.told("statuses");
    assert!(refused.iter().any(|status| status["context"] == "atmos/payment-service/dev"), "{refused:?}");
}

/// A remote with the attacker's ledger is as untrusted as the attacker's files.
#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_refused_run_reports_nothing_of_a_ledger_that_is_not_the_repository_s() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote, fork) = with_template(&environment);
    checkout.atmos("deployment rollout payment-service --target dev").exited(1);
    checkout.git(&["remote", "set-url", "origin", "https://github.example.com/mallory/shop.git"]);
    of_github(&checkout, &platform, &fork.base).rollout("dev").run().refused(3, "it is not known whether");
    let told = platform.state().to_string();
    assert!(!told.contains("by the fork") && !told.contains("| dev |"), "{told}");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn no_verb_follows_a_link_out_of_the_checkout_or_into_git_s_folder() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote, fork) = with_fork(&environment);
    let secret = environment.path("credentials");
    std::fs::write(&secret, "[default]\nkey = planted-value-0123456789\n").unwrap();
    checkout.git(&["config", "http.extraHeader", "planted-value-0123456789"]);
    for target in [secret.to_str().unwrap(), "/proc/self/environ", "/dev/zero", "../.git/config"] {
        link(&checkout, target, "deployments/payment-service.yaml");
        checkout.commit("A link");
        for (command, named) in [
            ("status", "payment-service"),
            ("validate", "payment-service"),
            ("list targets", "payment-service"),
        ] {
            let job = of_github(&checkout, &platform, &fork.base).unreported();
            let job = job.input("command", command).input("deployment", named);
            let run = job.run();
            let all = [
                run.stdout,
                run.stderr,
                job.summary(),
                job.read("GITHUB_OUTPUT"),
                platform.state().to_string(),
            ];
            let all = all.concat();
            assert!(!all.contains(PLANTED.1) && !all.contains("extraHeader"), "{command} {target}: {all}");
            let says = "deployments/payment-service.yaml: it leads out of the files of the repository";
            assert!(all.contains(says), "{command} {target}: {all}");
        }
    }
}

#[test]
fn stacks_are_not_read_through_a_link_out_of_the_checkout() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let secret = environment.path("secret.txt");
    std::fs::write(&secret, PLANTED.1).unwrap();
    checkout.write("stacks/inside.txt", "text of the repository");
    link(&checkout, "inside.txt", "stacks/linked.txt");
    let stack = |file: &str| {
        let text = format!(
            "vars:\n  stage: dev\ncomponents:\n  terraform:\n    vpc:\n      vars:\n        read: !include.raw {file}\n"
        );
        checkout.write("stacks/dev.yaml", &text);
        checkout.atmos("describe component vpc --stack dev")
    };
    stack("./linked.txt").succeeded().shows("text of the repository");
    for target in [secret.to_str().unwrap(), "/proc/self/environ", "../.git/config"] {
        link(&checkout, target, "stacks/out.txt");
        let run = stack("./out.txt")
            .exited(2)
            .says("cannot read stacks/out.txt: it leads out of the files of the repository");
        assert!(!run.report().contains(PLANTED.1) && !run.report().contains("[core]"), "{}", run.report());
    }
    let run = stack("../.git/config")
        .exited(2)
        .says("cannot read .git/config: it leads out of the files of the repository");
    assert!(!run.report().contains("[core]"), "{}", run.report());
}

#[test]
fn a_configuration_that_is_named_is_not_read_through_a_link_out_of_the_checkout() {
    let environment = TestEnvironment::new();
    let checkout = environment.payment_service("checkout");
    let outside = environment.path("outside.yaml");
    std::fs::write(&outside, "planted-value-0123456789: [\n").unwrap();
    link(&checkout, &outside, "linked.yaml");
    let run = checkout.atmos("--config linked.yaml deployment list").exited(1);
    assert!(!run.report().contains(PLANTED.1), "{}", run.report());
    run.says("linked.yaml: it leads out of the files of the repository");
    // A file outside of the checkout that is named directly is meant.
    std::fs::write(&outside, "deployments: [\n").unwrap();
    let run = checkout.atmos(&format!("--config {} deployment list", outside.display())).exited(2);
    run.says("outside.yaml:1:14");
    checkout.write("config/own.yaml", "deployments: {}\n");
    link(&checkout, "config/own.yaml", "linked.yaml");
    checkout.atmos("--config linked.yaml deployment list").succeeded();
}

/// An artifact of a fork's run may be unpacked into the workspace of a later run like this.
#[test]
fn what_runs_is_configured_as_the_commit_says() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let evil = checkout.path.join("evil.sh");
    checkout.write("evil.sh", "");
    checkout.commit("A script");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    let before = remote.snapshot();
    let settings = format!("components:\n  terraform:\n    command: {}\n", evil.display());
    let original = std::fs::read_to_string(checkout.path.join("deployments/payment-service.yaml")).unwrap();
    let job = |command: &str, more: &[(&str, &str)]| {
        let job = CiJob::github(&checkout, "workflow_run").with("GITHUB_REF", "refs/heads/main").unreported();
        let job = job.input("command", command).input("deployment", "payment-service");
        more.iter().fold(job, |job, (input, value)| job.input(input, value)).run()
    };
    let refused = |file: &str| {
        for (command, more) in [
            ("rollout", &[("target", "dev"), ("plan", "true")][..]),
            ("rollout", &[("target", "dev"), ("plan", "false")]),
            ("status", &[("args", "--check-drift")]),
            ("build", &[]),
        ] {
            let run = job(command, more).refused(2, &format!("{file} is not as in the commit"));
            run.says("git status");
        }
        // `validate` reads the file, and runs nothing of it.
        job("validate", &[]);
        assert_eq!(remote.snapshot(), before);
    };
    checkout.write("atmos.yaml", &settings);
    refused("atmos.yaml");
    std::fs::remove_file(checkout.path.join("atmos.yaml")).unwrap();
    link(&checkout, "deployments/payment-service.yaml", "atmos.yaml");
    refused("atmos.yaml");
    std::fs::remove_file(checkout.path.join("atmos.yaml")).unwrap();
    checkout.write("deployments/payment-service.yaml", &format!("{original}\n# changed\n"));
    refused("deployments/payment-service.yaml");
    // A committed configuration is used.
    checkout.write("deployments/payment-service.yaml", &original);
    checkout.write("atmos.yaml", "deployments: {}\n");
    checkout.commit("A configuration");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    job("rollout", &[("target", "dev"), ("plan", "true")]).succeeded();
    job("rollout", &[("target", "dev")]).succeeded();
    // On the command line, outside of the action, an uncommitted configuration is used.
    checkout.write("atmos.yaml", "deployments: {}\n# changed\n");
    checkout.atmos("deployment rollout payment-service --target dev --plan").succeeded();
}

#[test]
fn nothing_is_written_through_a_link_of_the_checkout() {
    let environment = TestEnvironment::new();
    let (checkout, _remote, fork) = with_fork(&environment);
    let (file, folder) = (environment.path("victim.txt"), environment.path("victim"));
    std::fs::write(&file, "precious").unwrap();
    std::fs::create_dir(&folder).unwrap();
    let on_github = || {
        let job = CiJob::github(&checkout, "issue_comment").with("GITHUB_REF", "refs/heads/main");
        job.with("GITHUB_SHA", &fork.base).rollout("dev").unreported()
    };
    let is_untouched = || {
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    };
    link(&checkout, &file, ".atmos/summary-rollout.md");
    link(&checkout, &file, "atmos.env");
    on_github().run().refused(3, "is not part of");
    is_untouched();
    let summary = checkout.path.join(".atmos/summary-rollout.md");
    assert!(std::fs::read_to_string(summary).unwrap().contains("was refused"));
    let job = CiJob::gitlab(&checkout).with("CI_PIPELINE_SOURCE", "merge_request_event").rollout("dev");
    let job = job.with("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "43").unreported();
    job.run().refused(3, "is not part of");
    is_untouched();
    assert_eq!(job.output("result"), "refused");
    // Nothing is written through a linked folder that leads out either.
    link(&checkout, &folder, "build");
    job.clone()
        .with("ATMOS_DOTENV", "build/atmos.env")
        .run()
        .says("the outputs cannot be written to build/atmos.env");
    is_untouched();
    std::fs::remove_dir_all(checkout.path.join(".atmos")).unwrap();
    link(&checkout, &folder, ".atmos");
    on_github().run().refused(3, "is not part of").says("cannot be written to a file: .atmos is a link");
    is_untouched();
    // In a job of the repository's own commit, the link is only worth a notice.
    let own = CiJob::github(&checkout, "push").with("GITHUB_REF", "refs/heads/main").unreported();
    own.input("command", "status").run().succeeded();
    is_untouched();
}
