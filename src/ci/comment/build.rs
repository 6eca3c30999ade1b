//! Builds the view that the comment's template sees from the domain's data.

use std::collections::BTreeMap;

use serde_json::Value;

use super::view::{
    ApprovalView, CommentView, CommitView, ComponentView, ConfigurationView, DependencyView, FailureView,
    HintView, LinkView, List, NextView, PromotionPreviewView, RolloutView, StaleView, TargetView,
    UnfinishedView,
};
use super::words::{
    LONGEST_TEXT, changes, counts, frozen, of_components, plan, text, time, took, total, urgency,
};
use super::{CommentInput, DependencyChange, Presence, PromotionPreview, RolloutOfRun, Unfinished};
use crate::ci::markdown::cut;
use crate::deployment::diff::{Change, ConfigurationDifference, DiffView, SideName};
use crate::deployment::promotion_status::{
    ComponentEdgeState, ComponentPromotion, EdgeState, TargetStanding,
};
use crate::deployment::rollout_report::{ComponentReport, ComponentResult, RolloutKind, RolloutResult};
use crate::deployment::{CommitId, RecordStatus, TargetName};

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
        let approvals = input.approvals.iter().map(|approved| ApprovalView {
            target: approved.target.to_string(),
            approved_by: text(&approved.by),
            approved_at: approved.at.map(time),
        });
        let planned = input.rollout.and_then(|rollout| match &rollout.report.kind {
            RolloutKind::Promotion { from } if rollout.report.dry_run => Some((from, &rollout.report.target)),
            _ => None,
        });
        let previews =
            input.promotions.iter().filter(|preview| planned != Some((&preview.edge.from, &preview.edge.to)));
        let promotions: Vec<_> = previews.map(|preview| builder.promotion(deployment, preview)).collect();
        let rollout = input.rollout.map(|rollout| builder.rollout(&rollout));
        let mut view = Self {
            deployment: deployment.to_owned(),
            targets: builder.targets(input),
            change_known: input.presence.is_some(),
            of_ledger_alone: input.of_ledger_alone,
            stale: input
                .stale
                .map(|stale| StaleView { text: text(&stale.to_string()), as_of: stale.as_of.map(time) }),
            runs_known: input.stale.is_none_or(|stale| stale.as_of.is_some()),
            unfinished: List::new(input.unfinished.iter().map(|one| builder.unfinished(one)), most),
            next: next(input, rollout.as_ref(), &promotions),
            rollout,
            complete: input.complete.map(text),
            failure: input.failure.map(|failure| builder.failure(failure)),
            promotions,
            approvals: List::new(approvals, most),
            run: input.run.map(|run| LinkView { text: text(&run.name), url: run.address.clone() }),
            updated_at: time(input.now),
            shortened: false,
        };
        view.shortened = view.approvals.omitted + view.unfinished.omitted > 0
            || view.rollout.as_ref().is_some_and(|rollout| {
                let lists = rollout.components.omitted + rollout.commits.omitted;
                lists + rollout.configuration.omitted + rollout.dependencies.omitted > 0
            })
            || view.promotions.iter().any(|promotion| {
                let lists = promotion.components.omitted + promotion.commits.omitted;
                lists + promotion.configuration.omitted + promotion.dependencies.omitted > 0
            });
        view
    }
}

