//! What the jobs of a fan-out have come to: whether a target runs all that a commit has.

use std::fmt;

use super::change::ChangeReason;
use super::commit::CommitId;
use super::count::count;
use super::names::ComponentName;
use super::record::RecordStatus;

/// How a target stands to a commit, by its enabled components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FanIn {
    pub commit: CommitId,
    /// How many components there are.
    pub components: usize,
    /// Those that do not run what the commit has, and why.
    pub left: Vec<(ComponentName, ChangeReason)>,
}

impl FanIn {
    /// Whether nothing is left to roll out.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    /// What is left, one component a line.
    pub fn details(&self) -> impl Iterator<Item = String> {
        self.left.iter().map(|(component, reason)| format!("{component}: {reason}"))
    }
}

/// In one line: failures first.
impl fmt::Display for FanIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self.commit.short();
        if self.components == 0 {
            return write!(f, "Nothing to deploy: no component is enabled");
        }
        let all = count(self.components, "component");
        if self.is_complete() {
            return write!(f, "Nothing left to deploy: {all} as in {commit}");
        }
        let mut left: Vec<_> = self.left.iter().collect();
        left.sort_by_key(|(_, reason)| urgency(reason));
        let left: Vec<_> =
            left.into_iter().map(|(component, reason)| format!("{component} {}", short(reason))).collect();
        write!(f, "{} of {all} not as in {commit}: {}", left.len(), left.join(", "))
    }
}

const fn urgency(reason: &ChangeReason) -> u8 {
    match reason {
        ChangeReason::Unfinished(RecordStatus::Failed) => 0,
        ChangeReason::Unfinished(_) => 1,
        _ => 2,
    }
}

/// Why a component is left, after its name.
fn short(reason: &ChangeReason) -> String {
    match reason {
        ChangeReason::Unfinished(RecordStatus::Failed) => "failed".to_owned(),
        ChangeReason::Unfinished(_) => "was cancelled".to_owned(),
        ChangeReason::NeverDeployed => "was never deployed".to_owned(),
        ChangeReason::Files { .. } | ChangeReason::Configuration { .. } => "differs".to_owned(),
        ChangeReason::Overridden(keys) => format!("runs with --context {}", keys.join(", ")),
        ChangeReason::Unknown(_) => "cannot be compared".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{commit, component_name};
    use super::*;

    fn said(components: usize, left: &[(&str, ChangeReason)]) -> String {
        let left = left.iter().map(|(name, reason)| (component_name(name), reason.clone())).collect();
        FanIn { commit: commit("abc123d"), components, left }.to_string()
    }

    #[test]
    fn one_line_names_what_is_left_and_failures_first() {
        let files = ChangeReason::Files { first: "a".to_owned(), others: 0, since: commit("def456a") };
        for (components, left, expected) in [
            (0, &[][..], "Nothing to deploy: no component is enabled"),
            (1, &[], "Nothing left to deploy: 1 component as in abc123d"),
            (3, &[], "Nothing left to deploy: 3 components as in abc123d"),
            (3, &[("api", files.clone())], "1 of 3 components not as in abc123d: api differs"),
            (
                4,
                &[
                    ("api", ChangeReason::NeverDeployed),
                    ("web", ChangeReason::Unfinished(RecordStatus::Cancelled)),
                    ("db", ChangeReason::Unfinished(RecordStatus::Failed)),
                    ("queue", ChangeReason::Overridden(vec!["cpu".to_owned()])),
                ],
                "4 of 4 components not as in abc123d: db failed, web was cancelled, api was never deployed, \
                 queue runs with --context cpu",
            ),
        ] {
            assert_eq!(said(components, left), expected);
        }
    }
}
