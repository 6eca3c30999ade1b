//! The live view of a rollout on a terminal: what runs, since when, and how much is left.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::escape::escape;
use crate::deployment::ComponentName;
use crate::deployment::rollout_report::RolloutEvent;

/// How often the spinners move.
const TICK: Duration = Duration::from_millis(120);

/// Lines at the bottom of the terminal that change while components run. Nothing of it stays when the rollout ends.
#[derive(Debug)]
pub struct Live {
    view: MultiProgress,
    running: BTreeMap<ComponentName, ProgressBar>,
    /// Below the others: how much is left.
    left: Option<ProgressBar>,
    unfinished: usize,
}

impl Default for Live {
    fn default() -> Self {
        // It draws on stderr, and on nothing where that is no terminal.
        Self { view: MultiProgress::new(), running: BTreeMap::new(), left: None, unfinished: 0 }
    }
}

impl Live {
    /// Shows what an event changes.
    pub fn show(&mut self, event: &RolloutEvent) {
        match event {
            RolloutEvent::Planned(plan) => self.unfinished = plan.components.len(),
            RolloutEvent::ComponentStarted { component, kind } => {
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
                self.unfinished = self.unfinished.saturating_sub(1);
                self.say_what_is_left();
            }
            RolloutEvent::Finished(_) => self.clear(),
            _ => {}
        }
    }

    /// Runs something that writes to the terminal, with the view out of its way.
    pub fn out_of_the_way(&self, write: impl FnOnce()) {
        self.view.suspend(write);
    }

    fn say_what_is_left(&mut self) {
        let waiting = self.unfinished.saturating_sub(self.running.len());
        if waiting == 0 || self.running.is_empty() {
            if let Some(line) = self.left.take() {
                line.finish_and_clear();
            }
            return;
        }
        let line = self.left.get_or_insert_with(|| self.view.add(ProgressBar::new_spinner()));
        if let Ok(style) = ProgressStyle::with_template("    {msg}") {
            line.set_style(style);
        }
        line.set_message(format!("… {waiting} waiting"));
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
