//! The view that the comment's template sees: the contract with users' own templates.
//!
//! Text is raw, untrusted input; `{{value}}` in a template escapes it. Every key is always there:
//! absent values are null, lists are empty.

use serde::Serialize;

/// The comment of one deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a value of its own")]
pub struct CommentView {
    pub deployment: String,
    /// In the order of the deployment file.
    pub targets: Vec<TargetView>,
    /// The commits of the change are known; else no target says how much of it runs there.
    pub change_known: bool,
    /// The deployment file cannot be used: rules and promotions are not known.
    pub of_ledger_alone: bool,
    /// Set where the ledger's remote has not just confirmed the state; null where it has, or where
    /// there is no remote.
    pub stale: Option<StaleView>,
    /// Whether any state is known: false where the remote has never answered this checkout.
    pub runs_known: bool,
    /// Failed or cancelled attempts that no later one has mended, besides those of this run.
    pub unfinished: List<UnfinishedView>,
    /// The rollout that this run did, or would do.
    pub rollout: Option<RolloutView>,
    /// `dev: Nothing left to deploy: 3 components as in abc123d`; null where that is not so, or was
    /// not asked.
    pub complete: Option<String>,
    /// The failure that kept this run from a rollout.
    pub failure: Option<FailureView>,
    /// The next action to suggest; null where nothing is left to do, or where `failure` says it.
    pub next: Option<NextView>,
    /// The promotions that can come next, and those that are blocked. Not the one that this run has
    /// planned.
    pub promotions: Vec<PromotionPreviewView>,
    pub approvals: List<ApprovalView>,
    /// This run.
    pub run: Option<LinkView>,
    /// `2025-01-23 15:30 UTC`.
    pub updated_at: String,
    /// Rows were left out, because the platform limits comments.
    pub shortened: bool,
}

/// The first rows of something, and how many there are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct List<T> {
    pub rows: Vec<T>,
    pub total: usize,
    pub omitted: usize,
}

/// Something with an address.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkView {
    pub text: String,
    pub url: Option<String>,
}

/// The age of the data, where it is stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StaleView {
    /// `origin did not answer: as of 2025-01-23 15:30 UTC`.
    pub text: String,
    /// The time of the remote's last answer; null where there was none.
    pub as_of: Option<String>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetView {
    pub name: String,
    /// Of `presence`; empty where that is null.
    pub symbol: &'static str,
    /// The share of the change that runs there: `deployed`, `2 of 3 components`, `failed`,
    /// `cancelled`, `not yet`, `unknown`; null where it is not known which commits the change has.
    pub presence: Option<String>,
    pub commits: List<LinkView>,
    pub deployed_at: Option<String>,
    /// The address of the run that deployed it.
    pub run: Option<String>,
    /// The newest records' worst status: `success`, `failed`, `cancelled`.
    pub status: Option<&'static str>,
    pub requires_approval: bool,
    /// By whom it is frozen, and why.
    pub frozen: Option<String>,
    /// A rollback runs there: no pipeline moves it forwards without a person.
    pub hold: bool,
    /// The `--context` keys that some component there runs with: `cpu, image.tag`.
    pub context: Option<String>,
    pub commits_behind: Option<usize>,
}

/// A component whose newest attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnfinishedView {
    pub target: String,
    pub component: String,
    pub symbol: &'static str,
    /// `failed`, `cancelled`.
    pub status: &'static str,
    pub commit: LinkView,
    pub at: String,
    /// The address of its run.
    pub run: Option<String>,
    /// The reason, in one line.
    pub error: Option<String>,
}

/// The failure that kept a run from a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureView {
    pub symbol: &'static str,
    /// `Rollout to prod was refused`.
    pub title: String,
    pub message: String,
    /// Line by line.
    pub details: Vec<String>,
    pub hints: Vec<HintView>,
}

/// A suggestion how to resolve a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HintView {
    pub text: String,
    pub commands: Vec<String>,
}

