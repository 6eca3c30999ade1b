//! Commit statuses: one line beside a commit about its rollout to one target.

use sha2::{Digest as _, Sha256};

use crate::deployment::{DeploymentName, TargetName};

/// GitHub's limit; GitLab's is wider.
const LONGEST_DESCRIPTION: usize = 140;

/// The longest name of a status on both platforms.
const LONGEST_CONTEXT: usize = 255;

/// A status of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// The subject of the status; a new status of the same context replaces the old one.
    pub(super) context: String,
    pub(super) state: CommitStatusState,
    pub(super) description: String,
    pub(super) url: Option<String>,
}

/// The state of a commit's rollout.
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
    /// The status of a commit on a target, `atmos/<deployment>/<target>`. A longer description
    /// is cut; `url` leads to the run.
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

    /// The status of a part of it, which leaves that of the whole alone:
    /// `atmos/<deployment>/<target>/<part>`. A name that is too long ends in a hash of all of it.
    #[must_use]
    pub fn of_part(mut self, part: &str) -> Self {
        self.context = fitting(format!("{}/{part}", self.context));
        self
    }
}

/// A name within the platforms' limit; two that differ stay different.
fn fitting(context: String) -> String {
    if context.chars().count() <= LONGEST_CONTEXT {
        return context;
    }
    let hash = Sha256::digest(context.as_bytes());
    let hash = hash.iter().take(6).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let kept: String = context.chars().take(LONGEST_CONTEXT - 1 - hash.len()).collect();
    format!("{kept}~{hash}")
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
    fn parts_with_long_names_do_not_share_a_status() {
        let context = |part: &str| {
            let (deployment, target) = ("shop".parse().unwrap(), "dev".parse().unwrap());
            let status = CommitStatus::new(&deployment, &target, CommitStatusState::Success, "", None);
            status.of_part(part).context
        };
        assert_eq!(context("api,web"), "atmos/shop/dev/api,web");
        assert_eq!(context(&"a".repeat(240)).chars().count(), 255);
        let [one, other] = ["one", "other"].map(|last| context(&format!("{},{last}", "ä".repeat(300))));
        assert_ne!(one, other);
        assert_eq!((one.chars().count(), one.starts_with("atmos/shop/dev/ä")), (255, true));
    }

    #[test]
    fn a_description_is_one_line_of_140_characters_at_most() {
        assert_eq!(cut("2 of 3\ncomponents"), "2 of 3 components");
        let long = "größe ".repeat(40);
        let cut = cut(&long);
        assert_eq!(cut.chars().count(), 140);
        assert!(cut.ends_with('…'));
    }
}
