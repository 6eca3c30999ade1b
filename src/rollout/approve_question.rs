//! The question before an approval at a terminal, with the plan that is approved.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::approve::Asking;
use crate::deployment::overrides::is_hash;
use crate::deployment::rollout_plan::ComponentPlan;
use crate::deployment::rollout_report::RolloutKind;
use crate::text::LEFT_OUT;

impl Asking<'_, '_, '_> {
    /// The plan to approve, and the question.
    pub(super) fn question(&self) -> String {
        let plan = &self.decided.plan;
        let is_ahead = self.run.options.is_approval;
        // Writing to a string cannot fail.
        let mut text = String::new();
        if is_ahead {
            let _ = writeln!(text, "  → Approval of a rollout of {} to {}", plan.deployment, plan.target);
        } else {
            let _ = writeln!(text, "  → Manual approval required for {} deployment", plan.target);
            let _ = writeln!(text, "  → Deploying {} to {}", plan.deployment, plan.target);
        }
        if let RolloutKind::Promotion { from } = &plan.kind {
            let _ = writeln!(text, "  → Promoted from {from}");
        }
        let mut commits: Vec<_> = plan.components.iter().map(|planned| planned.commit.as_str()).collect();
        commits.dedup();
        let _ = writeln!(text, "  → Git SHA: {}", commits.join(", "));
        let names: Vec<_> = plan.components.iter().map(|planned| planned.component.as_str()).collect();
        let _ = writeln!(text, "  → Components: {}", names.join(", "));
        for planned in &plan.components {
            let name = planned.component.as_str().escape_debug();
            let _ = writeln!(text, "      {name}: {}", self.step(planned));
        }
        for (key, value) in self.recorded_overrides() {
            let value = if is_hash(&value) { LEFT_OUT } else { &value };
            let _ = writeln!(text, "      --context {}={}", key.escape_debug(), value.escape_debug());
        }
        let _ = writeln!(text, "  → Digest: {}", self.gathered.digests.plan);
        if let Some(lasts) = self.decided.rule().map(|rule| rule.approval_expires).filter(|_| is_ahead) {
            let _ = writeln!(text, "  → It counts for {}", lasting(lasts));
        }
        if is_ahead {
            let _ = write!(text, "  → Approve {} → {}? [y/N]: ", plan.deployment, plan.target);
            return text;
        }
        text + "  → Approve deployment? [y/N]: "
    }

    /// The change of a component, in words.
    fn step(&self, planned: &ComponentPlan) -> String {
        let to = planned.commit.short();
        match &planned.previous_commit {
            None => format!("new → {to}"),
            Some(from) if *from == planned.commit && self.run.prepared.overrides.is_empty() => {
                format!("no change ({to})")
            }
            Some(from) if *from == planned.commit => format!("{to}, with other values"),
            Some(from) => {
                let back = if planned.goes_back() { " (goes back)" } else { "" };
                format!("{} → {to}{back}", from.short())
            }
        }
    }

    /// The overrides as they will be recorded: sensitive values as hashes.
    pub(super) fn recorded_overrides(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let digests = self.gathered.digests.components.values();
        for (key, value) in digests.flat_map(|digest| &digest.context_overrides) {
            // A value that is sensitive for one component is not shown for another one.
            if is_hash(value) || !all.contains_key(key) {
                all.insert(key.clone(), value.clone());
            }
        }
        all
    }
}

/// A duration in whole hours and minutes, in words.
fn lasting(length: std::time::Duration) -> String {
    let minutes = length.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} minutes"),
        (hours, 0) => format!("{hours} hours"),
        (hours, minutes) => format!("{hours} hours and {minutes} minutes"),
    }
}
