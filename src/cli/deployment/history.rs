//! `atmos deployment history`: rollouts, newest first.

use std::process::ExitCode;

use jiff::Timestamp;

use crate::cli::moment::{Moment, Viewpoint};
use crate::context::Context;
use crate::deployment::names::ComponentReference;
use crate::deployment::{ComponentName, DeploymentName, TargetName};
use crate::error::{Code, CommandError};
use crate::ledger::{HistoryQuery, Limit};
use crate::project::known::known_component;
use crate::project::ledger::refuse_ignorance;
use crate::project::subjects::Subjects;
use crate::render;
use crate::render::document::history::DeploymentHistory;
use crate::render::history::View;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment history payment-service --target prod
  atmos deployment history payment-service --target prod --component api
  atmos deployment history payment-service --target prod --limit 10
  atmos deployment history payment-service --target prod --since 2025-01-01 --until 2025-01-31
  atmos deployment history payment-service --target prod --records
  atmos deployment history --since yesterday")]
pub struct Args {
    /// The deployment; all of them where none is named
    deployment: Option<DeploymentName>,
    /// Only this target
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetName>,
    /// Only this component (repeatable)
    #[arg(long, value_name = "COMPONENT")]
    component: Vec<ComponentReference>,
    /// At most so many rollouts, or records with --records; 0 for all
    #[arg(long, value_name = "NUMBER", default_value_t = 20, allow_negative_numbers = true)]
    limit: usize,
    /// Only from this date (2025-01-31, yesterday), time (2025-01-31T12:00:00Z) or age (2h, 7d) on
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only up to the end of this date, or to this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// One row for each record of a component, not for each rollout
    #[arg(long)]
    records: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let (since, until) = range(args, context)?;
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    let subjects = Subjects::read(context, &project, args.deployment.as_ref())?;
    let ledger = context.ledger(&repository, &project.config)?;
    let query = HistoryQuery {
        deployment: args.deployment.clone(),
        target: args.target.clone(),
        components: component_names(&subjects, &args.component)?,
        since,
        until,
        limit: match args.limit {
            0 => Limit::All,
            limit if args.records => Limit::Records(limit),
            limit => Limit::Rollouts(limit),
        },
    };
    let freshness = ledger.refresh_history(&query);
    let mut history = ledger.history(&query)?;
    if context.publish_left_behind(&ledger, &history.pending, &freshness) {
        history = ledger.history(&query)?;
    }
    if !history.is_known {
        // An undeclared name may still have a history; without one, it is a mistake.
        subjects.known(args.target.as_ref())?;
        known_components(&subjects, &args.component)?;
        refuse_ignorance(&ledger, &freshness).inspect_err(|_| context.say_freshness(&ledger, &freshness))?;
        if subjects.is_empty() {
            project.say_there_are_none(context);
        }
    }
    let document = DeploymentHistory::new(
        query.deployment,
        query.target,
        history.records,
        &history.outside_of_chain,
        &history.only_here,
        history.total,
    );
    let view = if args.records { View::Records } else { View::Rollouts };
    context.print(&document, |document, presentation| render::history::text(document, view, presentation))?;
    context.say_freshness(&ledger, &freshness);
    Ok(ExitCode::SUCCESS)
}

/// The requested range of times: from inclusive, until exclusive.
fn range(args: &Args, context: &Context) -> Result<(Option<Timestamp>, Option<Timestamp>), CommandError> {
    let from = Viewpoint { now: context.now(), zone: &context.global().timezone };
    let far = || CommandError::usage("--since or --until is a time that no calendar has");
    let since = args.since.map(|since| since.start(from).ok_or_else(far)).transpose()?;
    let until = args.until.map(|until| until.end(from).ok_or_else(far)).transpose()?;
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        let clock = context.clock();
        let (since, until) = (clock.second(since), clock.second(until));
        let message =
            format!("--since ({since}) is after --until ({until}), so that nothing is between them");
        return Err(CommandError::new(Code::Usage, message));
    }
    Ok((since, until))
}

/// The names of the referenced components; the reference itself for an undeclared one.
fn component_names(
    subjects: &Subjects,
    references: &[ComponentReference],
) -> Result<Vec<ComponentName>, CommandError> {
    let mut names = Vec::new();
    for reference in references {
        let found: Vec<_> = subjects.all().filter_map(|deployment| deployment.find(reference)).collect();
        names.extend(found.iter().map(|component| component.name.clone()));
        if found.is_empty() {
            names.push(reference.0.parse().map_err(|error| CommandError::usage(format!("{error}")))?);
        }
    }
    Ok(names)
}

/// Refuses a component that no deployment declares, with the nearest name of the first.
fn known_components(subjects: &Subjects, references: &[ComponentReference]) -> Result<(), CommandError> {
    for reference in references {
        let mut results = subjects.all().map(|deployment| known_component(deployment, reference));
        if let Some(Err(error)) = results.next()
            && results.all(|result| result.is_err())
        {
            return Err(error);
        }
    }
    Ok(())
}
