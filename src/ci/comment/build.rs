//! From what the domain knows to what the comment's template sees.

use jiff::Timestamp;
use serde_json::Value;

use super::view::{
    ApprovalView, CommentView, CommitView, ComponentView, ConfigurationView, LinkView, List,
    PromotionPreviewView, RolloutView, TargetView,
};
use super::{CommentInput, Presence, PromotionPreview};
use crate::ci::markdown::cut;
use crate::deployment::diff::{ConfigurationDifference, SideName};
use crate::deployment::promotion_status::{
    ComponentEdgeState, ComponentPromotion, EdgeState, Freeze, TargetStanding,
};
use crate::deployment::rollout_report::{
    Changes, ComponentReport, ComponentResult, RolloutKind, RolloutReport, RolloutResult,
};
use crate::deployment::{CommitId, RecordStatus};

/// The longest text of others that is shown, in characters.
const LONGEST_TEXT: usize = 120;

impl<T> List<T> {
    fn new(items: impl IntoIterator<Item = T>, most: usize) -> Self {
        let mut rows: Vec<_> = items.into_iter().collect();
        let total = rows.len();
        rows.truncate(most);
        Self { omitted: total - rows.len(), rows, total }
    }
}

impl CommentView {
    /// The view of an input in which no list has more than `most` rows.
    #[must_use]
    pub fn new(input: &CommentInput<'_>, most: usize) -> Self {
        let builder = Builder { commit_address: input.commit_address, most };
        let deployment = input.standing.deployment.as_str();
        let approvals = input.approvals.iter().map(|(target, approval)| ApprovalView {
            target: target.to_string(),
            approved_by: text(&approval.approved_by),
            approved_at: time(approval.approved_at),
            method: approval.method.as_str(),
        });
        let runs =
            input.runs.iter().map(|run| LinkView { text: text(&run.name), url: Some(run.address.clone()) });
        let mut view = Self {
            deployment: deployment.to_owned(),
            targets: builder.targets(input),
            rollout: input.rollout.map(|report| builder.rollout(report)),
            promotions: input
                .promotions
                .iter()
                .map(|preview| builder.promotion(deployment, preview))
                .collect(),
            approvals: List::new(approvals, most),
            // The older ones are history.
            runs: List::new(runs, most.min(5)),
            updated_at: time(input.now),
            shortened: false,
        };
        view.shortened = view.approvals.omitted > 0
            || view.rollout.as_ref().is_some_and(|rollout| rollout.components.omitted > 0)
            || view.promotions.iter().any(|promotion| {
                promotion.commits.omitted + promotion.components.omitted + promotion.configuration.omitted > 0
            });
        view
    }
}

/// Builds the parts of a view.
struct Builder<'a> {
    commit_address: Option<&'a str>,
    most: usize,
}

