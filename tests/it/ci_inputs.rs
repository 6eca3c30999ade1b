//! `atmos deployment ci`: inputs become one verb, whose results become outputs.

use serde_json::Value;

use crate::ci_reports::pull_request;
use crate::support::{CiJob, Clone, HttpServer, TestEnvironment};

#[test]
fn a_fork_s_head_never_runs_with_the_project_s_secrets() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let base = checkout.head();
    let job = |head: &str, plan: &str| {
        let job =
            CiJob::github(&checkout, "pull_request_target").rollout("dev").unreported().input("plan", plan);
        job.with("GITHUB_SHA", &base).event(&pull_request("mallory/shop", head))
    };
    // The project's own commit is checked out, so the commit of the event does not matter.
    job(&"f".repeat(40), "false").run().succeeded();
    let head = checkout.commit_version("2");
    let before = remote.snapshot();
    for plan in ["true", "false"] {
        let refused = job(&head, plan);
        refused
            .run()
            .refused(3, "Refused to run rollout under pull_request_target: the checkout is not part of");
        assert_eq!(refused.output("result"), "refused");
    }
    checkout.git(&["checkout", "--quiet", &base]);
    job(&head, "false")
        .input("git-sha", &head)
        .run()
        .refused(3, "is not part of this repository's own history");
    assert_eq!(remote.snapshot(), before);
    job(&head, "false").input("command", "status").input("target", "dev").run().succeeded();
    let own = job(&head, "true").event(&pull_request("acme/shop", &head)).input("git-sha", &head);
    own.run().succeeded();
}

#[test]
fn a_rollout_by_inputs_is_the_rollout_of_the_command_line() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let head = checkout.head();
    let job =
        CiJob::github(&checkout, "push").rollout("dev").unreported().input("args", "--metadata 'note=a b'");
    job.run().succeeded().shows("Deployment complete:");
    assert_eq!(remote.state("payment-service", "dev", "api"), head);
    assert_eq!(job.output("result"), "success");
    assert_eq!(job.output("commit"), head);
    assert_eq!((job.output("previous-commit"), job.output("changed")), (String::new(), "true".to_owned()));
    let records: Vec<String> = serde_json::from_str(&job.output("deployment-ids")).unwrap();
    assert_eq!(records.len(), 3);
    assert!(records[0].starts_with("atmos/deployments/payment-service/dev/"), "{records:?}");
    let document: Value = serde_json::from_str(&job.output("json")).unwrap();
    assert_eq!(
        (&document["kind"], &document["digest"]),
        (&"RolloutResult".into(), &job.output("digest").into())
    );
    assert!(job.summary().contains("rollout"), "{}", job.summary());
    let record = remote.git(&["cat-file", "-p", &format!("refs/tags/{}", records[0])]);
    assert!(record.contains("note: a b") && record.contains("run_id: github:99/1"), "{record}");
    let second = CiJob::github(&checkout, "push").rollout("dev").unreported().with("GITHUB_RUN_ID", "100");
    second.run().succeeded();
    assert_eq!((second.output("previous-commit"), second.output("changed")), (head, "false".to_owned()));
}

#[test]
fn a_dotenv_report_has_the_outputs_on_gitlab_and_wherever_it_is_asked_for() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = CiJob::gitlab(&checkout).rollout("dev").unreported();
    job.run().succeeded();
    assert_eq!((job.output("result"), job.output("commit")), ("success".to_owned(), checkout.head()));
    let elsewhere = CiJob::elsewhere(&checkout).input("command", "status").with("ATMOS_DOTENV", "atmos.env");
    elsewhere.run().succeeded().shows("payment-service");
    assert_eq!(elsewhere.output("result"), "success");
    assert!(elsewhere.output("json").contains("DeploymentStatus"));
    let below = CiJob::gitlab(&checkout).input("command", "validate").input("args", "--all");
    below.input("working-directory", "services").run().succeeded();
    assert!(checkout.path.join("atmos.env").exists() && !checkout.path.join("services/atmos.env").exists());
}

#[test]
fn verbs_that_read_run_where_and_how_the_inputs_say() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = CiJob::github(&checkout, "push");
    let job = job.input("command", "list targets").input("deployment", "payment-service");
    job.input("fetch", "false").input("working-directory", "services").run().succeeded().shows("staging");
}

#[test]
fn what_is_wrong_with_an_input_is_said_by_its_name() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let before = remote.snapshot();
    let job = || CiJob::github(&checkout, "push").rollout("dev").unreported();
    for (job, message) in [
        (job().input("command", "rolout"), "input `command`: there is no command called `rolout`"),
        (job().input("promote-form", "dev"), "there is no input called `promote-form`"),
        (job().input("plan", "maybe"), "input `plan` must be true or false, not `maybe`"),
        (job().input("allow-rollback", "1"), "input `allow-rollback` must be true or false, not `1`"),
        (job().input("allow-partial", "true"), "input `promote-from` is missing"),
        (
            job().input("command", "status").input("allow-partial", "true"),
            "input `allow-partial` does not apply to command `status`",
        ),
        (job().input("parallelism", "0"), "input `parallelism`: `0` is not valid"),
        (job().input("args", "--note 'x"), "input `args` cannot be split into words"),
        (
            job().input("working-directory", "nowhere"),
            "input `working-directory`: nowhere is not a directory",
        ),
        (job().input("token", "a b"), "input `token`: the token is empty or has characters"),
        (
            job().input("digest", ""),
            "input `digest` is empty: the output of the plan job is probably missing",
        ),
        (job().input("digest", "sha256:x"), "input `digest`: `sha256:x` is not valid: expected v1:sha256:"),
    ] {
        job.run().refused(2, message);
        assert_eq!(job.output("result"), "failed");
        assert!(job.output("json").contains("\"kind\":\"Error\""));
    }
    assert_eq!(remote.snapshot(), before);
}

