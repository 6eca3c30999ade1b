//! The log of a rollout in a CI system: each component's output is folded, and its result is below.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::ci::System;
use crate::ci::log_group::LogGroups;
use crate::component::Masks;
use crate::context::Context;
use crate::deployment::ComponentName;
use crate::deployment::count::count;
use crate::deployment::rollout_report::RolloutEvent;
use crate::render::rollout::Progress;
use crate::render::stream::Streams;
use crate::render::{Clock, Form};

/// The maximum number of lines of one component in its section.
const MOST_LINES: usize = 5_000;

/// Writes events to the log.
pub struct Log {
    streams: Streams,
    clock: Clock,
    masks: Masks,
    groups: LogGroups,
    state: Mutex<State>,
}

struct State {
    progress: Progress,
    output: BTreeMap<ComponentName, Output>,
}

#[derive(Default)]
struct Output {
    lines: VecDeque<String>,
    left_out: usize,
}

impl Log {
    pub fn new(context: &Context, system: Option<System>) -> Self {
        let groups = match system {
            Some(System::GitHubActions) => LogGroups::GitHub,
            Some(System::GitLabCi) => LogGroups::GitLab,
            None => LogGroups::Plain,
        };
        let progress = Progress::new(Form::Pipe, false);
        Self {
            streams: context.progress_streams(),
            clock: context.clock(),
            masks: context.masks().clone(),
            groups,
            state: Mutex::new(State { progress, output: BTreeMap::new() }),
        }
    }

    /// Shows one event.
    pub fn show(&self, event: &RolloutEvent) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            RolloutEvent::ComponentOutput { component, line, .. } => {
                state.output.entry(component.clone()).or_default().push(line.clone());
            }
            RolloutEvent::ComponentFinished(report) => {
                let output = state.output.remove(&report.component).unwrap_or_default();
                self.section(report.component.as_str(), &output);
            }
            _ => {}
        }
        let lines = state.progress.lines(event, &self.clock);
        self.streams.note(&lines);
    }

    fn section(&self, component: &str, output: &Output) {
        let number = output.lines.len() + output.left_out;
        if number == 0 {
            return;
        }
        let title = self.masks.apply(format!("Output of {component} ({})", count(number, "line")));
        self.streams.steer(&self.groups.open(component, &title, Timestamp::now()));
        if output.left_out > 0 {
            self.streams.note(&format!("… {} lines are left out\n", output.left_out));
        }
        for line in &output.lines {
            self.streams.note(&format!("{line}\n"));
        }
        self.streams.steer(&self.groups.close(component, Timestamp::now()));
    }
}

impl Output {
    fn push(&mut self, line: String) {
        if self.lines.len() == MOST_LINES {
            self.lines.pop_front();
            self.left_out += 1;
        }
        self.lines.push_back(line);
    }
}
