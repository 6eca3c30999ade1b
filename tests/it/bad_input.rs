//! Bad input: the right exit code, one clear message with a way out, and nothing changed.

use std::fmt::Write as _;

use crate::support::{Checkout, HttpServer, Remote, Run, TestEnvironment};

const FILE: &str = "deployments/payment-service.yaml";

/// Asserts that a command is refused with this exit code and message, as text and as a document
/// with a hint, and changes nothing anywhere.
#[track_caller]
fn refused(
    checkout: &Checkout<'_>,
    remote: Option<&Remote<'_>>,
    line: &str,
    code: i32,
    message: &str,
) -> Run {
    let snapshot = || (checkout.snapshot(), remote.map(Remote::snapshot));
    let before = snapshot();
    let applied = checkout.environment.applied();
    let run = checkout.atmos(line).refused(code, message);
    let document = checkout.atmos(&format!("{line} --format json")).exited(code).json();
    assert_eq!(document["kind"], "Error", "{document:#}");
    assert_eq!(document["exit_code"], code);
    assert_eq!(document["message"], run.error_line());
    assert!(!document["hints"].as_array().unwrap().is_empty(), "no hint\n{}", run.report());
    assert_eq!(snapshot(), before, "{line}");
    assert_eq!(checkout.environment.applied(), applied, "{line}");
    run
}

/// Replaces a part of the deployment's file.
fn edit(checkout: &Checkout<'_>, from: &str, to: &str) {
    let file = std::fs::read_to_string(checkout.path.join(FILE)).unwrap();
    assert!(file.contains(from), "{file}");
    checkout.write(FILE, &file.replace(from, to));
}

#[test]
fn names_that_do_not_exist_get_the_nearest_one() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    for (line, message, nearest) in [
        ("deployment rollout payment-servise --target dev", "payment-servise", "payment-service"),
        ("deployment status payment-servise", "payment-servise", "payment-service"),
        ("deployment rollout payment-service --target stagin", "stagin", "staging"),
        ("deployment history payment-service --target stagin", "stagin", "staging"),
        ("deployment rollout payment-service --target staging --promote-from deb", "deb", "dev"),
        ("deployment rollout payment-service --target dev --component databse", "databse", "database"),
        ("deployment history payment-service --target dev --component databse", "databse", "database"),
        ("deployment diff payment-service --from-target dev --to-target stagin", "stagin", "staging"),
        ("deployment status --target stagin", "stagin", "staging"),
        ("deployment history --target stagin", "stagin", "staging"),
        ("deployment history --component databse", "databse", "database"),
        ("deployment lock payment-service --target stagin", "stagin", "staging"),
    ] {
        let run = refused(&checkout, Some(&remote), line, 2, message);
        assert!(run.stderr.contains(&format!("Did you mean {nearest}?")), "{}", run.report());
    }
}

#[test]
fn a_configuration_that_contradicts_itself_is_pointed_at() {
    for (from, to, message, line) in [
        // Rule 6: a cycle of promotions.
        (
            "    dev:\n",
            "    dev:\n      promotion: { from: prod }\n",
            "circular promotion path: dev → staging → prod → dev",
            0,
        ),
        // Rule 4: one source or several, but not both.
        ("promotion: { from: dev }", "promotion: { from: dev, allowed_from: [dev] }", "allowed_from", 19),
        // Rule 5: a source that does not exist as a target.
        ("promotion: { from: dev }", "promotion: { from: deb }", "deb", 19),
        // A dependency cycle of components.
        ("      worker:\n", "      worker:\n        metadata: { depends_on: [api] }\n", "", 0),
        ("      context: { cpu: 512, memory: 1024 }", "      contxt: {}", "contxt", 21),
    ] {
        let environment = TestEnvironment::new();
        let (checkout, remote) = environment.with_remote();
        edit(&checkout, from, to);
        if message.is_empty() {
            edit(&checkout, "depends_on: [database]", "depends_on: [worker]");
        }
        checkout.commit("A mistake");
        let line_of_file = if line > 0 { format!("{FILE}:{line}:") } else { format!("{FILE}:") };
        for command in ["rollout payment-service --target dev", "status payment-service"] {
            let before = (checkout.snapshot(), remote.snapshot());
            let run = checkout.atmos(&format!("deployment {command}")).refused(2, message);
            assert!(run.stderr.contains(&line_of_file), "no {line_of_file:?}\n{}", run.report());
            assert_eq!((checkout.snapshot(), remote.snapshot()), before);
        }
        let run = checkout.atmos("deployment validate payment-service --format json").exited(2);
        let report = run.json();
        assert_eq!((&report["kind"], &report["valid"]), (&"ValidationReport".into(), &false.into()));
        assert_eq!(report["deployments"][0]["problems"][0]["file"], FILE, "{}", run.report());
    }
}

