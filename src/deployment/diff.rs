//! The differences between two targets or two commits of a deployment: the input of `diff`'s
//! output.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use super::commit::CommitId;
use super::names::{ComponentKind, ComponentName, DeploymentName, TargetName};

/// The two sides of a deployment and the differences between them.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffView {
    pub deployment: DeploymentName,
    pub from: DiffSide,
    pub to: DiffSide,
    /// The number of commits that `from` has and `to` lacks.
    pub commits_ahead: usize,
    /// The number of commits that `to` has and `from` lacks.
    pub commits_behind: usize,
    /// The newest of the commits that only one of the two has, newest first.
    pub commits: Vec<CommitSummary>,
    pub components: Vec<ComponentDifference>,
    pub configuration: Vec<ConfigurationDifference>,
    /// Absent unless files or code were requested.
    pub files: Option<Vec<FileDifference>>,
    pub drift: Drift,
}

/// One side of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffSide {
    /// Absent where commits are compared.
    pub target: Option<TargetName>,
    /// Absent where nothing runs on the target. With components at several commits, the one that
    /// commits and files are counted from.
    pub commit: Option<CommitId>,
    pub deployed_at: Option<Timestamp>,
}

/// A commit by its first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSummary {
    pub commit: CommitId,
    pub summary: String,
    /// The only side that has it.
    pub only_in: SideName,
}

/// Which side of a diff.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SideName {
    From,
    To,
}

/// One component's commits on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentDifference {
    pub component: ComponentName,
    /// Absent where neither a file nor a record states it.
    pub kind: Option<ComponentKind>,
    pub from: Option<CommitId>,
    pub to: Option<CommitId>,
    /// Whether neither its files nor its configuration differ between the two commits. `false`
    /// where that was not checked, or is undecidable.
    pub is_same: bool,
    /// Whether it runs on a side, but is no longer in the deployment's file.
    pub removed: bool,
}

/// One configuration value on either side.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationDifference {
    /// The path of the value: `context.cpu`, `api.context.cpu`.
    pub path: String,
    pub from: Option<Value>,
    pub to: Option<Value>,
    /// The sides whose value comes from `--context`, in place of the value in the deployment's
    /// files, if any.
    pub overridden: Vec<SideName>,
}

/// How something differs between two sides.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Added,
    Removed,
    /// A number became larger.
    Increased,
    /// A number became smaller.
    Decreased,
    Changed,
    /// A component is at another commit, and nothing of it differs.
    OtherCommit,
    NoChange,
}

impl Change {
    /// The change's name in messages.
    #[must_use]
    pub const fn as_words(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Increased => "increased",
            Self::Decreased => "decreased",
            Self::Changed => "changed",
            Self::OtherCommit => "other commit, nothing of it changed",
            Self::NoChange => "no change",
        }
    }

    fn between<T: PartialEq>(from: Option<&T>, to: Option<&T>) -> Self {
        match (from, to) {
            (None, Some(_)) => Self::Added,
            (Some(_), None) => Self::Removed,
            (from, to) if from == to => Self::NoChange,
            _ => Self::Changed,
        }
    }
}

impl ComponentDifference {
    /// The kind of the component's difference.
    #[must_use]
    pub fn change(&self) -> Change {
        match Change::between(self.from.as_ref(), self.to.as_ref()) {
            Change::Changed if self.is_same => Change::OtherCommit,
            change => change,
        }
    }
}

impl ConfigurationDifference {
    /// The kind of the value's difference; numbers have a direction.
    #[must_use]
    pub fn change(&self) -> Change {
        if let (Some(from), Some(to)) = (&self.from, &self.to)
            && let Some(order) = compare_numbers(from, to)
        {
            return match order {
                Ordering::Less => Change::Increased,
                Ordering::Equal => Change::NoChange,
                Ordering::Greater => Change::Decreased,
            };
        }
        Change::between(self.from.as_ref(), self.to.as_ref())
    }
}

/// The order of two numbers; exact for integers, in contrast to floating point.
fn compare_numbers(from: &Value, to: &Value) -> Option<Ordering> {
    if let (Some(from), Some(to)) = (from.as_i64(), to.as_i64()) {
        Some(from.cmp(&to))
    } else if let (Some(from), Some(to)) = (from.as_u64(), to.as_u64()) {
        Some(from.cmp(&to))
    } else {
        from.as_f64()?.partial_cmp(&to.as_f64()?)
    }
}

/// The change of one file between the two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDifference {
    pub path: String,
    /// The path before a rename.
    pub previous_path: Option<String>,
    pub change: FileChange,
    pub lines_added: usize,
    pub lines_removed: usize,
    /// The unified diff's hunks, if code was requested and the file is text.
    pub hunks: Option<String>,
}

/// How a file changed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    Added,
    Modified,
    Deleted,
    Renamed,
}

/// Whether the infrastructure is still what was deployed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// Nobody looked.
    #[default]
    NotChecked,
    /// A plan found nothing to change.
    None,
    /// A plan found changes.
    Found,
}

impl Drift {
    /// Combines two findings.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Found, _) | (_, Self::Found) => Self::Found,
            (Self::None, _) | (_, Self::None) => Self::None,
            (Self::NotChecked, Self::NotChecked) => Self::NotChecked,
        }
    }

    /// The finding's name in messages.
    #[must_use]
    pub const fn as_words(self) -> &'static str {
        match self {
            Self::NotChecked => "not checked",
            Self::None => "no drift detected",
            Self::Found => "drift detected",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(from: Option<Value>, to: Option<Value>) -> Change {
        let overridden = Vec::new();
        ConfigurationDifference { path: "context.cpu".to_owned(), from, to, overridden }.change()
    }

    #[test]
    fn numbers_have_a_direction_and_other_values_do_not() {
        assert_eq!(change(Some(json!(1024)), Some(json!(512))), Change::Decreased);
        assert_eq!(change(Some(json!(0.5)), Some(json!(2))), Change::Increased);
        assert_eq!(change(Some(json!(2)), Some(json!(2.0))), Change::NoChange);
        assert_eq!(change(Some(json!((1_u64 << 53))), Some(json!((1_u64 << 53) + 1))), Change::Increased);
        assert_eq!(change(Some(json!("debug")), Some(json!("warn"))), Change::Changed);
        assert_eq!(change(Some(json!(1)), Some(json!("1"))), Change::Changed);
    }

    #[test]
    fn a_null_is_a_value() {
        assert_eq!(change(None, Some(Value::Null)), Change::Added);
        assert_eq!(change(Some(Value::Null), None), Change::Removed);
        assert_eq!(change(Some(Value::Null), Some(Value::Null)), Change::NoChange);
    }
}
