//! Foreign refs and tags in the ledger (`ledger.md`, "What crashes and refusals may not do"): a
//! warning, and neither shown as a success nor promoted.

use crate::support::{Checkout, Clone, Remote, TestEnvironment};

const STATE: &str = "refs/atmos/deployments/payment-service/dev/worker";

#[test]
fn a_state_that_is_no_commit_is_a_warning_and_no_success() {
    for kind in ["blob", "tree", "tag"] {
        let environment = TestEnvironment::new();
        let (checkout, remote) = environment.with_remote();
        checkout.atmos("deployment rollout payment-service --target dev").succeeded();
        let object = match kind {
            "blob" => remote.git(&["rev-parse", "main:deployments/payment-service.yaml"]),
            "tree" => remote.git(&["rev-parse", "main^{tree}"]),
            _ => remote.git(&["rev-parse", "refs/atmos/latest/payment-service/dev/api"]),
        };
        remote.git(&["update-ref", STATE, &object]);
        let fresh = environment.clone(&remote.url(), "fresh", Clone::default());
        let run = fresh.atmos("deployment status payment-service --format json").succeeded();
        assert!(run.stderr.contains(&format!("is at {object}, which is no commit")), "{}", run.report());
        let status = run.json();
        let components = status["deployments"][0]["targets"][0]["components"].as_array().unwrap();
        let worker = components.iter().find(|found| found["component"] == "worker").unwrap();
        assert!(worker.get("commit").is_none() && worker.get("status").is_none(), "{kind}: {worker:#}");
        let promote = "deployment rollout payment-service --target staging --promote-from dev";
        fresh.atmos(promote).succeeded().says("worker is left out");
        assert!(!environment.applied().iter().any(|line| line.starts_with("staging worker")), "{kind}");
        fresh.atmos("deployment rollout payment-service --target dev --component worker").succeeded();
        assert_eq!(remote.state("payment-service", "dev", "worker"), fresh.head(), "{kind}: it is mended");
    }
}

/// Rolls out, then moves the state of `worker` by hand to another commit, which is returned.
fn with_an_unrecorded_state(environment: &TestEnvironment) -> (Checkout<'_>, Remote<'_>, String) {
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let other = checkout.commit_version("2");
    checkout.git(&["push", "--quiet", "origin", "HEAD:main"]);
    remote.git(&["update-ref", STATE, &other]);
    (checkout, remote, other)
}

#[test]
fn a_state_without_a_record_is_said_to_be_one() {
    let environment = TestEnvironment::new();
    let (checkout, _, other) = with_an_unrecorded_state(&environment);
    let run = checkout.atmos("deployment status payment-service --format json").succeeded();
    let told = format!("worker is at {} without a record", &other[..7]);
    assert!(run.stderr.contains(&told), "{}", run.report());
    let status = run.json();
    let components = status["deployments"][0]["targets"][0]["components"].as_array().unwrap();
    let worker = components.iter().find(|found| found["component"] == "worker").unwrap();
    assert!(worker.get("status").is_none(), "{worker:#}");
    assert_eq!(worker["commit"], other.as_str());
}

const PROMOTE: &str = "deployment rollout payment-service --target staging --promote-from dev";

#[test]
fn a_state_without_a_record_is_promoted_only_where_it_is_trusted() {
    let environment = TestEnvironment::new();
    let (checkout, remote, other) = with_an_unrecorded_state(&environment);
    let status = checkout.json("deployment promotion-status payment-service");
    let why = format!("worker stays behind: no record says that {} was deployed to dev", &other[..7]);
    assert!(status["edges"][0].to_string().contains(&why), "{status:#}");
    let refused = checkout.atmos(PROMOTE).refused(3, "The promotion from dev would be partial");
    assert!(refused.stderr.contains(&format!("{PROMOTE} --trust-state")), "{}", refused.report());
    checkout.atmos(&format!("{PROMOTE} --component worker")).refused(3, "Cannot promote worker from dev");
    assert!(remote.records("payment-service", "staging", "worker").is_empty());
    let run = checkout.atmos(&format!("{PROMOTE} --trust-state")).succeeded();
    run.says("no record says that worker runs");
    assert_eq!(remote.state("payment-service", "staging", "worker"), other);
    for (component, trusted) in [("worker", true), ("api", false)] {
        let latest = format!("refs/atmos/latest/payment-service/staging/{component}");
        let record = remote.git(&["cat-file", "tag", &latest]);
        assert_eq!(record.contains("source_state: trusted"), trusted, "{record}");
    }
}