#[test]
fn a_file_that_is_no_yaml_is_pointed_at() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.write(FILE, "deployment:\n  name: payment-service\n  targets: [\n");
    let before = remote.snapshot();
    let run = checkout.atmos("deployment rollout payment-service --target dev").exited(2);
    assert!(run.stderr.contains(FILE), "{}", run.report());
    assert_eq!(remote.snapshot(), before);
}

#[test]
fn names_that_no_deployment_can_have_are_refused() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    for line in [
        "deployment status ../../etc",
        "deployment rollout payment-service --target a..b",
        "deployment rollout payment..service --target dev",
        "deployment history payment-service --target dev --component a..b",
        "deployment lock payment-service --target refs/heads/main",
        "deployment rollout payment-service --target dev.lock",
    ] {
        refused(&checkout, Some(&remote), line, 2, "");
    }
    edit(&checkout, "    dev:\n", "    a..b: {}\n    dev:\n");
    checkout.atmos("deployment status payment-service").refused(2, "a..b");
}

#[test]
fn wrong_usage_says_what_is_right() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    for (line, message) in [
        ("deployment rollout payment-service", "--target"),
        (
            "deployment rollout payment-service --target dev --git-sha HEAD --promote-from dev",
            "--promote-from",
        ),
        ("deployment rollout payment-service --target dev --context cpu", "key=value"),
        ("deployment rollout payment-service --target dev --lock-timeout soon", "duration"),
        ("deployment history payment-service --target dev --since someday", "date"),
        ("deployment history payment-service --since \"2025-01-22 11:00 sharp\"", "date"),
        ("deployment history payment-service --since 2025-01-31 --until 2025-01-01", "is after --until"),
        ("deployment history payment-service --since yesterday --until 3d", "is after --until"),
        ("deployment status payment-service --targt dev", "--targt"),
        ("deployment statsu", "statsu"),
    ] {
        let before = (checkout.snapshot(), remote.snapshot());
        let run = checkout.atmos(line).exited(2);
        assert!(run.stderr.contains(message), "{}", run.report());
        assert_eq!(run.stdout, "", "{}", run.report());
        assert_eq!((checkout.snapshot(), remote.snapshot()), before);
    }
}

#[test]
fn values_that_nothing_could_be_done_with_are_refused_before_anything_is_applied() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let before = (checkout.snapshot(), remote.snapshot());
    let dev = "deployment rollout payment-service --target dev";
    let deep = format!("{dev} --context {}z=1", "a.".repeat(4000));
    for (line, message) in [
        (format!("{dev} --component \"\""), "is a variable not set?"),
        ("deployment lock payment-service --target dev --reason \"\"".to_owned(), "is a variable not set?"),
        ("deployment lock payment-service --target dev --expires 0s".to_owned(), "over at once"),
        (deep, "64 is the most"),
        (format!("{dev} --context .=x"), "has no name on both sides"),
        (format!("{dev} --context a..b=x"), "has no name on both sides"),
        ("deployment build payment-service --context .a=x".to_owned(), "has no name on both sides"),
    ] {
        checkout.atmos(&line).refused(2, message);
    }
    let run = checkout.atmos(&format!("{dev} --component api,worker")).refused(2, "no component called");
    run.says("repeat the option: --component api --component worker");
    for id in ["x".repeat(260), ":".repeat(70)] {
        checkout.atmos_with(dev, &[("ATMOS_RUN_ID", &id)]).refused(2, "ATMOS_RUN_ID is too long");
    }
    assert_eq!((checkout.snapshot(), remote.snapshot()), before);
    assert_eq!(environment.applied(), [""; 0]);
    // An id of the maximum length is accepted and recorded.
    checkout.atmos_with(dev, &[("ATMOS_RUN_ID", &"x".repeat(200))]).succeeded();
}

