//! GitHub Actions: <https://docs.github.com/actions/reference/workflows-and-actions/variables>.

mod next;
mod payload;
mod reference;
mod request;
mod trust;

use self::payload::{Payload, commit};
use self::reference::Reference;
use self::request::Run;
use super::{Job, System};

/// The events that a person triggers for this very run. All others are automatic.
const BY_HAND: [&str; 3] = ["workflow_dispatch", "deployment", "issue_comment"];

pub(super) fn detect<'v>(
    variable: &impl Fn(&str) -> Option<&'v str>,
    event: impl FnOnce() -> Option<String>,
) -> Option<Job> {
    variable("GITHUB_ACTIONS")?;
    let id = variable("GITHUB_RUN_ID")?;
    let attempt = variable("GITHUB_RUN_ATTEMPT").unwrap_or("1");
    let number_of_attempt = attempt.parse().unwrap_or(1);
    let project = match (variable("GITHUB_SERVER_URL"), variable("GITHUB_REPOSITORY")) {
        (Some(server), Some(repository)) => Some(format!("{}/{repository}", server.trim_end_matches('/'))),
        _ => None,
    };
    let payload = event().map(|text| Payload::read(&text)).unwrap_or_default();
    let event = variable("GITHUB_EVENT_NAME").unwrap_or_default();
    let number = variable("GITHUB_RUN_NUMBER").unwrap_or(id);
    let reference = Reference::read(variable);
    let commit = commit(variable("GITHUB_SHA"));
    let run = Run { event, payload: &payload, reference, commit: commit.as_ref() };
    let (change_request, request_lookup) = (run.change_request(), run.lookup());
    Some(Job {
        system: System::GitHubActions,
        run_id: format!("github:{id}/{attempt}"),
        url: project.as_ref().map(|project| format!("{project}/actions/runs/{id}/attempts/{attempt}")),
        // A re-run brings its old commit, whichever event it was for.
        automatic: number_of_attempt > 1 || (!event.is_empty() && !BY_HAND.contains(&event)),
        retry_is_meant: false,
        actor: variable("GITHUB_ACTOR").map(str::to_owned),
        name: format!("{} #{number}", variable("GITHUB_WORKFLOW").unwrap_or("Run")),
        commit,
        reference: variable("GITHUB_HEAD_REF").or_else(|| variable("GITHUB_REF_NAME")).map(str::to_owned),
        default_branch: payload.default_branch().map(str::to_owned),
        branch: variable("GITHUB_HEAD_REF").or_else(|| reference.branch()).map(str::to_owned),
        commit_address: project.map(|project| format!("{project}/commit/")),
        next_reference: next::reference(variable, &payload, reference, change_request.as_ref()),
        requested_deployment: request::requested_deployment(event, &payload),
        read_only_token: trust::has_read_only_token(event, &payload),
        trust: trust::trust(variable, event, &payload, reference),
        change_request,
        request_lookup,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_known_by_its_id_and_attempt() {
        let variable = |name: &str| match name {
            "GITHUB_ACTIONS" => Some("true"),
            "GITHUB_RUN_ID" => Some("123"),
            "GITHUB_RUN_ATTEMPT" => Some("2"),
            "GITHUB_SERVER_URL" => Some("https://github.example.com"),
            "GITHUB_REPOSITORY" => Some("acme/shop"),
            "GITHUB_EVENT_NAME" => Some("push"),
            _ => None,
        };
        let job = detect(&variable, || None).unwrap();
        assert_eq!(job.run_id, "github:123/2");
        assert_eq!(
            job.url.as_deref(),
            Some("https://github.example.com/acme/shop/actions/runs/123/attempts/2")
        );
        assert!(job.automatic && !job.retry_is_meant);
        assert_eq!(
            job.address_of_run("github:7/1").as_deref(),
            Some("https://github.example.com/acme/shop/actions/runs/7/attempts/1")
        );
        assert_eq!(job.address_of_run("local:7"), None);
    }

    #[test]
    fn automatic_is_what_no_person_asked_for() {
        let cases = [
            ("workflow_dispatch", "1", false),
            ("deployment", "1", false),
            ("issue_comment", "1", false),
            ("", "1", false),
            ("push", "1", true),
            ("pull_request", "1", true),
            ("schedule", "1", true),
            ("merge_group", "1", true),
            ("workflow_run", "1", true),
            ("repository_dispatch", "1", true),
            ("pull_request_review", "1", true),
            ("workflow_dispatch", "2", true),
            ("issue_comment", "3", true),
            ("push", "2", true),
        ];
        for (event, attempt, automatic) in cases {
            let variable = |name: &str| match name {
                "GITHUB_ACTIONS" => Some("true"),
                "GITHUB_RUN_ID" => Some("123"),
                "GITHUB_RUN_ATTEMPT" => Some(attempt),
                "GITHUB_EVENT_NAME" => Some(event).filter(|event| !event.is_empty()),
                _ => None,
            };
            assert_eq!(detect(&variable, || None).unwrap().automatic, automatic, "{event} {attempt}");
        }
    }

    #[test]
    fn the_event_names_the_default_branch() {
        let variable = |name: &str| match name {
            "GITHUB_ACTIONS" => Some("true"),
            "GITHUB_RUN_ID" => Some("123"),
            _ => None,
        };
        let of = |event: Option<&str>| detect(&variable, || event.map(str::to_owned)).unwrap().default_branch;
        let event = r#"{"repository": {"full_name": "acme/shop", "default_branch": "trunk"}}"#;
        assert_eq!(of(Some(event)).as_deref(), Some("trunk"));
        assert_eq!(of(Some(r#"{"repository": {"full_name": "acme/shop"}}"#)), None);
        assert_eq!(of(None), None);
    }
}