#[test]
fn a_record_that_is_on_no_commit_or_under_another_s_name_is_none() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let prefix = "atmos/deployments/payment-service/dev/worker";
    let body = "atmos.tools/v1alpha1\nkind: Deployment\n---\nstatus: success\ndeployed_by: forger\n";
    let tag = |kind: &str, object: &str, name: &str, written: &str| {
        let text =
            format!("object {object}\ntype {kind}\ntag {written}\ntagger x <x@x> 1700000000 +0000\n\n{body}");
        let file = environment.path("tag");
        std::fs::write(&file, text).unwrap();
        let object = remote.git(&["hash-object", "-t", "tag", "-w", "--literally", file.to_str().unwrap()]);
        remote.git(&["update-ref", &format!("refs/tags/{name}"), &object]);
    };
    let commit = remote.git(&["rev-parse", "main"]);
    let tree = remote.git(&["rev-parse", "main^{tree}"]);
    let blob = remote.git(&["rev-parse", "main:deployments/payment-service.yaml"]);
    let record = remote.git(&["rev-parse", "refs/atmos/latest/payment-service/dev/api"]);
    for (second, kind, object) in [(1, "tree", &tree), (2, "blob", &blob), (3, "tag", &record)] {
        let name = format!("{prefix}/2025-01-01T00-00-0{second}Z");
        tag(kind, object, &name, &name);
    }
    let other = "atmos/deployments/payment-service/dev/api/2025-01-01T00-00-04Z";
    tag("commit", &commit, &format!("{prefix}/2025-01-01T00-00-04Z"), other);
    let history = "deployment history payment-service --target dev --limit 0";
    let run = checkout.atmos(history).succeeded();
    assert!(!run.stdout.contains("forger"), "{}", run.report());
    assert_eq!(run.stderr.matches("which is no commit").count(), 3, "{}", run.report());
    run.says(&format!("it is the record of {other}"));
}

#[test]
fn a_symbolic_ref_among_the_ledger_s_is_named_with_what_removes_it() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let main = remote.git(&["rev-parse", "main"]);
    // With an earlier version of the protocol, a server does not announce symbolic refs before the
    // push.
    checkout.git(&["config", "protocol.version", "0"]);
    remote.git(&["symbolic-ref", "refs/atmos/latest/payment-service/dev/worker", "refs/heads/main"]);
    let run = checkout.atmos("deployment rollout payment-service --target dev --component worker").exited(1);
    assert!(run.stderr.contains("trying to write non-commit object"), "{}", run.report());
    assert!(run.stderr.contains("git symbolic-ref --delete"), "{}", run.report());
    assert_eq!(remote.git(&["rev-parse", "main"]), main);
    remote.git(&["symbolic-ref", "--delete", "refs/atmos/latest/payment-service/dev/worker"]);
    checkout.atmos("deployment rollout payment-service --target dev --component worker").succeeded();
}

#[test]
fn what_a_symbolic_ref_of_the_remote_leads_to_is_not_touched() {
    let deploy = "deployment rollout payment-service --target dev";
    let unlock = "deployment unlock payment-service --target dev --component worker --force";
    for (name, line) in [
        ("refs/atmos/deployments/payment-service/dev/worker", deploy),
        ("refs/atmos/latest/payment-service/dev/worker", deploy),
        ("refs/atmos/locks/payment-service/dev/worker", deploy),
        ("refs/atmos/locks/payment-service/dev/worker", unlock),
    ] {
        let environment = TestEnvironment::new();
        let (checkout, remote) = environment.with_remote();
        checkout.atmos(deploy).succeeded();
        environment.forget_applied();
        let main = remote.git(&["rev-parse", "main"]);
        remote.git(&["symbolic-ref", name, "refs/heads/main"]);
        checkout.commit_version("2");
        // Only refs are compared: locks may be taken and released, which leaves objects behind.
        let before = remote.git(&["for-each-ref"]);
        let run = checkout.atmos(line).refused(1, &format!("{name} on origin is symbolic"));
        assert!(run.stderr.contains(&format!("git symbolic-ref --delete {name}")), "{}", run.report());
        let after = (remote.git(&["for-each-ref"]), environment.applied());
        assert_eq!(after, (before, Vec::new()), "{name}");
        assert_eq!(remote.git(&["rev-parse", "main"]), main);
        // Commands that only read go on, with a warning.
        let status = checkout.atmos("deployment status payment-service").succeeded();
        assert!(status.stderr.contains(&format!("{name} on origin is symbolic")), "{}", status.report());
        remote.git(&["symbolic-ref", "--delete", name]);
        checkout.atmos(deploy).succeeded();
    }
}