#[test]
fn a_variable_that_cannot_be_read_is_refused_by_its_name() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let dev = "deployment rollout payment-service --target dev";
    let before = remote.git(&["for-each-ref"]);
    for (variable, values) in [
        ("ATMOS_LOCK_LEASE", &["abc", "0", "-1", "5m", "99999999999999"][..]),
        ("ATMOS_OFFLINE", &["maybe"]),
        ("ATMOS_FORMAT", &["xml"]),
        ("ATMOS_COLOR", &["blue"]),
        ("ATMOS_LOGS_LEVEL", &["loud"]),
        ("ATMOS_TIMEZONE", &["Nowhere"]),
        ("ATMOS_SETTINGS_LIST_MERGE_STRATEGY", &["both"]),
        ("ATMOS_COMPONENTS_TERRAFORM_AUTO_GENERATE_BACKEND_FILE", &["maybe"]),
    ] {
        for value in values {
            checkout.atmos_with(dev, &[(variable, value)]).refused(2, variable).says(value);
        }
    }
    checkout.atmos_with(&format!("{dev} --format xml"), &[("ATMOS_FORMAT", "xml")]).refused(2, "--format");
    assert_eq!(remote.git(&["for-each-ref"]), before);
    assert_eq!(environment.applied(), [""; 0]);
}

#[test]
fn a_commit_that_does_not_exist_is_refused() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let missing = "1234567890123456789012345678901234567890";
    for sha in [missing, "abc123def", "no-such-branch", "HEAD~99"] {
        let line = format!("deployment rollout payment-service --target dev --git-sha {sha}");
        refused(&checkout, Some(&remote), &line, 2, sha);
    }
    let line = format!("deployment diff payment-service --from-sha {missing} --to-sha HEAD");
    refused(&checkout, Some(&remote), &line, 2, missing);
    // A tree is no commit.
    let tree = checkout.git(&["rev-parse", "HEAD^{tree}"]);
    refused(
        &checkout,
        Some(&remote),
        &format!("deployment rollout payment-service --target dev --git-sha {tree}"),
        2,
        &tree,
    );
}

#[test]
fn a_commit_without_the_deployment_cannot_be_deployed() {
    let environment = TestEnvironment::new();
    let checkout = environment.empty_repository("checkout", &[]);
    let empty = checkout.commit("Nothing yet");
    let full = environment.payment_service("full");
    checkout.git(&["fetch", "--quiet", full.path.to_str().unwrap(), "main"]);
    checkout.git(&["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
    let line = format!("deployment rollout payment-service --target dev --git-sha {empty}");
    refused(&checkout, None, &line, 2, "payment-service");
}

#[test]
fn a_tag_of_fifty_megabytes_costs_one_warning() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev --component api").succeeded();
    let mut bomb =
        String::from("atmos.tools/v1alpha1\nkind: Deployment\n---\nstatus: success\na0: &a0 [x, x]\n");
    for level in 1.. {
        let previous = level - 1;
        let aliases = vec![format!("*a{previous}"); 1000].join(", ");
        let _ = writeln!(bomb, "a{level}: &a{level} [{aliases}]");
        if bomb.len() > 50_000_000 {
            break;
        }
    }
    let message = environment.path("bomb");
    std::fs::write(&message, bomb).unwrap();
    let message = message.to_str().unwrap();
    let name = "atmos/deployments/payment-service/dev/api/2999-01-01T00-00-00Z";
    checkout.git(&["tag", "-a", "--cleanup=verbatim", "-F", message, name, "HEAD"]);
    checkout.git(&["push", "--quiet", "origin", &format!("refs/tags/{name}")]);
    // The same as the newest record.
    checkout.git(&[
        "push",
        "--quiet",
        "--force",
        "origin",
        &format!("refs/tags/{name}:refs/atmos/latest/payment-service/dev/api"),
    ]);
    for line in
        ["deployment history payment-service --target dev", "deployment status payment-service --target dev"]
    {
        let run = checkout.atmos(&format!("{line} --format json")).succeeded();
        assert!(run.stdout.contains(&checkout.head()), "{}", run.report());
        assert!(run.stderr.len() < 10_000, "the tag's text is no message");
    }
    let run = checkout.atmos("deployment history payment-service --target dev").succeeded();
    assert!(run.stderr.contains("2999-01-01T00-00-00Z"), "{}", run.report());
    drop(remote);
}

#[test]
fn a_newest_record_of_a_future_version_is_reported_and_skipped() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev --component api").succeeded();
    let name = "atmos/deployments/payment-service/dev/api/2999-01-01T00-00-00Z";
    checkout.git(&[
        "tag",
        "-a",
        "-m",
        "atmos.tools/v7\nkind: Deployment\n---\nstatus: sublime\n",
        name,
        "HEAD",
    ]);
    checkout.git(&["push", "--quiet", "origin", &format!("refs/tags/{name}")]);
    checkout.git(&[
        "push",
        "--quiet",
        "--force",
        "origin",
        &format!("refs/tags/{name}:refs/atmos/latest/payment-service/dev/api"),
    ]);
    for line in
        ["deployment history payment-service --target dev", "deployment status payment-service --target dev"]
    {
        let run = checkout.atmos(line).succeeded();
        assert!(run.stdout.contains(&checkout.head()[..7]), "{}", run.report());
        assert!(run.stderr.contains("atmos.tools/v7"), "{}", run.report());
    }
    // The next rollout works all the same.
    checkout.atmos("deployment rollout payment-service --target dev --component api").succeeded();
    let status = checkout.json("deployment status payment-service --target dev");
    assert_eq!(status["deployments"][0]["targets"][0]["components"][0]["status"], "success");
}

