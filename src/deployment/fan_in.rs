//! The fan-in of a fan-out's jobs: whether a target runs all components of a commit.

use std::fmt;

use super::change::ChangeReason;
use super::commit::CommitId;
use super::count::count;
use super::names::ComponentName;
use super::record::RecordStatus;
use super::rollout_plan::Ancestry;

/// The state of a target relative to a commit, over its enabled components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FanIn {
    pub commit: CommitId,
    /// The number of components.
    pub components: usize,
    /// The components that do not run the commit.
    pub left: Vec<LeftComponent>,
}

/// A component that does not run the commit's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftComponent {
    pub component: ComponentName,
    pub reason: ChangeReason,
    /// Its running commit, or that of its newest attempt, and the relation of the wanted commit to
    /// it.
    pub against: Option<(CommitId, Ancestry)>,
}

impl FanIn {
    /// Whether all components run the commit.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    /// The missing components, one a line.
    pub fn details(&self) -> impl Iterator<Item = String> {
        self.left.iter().map(|left| format!("{}: {left}", left.component))
    }

    /// The components that a rollout of the commit would move forwards.
    pub fn behind(&self) -> impl Iterator<Item = &ComponentName> {
        self.left.iter().filter(|left| left.replaced_by().is_none()).map(|left| &left.component)
    }
}

impl LeftComponent {
    /// The newer commit that has replaced the wanted one, if any.
    #[must_use]
    pub fn replaced_by(&self) -> Option<&CommitId> {
        match &self.against {
            Some((newer, Ancestry::Ancestor)) => Some(newer),
            _ => None,
        }
    }

    /// The reason in short form, to follow the component's name.
    fn in_short(&self) -> String {
        let at = self.replaced_by().map(|newer| format!(" at {}", newer.short())).unwrap_or_default();
        match (&self.reason, self.replaced_by()) {
            (ChangeReason::Unfinished(status), _) => format!("{}{at}", status.as_verb()),
            (_, Some(newer)) => format!("was replaced by {}", newer.short()),
            (ChangeReason::NeverDeployed, None) => "was never deployed".to_owned(),
            (ChangeReason::Files { .. } | ChangeReason::Configuration { .. }, None) => "differs".to_owned(),
            (ChangeReason::Overridden(keys), None) => format!("runs with --context {}", keys.join(", ")),
            (ChangeReason::Unknown(_), None) => "cannot be compared".to_owned(),
        }
    }
}

/// The reason in a sentence. Relative to a commit that is no ancestor of the wanted one, a
/// component differs, rather than having changed since.
impl fmt::Display for LeftComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(newer) = self.replaced_by() {
            let newer = newer.short();
            return match self.reason {
                ChangeReason::Unfinished(status) => {
                    write!(f, "a newer run of it {}: {newer}", status.as_verb())
                }
                _ => write!(f, "a newer run has replaced it: {newer}"),
            };
        }
        match (&self.reason, &self.against) {
            (reason, Some((_, Ancestry::Same | Ancestry::Descendant)) | None) => write!(f, "{reason}"),
            (ChangeReason::Files { first, others: 0, since }, _) => {
                write!(f, "{first} is not as in {}", since.short())
            }
            (ChangeReason::Files { first, others, since }, _) => {
                write!(f, "{first} and {others} more are not as in {}", since.short())
            }
            (ChangeReason::Configuration { since }, _) => {
                write!(f, "its configuration is not that of {}", since.short())
            }
            (reason, _) => write!(f, "{reason}"),
        }
    }
}

/// A summary in one line: failures first.
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
        left.sort_by_key(|left| urgency(&left.reason));
        let left: Vec<_> =
            left.into_iter().map(|left| format!("{} {}", left.component, left.in_short())).collect();
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

#[cfg(test)]
mod tests {
    use super::super::fixtures::{commit, component_name};
    use super::*;

    fn said(components: usize, left: &[(&str, ChangeReason)]) -> String {
        let left = left.iter().map(|(name, reason)| LeftComponent {
            component: component_name(name),
            reason: reason.clone(),
            against: None,
        });
        let left = left.collect();
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
    #[test]
    fn a_reason_has_the_direction_right() {
        let failed = ChangeReason::Unfinished(RecordStatus::Failed);
        let files = ChangeReason::Files { first: "a".to_owned(), others: 0, since: commit("def456a") };
        let configuration = ChangeReason::Configuration { since: commit("def456a") };
        for (reason, relation, sentence, line) in [
            (&files, Ancestry::Descendant, "a changed since def456a", "differs"),
            (&files, Ancestry::Ancestor, "a newer run has replaced it: def456a", "was replaced by def456a"),
            (&files, Ancestry::Unrelated, "a is not as in def456a", "differs"),
            (&files, Ancestry::Unknown, "a is not as in def456a", "differs"),
            (&configuration, Ancestry::Unrelated, "its configuration is not that of def456a", "differs"),
            (&failed, Ancestry::Same, "its newest rollout failed", "failed"),
            (&failed, Ancestry::Ancestor, "a newer run of it failed: def456a", "failed at def456a"),
        ] {
            let left = LeftComponent {
                component: component_name("api"),
                reason: reason.clone(),
                against: Some((commit("def456a"), relation)),
            };
            assert_eq!((left.to_string().as_str(), left.in_short().as_str()), (sentence, line));
            let fan_in = FanIn { commit: commit("abc123d"), components: 1, left: vec![left] };
            assert_eq!(fan_in.behind().count(), usize::from(relation != Ancestry::Ancestor));
        }
    }
}
