//! The commits that a pipeline may use. Every pipeline has the secrets of the project that it runs
//! in.

use crate::ci::Trust;
use crate::ci::trust::server as server_of;
use crate::deployment::CommitId;

/// The sources of pipelines that run on a branch or tag of the project, also where no variable
/// names it.
const OF_REFS: [&str; 8] = ["api", "chat", "pipeline", "push", "schedule", "trigger", "web", "webide"];

pub(super) fn trust<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Trust {
    let commit = |name: &str| -> Option<CommitId> { variable(name)?.parse().ok() };
    let source = variable("CI_PIPELINE_SOURCE").unwrap_or("this pipeline");
    let origin = Origin::read(variable, source);
    let mut own = Vec::new();
    if origin == Origin::Project {
        own.extend(commit("CI_COMMIT_SHA"));
        own.extend(commit("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"));
    }
    let project = variable("CI_PROJECT_PATH").map(str::to_owned);
    // An instance below a path has that path in the addresses of its projects.
    let below = || {
        let (_, rest) = variable("CI_PROJECT_URL")?.split_once("://")?;
        Some(rest.split_once('/')?.1.to_owned())
    };
    Trust {
        event: source.to_owned(),
        own,
        without_secrets: false,
        foreign: match origin {
            Origin::Elsewhere(whose) => Some(whose),
            Origin::Project | Origin::Unknown => None,
        },
        repository: project.into_iter().chain(below()).collect(),
        servers: servers(variable),
    }
}

/// Whether the job may not write to the project of its merge request: the pipeline is the fork's.
pub(super) fn has_read_only_token<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> bool {
    let target = variable("CI_MERGE_REQUEST_PROJECT_ID");
    let source = variable("CI_MERGE_REQUEST_SOURCE_PROJECT_ID");
    source.is_some() && source != target && variable("CI_PROJECT_ID") != target
}

/// The server as the instance and as the runner call it, and as it is called by SSH.
fn servers<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Vec<String> {
    let names = ["CI_SERVER_URL", "CI_PROJECT_URL", "CI_REPOSITORY_URL"];
    let mut servers: Vec<_> = names.into_iter().filter_map(|name| server_of(variable(name)?)).collect();
    servers.dedup();
    let own = servers.iter().any(|server| server == "https://gitlab.com");
    servers.extend(own.then(|| "ssh://altssh.gitlab.com".to_owned()));
    servers.extend(variable("CI_SERVER_SHELL_SSH_HOST").map(|host| format!("ssh://{host}")));
    servers
}

/// The origin of a pipeline's commit.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
    Project,
    Elsewhere(String),
    Unknown,
}

impl Origin {
    fn read<'v>(variable: &impl Fn(&str) -> Option<&'v str>, source: &str) -> Self {
        let is_merge_request = variable("CI_MERGE_REQUEST_IID").is_some() || source == "merge_request_event";
        if is_merge_request {
            let project = variable("CI_PROJECT_ID").or_else(|| variable("CI_MERGE_REQUEST_PROJECT_ID"));
            return match (variable("CI_MERGE_REQUEST_SOURCE_PROJECT_ID"), project) {
                (Some(source), Some(project)) if source == project => Self::Project,
                (Some(_), Some(_)) => {
                    let path = variable("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH").unwrap_or("a fork");
                    Self::Elsewhere(path.to_owned())
                }
                _ => Self::Unknown,
            };
        }
        if source == "external_pull_request_event" || variable("CI_EXTERNAL_PULL_REQUEST_IID").is_some() {
            let repository = |side: &str| variable(&format!("CI_EXTERNAL_PULL_REQUEST_{side}_REPOSITORY"));
            return match (repository("SOURCE"), repository("TARGET")) {
                (Some(source), Some(target)) if source == target => Self::Project,
                (Some(source), Some(_)) => Self::Elsewhere(source.to_owned()),
                _ => Self::Unknown,
            };
        }
        let of_the_ledger = |tag: &str| tag.starts_with("atmos/");
        match (variable("CI_COMMIT_BRANCH"), variable("CI_COMMIT_TAG")) {
            (Some(_), _) => Self::Project,
            (None, Some(tag)) if !of_the_ledger(tag) => Self::Project,
            (None, None) if OF_REFS.contains(&source) => Self::Project,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fork_s_own_pipeline_may_not_write_to_the_project_of_the_request() {
        let read_only = |source: Option<&'static str>, project: &'static str| {
            has_read_only_token(&|name: &str| match name {
                "CI_MERGE_REQUEST_PROJECT_ID" => source.and(Some("42")),
                "CI_MERGE_REQUEST_SOURCE_PROJECT_ID" => source,
                "CI_PROJECT_ID" => Some(project),
                _ => None,
            })
        };
        assert!(read_only(Some("7"), "7"));
        assert!(!read_only(Some("7"), "42"));
        assert!(!read_only(Some("42"), "42"));
        assert!(!read_only(None, "42"));
    }
}
