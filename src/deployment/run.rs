//! Ids of CI runs, as stored in records.

/// The systems whose run ids end in an attempt or a job: `github:123/2`, `gitlab:7/9`.
const SYSTEMS: [&str; 2] = ["github:", "gitlab:"];

/// The id of a run without its attempt (GitHub) or job (GitLab), which is stable when a part of it
/// is re-run. Any other id is returned unchanged.
#[must_use]
pub fn run_without_attempt(run_id: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = SYSTEMS.iter().find_map(|system| run_id.strip_prefix(system));
    match (number.and_then(|rest| rest.split_once('/')), run_id.rsplit_once('/')) {
        (Some((run, attempt)), Some((id, _))) if is_number(run) && is_number(attempt) => id,
        _ => run_id,
    }
}

/// The id of a pipeline on GitLab, without the job; any other id unchanged, so that the attempts of
/// a run on GitHub stay separate.
#[must_use]
pub fn pipeline_of(run_id: &str) -> &str {
    if run_id.starts_with("gitlab:") { run_without_attempt(run_id) } else { run_id }
}

/// The URL of a run on GitHub without its attempt (`…/actions/runs/6/attempts/2`); any other one
/// unchanged.
#[must_use]
pub fn address_without_attempt(address: &str) -> &str {
    address.split_once("/attempts/").map_or(address, |(run, _)| run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_the_two_forms_lose_their_end() {
        let cases = [
            ("github:123/2", "github:123"),
            ("gitlab:7/9", "gitlab:7"),
            ("github:123", "github:123"),
            ("github:123/", "github:123/"),
            ("github:/2", "github:/2"),
            ("github:123/2/3", "github:123/2/3"),
            ("github:123/two", "github:123/two"),
            ("github:acme/2", "github:acme/2"),
            ("gitlab:group/9", "gitlab:group/9"),
            ("local:0197-ab/1", "local:0197-ab/1"),
            ("jenkins/deploy/41", "jenkins/deploy/41"),
            ("x-github:123/2", "x-github:123/2"),
            ("", ""),
        ];
        for (id, run) in cases {
            assert_eq!(run_without_attempt(id), run, "{id}");
        }
    }
}
