//! The run named in records and locks: the CI system's, or one of this machine.

use crate::ci::Job;
use crate::context::Context;
use crate::deployment::chain::PastSuccess;
use crate::deployment::record::Record;
use crate::deployment::run::{address_without_attempt, run_without_attempt};
use crate::error::CommandError;
use crate::git::Repository;
use crate::ledger::{LONGEST_RUN_ID, run_id_fits};
use crate::render::document::error::Hint;

/// The run of this process.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: String,
    /// The run's id in the CI system, regardless of `ATMOS_RUN_ID`; `id` outside of a CI.
    pub platform_id: String,
    pub url: Option<String>,
    pub actor: String,
}

impl Run {
    /// Determines the run of this process: from its environment, else from the CI job, else a
    /// generated one.
    ///
    /// # Errors
    ///
    /// If the id is invalid in a ref name: a rollout under it could not be recorded.
    pub fn of(context: &Context, repository: &Repository, job: Option<Job>) -> Result<Self, CommandError> {
        let id = context
            .variable("ATMOS_RUN_ID")
            .map(str::to_owned)
            .or_else(|| job.as_ref().map(|job| job.run_id.clone()))
            .unwrap_or_else(|| format!("local:{}", uuid::Uuid::now_v7().simple()));
        if !run_id_fits(&id) {
            return Err(CommandError::usage("ATMOS_RUN_ID is too long").hint(Hint::note(format!(
                "It becomes part of a ref's name: at most {LONGEST_RUN_ID} bytes, of which every one but letters, digits \
                 and '-' counts three times"
            ))));
        }
        let actor = job.as_ref().and_then(|job| job.actor.clone());
        Ok(Self {
            platform_id: job.as_ref().map_or_else(|| id.clone(), |job| job.run_id.clone()),
            id,
            url: job.and_then(|job| job.url),
            actor: match (repository.identity(), actor) {
                (None, Some(actor)) => actor,
                _ => context.actor(repository),
            },
        })
    }

    /// A run that records nothing.
    pub const fn unnamed(actor: String) -> Self {
        Self { id: String::new(), platform_id: String::new(), url: None, actor }
    }

    /// Whether this run and the run of a record share their approvals on the platform.
    ///
    /// GitHub lists the approvals of all attempts of a run; GitLab, those of the job's deployment.
    pub fn shares_approvals_with(&self, record: &Record) -> bool {
        let is_github = self.platform_id.starts_with("github:");
        let is_same = |ours: &str, theirs: &str, without_attempt: fn(&str) -> &str| {
            ours == theirs || (is_github && without_attempt(ours) == without_attempt(theirs))
        };
        let by_id =
            record.run_id.as_deref().is_some_and(|id| is_same(&self.platform_id, id, run_without_attempt));
        // If `ATMOS_RUN_ID` named the run, its URL identifies it.
        let addresses = self.url.as_deref().zip(record.details.run_url.as_deref());
        by_id || addresses.is_some_and(|(ours, theirs)| is_same(ours, theirs, address_without_attempt))
    }

    /// Whether a success is of another job of this run's pipeline.
    pub fn is_another_job_of_the_pipeline_of(&self, success: &PastSuccess) -> bool {
        let Some(id) = success.run_id.as_deref() else { return false };
        let same_pipeline = run_without_attempt(id) == run_without_attempt(&self.platform_id);
        let same_name = id == self.id && id != self.platform_id && success.run_url != self.url;
        (same_pipeline && id != self.platform_id) || same_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::RecordStatus;
    use crate::deployment::chain::Chain;
    use crate::deployment::fixtures::record;
    use crate::deployment::record::LedgerRecord;

    const GITHUB: &str = "https://github.com/acme/shop/actions/runs";
    const GITLAB: &str = "https://gitlab.com/acme/shop/-/jobs";

    fn run(id: &str, platform_id: &str, url: &str) -> Run {
        let (id, platform_id, url) = (id.to_owned(), platform_id.to_owned(), Some(url.to_owned()));
        Run { id, platform_id, url, actor: "ada".to_owned() }
    }

    fn success(id: &str, url: &str) -> LedgerRecord {
        let mut found = record("prod", "api", "abc123d", RecordStatus::Success, "2025-01-22T12:00:00Z");
        found.record.run_id = Some(id.to_owned());
        found.record.details.run_url = Some(url.to_owned());
        found
    }

    /// A name that `ATMOS_RUN_ID` gives to an attempt or a job does not make it another run.
    #[test]
    fn approvals_are_shared_by_the_attempts_of_a_run_and_no_others() {
        for (name, platform_id, url, theirs, their_url, shared) in [
            (
                "github:6/2",
                "github:6/2",
                format!("{GITHUB}/6/attempts/2"),
                "github:6/1",
                format!("{GITHUB}/6/attempts/1"),
                true,
            ),
            (
                "mine",
                "github:6/2",
                format!("{GITHUB}/6/attempts/2"),
                "github:6/1",
                format!("{GITHUB}/6/attempts/1"),
                true,
            ),
            (
                "github:6/2",
                "github:6/2",
                format!("{GITHUB}/6/attempts/2"),
                "mine",
                format!("{GITHUB}/6/attempts/1"),
                true,
            ),
            (
                "two",
                "github:6/2",
                format!("{GITHUB}/6/attempts/2"),
                "one",
                format!("{GITHUB}/6/attempts/1"),
                true,
            ),
            (
                "same",
                "github:7/1",
                format!("{GITHUB}/7/attempts/1"),
                "same",
                format!("{GITHUB}/6/attempts/1"),
                false,
            ),
            (
                "github:61/1",
                "github:61/1",
                format!("{GITHUB}/61/attempts/1"),
                "github:6/1",
                format!("{GITHUB}/6/attempts/1"),
                false,
            ),
            (
                "gitlab:6/60",
                "gitlab:6/60",
                format!("{GITLAB}/60"),
                "gitlab:6/61",
                format!("{GITLAB}/61"),
                false,
            ),
            ("two", "gitlab:6/60", format!("{GITLAB}/60"), "one", format!("{GITLAB}/60"), true),
        ] {
            let own = run(name, platform_id, &url);
            let record = success(theirs, &their_url).record;
            assert_eq!(own.shares_approvals_with(&record), shared, "{name} {platform_id} {theirs}");
        }
    }

    #[test]
    fn another_job_of_the_pipeline_has_another_number_or_address() {
        for (name, platform_id, job, theirs, their_job, other) in [
            ("gitlab:6/61", "gitlab:6/61", 61, "gitlab:6/60", 60, true),
            ("gitlab:6/61", "gitlab:6/61", 61, "gitlab:6/61", 61, false),
            ("gitlab:7/61", "gitlab:7/61", 61, "gitlab:6/60", 60, false),
            ("mine", "gitlab:6/61", 61, "gitlab:6/60", 60, true),
            ("mine", "gitlab:6/61", 61, "mine", 60, true),
            ("mine", "gitlab:6/61", 61, "mine", 61, false),
        ] {
            let own = run(name, platform_id, &format!("{GITLAB}/{job}"));
            let chain = Chain::new(&[success(theirs, &format!("{GITLAB}/{their_job}"))]);
            let is_other = own.is_another_job_of_the_pipeline_of(&chain.successes()[0]);
            assert_eq!(is_other, other, "{name} {platform_id} {theirs}");
        }
    }
}
