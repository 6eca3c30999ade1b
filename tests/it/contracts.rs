//! The provider layer against the platforms' official API descriptions, in both directions.
//!
//! `tests/contracts/run` starts a stateful stub of both platforms and, before it, Prism, which
//! turns every request and every answer that a description does not allow into an error.
//! Nothing else runs these tests.
//!
//! | capability | GitHub | GitLab | test |
//! | --- | --- | --- | --- |
//! | comments | `GET POST /repos/…/issues/{n}/comments`, `PATCH DELETE /repos/…/issues/comments/{id}`, `GET /user`, `POST /graphql` | `GET POST …/merge_requests/{n}/notes`, `PUT DELETE …/notes/{id}`, `GET /user` | `a_comment_is_written_edited_and_written_anew`, `of_jobs_that_write_the_first_comment_at_once_one_stays` |
//! | change requests | `GET /repos/…/commits/{sha}/pulls`, `GET /repos/…/pulls`, `GET /repos/…/pulls/{n}` | `GET …/repository/commits/{sha}/merge_requests`, `GET …/merge_requests/{n}` | `what_a_push_has_merged_is_found`, `the_request_of_a_number_or_a_branch_is_found` |
//! | commit statuses | `POST /repos/…/statuses/{sha}` | `POST …/statuses/{sha}` | `a_commit_gets_every_status` |
//! | deployments | `GET POST /repos/…/deployments`, `POST …/deployments/{id}/statuses` | `GET POST …/deployments`, `PUT …/deployments/{id}`, `GET POST …/environments` | `each_rollout_is_recorded` |
//! | protection | `GET POST /repos/…/rulesets`, `GET PUT …/rulesets/{id}` | `GET POST …/protected_tags`, `GET …/protected_tags/{name}` | `the_ledger_is_protected` |
//! | dispatch | `POST …/actions/workflows/{file}/dispatches`, `GET …/contents/{path}` | `POST …/pipeline`, `POST …/trigger/pipeline` | `a_pipeline_is_started` |
//! | approvals | `GET …/actions/runs/{id}/approvals`, `GET …/actions/runs/{id}/attempts/{n}/jobs`, `GET /repos/…/deployments`, `GET …/deployments/{id}/statuses` | `GET …/deployments`, `GET …/deployments/{id}` | `the_approver_of_a_run_is_read` |

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atmos_deployments::deployment::change_request::{RequestLookup, RequestOfCommit, RequestState};
use atmos_deployments::deployment::{CommitId, DeploymentName, TargetName};
use atmos_deployments::provider::{
    CommitStatus, CommitStatusState, DeploymentPhase, DeploymentUpdate, Dispatch, NewDeployment, Platform,
    PlatformApprovals, Posted, Provider, ProviderSettings, RetryPolicy, RuleState, StickyComment,
    WorkflowInputs, connect,
};
use serde_json::{Value, json};

use crate::support::control;

/// Both platforms, one after the other: they share the stub's state.
struct Platforms {
    stub: String,
    github: String,
    gitlab: String,
    /// Excludes other tests while this one runs.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Platforms {
    /// The addresses that `tests/contracts/run` gives.
    fn there() -> Self {
        let address = |name: &str| {
            let variable = format!("ATMOS_CONTRACTS_{name}");
            std::env::var(&variable)
                .unwrap_or_else(|_| panic!("{variable} is not set: tests/contracts/run sets it"))
        };
        let (stub, github, gitlab) = (address("STUB"), address("GITHUB"), address("GITLAB"));
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { stub, github, gitlab, _alone: alone }
    }

    fn github(&self, token: &str) -> Box<dyn Provider> {
        Self::github_at(&self.github, token)
    }

    fn github_at(address: &str, token: &str) -> Box<dyn Provider> {
        provider(&[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_API_URL", address),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_TOKEN", token),
            ("GITHUB_RUN_ID", "99"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("RUNNER_NAME", "GitHub Actions 1"),
        ])
    }

