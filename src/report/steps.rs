//! Steps: the changes of a run, and those of each promotion that can come next.

use super::dependencies::Boms;
use super::view::View;
use crate::ci::comment::{DependencyChange, PromotionPreview};
use crate::compare::{RecordedOverrides, Step, of_step};
use crate::deployment::TargetName;
use crate::deployment::diff::DiffView;
use crate::deployment::promotion_status::{EdgeState, PromotionEdge, PromotionView};
use crate::deployment::rollout_report::{ComponentResult, RolloutReport};
use crate::deployment::state::{DeploymentState, TargetState};
use crate::error::CommandError;

/// The maximum number of previewed promotions: each costs a comparison.
const MOST_PREVIEWS: usize = 8;

/// The changes of a step.
#[derive(Default)]
pub struct Changes {
    pub diff: Option<DiffView>,
    pub dependencies: Vec<DependencyChange>,
}

impl Changes {
    /// The preview of an edge with these changes.
    pub fn of<'p>(&'p self, edge: &'p PromotionEdge) -> PromotionPreview<'p> {
        PromotionPreview { edge, diff: self.diff.as_ref(), dependencies: &self.dependencies }
    }
}

impl View<'_, '_> {
    /// The changes of a run, and those of each promotion edge.
    pub fn changes(
        &self,
        report: Option<&RolloutReport>,
        standing: &PromotionView,
        state: &DeploymentState,
    ) -> Result<(Changes, Vec<Changes>), CommandError> {
        let done = report.map(|report| done(report, state));
        let mut left = MOST_PREVIEWS;
        let ahead: Vec<_> = standing
            .edges
            .iter()
            .map(|edge| {
                let moves = matches!(edge.state, EdgeState::Ready | EdgeState::Blocked);
                let looked_at = moves && left > 0;
                left -= usize::from(looked_at);
                looked_at.then(|| ahead(edge, state))
            })
            .collect();
        let boms = Boms::of(self, done.iter().chain(ahead.iter().flatten()));
        let of_step = |step: Option<Step<'_>>| -> Result<Changes, CommandError> {
            let Some(step) = step else { return Ok(Changes::default()) };
            let dependencies = boms.changes(&step);
            let diff = of_step(self.repository, self.project, self.ledger, self.deployment, step)?;
            Ok(Changes { diff, dependencies })
        };
        Ok((of_step(done)?, ahead.into_iter().map(of_step).collect::<Result<_, _>>()?))
    }
}

/// The step of a promotion.
fn ahead<'e>(edge: &'e PromotionEdge, state: &DeploymentState) -> Step<'e> {
    let components = || edge.components.iter();
    Step {
        target: &edge.to,
        from: components().filter_map(|c| Some((c.component.clone(), c.target_commit.clone()?))).collect(),
        to: components().filter_map(|c| Some((c.component.clone(), c.commit.clone()?))).collect(),
        // A promotion takes no overrides along.
        overrides: (overrides(state, &edge.to), RecordedOverrides::new()),
    }
}

/// The step of a run.
fn done<'r>(report: &'r RolloutReport, state: &DeploymentState) -> Step<'r> {
    let moved = |status| matches!(status, ComponentResult::Success | ComponentResult::Planned);
    let components = || report.components.iter().filter(|component| moved(component.status));
    Step {
        target: &report.target,
        from: components().filter_map(|c| Some((c.component.clone(), c.previous_commit.clone()?))).collect(),
        to: components().map(|c| (c.component.clone(), c.commit.clone())).collect(),
        overrides: match (report.dry_run, overrides(state, &report.target)) {
            (true, running) => (running, RecordedOverrides::new()),
            (false, running) => (RecordedOverrides::new(), running),
        },
    }
}

/// The `--context` overrides that run on a target.
fn overrides(state: &DeploymentState, target: &TargetName) -> RecordedOverrides {
    state.targets.get(target).map(TargetState::overrides).unwrap_or_default()
}
