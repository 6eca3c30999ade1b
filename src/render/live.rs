//! The live view of a rollout on a terminal: running components with their durations, and waiting
//! ones.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::escape::escape;
use crate::deployment::ComponentName;
use crate::deployment::rollout_report::{ComponentReport, ComponentResult, PlannedComponent, RolloutEvent};

/// The interval of the spinners' animation.
const TICK: Duration = Duration::from_millis(120);

/// The maximum number of waiting components that are named.
const NAMED: usize = 3;

/// Lines at the bottom of the terminal that change while components run. They are removed at the
/// end of the rollout.
#[derive(Debug)]
pub struct Live {
    view: MultiProgress,
    running: BTreeMap<ComponentName, ProgressBar>,
    /// The last line, about the waiting components.
    left: Option<ProgressBar>,
    /// The waiting components in the order of the plan, each with the components that it waits for.
    waiting: Vec<(ComponentName, Vec<ComponentName>)>,
}

impl Default for Live {
    fn default() -> Self {
        // The view draws on stderr, and draws nothing where stderr is not a terminal.
        Self { view: MultiProgress::new(), running: BTreeMap::new(), left: None, waiting: Vec::new() }
    }
}

impl Live {
    /// Updates the view by an event.
    pub fn show(&mut self, event: &RolloutEvent) {
        match event {
            RolloutEvent::Planned(plan) => self.waiting = plan.components.iter().map(waiting).collect(),
            RolloutEvent::ComponentStarted { component, kind } => {
                self.waiting.retain(|(name, _)| name != component);
                let line = self.view.insert(self.running.len(), ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("    {spinner} {msg} ({elapsed})") {
                    line.set_style(style);
                }
                line.set_message(escape(&format!("{kind}/{component}")).into_owned());
                line.enable_steady_tick(TICK);
                self.running.insert(component.clone(), line);
                self.say_what_is_left();
            }
            RolloutEvent::ComponentFinished(report) => {
                if let Some(line) = self.running.remove(&report.component) {
                    line.finish_and_clear();
                }
                self.ended(report);
                self.say_what_is_left();
            }
            RolloutEvent::Finished(_) => self.clear(),
            _ => {}
        }
    }

    /// Calls a function that writes to the terminal, while the view is hidden.
    pub fn out_of_the_way(&self, write: impl FnOnce()) {
        self.view.suspend(write);
    }

    fn say_what_is_left(&mut self) {
        if self.waiting.is_empty() || self.running.is_empty() {
            if let Some(line) = self.left.take() {
                line.finish_and_clear();
            }
            return;
        }
        let line = self.left.get_or_insert_with(|| self.view.add(ProgressBar::new_spinner()));
        if let Ok(style) = ProgressStyle::with_template("    {msg}") {
            line.set_style(style);
        }
        line.set_message(left(&self.waiting));
    }

    /// Removes an ended component from the waiting ones, and, if it did not fail, from the
    /// components that others wait for. The components that a failure blocks end too, as skipped.
    fn ended(&mut self, report: &ComponentReport) {
        self.waiting.retain(|(name, _)| *name != report.component);
        if !matches!(report.status, ComponentResult::Failed | ComponentResult::Cancelled) {
            for (_, needs) in &mut self.waiting {
                needs.retain(|need| *need != report.component);
            }
        }
    }

    fn clear(&mut self) {
        for line in std::mem::take(&mut self.running).into_values().chain(self.left.take()) {
            line.finish_and_clear();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}

fn waiting(planned: &PlannedComponent) -> (ComponentName, Vec<ComponentName>) {
    (planned.component.clone(), planned.waits_for.clone())
}

/// `… 3 waiting: api for database, web for api`: names the first few, with the total number.
fn left(waiting: &[(ComponentName, Vec<ComponentName>)]) -> String {
    let named = waiting.iter().filter(|(_, needs)| !needs.is_empty()).take(NAMED).map(|(name, needs)| {
        let needs: Vec<_> = needs.iter().map(ComponentName::as_str).collect();
        escape(&format!("{name} for {}", needs.join(" and "))).into_owned()
    });
    let named: Vec<_> = named.collect();
    let colon = if named.is_empty() { "" } else { ": " };
    format!("… {} waiting{colon}{}", waiting.len(), named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::ComponentKind;
    use crate::deployment::fixtures::{commit, component_name};

    fn ended(name: &str, status: ComponentResult) -> ComponentReport {
        ComponentReport {
            rollback_of: None,
            component: component_name(name),
            kind: ComponentKind::Command,
            previous_commit: None,
            commit: commit("abc123d"),
            status,
            record: None,
            duration: Duration::ZERO,
            changes: None,
            health: None,
            error: None,
            reason: Vec::new(),
            already_deployed: false,
            overridden: Vec::new(),
            notice: None,
            outputs: serde_json::Map::new(),
            log: Vec::new(),
        }
    }

    #[test]
    fn what_waits_is_told_with_what_it_waits_for() {
        let waits = |name: &str, needs: &[&str]| {
            (component_name(name), needs.iter().map(|need| component_name(need)).collect())
        };
        let mut live = Live::default();
        live.waiting = vec![
            waits("free", &[]),
            waits("api", &["database"]),
            waits("web", &["api", "cache"]),
            waits("docs", &["web"]),
            waits("mail", &["queue"]),
        ];
        assert_eq!(left(&live.waiting), "… 5 waiting: api for database, web for api and cache, docs for web");
        for (name, status) in [
            ("database", ComponentResult::Failed),
            ("api", ComponentResult::Skipped),
            ("cache", ComponentResult::Planned),
            ("web", ComponentResult::Skipped),
        ] {
            live.ended(&ended(name, status));
        }
        assert_eq!(left(&live.waiting), "… 3 waiting: mail for queue");
        live.ended(&ended("queue", ComponentResult::Success));
        assert_eq!(left(&live.waiting), "… 3 waiting");
    }
}
