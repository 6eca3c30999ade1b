//! The merge request that a pipeline is about.

use crate::deployment::change_request::{ChangeRequest, RequestLookup, RequestOfCommit, RequestState};

/// The merge request of the pipeline; in a branch's pipeline, the open one of the branch.
pub(super) fn change_request<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Option<ChangeRequest> {
    let commit = |name: &str| variable(name)?.parse().ok();
    let checked_out = commit("CI_COMMIT_SHA");
    let Some(number) = variable("CI_MERGE_REQUEST_IID") else {
        // `group/project!7,group/project!9`
        let first = variable("CI_OPEN_MERGE_REQUESTS")?.split(',').next()?;
        let (project, number) = first.rsplit_once('!')?;
        let own = variable("CI_PROJECT_PATH") == Some(project);
        let number = number.parse().ok().filter(|_| own)?;
        return Some(ChangeRequest {
            state: RequestState::Open,
            head: checked_out,
            ..ChangeRequest::numbered(number)
        });
    };
    // Set where the pipeline runs on the merged result.
    let branch = commit("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA");
    Some(ChangeRequest {
        number: number.parse().ok()?,
        state: RequestState::Open,
        merge: branch.is_some().then(|| checked_out.clone()).flatten(),
        head: branch.or(checked_out),
        base: variable("CI_MERGE_REQUEST_TARGET_BRANCH_NAME").map(str::to_owned),
    })
}

/// The lookup to ask the platform for where the variables name no merge request: the one that a
/// push has merged.
pub(super) fn lookup<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Option<RequestLookup> {
    let is_of_a_branch =
        variable("CI_PIPELINE_SOURCE") == Some("push") && variable("CI_COMMIT_TAG").is_none();
    if !is_of_a_branch || change_request(variable).is_some() {
        return None;
    }
    Some(RequestLookup::Commit(RequestOfCommit {
        commit: variable("CI_COMMIT_SHA")?.parse().ok()?,
        branch: Some(variable("CI_COMMIT_REF_NAME")?.to_owned()),
        owner: None,
        merged: true,
    }))
}

/// The ref that follow-up runs use: the branch that a request is merged into, else the branch or
/// tag of the pipeline.
pub(super) fn next_reference<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Option<&'v str> {
    let bases = ["CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME"];
    if let Some(base) = bases.into_iter().find_map(variable) {
        return Some(base);
    }
    let of_request = variable("CI_MERGE_REQUEST_IID").or_else(|| variable("CI_EXTERNAL_PULL_REQUEST_IID"));
    // A child pipeline that names neither may run a fork's branch.
    let is_named = variable("CI_COMMIT_BRANCH").or_else(|| variable("CI_COMMIT_TAG")).is_some();
    if of_request.is_some() || (variable("CI_PIPELINE_SOURCE") == Some("parent_pipeline") && !is_named) {
        return variable("CI_DEFAULT_BRANCH");
    }
    variable("CI_COMMIT_REF_NAME")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ];
        let found = request(&merged_result).unwrap();
        assert_eq!(found.number, 7);
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
    fn a_push_may_have_merged_a_request() {
        let commit = "a".repeat(40);
        let of = |source: &'static str, tag: Option<&'static str>, open: Option<&'static str>| {
            let variable = |name: &str| match name {
                "CI_PIPELINE_SOURCE" => Some(source),
                "CI_COMMIT_TAG" => tag,
                "CI_COMMIT_REF_NAME" => Some("main"),
                "CI_COMMIT_SHA" => Some(commit.as_str()),
                "CI_PROJECT_PATH" => Some("acme/shop"),
                "CI_OPEN_MERGE_REQUESTS" => open,
                _ => None,
            };
            lookup(&variable)
        };
        let Some(RequestLookup::Commit(asked)) = of("push", None, None) else { panic!() };
        assert_eq!((asked.branch.as_deref(), asked.merged), (Some("main"), true));
        assert_eq!(of("push", Some("v1"), None), None);
        assert_eq!(of("schedule", None, None), None);
        assert_eq!(of("push", None, Some("acme/shop!7")), None);
    }
}