/// Selects the next action to suggest: retry, roll out or promote.
fn next(
    input: &CommentInput<'_>,
    rollout: Option<&RolloutView>,
    promotions: &[PromotionPreviewView],
) -> Option<NextView> {
    if input.failure.is_some() || input.stale.is_some() {
        return None;
    }
    if let Some(rollout) = rollout.filter(|rollout| rollout.dry_run || !rollout.succeeded) {
        if rollout.succeeded {
            rollout.changes.as_ref()?;
        }
        let targets = &input.standing.targets;
        let target = targets.iter().find(|standing| standing.target.as_str() == rollout.target);
        let reports = input.rollout.iter().flat_map(|rollout| &rollout.report.components);
        let failed = reports.filter(|component| component.status == ComponentResult::Failed);
        return Some(NextView {
            action: if rollout.succeeded { "roll_out" } else { "retry" },
            from: None,
            to: rollout.target.clone(),
            approval: target.is_some_and(|target| target.requires_approval),
            failed: failed.map(|component| component.component.to_string()).next(),
            changes: None,
        });
    }
    // A failure on a target takes precedence over a promotion from it.
    let is_finished = |from: &str| input.unfinished.iter().all(|one| one.target.as_str() != from);
    let ready = promotions
        .iter()
        .find(|promotion| promotion.state == EdgeState::Ready.as_words() && is_finished(&promotion.from))?;
    Some(NextView {
        action: "promote",
        from: Some(ready.from.clone()),
        to: ready.to.clone(),
        approval: ready.requires_approval,
        failed: None,
        changes: ready.changes.clone(),
    })
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
            let of = |presence: &BTreeMap<TargetName, Presence>| {
                if input.stale.is_some() {
                    return Presence::Unknown;
                }
                presence.get(&standing.target).copied().unwrap_or(Presence::Absent)
            };
            let (symbol, presence) = match input.presence.map(of) {
                Some(Presence::Deployed) => ("✅", Some("deployed".to_owned())),
                Some(Presence::Partly { components, of }) => {
                    ("🟡", Some(format!("{components} of {of} components")))
                }
                Some(Presence::Failed) => ("❌", Some("failed".to_owned())),
                Some(Presence::Cancelled) => ("⏹️", Some("cancelled".to_owned())),
                Some(Presence::Absent) => ("➖", Some("not yet".to_owned())),
                Some(Presence::Unknown) => ("❔", Some("unknown".to_owned())),
                None => ("", None),
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
                run: input.runs.get(&standing.target).cloned(),
                status: standing.status.map(RecordStatus::as_str),
                requires_approval: standing.requires_approval,
                frozen: standing.freeze.as_ref().map(frozen),
                hold: standing.hold,
                context: overridden(standing),
                commits_behind: standing.commits_behind.filter(|behind| *behind > 0),
            }
        };
        input.standing.targets.iter().map(view).collect()
    }

    fn unfinished(&self, unfinished: &Unfinished) -> UnfinishedView {
        UnfinishedView {
            target: unfinished.target.to_string(),
            component: unfinished.component.to_string(),
            symbol: if unfinished.status == RecordStatus::Cancelled { "⏹️" } else { "❌" },
            status: unfinished.status.as_str(),
            commit: self.commit(&unfinished.commit),
            at: time(unfinished.at),
            run: unfinished.run.clone(),
            error: unfinished.error.as_deref().map(text),
        }
    }

    fn failure(&self, failure: &FailureView) -> FailureView {
        // As many lines as a list has rows, but at least 3: no other part of the comment names the
        // error.
        let most = self.most.clamp(3, 25);
        let details = failure.details.iter().take(most).map(|line| cut(line, 4 * LONGEST_TEXT).into_owned());
        let hints = failure.hints.iter().take(most).map(|hint| HintView {
            text: cut(&hint.text, 4 * LONGEST_TEXT).into_owned(),
            commands: hint
                .commands
                .iter()
                .map(|command| cut(command, 4 * LONGEST_TEXT).into_owned())
                .collect(),
        });
        FailureView {
            message: cut(&failure.message, 4 * LONGEST_TEXT).into_owned(),
            details: details.collect(),
            hints: hints.collect(),
            ..failure.clone()
        }
    }

    fn rollout(&self, rollout: &RolloutOfRun<'_>) -> RolloutView {
        let RolloutOfRun { report, diff, dependencies, only } = rollout;
        let target = &report.target;
        let of = of_components(only);
        let what = match &report.kind {
            RolloutKind::Deploy => format!("Rollout{of} to {target}"),
            RolloutKind::Promotion { from } => format!("Promotion{of} from {from} to {target}"),
            RolloutKind::Rollback { to } if only.is_empty() => {
                format!("Rollback of {target} to {}", to.short())
            }
            RolloutKind::Rollback { to } => format!("Rollback{of} on {target} to {}", to.short()),
        };
        let (symbol, ending) = match report.result {
            RolloutResult::Success if report.dry_run => ("📋", "planned"),
            RolloutResult::Success => ("✅", "succeeded"),
            RolloutResult::Failed => ("❌", "failed"),
            RolloutResult::Refused => ("⛔", "was refused"),
            RolloutResult::Cancelled => ("⏹️", "was cancelled"),
        };
        let mut components: Vec<_> = report.components.iter().collect();
        // Most urgent first, so that a shortened list does not hide failures.
        components.sort_by_key(|component| urgency(component.status));
        let moving = report.components.iter().filter(|component| {
            component.previous_commit.as_ref() != Some(&component.commit)
                || component.changes.is_some_and(|changes| !changes.is_empty())
        });
        let commits = self.commits(*diff);
        let configuration = self.configuration(*diff);
        let dependencies = self.dependencies(dependencies);
        let counted = total(&report.components);
        let succeeded = report.result == RolloutResult::Success;
        RolloutView {
            symbol,
            title: format!("{what} {ending}"),
            target: target.to_string(),
            dry_run: report.dry_run,
            succeeded,
            counts: counts(&report.components),
            changes: changes(
                commits.total,
                (moving.count(), report.components.len()),
                configuration.total,
                dependencies.total,
            ),
            plan: plan(counted),
            destroys: report.dry_run && counted.is_some_and(|changes| changes.destroy > 0),
            approved_by: report.approval.as_ref().map(|approval| text(&approval.approved_by)),
            took: (!report.dry_run).then(|| took(report.duration)),
            components: List::new(
                components.into_iter().map(|component| self.reported(component)),
                self.most,
            ),
            commits,
            configuration,
            dependencies,
            digest: report.digest.clone(),
        }
    }

    /// The commits that only one side has. The diff lists the newest only, and counts all of them.
    fn commits(&self, diff: Option<&DiffView>) -> List<CommitView> {
        let views = diff.into_iter().flat_map(|diff| &diff.commits).map(|commit| CommitView {
            commit: self.commit(&commit.commit),
            summary: text(&commit.summary),
            removed: commit.only_in == SideName::From,
        });
        let mut list = List::new(views, self.most);
        if let Some(diff) = diff {
            let all = diff.commits_ahead + diff.commits_behind;
            list.omitted += all.saturating_sub(list.total);
            list.total = list.total.max(all);
        }
        list
    }

    /// The configuration values that change. The diff also has values that both sides set equally.
    fn configuration(&self, diff: Option<&DiffView>) -> List<ConfigurationView> {
        let differences = diff.into_iter().flat_map(|diff| &diff.configuration);
        let changing = differences.filter(|difference| difference.change() != Change::NoChange);
        List::new(changing.map(configured), self.most)
    }

    fn dependencies(&self, changes: &[DependencyChange]) -> List<DependencyView> {
        List::new(changes.iter().map(dependency), self.most)
    }

    fn reported(&self, component: &ComponentReport) -> ComponentView {
        let symbol = match component.status {
            ComponentResult::Success => "✅",
            ComponentResult::Failed => "❌",
            ComponentResult::Cancelled => "⏹️",
            ComponentResult::Skipped => "⏭️",
            ComponentResult::Planned => "",
        };
        ComponentView {
            name: component.component.to_string(),
            kind: component.kind.as_str(),
            symbol,
            from: component.previous_commit.as_ref().map(|commit| self.commit(commit)),
            to: Some(self.commit(&component.commit)),
            plan: plan(component.changes),
            note: component.error.as_ref().or(component.notice.as_ref()).map(|note| text(note)),
            // As many lines as a list has rows: the first lines name the error.
            reason: component
                .reason
                .iter()
                .take(self.most)
                .map(|line| cut(line, 2 * LONGEST_TEXT).into_owned())
                .collect(),
        }
    }

    fn promotion(&self, deployment: &str, preview: &PromotionPreview<'_>) -> PromotionPreviewView {
        let edge = preview.edge;
        let changing =
            edge.components.iter().filter(|component| component.state != ComponentEdgeState::UpToDate);
        let components = List::new(changing.map(|component| self.promoted(component)), self.most);
        let commits = self.commits(preview.diff);
        let configuration = self.configuration(preview.diff);
        let dependencies = self.dependencies(preview.dependencies);
        PromotionPreviewView {
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
            hold: edge.hold && edge.state == EdgeState::Ready,
            partial: edge.partial,
            blockers: edge
                .blockers
                .iter()
                .take(self.most.max(1))
                .map(|blocker| text(&blocker.to_string()))
                .collect(),
            changes: changes(
                commits.total,
                (components.total, edge.components.len()),
                configuration.total,
                dependencies.total,
            ),
            commits,
            components,
            configuration,
            dependencies,
            command: format!(
                "atmos deployment rollout {deployment} --target {} --promote-from {}",
                edge.to, edge.from
            ),
        }
    }

    fn promoted(&self, component: &ComponentPromotion) -> ComponentView {
        let blocked = component.state == ComponentEdgeState::Blocked;
        ComponentView {
            name: component.component.to_string(),
            kind: component.kind.as_str(),
            symbol: if blocked { "⛔" } else { "" },
            from: component.target_commit.as_ref().map(|commit| self.commit(commit)),
            to: component.commit.as_ref().map(|commit| self.commit(commit)),
            plan: None,
            note: component
                .status
                .filter(|_| blocked)
                .map(|status| format!("stays behind: its last rollout {}", status.as_verb())),
            reason: Vec::new(),
        }
    }
}

/// The `--context` keys that some component on a target runs with. Their values are for the
/// differences.
fn overridden(standing: &TargetStanding) -> Option<String> {
    let keys: Vec<_> = standing.overridden.iter().map(String::as_str).collect();
    (!keys.is_empty()).then(|| text(&keys.join(", ")))
}

fn dependency(change: &DependencyChange) -> DependencyView {
    let versions = |versions: &[String]| (!versions.is_empty()).then(|| text(&versions.join(", ")));
    DependencyView {
        component: change.component.clone(),
        name: text(&change.name),
        from: versions(&change.from),
        to: versions(&change.to),
        change: match (change.from.is_empty(), change.to.is_empty()) {
            (true, _) => "added",
            (_, true) => "removed",
            _ => "changed",
        },
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
        from_overridden: difference.overridden.contains(&SideName::From),
        to: difference.to.as_ref().map(value),
        to_overridden: difference.overridden.contains(&SideName::To),
        change: difference.change().as_words(),
    }
}
