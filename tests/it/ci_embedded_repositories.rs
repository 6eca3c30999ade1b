//! Repositories inside of a commit: none of them is taken for the job's repository.

use crate::ci_trust::with_fork;
use crate::support::{Checkout, CiJob, Clone, TestEnvironment};

/// Returns a git configuration that logs every command that git runs because of it.
fn trap(environment: &TestEnvironment, checkout: &Checkout<'_>) -> String {
    let script = "#!/bin/sh\necho \"$0 $*\" >> \"$TEST_APPLIED.trap\"\nexit 1\n";
    for name in ["trap.sh", "hooks/post-index-change", "hooks/reference-transaction", "hooks/pre-push"] {
        checkout.write_script(&format!("traps/{name}"), script);
    }
    let traps = checkout.path.join("traps").display().to_string();
    assert!(environment.variable("TEST_APPLIED").ends_with("applied"));
    format!(
        "[core]\n\tfsmonitor = {traps}/trap.sh\n\tsshCommand = {traps}/trap.sh\n\thooksPath = {traps}/hooks\n"
    )
}

fn trapped(environment: &TestEnvironment) -> String {
    std::fs::read_to_string(environment.path("applied.trap")).unwrap_or_default()
}

#[test]
fn a_bare_repository_in_the_working_directory_is_not_the_job_s() {
    let environment = TestEnvironment::new();
    let (checkout, _remote, fork) = with_fork(&environment);
    let traps = trap(&environment, &checkout);
    let root = checkout.path.display();
    checkout.write("infra/HEAD", &format!("{}\n", fork.base));
    let settings = "[remote \"origin\"]\n\turl = git@github.example.com:acme/shop.git\n";
    let format = format!("\trepositoryformatversion = 0\n\tbare = false\n\tworktree = {root}\n");
    checkout.write("infra/config", &format!("{traps}{format}{settings}"));
    for file in ["objects/pack/x", "refs/heads/x"] {
        checkout.write(&format!("infra/{file}"), "");
    }
    let file = "deployments/payment-service.yaml";
    let text = std::fs::read_to_string(checkout.path.join(file)).unwrap();
    checkout.write(&format!("infra/{file}"), &text);
    checkout.commit("A repository in a folder");
    let job = || {
        let job = CiJob::github(&checkout, "issue_comment").with("GITHUB_REF", "refs/heads/main");
        let job = job.with("GITHUB_SHA", &fork.base).input("working-directory", "infra").unreported();
        job.input("deployment", "payment-service")
    };
    for plan in ["true", "false"] {
        let rollout = job().rollout("dev").input("plan", plan);
        rollout.run().refused(3, "the checkout is not part of");
    }
    for command in ["status", "validate", "build"] {
        job().input("command", command).run();
    }
    checkout.atmos("-C infra deployment status payment-service");
    assert_eq!(trapped(&environment), "");
}

/// The repository may be one that an earlier step has unpacked.
#[test]
fn a_job_uses_no_bare_repository() {
    let environment = TestEnvironment::new();
    let (_checkout, remote) = environment.with_remote();
    let bare = Checkout::new(&environment, remote.path.clone());
    bare.atmos("deployment list").succeeded();
    bare.atmos_with("deployment list", &[("CI", "true")]).refused(2, "is in a bare repository");
}

#[test]
fn git_runs_nothing_of_its_own_accord() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let traps = trap(&environment, &checkout);
    checkout.commit("Traps");
    let config = checkout.path.join(".git/config");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}{traps}")).unwrap();
    for line in [
        "rollout payment-service --target dev",
        "status payment-service",
        "history payment-service --target dev",
    ] {
        checkout.atmos(&format!("deployment {line}")).succeeded();
    }
    assert_eq!(trapped(&environment), "");
    assert_eq!(remote.records("payment-service", "dev", "api").len(), 1);
}

#[test]
fn a_submodule_is_not_the_job_s_repository() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let base = checkout.head();
    // A fork's repository on another server may have the same name as the job's repository.
    let evil = environment.clone(&remote.url(), "evil", Clone { arguments: &[] });
    evil.commit_version("evil");
    evil.git(&["push", "--quiet", "origin", "HEAD:refs/heads/evil"]);
    let allowed = ["-c", "protocol.file.allow=always"];
    let add = ["submodule", "--quiet", "add", "--branch", "evil", &remote.url(), "infra"];
    checkout.git(&[&allowed[..], &add].concat());
    checkout.commit("A submodule");
    let job = CiJob::github(&checkout, "issue_comment").with("GITHUB_REF", "refs/heads/main");
    let job = job.with("GITHUB_SHA", &base).input("working-directory", "infra").rollout("dev").unreported();
    for plan in ["true", "false"] {
        let run = job.clone().input("plan", plan).run();
        run.refused(3, "it is not known whether the checkout").says("it is a submodule");
    }
}