impl Builder<'_> {
    fn commit(&self, commit: &CommitId) -> LinkView {
        let url = self.commit_address.map(|address| format!("{address}{commit}"));
        LinkView { text: commit.short().to_owned(), url }
    }

    fn targets(&self, input: &CommentInput<'_>) -> Vec<TargetView> {
        let view = |standing: &TargetStanding| {
            let presence = input.presence.get(&standing.target).copied().unwrap_or(Presence::Absent);
            let (symbol, presence) = match presence {
                Presence::Deployed => ("✅", "deployed".to_owned()),
                Presence::Partly { components, of } => ("🟡", format!("{components} of {of} components")),
                Presence::Failed => ("❌", "failed".to_owned()),
                Presence::Absent => ("➖", "not yet".to_owned()),
            };
            TargetView {
                name: standing.target.to_string(),
                symbol,
                presence,
                commits: List::new(
                    standing.commits.iter().map(|commit| self.commit(commit)),
                    self.most.min(3),
                ),
                deployed_at: standing.deployed_at.map(time),
                status: standing.status.map(RecordStatus::as_str),
                requires_approval: standing.requires_approval,
                frozen: standing.freeze.as_ref().map(frozen),
                commits_behind: standing.commits_behind.filter(|behind| *behind > 0),
            }
        };
        input.standing.targets.iter().map(view).collect()
    }

    fn rollout(&self, report: &RolloutReport) -> RolloutView {
        let target = &report.target;
        let what = match &report.kind {
            RolloutKind::Deploy => format!("Rollout to {target}"),
            RolloutKind::Promotion { from } => format!("Promotion from {from} to {target}"),
            RolloutKind::Rollback { to } => format!("Rollback of {target} to {}", to.short()),
        };
        let (symbol, ending) = match report.result {
            RolloutResult::Success if report.dry_run => ("📋", "planned"),
            RolloutResult::Success => ("✅", "succeeded"),
            RolloutResult::Failed => ("❌", "failed"),
            RolloutResult::Refused => ("⛔", "was refused"),
            RolloutResult::Cancelled => ("⏹️", "was cancelled"),
        };
        let mut components: Vec<_> = report.components.iter().collect();
        // A list that is cut must not hide what went wrong.
        components.sort_by_key(|component| urgency(component.status));
        RolloutView {
            symbol,
            title: format!("{what} {ending}"),
            target: target.to_string(),
            dry_run: report.dry_run,
            succeeded: report.result == RolloutResult::Success,
            counts: counts(&report.components),
            plan: plan(total(&report.components)),
            components: List::new(
                components.into_iter().map(|component| self.reported(component)),
                self.most,
            ),
        }
    }

    fn reported(&self, component: &ComponentReport) -> ComponentView {
        let symbol = match component.status {
            ComponentResult::Success => "✅",
            ComponentResult::Failed => "❌",
            ComponentResult::Cancelled => "⏹️",
            ComponentResult::Skipped => "⏭️",
            ComponentResult::Planned => "📋",
        };
        ComponentView {
            name: component.component.to_string(),
            kind: component.kind.as_str(),
            symbol,
            from: component.previous_commit.as_ref().map(|commit| self.commit(commit)),
            to: Some(self.commit(&component.commit)),
            plan: plan(component.changes),
            note: component.error.as_ref().or(component.notice.as_ref()).map(|note| text(note)),
        }
    }

    fn promotion(&self, deployment: &str, preview: &PromotionPreview<'_>) -> PromotionPreviewView {
        let edge = preview.edge;
        let changing =
            || edge.components.iter().filter(|component| component.state != ComponentEdgeState::UpToDate);
        let commits = preview.diff.into_iter().flat_map(|diff| &diff.commits).map(|commit| CommitView {
            commit: self.commit(&commit.commit),
            summary: text(&commit.summary),
            removed: commit.only_in == SideName::From,
        });
        let configuration = preview.diff.into_iter().flat_map(|diff| &diff.configuration).map(configured);
        let counted = preview.plan.and_then(|report| total(&report.components));
        let mut view = PromotionPreviewView {
            from: edge.from.to_string(),
            to: edge.to.to_string(),
            state: edge.state.as_words(),
            symbol: match edge.state {
                EdgeState::Ready => "🚀",
                EdgeState::UpToDate => "✅",
                EdgeState::NothingToPromote => "➖",
                EdgeState::Blocked => "⛔",
            },
            requires_approval: edge.approval.is_some(),
            hold: edge.hold,
            blockers: edge
                .blockers
                .iter()
                .take(self.most.max(1))
                .map(|blocker| text(&blocker.to_string()))
                .collect(),
            changes: None,
            plan: plan(counted),
            destroys: counted.is_some_and(|changes| changes.destroy > 0),
            commits: List::new(commits, self.most),
            components: List::new(changing().map(|component| self.promoted(component, preview)), self.most),
            configuration: List::new(configuration, self.most),
            digest: preview.digest.map(str::to_owned),
            command: format!(
                "atmos deployment rollout {deployment} --target {} --promote-from {}",
                edge.to, edge.from
            ),
        };
        // The diff lists the newest commits only, and counts all of them.
        if let Some(diff) = preview.diff {
            let all = diff.commits_ahead + diff.commits_behind;
            view.commits.omitted += all.saturating_sub(view.commits.total);
            view.commits.total = view.commits.total.max(all);
        }
        view.changes = changes(&view, edge.components.len());
        view
    }

    fn promoted(&self, component: &ComponentPromotion, preview: &PromotionPreview<'_>) -> ComponentView {
        let planned = preview.plan.and_then(|report| {
            report.components.iter().find(|planned| planned.component == component.component)
        });
        let blocked = component.state == ComponentEdgeState::Blocked;
        ComponentView {
            name: component.component.to_string(),
            kind: component.kind.as_str(),
            symbol: if blocked { "⛔" } else { "" },
            from: component.target_commit.as_ref().map(|commit| self.commit(commit)),
            to: component.commit.as_ref().map(|commit| self.commit(commit)),
            plan: plan(planned.and_then(|planned| planned.changes)),
            note: match component.status {
                Some(status) if blocked => Some(format!("stays behind: its last rollout is {status}")),
                _ => planned.and_then(|planned| planned.error.as_deref()).map(text),
            },
        }
    }
}