    fn gitlab(&self, variable: &str, token: &str) -> Box<dyn Provider> {
        provider(&[
            ("GITLAB_CI", "true"),
            ("CI_API_V4_URL", &format!("{}/api/v4", self.gitlab)),
            ("CI_PROJECT_ID", "42"),
            ("CI_PIPELINE_ID", "5"),
            ("CI_COMMIT_SHA", commit("a").as_str()),
            ("CI_JOB_ID", "6"),
            (variable, token),
        ])
    }

    /// Providers for both platforms, with a user's token.
    fn both(&self) -> [Box<dyn Provider>; 2] {
        [self.github("ghp_user"), self.gitlab("GITLAB_TOKEN", "glpat-user")]
    }

    /// The state of the stub: everything that it has been told.
    fn state(&self) -> Value {
        serde_json::from_str(&self.control("GET", "/__state", "")).unwrap()
    }

    /// Sends a request to the stub's own control interface.
    fn control(&self, method: &str, path: &str, body: &str) -> String {
        control(&self.stub, method, path, body)
    }
}

fn provider(variables: &[(&str, &str)]) -> Box<dyn Provider> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let settings = ProviderSettings::detect(|name| variables.get(name).copied(), None).unwrap();
    let policy = RetryPolicy { first_pause: Duration::from_millis(10), ..RetryPolicy::default() };
    connect(settings, policy)
}

fn sticky(body: &str) -> StickyComment {
    let deployment: DeploymentName = "api".parse().unwrap();
    StickyComment::new(&deployment, body)
}

fn commit(digit: &str) -> CommitId {
    digit.repeat(40).parse().unwrap()
}

