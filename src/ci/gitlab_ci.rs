//! GitLab CI: <https://docs.gitlab.com/ci/variables/predefined_variables/>.

use super::{ChangeRequest, Job, Push, System};

/// The pipeline sources that a person is behind.
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
        change_request: change_request(variable),
        push: push(variable),
        // A pipeline for a fork's merge request runs in the fork, unless a member of the project starts it here.
        foreign_head: None,
    })
}

fn push<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Option<Push> {
    if variable("CI_PIPELINE_SOURCE") != Some("push") || variable("CI_COMMIT_TAG").is_some() {
        return None;
    }
    Some(Push {
        branch: variable("CI_COMMIT_REF_NAME")?.to_owned(),
        commit: variable("CI_COMMIT_SHA")?.parse().ok()?,
    })
}

/// The merge request of the pipeline; in a branch's pipeline, the open one of the branch.
fn change_request<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Option<ChangeRequest> {
    let commit = |name: &str| variable(name)?.parse().ok();
    let Some(number) = variable("CI_MERGE_REQUEST_IID") else {
        // `group/project!7,group/project!9`
        let first = variable("CI_OPEN_MERGE_REQUESTS")?.split(',').next()?;
        let (project, number) = first.rsplit_once('!')?;
        let own = variable("CI_PROJECT_PATH") == Some(project);
        let head = commit("CI_COMMIT_SHA");
        return own.then(|| {
            Some(ChangeRequest { number: number.parse().ok()?, head, merge: None, from_fork: false })
        })?;
    };
    let (source, target) =
        (variable("CI_MERGE_REQUEST_SOURCE_PROJECT_ID"), variable("CI_MERGE_REQUEST_PROJECT_ID"));
    // Set where the pipeline runs on the merged result.
    let branch = commit("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA");
    let checked_out = commit("CI_COMMIT_SHA");
    Some(ChangeRequest {
        number: number.parse().ok()?,
        merge: branch.is_some().then(|| checked_out.clone()).flatten(),
        head: branch.or(checked_out),
        from_fork: source.is_some() && source != target,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_somebody_started_is_not_automatic() {
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

    #[test]
    fn a_merge_request_has_a_number_and_commits() {
        let (head, merged) = ("a".repeat(40), "b".repeat(40));
        let request = |pairs: &[(&str, &str)]| {
            let lookup = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            change_request(&lookup)
        };
        let merged_result = [
            ("CI_MERGE_REQUEST_IID", "7"),
            ("CI_COMMIT_SHA", merged.as_str()),
            ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", head.as_str()),
            ("CI_MERGE_REQUEST_PROJECT_ID", "1"),
            ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "2"),
        ];
        let found = request(&merged_result).unwrap();
        assert_eq!((found.number, found.from_fork), (7, true));
        assert_eq!(
            found.commits().map(|commit| commit.short().to_owned()).collect::<Vec<_>>(),
            ["aaaaaaa", "bbbbbbb"]
        );
        assert_eq!(request(&merged_result[..2]).unwrap().head.unwrap().as_str(), merged);
        let open = [("CI_OPEN_MERGE_REQUESTS", "acme/shop!9,acme/shop!7"), ("CI_PROJECT_PATH", "acme/shop")];
        assert_eq!(request(&open).unwrap().number, 9);
        assert!(request(&[open[0], ("CI_PROJECT_PATH", "mallory/shop")]).is_none());
    }

    #[test]
    fn a_push_is_to_a_branch() {
        let commit = "a".repeat(40);
        let of = |source: &'static str, tag: Option<&'static str>| {
            let variable = |name: &str| match name {
                "CI_PIPELINE_SOURCE" => Some(source),
                "CI_COMMIT_TAG" => tag,
                "CI_COMMIT_REF_NAME" => Some("main"),
                "CI_COMMIT_SHA" => Some(commit.as_str()),
                _ => None,
            };
            push(&variable).map(|push| push.branch)
        };
        assert_eq!(of("push", None).unwrap(), "main");
        assert_eq!(of("push", Some("v1")), None);
        assert_eq!(of("schedule", None), None);
    }
}