/// The next action to suggest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextView {
    /// `retry`: it failed; `roll_out`: the planned rollout; `promote`: the commits that run on
    /// `from`.
    pub action: &'static str,
    pub from: Option<String>,
    pub to: String,
    /// The target requires an approval.
    pub approval: bool,
    /// The component that failed first.
    pub failed: Option<String>,
    /// As in [`PromotionPreviewView::changes`]; null where the rollout already shows it.
    pub changes: Option<String>,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RolloutView {
    pub symbol: &'static str,
    /// `Rollout to dev succeeded`, `Rollout of api to dev failed`, `Promotion from dev to staging
    /// planned`.
    pub title: String,
    pub target: String,
    pub dry_run: bool,
    /// Whether the rollout, or its plan in a dry run, succeeded.
    pub succeeded: bool,
    /// `3 succeeded, 1 failed`.
    pub counts: String,
    /// `3 commits, 2 of 12 components, 3 configuration values, 1
    /// dependency`; null where nothing changes.
    pub changes: Option<String>,
    /// `+4 ~2 -1`; null where no plan counted.
    pub plan: Option<String>,
    /// The plan destroys something.
    pub destroys: bool,
    pub approved_by: Option<String>,
    /// `12 s`; null for a plan.
    pub took: Option<String>,
    /// Failures first.
    pub components: List<ComponentView>,
    /// The commits that it adds, and those that it takes away.
    pub commits: List<CommitView>,
    pub configuration: List<ConfigurationView>,
    /// The dependencies of its components that change; empty where one of the SBOMs is missing.
    pub dependencies: List<DependencyView>,
    /// The digest that an approval is bound to.
    pub digest: String,
}

/// One component of a rollout or of a promotion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComponentView {
    pub name: String,
    pub kind: &'static str,
    /// Empty for a component that a promotion can take along.
    pub symbol: &'static str,
    /// The commit that runs before; null where none does.
    pub from: Option<LinkView>,
    /// The commit that runs after.
    pub to: Option<LinkView>,
    pub plan: Option<String>,
    /// The reason why it failed, was skipped or stays behind.
    pub note: Option<String>,
    /// The tool's output about that, line by line.
    pub reason: Vec<String>,
}

/// A promotion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PromotionPreviewView {
    pub from: String,
    pub to: String,
    /// `ready`, `up to date`, `nothing to promote`, `blocked`.
    pub state: &'static str,
    pub symbol: &'static str,
    pub requires_approval: bool,
    /// A rollback runs on the target: only a person promotes onto it.
    pub hold: bool,
    /// Whether some components of the source would stay behind.
    pub partial: bool,
    pub blockers: Vec<String>,
    /// `3 commits, 2 of 12 components, 3 configuration values, 1
    /// dependency`; null where nothing changes.
    pub changes: Option<String>,
    /// The commits that the promotion adds, and those that it takes away.
    pub commits: List<CommitView>,
    /// The components that change.
    pub components: List<ComponentView>,
    pub configuration: List<ConfigurationView>,
    /// As in [`RolloutView::dependencies`].
    pub dependencies: List<DependencyView>,
    /// The command that does it.
    pub command: String,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommitView {
    pub commit: LinkView,
    pub summary: String,
    /// The promotion takes it away.
    pub removed: bool,
}

/// One configuration value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigurationView {
    pub path: String,
    pub from: Option<String>,
    /// The value comes from a `--context` override that runs there.
    pub from_overridden: bool,
    pub to: Option<String>,
    pub to_overridden: bool,
    /// `added`, `increased`, …
    pub change: &'static str,
}

/// One dependency of one component.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DependencyView {
    pub component: String,
    pub name: String,
    /// Its version before, or its versions; null where it is new.
    pub from: Option<String>,
    /// Null where it is gone.
    pub to: Option<String>,
    /// `added`, `removed`, `changed`.
    pub change: &'static str,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalView {
    pub target: String,
    pub approved_by: String,
    pub approved_at: Option<String>,
}