#[tokio::test]
#[ignore = "run by tests/contracts/run"]
async fn a_comment_is_written_edited_and_written_anew() {
    let platforms = Platforms::there();
    let providers = [
        platforms.github("ghs_app"),
        platforms.github("ghp_user"),
        platforms.gitlab("GITLAB_TOKEN", "glpat-user"),
    ];
    for provider in providers {
        platforms.control("DELETE", "/__comments", "");
        let posted = async |body: &str| provider.put_comment(7, &sticky(body)).await.unwrap();
        let first = posted("| one | 🚀 |").await;
        assert_eq!(first.posted, Posted::Created);
        assert_eq!(posted("| one | 🚀 |").await.posted, Posted::Unchanged);
        let edited = posted("two").await;
        assert_eq!((edited.id, edited.posted), (first.id, Posted::Edited));
        platforms.control("DELETE", "/__comments", "");
        assert_eq!(posted("three").await.posted, Posted::Created);
        let state = platforms.state();
        let written = state["comments"].as_array().unwrap().len() + state["notes"].as_array().unwrap().len();
        assert_eq!(written, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by tests/contracts/run"]
async fn of_jobs_that_write_the_first_comment_at_once_one_stays() {
    let platforms = Platforms::there();
    for on_github in [true, false] {
        platforms.control("DELETE", "/__comments", "");
        let mut jobs = tokio::task::JoinSet::new();
        for job in 0..4 {
            let [github, gitlab] = platforms.both();
            let provider = if on_github { github } else { gitlab };
            jobs.spawn(
                async move { provider.put_comment(7, &sticky(&format!("by job {job}"))).await.unwrap() },
            );
        }
        let posted = jobs.join_all().await;
        assert!(posted.iter().all(|one| one.id == posted[0].id), "{posted:?}");
        let state = platforms.state();
        let left = state[if on_github { "comments" } else { "notes" }].as_array().unwrap().len();
        assert_eq!(left, 1);
    }
}

#[tokio::test]
#[ignore = "run by tests/contracts/run"]
async fn what_a_push_has_merged_is_found() {
    let platforms = Platforms::there();
    let merge = serde_json::json!({ "number": 7, "branch": "main", "commit": commit("c").as_str() });
    platforms.control("POST", "/__merges", &merge.to_string());
    for provider in platforms.both() {
        let found = provider.find_change_request(&of_commit("c", "main", None)).await.unwrap();
        assert_eq!(found.map(|request| (request.number, request.state)), Some((7, RequestState::Merged)));
        assert_eq!(provider.find_change_request(&of_commit("d", "main", None)).await.unwrap(), None);
    }
}

fn of_commit(digit: &str, branch: &str, owner: Option<&str>) -> RequestLookup {
    RequestLookup::Commit(RequestOfCommit {
        commit: commit(digit),
        branch: Some(branch.to_owned()),
        owner: owner.map(str::to_owned),
        merged: true,
    })
}

#[tokio::test]
#[ignore = "run by tests/contracts/run"]
async fn the_request_of_a_number_or_a_branch_is_found() {
    let platforms = Platforms::there();
    let told = json!({ "number": 11, "head": commit("e").as_str(), "branch": "fix", "base": "main",
        "repository": "mallory/shop" });
    platforms.control("POST", "/__requests", &told.to_string());
    for provider in platforms.both() {
        let found = provider.find_change_request(&RequestLookup::Number(11)).await.unwrap().unwrap();
        assert_eq!((found.head, found.base.as_deref()), (Some(commit("e")), Some("main")));
    }
    let github = platforms.github("ghp_user");
    // By the commit alone, and by the commit with the branch and its owner.
    for (digit, owner) in [("e", None), ("e", Some("mallory"))] {
        let found = github.find_change_request(&of_commit(digit, "fix", owner)).await.unwrap();
        assert_eq!(found.map(|request| request.number), Some(11));
    }
    assert_eq!(github.find_change_request(&of_commit("f", "fix", Some("mallory"))).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "run by tests/contracts/run"]
async fn a_commit_gets_every_status() {
    let platforms = Platforms::there();
    let target: TargetName = "prod".parse().unwrap();
    let phases = [
        CommitStatusState::Pending,
        CommitStatusState::Success,
        CommitStatusState::Failure,
        CommitStatusState::Error,
        CommitStatusState::Error,
    ];
    for provider in platforms.both() {
        for phase in phases {
            let url = Some("https://ci.example.com/1".to_owned());
            let status = CommitStatus::new(&"api".parse().unwrap(), &target, phase, &"long ".repeat(60), url);
            provider.set_commit_status(&commit("a"), &status).await.unwrap();
        }
    }
    let state = platforms.state();
    assert_eq!(state["statuses"].as_array().unwrap().len(), 5);
    assert_eq!(state["statuses"][0]["context"], "atmos/api/prod");
    // GitLab refuses the second of two equal statuses, which does no harm.
    assert_eq!(state["gitlab_statuses"].as_array().unwrap().len(), 4);
}

#[tokio::test]
#[ignore = "run by tests/contracts/run"]
async fn each_rollout_is_recorded() {
    let platforms = Platforms::there();
    for provider in platforms.both() {
        let new = NewDeployment {
            deployment: "api".parse().unwrap(),
            target: "prod".parse().unwrap(),
            commit: commit("b"),
            reference: Some("main".to_owned()),
            environment: "prod/eu".to_owned(),
            environment_url: Some("https://shop.example.com".to_owned()),
            run_id: "run:1".to_owned(),
            key: "run:1 deploy".to_owned(),
            description: "3 components".to_owned(),
        };
        let started = provider.start_deployment(&new).await.unwrap();
        let again = provider.start_deployment(&new).await.unwrap();
        // GitLab stores no key by which the deployment could be found again.
        assert_eq!(again == started, provider.platform() == Platform::GitHub);
        let other = NewDeployment { key: "run:1 other".to_owned(), ..new };
        assert_ne!(provider.start_deployment(&other).await.unwrap(), started);
        for phase in [
            DeploymentPhase::InProgress,
            DeploymentPhase::Success,
            DeploymentPhase::Failure,
            DeploymentPhase::Error,
        ] {
            let update = DeploymentUpdate {
                phase,
                description: "d".repeat(200),
                log_url: Some("https://ci.example.com/1".to_owned()),
                environment_url: Some("https://shop.example.com".to_owned()),
            };
            provider.update_deployment(&started, &update).await.unwrap();
        }
    }
    assert_eq!(platforms.state()["deployments"].as_array().unwrap().len(), 2);
}

#[tokio::test]
#[ignore = "run by tests/contracts/run"]
async fn the_ledger_is_protected() {
    let platforms = Platforms::there();
    for provider in platforms.both() {
        assert_eq!(provider.protection().await.unwrap().rules[0].state, RuleState::Missing);
        provider.protect().await.unwrap();
        assert!(provider.protect().await.unwrap().is_complete());
    }
}

#[tokio::test]
#[ignore = "run by tests/contracts/run"]
async fn a_pipeline_is_started() {
    let platforms = Platforms::there();
    let dispatch = Dispatch {
        workflow: "deploy.yml".to_owned(),
        reference: "main".to_owned(),
        inputs: BTreeMap::from([("target".to_owned(), "prod".to_owned())]),
    };
    let workflow = "on: { workflow_dispatch: { inputs: { target: {} } } }";
    let file = json!({ "path": ".github/workflows/deploy.yml", "ref": "main", "content": workflow });
    platforms.control("POST", "/__files", &file.to_string());
    let declared = platforms.github("ghs_app").workflow_inputs("deploy.yml", "main").await.unwrap();
    assert_eq!(declared, WorkflowInputs::Declared(["target".to_owned()].into()));
    let before = platforms.state();
    for provider in platforms.both() {
        provider.dispatch(&dispatch).await.unwrap();
    }
    platforms.gitlab("CI_JOB_TOKEN", "job").dispatch(&dispatch).await.unwrap();
    let after = platforms.state();
    let more = |list: &str| after[list].as_array().unwrap().len() - before[list].as_array().unwrap().len();
    assert_eq!((more("dispatches"), more("pipelines")), (1, 2));
}

#[tokio::test]
#[ignore = "run by tests/contracts/run"]
async fn the_approver_of_a_run_is_read() {
    let platforms = Platforms::there();
    let job = |runner: &str, environment: Option<&str>| {
        let job = json!({ "run": 99, "runner": runner, "commit": commit("b"), "environment": environment });
        platforms.control("POST", "/__jobs", &job.to_string());
    };
    platforms.control("DELETE", "/__jobs", "");
    job("GitHub Actions 1", None);
    job("GitHub Actions 2", Some("production"));
    let refused = platforms.github("ghs_app").approvals("production").await.unwrap();
    assert!(refused.approvals.is_empty() && refused.of_other_jobs, "{refused:?}");
    platforms.control("DELETE", "/__jobs", "");
    job("GitHub Actions 1", Some("production"));
    job("GitHub Actions 2", Some("production"));
    for provider in platforms.both() {
        let PlatformApprovals { approvals, unchecked, .. } = provider.approvals("production").await.unwrap();
        assert_eq!((approvals.len(), approvals[0].approved_by.as_str()), (1, "alice"));
        assert_eq!(unchecked, None);
        assert_eq!(approvals[0].comment.as_deref(), Some("Ship it!"));
        assert_eq!(approvals[0].approved_at.is_some(), provider.platform() == Platform::GitLab);
    }
}

/// Not through Prism, since no description has such an answer.
#[tokio::test]
#[ignore = "run by tests/contracts/run"]
async fn a_comment_whose_answer_is_lost_is_written_once() {
    let platforms = Platforms::there();
    platforms.control("DELETE", "/__comments", "");
    platforms.control("POST", "/__fault", r#"{"status": 502, "times": 1, "method": "POST"}"#);
    let github = Platforms::github_at(&platforms.stub, "ghs_app");
    assert_eq!(github.put_comment(7, &sticky("one")).await.unwrap().posted, Posted::Unchanged);
    assert_eq!(platforms.state()["comments"].as_array().unwrap().len(), 1);
}

/// Makes sure that Prism reports violations at all.
#[tokio::test]
#[ignore = "run by tests/contracts/run"]
async fn a_request_that_is_not_described_is_an_error() {
    let platforms = Platforms::there();
    let empty =
        Dispatch { workflow: "deploy.yml".to_owned(), reference: String::new(), inputs: BTreeMap::new() };
    let inputs = (0..200).map(|number| (format!("input{number}"), String::new())).collect();
    let error = platforms.github("ghp_user").dispatch(&Dispatch { inputs, ..empty }).await.unwrap_err();
    assert!(error.to_string().contains("422"), "{error}");
}