#[test]
fn a_job_goes_back_where_its_inputs_say_so_and_says_why() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let old = checkout.head();
    let new = checkout.commit_version("2");
    let job =
        |run: &str| CiJob::github(&checkout, "push").rollout("dev").unreported().with("GITHUB_RUN_ID", run);
    job("100").run().succeeded();
    checkout.git(&["checkout", "--quiet", &old]);
    for empty_or_false in ["", "false"] {
        let late = job("101").input("allow-rollback", empty_or_false).input("reason", "");
        late.run().refused(3, "dev runs newer commits than this run would deploy");
    }
    assert_eq!(remote.state("payment-service", "dev", "api"), new);
    let back = job("102").input("allow-rollback", "true").input("reason", "--plan, as was said in INC-7");
    back.run().succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), old);
    let history = checkout.atmos("deployment history payment-service --target dev --limit 1 --format json");
    let history = history.succeeded().json();
    let record = &history["records"][0];
    assert_eq!(record["reason"], "--plan, as was said in INC-7");
    assert_eq!(record["rollback_of"], new.as_str());
}

#[test]
fn a_job_promotes_a_part_where_its_inputs_say_so() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let fail = [("TEST_DO", "false")];
    checkout
        .atmos_with("deployment rollout payment-service --target dev --component worker", &fail)
        .exited(1);
    let job = || {
        let job = CiJob::github(&checkout, "workflow_dispatch").rollout("staging").unreported();
        job.input("promote-from", "dev")
    };
    job().run().refused(3, "The promotion from dev would be partial");
    job().input("allow-partial", "true").run().succeeded();
    assert_eq!(remote.state("payment-service", "staging", "api"), checkout.head());
}

#[test]
#[cfg_attr(without_git_http_backend, ignore = "needs git-http-backend")]
fn the_token_of_the_job_is_git_s_last_resort_in_a_shallow_checkout_without_credentials() {
    let environment = TestEnvironment::new();
    let (_, remote) = environment.with_remote();
    let server = HttpServer::start(&environment, remote.path.parent().unwrap());
    let token = HttpServer::token_setting();
    let checkout = environment.clone_with(&server.url("remote.git"), "shallow", Clone::SHALLOW, &[&token]);
    let job = || CiJob::github(&checkout, "push").rollout("dev").unreported();
    // Some checkouts of jobs keep no token in git's configuration.
    checkout.git(&["config", "--unset", token.split_once('=').unwrap().0]);
    let run = job().input("token", "").run().exited(1);
    assert!(run.stderr.contains("Git has no credentials for this remote"), "{}", run.report());
    let origin = server.url("");
    let with_token =
        job().input("token", "secret-token").with("GITHUB_SERVER_URL", &origin).with("GIT_TRACE", "1");
    let run = with_token.run_with("--logs-level trace").succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), checkout.head());
    assert!(!run.stderr.contains("secret-token"), "{}", run.report());
    // Another host does not get the token.
    job().input("token", "secret-token").with("GITHUB_SERVER_URL", "http://127.0.0.2").run().exited(1);
    // Reading the ledger fetches no tags, which `git describe` would find.
    let other = environment.clone(&remote.url(), "other", Clone::SHALLOW);
    CiJob::github(&other, "push").input("command", "status").run().succeeded().shows("payment-service");
    assert_eq!(other.git(&["tag", "--list"]), "");
}

#[test]
#[cfg_attr(without_git_http_backend, ignore = "needs git-http-backend")]
fn the_input_token_pushes_where_a_checkout_of_gitlab_has_a_token_that_may_only_read() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    let server = HttpServer::start(&environment, remote.path.parent().unwrap());
    let address = server.url("remote.git").replace("://", "://gitlab-ci-token:job-token@");
    checkout.git(&["remote", "set-url", "origin", &address]);
    // A runner may have left a credential helper with the job's token instead.
    let helper = "!f() { echo username=gitlab-ci-token; echo password=job-token; }; f";
    let server_url = server.url("");
    let job = || {
        let job = CiJob::gitlab(&checkout).rollout("dev").unreported();
        job.with("CI_SERVER_URL", server_url.trim_end_matches('/')).with("CI_JOB_TOKEN", "job-token")
    };
    let run = job().run().exited(1);
    run.says("Allow Git push requests to the repository").says("the input `token`");
    // A token from the environment is git's last resort.
    let run = job().with("GITLAB_TOKEN", "secret-token").run().exited(1);
    assert!(!run.stderr.contains("secret-token"), "{}", run.report());

    let with_token = || job().input("token", "secret-token").with("GIT_TRACE", "1");
    let run = with_token().run_with("--logs-level trace").succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), checkout.head());
    assert!(!run.stderr.contains("secret-token") && !run.stderr.contains("job-token"), "{}", run.report());
    assert_eq!(checkout.git(&["remote", "get-url", "origin"]), address);

    checkout.git(&["remote", "set-url", "origin", &server.url("remote.git")]);
    checkout.git(&["config", &format!("credential.{}.helper", server_url.trim_end_matches('/')), helper]);
    checkout.git(&["commit", "--quiet", "--allow-empty", "--message", "Next"]);
    job().run().exited(1);
    with_token().run().succeeded();
    assert_eq!(remote.state("payment-service", "dev", "api"), checkout.head());
}