#[test]
fn notes_that_are_symbolic_on_the_remote_are_not_written_to() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let rollout = "deployment rollout payment-service --target";
    checkout.atmos(&format!("{rollout} dev")).succeeded();
    checkout.atmos(&format!("{rollout} staging --promote-from dev")).succeeded();
    let approve = "deployment approve payment-service --target prod --promote-from staging --reason CHG-1";
    let attach = "deployment attach payment-service test-results --file junit.xml";
    checkout.write("junit.xml", "<testsuite name=\"a\"><testcase name=\"b\"/></testsuite>\n");
    for (namespace, line) in [("approvals", approve), ("test-results", attach)] {
        let name = format!("refs/notes/atmos/payment-service/{namespace}");
        remote.git(&["symbolic-ref", &name, "refs/heads/main"]);
        let before = remote.snapshot();
        let run = checkout.atmos(line).exited(1);
        assert!(run.stderr.contains(&format!("git symbolic-ref --delete {name}")), "{}", run.report());
        assert_eq!(remote.snapshot(), before, "{name}");
    }
}

#[test]
fn symbolic_refs_in_the_copy_of_the_remote_s_are_removed_and_nothing_else() {
    let deploy = "deployment rollout payment-service --target dev";
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos(deploy).succeeded();
    checkout.git(&["branch", "other"]);
    let other = checkout.git(&["rev-parse", "other"]);
    for name in ["locks/payment-service/dev/worker", "deployments/payment-service/dev/worker"] {
        for leads_to in ["refs/heads/other", "refs/heads/none"] {
            let mirror = format!("refs/atmos-remotes/origin/{name}");
            checkout.git(&["symbolic-ref", &mirror, leads_to]);
            checkout.commit_version(leads_to);
            checkout.atmos(deploy).succeeded();
            assert_eq!(checkout.git(&["rev-parse", "other"]), other, "{name} {leads_to}");
            let branches = checkout.git(&["for-each-ref", "--format=%(refname)", "refs/heads"]);
            assert_eq!(branches, "refs/heads/main\nrefs/heads/other", "{name} {leads_to}");
        }
    }
}

#[test]
fn damage_of_this_repository_is_not_a_remote_that_is_away() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    checkout.git(&["pack-refs", "--all"]);
    let file = checkout.path.join(".git/packed-refs");
    let refs = std::fs::read(&file).unwrap();
    std::fs::write(&file, &refs[..refs.len() - 25]).unwrap();
    let run = checkout.atmos("deployment status payment-service").succeeded();
    assert!(run.stderr.contains("packed-refs of this repository is damaged"), "{}", run.report());
    assert!(!run.stderr.contains("did not answer"), "{}", run.report());
    checkout
        .atmos("deployment rollout payment-service --target dev")
        .refused(1, "the file packed-refs of this repository is damaged");
    std::fs::write(&file, refs).unwrap();

    let object = checkout.git(&["rev-parse", "refs/atmos/latest/payment-service/dev/worker"]);
    let loose = checkout.path.join(".git/objects").join(&object[..2]).join(&object[2..]);
    std::fs::remove_file(&loose).unwrap();
    std::fs::write(&loose, "garbage").unwrap();
    let run = checkout.atmos("deployment status payment-service").succeeded();
    assert!(run.stderr.contains("objects of this repository are damaged"), "{}", run.report());
    assert!(!run.stderr.contains("did not answer"), "{}", run.report());
    let rollout = "deployment rollout payment-service --target dev";
    checkout.atmos(rollout).refused(1, "objects of this repository are damaged");
    std::fs::remove_file(&loose).unwrap();
    checkout.git(&["fetch", "--quiet", "--refetch", "origin", "+refs/atmos/*:refs/atmos-remotes/origin/*"]);
    checkout.atmos(rollout).succeeded();
}
