//! `diff`: the differences between two targets or commits.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Document, is_false};
use crate::deployment::diff::{
    Change, CommitSummary, ComponentDifference, ConfigurationDifference, DiffSide, DiffView, Drift,
    FileChange, FileDifference, SideName,
};
use crate::deployment::{CommitId, ComponentKind, ComponentName, Deployment, DeploymentName, TargetName};

/// What differs between two targets or commits.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeploymentDiff {
    pub deployment: DeploymentName,
    /// It has no file any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    pub from: Side,
    pub to: Side,
    /// How many commits `from` has that `to` lacks.
    pub commits_ahead: usize,
    /// How many commits `to` has that `from` lacks.
    pub commits_behind: usize,
    /// The newest of the commits that only one of the two has, newest first. How many there are in all is
    /// `commits_ahead` plus `commits_behind`.
    pub commits: Vec<Commit>,
    pub components: Vec<ComponentChange>,
    pub configuration: Vec<ConfigurationChange>,
    /// Absent unless they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<File>>,
    pub drift: Drift,
}

impl Document for DeploymentDiff {
    const KIND: &'static str = "DeploymentDiff";
}

/// One side of a diff.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Side {
    /// Absent where commits are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// The deployment's file does not name the target any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
    /// Absent where nothing runs there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<Timestamp>,
}

/// A commit by its first line.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Commit {
    pub commit: CommitId,
    pub summary: String,
    /// The one side that has it.
    pub only_in: SideName,
}

/// One component on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ComponentChange {
    pub component: ComponentName,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ComponentKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<CommitId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<CommitId>,
    pub change: Change,
    /// It runs somewhere, and the deployment's file does not name it any more.
    #[serde(skip_serializing_if = "is_false")]
    pub removed: bool,
}

/// One configuration value on both sides. A side without the value has no key; a null is a value.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ConfigurationChange {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    pub change: Change,
    /// The sides whose value is one of `--context` that runs there, and not of the files. A sensitive one is its hash.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<SideName>,
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct File {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_path: Option<String>,
    pub change: FileChange,
    pub lines_added: usize,
    pub lines_removed: usize,
    /// The unified diff's hunks, where code was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hunks: Option<String>,
}

impl From<&DiffView> for DeploymentDiff {
    fn from(view: &DiffView) -> Self {
        Self {
            deployment: view.deployment.clone(),
            removed: false,
            from: (&view.from).into(),
            to: (&view.to).into(),
            commits_ahead: view.commits_ahead,
            commits_behind: view.commits_behind,
            commits: view.commits.iter().map(Commit::from).collect(),
            components: view.components.iter().map(ComponentChange::from).collect(),
            configuration: view.configuration.iter().map(ConfigurationChange::from).collect(),
            files: view.files.as_ref().map(|files| files.iter().map(File::from).collect()),
            drift: view.drift,
        }
    }
}

impl DeploymentDiff {
    /// Marks targets that the deployment's file does not declare; `removed` tells that there is no
    /// file.
    pub fn mark_removed(&mut self, declared: &Deployment, removed: bool) {
        self.removed = removed;
        for side in [&mut self.from, &mut self.to] {
            side.removed = side.target.as_ref().is_some_and(|target| !declared.targets.contains_key(target));
        }
    }
}

impl From<&DiffSide> for Side {
    fn from(side: &DiffSide) -> Self {
        Self {
            target: side.target.clone(),
            removed: false,
            commit: side.commit.clone(),
            deployed_at: side.deployed_at,
        }
    }
}

impl From<&CommitSummary> for Commit {
    fn from(commit: &CommitSummary) -> Self {
        Self { commit: commit.commit.clone(), summary: commit.summary.clone(), only_in: commit.only_in }
    }
}

impl From<&ComponentDifference> for ComponentChange {
    fn from(difference: &ComponentDifference) -> Self {
        Self {
            component: difference.component.clone(),
            kind: difference.kind,
            from: difference.from.clone(),
            to: difference.to.clone(),
            change: difference.change(),
            removed: difference.removed,
        }
    }
}

impl From<&ConfigurationDifference> for ConfigurationChange {
    fn from(difference: &ConfigurationDifference) -> Self {
        Self {
            path: difference.path.clone(),
            from: difference.from.clone(),
            to: difference.to.clone(),
            change: difference.change(),
            overridden: difference.overridden.clone(),
        }
    }
}

impl From<&FileDifference> for File {
    fn from(file: &FileDifference) -> Self {
        Self {
            path: file.path.clone(),
            previous_path: file.previous_path.clone(),
            change: file.change,
            lines_added: file.lines_added,
            lines_removed: file.lines_removed,
            hunks: file.hunks.clone(),
        }
    }
}
