//! Detects whether a component has changed since it was deployed. An undecidable case counts as a
//! change: a superfluous job costs time, a missing one leaves an old version running.

use std::fmt;

use super::commit::CommitId;
use super::footprint::Footprint;
use super::record::RecordStatus;
use super::state::ComponentState;

/// The reason that a component is rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeReason {
    NeverDeployed,
    /// Its newest rollout did not succeed.
    Unfinished(RecordStatus),
    /// This file and so many others differ.
    Files {
        first: String,
        others: usize,
        since: CommitId,
    },
    /// Its configuration in the deployment file or its stacks differs.
    Configuration {
        since: CommitId,
    },
    /// The component runs with these keys of `--context`, which no commit covers.
    Overridden(Vec<String>),
    /// The comparison failed, for this reason.
    Unknown(String),
}

/// The difference between a component's running commit and the one to roll out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Between<'a> {
    /// The changed files.
    pub files: &'a [String],
    /// Whether the component's resolved configuration differs.
    pub configuration: Result<bool, String>,
}

/// The reason to roll a component out at `commit`, if any, judged by the difference to the running
/// commit. `between` is called only if needed.
pub fn since_deployed<'a>(
    state: Option<&ComponentState>,
    commit: &CommitId,
    footprint: &Footprint,
    between: impl FnOnce(&CommitId) -> Result<Between<'a>, String>,
) -> Option<ChangeReason> {
    let newest = state.and_then(|state| state.newest.as_ref()).map(|newest| newest.record.status);
    if let Some(status) = newest.filter(|status| *status != RecordStatus::Success) {
        return Some(ChangeReason::Unfinished(status));
    }
    let Some((state, runs)) = state.and_then(|state| Some((state, state.commit.as_ref()?))) else {
        return Some(ChangeReason::NeverDeployed);
    };
    let overrides = state.running.iter().flat_map(|running| running.record.context_overrides.keys());
    let overrides: Vec<_> = overrides.cloned().collect();
    if !overrides.is_empty() {
        return Some(ChangeReason::Overridden(overrides));
    }
    if runs == commit {
        return None;
    }
    let Between { files, configuration } = match between(runs) {
        Ok(between) => between,
        Err(why) => return Some(ChangeReason::Unknown(why)),
    };
    let mut changed = files.iter().filter(|file| footprint.contains(file));
    if let Some(first) = changed.next() {
        let (first, others) = (first.clone(), changed.count());
        return Some(ChangeReason::Files { first, others, since: runs.clone() });
    }
    match configuration {
        Ok(false) => None,
        Ok(true) => Some(ChangeReason::Configuration { since: runs.clone() }),
        Err(why) => Some(ChangeReason::Unknown(why)),
    }
}

impl fmt::Display for ChangeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverDeployed => write!(f, "never deployed"),
            Self::Unfinished(status) => write!(f, "its newest rollout {}", status.as_verb()),
            Self::Files { first, others: 0, since } => write!(f, "{first} changed since {}", since.short()),
            Self::Files { first, others, since } => {
                write!(f, "{first} and {others} more changed since {}", since.short())
            }
            Self::Configuration { since } => write!(f, "its configuration changed since {}", since.short()),
            Self::Overridden(keys) => write!(f, "it runs with --context {}", keys.join(", ")),
            Self::Unknown(why) => write!(f, "taken as changed: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{commit, record, running};
    use super::*;

    const AT: &str = "2025-01-22T10:30:00Z";

    fn reason(state: Option<&ComponentState>, files: &[&str], configuration: Result<bool, String>) -> String {
        let files: Vec<_> = files.iter().map(ToString::to_string).collect();
        let footprint = Footprint::below("", ["services/api"]);
        let between = |_: &CommitId| Ok(Between { files: &files, configuration });
        let reason = since_deployed(state, &commit("2222222"), &footprint, between);
        reason.map_or_else(|| "unchanged".to_owned(), |reason| reason.to_string())
    }

    #[test]
    fn only_what_the_component_is_made_of_counts() {
        let state = running("dev", "api", "1111111", AT);
        assert_eq!(reason(Some(&state), &["services/web/a"], Ok(false)), "unchanged");
        assert_eq!(
            reason(Some(&state), &["services/api/a"], Ok(true)),
            "services/api/a changed since 1111111"
        );
        assert_eq!(
            reason(Some(&state), &["a", "services/api/b", "services/api/c"], Ok(false)),
            "services/api/b and 1 more changed since 1111111"
        );
        assert_eq!(reason(Some(&state), &[], Ok(true)), "its configuration changed since 1111111");
    }

    #[test]
    fn what_cannot_be_told_counts_as_a_change() {
        let state = running("dev", "api", "1111111", AT);
        assert_eq!(reason(None, &[], Ok(false)), "never deployed");
        assert_eq!(reason(Some(&ComponentState::default()), &[], Ok(false)), "never deployed");
        let unreadable = Err("its stacks cannot be read".to_owned());
        assert_eq!(reason(Some(&state), &[], unreadable), "taken as changed: its stacks cannot be read");
        let footprint = Footprint::WholeRepository;
        let lost = since_deployed(Some(&state), &commit("2222222"), &footprint, |_| Err("gone".to_owned()));
        assert_eq!(lost, Some(ChangeReason::Unknown("gone".to_owned())));
    }

    #[test]
    fn what_runs_with_overrides_is_not_what_the_commit_says() {
        let mut state = running("dev", "api", "2222222", AT);
        let record = std::sync::Arc::make_mut(state.running.as_mut().unwrap());
        record.record.context_overrides = [("cpu".to_owned(), "2".to_owned())].into();
        assert_eq!(reason(Some(&state), &[], Ok(false)), "it runs with --context cpu");
    }

    #[test]
    fn the_same_commit_is_unchanged_unless_its_rollout_failed() {
        let mut state = running("dev", "api", "2222222", AT);
        let decide = |state: &ComponentState| {
            let unasked = |_: &CommitId| Err("nothing has to be asked".to_owned());
            since_deployed(Some(state), &commit("2222222"), &Footprint::WholeRepository, unasked)
        };
        assert_eq!(decide(&state), None);
        state.newest = Some(record("dev", "api", "3333333", RecordStatus::Failed, AT).into());
        assert_eq!(decide(&state), Some(ChangeReason::Unfinished(RecordStatus::Failed)));
        // Even without an earlier rollout.
        let first = ComponentState { newest: state.newest, ..ComponentState::default() };
        assert_eq!(decide(&first), Some(ChangeReason::Unfinished(RecordStatus::Failed)));
    }
}