#[test]
fn a_repository_without_deployments_is_told_where_they_would_be() {
    let environment = TestEnvironment::new();
    let checkout = environment.empty_repository("empty", &[]);
    for line in ["deployment status", "deployment list"] {
        checkout.atmos(line).succeeded().says("No deployments yet: each is a file deployments/<name>.yaml");
    }
}

#[test]
fn without_a_repository_there_is_nothing_to_ask() {
    let environment = TestEnvironment::new();
    let nowhere = Checkout::new(&environment, environment.path("home"));
    for line in ["deployment status", "deployment rollout payment-service --target dev"] {
        let run = nowhere.atmos(line).refused(2, "not inside a Git repository");
        assert!(run.stderr.contains("atmos -C"), "{}", run.report());
    }
    let run = nowhere.atmos("-C /does/not/exist deployment status").refused(2, "/does/not/exist");
    drop(run);
}

#[test]
fn without_a_commit_there_is_nothing_to_deploy() {
    let environment = TestEnvironment::new();
    let checkout = environment.empty_repository("empty", &[]);
    let full = environment.payment_service("full");
    checkout.write(FILE, &std::fs::read_to_string(full.path.join(FILE)).unwrap());
    let run = checkout.atmos("deployment rollout payment-service --target dev").refused(2, "commit");
    assert!(run.stderr.contains("git commit"), "{}", run.report());
}

#[test]
fn a_dirty_tree_is_refused_in_a_pipeline() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.write("services/api/version", "changed\n");
    let before = (checkout.snapshot(), remote.snapshot());
    let line = "deployment rollout payment-service --target dev";
    let run = checkout.atmos_with(line, &[("CI", "true")]).refused(2, "commit");
    assert!(run.stderr.contains("git status"), "{}", run.report());
    assert_eq!((checkout.snapshot(), remote.snapshot()), before);
    // The work tree does not matter to a commit that is named or promoted.
    let named = format!("{line} --git-sha {}", checkout.head());
    checkout.atmos_with(&named, &[("CI", "true")]).succeeded();
    let promote = "deployment rollout payment-service --target staging --promote-from dev";
    checkout.atmos_with(promote, &[("CI", "true")]).succeeded();
}

#[test]
fn a_remote_that_is_not_there_is_named() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let line = "deployment rollout payment-service --target dev";
    let before = (checkout.snapshot(), remote.snapshot());
    checkout.atmos_with(line, &[("ATMOS_REMOTE", "elsewhere")]).refused(2, "elsewhere");
    assert_eq!((checkout.snapshot(), remote.snapshot()), before);
    checkout.git(&["remote", "set-url", "origin", "file:///does/not/exist.git"]);
    refused(&checkout, Some(&remote), line, 1, "/does/not/exist.git");
    // Several remotes, none of them `origin`: the right one is ambiguous.
    checkout.git(&["remote", "rename", "origin", "one"]);
    checkout.git(&["remote", "add", "two", &remote.url()]);
    refused(&checkout, Some(&remote), line, 2, "one, two");
    checkout.atmos_with(line, &[("ATMOS_REMOTE", "two")]).succeeded();
}

#[test]
#[cfg_attr(without_git_http_backend, ignore = "needs git-http-backend")]
fn whoever_may_not_push_is_told_before_anything_is_applied() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let server = HttpServer::start(&environment, remote.path.parent().unwrap());
    checkout.git(&["remote", "set-url", "origin", &server.url("remote.git")]);
    checkout.git(&["config", "http.extraheader", HttpServer::token_setting().split_once('=').unwrap().1]);
    // Reading is allowed, writing is not: the backend answers 403.
    remote.git(&["config", "http.receivepack", "false"]);
    let line = "deployment rollout payment-service --target dev";
    let before = remote.snapshot();
    let run = checkout.atmos(line).refused(1, "push");
    assert!(run.stderr.contains("may not push"), "{}", run.report());
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(remote.snapshot(), before);
    checkout.atmos("deployment status payment-service").succeeded();
}
