//! The commits that a job may run.
//!
//! Decided by the commits that are checked out and asked for, not by the event: every event has the
//! repository's secrets, except those that are known to get none.

use crate::deployment::CommitId;

/// The effect that a verb has with the commits that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activity {
    /// Runs nothing of them and writes nothing.
    Reads,
    /// Runs their plans: components' commands, terraform, functions of stacks.
    Plans,
    /// Runs or writes everything else.
    Acts,
}

/// The trust in commits that follows from a job's event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The event that started the job, as its platform calls it: `issue_comment`.
    pub event: String,
    /// Commits that the platform took from the repository's own branches and tags, or from a
    /// change request of one of these.
    pub own: Vec<CommitId>,
    /// The platform withholds the repository's secrets from the job.
    pub without_secrets: bool,
    /// The origin of the change, if it is not the repository: `mallory/shop`.
    pub foreign: Option<String>,
    /// The paths that the address of the repository may end with: `acme/shop`.
    pub repository: Vec<String>,
    /// The repository's servers, as addresses without a path.
    pub servers: Vec<String>,
}

impl Trust {
    /// Whether a verb may only be given commits of the repository's own history.
    #[must_use]
    pub const fn needs_own_commits(&self, activity: Activity) -> bool {
        match activity {
            Activity::Reads => false,
            Activity::Plans => !self.without_secrets,
            // Writing needs more than a job without secrets is given.
            Activity::Acts => true,
        }
    }

    /// Whether the path of a remote's address is that of the repository.
    #[must_use]
    pub fn is_path_of_repository(&self, path: &str) -> bool {
        self.repository.iter().any(|own| own.eq_ignore_ascii_case(path))
    }
}

/// The server of an address, without the rest: an address may hold a password.
pub(super) fn server(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plan_without_secrets_may_run_what_is_foreign() {
        let trust = |without_secrets| Trust {
            event: "x".to_owned(),
            own: Vec::new(),
            without_secrets,
            foreign: None,
            repository: vec!["acme/shop".to_owned()],
            servers: Vec::new(),
        };
        for (activity, with, without) in
            [(Activity::Reads, false, false), (Activity::Plans, true, false), (Activity::Acts, true, true)]
        {
            assert_eq!(trust(false).needs_own_commits(activity), with, "{activity:?}");
            assert_eq!(trust(true).needs_own_commits(activity), without, "{activity:?}");
        }
        assert!(trust(false).is_path_of_repository("Acme/Shop"));
        assert!(!trust(false).is_path_of_repository("mallory/acme/shop"));
    }
}
