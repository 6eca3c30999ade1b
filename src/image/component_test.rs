//! The tests of one component in its image, and their summary.

use tokio::runtime::Runtime;

use super::engine::Engine;
use super::test_run::{TestOutcome, TestRun, run_tests};
use super::{BuildError, Surroundings};
use crate::cancellation::Cancellation;
use crate::component::{Environment, Masks, Stream};
use crate::context::Context;
use crate::deployment::ComponentName;
use crate::error::{Code, CommandError, exit};
use crate::render;
use crate::render::document::test::TestedComponent;
use crate::results::{Recording, ResultsEntry, TestSummary, report_of_command, test_results};

/// The tests of a component that has an image.
#[derive(Debug)]
pub struct ComponentTest<'a> {
    pub component: &'a ComponentName,
    /// `registry/name@sha256:…`
    pub image: &'a str,
    /// The argument vector; no shell reads it.
    pub command: Vec<String>,
}

/// The result of a component's tests, whether they passed or not.
#[derive(Debug)]
pub struct ComponentTestResult {
    pub component: TestedComponent,
    /// The line for the note of test results.
    pub entry: ResultsEntry<TestSummary>,
    /// The `JUnit` report: the tests' own, or one generated from how the command ended.
    pub report: String,
}

impl ComponentTest<'_> {
    /// Runs the tests. A test that fails is a result.
    ///
    /// # Errors
    ///
    /// Fails where the tests could not be run or were cancelled, or where their report is unusable.
    pub fn run(
        &self,
        context: &Context,
        engine: &Engine,
        environment: &Environment,
        cancellation: &Cancellation,
        by: &str,
    ) -> Result<ComponentTestResult, CommandError> {
        let outcome = self.outcome(context, engine, environment, cancellation)?;
        let recording = Recording {
            component: Some(self.component.clone()),
            recorded_at: context.now(),
            recorded_by: by.to_owned(),
        };
        let report = outcome.report.clone().unwrap_or_else(|| self.report(&outcome).into_bytes());
        let entry = test_results(&report, &recording).map_err(|error| {
            let message = format!("the report of {} cannot be used: {error}", self.component);
            CommandError::new(Code::UnusableReport, message)
        })?;
        let component = TestedComponent {
            component: self.component.clone(),
            image: self.image.to_owned(),
            succeeded: outcome.failure.is_none() && entry.summary.succeeded(),
            error: outcome.failure.as_ref().map(ToString::to_string),
            summary: entry.summary.clone(),
            duration_seconds: outcome.duration.as_secs_f64(),
        };
        let report = String::from_utf8_lossy(&report).into_owned();
        Ok(ComponentTestResult { component, entry, report })
    }

    fn outcome(
        &self,
        context: &Context,
        engine: &Engine,
        environment: &Environment,
        cancellation: &Cancellation,
    ) -> Result<TestOutcome, CommandError> {
        let runtime = Runtime::new().map_err(|error| CommandError::internal(error.to_string()))?;
        let folder =
            tempfile::tempdir().map_err(|error| CommandError::new(Code::Files, error.to_string()))?;
        let (streams, verbose) = (context.progress_streams(), context.global().verbose);
        let name = self.component.to_string();
        let log = move |_: Stream, line: &str| {
            if verbose {
                streams.note(&render::test::output(&name, line));
            }
        };
        let outcome = runtime.block_on(run_tests(TestRun {
            image: self.image,
            command: &self.command,
            folder: folder.path(),
            engine,
            surroundings: Surroundings {
                environment,
                log: &log,
                masks: &Masks::default(),
                cancellation,
                on_step: &|_| {},
            },
        }));
        outcome.map_err(|error| {
            let code = if error.is_cancelled() { exit::INTERRUPTED } else { exit::FAILED };
            let tail = match &error {
                BuildError::Process { source, .. } => source.tail().to_vec(),
                _ => Vec::new(),
            };
            CommandError::new(Code::TestsNotRun, format!("{}: {error}", self.component))
                .exits_with(code)
                .details(tail)
        })
    }

    /// The generated report of a command that wrote none.
    fn report(&self, outcome: &TestOutcome) -> String {
        let failure = outcome.failure.as_ref().map(|error| {
            let tail = error.tail().join("\n");
            format!("{error}\n{tail}")
        });
        report_of_command(&self.command.join(" "), outcome.duration, failure.as_deref())
    }
}
