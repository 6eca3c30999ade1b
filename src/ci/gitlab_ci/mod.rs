//! GitLab CI: <https://docs.gitlab.com/ci/variables/predefined_variables/>.

mod request;
mod trust;

use super::{Job, System};

/// The pipeline sources that a person triggers.
const BY_HAND: [&str; 3] = ["web", "webide", "chat"];

pub(super) fn detect<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Option<Job> {
    variable("GITLAB_CI")?;
    let (pipeline, job) = (variable("CI_PIPELINE_ID")?, variable("CI_JOB_ID")?);
    let manual_job = variable("CI_JOB_MANUAL") == Some("true");
    let project = variable("CI_PROJECT_URL");
    Some(Job {
        system: System::GitLabCi,
        run_id: format!("gitlab:{pipeline}/{job}"),
        url: variable("CI_JOB_URL").map(str::to_owned),
        automatic: !manual_job
            && variable("CI_PIPELINE_SOURCE").is_some_and(|source| !BY_HAND.contains(&source)),
        retry_is_meant: manual_job || variable("CI_ENVIRONMENT_NAME").is_some(),
        actor: variable("GITLAB_USER_EMAIL").or_else(|| variable("GITLAB_USER_LOGIN")).map(str::to_owned),
        name: format!("{} #{job}", variable("CI_JOB_NAME").unwrap_or("Job")),
        commit: variable("CI_COMMIT_SHA").and_then(|commit| commit.parse().ok()),
        reference: variable("CI_COMMIT_REF_NAME").map(str::to_owned),
        default_branch: variable("CI_DEFAULT_BRANCH").map(str::to_owned),
        branch: variable("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
            .or_else(|| variable("CI_COMMIT_BRANCH"))
            .map(str::to_owned),
        commit_address: project.map(|project| format!("{project}/-/commit/")),
        change_request: request::change_request(variable),
        request_lookup: request::lookup(variable),
        next_reference: request::next_reference(variable).map(str::to_owned),
        // GitLab itself records the deployment of a job with an environment.
        requested_deployment: None,
        read_only_token: trust::has_read_only_token(variable),
        trust: trust::trust(variable),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_a_person_started_is_not_automatic() {
        let job = |manual: Option<&'static str>, environment: Option<&'static str>| {
            detect(&move |name: &str| match name {
                "CI_ENVIRONMENT_NAME" => environment,
                "CI_DEFAULT_BRANCH" => Some("trunk"),
                "GITLAB_CI" => Some("true"),
                "CI_PIPELINE_ID" => Some("7"),
                "CI_JOB_ID" => Some("9"),
                "CI_PIPELINE_SOURCE" => Some("push"),
                "CI_JOB_MANUAL" => manual,
                _ => None,
            })
            .unwrap()
        };
        let pushed = job(None, None);
        assert_eq!(pushed.run_id, "gitlab:7/9");
        assert_eq!(pushed.default_branch.as_deref(), Some("trunk"));
        assert!(pushed.automatic && !pushed.retry_is_meant);
        let manual = job(Some("true"), None);
        assert!(!manual.automatic && manual.retry_is_meant);
        let of_an_environment = job(None, Some("prod"));
        assert!(of_an_environment.automatic && of_an_environment.retry_is_meant);
    }
}
