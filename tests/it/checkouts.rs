//! Rollouts in every kind of checkout and with every kind of remote.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use crate::support::{
    ATMOS, Checkout, Clone, GitDaemon, HttpServer, Remote, Running, TestEnvironment, copy_program,
};

/// Rolls out to dev from another clone, then promotes from a checkout as CI systems make it.
fn promote_from_ci_checkout(environment: &TestEnvironment, remote: &Remote<'_>, ci: &Checkout<'_>) {
    let other = environment.clone(&remote.url(), "other", Clone::default());
    let deployed = other.head();
    other.atmos("deployment rollout payment-service --target dev").succeeded();
    let ahead = other.commit_version("2");
    other.git(&["push", "--quiet"]);
    // Moves the checkout on, so that the promoted commit is not the one that it has.
    ci.git(&["fetch", "--quiet", "--depth=1", "origin", "main"]);
    ci.git(&["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    assert_eq!(ci.head(), ahead);

    ci.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
    for component in ["api", "worker", "database"] {
        assert_eq!(remote.state("payment-service", "staging", component), deployed);
        assert_eq!(remote.verify_chain("payment-service", "staging", component), 1);
    }
    assert_eq!(
        environment.applied().iter().filter(|line| line.ends_with(&format!("{deployed} 1"))).count(),
        6
    );
    assert_eq!(remote.locks(), [""; 0]);
    let status = ci.json("deployment status payment-service --target staging");
    assert_eq!(status["deployments"][0]["targets"][0]["components"].as_array().unwrap().len(), 3);
    ci.atmos("deployment history payment-service --target dev").succeeded().shows(&deployed[..7]);
    assert_eq!(ci.git(&["rev-parse", "--is-shallow-repository"]), "true", "it deepens only what it needs");
}

#[test]
fn a_shallow_clone_promotes_over_file() {
    let environment = TestEnvironment::new();
    let (_, remote) = environment.with_remote();
    let ci = environment.clone(&remote.url(), "ci", Clone::SHALLOW);
    promote_from_ci_checkout(&environment, &remote, &ci);
}

#[test]
#[cfg_attr(without_git_daemon, ignore = "needs git-daemon")]
fn a_shallow_clone_promotes_over_git_daemon() {
    let environment = TestEnvironment::new();
    let (_, remote) = environment.with_remote();
    let daemon = GitDaemon::start(&environment, remote.path.parent().unwrap());
    let ci = environment.clone(&daemon.url("remote.git"), "ci", Clone::SHALLOW);
    promote_from_ci_checkout(&environment, &remote, &ci);
}

#[test]
#[cfg_attr(without_git_http_backend, ignore = "needs git-http-backend")]
fn a_shallow_clone_promotes_over_http_with_a_token() {
    let environment = TestEnvironment::new();
    let (_, remote) = environment.with_remote();
    let server = HttpServer::start(&environment, remote.path.parent().unwrap());
    let token = HttpServer::token_setting();
    let ci = environment.clone_with(&server.url("remote.git"), "ci", Clone::SHALLOW, &[&token]);
    promote_from_ci_checkout(&environment, &remote, &ci);
    assert!(server.requests() > 0);
}

#[test]
fn a_shallow_clone_promotes_over_ssh() {
    let mut environment = TestEnvironment::new();
    // A fake ssh without a network: it runs the server's command here.
    let script = Checkout::new(&environment, environment.path("bin"));
    script.write_script("ssh", "#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\nexec sh -c \"$1\"\n");
    environment.set("GIT_SSH_COMMAND", environment.path("bin/ssh").to_str().unwrap());
    let environment = environment;
    let (_, remote) = environment.with_remote();
    let url = format!("ssh://git@example.com{}", remote.path.display());
    let ci = environment.clone(&url, "ci", Clone::SHALLOW);
    promote_from_ci_checkout(&environment, &remote, &ci);
}

#[test]
#[cfg_attr(without_git_http_backend, ignore = "needs git-http-backend")]
fn whatever_gives_git_its_credentials_gives_them_to_us() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let server = HttpServer::start(&environment, remote.path.parent().unwrap());
    checkout.git(&["remote", "set-url", "origin", &server.url("remote.git")]);
    let helper = "!f() { echo username=x-access-token; echo password=secret-token; }; f";
    checkout.git(&["config", "credential.helper", helper]);
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    assert_eq!(remote.verify_chain("payment-service", "dev", "api"), 1);
}

#[test]
#[cfg_attr(without_git_http_backend, ignore = "needs git-http-backend")]
fn without_the_token_nothing_is_applied_and_nothing_secret_is_said() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let server = HttpServer::start(&environment, remote.path.parent().unwrap());
    let url = server.url("remote.git").replace("http://", "http://ci:hunter2-wrong@");
    checkout.git(&["remote", "set-url", "origin", &url]);
    let before = remote.snapshot();
    let run = checkout.atmos("deployment rollout payment-service --target dev").exited(1);
    assert!(run.error_line().contains("git"), "{}", run.report());
    assert!(run.stderr.contains("credential"), "{}", run.report());
    assert!(!run.stderr.contains("hunter2"), "{}", run.report());
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(remote.snapshot(), before);
}