fn configured(difference: &ConfigurationDifference) -> ConfigurationView {
    let value = |value: &Value| match value {
        Value::String(plain) => text(plain),
        other => text(&other.to_string()),
    };
    ConfigurationView {
        path: text(&difference.path),
        from: difference.from.as_ref().map(value),
        to: difference.to.as_ref().map(value),
        change: difference.change().as_words(),
    }
}

/// Text of others, cut to a bearable length.
fn text(text: &str) -> String {
    cut(text, LONGEST_TEXT).into_owned()
}

/// A time that stays true while the comment stands.
fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn frozen(freeze: &Freeze) -> String {
    match &freeze.reason {
        Some(reason) => text(&format!("{}: {reason}", freeze.holder)),
        None => text(&freeze.holder),
    }
}

/// Failures first.
const fn urgency(status: ComponentResult) -> u8 {
    match status {
        ComponentResult::Failed => 0,
        ComponentResult::Cancelled => 1,
        ComponentResult::Skipped => 2,
        ComponentResult::Success | ComponentResult::Planned => 3,
    }
}

/// `3 succeeded, 1 failed`.
fn counts(components: &[ComponentReport]) -> String {
    let words = [
        (ComponentResult::Failed, "failed"),
        (ComponentResult::Cancelled, "cancelled"),
        (ComponentResult::Skipped, "skipped"),
        (ComponentResult::Success, "succeeded"),
        (ComponentResult::Planned, "planned"),
    ];
    let of = |status| components.iter().filter(|component| component.status == status).count();
    let parts = words.into_iter().map(|(status, word)| (of(status), word)).filter(|(count, _)| *count > 0);
    parts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// The sum of what was counted; absent where nothing was.
fn total(components: &[ComponentReport]) -> Option<Changes> {
    components.iter().filter_map(|component| component.changes).reduce(|sum, changes| Changes {
        add: sum.add + changes.add,
        change: sum.change + changes.change,
        destroy: sum.destroy + changes.destroy,
    })
}

fn plan(changes: Option<Changes>) -> Option<String> {
    changes.map(|changes| match changes {
        none if none.is_empty() => "no changes".to_owned(),
        Changes { add, change, destroy } => format!("+{add} ~{change} -{destroy}"),
    })
}

/// What changes, counted.
fn changes(view: &PromotionPreviewView, components: usize) -> Option<String> {
    let count = |count: usize, one: &str| {
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {one}{plural}"))
    };
    let of_components = match view.components.total {
        0 => None,
        all if all == components => count(all, "component"),
        some => Some(format!("{some} of {components} components")),
    };
    let parts = [
        count(view.commits.total, "commit"),
        of_components,
        count(view.configuration.total, "configuration value"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
