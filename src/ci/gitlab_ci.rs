//! GitLab CI: <https://docs.gitlab.com/ci/variables/predefined_variables/>.

use super::Job;

/// The pipeline sources that a person is behind.
const BY_HAND: [&str; 3] = ["web", "webide", "chat"];

pub(super) fn detect<'v>(variable: &impl Fn(&str) -> Option<&'v str>) -> Option<Job> {
    variable("GITLAB_CI")?;
    let (pipeline, job) = (variable("CI_PIPELINE_ID")?, variable("CI_JOB_ID")?);
    let manual_job = variable("CI_JOB_MANUAL") == Some("true");
    Some(Job {
        run_id: format!("gitlab:{pipeline}/{job}"),
        url: variable("CI_JOB_URL").map(str::to_owned),
        automatic: !manual_job
            && variable("CI_PIPELINE_SOURCE").is_some_and(|source| !BY_HAND.contains(&source)),
        actor: variable("GITLAB_USER_EMAIL").or_else(|| variable("GITLAB_USER_LOGIN")).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_somebody_started_is_not_automatic() {
        let job = |manual: Option<&'static str>| {
            detect(&move |name: &str| match name {
                "GITLAB_CI" => Some("true"),
                "CI_PIPELINE_ID" => Some("7"),
                "CI_JOB_ID" => Some("9"),
                "CI_PIPELINE_SOURCE" => Some("push"),
                "CI_JOB_MANUAL" => manual,
                _ => None,
            })
            .unwrap()
        };
        assert_eq!(job(None).run_id, "gitlab:7/9");
        assert!(job(None).automatic);
        assert!(!job(Some("true")).automatic);
    }
}
