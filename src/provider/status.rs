//! Commit statuses: one line beside a commit that says how far it got on one target.

use crate::deployment::{DeploymentName, TargetName};

/// GitHub's limit; GitLab's is wider.
const LONGEST_DESCRIPTION: usize = 140;

/// The longest name of a status on both platforms.
const LONGEST_CONTEXT: usize = 255;

/// A status of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// What the status is about; a new status of the same context replaces the old one.
    pub(super) context: String,
    pub(super) state: CommitStatusState,
    pub(super) description: String,
    pub(super) url: Option<String>,
}

/// How far a commit got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommitStatusState {
    /// The rollout is under way.
    Pending,
    Success,
    /// The rollout failed.
    Failure,
    /// The rollout was refused, cancelled or could not be started.
    Error,
}

impl CommitStatus {
    /// The status of a commit on a target, `atmos/<deployment>/<target>`. A longer description is cut; `url` leads to
    /// the run.
    #[must_use]
    pub fn new(
        deployment: &DeploymentName,
        target: &TargetName,
        state: CommitStatusState,
        description: &str,
        url: Option<String>,
    ) -> Self {
        let context = format!("atmos/{deployment}/{target}");
        Self { context, state, description: cut(description), url }
    }

    /// The status of a part of it, which leaves that of the whole alone: `atmos/<deployment>/<target>/<part>`.
    #[must_use]
    pub fn of_part(mut self, part: &str) -> Self {
        self.context = format!("{}/{part}", self.context).chars().take(LONGEST_CONTEXT).collect();
        self
    }
}

/// The text on one line and within the platforms' limit.
pub(super) fn cut(description: &str) -> String {
    let line = description.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST_DESCRIPTION {
        return line;
    }
    let mut cut: String = line.chars().take(LONGEST_DESCRIPTION - 1).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_one_line_of_140_characters_at_most() {
        assert_eq!(cut("2 of 3\ncomponents"), "2 of 3 components");
        let long = "größe ".repeat(40);
        let cut = cut(&long);
        assert_eq!(cut.chars().count(), 140);
        assert!(cut.ends_with('…'));
    }
}
