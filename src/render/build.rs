//! `build` as text: progress, the live view, the result
//! (`cli-integration.md`, "atmos deployment build").

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::document::build::BuildResult;
use super::escape::escape;
use super::style::{BAD, DETAIL, GOOD, WARN};
use super::{Form, Presentation, count, styled, time};
use crate::deployment::ComponentName;
use crate::deployment::build_report::{BuildEvent, BuildStatus, ComponentBuild};
use crate::deployment::count::plural;

/// The maximum number of output lines of a failed component.
const OUTPUT_LINES: usize = 20;
/// The interval of the spinners' animation.
const TICK: Duration = Duration::from_millis(120);

/// Converts a build's events to lines of progress, for stderr.
#[derive(Debug)]
pub struct BuildProgress {
    form: Form,
    verbose: bool,
    /// The width of the longest name.
    width: usize,
    /// The last lines that each running component printed.
    output: BTreeMap<ComponentName, VecDeque<String>>,
}

impl BuildProgress {
    /// Progress for a terminal (`Form::Terminal`), or for a log with a line for every step too.
    /// Verbose prints all output of the builders; otherwise only the last output of failed
    /// components.
    #[must_use]
    pub const fn new(form: Form, verbose: bool) -> Self {
        Self { form, verbose, width: 0, output: BTreeMap::new() }
    }

    /// The lines for one event, each ending in a line break; empty where the event has none.
    pub fn lines(&mut self, event: &BuildEvent) -> String {
        match event {
            BuildEvent::Started { deployment, target, dry_run, names, .. } => {
                self.width = names.iter().map(|name| name.as_str().chars().count()).max().unwrap_or(0);
                let dry_run = if *dry_run { " (dry run)" } else { "" };
                format!("Building {deployment} for target {target}...{dry_run}\n\n")
            }
            BuildEvent::Step { component, step } if self.form == Form::Pipe => {
                format!("→ {:<width$}  {}\n", escape(component.as_str()), step.as_words(), width = self.width)
            }
            BuildEvent::Output { component, line, .. } => self.output(component, line),
            BuildEvent::ComponentFinished(build) => format!("{}{}", self.finished(build), self.tail(build)),
            BuildEvent::Step { .. } | BuildEvent::ComponentStarted { .. } | BuildEvent::Finished => {
                String::new()
            }
        }
    }

    /// `✓ api       Built sha256:abc123… (2.3s)`.
    fn finished(&self, build: &ComponentBuild) -> String {
        let name = escape(build.component.as_str());
        let took = time::duration(build.duration);
        let digest = build.digest().map(short).unwrap_or_default();
        let (mark, what) = match build.status {
            BuildStatus::Built if build.image.is_none() => {
                (styled("✓", GOOD), format!("Built {digest} ({took}, not pushed)"))
            }
            BuildStatus::Built => (styled("✓", GOOD), format!("Built {digest} ({took})")),
            BuildStatus::Reused => {
                (styled("✓", GOOD), format!("Already built {digest} for this commit and context"))
            }
            BuildStatus::Planned => (
                styled("○", DETAIL),
                format!("Would be built with {} as {}", escape(&build.builder), escape(&build.name)),
            ),
            BuildStatus::Failed => {
                let error = escape(build.error.as_deref().unwrap_or("it failed"));
                (styled("✗", BAD), format!("Failed ({took}): {error}"))
            }
            BuildStatus::Cancelled => (styled("✗", WARN), format!("Cancelled ({took})")),
        };
        format!("{mark} {name:<width$}  {what}\n", width = self.width)
    }

    fn output(&mut self, component: &ComponentName, line: &str) -> String {
        if self.verbose {
            return format!(
                "    {} {}\n",
                styled(&format!("{} |", escape(component.as_str())), DETAIL),
                escape(line)
            );
        }
        let kept = self.output.entry(component.clone()).or_default();
        if kept.len() == OUTPUT_LINES {
            kept.pop_front();
        }
        kept.push_back(line.to_owned());
        String::new()
    }

    /// The last output of a failed component.
    fn tail(&mut self, build: &ComponentBuild) -> String {
        let output = self.output.remove(&build.component).unwrap_or_default();
        let mut text = String::new();
        if build.status == BuildStatus::Failed {
            for line in output {
                push!(text, "    {}\n", escape(&line));
            }
        }
        text
    }
}

/// `sha256:abc123def456`, the short form of a digest.
fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

/// The live view: lines at the bottom of the terminal that change while images are built. They are
/// removed at the end.
#[derive(Debug)]
pub struct BuildLive {
    view: MultiProgress,
    running: BTreeMap<ComponentName, ProgressBar>,
}

impl Default for BuildLive {
    fn default() -> Self {
        // The view draws on stderr, and draws nothing where stderr is not a terminal.
        Self { view: MultiProgress::new(), running: BTreeMap::new() }
    }
}

impl BuildLive {
    /// Updates the view by an event.
    pub fn show(&mut self, event: &BuildEvent) {
        match event {
            BuildEvent::ComponentStarted { component } => {
                let line = self.view.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {msg} ({elapsed})") {
                    line.set_style(style);
                }
                line.set_prefix(escape(component.as_str()).into_owned());
                line.enable_steady_tick(TICK);
                self.running.insert(component.clone(), line);
            }
            BuildEvent::Step { component, step } => {
                if let Some(line) = self.running.get(component) {
                    line.set_message(step.as_words());
                }
            }
            BuildEvent::ComponentFinished(build) => {
                if let Some(line) = self.running.remove(&build.component) {
                    line.finish_and_clear();
                }
            }
            BuildEvent::Finished => self.clear(),
            BuildEvent::Started { .. } | BuildEvent::Output { .. } => {}
        }
    }

    /// Calls a function that writes to the terminal, while the view is hidden.
    pub fn out_of_the_way(&self, write: impl FnOnce()) {
        self.view.suspend(write);
    }

    fn clear(&mut self) {
        for line in std::mem::take(&mut self.running).into_values() {
            line.finish_and_clear();
        }
    }
}

impl Drop for BuildLive {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The result of a build.
#[must_use]
pub fn text(result: &BuildResult, _: &Presentation) -> String {
    let mut text = String::new();
    if let Some(sbom) = result.sbom {
        push!(
            text,
            "Generated SBOM: {}, {}\nAttached SBOM to commit {}\n\n",
            count(sbom.components, "component"),
            plural(sbom.dependencies, "dependency", "dependencies"),
            result.commit.short()
        );
    }
    for component in &result.components {
        if let Some(recipe) = &component.recipe {
            push!(
                text,
                "# {} ({})\n{}\n",
                escape(component.component.as_str()),
                escape(&component.builder),
                recipe.trim_end()
            );
            text.push('\n');
        }
    }
    let images: Vec<_> =
        result.components.iter().filter_map(|component| component.image.as_deref()).collect();
    let repositories: BTreeSet<_> =
        images.iter().filter_map(|image| image.rsplit_once('/')).map(|(registry, _)| registry).collect();
    if !images.is_empty() {
        let repositories: Vec<_> = repositories.into_iter().collect();
        push!(text, "Images pushed to {}\n", escape(&repositories.join(", ")));
        for image in images {
            push!(text, "  {}\n", escape(image));
        }
    }
    text
}
