//! Remotes with different addresses for fetches and pushes, and checkouts that lack objects, files
//! or submodules.

use crate::support::{Checkout, Clone, TestEnvironment};

const ROLLOUT: &str = "deployment rollout payment-service --target dev";

#[test]
fn a_remote_is_read_where_it_is_written() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let mirror = environment.bare("mirror.git", &[]);
    remote.git(&["push", "--quiet", "--mirror", &mirror.url()]);
    checkout.git(&["remote", "set-url", "origin", &mirror.url()]);
    checkout.git(&["remote", "set-url", "--push", "origin", &remote.url()]);
    for version in ["2", "3"] {
        let commit = checkout.commit_version(version);
        checkout.git(&["push", "--quiet", "origin", "main"]);
        checkout.atmos(ROLLOUT).succeeded();
        assert_eq!(remote.state("payment-service", "dev", "api"), commit);
        let status = checkout.json("deployment status payment-service --target dev");
        let component = &status["deployments"][0]["targets"][0]["components"][0];
        assert_eq!(component["commit"], commit.as_str());
    }
    assert_eq!(remote.verify_chain("payment-service", "dev", "api"), 2);
    assert_eq!(remote.locks(), [""; 0]);
    assert_eq!(mirror.refs("refs/atmos"), [""; 0], "a mirror follows by itself");
}

#[test]
fn a_remote_that_pushes_to_several_places_is_read_and_not_written() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos(ROLLOUT).succeeded();
    let other = environment.bare("other.git", &[]);
    for url in [remote.url(), other.url()] {
        checkout.git(&["remote", "set-url", "--add", "--push", "origin", &url]);
    }
    checkout.commit_version("2");
    environment.forget_applied();
    let (before, beside) = (remote.snapshot(), other.snapshot());
    let run = checkout.atmos(ROLLOUT).refused(2, "pushes to several addresses");
    assert!(run.stderr.contains("git config --replace-all remote.origin.pushurl"), "{}", run.report());
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!((remote.snapshot(), other.snapshot()), (before, beside));
    checkout.atmos("deployment status payment-service --target dev").succeeded();
    checkout.git(&["config", "--replace-all", "remote.origin.pushurl", &remote.url()]);
    checkout.atmos(ROLLOUT).succeeded();
}

#[test]
fn records_of_another_remote_are_no_history_of_this_one() {
    let environment = TestEnvironment::new();
    let (checkout, _) = environment.with_remote();
    let upstream = environment.bare("upstream.git", &[]);
    checkout.git(&["remote", "add", "upstream", &upstream.url()]);
    checkout.git(&["push", "--quiet", "upstream", "main"]);
    checkout.atmos(ROLLOUT).succeeded();
    for _ in 0..2 {
        checkout.commit_version("2");
        checkout.git(&["push", "--quiet", "upstream", "main"]);
        checkout.atmos_with(ROLLOUT, &[("ATMOS_REMOTE", "upstream")]).succeeded();
    }
    let history = "deployment history payment-service --target dev --component worker";
    let records = |remote: &str| {
        let run = checkout.atmos_with(&format!("{history} --format json"), &[("ATMOS_REMOTE", remote)]);
        let run = run.succeeded();
        assert!(!run.stderr.contains("only in this checkout"), "{}", run.report());
        run.json()["records"].as_array().unwrap().len()
    };
    assert_eq!((records("origin"), records("upstream")), (1, 2));
}

#[test]
fn a_mirror_clone_answers_and_rolls_out() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let mirror = environment.clone(&remote.url(), "mirror.git", Clone { arguments: &["--mirror"] });
    mirror.atmos(ROLLOUT).succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), checkout.head());
    mirror.git(&["fetch", "--quiet", "--prune"]);
    let status = mirror.json("deployment status payment-service --target dev");
    assert_eq!(status["deployments"][0]["targets"][0]["components"].as_array().unwrap().len(), 3);
}

#[test]
fn a_clone_without_folders_or_files_gets_those_that_it_needs() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    remote.git(&["config", "uploadpack.allowFilter", "true"]);
    let first = checkout.head();
    for version in ["2", "3"] {
        checkout.commit_version(version);
    }
    checkout.git(&["push", "--quiet", "origin", "main"]);
    for (number, filter) in ["--filter=tree:0", "--filter=blob:none"].into_iter().enumerate() {
        for (command, line) in [
            format!("deployment rollout payment-service --target dev --git-sha {first}"),
            format!("deployment diff payment-service --from-sha {first} --to-sha HEAD --show-files"),
            "deployment describe payment-service --target dev".to_owned(),
            "deployment matrix payment-service --target dev --changed".to_owned(),
        ]
        .iter()
        .enumerate()
        {
            let name = format!("partial-{number}-{command}");
            let partial = environment.clone(&remote.url(), &name, Clone { arguments: &[filter] });
            partial.atmos(line).succeeded();
        }
    }
    assert_eq!(remote.state("payment-service", "dev", "api"), first);
}

#[test]
fn a_sparse_checkout_deploys_what_its_commit_has() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let sparse = environment.clone(&remote.url(), "sparse", Clone::default());
    sparse.git(&["sparse-checkout", "set", "--cone", "docs"]);
    assert!(!sparse.path.join("deployments").exists(), "it is not sparse: this test tests nothing");
    sparse.atmos("deployment validate payment-service").succeeded();
    sparse.atmos("deployment list deployments").succeeded().shows("payment-service");
    sparse.atmos(ROLLOUT).succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), checkout.head());
}

#[test]
fn submodules_are_deployed_or_the_rollout_is_refused() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let library = environment.empty_repository("library", &[]);
    library.write("settings", "important\n");
    library.commit("settings");
    let url = library.path.to_str().unwrap();
    checkout.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "vendor/library"]);
    checkout.commit("a submodule");
    checkout.git(&["push", "--quiet", "origin", "main"]);
    let seen = environment.path("seen");
    let look = format!("cat vendor/library/settings > {}", seen.display());
    checkout.atmos_with(ROLLOUT, &[("TEST_DO", &look)]).succeeded();
    assert_eq!(std::fs::read_to_string(&seen).unwrap(), "important\n");

    let without = environment.clone(&remote.url(), "without", Clone::default());
    environment.forget_applied();
    let before = remote.refs("refs/");
    let run = without.atmos(ROLLOUT).refused(2, "the submodule vendor/library is not here");
    assert!(run.stderr.contains("git submodule update --init --recursive"), "{}", run.report());
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(remote.refs("refs/"), before);
    has_no_folders_left(&without);
}

/// A refused rollout leaves no checkout of its own behind.
fn has_no_folders_left(checkout: &Checkout<'_>) {
    let Ok(left) = std::fs::read_dir(checkout.path.join(".atmos/workdir")) else { return };
    let left: Vec<_> =
        left.map(|entry| entry.unwrap().file_name()).filter(|name| name != ".gitignore").collect();
    assert!(left.is_empty(), "{left:?}");
}
