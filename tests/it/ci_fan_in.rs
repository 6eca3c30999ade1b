//! The job after a fan-out: one status and one record for all of its jobs, from the ledger.

use serde_json::{Value, json};

use crate::ci_reports::{pull_request, statuses};
use crate::support::{Checkout, CiJob, Platform, TestEnvironment};

/// A job of the fan-out, which rolls one component out.
fn rollout<'c, 'e>(checkout: &'c Checkout<'e>, platform: &Platform, component: &str) -> CiJob<'c, 'e> {
    let job = CiJob::github(checkout, "push").rollout("dev").input("component", component);
    job.with("GITHUB_API_URL", platform.github()).with("GITHUB_JOB", "wave-0")
}

/// The job after the fan-out.
fn fan_in<'c, 'e>(checkout: &'c Checkout<'e>, platform: &Platform) -> CiJob<'c, 'e> {
    let job = CiJob::github(checkout, "push").rollout("dev").input("command", "status");
    let job = job.with("GITHUB_API_URL", platform.github()).with("GITHUB_JOB", "dev");
    job.input("commit-status", "true").input("deployment-record", "true")
}

/// The platform's deployment records, oldest first: the environment and all states of each.
fn records(platform: &Platform) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = platform.told("deployment_statuses");
    let states = |deployment: &Value| {
        let ours = told.iter().filter(|status| status["deployment_url"] == deployment["url"]);
        ours.map(|status| text(&status["state"])).collect()
    };
    let deployments = platform.told("deployments");
    deployments.iter().map(|found| (text(&found["environment"]), states(found))).collect()
}