/// Rollouts up to prod and back, with repositories of another format on both sides.
fn whole_way(init: &[&str], clone: Clone<'_>) {
    let environment = TestEnvironment::new();
    let remote = environment.bare("remote.git", init);
    let first = environment.payment_service_with("first", init);
    first.git(&["remote", "add", "origin", &remote.url()]);
    first.git(&["push", "--quiet", "origin", "main"]);
    let checkout = environment.clone(&remote.url(), "checkout", clone);
    let old = checkout.head();
    for line in [
        "deployment rollout payment-service --target dev",
        "deployment rollout payment-service --target staging --promote-from dev",
        "deployment rollout payment-service --target prod --promote-from staging --approve why",
    ] {
        checkout.atmos(line).succeeded();
    }
    let new = checkout.commit_version("2");
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.atmos(&format!("deployment rollout payment-service --target dev --git-sha {old}")).succeeded();
    let history = checkout.json("deployment history payment-service --target dev --component api");
    assert_eq!(history["records"][0]["rollback_of"], new.as_str());
    assert_eq!(remote.verify_chain("payment-service", "dev", "api"), 3);
    assert_eq!(remote.state("payment-service", "prod", "api"), old);
    let approvals = remote.git(&["notes", "--ref=atmos/payment-service/approvals", "show", &old]);
    assert!(approvals.contains("ada@example.com"));
    checkout.atmos("deployment diff payment-service --from-target dev --to-target prod").succeeded();
    let status = checkout.json("deployment status payment-service --target prod");
    assert_eq!(status["deployments"][0]["targets"][0]["components"][0]["commit"], old.as_str());
    remote.git(&["fsck", "--strict"]);
}

#[test]
fn refs_may_be_kept_in_reftables() {
    whole_way(&["--ref-format=reftable"], Clone { arguments: &["--ref-format=reftable"] });
}

#[test]
fn objects_may_have_sha256_names() {
    whole_way(&["--object-format=sha256"], Clone::default());
}

#[test]
fn both_may_come_together() {
    whole_way(
        &["--object-format=sha256", "--ref-format=reftable"],
        Clone { arguments: &["--ref-format=reftable"] },
    );
}

#[test]
fn a_bare_repository_answers_and_rolls_out_what_is_named() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let commit = checkout.head();
    let bare = Checkout::new(&environment, remote.path.clone());
    let status = bare.json("deployment status payment-service --target dev");
    assert_eq!(status["deployments"][0]["targets"][0]["components"][0]["commit"], commit.as_str());
    bare.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
    assert_eq!(remote.state("payment-service", "staging", "api"), commit);
}

#[test]
fn a_detached_head_is_a_commit_like_any_other() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let old = checkout.head();
    checkout.commit_version("2");
    checkout.git(&["checkout", "--quiet", "--detach", &old]);
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), old);
}

#[test]
fn a_linked_worktree_shares_the_ledger() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let path = environment.path("linked");
    checkout.git(&["worktree", "add", "--quiet", "-b", "side", path.to_str().unwrap()]);
    let linked = Checkout::new(&environment, path);
    let commit = linked.commit_version("2");
    linked.atmos("deployment rollout payment-service --target dev").succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), commit);
    assert_eq!(checkout.state("payment-service", "dev", "api"), commit);
}

#[test]
fn any_directory_of_the_checkout_will_do() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let inside = Checkout::new(&environment, checkout.path.join("services/api"));
    inside.atmos("deployment rollout payment-service --target dev").succeeded();
    let outside = Checkout::new(&environment, environment.path("home"));
    let status = outside.json("-C ../checkout/services deployment status payment-service --target dev");
    assert_eq!(
        status["deployments"][0]["targets"][0]["components"][0]["commit"],
        remote.state("payment-service", "dev", "api").as_str()
    );
}

#[test]
fn a_read_only_checkout_still_answers() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let other = environment.clone(&remote.url(), "other", Clone::default());
    other.commit_version("2");
    other.atmos("deployment rollout payment-service --target dev").succeeded();
    let run_read_only = |line: &str| {
        set_writable(&checkout, false);
        let mut command = checkout.atmos_command(line);
        // Permissions do not stop root from writing, so the command runs as another user.
        if rustix::process::geteuid().is_root() {
            let binary = environment.path("atmos");
            if !binary.exists() {
                copy_program(ATMOS, &binary);
            }
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(environment.path(""), open).unwrap();
            command = environment.command(&binary, &checkout.path);
            command.args(line.split_whitespace()).uid(65534).gid(65534);
        }
        let configuration = environment.path("gitconfig");
        std::fs::write(&configuration, "[safe]\n\tdirectory = *\n").unwrap();
        command.env("GIT_CONFIG_GLOBAL", configuration);
        let run = Running::start(command).wait();
        set_writable(&checkout, true);
        run
    };
    // The views show the local state, since updates from the remote cannot be written.
    let run = run_read_only("deployment status payment-service --target dev --format json").succeeded();
    assert_eq!(run.json()["deployments"][0]["targets"][0]["components"].as_array().unwrap().len(), 3);
    run_read_only("deployment history payment-service --target dev").succeeded();
    run_read_only("deployment validate payment-service").succeeded();
    let before = remote.snapshot();
    environment.forget_applied();
    let run = run_read_only("deployment rollout payment-service --target dev").exited(1);
    assert!(!run.error_line().is_empty(), "{}", run.report());
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(remote.snapshot(), before);
}

fn set_writable(checkout: &Checkout<'_>, writable: bool) {
    let mut open = vec![checkout.path.clone()];
    while let Some(path) = open.pop() {
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_symlink() {
            continue;
        }
        let mode = metadata.permissions().mode();
        let mode = if writable { mode | 0o200 } else { mode & !0o222 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        if metadata.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}
