//! GitHub Actions: <https://docs.github.com/actions/reference/workflows-and-actions/variables>.

use super::Job;

/// The events that a person triggers for this very run.
const BY_HAND: [&str; 2] = ["workflow_dispatch", "deployment"];

pub(super) fn detect<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Option<Job> {
    variable("GITHUB_ACTIONS")?;
    let id = variable("GITHUB_RUN_ID")?;
    let attempt = variable("GITHUB_RUN_ATTEMPT").unwrap_or("1");
    let url = match (variable("GITHUB_SERVER_URL"), variable("GITHUB_REPOSITORY")) {
        (Some(server), Some(repository)) => {
            Some(format!("{server}/{repository}/actions/runs/{id}/attempts/{attempt}"))
        }
        _ => None,
    };
    Some(Job {
        run_id: format!("github:{id}/{attempt}"),
        url,
        automatic: variable("GITHUB_EVENT_NAME").is_some_and(|event| !BY_HAND.contains(&event)),
        actor: variable("GITHUB_ACTOR").map(str::to_owned),
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
        let job = detect(&variable).unwrap();
        assert_eq!(job.run_id, "github:123/2");
        assert_eq!(
            job.url.as_deref(),
            Some("https://github.example.com/acme/shop/actions/runs/123/attempts/2")
        );
        assert!(job.automatic);
    }
}