fn record(states: &[&str]) -> (String, Vec<String>) {
    ("dev".to_owned(), states.iter().map(ToString::to_string).collect())
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn jobs_of_a_run_come_to_one_status_and_one_record() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let head = checkout.head();
    let last = || statuses(&platform).pop().unwrap();
    rollout(&checkout, &platform, "database").run().succeeded();
    rollout(&checkout, &platform, "worker").with("TEST_DO", "exit 7").run().exited(1);
    rollout(&checkout, &platform, "api").run().succeeded();
    assert_eq!(records(&platform), [], "one component says nothing of the whole");
    let whole = "atmos/payment-service/dev ";
    assert!(!statuses(&platform).iter().any(|status| status.starts_with(whole)), "{:?}", statuses(&platform));

    let job = fan_in(&checkout, &platform);
    job.run().exited(5).says(&format!("dev: 1 of 3 components not as in {}: worker failed", &head[..7]));
    let not = format!("{whole}failure 1 of 3 components not as in {}: worker failed", &head[..7]);
    assert_eq!(last(), not);
    assert_eq!(platform.told("statuses").pop().unwrap()["sha"], head.as_str());
    assert_eq!(records(&platform), [record(&["failure"])]);
    assert_eq!(job.output("result"), "findings");
    assert!(job.summary().contains("worker&#58; its newest rollout failed"), "{}", job.summary());

    rollout(&checkout, &platform, "worker").run().succeeded();
    fan_in(&checkout, &platform).run().succeeded();
    let done = format!("{whole}success Nothing left to deploy: 3 components as in {}", &head[..7]);
    assert_eq!(last(), done);
    assert_eq!(records(&platform), [record(&["failure"]), record(&["success"])]);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn the_comment_may_wait_for_all_jobs() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let event = pull_request("acme/shop", &checkout.head());
    let body = || platform.told("comments").pop().map(|told| told["body"].as_str().unwrap().to_owned());
    let job = |job: CiJob<'_, '_>, code| {
        job.with("GITHUB_EVENT_NAME", "pull_request").event(&event).run().exited(code);
    };
    job(rollout(&checkout, &platform, "database").input("comment", "false"), 0);
    assert_eq!(body(), None);
    let fan_in = fan_in(&checkout, &platform).input("comment", "true");
    job(fan_in.clone(), 5);
    let said = body().unwrap();
    assert!(
        said.contains("**❌ atmos deployment status ended with findings:** dev: 2 of 3 components"),
        "{said}"
    );
    assert!(said.contains("1 of 3 components |"), "{said}");
    for component in ["worker", "api"] {
        job(rollout(&checkout, &platform, component).input("comment", "false"), 0);
    }
    job(fan_in, 0);
    let said = body().unwrap();
    assert!(said.contains("· dev ✅ · staging ➖"), "{said}");
    assert!(said.contains("**✅ dev: Nothing left to deploy: 3 components as in "), "{said}");
    assert!(!said.contains('❌'), "{said}");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn where_nothing_has_changed_the_status_arrives_all_the_same() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    // Each push is of the commit that is checked out at that time.
    let whole = || CiJob::github(&checkout, "push").rollout("dev").unreported();
    whole().run().succeeded();
    checkout.write("README.md", "Nothing that is deployed\n");
    let readme = checkout.commit("Describe it");
    // A component without a working directory depends on all files of the repository.
    let deployment = std::fs::read_to_string(checkout.path.join("deployments/payment-service.yaml")).unwrap();
    let last = || statuses(&platform).pop().unwrap();
    fan_in(&checkout, &platform).run().exited(5);
    assert!(last().contains("api differs, worker differs, database differs"), "{}", last());
    let own_folder = deployment.replace("command: { plan", "command: { working_directory: services, plan");
    checkout.write("deployments/payment-service.yaml", &own_folder.replace("./services/", "./"));
    checkout.commit("Say what they use");
    whole().with("GITHUB_RUN_ID", "100").run().succeeded();
    checkout.write("README.md", "Nothing that is deployed, again\n");
    let again = checkout.commit("Describe it again");
    assert_ne!(readme, again);
    fan_in(&checkout, &platform).run().succeeded();
    assert!(last().contains("dev success Nothing left to deploy: 3 components as in"), "{}", last());
    assert_eq!(platform.told("statuses").pop().unwrap()["sha"], again.as_str());
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn what_cannot_be_found_out_is_no_success() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    CiJob::github(&checkout, "push").rollout("dev").unreported().run().succeeded();
    let last = || statuses(&platform).pop().unwrap();
    let away = environment.path("away.git");
    std::fs::rename(&remote.path, &away).unwrap();
    let job = fan_in(&checkout, &platform);
    job.run().exited(1);
    let document: Value = serde_json::from_str(&job.output("json")).unwrap();
    assert_eq!((&document["kind"], &document["code"]), (&json!("Error"), &json!("git")));
    assert!(last().starts_with("atmos/payment-service/dev error "), "{}", last());
    assert_eq!(records(&platform), []);
    std::fs::rename(&away, &remote.path).unwrap();

    let told = platform.told("statuses").len();
    for (input, value, message) in [
        (
            "fetch",
            "false",
            "says what the remote knows, which `fetch: false` and ATMOS_OFFLINE forbid to ask",
        ),
        ("target", "", "is of one target: inputs `deployment` and `target` are needed"),
    ] {
        fan_in(&checkout, &platform).input(input, value).run().refused(2, message);
    }
    let matrix = fan_in(&checkout, &platform).input("command", "matrix");
    matrix.run().refused(2, "does not apply to command `matrix`");
    let mistyped = fan_in(&checkout, &platform).input("target", "dve");
    mistyped.run().refused(2, "payment-service has no target called dve");
    // Without these inputs the job only reads, and reports nothing.
    let reads = CiJob::github(&checkout, "push").rollout("dev").input("command", "status");
    reads.with("GITHUB_API_URL", platform.github()).run().succeeded();
    assert_eq!(platform.told("statuses").len(), told);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn on_gitlab_a_job_with_an_environment_has_its_own_record_already() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    CiJob::github(&checkout, "push").rollout("dev").unreported().run().succeeded();
    let job = |environment: &str| {
        let job = CiJob::gitlab(&checkout).rollout("dev").input("command", "status");
        let job = job.input("commit-status", "true").input("deployment-record", "true");
        let job = job.with("CI_API_V4_URL", &platform.gitlab()).with("GITLAB_TOKEN", "glpat-user-token");
        job.with("CI_ENVIRONMENT_NAME", environment).run().succeeded();
        let recorded = platform.told("gitlab_deployments");
        let ours = recorded.iter().filter(|told| told.get("deployable").is_none());
        ours.map(|told| told["status"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(job("dev"), [json!(null); 0]);
    assert_eq!(job(""), [json!("success")]);
    let told = platform.told("gitlab_statuses").pop().unwrap();
    assert_eq!((&told["name"], &told["status"]), (&json!("atmos/payment-service/dev"), &json!("success")));
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn rollouts_of_one_run_do_not_share_a_record() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let job = |name: &str| {
        let job = CiJob::github(&checkout, "push").rollout("dev").with("GITHUB_API_URL", platform.github());
        job.with("GITHUB_JOB", name)
    };
    job("first").with("TEST_DO", "exit 7").run().exited(1);
    job("second").run().succeeded();
    let both = [record(&["in_progress", "failure"]), record(&["in_progress", "success"])];
    assert_eq!(records(&platform), both);
    // A later attempt of the same job is another rollout.
    let head = checkout.commit_version("2");
    job("second").with("GITHUB_SHA", &head).run().succeeded();
    job("second").with("GITHUB_SHA", &head).with("GITHUB_RUN_ATTEMPT", "2").run().succeeded();
    assert_eq!(records(&platform).len(), 4);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn what_the_stacks_disable_is_not_waited_for() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let checkout = environment.empty_repository("checkout", &[]);
    checkout
        .write("stacks/team.yaml", "components: { command: { queue: { metadata: { enabled: false } } } }\n");
    let component = "{ settings: { command: { apply: [\"true\"] } } }";
    checkout.write(
        "deployments/payment-service.yaml",
        &format!(
            "deployment:\n  name: payment-service\n  stacks: [team]\n  targets: {{ dev: {{}} }}\n  \
             components: {{ command: {{ queue: {component}, api: {component} }} }}\n"
        ),
    );
    let head = checkout.commit("Add it");
    rollout(&checkout, &platform, "api").run().succeeded();
    fan_in(&checkout, &platform).run().succeeded();
    let last = statuses(&platform).pop().unwrap();
    assert!(last.ends_with(&format!("Nothing left to deploy: 1 component as in {}", &head[..7])), "{last}");
}

/// Gives each component of the service a working directory of its own.
fn with_folders(checkout: &Checkout<'_>) {
    let file = "deployments/payment-service.yaml";
    let deployment = std::fs::read_to_string(checkout.path.join(file)).unwrap();
    let mut text = String::new();
    let mut component = "";
    for line in deployment.lines() {
        component = match line.trim().trim_end_matches(':') {
            known @ ("api" | "worker" | "database") => known,
            _ => component,
        };
        let own = format!("command: {{ working_directory: services/{component}, plan");
        text += &line.replace("command: { plan", &own).replace(&format!("./services/{component}/"), "./");
        text.push('\n');
    }
    assert_ne!(text.trim(), deployment.trim());
    checkout.write(file, &text);
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_component_that_need_not_change_counts_as_having_the_change() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    with_folders(&checkout);
    checkout.commit("Say what they use");
    CiJob::github(&checkout, "push").rollout("dev").unreported().run().succeeded();
    checkout.write("services/api/version", "2\n");
    checkout.commit("Change one of them");
    let event = pull_request("acme/shop", &checkout.head());
    let job = |job: CiJob<'_, '_>, code| {
        job.with("GITHUB_EVENT_NAME", "pull_request").event(&event).run().exited(code);
        platform.told("comments").pop().unwrap()["body"].as_str().unwrap().to_owned()
    };
    let fan_in = fan_in(&checkout, &platform).input("comment", "true").with("GITHUB_RUN_ID", "100");
    let before = job(fan_in.clone(), 5);
    assert!(before.contains("| 🟡 | **dev** | 2 of 3 components |"), "{before}");
    rollout(&checkout, &platform, "api").with("GITHUB_RUN_ID", "100").unreported().run().succeeded();
    let after = job(fan_in, 0);
    assert!(after.contains("| ✅ | **dev** | deployed |"), "{after}");
    assert!(after.contains("**✅ dev: Nothing left to deploy: 3 components"), "{after}");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn what_a_newer_run_has_replaced_is_not_to_be_rolled_out_again() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    with_folders(&checkout);
    let older = checkout.commit("Say what they use");
    CiJob::github(&checkout, "push").rollout("dev").unreported().run().succeeded();
    checkout.write("services/api/version", "2\n");
    let newer = checkout.commit("Change one of them");
    checkout.git(&["push", "--quiet", "origin", "HEAD"]);
    let again = || CiJob::github(&checkout, "push").rollout("dev").unreported().with("GITHUB_RUN_ID", "100");
    again().run().succeeded();
    checkout.git(&["checkout", "--quiet", "--force", "--detach", &older]);
    let job = fan_in(&checkout, &platform).with("ATMOS_FORMAT", "json");
    let run = job.run().exited(5).says(&format!("api: a newer run has replaced it: {}", &newer[..7]));
    assert!(!run.stderr.contains("atmos deployment rollout"), "{}", run.report());
    let last = statuses(&platform).pop().unwrap();
    assert!(last.contains(&format!("api was replaced by {}", &newer[..7])), "{last}");
    let document: Value = serde_json::from_str(&job.output("json")).unwrap();
    let left = json!([{
        "component": "api",
        "reason": format!("a newer run has replaced it: {}", &newer[..7]),
        "replaced_by": newer,
    }]);
    assert_eq!(
        document["fan_in"],
        json!({ "target": "dev", "commit": older, "complete": false, "components": 3, "left": left })
    );
    // A component whose change no run has rolled out is left all the same, and is the only one.
    checkout.git(&["checkout", "--quiet", "--force", "--detach", &newer]);
    checkout.write("services/worker/version", "3\n");
    checkout.commit("Change another one");
    let run = fan_in(&checkout, &platform).run().exited(5);
    run.says("To roll out what is left").says("atmos deployment rollout payment-service --target dev");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn what_is_left_where_commits_come_by_promotion_is_promoted() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    let run = fan_in(&checkout, &platform).input("target", "staging").run().exited(5);
    run.says("atmos deployment rollout payment-service --target staging --promote-from dev");
}

#[test]
#[cfg_attr(without_python3, ignore = "needs python3")]
fn a_state_that_no_record_leads_to_is_not_known_to_be_deployed() {
    let platform = Platform::start();
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    for component in ["database", "api"] {
        rollout(&checkout, &platform, component).run().succeeded();
    }
    remote.git(&["update-ref", "refs/atmos/deployments/payment-service/dev/worker", &checkout.head()]);
    fan_in(&checkout, &platform).run().exited(5).says("worker");
    assert_eq!(records(&platform), [record(&["failure"])]);
}
