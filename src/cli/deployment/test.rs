//! `atmos deployment test`: runs the tests of a commit's components in the images that were built
//! of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::context::Context;
use crate::context::signals::cancellation;
use crate::deployment::names::ComponentReference;
use crate::deployment::{Component, ComponentKind, Deployment, DeploymentName, NoteNamespace, TargetName};
use crate::error::{Code, CommandError, exit};
use crate::image::{ComponentTest, ComponentTestResult, commit_of, engine, environment};
use crate::ledger::{NoteEdit, Publication};
use crate::project::declared::definition_at;
use crate::project::known::{chosen_target, known_component};
use crate::project::ledger::reachable;
use crate::render;
use crate::render::document::error::Hint;
use crate::render::document::test::TestResult;
use crate::results::write_report;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment test payment-service --target dev
  atmos deployment test payment-service --target dev --component api --junit-xml junit.xml
  atmos deployment test payment-service --target dev --component api --command \"npm test\"")]
pub struct Args {
    /// The deployment
    deployment: DeploymentName,
    /// The target whose images are tested; the deployment's default target where it has one
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
    /// Only this component; may be given several times
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// Test this commit instead of the one that is checked out
    #[arg(long, value_name = "COMMIT")]
    pub(super) git_sha: Option<String>,
    /// Run this instead of the components' own tests; blanks separate its arguments, no shell reads it
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// Write the results of all components to this file too, as one JUnit report
    #[arg(long, value_name = "FILE")]
    junit_xml: Option<PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let policy = project.deployment(context, &args.deployment)?;
    let target = chosen_target(&policy, args.target.as_ref())?;
    let ledger = context.ledger(&repository, &project.config)?;
    reachable(context, &ledger, "notes")?;
    let (commit, _) = commit_of(context, &repository, &ledger, args.git_sha.as_deref(), false)?;
    let deployment = definition_at(context, &repository, &project, &args.deployment, &commit, &target)?;
    let components = wanted(args, &deployment)?;
    let asked: Vec<_> = components.iter().map(|(built, _)| (built.name.clone(), commit.clone())).collect();
    let images = ledger.built_images(&deployment.name, &asked)?;
    let mut tests = Vec::new();
    for (component, command) in components {
        let Some(build) = images.get(&component.name) else {
            let message = format!("no image of {} was built of commit {}", component.name, commit.short());
            let build = format!("atmos deployment build {} --target {target}", deployment.name);
            return Err(
                CommandError::new(Code::NotBuilt, message).hint(Hint::command("To build it first", build))
            );
        };
        tests.push(ComponentTest { component: &component.name, image: &build.image, command });
    }
    let environment = environment(context);
    let engine = engine(&environment)?;
    context.streams().note(&format!("Testing {} for target {target}...\n\n", deployment.name));
    let cancellation = cancellation(context);
    let by = context.actor(&repository);
    let mut tested = Vec::new();
    let (mut lines, mut reports) = (Vec::new(), BTreeMap::new());
    for test in &tests {
        let ComponentTestResult { component, entry, report } =
            test.run(context, &engine, &environment, &cancellation, &by)?;
        context.streams().note(&render::test::line(&component));
        lines.push(entry.to_line());
        reports.insert(component.component.to_string(), report);
        tested.push(component);
    }
    let note = NoteEdit::lines(NoteNamespace::TestResults, commit.clone(), &lines);
    ledger.publish(&deployment.name, &Publication { notes: vec![note], builds: Vec::new() })?;
    if let Some(file) = &args.junit_xml {
        write(context, file, &reports)?;
    }
    let succeeded = tested.iter().all(|component| component.succeeded);
    let result = TestResult { deployment: deployment.name, target, commit, succeeded, components: tested };
    context.print(&result, render::test::text)?;
    context.say_warnings(&ledger);
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

/// The components to test, each with its command; by default all that have tests.
fn wanted<'d>(
    args: &Args,
    deployment: &'d Deployment,
) -> Result<Vec<(&'d Component, Vec<String>)>, CommandError> {
    let given: Option<Vec<String>> =
        args.command.as_ref().map(|command| command.split_whitespace().map(str::to_owned).collect());
    if given.as_ref().is_some_and(Vec::is_empty) {
        return Err(CommandError::usage("--command is empty"));
    }
    let own = |component: &Component| {
        let nixpack = component.settings.nixpack.as_ref();
        nixpack.map(|nixpack| nixpack.test.clone()).filter(|test| !test.is_empty())
    };
    let mut components = Vec::new();
    for reference in &args.component {
        let component = known_component(deployment, reference)?;
        let Some(command) = given.clone().or_else(|| own(component)) else {
            let message = format!("{} has no tests", component.name);
            return Err(CommandError::new(Code::NoTests, message)
                .hint(Hint::note("Set settings.nixpack.test of the component, or name a --command")));
        };
        if component.kind != ComponentKind::Nixpack {
            let message =
                format!("{} is a {} component: there is no image to test", component.name, component.kind);
            return Err(CommandError::usage(message));
        }
        components.push((component, command));
    }
    if args.component.is_empty() {
        let built = deployment.components.iter().filter(|component| component.kind == ComponentKind::Nixpack);
        components.extend(built.filter_map(|one| Some((one, given.clone().or_else(|| own(one))?))));
    }
    if components.is_empty() {
        let message = format!("no component of {} has tests", deployment.name);
        return Err(CommandError::new(Code::NoTests, message)
            .hint(Hint::note("Set settings.nixpack.test of a component, or name a --command")));
    }
    Ok(components)
}

fn write(context: &Context, file: &Path, reports: &BTreeMap<String, String>) -> Result<(), CommandError> {
    let parts = reports.iter().map(|(component, report)| (component.as_str(), report.as_str()));
    let xml = write_report(parts).map_err(|error| CommandError::internal(error.to_string()))?;
    std::fs::write(context.directory().join(file), xml)
        .map_err(|error| CommandError::new(Code::Files, format!("cannot write {}: {error}", file.display())))
}
